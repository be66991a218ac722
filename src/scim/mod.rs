//! Layer 1: the SCIM protocol library.

/// The client-owned document of a resource.
pub type Attrs = serde_json::Map<String, serde_json::Value>;

/// An error of the protocol.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ScimError(String);
