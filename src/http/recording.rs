//! What goes on record of a SCIM request: gathered on its way, handed over with its answer.
//!
//! A request that nobody waits for any more (the client hung up, or it took too long) is on record without an answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::tenant::Identity;
use crate::directory;
use crate::listen::Peer;
use crate::policy::record::Level;
use crate::record::{Open, REDACTED, Recorder, path_of};
use crate::scim::Types;
use crate::secret::without_tokens;
use crate::store::audit::{NewRequest, Side, Whose};
use crate::telemetry::RequestId;

/// What a client was told that failed; goes with the answer to whoever puts it on record.
#[derive(Clone, Debug)]
pub(super) struct Told(String);

impl Told {
    pub(super) fn new(detail: &str) -> Self {
        Self(without_tokens(&detail.replace('\0', "")).into_owned())
    }

    /// What is told with this answer.
    pub(super) fn with(response: &Response) -> Option<String> {
        response.extensions().get::<Self>().map(|Self(text)| text.clone())
    }
}

/// What is learnt on the way. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    known: Option<Known>,
    body: Option<Arc<Value>>,
    subjects: Vec<Uuid>,
    changed: bool,
    /// Operations of a Bulk that failed.
    failed: usize,
}

/// Who was let in.
#[derive(Clone, Debug)]
struct Known {
    tenant: Uuid,
    actor: String,
    level: Level,
    types: Types,
}

/// A longer method is none that anybody answers.
const LONGEST_METHOD: usize = 20;
/// A longer path is no resource's.
const LONGEST_PATH: usize = 200;
/// Of what a Bulk was about, the first so many.
const SUBJECTS: usize = 100;

impl Notes {
    fn with<T>(&self, f: impl FnOnce(&mut Noted) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Somebody was let in.
    pub(super) fn let_in(&self, identity: &Identity) {
        let known = Known {
            tenant: identity.tenant.id,
            actor: identity.credential.label.clone(),
            level: identity.level,
            types: identity.types,
        };
        self.with(|noted| noted.known = Some(known));
    }

    /// The body was read. Of a Bulk it is the whole: its operations come later.
    pub(super) fn heard(&self, body: &Value) {
        self.with(|noted| {
            let Some(known) = noted.known.as_ref().filter(|known| known.level != Level::Off) else { return };
            if noted.body.is_none() {
                noted.body = Some(Arc::new(directory::audited(body, &known.types.secrets())));
            }
        });
    }

    /// A change was accepted, or found that there is nothing to change.
    pub(super) fn accepted(&self, subject: Uuid, changed: bool) {
        self.with(|noted| {
            noted.changed |= changed;
            if noted.subjects.len() < SUBJECTS && !noted.subjects.contains(&subject) {
                noted.subjects.push(subject);
            }
        });
    }

    /// Operations failed of a request that is answered 200.
    pub(super) fn failed_inside(&self, failed: usize) {
        self.with(|noted| noted.failed = failed);
    }
}

/// The record of one request while it is answered.
pub(super) struct Recording {
    recorder: Recorder,
    _open: Open,
    notes: Notes,
    began: Instant,
    /// `None` once it is handed over.
    request: Option<NewRequest>,
    uri: axum::http::Uri,
    searches: bool,
}

impl Recording {
    /// A request to that tenant's address has come.
    pub(super) fn begin(
        recorder: &Recorder,
        notes: &Notes,
        slug: &str,
        parts: &Parts,
        (id, own, given): (&RequestId, Uuid, bool),
        remote: impl FnOnce(Option<Peer>) -> Option<String>,
    ) -> Self {
        let at: DateTime<Utc> = Utc::now();
        let request = NewRequest {
            whose: Whose::Named(slug.to_owned()),
            at,
            request_id: own,
            given: given.then(|| id.as_str().to_owned()),
            side: Side::Scim,
            actor: String::new(),
            remote: remote(parts.extensions.get::<Peer>().copied()),
            method: parts.method.as_str().chars().take(LONGEST_METHOD).collect(),
            path: String::new(),
            status: None,
            duration: std::time::Duration::ZERO,
            subjects: Vec::new(),
            changed: false,
            body: None,
            keeps_body: false,
            error: None,
        };
        Self {
            recorder: recorder.clone(),
            _open: recorder.open(),
            notes: notes.clone(),
            began: Instant::now(),
            request: Some(request),
            uri: parts.uri.clone(),
            searches: parts.method == Method::POST && parts.uri.path().ends_with("/.search"),
        }
    }

    /// It was answered.
    pub(super) async fn answered(mut self, status: u16, told: Option<String>) {
        if let Some(request) = self.taken(Some(status), told) {
            self.recorder.put(request).await;
        }
    }

    /// What goes on record; `None` where the tenant wants nothing of it there.
    fn taken(&mut self, status: Option<u16>, error: Option<String>) -> Option<NewRequest> {
        let mut request = self.request.take()?;
        let read = self.searches || matches!(request.method.as_str(), "GET" | "HEAD");
        let noted = self.notes.with(std::mem::take);
        let mut secrets = Vec::new();
        if let Some(known) = noted.known {
            match known.level {
                Level::All => {}
                Level::Changes if !read => {}
                // Who changed something, and when; nothing of what was said.
                Level::Off if noted.changed => {
                    request.path = without_tokens(self.uri.path()).chars().take(LONGEST_PATH).collect();
                    (request.whose, request.actor) = (Whose::Tenant(known.tenant), known.actor);
                    (request.status, request.duration) = (status, self.began.elapsed());
                    (request.subjects, request.changed) = (noted.subjects, true);
                    return Some(request);
                }
                Level::Changes | Level::Off => return None,
            }
            secrets = known.types.secrets();
            request.whose = Whose::Tenant(known.tenant);
            request.actor = known.actor;
        }
        request.path = path_of(&self.uri, &secrets);
        request.status = status;
        request.duration = self.began.elapsed();
        request.error = match noted.failed {
            0 => error,
            failed => error.or_else(|| Some(format!("{failed} of the operations failed."))),
        };
        if noted.body.as_deref().is_some_and(directory::hides_in_paths) || request.path.ends_with(REDACTED) {
            // The sentence may repeat what was compared with the secret.
            request.error = request.error.map(|_| "What was told speaks of a secret, and is not kept.".to_owned());
        }
        // What changed something is in the audit with its body.
        request.keeps_body = !noted.changed || noted.failed > 0;
        request.subjects = noted.subjects;
        request.changed = noted.changed;
        request.body = noted.body;
        Some(request)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let told = "Nobody waited for the answer, or it took too long.".to_owned();
        if let Some(request) = self.taken(None, Some(told)) {
            self.recorder.put_now(request);
        }
    }
}
