//! Runs: long work on a tenant (an import, a comparison) that keeps its place and its counters.
//!
//! Whoever works on a run holds its lease. A page of work is one transaction, which begins with [`renew`] and ends with
//! [`keep`]: rows, place and counters are written together, and only by the holder. A run whose holder died is taken up by
//! the next one where it was. At most one run of a kind is open for a tenant.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::tenant::Origin;

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Kind {
    /// Learns the accounts, groups and memberships of the target.
    Import,
    /// Compares what is on record with what the target has.
    Reconcile,
    /// Reads when people last logged in.
    LastLogin,
    /// Forgets everything that is on record about the target.
    Reset,
    /// Takes back everything that was written to the target.
    Purge,
    /// Reads the directory that the tenant's people come from.
    Sync,
    /// Says what a sync would change.
    SyncPlan,
}

impl Kind {
    /// Those that the writer does; the others are no business of a target.
    pub const OF_THE_WRITER: [Self; 5] = [Self::Import, Self::Reconcile, Self::LastLogin, Self::Reset, Self::Purge];

    /// As in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Reconcile => "reconcile",
            Self::LastLogin => "last_login",
            Self::Reset => "reset",
            Self::Purge => "purge",
            Self::Sync => "sync",
            Self::SyncPlan => "sync_plan",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a run is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum State {
    /// It waits to be taken up.
    Queued,
    /// Somebody works on it, or did until he died.
    Running,
    /// It is through.
    Done,
    /// It cannot be done.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

impl State {
    /// As in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// Whether anything is still to come.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Whose.
    pub tenant_id: Uuid,
    /// Its id.
    pub id: Uuid,
    /// See [`Kind`].
    pub kind: Kind,
    /// See [`State`].
    pub state: State,
    /// What it was asked for.
    pub options: Value,
    /// What it is at.
    pub stage: String,
    /// Where it is; means something only to its kind.
    #[serde(skip)]
    pub place: Value,
    /// What it came to so far.
    pub counters: Value,
    /// Why it failed, why it waits, or what somebody has to know although it is through.
    pub error: Option<String>,
    /// Failures since its last page.
    pub attempts: i32,
    /// Who asked for it.
    pub actor: String,
    /// The request or command that asked for it.
    pub request_id: Uuid,
    /// When it was asked for.
    pub requested: DateTime<Utc>,
    /// When it began.
    pub started: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished: Option<DateTime<Utc>>,
}

/// The right to work on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Whose.
    pub tenant_id: Uuid,
    /// Which.
    pub id: Uuid,
    /// Fences off everybody else.
    pub token: Uuid,
}

/// Asks for a run, with its audit row (`import.run`). `None` when one of that kind is open already; then nothing is asked for.
pub async fn request(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    kind: Kind,
    options: &Value,
    origin: Origin<'_>,
) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- run.request
        WITH asked AS (
            INSERT INTO run (tenant_id, id, kind, options, actor, request_id) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (tenant_id, kind) WHERE state IN ('queued', 'running') DO NOTHING RETURNING id
        ), noted AS (
            INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
            SELECT $1, now(), gen_random_uuid(), $6, $5, $3 || '.run', 'tenant', $1,
                jsonb_build_object('run', id, 'options', $4::jsonb), 202 FROM asked
        )
        SELECT id AS "id!" FROM asked"#,
        tenant_id,
        Uuid::now_v7(),
        kind.as_str(),
        options,
        origin.actor,
        origin.request_id,
    )
    .fetch_optional(conn)
    .await?)
}

/// An open run that waits for its time waits no longer.
pub async fn hurry(conn: &mut PgConnection, tenant_id: Uuid, id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "-- run.hurry
        UPDATE run SET due_at = now() WHERE tenant_id = $1 AND id = $2 AND state = 'queued' AND due_at > now()",
        tenant_id,
        id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Asks for a run unless one of that kind was asked for within `every`, by whomever; of all replicas one gets its way.
pub async fn request_if_due(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    kind: Kind,
    every: Duration,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- run.request_if_due
        INSERT INTO run (tenant_id, id, kind, actor, request_id)
        SELECT $1, $2, $3, 'schedule', $2
        WHERE NOT EXISTS (SELECT FROM run WHERE tenant_id = $1 AND kind = $3
            AND requested > now() - make_interval(secs => $4))
        ON CONFLICT (tenant_id, kind) WHERE state IN ('queued', 'running') DO NOTHING",
        tenant_id,
        Uuid::now_v7(),
        kind.as_str(),
        every.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes up the oldest run of a target's tenants that waits, or whose holder is gone. Nobody gets one while the target is
/// paused.
pub async fn take_next(
    conn: &mut PgConnection,
    target: &str,
    token: Uuid,
    lease: Duration,
) -> Result<Option<Run>, StoreError> {
    let kinds = Kind::OF_THE_WRITER.map(|kind| kind.as_str().to_owned());
    let taken = sqlx::query_as!(
        Run,
        r#"-- run.take_next
        WITH next AS (
            SELECT r.tenant_id, r.id FROM run r JOIN tenant t ON t.id = r.tenant_id
            WHERE t.target = $1 AND r.kind = ANY($2) AND r.state IN ('queued', 'running') AND r.due_at <= now()
              AND (r.lease_until IS NULL OR r.lease_until <= now())
              AND NOT (r.kind IN ('import', 'reset', 'purge') AND EXISTS (SELECT FROM run o WHERE o.tenant_id = r.tenant_id
                AND o.id <> r.id AND o.state = 'running' AND o.kind IN ('import', 'reset', 'purge', 'sync')))
              AND NOT EXISTS (SELECT FROM target_state s WHERE s.name = t.target AND s.failures > 0)
            ORDER BY r.requested, r.id LIMIT 1 FOR UPDATE OF r SKIP LOCKED
        )
        UPDATE run r SET state = 'running', started = coalesce(started, now()), lease_token = $3,
            lease_until = now() + make_interval(secs => $4)
        FROM next WHERE r.tenant_id = next.tenant_id AND r.id = next.id
        RETURNING r.tenant_id, r.id, r.kind AS "kind: Kind", r.state AS "state: State", r.options, r.stage, r.place,
            r.counters, r.error, r.attempts, r.actor, r.request_id, r.requested, r.started, r.finished"#,
        target,
        &kinds,
        token,
        lease.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await;
    unless_another_works(taken)
}

/// Takes up this run, unless somebody works on it, it is over, or another that decides who is in the store is being worked on.
pub async fn take(conn: &mut PgConnection, hold: Hold, lease: Duration) -> Result<Option<Run>, StoreError> {
    let taken = sqlx::query_as!(
        Run,
        r#"-- run.take
        UPDATE run r SET state = 'running', started = coalesce(started, now()), lease_token = $3,
            lease_until = now() + make_interval(secs => $4)
        WHERE tenant_id = $1 AND id = $2 AND state IN ('queued', 'running') AND due_at <= now()
          AND (lease_until IS NULL OR lease_until <= now())
        RETURNING r.tenant_id, r.id, r.kind AS "kind: Kind", r.state AS "state: State", r.options, r.stage, r.place,
            r.counters, r.error, r.attempts, r.actor, r.request_id, r.requested, r.started, r.finished"#,
        hold.tenant_id,
        hold.id,
        hold.token,
        lease.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await;
    unless_another_works(taken)
}

/// Another run that decides who is in the store is being worked on: this one has its turn later.
fn unless_another_works(taken: Result<Option<Run>, sqlx::Error>) -> Result<Option<Run>, StoreError> {
    match taken.map_err(StoreError::from) {
        Err(error) if error.constraint() == Some("run_population") => Ok(None),
        taken => taken,
    }
}

/// Makes the lease last from now on, and in a transaction keeps the run from everybody else until its end. False when the
/// run is somebody else's by now, or was stopped.
pub async fn renew(conn: &mut PgConnection, hold: Hold, lease: Duration) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- run.renew
        UPDATE run SET lease_until = now() + make_interval(secs => $4)
        WHERE tenant_id = $1 AND id = $2 AND lease_token = $3 AND lease_until > now() AND state = 'running'",
        hold.tenant_id,
        hold.id,
        hold.token,
        lease.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps place and counters; after [`renew`], in the same transaction as the page's rows.
pub async fn keep(
    conn: &mut PgConnection,
    hold: Hold,
    stage: &str,
    place: &Value,
    counters: &Value,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- run.keep
        UPDATE run SET stage = $4, place = $5, counters = $6, attempts = 0, error = NULL
        WHERE tenant_id = $1 AND id = $2 AND lease_token = $3",
        hold.tenant_id,
        hold.id,
        hold.token,
        stage,
        place,
        counters,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a run. False when it was not ours to end any more.
pub async fn finish(
    conn: &mut PgConnection,
    hold: Hold,
    state: State,
    error: Option<&str>,
) -> Result<bool, StoreError> {
    let done = sqlx::query_scalar!(
        "-- run.finish
        WITH done AS (
            UPDATE run SET state = $4, error = $5, finished = now(), lease_token = NULL, lease_until = NULL
            WHERE tenant_id = $1 AND id = $2 AND lease_token = $3 AND state = 'running' RETURNING *
        ), told AS (
            INSERT INTO alert (tenant_id, id, kind, at, body)
            SELECT tenant_id, gen_random_uuid(), CASE WHEN kind = 'sync' THEN 'sync_failed' WHEN state = 'done' THEN 'import_finished'
                ELSE 'import_failed' END, now(), jsonb_build_object('run', id, 'error', error, 'counters', counters)
            FROM done WHERE kind = 'import' AND state IN ('done', 'failed') OR kind = 'sync' AND state = 'failed'
        )
        SELECT count(*) AS \"done!\" FROM done",
        hold.tenant_id,
        hold.id,
        hold.token,
        state.as_str(),
        error,
    )
    .fetch_one(conn)
    .await?;
    Ok(done == 1)
}

/// Gives a run back, to be taken up where it was after `wait`; with an `error`, that counts as a failure.
pub async fn give_back(
    conn: &mut PgConnection,
    hold: Hold,
    wait: Duration,
    error: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- run.give_back
        UPDATE run SET state = 'queued', lease_token = NULL, lease_until = NULL, error = $5,
            attempts = attempts + CASE WHEN $5::text IS NULL THEN 0 ELSE 1 END,
            due_at = now() + make_interval(secs => $4)
        WHERE tenant_id = $1 AND id = $2 AND lease_token = $3 AND state = 'running'",
        hold.tenant_id,
        hold.id,
        hold.token,
        wait.as_secs_f64(),
        error,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An import that waits to go on begins anew: what it has learnt is being forgotten.
pub async fn begin_import_anew(conn: &mut PgConnection, tenant_id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "-- run.begin_import_anew
        UPDATE run SET stage = '', place = '{}', counters = '{}'
        WHERE tenant_id = $1 AND kind = 'import' AND state = 'queued'",
        tenant_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stops the open run of a kind, with its audit row; whoever works on it notices at its next page. Answers which it was.
pub async fn stop(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    kind: Kind,
    origin: Origin<'_>,
) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- run.stop
        WITH stopped AS (
            UPDATE run SET state = 'stopped', finished = now(), lease_token = NULL, lease_until = NULL
            WHERE tenant_id = $1 AND kind = $2 AND state IN ('queued', 'running') RETURNING id
        ), noted AS (
            INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
            SELECT $1, now(), gen_random_uuid(), $4, $3, $2 || '.stop', 'tenant', $1, jsonb_build_object('run', id), 200
            FROM stopped
        )
        SELECT id AS "id!" FROM stopped"#,
        tenant_id,
        kind.as_str(),
        origin.actor,
        origin.request_id,
    )
    .fetch_optional(conn)
    .await?)
}

/// The run that was asked for last.
pub async fn last(conn: &mut PgConnection, tenant_id: Uuid, kind: Kind) -> Result<Option<Run>, StoreError> {
    Ok(sqlx::query_as!(
        Run,
        r#"-- run.last
        SELECT tenant_id, id, kind AS "kind: Kind", state AS "state: State", options, stage, place, counters, error,
            attempts, actor, request_id, requested, started, finished
        FROM run WHERE tenant_id = $1 AND kind = $2 ORDER BY requested DESC, id DESC LIMIT 1"#,
        tenant_id,
        kind.as_str(),
    )
    .fetch_optional(conn)
    .await?)
}

/// Runs of a tenant, newest first, behind this one; of one kind, or of all.
pub async fn list(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    kind: Option<Kind>,
    after: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<Run>, StoreError> {
    let (at, id) = after.unzip();
    Ok(sqlx::query_as!(
        Run,
        r#"-- run.list
        SELECT tenant_id, id, kind AS "kind: Kind", state AS "state: State", options, stage, place, counters, error,
            attempts, actor, request_id, requested, started, finished
        FROM run WHERE tenant_id = $1 AND ($2::text IS NULL OR kind = $2)
          AND ($3::timestamptz IS NULL OR (requested, id) < ($3, $4::uuid))
        ORDER BY requested DESC, id DESC LIMIT $5"#,
        tenant_id,
        kind.map(Kind::as_str),
        at,
        id,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// The open runs of a tenant, or of all.
pub async fn open(conn: &mut PgConnection, tenant_id: Option<Uuid>) -> Result<Vec<Run>, StoreError> {
    Ok(sqlx::query_as!(
        Run,
        r#"-- run.open
        SELECT tenant_id, id, kind AS "kind: Kind", state AS "state: State", options, stage, place, counters, error,
            attempts, actor, request_id, requested, started, finished
        FROM run WHERE state IN ('queued', 'running') AND ($1::uuid IS NULL OR tenant_id = $1)
        ORDER BY requested, id LIMIT 1000"#,
        tenant_id,
    )
    .fetch_all(conn)
    .await?)
}

/// One run.
pub async fn get(conn: &mut PgConnection, tenant_id: Uuid, id: Uuid) -> Result<Option<Run>, StoreError> {
    Ok(sqlx::query_as!(
        Run,
        r#"-- run.get
        SELECT tenant_id, id, kind AS "kind: Kind", state AS "state: State", options, stage, place, counters, error,
            attempts, actor, request_id, requested, started, finished
        FROM run WHERE tenant_id = $1 AND id = $2"#,
        tenant_id,
        id,
    )
    .fetch_optional(conn)
    .await?)
}

/// Forgets runs that ended before a time, and says how many.
pub(super) async fn forget_old(conn: &mut PgConnection, cutoff: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
    let gone = sqlx::query!(
        "-- run.forget_old
        DELETE FROM run WHERE ctid = ANY(ARRAY(SELECT ctid FROM run WHERE finished < $1 LIMIT $2))",
        cutoff,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(gone.rows_affected())
}
