//! What all replicas share about a target: its pause, its probe, its pace; and who the replicas are.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use crate::account::SeenAccount;

/// Why a target is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PauseKind {
    /// It does not answer.
    Unreachable,
    /// It asked us to wait.
    Throttled,
    /// It does not accept our credential.
    Denied,
}

impl PauseKind {
    /// As in the column `pause_kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
        }
    }
}

/// What the probe found.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ProbeRecord {
    /// Our own account there.
    pub own_account: Option<SeenAccount>,
    /// The version it prints.
    pub version: String,
    /// Folded names of the groups that it labels as administrative.
    pub administrative: Vec<String>,
}

/// A target as all replicas see it.
#[derive(Clone, Debug, Default)]
pub struct TargetState {
    /// No call starts before this time, and then only the one that finds out whether the pause is over.
    pub paused_until: Option<DateTime<Utc>>,
    /// Why.
    pub pause_kind: Option<String>,
    /// In words.
    pub pause_reason: Option<String>,
    /// Pauses in a row; above zero nobody works with the target.
    pub failures: i32,
    /// What its rate-limit headers leave us.
    pub calls_per_second: Option<f64>,
    /// What the probe found.
    pub probe: Option<ProbeRecord>,
    /// When.
    pub probed_at: Option<DateTime<Utc>>,
    /// The last probe that it answered.
    pub last_success: Option<DateTime<Utc>>,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

impl TargetState {
    /// Whether no drive may start. The end of its time does not end a pause: an answer does.
    pub fn is_paused(&self) -> bool {
        self.failures > 0
    }
}

/// Reads a target's state; a target nobody wrote about yet is in the best of health.
pub async fn state(conn: &mut PgConnection, name: &str) -> Result<TargetState, StoreError> {
    let row = sqlx::query!(
        r#"-- target.state
        SELECT s.paused_until AS "paused_until?", s.pause_kind AS "pause_kind?", s.pause_reason AS "pause_reason?",
            s.failures AS "failures?", s.calls_per_second AS "calls_per_second?",
            s.probe AS "probe?: Json<ProbeRecord>", s.probed_at AS "probed_at?", s.last_success AS "last_success?",
            now() AS "now!"
        FROM (SELECT 1) AS one LEFT JOIN target_state s ON s.name = $1"#,
        name
    )
    .fetch_one(conn)
    .await?;
    Ok(TargetState {
        paused_until: row.paused_until,
        pause_kind: row.pause_kind,
        pause_reason: row.pause_reason,
        failures: row.failures.unwrap_or_default(),
        calls_per_second: row.calls_per_second,
        probe: row.probe.map(|json| json.0),
        probed_at: row.probed_at,
        last_success: row.last_success,
        now: row.now,
    })
}

/// Pauses a target for all replicas. A pause is never made shorter; `failures` counts pauses in a row.
pub async fn pause(
    conn: &mut PgConnection,
    name: &str,
    kind: PauseKind,
    reason: &str,
    seconds: f64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- target.pause
        INSERT INTO target_state AS s (name, paused_until, pause_kind, pause_reason, failures)
        VALUES ($1, now() + make_interval(secs => $4), $2, $3, 1)
        ON CONFLICT (name) DO UPDATE SET
            failures = CASE WHEN s.paused_until > now() THEN s.failures ELSE s.failures + 1 END,
            paused_until = greatest(s.paused_until, excluded.paused_until),
            pause_kind = excluded.pause_kind, pause_reason = excluded.pause_reason",
        name,
        kind.as_str(),
        reason,
        seconds,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets one replica find out whether a target that was paused is back: the others stay out for `seconds` more.
pub async fn begin_trial(conn: &mut PgConnection, name: &str, seconds: f64) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- target.begin_trial
        UPDATE target_state SET paused_until = now() + make_interval(secs => $2)
        WHERE name = $1 AND failures > 0 AND paused_until <= now()",
        name,
        seconds,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The trial failed: one failure more in a row, and a pause of its own length instead of the trial's.
pub async fn fail_trial(
    conn: &mut PgConnection,
    name: &str,
    kind: PauseKind,
    reason: &str,
    seconds: f64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- target.fail_trial
        UPDATE target_state SET failures = failures + 1, paused_until = now() + make_interval(secs => $4),
            pause_kind = $2, pause_reason = $3
        WHERE name = $1 AND failures > 0",
        name,
        kind.as_str(),
        reason,
        seconds,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps what the probe found; the target answered, so the pause is over too.
pub async fn save_probe(conn: &mut PgConnection, name: &str, probe: &ProbeRecord) -> Result<(), StoreError> {
    sqlx::query!(
        "-- target.save_probe
        INSERT INTO target_state (name, probe, probed_at, last_success) VALUES ($1, $2, now(), now())
        ON CONFLICT (name) DO UPDATE SET probe = excluded.probe, probed_at = now(), last_success = now(),
            paused_until = NULL, pause_kind = NULL, pause_reason = NULL, failures = 0",
        name,
        Json(probe) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps what the rate-limit headers leave us.
pub async fn save_rate(conn: &mut PgConnection, name: &str, calls_per_second: Option<f64>) -> Result<(), StoreError> {
    sqlx::query!(
        "-- target.save_rate
        INSERT INTO target_state (name, calls_per_second) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET calls_per_second = excluded.calls_per_second",
        name,
        calls_per_second,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Says that this process lives, forgets those that have not for a while, and counts the living.
pub async fn beat(conn: &mut PgConnection, replica: Uuid, forget_after_seconds: f64) -> Result<i64, StoreError> {
    let row = sqlx::query!(
        r#"-- target.beat
        WITH me AS (
            INSERT INTO replica (id, seen_at) VALUES ($1, now()) ON CONFLICT (id) DO UPDATE SET seen_at = now()
        ), gone AS (
            DELETE FROM replica WHERE seen_at < now() - make_interval(secs => $2) AND id <> $1
        )
        SELECT count(*) AS "others!" FROM replica WHERE id <> $1 AND seen_at >= now() - make_interval(secs => $2)"#,
        replica,
        forget_after_seconds,
    )
    .fetch_one(conn)
    .await?;
    Ok(row.others + 1)
}

/// This process leaves: its part of the pace is free at once.
pub async fn leave(conn: &mut PgConnection, replica: Uuid) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM replica WHERE id = $1", replica).execute(conn).await?;
    Ok(())
}

/// Puts on record that somebody who administered the target was taken away.
pub async fn administrator_left(conn: &mut PgConnection, target: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "-- target.administrator_left
        UPDATE target_state SET administrator_left = clock_timestamp() WHERE name = $1",
        target
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks the target's row until the transaction ends; when somebody who administered it was last taken away.
pub async fn lock_administrators(conn: &mut PgConnection, target: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
    let left = sqlx::query_scalar!(
        "-- target.lock\n SELECT administrator_left FROM target_state WHERE name = $1 FOR UPDATE",
        target
    );
    Ok(left.fetch_optional(conn).await?.flatten())
}

/// Counts those of these accounts that are not on record as switched off or out of one of these groups, and not about to be.
pub async fn active_among(
    conn: &mut PgConnection,
    target: &str,
    accounts: &[String],
    administrative: &[String],
) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- target.active_among
        SELECT count(*) AS "n!" FROM unnest($2::text[]) AS a (key)
        WHERE NOT EXISTS (
            SELECT 1 FROM claim c JOIN link l ON l.tenant_id = c.tenant_id AND l.user_id = c.user_id
            WHERE c.target = $1 AND c.what = 'account' AND c.key = a.key
              AND (l.record #>> '{known,linked,seen,active}' = 'false' OR l.record #>> '{known,linked,maybe}' = 'true'
                OR EXISTS (SELECT 1 FROM jira_membership m WHERE m.tenant_id = c.tenant_id AND m.user_id = c.user_id
                    AND m.group_key = ANY($3) AND m.maybe)))"#,
        target,
        accounts,
        administrative,
    )
    .fetch_one(conn)
    .await?)
}
