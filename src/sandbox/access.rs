//! Who calls, and what Jira refuses before it looks at the request: credentials, cookies, browsers, rate limits.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Version;
use super::exchange::{Call, Reply};
use super::state::{Id, World, fold};

/// Failed logins in a row before a CAPTCHA is wanted (DC-5); Jira's default.
const LOGINS_BEFORE_CAPTCHA: u32 = 3;

/// A token bucket for each account (DC-9). Written `SIZE/FILL/SECONDS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Calls that a full bucket holds.
    pub size: u64,
    /// Calls added in each interval.
    pub fill: u64,
    /// Length of an interval; whole seconds.
    pub interval: Duration,
}

impl FromStr for RateLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("`{text}`: SIZE/FILL/SECONDS is wanted, each at least 1, for example 50/10/60");
        let numbers: Result<Vec<u64>, _> = text.split('/').map(str::parse).collect();
        match numbers.map_err(|_| wanted())?.as_slice() {
            &[size, fill, seconds] if size > 0 && fill > 0 && seconds > 0 => {
                Ok(Self { size, fill, interval: Duration::from_secs(seconds) })
            }
            _ => Err(wanted()),
        }
    }
}

struct Bucket {
    left: u64,
    filled_at: Duration,
}

/// Credentials and what Jira remembers about callers.
pub(crate) struct Access {
    version: Version,
    tokens: HashMap<String, Id>,
    /// Failed Basic logins in a row by folded username, known or not.
    failures: HashMap<String, u32>,
    limit: Option<RateLimit>,
    buckets: HashMap<Id, Bucket>,
    /// Name and password of the application that may use the Crowd-compatible API (DC-80).
    application: Option<(String, String)>,
}

impl Access {
    pub(crate) fn new(version: Version, limit: Option<RateLimit>) -> Self {
        Self {
            version,
            tokens: HashMap::new(),
            failures: HashMap::new(),
            limit,
            buckets: HashMap::new(),
            application: None,
        }
    }

    pub(crate) fn set_application(&mut self, name: String, password: String) {
        self.application = Some((name, password));
    }

    /// The application that calls the Crowd-compatible API: neither a user nor a token will do (DC-80).
    pub(crate) fn application(&self, call: &Call) -> Result<String, Reply> {
        let pair = call.header("authorization").and_then(|header| header.strip_prefix("Basic "));
        let given = pair.and_then(decoded);
        match (&self.application, given) {
            (Some((name, password)), Some(given)) if given == format!("{name}:{password}") => Ok(name.clone()),
            _ => Err(Reply::text(401, "Application failed to authenticate")
                .with("WWW-Authenticate", "BASIC realm=\"Crowd REST Service\"")),
        }
    }

    pub(crate) fn add_token(&mut self, token: String, owner: Id) {
        self.tokens.insert(token, owner);
    }

    pub(crate) fn revoke_token(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    /// A person logged in with a browser and solved the CAPTCHA.
    pub(crate) fn solve_captcha(&mut self, username: &str) {
        self.failures.remove(&fold(username));
    }

    /// The account that calls, `None` for anonymous.
    pub(crate) fn identify(&mut self, world: &World, call: &Call, base_url: &str) -> Result<Option<Id>, Reply> {
        let Some(header) = call.header("authorization") else { return Ok(None) };
        match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => self.token_owner(world, token.trim()),
            Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => {
                self.basic(world, pair.trim(), base_url).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// DC-3: before 8.14 nobody looks at a bearer token, so that its caller is anonymous.
    fn token_owner(&self, world: &World, token: &str) -> Result<Option<Id>, Reply> {
        if !self.version.knows_tokens() {
            return Ok(None);
        }
        let owner = self.tokens.get(token).copied().filter(|id| world.is_active(*id));
        owner.map(Some).ok_or_else(|| {
            Reply::framework(401, "Client must be authenticated to access this resource.")
                .with("X-Seraph-LoginReason", "AUTHENTICATED_FAILED")
        })
    }

    fn basic(&mut self, world: &World, pair: &str, base_url: &str) -> Result<Id, Reply> {
        if self.version.at_least(&[11]) {
            return Err(Reply::framework(401, "Basic authentication has been disabled on this instance."));
        }
        let decoded = decoded(pair).unwrap_or_default();
        let (username, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
        let failures = self.failures.entry(fold(username)).or_default();
        if *failures >= LOGINS_BEFORE_CAPTCHA {
            return Err(captcha(base_url));
        }
        match world.find(username).filter(|id| world.is_active(*id) && world.password_fits(*id, password)) {
            Some(id) => {
                *failures = 0;
                Ok(id)
            }
            None => {
                *failures += 1;
                Err(Reply::html(401, "Unauthorized (401)").with("X-Seraph-LoginReason", "AUTHENTICATED_FAILED"))
            }
        }
    }

    /// Takes a token from the caller's bucket; answers the headers for whatever comes next, or 429. `now` only moves on.
    pub(crate) fn pace(&mut self, caller: Id, now: Duration) -> Result<Vec<(&'static str, String)>, Reply> {
        let Some(limit) = self.limit else { return Ok(Vec::new()) };
        let bucket = self.buckets.entry(caller).or_insert(Bucket { left: limit.size, filled_at: now });
        let intervals = now.saturating_sub(bucket.filled_at).as_secs() / limit.interval.as_secs().max(1);
        if intervals > 0 {
            bucket.left = limit.size.min(bucket.left.saturating_add(intervals.saturating_mul(limit.fill)));
            bucket.filled_at += limit.interval * u32::try_from(intervals).unwrap_or(u32::MAX);
        }
        let wait = (bucket.filled_at + limit.interval).saturating_sub(now).as_secs().max(1);
        if bucket.left == 0 {
            let refused = Reply::framework(429, "Rate limit exceeded.");
            return Err(limit_headers(limit, 0, wait)
                .into_iter()
                .fold(refused, |reply, (name, value)| reply.with(name, value)));
        }
        bucket.left -= 1;
        let wait = if bucket.left > 0 { 0 } else { wait };
        Ok(limit_headers(limit, bucket.left, wait))
    }
}

/// `name:password` of a Basic credential.
fn decoded(pair: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(pair.trim()).ok()?).ok()
}

fn limit_headers(limit: RateLimit, left: u64, wait: u64) -> Vec<(&'static str, String)> {
    vec![
        ("X-RateLimit-Limit", limit.size.to_string()),
        ("X-RateLimit-Remaining", left.to_string()),
        ("X-RateLimit-Interval-Seconds", limit.interval.as_secs().to_string()),
        ("X-RateLimit-FillRate", limit.fill.to_string()),
        ("Retry-After", wait.to_string()),
    ]
}

/// DC-5.
pub(crate) fn captcha(base_url: &str) -> Reply {
    Reply::html(403, "Basic Authentication Failure - Reason : AUTHENTICATION_DENIED")
        .with("X-Authentication-Denied-Reason", format!("CAPTCHA_CHALLENGE; login-url={base_url}/login.jsp"))
        .with("X-Seraph-LoginReason", "AUTHENTICATION_DENIED")
}

/// DC-6 and DC-7: what only a browser would send.
pub(crate) fn refuse_browsers(call: &Call) -> Result<(), Reply> {
    if call.header("cookie").is_some() {
        let text = "Websudo: a secure administrator session is required.";
        return Err(Reply::text(401, text).violating("sent a cookie"));
    }
    if !call.writes() {
        return Ok(());
    }
    let browser = call.header("user-agent").is_some_and(|agent| agent.starts_with("Mozilla/"));
    let what = match () {
        () if call.header("origin").is_some() => "sent Origin with a write",
        () if call.header("referer").is_some() => "sent Referer with a write",
        () if browser => "called itself Mozilla on a write",
        () => return Ok(()),
    };
    Err(Reply::text(403, "XSRF check failed").violating(what))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_bucket_is_filled_by_whole_intervals_and_never_over_its_size() {
        let limit = "2/1/60".parse().unwrap();
        let mut access = Access::new("10.3.24".parse().unwrap(), Some(limit));
        let mut left = |seconds| access.pace(1, Duration::from_secs(seconds)).ok().map(|headers| headers[1].1.clone());
        assert_eq!(left(0).as_deref(), Some("1"));
        assert_eq!(left(0).as_deref(), Some("0"));
        assert_eq!(left(59), None);
        assert_eq!(left(60).as_deref(), Some("0"));
        assert_eq!(left(6000).as_deref(), Some("1"));
    }

    #[test]
    fn a_rate_limit_is_written_as_three_numbers() {
        assert_eq!("50/10/60".parse::<RateLimit>().unwrap().interval, Duration::from_secs(60));
        for text in ["", "50", "50/10", "50/10/0", "a/b/c"] {
            assert!(text.parse::<RateLimit>().is_err(), "{text}");
        }
    }
}
