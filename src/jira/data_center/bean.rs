//! An account as Jira writes it, in our own words.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::TargetError;
use crate::account::{AccountId, SeenAccount};

/// An account as Jira writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    key: String,
    name: String,
    email_address: Option<String>,
    display_name: Option<String>,
    pub(super) active: Option<bool>,
    pub(super) deleted: Option<bool>,
    groups: Option<Groups>,
    application_roles: Option<Applications>,
    last_login_time: Option<String>,
}

#[derive(Deserialize)]
struct Applications {
    #[serde(default)]
    items: Vec<Application>,
}

#[derive(Deserialize)]
struct Application {
    key: String,
}

#[derive(Deserialize)]
struct Groups {
    size: Option<usize>,
    #[serde(default)]
    items: Vec<GroupName>,
}

#[derive(Deserialize)]
struct GroupName {
    name: String,
}

impl User {
    /// In our own words.
    pub(super) fn seen(self) -> Result<SeenAccount, TargetError> {
        let active = self.active.ok_or_else(|| TargetError::Unreachable {
            detail: "the answer does not say whether the account is active".to_owned(),
            maybe_done: true,
        })?;
        let mut extra = BTreeMap::new();
        if let Some(at) = self.last_login_time.as_deref().and_then(login_time) {
            extra.insert("lastLoginTime".to_owned(), at);
        }
        Ok(SeenAccount {
            extra,
            id: AccountId(self.key),
            display_name: self.display_name.unwrap_or_else(|| self.name.clone()),
            username: self.name,
            // Absent or masked ("mara at example dot test") is unknown, never different (DC-37).
            email: self.email_address.filter(|address| address.contains('@')),
            active,
            groups: self.groups.and_then(Groups::complete),
            ..SeenAccount::default()
        })
    }
}

impl User {
    /// Whether the answer, in which `applicationRoles` were expanded, shows that application (DC-36).
    pub(super) fn has_application(&self, key: &str) -> bool {
        self.application_roles.as_ref().is_some_and(|roles| roles.items.iter().any(|role| role.key == key))
    }

    /// The login name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// `2024-02-19T08:41:07+0100` as RFC 3339 in UTC (DC-45).
fn login_time(text: &str) -> Option<String> {
    let at = chrono::DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").ok()?;
    Some(at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

impl Groups {
    /// The names, unless they were not expanded (DC-36).
    fn complete(self) -> Option<Vec<String>> {
        let expected = self.size.unwrap_or(self.items.len());
        (self.items.len() >= expected).then(|| self.items.into_iter().map(|group| group.name).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn read(document: Value) -> Result<SeenAccount, TargetError> {
        serde_json::from_value::<User>(document).unwrap().seen()
    }

    fn mara() -> Value {
        json!({"key": "JIRAUSER10417", "name": "mara.lund", "emailAddress": "mara.lund@example.test",
               "displayName": "Mara Lund", "active": true, "lastLoginTime": "2024-02-19T08:41:07+0100",
               "groups": {"size": 0, "items": []}})
    }

    #[test]
    fn a_hidden_or_masked_address_is_unknown() {
        // DC-37
        assert_eq!(read(mara()).unwrap().email.as_deref(), Some("mara.lund@example.test"));
        for hidden in [Value::Null, json!(""), json!("mara.lund at example dot test")] {
            let mut document = mara();
            document["emailAddress"] = hidden;
            assert_eq!(read(document).unwrap().email, None);
        }
    }

    #[test]
    fn groups_that_were_not_expanded_are_unknown() {
        // DC-36
        for (groups, known) in [
            (json!({"size": 2, "items": []}), None),
            (json!({"size": 0, "items": []}), Some(vec![])),
            (json!({"size": 1, "items": [{"name": "platform-crew", "self": "x"}]}), Some(vec!["platform-crew"])),
            (Value::Null, None),
        ] {
            let mut document = mara();
            document["groups"] = groups;
            let known = known.map(|names| names.into_iter().map(str::to_owned).collect());
            assert_eq!(read(document).unwrap().groups, known);
        }
    }

    #[test]
    fn an_answer_that_does_not_say_whether_the_account_is_active_is_not_guessed_at() {
        let mut document = mara();
        document.as_object_mut().unwrap().remove("active");
        assert!(matches!(read(document), Err(TargetError::Unreachable { .. })));
    }

    #[test]
    fn the_last_login_is_read_with_its_offset_without_a_colon() {
        // DC-45
        assert_eq!(read(mara()).unwrap().extra["lastLoginTime"], "2024-02-19T07:41:07Z");
        assert_eq!(login_time("yesterday"), None);
    }
}
