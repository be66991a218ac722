//! Accounts that are left alone altogether, and names that nobody gets: the daemon's own, those that the policy protects, and
//! those of which the target says that they belong to somebody else.

use super::states::{HANDS_OFF, OWN_ACCOUNT, PROTECTED, by_rule, write_fingerprint};
use super::{Plan, Planner};
use crate::account::{Field, SeenAccount};

/// Why an account, or a name, is left alone.
pub(super) struct Bar {
    rule: &'static str,
    reason: String,
}

impl Bar {
    /// Why, for people.
    pub(super) fn into_reason(self) -> String {
        self.reason
    }

    fn own() -> Self {
        let reason = "This is the account that jira-scim itself works with; it is never provisioned.".to_owned();
        Self { rule: OWN_ACCOUNT, reason }
    }

    fn protected(username: &str) -> Self {
        Self { rule: PROTECTED, reason: format!("policy.protect.users keeps everybody off the account {username}.") }
    }
}

impl Planner<'_> {
    /// Why this account is left alone.
    pub(super) fn bar(&self, seen: &SeenAccount) -> Option<Bar> {
        if self.rules.protected.is_own(&seen.id) {
            return Some(Bar::own());
        }
        if let Some(why) = &seen.hands_off {
            return Some(Bar { rule: HANDS_OFF, reason: why.clone() });
        }
        self.rules.policy.protect.covers_user(&seen.username).then(|| Bar::protected(&seen.username))
    }

    /// Why nobody gets this login name.
    pub(super) fn bar_of_name(&self, username: &str) -> Option<Bar> {
        if self.rules.protected.is_own_name(username) {
            return Some(Bar::own());
        }
        self.rules.policy.protect.covers_user(username).then(|| Bar::protected(username))
    }

    /// The fingerprint of a write that this keeps from being done.
    pub(super) fn barred_write(&self, bar: &Bar) -> String {
        by_rule(bar.rule, &write_fingerprint(&self.desired))
    }

    pub(super) fn forbid_by(&self, plan: &mut Plan, bar: &Bar) {
        self.forbid(plan, self.barred_write(bar), bar.reason.clone(), Some(Field::Username));
    }
}
