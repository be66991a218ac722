//! Every request to the API goes on record: who asked for what, from where, and how it was answered. What it changed is on record
//! with the change itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::http::request::Parts;
use chrono::{DateTime, SubsecRound, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::record::{Open, Recorder, path_of, redacted};
use crate::store::audit::{NewRequest, Side, Whose};
use crate::telemetry::RequestId;

/// What turns up about a request while it is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    actor: String,
    slug: Option<String>,
    body: Option<Arc<Value>>,
    error: Option<String>,
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

    /// It says this; what is secret in it is not kept.
    pub(super) fn body(&self, body: &Value) {
        let body = Arc::new(redacted(body));
        self.change(|noted| noted.body = Some(body));
    }

    /// It is refused.
    pub(super) fn error(&self, error: &str) {
        self.change(|noted| noted.error = Some(error.to_owned()));
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
    pub(super) async fn answered(self, status: u16, notes: &Notes) {
        let noted = std::mem::take(&mut *notes.0.lock().unwrap_or_else(PoisonError::into_inner));
        let whose = match noted.slug {
            Some(slug) => Whose::Named(slug),
            None => Whose::Nobody,
        };
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
            subjects: Vec::new(),
            changed: false,
            keeps_body: noted.body.is_some(),
            body: noted.body,
            error: noted.error,
        };
        self.recorder.put(request).await;
        drop(self.open);
    }
}
