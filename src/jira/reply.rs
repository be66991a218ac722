//! What an answer of a Jira means: pure functions of status, headers and body. Opens no connection and knows no endpoint;
//! what a 400 or a 404 means for one call is decided by the target that made it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{RateLimits, TargetError};
use crate::account::{Field, fold};

/// Longest text of a Jira that is passed on, in characters.
const WORDS: usize = 1_000;

/// No pause that a target asks for is believed beyond this.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// What has to be known of a call to understand its answer.
pub(super) struct Expectation<'a> {
    /// Whether the call may have changed something.
    pub(super) writes: bool,
    /// The account that the answer must name, where it is known.
    pub(super) user: Option<&'a str>,
    /// Against which a `Retry-After` in the form of a date is measured.
    pub(super) now: DateTime<Utc>,
}

/// A 2xx answer.
#[derive(Debug, PartialEq)]
pub(super) struct Reply {
    /// The JSON document; `Null` when the body was empty.
    body: Value,
    /// The account that the answer names in `X-AUSERNAME`.
    pub(super) user: Option<String>,
    /// Whether the call may have changed something.
    writes: bool,
}

impl Reply {
    /// The document as a type; one of another shape is not an answer of a Jira.
    pub(super) fn parse<T: DeserializeOwned>(self) -> Result<T, TargetError> {
        let writes = self.writes;
        serde_json::from_value(self.body).map_err(|error| strange(format!("unexpected JSON: {error}"), writes))
    }
}

/// Anything but success. The first four are the target's considered answer to this one call.
#[derive(Debug, PartialEq)]
pub(super) enum Rejection {
    /// 400: a duplicate, a validation error or "already so"; which of them needs a look (DC-21, DC-61, DC-64, DC-66).
    BadRequest(Words),
    /// 403 to our own account: it does not administer (DC-13), or this one operation is forbidden (DC-75).
    Forbidden(Words),
    /// 404: account or group is not there.
    NotFound(Words),
    /// 409.
    Conflict(Words),
    /// No answer to this call at all.
    Failed(TargetError),
}

impl Rejection {
    /// The error where no look can tell more; `what` names the thing that a 404 is about.
    pub(super) fn into_error(self, what: impl FnOnce() -> String) -> TargetError {
        match self {
            Self::BadRequest(words) => words.refused(),
            Self::Forbidden(words) => TargetError::Denied { detail: words.reason },
            Self::NotFound(_) => TargetError::Gone { what: what() },
            Self::Conflict(words) => TargetError::Conflict { reason: words.reason },
            Self::Failed(error) => error,
        }
    }
}

impl From<TargetError> for Rejection {
    fn from(error: TargetError) -> Self {
        Self::Failed(error)
    }
}

/// What a Jira said about a refusal (DC-14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// Its own text, bounded, in one line.
    pub(super) reason: String,
    /// The field it named.
    pub(super) field: Option<Field>,
}

impl Words {
    /// As the error that repeating cannot cure.
    pub(super) fn refused(self) -> TargetError {
        TargetError::Refused { reason: self.reason, field: self.field }
    }
}

/// Sorts an answer by who has to act on it. The order of the questions matters: a failing server often answers as
/// `anonymous` as well, and that must not look like a wrong credential (DC-18).
pub(super) fn classify(
    expected: &Expectation<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Reply, Rejection> {
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(TargetError::Throttled { retry_after: retry_after(headers, expected.now) }.into());
    }
    if status.is_redirection() {
        return Err(strange(format!("{status}: a login page or a proxy answered"), expected.writes).into());
    }
    if status.is_server_error() || is_of_the_way(status) {
        return Err(strange(format!("the answer was {status}"), expected.writes).into());
    }
    let user = answered_user(headers);
    if let Some(detail) = credential_problem(expected.user, status, headers, user.as_deref(), body) {
        return Err(TargetError::Denied { detail }.into());
    }
    if status.is_success() {
        return read_success(expected.writes, status, body, user).map_err(Rejection::Failed);
    }
    if !is_considered(status, user.is_some(), body) {
        return Err(strange(format!("{status} that is not about what was asked"), expected.writes).into());
    }
    let words = words(status, body);
    Err(match status {
        StatusCode::FORBIDDEN => Rejection::Forbidden(words),
        StatusCode::NOT_FOUND | StatusCode::GONE => Rejection::NotFound(words),
        StatusCode::CONFLICT => Rejection::Conflict(words),
        _ => Rejection::BadRequest(words),
    })
}

/// Client errors that something between us and Jira gives: they say nothing about the request.
fn is_of_the_way(status: StatusCode) -> bool {
    matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::PROXY_AUTHENTICATION_REQUIRED)
}

/// Whether a 4xx is Jira's answer to what was asked. A proxy in front has pages of its own; and Jira's framework says 404
/// to a path that it does not have, or not yet, while it starts: neither means that an account is gone (DC-18).
fn is_considered(status: StatusCode, names_user: bool, body: &[u8]) -> bool {
    let missing = status == StatusCode::NOT_FOUND;
    match serde_json::from_slice::<Value>(body) {
        Ok(document) => !(missing && document.get("status-code").is_some() && document.get("errorMessages").is_none()),
        Err(_) => names_user && !(missing && body.trim_ascii_start().starts_with(b"<")),
    }
}

fn strange(detail: String, writes: bool) -> TargetError {
    TargetError::Unreachable { detail, maybe_done: writes }
}

/// Reads the body of a 2xx: nothing or JSON, for a page is somebody else's (DC-10).
fn read_success(writes: bool, status: StatusCode, body: &[u8], user: Option<String>) -> Result<Reply, TargetError> {
    let body = if body.trim_ascii().is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(body).map_err(|_| strange(format!("{status} without JSON"), writes))?
    };
    Ok(Reply { body, user, writes })
}

/// Whether the answer is about who we are rather than about what we asked for (DC-2, DC-3, DC-5, DC-7).
fn credential_problem(
    expected: Option<&str>,
    status: StatusCode,
    headers: &HeaderMap,
    user: Option<&str>,
    body: &[u8],
) -> Option<String> {
    if let Some(reason) = header(headers, "x-authentication-denied-reason") {
        // Its second part is an address of the login page; the first says what is the matter.
        let reason = reason.split(';').next().unwrap_or_default().trim();
        return Some(format!("{status}, {}", one_line(reason)));
    }
    match header(headers, "x-seraph-loginreason") {
        Some(reason) if reason.contains("DENIED") || reason.contains("FAILED") => {
            return Some(format!("{status}, {}", one_line(reason)));
        }
        _ => {}
    }
    if status == StatusCode::UNAUTHORIZED {
        return Some("401: the credential is wrong, expired or not accepted".to_owned());
    }
    match user {
        Some(user) if fold(user) == "anonymous" => return Some(format!("{status} as anonymous")),
        Some(user) if expected.is_some_and(|expected| fold(expected) != fold(user)) => {
            return Some(format!("{status} to another account than the configured one"));
        }
        None if status == StatusCode::FORBIDDEN => return Some("403 without a login".to_owned()),
        _ => {}
    }
    let refused_as_forged = status == StatusCode::FORBIDDEN && body.trim_ascii().starts_with(b"XSRF check failed");
    refused_as_forged.then(|| "403: XSRF check failed".to_owned())
}

/// The account that an answer names. The name may be percent-encoded (DC-19).
fn answered_user(headers: &HeaderMap) -> Option<String> {
    let raw = header(headers, "x-ausername")?;
    Some(percent_decode_str(raw).decode_utf8().map_or_else(|_| raw.to_owned(), |name| name.into_owned()))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|value| !value.is_empty())
}

/// How long a 429 asks us to wait: seconds or a date (RFC 9110 section 10.2.3), else until the bucket is filled (DC-9).
pub(super) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    header(headers, RETRY_AFTER.as_str())
        .and_then(|text| match text.parse::<u64>() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => {
                DateTime::parse_from_rfc2822(text).ok().map(|date| (date.to_utc() - now).to_std().unwrap_or_default())
            }
        })
        .filter(|pause| !pause.is_zero())
        .or_else(|| rate_limits(headers).and_then(|limits| limits.interval))
        .map(|pause| pause.min(LONGEST_PAUSE))
}

/// The rate-limit headers, which come with every authenticated answer; `None` where there are none (DC-9).
pub(super) fn rate_limits(headers: &HeaderMap) -> Option<RateLimits> {
    let number = |name| header(headers, name).and_then(|text| text.parse::<u64>().ok());
    let limits = RateLimits {
        remaining: number("x-ratelimit-remaining"),
        interval: number("x-ratelimit-interval-seconds").map(Duration::from_secs),
        fill_rate: number("x-ratelimit-fillrate"),
    };
    (limits != RateLimits::default()).then_some(limits)
}

/// The words of an error body: an error collection, a bare string, or whatever text came (DC-14, DC-15).
fn words(status: StatusCode, body: &[u8]) -> Words {
    let mut texts = Vec::new();
    let mut field = None;
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(document)) => {
            for name in ["errorMessages", "message"] {
                document.get(name).into_iter().for_each(|value| collect(value, &mut texts));
            }
            if let Some(Value::Object(errors)) = document.get("errors") {
                for (key, value) in errors {
                    let known = form_field(key);
                    let start = texts.len();
                    collect(value, &mut texts);
                    if known.is_none() {
                        texts[start..].iter_mut().for_each(|text| *text = format!("{key}: {text}"));
                    }
                    field = field.or(known);
                }
            }
        }
        Ok(other) => collect(&other, &mut texts),
        Err(_) => texts.extend(plain_text(body)),
    }
    let reason = one_line(&texts.join(" "));
    Words {
        reason: if reason.is_empty() { format!("Jira answered {status} and gave no reason") } else { reason },
        field,
    }
}

/// All the texts in an error value; some endpoints nest whole error collections below a key.
pub(super) fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.trim().is_empty() => texts.push(text.trim().to_owned()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(members) => members.values().for_each(|value| collect(value, texts)),
        _ => {}
    }
}

/// A body that is no JSON; of a page only its title is worth passing on.
fn plain_text(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    if !text.trim_start().starts_with('<') {
        return Some(text.into_owned());
    }
    let (_, rest) = text.split_once("<title>")?;
    rest.split_once("</title>").map(|(title, _)| title.to_owned())
}

/// The field that a form key stands for: `fullname` is what JSON calls `displayName` (DC-14).
fn form_field(key: &str) -> Option<Field> {
    match key {
        "username" | "name" => Some(Field::Username),
        "email" | "emailAddress" => Some(Field::Email),
        "fullname" | "displayName" => Some(Field::DisplayName),
        "active" => Some(Field::Active),
        _ => None,
    }
}

/// One bounded line without control characters, fit for an error's `detail`.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if let Some((end, _)) = line.char_indices().nth(WORDS) {
            line.truncate(end);
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
