//! Layer 3: puts requests on record, off their way: a request hands its record over when it has been answered, and a batch of
//! records is one statement.
//!
//! No answer waits for it, and what waits takes no more than so much memory. Where there is no room, the record of a change waits for a bounded time, that of a read is given up and
//! counted. What changed something is on record with the change itself, whatever becomes of this. Decides nothing about what a
//! request may do.

mod batch;
pub mod export;
mod lost;
mod secrets;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::lifecycle::Lifecycle;
use crate::store::Store;
use crate::store::audit::{NewRequest, Side};
use crate::telemetry::Metrics;

pub use secrets::{REDACTED, path_of, redacted};

/// The memory of all records that wait to be written or are being written, in bytes, as [`weight`] reckons it.
const ROOM: u32 = 1 << 20;
/// How long a record waits for room.
const PATIENCE: Duration = Duration::from_secs(3);
/// Requests of nobody that are put on record a second, and at once: whoever guesses tokens must not fill the disk.
const STRANGERS: (f64, f64) = (10.0, 200.0);

/// Takes the records of requests. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: mpsc::UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
    open: Arc<AtomicUsize>,
    /// At the door of identity providers, and at that of administrators: who floods one hides nothing at the other.
    strangers: Arc<Mutex<[Bucket; 2]>>,
    metrics: Metrics,
    life: Lifecycle,
}

/// A record with the room that it takes until it is written.
#[derive(Debug)]
struct Waiting {
    request: NewRequest,
    room: OwnedSemaphorePermit,
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
        let (sender, receiver) = mpsc::unbounded_channel();
        let open = Arc::new(AtomicUsize::new(0));
        let batches = batch::Batches::new(store, metrics.clone(), receiver, Arc::clone(&open), life.clone());
        life.spawn("requests on record", batches.run());
        let strangers = Arc::new(Mutex::new([Bucket { left: STRANGERS.1, at: Instant::now() }; 2]));
        let room = Arc::new(Semaphore::new(ROOM as usize));
        Self { sender, room, open, strangers, metrics, life: life.clone() }
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
        let weight = weight(&request);
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(weight) {
            return self.send(Waiting { request, room });
        }
        let read = matches!(request.method.as_str(), "GET" | "HEAD");
        if read || request.status.is_none_or(|status| status >= 500) {
            return self.lost("database");
        }
        let (this, open) = (self.clone(), self.open());
        self.life.spawn("a record waits", async move {
            let room = Arc::clone(&this.room).acquire_many_owned(weight);
            match tokio::time::timeout(PATIENCE, room).await {
                Ok(Ok(room)) => this.send(Waiting { request, room }),
                _ => this.lost("database"),
            }
            drop(open);
        });
    }

    /// Hands a record over at once, or not at all: of a request that nobody answers any more.
    pub fn put_now(&self, request: NewRequest) {
        if !self.takes(&request) {
            return;
        }
        match Arc::clone(&self.room).try_acquire_many_owned(weight(&request)) {
            Ok(room) => self.send(Waiting { request, room }),
            Err(_) => self.lost("database"),
        }
    }

    fn send(&self, waiting: Waiting) {
        if self.sender.send(waiting).is_err() {
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

/// About how much memory a record takes with its many short texts, in bytes: more than there is room for counts as all of it.
fn weight(request: &NewRequest) -> u32 {
    let texts = request.path.len() + request.error.as_ref().map_or(0, String::len);
    let body = request.body.as_deref().map_or(0, weight_of);
    u32::try_from(2 * size_of::<NewRequest>() + texts + body).unwrap_or(ROOM).min(ROOM)
}

fn weight_of(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(weight_of).sum(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| size_of::<String>() + name.len() + weight_of(value)).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inside
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
