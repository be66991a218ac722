//! The way that every request of an administrator takes, from its arrival to its answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use chrono::{SubsecRound, Utc};
use futures_util::{FutureExt, StreamExt};
use serde_json::Value;
use tokio::sync::oneshot;
use tracing::Instrument;

use super::answer::Outcome;
use super::call::{Call, shown};
use super::door::Identity;
use super::operations::{Found, Operation, find};
use super::recording::{Notes, Recording};
use super::refusal::Refusal;
use super::{AdminState, ui};
use crate::listen::{Client, Peer, client};
use crate::store::jsonb;
use crate::telemetry::RequestId;

/// In and out.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What a session's changes come with.
const X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
/// What everything but the API may load, and whom it may be shown by: nobody but itself.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// Answers a request.
pub(super) async fn entry(State(state): State<Arc<AdminState>>, request: Request) -> Response {
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    let given = parts.headers.get(&X_REQUEST_ID).and_then(|value| value.to_str().ok());
    let id = RequestId::from_header(given);
    let peer = parts.extensions.get::<Peer>().copied();
    let client = peer
        .map(|peer| client(peer, &parts.headers, &state.options.trusted_proxies))
        .unwrap_or(Client { address: std::net::Ipv4Addr::UNSPECIFIED.into(), tls: false });
    let path = parts.uri.path().to_owned();
    let span = tracing::info_span!("admin", request.id = id.as_str(), method = parts.method.as_str());
    let notes = Notes::default();
    let mut recording = None;
    let served = async {
        match path.strip_prefix("/api/v1") {
            Some(rest) if rest.starts_with('/') => {
                let begin = |recorder| Recording::begin(recorder, &parts, &id, client.address.to_string());
                recording = state.recorder.as_ref().map(begin);
                api(&state, rest, (parts.clone(), &id), body, client, &notes).await
            }
            _ => ui::serve(&path, &parts.method, &parts.headers),
        }
    };
    let served = AssertUnwindSafe(served).catch_unwind().instrument(span.clone()).await;
    let mut response = served.unwrap_or_else(|_| Refusal::internal().response());
    if let Some(recording) = recording {
        let status = response.status().as_u16();
        recording.answered(status, &notes, &state.reads).await;
    }
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    if parts.method == Method::HEAD {
        let length = response.body().size_hint().exact();
        *response.body_mut() = Body::empty();
        if let Some(length) = length.filter(|_| response.status() != StatusCode::NOT_MODIFIED) {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
    }
    let _inside = span.enter();
    let (status, duration_ms) = (response.status().as_u16(), began.elapsed().as_secs_f64() * 1000.0);
    tracing::debug!(status, duration_ms, "answered an administrator");
    secured(response, path.starts_with("/api/") || path == "/")
}

/// The headers that every answer has; `fresh`: nothing may keep it.
pub(super) fn secured(mut response: Response, fresh: bool) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    if fresh && !headers.contains_key(header::ETAG) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// A request to the API, to its answer.
async fn api(
    state: &Arc<AdminState>,
    path: &str,
    (parts, id): (Parts, &RequestId),
    body: Body,
    client: Client,
    notes: &Notes,
) -> Response {
    let served = async {
        let (operation, params) = match find(path, &parts.method) {
            Found::Operation(operation, params) => (operation, params),
            Found::OtherMethods(allowed) => return Err(Refusal::method(&allowed)),
            Found::Nothing => return Err(Refusal::no_such_path()),
        };
        params.iter().filter(|(name, _)| *name == "slug").for_each(|(_, slug)| notes.slug(slug));
        let who = admitted(state, operation, &parts, client, notes).await?;
        let query = query(operation, parts.uri.query().unwrap_or_default())?;
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        let body = if operation.body { Some(read(state, &parts.headers, body).await?) } else { None };
        // What somebody signs in with is in no record, however it is spelt.
        if let Some(body) = body.as_ref().filter(|_| !operation.is_open) {
            notes.body(body);
        }
        let actor = who.as_ref().map_or_else(|| "admin".to_owned(), |who| format!("admin:{}", who.token.label));
        let now = Utc::now().trunc_subsecs(6);
        let (state, request_id, notes) = (Arc::clone(state), id.as_uuid(), notes.clone());
        let call = Call { state, who, client, request_id, now, actor, params, query, body, notes };
        if reads {
            return (operation.handler)(&call).await;
        }
        detached(operation, call).await
    };
    match served.await {
        Ok(answer) => answer.response(),
        Err(refusal) => {
            notes.error(&refusal.message);
            refusal.response()
        }
    }
}

/// Lets in whoever may use the operation.
async fn admitted(
    state: &AdminState,
    operation: &Operation,
    parts: &Parts,
    client: Client,
    notes: &Notes,
) -> Result<Option<Identity>, Refusal> {
    if operation.is_open {
        return Ok(None);
    }
    let now = Utc::now();
    let who = state.door.admit(&state.store, &parts.headers, client.address, now).await?;
    notes.actor(&format!("admin:{}", who.token.label));
    let changes = !matches!(parts.method, Method::GET | Method::HEAD);
    if let Some(claims) = who.session.as_ref().filter(|_| changes) {
        let given = parts.headers.get(&X_CSRF_TOKEN).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !state.door.sessions.is_csrf(claims, given) {
            let message = "Send the session's csrf as X-CSRF-Token with everything that changes something.";
            return Err(Refusal::forbidden("csrf", message));
        }
    }
    if who.token.role < operation.role {
        let (needs, has) = (operation.role.as_str(), who.token.role.as_str());
        return Err(Refusal::forbidden("role-too-low", format!("This takes the role {needs}; you are {has}.")));
    }
    state.note_use(&who);
    Ok(Some(who))
}

impl AdminState {
    /// Writes down in the background that a token was used.
    fn note_use(&self, who: &Identity) {
        let noted = who.token.last_used.is_some_and(|at| Utc::now() - at < chrono::TimeDelta::minutes(1));
        if noted {
            return;
        }
        let (store, id) = (self.store.clone(), who.token.id);
        self.life.spawn("admin token last used", async move {
            if let Err(error) = crate::store::admin_token::touch(store.pool(), id, Utc::now()).await {
                tracing::debug!(%error, "the use of an admin token could not be noted");
            }
        });
    }
}

/// A change goes on when whoever asked for it hangs up.
async fn detached(operation: &'static Operation, call: Call) -> Outcome {
    let (done, answer) = oneshot::channel();
    let life = call.state.life.clone();
    let work = async move {
        let outcome = AssertUnwindSafe((operation.handler)(&call)).catch_unwind().await;
        // Nobody may wait any more.
        let _ = done.send(outcome.unwrap_or_else(|_| Err(Refusal::internal())));
    };
    life.spawn("admin request", work.in_current_span());
    answer.await.unwrap_or_else(|_| Err(Refusal::internal()))
}

/// The parameters of the query, all of which the operation knows.
fn query(operation: &Operation, text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(text.as_bytes()).map(|(name, value)| (name.into(), value.into())).collect();
    match pairs.iter().find(|(name, _)| !operation.query.contains(&name.as_str())) {
        Some((name, _)) => {
            let name = shown(name);
            Err(Refusal::parameter(&name, format!("{name} is no parameter of this operation.")))
        }
        None => Ok(pairs),
    }
}

/// The body: JSON within bounds.
async fn read(state: &AdminState, headers: &HeaderMap, body: Body) -> Result<Value, Refusal> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::not_json());
    }
    let limit = state.options.body;
    let reading = async {
        let (mut bytes, mut stream) = (Vec::new(), body.into_data_stream());
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| Refusal::json("The body ended before it was complete."))?;
            if bytes.len() + chunk.len() > limit {
                return Err(Refusal::too_large(limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    let bytes = tokio::time::timeout(state.options.body_timeout, reading).await.map_err(|_| Refusal::too_slow())??;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        // Only the place: the parser's own words may repeat what was sent.
        Refusal::json(format!("The body is not valid JSON: line {line}, column {column}."))
    })?;
    if jsonb::holds_nul(&value) {
        return Err(Refusal::json("The body contains a NUL character."));
    }
    if let Some(place) = jsonb::beyond(&value) {
        let message = "The body contains a number that is too large: 1e300 at most.";
        return Err(if place.is_empty() { Refusal::json(message) } else { Refusal::json(message).at(&place) });
    }
    Ok(value)
}
