//! What is not done, and why: a status, a code for programs and a sentence for people. `docs/errors.md` tells every code.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::answer::json_response;
use crate::store::StoreError;
use crate::store::admin_token::AdminTokenError;
use crate::store::source::made::MadeError;
use crate::store::tenant::TenantError;
use crate::store::token::TokenError;
use crate::telemetry::Chain;

/// An answer that is not what was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// The parameter, or the place in the body.
    pub(super) field: Option<String>,
    /// What a program needs besides.
    more: Map<String, Value>,
    retry_after: Option<u64>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, more: Map::new(), retry_after: None }
    }

    /// The same, about this parameter or place in the body.
    pub(super) fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, with something more.
    pub(super) fn with(mut self, key: &str, value: Value) -> Self {
        self.more.insert(key.to_owned(), value);
        self
    }

    /// 400: a parameter of the path or the query.
    pub(super) fn parameter(name: &str, what: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-parameter", what).at(name)
    }

    /// 400: the body is no JSON.
    pub(super) fn json(what: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-json", what)
    }

    /// 401: nobody is signed in.
    pub(super) fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Sign in with an admin token.")
    }

    /// 401: the token is not one, or not any more; which of these is never told.
    pub(super) fn wrong_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "wrong-token", "This is no admin token, or not any more.")
    }

    /// 403.
    pub(super) fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// 404.
    pub(super) fn missing(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 404: nothing is there.
    pub(super) fn no_such_path() -> Self {
        Self::missing("no-such-path", "There is nothing at this path.")
    }

    /// 405.
    pub(super) fn method(allowed: &str) -> Self {
        let message = format!("This path knows {allowed}.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message)
    }

    /// 408.
    pub(super) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "The body did not arrive in time.")
    }

    /// 409: what is there does not allow it.
    pub(super) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 413.
    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("The body is larger than {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message)
    }

    /// 415.
    pub(super) fn not_json() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "Send JSON, as application/json in UTF-8.")
    }

    /// 422: the body, or something in it, cannot be.
    pub(super) fn value(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-value", what).at(field)
    }

    /// 422, with a code of its own.
    pub(super) fn unprocessable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// 429.
    pub(super) fn too_many_attempts(seconds: u64) -> Self {
        let message = format!("Too many failed attempts from this address; wait {seconds} seconds.");
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", message);
        Self { retry_after: Some(seconds.max(1)), ..refusal }
    }

    /// 500: the log has the cause.
    pub(super) fn internal() -> Self {
        let message = "Something went wrong here; the log tells what.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// 503.
    pub(super) fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message) }
    }

    /// What a program needs besides.
    pub(super) fn detail(&self, key: &str) -> Value {
        self.more.get(key).cloned().unwrap_or_default()
    }

    /// Its answer.
    pub(super) fn response(&self) -> Response {
        let mut error = json!({ "code": self.code, "message": self.message, "field": self.field });
        if let Value::Object(members) = &mut error {
            members.extend(self.more.clone());
        }
        let mut response = json_response(self.status, &json!({ "error": error }));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A sentence as an error's own words make it.
pub(super) fn sentence(error: &dyn std::error::Error) -> String {
    let text = Chain(error).to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str().trim_end_matches('.')),
        None => String::new(),
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable(_) => {
                tracing::warn!(error = %Chain(&error), "the database is not available for an administrator");
                Self::unavailable("unavailable", "The database does not answer; try again.")
            }
            StoreError::TimedOut(_) => {
                tracing::warn!(error = %Chain(&error), "the database took too long for an administrator");
                Self::unavailable("timed-out", "The database took longer than a statement may; ask for less.")
            }
            error if error.is_transient() => {
                Self::unavailable("unavailable", "Others changed the same at the same moment; try again.")
            }
            error => {
                tracing::error!(error = %Chain(error), "a request of an administrator failed");
                Self::internal()
            }
        }
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<TenantError> for Refusal {
    fn from(error: TenantError) -> Self {
        let message = sentence(&error);
        match error {
            TenantError::SlugTaken(_) => Self::conflict("slug-taken", message).at("slug"),
            TenantError::Declared(_) => Self::conflict("declared", message),
            TenantError::ChangedMeanwhile { .. } => Self::conflict("changed-meanwhile", message).at("version"),
            TenantError::NotFound(_) => Self::missing("no-such-tenant", message),
            TenantError::TargetInUse { .. } => Self::conflict("target-in-use", message).at("target"),
            TenantError::Store(error) => error.into(),
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        let message = sentence(&error);
        match error {
            TokenError::LabelTaken(_) => Self::conflict("label-taken", message).at("label"),
            TokenError::InUse => Self::conflict("in-use", message),
            TokenError::NotFound(_) => Self::missing("no-such-token", message),
            TokenError::Declared(_) => Self::conflict("declared", message),
            TokenError::OtherKind(_) => Self::conflict("other-kind", message).at("password"),
            TokenError::Store(error) => error.into(),
        }
    }
}

impl From<MadeError> for Refusal {
    fn from(error: MadeError) -> Self {
        let message = sentence(&error);
        match error {
            MadeError::NameTaken(_) => Self::conflict("name-taken", message).at("name"),
            MadeError::TenantFed => Self::conflict("tenant-fed", message).at("tenant"),
            MadeError::Store(error) => error.into(),
        }
    }
}

impl From<AdminTokenError> for Refusal {
    fn from(error: AdminTokenError) -> Self {
        let message = sentence(&error);
        match error {
            AdminTokenError::LabelTaken(_) => Self::conflict("label-taken", message).at("label"),
            AdminTokenError::InUse => Self::conflict("in-use", message),
            AdminTokenError::NotFound(_) => Self::missing("no-such-token", message),
            AdminTokenError::Declared(_) => Self::conflict("declared", message),
            AdminTokenError::Store(error) => error.into(),
        }
    }
}
