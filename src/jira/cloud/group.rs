//! Groups by id through the organisation (reference, 7.6); `site_group` does the same with a site alone. Which groups
//! administer anything is asked of both, since neither knows all of them (CLOUD-36, CLOUD-39).

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::named;
use super::answer::{No, Words, no_directory};
use super::hosts::Host;
use super::person::Found;
use super::{AccountRef, Calls, Cloud, EnsuredGroup, GroupRef, TargetError, parse};
use crate::account::{SeenGroup, fold};

const GROUPS: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups";
const SEARCH: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/search";
const GROUP: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}";
const ROLES: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/role-assignments";
const MEMBERS: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/memberships";
const MEMBER: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/memberships/{accountId}";

/// Roles that administer something (reference, 7.7).
const ADMINISTRATIVE: [&str; 4] =
    ["atlassian/admin", "atlassian/org-admin", "atlassian/site-admin", "atlassian/user-access-admin"];
/// Groups that Jira alone knows (CLOUD-36).
const SYSTEM: [&str; 2] = ["system-administrators", "atlassian-addons-admin"];

/// A group as the organisation lists one.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupRow {
    pub(super) id: String,
    name: String,
    #[serde(default)]
    external_synced: Option<bool>,
    #[serde(default)]
    managed_by: Option<String>,
    #[serde(default)]
    management_access: Option<ManagementAccess>,
}

#[derive(Clone, Debug, Deserialize)]
struct ManagementAccess {
    modifiable: Option<bool>,
}

impl GroupRow {
    /// Why its members cannot be changed, if they cannot (CLOUD-33).
    fn obstacle(&self) -> Option<String> {
        let synced = self.external_synced == Some(true) || self.managed_by.as_deref() == Some("EXTERNAL");
        let modifiable = self.management_access.as_ref().and_then(|access| access.modifiable);
        match (synced, modifiable) {
            (true, _) => Some(synced_elsewhere()),
            (false, Some(false)) => {
                Some("The organisation's API key may not change the members of this group".to_owned())
            }
            _ => None,
        }
    }

    pub(super) fn seen(self, powers: &Powers) -> SeenGroup {
        let read_only = self.obstacle();
        SeenGroup { administrative: powers.include(&self.name), read_only, name: self.name, id: Some(self.id) }
    }
}

pub(super) fn synced_elsewhere() -> String {
    "The members of this group are synced into Atlassian by another identity provider; change them there".to_owned()
}

/// The groups that administer something, by folded name.
#[derive(Clone, Debug, Default)]
pub(super) struct Powers(BTreeMap<String, String>);

impl Powers {
    pub(super) fn add(&mut self, name: &str) {
        self.0.insert(fold(name), name.to_owned());
    }

    pub(super) fn include(&self, name: &str) -> bool {
        self.0.contains_key(&fold(name))
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.values().cloned().collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnResource {
    resource_id: String,
}

impl Cloud {
    /// One page of the organisation's groups.
    pub(super) async fn search_groups(
        &self,
        calls: &Calls<'_>,
        directory: &str,
        body: Value,
    ) -> Result<Found<GroupRow>, TargetError> {
        let request = self.of_organization("group.search", Method::POST, SEARCH);
        let request = request.segment("directoryId", directory).json(body);
        match self.hosts.look(calls, Host::Organization, request).await {
            Ok(document) => parse(document),
            Err(no) => Err(no_directory(no)),
        }
    }

    /// The groups that administer the organisation, an app or Jira; a minute old at most.
    pub(super) async fn powers(&self, calls: &Calls<'_>) -> Result<Powers, TargetError> {
        let ask = async {
            let mut powers = Powers::default();
            SYSTEM.iter().for_each(|name| powers.add(name));
            if self.hosts.has_organization() {
                let mut body = json!({"roleIds": ADMINISTRATIVE, "limit": 100});
                loop {
                    let found = self.search_groups(calls, self.reading_directory(), body).await?;
                    found.data.iter().for_each(|group| powers.add(&group.name));
                    match found.links.next {
                        Some(cursor) => body = json!({"cursor": cursor, "limit": 100}),
                        None => break,
                    }
                }
            }
            for access in ["site-admin", "admin"] {
                self.groups_with_access(calls, access).await?.iter().for_each(|name| powers.add(name));
            }
            Ok(powers)
        };
        self.powers.get(ask).await
    }

    /// The row of that name; exact, without regard to case (CLOUD-30).
    async fn row_named(&self, calls: &Calls<'_>, name: &str) -> Result<Option<GroupRow>, TargetError> {
        let directory = self.directory(calls).await?;
        let body = json!({"groupNames": [name], "limit": 1});
        let found = self.search_groups(calls, directory, body).await?;
        Ok(found.data.into_iter().find(|group| fold(&group.name) == fold(name)))
    }

    pub(super) async fn group_named(&self, calls: &Calls<'_>, name: &str) -> Result<Option<SeenGroup>, TargetError> {
        let name = trimmed(name)?;
        if !self.hosts.has_organization() {
            return self.site_group_named(calls, name).await;
        }
        match self.row_named(calls, name).await? {
            Some(row) => Ok(Some(row.seen(&self.powers(calls).await?))),
            // What Jira alone knows is not for us to make (CLOUD-36).
            None if SYSTEM.contains(&fold(name).as_str()) => {
                let read_only = Some("This group belongs to Jira itself".to_owned());
                Ok(Some(SeenGroup { name: name.to_owned(), id: None, administrative: true, read_only }))
            }
            None => Ok(None),
        }
    }

    /// Creates; the answer has no body, so the id is looked up (CLOUD-32).
    pub(super) async fn make_group(&self, calls: &Calls<'_>, name: &str) -> Result<EnsuredGroup, TargetError> {
        let name = trimmed(name)?;
        if !self.hosts.has_organization() {
            return self.make_site_group(calls, name).await;
        }
        if SYSTEM.contains(&fold(name).as_str())
            && let Some(group) = self.group_named(calls, name).await?
        {
            return Ok(EnsuredGroup::Existed(group));
        }
        let directory = self.directory(calls).await?;
        let request = self.of_organization("group.create", Method::POST, GROUPS);
        let request = request.segment("directoryId", directory).json(json!({ "name": name }));
        match self.hosts.call(calls, Host::Organization, request).await {
            Ok(_) => Ok(EnsuredGroup::New { id: self.row_named(calls, name).await?.map(|row| row.id) }),
            Err(No::Conflict(words) | No::BadRequest(words)) => match self.group_named(calls, name).await? {
                Some(group) => Ok(EnsuredGroup::Existed(group)),
                None => Err(words.refused(None)),
            },
            Err(no) => Err(no.into_error(|| group_called(name))),
        }
    }

    /// Deletes; gone is gone. Default and administrative groups are refused (CLOUD-34, CLOUD-37).
    pub(super) async fn remove_group(&self, calls: &Calls<'_>, group: GroupRef<'_>) -> Result<(), TargetError> {
        if !self.hosts.has_organization() {
            return self.remove_site_group(calls, group).await;
        }
        let Some(id) = self.group_id(calls, group).await? else { return Ok(()) };
        let directory = self.directory(calls).await?;
        let request = self.of_organization("group.delete", Method::DELETE, GROUP);
        let request = request.segment("directoryId", directory).segment("groupId", &id);
        match self.hosts.call(calls, Host::Organization, request).await {
            Ok(_) => Ok(()),
            Err(No::NotFound(words)) => gone(words),
            Err(No::Conflict(words)) => Err(words.refused(None)),
            Err(no) => Err(no.into_error(|| group_called(group.name))),
        }
    }

    /// The id on record, or that of the group of this name.
    pub(super) async fn group_id(&self, calls: &Calls<'_>, group: GroupRef<'_>) -> Result<Option<String>, TargetError> {
        match group.id {
            Some(id) => Ok(Some(id.to_owned())),
            None => Ok(self.group_named(calls, group.name).await?.and_then(|group| group.id)),
        }
    }

    /// Adds; a member is a member. A 409 is that or the licence, and only its code tells (CLOUD-29).
    pub(super) async fn join(
        &self,
        calls: &Calls<'_>,
        group: GroupRef<'_>,
        account: AccountRef<'_>,
    ) -> Result<(), TargetError> {
        let gone = || TargetError::Gone { what: group_called(group.name) };
        let id = self.group_id(calls, group).await?.ok_or_else(gone)?;
        if !self.hosts.has_organization() {
            return self.join_at_the_site(calls, &id, account).await;
        }
        let directory = self.directory(calls).await?;
        let request = self.of_organization("member.add", Method::POST, MEMBERS).segment("directoryId", directory);
        let request = request.segment("groupId", &id).json(json!({ "accountId": account.id.0 }));
        match self.hosts.call(calls, Host::Organization, request).await {
            Ok(_) => {
                self.has_settled(account);
                Ok(())
            }
            Err(No::Conflict(words)) if words.is_about_seats() => Err(TargetError::NoSeats { reason: words.reason }),
            Err(No::Conflict(_)) => Ok(()),
            Err(No::NotFound(words)) => Err(self.who_is_missing(calls, &id, group, account, words).await),
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    /// A 404 to a membership: the group, somebody whose invitation has not settled, or somebody who left (CLOUD-20).
    async fn who_is_missing(
        &self,
        calls: &Calls<'_>,
        id: &str,
        group: GroupRef<'_>,
        account: AccountRef<'_>,
        words: Words,
    ) -> TargetError {
        if self.may_be_settling(&account.id.0) && words.code != "ADMIN-UAM-404-3" && words.code != "ADMIN-404-10" {
            return self.not_there(&account.id.0);
        }
        match self.search_groups(calls, self.reading_directory(), json!({"groupIds": [id], "limit": 1})).await {
            Ok(found) if found.data.is_empty() => TargetError::Gone { what: group_called(group.name) },
            Ok(_) => self.not_there(&account.id.0),
            Err(error) => error,
        }
    }

    /// Removes; whoever is no member, or not there, is out already.
    pub(super) async fn leave(
        &self,
        calls: &Calls<'_>,
        group: GroupRef<'_>,
        account: AccountRef<'_>,
    ) -> Result<(), TargetError> {
        let Some(id) = self.group_id(calls, group).await? else { return Ok(()) };
        if !self.hosts.has_organization() {
            return self.leave_at_the_site(calls, &id, account).await;
        }
        let directory = self.directory(calls).await?;
        let request = self.of_organization("member.remove", Method::DELETE, MEMBER).segment("directoryId", directory);
        let request = request.segment("groupId", &id).segment("accountId", &account.id.0);
        match self.hosts.call(calls, Host::Organization, request).await {
            Ok(_) => Ok(()),
            Err(No::NotFound(words)) => gone(words),
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    /// Whether membership in the group gives anything on one of the resources.
    pub(super) async fn grants_any<'a>(
        &'a self,
        calls: &Calls<'_>,
        id: &'a str,
        resources: &[&str],
    ) -> Result<bool, TargetError> {
        let ask = || {
            let request = self.of_organization("group.roles", Method::GET, ROLES);
            request.segment("directoryId", self.reading_directory()).segment("groupId", id)
        };
        match self.every_page::<OnResource>(calls, ask).await {
            Ok(roles) => Ok(roles.iter().any(|one| resources.contains(&one.resource_id.as_str()))),
            Err(No::NotFound(_)) => Ok(false),
            Err(no) => Err(no.into_error(|| "the group".to_owned())),
        }
    }
}

/// Gone is done, unless it is the organisation that is not known.
pub(super) fn gone(words: Words) -> Result<(), TargetError> {
    match No::NotFound(words).into_error(String::new) {
        TargetError::Gone { .. } => Ok(()),
        error => Err(error),
    }
}

/// Names are trimmed before use; the rules of Atlassian are not published.
fn trimmed(name: &str) -> Result<&str, TargetError> {
    let name = name.trim();
    if name.is_empty() {
        return Err(TargetError::Refused { reason: "a group without a name".to_owned(), field: None });
    }
    Ok(name)
}

pub(super) fn group_called(name: &str) -> String {
    format!("the group \"{name}\"")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_group_of_another_provisioner_is_recognised_whichever_way_it_is_told() {
        // CLOUD-33
        let seen = |members: Value| {
            let mut row = json!({"id": "g", "name": "Crew"});
            row.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            serde_json::from_value::<GroupRow>(row).unwrap().seen(&Powers::default()).read_only.is_some()
        };
        assert!(seen(json!({"externalSynced": true})));
        assert!(seen(json!({"managedBy": "EXTERNAL"})));
        assert!(seen(json!({"managementAccess": {"readable": true, "modifiable": false}})));
        assert!(!seen(json!({"externalSynced": false, "managementAccess": {"modifiable": true}})));
        assert!(!seen(json!({})));
    }
}
