//! Requests as fast as the connections take them, for measuring: nothing is checked but the status.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::HeaderMap;
use tokio::task::JoinSet;

use super::client::{Connection, Request, Service};
use super::latency::Latencies;
use crate::telemetry::Chain;

/// Longer waits count as failures.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long, and with how many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drive {
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// Answers within this time do not count.
    pub warm_up: Duration,
    /// Then answers within this time do.
    pub measure: Duration,
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Of right answers.
    pub latencies: Latencies,
    /// All answers, those of the warm-up too.
    pub answers: u64,
    /// Answers of another status, and none.
    pub failures: u64,
    /// The first of them.
    pub first_failure: Option<String>,
    /// How long it was measured.
    pub took: Duration,
}

impl Load {
    /// Right answers a second.
    pub fn rate(&self) -> f64 {
        self.latencies.count() as f64 / self.took.as_secs_f64().max(0.001)
    }

    fn add(&mut self, other: Self) {
        self.latencies.append(other.latencies);
        self.answers += other.answers;
        self.failures += other.failures;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }
}

/// Drives the server with what `make` makes of a connection's number and a counter of its own; an answer is right with
/// `status`.
pub async fn drive<F>(service: &Arc<Service>, headers: &HeaderMap, drive: Drive, status: u16, make: F) -> Load
where
    F: Fn(usize, u64) -> Request + Send + Sync + 'static,
{
    let make = Arc::new(make);
    let begin = Instant::now() + drive.warm_up;
    let end = begin + drive.measure;
    let mut workers = JoinSet::new();
    for number in 0..drive.connections {
        let mut connection = Connection::new(service.clone(), headers.clone(), PATIENCE);
        let make = make.clone();
        workers.spawn(async move {
            let mut load = Load::default();
            for counter in 0.. {
                let request = make(number, counter);
                let answer = connection.send(&request).await;
                load.answers += 1;
                let now = Instant::now();
                if now >= end {
                    break;
                }
                if now < begin {
                    continue;
                }
                match answer {
                    Ok(reply) if reply.status.as_u16() == status => load.latencies.push(reply.took),
                    Ok(reply) => load.fail(|| format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body))),
                    Err(error) => load.fail(|| Chain(&error).to_string()),
                }
            }
            load
        });
    }
    let mut total = Load { took: drive.measure, ..Load::default() };
    while let Some(done) = workers.join_next().await {
        match done {
            Ok(load) => total.add(load),
            Err(error) => total.fail(|| error.to_string()),
        }
    }
    total
}

impl Load {
    fn fail(&mut self, how: impl FnOnce() -> String) {
        self.failures += 1;
        self.first_failure.get_or_insert_with(how);
    }
}
