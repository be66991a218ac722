//! Finding a person, and what an answer says of one: through the organisation's exact search, or through the site.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{No, no_directory};
use super::hosts::Host;
use super::{Calls, Cloud, TargetError, get, parse};
use crate::account::{AccountId, Field, OffSwitch, SeenAccount, fold};

const SEARCH: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/users/search";

/// What nobody here may write of an account that is not managed (CLOUD-13).
const PROFILE: [Field; 4] = [Field::Username, Field::Email, Field::DisplayName, Field::Extra];

/// A person as the organisation lists one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) account_id: String,
    #[serde(default)]
    account_type: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    account_status: Option<String>,
    #[serde(default)]
    membership_status: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    claim_status: Option<String>,
    #[serde(default)]
    management_source: Option<String>,
    #[serde(default)]
    pub(super) groups: Option<Vec<RowGroup>>,
    #[serde(default)]
    nickname: Option<String>,
    #[serde(default)]
    job_title: Option<String>,
    #[serde(default)]
    department: Option<String>,
    #[serde(default)]
    organization: Option<String>,
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    time_zone: Option<String>,
}

/// A group in a person's row.
#[derive(Debug, Deserialize)]
pub(super) struct RowGroup {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
}

/// Why an account of that type is none of a person's, if it is not (CLOUD-16).
fn no_person(account_type: Option<&str>) -> Option<&'static str> {
    match account_type {
        None | Some("atlassian") => None,
        Some("app") => Some("This is the account of an app, not of a person"),
        Some("customer") => Some("This account is a portal's customer, who is in no group"),
        Some(_) => Some("Atlassian does not say that this is the account of a person"),
    }
}

/// A page of a search of the organisation; `links.next` is a cursor and no address (CLOUD-15).
#[derive(Deserialize)]
pub(super) struct Found<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) links: Links,
}

#[derive(Default, Deserialize)]
pub(super) struct Links {
    pub(super) next: Option<String>,
}

impl Row {
    /// The composite status; made up from its parts where it is not told.
    pub(super) fn state(&self) -> &str {
        match (self.status.as_deref(), self.account_status.as_deref(), self.membership_status.as_deref()) {
            (Some(status), _, _) => status,
            (None, Some("inactive"), _) => "deactivated",
            (None, Some("closed"), _) => "for_deletion",
            (None, _, Some("suspended")) => "suspended",
            (None, _, Some("no_membership")) => "not_invited",
            _ => "active",
        }
    }

    pub(super) fn is_managed(&self) -> bool {
        self.claim_status.as_deref() == Some("managed")
    }

    pub(super) fn is_person(&self) -> bool {
        no_person(self.account_type.as_deref()).is_none()
    }

    /// In our own words.
    pub(super) fn seen(self) -> SeenAccount {
        let off = match self.state() {
            "suspended" => Some(OffSwitch::Suspend),
            "deactivated" => Some(OffSwitch::Deactivate),
            "for_deletion" => Some(OffSwitch::Delete),
            "not_invited" => Some(OffSwitch::Remove),
            _ => None,
        };
        let read_only = if self.is_managed() { BTreeSet::new() } else { BTreeSet::from(PROFILE) };
        // CLOUD-50
        let synced = (self.management_source.as_deref() == Some("synced")).then(|| {
            "Another identity provider syncs this person into the Atlassian organisation; change it there".to_owned()
        });
        let hands_off = no_person(self.account_type.as_deref()).map(str::to_owned).or(synced);
        let known = [
            ("nickname", self.nickname),
            ("job_title", self.job_title),
            ("department", self.department),
            ("organization", self.organization),
            ("location", self.location),
            ("zoneinfo", self.time_zone),
        ];
        let extra = known.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)));
        let username = self.email.clone().unwrap_or_default();
        SeenAccount {
            id: AccountId(self.account_id),
            display_name: self.name.unwrap_or_else(|| username.clone()),
            username,
            email: self.email,
            active: off.is_none(),
            groups: self.groups.map(|groups| groups.into_iter().filter_map(|group| group.name).collect()),
            extra: extra.collect::<BTreeMap<_, _>>(),
            off,
            read_only,
            hands_off,
            ..SeenAccount::default()
        }
    }
}

/// A person as the site shows one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub(super) account_id: String,
    #[serde(default)]
    pub(super) account_type: Option<String>,
    #[serde(default)]
    email_address: Option<String>,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    active: Option<bool>,
    #[serde(default)]
    groups: Option<UserGroups>,
}

#[derive(Debug, Deserialize)]
struct UserGroups {
    size: Option<usize>,
    #[serde(default)]
    items: Vec<GroupName>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupName {
    pub(super) name: String,
    pub(super) group_id: Option<String>,
}

impl User {
    /// In our own words. A missing address is unknown, never different (CLOUD-17).
    pub(super) fn seen(self) -> SeenAccount {
        let hands_off = no_person(self.account_type.as_deref()).map(str::to_owned);
        let email = self.email_address.filter(|address| address.contains('@'));
        let active = self.active.unwrap_or(true);
        let groups = self.groups.filter(|groups| groups.items.len() >= groups.size.unwrap_or(groups.items.len()));
        SeenAccount {
            id: AccountId(self.account_id),
            username: email.clone().unwrap_or_default(),
            display_name: self.display_name.unwrap_or_default(),
            email,
            active,
            groups: groups.map(|groups| groups.items.into_iter().map(|group| group.name).collect()),
            off: (!active).then_some(OffSwitch::Remove),
            read_only: BTreeSet::from(PROFILE),
            hands_off,
            ..SeenAccount::default()
        }
    }

    fn has_email(&self, email: &str) -> bool {
        self.email_address.as_ref().is_some_and(|address| fold(address) == fold(email))
    }
}

impl Cloud {
    /// One page of people of the organisation.
    pub(super) async fn search_people(
        &self,
        calls: &Calls<'_>,
        directory: &str,
        body: Value,
    ) -> Result<Found<Row>, TargetError> {
        let request = self.of_organization("user.search", Method::POST, SEARCH);
        let request = request.segment("directoryId", directory).json(body);
        match self.hosts.look(calls, Host::Organization, request).await {
            Ok(document) => parse(document),
            Err(no) => Err(no_directory(no)),
        }
    }

    /// The row of that address; exact, whatever the person hides (CLOUD-12).
    pub(super) async fn row_with_email(&self, calls: &Calls<'_>, email: &str) -> Result<Option<Row>, TargetError> {
        let body = json!({"emails": [email], "expand": ["groups"], "limit": 1});
        let found = self.search_people(calls, self.reading_directory(), body).await?;
        let has = |row: &Row| row.email.as_ref().is_some_and(|address| fold(address) == fold(email));
        Ok(found.data.into_iter().find(|row| has(row) && row.account_status.as_deref() != Some("closed")))
    }

    pub(super) async fn row_with_id(&self, calls: &Calls<'_>, id: &str) -> Result<Option<Row>, TargetError> {
        let body = json!({"accountIds": [id], "expand": ["groups"], "limit": 1});
        let found = self.search_people(calls, self.reading_directory(), body).await?;
        let ours = |row: &Row| row.account_id == id && row.account_status.as_deref() != Some("closed");
        Ok(found.data.into_iter().find(ours))
    }

    pub(super) async fn person_with_email(
        &self,
        calls: &Calls<'_>,
        email: &str,
    ) -> Result<Option<SeenAccount>, TargetError> {
        if !self.hosts.has_organization() {
            return Ok(self.user_with_email(calls, email).await?.map(User::seen));
        }
        match self.row_with_email(calls, email).await? {
            Some(row) => Ok(Some(self.seen_closely(calls, row).await?)),
            None => Ok(None),
        }
    }

    pub(super) async fn person_with_id(
        &self,
        calls: &Calls<'_>,
        id: &AccountId,
    ) -> Result<Option<SeenAccount>, TargetError> {
        if self.hosts.has_organization() {
            return Ok(self.row_with_id(calls, &id.0).await?.map(Row::seen));
        }
        let request = get("user.get", "/rest/api/3/user").about("accountId", &id.0).with("expand", "groups");
        match self.hosts.look(calls, Host::Site, request).await {
            Ok(document) => Ok(Some(parse::<User>(document)?.seen())),
            // One text for "unknown" and "not allowed" (CLOUD-8): only who may look is told that nobody is there.
            Err(No::NotFound(_)) => self.nobody(calls).await,
            Err(no) => Err(self.settle(calls, no, || format!("the account {id}")).await),
        }
    }

    /// "Nobody" from somebody who may not look is no answer (CLOUD-6, CLOUD-8).
    async fn nobody<T>(&self, calls: &Calls<'_>) -> Result<Option<T>, TargetError> {
        match self.permissions(calls).await?.browses {
            true => Ok(None),
            false => Err(super::probe::blind()),
        }
    }

    /// The user of that address. Prefix search over active people, compared for equality (CLOUD-17, CLOUD-18).
    pub(super) async fn user_with_email(&self, calls: &Calls<'_>, email: &str) -> Result<Option<User>, TargetError> {
        let request = get("user.search", "/rest/api/3/user/search").about("query", email).with("maxResults", "50");
        let found = match self.hosts.look(calls, Host::Site, request).await {
            Ok(document) => parse::<Vec<User>>(document)?,
            Err(no) => return Err(self.settle(calls, no, || "the search for users".to_owned()).await),
        };
        Ok(found.into_iter().find(|user| user.has_email(email)))
    }

    /// An account that is about to be taken over: what would be refused is asked beforehand (CLOUD-52).
    pub(super) async fn seen_closely(&self, calls: &Calls<'_>, row: Row) -> Result<SeenAccount, TargetError> {
        let managed = row.is_managed();
        let mut seen = row.seen();
        if !managed || seen.hands_off.is_some() {
            return Ok(seen);
        }
        let wanted = "profile.write,email.set,lifecycle.enablement";
        let request = get("user.privileges", "/users/{account_id}/manage")
            .segment("account_id", &seen.id.0)
            .with("privileges", wanted);
        let answer = self.hosts.look(calls, Host::Organization, request).await;
        match answer {
            Ok(document) => restrict(&mut seen, &document),
            Err(No::Forbidden(_)) => seen.read_only = BTreeSet::from(PROFILE),
            // Not there yet, or not known to this API: the writes will tell.
            Err(No::BadRequest(_) | No::NotFound(_) | No::Conflict(_) | No::Endpoint(_)) => {}
            Err(No::Failed(error)) => return Err(error),
        }
        Ok(seen)
    }
}

/// What the privileges leave of what we may write.
pub(super) fn restrict(seen: &mut SeenAccount, privileges: &Value) {
    let write = &privileges["profile.write"];
    let rule = |field: &str| if write["allowed"].is_boolean() { write } else { &write[field] };
    let forbidden = |rule: &Value| rule["allowed"] == Value::Bool(false);
    if forbidden(rule("name")) {
        seen.read_only.insert(Field::DisplayName);
    }
    if forbidden(rule("extended_profile.job_title")) {
        seen.read_only.insert(Field::Extra);
    }
    if forbidden(&privileges["email.set"]) {
        seen.read_only.extend([Field::Username, Field::Email]);
    }
    let owner = reason(rule("name")).or_else(|| reason(&privileges["email.set"]));
    if let Some(owner) = owner.filter(|key| key.starts_with("externalDirectory")) {
        seen.hands_off = Some(format!("Another provisioner owns this account at Atlassian ({owner}); change it there"));
    }
}

fn reason(rule: &Value) -> Option<&str> {
    rule["reason"]["key"].as_str()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(members: Value) -> SeenAccount {
        let mut row = json!({"accountId": "a", "email": "ada@example.test", "name": "Ada", "claimStatus": "managed"});
        row.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        serde_json::from_value::<Row>(row).unwrap().seen()
    }

    #[test]
    fn the_status_of_a_row_tells_how_somebody_was_switched_off() {
        for (status, off) in [
            ("active", None),
            ("suspended", Some(OffSwitch::Suspend)),
            ("deactivated", Some(OffSwitch::Deactivate)),
            ("for_deletion", Some(OffSwitch::Delete)),
            ("not_invited", Some(OffSwitch::Remove)),
        ] {
            let seen = row(json!({"status": status}));
            assert_eq!((seen.off, seen.active), (off, off.is_none()));
        }
        let parts = json!({"accountStatus": "active", "membershipStatus": "suspended"});
        assert_eq!(row(parts).off, Some(OffSwitch::Suspend));
    }

    #[test]
    fn strangers_keep_their_profile_and_synced_people_are_left_alone() {
        // CLOUD-13, CLOUD-50
        assert!(row(json!({})).read_only.is_empty());
        assert_eq!(row(json!({"claimStatus": "unmanaged"})).read_only.len(), 4);
        assert!(row(json!({"managementSource": "synced"})).hands_off.is_some());
        assert!(row(json!({"managementSource": null})).hands_off.is_none());
        // CLOUD-16
        for (kind, no_person) in [("atlassian", false), ("app", true), ("customer", true), ("unknown", true)] {
            assert_eq!(row(json!({"accountType": kind})).hands_off.is_some(), no_person, "{kind}");
        }
    }

    #[test]
    fn privileges_tell_what_would_be_refused() {
        // CLOUD-51, CLOUD-52
        let mut seen = row(json!({}));
        let saml = json!({"allowed": false, "reason": {"key": "authPolicy.saml"}});
        restrict(&mut seen, &json!({"profile.write": {"name": saml}, "email.set": {"allowed": true}}));
        assert_eq!(seen.read_only, BTreeSet::from([Field::DisplayName]));
        assert_eq!(seen.hands_off, None);
        let scim = json!({"allowed": false, "reason": {"key": "externalDirectory.scim"}});
        restrict(&mut seen, &json!({"profile.write": scim, "email.set": scim}));
        assert_eq!(seen.read_only.len(), 4);
        assert!(seen.hands_off.unwrap().contains("externalDirectory.scim"));
    }

    #[test]
    fn a_hidden_address_is_unknown_and_an_apps_account_is_nobodys() {
        // CLOUD-16, CLOUD-17
        let user = |members: Value| serde_json::from_value::<User>(members).unwrap().seen();
        let seen = user(json!({"accountId": "a", "accountType": "app", "displayName": "Bot", "active": true}));
        assert_eq!((seen.email, seen.hands_off.is_some()), (None, true));
        let unexpanded = json!({"accountId": "a", "active": true, "groups": {"size": 2, "items": []}});
        assert_eq!(user(unexpanded).groups, None);
    }
}
