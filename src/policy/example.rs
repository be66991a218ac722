//! Examples in a policy: a user with groups, and what is to come of it. Checked with the functions that plans are made with, so
//! an example that holds is what happens to such a person. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde::Deserialize;

use super::Policy;
use super::groups::jira_groups;
use super::mapping::{self, Ground};
use crate::account::{Account, fold};
use crate::scim::Attrs;

/// A user, and what is to come of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Example {
    /// The attributes as a client would send them.
    pub user: Attrs,
    /// The SCIM groups that the user is in, directly or not.
    pub groups: Vec<String>,
    /// What is looked at.
    pub expect: Expected,
}

/// What is to come of an example; what is not named is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expected {
    /// The login name.
    pub username: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The name that is shown.
    pub display_name: Option<String>,
    /// Whether the person may log in.
    pub active: Option<bool>,
    /// Further fields; a field that is not named is not looked at.
    pub fields: BTreeMap<String, String>,
    /// The Jira groups, all of them, in any order.
    pub groups: Option<Vec<String>>,
    /// A part of the sentence that says why the account is not written.
    pub refused: Option<String>,
}

/// What comes of a user under a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The account as it is to be.
    pub account: Account,
    /// The Jira groups that a person who has just come is in.
    pub groups: Vec<String>,
    /// Why the account is not written.
    pub refused: Option<String>,
}

impl Outcome {
    /// Of a user in SCIM groups of these names.
    pub fn of(attrs: &Attrs, groups: &[String], policy: &Policy, ground: &Ground) -> Self {
        let required = &policy.users.required_groups;
        let is_in = |name: &String| groups.iter().any(|group| fold(group.trim()) == fold(name.trim()));
        let wanted = attrs.get("active").and_then(serde_json::Value::as_bool).unwrap_or(true);
        let active = wanted && (required.is_empty() || required.iter().any(is_in));
        let mapped = mapping::account(attrs, active, groups, policy, ground);
        let refused = match mapped.problem {
            None if policy.protect.covers_user(&mapped.account.username) => {
                Some(format!("policy.protect.users covers {}.", mapped.account.username))
            }
            problem => problem,
        };
        Self { groups: jira_groups_of(groups, active, policy, ground), account: mapped.account, refused }
    }
}

fn jira_groups_of(groups: &[String], active: bool, policy: &Policy, ground: &Ground) -> Vec<String> {
    let rules = &policy.groups;
    if !rules.enabled || !ground.capabilities.groups || (!active && policy.deprovision.strip_groups) {
        return Vec::new();
    }
    let named = groups.iter().flat_map(|name| jira_groups(rules, name));
    let defaults = rules.default_groups.iter().map(|name| name.trim().to_owned());
    let mut wanted = BTreeMap::new();
    for name in named.chain(defaults).filter(|name| !policy.protect.covers_group(name)) {
        wanted.entry(fold(&name)).or_insert(name);
    }
    wanted.into_values().collect()
}

impl Example {
    /// Understands an example.
    ///
    /// # Errors
    /// The key that is not known, or not what it should be.
    pub fn from_value(value: &serde_json::Value) -> Result<Self, String> {
        let example: Self = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
        if example.expect == Expected::default() {
            return Err("expect: says nothing, so that nothing would be tested".to_owned());
        }
        Ok(example)
    }

    /// What comes out differently than expected, a sentence each, beginning with the key.
    pub fn differences(&self, policy: &Policy, ground: &Ground) -> Vec<String> {
        let outcome = Outcome::of(&self.user, &self.groups, policy, ground);
        let (account, expect) = (&outcome.account, &self.expect);
        let mut told = Vec::new();
        differ("username", expect.username.as_ref(), &account.username, &mut told);
        differ("email", expect.email.as_ref(), &account.email, &mut told);
        differ("display_name", expect.display_name.as_ref(), &account.display_name, &mut told);
        differ("active", expect.active.as_ref(), &account.active, &mut told);
        for (name, value) in &expect.fields {
            let has = account.extra.get(name).cloned().unwrap_or_default();
            differ(&format!("fields.{name}"), Some(value), &has, &mut told);
        }
        if let Some(groups) = &expect.groups {
            let keys = |names: &[String]| names.iter().map(|name| fold(name.trim())).collect::<BTreeSet<_>>();
            if keys(groups) != keys(&outcome.groups) {
                told.push(format!("expect.groups: {groups:?} is expected, and {:?} comes out", outcome.groups));
            }
        }
        match (&expect.refused, &outcome.refused) {
            (Some(part), None) => told.push(format!("expect.refused: \"{part}\" is expected, and nothing is refused")),
            (Some(part), Some(why)) if !why.contains(part.as_str()) => {
                told.push(format!("expect.refused: \"{part}\" is expected, and it is refused because: {why}"));
            }
            (None, Some(why)) => told.push(format!("it is refused: {why}")),
            _ => {}
        }
        told
    }
}

fn differ<T: PartialEq + Debug>(key: &str, expected: Option<&T>, actual: &T, told: &mut Vec<String>) {
    if let Some(expected) = expected.filter(|expected| *expected != actual) {
        told.push(format!("expect.{key}: {expected:?} is expected, and {actual:?} comes out"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn told(policy: Value, example: Value) -> Vec<String> {
        let policy = Policy::from_value(&policy).unwrap();
        Example::from_value(&example).unwrap().differences(&policy, &Ground::default())
    }

    #[test]
    fn an_example_that_holds_says_nothing() {
        let policy = json!({
            "account": {"username": "{{ userName | before('@') }}"},
            "groups": {"rename": [{"pattern": "^jira-(.*)$", "with": "$1"}], "default_groups": ["jira-users"]},
            "users": {"required_groups": ["Staff"]},
        });
        let user = json!({"userName": "ann@corp.example", "displayName": "Ann"});
        let expect = json!({"username": "ann", "email": "ann@corp.example", "display_name": "Ann", "active": true,
                            "groups": ["JIRA-users", "dev", "staff"]});
        let holds = json!({"user": user, "groups": ["jira-dev", "Staff"], "expect": expect});
        assert_eq!(told(policy.clone(), holds), [""; 0]);
        let outsider = json!({"user": user, "groups": ["jira-dev"], "expect": {"active": false}});
        assert_eq!(told(policy, outsider), [""; 0]);
    }

    #[test]
    fn a_difference_names_the_key_and_both_values() {
        let ann = json!({"userName": "ann"});
        for (policy, expect, words) in [
            (json!({}), json!({"username": "bob"}), "expect.username: \"bob\" is expected, and \"ann\" comes out"),
            (json!({}), json!({"active": false}), "expect.active: false is expected, and true comes out"),
            (json!({}), json!({"fields": {"first-name": "Ann"}}), "expect.fields.first-name: \"Ann\""),
            (json!({}), json!({"groups": []}), "expect.groups: [] is expected, and [\"Dev\"] comes out"),
            (json!({}), json!({"refused": "x"}), "nothing is refused"),
            (json!({"protect": {"users": ["^ann$"]}}), json!({"active": true}), "it is refused: policy.protect.users"),
            (
                json!({"protect": {"users": ["^ann$"]}}),
                json!({"refused": "x"}),
                "it is refused because: policy.protect",
            ),
        ] {
            let told = told(policy.clone(), json!({"user": ann, "groups": ["Dev"], "expect": expect}));
            assert!(told.len() == 1 && told[0].contains(words), "{policy} {expect}: {told:?}");
        }
    }

    #[test]
    fn what_an_example_does_not_know_is_refused() {
        for (example, words) in [
            (json!({"users": {}, "expect": {"active": true}}), "users"),
            (json!({"expect": {"usrname": "x"}}), "usrname"),
            (json!({"user": {"userName": "x"}}), "says nothing"),
        ] {
            let error = Example::from_value(&example).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
