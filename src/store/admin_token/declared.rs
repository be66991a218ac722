//! Admin tokens that the configuration file declares: what it says goes, at every start and in every replica.

use chrono::{DateTime, Utc};
use sqlx::{Acquire, PgConnection, PgExecutor};

use super::super::StoreError;
use super::super::tenant::Origin;
use super::{AdminTokenError, NewAdmin, create};

/// Makes a token what the configuration file says: at every start, by every replica. One of another text under the same label
/// gives way.
///
/// # Errors
/// [`AdminTokenError::InUse`].
pub async fn upsert_declared(
    conn: &mut PgConnection,
    new: NewAdmin<'_>,
    origin: Origin<'_>,
) -> Result<(), AdminTokenError> {
    let mut tx = conn.begin().await.map_err(StoreError::from)?;
    // Replicas start together: the lock makes the second one see what the first one made.
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('admin token', 0))")
        .execute(&mut *tx)
        .await
        .map_err(StoreError::from)?;
    sqlx::query!(
        "-- admin_token.give_way
        UPDATE admin_token SET revoked = $3 WHERE label = $1 AND hash <> $2 AND revoked IS NULL",
        new.label,
        new.hash.as_slice(),
        origin.at,
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::from)?;
    let known = sqlx::query!(
        "-- admin_token.declare
        UPDATE admin_token SET role = $3, expires = $4, revoked = NULL, declared = true WHERE hash = $2 AND label = $1",
        new.label,
        new.hash.as_slice(),
        new.role.as_str(),
        new.expires,
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::from)?;
    if known.rows_affected() == 0 {
        create(&mut *tx, new, true, origin).await?;
    }
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// Revokes those that the configuration file declared once and does not name any more, and returns their labels.
///
/// # Errors
/// The store failed.
pub async fn revoke_undeclared(
    db: impl PgExecutor<'_>,
    labels: &[String],
    at: DateTime<Utc>,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- admin_token.revoke_undeclared
        UPDATE admin_token SET revoked = $2 WHERE declared AND revoked IS NULL AND label <> ALL($1) RETURNING label",
        labels,
        at,
    )
    .fetch_all(db)
    .await?)
}
