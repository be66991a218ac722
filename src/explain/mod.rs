//! Layer 3: says in sentences why somebody is as he is in Jira, and why he is in a Jira group or not.
//!
//! It reads what the planner reads and asks the planner, so that it cannot say anything else than what is done. Makes no call
//! to a Jira and writes nothing.

mod history;
mod membership;
mod user;
mod waiting;
mod words;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::account::fold;
use crate::store::tenant::Tenant;
use crate::store::{StoreError, audit, by_hand};
use crate::writer::Writer;
use crate::writer::forecast::ForecastError;

pub use membership::membership;
pub use user::user;

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
    #[error("{name} may be several users of tenant {tenant}; say which by id: {}", words::list(&.ids.iter().map(Uuid::to_string).collect::<Vec<_>>()))]
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

/// Who is meant: whoever has the name now, else whoever had it.
async fn meant(writer: &Writer, tenant: &Tenant, name: &str) -> Result<Uuid, ExplainError> {
    let mut conn = writer.store().pool().acquire().await.map_err(StoreError::from)?;
    let mut ids = by_hand::users_named(&mut conn, tenant.id, Uuid::try_parse(name).ok(), &fold(name)).await?;
    if ids.is_empty() {
        ids = audit::users_named(&mut conn, tenant.id, name).await?;
    }
    match ids.as_slice() {
        [] => Err(ExplainError::NoUser { tenant: tenant.slug.clone(), name: name.to_owned() }),
        [id] => Ok(*id),
        _ => Err(ExplainError::Ambiguous { tenant: tenant.slug.clone(), name: name.to_owned(), ids }),
    }
}
