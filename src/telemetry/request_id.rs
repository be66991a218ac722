//! The id that joins a client's request, our log, the audit row and the answer.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

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

    /// See [`uuid_of`].
    pub fn as_uuid(&self) -> Uuid {
        uuid_of(&self.0)
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

/// The id of a request as rows and drives know it: rows hold a UUID, headers and logs hold text. A UUID of the client's is
/// taken as it is; from any other text one is derived, the same every time, so that a row can be found by the text that the
/// client knows.
pub fn uuid_of(text: &str) -> Uuid {
    Uuid::try_parse(text).unwrap_or_else(|_| derived(text))
}

/// A UUID of version 8: the first bits of the text's SHA-256.
fn derived(text: &str) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_taken_as_it_is() {
        let id = Uuid::from_u128(0x0197_a8c0_0000_7000_8000_0000_0000_0001);
        assert_eq!(uuid_of(&id.to_string().to_uppercase()), id);
    }

    #[test]
    fn another_text_always_means_the_same_id() {
        assert_eq!(uuid_of("okta-17"), uuid_of("okta-17"));
        assert_ne!(uuid_of("okta-17"), uuid_of("okta-18"));
    }

    #[test]
    fn a_sane_id_is_kept_and_another_is_replaced() {
        assert_eq!(RequestId::from_header(Some("req-1:a/b")).as_str(), "req-1:a/b");
        for bad in [None, Some(""), Some("a b"), Some("a\u{1b}[31m"), Some(&*"x".repeat(129))] {
            assert_eq!(RequestId::from_header(bad).as_str().len(), 36, "{bad:?}");
        }
    }
}
