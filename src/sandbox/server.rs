//! The sandbox's sockets: connections, the order in which a call meets faults and the API, and the journal.
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
use rand::Rng;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::{self, Access};
use super::data_center::{self, Site, Visit};
use super::exchange::{Call, Reply};
use super::faults::{Action, Faults, LateTrigger, Signature};
use super::journal::{Journal, JournalEntry, Outcome, redacted};
use super::state::{Id, World};

/// The largest body that is read, in bytes.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox closes the connection on purpose")]
struct Dropped;

type Wire = Result<Response<Full<Bytes>>, Dropped>;

/// What one lock guards.
pub(crate) struct Inner {
    pub(crate) world: World,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) access: Access,
    /// Calls whose work is still to be done, with the number of their journal entry.
    late: BTreeMap<u64, Call>,
    /// Added to the rate limiter's clock.
    pub(crate) ahead: Duration,
}

impl Inner {
    pub(crate) fn new(world: World, journal: Journal, access: Access) -> Self {
        let (faults, late) = (Faults::default(), BTreeMap::new());
        Self { world, journal, faults, access, late, ahead: Duration::ZERO }
    }

    /// Writes down a call that nobody handled; answers its number.
    fn note(&mut self, call: &Call, outcome: Outcome, action: &Action) -> u64 {
        let mut entry = entry(call, outcome);
        entry.fault = Some(described(action));
        self.journal.push(entry)
    }
}

/// What the handle and the connections share.
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    site: Site,
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
    pub(crate) fn begin(shared: Arc<Shared>, listener: TcpListener) -> Self {
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

impl Shared {
    pub(crate) fn new(inner: Inner, site: Site) -> Self {
        Self {
            inner: Mutex::new(inner),
            site,
            changes: watch::Sender::new(()),
            releases: watch::Sender::new(0),
            started: Instant::now(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.site.base_url
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
        let call = Call::new(head, body, &self.site.context, Utc::now());
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
        inner.faults.take(&Signature { method, route: &call.route, query: &query, body: &body })
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
        let before = inner.world.changes();
        let (caller, reply) = inner.answer(call, &self.site, fault, self.started.elapsed());
        let mut entry = entry(call, outcome);
        entry.status = Some(reply.status);
        entry.did_work = inner.world.changes() != before;
        entry.caller = caller;
        entry.fault = fault.map(described);
        entry.violation = reply.violation.map(str::to_owned);
        entry.mail_to.clone_from(&reply.mail_to);
        entry.late_for = late_for;
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

struct OnHangup {
    shared: Arc<Shared>,
    stop: CancellationToken,
    seq: u64,
}

impl Drop for OnHangup {
    fn drop(&mut self) {
        // A Jira that goes down takes its unfinished calls with it.
        if !self.stop.is_cancelled() {
            self.shared.perform_late(self.seq);
        }
    }
}

impl Inner {
    /// The caller's name and the answer: the fault's, or Jira's own, changed by the fault where it says so.
    fn answer(&mut self, call: &Call, site: &Site, fault: Option<&Action>, clock: Duration) -> (Option<String>, Reply) {
        match fault {
            Some(Action::Status { code, retry_after, work }) => {
                let caller = if *work { self.jira(call, site, false, clock).0 } else { self.caller(call, site) };
                // A failing Jira no longer knows who called (DC-18); one that refuses does (DC-75).
                let known = caller.as_deref().filter(|_| *code < 500).unwrap_or("anonymous");
                let reply = Reply::error(*code, "Injected fault.").with("X-AUSERNAME", header_value(known));
                (
                    caller,
                    retry_after.iter().fold(reply, |reply, seconds| reply.with("Retry-After", seconds.to_string())),
                )
            }
            Some(Action::Throttle(seconds)) => {
                let reply = Reply::framework(429, "Rate limit exceeded.").with("X-RateLimit-Remaining", "0");
                (None, reply.with("Retry-After", seconds.to_string()))
            }
            Some(Action::Html { code, work }) => {
                let caller = if *work { self.jira(call, site, false, clock).0 } else { None };
                (caller, Reply::html(*code, "Please log in, or come back later"))
            }
            Some(Action::Redirect) => {
                (None, Reply::empty(302).with("Location", format!("{}/login.jsp?os_destination=x", site.base_url)))
            }
            Some(Action::Captcha) => (None, access::captcha(&site.base_url)),
            Some(Action::Garbage) => {
                let (caller, _) = self.jira(call, site, false, clock);
                let header = caller.clone().unwrap_or_else(|| "anonymous".to_owned());
                (caller, Reply::garbage().with("X-AUSERNAME", header_value(&header)))
            }
            Some(Action::Ausername(name)) => {
                let (caller, reply) = self.jira(call, site, false, clock);
                (caller, reply.with("X-AUSERNAME", name))
            }
            Some(Action::Anonymous) => self.jira(call, site, true, clock),
            _ => self.jira(call, site, false, clock),
        }
    }

    /// The name of whoever calls, if anybody is.
    fn caller(&mut self, call: &Call, site: &Site) -> Option<String> {
        let id = self.access.identify(&self.world, call, &site.base_url).ok().flatten();
        id.map(|id| self.world.record(id).name.to_string())
    }

    fn jira(&mut self, call: &Call, site: &Site, anonymous: bool, clock: Duration) -> (Option<String>, Reply) {
        if !call.rest {
            return (None, outside_of_rest(call));
        }
        let caller = match self.access.identify(&self.world, call, &site.base_url) {
            Ok(caller) => caller.filter(|_| !anonymous),
            Err(refused) => return (None, refused.with("X-AUSERNAME", "anonymous")),
        };
        // The name before the call, which may rename its own caller.
        let name = caller.map(|id| self.world.record(id).name.to_string());
        let header = name.clone().unwrap_or_else(|| "anonymous".to_owned());
        let reply = self.admitted(call, site, caller, clock).with("X-AUSERNAME", header_value(&header));
        let session: u128 = rand::rng().random();
        let path = if site.context.is_empty() { "/" } else { &site.context };
        (name, reply.with("Set-Cookie", format!("JSESSIONID={session:032X}; Path={path}; HttpOnly")))
    }

    fn admitted(&mut self, call: &Call, site: &Site, caller: Option<Id>, clock: Duration) -> Reply {
        if let Err(refused) = access::refuse_browsers(call) {
            return refused;
        }
        let limits = match caller.map(|id| self.access.pace(id, clock + self.ahead)).transpose() {
            Ok(limits) => limits.unwrap_or_default(),
            Err(throttled) => return throttled,
        };
        let reply = data_center::answer(&mut Visit { world: &mut self.world, site, call, caller });
        limits.into_iter().fold(reply, |reply, (name, value)| reply.with(name, value))
    }
}

/// DC-11.
fn outside_of_rest(call: &Call) -> Reply {
    match (call.method.as_str(), call.route.as_str()) {
        ("GET", "/status") => Reply::json(200, &serde_json::json!({"state": "RUNNING"})),
        _ => Reply::html(404, "Oops, you've found a dead link"),
    }
}

/// Header values are ASCII; what is not is encoded.
fn header_value(name: &str) -> String {
    if name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return name.to_owned();
    }
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn entry(call: &Call, outcome: Outcome) -> JournalEntry {
    JournalEntry {
        seq: 0,
        at: Utc::now(),
        method: call.method.to_string(),
        path: call.target.clone(),
        route: call.route.clone(),
        status: None,
        outcome,
        did_work: false,
        caller: None,
        request_id: call.header("x-request-id").map(str::to_owned),
        body: redacted(&call.body),
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
