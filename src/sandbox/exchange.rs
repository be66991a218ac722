//! One request as the sandbox reads it, and one answer as it writes it.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::state::Refusal;

/// Where a call goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Which of a sandbox's APIs; empty for what belongs to none.
    pub(crate) api: &'static str,
    /// The operation: a path below the API, with a name in braces where a segment is somebody's id. Empty when there is
    /// none.
    pub(crate) route: Cow<'static, str>,
    /// Whether the path is below the root of an API at all.
    pub(crate) inside: bool,
    /// The values of the segments in braces, in their order.
    pub(crate) segments: Vec<String>,
}

/// A request, read to its end.
#[derive(Clone)]
pub struct Call {
    pub(crate) method: Method,
    /// Path and query as they came.
    pub(crate) target: String,
    /// Which API is called, and which operation of it.
    pub(crate) place: Place,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: DateTime<Utc>,
}

impl Call {
    pub(crate) fn new(head: hyper::http::request::Parts, body: Bytes, place: Place, at: DateTime<Utc>) -> Self {
        let query = head.uri.query().unwrap_or_default();
        Self {
            place,
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            target: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            method: head.method,
            headers: head.headers,
            body,
            at,
        }
    }

    /// The operation, as the API's documentation writes its path.
    pub(crate) fn route(&self) -> &str {
        &self.place.route
    }

    /// The same call by somebody who does not say who he is.
    pub(crate) fn without_credentials(&self) -> Self {
        let mut call = self.clone();
        call.headers.remove(AUTHORIZATION);
        call
    }

    /// The first value of a query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        self.parameter(name).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// A number; 400 when it is something else.
    pub(crate) fn number(&self, name: &str, default: usize) -> Result<usize, Reply> {
        match self.parameter(name).filter(|text| !text.is_empty()) {
            None => Ok(default),
            Some(text) => {
                text.parse().map_err(|_| Reply::error(400, &format!("The value of '{name}' is not a valid number.")))
            }
        }
    }

    pub(crate) fn expands(&self, what: &str) -> bool {
        self.query
            .iter()
            .filter(|(name, _)| name == "expand")
            .any(|(_, value)| value.split(',').any(|item| item == what))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn writes(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// The decoded query, for faults to look into.
    pub(crate) fn query_text(&self) -> String {
        self.query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    pub(crate) fn body_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

/// The rest of `path` under `root`: empty or with a leading slash.
pub(crate) fn below<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    path.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An answer before it is put on the wire.
pub struct Reply {
    pub(crate) status: u16,
    content_type: Option<&'static str>,
    pub(crate) body: Bytes,
    headers: Vec<(&'static str, String)>,
    /// Whom Jira would have sent a mail (DC-23).
    pub(crate) mail_to: Option<String>,
    /// What a real Jira would have choked on.
    pub(crate) violation: Option<&'static str>,
}

impl Reply {
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, content_type: None, body: Bytes::new(), headers: Vec::new(), mail_to: None, violation: None }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let body = Bytes::from(body.to_string());
        Self { content_type: Some("application/json;charset=UTF-8"), body, ..Self::empty(status) }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self { content_type: Some("text/plain"), body: Bytes::from(body.to_owned()), ..Self::empty(status) }
    }

    pub(crate) fn xml(status: u16, body: String) -> Self {
        Self { content_type: Some("application/xml"), body: Bytes::from(body), ..Self::empty(status) }
    }

    pub(crate) fn html(status: u16, title: &str) -> Self {
        let body =
            format!("<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n");
        Self { content_type: Some("text/html;charset=UTF-8"), body: Bytes::from(body), ..Self::empty(status) }
    }

    /// A body that says it is JSON and is not.
    pub(crate) fn garbage() -> Self {
        let body = Bytes::from_static(b"{\"key\": \"JIRAUSER1");
        Self { content_type: Some("application/json;charset=UTF-8"), body, ..Self::empty(200) }
    }

    /// An error collection with one message (DC-14).
    pub(crate) fn error(status: u16, message: &str) -> Self {
        Self::json(status, &json!({"errorMessages": [message], "errors": {}}))
    }

    /// What the REST framework itself answers, which is no error collection.
    pub(crate) fn framework(status: u16, message: &str) -> Self {
        Self::json(status, &json!({"message": message, "status-code": status}))
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn violating(mut self, what: &'static str) -> Self {
        self.violation = Some(what);
        self
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(&value)) {
                headers.append(name, value);
            }
        }
        response
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid { messages, errors } => {
                Self::json(400, &json!({"errorMessages": messages, "errors": errors}))
            }
            Refusal::NotFound(message) => Self::error(404, &message),
            Refusal::Forbidden(message) => Self::error(403, &message),
        }
    }
}
