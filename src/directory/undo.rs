//! Taking a change back: what was before.

/// What was before.
#[derive(Debug)]
pub(crate) enum Before {}
