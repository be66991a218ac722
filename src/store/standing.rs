//! How one person stands: what is on record of the account, and whether anything is still to be done. For whoever asked for
//! something and waits for it. Reads only.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use super::link::{Known, LinkRecord, StepState};

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The user is in the outbox, and due or being worked on.
    pub open: bool,
    /// When it is tried next, where it failed.
    pub again_at: Option<DateTime<Utc>>,
    /// The last failure.
    pub error: Option<String>,
    /// Whether the person may log in; `None` without an account.
    pub active: Option<bool>,
    /// What is on record of the account may not be so any more.
    pub doubtful: bool,
    /// Steps about the account that are not being done.
    pub steps: BTreeMap<String, StepState>,
    /// Whether the person is in the Jira group that was asked about.
    pub member: bool,
    /// Why not, where that is on record.
    pub member_step: Option<StepState>,
    /// Why the target is paused.
    pub paused: Option<String>,
}

/// Looks at one user of a tenant, and at the pair with one Jira group.
///
/// # Errors
/// The database's.
pub async fn of_user(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_id: Uuid,
    group_key: Option<&str>,
) -> Result<Standing, StoreError> {
    let row = sqlx::query!(
        r#"-- standing.of_user
        SELECT coalesce(o.due_at <= now() OR o.lease_until > now(), false) AS "open!",
            CASE WHEN o.attempts > 0 THEN o.due_at END AS "again_at?", o.last_error AS "last_error?",
            l.record AS "record?: Json<LinkRecord>", m.written AND NOT m.maybe AS "member?",
            m.step AS "member_step?: Json<StepState>",
            CASE WHEN s.paused_until > now() OR s.failures > 0
                 THEN concat_ws(': ', s.pause_kind, s.pause_reason) END AS "paused?"
        FROM tenant t
        LEFT JOIN outbox o ON o.tenant_id = t.id AND o.kind = 'user' AND o.subject_id = $2
        LEFT JOIN link l ON l.tenant_id = t.id AND l.user_id = $2
        LEFT JOIN jira_membership m ON m.tenant_id = t.id AND m.user_id = $2 AND m.group_key = $3
        LEFT JOIN target_state s ON s.name = t.target
        WHERE t.id = $1"#,
        tenant_id,
        user_id,
        group_key,
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(Standing::default()) };
    let record = row.record.map(|json| json.0).unwrap_or_default();
    let (active, doubtful) = match &record.known {
        Known::Linked { seen, maybe } => (Some(seen.active), *maybe),
        Known::Nothing | Known::Absent | Known::Found(_) => (None, !record.maybe_created.is_empty()),
    };
    Ok(Standing {
        open: row.open,
        again_at: row.again_at,
        error: row.last_error.filter(|error| !error.is_empty()),
        active,
        doubtful,
        steps: record.steps.into_iter().map(|(step, state)| (step.to_string(), state)).collect(),
        member: row.member.unwrap_or(false),
        member_step: row.member_step.map(|json| json.0),
        paused: row.paused,
    })
}
