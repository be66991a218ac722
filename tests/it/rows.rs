//! Rows put into the store by hand, for tests of what reads them.

use chrono::{DateTime, Utc};
use jira_scim::account::fold;
use jira_scim::scim::Attrs;
use jira_scim::scim::folded::folded;
use jira_scim::scim::schema::{group, user};
use jira_scim::store::tenant::{self, Mode, NewTenant, Origin, Tenant};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// An instant, in seconds after the year 2026 began.
pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600 + seconds, 0).unwrap()
}

/// Whoever asks in these tests.
pub fn origin(seconds: i64) -> Origin<'static> {
    Origin { actor: "test", request_id: Uuid::nil(), at: at(seconds) }
}

/// A tenant of that name.
pub async fn tenant(pool: &PgPool, slug: &str) -> Tenant {
    let mut conn = pool.acquire().await.unwrap();
    let new = NewTenant { slug: slug.into(), target: "jira".into(), mode: Mode::Enforce, policy: json!({}) };
    tenant::create(&mut conn, Uuid::now_v7(), &new, origin(0)).await.unwrap()
}

/// A user; the document must have a userName. Counts it.
pub async fn insert_user(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    document: &Value,
    modified: DateTime<Utc>,
) {
    let attrs: Attrs = document.as_object().unwrap().clone();
    let folded = folded(user(), &attrs);
    let emails: Vec<String> = match folded.get("emails") {
        Some(Value::Array(list)) => list.iter().filter_map(|e| e["value"].as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    sqlx::query(
        "WITH counted AS (INSERT INTO tally_delta (tenant_id, kind, delta) VALUES ($1, 'user', 1))
         INSERT INTO scim_user (tenant_id, id, user_name_key, external_id, active, email_keys, attrs, folded,
                                created, modified)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
    )
    .bind(tenant_id)
    .bind(id)
    .bind(fold(document["userName"].as_str().unwrap()))
    .bind(document["externalId"].as_str())
    .bind(document["active"].as_bool().unwrap_or(true))
    .bind(emails)
    .bind(Value::Object(attrs))
    .bind(Value::Object(folded))
    .bind(modified)
    .execute(conn)
    .await
    .unwrap();
}

/// A group; the document must have a displayName. Counts it.
pub async fn insert_group(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    document: &Value,
    modified: DateTime<Utc>,
) {
    let attrs: Attrs = document.as_object().unwrap().clone();
    let name = document["displayName"].as_str().unwrap();
    sqlx::query(
        "WITH counted AS (INSERT INTO tally_delta (tenant_id, kind, delta) VALUES ($1, 'group', 1))
         INSERT INTO scim_group (tenant_id, id, display_name_key, external_id, attrs, folded, alias,
                                 alias_key, created, modified)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $3, $8, $8)",
    )
    .bind(tenant_id)
    .bind(id)
    .bind(fold(name))
    .bind(document["externalId"].as_str())
    .bind(document)
    .bind(Value::Object(folded(group(), &attrs)))
    .bind(name)
    .bind(modified)
    .execute(conn)
    .await
    .unwrap();
}

/// A membership, with the touch that a change of members leaves.
pub async fn insert_member(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    group_id: Uuid,
    member_id: Uuid,
    is_group: bool,
    when: DateTime<Utc>,
) {
    sqlx::query(
        "WITH touch AS (INSERT INTO group_touch (tenant_id, group_id, at) VALUES ($1, $2, $5))
         INSERT INTO group_member (tenant_id, group_id, member_id, is_group) VALUES ($1, $2, $3, $4)",
    )
    .bind(tenant_id)
    .bind(group_id)
    .bind(member_id)
    .bind(is_group)
    .bind(when)
    .execute(conn)
    .await
    .unwrap();
}

/// Makes a user or group a tombstone.
pub async fn bury(conn: &mut PgConnection, table: &'static str, id: Uuid, when: DateTime<Utc>) {
    sqlx::query(sqlx::AssertSqlSafe(format!("UPDATE {table} SET deleted_at = $2 WHERE id = $1")))
        .bind(id)
        .bind(when)
        .execute(conn)
        .await
        .unwrap();
}
