//! The operations, one file a subject: take the request apart, call what does it, answer.

pub(super) mod admin_tokens;
pub(super) mod audit;
pub(super) mod brake;
pub(super) mod drift;
pub(super) mod explain;
mod hand;
pub(super) mod issuers;
mod json_lines;
pub(super) mod links;
pub(super) mod log;
pub(super) mod metrics;
pub(super) mod outbox;
pub(super) mod overrides;
pub(super) mod overview;
pub(super) mod people;
pub(super) mod plan;
pub(super) mod policy;
pub(super) mod removal;
pub(super) mod runs;
pub(super) mod session;
pub(super) mod source_runs;
pub(super) mod sources;
pub(super) mod targets;
pub(super) mod tenants;
pub(super) mod tokens;
