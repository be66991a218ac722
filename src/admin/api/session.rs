//! `/session`: signing in and out.

use axum::http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use crate::admin::answer::{Answer, Outcome, json_response, ok};
use crate::admin::call::Call;
use crate::admin::refusal::Refusal;
use crate::admin::session::set_cookie;
use crate::store::admin_token::AdminToken;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    token: String,
}

pub(crate) async fn create(call: &Call) -> Outcome {
    let SignIn { token } = call.body()?;
    let door = &call.state.door;
    let token = door.bearer(&call.state.store, token.trim(), call.client.address, call.now).await?;
    call.notes.actor(&format!("admin:{}", token.label));
    let claims = door.sessions.begin(token.id, token.expires, call.now);
    let expires = chrono::DateTime::from_timestamp(claims.exp, 0);
    let body = json!({
        "role": token.role, "label": token.label, "csrf": door.sessions.csrf(&claims), "expires": expires,
    });
    let mut response = json_response(StatusCode::CREATED, &body);
    let signed = door.sessions.sign(&claims).ok_or_else(Refusal::internal)?;
    let cookie = set_cookie(&signed, claims.exp - call.now.timestamp(), call.client.tls);
    let cookie = HeaderValue::from_str(&cookie).map_err(|_| Refusal::internal())?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    tracing::info!(label = token.label, address = %call.client.address, "an administrator signed in");
    Ok(Answer::Response(response))
}

pub(crate) async fn get(call: &Call) -> Outcome {
    let who = call.who.as_ref().ok_or_else(Refusal::unauthenticated)?;
    let AdminToken { role, label, expires, .. } = &who.token;
    let sessions = &call.state.door.sessions;
    let (csrf, expires) = match &who.session {
        Some(claims) => (Some(sessions.csrf(claims)), chrono::DateTime::from_timestamp(claims.exp, 0)),
        None => (None, *expires),
    };
    ok(&json!({ "role": role, "label": label, "csrf": csrf, "expires": expires }))
}

pub(crate) async fn delete(call: &Call) -> Outcome {
    if let Some(claims) = call.who.as_ref().and_then(|who| who.session.as_ref()) {
        call.state.door.end(&call.state.store, claims, call.now).await?;
    }
    let mut response = Answer::Nothing.response();
    let cookie = HeaderValue::from_str(&set_cookie("", 0, call.client.tls)).map_err(|_| Refusal::internal())?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(Answer::Response(response))
}
