//! Sources that were made by the admin API, as text that `config` understands. Secrets are not among it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::store::tenant::Origin;
use crate::store::{OnConstraint, StoreError};

/// A source that somebody made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The tenant that it feeds.
    pub tenant_id: Uuid,
    /// That tenant's slug.
    pub tenant: String,
    /// Its name.
    pub name: String,
    /// The keys of `[[source]]` but name and tenant.
    pub settings: Value,
    /// Grows with every change.
    pub version: i64,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was last changed.
    pub modified: DateTime<Utc>,
}

/// Why a source is not made.
#[derive(Debug, thiserror::Error)]
pub enum MadeError {
    /// Another source has that name.
    #[error("there is a source {0} already")]
    NameTaken(String),
    /// Another source feeds the tenant.
    #[error("the tenant has a source already: a tenant has one")]
    TenantFed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All of them, of all tenants, by name.
///
/// # Errors
/// The store failed.
pub async fn all(db: impl PgExecutor<'_>) -> Result<Vec<Made>, StoreError> {
    Ok(sqlx::query_as!(
        Made,
        "-- source_made.all
        SELECT m.tenant_id, t.slug AS tenant, m.name, m.settings, m.version, m.created, m.modified
        FROM source_made m JOIN tenant t ON t.id = m.tenant_id ORDER BY m.name",
    )
    .fetch_all(db)
    .await?)
}

/// Makes one, with its audit row.
///
/// # Errors
/// The name or the tenant is taken; the store failed.
pub async fn create(
    db: impl PgExecutor<'_>,
    tenant_id: Uuid,
    name: &str,
    settings: &Value,
    origin: Origin<'_>,
) -> Result<(), MadeError> {
    sqlx::query!(
        "-- source_made.create
        WITH made AS (
            INSERT INTO source_made (tenant_id, name, settings, created, modified) VALUES ($1, $2, $3, $4, $4)
            RETURNING *
        )
        INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
        SELECT tenant_id, $4, gen_random_uuid(), $5, $6, 'source.create', 'tenant', tenant_id,
            jsonb_build_object('name', name, 'settings', settings), 201 FROM made",
        tenant_id,
        name,
        settings,
        origin.at,
        origin.request_id,
        origin.actor,
    )
    .execute(db)
    .await
    .map_err(StoreError::from)
    .map(drop)
    .on_constraint("source_made_name_key", || MadeError::NameTaken(name.to_owned()))
    .map_err(|error| match error {
        MadeError::Store(store) if store.constraint() == Some("source_made_pkey") => MadeError::TenantFed,
        other => other,
    })
}

/// Changes what one says, with its audit row. False when it is gone.
///
/// # Errors
/// The store failed.
pub async fn update(
    db: impl PgExecutor<'_>,
    tenant_id: Uuid,
    name: &str,
    settings: &Value,
    origin: Origin<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- source_made.update
        WITH changed AS (
            UPDATE source_made SET settings = $3, modified = $4, version = version + 1
            WHERE tenant_id = $1 AND name = $2 RETURNING *
        )
        INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
        SELECT tenant_id, $4, gen_random_uuid(), $5, $6, 'source.update', 'tenant', tenant_id,
            jsonb_build_object('name', name, 'settings', settings), 200 FROM changed",
        tenant_id,
        name,
        settings,
        origin.at,
        origin.request_id,
        origin.actor,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes one, with its audit row, and lets SCIM clients write to its tenant again. False when it is gone already.
///
/// # Errors
/// The store failed.
pub async fn delete(
    db: impl PgExecutor<'_>,
    tenant_id: Uuid,
    name: &str,
    origin: Origin<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- source_made.delete
        WITH gone AS (
            DELETE FROM source_made WHERE tenant_id = $1 AND name = $2 RETURNING *
        ), released AS (
            DELETE FROM source s USING gone WHERE s.tenant_id = $1 AND s.name = gone.name
        )
        INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
        SELECT tenant_id, $3, gen_random_uuid(), $4, $5, 'source.delete', 'tenant', tenant_id,
            jsonb_build_object('name', name), 200 FROM gone",
        tenant_id,
        name,
        origin.at,
        origin.request_id,
        origin.actor,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
