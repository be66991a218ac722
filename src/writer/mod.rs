//! Layer 3: the one door for every write to a Jira.

pub mod absorb;
pub mod outcome;
pub mod plan;
