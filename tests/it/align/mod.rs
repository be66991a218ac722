//! Jira Align: the sandbox as `docs/targets/align.md` describes it, the target against it, and stories through the whole
//! program.

#![allow(clippy::unwrap_used, clippy::panic)]

mod client;
mod sandbox;
mod stories;
mod target;
