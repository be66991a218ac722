//! Whether Jira is as the store says: both are read from outside, over SCIM and from the sandbox's state.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::Value;

use super::jira::Jira;
use crate::simulate::wire::{Ask, Failed, Wire};

/// More resources than the demo has.
const PAGE: &str = "startIndex=1&count=200";
const PAUSE: Duration = Duration::from_millis(100);

/// What both sides have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) accounts: usize,
    pub(super) active: usize,
    pub(super) groups: usize,
    pub(super) memberships: usize,
}

/// What one side has, in words that both sides know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Picture {
    /// By username.
    pub(super) accounts: BTreeMap<String, Account>,
    /// By name: usernames.
    pub(super) groups: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) email: String,
    pub(super) display_name: String,
    pub(super) active: bool,
}

/// Looks until both agree, for at most `patience`; else what differs. `there_before` are Jira's own groups.
pub(super) async fn wait(
    wire: &mut Wire,
    jira: &Jira,
    there_before: &[String],
    patience: Duration,
) -> Result<Seen, Vec<String>> {
    let until = Instant::now() + patience;
    loop {
        let Ok(store) = stored(wire).await else { return Err(vec!["the daemon cannot be read".to_owned()]) };
        let mut store = store;
        if !jira.has_groups() {
            store.groups.clear();
        }
        let differences = differences(&store, &jira.picture(there_before));
        if differences.is_empty() {
            return Ok(seen(&store));
        }
        if Instant::now() >= until {
            return Err(differences);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn seen(picture: &Picture) -> Seen {
    Seen {
        accounts: picture.accounts.len(),
        active: picture.accounts.values().filter(|account| account.active).count(),
        groups: picture.groups.len(),
        memberships: picture.groups.values().map(BTreeSet::len).sum(),
    }
}

async fn stored(wire: &mut Wire) -> Result<Picture, Failed> {
    let users = list(wire, "/Users").await?;
    let groups = list(wire, "/Groups").await?;
    Ok(of_scim(&users, &groups))
}

async fn list(wire: &mut Wire, path: &str) -> Result<Vec<Value>, Failed> {
    let ask = Ask::new("GET (agreement)", Method::GET, format!("{path}?{PAGE}"), &[200]);
    Ok(wire.ask(ask).await?.resources().to_vec())
}

fn of_scim(users: &[Value], groups: &[Value]) -> Picture {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut picture = Picture::default();
    let mut names = BTreeMap::new();
    for user in users {
        let user_name = text(user, "userName").to_lowercase();
        names.insert(text(user, "id"), user_name.clone());
        let email = user.pointer("/emails/0/value").and_then(Value::as_str).unwrap_or_default().to_owned();
        let active = user.get("active") == Some(&Value::Bool(true));
        picture.accounts.insert(user_name, Account { email, display_name: text(user, "displayName"), active });
    }
    for group in groups {
        let members = group.get("members").and_then(Value::as_array).into_iter().flatten();
        let members = members.filter_map(|member| names.get(&text(member, "value")).cloned()).collect();
        picture.groups.insert(text(group, "displayName"), members);
    }
    picture
}

/// One sentence for each difference.
fn differences(store: &Picture, jira: &Picture) -> Vec<String> {
    let mut found = Vec::new();
    for (name, wanted) in &store.accounts {
        match jira.accounts.get(name) {
            None => found.push(format!("{name} has no account")),
            Some(account) if account != wanted => {
                found.push(format!("the account of {name} is {account:?} instead of {wanted:?}"));
            }
            Some(_) => {}
        }
    }
    let strangers = jira.accounts.keys().filter(|name| !store.accounts.contains_key(*name));
    found.extend(strangers.map(|name| format!("the account {name} belongs to nobody")));
    for (name, wanted) in &store.groups {
        match jira.groups.get(name) {
            None => found.push(format!("there is no group {name}")),
            Some(members) if members != wanted => {
                let wrong: Vec<&String> = members.symmetric_difference(wanted).collect();
                found.push(format!("the members of {name} differ: {wrong:?}"));
            }
            Some(_) => {}
        }
    }
    let strange = jira.groups.keys().filter(|name| !store.groups.contains_key(*name));
    found.extend(strange.map(|name| format!("the group {name} is in Jira only")));
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn picture() -> Picture {
        let user = json!({ "id": "u1", "userName": "Ann.Moss@corp.example", "displayName": "Ann Moss", "active": true,
            "emails": [{ "value": "ann.moss@corp.example" }] });
        let group = json!({ "displayName": "Platform Crew", "members": [{ "value": "u1" }] });
        of_scim(&[user], &[group])
    }

    #[test]
    fn equal_pictures_have_no_differences() {
        assert_eq!(differences(&picture(), &picture()), Vec::<String>::new());
        assert_eq!(seen(&picture()), Seen { accounts: 1, active: 1, groups: 1, memberships: 1 });
    }

    #[test]
    fn each_kind_of_difference_is_told() {
        let empty = Picture::default();
        let found = differences(&picture(), &empty).join("; ");
        assert!(found.contains("no account") && found.contains("no group Platform Crew"), "{found}");
        let found = differences(&empty, &picture()).join("; ");
        assert!(found.contains("belongs to nobody") && found.contains("in Jira only"), "{found}");
        let mut other = picture();
        other.accounts.get_mut("ann.moss@corp.example").unwrap().active = false;
        other.groups.get_mut("Platform Crew").unwrap().clear();
        let found = differences(&picture(), &other).join("; ");
        assert!(found.contains("active: false") && found.contains("members of Platform Crew"), "{found}");
    }
}
