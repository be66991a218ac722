//! Jira Align: the sandbox as `docs/targets/align.md` describes it, the target against it, and stories through the whole
//! program.

#![allow(clippy::unwrap_used, clippy::panic)]

mod client;
mod foul_weather;
mod import;
mod looks;
mod manual;
mod office;
mod pulled;
mod sandbox;
mod stage;
mod stories;
mod target;
mod unmatched;
