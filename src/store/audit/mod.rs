//! Who asked for what, and what came of it: every request, every change, and the deliveries that followed, as one list.
//!
//! A change and its row in `audit` commit together, wherever the change is made. Requests are written afterwards, a batch
//! at a time ([`write()`]); the words of a change are with its request. What no client asked for over the network (a command,
//! the daemon itself) is a row of `audit` alone, and stands in the same list.

mod clear;
mod inside;
mod names;
mod page;
mod search;
mod show;
mod whose;
mod words;
mod write;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

pub use clear::{Cleared, clear};
pub use names::{about, groups_named, users_named};
pub use page::{Page, Pages, search};
pub use whose::{everybody, tenants_named};
pub use write::{adopt_lost, last_record, write};

/// Whom rows belong to that are no tenant's.
pub const NOBODY: Uuid = Uuid::nil();

/// Which of our doors a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// An identity provider's.
    Scim,
    /// The administrators'.
    Admin,
}

impl Side {
    /// As in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scim => "scim",
            Self::Admin => "admin",
        }
    }
}

/// Whose a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A tenant's.
    Tenant(Uuid),
    /// That of the tenant of this name, if there is one: nobody was let in.
    Named(String),
    /// No tenant's.
    Nobody,
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct NewRequest {
    /// Whose.
    pub whose: Whose,
    /// When it came.
    pub at: DateTime<Utc>,
    /// Its id, as `audit` and `delivery` know it.
    pub request_id: Uuid,
    /// The client's own id, where it gave one.
    pub given: Option<String>,
    /// See [`Side`].
    pub side: Side,
    /// The label of the credential; empty where none was accepted.
    pub actor: String,
    /// The client's address as far as trusted proxies tell.
    pub remote: Option<String>,
    /// GET, POST ...
    pub method: String,
    /// With its query, without secrets.
    pub path: String,
    /// The answer; `None` where nobody heard one.
    pub status: Option<u16>,
    /// How long it took.
    pub duration: Duration,
    /// What it was about.
    pub subjects: Vec<Uuid>,
    /// Whether it has rows in `audit`.
    pub changed: bool,
    /// What it said, without secrets: for the words by which it is found.
    pub body: Option<Arc<Value>>,
    /// Whether the body is kept here: it is not in `audit`.
    pub keeps_body: bool,
    /// What the client was told when it was refused.
    pub error: Option<String>,
}

/// What is looked for; everything that is said must be so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Not before.
    pub since: Option<DateTime<Utc>>,
    /// Before.
    pub until: Option<DateTime<Utc>>,
    /// About one of these users; see [`users_named`].
    pub user: Option<Vec<Uuid>>,
    /// About one of these groups; see [`groups_named`].
    pub group: Option<Vec<Uuid>>,
    /// `409`, or a class: `4xx`.
    pub status: Option<String>,
    /// The method of the request.
    pub method: Option<String>,
    /// The label of the credential, or who gave the command.
    pub actor: Option<String>,
    /// The client's address.
    pub remote: Option<String>,
    /// `scim`, `admin`, or `inside`: what nobody asked for over the network.
    pub side: Option<String>,
    /// The request: our id of it, or [`uuid_of`](crate::telemetry::uuid_of) the client's.
    pub request_id: Option<Uuid>,
    /// Words, or beginnings of words, of whatever the request said or was told.
    pub text: Option<String>,
    /// Behind this row.
    pub after: Option<Cursor>,
}

/// A place in the list, which is the newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the row was written.
    pub at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.at.timestamp_micros(), self.id)
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.split_once('.').ok_or(())?;
        let at = at.parse().ok().and_then(DateTime::from_timestamp_micros).ok_or(())?;
        Ok(Self { at, id: id.parse().map_err(|_| ())? })
    }
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The tenant; none where it is nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Uuid>,
    /// When the request came, or the change was made.
    pub at: DateTime<Utc>,
    /// The row's own id.
    pub id: Uuid,
    /// The request's.
    pub request_id: Uuid,
    /// The client's own id of it, where it gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
    /// `scim`, `admin` or `inside`.
    pub side: String,
    /// Who; empty where nobody was let in.
    pub actor: String,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// How; none where it came by no request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// For what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The answer; none where nobody heard one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i16>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// What the client was told when it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a request said that changed nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// What it changed: the first of it.
    pub changes: Vec<Change>,
    /// Changes that are not among these.
    #[serde(skip_serializing_if = "is_none")]
    pub more_changes: i64,
    /// What was done to Jira because of it: the first of it.
    pub deliveries: Vec<Delivery>,
    /// Deliveries that are not among these.
    #[serde(skip_serializing_if = "is_none")]
    pub more_deliveries: i64,
}

fn is_none(number: &i64) -> bool {
    *number == 0
}

/// What a request, or a command, changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// When.
    pub at: DateTime<Utc>,
    /// `user.create`, `group.patch`, `undo` ...
    pub action: String,
    /// `user`, `group`, `tenant` ...
    pub kind: String,
    /// Which.
    pub id: Uuid,
    /// What it is called now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The answer that goes with it.
    pub status: i16,
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Member ids that were named and are unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
}

/// One attempt to bring a subject up to date.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Delivery {
    /// When it began.
    pub at: DateTime<Utc>,
    /// `user`, `group`, `tenant`.
    pub kind: String,
    /// Whose.
    pub id: Uuid,
    /// What it is called now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The request that asked for it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Uuid>,
    /// What was planned, with what became of each step.
    pub steps: Value,
    /// The calls: method, path template, status, duration.
    pub calls: Value,
    /// `None` while it runs, or where the process died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<DateTime<Utc>>,
}
