//! What nothing may write: the daemon's own account, and groups that grant administration.

use std::collections::BTreeSet;

use super::Policy;
use crate::account::{AccountId, SeenAccount, fold};

/// What the target told us to be careful with.
#[derive(Clone, Debug, Default)]
pub struct Protected {
    /// The account that our credential belongs to.
    pub own: Option<SeenAccount>,
    /// Folded names of groups that the target labels as administrative.
    pub administrative: BTreeSet<String>,
}

impl Protected {
    /// Whether this is the account that our own credential belongs to.
    pub fn is_own(&self, id: &AccountId) -> bool {
        self.own.as_ref().is_some_and(|own| own.id == *id)
    }

    /// Whether the daemon's own account has this login name.
    pub fn is_own_name(&self, username: &str) -> bool {
        self.own.as_ref().is_some_and(|own| fold(&own.username) == fold(username))
    }

    /// Whether a group must not be written: labelled as administrative, here or on its own record, and not allowed.
    pub fn bars_group(&self, policy: &Policy, group_key: &str, labelled: bool) -> bool {
        (labelled || self.administrative.contains(group_key))
            && !policy.protect.allow.iter().any(|name| fold(name.trim()) == group_key)
    }
}
