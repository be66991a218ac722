//! The outbox: subjects whose Jira side may be out of date.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// What an outbox row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "lowercase")]
pub enum Subject {
    /// A user: account and Jira groups.
    User(Uuid),
    /// A group: its existence and fan-out.
    Group(Uuid),
    /// A whole tenant: fan-out after a change of policy or mode.
    Tenant(Uuid),
}

impl Subject {
    /// As in the column `kind`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Group(_) => "group",
            Self::Tenant(_) => "tenant",
        }
    }

    /// The subject's id.
    pub fn id(self) -> Uuid {
        match self {
            Self::User(id) | Self::Group(id) | Self::Tenant(id) => id,
        }
    }

    /// From the columns.
    pub fn from_columns(kind: &str, id: Uuid) -> Self {
        match kind {
            "group" => Self::Group(id),
            "tenant" => Self::Tenant(id),
            _ => Self::User(id),
        }
    }
}

/// A subject that was nudged, as the one who did it may settle it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nudge {
    /// What it is.
    pub subject: Subject,
    /// The lease, where the row was inserted already leased to the request.
    pub lease: Option<Uuid>,
}

/// How a change puts subjects into the outbox.
#[derive(Clone, Copy, Debug)]
pub struct NudgeAs {
    /// 0: somebody waits for it. 1: bulk.
    pub priority: i16,
    /// The request that asks.
    pub request_id: Option<Uuid>,
    /// Insert the rows already leased to this token, for this long.
    pub lease: Option<(Uuid, Duration)>,
    /// A change of structure.
    pub fan_out: bool,
}

impl NudgeAs {
    /// Bulk work that nobody waits for.
    pub const BULK: Self = Self { priority: 1, request_id: None, lease: None, fan_out: false };
}

/// Puts subjects of one kind into the outbox, or nudges the rows that are there. Returns those now leased to the token.
///
/// # Errors
/// The database's.
pub async fn nudge(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    kind: &str,
    ids: &[Uuid],
    how: NudgeAs,
) -> Result<Vec<Uuid>, StoreError> {
    let (token, length) = how.lease.map_or((None, 0.0), |(token, length)| (Some(token), length.as_secs_f64()));
    let rows = sqlx::query!(
        r#"-- outbox.nudge
        INSERT INTO outbox (tenant_id, kind, subject_id, priority, due_at, since, request_id, fan_out, lease_token, lease_until)
        SELECT $1, $2, id, $4, now(), now(), $5, $6, $7, CASE WHEN $7::uuid IS NOT NULL THEN now() + make_interval(secs => $8) END
        FROM unnest($3::uuid[]) AS id ORDER BY id
        ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET seq = outbox.seq + 1,
            priority = least(outbox.priority, excluded.priority), due_at = least(outbox.due_at, excluded.due_at),
            request_id = coalesce(excluded.request_id, outbox.request_id),
            fan_out = outbox.fan_out OR excluded.fan_out,
            page_after = CASE WHEN excluded.fan_out THEN NULL ELSE outbox.page_after END,
            lease_token = CASE WHEN outbox.lease_until > now() THEN outbox.lease_token ELSE excluded.lease_token END,
            lease_until = CASE WHEN outbox.lease_until > now() THEN outbox.lease_until ELSE excluded.lease_until END
        RETURNING subject_id, coalesce(lease_token = $7, false) AS "leased!""#,
        tenant_id,
        kind,
        ids,
        how.priority,
        how.request_id,
        how.fan_out,
        token,
        length,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter(|row| row.leased).map(|row| row.subject_id).collect())
}

/// Work that may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub tenant_id: Uuid,
    /// What.
    pub subject: Subject,
}

/// What is due at a target that is not paused: by priority, tenants in turn (those after `last` first), then by age.
///
/// # Errors
/// The database's.
pub async fn due(conn: &mut PgConnection, target: &str, last: Uuid, limit: i64) -> Result<Vec<Due>, StoreError> {
    let rows = sqlx::query!(
        r#"-- outbox.due
        SELECT t.id, o.kind, o.subject_id
        FROM tenant t CROSS JOIN LATERAL (
            SELECT kind, subject_id, priority, due_at, row_number() OVER (ORDER BY priority, due_at) AS turn
            FROM (
                SELECT kind, subject_id, priority, due_at FROM outbox
                WHERE tenant_id = t.id AND due_at <= now() AND (lease_until IS NULL OR lease_until <= now())
                ORDER BY priority, due_at LIMIT $3
            ) first
        ) o
        WHERE t.target = $1
          AND NOT EXISTS (SELECT 1 FROM target_state s WHERE s.name = t.target AND s.failures > 0)
        ORDER BY o.priority, o.turn, t.id <= $2, t.id LIMIT $3"#,
        target,
        last,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Due { tenant_id: row.id, subject: Subject::from_columns(&row.kind, row.subject_id) })
        .collect())
}

/// Whether a subject has work that can be done now.
///
/// # Errors
/// The database's.
pub async fn is_due(conn: &mut PgConnection, tenant_id: Uuid, subject: Subject) -> Result<bool, StoreError> {
    let due = sqlx::query_scalar!(
        r#"-- outbox.is_due
        SELECT due_at <= now() AS "due!" FROM outbox WHERE tenant_id = $1 AND kind = $2 AND subject_id = $3"#,
        tenant_id,
        subject.kind(),
        subject.id(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(due == Some(true))
}

/// Gives up a lease without having worked.
///
/// # Errors
/// The database's.
pub async fn hand_over(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    subject: Subject,
    token: Uuid,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- outbox.hand_over
        UPDATE outbox SET lease_token = NULL, lease_until = NULL
        WHERE tenant_id = $1 AND kind = $2 AND subject_id = $3 AND lease_token = $4",
        tenant_id,
        subject.kind(),
        subject.id(),
        token,
    )
    .execute(conn)
    .await?;
    Ok(())
}
