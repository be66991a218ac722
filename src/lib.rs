//! `jira-scim`: a SCIM server daemon that keeps Jira's users and groups as the identity provider wants them.
//!
//! Layers, lowest first; a module uses lower layers only (a test reads `src/**` and says so):
//!
//! * 0 `config` `telemetry` `clock` `secret` `lifecycle`
//! * 1 `scim` (the protocol library) `account` (the plain words for an account) `listen` (sockets to requests)
//!   `embedded` (the private PostgreSQL)
//! * 2 `store` (the only SQL) `jira` (the only HTTP to a Jira) `policy` (pure rules)
//! * 3 `directory` (every identity change) `writer` (every write to a Jira)
//! * 4 `http` `simulate`
//! * 5 `app` `cli` (wiring and commands)
//! * beside: `sandbox`, a Jira with state that uses nothing of `jira`

pub mod account;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod directory;
pub mod embedded;
pub mod http;
pub mod jira;
pub mod lifecycle;
pub mod listen;
pub mod policy;
pub mod sandbox;
pub mod scim;
pub mod secret;
pub mod simulate;
pub mod store;
pub mod telemetry;
pub mod writer;
