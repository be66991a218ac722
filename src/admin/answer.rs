//! What is answered: a document, nothing, or a stream.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};

use super::refusal::Refusal;

/// The answer to a request that went well.
pub(super) enum Answer {
    /// A document.
    Json(StatusCode, Value),
    /// 204.
    Nothing,
    /// Anything else: a cookie, a stream.
    Response(Response),
}

/// What a handler returns.
pub(super) type Outcome = Result<Answer, Refusal>;

impl Answer {
    pub(super) fn response(self) -> Response {
        match self {
            Self::Json(status, value) => json_response(status, &value),
            Self::Nothing => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                response
            }
            Self::Response(response) => response,
        }
    }
}

/// 200 with this document.
pub(super) fn ok<T: Serialize>(value: &T) -> Outcome {
    with(StatusCode::OK, value)
}

/// 201 with this document.
pub(super) fn made<T: Serialize>(value: &T) -> Outcome {
    with(StatusCode::CREATED, value)
}

/// 202 with this document.
pub(super) fn accepted<T: Serialize>(value: &T) -> Outcome {
    with(StatusCode::ACCEPTED, value)
}

fn with<T: Serialize>(status: StatusCode, value: &T) -> Outcome {
    match serde_json::to_value(value) {
        Ok(value) => Ok(Answer::Json(status, value)),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            Err(Refusal::internal())
        }
    }
}

/// A page of a list.
pub(super) fn page<T: Serialize>(items: &[T], next: Option<String>) -> Outcome {
    ok(&json!({ "items": items, "next": next }))
}

/// A response with a document.
pub(super) fn json_response(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A file that arrives bit by bit.
pub(super) fn download(body: Body, media: &'static str, name: &str) -> Answer {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    Answer::Response(response)
}
