//! Whose rows there are: also those of tenants that are no more, until their days are dropped.

use sqlx::PgConnection;
use uuid::Uuid;

use super::NOBODY;
use crate::store::StoreError;

/// Of tenants that are no more, the youngest so many are looked through together with the others.
const MOST_GONE: i64 = 100;

/// Everybody's: those of each tenant, also of one that was deleted, and what is no tenant's.
///
/// # Errors
/// The database's.
pub async fn everybody(conn: &mut PgConnection) -> Result<Vec<Uuid>, StoreError> {
    let living =
        sqlx::query_scalar!("-- audit.living\n SELECT id FROM tenant ORDER BY slug").fetch_all(&mut *conn).await?;
    let gone = gone(conn).await?;
    Ok(living.into_iter().chain(gone).chain([NOBODY]).collect())
}

/// Tenants that were deleted and have changes on record, the youngest first. Each step looks one key up.
async fn gone(conn: &mut PgConnection) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- audit.gone
        WITH RECURSIVE ids (id) AS (
            (SELECT tenant_id FROM audit ORDER BY tenant_id DESC LIMIT 1)
          UNION ALL
            SELECT (SELECT a.tenant_id FROM audit a WHERE a.tenant_id < ids.id ORDER BY a.tenant_id DESC LIMIT 1)
            FROM ids WHERE ids.id IS NOT NULL
        )
        SELECT id AS "id!" FROM ids
        WHERE id IS NOT NULL AND id <> $1 AND NOT EXISTS (SELECT FROM tenant t WHERE t.id = ids.id)
        ORDER BY id DESC LIMIT $2"#,
        NOBODY,
        MOST_GONE,
    )
    .fetch_all(conn)
    .await?)
}

/// The tenants that are meant by a name or an id: the living one of that name, else those that had it and were deleted.
///
/// # Errors
/// The database's.
pub async fn tenants_named(conn: &mut PgConnection, name: &str) -> Result<Vec<Uuid>, StoreError> {
    let living =
        sqlx::query_scalar!("-- audit.living_named\n SELECT id FROM tenant WHERE slug = $1 OR id::text = $1", name)
            .fetch_all(&mut *conn)
            .await?;
    if !living.is_empty() {
        return Ok(living);
    }
    let gone = gone(conn).await?;
    Ok(sqlx::query_scalar!(
        "-- audit.gone_named
        SELECT DISTINCT tenant_id FROM audit
        WHERE tenant_id = ANY($1) AND subject_id = tenant_id AND kind = 'tenant'
          AND (tenant_id::text = $2 OR (action = 'tenant.delete' AND body ->> 'slug' = $2))",
        &gone,
        name,
    )
    .fetch_all(conn)
    .await?)
}
