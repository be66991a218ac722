//! What a plan consists of.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::account::{Access, Account, AccountId, OffSwitch, SeenAccount};
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
    },
    /// Make the found account the user's own. No call; the claim decides.
    Link {
        /// The account.
        account: SeenAccount,
        /// It is our own creation, whose answer was lost.
        made: bool,
    },
    /// Create the account.
    Create {
        /// As it is to be.
        account: Account,
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

    pub(super) fn due_at(&mut self, at: DateTime<Utc>) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}
