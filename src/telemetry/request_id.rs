//! The id that joins a client's request, our log, the audit row and the answer.

use std::fmt;

use uuid::Uuid;

/// The id of one request, as it goes into `X-Request-Id` of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

/// Longer ids are not ids.
const LONGEST: usize = 128;

impl RequestId {
    /// The client's own id when it is a sane one, else a new UUIDv7: what comes from outside ends up in logs and pages.
    pub fn from_header(given: Option<&str>) -> Self {
        let sane = |id: &&str| {
            (1..=LONGEST).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte))
        };
        given.filter(sane).map_or_else(Self::new, |id| Self(id.to_owned()))
    }

    /// A new one.
    pub fn new() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept_and_another_is_replaced() {
        assert_eq!(RequestId::from_header(Some("req-1:a/b")).as_str(), "req-1:a/b");
        for bad in [None, Some(""), Some("a b"), Some("a\u{1b}[31m"), Some(&*"x".repeat(129))] {
            assert_eq!(RequestId::from_header(bad).as_str().len(), 36, "{bad:?}");
        }
    }
}
