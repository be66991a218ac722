//! People and groups in bulk, for measuring: the rows that as many requests would have left behind, all of them applied.

use serde_json::Value;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::StoreError;
use crate::account::{SeenAccount, fold};
use crate::scim::Attrs;

/// A user with the account that was made for it.
#[derive(Clone, Debug)]
pub struct SeedUser {
    /// The user's id.
    pub id: Uuid,
    /// What the client owns.
    pub attrs: Attrs,
    /// The same, folded for comparison.
    pub folded: Attrs,
    /// The account at the target.
    pub account: SeenAccount,
}

/// What of a user comes over the wire; the database makes the other rows of it.
const STAGE: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS seed (
    id uuid NOT NULL, attrs jsonb NOT NULL, folded jsonb NOT NULL, account_id text NOT NULL, account jsonb NOT NULL
) ON COMMIT DELETE ROWS";

/// The rows of a create that was answered with 201 and applied. The path of its call stands for whatever the target's is.
const ROWS: &[&str] = &[
    "INSERT INTO scim_user (tenant_id, id, user_name_key, external_id, active, email_keys, attrs, folded, created, modified)
     SELECT $1, id, folded->>'userName', attrs->>'externalId', true,
         ARRAY(SELECT email->>'value' FROM jsonb_array_elements(folded->'emails') AS email), attrs, folded, now(), now()
     FROM seed WHERE $2 <> ''",
    "INSERT INTO link (tenant_id, user_id, target, record, applied_version)
     SELECT $1, id, $2, jsonb_build_object('made', true, 'known',
         jsonb_build_object('linked', jsonb_build_object('seen', account, 'maybe', false))), 1 FROM seed",
    "INSERT INTO claim (target, what, key, tenant_id, user_id)
     SELECT $2, 'name', folded->>'userName', $1, id FROM seed
     UNION ALL SELECT $2, 'account', account_id, $1, id FROM seed",
    "INSERT INTO audit (tenant_id, at, id, request_id, actor, remote, action, kind, subject_id, body, status)
     SELECT $1, now(), gen_random_uuid(), gen_random_uuid(), 'okta', '127.0.0.1', 'user.create', 'user', id, attrs, 201
     FROM seed WHERE $2 <> ''",
    "INSERT INTO delivery (tenant_id, at, id, kind, subject_id, request_id, steps, calls, outcome, finished)
     SELECT $1, now(), gen_random_uuid(), 'user', id, gen_random_uuid(),
         jsonb_build_array(jsonb_build_object('step', jsonb_build_object('step', 'create', 'account', account - 'id'),
             'outcome', 'done')),
         '[{\"path\": \"/a/path/of/it\", \"method\": \"POST\", \"status\": 201, \"duration_ms\": 1}]', 'applied', now()
     FROM seed WHERE $2 <> ''",
    "INSERT INTO tally (tenant_id, kind, n) SELECT $1, 'user', count(*) FROM seed WHERE $2 <> ''
     ON CONFLICT (tenant_id, kind) DO UPDATE SET n = tally.n + excluded.n",
];

/// Adds users in one transaction.
///
/// # Errors
/// The database's.
pub async fn users(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    target: &str,
    users: &[SeedUser],
) -> Result<(), StoreError> {
    let mut tx = conn.begin().await?;
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
    sqlx::query(STAGE).execute(&mut *tx).await?;
    let mut copy = tx.copy_in_raw("COPY seed FROM STDIN (FORMAT csv)").await?;
    copy.send(csv(users)).await?;
    copy.finish().await?;
    for statement in ROWS {
        sqlx::query(*statement).bind(tenant_id).bind(target).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn csv(users: &[SeedUser]) -> Vec<u8> {
    let mut text = String::new();
    for user in users {
        let account = serde_json::to_value(&user.account).unwrap_or_default();
        let fields = [
            user.id.to_string(),
            Value::Object(user.attrs.clone()).to_string(),
            Value::Object(user.folded.clone()).to_string(),
            user.account.id.0.clone(),
            account.to_string(),
        ];
        let quoted = fields.map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
        text.push_str(&quoted.join(","));
        text.push('\n');
    }
    text.into_bytes()
}

/// Adds a group with these members in one transaction.
///
/// # Errors
/// The database's.
pub async fn group(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    name: &str,
    members: &[Uuid],
) -> Result<(), StoreError> {
    let mut tx = conn.begin().await?;
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
    sqlx::query(
        "WITH made AS (
             INSERT INTO scim_group (tenant_id, id, display_name_key, attrs, folded, alias, alias_key, created, modified)
             VALUES ($1, $2, $4, jsonb_build_object('displayName', $3), jsonb_build_object('displayName', $4), $3, $4, now(), now())
         ), known AS (
             INSERT INTO jira_group (tenant_id, name_key, name, known, made) VALUES ($1, $4, $3, 'exists', true)
         ), audited AS (
             INSERT INTO audit (tenant_id, at, id, request_id, actor, remote, action, kind, subject_id, status)
             VALUES ($1, now(), gen_random_uuid(), gen_random_uuid(), 'okta', '127.0.0.1', 'group.create', 'group', $2, 201)
         ), joined AS (
             INSERT INTO group_member (tenant_id, group_id, member_id, is_group)
             SELECT $1, $2, member, false FROM unnest($5::uuid[]) AS member
         ), written AS (
             INSERT INTO jira_membership (tenant_id, user_id, group_key, written)
             SELECT $1, member, $4, true FROM unnest($5::uuid[]) AS member
         )
         INSERT INTO tally (tenant_id, kind, n) VALUES ($1, 'group', 1)
         ON CONFLICT (tenant_id, kind) DO UPDATE SET n = tally.n + 1",
    )
    .bind(tenant_id)
    .bind(id)
    .bind(name)
    .bind(fold(name))
    .bind(members)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Statistics, visibility, and a checkpoint: what a database has that grew slowly.
///
/// # Errors
/// The database's.
pub async fn settle(conn: &mut PgConnection) -> Result<(), StoreError> {
    for statement in ["SET statement_timeout = 0", "VACUUM (ANALYZE)", "CHECKPOINT", "RESET statement_timeout"] {
        sqlx::query(statement).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Outbox rows that are due now or being worked on.
///
/// # Errors
/// The database's.
pub async fn waiting(conn: &mut PgConnection) -> Result<i64, StoreError> {
    let count = "SELECT count(*) FROM outbox WHERE due_at <= now() OR lease_token IS NOT NULL";
    Ok(sqlx::query_scalar(count).fetch_one(conn).await?)
}
