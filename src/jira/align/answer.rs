//! What an answer of Jira Align means: a pure function of status, headers and body. There is no header that names the
//! caller, a 404 has no body, and an error is a text, perhaps as a JSON string (ALIGN-2, ALIGN-11).

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::super::TargetError;
use super::super::reply::{one_line, retry_after};

/// Anything but success.
#[derive(Debug, PartialEq)]
pub(super) enum Rejection {
    /// 400, 409, 422: Jira Align's own words.
    Refused(String),
    /// 404: somebody who is not there, or a path that is not (ALIGN-2).
    NotFound,
    /// No answer to this call at all, or one about our credential.
    Failed(TargetError),
}

impl Rejection {
    /// The error where no look can tell more.
    pub(super) fn into_error(self, what: impl FnOnce() -> String) -> TargetError {
        match self {
            Self::Refused(reason) => TargetError::Refused { reason, field: None },
            Self::NotFound => TargetError::Gone { what: what() },
            Self::Failed(error) => error,
        }
    }
}

impl From<TargetError> for Rejection {
    fn from(error: TargetError) -> Self {
        Self::Failed(error)
    }
}

/// Sorts an answer by who has to act on it. A 2xx is its document, `Null` where the body is empty.
pub(super) fn classify(
    writes: bool,
    now: DateTime<Utc>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Rejection> {
    let strange = |detail: String| Err(Rejection::Failed(TargetError::Unreachable { detail, maybe_done: writes }));
    let denied = |detail: String| Err(Rejection::Failed(TargetError::Denied { detail }));
    let page = body.trim_ascii_start().starts_with(b"<");
    match status.as_u16() {
        429 => Err(Rejection::Failed(TargetError::Throttled { retry_after: retry_after(headers, now) })),
        300..=399 => strange(format!("{status}: a login page or a proxy answered")),
        500.. | 407 | 408 => strange(format!("the answer was {status}")),
        401 => denied("401: the token is wrong, was replaced, or its owner is locked".to_owned()),
        403 if page => strange("403 that is not about what was asked".to_owned()),
        403 => denied("403: the role of the token's owner may not manage users".to_owned()),
        200..=299 if body.trim_ascii().is_empty() => Ok(Value::Null),
        200..=299 => match serde_json::from_slice(body) {
            Ok(document) => Ok(document),
            Err(_) => strange(format!("{status} without JSON")),
        },
        _ if page => strange(format!("{status} that is not about what was asked")),
        404 | 410 => Err(Rejection::NotFound),
        _ => Err(Rejection::Refused(words(status, body))),
    }
}

/// The text of an error: a JSON string, a bare text, or texts somewhere in a document (ALIGN-11).
fn words(status: StatusCode, body: &[u8]) -> String {
    let mut texts = Vec::new();
    match serde_json::from_slice::<Value>(body) {
        Ok(document) => collect(&document, &mut texts),
        Err(_) => texts.push(String::from_utf8_lossy(body).into_owned()),
    }
    let line = one_line(&texts.join(" "));
    if line.is_empty() { format!("Jira Align answered {status} and gave no reason") } else { line }
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(members) => members.values().for_each(|value| collect(value, texts)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn read(status: u16, body: &str) -> Result<Value, Rejection> {
        classify(true, Utc::now(), StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn a_refusal_is_read_as_a_json_string_a_text_or_a_document() {
        // ALIGN-11
        for body in [
            r#""Cannot update user with id 4201. CityId is required.""#,
            "Cannot update user with id 4201. CityId is required.",
            r#"{"message": "Cannot update user with id 4201.", "errors": {"cityId": ["CityId is required."]}}"#,
        ] {
            let Err(Rejection::Refused(text)) = read(400, body) else { panic!("{body}") };
            assert!(text.contains("id 4201") && text.contains("CityId is required"), "{text}");
        }
        assert!(matches!(read(409, ""), Err(Rejection::Refused(text)) if text.contains("409")));
    }

    #[test]
    fn a_page_of_somebody_else_is_never_gone_refused_or_done() {
        // ALIGN-30
        for status in [200, 302, 400, 403, 404, 502] {
            let answer = read(status, "<html>please log in</html>");
            assert!(matches!(answer, Err(Rejection::Failed(TargetError::Unreachable { .. }))), "{status} {answer:?}");
        }
    }

    #[test]
    fn a_bare_404_is_somebody_who_may_not_be_there_and_a_401_is_ours() {
        // ALIGN-2, ALIGN-3, ALIGN-4
        assert_eq!(read(404, ""), Err(Rejection::NotFound));
        for status in [401, 403] {
            assert!(matches!(read(status, ""), Err(Rejection::Failed(TargetError::Denied { .. }))));
        }
        assert!(matches!(read(429, ""), Err(Rejection::Failed(TargetError::Throttled { retry_after: None }))));
    }

    #[test]
    fn success_is_a_document_or_nothing() {
        // ALIGN-24
        assert_eq!(read(204, ""), Ok(Value::Null));
        assert_eq!(read(200, "4201"), Ok(Value::from(4201)));
    }
}
