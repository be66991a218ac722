//! What an explanation rests on besides what a plan goes by: the history of one user, and what waits for whom.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::audit::Delivery;
use super::jsonb::Loose;

/// The row of a subject that is out of date at its target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Open {
    /// Since when.
    pub since: DateTime<Utc>,
    /// When it is tried.
    pub due: DateTime<Utc>,
    /// Whether that time has come.
    pub is_due: bool,
    /// Whether somebody works on it.
    pub leased: bool,
    /// Failures of this subject alone.
    pub attempts: i32,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// The outbox row of a user.
///
/// # Errors
/// The database's.
pub async fn open(conn: &mut PgConnection, tenant_id: Uuid, user_id: Uuid) -> Result<Option<Open>, StoreError> {
    Ok(sqlx::query_as!(
        Open,
        r#"-- explain.open
        SELECT since, due_at AS due, due_at <= now() AS "is_due!", coalesce(lease_until > now(), false) AS "leased!",
            attempts, last_error
        FROM outbox WHERE tenant_id = $1 AND kind = 'user' AND subject_id = $2"#,
        tenant_id,
        user_id,
    )
    .fetch_optional(conn)
    .await?)
}

/// When a user was made and last changed, and by whom it was learnt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Born {
    /// When the client, or an import, made it.
    pub created: DateTime<Utc>,
    /// When it was changed last.
    pub modified: DateTime<Utc>,
    /// When the person was last seen at the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_login: Option<DateTime<Utc>>,
}

/// When a user was made.
///
/// # Errors
/// The database's.
pub async fn born(conn: &mut PgConnection, tenant_id: Uuid, user_id: Uuid) -> Result<Option<Born>, StoreError> {
    Ok(sqlx::query_as!(
        Born,
        "-- explain.born
        SELECT created, modified, last_login FROM scim_user WHERE tenant_id = $1 AND id = $2",
        tenant_id,
        user_id,
    )
    .fetch_optional(conn)
    .await?)
}

/// A change on record of one subject.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deed {
    /// When.
    pub at: DateTime<Utc>,
    /// The request, or the command.
    pub request_id: Uuid,
    /// Who.
    pub actor: String,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// What.
    pub action: String,
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The answer.
    pub status: i16,
}

/// The changes of a user, the newest first.
///
/// # Errors
/// The database's.
pub async fn deeds(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_id: Uuid,
    limit: i64,
) -> Result<Vec<Deed>, StoreError> {
    let rows = sqlx::query!(
        r#"-- explain.deeds
        SELECT at, request_id, actor, remote, action, body AS "body: Loose", status FROM audit
        WHERE tenant_id = $1 AND subject_id = $2 AND kind = 'user' ORDER BY at DESC, id DESC LIMIT $3"#,
        tenant_id,
        user_id,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Deed {
            at: row.at,
            request_id: row.request_id,
            actor: row.actor,
            remote: row.remote,
            action: row.action,
            body: row.body.map(|Loose(body)| body),
            status: row.status,
        })
        .collect())
}

/// What was done to Jira about a user, the newest first; or only what made the account.
///
/// # Errors
/// The database's.
pub async fn deliveries(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_id: Uuid,
    linking: bool,
    limit: i64,
) -> Result<Vec<Delivery>, StoreError> {
    let rows = sqlx::query!(
        r#"-- explain.deliveries
        SELECT at, request_id, steps AS "steps: Loose", calls AS "calls: Loose", outcome, error, finished FROM delivery
        WHERE tenant_id = $1 AND subject_id = $2 AND kind = 'user'
          AND (NOT $3 OR steps @> '[{"step": {"step": "create"}, "outcome": "done"}]')
        ORDER BY at DESC, id DESC LIMIT $4"#,
        tenant_id,
        user_id,
        linking,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Delivery {
            at: row.at,
            kind: "user".to_owned(),
            id: user_id,
            name: None,
            request_id: row.request_id,
            steps: row.steps.0,
            calls: row.calls.0,
            outcome: row.outcome,
            error: row.error,
            finished: row.finished,
        })
        .collect())
}

/// How a user is in a group that nobody put him into directly: the names from the user's own group up.
///
/// # Errors
/// The database's.
pub async fn chains(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_id: Uuid,
) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
    let rows = sqlx::query!(
        r#"-- explain.chains
        WITH RECURSIVE up (group_id, alias, path, ids) AS (
            SELECT g.id, g.alias, ARRAY[coalesce(g.attrs ->> 'displayName', g.alias)], ARRAY[g.id]
            FROM group_member m
            JOIN scim_group g ON g.tenant_id = m.tenant_id AND g.id = m.group_id AND g.deleted_at IS NULL
            WHERE m.tenant_id = $1 AND m.member_id = $2
          UNION ALL
            SELECT g.id, g.alias, up.path || coalesce(g.attrs ->> 'displayName', g.alias), up.ids || g.id
            FROM up
            JOIN group_member m ON m.tenant_id = $1 AND m.member_id = up.group_id
            JOIN scim_group g ON g.tenant_id = $1 AND g.id = m.group_id AND g.deleted_at IS NULL
            WHERE g.id <> ALL (up.ids) AND cardinality(up.ids) < 12
        )
        SELECT DISTINCT ON (alias) alias AS "alias!", path AS "path!" FROM (SELECT * FROM up LIMIT 5000) all_ways
        ORDER BY alias, cardinality(ids)"#,
        tenant_id,
        user_id,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.alias, row.path)).collect())
}

/// The names of some SCIM groups.
///
/// # Errors
/// The database's.
pub async fn group_names(conn: &mut PgConnection, tenant_id: Uuid, ids: &[Uuid]) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- explain.group_names
        SELECT coalesce(attrs ->> 'displayName', alias) AS "name!" FROM scim_group
        WHERE tenant_id = $1 AND id = ANY($2) ORDER BY 1 LIMIT 20"#,
        tenant_id,
        ids,
    )
    .fetch_all(conn)
    .await?)
}
