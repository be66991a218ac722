//! What a plan consists of.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::account::{Access, Account, AccountId, By, OffSwitch, SeenAccount};
use crate::jira::AccountChange;
use crate::store::link::{AccountStep, StepState};

/// One thing to be done at the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Read the account and its groups, put them on record, and plan again.
    Look {
        /// By key, where one is linked.
        id: Option<AccountId>,
        /// Else by login name.
        username: String,
        /// Where the policy says by what an account is found: by the first of these that finds one, and not by the login name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        by: Vec<By>,
    },
    /// Make the found account the user's own. No call; the claim decides.
    Link {
        /// The account.
        account: SeenAccount,
        /// It is our own creation, whose answer was lost.
        made: bool,
        /// As of a creation, where it is one.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        welcome: BTreeMap<String, String>,
    },
    /// Create the account.
    Create {
        /// As it is to be.
        account: Account,
        /// Jira groups, key to name, that the person is put into because the account is new, and not asked for again.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        welcome: BTreeMap<String, String>,
    },
    /// Set fields.
    Update {
        /// The key.
        id: AccountId,
        /// The fields that differ.
        change: AccountChange,
        /// The fingerprint of the account as it is to be, for the state of a refusal.
        #[serde(skip)]
        desired: String,
    },
    /// Let the person log in, or not.
    SetActive {
        /// The key.
        id: AccountId,
        /// Which.
        active: bool,
        /// Off: the way to do it. On: how it was switched off, where that is on record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        off: Option<OffSwitch>,
        /// Who takes over what the person leads.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hand_over_to: Option<String>,
    },
    /// Give access to an application.
    Grant {
        /// Which.
        access: Access,
    },
    /// Take access to an application away.
    Revoke {
        /// Which.
        access: Access,
    },
    /// Delete the account.
    Delete {
        /// The key.
        id: AccountId,
    },
    /// Make sure that a group exists.
    EnsureGroup {
        /// Its folded name.
        key: String,
        /// Its name.
        name: String,
        /// Create it where it does not exist; else only look.
        create: bool,
    },
    /// Put the account into a group.
    AddMember {
        /// The group's folded name.
        key: String,
        /// The group's name.
        name: String,
    },
    /// Take the account out of a group.
    RemoveMember {
        /// The group's folded name.
        key: String,
        /// The group's name.
        name: String,
    },
    /// Delete a group that we made.
    DeleteGroup {
        /// Its folded name.
        key: String,
        /// Its name.
        name: String,
    },
}

/// What kind of a step it is, as people name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// Create an account.
    Create,
    /// Make a found account the user's own.
    Link,
    /// Write fields.
    Update,
    /// Switch on.
    Activate,
    /// Switch off.
    Deactivate,
    /// Delete the account.
    Delete,
    /// Give or take access to an application.
    Access,
    /// Create a group, or make sure of it; delete one.
    Group,
    /// Put into a group.
    Join,
    /// Take out of a group.
    Leave,
}

impl StepKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Create,
        Self::Link,
        Self::Update,
        Self::Activate,
        Self::Deactivate,
        Self::Delete,
        Self::Access,
        Self::Group,
        Self::Join,
        Self::Leave,
    ];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Link => "link",
            Self::Update => "update",
            Self::Activate => "activate",
            Self::Deactivate => "deactivate",
            Self::Delete => "delete",
            Self::Access => "access",
            Self::Group => "group",
            Self::Join => "join",
            Self::Leave => "leave",
        }
    }
}

impl Step {
    /// Whether it is a look for an account by more than its login name.
    pub(super) fn finds_otherwise(&self) -> bool {
        matches!(self, Self::Look { by, .. } if !by.is_empty())
    }
}

/// The kind of a step; `None` for a look, which changes nothing.
pub fn kind_of(step: &Step) -> Option<StepKind> {
    match step {
        Step::Look { .. } => None,
        Step::Link { .. } => Some(StepKind::Link),
        Step::Create { .. } => Some(StepKind::Create),
        Step::Update { .. } => Some(StepKind::Update),
        Step::SetActive { active: true, .. } => Some(StepKind::Activate),
        Step::SetActive { active: false, .. } => Some(StepKind::Deactivate),
        Step::Grant { .. } | Step::Revoke { .. } => Some(StepKind::Access),
        Step::Delete { .. } => Some(StepKind::Delete),
        Step::EnsureGroup { .. } | Step::DeleteGroup { .. } => Some(StepKind::Group),
        Step::AddMember { .. } => Some(StepKind::Join),
        Step::RemoveMember { .. } => Some(StepKind::Leave),
    }
}

/// What a step is about, for its state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The account.
    Account(AccountStep),
    /// The pair with this group.
    Pair(String),
    /// The group itself.
    Group(String),
}

/// What is to be done, and what is not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In this order.
    pub steps: Vec<Step>,
    /// Steps that a rule forbids: their new states.
    pub stuck: Vec<(Place, StepState)>,
    /// States on record that say nothing any more, because their step is done or not wanted; they are cleared.
    pub void: Vec<Place>,
    /// When the subject has to be looked at again although nothing changes.
    pub due: Option<DateTime<Utc>>,
}

impl Plan {
    /// Neither a call nor a change of states.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.stuck.is_empty() && self.void.is_empty()
    }

    /// Leaves out the steps of other kinds. Without its account nothing of a person can be done.
    pub(super) fn keep(&mut self, only: Option<&BTreeSet<StepKind>>) {
        let Some(only) = only else { return };
        let allowed = |step: &Step| kind_of(step).is_none_or(|kind| only.contains(&kind));
        if self.steps.iter().any(|step| matches!(step, Step::Create { .. }) && !allowed(step)) {
            self.steps.clear();
        }
        self.steps.retain(allowed);
    }

    pub(super) fn due_at(&mut self, at: DateTime<Utc>) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}
