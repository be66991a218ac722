//! The outbox: subjects whose Jira side may be out of date.

use uuid::Uuid;

/// What an outbox row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "lowercase")]
pub enum Subject {
    /// A user: account and Jira groups.
    User(Uuid),
    /// A group: its existence and fan-out.
    Group(Uuid),
    /// A whole tenant: fan-out after a change of policy or mode.
    Tenant(Uuid),
}

impl Subject {
    /// As in the column `kind`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Group(_) => "group",
            Self::Tenant(_) => "tenant",
        }
    }

    /// The subject's id.
    pub fn id(self) -> Uuid {
        match self {
            Self::User(id) | Self::Group(id) | Self::Tenant(id) => id,
        }
    }

    /// From the columns.
    pub fn from_columns(kind: &str, id: Uuid) -> Self {
        match kind {
            "group" => Self::Group(id),
            "tenant" => Self::Tenant(id),
            _ => Self::User(id),
        }
    }
}
