//! The task that writes records down, a batch at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Waiting, lost};
use crate::lifecycle::Lifecycle;
use crate::store::audit::{self, NewRequest};
use crate::store::{Store, StoreError};
use crate::telemetry::{Chain, Metrics};

/// Records of one statement.
const LARGEST: usize = 250;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_millis(100);
/// How long until a batch that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often the end looks whether the last request has been answered.
const LOOK: Duration = Duration::from_millis(20);
/// How often a batch is tried while the process ends.
const LAST_TRIES: u32 = 3;

pub(super) struct Batches {
    store: Store,
    metrics: Metrics,
    receiver: mpsc::UnboundedReceiver<Waiting>,
    open: Arc<AtomicUsize>,
    life: Lifecycle,
}

impl Batches {
    pub(super) fn new(
        store: Store,
        metrics: Metrics,
        receiver: mpsc::UnboundedReceiver<Waiting>,
        open: Arc<AtomicUsize>,
        life: Lifecycle,
    ) -> Self {
        life.spawn("requests left behind", lost::look(store.clone(), life.clone()));
        Self { store, metrics, receiver, open, life }
    }

    /// Writes until the process ends and the last request has been answered.
    pub(super) async fn run(mut self) {
        loop {
            let first = tokio::select! {
                biased;
                first = self.receiver.recv() => first,
                () = over(&self.life, &self.open) => None,
            };
            let Some(Waiting { request, mut room }) = first else { return };
            let mut batch = vec![request];
            if self.receiver.len() < LARGEST && !self.life.is_ending() {
                tokio::select! {
                    () = tokio::time::sleep(GATHER) => {}
                    () = self.life.soft().cancelled() => {}
                }
            }
            while batch.len() < LARGEST
                && let Ok(next) = self.receiver.try_recv()
            {
                batch.push(next.request);
                room.merge(next.room);
            }
            self.write(&batch).await;
            drop(room);
        }
    }

    /// Writes a batch, however long the database is away; of one that it refuses, what it takes.
    async fn write(&self, batch: &[NewRequest]) {
        let mut tries = 0;
        loop {
            let Err(error) = write(&self.store, batch).await else { return };
            tries += 1;
            let again = error.is_transient() || matches!(error, StoreError::Unavailable(_) | StoreError::TimedOut(_));
            match error {
                error if again => {
                    if self.life.is_ending() && tries >= LAST_TRIES {
                        tracing::error!(error = %Chain(&error), requests = batch.len(), "requests are not put on record");
                        batch.iter().for_each(|_| self.metrics.unrecorded("database"));
                        return;
                    }
                    tracing::warn!(error = %Chain(&error), "requests cannot be put on record now; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
                error if batch.len() > 1 => {
                    tracing::warn!(error = %Chain(&error), "a batch of requests was refused; writing one by one");
                    for request in batch {
                        Box::pin(self.write(std::slice::from_ref(request))).await;
                    }
                    return;
                }
                error => {
                    tracing::error!(error = %Chain(&error), "a request cannot be put on record");
                    self.metrics.unrecorded("refused");
                    return;
                }
            }
        }
    }
}

/// The process ends, and nobody is left who could have something to write.
async fn over(life: &Lifecycle, open: &AtomicUsize) {
    life.soft().cancelled().await;
    while open.load(Ordering::SeqCst) > 0 {
        tokio::time::sleep(LOOK).await;
    }
}

async fn write(store: &Store, batch: &[NewRequest]) -> Result<(), StoreError> {
    let mut conn = store.pool().acquire().await?;
    audit::write(&mut conn, batch).await
}
