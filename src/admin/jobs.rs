//! Work that may outlast a request: it goes on when nobody waits for it, and is remembered for an hour, in this process.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::answer::{Outcome, accepted, ok};
use super::call::Call;
use super::refusal::Refusal;

/// How long an answer waits for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many may be under way.
const MOST_RUNNING: usize = 16;
/// How many are remembered, and for how long.
const MOST: usize = 256;
const KEPT: TimeDelta = TimeDelta::hours(1);

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Job {
    id: Uuid,
    /// `retry`, `brake-release`, ...
    what: &'static str,
    /// The tenant's slug.
    tenant: String,
    state: State,
    /// Who asked for it.
    actor: String,
    started: DateTime<Utc>,
    finished: Option<DateTime<Utc>>,
    /// How much is through.
    progress: Option<u64>,
    /// Why it failed.
    error: Option<String>,
    /// What came of it.
    result: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Running,
    Done,
    Failed,
}

/// All that are remembered.
#[derive(Clone, Default)]
pub(super) struct Jobs(Arc<Mutex<HashMap<Uuid, Job>>>);

/// Tells how much of a job is through.
#[derive(Clone)]
pub(super) struct Progress {
    jobs: Jobs,
    id: Uuid,
}

impl Progress {
    pub(super) fn told(&self, through: u64) {
        self.jobs.change(self.id, |job| job.progress = Some(through));
    }
}

impl Jobs {
    /// One of them.
    pub(super) fn get(&self, id: Uuid) -> Option<Job> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn change(&self, id: Uuid, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&id) {
            change(job);
        }
    }

    fn begin(&self, call: &Call, what: &'static str, tenant: &str) -> Result<Uuid, Refusal> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.values().filter(|job| job.state == State::Running).count() >= MOST_RUNNING {
            let message = format!("{MOST_RUNNING} of such are under way already; wait for one of them.");
            return Err(Refusal::conflict("too-much-work", message));
        }
        jobs.retain(|_, job| job.finished.is_none_or(|at| at > call.now - KEPT));
        if jobs.len() >= MOST {
            let oldest = jobs.values().filter(|job| job.finished.is_some()).min_by_key(|job| job.started).map(|j| j.id);
            oldest.map(|id| jobs.remove(&id));
        }
        let id = Uuid::now_v7();
        let job = Job {
            id,
            what,
            tenant: tenant.to_owned(),
            state: State::Running,
            actor: call.actor.clone(),
            started: call.now,
            finished: None,
            progress: None,
            error: None,
            result: None,
        };
        jobs.insert(id, job);
        Ok(id)
    }

    fn finish(&self, id: Uuid, outcome: &Result<Value, Refusal>) {
        self.change(id, |job| {
            job.finished = Some(Utc::now());
            match outcome {
                Ok(value) => (job.state, job.result) = (State::Done, Some(value.clone())),
                Err(refusal) => (job.state, job.error) = (State::Failed, Some(refusal.message.clone())),
            }
        });
    }
}

/// Does some work and answers what came of it; where it takes long, that it is under way.
pub(super) async fn run<F>(call: &Call, what: &'static str, tenant: &str, work: impl FnOnce(Progress) -> F) -> Outcome
where
    F: Future<Output = Result<Value, Refusal>> + Send + 'static,
{
    let jobs = call.state.jobs.clone();
    let id = jobs.begin(call, what, tenant)?;
    let (done, wait) = oneshot::channel();
    let work = work(Progress { jobs: jobs.clone(), id });
    let life = call.state.life.clone();
    let ending = life.clone();
    life.spawn("admin job", async move {
        let worked = async {
            tokio::select! {
                outcome = AssertUnwindSafe(work).catch_unwind() => outcome.unwrap_or_else(|_| Err(Refusal::internal())),
                () = ending.soft().cancelled() => Err(Refusal::unavailable("unavailable", "The daemon is ending.")),
            }
        };
        let outcome = worked.await;
        jobs.finish(id, &outcome);
        // Nobody may wait any more.
        let _ = done.send(outcome.err());
    });
    let failed = match tokio::time::timeout(PATIENCE, wait).await {
        Ok(Ok(failed)) => failed,
        Ok(Err(_)) | Err(_) => {
            return accepted(&call.state.jobs.get(id).ok_or_else(Refusal::internal)?);
        }
    };
    match failed {
        Some(refusal) => Err(refusal),
        None => ok(&call.state.jobs.get(id).ok_or_else(Refusal::internal)?),
    }
}

/// `GET /jobs/{id}`
pub(super) async fn get(call: &Call) -> Outcome {
    let missing =
        || Refusal::missing("no-such-job", "There is no such job, or this process does not know it any more.");
    ok(&call.state.jobs.get(call.id()?).ok_or_else(missing)?)
}
