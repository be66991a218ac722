//! What `doctor` tells of a Data Center: what this Jira can do, and what an administrator should know of it. Reads only.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::crowd::No;
use super::super::reply;
use super::super::{Calls, Examination, Finding, Probe, TargetError};
use super::access::Role;
use super::{DataCenter, get};
use crate::account::SeenAccount;

const LIST: &str = "/rest/api/2/user/list";
const COPIES: &str = "/rest/api/2/user/duplicated/list";
const COUNT: &str = "/rest/api/2/user/duplicated/count";

/// How many names a finding tells.
const NAMES: usize = 20;

impl DataCenter {
    /// Asks for everything that decides what we do here.
    pub(super) async fn look_closely(&self, calls: &Calls<'_>) -> Result<Examination, TargetError> {
        let mut told = Examination::default();
        let probe = self.look_around(calls).await?;
        self.tell_who(&mut told, &probe);
        if probe.administers {
            let roles = self.read_roles(calls).await?;
            tell_seats(&mut told, &roles);
        }
        self.tell_crowd(calls, &mut told, &probe.own_account).await?;
        self.tell_listing(calls, &mut told).await?;
        self.tell_copies(calls, &mut told).await?;
        self.tell_limits(calls, &mut told).await?;
        Ok(told)
    }

    fn tell_who(&self, told: &mut Examination, probe: &Probe) {
        fact(told, "version", &probe.version);
        fact(told, "account", &probe.own_account.username);
        fact(told, "administers Jira", yes(probe.administers));
        fact(told, "credential", if self.basic { "user name and password" } else { "token" });
        if !probe.administers {
            told.findings.push(Finding::problem(
                format!("{} may not administer Jira, so nothing can be written", probe.own_account.username),
                "Give the account the global permission \"Jira Administrators\" (it need not be a system administrator).",
            ));
        }
        if self.basic {
            told.findings.push(Finding::warning(
                "The daemon logs in with a password: a few failed logins lock the account behind a CAPTCHA, and from Jira 11 \
                 passwords are not accepted at all",
                "From Jira 8.14 on, make a personal access token in the account's profile and set target.token_file.",
            ));
        }
        if self.is_older_than(&[8, 3]) && self.crowd.is_none() {
            told.findings.push(Finding::problem(
                format!("Jira {} cannot switch accounts off over its REST API (8.3 can)", probe.version),
                "Give this target a Crowd credential (User management, Jira user server), or update Jira.",
            ));
        }
        let hidden = probe.own_account.email.is_none();
        fact(told, "e-mail addresses", if hidden { "hidden" } else { "shown" });
        if hidden {
            told.findings.push(Finding::note(
                "Jira hides e-mail addresses (User email visibility), so that differences in them cannot be seen",
                "Set User email visibility to public or to logged-in users, if that is acceptable.",
            ));
        }
    }

    async fn tell_crowd(
        &self,
        calls: &Calls<'_>,
        told: &mut Examination,
        own: &SeenAccount,
    ) -> Result<(), TargetError> {
        let Some(crowd) = &self.crowd else {
            fact(told, "Crowd API", "no credential");
            return Ok(());
        };
        let detail = match crowd.user(calls, &own.username).await {
            Ok(user) if user.key.is_some() => {
                fact(told, "Crowd API", "yes");
                return Ok(());
            }
            Ok(_) => "it names accounts without their keys, so that its lists are of no use".to_owned(),
            Err(No::NotFound) => {
                "it does not know our own account, so it is another Jira's or another directory's".to_owned()
            }
            Err(No::Said(words)) => words,
            Err(No::Failed(TargetError::Stopped { reason })) => return Err(TargetError::Stopped { reason }),
            Err(No::Failed(error)) => error.to_string(),
        };
        fact(told, "Crowd API", "no");
        told.findings.push(Finding::warning(
            format!("The Crowd credential cannot be used: {detail}"),
            "Check the application's name, password and list of addresses under User management, Jira user server.",
        ));
        Ok(())
    }

    async fn tell_listing(&self, calls: &Calls<'_>, told: &mut Examination) -> Result<(), TargetError> {
        let has_list = self.has(calls, LIST).await?.is_some();
        self.known().user_list = Some(has_list);
        fact(told, "user/list", yes(has_list));
        if !has_list && self.crowd.is_none() {
            told.findings.push(Finding::note(
                "All accounts can only be listed by the beginnings of their names, which takes many calls; a name with \
                 a letter that no other account has may be missed",
                "A Crowd credential, or Jira 10.3, gives a complete list.",
            ));
        }
        Ok(())
    }

    /// DC-50. The shape of the answers is not certain, so anything that counts or names will do.
    async fn tell_copies(&self, calls: &Calls<'_>, told: &mut Examination) -> Result<(), TargetError> {
        let Some(count) = self.has(calls, COUNT).await? else {
            fact(told, "usernames in several directories", "this version does not tell");
            return Ok(());
        };
        let Some(count) = number_in(&count) else {
            fact(told, "usernames in several directories", "the answer cannot be read");
            return Ok(());
        };
        fact(told, "usernames in several directories", &count.to_string());
        if count == 0 {
            return Ok(());
        }
        let copies = self.has(calls, COPIES).await?.unwrap_or_default();
        told.findings.push(Finding::warning(
            format!("{count} usernames are in more than one directory{}", named(&copies)),
            "Jira uses the copy of the highest directory, and switching that one off may let another through. Over REST nobody \
             can choose the directory: remove the copies, or put the directories in the order that you want.",
        ));
        Ok(())
    }

    async fn tell_limits(&self, calls: &Calls<'_>, told: &mut Examination) -> Result<(), TargetError> {
        let raw = self.client.exchange(calls, get("server.limits", "/rest/api/2/myself")).await?;
        match reply::rate_limits(&raw.headers) {
            Some(limits) => {
                let rate = limits.fill_rate.zip(limits.interval);
                let rate = rate.map_or_else(
                    || "on".to_owned(),
                    |(calls, interval)| format!("{calls} calls every {} s", interval.as_secs()),
                );
                fact(told, "rate limit", &rate);
                told.findings.push(Finding::note(
                    format!("Jira limits the rate of our calls ({rate}); the writer follows"),
                    "Exempt the account under System, Rate limiting, if imports take too long.",
                ));
            }
            None => fact(told, "rate limit", "off"),
        }
        Ok(())
    }

    /// The answer of a call that only some versions have, or that may be refused.
    async fn has(&self, calls: &Calls<'_>, path: &'static str) -> Result<Option<Value>, TargetError> {
        let request = get("server.capability", path);
        let request = if path == LIST { request.with("maxResults", "1") } else { request };
        match self.client.call_if_known(calls, request).await {
            Ok(None) => Ok(None),
            Ok(Some(reply)) => reply.parse().map(Some),
            Err(reply::Rejection::Failed(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }
}

fn fact(told: &mut Examination, name: &str, value: &str) {
    told.facts.push((name.to_owned(), value.to_owned()));
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn tell_seats(told: &mut Examination, roles: &BTreeMap<String, Role>) {
    for role in roles.values() {
        fact(told, &role.key, &role.told());
        if role.left() == Some(0) {
            told.findings.push(Finding::warning(
                format!("{} has no free seat: {}", role.key, role.told()),
                "New people with this application are refused, or held, by policy.seats. Free seats, or enlarge the licence.",
            ));
        }
    }
}

/// The first number anywhere in the answer.
fn number_in(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::Object(members) => members.values().find_map(number_in),
        Value::Array(items) => Some(items.len() as u64),
        _ => None,
    }
}

/// `: mara.lund (Corporate LDAP, Jira Internal Directory), ...`.
fn named(copies: &Value) -> String {
    let of = |name: &str, copies: &Value| {
        let mut directories = Vec::new();
        directories_in(copies, &mut directories);
        if directories.is_empty() { name.to_owned() } else { format!("{name} ({})", directories.join(", ")) }
    };
    let names: Vec<String> = match copies {
        Value::Object(members) => members.iter().take(NAMES).map(|(name, copies)| of(name, copies)).collect(),
        Value::Array(rows) => {
            rows.iter().filter_map(|row| row.get("name")?.as_str().map(|name| of(name, row))).take(NAMES).collect()
        }
        _ => Vec::new(),
    };
    if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
}

fn directories_in<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| directories_in(item, found)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name.to_lowercase().contains("directory") => found.push(text),
                    other => directories_in(other, found),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn copies_are_counted_and_named_whatever_the_answers_look_like() {
        // DC-50
        for count in [json!(3), json!({"count": 3}), json!({"data": {"duplicatedUsersCount": 3}}), json!([1, 2, 3])] {
            assert_eq!(number_in(&count), Some(3));
        }
        let copies = json!({"mara.lund": [{"directoryName": "LDAP", "active": true}, {"directoryName": "Internal"}]});
        assert_eq!(named(&copies), ": mara.lund (LDAP, Internal)");
        assert_eq!(named(&json!([{"name": "ole.dahl"}])), ": ole.dahl");
        assert_eq!(named(&Value::Null), "");
    }
}
