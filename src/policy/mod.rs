//! Layer 2: the rules from SCIM to Jira, pure. What an administrator can say, typed, and what follows from it.
//!
//! No SQL, no HTTP, no clock: functions of their arguments.

pub mod expression;
pub mod mapping;
pub mod protect;
pub mod scim;
pub mod tables;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::expression::Expression;
pub use self::scim::Scim;
use self::tables::{Table, Tables};
use crate::account::{Access, OffSwitch};

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

/// What happens when no licence seat is left for somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seats {
    /// The identity provider gets an error.
    #[default]
    Refuse,
    /// It waits until a seat is free.
    Hold,
}

/// Access to a product of the organisation (Cloud).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// The resource (`ari:cloud:jira-software::site/...`), or with a site token alone the application's key.
    pub resource: String,
    /// The role there.
    #[serde(default = "user_role")]
    pub role: String,
}

fn user_role() -> String {
    "atlassian/user".to_owned()
}

/// A tenant's rules. Every key has a default, so `{}` is a working policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub struct Policy {
    /// See [`Adopt`].
    pub adopt: Adopt,
    /// What an account is made of, where the defaults are not what is wanted.
    pub account: AccountRules,
    /// Tables for `lookup` in expressions: key to value.
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
    /// Who is provisioned.
    pub users: Users,
    /// What becomes of accounts that no tenant knows of.
    pub unmatched_accounts: UnmatchedAccounts,
    /// Rules for groups.
    pub groups: Groups,
    /// What leaving means.
    pub deprovision: Deprovision,
    /// What nothing may touch.
    pub protect: Protect,
    /// Applications of Data Center that every active user has access to (`jira-software`).
    pub applications: Vec<String>,
    /// Products of Cloud that every active user has access to.
    pub products: Vec<Product>,
    /// See [`Seats`].
    pub seats: Seats,
    /// How the tenant's clients are answered.
    pub scim: Scim,
}

/// What an account is made of: expressions over the SCIM user ([`expression`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountRules {
    /// The login name (on Align the external id); by default the userName, or the address where that is the login name.
    pub username: Option<Expression>,
    /// The e-mail address.
    pub email: Option<Expression>,
    /// The name that is shown.
    pub display_name: Option<Expression>,
    /// Further fields by the name that the target's API gives them (`roleId`, `job_title`). One that comes out empty is
    /// left alone.
    pub fields: BTreeMap<String, Expression>,
}

/// Who is provisioned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Users {
    /// Only who is in one of these SCIM groups, directly or not, is active at the target; empty: everybody.
    pub required_groups: Vec<String>,
}

/// What to do about an account that no tenant knows of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unmatched {
    /// Nothing.
    #[default]
    Keep,
    /// It is listed.
    Report,
    /// It is listed, and switched off.
    Deactivate,
}

/// Accounts that are active at the target and linked to or claimed by nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnmatchedAccounts {
    /// See [`Unmatched`].
    pub action: Unmatched,
    /// Only accounts whose login name or address fits this regular expression.
    pub only: Option<String>,
    /// Login names and addresses (regular expression) that are never touched: service accounts, guests.
    pub except: Option<String>,
    /// The most accounts that one run switches off; with more, none is, and the run says so.
    pub limit: u32,
}

impl Default for UnmatchedAccounts {
    fn default() -> Self {
        Self { action: Unmatched::Keep, only: None, except: None, limit: 20 }
    }
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
    /// How a person is switched off where a target knows several ways (Cloud); by default the target's best.
    pub off_switch: Option<OffSwitch>,
    /// The login name of whoever takes over the projects and components of a leaver (Data Center).
    pub hand_over_to: Option<String>,
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
    /// The applications and products that every active user has access to.
    pub fn access(&self) -> BTreeSet<Access> {
        let applications =
            self.applications.iter().map(|key| Access { resource: key.trim().to_owned(), ..Access::default() });
        let products = self.products.iter().map(|product| Access {
            resource: product.resource.trim().to_owned(),
            role: product.role.trim().to_owned(),
        });
        applications.chain(products).collect()
    }

    /// The policy's own tables.
    pub fn own_tables(&self) -> Tables {
        self.tables.iter().map(|(name, pairs)| (name.clone(), Table::of(pairs))).collect()
    }

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
        problems.extend(policy.account.problems());
        problems.extend(policy.unmatched_accounts.problems());
        if blank(&policy.users.required_groups) {
            problems.push("policy.users.required_groups: a group name is empty.".to_owned());
        }
        if blank(&policy.applications) {
            problems.push("policy.applications: an application's key is empty.".to_owned());
        }
        if policy.products.iter().any(|product| product.resource.trim().is_empty() || product.role.trim().is_empty()) {
            problems.push("policy.products: a resource or role is empty.".to_owned());
        }
        if policy.deprovision.hand_over_to.as_ref().is_some_and(|name| name.trim().is_empty()) {
            problems.push("policy.deprovision.hand_over_to: the login name is empty.".to_owned());
        }
        problems.extend(policy.scim.types().err().unwrap_or_default());
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }
}

impl AccountRules {
    fn problems(&self) -> Vec<String> {
        let named = [("username", &self.username), ("email", &self.email), ("display_name", &self.display_name)];
        let named = named.into_iter().filter_map(|(key, expression)| Some((key.to_owned(), expression.as_ref()?)));
        let fields = self.fields.iter().map(|(name, expression)| (format!("fields.{name}"), expression));
        named
            .chain(fields)
            .filter_map(|(key, expression)| Some(format!("policy.account.{key}: {}.", expression.check().err()?)))
            .collect()
    }
}

impl UnmatchedAccounts {
    fn problems(&self) -> Vec<String> {
        [("only", &self.only), ("except", &self.except)]
            .into_iter()
            .filter_map(|(key, pattern)| Some((key, regex::Regex::new(pattern.as_deref()?).err()?)))
            .map(|(key, error)| format!("policy.unmatched_accounts.{key}: {error}."))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_with_a_rule_names_its_key() {
        for (policy, key) in [
            (json!({"account": {"username": "{{ userName"}}), "policy.account.username"),
            (json!({"account": {"fields": {"roleId": []}}}), "policy.account.fields.roleId"),
            (json!({"unmatched_accounts": {"only": "("}}), "policy.unmatched_accounts.only"),
            (json!({"applications": [""]}), "policy.applications"),
            (json!({"products": [{"resource": " "}]}), "policy.products"),
            (json!({"users": {"required_groups": [""]}}), "policy.users.required_groups"),
            (json!({"deprovision": {"hand_over_to": ""}}), "policy.deprovision.hand_over_to"),
            (json!({"deprovision": {"off_switch": "kill"}}), "kill"),
        ] {
            let problems = Policy::from_value(&policy).unwrap_err();
            assert!(problems.len() == 1 && problems[0].contains(key), "{policy}: {problems:?}");
        }
    }

    #[test]
    fn an_empty_policy_works_and_an_unknown_key_is_named() {
        assert_eq!(Policy::from_value(&json!({})).unwrap(), Policy::default());
        let problems = Policy::from_value(&json!({"adpot": "off"})).unwrap_err();
        assert!(problems[0].contains("adpot"), "{problems:?}");
        let problems = Policy::from_value(&json!({"groups": {"default_groups": [" "]}})).unwrap_err();
        assert!(problems[0].contains("default_groups"), "{problems:?}");
    }
}
