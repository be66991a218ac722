//! What the token endpoint signs with: one key for all replicas, another each day.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::StoreError;

/// A key.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its id, which tokens name.
    pub id: Uuid,
    /// 256 random bits.
    pub key: [u8; 32],
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({}, ..)", self.id)
    }
}

/// The key to sign with: the newest, unless it is a day old; then `fresh` becomes it, and those that are two days old go.
/// Replicas that do this together make two, and both are good.
///
/// # Errors
/// The store failed.
pub async fn current(conn: &mut PgConnection, fresh: SigningKey) -> Result<SigningKey, StoreError> {
    let newest = sqlx::query!(
        "SELECT id, key FROM signing_key WHERE created > now() - interval '1 day' ORDER BY created DESC, id DESC LIMIT 1"
    )
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(newest) = newest.and_then(|row| Some(SigningKey { id: row.id, key: row.key.try_into().ok()? })) {
        return Ok(newest);
    }
    sqlx::query!(
        "WITH gone AS (DELETE FROM signing_key WHERE created <= now() - interval '2 days')
         INSERT INTO signing_key (id, key) VALUES ($1, $2)",
        fresh.id,
        fresh.key.as_slice(),
    )
    .execute(conn)
    .await?;
    Ok(fresh)
}

/// The key with this id, unless it is too old to be of use.
///
/// # Errors
/// The store failed.
pub async fn find(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<SigningKey>, StoreError> {
    let key =
        sqlx::query_scalar!("SELECT key FROM signing_key WHERE id = $1 AND created > now() - interval '2 days'", id)
            .fetch_optional(db)
            .await?;
    Ok(key.and_then(|key| Some(SigningKey { id, key: key.try_into().ok()? })))
}
