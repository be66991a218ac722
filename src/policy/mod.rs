//! Layer 2: the rules from SCIM to Jira, pure. What an administrator can say, typed, and what follows from it.
//!
//! No SQL, no HTTP, no clock: functions of their arguments.

pub mod example;
pub mod expression;
pub mod groups;
pub mod guard;
pub mod leaving;
pub mod mapping;
pub mod pattern;
pub mod protect;
pub mod record;
pub mod scim;
pub mod span;
pub mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::expression::Expression;
pub use self::groups::Groups;
pub use self::guard::{Brake, Drift, Import, LastLogin, Unmatched, UnmatchedAccounts};
pub use self::leaving::{Deprovision, OnDelete, OnGroupDelete};
pub use self::protect::Protect;
pub use self::record::Record;
pub use self::scim::Scim;
use self::tables::{Table, Tables};
use crate::account::{Access, Kind};

/// What to do about an account that exists at the target already when a user is provisioned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Adopt {
    /// It becomes the user's account.
    #[default]
    Link,
    /// It waits until somebody approves of it.
    Ask,
    /// The IdP gets 409.
    Off,
}

/// By what a user without an account finds the one that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// The account whose login name is the externalId; of Cloud the one whose account id it is.
    ExternalId,
    /// The account that has the login name that the user is to have.
    UserName,
    /// The only account that has the e-mail address that the user is to have.
    Email,
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
pub struct Policy {
    /// See [`Match`]; the first that finds an account counts.
    #[serde(rename = "match")]
    pub matching: Vec<Match>,
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
    /// How much may be taken away at a time.
    pub brake: Brake,
    /// Learning what the target has already.
    pub import: Import,
    /// What was changed at the target by hand.
    pub drift: Drift,
    /// When people were last seen there.
    pub last_login: LastLogin,
    /// Applications of Data Center that every active user has access to (`jira-software`).
    pub applications: Vec<String>,
    /// Products of Cloud that every active user has access to.
    pub products: Vec<Product>,
    /// See [`Seats`].
    pub seats: Seats,
    /// How the tenant's clients are answered.
    pub scim: Scim,
    /// What is put on record of their requests.
    pub record: Record,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Users {
    /// Whether accounts are created, changed and switched on and off at all; else they are only found, for their groups.
    pub enabled: bool,
    /// Only who is in one of these SCIM groups, directly or not, is active at the target; empty: everybody.
    pub required_groups: Vec<String>,
}

impl Default for Users {
    fn default() -> Self {
        Self { enabled: true, required_groups: Vec::new() }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            matching: vec![Match::UserName],
            adopt: Adopt::default(),
            account: AccountRules::default(),
            tables: BTreeMap::new(),
            users: Users::default(),
            unmatched_accounts: UnmatchedAccounts::default(),
            groups: Groups::default(),
            deprovision: Deprovision::default(),
            protect: Protect::default(),
            brake: Brake::default(),
            import: Import::default(),
            drift: Drift::default(),
            last_login: LastLogin::default(),
            applications: Vec::new(),
            products: Vec::new(),
            seats: Seats::default(),
            scim: Scim::default(),
            record: Record::default(),
        }
    }
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
        let policy: Self = serde_path_to_error::deserialize(value).map_err(|error| match error.path().to_string() {
            path if path == "." => vec![format!("policy: {}.", error.inner())],
            path => vec![format!("policy.{path}: {}.", error.inner())],
        })?;
        let blank = |names: &[String]| names.iter().any(|n| n.trim().is_empty());
        let mut problems = Vec::new();
        problems.extend(policy.match_problem());
        problems.extend(policy.groups.problems());
        problems.extend(policy.protect.problems());
        problems.extend(policy.deprovision.problems(&policy.groups));
        problems.extend(policy.brake.problems());
        problems.extend(policy.expression_problems(None));
        if blank(&policy.users.required_groups) {
            problems.push("policy.users.required_groups: a group name is empty.".to_owned());
        }
        if blank(&policy.applications) {
            problems.push("policy.applications: an application's key is empty.".to_owned());
        }
        if policy.products.iter().any(|product| product.resource.trim().is_empty() || product.role.trim().is_empty()) {
            problems.push("policy.products: a resource or role is empty.".to_owned());
        }
        problems.extend(policy.scim.types().err().unwrap_or_default());
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }
}

impl Policy {
    /// What is wrong with the expressions where the installation's tables are known, too.
    pub fn problems_on(&self, ground: &mapping::Ground) -> Vec<String> {
        let mut problems = self.expression_problems(Some(&ground.tables));
        if ground.capabilities.kind == Kind::Align && self.matching != [Match::UserName] {
            problems.push("policy.match: Jira Align finds people by what target.align.match_on says.".to_owned());
        }
        problems
    }

    fn match_problem(&self) -> Option<String> {
        let different: BTreeSet<Match> = self.matching.iter().copied().collect();
        let wrong = self.matching.is_empty() || different.len() < self.matching.len();
        wrong.then(|| "policy.match: one or more of external_id, user_name and email, each once.".to_owned())
    }

    fn expression_problems(&self, shared: Option<&Arc<Tables>>) -> Vec<String> {
        let (rules, own) = (&self.account, Arc::new(self.own_tables()));
        let named = [("username", &rules.username), ("email", &rules.email), ("display_name", &rules.display_name)];
        let named = named.into_iter().filter_map(|(key, expression)| Some((key.to_owned(), expression.as_ref()?)));
        let fields = rules.fields.iter().map(|(name, expression)| (format!("fields.{name}"), expression));
        named
            .chain(fields)
            .filter_map(|(key, expression)| {
                Some(format!("policy.account.{key}: {}.", expression.check(&own, shared).err()?))
            })
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
            (json!({"unmatched_accounts": {"only": "("}}), "policy.unmatched_accounts.only: a regular"),
            (json!({"applications": [""]}), "policy.applications"),
            (json!({"products": [{"resource": " "}]}), "policy.products"),
            (json!({"users": {"required_groups": [""]}}), "policy.users.required_groups"),
            (json!({"deprovision": {"hand_over_to": ""}}), "policy.deprovision.hand_over_to"),
            (json!({"deprovision": {"off_switch": "kill"}}), "policy.deprovision.off_switch"),
            (json!({"deprovision": {"strip_groups": true}, "groups": {"remove": "never"}}), "strip_groups"),
            (json!({"deprovision": {"delete_after": "30d"}}), "policy.deprovision.delete_after"),
            (json!({"deprovision": {"delete_after": "soon"}}), "policy.deprovision.delete_after"),
            (json!({"groups": {"rename": [{"pattern": "a(", "with": ""}]}}), "policy.groups.rename[0].pattern"),
            (json!({"groups": {"mode": "manual"}}), "policy.groups.table"),
            (json!({"protect": {"users": [".*"]}}), "policy.protect.users"),
            (json!({"protect": {"groups": ["^.*$"]}}), "policy.protect.groups"),
            (json!({"protect": {"groups": ["(?-i)^Board$"]}}), "policy.protect.groups"),
            (json!({"brake": {"window": "0"}}), "policy.brake.window"),
            (json!({"scim": {"networks": ["10.0.0.0/8", "everywhere"]}}), "policy.scim.networks"),
            (json!({"brake": {"accounts": {"max": 1, "percent": 5, "min": 9}}}), "policy.brake.accounts.min"),
            (
                json!({"brake": {"memberships": {"max": 9, "percent": 101, "min": 9}}}),
                "policy.brake.memberships.percent",
            ),
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
