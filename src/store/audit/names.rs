//! Who is meant by a name: those who have it, had it, or whose account has it.

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::Query;
use super::words::naming;
use crate::account::fold;
use crate::store::StoreError;

/// The most people of one name; there are more only where the name went round.
const MOST: i64 = 50;

/// The users that are meant by an id, a userName (also a former one), or a login name in Jira.
///
/// # Errors
/// The database's.
pub async fn users_named(conn: &mut PgConnection, tenant_id: Uuid, text: &str) -> Result<Vec<Uuid>, StoreError> {
    let mut tx = planned(conn).await?;
    let found = sqlx::query_scalar!(
        r#"-- audit.users_named
        SELECT DISTINCT id AS "id!" FROM (
            SELECT $2::uuid AS id WHERE $2::uuid IS NOT NULL
          UNION ALL
            (SELECT id FROM scim_user WHERE tenant_id = $1 AND user_name_key = $3 AND deleted_at IS NULL)
          UNION ALL
            (SELECT id FROM scim_user WHERE tenant_id = $1 AND user_name_key = $3 AND deleted_at IS NOT NULL)
          UNION ALL
            (SELECT c.user_id FROM claim c JOIN tenant t ON t.id = $1
             WHERE c.tenant_id = $1 AND c.target = t.target AND c.what = 'name' AND c.key = $3)
          UNION ALL
            (SELECT a.subject_id FROM request r
             JOIN audit a ON a.tenant_id = r.tenant_id AND a.request_id = r.request_id AND a.kind = 'user'
               AND a.at >= r.at - interval '1 minute' AND a.at <= r.at + interval '1 hour'
             WHERE r.tenant_id = $1 AND r.words @@ $4::text::tsquery LIMIT $5)
        ) named LIMIT $5"#,
        tenant_id,
        Uuid::try_parse(text).ok(),
        fold(text),
        naming("n", text),
        MOST,
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    Ok(found)
}

/// The groups that are meant by an id or a name, also a former one.
///
/// # Errors
/// The database's.
pub async fn groups_named(conn: &mut PgConnection, tenant_id: Uuid, text: &str) -> Result<Vec<Uuid>, StoreError> {
    let mut tx = planned(conn).await?;
    let found = sqlx::query_scalar!(
        r#"-- audit.groups_named
        SELECT DISTINCT id AS "id!" FROM (
            SELECT $2::uuid AS id WHERE $2::uuid IS NOT NULL
          UNION ALL
            (SELECT id FROM scim_group WHERE tenant_id = $1 AND display_name_key = $3 AND deleted_at IS NULL)
          UNION ALL
            (SELECT id FROM scim_group WHERE tenant_id = $1 AND display_name_key = $3 AND deleted_at IS NOT NULL)
          UNION ALL
            (SELECT id FROM scim_group WHERE tenant_id = $1 AND alias_key = $3 AND deleted_at IS NULL)
          UNION ALL
            (SELECT a.subject_id FROM request r
             JOIN audit a ON a.tenant_id = r.tenant_id AND a.request_id = r.request_id AND a.kind = 'group'
               AND a.at >= r.at - interval '1 minute' AND a.at <= r.at + interval '1 hour'
             WHERE r.tenant_id = $1 AND r.words @@ $4::text::tsquery LIMIT $5)
        ) named LIMIT $5"#,
        tenant_id,
        Uuid::try_parse(text).ok(),
        fold(text),
        naming("g", text),
        MOST,
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    Ok(found)
}

/// A transaction in which each statement is planned for its values: the words of a name are rare or common.
async fn planned(conn: &mut PgConnection) -> Result<sqlx::Transaction<'_, sqlx::Postgres>, StoreError> {
    let mut tx = conn.begin().await?;
    sqlx::query!("SET LOCAL plan_cache_mode = force_custom_plan").execute(&mut *tx).await?;
    Ok(tx)
}

/// A query with the users and groups that are meant by names in any of these tenants.
///
/// # Errors
/// The database's.
pub async fn about(
    conn: &mut PgConnection,
    tenants: &[Uuid],
    mut query: Query,
    user: Option<&str>,
    group: Option<&str>,
) -> Result<Query, StoreError> {
    for tenant in tenants {
        if let Some(name) = user {
            query.user.get_or_insert_default().extend(users_named(conn, *tenant, name).await?);
        }
        if let Some(name) = group {
            query.group.get_or_insert_default().extend(groups_named(conn, *tenant, name).await?);
        }
    }
    Ok(query)
}
