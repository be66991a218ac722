//! Every request to the API goes on record: who asked for what, from where, and how it was answered. What it changed is on record
//! with the change itself. What somebody reads again and again (a page that keeps itself up to date) is on record now and then.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::request::Parts;
use chrono::{DateTime, SubsecRound, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::policy::record::{Level, Record};
use crate::record::{Open, Recorder, path_of, redacted};
use crate::secret::without_tokens;
use crate::store::audit::{NewRequest, Side, Whose};
use crate::store::tenant::Tenant;
use crate::telemetry::RequestId;

/// For so long a read is not put on record again that is like an earlier one.
const ONCE_IN: Duration = Duration::from_secs(15 * 60);
/// How many reads are remembered.
const MOST_READS: usize = 4096;

/// Of whom a request is about, the first so many.
const SUBJECTS: usize = 100;

/// What was read lately, by whom and from where.
#[derive(Debug, Default)]
pub(super) struct Reads {
    known: Mutex<HashMap<u64, Instant>>,
    hasher: RandomState,
}

impl Reads {
    /// Whether that was not read by the same person from the same place for a while.
    fn is_news(&self, read: (&str, &str, &str), now: Instant) -> bool {
        let key = self.hasher.hash_one(read);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: &Instant| now.saturating_duration_since(*at) < ONCE_IN;
        if known.get(&key).is_some_and(recent) {
            return false;
        }
        if known.len() >= MOST_READS {
            known.retain(|_, at| recent(at));
        }
        if known.len() >= MOST_READS {
            known.clear();
        }
        known.insert(key, now);
        true
    }
}

/// What turns up about a request while it is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    actor: String,
    slug: Option<String>,
    tenant: Option<(Uuid, Level)>,
    body: Option<Arc<Value>>,
    error: Option<String>,
    subjects: Vec<Uuid>,
}

impl Notes {
    fn change(&self, change: impl FnOnce(&mut Noted)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// It is let in.
    pub(super) fn actor(&self, actor: &str) {
        self.change(|noted| actor.clone_into(&mut noted.actor));
    }

    /// It is about a tenant.
    pub(super) fn slug(&self, slug: &str) {
        self.change(|noted| noted.slug = Some(slug.to_owned()));
    }

    /// It is about this tenant, whose rules say how much of it goes on record.
    pub(super) fn tenant(&self, tenant: &Tenant) {
        let record = tenant.policy.get("record").map(Record::deserialize);
        let level = record.and_then(Result::ok).unwrap_or_default().level;
        self.change(|noted| noted.tenant = Some((tenant.id, level)));
    }

    /// It says this; what is secret in it is not kept.
    pub(super) fn body(&self, body: &Value) {
        let body = Arc::new(redacted(body));
        self.change(|noted| noted.body = Some(body));
    }

    /// It is refused.
    pub(super) fn error(&self, error: &str) {
        let error = without_tokens(error).into_owned();
        self.change(|noted| noted.error = Some(error));
    }

    /// It is about somebody.
    pub(super) fn subject(&self, id: Uuid) {
        self.change(|noted| {
            if noted.subjects.len() < SUBJECTS && !noted.subjects.contains(&id) {
                noted.subjects.push(id);
            }
        });
    }
}

/// A request that is being answered.
pub(super) struct Recording {
    recorder: Recorder,
    open: Open,
    began: Instant,
    at: DateTime<Utc>,
    request_id: Uuid,
    given: Option<String>,
    remote: String,
    method: String,
    path: String,
}

impl Recording {
    pub(super) fn begin(recorder: &Recorder, parts: &Parts, id: &RequestId, remote: String) -> Self {
        let is_uuid = Uuid::try_parse(id.as_str()).is_ok();
        Self {
            recorder: recorder.clone(),
            open: recorder.open(),
            began: Instant::now(),
            at: Utc::now().trunc_subsecs(6),
            request_id: id.as_uuid(),
            given: (!is_uuid).then(|| id.as_str().to_owned()),
            remote,
            method: parts.method.as_str().to_owned(),
            path: path_of(&parts.uri, &[]),
        }
    }

    /// It was answered.
    pub(super) async fn answered(self, status: u16, notes: &Notes, known: &Reads) {
        let noted = std::mem::take(&mut *notes.0.lock().unwrap_or_else(PoisonError::into_inner));
        let reads = matches!(self.method.as_str(), "GET" | "HEAD");
        let level = noted.tenant.map_or(Level::All, |(_, level)| level);
        if reads && level != Level::All {
            return;
        }
        if reads && status < 400 && !known.is_news((&noted.actor, &self.remote, &self.path), Instant::now()) {
            return;
        }
        let whose = match (noted.tenant, noted.slug) {
            (Some((id, _)), _) => Whose::Tenant(id),
            (None, Some(slug)) => Whose::Named(slug),
            (None, None) => Whose::Nobody,
        };
        let body = noted.body.filter(|_| level != Level::Off);
        let request = NewRequest {
            whose,
            at: self.at,
            request_id: self.request_id,
            given: self.given,
            side: Side::Admin,
            actor: noted.actor,
            remote: Some(self.remote),
            method: self.method,
            path: self.path,
            status: Some(status),
            duration: self.began.elapsed(),
            subjects: noted.subjects,
            changed: false,
            keeps_body: body.is_some(),
            body,
            error: noted.error,
        };
        self.recorder.put(request).await;
        drop(self.open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_again_and_again_is_news_once_in_a_while() {
        let (reads, start) = (Reads::default(), Instant::now());
        let overview = ("admin:ann", "192.0.2.1", "/api/v1/overview");
        assert!(reads.is_news(overview, start));
        assert!(!reads.is_news(overview, start + ONCE_IN / 2));
        assert!(reads.is_news(("admin:bo", overview.1, overview.2), start));
        assert!(reads.is_news((overview.0, "192.0.2.2", overview.2), start));
        assert!(reads.is_news(overview, start + ONCE_IN), "it was not put off by being read meanwhile");
    }

    #[test]
    fn so_many_reads_are_remembered() {
        let (reads, start) = (Reads::default(), Instant::now());
        for n in 0..2 * MOST_READS {
            assert!(reads.is_news(("admin:ann", "192.0.2.1", &n.to_string()), start));
        }
        assert!(reads.known.lock().unwrap_or_else(PoisonError::into_inner).len() <= MOST_READS);
    }
}
