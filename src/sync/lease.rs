//! The right to work on a run: renewed with every page, so that two daemons never run the same source at once.

use std::time::Duration;

use serde_json::json;

use super::run::{Counters, SyncError};
use crate::lifecycle::Lifecycle;
use crate::store::run::{self, Hold};
use crate::store::{Store, StoreError};

/// A run under its lease.
#[derive(Clone)]
pub(super) struct Lease {
    pub(super) store: Store,
    pub(super) hold: Hold,
    pub(super) length: Duration,
    pub(super) life: Lifecycle,
}

impl Lease {
    /// Makes the lease last from now on, and tells what the run is at.
    pub(super) async fn keep(&self, stage: &str, counters: &Counters) -> Result<(), SyncError> {
        if self.life.is_ending() {
            return Err(SyncError::Ending);
        }
        let mut tx = self.store.pool().begin().await.map_err(StoreError::from)?;
        if !run::renew(&mut tx, self.hold, self.length).await? {
            return Err(SyncError::Lost);
        }
        let counters = serde_json::to_value(counters).unwrap_or_default();
        run::keep(&mut tx, self.hold, stage, &json!({}), &counters).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(())
    }
}
