//! Tenants: one IdP's configuration each.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

/// Whether a tenant's changes are written to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Answer from the store, write nothing; `plan` shows what would be done.
    Observe,
    /// Write.
    Enforce,
}

/// One IdP's configuration as stored.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id.
    pub id: Uuid,
    /// The name in the URL.
    pub slug: String,
    /// Name of the `[[target]]` it writes to.
    pub target: String,
    /// See [`Mode`].
    pub mode: Mode,
    /// The rules, untyped; `policy::Policy` is the typed form.
    pub policy: Value,
    /// Grows with every change of policy, mode or target.
    pub policy_version: i64,
    /// The configuration file declares it, so nothing else may change it.
    pub declared: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was last changed.
    pub modified: DateTime<Utc>,
}
