//! Credentials that the configuration file declares: what it says goes, at every start and in every replica.

use chrono::{DateTime, Utc};
use sqlx::{Acquire, PgConnection, PgExecutor};
use uuid::Uuid;

use super::super::StoreError;
use super::super::tenant::Origin;
use super::{NewCredential, TokenError, create};

/// Makes a credential what the configuration file says: live, with this text and this expiry. A token of another text
/// under the same label is revoked.
///
/// # Errors
/// [`TokenError::InUse`].
pub async fn upsert_declared(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    new: NewCredential<'_>,
    origin: Origin<'_>,
) -> Result<(), TokenError> {
    let mut tx = conn.begin().await.map_err(StoreError::from)?;
    // Replicas start together: the lock makes the second one see what the first one made.
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('token ' || $1::uuid::text, 0))", tenant_id)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::from)?;
    // Another text under this label gives way.
    sqlx::query!(
        "UPDATE token SET revoked = $4
         WHERE tenant_id = $1 AND label = $2 AND revoked IS NULL
           AND (hash IS DISTINCT FROM $3 OR password IS DISTINCT FROM $5)",
        tenant_id,
        new.label,
        new.proof.hash(),
        origin.at,
        new.proof.password(),
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::from)?;
    let known = sqlx::query!(
        "UPDATE token SET expires = $4, username = $5, kind = $6, scope = $7, users_only = $8, revoked = NULL, rotated = NULL,
                declared = true
         WHERE tenant_id = $1 AND (hash = $2 OR password = $9) AND label = $3",
        tenant_id,
        new.proof.hash(),
        new.label,
        new.expires,
        new.username,
        new.proof.kind().as_str(),
        new.scope.as_str(),
        new.users_only,
        new.proof.password(),
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::from)?;
    if known.rows_affected() == 0 {
        create(&mut *tx, tenant_id, id, new, origin).await?;
        sqlx::query!("UPDATE token SET declared = true WHERE tenant_id = $1 AND id = $2", tenant_id, id)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::from)?;
    }
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// What the store keeps of the chosen password that lives under this label, or did last.
///
/// # Errors
/// The store failed.
pub async fn password_of(db: impl PgExecutor<'_>, tenant_id: Uuid, label: &str) -> Result<Option<String>, StoreError> {
    let kept = sqlx::query_scalar!(
        r#"SELECT password AS "password!" FROM token
           WHERE tenant_id = $1 AND label = $2 AND declared AND password IS NOT NULL
           ORDER BY revoked DESC NULLS FIRST, created DESC LIMIT 1"#,
        tenant_id,
        label,
    )
    .fetch_optional(db)
    .await?;
    Ok(kept)
}

/// Revokes the tokens that the configuration file declared once and does not name any more, and returns their labels.
///
/// # Errors
/// The store failed.
pub async fn revoke_undeclared(
    db: impl PgExecutor<'_>,
    tenant_id: Uuid,
    labels: &[String],
    at: DateTime<Utc>,
) -> Result<Vec<String>, StoreError> {
    let revoked = sqlx::query_scalar!(
        "UPDATE token SET revoked = $3
         WHERE tenant_id = $1 AND declared AND revoked IS NULL AND label <> ALL($2) RETURNING label",
        tenant_id,
        labels,
        at,
    )
    .fetch_all(db)
    .await?;
    Ok(revoked)
}
