//! What is on record about a user's account and Jira groups: what "applied" means.
//!
//! Only the holder of the subject's lease writes it. Everything that a call is about to change is first marked `maybe`
//! in a transaction of its own, so that whatever happens to the call, nobody takes the old record for the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::account::{Access, Account, AccountId, Field, SeenAccount};

/// What is known of a user's account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// Nobody looked; a create is the look.
    #[default]
    Nothing,
    /// Looked: there is none.
    Absent,
    /// There is one of that name which is not linked to the user.
    Found(SeenAccount),
    /// The user's account, as last written or seen.
    Linked {
        /// As last written or seen.
        seen: SeenAccount,
        /// A write is on its way, or its outcome is unknown.
        #[serde(default)]
        maybe: bool,
    },
}

/// The account steps that can be held, refused or waived; each has a state of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AccountStep {
    /// Creating the account or writing its fields.
    Write,
    /// Activating or deactivating.
    Active,
    /// Deleting.
    Delete,
    /// Giving or taking access to one application.
    Access(Access),
}

/// The text before the application, where a step is about access.
const ACCESS: &str = "access:";

impl fmt::Display for AccountStep {
    /// `write`, `active`, `delete`, `access:jira-software`, `access:ari:... atlassian/user`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write => f.write_str("write"),
            Self::Active => f.write_str("active"),
            Self::Delete => f.write_str("delete"),
            Self::Access(Access { resource, role }) if role.is_empty() => write!(f, "{ACCESS}{resource}"),
            Self::Access(Access { resource, role }) => write!(f, "{ACCESS}{resource} {role}"),
        }
    }
}

impl From<AccountStep> for String {
    fn from(step: AccountStep) -> Self {
        step.to_string()
    }
}

impl TryFrom<String> for AccountStep {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "write" => Ok(Self::Write),
            "active" => Ok(Self::Active),
            "delete" => Ok(Self::Delete),
            other => {
                let access = other.strip_prefix(ACCESS).filter(|access| !access.is_empty());
                let access = access.ok_or_else(|| format!("{other} is no step of an account"))?;
                let (resource, role) = access.split_once(' ').unwrap_or((access, ""));
                Ok(Self::Access(Access { resource: resource.to_owned(), role: role.to_owned() }))
            }
        }
    }
}

/// Why a step is not being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stuck {
    /// Held: by the brake, or until a seat is free.
    Held,
    /// Jira, or a rule, said no for a reason that repeating cannot cure.
    Refused,
    /// Dropped by hand.
    Waived,
    /// Its group does not exist (yet).
    Waiting,
}

/// The state of a step that is not being done, until its desired value changes or somebody retries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepState {
    /// Why.
    pub state: Stuck,
    /// Of the desired value: when it differs, the state is void.
    pub fingerprint: String,
    /// For people.
    pub reason: String,
    /// The field that was objected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<Field>,
    /// A name is taken (409 to the IdP).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conflict: bool,
    /// It is the brake that holds it, and not a lack of seats.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub brake: bool,
    /// What takes away is tried again at this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<DateTime<Utc>>,
    /// Since when.
    pub since: DateTime<Utc>,
}

impl StepState {
    /// Whether the step with this desired value is still to be left alone.
    pub fn blocks(&self, fingerprint: &str, now: DateTime<Utc>) -> bool {
        self.fingerprint == fingerprint && self.retry_at.is_none_or(|at| at > now)
    }
}

/// The record of a user's account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// See [`Known`].
    #[serde(default)]
    pub known: Known,
    /// What was sent by creates whose outcome is not known (yet): a found account is our own creation only if one of these
    /// fits. Kept until the second look has passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maybe_created: Vec<Account>,
    /// Account steps that are not being done.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub steps: BTreeMap<AccountStep, StepState>,
    /// Group keys whose pair had an unknown outcome: the second look checks them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub watch: BTreeSet<String>,
    /// Applications that the account has access to, as last written or seen.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub granted: BTreeSet<Access>,
    /// Applications whose access is being written, or whose write has an unknown outcome.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub maybe_granted: BTreeSet<Access>,
    /// Applications whose access had an unknown outcome: the second look writes it once more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub watch_access: BTreeSet<Access>,
    /// We made the account (and did not find it).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub made: bool,
    /// All groups that the account was in when somebody last looked are on record, those that are not ours too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub surveyed: bool,
    /// Somebody approved that this account becomes the user's (`adopt = "ask"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<AccountId>,
    /// How the account was when we found it; `None` where we made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<AsFound>,
}

/// What has to be as it was when a create is taken back that adopted an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsFound {
    /// Whether the person could log in.
    pub active: bool,
    /// Which of the groups that we would write it was in, by key.
    pub groups: BTreeSet<String>,
}

impl LinkRecord {
    /// The linked account, if there is one.
    pub fn linked(&self) -> Option<&SeenAccount> {
        match &self.known {
            Known::Linked { seen, .. } => Some(seen),
            _ => None,
        }
    }

    /// The key of the linked account.
    pub fn account_id(&self) -> Option<&AccountId> {
        self.linked().map(|seen| &seen.id)
    }
}

/// What is on record about a (user, Jira group) pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// A member at the target.
    pub written: bool,
    /// A write is on its way, or its outcome is unknown.
    pub maybe: bool,
    /// It was there and is not ours.
    #[serde(default)]
    pub theirs: bool,
    /// It was there when it was imported: it counts as ours, but nobody of ours gave it.
    #[serde(default)]
    pub imported: bool,
    /// Why its step is not being done.
    pub step: Option<StepState>,
}

impl Pair {
    /// Nothing worth a row.
    pub fn is_void(&self) -> bool {
        !self.written && !self.maybe && !self.theirs && self.step.is_none()
    }
}

/// What is known of a Jira group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupKnown {
    /// Nobody looked.
    #[default]
    Unknown,
    /// A create is on its way, or its outcome is unknown.
    Maybe,
    /// It is there.
    Exists,
}

impl GroupKnown {
    /// As in the column `known`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Maybe => "maybe",
            Self::Exists => "exists",
        }
    }
}

/// What is on record about a Jira group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JiraGroup {
    /// The name, in the spelling that we use.
    pub name: String,
    /// See [`GroupKnown`].
    pub known: GroupKnown,
    /// We made it.
    pub made: bool,
    /// The target labels it as one that grants administration.
    pub administrative: bool,
    /// The group's key at the target, where groups have one.
    #[serde(default)]
    pub id: Option<String>,
    /// Why ensuring it is not being done.
    pub step: Option<StepState>,
}

/// Everything a plan for one user looks at, from one snapshot.
#[derive(Clone, Debug, Default)]
pub struct UserFacts {
    /// The user's id.
    pub user_id: Uuid,
    /// The user as the store has it; `None` when it never existed or was purged.
    pub user: Option<UserNow>,
    /// The user's SCIM groups, direct or nested.
    pub groups_in: Vec<InGroup>,
    /// Jira groups that those stand for by the tenant's policy: key to name.
    pub wanted: BTreeMap<String, String>,
    /// What is pinned by hand; memberships also when that is over.
    pub overrides: Vec<Override>,
    /// The account on record.
    pub record: LinkRecord,
    /// When to look once more.
    pub look_at: Option<DateTime<Utc>>,
    /// The pairs on record.
    pub pairs: BTreeMap<String, Pair>,
    /// The Jira groups of `wanted`, of `pairs` and of the policy, as far as they are on record.
    pub groups: BTreeMap<String, JiraGroup>,
}

/// A SCIM group that a user is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct InGroup {
    /// The name that the rules see.
    pub name: String,
    /// The name that it has now.
    #[serde(default)]
    pub shown: String,
    /// Whether the user is a member of the group itself, or of a group in it.
    pub direct: bool,
}

/// Something that is pinned by hand until a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Its id.
    pub id: Uuid,
    /// What is pinned.
    #[serde(flatten)]
    pub what: Pinned,
    /// Until when; `None`: inactive until the identity provider itself switches the person off.
    pub until: Option<DateTime<Utc>>,
}

/// What an override pins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Pinned {
    /// The person may log in.
    Active,
    /// The person may not.
    Inactive,
    /// The person is in a Jira group.
    Member {
        /// Its folded name.
        #[serde(rename = "group_key")]
        key: String,
        /// Its name.
        #[serde(rename = "group_name")]
        name: String,
    },
}

/// A user as the store has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserNow {
    /// What the client owns.
    pub attrs: crate::scim::Attrs,
    /// `active`.
    pub active: bool,
    /// The version.
    pub version: i64,
    /// A tombstone.
    pub deleted: bool,
    /// Since when.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Learnt from the target, and not written by a client yet: nothing of the account is written.
    pub imported: bool,
    /// A tombstone of somebody who never came: the create was refused and taken back.
    pub undone: bool,
    /// A tombstone of a purge: what came from here is taken back, also what the policy would keep or wait for.
    pub purged: bool,
}
