//! The id of a request as rows and drives know it.
//!
//! In headers and logs an id is text (`telemetry::RequestId`); audit and delivery rows hold a UUID. A UUID of the
//! client's is taken as it is; from any other text one is derived, the same every time, so that a row can be found by
//! the text that the client knows.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// The UUID of a request's id.
pub(super) fn as_uuid(text: &str) -> Uuid {
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
        assert_eq!(as_uuid(&id.to_string().to_uppercase()), id);
    }

    #[test]
    fn another_text_always_means_the_same_id() {
        assert_eq!(as_uuid("okta-17"), as_uuid("okta-17"));
        assert_ne!(as_uuid("okta-17"), as_uuid("okta-18"));
    }
}
