//! Who calls, on which host, and how often: tokens with and without scopes, the organisation's key, and the limiters.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::refusal;
use super::route::{GATEWAY, MANAGE, ORGANIZATIONS};
use super::state::{World, fold};
use crate::sandbox::access::RateLimit;
use crate::sandbox::exchange::{Call, Reply};

/// Names and values.
type Headers = Vec<(&'static str, String)>;

/// A token of the site.
struct Token {
    email: String,
    /// Works behind the gateway and nowhere else (CLOUD-2).
    scoped: bool,
}

/// The limiters of reference section 10; each is off unless it is set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// `jira-burst-based`: each endpoint and method of the site for itself, with `Retry-After`.
    pub burst: Option<RateLimit>,
    /// `jira-quota-tenant-based`: all of the site, with `Retry-After` and the time of the reset.
    pub quota: Option<RateLimit>,
    /// The edge before the site: no `Retry-After`, only the time of the reset.
    pub edge: Option<RateLimit>,
    /// The organisation's APIs together: `X-RateLimit-*`, no `Retry-After`.
    pub organization: Option<RateLimit>,
}

struct Bucket {
    left: u64,
    filled_at: Duration,
}

/// Who may call.
#[derive(Default)]
pub(crate) struct Access {
    tokens: HashMap<String, Token>,
    /// Keys of the organisation; true for one with scopes.
    keys: HashMap<String, bool>,
    pub(crate) limits: Limits,
    buckets: HashMap<String, Bucket>,
}

impl Access {
    pub(crate) fn add_token(&mut self, token: String, email: &str, scoped: bool) {
        self.tokens.insert(token, Token { email: email.to_owned(), scoped });
    }

    pub(crate) fn revoke_token(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    pub(crate) fn add_key(&mut self, key: String, scoped: bool) {
        self.keys.insert(key, scoped);
    }

    pub(crate) fn revoke_key(&mut self, key: &str) {
        self.keys.remove(key);
    }

    /// The address of whoever calls the site, `None` for anonymous. A token on the wrong host, a wrong one, and an
    /// expired one look the same (CLOUD-2).
    pub(crate) fn at_the_site(&self, world: &World, call: &Call) -> Result<Option<String>, Reply> {
        let Some(header) = call.header("authorization") else { return Ok(None) };
        let refused = || Reply::text(401, refusal::UNAUTHENTICATED);
        let pair = header.strip_prefix("Basic ").ok_or_else(refused)?;
        let decoded = STANDARD.decode(pair.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.ok_or_else(refused)?;
        let (email, token) = decoded.split_once(':').ok_or_else(refused)?;
        let known = self.tokens.get(token).filter(|known| fold(&known.email) == fold(email)).ok_or_else(refused)?;
        if known.scoped != (call.place.api == GATEWAY) {
            return Err(refused());
        }
        world
            .person(email)
            .filter(|person| person.uses_apps())
            .map(|person| Some(person.email.clone()))
            .ok_or_else(refused)
    }

    /// Whether the organisation's key is good for this call (CLOUD-3, CLOUD-4).
    pub(crate) fn at_the_organization(&self, call: &Call) -> Result<(), Reply> {
        let key = call.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        let scoped = match key.and_then(|key| self.keys.get(key.trim())) {
            Some(scoped) => *scoped,
            None if call.place.api == MANAGE => return Err(refusal::manage(401, "unauthorized", None)),
            None => return Err(refusal::proxy(401, "Unauthorized")),
        };
        let reads = !call.writes() || call.route().ends_with("/search") || call.route().ends_with("/workspaces");
        match call.place.api {
            // The form is unconfirmed, the text is not.
            MANAGE if scoped => Err(Reply::json(
                403,
                &serde_json::json!({"key": "forbidden", "errorDetail": "The request requires the manage:org scope"}),
            )),
            ORGANIZATIONS if scoped && !reads => {
                Err(refusal::organization(401, "ADMIN-401-2", "The API key does not have the required scope"))
            }
            _ => Ok(()),
        }
    }

    /// Takes a call from each limiter that it meets; answers what the headers are to be, or the 429.
    pub(crate) fn pace(&mut self, call: &Call, now: Duration) -> Result<Headers, Reply> {
        let limits = self.limits;
        if call.place.api == ORGANIZATIONS || call.place.api == MANAGE {
            let Some(limit) = limits.organization else { return Ok(Vec::new()) };
            let headers = self.take("organization".to_owned(), limit, call, now);
            return headers.map_err(|(_, headers)| with(refusal::proxy(429, "Rate limit exceeded"), headers));
        }
        if let Some(limit) = limits.edge {
            let headers = self.take("edge".to_owned(), limit, call, now);
            headers.map_err(|(_, headers)| {
                with(Reply::text(429, "Rate limited"), headers)
                    .with("X-Failure-Category", "FAILURE_CLIENT_RATE_LIMITED")
            })?;
        }
        let burst = format!("{} {}", call.method, call.route());
        let kinds =
            [(limits.burst, burst, "jira-burst-based"), (limits.quota, "quota".to_owned(), "jira-quota-tenant-based")];
        let mut told = Vec::new();
        for (limit, name, reason) in kinds {
            let Some(limit) = limit else { continue };
            told = self.take(name, limit, call, now).map_err(|(wait, headers)| {
                with(refusal::jira(429, "Rate limit exceeded."), headers)
                    .with("RateLimit-Reason", reason)
                    .with("Retry-After", wait.to_string())
            })?;
        }
        Ok(told)
    }

    fn take(&mut self, name: String, limit: RateLimit, call: &Call, now: Duration) -> Result<Headers, (u64, Headers)> {
        let bucket = self.buckets.entry(name).or_insert(Bucket { left: limit.size, filled_at: now });
        let intervals = now.saturating_sub(bucket.filled_at).as_secs() / limit.interval.as_secs().max(1);
        if intervals > 0 {
            bucket.left = limit.size.min(bucket.left.saturating_add(intervals.saturating_mul(limit.fill)));
            bucket.filled_at += limit.interval * u32::try_from(intervals).unwrap_or(u32::MAX);
        }
        let wait = (bucket.filled_at + limit.interval).saturating_sub(now).as_secs().max(1);
        let reset = call.at + chrono::TimeDelta::seconds(i64::try_from(wait).unwrap_or(i64::MAX));
        let headers = |left: u64| {
            vec![
                ("X-RateLimit-Limit", limit.size.to_string()),
                ("X-RateLimit-Remaining", left.to_string()),
                ("X-RateLimit-Reset", reset.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
            ]
        };
        if bucket.left == 0 {
            return Err((wait, headers(0)));
        }
        bucket.left -= 1;
        Ok(headers(bucket.left))
    }
}

fn with(reply: Reply, headers: Headers) -> Reply {
    headers.into_iter().fold(reply, |reply, (name, value)| reply.with(name, value))
}
