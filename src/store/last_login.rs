//! When people were last seen at the target. It is nothing of the resource: neither its version nor the outbox knows of it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// What became of a page of logins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// Accounts that are a user's of the tenant.
    pub users: u64,
    /// Users whose time is another than the one that was on record.
    pub changed: u64,
}

/// Writes down when the users behind these accounts were last seen; accounts that are nobody's are left out. `ids` and `times`
/// run side by side.
///
/// # Errors
/// The database's.
pub async fn note(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    target: &str,
    ids: &[String],
    times: &[DateTime<Utc>],
) -> Result<Noted, StoreError> {
    let row = sqlx::query!(
        r#"-- last_login.note
        WITH seen AS (
            SELECT DISTINCT ON (c.user_id) c.user_id, s.at
            FROM unnest($3::text[], $4::timestamptz[]) AS s (account_id, at)
            JOIN claim c ON c.target = $2 AND c.what = 'account' AND c.key = s.account_id AND c.tenant_id = $1
            ORDER BY c.user_id, s.at DESC
        ), locked AS (
            -- In the order in which an identity change locks resources.
            SELECT u.id, seen.at FROM scim_user u JOIN seen ON seen.user_id = u.id
            WHERE u.tenant_id = $1 AND u.last_login IS DISTINCT FROM seen.at
            ORDER BY u.id FOR NO KEY UPDATE OF u
        ), changed AS (
            UPDATE scim_user u SET last_login = locked.at FROM locked
            WHERE u.tenant_id = $1 AND u.id = locked.id RETURNING u.id
        )
        SELECT (SELECT count(*) FROM seen) AS "users!", (SELECT count(*) FROM changed) AS "changed!""#,
        tenant_id,
        target,
        ids,
        times,
    )
    .fetch_one(conn)
    .await?;
    let count = |n: i64| u64::try_from(n).unwrap_or_default();
    Ok(Noted { users: count(row.users), changed: count(row.changed) })
}

/// When these users were last seen, as far as anybody knows.
///
/// # Errors
/// The database's.
pub async fn of(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    users: &[Uuid],
) -> Result<Vec<(Uuid, DateTime<Utc>)>, StoreError> {
    let rows = sqlx::query!(
        r#"-- last_login.of
        SELECT id, last_login AS "at!" FROM scim_user
        WHERE tenant_id = $1 AND id = ANY($2) AND last_login IS NOT NULL"#,
        tenant_id,
        users,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.at)).collect())
}
