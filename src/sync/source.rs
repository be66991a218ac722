//! What a directory must offer to be read. One more kind of directory is one more implementation of this.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// From where changes may be asked for. Only the source that made it knows what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Whose count it is; empty where all servers have the same.
    pub server: String,
    /// Where that count was; never our own clock.
    pub at: String,
}

/// Which people are to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Everybody.
    All,
    /// Whoever changed since, and may be a few who did not. Who is gone is not among them.
    Changed(Mark),
    /// The person of this userName.
    Person(String),
}

/// Which groups are to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedGroups {
    /// All of them, with all members.
    All,
    /// Those that changed since, with all members.
    Changed(Mark),
    /// Those that this person is in, with this one member.
    Of {
        /// The person's place.
        place: String,
        /// What else the person is named by.
        also: Option<String>,
    },
}

/// A person or a group as the directory has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The id that stays through renames and moves; it becomes the externalId.
    pub key: String,
    /// What members of groups are named by, in one spelling.
    pub place: String,
    /// What else members of groups are named by, several people together perhaps. It must not be anybody's place.
    pub also: Option<String>,
    /// What a person calls it, in messages.
    pub shown: String,
    /// The SCIM document, or why there is none.
    pub body: Result<Value, String>,
}

/// A part of what was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// A person or a group, by what was asked for.
    Entry(Entry),
    /// Members of a group, by place; of a large group there may be several.
    Members {
        /// The group's key.
        group: String,
        /// Some of its members.
        members: Vec<String>,
    },
    /// All those whom this names besides their place are members of a group.
    MembersBy {
        /// The group's key.
        group: String,
        /// What they have in common: their `also`.
        also: String,
    },
    /// Something that has no stable id, so that nobody knows who it is.
    Nameless {
        /// What a person calls it.
        shown: String,
        /// What is wrong with it.
        why: String,
    },
}

/// What came of asking for more.
#[derive(Debug)]
pub enum Step {
    /// More of it; may be empty.
    Page(Vec<Piece>),
    /// That was all of it, and nothing was left out. Only the directory's own word for it is this: a connection that ends, a
    /// limit, a referral are errors.
    Complete,
}

/// A read under way. Dropped, it ends.
pub trait Reading: Send {
    /// The next page; to be called until it is complete, or fails.
    fn next(&mut self) -> BoxFuture<'_, Result<Step, SourceError>>;

    /// After it was complete: from where changes may be asked for the next time, such that nothing that this read did not see is
    /// left out. `None`: everything has to be read again.
    fn mark(&self) -> Option<Mark> {
        None
    }
}

/// A directory.
pub trait Source: Send + Sync {
    /// Begins to read people.
    fn people<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<Box<dyn Reading>, SourceError>>;

    /// Begins to read groups, with members.
    fn groups<'a>(&'a self, wanted: &'a WantedGroups) -> BoxFuture<'a, Result<Box<dyn Reading>, SourceError>>;

    /// The place that somebody means who writes this.
    ///
    /// # Errors
    /// A sentence: it is no name of a place.
    fn place(&self, written: &str) -> Result<String, String>;

    /// Where it is, for people to read.
    fn address(&self) -> String;
}

/// Why a directory cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be reached, or stopped answering.
    #[error("{address} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// What was heard last.
        why: String,
    },
    /// It does not let us in.
    #[error("{address} does not let {who} in: {why}")]
    Denied {
        /// Where.
        address: String,
        /// As whom.
        who: String,
        /// In its own words.
        why: String,
    },
    /// It gave a part.
    #[error("the read is not complete, so nothing is changed: {why}")]
    Partial {
        /// What was missing.
        why: String,
    },
    /// Changes since that mark cannot be told: then everything is read.
    #[error("changes cannot be asked for: {0}")]
    Stale(String),
    /// It cannot be asked like this.
    #[error("{0}")]
    Unusable(String),
}

impl SourceError {
    /// Whether asking again later may help without anybody's doing.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Partial { .. })
    }
}
