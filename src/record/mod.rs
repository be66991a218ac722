//! Layer 3: puts requests on record, off their way: a request hands its record over when it has been answered, and a batch of
//! records is one statement.
//!
//! No answer waits for it. Where the queue is full, the record of a change waits for a bounded time, that of a read is given up and
//! counted. What changed something is on record with the change itself, whatever becomes of this. Decides nothing about what a
//! request may do.

mod batch;
pub mod export;
mod lost;
mod secrets;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::lifecycle::Lifecycle;
use crate::store::Store;
use crate::store::audit::{NewRequest, Side};
use crate::telemetry::Metrics;

pub use secrets::{REDACTED, path_of, redacted};

/// Records that wait to be written.
const QUEUE: usize = 4096;
/// How long a record waits for room in a full queue.
const PATIENCE: Duration = Duration::from_secs(3);
/// Requests of nobody that are put on record a second, and at once: whoever guesses tokens must not fill the disk.
const STRANGERS: (f64, f64) = (10.0, 200.0);

/// Takes the records of requests. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: mpsc::Sender<NewRequest>,
    open: Arc<AtomicUsize>,
    /// At the door of identity providers, and at that of administrators: who floods one hides nothing at the other.
    strangers: Arc<Mutex<[Bucket; 2]>>,
    metrics: Metrics,
    life: Lifecycle,
}

/// A request that is being answered: while there is one, the process does not end its records.
#[derive(Debug)]
pub struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Recorder {
    /// Begins to write records down, as a task of this life; what is on its way is written when it ends.
    pub fn start(store: Store, metrics: Metrics, life: &Lifecycle) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let open = Arc::new(AtomicUsize::new(0));
        let batches = batch::Batches::new(store, metrics.clone(), receiver, Arc::clone(&open), life.clone());
        life.spawn("requests on record", batches.run());
        let strangers = Arc::new(Mutex::new([Bucket { left: STRANGERS.1, at: Instant::now() }; 2]));
        Self { sender, open, strangers, metrics, life: life.clone() }
    }

    /// A request has come.
    pub fn open(&self) -> Open {
        self.open.fetch_add(1, Ordering::SeqCst);
        Open(Arc::clone(&self.open))
    }

    /// Hands a record over. Where there is no room, that of a change waits in the background; what only read, or failed
    /// because of us, is given up.
    pub async fn put(&self, request: NewRequest) {
        if !self.takes(&request) {
            return;
        }
        let Err(TrySendError::Full(request) | TrySendError::Closed(request)) = self.sender.try_send(request) else {
            return;
        };
        let read = matches!(request.method.as_str(), "GET" | "HEAD");
        if read || request.status.is_none_or(|status| status >= 500) {
            return self.lost("database");
        }
        let (sender, metrics, open) = (self.sender.clone(), self.metrics.clone(), self.open());
        self.life.spawn("a record waits", async move {
            if !matches!(tokio::time::timeout(PATIENCE, sender.send(request)).await, Ok(Ok(()))) {
                metrics.unrecorded("database");
            }
            drop(open);
        });
    }

    /// Hands a record over at once, or not at all: of a request that nobody answers any more.
    pub fn put_now(&self, request: NewRequest) {
        if self.takes(&request) && self.sender.try_send(request).is_err() {
            self.lost("database");
        }
    }

    /// Whether this one goes on record: of nobody's requests, and of those beyond a tenant's rate, only so many.
    fn takes(&self, request: &NewRequest) -> bool {
        let known = !request.actor.is_empty() && request.status != Some(429);
        let door = usize::from(request.side == Side::Admin);
        let taken = known || self.strangers.lock().unwrap_or_else(PoisonError::into_inner)[door].take(Instant::now());
        if !taken {
            self.lost("stranger");
        }
        taken
    }

    fn lost(&self, reason: &str) {
        self.metrics.unrecorded(reason);
    }
}

/// A token bucket.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + elapsed * STRANGERS.0).min(STRANGERS.1);
        self.at = now;
        let taken = self.left >= 1.0;
        if taken {
            self.left -= 1.0;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_strangers_so_many_at_once_and_then_so_many_a_second_are_on_record() {
        let start = Instant::now();
        let mut bucket = Bucket { left: STRANGERS.1, at: start };
        let taken = |bucket: &mut Bucket, after| (0..1000).filter(|_| bucket.take(start + after)).count();
        assert_eq!(taken(&mut bucket, Duration::ZERO), 200);
        assert_eq!(taken(&mut bucket, Duration::from_secs(2)), 20);
        assert_eq!(taken(&mut bucket, Duration::from_secs(3600)), 200);
    }
}
