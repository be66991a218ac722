//! Layer 2: the rules from SCIM to Jira, pure. What an administrator can say, typed, and what follows from it.
//!
//! No SQL, no HTTP, no clock: functions of their arguments.

pub mod mapping;
pub mod protect;
pub mod scim;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::scim::Scim;

/// What to do about an account that exists at the target already when a user is provisioned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Adopt {
    /// It becomes the user's account.
    #[default]
    Link,
    /// The IdP gets 409.
    Off,
}

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
}

/// A tenant's rules. Every key has a default, so `{}` is a working policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub struct Policy {
    /// See [`Adopt`].
    pub adopt: Adopt,
    /// Rules for groups.
    pub groups: Groups,
    /// What leaving means.
    pub deprovision: Deprovision,
    /// What nothing may touch.
    pub protect: Protect,
    /// How the tenant's clients are answered.
    pub scim: Scim,
}

/// Rules for groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Groups {
    /// Jira groups that every active user of the tenant is put into.
    pub default_groups: Vec<String>,
    /// Whether a Jira group that does not exist is created.
    pub create_missing: bool,
}

impl Default for Groups {
    fn default() -> Self {
        Self { default_groups: Vec::new(), create_missing: true }
    }
}

/// What leaving means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deprovision {
    /// On `active=false`: take the account out of its groups too.
    pub strip_groups: bool,
    /// On DELETE of a user.
    pub on_delete: OnDelete,
    /// On DELETE of a group.
    pub on_group_delete: OnGroupDelete,
}

/// What nothing may touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Protect {
    /// Groups that Jira labels as administrative and that may be written all the same.
    pub allow: Vec<String>,
}

impl Policy {
    /// Reads a stored or configured policy.
    ///
    /// # Errors
    /// One sentence for each thing that is not understood.
    pub fn from_value(value: &Value) -> Result<Self, Vec<String>> {
        let policy: Self = serde_json::from_value(value.clone()).map_err(|e| vec![format!("policy: {e}.")])?;
        let blank = |names: &[String]| names.iter().any(|n| n.trim().is_empty());
        let mut problems = Vec::new();
        if blank(&policy.groups.default_groups) {
            problems.push("policy.groups.default_groups: a group name is empty.".to_owned());
        }
        if blank(&policy.protect.allow) {
            problems.push("policy.protect.allow: a group name is empty.".to_owned());
        }
        problems.extend(policy.scim.types().err().unwrap_or_default());
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn an_empty_policy_works_and_an_unknown_key_is_named() {
        assert_eq!(Policy::from_value(&json!({})).unwrap(), Policy::default());
        let problems = Policy::from_value(&json!({"adpot": "off"})).unwrap_err();
        assert!(problems[0].contains("adpot"), "{problems:?}");
        let problems = Policy::from_value(&json!({"groups": {"default_groups": [" "]}})).unwrap_err();
        assert!(problems[0].contains("default_groups"), "{problems:?}");
    }
}
