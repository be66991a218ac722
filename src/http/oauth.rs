//! `POST /scim/{tenant}/oauth/token`: the token endpoint of OAuth 2.0 for clients that act for themselves (RFC 6749 section
//! 4.4). A client shows its id and secret as HTTP Basic or in the body, and gets a JWT for a quarter of an hour.
//!
//! Its errors are those of RFC 6749 section 5.2, not of SCIM. Whoever is not let in is slowed like everybody else.

use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use http_body_util::{BodyExt, Limited};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use uuid::Uuid;

use super::HttpState;
use super::credential::Presented;
use super::error::Failure;
use super::proof::{Proof, Refusal};
use super::recording::{Notes, Told};
use super::tenant::{Visitor, told_apart_in_the_log};
use crate::login::oauth;
use crate::secret::Secret;
use crate::store::signing_key::{self, SigningKey};
use crate::store::{Store, StoreError};

/// The largest body: two names, a secret, and a scope.
const LARGEST: usize = 8 << 10;

/// Why there is no token (RFC 6749 section 5.2).
struct Refused {
    status: StatusCode,
    error: &'static str,
    description: String,
    /// The client spoke HTTP Basic, and hears so.
    challenge: bool,
    retry_after: Option<HeaderValue>,
}

impl Refused {
    fn request(description: &str) -> Self {
        Self::of(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    fn of(status: StatusCode, error: &'static str, description: &str) -> Self {
        Self { status, error, description: description.to_owned(), challenge: false, retry_after: None }
    }

    /// What the doorkeeper says, in the words of OAuth.
    fn client(failure: &Failure, challenge: bool) -> Self {
        let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = if status.is_server_error() { "temporarily_unavailable" } else { "invalid_client" };
        let body = failure.body();
        let description = body["detail"].as_str().unwrap_or_default();
        Self { challenge, retry_after: failure.retry_after().cloned(), ..Self::of(status, error, description) }
    }

    fn answer(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = printed(self.status, &body);
        response.extensions_mut().insert(Told::new(&self.description));
        if self.challenge && self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"scim\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        response
    }
}

/// JSON that nobody may keep (RFC 6749 section 5.1).
fn printed(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// Answers a request for a token.
pub(super) async fn token(
    state: &HttpState,
    visitor: Visitor<'_>,
    parts: &Parts,
    body: Body,
    notes: &Notes,
) -> Response {
    issued(state, visitor, parts, body, notes).await.unwrap_or_else(Refused::answer)
}

async fn issued(
    state: &HttpState,
    visitor: Visitor<'_>,
    parts: &Parts,
    body: Body,
    notes: &Notes,
) -> Result<Response, Refused> {
    let form = Form::read(parts, body, state.options.body_timeout).await?;
    let (presented, basic) = form.client(parts)?;
    let unavailable = |failure: Failure| Refused::client(&failure, false);
    let Some(presented) = presented else {
        let failure = told_apart_in_the_log(visitor, Refusal::Missing, Failure::unauthorized());
        return Err(Refused::client(&failure, true));
    };
    let identity = match state.doorkeeper.prove_client(&state.store, visitor, &presented).await.map_err(unavailable)? {
        Proof::Good(identity) => identity,
        Proof::Bad(why) => return Err(Refused::client(&state.doorkeeper.refuse(visitor, why), basic)),
    };
    notes.let_in(&identity);
    // The rest of the body may be the secret.
    notes.heard(&json!({ "grant_type": form.get("grant_type")?, "scope": form.get("scope")? }));
    state.limiter.take(identity.tenant.id, visitor.now).map_err(|wait| unavailable(Failure::throttled(wait)))?;
    if form.get("grant_type")? != Some("client_credentials") {
        let description = "The grant_type is client_credentials.";
        return Err(Refused::of(StatusCode::BAD_REQUEST, "unsupported_grant_type", description));
    }
    let may = identity.credential.scope;
    let scope = oauth::scope(form.get("scope")?, may).map_err(|_| {
        let description = format!("This client may have the scope {}.", may.as_str());
        Refused::of(StatusCode::BAD_REQUEST, "invalid_scope", &description)
    })?;
    let key = signing_key(&state.store).await.map_err(|error| unavailable(error.into()))?;
    let issued = oauth::issue(&identity.tenant, &identity.credential, scope, &key, Utc::now())
        .ok_or_else(|| unavailable(Failure::internal()))?;
    state.doorkeeper.note_use(&identity, &state.store, &state.lifecycle, visitor.now);
    Ok(printed(
        StatusCode::OK,
        &json!({
            "access_token": issued.token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "scope": issued.scope.as_str(),
        }),
    ))
}

async fn signing_key(store: &Store) -> Result<SigningKey, StoreError> {
    let mut conn = store.pool().acquire().await?;
    signing_key::current(&mut conn, SigningKey { id: Uuid::now_v7(), key: rand::random() }).await
}

/// The parameters of a body.
struct Form(Vec<(String, String)>);

impl Form {
    async fn read(parts: &Parts, body: Body, patience: Duration) -> Result<Self, Refused> {
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refused::request("The Content-Type is application/x-www-form-urlencoded."));
        }
        let collected = tokio::time::timeout(patience, Limited::new(body, LARGEST).collect()).await;
        let collected = collected.map_err(|_| Refused::request("The body did not arrive in time."))?;
        let bytes = collected.map_err(|_| Refused::request("The body cannot be read or is too large."))?.to_bytes();
        Ok(Self(url::form_urlencoded::parse(&bytes).into_owned().collect()))
    }

    /// A parameter, which may be there once (RFC 6749 section 3.2); an empty one is none.
    fn get(&self, name: &str) -> Result<Option<&str>, Refused> {
        let mut found = self.0.iter().filter(|(key, _)| key == name);
        let first = found.next().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty());
        match found.next() {
            Some(_) => Err(Refused::request("A parameter is there twice.")),
            None => Ok(first),
        }
    }

    /// The client's id and secret, in one of the two ways (RFC 6749 section 2.3.1), and whether that was HTTP Basic.
    fn client(&self, parts: &Parts) -> Result<(Option<Presented>, bool), Refused> {
        let (id, secret) = (self.get("client_id")?, self.get("client_secret")?);
        if parts.headers.contains_key(header::AUTHORIZATION) {
            if secret.is_some() {
                return Err(Refused::request("The client shows its secret in one way, not in two."));
            }
            return Ok((basic(parts), true));
        }
        let presented = id.zip(secret).map(|(id, secret)| presented(id.to_owned(), secret.to_owned()));
        Ok((presented, false))
    }
}

fn presented(id: String, secret: String) -> Presented {
    Presented { username: Some(id), secret: Secret::new(secret) }
}

/// HTTP Basic, its two parts encoded as in a form.
fn basic(parts: &Parts) -> Option<Presented> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, pair) = value.split_once(' ')?;
    let pair = STANDARD.decode(pair.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let pair = String::from_utf8(pair).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let decoded = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8().ok().map(Into::into);
    Some(presented(decoded(id)?, decoded(secret)?))
}
