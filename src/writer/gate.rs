//! What every call of the writer passes through: the lease, the pace, and the end of the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::Inner;
use super::runtime::Runtime;
use crate::jira::{CallRecord, Gate, Permit, RateLimits, TargetError};
use crate::store::drive::{self, Lease};
use crate::telemetry::Metrics;

/// The gate of a drive.
pub(crate) struct LeaseGate<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) lease: &'a Lease,
    /// When the lease ends by our own clock, reckoned from before it was taken: never later than the database thinks.
    until: Mutex<Instant>,
    lost: AtomicBool,
}

impl<'a> LeaseGate<'a> {
    /// `taken` is a moment before the statement that took the lease.
    pub(crate) fn new(inner: &'a Inner, runtime: Arc<Runtime>, lease: &'a Lease, taken: Instant) -> Self {
        let until = Mutex::new(taken + inner.options.lease);
        Self { inner, runtime, lease, until, lost: AtomicBool::new(false) }
    }

    /// Whether a renewal found that somebody else has the lease.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// No call starts with less lease left than its own time-out.
    async fn hold(&self) -> Result<(), TargetError> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.saturating_duration_since(Instant::now()) > self.runtime.timeout {
            return Ok(());
        }
        let asked = Instant::now();
        let renewed = async {
            let mut conn = self.inner.store.pool().acquire().await?;
            drive::renew(&mut conn, self.lease, self.inner.options.lease).await
        };
        if renewed.await.unwrap_or(false) {
            *self.until.lock().unwrap_or_else(PoisonError::into_inner) = asked + self.inner.options.lease;
            Ok(())
        } else {
            self.lost.store(true, Ordering::Relaxed);
            Err(TargetError::Stopped { reason: "the lease is lost" })
        }
    }
}

impl Gate for LeaseGate<'_> {
    fn enter(&self) -> BoxFuture<'_, Result<Permit, TargetError>> {
        Box::pin(async {
            if self.inner.life.is_ending() {
                return Err(TargetError::Stopped { reason: "the daemon is ending" });
            }
            if self.runtime.is_paused() {
                return Err(TargetError::Stopped { reason: "the target is paused" });
            }
            let place = self.runtime.pace.enter().await;
            // After the wait for the pace, so that the lease is good for the whole call.
            self.hold().await?;
            Ok(Permit(Some(Box::new(place))))
        })
    }

    fn observe(&self, limits: RateLimits) {
        follow(&self.runtime, limits);
    }

    fn called(&self, call: &CallRecord) {
        self.runtime.last_was_slow.store(call.status.is_none(), Ordering::Relaxed);
        count(&self.inner.metrics, &self.runtime.name, call);
    }
}

/// The gate of a probe: it holds no lease and is what finds out whether a pause is over.
pub(crate) struct OpenGate {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) metrics: Metrics,
}

impl Gate for OpenGate {
    fn enter(&self) -> BoxFuture<'_, Result<Permit, TargetError>> {
        Box::pin(async { Ok(Permit(Some(Box::new(self.runtime.pace.enter().await)))) })
    }

    fn observe(&self, limits: RateLimits) {
        follow(&self.runtime, limits);
    }

    fn called(&self, call: &CallRecord) {
        count(&self.metrics, &self.runtime.name, call);
    }
}

fn count(metrics: &Metrics, target: &str, call: &CallRecord) {
    metrics.target_call(target, &call.method, &call.path, call.status, Duration::from_millis(call.duration_ms));
}

/// The part of the refill rate that is used: at the whole of it every jitter meets an empty bucket, and a 429 costs more than
/// the margin.
const MARGIN: f64 = 0.98;

/// Slows down to just below the target's refill rate when its bucket runs low, and forgets that when it is full again (DC-9).
fn follow(runtime: &Runtime, limits: RateLimits) {
    let (Some(remaining), Some(interval), Some(fill)) = (limits.remaining, limits.interval, limits.fill_rate) else {
        return;
    };
    let rate = MARGIN * fill as f64 / interval.as_secs_f64().max(0.001);
    let low = u64::from(runtime.pace.concurrency()) * 4;
    if remaining <= low {
        runtime.pace.tell(Some(rate));
    } else if remaining > low * 4 {
        runtime.pace.tell(None);
    }
}
