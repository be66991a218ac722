//! What leaving means: for an account when its person goes, for a Jira group when its SCIM group goes.

use serde::{Deserialize, Serialize};

use super::groups::{Groups, Remove};
use super::span::Span;
use crate::account::OffSwitch;

/// What DELETE of a SCIM user does to the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDelete {
    /// The account is deactivated.
    #[default]
    Deactivate,
    /// The account is deleted; deactivated where Jira refuses that.
    Delete,
}

/// What DELETE of a SCIM group does to the Jira group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnGroupDelete {
    /// Our members leave; the Jira group and its permissions stay.
    #[default]
    Empty,
    /// Nothing is written; the pairs are forgotten as ours.
    Keep,
    /// The Jira group is deleted, where we made it and no other group stands for it; else as with `empty`.
    Delete,
}

/// What leaving means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deprovision {
    /// On `active=false`: take the account out of its groups too.
    pub strip_groups: bool,
    /// How a person is switched off where a target knows several ways (Cloud); by default the target's best.
    pub off_switch: Option<OffSwitch>,
    /// The login name of whoever takes over the projects and components of a leaver (Data Center).
    pub hand_over_to: Option<String>,
    /// On DELETE of a user.
    pub on_delete: OnDelete,
    /// With `on_delete = "delete"`: how long the account is only deactivated before it is deleted.
    pub delete_after: Span,
    /// On DELETE of a group.
    pub on_group_delete: OnGroupDelete,
}

impl Deprovision {
    pub(super) fn problems(&self, groups: &Groups) -> Vec<String> {
        let mut problems = Vec::new();
        if self.hand_over_to.as_ref().is_some_and(|name| name.trim().is_empty()) {
            problems.push("policy.deprovision.hand_over_to: the login name is empty.".to_owned());
        }
        if self.strip_groups && groups.remove == Remove::Never {
            problems.push(
                "policy.deprovision.strip_groups: takes groups away, and policy.groups.remove = \"never\" forbids it."
                    .to_owned(),
            );
        }
        if self.on_delete != OnDelete::Delete && !self.delete_after.is_zero() {
            problems
                .push("policy.deprovision.delete_after: says something only with on_delete = \"delete\".".to_owned());
        }
        problems
    }
}
