//! The plain words for a person's account and a group at a Jira: what both sides of the store share.
//!
//! No protocol, no SQL, no HTTP. `policy` makes an [`Account`] from a SCIM user, `writer` compares it with what is on
//! record, `jira` sends it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which API a target speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Jira Data Center and Jira Server, `/rest/api/2`.
    DataCenter,
    /// Jira Cloud: the site's `/rest/api/3` and the organisation's APIs.
    Cloud,
    /// Jira Align, API 2.0.
    Align,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DataCenter, Self::Cloud, Self::Align];

    /// As in the configuration (`data-center`).
    pub fn name(self) -> &'static str {
        match self {
            Self::DataCenter => "data-center",
            Self::Cloud => "cloud",
            Self::Align => "align",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A target's kind that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no kind of target; there are data-center, cloud and align")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

/// What an account is found by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The login name.
    Username(String),
    /// The e-mail address.
    Email(String),
    /// The account's key.
    Id(AccountId),
}

impl By {
    /// Whether an account has it.
    pub fn is(&self, seen: &SeenAccount) -> bool {
        match self {
            Self::Username(username) => fold(&seen.username) == fold(username),
            Self::Email(email) => seen.email.as_ref().is_some_and(|address| fold(address) == fold(email)),
            Self::Id(id) => seen.id == *id,
        }
    }
}

/// What an account's login name is made of, unless the policy says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// The SCIM `userName`.
    #[default]
    UserName,
    /// The e-mail address: there are no other login names.
    Email,
}

/// What a target can do, as far as a plan depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Its kind.
    pub kind: Kind,
    /// Whether it has groups.
    pub groups: bool,
    /// See [`Naming`].
    pub naming: Naming,
}

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
    /// Further fields that some targets know, by the name that their API gives them (`roleId`; empty on Data Center).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
    /// The applications that the person is to have access to; a creation grants them at once.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub access: BTreeSet<Access>,
}

/// Access to an application of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Access {
    /// The application: its key (`jira-software`), or on Cloud the resource (`ari:cloud:jira-software::site/...`).
    pub resource: String,
    /// The role there (`atlassian/user`); empty where an application has no roles.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role.as_str() {
            "" => f.write_str(&self.resource),
            role => write!(f, "{role} of {}", self.resource),
        }
    }
}

/// How a person is switched off at a target that knows more than one way (Cloud; reference section 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OffSwitch {
    /// Application access is taken away; groups that grant none stay.
    Revoke,
    /// The membership in the directory is suspended: nothing is lost, and a restore brings all of it back.
    Suspend,
    /// The person is removed from the directory or site; groups and roles are lost.
    Remove,
    /// The account itself is deactivated, for every service of every customer.
    Deactivate,
    /// The account itself is deleted, after a period of grace.
    Delete,
}

impl OffSwitch {
    /// As in the policy (`suspend`).
    pub fn name(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Suspend => "suspend",
            Self::Remove => "remove",
            Self::Deactivate => "deactivate",
            Self::Delete => "delete",
        }
    }
}

/// The target's immutable key of an account (`JIRAUSER10417` on Data Center): never the username, which may change.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub String);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An account as the target showed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Further fields by their name in the target's API; one that is not shown is not in here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
    /// The applications it has access to, where the answer tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<BTreeSet<Access>>,
    /// How it was switched off, where the target tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<OffSwitch>,
    /// What the target does not let us write of this account: it is as it is, and nobody tries.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub read_only: BTreeSet<Field>,
    /// Why the account must be left alone altogether (another provisioner owns it, its role is to be ignored).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hands_off: Option<String>,
}

/// A group as the target showed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenGroup {
    /// The name, in the target's spelling.
    pub name: String,
    /// The immutable key, where groups have one (Cloud); on Data Center the name is a group's only identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether the target labels the group as one that grants administration.
    pub administrative: bool,
    /// Why its members cannot be changed (it is synced from elsewhere).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<String>,
}

/// Which attribute of an account the target objected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// Any of the further fields ([`Account::extra`]).
    Extra,
}

impl Field {
    /// The SCIM attribute that feeds this field, for the `detail` of an error to the IdP.
    pub fn scim_attribute(self) -> &'static str {
        match self {
            Field::Username => "userName",
            Field::Email => "emails",
            Field::DisplayName => "displayName",
            Field::Active => "active",
            Field::Extra => "policy.account.fields",
        }
    }
}

/// Folds a name for comparison: the one rule used for user names, group names and every SCIM attribute that is not
/// `caseExact`, in memory and in the store's `*_key` columns alike.
pub fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase() }
}
