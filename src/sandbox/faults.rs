//! What can be made to go wrong, on which calls, how often.
//!
//! How a fault is written on the command line is `fault_syntax`'s business.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// When the work of a [`Action::Late`] is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LateTrigger {
    /// When the client closes its connection.
    Hangup,
    /// That long after the call came.
    After(Duration),
    /// When [`super::Stand::release_late`] is called.
    Release,
}

/// What happens instead of an ordinary answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// That status with an error collection.
    Status {
        /// The code.
        code: u16,
        /// The `Retry-After` header, in seconds.
        retry_after: Option<u64>,
        /// Whether the work is done first.
        work: bool,
    },
    /// 429, with `Retry-After` in seconds.
    Throttle(u64),
    /// No answer.
    Hang,
    /// The work, then the answer after that time.
    Delay(Duration),
    /// The work at once, the answer when [`super::Stand::release_held`] is called.
    Hold,
    /// The connection is closed before the work.
    DropBefore,
    /// The work, then the connection is closed.
    DropAnswer,
    /// No answer; the work later.
    Late {
        /// When.
        trigger: LateTrigger,
        /// Whether the connection is closed at once.
        close: bool,
    },
    /// An HTML page with that status.
    Html {
        /// The code.
        code: u16,
        /// Whether the work is done first.
        work: bool,
    },
    /// 302 to a login page.
    Redirect,
    /// 403 as after too many failed logins.
    Captcha,
    /// The work, then 200 and a body that is not JSON.
    Garbage,
    /// The work, then an answer that names somebody else in `X-AUSERNAME`.
    Ausername(String),
    /// As if there had been no credentials.
    Anonymous,
}

/// An action and the calls that it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub(super) action: Action,
    method: Option<String>,
    path: Option<String>,
    exact: bool,
    containing: Option<String>,
    times: Option<u64>,
    skip: u64,
    pub(super) probability: Option<f64>,
    pub(super) seed: u64,
}

impl From<Action> for Fault {
    fn from(action: Action) -> Self {
        Self {
            action,
            method: None,
            path: None,
            exact: false,
            containing: None,
            times: None,
            skip: 0,
            probability: None,
            seed: 0,
        }
    }
}

impl Fault {
    /// Answers with that status and does nothing.
    pub fn status(code: u16) -> Self {
        Action::Status { code, retry_after: None, work: false }.into()
    }

    /// Answers 429 with `Retry-After` in seconds.
    pub fn throttle(retry_after: u64) -> Self {
        Action::Throttle(retry_after).into()
    }

    /// Never answers and does nothing.
    pub fn hang() -> Self {
        Action::Hang.into()
    }

    /// Answers after that time.
    pub fn delay(time: Duration) -> Self {
        Action::Delay(time).into()
    }

    /// Answers when the test says so.
    pub fn hold() -> Self {
        Action::Hold.into()
    }

    /// Closes the connection and does nothing.
    pub fn drop_before() -> Self {
        Action::DropBefore.into()
    }

    /// Does the work and closes the connection.
    pub fn drop_answer() -> Self {
        Action::DropAnswer.into()
    }

    /// Lets the client wait until it gives up, and does the work then.
    pub fn late(trigger: LateTrigger) -> Self {
        Action::Late { trigger, close: false }.into()
    }

    /// Closes the connection at once and does the work later.
    pub fn late_closing(trigger: LateTrigger) -> Self {
        Action::Late { trigger, close: true }.into()
    }

    /// Answers an HTML page and does nothing.
    pub fn html(code: u16) -> Self {
        Action::Html { code, work: false }.into()
    }

    /// Redirects to a login page.
    pub fn redirect() -> Self {
        Action::Redirect.into()
    }

    /// Asks for a CAPTCHA.
    pub fn captcha() -> Self {
        Action::Captcha.into()
    }

    /// Does the work and answers something that is not JSON.
    pub fn garbage() -> Self {
        Action::Garbage.into()
    }

    /// Names somebody else in `X-AUSERNAME`.
    pub fn ausername(name: &str) -> Self {
        Action::Ausername(name.to_owned()).into()
    }

    /// Loses the credentials.
    pub fn anonymous() -> Self {
        Action::Anonymous.into()
    }

    /// Only for these calls: `POST /user`, `POST`, `/user`, `POST /user$`.
    #[must_use]
    pub fn on(mut self, calls: &str) -> Self {
        for word in calls.split_whitespace() {
            if word.starts_with('/') {
                self.exact = word.ends_with('$');
                self.path = Some(word.trim_end_matches(['$', '/']).to_owned());
            } else if word != "*" {
                self.method = Some(word.to_ascii_uppercase());
            }
        }
        self
    }

    /// Only for calls with that text in the decoded query or the body.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.containing = Some(text.to_owned());
        self
    }

    /// At most that often.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Lets that many matching calls pass first.
    #[must_use]
    pub fn skip(mut self, calls: u64) -> Self {
        self.skip = calls;
        self
    }

    /// By chance: `probability` from 0 to 1, repeatable through `seed`.
    #[must_use]
    pub fn with_probability(mut self, probability: f64, seed: u64) -> Self {
        self.probability = Some(probability.clamp(0.0, 1.0));
        self.seed = seed;
        self
    }

    /// The `Retry-After` header in seconds, for [`Fault::status`].
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        if let Action::Status { retry_after, .. } = &mut self.action {
            *retry_after = Some(seconds);
        }
        self
    }

    /// Does the work all the same, for [`Fault::status`] and [`Fault::html`].
    #[must_use]
    pub fn after_the_work(mut self) -> Self {
        if let Action::Status { work, .. } | Action::Html { work, .. } = &mut self.action {
            *work = true;
        }
        self
    }

    fn fits(&self, call: &Signature<'_>) -> bool {
        let path_fits = self.path.as_deref().is_none_or(|path| match call.route.strip_prefix(path) {
            Some(rest) => rest.is_empty() || (!self.exact && (rest.starts_with('/') || path.is_empty())),
            None => false,
        });
        path_fits
            && self.method.as_deref().is_none_or(|method| method == call.method)
            && self.containing.as_deref().is_none_or(|text| call.query.contains(text) || call.body.contains(text))
    }
}

/// What a fault may look at.
pub(crate) struct Signature<'a> {
    pub(crate) method: &'a str,
    pub(crate) route: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: &'a str,
}

struct Armed {
    fault: Fault,
    passed: u64,
    played: u64,
    chance: StdRng,
}

/// The faults in force, oldest first; the first that fits a call is played.
#[derive(Default)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
}

impl Faults {
    pub(crate) fn inject(&mut self, fault: Fault) {
        let chance = StdRng::seed_from_u64(fault.seed);
        self.armed.push(Armed { fault, passed: 0, played: 0, chance });
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }

    pub(crate) fn take(&mut self, call: &Signature<'_>) -> Option<Action> {
        let at = self.armed.iter_mut().position(|armed| armed.plays(call))?;
        let armed = &self.armed[at];
        let action = armed.fault.action.clone();
        if armed.fault.times.is_some_and(|times| armed.played >= times) {
            self.armed.remove(at);
        }
        Some(action)
    }
}

impl Armed {
    fn plays(&mut self, call: &Signature<'_>) -> bool {
        if self.fault.times == Some(0) || !self.fault.fits(call) {
            return false;
        }
        if self.passed < self.fault.skip {
            self.passed += 1;
            return false;
        }
        if self.fault.probability.is_some_and(|probability| !self.chance.random_bool(probability)) {
            return false;
        }
        self.played += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn call<'a>(method: &'a str, route: &'a str, body: &'a str) -> Signature<'a> {
        Signature { method, route, query: "groupname=platform crew", body }
    }

    #[test]
    fn a_path_covers_what_is_below_it_and_not_its_namesakes() {
        let fault = Fault::hang().on("/group");
        assert!(fault.fits(&call("POST", "/group", "")));
        assert!(fault.fits(&call("POST", "/group/user", "")));
        assert!(!fault.fits(&call("GET", "/groups/picker", "")));
        assert!(!Fault::hang().on("/group$").fits(&call("POST", "/group/user", "")));
        assert!(Fault::hang().on("post /").fits(&call("POST", "/user", "")));
    }

    #[test]
    fn a_text_is_looked_for_in_query_and_body() {
        let fault = Fault::hang().containing("crew");
        assert!(fault.fits(&call("GET", "/group/member", "")));
        assert!(!Fault::hang().containing("mara").fits(&call("GET", "/group/member", "")));
        assert!(Fault::hang().containing("mara").fits(&call("GET", "/group/member", r#"{"name":"mara"}"#)));
    }

    #[test]
    fn a_fault_passes_what_it_skips_and_ends_after_its_times() {
        let mut faults = Faults::default();
        faults.inject(Fault::status(503).skip(1).times(2));
        let played: Vec<bool> = (0..4).map(|_| faults.take(&call("GET", "/user", "")).is_some()).collect();
        assert_eq!(played, [false, true, true, false]);
        assert!(faults.is_empty());
    }

    #[test]
    fn chance_repeats_itself_with_the_same_seed() {
        let play = || {
            let mut faults = Faults::default();
            faults.inject(Fault::drop_answer().with_probability(0.5, 42));
            (0..64).map(|_| faults.take(&call("GET", "/user", "")).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(play(), play());
        assert!(play().contains(&true) && play().contains(&false));
    }
}
