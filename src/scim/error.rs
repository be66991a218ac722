//! The one error of the protocol library: a status, a `scimType` and a sentence for the client.
//!
//! A `detail` is read by the identity provider's administrator. It names attributes, never values of secrets, and never
//! the cause of a fault on our side.

use std::fmt;

use serde_json::{Value, json};

use super::urn;

/// The `scimType` words (RFC 7644 section 3.12, table 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScimType {
    /// The filter cannot be read, or compares what cannot be compared.
    InvalidFilter,
    /// The request asks for more than the server is willing to compute.
    TooMany,
    /// A unique value is taken.
    Uniqueness,
    /// The attribute may not be changed.
    Mutability,
    /// The body has not the form that the request needs.
    InvalidSyntax,
    /// A PATCH `path` cannot be read or names nothing.
    InvalidPath,
    /// A PATCH `path` selects nothing that could be changed.
    NoTarget,
    /// A value is missing or of the wrong type.
    InvalidValue,
    /// A cursor is not one of ours, or belongs to another query (RFC 9865 section 2.1).
    InvalidCursor,
    /// The protocol version is not supported.
    InvalidVers,
    /// The request carries personal data in its URI.
    Sensitive,
}

impl ScimType {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ScimType::InvalidFilter => "invalidFilter",
            ScimType::TooMany => "tooMany",
            ScimType::Uniqueness => "uniqueness",
            ScimType::Mutability => "mutability",
            ScimType::InvalidSyntax => "invalidSyntax",
            ScimType::InvalidPath => "invalidPath",
            ScimType::NoTarget => "noTarget",
            ScimType::InvalidValue => "invalidValue",
            ScimType::InvalidCursor => "invalidCursor",
            ScimType::InvalidVers => "invalidVers",
            ScimType::Sensitive => "sensitive",
        }
    }
}

impl fmt::Display for ScimType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the client is told when its request does not succeed (RFC 7644 section 3.12).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ScimError {
    /// The HTTP status code.
    pub status: u16,
    /// The detail keyword, where RFC 7644 has one for the case.
    pub scim_type: Option<ScimType>,
    /// A sentence for a person; never empty (OKTA-25).
    pub detail: String,
}

impl ScimError {
    fn new(status: u16, scim_type: Option<ScimType>, detail: impl Into<String>) -> Self {
        Self { status, scim_type, detail: detail.into() }
    }

    /// 400 `invalidFilter`.
    pub fn invalid_filter(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::InvalidFilter), detail)
    }

    /// 400 `tooMany`.
    pub fn too_many(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::TooMany), detail)
    }

    /// 400 `invalidSyntax`.
    pub fn invalid_syntax(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::InvalidSyntax), detail)
    }

    /// 400 `invalidPath`.
    pub fn invalid_path(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::InvalidPath), detail)
    }

    /// 400 `invalidValue`.
    pub fn invalid_value(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::InvalidValue), detail)
    }

    /// 400 `invalidCursor`.
    pub fn invalid_cursor(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::InvalidCursor), detail)
    }

    /// 400 `noTarget`.
    pub fn no_target(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::NoTarget), detail)
    }

    /// 400 `mutability`.
    pub fn mutability(detail: impl Into<String>) -> Self {
        Self::new(400, Some(ScimType::Mutability), detail)
    }

    /// 409 `uniqueness` (GEN-16).
    pub fn uniqueness(detail: impl Into<String>) -> Self {
        Self::new(409, Some(ScimType::Uniqueness), detail)
    }

    /// 401 with a fixed sentence: it does not say whether the credentials are absent, wrong, or another tenant's.
    pub fn unauthorized() -> Self {
        Self::new(401, None, "The credentials are missing or not valid.")
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(404, None, detail)
    }

    /// 405.
    pub fn method_not_allowed(detail: impl Into<String>) -> Self {
        Self::new(405, None, detail)
    }

    /// 412: `If-Match` did not hold (S11-23).
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(412, None, detail)
    }

    /// 413.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(413, None, detail)
    }

    /// 415.
    pub fn unsupported_media(detail: impl Into<String>) -> Self {
        Self::new(415, None, detail)
    }

    /// 429.
    pub fn too_many_requests(detail: impl Into<String>) -> Self {
        Self::new(429, None, detail)
    }

    /// 500 with a fixed sentence: the cause belongs into the log.
    pub fn internal() -> Self {
        Self::new(500, None, "The server failed to process the request; its log has the cause under this request id.")
    }

    /// 501.
    pub fn not_implemented(detail: impl Into<String>) -> Self {
        Self::new(501, None, detail)
    }

    /// 503.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(503, None, detail)
    }

    /// The error envelope of SCIM 2.0. `status` is a string, as RFC 7644 and one client want it (OKTA-9).
    pub fn body(&self) -> Value {
        let mut body = json!({ "schemas": [urn::ERROR], "status": self.status.to_string(), "detail": self.detail });
        if let Some(scim_type) = self.scim_type {
            body["scimType"] = Value::from(scim_type.as_str());
        }
        body
    }
}

/// A client's word as it may stand in a `detail`: control characters removed, and cut so that an answer cannot be blown
/// up by its request.
pub(crate) fn quoted(word: &str) -> String {
    const LONGEST: usize = 80;
    let mut clean: String = word.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if word.chars().nth(LONGEST).is_some() {
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_has_a_string_status_and_the_scim_type() {
        let body = ScimError::uniqueness("A user with userName amoss already exists.").body();
        assert_eq!(
            body,
            json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                "status": "409",
                "scimType": "uniqueness",
                "detail": "A user with userName amoss already exists."
            })
        );
    }

    #[test]
    fn a_case_without_a_keyword_has_no_scim_type() {
        assert_eq!(ScimError::unauthorized().body().get("scimType"), None);
    }

    #[test]
    fn a_long_word_of_the_client_is_cut_in_the_detail() {
        assert_eq!(quoted("a\u{7}b"), "ab");
        assert_eq!(quoted(&"x".repeat(500)).chars().count(), 81);
    }
}
