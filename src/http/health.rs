//! How the process is: `/livez`, `/readyz`, `/healthz`. For monitors and orchestrators; without credentials, without
//! tenants' data.
//!
//! Ready means that a request can be accepted: the database answers and has our schema. A Jira that is away is shown in
//! `/healthz` and never makes the process unready, because accepting what the IdP says meanwhile is what it is for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::HttpState;
use super::reply;
use crate::store::StoreError;
use crate::store::health::{SchemaState, schema_state};
use crate::telemetry::{CONTENT_TYPE, Chain};
use crate::writer;

/// How long a check may take before the database counts as away.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the process's parts last said of themselves. Clones share it; background loops report here.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, Component>>>);

/// One part of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Component {
    /// `ok`, or in one word what is wrong.
    pub state: String,
    /// When it last worked.
    pub last_success: Option<DateTime<Utc>>,
    /// When it last failed.
    pub last_failure: Option<DateTime<Utc>>,
    /// What it said then.
    pub last_error: Option<String>,
}

impl Health {
    /// The part `name` worked.
    pub fn worked(&self, name: &'static str, now: DateTime<Utc>) {
        self.report(name, |component| {
            component.state = "ok".into();
            component.last_success = Some(now);
        });
    }

    /// The part `name` failed, in a sentence without secrets.
    pub fn failed(&self, name: &'static str, sentence: String, now: DateTime<Utc>) {
        self.report(name, |component| {
            component.state = "failing".into();
            component.last_failure = Some(now);
            component.last_error = Some(sentence);
        });
    }

    fn report(&self, name: &'static str, change: impl FnOnce(&mut Component)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default());
    }

    fn snapshot(&self) -> BTreeMap<&'static str, Component> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The whole of `/healthz`.
#[derive(Debug, Serialize)]
struct Report {
    /// `ok`; `degraded` where a part or a target fails; `down` where no request can be accepted.
    state: &'static str,
    version: &'static str,
    components: BTreeMap<&'static str, Component>,
    targets: Vec<writer::Health>,
}

/// `/livez`: this answer is the proof.
pub(super) fn livez() -> Response {
    plain(StatusCode::OK, "ok\n")
}

/// `/readyz`: 200 or 503, with a word why.
pub(super) async fn readyz(state: &HttpState) -> Response {
    if state.lifecycle.is_ending() {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "ending\n");
    }
    match check_database(state).await {
        Ok(()) => plain(StatusCode::OK, "ready\n"),
        Err(word) => plain(StatusCode::SERVICE_UNAVAILABLE, word),
    }
}

/// `/healthz`: every part; 503 only where no request can be accepted.
pub(super) async fn healthz(state: &HttpState) -> Response {
    let up = check_database(state).await.is_ok();
    let targets = if up { state.writer.health().await.unwrap_or_default() } else { Vec::new() };
    let components = state.health.snapshot();
    let well = components.values().all(|component| component.state == "ok")
        && targets.iter().all(|target| target.state != "paused");
    let (status, word) = match (up, well) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "down"),
        (true, false) => (StatusCode::OK, "degraded"),
        (true, true) => (StatusCode::OK, "ok"),
    };
    let report = Report { state: word, version: env!("CARGO_PKG_VERSION"), components, targets };
    let mut response = reply::json(status, &report);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Asks the database and notes what came of it.
async fn check_database(state: &HttpState) -> Result<(), &'static str> {
    let (word, sentence) = match tokio::time::timeout(PATIENCE, schema_state(state.store.pool())).await {
        Ok(Ok(SchemaState::Current)) => {
            state.health.worked("database", Utc::now());
            state.metrics.database_up(true);
            return Ok(());
        }
        Ok(Ok(SchemaState::Behind)) => ("migrations are missing\n", "Migrations are missing.".to_owned()),
        Ok(Ok(SchemaState::Newer)) => {
            ("the database's schema is newer than this program\n", "The schema is newer than this program.".to_owned())
        }
        Ok(Err(error)) => ("the database is not available\n", public(&error)),
        Err(_) => ("the database does not answer\n", "The database does not answer.".to_owned()),
    };
    state.health.failed("database", sentence, Utc::now());
    state.metrics.database_up(false);
    Err(word)
}

/// The sentence of an error for everybody; its causes, which may name hosts, for the log.
fn public(error: &StoreError) -> String {
    tracing::warn!(error = %Chain(error), "the database failed a health check");
    error.to_string()
}

/// `/metrics`, for Prometheus.
pub(super) fn metrics(state: &HttpState) -> Response {
    let text = match state.metrics.render() {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(error = %Chain(&error), "the metrics could not be rendered");
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be rendered\n");
        }
    };
    let mut response = plain(StatusCode::OK, text);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}

/// A short answer in plain text.
fn plain(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_recovers_keeps_its_last_error() {
        let (health, start) = (Health::default(), DateTime::UNIX_EPOCH);
        health.failed("janitor", "The database is not available.".into(), start);
        health.worked("janitor", start + Duration::from_secs(60));
        let parts = health.snapshot();
        assert_eq!(parts["janitor"].state, "ok");
        assert_eq!(parts["janitor"].last_failure, Some(start));
        assert_eq!(parts["janitor"].last_error.as_deref(), Some("The database is not available."));
    }
}
