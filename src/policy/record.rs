//! How much of what a tenant's clients ask for is put on record.

use serde::{Deserialize, Serialize};

/// What goes on record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Of a change who made it and when, without what was said; of a request nothing.
    Off,
    /// Every request that changes something, or asks for it.
    Changes,
    /// Every request.
    #[default]
    All,
}

/// What is put on record of a tenant's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// See [`Level`].
    pub level: Level,
}
