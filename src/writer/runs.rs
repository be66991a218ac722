//! Runs: long work on a tenant, taken up by one of all replicas, kept page by page, and taken up again by the next one where
//! a holder died. What a kind does is in a module of its own; this one only holds leases and judges how a run ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use sqlx::{Postgres, Transaction};
use tokio::time::Instant;
use uuid::Uuid;

use super::gate::OpenGate;
use super::runtime::Runtime;
use super::{Inner, Writer, import, last_login, reconcile, removal};
use crate::jira::{CallRecord, Gate, Permit, RateLimits, TargetError};
use crate::policy::Policy;
use crate::store::StoreError;
use crate::store::run::{self, Hold, Kind, Run, State};
use crate::store::tenant::{self, Tenant};
use crate::telemetry::Chain;

/// How often it is looked for runs that wait.
const LOOK: Duration = Duration::from_secs(2);
/// How often it is looked which runs are due by their schedule.
const SCHEDULE: Duration = Duration::from_secs(60);
/// The wait after a first failure; doubled each time.
const WAIT: Duration = Duration::from_secs(5);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// So many failures in a row, without a page between them, are the end of a run.
const ATTEMPTS: i32 = 20;

/// Why a run does not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// Somebody else has it by now, or it was stopped.
    #[error("the run is somebody else's, or was stopped")]
    Lost,
    /// The process ends: the run goes on elsewhere, or after the next start.
    #[error("the daemon is ending")]
    Ending,
    /// Something has to come about first.
    #[error("{0}")]
    NotYet(String),
    /// Repeating does not help.
    #[error("{0}")]
    Failed(String),
    /// The target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for RunError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A run under its lease.
pub(crate) struct Held {
    pub(crate) run: Run,
    pub(crate) tenant: Tenant,
    pub(crate) policy: Policy,
    pub(crate) runtime: Arc<Runtime>,
    hold: Hold,
    /// When the lease ends by our own clock, reckoned from before it was taken: never later than the database thinks.
    until: Mutex<Instant>,
    lost: AtomicBool,
}

impl Held {
    /// What the run was asked for.
    pub(crate) fn options<T: serde::de::DeserializeOwned>(&self) -> Result<T, RunError> {
        serde_json::from_value(self.run.options.clone()).map_err(|error| not_understood(&error))
    }

    /// Where the run was, and what it had come to; the beginning of everything for a new one.
    pub(crate) fn place<P, C>(&self) -> Result<(P, C), RunError>
    where
        P: serde::de::DeserializeOwned + Default,
        C: serde::de::DeserializeOwned + Default,
    {
        if self.run.stage.is_empty() {
            return Ok((P::default(), C::default()));
        }
        let place = serde_json::from_value(self.run.place.clone()).map_err(|error| not_understood(&error))?;
        let counters = serde_json::from_value(self.run.counters.clone()).map_err(|error| not_understood(&error))?;
        Ok((place, counters))
    }

    /// Begins the transaction of a page; nobody else works on the run until its end.
    pub(crate) async fn begin(&self, inner: &Inner) -> Result<Transaction<'static, Postgres>, RunError> {
        if inner.life.is_ending() {
            return Err(RunError::Ending);
        }
        let asked = Instant::now();
        let mut tx = inner.store.pool().begin().await?;
        if !run::renew(&mut tx, self.hold, inner.options.lease).await? {
            self.lost.store(true, Ordering::Relaxed);
            return Err(RunError::Lost);
        }
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = asked + inner.options.lease;
        Ok(tx)
    }

    /// Ends the transaction of a page, with what it is at, where, and what it came to so far.
    pub(crate) async fn commit(
        &self,
        mut tx: Transaction<'static, Postgres>,
        stage: &str,
        place: &(impl Serialize + Sync),
        counters: &(impl Serialize + Sync),
    ) -> Result<(), RunError> {
        let place = serde_json::to_value(place).map_err(|error| not_understood(&error))?;
        let counters = serde_json::to_value(counters).map_err(|error| not_understood(&error))?;
        run::keep(&mut tx, self.hold, stage, &place, &counters).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What the calls of the run pass through.
    pub(crate) fn gate<'a>(&'a self, inner: &'a Inner) -> RunGate<'a> {
        let open = OpenGate { runtime: Arc::clone(&self.runtime), metrics: inner.metrics.clone() };
        RunGate { inner, held: self, open }
    }

    /// No call starts with less lease left than its own time-out.
    async fn hold_on(&self, inner: &Inner) -> Result<(), TargetError> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.saturating_duration_since(Instant::now()) > self.runtime.timeout {
            return Ok(());
        }
        let asked = Instant::now();
        let renewed = async {
            let mut conn = inner.store.pool().acquire().await?;
            run::renew(&mut conn, self.hold, inner.options.lease).await
        };
        if renewed.await.unwrap_or(false) {
            *self.until.lock().unwrap_or_else(PoisonError::into_inner) = asked + inner.options.lease;
            Ok(())
        } else {
            self.lost.store(true, Ordering::Relaxed);
            Err(TargetError::Stopped { reason: "the run is somebody else's" })
        }
    }
}

fn not_understood(error: &serde_json::Error) -> RunError {
    RunError::Failed(format!("The run was begun by another version of jira-scim; start a new one. ({error})"))
}

/// The gate of a run.
pub(crate) struct RunGate<'a> {
    inner: &'a Inner,
    held: &'a Held,
    open: OpenGate,
}

impl Gate for RunGate<'_> {
    fn enter(&self) -> BoxFuture<'_, Result<Permit, TargetError>> {
        Box::pin(async {
            if self.inner.life.is_ending() {
                return Err(TargetError::Stopped { reason: "the daemon is ending" });
            }
            if self.held.runtime.is_paused() {
                return Err(TargetError::Stopped { reason: "the target is paused" });
            }
            let permit = self.open.enter().await?;
            self.held.hold_on(self.inner).await?;
            Ok(permit)
        })
    }

    fn observe(&self, limits: RateLimits) {
        self.open.observe(limits);
    }

    fn called(&self, call: &CallRecord) {
        self.open.called(call);
    }
}

/// What is left of a run after somebody worked on it.
enum After {
    Finished(State, Option<String>),
    /// Taken up again later; with an error, as a failure.
    Again(Duration, Option<String>),
    Lost,
}

impl Writer {
    /// Takes up the runs of one target's tenants for as long as the process lives.
    pub(super) async fn take_up_runs(&self, runtime: Arc<Runtime>) {
        let mut scheduled: Option<Instant> = None;
        while !self.0.life.is_ending() {
            if scheduled.is_none_or(|at| at.elapsed() >= SCHEDULE) {
                scheduled = Some(Instant::now());
                if let Err(error) = self.0.schedule_runs(&runtime.name).await {
                    tracing::warn!(error = %Chain(&error), "the schedules of runs cannot be read; trying again");
                }
            }
            match self.0.run_next(&runtime).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::warn!(error = %Chain(&error), "no run can be taken up; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.0.life.soft().cancelled() => {}
            }
        }
    }

    /// Works on every run that can be taken up now, one after the other, and says how many: for tests and commands.
    ///
    /// # Errors
    /// The store's.
    pub async fn run_due(&self) -> Result<usize, StoreError> {
        let mut runs = 0;
        for runtime in self.0.targets.values() {
            self.0.schedule_runs(&runtime.name).await?;
            while self.0.run_next(runtime).await? {
                runs += 1;
            }
        }
        Ok(runs)
    }

    /// Works on one run where nobody else does. False when it cannot be taken up now.
    ///
    /// # Errors
    /// The store's.
    pub async fn run_this(&self, tenant_id: Uuid, id: Uuid) -> Result<bool, StoreError> {
        let hold = Hold { tenant_id, id, token: Uuid::new_v4() };
        let taken = Instant::now();
        let mut conn = self.0.store.pool().acquire().await.map_err(StoreError::from)?;
        let run = run::take(&mut conn, hold, self.0.options.lease).await?;
        drop(conn);
        match run {
            Some(run) => self.0.work(run, hold, taken).await.map(|()| true),
            None => Ok(false),
        }
    }
}

impl Inner {
    /// Asks for the runs that are due by the schedules of a target's tenants.
    async fn schedule_runs(&self, target: &str) -> Result<(), StoreError> {
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        for tenant in tenant::list(&mut *conn).await?.into_iter().filter(|tenant| tenant.target == target) {
            let Ok(policy) = Policy::from_value(&tenant.policy) else { continue };
            for (kind, every) in schedules(&policy) {
                run::request_if_due(&mut conn, tenant.id, kind, every).await?;
            }
        }
        Ok(())
    }

    /// Works on the next run of a target's tenants. False when there is none.
    async fn run_next(&self, runtime: &Arc<Runtime>) -> Result<bool, StoreError> {
        let (token, taken) = (Uuid::new_v4(), Instant::now());
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let Some(run) = run::take_next(&mut conn, &runtime.name, token, self.options.lease).await? else {
            return Ok(false);
        };
        drop(conn);
        let hold = Hold { tenant_id: run.tenant_id, id: run.id, token };
        self.work(run, hold, taken).await?;
        Ok(true)
    }

    async fn work(&self, run: Run, hold: Hold, taken: Instant) -> Result<(), StoreError> {
        let (kind, attempts) = (run.kind, run.attempts);
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let Some(tenant) = tenant::by_id(&mut *conn, run.tenant_id).await? else { return Ok(()) };
        drop(conn);
        let slug = tenant.slug.clone();
        let after = match self.held(run, tenant, hold, taken).await {
            Err(error) => self.after(None, error, attempts).await?,
            Ok(held) => {
                tracing::info!(tenant = slug, run = %hold.id, stage = held.run.stage, "tenant {slug}: {kind} begins");
                match self.perform_run(&held).await {
                    Ok(caution) => After::Finished(State::Done, caution),
                    Err(error) => self.after(Some(&held), error, attempts).await?,
                }
            }
        };
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        match after {
            After::Lost => {}
            After::Finished(state, why) => {
                tell(&slug, kind, state, why.as_deref());
                self.metrics.run_ended(&slug, kind.as_str(), state.as_str(), chrono::Utc::now());
                run::finish(&mut conn, hold, state, why.as_deref()).await?;
            }
            After::Again(wait, why) => {
                if let Some(why) = &why {
                    let seconds = wait.as_secs();
                    tracing::warn!(tenant = slug, "tenant {slug}: {kind} goes on in {seconds} seconds: {why}");
                }
                run::give_back(&mut conn, hold, wait, why.as_deref()).await?;
            }
        }
        Ok(())
    }

    async fn held(&self, run: Run, tenant: Tenant, hold: Hold, taken: Instant) -> Result<Held, RunError> {
        let runtime = self.targets.get(&tenant.target).cloned();
        let runtime = runtime.ok_or_else(|| RunError::Failed(format!("there is no target {}", tenant.target)))?;
        let policy = Policy::from_value(&tenant.policy);
        let policy = policy.map_err(|_| RunError::Failed("the tenant's policy is not understood".to_owned()))?;
        // What nothing may touch has to be known first.
        if !runtime.probe(self, self.options.probe_every).await? {
            return Err(RunError::NotYet("the target does not answer, or does not accept our credential".to_owned()));
        }
        let until = Mutex::new(taken + self.options.lease);
        Ok(Held { run, tenant, policy, runtime, hold, until, lost: AtomicBool::new(false) })
    }

    /// Does what the run's kind says, from where it was. Answers what somebody has to know although it is through.
    async fn perform_run(&self, held: &Held) -> Result<Option<String>, RunError> {
        match held.run.kind {
            Kind::Import => return import::run(self, held).await,
            Kind::LastLogin => last_login::run(self, held).await?,
            Kind::Purge => removal::purge(self, held).await?,
            Kind::Reconcile => reconcile::run(self, held).await?,
            Kind::Reset => removal::reset(self, held).await?,
            Kind::Sync | Kind::SyncPlan => {
                return Err(RunError::Failed("a sync is not the writer's work".to_owned()));
            }
        }
        Ok(None)
    }

    async fn after(&self, held: Option<&Held>, error: RunError, attempts: i32) -> Result<After, StoreError> {
        let lost = held.is_some_and(|held| held.lost.load(Ordering::Relaxed));
        let again = |wait: Duration, why: String| {
            if attempts + 1 >= ATTEMPTS {
                After::Finished(State::Failed, Some(why))
            } else {
                After::Again(wait, Some(why))
            }
        };
        let why = Chain(&error).to_string();
        Ok(match &error {
            _ if lost => After::Lost,
            RunError::Lost => After::Lost,
            RunError::Ending => After::Again(Duration::ZERO, None),
            RunError::Failed(_) => After::Finished(State::Failed, Some(why)),
            RunError::NotYet(_) | RunError::Store(_) => again(wait(attempts), why),
            // The daemon ends, or the target is paused, which is no fault of the run.
            RunError::Target(TargetError::Stopped { .. }) => After::Again(Duration::ZERO, None),
            RunError::Target(
                error @ (TargetError::Unreachable { .. } | TargetError::Throttled { .. } | TargetError::Denied { .. }),
            ) => {
                if let Some(held) = held {
                    held.runtime.pause_because(self, error).await?;
                }
                again(wait(attempts), why)
            }
            RunError::Target(TargetError::Later { after, .. }) => again((*after).max(wait(attempts)), why),
            RunError::Target(_) => After::Finished(State::Failed, Some(why)),
        })
    }
}

/// Which runs a tenant's policy wants, and how often.
fn schedules(policy: &Policy) -> Vec<(Kind, Duration)> {
    let all = [
        (Kind::Import, policy.import.every),
        (Kind::LastLogin, policy.last_login.every),
        (Kind::Reconcile, policy.drift.every),
    ];
    all.into_iter().filter_map(|(kind, every)| Some((kind, every?.duration()))).collect()
}

/// How long to wait after so many failures.
fn wait(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts).unwrap_or_default().min(16);
    WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

fn tell(slug: &str, kind: Kind, state: State, why: Option<&str>) {
    match (state, why) {
        (State::Done, None) => tracing::info!(tenant = slug, "tenant {slug}: {kind} is through"),
        (State::Done, Some(why)) => tracing::warn!(tenant = slug, "tenant {slug}: {kind} is through; {why}"),
        (_, why) => tracing::warn!(tenant = slug, "tenant {slug}: {kind} failed: {}", why.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_five_minutes() {
        let seconds: Vec<u64> = [0, 1, 2, 5, 6, 19, 1000].map(|attempts| wait(attempts).as_secs()).into();
        assert_eq!(seconds, [5, 10, 20, 160, 300, 300, 300]);
    }
}
