//! Looks, once a minute, for what nobody else notices: credentials that end, targets that stay away, queues that grow old. Every
//! replica looks; the store sees to it that one of them tells, once.

use std::time::Duration;

use crate::lifecycle::Lifecycle;
use crate::store::alert::{self, Ending};
use crate::store::{Store, StoreError};
use crate::telemetry::Chain;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60);

/// What to look for.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// The targets that there are.
    pub targets: Vec<String>,
    /// Our credentials there, as far as it is known when they end.
    pub endings: Vec<Ending>,
    /// How long a target may be paused.
    pub target_down_after: Duration,
    /// How long work that could be done may wait.
    pub queue_older_than: Duration,
}

/// Looks.
#[derive(Clone, Debug)]
pub struct Watch {
    store: Store,
    options: WatchOptions,
}

impl Watch {
    /// Looks for that.
    pub fn new(store: Store, options: WatchOptions) -> Self {
        Self { store, options }
    }

    /// Looks now and then until the process ends.
    pub async fn run(self, life: Lifecycle) {
        while !life.is_ending() {
            if let Err(error) = self.run_once().await {
                tracing::warn!(error = %Chain(&error), "it could not be looked for what people have to be told");
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = life.soft().cancelled() => {}
            }
        }
    }

    /// Looks once.
    ///
    /// # Errors
    /// The store's.
    pub async fn run_once(&self) -> Result<(), StoreError> {
        let mut conn = self.store.pool().acquire().await?;
        alert::tokens_end(&mut conn).await?;
        alert::credentials_end(&mut conn, &self.options.endings).await?;
        alert::targets(&mut conn, &self.options.targets, self.options.target_down_after).await?;
        alert::queues(&mut conn, self.options.queue_older_than).await
    }
}
