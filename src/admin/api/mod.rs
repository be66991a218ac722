//! The operations, one file a subject: take the request apart, call what does it, answer.

pub(super) mod admin_tokens;
pub(super) mod brake;
mod json_lines;
pub(super) mod outbox;
pub(super) mod overview;
pub(super) mod people;
pub(super) mod policy;
pub(super) mod runs;
pub(super) mod session;
pub(super) mod targets;
pub(super) mod tenants;
pub(super) mod tokens;
