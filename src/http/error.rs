//! How a request fails: every failure is a SCIM error envelope (RFC 7644 section 3.12, GEN-20), whatever its cause.
//!
//! The one place where domain errors become statuses. A fault of ours shows the client a fixed sentence; its chain of
//! causes goes into the log, once, here.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::recording::Told;
use super::wire::Version;
use super::{etag, reply};
use crate::directory::DirectoryError;
use crate::scim::ScimError;
use crate::store::StoreError;
use crate::telemetry::Chain;

/// When a client may try again after our database was away.
const RETRY_AFTER_OUTAGE: u64 = 5;
/// When it may try again after a transaction lost against others.
const RETRY_AFTER_CONFLICT: u64 = 1;

/// Others changed the same resource, again and again.
const COLLIDED: &str = "The request collided with others.";

/// What a request is answered with that does not succeed.
#[derive(Debug)]
pub(super) struct Failure {
    error: ScimError,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Failure {
    /// 401: the same whatever is wrong with the credentials.
    pub(super) fn unauthorized() -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"scim\", Basic realm=\"scim\", charset=\"UTF-8\"");
        Self { error: ScimError::unauthorized(), header: Some((header::WWW_AUTHENTICATE, challenge)) }
    }

    /// 403: the credential is good, but not for this; says what it lacks.
    pub(super) fn forbidden(detail: &'static str) -> Self {
        ScimError { status: 403, scim_type: None, detail: detail.to_owned() }.into()
    }

    /// 429: too many wrong credentials came from there, whatever was wrong with them.
    pub(super) fn wrong_too_often(wait: Duration) -> Self {
        let error = ScimError::too_many_requests("Too many failed logins came from this address.");
        Self::with_retry(error, wait.as_secs_f64().ceil().max(1.0) as u64)
    }

    /// 503: passwords are checked a few at a time, and this one's turn did not come.
    pub(super) fn busy() -> Self {
        Self::with_retry(ScimError::unavailable("Too many passwords are being checked."), RETRY_AFTER_CONFLICT)
    }

    /// 503: a token names an issuer whom the tenant trusts, and nobody can tell now whether the issuer signed it.
    pub(super) fn issuer_away() -> Self {
        Self::with_retry(
            ScimError::unavailable("The keys of the token's issuer cannot be fetched."),
            RETRY_AFTER_OUTAGE,
        )
    }

    /// 404 for a path that names nothing.
    pub(super) fn no_such_path() -> Self {
        ScimError::not_found("There is no such endpoint.").into()
    }

    /// 405, with the methods that are allowed.
    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let error = ScimError::method_not_allowed(format!("This endpoint answers {allow}."));
        Self { error, header: Some((header::ALLOW, HeaderValue::from_static(allow))) }
    }

    /// 408: the client did not send the rest of its body.
    pub(super) fn body_timed_out() -> Self {
        ScimError { status: 408, scim_type: None, detail: "The body did not arrive in time.".into() }.into()
    }

    /// 429, with the whole seconds until there is room (OKTA-27).
    pub(super) fn throttled(wait: Duration) -> Self {
        let error = ScimError::too_many_requests("This tenant sends more requests than it may.");
        Self::with_retry(error, wait.as_secs_f64().ceil().max(1.0) as u64)
    }

    /// 503 while the process ends.
    pub(super) fn ending() -> Self {
        Self::with_retry(ScimError::unavailable("The server is being restarted."), RETRY_AFTER_OUTAGE)
    }

    /// 503: the request took longer than it may; nobody knows what became of it.
    pub(super) fn timed_out() -> Self {
        Self::with_retry(ScimError::unavailable("The request took too long."), RETRY_AFTER_OUTAGE)
    }

    /// 500 without a cause; whoever calls has logged it.
    pub(super) fn internal() -> Self {
        ScimError::internal().into()
    }

    /// The status that it is answered with.
    pub(super) fn status(&self) -> u16 {
        self.error.status
    }

    /// What the client reads.
    #[cfg(test)]
    pub(super) fn error(&self) -> &ScimError {
        &self.error
    }

    /// The error envelope.
    pub(super) fn body(&self) -> serde_json::Value {
        self.error.body()
    }

    /// When the client may try again, where it is told.
    pub(super) fn retry_after(&self) -> Option<&HeaderValue> {
        self.header.as_ref().filter(|(name, _)| *name == header::RETRY_AFTER).map(|(_, value)| value)
    }

    fn with_retry(error: ScimError, seconds: u64) -> Self {
        Self { error, header: Some((header::RETRY_AFTER, HeaderValue::from(seconds))) }
    }
}

impl From<ScimError> for Failure {
    fn from(error: ScimError) -> Self {
        Self { error, header: None }
    }
}

impl From<DirectoryError> for Failure {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Scim(error) => error.into(),
            DirectoryError::NotFound { kind, id } => ScimError::not_found(no_such_resource(kind, &id)).into(),
            DirectoryError::Precondition { current } => {
                let tag = etag::of(current);
                ScimError::precondition_failed(format!("The resource has changed: its version is {tag}.")).into()
            }
            DirectoryError::Busy => Self::with_retry(ScimError::unavailable(COLLIDED), RETRY_AFTER_CONFLICT),
            DirectoryError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let again = match &error {
            StoreError::Unavailable(_) | StoreError::NewerSchema(_) | StoreError::Migration(_) => {
                Some(("The server cannot reach its database.", RETRY_AFTER_OUTAGE))
            }
            StoreError::TimedOut(_) => Some(("The server's database took too long.", RETRY_AFTER_OUTAGE)),
            StoreError::Database(_) if error.is_transient() => Some((COLLIDED, RETRY_AFTER_CONFLICT)),
            StoreError::Database(_) | StoreError::Inconsistent { .. } => None,
        };
        match again {
            Some((sentence, seconds)) => {
                tracing::warn!(error = %Chain(&error), "the store cannot serve the request now");
                Self::with_retry(ScimError::unavailable(sentence), seconds)
            }
            None => {
                tracing::error!(error = %Chain(&error), "the store failed");
                Self::internal()
            }
        }
    }
}

impl Failure {
    /// The answer, in the words of the client's version of the protocol.
    pub(super) fn answer(self, version: Version) -> Response {
        let status = StatusCode::from_u16(self.error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = reply::json(status, &version.error(&self.error));
        response.extensions_mut().insert(Told::new(&self.error.detail));
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Repeats the client's id, but not so much of it that the answer could be blown up.
fn no_such_resource(kind: &str, id: &str) -> String {
    const LONGEST: usize = 80;
    let id: String = id.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    format!("There is no {kind} with id {id}.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn header<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn each_domain_error_has_its_status() {
        let not_found = DirectoryError::NotFound { kind: "User", id: "7".into() };
        let table: [(Failure, u16); 9] = [
            (DirectoryError::Busy.into(), 503),
            (DirectoryError::Scim(ScimError::invalid_value("x")).into(), 400),
            (DirectoryError::Scim(ScimError::uniqueness("x")).into(), 409),
            (not_found.into(), 404),
            (DirectoryError::Precondition { current: 4 }.into(), 412),
            (StoreError::Unavailable(sqlx_error()).into(), 503),
            (StoreError::TimedOut(sqlx_error()).into(), 503),
            (StoreError::Database(sqlx_error()).into(), 500),
            (DirectoryError::Store(StoreError::NewerSchema(9)).into(), 503),
        ];
        for (failure, status) in table {
            assert_eq!(failure.status(), status, "{failure:?}");
        }
    }

    fn sqlx_error() -> sqlx::Error {
        sqlx::Error::PoolTimedOut
    }

    #[test]
    fn a_fault_of_ours_shows_no_cause() {
        for error in [StoreError::Unavailable(sqlx_error()), StoreError::Database(sqlx_error())] {
            let detail = Failure::from(error).error().detail.clone();
            assert!(!detail.contains("pool"), "{detail}");
        }
    }

    #[test]
    fn the_headers_that_a_status_needs_are_there() {
        let response = Failure::unauthorized().answer(Version::V2);
        assert_eq!(
            header(&response, &header::WWW_AUTHENTICATE),
            Some("Bearer realm=\"scim\", Basic realm=\"scim\", charset=\"UTF-8\"")
        );
        let response = Failure::method_not_allowed("GET, HEAD").answer(Version::V2);
        assert_eq!(header(&response, &header::ALLOW), Some("GET, HEAD"));
        for (wait, seconds) in [(1, "1"), (1000, "1"), (1001, "2")] {
            let response = Failure::throttled(Duration::from_millis(wait)).answer(Version::V2);
            assert_eq!(header(&response, &header::RETRY_AFTER), Some(seconds));
        }
        let response = Failure::from(StoreError::Unavailable(sqlx_error())).answer(Version::V2);
        assert_eq!(header(&response, &header::RETRY_AFTER), Some("5"));
        assert_eq!(header(&response, &header::CONTENT_TYPE), Some("application/scim+json; charset=utf-8"));
    }
}
