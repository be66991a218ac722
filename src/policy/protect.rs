//! What nothing may write: the daemon's own account, and groups that grant administration.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Policy;
use super::pattern::Pattern;
use crate::account::{AccountId, SeenAccount, fold};

/// What nothing may touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Protect {
    /// Groups that Jira labels as administrative and that may be written all the same.
    pub allow: Vec<String>,
    /// Login names of accounts that are never adopted, changed, switched off or deleted.
    pub users: Vec<Pattern>,
    /// Jira groups that nobody joins or leaves through us, and that are never deleted.
    pub groups: Vec<Pattern>,
}

impl Protect {
    /// Whether an account of this login name is left alone.
    pub fn covers_user(&self, username: &str) -> bool {
        self.users.iter().any(|pattern| pattern.is_match(username))
    }

    /// Whether a Jira group of this name is left alone.
    pub fn covers_group(&self, name: &str) -> bool {
        self.groups.iter().any(|pattern| pattern.is_match(name))
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.allow.iter().any(|name| name.trim().is_empty()) {
            problems.push("policy.protect.allow: a group name is empty.".to_owned());
        }
        for pattern in self.groups.iter().filter(|pattern| pattern.regards_case()) {
            problems.push(format!(
                "policy.protect.groups: Jira does not regard letter case in names of groups, and \"{}\" does.",
                pattern.as_str()
            ));
        }
        for (key, patterns) in [("users", &self.users), ("groups", &self.groups)] {
            for pattern in patterns.iter().filter(|pattern| pattern.fits_everybody()) {
                problems.push(format!(
                    "policy.protect.{key}: the pattern \"{}\" fits everybody, so that nothing could be done at all.",
                    pattern.as_str()
                ));
            }
        }
        problems
    }
}

/// What the target told us to be careful with.
#[derive(Clone, Debug, Default)]
pub struct Protected {
    /// The account that our credential belongs to.
    pub own: Option<SeenAccount>,
    /// Folded names of groups that the target labels as administrative.
    pub administrative: BTreeSet<String>,
    /// Who is in them and can log in, without ourselves; `None` where nobody asked lately.
    pub administrators: Option<BTreeSet<AccountId>>,
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

    /// Whether a group must not be written: protected by the policy, or labelled as administrative, here or on its own record,
    /// and not allowed.
    pub fn bars_group(&self, policy: &Policy, group_key: &str, labelled: bool) -> bool {
        policy.protect.covers_group(group_key) || self.grants_administration(policy, group_key, labelled)
    }

    fn grants_administration(&self, policy: &Policy, group_key: &str, labelled: bool) -> bool {
        (labelled || self.administrative.contains(group_key))
            && !policy.protect.allow.iter().any(|name| fold(name.trim()) == group_key)
    }
}
