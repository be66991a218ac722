//! Links as people see them: whose account is whose, which accounts have nobody any more, and who does not get one. Reads only.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use super::link::LinkRecord;

/// One user with what is on record of the account.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The user.
    pub user_id: Uuid,
    /// As the client wrote it.
    pub user_name: String,
    /// A tombstone.
    pub deleted: bool,
    /// What the identity provider says.
    pub active: bool,
    /// What is on record.
    pub record: LinkRecord,
}

/// Which links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// All of them.
    All,
    /// Of deleted users who have an account.
    Orphans,
    /// Of users whose account is another one's, or waits for approval.
    Conflicts,
}

struct Row {
    user_id: Uuid,
    user_name: Option<String>,
    deleted: bool,
    active: bool,
    record: Json<LinkRecord>,
}

impl From<Row> for Listed {
    fn from(row: Row) -> Self {
        Self {
            user_id: row.user_id,
            user_name: row.user_name.unwrap_or_default(),
            deleted: row.deleted,
            active: row.active,
            record: row.record.0,
        }
    }
}

/// The links of a tenant behind this user, by id.
///
/// # Errors
/// The store failed.
pub async fn page(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    which: Which,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Listed>, StoreError> {
    let rows = match which {
        Which::All => {
            sqlx::query_as!(
                Row,
                r#"-- link_list.all
                SELECT l.user_id, u.attrs ->> 'userName' AS user_name, coalesce(u.deleted_at IS NOT NULL, true) AS "deleted!",
                    coalesce(u.active, false) AS "active!", l.record AS "record: Json<LinkRecord>"
                FROM link l LEFT JOIN scim_user u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
                WHERE l.tenant_id = $1 AND l.user_id > $2 ORDER BY l.user_id LIMIT $3"#,
                tenant_id,
                after,
                limit,
            )
            .fetch_all(conn)
            .await?
        }
        Which::Orphans => {
            sqlx::query_as!(
                Row,
                r#"-- link_list.orphans
                SELECT l.user_id, u.attrs ->> 'userName' AS user_name, true AS "deleted!", u.active AS "active!",
                    l.record AS "record: Json<LinkRecord>"
                FROM scim_user u JOIN link l ON l.tenant_id = u.tenant_id AND l.user_id = u.id
                WHERE u.tenant_id = $1 AND u.id > $2 AND u.deleted_at IS NOT NULL AND l.record -> 'known' ? 'linked'
                ORDER BY u.id LIMIT $3"#,
                tenant_id,
                after,
                limit,
            )
            .fetch_all(conn)
            .await?
        }
        Which::Conflicts => {
            sqlx::query_as!(
                Row,
                r#"-- link_list.conflicts
                SELECT l.user_id, u.attrs ->> 'userName' AS user_name, coalesce(u.deleted_at IS NOT NULL, true) AS "deleted!",
                    coalesce(u.active, false) AS "active!", l.record AS "record: Json<LinkRecord>"
                FROM link l LEFT JOIN scim_user u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
                WHERE l.tenant_id = $1 AND l.user_id > $2 AND l.stuck
                  AND (l.record -> 'known' ? 'found' OR (l.record #>> '{steps,write,conflict}')::boolean)
                ORDER BY l.user_id LIMIT $3"#,
                tenant_id,
                after,
                limit,
            )
            .fetch_all(conn)
            .await?
        }
    };
    Ok(rows.into_iter().map(Listed::from).collect())
}

/// The link of one user, deleted or not; none where nothing is on record.
///
/// # Errors
/// The store failed.
pub async fn of_user(conn: &mut PgConnection, tenant_id: Uuid, user_id: Uuid) -> Result<Option<Listed>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"-- link_list.of_user
        SELECT l.user_id, u.attrs ->> 'userName' AS user_name, coalesce(u.deleted_at IS NOT NULL, true) AS "deleted!",
            coalesce(u.active, false) AS "active!", l.record AS "record: Json<LinkRecord>"
        FROM link l LEFT JOIN scim_user u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
        WHERE l.tenant_id = $1 AND l.user_id = $2"#,
        tenant_id,
        user_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Listed::from))
}
