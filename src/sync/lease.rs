//! The right to work on a run: renewed with every page, so that two daemons never run the same source at once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::counters::Counters;
use super::run::SyncError;
use crate::lifecycle::Lifecycle;
use crate::store::run::{self, Hold};
use crate::store::{Store, StoreError};

/// A run under its lease.
pub(super) struct Lease {
    store: Store,
    hold: Hold,
    length: Duration,
    life: Lifecycle,
    /// When it was last renewed, reckoned from before that.
    renewed: Mutex<Instant>,
}

impl Lease {
    /// A lease that was taken a moment ago.
    pub(super) fn new(store: Store, hold: Hold, length: Duration, life: Lifecycle) -> Self {
        Self { store, hold, length, life, renewed: Mutex::new(Instant::now()) }
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
        run::keep(&mut tx, self.hold, stage, &json!({}), &counters).await?;
        tx.commit().await.map_err(StoreError::from)?;
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        Ok(())
    }
}
