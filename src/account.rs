//! The plain words for a person's account and a group at a Jira: what both sides of the store share.
//!
//! No protocol, no SQL, no HTTP. `policy` makes an [`Account`] from a SCIM user, `writer` compares it with what is on
//! record, `jira` sends it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What a person's account at the target is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The login name; unique at the target without regard to letter case.
    pub username: String,
    /// The e-mail address.
    pub email: String,
    /// The name that is shown.
    pub display_name: String,
    /// Whether the person may log in.
    pub active: bool,
    /// Further fields that some targets know (empty on Data Center).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
}

/// The target's immutable key of an account (`JIRAUSER10417` on Data Center): never the username, which may change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub String);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An account as the target showed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenAccount {
    /// The immutable key.
    pub id: AccountId,
    /// The login name, in the target's spelling.
    pub username: String,
    /// `None` where the target hides e-mail addresses: then nobody may conclude that it differs.
    pub email: Option<String>,
    /// The name that is shown.
    pub display_name: String,
    /// Whether the person may log in.
    pub active: bool,
    /// Names of the groups the account is a direct member of, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
}

/// A group as the target showed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenGroup {
    /// The name, in the target's spelling; it is the only identity a Jira group has.
    pub name: String,
    /// Whether the target labels the group as one that grants administration.
    pub administrative: bool,
}

/// Which attribute of an account the target objected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The login name.
    Username,
    /// The e-mail address.
    Email,
    /// The display name.
    DisplayName,
    /// The active flag (a deactivation that the target refuses, for instance of a project lead).
    Active,
}

impl Field {
    /// The SCIM attribute that feeds this field, for the `detail` of an error to the IdP.
    pub fn scim_attribute(self) -> &'static str {
        match self {
            Field::Username => "userName",
            Field::Email => "emails",
            Field::DisplayName => "displayName",
            Field::Active => "active",
        }
    }
}

/// Folds a name for comparison: the one rule used for user names, group names and every SCIM attribute that is not
/// `caseExact`, in memory and in the store's `*_key` columns alike.
pub fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase() }
}
