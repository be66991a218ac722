//! A connection on which every answer is checked and recorded.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method};
use serde_json::Value;

use super::check::{self, Answer, Check, Fault, Protocol};
use super::client::{Connection, Request, Service};
use crate::telemetry::Chain;

pub use super::recorder::{Budget, Recorder};

/// A request with what is expected of its answer.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What the report calls it: `POST /Users`.
    pub name: &'static str,
    /// Whom or what it is about, for people.
    pub about: String,
    /// The quirks by which it is sent like this: `OKTA-6`.
    pub cites: &'static str,
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
        Self { name, about: String::new(), cites: "", request, statuses, checks: Vec::new() }
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

    /// Sent because of these quirks.
    #[must_use]
    pub fn cites(mut self, quirks: &'static str) -> Self {
        self.cites = quirks;
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

/// How a provider speaks, whatever it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Which SCIM.
    pub protocol: Protocol,
    /// What stands in the query of every URL (ENTRA-12).
    pub flag: Option<&'static str>,
    /// The `Content-Type` of requests without a body (SLACK-1).
    pub empty_type: Option<&'static str>,
    /// Whether it fails where an answer does not say its charset (SLACK-6).
    pub charset: bool,
}

/// How a provider waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For an answer.
    pub answer: Duration,
    /// How often a request that was answered with 429 is sent in all; 1: a 429 is an error like others.
    pub attempts: u32,
    /// How often a request that was not answered is sent in all.
    pub sends: u32,
}

/// Longer than this no 429 is obeyed: the session has to end.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// Before a request that was not answered is sent again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

impl Manner {
    /// SCIM 2.0, plainly.
    pub const V2: Self = Self { protocol: Protocol::V2, flag: None, empty_type: None, charset: false };
    /// SCIM 1.1, plainly.
    pub const V1: Self = Self { protocol: Protocol::V1, ..Self::V2 };

    fn put_on(&self, ask: &mut Ask) {
        if let Some(flag) = self.flag {
            let joint = if ask.request.path.contains('?') { '&' } else { '?' };
            ask.request.path.push(joint);
            ask.request.path.push_str(flag);
        }
        if let Some(media) = self.empty_type.filter(|_| ask.request.body.is_none()) {
            ask.request.headers.push((CONTENT_TYPE, HeaderValue::from_static(media)));
        }
        if self.charset {
            ask.checks.push(Check::Charset);
        }
    }
}

impl Patience {
    /// How long to wait before a request that was answered with 429 is sent again.
    ///
    /// # Errors
    /// Why it is not sent again.
    fn after_throttling(&self, attempt: u32, answer: &Answer) -> Result<Duration, Fault> {
        if attempt >= self.attempts {
            return Err(Fault::new(format!("429 after {attempt} attempts"), "OKTA-27"));
        }
        let seconds = check::retry_after(answer).map_err(|what| Fault::new(what, "OKTA-27"))?;
        let wait = Duration::from_secs(seconds);
        if wait > LONGEST_WAIT {
            let what = format!("Retry-After of {seconds} s is more than this session waits");
            return Err(Fault::new(what, "OKTA-27"));
        }
        Ok(wait)
    }

    /// How long to wait before a request that was not answered is sent again; `None`: it is not.
    fn after_silence(&self, attempt: u32) -> Option<Duration> {
        (attempt < self.sends).then(|| FIRST_PAUSE * 2_u32.saturating_pow(attempt.min(6) - 1))
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
    manner: Manner,
    watch: Option<Arc<dyn Watch>>,
    /// Whether the last request may have been done without our knowing.
    in_doubt: bool,
}

impl Wire {
    /// A connection that sends these headers with every request.
    pub fn new(service: Arc<Service>, headers: HeaderMap, recorder: Arc<Recorder>, patience: Patience) -> Self {
        let connection = Connection::new(service, headers, patience.answer);
        Self { connection, recorder, patience, manner: Manner::default(), watch: None, in_doubt: false }
    }

    /// Speaks in this manner.
    #[must_use]
    pub fn speaking(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
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

    /// Whether the server may have done the last request without our knowing: no answer came, or a 5xx.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Sends a request, checks the answer, and puts both on record. A 429 is obeyed (OKTA-27); what was not answered is
    /// sent again where the provider does so (KC-2).
    ///
    /// # Errors
    /// The answer cannot be worked with; see [`Failed`].
    pub async fn ask(&mut self, mut ask: Ask) -> Result<Answer, Failed> {
        self.manner.put_on(&mut ask);
        if let Some(watch) = &self.watch {
            watch.before(&mut ask);
        }
        self.in_doubt = false;
        for attempt in 1.. {
            let Some(answer) = self.exchange(&ask).await? else {
                let Some(pause) = self.patience.after_silence(attempt) else { return Err(Failed) };
                tokio::time::sleep(pause).await;
                continue;
            };
            if answer.status != 429 || ask.statuses.contains(&429) {
                return if ask.statuses.contains(&answer.status) { Ok(answer) } else { Err(Failed) };
            }
            match self.patience.after_throttling(attempt, &answer) {
                Ok(wait) => tokio::time::sleep(wait).await,
                Err(fault) => {
                    self.recorder.complain(shown(&ask), fault);
                    return Err(Failed);
                }
            }
        }
        Err(Failed)
    }

    /// One request, one answer; `None` where none came.
    async fn exchange(&mut self, ask: &Ask) -> Result<Option<Answer>, Failed> {
        if self.recorder.is_spent() {
            return Err(Failed);
        }
        self.recorder.sending();
        let started = std::time::Instant::now();
        let reply = match self.connection.send(&ask.request).await {
            Ok(reply) => reply,
            Err(error) => {
                self.in_doubt = true;
                let faults = vec![Fault::new(Chain(&error).to_string(), "GEN-22")];
                self.record(ask, None, started.elapsed(), faults).await;
                self.recorder.unanswered();
                return Ok(None);
            }
        };
        self.recorder.answered(ask.name, reply.took);
        let answer = Answer::new(reply.status.as_u16(), reply.headers, &reply.body);
        self.in_doubt = answer.status >= 500;
        let throttled = answer.status == 429 && !ask.statuses.contains(&429);
        let faults = if throttled {
            self.recorder.throttled();
            Vec::new()
        } else {
            check::faults(self.manner.protocol, ask.statuses, ask.cites, &ask.checks, &answer)
        };
        self.record(ask, Some(answer.status), reply.took, faults).await;
        Ok(Some(answer))
    }

    async fn record(&self, ask: &Ask, status: Option<u16>, took: Duration, faults: Vec<Fault>) {
        if let Some(watch) = &self.watch {
            let complaints: Vec<String> = faults.iter().map(Fault::to_string).collect();
            watch.after(ask, status, took, &complaints).await;
        }
        for fault in faults {
            self.recorder.complain(shown(ask), fault);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hyper::header::RETRY_AFTER;

    use super::*;

    const PATIENCE: Patience = Patience { answer: Duration::from_secs(60), attempts: 3, sends: 3 };

    fn throttled(retry_after: &'static str) -> Answer {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(retry_after))]);
        Answer::new(429, headers, b"")
    }

    #[test]
    fn a_flag_is_in_every_query_and_a_form_type_on_what_has_no_body() {
        let manner = Manner { flag: Some("flag"), empty_type: Some("text/form"), charset: true, ..Manner::default() };
        let put_on = |mut ask: Ask| {
            manner.put_on(&mut ask);
            (ask.request.path, ask.request.headers.len(), ask.checks)
        };
        let ask = |method, path| Ask::new("", method, path, &[200]);
        let charset = || vec![Check::Charset];
        assert_eq!(put_on(ask(Method::GET, "/Users?count=1")), ("/Users?count=1&flag".into(), 1, charset()));
        let write = ask(Method::PUT, "/Users/u-1").json(&Value::Null);
        assert_eq!(put_on(write), ("/Users/u-1?flag".into(), 0, charset()));
    }

    #[test]
    fn a_429_is_obeyed_so_often_and_never_for_long() {
        assert_eq!(PATIENCE.after_throttling(1, &throttled("7")).unwrap(), Duration::from_secs(7));
        assert!(PATIENCE.after_throttling(3, &throttled("7")).unwrap_err().what.contains("after 3 attempts"));
        assert!(PATIENCE.after_throttling(1, &throttled("3600")).unwrap_err().what.contains("more than"));
        assert!(PATIENCE.after_throttling(1, &throttled("soon")).unwrap_err().what.contains("not an integer"));
    }

    #[test]
    fn silence_is_answered_with_ever_longer_pauses_and_then_with_giving_up() {
        let pauses: Vec<_> = (1..=3).map(|attempt| PATIENCE.after_silence(attempt)).collect();
        assert_eq!(pauses, [Some(FIRST_PAUSE), Some(FIRST_PAUSE * 2), None]);
        let once = Patience { sends: 1, ..PATIENCE };
        assert_eq!(once.after_silence(1), None);
    }
}
