//! Layer 3: whether a client is whom it says: passwords that somebody chose, JWTs of issuers that a tenant trusts, tokens that
//! this program issued itself, and how often somebody may be wrong.
//!
//! Knows no request and no answer, and decides nothing about what somebody who is in may do: `http` does. It never tells why
//! somebody is not let in but to the log, and neither does anybody who calls it.

pub mod credential;
pub mod issuer;
pub mod jwks;
pub mod jwt;
pub mod oauth;
pub mod password;
pub mod ring;
pub mod slow;
