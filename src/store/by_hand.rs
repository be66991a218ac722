//! What somebody changes by hand about steps that are not being done. See `writer::by_hand` for the order: the lease of
//! the subject is taken first, and everything is one transaction.

use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use super::drive::Lease;
use super::link::{LinkRecord, Pair, StepState};

/// Writes the record of a user's account; `look_at` and the version it was brought up to stay as they are.
pub async fn save_record(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    target: &str,
    user_id: Uuid,
    record: &LinkRecord,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- by_hand.save_record
        INSERT INTO link (tenant_id, user_id, target, record) VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant_id, user_id) DO UPDATE SET record = excluded.record",
        tenant_id,
        user_id,
        target,
        Json(record) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the step of one pair; a pair that says nothing any more is forgotten.
pub async fn save_pair_step(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_id: Uuid,
    group_key: &str,
    pair: &Pair,
) -> Result<(), StoreError> {
    if pair.is_void() {
        sqlx::query!(
            "-- by_hand.forget_pair
            DELETE FROM jira_membership WHERE tenant_id = $1 AND user_id = $2 AND group_key = $3",
            tenant_id,
            user_id,
            group_key,
        )
        .execute(conn)
        .await?;
        return Ok(());
    }
    sqlx::query!(
        "-- by_hand.save_pair_step
        INSERT INTO jira_membership (tenant_id, user_id, group_key, step) VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant_id, user_id, group_key) DO UPDATE SET step = excluded.step",
        tenant_id,
        user_id,
        group_key,
        pair.step.as_ref().map(Json) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the step of a Jira group. False when there is no record of the group.
pub async fn save_group_step(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    key: &str,
    step: Option<&StepState>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- by_hand.save_group_step
        UPDATE jira_group SET step = $3 WHERE tenant_id = $1 AND name_key = $2",
        tenant_id,
        key,
        step.map(Json) as _,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a lease back with the subject due now and its failures forgotten.
pub async fn make_due(conn: &mut PgConnection, lease: &Lease) -> Result<(), StoreError> {
    sqlx::query!(
        "-- by_hand.make_due
        UPDATE outbox SET lease_token = NULL, lease_until = NULL, due_at = now(), attempts = 0, first_failure = NULL,
            last_error = NULL
        WHERE tenant_id = $1 AND kind = $2 AND subject_id = $3 AND lease_token = $4",
        lease.tenant_id,
        lease.subject.kind(),
        lease.subject.id(),
        lease.token,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What goes into the audit of a change by hand.
#[derive(Clone, Copy, Debug)]
pub struct Noted<'a> {
    /// The tenant.
    pub tenant_id: Uuid,
    /// The command.
    pub request_id: Uuid,
    /// Who.
    pub actor: &'a str,
    /// `outbox.retry`, `outbox.waive`.
    pub action: &'a str,
    /// `user`, `group`, `tenant`.
    pub kind: &'a str,
    /// Of the subject; of the tenant where a Jira group is no SCIM group.
    pub subject_id: Uuid,
    /// The steps, and what they were before.
    pub body: &'a Value,
}

/// Appends the audit row.
pub async fn note(conn: &mut PgConnection, noted: Noted<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "-- by_hand.note
        INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
        VALUES ($1, now(), gen_random_uuid(), $2, $3, $4, $5, $6, $7, 200)",
        noted.tenant_id,
        noted.request_id,
        noted.actor,
        noted.action,
        noted.kind,
        noted.subject_id,
        noted.body,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a target's pause: it is asked again at once, and works on when it answers. Answers why it was paused, where it
/// was, and notes it for every tenant that writes to it.
pub async fn end_pause(
    conn: &mut PgConnection,
    target: &str,
    request_id: Uuid,
    actor: &str,
) -> Result<Option<String>, StoreError> {
    // The failures stay above zero: that is what makes the next heartbeat ask before anybody else calls.
    Ok(sqlx::query_scalar!(
        r#"-- by_hand.end_pause
        WITH was AS (
            SELECT name, concat_ws(': ', pause_kind, pause_reason) AS why FROM target_state
            WHERE name = $1 AND paused_until > now() FOR UPDATE
        ), ended AS (
            UPDATE target_state t SET paused_until = now(), failures = 1 FROM was WHERE t.name = was.name
        ), noted AS (
            INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
            SELECT t.id, now(), gen_random_uuid(), $2, $3, 'outbox.retry', 'tenant', t.id,
                jsonb_build_object('target', was.name, 'pause', was.why), 200
            FROM tenant t JOIN was ON was.name = t.target
        )
        SELECT why AS "why!" FROM was"#,
        target,
        request_id,
        actor,
    )
    .fetch_optional(conn)
    .await?)
}
