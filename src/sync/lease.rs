//! The right to work on a run: renewed with every page, so that two daemons never run the same source at once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::counters::Counters;
use super::run::SyncError;
use crate::lifecycle::Lifecycle;
use crate::store::run::{self, Hold, Run};
use crate::store::{Store, StoreError};

const ATTEMPT: &str = "attempt";

/// The how-manieth try of a run the one is that begins now.
pub(super) fn attempt(run: &Run) -> i64 {
    run.place.get(ATTEMPT).and_then(Value::as_i64).unwrap_or_default() + 1
}

/// A run under its lease.
pub(super) struct Lease {
    store: Store,
    hold: Hold,
    length: Duration,
    life: Lifecycle,
    /// The how-manieth try this is. Kept in the run's place: its own count begins anew with every page, of which a try has some.
    attempt: i64,
    /// When it was last renewed, reckoned from before that.
    renewed: Mutex<Instant>,
}

impl Lease {
    /// A lease that was taken a moment ago.
    pub(super) fn new(store: Store, run: &Run, hold: Hold, length: Duration, life: Lifecycle) -> Self {
        Self { store, hold, length, life, attempt: attempt(run), renewed: Mutex::new(Instant::now()) }
    }

    /// The how-manieth try of the run this is.
    pub(super) fn attempt(&self) -> i64 {
        self.attempt
    }

    /// Whether a quarter of it is over.
    pub(super) fn is_aging(&self) -> bool {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > self.length / 4
    }

    /// Makes the lease last from now on, and tells what the run is at.
    pub(super) async fn keep(&self, stage: &str, counters: &Counters) -> Result<(), SyncError> {
        if self.life.is_ending() {
            return Err(SyncError::Ending);
        }
        let asked = Instant::now();
        let mut tx = self.store.pool().begin().await.map_err(StoreError::from)?;
        if !run::renew(&mut tx, self.hold, self.length).await? {
            return Err(SyncError::Lost);
        }
        let counters = serde_json::to_value(counters).unwrap_or_default();
        run::keep(&mut tx, self.hold, stage, &json!({ ATTEMPT: self.attempt }), &counters).await?;
        tx.commit().await.map_err(StoreError::from)?;
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        Ok(())
    }
}
