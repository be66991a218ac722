//! A connection on which every answer is checked and recorded.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::{HeaderMap, Method};
use serde_json::Value;

use super::check::{self, Answer, Check};
use super::client::{Connection, Request, Service};
use super::latency::Latencies;
use super::report::{Complaint, Report, Row};
use crate::telemetry::Chain;

/// A request with what is expected of its answer.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What the report calls it: `POST /Users`.
    pub name: &'static str,
    /// Whom or what it is about, for people.
    pub about: String,
    /// What is sent.
    pub request: Request,
    /// The statuses that are right.
    pub statuses: &'static [u16],
    /// What else is looked at.
    pub checks: Vec<Check>,
}

impl Ask {
    /// A request whose answer is right with one of these statuses.
    pub fn new(name: &'static str, method: Method, path: impl Into<String>, statuses: &'static [u16]) -> Self {
        let request = Request::new(method, path);
        Self { name, about: String::new(), request, statuses, checks: Vec::new() }
    }

    /// With this JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.request = self.request.json(body);
        self
    }

    /// About somebody.
    #[must_use]
    pub fn about(mut self, whom: impl Into<String>) -> Self {
        self.about = whom.into();
        self
    }

    /// With a further check.
    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }
}

/// An answer that cannot be worked with: none, one of another status, or none wanted any more. It is on record already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// When to stop early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// After so many requests.
    pub requests: Option<u64>,
    /// After this time.
    pub duration: Option<Duration>,
}

/// How a provider waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For an answer.
    pub answer: Duration,
    /// How often a request that was answered with 429 is sent in all.
    pub attempts: u32,
}

/// What was asked and answered on all connections.
#[derive(Debug)]
pub struct Recorder {
    budget: Budget,
    started: Instant,
    sent: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    latencies: BTreeMap<&'static str, Latencies>,
    complaints: Vec<Complaint>,
    complained: u64,
    throttled: u64,
}

/// So many complaints are kept word for word.
const WORD_FOR_WORD: usize = 200;

impl Recorder {
    /// An empty record. The time of the budget begins now.
    pub fn new(budget: Budget) -> Self {
        Self { budget, started: Instant::now(), sent: AtomicU64::new(0), kept: Mutex::default() }
    }

    /// Whether a limit was given at all.
    pub fn is_limited(&self) -> bool {
        self.budget != Budget::default()
    }

    /// Whether the limit is reached.
    pub fn is_spent(&self) -> bool {
        self.budget.requests.is_some_and(|most| self.sent() >= most)
            || self.budget.duration.is_some_and(|most| self.started.elapsed() >= most)
    }

    /// Requests so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Complaints so far.
    pub fn complained(&self) -> u64 {
        self.kept().complained
    }

    /// Something that is wrong with several answers together.
    pub fn complain(&self, about: impl Into<String>, what: impl Into<String>) {
        self.keep(Complaint { exchange: about.into(), what: what.into() });
    }

    /// What is on record.
    pub fn report(&self) -> Report {
        let kept = self.kept();
        let rows = kept.latencies.iter().map(|(name, latencies)| Row::new(name, latencies)).collect();
        Report {
            rows,
            took: self.started.elapsed(),
            complaints: kept.complaints.clone(),
            complained: kept.complained,
            throttled: kept.throttled,
        }
    }

    fn keep(&self, complaint: Complaint) {
        let mut kept = self.kept();
        kept.complained += 1;
        if kept.complaints.len() < WORD_FOR_WORD {
            kept.complaints.push(complaint);
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Told of every exchange, as it happens.
pub trait Watch: Send + Sync {
    /// The request that is about to be sent may get headers of the watcher's.
    fn before(&self, ask: &mut Ask);
    /// It was answered, with this status and these complaints; `None` where no answer came.
    fn after(&self, ask: &Ask, status: Option<u16>, took: Duration, complaints: &[String]) -> Waiting;
}

/// What a watcher still has to do before the session goes on.
pub type Waiting = futures_util::future::BoxFuture<'static, ()>;

/// A connection with checks.
pub struct Wire {
    connection: Connection,
    recorder: Arc<Recorder>,
    patience: Patience,
    watch: Option<Arc<dyn Watch>>,
}

impl Wire {
    /// A connection that sends these headers with every request.
    pub fn new(service: Arc<Service>, headers: HeaderMap, recorder: Arc<Recorder>, patience: Patience) -> Self {
        let connection = Connection::new(service, headers, patience.answer);
        Self { connection, recorder, patience, watch: None }
    }

    /// Tells this watcher of every exchange.
    #[must_use]
    pub fn watched(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch = Some(watch);
        self
    }

    /// The record.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Sends a request, checks the answer, and puts both on record. A 429 is obeyed (OKTA-27).
    ///
    /// # Errors
    /// The answer cannot be worked with; see [`Failed`].
    pub async fn ask(&mut self, mut ask: Ask) -> Result<Answer, Failed> {
        if let Some(watch) = &self.watch {
            watch.before(&mut ask);
        }
        for attempt in 1.. {
            let answer = self.exchange(&ask).await?;
            if answer.status != 429 || ask.statuses.contains(&429) {
                return if ask.statuses.contains(&answer.status) { Ok(answer) } else { Err(Failed) };
            }
            let wait = match check::retry_after(&answer) {
                Ok(seconds) => Duration::from_secs(seconds),
                Err(what) => return self.give_up(&ask, what),
            };
            if attempt >= self.patience.attempts {
                return self.give_up(&ask, format!("429 after {attempt} attempts"));
            }
            tokio::time::sleep(wait).await;
        }
        Err(Failed)
    }

    fn give_up(&self, ask: &Ask, what: String) -> Result<Answer, Failed> {
        self.recorder.keep(Complaint { exchange: shown(ask), what });
        Err(Failed)
    }

    async fn exchange(&mut self, ask: &Ask) -> Result<Answer, Failed> {
        if self.recorder.is_spent() {
            return Err(Failed);
        }
        self.recorder.sent.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let reply = match self.connection.send(&ask.request).await {
            Ok(reply) => reply,
            Err(error) => {
                let what = vec![Chain(&error).to_string()];
                self.record(ask, None, started.elapsed(), &what).await;
                return Err(Failed);
            }
        };
        let answer = Answer::new(reply.status.as_u16(), reply.headers, &reply.body);
        let throttled = answer.status == 429 && !ask.statuses.contains(&429);
        let complaints = if throttled { Vec::new() } else { check::complaints(ask.statuses, &ask.checks, &answer) };
        if throttled {
            self.recorder.kept().throttled += 1;
        }
        self.record(ask, Some(answer.status), reply.took, &complaints).await;
        Ok(answer)
    }

    async fn record(&self, ask: &Ask, status: Option<u16>, took: Duration, complaints: &[String]) {
        if status.is_some() {
            self.recorder.kept().latencies.entry(ask.name).or_default().push(took);
        }
        for what in complaints {
            self.recorder.keep(Complaint { exchange: shown(ask), what: what.clone() });
        }
        if let Some(watch) = &self.watch {
            watch.after(ask, status, took, complaints).await;
        }
    }
}

/// The exchange as complaints show it: without a body, which may hold a password.
fn shown(ask: &Ask) -> String {
    let mut text = format!("{} {}", ask.request.method, ask.request.path);
    if !ask.about.is_empty() {
        text.push_str(&format!(" ({})", ask.about));
    }
    text
}
