//! The way that every request takes, from its arrival to its answer.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::FutureExt;
use tracing::{Instrument, field};
use uuid::Uuid;

use super::accept::panicked;
use super::body::Payload;
use super::error::Failure;
use super::exchange::Exchange;
use super::recording::{Notes, Recording, Told};
use super::route::{Collection, Endpoint, Route};
use super::tenant::Visitor;
use super::wire::{Version, json_only};
use super::{HttpState, bulk, discovery, group, health, oauth, search, user};
use crate::listen::Peer;
use crate::scim::ScimError;
use crate::store::tenant::Tenant;
use crate::telemetry::RequestId;

/// In and out.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers a request.
pub(super) async fn entry(State(state): State<Arc<HttpState>>, request: Request) -> Response {
    let began = Instant::now();
    let _in_flight = state.metrics.http_in_flight();
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path();
    let route =
        Route::of(path.strip_prefix(state.prefix.as_str()).filter(|rest| rest.starts_with('/')).unwrap_or(path));
    let version = route.version();
    let meant = version.meant(&parts.method, &parts.headers);
    if let Ok(Some(method)) = &meant {
        parts.method = method.clone();
    }
    let given = parts.headers.get(&X_REQUEST_ID).and_then(|value| value.to_str().ok());
    let id = RequestId::from_header(given);
    let operation = route.operation(&parts.method);
    // The tenant only once it is known to be one: a label must not be the client's to invent.
    let span = tracing::info_span!(
        "request",
        request.id = id.as_str(),
        method = parts.method.as_str(),
        route = route.template(),
        tenant = field::Empty
    );
    let (tenant, notes) = (OnceLock::new(), Notes::default());
    // A client may call all its requests alike: what belongs together is known by an id of ours.
    let is_theirs = given.is_some_and(|given| given == id.as_str());
    let own = if is_theirs { Uuid::now_v7() } else { id.as_uuid() };
    let recording = recording(&state, &route, &parts, (&id, own, is_theirs), &notes);
    let dispatched = async {
        meant?;
        dispatch(&state, &route, &parts, body, own, (&tenant, &notes)).await
    };
    let mut response = guarded(version, dispatched).instrument(span.clone()).await;
    version.label(&mut response);
    if let Some(recording) = recording {
        let (status, told) = (response.status().as_u16(), Told::with(&response));
        recording.answered(status, told).await;
    }
    let _inside = span.enter();
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    if parts.method == Method::HEAD {
        response = without_body(response);
    }
    let (status, slug) = (response.status().as_u16(), tenant.get().map_or("", |tenant: &Arc<Tenant>| &tenant.slug));
    let elapsed = began.elapsed();
    state.metrics.http_request(slug, operation, status, elapsed);
    told(&parts.method, status, elapsed.as_secs_f64() * 1000.0);
    response
}

/// Begins the record of a request to a tenant's address; health and metrics are nobody's business.
fn recording(
    state: &HttpState,
    route: &Route<'_>,
    parts: &Parts,
    id: (&RequestId, Uuid, bool),
    notes: &Notes,
) -> Option<Recording> {
    let (Route::Scim { slug, .. } | Route::Token { slug }, Some(recorder)) = (route, &state.recorder) else {
        return None;
    };
    let remote = |peer| state.origin.remote(&parts.headers, peer).map(|address| address.to_string());
    Some(Recording::begin(recorder, notes, slug, parts, id, remote))
}

/// An answer whatever happens: a failure is one, and so is a panic.
async fn guarded(version: Version, dispatched: impl Future<Output = Result<Response, Failure>>) -> Response {
    match AssertUnwindSafe(dispatched).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) => failure.answer(version),
        Err(panic) => panicked(panic.as_ref()).answer(version),
    }
}

/// One line a request. Reads that went well are told only on demand; never the query, which may name people.
fn told(method: &Method, status: u16, duration_ms: f64) {
    let quiet = status < 400 && (*method == Method::GET || *method == Method::HEAD);
    if quiet {
        tracing::debug!(status, duration_ms, "answered");
    } else {
        tracing::info!(status, duration_ms, "answered");
    }
}

async fn dispatch(
    state: &Arc<HttpState>,
    route: &Route<'_>,
    parts: &Parts,
    body: Body,
    request_id: Uuid,
    seen: (&OnceLock<Arc<Tenant>>, &Notes),
) -> Result<Response, Failure> {
    let read = parts.method == Method::GET || parts.method == Method::HEAD;
    match route {
        Route::Scim { slug, version, endpoint } => {
            let exchange = admitted(state, (slug, *version), parts, request_id, seen).await?;
            version.check_accept(&parts.headers)?;
            serve(&exchange, endpoint, Payload::Arriving(&parts.headers, body)).await
        }
        Route::Token { slug } if parts.method == Method::POST => {
            Ok(oauth::token(state, visitor(state, slug, parts), parts, body, seen.1).await)
        }
        Route::Token { .. } => Err(Failure::method_not_allowed("POST")),
        Route::Unknown => Err(Failure::no_such_path()),
        _ if !read => Err(Failure::method_not_allowed("GET, HEAD")),
        Route::Livez => Ok(health::livez()),
        Route::Readyz => Ok(health::readyz(state).await),
        Route::Healthz => Ok(health::healthz(state).await),
        Route::Metrics => Ok(health::metrics(state)),
    }
}

/// Whoever asks, before anything is proven.
fn visitor<'a>(state: &HttpState, slug: &'a str, parts: &Parts) -> Visitor<'a> {
    let from = state.origin.remote(&parts.headers, parts.extensions.get::<Peer>().copied());
    Visitor { slug, from, now: Instant::now() }
}

/// Lets the bearer of a good token in, as long as its tenant keeps within its rate.
async fn admitted<'a>(
    state: &'a Arc<HttpState>,
    (slug, version): (&str, Version),
    parts: &Parts,
    request_id: Uuid,
    (seen, notes): (&OnceLock<Arc<Tenant>>, &Notes),
) -> Result<Exchange<'a>, Failure> {
    let visitor = visitor(state, slug, parts);
    let now = visitor.now;
    let identity = state.doorkeeper.admit(&state.store, visitor, &parts.headers).await?;
    tracing::Span::current().record("tenant", identity.tenant.slug.as_str());
    let _ = seen.set(identity.tenant.clone());
    notes.let_in(&identity);
    state.limiter.take(identity.tenant.id, now).map_err(Failure::throttled)?;
    state.doorkeeper.note_use(&identity, &state.store, &state.lifecycle, now);
    Exchange::new(state, version, parts, identity, request_id, notes)
}

/// Who is in gets the endpoint; what does not exist, or not with this method, is said only here.
pub(super) async fn serve(
    exchange: &Exchange<'_>,
    endpoint: &Endpoint<'_>,
    body: Payload<'_>,
) -> Result<Response, Failure> {
    let (method, read) = (&exchange.method, exchange.reads());
    let me;
    let endpoint = match endpoint {
        Endpoint::Me => {
            me = whoever(exchange)?;
            &me
        }
        other => other,
    };
    exchange.grant.check(method, endpoint)?;
    match endpoint {
        Endpoint::Root if read => search::list(exchange, Collection::Everything).await,
        Endpoint::Search(of) if *method == Method::POST => search::search(exchange, *of, body).await,
        Endpoint::Users if read => search::list(exchange, Collection::Users).await,
        Endpoint::Users if *method == Method::POST => user::create(exchange, body).await,
        Endpoint::User(id) if read => user::get(exchange, id).await,
        Endpoint::User(id) if *method == Method::PUT => user::replace(exchange, id, body).await,
        Endpoint::User(id) if *method == Method::PATCH => user::patch(exchange, id, body).await,
        Endpoint::User(id) if *method == Method::DELETE => user::delete(exchange, id).await,
        Endpoint::Groups if read => search::list(exchange, Collection::Groups).await,
        Endpoint::Groups if *method == Method::POST => group::create(exchange, body).await,
        Endpoint::Group(id) if read => group::get(exchange, id).await,
        Endpoint::Group(id) if *method == Method::PUT => group::replace(exchange, id, body).await,
        Endpoint::Group(id) if *method == Method::PATCH => group::patch(exchange, id, body).await,
        Endpoint::Group(id) if *method == Method::DELETE => group::delete(exchange, id).await,
        Endpoint::Bulk if *method == Method::POST => bulk::run(exchange, body).await,
        Endpoint::Xml => Err(json_only().into()),
        Endpoint::Unknown => Err(Failure::no_such_path()),
        Endpoint::ServiceProviderConfig
        | Endpoint::ResourceTypes
        | Endpoint::ResourceType(_)
        | Endpoint::Schemas
        | Endpoint::Schema(_)
            if read =>
        {
            discovery::get(exchange, endpoint)
        }
        other => Err(Failure::method_not_allowed(other.allow())),
    }
}

/// `/Me` is another name of the user whom the credential stands for (RFC 7644 section 3.11).
fn whoever(exchange: &Exchange<'_>) -> Result<Endpoint<'static>, Failure> {
    match exchange.me {
        Some(id) => Ok(Endpoint::User(id.to_string().into())),
        None => Err(ScimError::not_implemented("This credential stands for no user, so there is no /Me.").into()),
    }
}

/// The answer to HEAD: all that GET would say but the body.
fn without_body(mut response: Response) -> Response {
    if let Some(length) = response.body().size_hint().exact().filter(|_| response.status() != StatusCode::NOT_MODIFIED)
    {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = Body::empty();
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_500_that_does_not_show_its_cause() {
        let response = guarded(Version::V2, async { panic!("the secret") }).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("urn:ietf:params:scim:api:messages:2.0:Error") && !text.contains("secret"), "{text}");
    }
}
