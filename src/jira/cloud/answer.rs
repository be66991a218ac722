//! What an answer of Atlassian's cloud means: a pure function of status, headers and body. Six forms of errors are read by
//! one decoder, and none of them is counted on (CLOUD-5).

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::super::reply::{collect, one_line, retry_after};
use super::super::{RateLimits, TargetError};
use crate::account::Field;

/// No pause that an answer asks for is believed beyond this.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an endpoint rests that did not say for how long (reference, 10.2).
const USUAL_REST: Duration = Duration::from_secs(10);

/// Anything but success. The first four are a considered answer to this one call.
#[derive(Debug, PartialEq)]
pub(super) enum No {
    /// 400, 415, 422.
    BadRequest(Words),
    /// 403: our credential, a read-only object, or an account that is not managed; the code tells.
    Forbidden(Words),
    /// 404: unknown, not allowed, or not there yet.
    NotFound(Words),
    /// 409: told apart by its code (CLOUD-29).
    Conflict(Words),
    /// This endpoint wants a rest; the others do not (CLOUD-60).
    Endpoint(Duration),
    /// No answer to this call at all, or one about our credential.
    Failed(TargetError),
}

/// What was said about a refusal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Words {
    /// `errors[].code` of the organisation's API, or `key` of the user management's.
    pub(super) code: String,
    /// Its own text, bounded, in one line.
    pub(super) reason: String,
    /// The user management's `context`.
    pub(super) context: Value,
}

impl Words {
    /// As the error that repeating cannot cure.
    pub(super) fn refused(self, field: Option<Field>) -> TargetError {
        TargetError::Refused { reason: self.reason, field }
    }

    /// The licence is used up, as all families of codes say it (CLOUD-26).
    pub(super) fn is_about_seats(&self) -> bool {
        matches!(self.code.as_str(), "ADMIN-UAM-409-3" | "ADMIN-409-3" | "ADMIN-400-32")
    }
}

impl From<TargetError> for No {
    fn from(error: TargetError) -> Self {
        Self::Failed(error)
    }
}

impl No {
    /// The error where no look can tell more; `what` names the thing that a 404 is about.
    pub(super) fn into_error(self, what: impl FnOnce() -> String) -> TargetError {
        match self {
            Self::BadRequest(words) if words.is_about_seats() => TargetError::NoSeats { reason: words.reason },
            Self::BadRequest(words) => words.refused(None),
            Self::Forbidden(words) => forbidden(words),
            Self::NotFound(words) if is_about_the_organization(&words.code) => {
                let detail = format!("the organisation is not known: {}", words.reason);
                TargetError::Denied { detail }
            }
            Self::NotFound(_) => TargetError::Gone { what: what() },
            Self::Conflict(words) if words.is_about_seats() => TargetError::NoSeats { reason: words.reason },
            Self::Conflict(words) => TargetError::Conflict { reason: words.reason },
            Self::Endpoint(after) => resting(after),
            Self::Failed(error) => error,
        }
    }
}

/// A 403 is about one object only where its code says so; else it is our credential's (reference, 3.2).
fn forbidden(words: Words) -> TargetError {
    match words.code.as_str() {
        "ADMIN-403-5" | "ADMIN-403-6" | "ADMIN-403-7" => words.refused(None),
        code if code.starts_with("forbidden.") => words.refused(None),
        _ => TargetError::Denied { detail: words.reason },
    }
}

fn is_about_the_organization(code: &str) -> bool {
    code == "ADMIN-404-2" || code == "ADMIN-UAM-404-2"
}

/// The error of a search that was rejected. Nobody found is an empty list: a 404 is about our configuration, and must not be
/// taken for somebody who is gone.
pub(super) fn no_directory(no: No) -> TargetError {
    match no {
        No::NotFound(words) => TargetError::Denied { detail: format!("the directory is not known: {}", words.reason) },
        other => other.into_error(|| "the directory".to_owned()),
    }
}

pub(super) fn resting(after: Duration) -> TargetError {
    TargetError::Later { reason: "Jira Cloud throttles this operation".to_owned(), after }
}

/// Sorts an answer by who has to act on it. A 2xx is its document, `Null` where the body is empty.
pub(super) fn read(
    writes: bool,
    now: DateTime<Utc>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, No> {
    let strange = |detail: String| Err(No::Failed(TargetError::Unreachable { detail, maybe_done: writes }));
    let denied = |detail: String| Err(No::Failed(TargetError::Denied { detail }));
    let page = body.trim_ascii_start().starts_with(b"<");
    let document = || serde_json::from_slice::<Value>(body).ok();
    match status.as_u16() {
        429 => Err(throttled(headers, now)),
        300..=399 => strange(format!("{status}: a login page or a proxy answered")),
        500.. | 407 | 408 => strange(format!("the answer was {status}")),
        200..=299 if body.trim_ascii().is_empty() => Ok(Value::Null),
        200..=299 => match document() {
            Some(document) => Ok(document),
            None => strange(format!("{status} without JSON")),
        },
        401 => denied(unauthorized(document().as_ref())),
        402 => Err(No::BadRequest(words(status, document().as_ref(), body))),
        _ if page => strange(format!("{status} that is not about what was asked")),
        // The proxy did not find the way to the application: that says nothing about a person (CLOUD-65).
        403 | 404 if document().is_some_and(|document| document.get("requestId").is_some()) => {
            denied(format!("{status} before the organisation's API was reached: is the organisation's id right?"))
        }
        code => {
            let words = words(status, document().as_ref(), body);
            Err(match code {
                403 => No::Forbidden(words),
                404 | 410 => No::NotFound(words),
                409 => No::Conflict(words),
                _ => No::BadRequest(words),
            })
        }
    }
}

/// One text for a wrong, an expired and a misplaced token (CLOUD-2); the organisation's API says more (CLOUD-3).
fn unauthorized(document: Option<&Value>) -> String {
    let code = document.and_then(|document| document["errors"][0]["code"].as_str());
    match code {
        Some("ADMIN-401-2") => "401: the organisation's API key has scopes that do not cover this; \
                                create a key without scopes"
            .to_owned(),
        _ => "401: the token or key is wrong or has expired, or it is one with scopes, which works through \
              api.atlassian.com alone (set cloud_id)"
            .to_owned(),
    }
}

/// CLOUD-60 to CLOUD-64: a burst is one endpoint's, everything else is everybody's.
fn throttled(headers: &HeaderMap, now: DateTime<Utc>) -> No {
    let wait = retry_after(headers, now).or_else(|| until_reset(headers, now));
    match header(headers, "ratelimit-reason") {
        Some("jira-burst-based" | "jira-per-issue-on-write") => No::Endpoint(wait.unwrap_or(USUAL_REST)),
        _ => TargetError::Throttled { retry_after: wait }.into(),
    }
}

/// `X-RateLimit-Reset`, with seconds and without (CLOUD-62, CLOUD-63).
fn until_reset(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = header(headers, "x-ratelimit-reset")?;
    let at = DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%MZ").map(|at| at.and_utc()))
        .ok()?;
    // Never at once, for that is what was refused.
    Some((at - now).to_std().unwrap_or_default().clamp(Duration::from_secs(1), LONGEST_PAUSE))
}

/// What the headers say of the calls that are left, as a rate: so many until the reset.
pub(super) fn limits(headers: &HeaderMap, now: DateTime<Utc>) -> Option<RateLimits> {
    let remaining = header(headers, "x-ratelimit-remaining")?.parse::<u64>().ok()?;
    let interval = until_reset(headers, now)?;
    Some(RateLimits { remaining: Some(remaining), interval: Some(interval), fill_rate: Some(remaining.max(1)) })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|value| !value.is_empty())
}

fn words(status: StatusCode, document: Option<&Value>, body: &[u8]) -> Words {
    let mut texts = Vec::new();
    let mut found = Words::default();
    match document {
        Some(Value::Object(members)) => {
            for name in ["errorMessages", "message", "errorDetail"] {
                members.get(name).into_iter().for_each(|value| collect(value, &mut texts));
            }
            match members.get("errors") {
                Some(Value::Array(errors)) => {
                    found.code = errors.iter().find_map(|error| error["code"].as_str()).unwrap_or_default().to_owned();
                    for error in errors {
                        let detail = error["detail"].as_str().or(error["title"].as_str());
                        texts.extend(detail.map(str::to_owned));
                    }
                }
                Some(errors) => collect(errors, &mut texts),
                None => {}
            }
            if let Some(key) = members.get("key").and_then(Value::as_str) {
                key.clone_into(&mut found.code);
                texts.push(key.to_owned());
            }
            found.context = members.get("context").cloned().unwrap_or_default();
        }
        Some(other) => collect(other, &mut texts),
        None => texts.push(String::from_utf8_lossy(body).into_owned()),
    }
    let reason = one_line(&texts.join(" "));
    let code = Some(&found.code).filter(|code| !code.is_empty() && !reason.contains(code.as_str()));
    found.reason = match (reason.is_empty(), code) {
        (true, _) => format!("Jira Cloud answered {status} and gave no reason"),
        (false, Some(code)) => format!("{reason} ({code})"),
        (false, None) => reason,
    };
    found
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
