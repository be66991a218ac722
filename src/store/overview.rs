//! What somebody who looks after tenants sees first, of all of them in one statement. What is out of date is in
//! [`super::outbox_view::sample`].

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// A tenant at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct Glance {
    /// The tenant.
    pub tenant_id: Uuid,
    /// When a credential was used last.
    pub last_contact: Option<DateTime<Utc>>,
    /// Credentials that are accepted.
    pub live_tokens: i64,
    /// When the next of them ends.
    pub token_expires: Option<DateTime<Utc>>,
    /// Since when the brake is tripped.
    pub tripped_at: Option<DateTime<Utc>>,
    /// Why.
    pub tripped_because: Option<String>,
    /// Living users.
    pub users: i64,
    /// Living groups.
    pub groups: i64,
}

/// Of one tenant, or of all.
///
/// # Errors
/// The store failed.
pub async fn glances(conn: &mut PgConnection, tenant_id: Option<Uuid>) -> Result<Vec<Glance>, StoreError> {
    Ok(sqlx::query_as!(
        Glance,
        r#"-- overview.glances
        SELECT t.id AS tenant_id, k.last_used AS last_contact, k.live AS "live_tokens!", k.expires AS token_expires,
            b.tripped_at AS "tripped_at?", b.reason AS "tripped_because?", n.users AS "users!", n.groups AS "groups!"
        FROM tenant t
        CROSS JOIN LATERAL (
            SELECT max(last_used) AS last_used,
                count(*) FILTER (WHERE revoked IS NULL AND (expires IS NULL OR expires > now())) AS live,
                min(expires) FILTER (WHERE revoked IS NULL AND expires > now()) AS expires
            FROM (SELECT last_used, revoked, expires FROM token WHERE tenant_id = t.id
                UNION ALL SELECT last_used, NULL, NULL FROM jwt_issuer WHERE tenant_id = t.id) credentials
        ) k
        LEFT JOIN brake b ON b.tenant_id = t.id
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(n) FILTER (WHERE kind = 'user'), 0)::bigint AS users,
                coalesce(sum(n) FILTER (WHERE kind = 'group'), 0)::bigint AS groups
            FROM (SELECT kind, n FROM tally WHERE tenant_id = t.id
                UNION ALL SELECT kind, delta FROM tally_delta WHERE tenant_id = t.id) counted
        ) n
        WHERE $1::uuid IS NULL OR t.id = $1
        ORDER BY t.slug"#,
        tenant_id,
    )
    .fetch_all(conn)
    .await?)
}
