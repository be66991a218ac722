//! Groups with a site alone (reference, section 5).

use std::collections::VecDeque;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::access::named;
use super::answer::{No, Words};
use super::group::{group_called, synced_elsewhere};
use super::hosts::Host;
use super::person::GroupName;
use super::{AccountRef, Calls, Cloud, EnsuredGroup, GroupRef, TargetError, get, parse};
use crate::account::{SeenGroup, fold};
use crate::jira::client::Request;

const GROUP: &str = "/rest/api/3/group";
const BULK: &str = "/rest/api/3/group/bulk";
const MEMBERSHIP: &str = "/rest/api/3/group/user";

/// A page of `/group/bulk` or `/group/member`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bean<T> {
    #[serde(default = "VecDeque::new")]
    pub(super) values: VecDeque<T>,
    #[serde(default)]
    pub(super) is_last: Option<bool>,
}

/// One answer of the picker (CLOUD-35).
#[derive(Deserialize)]
struct Picked {
    #[serde(default)]
    total: Option<usize>,
    #[serde(default)]
    groups: Vec<PickedGroup>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PickedGroup {
    name: String,
    #[serde(default)]
    group_id: Option<String>,
    #[serde(default)]
    managed_by: Option<String>,
    #[serde(default)]
    usage_type: Option<String>,
}

impl Cloud {
    /// One page of all groups, or of those with that access.
    pub(super) async fn groups_in_bulk(
        &self,
        calls: &Calls<'_>,
        access: Option<&str>,
        start: usize,
    ) -> Result<Bean<GroupName>, TargetError> {
        let start = start.to_string();
        let mut request = get("group.list", BULK).about("startAt", &start).with("maxResults", "50");
        if let Some(access) = access {
            request = request.with("accessType", access);
        }
        match self.hosts.look(calls, Host::Site, request).await {
            Ok(document) => parse(document),
            Err(no) => Err(self.settle(calls, no, || "the list of groups".to_owned()).await),
        }
    }

    /// Names of the groups that give that access to the site (CLOUD-39).
    pub(super) async fn groups_with_access(
        &self,
        calls: &Calls<'_>,
        access: &'static str,
    ) -> Result<Vec<String>, TargetError> {
        let mut names = Vec::new();
        loop {
            let page = self.groups_in_bulk(calls, Some(access), names.len()).await?;
            let last = page.values.is_empty() || page.is_last == Some(true);
            names.extend(page.values.into_iter().map(|group| group.name));
            if last {
                return Ok(names);
            }
        }
    }

    /// The picker tells whose a group is; it shows some of the matches only, so the exact list has the last word
    /// (CLOUD-33, CLOUD-35).
    pub(super) async fn site_group_named(
        &self,
        calls: &Calls<'_>,
        name: &str,
    ) -> Result<Option<SeenGroup>, TargetError> {
        let request = get("group.pick", "/rest/api/3/groups/picker")
            .about("query", name)
            .with("caseInsensitive", "true")
            .with("maxResults", "1000");
        let picked: Picked = match self.hosts.look(calls, Host::Site, request).await {
            Ok(document) => parse(document)?,
            Err(no) => return Err(self.settle(calls, no, || group_called(name)).await),
        };
        let cut = picked.total.is_some_and(|total| picked.groups.len() < total);
        let team = |group: &PickedGroup| group.usage_type.as_deref() == Some("TEAM_COLLABORATION");
        let found = picked.groups.into_iter().find(|group| fold(&group.name) == fold(name) && !team(group));
        let powers = self.powers(calls).await?;
        if let Some(group) = found {
            let read_only = (group.managed_by.as_deref() == Some("EXTERNAL")).then(synced_elsewhere);
            let administrative = powers.include(&group.name);
            return Ok(Some(SeenGroup { name: group.name, id: group.group_id, administrative, read_only }));
        }
        if !cut {
            return Ok(None);
        }
        let request = get("group.find", BULK).about("groupName", name).with("maxResults", "50");
        let page: Bean<GroupName> = match self.hosts.look(calls, Host::Site, request).await {
            Ok(document) => parse(document)?,
            Err(no) => return Err(self.settle(calls, no, || group_called(name)).await),
        };
        let found = page.values.into_iter().find(|group| fold(&group.name) == fold(name));
        Ok(found.map(|group| SeenGroup {
            administrative: powers.include(&group.name),
            name: group.name,
            id: group.group_id,
            read_only: None,
        }))
    }

    /// Creates; a 400 is "exists" only if a look finds the group (CLOUD-32).
    pub(super) async fn make_site_group(&self, calls: &Calls<'_>, name: &str) -> Result<EnsuredGroup, TargetError> {
        let request = Request::new("group.create", Method::POST, GROUP).json(json!({ "name": name }));
        match self.hosts.call(calls, Host::Site, request).await {
            Ok(document) => Ok(EnsuredGroup::New { id: parse::<GroupName>(document)?.group_id }),
            Err(No::BadRequest(words) | No::Conflict(words)) => match self.site_group_named(calls, name).await? {
                Some(group) => Ok(EnsuredGroup::Existed(group)),
                None => Err(words.refused(None)),
            },
            Err(no) => Err(self.settle(calls, no, || group_called(name)).await),
        }
    }

    pub(super) async fn remove_site_group(&self, calls: &Calls<'_>, group: GroupRef<'_>) -> Result<(), TargetError> {
        let Some(id) = self.group_id(calls, group).await? else { return Ok(()) };
        let request = Request::new("group.delete", Method::DELETE, GROUP).about("groupId", &id);
        match self.hosts.call(calls, Host::Site, request).await {
            Ok(_) | Err(No::NotFound(_)) => Ok(()),
            Err(no) => Err(self.settle(calls, no, || group_called(group.name)).await),
        }
    }

    /// One call; "already a member" is known by its text alone (CLOUD-31).
    pub(super) async fn join_at_the_site(
        &self,
        calls: &Calls<'_>,
        id: &str,
        account: AccountRef<'_>,
    ) -> Result<(), TargetError> {
        let request = Request::new("member.add", Method::POST, MEMBERSHIP)
            .about("groupId", id)
            .json(json!({ "accountId": account.id.0 }));
        match self.hosts.call(calls, Host::Site, request).await {
            Ok(_) => Ok(()),
            Err(No::BadRequest(words)) if fold(&words.reason).contains("already a member of") => Ok(()),
            Err(No::BadRequest(words) | No::Conflict(words)) => Err(self.seats_or(calls, id, words).await),
            Err(No::NotFound(_)) => Err(self.who_is_missing_at_the_site(calls, id, account).await),
            Err(no) => Err(self.settle(calls, no, || named(account)).await),
        }
    }

    /// A group that grants a product whose seats are taken is refused for that (CLOUD-26).
    async fn seats_or(&self, calls: &Calls<'_>, id: &str, words: Words) -> TargetError {
        self.applications.forget().await;
        match self.applications(calls).await {
            Ok(all) => match all.iter().find(|one| one.is_full() && one.granting().any(|group| group == id)) {
                Some(one) => TargetError::NoSeats {
                    reason: format!("All {} seats of {} are taken", one.number_of_seats, one.name),
                },
                None => words.refused(None),
            },
            Err(error) => error,
        }
    }

    async fn who_is_missing_at_the_site(&self, calls: &Calls<'_>, id: &str, account: AccountRef<'_>) -> TargetError {
        if self.may_be_settling(&account.id.0) {
            return self.not_there(&account.id.0);
        }
        let request = get("group.find", BULK).about("groupId", id).with("maxResults", "50");
        match self.hosts.look(calls, Host::Site, request).await.map(parse::<Bean<GroupName>>) {
            Ok(Ok(page)) if page.values.is_empty() => TargetError::Gone { what: format!("the group {id}") },
            Ok(Ok(_)) => self.not_there(&account.id.0),
            Ok(Err(error)) => error,
            Err(no) => self.settle(calls, no, || format!("the group {id}")).await,
        }
    }

    /// One call; "no member" is known by its text, and a 404 is out as well.
    pub(super) async fn leave_at_the_site(
        &self,
        calls: &Calls<'_>,
        id: &str,
        account: AccountRef<'_>,
    ) -> Result<(), TargetError> {
        let request = Request::new("member.remove", Method::DELETE, MEMBERSHIP)
            .about("groupId", id)
            .about("accountId", &account.id.0);
        match self.hosts.call(calls, Host::Site, request).await {
            Ok(_) | Err(No::NotFound(_)) => Ok(()),
            Err(No::BadRequest(words)) if fold(&words.reason).contains("not a member of") => Ok(()),
            Err(no) => Err(self.settle(calls, no, || named(account)).await),
        }
    }
}
