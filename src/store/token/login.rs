//! What a request's credential is looked up with. Nothing here says why somebody is not let in.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::super::StoreError;
use super::super::tenant::{Mode, Tenant};
use super::{Credential, Kind, Scope};

/// How many live passwords one user name may have: the new one and the old ones that others are taking the place of.
const MOST_PASSWORDS: i64 = 4;

struct Row {
    id: Uuid,
    slug: String,
    target: String,
    mode: Mode,
    policy: Value,
    policy_version: i64,
    declared: bool,
    created: DateTime<Utc>,
    modified: DateTime<Utc>,
    token_id: Uuid,
    label: String,
    kind: Kind,
    username: Option<String>,
    me: Option<Uuid>,
    scope: Scope,
    users_only: bool,
    expires: Option<DateTime<Utc>>,
    password: Option<String>,
}

impl Row {
    fn split(self) -> (Tenant, Credential) {
        let tenant = Tenant {
            id: self.id,
            slug: self.slug,
            target: self.target,
            mode: self.mode,
            policy: self.policy,
            policy_version: self.policy_version,
            declared: self.declared,
            created: self.created,
            modified: self.modified,
        };
        let credential = Credential {
            id: self.token_id,
            label: self.label,
            kind: self.kind,
            username: self.username,
            me: self.me,
            scope: self.scope,
            users_only: self.users_only,
            expires: self.expires,
        };
        (tenant, credential)
    }
}

/// The living credentials of tenant `$1` that are like this, each with its tenant.
macro_rules! living {
    ($like:literal, $($bind:expr),+ $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT t.id, t.slug, t.target, t.mode AS "mode: Mode", t.policy, t.policy_version, t.declared, t.created,
                      t.modified, k.id AS token_id, k.label, k.kind AS "kind: Kind", k.username, k.me,
                      k.scope AS "scope: Scope", k.users_only, k.expires, k.password
               FROM token k JOIN tenant t ON t.id = k.tenant_id
               WHERE t.slug = $1 AND k.revoked IS NULL AND (k.expires IS NULL OR k.expires > now()) AND "# + $like,
            $($bind),+
        )
    };
}

/// The tenant and the credential of a request, in one query. `None` for an unknown tenant, an unknown, expired or
/// revoked token and a token of another tenant alike: a client learns nothing from the difference.
///
/// # Errors
/// The store failed.
pub async fn authenticate(
    db: impl PgExecutor<'_>,
    slug: &str,
    hash: &[u8; 32],
) -> Result<Option<(Tenant, Credential)>, StoreError> {
    let row = living!("k.hash = $2", slug, hash.as_slice()).fetch_optional(db).await?;
    Ok(row.map(Row::split))
}

/// The credentials with a chosen password that have this user name, the newest first, each with what argon2id made of the
/// password: not yet proven.
///
/// # Errors
/// The store failed.
pub async fn by_username(
    db: impl PgExecutor<'_>,
    slug: &str,
    username: &str,
) -> Result<Vec<(Tenant, Credential, String)>, StoreError> {
    let rows = living!(
        "k.username = $2 AND k.kind = 'password' ORDER BY k.created DESC, k.id LIMIT $3",
        slug,
        username,
        MOST_PASSWORDS,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|mut row| {
            let hash = row.password.take()?;
            let (tenant, credential) = row.split();
            Some((tenant, credential, hash))
        })
        .collect())
}

/// The OAuth client for whom a token was issued here.
///
/// # Errors
/// The store failed.
pub async fn client(db: impl PgExecutor<'_>, slug: &str, id: Uuid) -> Result<Option<(Tenant, Credential)>, StoreError> {
    let row = living!("k.id = $2 AND k.kind = 'client'", slug, id).fetch_optional(db).await?;
    Ok(row.map(Row::split))
}

/// Notes that a token was used; at most one write a minute, however often it is called.
///
/// # Errors
/// The store failed.
pub async fn touch_last_used(
    db: impl PgExecutor<'_>,
    tenant_id: Uuid,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    // The credential is a token or an issuer of tokens.
    sqlx::query!(
        "WITH token AS (
             UPDATE token SET last_used = $3
             WHERE tenant_id = $1 AND id = $2
               AND (last_used IS NULL OR last_used < $3::timestamptz - interval '1 minute')
         )
         UPDATE jwt_issuer SET last_used = $3
         WHERE tenant_id = $1 AND id = $2
           AND (last_used IS NULL OR last_used < $3::timestamptz - interval '1 minute')",
        tenant_id,
        id,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
