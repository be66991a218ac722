//! The background loops: one dispatcher a target, and the heartbeat. They wait and call `run_once`, and hold no logic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use uuid::Uuid;

use super::runtime::Runtime;
use super::{Inner, Writer};
use crate::store::outbox::{self, Due};
use crate::store::{StoreError, target};
use crate::telemetry::Chain;

/// How often a process says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A process that has not said so for this long is not counted any more.
const FORGET_AFTER_SECONDS: f64 = 5.0;

impl Writer {
    /// Starts the loops on the lifecycle.
    pub fn start(&self) {
        for runtime in self.0.targets.values() {
            let (writer, runtime) = (self.clone(), Arc::clone(runtime));
            let (keeper, kept, for_runs) = (self.clone(), Arc::clone(&runtime), Arc::clone(&runtime));
            self.0.life.spawn("target", async move { keeper.tend(kept).await });
            self.0.life.spawn("writer", async move { writer.dispatch(runtime).await });
            let runner = self.clone();
            self.0.life.spawn("runs", async move { runner.take_up_runs(for_runs).await });
        }
        let writer = self.clone();
        self.0.life.spawn("expiries", async move { writer.watch_expiries().await });
        let writer = self.clone();
        self.0.life.spawn("comparison", async move { writer.compare_now_and_then().await });
        let writer = self.clone();
        self.0.life.spawn("heartbeat", async move { writer.beat().await });
    }

    async fn dispatch(&self, runtime: Arc<Runtime>) {
        let running = Arc::new(Running::default());
        let mut last = Uuid::nil();
        while !self.0.life.is_ending() {
            // Interest is registered before the query, so that nothing enqueued in between is missed.
            let woken = runtime.wake.notified();
            let started = match self.0.start_due(self, &runtime, &running, &mut last).await {
                Ok(started) => started,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the outbox cannot be read; trying again");
                    0
                }
            };
            if started > 0 {
                continue;
            }
            tokio::select! {
                () = woken => {}
                () = running.ended.notified() => {}
                () = tokio::time::sleep(self.0.options.poll) => {}
                () = self.0.life.soft().cancelled() => {}
            }
        }
    }

    async fn tend(&self, runtime: Arc<Runtime>) {
        while !self.0.life.is_ending() {
            if let Err(error) = self.0.tend_once(&runtime).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the state of a target is not known; trying again"
                );
            }
            tokio::select! {
                () = tokio::time::sleep(HEARTBEAT) => {}
                () = self.0.life.soft().cancelled() => {}
            }
        }
    }

    async fn beat(&self) {
        while !self.0.life.is_ending() {
            if let Err(error) = self.0.beat_once().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "the heartbeat failed; trying again");
            }
            tokio::select! {
                () = tokio::time::sleep(HEARTBEAT) => {}
                () = self.0.life.soft().cancelled() => {}
            }
        }
        if let Ok(mut conn) = self.0.store.pool().acquire().await {
            // Not leaving in good order only means that the others notice it a little later.
            let _later = target::leave(&mut conn, self.0.replica).await;
        }
    }

    /// Drives everything that is due now, one subject after the other, and says how many: for tests and commands.
    ///
    /// # Errors
    /// The store's.
    pub async fn drain(&self) -> Result<usize, StoreError> {
        let mut driven = 0;
        loop {
            let mut due = Vec::new();
            for runtime in self.0.targets.values() {
                runtime.refresh(&self.0).await?;
                runtime.trial(&self.0).await?;
                let mut conn = self.0.store.pool().acquire().await.map_err(StoreError::from)?;
                due.extend(outbox::due(&mut conn, &runtime.name, Uuid::nil(), 64).await?);
            }
            if due.is_empty() {
                return Ok(driven);
            }
            for Due { tenant_id, subject } in due {
                self.drive(tenant_id, subject, Uuid::new_v4()).await?;
                driven += 1;
            }
        }
    }
}

/// The drives of one dispatcher.
#[derive(Default)]
struct Running {
    count: AtomicU32,
    ended: tokio::sync::Notify,
}

/// One drive's place among its target's. Free again when dropped, also by a panic.
struct Seat(Arc<Running>);

impl Seat {
    fn take(running: &Arc<Running>) -> Self {
        running.count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(running))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_one();
    }
}

impl Inner {
    /// Starts as many drives as there are free seats, and says how many.
    async fn start_due(
        &self,
        writer: &Writer,
        runtime: &Arc<Runtime>,
        running: &Arc<Running>,
        last: &mut Uuid,
    ) -> Result<usize, StoreError> {
        // A drive spends a good part of its time in the store: a few more than the calls at once keep the target busy.
        let workers = u32::try_from(self.options.workers).unwrap_or(u32::MAX);
        let most = (runtime.pace.concurrency() * 2).min(workers);
        let seats = most.saturating_sub(running.count.load(Ordering::Acquire));
        runtime.trial(self).await?;
        if seats == 0 || runtime.is_paused() {
            return Ok(0);
        }
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let due = outbox::due(&mut conn, &runtime.name, *last, i64::from(seats)).await?;
        drop(conn);
        if due.is_empty() || !self.ready(runtime).await? {
            return Ok(0);
        }
        for Due { tenant_id, subject } in &due {
            let (writer, tenant_id, subject) = (writer.clone(), *tenant_id, *subject);
            let (seat, token) = (Seat::take(running), Uuid::new_v4());
            *last = tenant_id;
            // The lease is taken here, so that the next look does not find the same subjects again.
            if !self.reserve(tenant_id, subject, token).await? {
                continue;
            }
            self.life.spawn("drive", async move {
                let _seat = seat;
                let driven = match writer.drive(tenant_id, subject, token).await {
                    Ok(driven) => writer.0.note_late_refusals(tenant_id, driven.end.refusals()).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = driven {
                    let (kind, id) = (subject.kind(), subject.id());
                    tracing::warn!(subject.id = %id, error = %Chain(&error), "a drive of {kind} {id} failed in the store");
                    // Best effort: else the lease runs out by itself.
                    let _kept = writer.0.hand_over(tenant_id, subject, token).await;
                }
            });
        }
        Ok(due.len())
    }

    /// A target is worked with only when it is known who we are there.
    async fn ready(&self, runtime: &Arc<Runtime>) -> Result<bool, StoreError> {
        if runtime.protected().is_some() {
            return Ok(true);
        }
        runtime.probe(self, self.options.probe_every).await
    }

    async fn reserve(
        &self,
        tenant_id: Uuid,
        subject: crate::store::outbox::Subject,
        token: Uuid,
    ) -> Result<bool, StoreError> {
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        Ok(crate::store::drive::take(&mut conn, tenant_id, subject, token, self.options.lease).await?.is_some())
    }

    /// Refusals that nobody waits for any more.
    async fn note_late_refusals(&self, tenant_id: Uuid, refusals: usize) -> Result<(), StoreError> {
        if refusals > 0 {
            let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
            if let Some(rules) = crate::store::drive::rules(&mut conn, tenant_id).await? {
                (0..refusals).for_each(|_| self.metrics.refused_late(&rules.slug));
                crate::store::alert::refused(&mut conn, tenant_id, i64::try_from(refusals).unwrap_or(i64::MAX)).await?;
            }
        }
        Ok(())
    }

    /// Says that this process lives, and shares the pace. Waits for no target: one that hangs must not make the others forget us.
    pub(crate) async fn beat_once(&self) -> Result<(), StoreError> {
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let replicas = target::beat(&mut conn, self.replica, FORGET_AFTER_SECONDS).await?;
        drop(conn);
        for runtime in self.targets.values() {
            runtime.pace.share(u32::try_from(replicas).unwrap_or(1));
        }
        Ok(())
    }

    /// Shares what is known of a target, and finds out whether it is back, or still as it was.
    async fn tend_once(&self, runtime: &Arc<Runtime>) -> Result<(), StoreError> {
        self.share_rate(runtime).await?;
        if runtime.refresh(self).await?.is_paused() {
            runtime.trial(self).await
        } else {
            runtime.probe(self, self.options.probe_every).await.map(drop)
        }
    }

    /// What the headers told this process is told to all.
    async fn share_rate(&self, runtime: &Runtime) -> Result<(), StoreError> {
        let told = runtime.pace.told();
        // Only what this process heard since it last read what all know: else the silent would outvote the one that heard.
        if runtime.rate_on_record() != told {
            let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
            target::save_rate(&mut conn, &runtime.name, told).await?;
        }
        Ok(())
    }
}
