//! Jira Align as the server sees it: which path is which operation, who may call, and what a failure looks like here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::requests::{self, Visit};
use super::state::AlignWorld;
use crate::sandbox::RateLimit;
use crate::sandbox::api::{Answered, Api, Clock};
use crate::sandbox::exchange::{Call, Place, Reply, below};

/// The root of API 2.0 (ALIGN-1).
const ROOT: &str = "/rest/align/api/2";

/// The operations, as the documentation writes their paths.
pub(super) const USERS: &str = "/Users";
pub(super) const USER: &str = "/Users/{id}";
pub(super) const REGIONS: &str = "/regions";
pub(super) const CITIES: &str = "/cities";
pub(super) const DIVISIONS: &str = "/Divisions";

/// A Jira Align: its world, and what it remembers about callers.
pub struct Align {
    pub(super) world: AlignWorld,
    limit: Option<RateLimit>,
    buckets: HashMap<u64, Bucket>,
    /// What the sandbox's clock, which a test moves on, is counted from.
    started: DateTime<Utc>,
}

struct Bucket {
    left: u64,
    filled_at: Duration,
}

impl Align {
    pub(super) fn new(world: AlignWorld, limit: Option<RateLimit>) -> Self {
        Self { world, limit, buckets: HashMap::new(), started: Utc::now() }
    }

    /// ALIGN-3: who calls, while the token lives.
    fn identify(&self, call: &Call) -> Option<u64> {
        let (scheme, proof) = call.header("authorization")?.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("basic") {
            // ALIGN-32
            let pair = String::from_utf8(STANDARD.decode(proof.trim()).ok()?).ok()?;
            let (email, secret) = pair.split_once(':')?;
            return self.world.owner_with_email(email, secret).map(|owner| owner.id);
        }
        let token = scheme.eq_ignore_ascii_case("bearer").then_some(proof.trim())?;
        self.world.owner(token).map(|owner| owner.id)
    }

    /// ALIGN-6: takes a call from the caller's bucket; how many seconds to wait where there is none left.
    fn pace(&mut self, caller: u64, now: Duration) -> Result<(), u64> {
        let Some(limit) = self.limit else { return Ok(()) };
        let bucket = self.buckets.entry(caller).or_insert(Bucket { left: limit.size, filled_at: now });
        let intervals = now.saturating_sub(bucket.filled_at).as_secs() / limit.interval.as_secs().max(1);
        if intervals > 0 {
            bucket.left = limit.size.min(bucket.left.saturating_add(intervals.saturating_mul(limit.fill)));
            bucket.filled_at += limit.interval * u32::try_from(intervals).unwrap_or(u32::MAX);
        }
        if bucket.left == 0 {
            return Err((bucket.filled_at + limit.interval).saturating_sub(now).as_secs().max(1));
        }
        bucket.left -= 1;
        Ok(())
    }
}

impl Api for Align {
    type World = AlignWorld;

    fn world(&self) -> &AlignWorld {
        &self.world
    }

    fn world_mut(&mut self) -> &mut AlignWorld {
        &mut self.world
    }

    fn changes(&self) -> u64 {
        self.world.changes()
    }

    fn locate(&self, _method: &str, path: &str) -> Place {
        let Some(route) = below(path, ROOT) else { return Place::default() };
        let segments: Vec<&str> = route.split('/').filter(|segment| !segment.is_empty()).collect();
        let (route, ids): (&'static str, Vec<String>) = match segments.as_slice() {
            [users] if users.eq_ignore_ascii_case("users") => (USERS, vec![]),
            [users, id] if users.eq_ignore_ascii_case("users") => (USER, vec![(*id).to_owned()]),
            [list] if list.eq_ignore_ascii_case("regions") => (REGIONS, vec![]),
            [list] if list.eq_ignore_ascii_case("cities") => (CITIES, vec![]),
            [list] if list.eq_ignore_ascii_case("divisions") => (DIVISIONS, vec![]),
            _ => ("", vec![]),
        };
        Place { route: Cow::Borrowed(route), inside: true, segments: ids, ..Place::default() }
    }

    fn answer(&mut self, call: &Call, clock: Clock) -> Answered {
        if call.route().is_empty() {
            // ALIGN-2: whoever asks.
            return Answered { caller: None, reply: Reply::empty(404) };
        }
        let Some(caller) = self.identify(call) else {
            return Answered { caller: None, reply: Reply::empty(401).with("WWW-Authenticate", "Bearer") };
        };
        if let Err(seconds) = self.pace(caller, clock.now) {
            return Answered { caller: Some(name_of(caller)), reply: self.throttled(call, seconds) };
        }
        let now = self.started + clock.now;
        let reply = requests::answer(&mut Visit { world: &mut self.world, call, caller, now });
        Answered { caller: Some(name_of(caller)), reply }
    }

    fn caller(&mut self, call: &Call) -> Option<String> {
        self.identify(call).map(name_of)
    }

    fn error(&self, _call: &Call, _caller: Option<&str>, status: u16) -> Reply {
        match status {
            401 | 403 | 404 => Reply::empty(status),
            500.. => Reply::text(status, "The service is unavailable."),
            _ => refused(status, "Injected fault."),
        }
    }

    fn throttled(&self, _call: &Call, seconds: u64) -> Reply {
        Reply::text(429, "Too many requests.").with("Retry-After", seconds.to_string())
    }
}

/// How the journal names a caller.
fn name_of(id: u64) -> String {
    format!("user:{id}")
}

/// ALIGN-11: the text of a refusal is a JSON string.
pub(super) fn refused(status: u16, text: &str) -> Reply {
    Reply::json(status, &Value::String(text.to_owned()))
}
