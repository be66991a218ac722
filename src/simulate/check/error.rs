//! What is wrong with a refusal.

use hyper::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::Value;

use super::{Answer, Protocol};

const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// The server's own words, of either protocol.
pub(super) fn words(answer: &Answer) -> &str {
    let described = || answer.body.get("Errors")?.get(0)?.get("description");
    answer.body.get("detail").or_else(described).and_then(Value::as_str).unwrap_or("no detail")
}

pub(super) fn envelope(protocol: Protocol, answer: &Answer, found: &mut Vec<String>) {
    match protocol {
        Protocol::V1 => first_error(answer, found),
        Protocol::V2 => schemas_and_status(answer, found),
    }
    // OKTA11-12 wants it of SCIM 1.1, too.
    if answer.body.get("detail").and_then(Value::as_str).is_none_or(str::is_empty) {
        found.push("the error has no detail".to_owned());
    }
}

fn schemas_and_status(answer: &Answer, found: &mut Vec<String>) {
    if !answer.names(ERROR) {
        found.push(format!("schemas does not name {ERROR}"));
    }
    let status = answer.status.to_string();
    if answer.body.get("status") != Some(&Value::String(status.clone())) {
        let now = answer.body.get("status").unwrap_or(&Value::Null);
        found.push(format!("the error's status is {now} instead of \"{status}\""));
    }
}

/// S11-22; the code is a number in some places, a text in others (OKTA11-10).
fn first_error(answer: &Answer, found: &mut Vec<String>) {
    let error = answer.body.get("Errors").and_then(|errors| errors.get(0));
    let Some(error) = error else {
        found.push("no Errors".to_owned());
        return;
    };
    if error.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
        found.push("the first of the Errors has no description".to_owned());
    }
    let code = error.get("code").map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
    if code != Some(answer.status.to_string()) {
        found.push(format!("the code of the first of the Errors is not {}", answer.status));
    }
}

pub(super) fn challenge(answer: &Answer, found: &mut Vec<String>) {
    if !answer.headers.contains_key(WWW_AUTHENTICATE) {
        found.push("401 without WWW-Authenticate".to_owned());
    }
}

/// How many seconds a 429 asks to wait. Okta understands an integer only (OKTA-27).
///
/// # Errors
/// What is wrong with the header.
pub fn retry_after(answer: &Answer) -> Result<u64, String> {
    let header = answer.headers.get(RETRY_AFTER).ok_or("429 without Retry-After (Okta then waits 5 minutes)")?;
    let text = header.to_str().unwrap_or_default();
    text.parse().map_err(|_| format!("Retry-After `{text}` is not an integer (Okta then waits 5 minutes)"))
}
