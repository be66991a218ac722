//! The HTTP client.

/// x
pub struct Client;
/// x
pub struct Credential;
