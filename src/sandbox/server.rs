//! The sandbox's sockets: connections, the order in which a call meets faults and the API, and the journal. The same for
//! every kind of Jira; what a call means is the [`Api`]'s business.
//!
//! Everything that touches the world happens under one lock and without waiting; everything that waits (a hanging call,
//! a delayed answer, a late one) happens outside of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api::{Answered, Api, Clock};
use super::exchange::{Call, Reply};
use super::faults::{Action, Faults, LateTrigger, Signature};
use super::journal::{Journal, JournalEntry, Outcome, redacted};

/// The largest body that is read, in bytes.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox closes the connection on purpose")]
struct Dropped;

type Wire = Result<Response<Full<Bytes>>, Dropped>;

/// What one lock guards.
pub(crate) struct Inner<A> {
    pub(crate) api: A,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    /// Calls whose work is still to be done, with the number of their journal entry.
    late: BTreeMap<u64, Call>,
    /// Added to the API's clock.
    pub(crate) ahead: Duration,
}

impl<A: Api> Inner<A> {
    pub(crate) fn new(api: A, journal: Journal) -> Self {
        Self { api, journal, faults: Faults::default(), late: BTreeMap::new(), ahead: Duration::ZERO }
    }

    /// Writes down a call that nobody handled; answers its number.
    fn note(&mut self, call: &Call, outcome: Outcome, action: &Action) -> u64 {
        let mut entry = entry(call, outcome);
        entry.fault = Some(described(action));
        self.journal.push(entry)
    }
}

/// What the handle and the connections share.
pub(crate) struct Shared<A> {
    inner: Mutex<Inner<A>>,
    changes: watch::Sender<()>,
    /// How often held answers were let go.
    releases: watch::Sender<u64>,
    started: Instant,
}

/// The tasks of one life of the server, from start to stop.
pub(crate) struct Life {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Life {
    /// Accepts connections on `listener` until [`Life::end`].
    pub(crate) fn begin<A: Api>(shared: Arc<Shared<A>>, listener: TcpListener) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (stopped, spawner) = (stop.clone(), tasks.clone());
        tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = stopped.cancelled() => break,
                    accepted = listener.accept() => accepted,
                };
                match accepted {
                    Ok((stream, _)) => {
                        spawner.spawn(shared.clone().serve(stream, stopped.clone(), spawner.clone()));
                    }
                    // Out of file descriptors, usually: let connections end before the next try.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        Self { stop, tasks }
    }

    /// Closes the listener and every connection, at once and in the middle of whatever they do.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Like [`Life::end`], for where nobody can wait.
    pub(crate) fn cut(&self) {
        self.stop.cancel();
    }
}

impl<A: Api> Shared<A> {
    pub(crate) fn new(inner: Inner<A>) -> Self {
        Self {
            inner: Mutex::new(inner),
            changes: watch::Sender::new(()),
            releases: watch::Sender::new(0),
            started: Instant::now(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner<A>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told of every call and of every change through the handle.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    pub(crate) fn announce(&self) {
        self.changes.send_replace(());
    }

    /// Lets every answer go that is held.
    pub(crate) fn release_held(&self) {
        self.releases.send_modify(|times| *times += 1);
    }

    /// Forgets what calls were still to do: a Jira that went down does not do it any more.
    pub(crate) fn forget_late(&self) {
        self.lock().late.clear();
    }

    /// Does what late calls left to do, in the order in which they came; answers how many there were.
    pub(crate) fn release_late(&self) -> usize {
        let waiting: Vec<u64> = self.lock().late.keys().copied().collect();
        waiting.into_iter().filter(|seq| self.perform_late(*seq)).count()
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, stop: CancellationToken, tasks: TaskTracker) {
        let _ = stream.set_nodelay(true);
        let (calls, stopped) = (self.clone(), stop.clone());
        let service = service_fn(move |request| calls.clone().handle(request, stopped.clone(), tasks.clone()));
        let mut http = hyper::server::conn::http1::Builder::new();
        http.header_read_timeout(None);
        tokio::select! {
            () = stop.cancelled() => {}
            // A connection that ends in an error is the client's business, or ours on purpose.
            _ = http.serve_connection(TokioIo::new(stream), service) => {}
        }
    }

    async fn handle(self: Arc<Self>, request: Request<Incoming>, stop: CancellationToken, tasks: TaskTracker) -> Wire {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(|_| Dropped)?.to_bytes();
        let place = self.lock().api.locate(head.method.as_str(), head.uri.path());
        let call = Call::new(head, body, place, Utc::now());
        let action = self.fault_for(&call);
        let Some(action) = action else { return self.play(&call, None).on_the_wire() };
        match action {
            Action::Hang => {
                self.lock().note(&call, Outcome::Hung, &action);
                self.announce();
                std::future::pending().await
            }
            Action::DropBefore => {
                self.lock().note(&call, Outcome::Dropped, &action);
                self.announce();
                Err(Dropped)
            }
            Action::DropAnswer => {
                self.play(&call, Some(&action));
                Err(Dropped)
            }
            Action::Delay(time) => {
                let reply = self.play(&call, Some(&action));
                tokio::time::sleep(time).await;
                reply.on_the_wire()
            }
            Action::Hold => {
                let mut released = self.releases.subscribe();
                let reply = self.play(&call, Some(&action));
                // The sender lives as long as `self`.
                let _ = released.changed().await;
                reply.on_the_wire()
            }
            Action::Late { trigger, close } => self.postpone(call, trigger, close, &stop, &tasks).await,
            _ => self.play(&call, Some(&action)).on_the_wire(),
        }
    }

    fn fault_for(&self, call: &Call) -> Option<Action> {
        let mut inner = self.lock();
        if inner.faults.is_empty() {
            return None;
        }
        let (method, query, body) = (call.method.as_str(), call.query_text(), call.body_text());
        inner.faults.take(&Signature { method, route: &call.place.route, query: &query, body: &body })
    }

    /// Handles the call and writes it down, both under the lock, so that the journal has the world's order.
    fn play(&self, call: &Call, fault: Option<&Action>) -> Reply {
        let outcome = match fault {
            Some(Action::DropAnswer) => Outcome::Dropped,
            _ => Outcome::Answered,
        };
        let reply = self.record(call, fault, outcome, None);
        self.announce();
        reply
    }

    fn record(&self, call: &Call, fault: Option<&Action>, outcome: Outcome, late_for: Option<u64>) -> Reply {
        let mut inner = self.lock();
        let before = inner.api.changes();
        let clock = Clock { now: self.started.elapsed() + inner.ahead, ahead: inner.ahead };
        let Answered { caller, reply } = match fault {
            Some(fault) => inner.api.fail(call, fault, clock),
            None => inner.api.answer(call, clock),
        };
        let mut entry = entry(call, outcome);
        entry.status = Some(reply.status);
        entry.did_work = inner.api.changes() != before;
        entry.caller = caller;
        entry.fault = fault.map(described);
        entry.violation = reply.violation.map(str::to_owned);
        entry.mail_to.clone_from(&reply.mail_to);
        entry.late_for = late_for;
        if inner.journal.keeps_answers() {
            entry.answer = redacted(&reply.body);
        }
        inner.journal.push(entry);
        reply
    }

    /// Keeps the call for later, and the client waiting (or not).
    async fn postpone(
        self: Arc<Self>,
        call: Call,
        trigger: LateTrigger,
        close: bool,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Wire {
        let seq = {
            let mut inner = self.lock();
            let outcome = if close { Outcome::Dropped } else { Outcome::Hung };
            let seq = inner.note(&call, outcome, &Action::Late { trigger, close });
            inner.late.insert(seq, call);
            seq
        };
        self.announce();
        let on_hangup =
            (trigger == LateTrigger::Hangup).then(|| OnHangup { shared: self.clone(), stop: stop.clone(), seq });
        if let LateTrigger::After(time) = trigger {
            let (shared, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(time) => {
                        shared.perform_late(seq);
                    }
                }
            });
        }
        if close {
            return Err(Dropped);
        }
        // Dropped with this future when the client closes its connection.
        let _on_hangup = on_hangup;
        std::future::pending().await
    }

    /// Does the work of a late call; false when it was done, or forgotten, before.
    fn perform_late(&self, seq: u64) -> bool {
        let Some(call) = self.lock().late.remove(&seq) else { return false };
        self.record(&call, None, Outcome::Late, Some(seq));
        self.announce();
        true
    }
}

struct OnHangup<A: Api> {
    shared: Arc<Shared<A>>,
    stop: CancellationToken,
    seq: u64,
}

impl<A: Api> Drop for OnHangup<A> {
    fn drop(&mut self) {
        // A Jira that goes down takes its unfinished calls with it.
        if !self.stop.is_cancelled() {
            self.shared.perform_late(self.seq);
        }
    }
}

fn entry(call: &Call, outcome: Outcome) -> JournalEntry {
    JournalEntry {
        seq: 0,
        at: Utc::now(),
        method: call.method.to_string(),
        path: call.target.clone(),
        api: call.place.api.to_owned(),
        route: call.place.route.to_string(),
        status: None,
        outcome,
        did_work: false,
        caller: None,
        request_id: call.header("x-request-id").map(str::to_owned),
        body: redacted(&call.body),
        answer: None,
        fault: None,
        violation: None,
        mail_to: None,
        late_for: None,
    }
}

fn described(action: &Action) -> String {
    format!("{action:?}")
}

impl Reply {
    fn on_the_wire(self) -> Wire {
        Ok(self.into_response())
    }
}
