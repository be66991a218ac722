//! What can be made to go wrong, on which calls, how often.
//!
//! A fault is written as items with commas between them; the first says what happens:
//!
//! ```text
//! status=503            that status with an error collection (any code); X-AUSERNAME is right below 500, else
//!                       anonymous (DC-18, DC-75)
//! throttle=30           429 with Retry-After: 30
//! hang                  no answer; the client has to give up
//! delay=250             the work at once, the answer after that many milliseconds
//! drop-before           the connection is closed before the work
//! drop-answer           the work, then the connection is closed (DC-16)
//! late                  no answer; the work once the client has given up (DC-16)
//! late=250              the same, but that many milliseconds after the call came
//! late=release          the same, but when the test says so
//! html, html=503        an HTML page, 200 unless said otherwise (DC-10)
//! redirect              302 to a login page (DC-10)
//! captcha               403 as after too many failed logins (DC-5)
//! garbage               the work, then 200 and a body that is not JSON
//! ausername=NAME        the work, but X-AUSERNAME is NAME (DC-2)
//! anonymous             as if there had been no credentials (DC-2)
//! ```
//!
//! and the others say when:
//!
//! ```text
//! on=POST /user         method and path below /rest/api/2, with all that is below it; `on=POST`, `on=/user`;
//!                       `on=POST /user$` is the path alone
//! containing=TEXT       only calls with that text in the query (decoded) or the body
//! times=3               at most that often; without it, always
//! skip=2                let that many matching calls pass first
//! probability=0.1       by chance, repeatable through `seed=7`
//! retry-after=5         the header, for `status`
//! work=yes              the work first, for `status` and `html`
//! close=yes             for `late`: close the connection at once instead of letting the client wait
//! ```
//!
//! For example `status=503,times=3,on=POST /user`.

use std::str::FromStr;
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
    /// When [`super::Sandbox::release_late`] is called.
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
    action: Action,
    method: Option<String>,
    path: Option<String>,
    exact: bool,
    containing: Option<String>,
    times: Option<u64>,
    skip: u64,
    probability: Option<f64>,
    seed: u64,
}

/// Why a written fault was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FaultSyntax(String);

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

    fn set(mut self, name: &str, value: &str) -> Result<Self, FaultSyntax> {
        let bad = |what: &str| FaultSyntax(format!("`{name}={value}`: {what}"));
        Ok(match name {
            "on" => self.on(value),
            "containing" => self.containing(value),
            "times" => self.times(value.parse().map_err(|_| bad("a number is wanted"))?),
            "skip" => self.skip(value.parse().map_err(|_| bad("a number is wanted"))?),
            "retry-after" => self.retry_after(value.parse().map_err(|_| bad("seconds are wanted"))?),
            "seed" => {
                self.seed = value.parse().map_err(|_| bad("a number is wanted"))?;
                self
            }
            "probability" => match value.parse::<f64>() {
                Ok(chance) if (0.0..=1.0).contains(&chance) => {
                    self.probability = Some(chance);
                    self
                }
                _ => return Err(bad("a number from 0 to 1 is wanted")),
            },
            "work" if value == "yes" => self.after_the_work(),
            "close" if value == "yes" => {
                if let Action::Late { close, .. } = &mut self.action {
                    *close = true;
                }
                self
            }
            "work" | "close" => return Err(bad("only `yes` is understood")),
            _ => {
                let known = "on, containing, times, skip, probability, seed, retry-after, work, close";
                return Err(FaultSyntax(format!("`{name}` is not known here; known are {known}")));
            }
        })
    }
}

impl FromStr for Fault {
    type Err = FaultSyntax;

    fn from_str(text: &str) -> Result<Self, FaultSyntax> {
        let mut items = text.split(',').map(str::trim);
        let kind = items.next().unwrap_or_default();
        let (name, value) = kind.split_once('=').map_or((kind, None), |(name, value)| (name, Some(value)));
        let mut fault = Self::from(action(name, value)?);
        for item in items {
            let (name, value) =
                item.split_once('=').ok_or_else(|| FaultSyntax(format!("`{item}`: `name=value` is wanted")))?;
            fault = fault.set(name, value)?;
        }
        Ok(fault)
    }
}

fn action(name: &str, value: Option<&str>) -> Result<Action, FaultSyntax> {
    let number = |what: &str| {
        let parsed = value.and_then(|value| value.parse::<u64>().ok());
        parsed.ok_or_else(|| FaultSyntax(format!("`{name}` needs {what}: `{name}=...`")))
    };
    let code = || {
        let code = number("a status from 200 to 599")?;
        u16::try_from(code)
            .ok()
            .filter(|code| (200..600).contains(code))
            .ok_or_else(|| FaultSyntax(format!("`{name}={code}`: a status from 200 to 599 is wanted")))
    };
    Ok(match (name, value) {
        ("status", _) => Action::Status { code: code()?, retry_after: None, work: false },
        ("throttle", _) => Action::Throttle(number("seconds")?),
        ("delay", _) => Action::Delay(Duration::from_millis(number("milliseconds")?)),
        ("late", None) => Action::Late { trigger: LateTrigger::Hangup, close: false },
        ("late", Some("release")) => Action::Late { trigger: LateTrigger::Release, close: false },
        ("late", Some(_)) => {
            let after = LateTrigger::After(Duration::from_millis(number("milliseconds or `release`")?));
            Action::Late { trigger: after, close: false }
        }
        ("html", None) => Action::Html { code: 200, work: false },
        ("html", Some(_)) => Action::Html { code: code()?, work: false },
        ("ausername", Some(name)) => Action::Ausername(name.to_owned()),
        ("hang", None) => Action::Hang,
        ("drop-before" | "drop_before", None) => Action::DropBefore,
        ("drop-answer" | "drop_answer", None) => Action::DropAnswer,
        ("redirect", None) => Action::Redirect,
        ("captcha", None) => Action::Captcha,
        ("garbage", None) => Action::Garbage,
        ("anonymous", None) => Action::Anonymous,
        _ => {
            let known = "status, throttle, hang, delay, drop-before, drop-answer, late, html, redirect, captcha, \
                garbage, ausername, anonymous";
            return Err(FaultSyntax(format!("`{name}` is no fault; known are {known}")));
        }
    })
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
    fn a_written_fault_is_the_built_one() {
        let cases = [
            ("status=503,times=3,on=POST /user", Fault::status(503).times(3).on("POST /user")),
            ("status=500, retry-after=5, work=yes", Fault::status(500).retry_after(5).after_the_work()),
            ("late=release,close=yes", Fault::late_closing(LateTrigger::Release)),
            ("late=40", Fault::late(LateTrigger::After(Duration::from_millis(40)))),
            ("late", Fault::late(LateTrigger::Hangup)),
            ("html", Fault::html(200)),
            ("drop-answer,probability=0.5,seed=7", Fault::drop_answer().with_probability(0.5, 7)),
            ("hang,containing=mara.lund,skip=1", Fault::hang().containing("mara.lund").skip(1)),
        ];
        for (text, built) in cases {
            assert_eq!(text.parse::<Fault>().unwrap(), built, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_what_is_known() {
        for text in
            ["", "boom", "status", "status=99", "status=503,often=3", "hang,times", "hang,probability=2", "hang=1"]
        {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
        assert!("boom".parse::<Fault>().unwrap_err().to_string().contains("drop-answer"));
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
