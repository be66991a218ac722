//! What somebody changes by hand about steps that are not being done, and finding whom it is about. See `writer::by_hand`
//! for the order: the lease of the subject is taken first, and everything is one transaction.

use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use super::drive::Lease;
use super::link::{LinkRecord, Pair, StepState};
use super::outbox::Subject;
use super::outbox_view::State;

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

/// The users that somebody means who says a name or an id: the one with that id, else the living one with that name,
/// else every tombstone that had it.
///
/// # Errors
/// The database's.
pub async fn users_named(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Option<Uuid>,
    user_name_key: &str,
) -> Result<Vec<Uuid>, StoreError> {
    let rows = sqlx::query!(
        r#"-- by_hand.users_named
        SELECT id AS "id!", rank AS "rank!" FROM (
            SELECT id, 0 AS rank FROM scim_user WHERE tenant_id = $1 AND id = $2
          UNION ALL
            SELECT id, 1 FROM scim_user WHERE tenant_id = $1 AND user_name_key = $3 AND deleted_at IS NULL
          UNION ALL
            SELECT id, 2 FROM scim_user WHERE tenant_id = $1 AND user_name_key = $3 AND deleted_at IS NOT NULL
        ) named ORDER BY rank, id"#,
        tenant_id,
        id,
        user_name_key,
    )
    .fetch_all(conn)
    .await?;
    let best = rows.first().map(|row| row.rank);
    Ok(rows.into_iter().filter(|row| Some(row.rank) == best).map(|row| row.id).collect())
}

/// A group that somebody means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupNamed {
    /// A SCIM group, by the name that the rules see.
    Scim(String),
    /// A Jira group, by its key.
    Jira(String),
}

/// The group that somebody means who says a name or an id: the SCIM group with that id, else the living one with that
/// name, else the Jira group of that name.
///
/// # Errors
/// The database's.
pub async fn group_named(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Option<Uuid>,
    name_key: &str,
) -> Result<Option<GroupNamed>, StoreError> {
    let row = sqlx::query!(
        r#"-- by_hand.group_named
        SELECT name AS "name!", rank AS "rank!" FROM (
            SELECT alias AS name, 0 AS rank FROM scim_group WHERE tenant_id = $1 AND id = $2
          UNION ALL
            SELECT alias, 1 FROM scim_group
            WHERE tenant_id = $1 AND display_name_key = $3 AND deleted_at IS NULL
          UNION ALL
            SELECT alias, 2 FROM scim_group WHERE tenant_id = $1 AND alias_key = $3 AND deleted_at IS NULL
          UNION ALL
            SELECT name_key, 3 FROM jira_group WHERE tenant_id = $1 AND name_key = $3
        ) named ORDER BY rank LIMIT 1"#,
        tenant_id,
        id,
        name_key,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| if row.rank == 3 { GroupNamed::Jira(row.name) } else { GroupNamed::Scim(row.name) }))
}

/// A page of the users of whom something is stuck in these states, or who failed alone at least once.
///
/// # Errors
/// The database's.
pub async fn stuck_users(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    states: &[State],
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let states: Vec<String> = states.iter().map(|state| state.as_str().to_owned()).collect();
    Ok(sqlx::query_scalar!(
        r#"-- by_hand.stuck_users
        SELECT id AS "id!" FROM (
            SELECT user_id AS id FROM link
            WHERE tenant_id = $1 AND stuck AND user_id > $3
              AND EXISTS (SELECT FROM jsonb_each(record -> 'steps') s WHERE s.value ->> 'state' = ANY($2))
          UNION
            SELECT user_id FROM jira_membership
            WHERE tenant_id = $1 AND step IS NOT NULL AND step ->> 'state' = ANY($2) AND user_id > $3
          UNION
            SELECT subject_id FROM outbox WHERE tenant_id = $1 AND kind = 'user' AND subject_id > $3 AND attempts > 0
        ) stuck ORDER BY id LIMIT $4"#,
        tenant_id,
        &states,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// A page of the users whose membership of one Jira group is stuck in these states.
///
/// # Errors
/// The database's.
pub async fn stuck_members(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    group_key: &str,
    states: &[State],
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let states: Vec<String> = states.iter().map(|state| state.as_str().to_owned()).collect();
    Ok(sqlx::query_scalar!(
        r#"-- by_hand.stuck_members
        SELECT user_id FROM jira_membership
        WHERE tenant_id = $1 AND group_key = $2 AND user_id > $4 AND step IS NOT NULL AND step ->> 'state' = ANY($3)
        ORDER BY user_id LIMIT $5"#,
        tenant_id,
        group_key,
        &states,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// The Jira groups of a tenant whose own step is stuck in these states, by key.
///
/// # Errors
/// The database's.
pub async fn stuck_groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    states: &[State],
) -> Result<Vec<String>, StoreError> {
    let states: Vec<String> = states.iter().map(|state| state.as_str().to_owned()).collect();
    Ok(sqlx::query_scalar!(
        r#"-- by_hand.stuck_groups
        SELECT name_key FROM jira_group WHERE tenant_id = $1 AND step ->> 'state' = ANY($2) ORDER BY name_key"#,
        tenant_id,
        &states,
    )
    .fetch_all(conn)
    .await?)
}

/// The other subjects of a tenant (groups, the tenant itself) that failed alone at least once.
///
/// # Errors
/// The database's.
pub async fn failing_structures(conn: &mut PgConnection, tenant_id: Uuid) -> Result<Vec<Subject>, StoreError> {
    let rows = sqlx::query!(
        r#"-- by_hand.failing_structures
        SELECT kind, subject_id FROM outbox WHERE tenant_id = $1 AND kind <> 'user' AND attempts > 0
        ORDER BY kind, subject_id"#,
        tenant_id,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| Subject::from_columns(&row.kind, row.subject_id)).collect())
}
