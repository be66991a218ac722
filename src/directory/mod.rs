//! Layer 3: the one door for every identity change. One transaction each: change, audit row, outbox rows.
//!
//! Speaks domain types and domain errors; knows neither HTTP nor any Jira. What a change means for Jira is the writer's
//! business: the directory only nudges the subjects it touched and hands the nudges back, so that the caller may settle.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::scim::Attrs;
use crate::store::tenant::Tenant;

pub mod undo;

/// On whose behalf something is done.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The tenant that the credential belongs to.
    pub tenant: Arc<Tenant>,
    /// The label of the credential; goes into the audit.
    pub actor: String,
    /// The request's id, in and out.
    pub request_id: Uuid,
    /// The client's address as far as trusted proxies tell.
    pub remote: Option<String>,
    /// The request draws the outbox rows already leased to itself, because it will settle them.
    pub settles: bool,
}

/// The precondition of a write (`If-Match`, RFC 7644 section 3.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// None was given, or `*`.
    None,
    /// One of these versions.
    Versions(Vec<i64>),
}

/// A user as a client may see it.
#[derive(Clone, Debug)]
pub struct UserView {
    /// The SCIM id.
    pub id: Uuid,
    /// What the client owns.
    pub attrs: Attrs,
    /// For the ETag.
    pub version: i64,
    /// `meta.created`.
    pub created: DateTime<Utc>,
    /// `meta.lastModified`.
    pub modified: DateTime<Utc>,
    /// The groups the user is in; `None` when they were not asked for.
    pub groups: Option<Vec<GroupRef>>,
}

/// A group that a user is in.
#[derive(Clone, Debug)]
pub struct GroupRef {
    /// The group's id.
    pub id: Uuid,
    /// Its `displayName`.
    pub display: String,
    /// Direct member, or through a nested group.
    pub direct: bool,
}

/// A group as a client may see it.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// The SCIM id.
    pub id: Uuid,
    /// What the client owns, without `members`.
    pub attrs: Attrs,
    /// For the ETag.
    pub version: i64,
    /// `meta.created`.
    pub created: DateTime<Utc>,
    /// `meta.lastModified`.
    pub modified: DateTime<Utc>,
    /// The members; `None` when they were not asked for.
    pub members: Option<Vec<MemberRef>>,
}

/// A member of a group.
#[derive(Clone, Debug)]
pub struct MemberRef {
    /// The member's id.
    pub id: Uuid,
    /// Its `displayName`, or userName where it has none.
    pub display: Option<String>,
    /// A group in a group.
    pub is_group: bool,
}

/// What a change did, and what it left to do.
#[derive(Debug)]
pub struct Accepted<T> {
    /// The resource as it is now.
    pub view: T,
    /// Whether anything changed; when not, there is neither a new version nor an audit row.
    pub changed: bool,
    /// The subjects put into the outbox (or already there, for a change that changed nothing), most important first.
    pub nudged: Vec<Nudge>,
    /// How to take the change back, for what gives or changes; `None` for what takes away.
    pub undo: Option<Undo>,
}

/// One subject of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nudge {
    /// What the subject is.
    pub subject: crate::store::outbox::Subject,
    /// The lease, where the row was inserted already leased to the request.
    pub lease: Option<Uuid>,
}

/// How to take a change back. Opaque to callers; see [`undo`].
#[derive(Debug)]
pub struct Undo(pub(crate) undo::Before);

/// What can go wrong with a change or a read.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The client's request is at fault (400, 409, 412 ...).
    #[error(transparent)]
    Scim(#[from] crate::scim::ScimError),
    /// There is no such living resource.
    #[error("there is no {kind} with id {id}")]
    NotFound {
        /// `User` or `Group`.
        kind: &'static str,
        /// As the client wrote it.
        id: String,
    },
    /// The precondition names another version.
    #[error("the resource has changed: its version is W/\"{current}\"")]
    Precondition {
        /// The version it has.
        current: i64,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] crate::store::StoreError),
}
