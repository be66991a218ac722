//! Jira's second door, the Crowd-compatible API (`/rest/usermanagement/1`): optional, with a credential of its own, and used
//! where it is better (DC-80 to DC-88 of `docs/targets/data-center.md`). It asks none of Jira's own rules, so nobody is
//! created or deleted by it.

mod membership;

use std::collections::BTreeMap;
use std::fmt;

use chrono::DateTime;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{Client, ClientError, ClientOptions, Credential, Request};
use super::{Calls, TargetError};
use crate::account::{AccountId, SeenAccount};

pub(super) use membership::Memberships;

const USER: &str = "/rest/usermanagement/1/user";
const RENAME: &str = "/rest/usermanagement/1/user/rename";
const SEARCH: &str = "/rest/usermanagement/1/search";
const MEMBERS: &str = "/rest/usermanagement/1/group/user/direct";
const SNAPSHOT: &str = "/rest/usermanagement/1/group/membership";

/// Rows of one page; it is not capped (DC-83).
pub(super) const ROWS: usize = 1000;

/// The longest answer that is read: a snapshot of some hundred thousand memberships.
const LONGEST: usize = 64 << 20;

/// The application that Jira knows us as (*User management → Jira user server*).
#[derive(Clone, PartialEq, Eq)]
pub struct CrowdOptions {
    /// The application's name.
    pub user: String,
    /// Its password.
    pub secret: String,
    /// The file that it was read from, which is read again when it changes.
    pub secret_file: Option<std::path::PathBuf>,
}

impl fmt::Debug for CrowdOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CrowdOptions(redacted)")
    }
}

/// The API of one Jira.
pub(super) struct Crowd {
    client: Client,
}

/// Why there is no answer to use.
pub(super) enum No {
    /// The user or group that the call is about is not there.
    NotFound,
    /// 400, 403 and 409, in its own words.
    Said(String),
    /// No answer to this call at all.
    Failed(TargetError),
}

impl No {
    pub(super) fn into_error(self, what: impl FnOnce() -> String) -> TargetError {
        match self {
            Self::NotFound => TargetError::Gone { what: what() },
            Self::Said(reason) => TargetError::Refused { reason, field: None },
            Self::Failed(error) => error,
        }
    }

    /// The error where Jira itself shows the account: that this API does not know it does not make it gone, and must not
    /// make anybody forget it.
    pub(super) fn about_known(self, what: impl FnOnce() -> String) -> TargetError {
        match self {
            Self::NotFound => {
                let reason = format!("Jira's Crowd API does not know {}, which Jira itself shows", what());
                TargetError::Refused { reason, field: None }
            }
            other => other.into_error(what),
        }
    }
}

impl Crowd {
    /// Through the same way as the REST API; opens no connection.
    pub(super) fn new(options: &CrowdOptions, rest: &ClientOptions) -> Result<Self, ClientError> {
        let credential = Credential::Basic { user: options.user.clone(), secret: options.secret.clone() };
        let options = ClientOptions {
            credential,
            secret_file: options.secret_file.clone(),
            expected_user: None,
            max_body: LONGEST,
            ..rest.clone()
        };
        Ok(Self { client: Client::new(options)? })
    }

    /// The user of that name.
    pub(super) async fn user(&self, calls: &Calls<'_>, username: &str) -> Result<User, No> {
        let request = Request::new("crowd.user", Method::GET, USER).about("username", username);
        parsed(&self.call(calls, request.with("expand", "attributes")).await?, false)
    }

    /// Writes the user whole, for what is left out would be blank (DC-82).
    pub(super) async fn replace(&self, calls: &Calls<'_>, user: &User) -> Result<(), No> {
        let Some(whole) = user.whole() else {
            return Err(No::Said("Jira's Crowd API does not say whether the account is active".to_owned()));
        };
        let request = Request::new("crowd.replace", Method::PUT, USER).about("username", &user.name);
        self.call(calls, request.json(whole)).await.map(drop)
    }

    /// Renames, in letter case alone, too (DC-86).
    pub(super) async fn rename(&self, calls: &Calls<'_>, username: &str, to: &str) -> Result<(), No> {
        let request = Request::new("crowd.rename", Method::POST, RENAME).about("username", username);
        self.call(calls, request.json(json!({"new-name": to}))).await.map(drop)
    }

    /// Everybody from that row on, active or not (DC-83).
    pub(super) async fn users(&self, calls: &Calls<'_>, start: usize) -> Result<Vec<User>, No> {
        let (start, rows) = (start.to_string(), ROWS.to_string());
        let request = Request::new("crowd.users", Method::GET, SEARCH)
            .with("entity-type", "user")
            .with("expand", "user,attributes")
            .with("start-index", &start)
            .with("max-results", &rows);
        parsed::<Users>(&self.call(calls, request).await?, false).map(|page| page.users)
    }

    /// The direct members of a group from that row on, active or not.
    pub(super) async fn members(&self, calls: &Calls<'_>, group: &str, start: usize) -> Result<Vec<User>, No> {
        let (start, rows) = (start.to_string(), ROWS.to_string());
        let request = Request::new("crowd.members", Method::GET, MEMBERS)
            .about("groupname", group)
            .with("expand", "user")
            .with("start-index", &start)
            .with("max-results", &rows);
        parsed::<Users>(&self.call(calls, request).await?, false).map(|page| page.users)
    }

    /// Every direct membership there is (DC-85).
    pub(super) async fn memberships(&self, calls: &Calls<'_>) -> Result<Memberships, No> {
        let request = Request::new("crowd.memberships", Method::GET, SNAPSHOT).accepting("application/xml");
        let body = self.call(calls, request).await?;
        Memberships::read(&body).map_err(|detail| No::Failed(TargetError::Unreachable { detail, maybe_done: false }))
    }

    async fn call(&self, calls: &Calls<'_>, request: Request<'_>) -> Result<Vec<u8>, No> {
        let writes = request.writes();
        let raw = self.client.exchange(calls, request).await.map_err(No::Failed)?;
        judge(raw.status, &raw.headers, raw.body, writes)
    }
}

/// Sorts an answer by who has to act on it (DC-80, DC-81).
fn judge(status: StatusCode, headers: &reqwest::header::HeaderMap, body: Vec<u8>, writes: bool) -> Result<Vec<u8>, No> {
    if status.is_success() {
        return Ok(body);
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        let wait = headers.get("retry-after").and_then(|text| text.to_str().ok()?.parse().ok());
        let retry_after = wait.map(std::time::Duration::from_secs);
        return Err(No::Failed(TargetError::Throttled { retry_after }));
    }
    // The second door alone: the first one's credential is fine, and must not be paused because of this one.
    if status == StatusCode::UNAUTHORIZED {
        return Err(No::Said("401 from Jira's Crowd API: the name or password of target.crowd is wrong".to_owned()));
    }
    match serde_json::from_slice::<Complaint>(&body) {
        Ok(_) if status == StatusCode::NOT_FOUND => Err(No::NotFound),
        Ok(complaint) if status.is_client_error() => Err(No::Said(complaint.words())),
        _ if status == StatusCode::FORBIDDEN => Err(No::Said(
            "403 from Jira's Crowd API: is our address on the list of target.crowd's application?".to_owned(),
        )),
        _ => {
            let detail = format!("the Crowd API answered {status}");
            Err(No::Failed(TargetError::Unreachable { detail, maybe_done: writes }))
        }
    }
}

fn parsed<T: serde::de::DeserializeOwned>(body: &[u8], writes: bool) -> Result<T, No> {
    serde_json::from_slice(body).map_err(|error| {
        let detail = format!("unexpected JSON of the Crowd API: {error}");
        No::Failed(TargetError::Unreachable { detail, maybe_done: writes })
    })
}

#[derive(Deserialize)]
struct Complaint {
    reason: String,
    #[serde(default)]
    message: String,
}

impl Complaint {
    fn words(self) -> String {
        match self.message.trim() {
            "" => format!("Jira's Crowd API says {}", self.reason),
            message => message.chars().take(1000).collect(),
        }
    }
}

#[derive(Deserialize)]
struct Users {
    #[serde(default)]
    users: Vec<User>,
}

/// A user as the API writes it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct User {
    pub(super) name: String,
    pub(super) key: Option<String>,
    #[serde(default)]
    pub(super) first_name: String,
    #[serde(default)]
    pub(super) last_name: String,
    #[serde(default)]
    pub(super) display_name: String,
    #[serde(default)]
    pub(super) email: String,
    /// Not told is not false: a write of the whole user would deactivate (DC-82).
    pub(super) active: Option<bool>,
    #[serde(default, skip_serializing)]
    attributes: Attributes,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Attributes {
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Clone, Debug, Deserialize)]
struct Attribute {
    name: String,
    #[serde(default)]
    values: Vec<String>,
}

impl User {
    /// One who was created a moment ago: what Jira shows of it is all there is to it.
    pub(super) fn of(seen: &SeenAccount, email: &str) -> Self {
        Self {
            name: seen.username.clone(),
            key: Some(seen.id.0.clone()),
            first_name: String::new(),
            last_name: String::new(),
            display_name: seen.display_name.clone(),
            email: email.to_owned(),
            active: Some(seen.active),
            attributes: Attributes::default(),
        }
    }

    /// Takes the fields that only this API knows from ours; false where nothing is different.
    pub(super) fn take(&mut self, extra: &BTreeMap<String, String>) -> bool {
        let mut changed = false;
        for (field, place) in [("first-name", &mut self.first_name), ("last-name", &mut self.last_name)] {
            if let Some(value) = extra.get(field).filter(|value| *value != place) {
                place.clone_from(value);
                changed = true;
            }
        }
        changed
    }

    /// `None` where it is not known whether the person may log in.
    fn whole(&self) -> Option<Value> {
        let active = self.active?;
        Some(json!({
            "name": self.name,
            "first-name": self.first_name,
            "last-name": self.last_name,
            "display-name": self.display_name,
            "email": self.email,
            "active": active,
        }))
    }

    /// In our own words; `None` without a key, which is what links hold, and where only names are told.
    pub(super) fn seen(self, groups: Option<Vec<String>>) -> Option<SeenAccount> {
        let mut extra = BTreeMap::new();
        extra.insert("first-name".to_owned(), self.first_name);
        extra.insert("last-name".to_owned(), self.last_name);
        if let Some(at) = self.attributes.last_login() {
            extra.insert("lastLoginTime".to_owned(), at);
        }
        Some(SeenAccount {
            id: AccountId(self.key?),
            username: self.name,
            email: Some(self.email).filter(|address| address.contains('@')),
            display_name: self.display_name,
            active: self.active?,
            groups,
            extra,
            ..SeenAccount::default()
        })
    }
}

impl Attributes {
    /// The last login in RFC 3339 (DC-87).
    fn last_login(&self) -> Option<String> {
        let found = self.attributes.iter().find(|attribute| attribute.name == "login.lastLoginMillis")?;
        let at = DateTime::from_timestamp_millis(found.values.first()?.parse().ok()?)?;
        Some(at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn nothing_that_prints_options_shows_the_password() {
        let options = CrowdOptions { user: "crowd-scim".to_owned(), secret: "s3cret".to_owned(), secret_file: None };
        assert!(!format!("{options:?}").contains("s3cret"));
    }

    #[test]
    fn an_answer_is_sorted_by_its_status_and_whether_it_has_a_reason() {
        // DC-80, DC-81
        let judge = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            match judge(status, &Default::default(), body.as_bytes().to_vec(), true).err() {
                None => "ok".to_owned(),
                Some(No::NotFound) => "not found".to_owned(),
                Some(No::Said(words)) => words,
                Some(No::Failed(TargetError::Unreachable { maybe_done: true, .. })) => "unreachable".to_owned(),
                Some(No::Failed(other)) => format!("{other:?}"),
            }
        };
        let reason = r#"{"reason": "USER_NOT_FOUND", "message": "User <x> does not exist"}"#;
        assert_eq!(judge(204, ""), "ok");
        assert_eq!(judge(404, reason), "not found");
        assert_eq!(judge(404, "<html>"), "unreachable");
        assert_eq!(judge(400, reason), "User <x> does not exist");
        assert_eq!(
            judge(403, r#"{"reason": "APPLICATION_PERMISSION_DENIED"}"#),
            "Jira's Crowd API says APPLICATION_PERMISSION_DENIED"
        );
        assert!(judge(403, "Client with address \"10.0.0.1\" is forbidden").contains("our address"));
        assert!(judge(401, "").contains("target.crowd"));
        assert_eq!(judge(503, reason), "unreachable");
    }

    #[test]
    fn an_account_that_only_this_api_does_not_know_is_not_gone() {
        // DC-81
        let error = No::NotFound.about_known(|| "the account JIRAUSER1".to_owned());
        assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
    }

    #[test]
    fn a_user_is_written_back_whole() {
        // DC-82, DC-87
        let mut user: User = serde_json::from_value(json!({
            "name": "mara.lund", "key": "JIRAUSER1", "first-name": "Mara", "last-name": "Lund", "display-name": "Mara Lund",
            "email": "mara@example.test", "active": true,
            "attributes": {"attributes": [{"name": "login.lastLoginMillis", "values": ["1708328467000"]}]},
        }))
        .unwrap();
        let berg = BTreeMap::from([("last-name".to_owned(), "Berg".to_owned())]);
        assert!(user.take(&berg) && !user.take(&berg));
        assert_eq!(
            user.whole().unwrap(),
            json!({"name": "mara.lund", "first-name": "Mara", "last-name": "Berg", "display-name": "Mara Lund",
                   "email": "mara@example.test", "active": true})
        );
        let untold = User { active: None, ..user.clone() };
        assert!(untold.whole().is_none() && untold.seen(None).is_none(), "nobody is deactivated by what is not told");
        let seen = user.seen(None).unwrap();
        assert_eq!(seen.extra["lastLoginTime"], "2024-02-19T07:41:07Z");
        assert_eq!(seen.id.0, "JIRAUSER1");
    }
}
