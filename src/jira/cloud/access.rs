//! Application access: roles on the organisation's resources, or with a site alone the groups that grant a product.

use std::collections::BTreeSet;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::answer::No;
use super::group::gone;
use super::hosts::{Host, no_key};
use super::person::GroupName;
use super::strip::Refusals;
use super::{AccountRef, Calls, Cloud, GroupRef, TargetError, get, parse};
use crate::account::Access;

const ASSIGN: &str = "/admin/v1/orgs/{orgId}/users/{userId}/roles/assign";
const REVOKE: &str = "/admin/v1/orgs/{orgId}/users/{userId}/roles/revoke";
/// The role of an ordinary user of an app.
const USER: &str = "atlassian/user";

/// A product of the site with its seats and the groups that grant it (CLOUD-25).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Application {
    pub(super) key: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    group_details: Vec<Granting>,
    #[serde(default)]
    default_groups_details: Vec<Granting>,
    #[serde(default)]
    pub(super) number_of_seats: i64,
    #[serde(default)]
    pub(super) remaining_seats: i64,
    #[serde(default)]
    pub(super) has_unlimited_seats: bool,
    #[serde(default)]
    pub(super) selected_by_default: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Granting {
    name: String,
    group_id: Option<String>,
}

impl Application {
    pub(super) fn is_full(&self) -> bool {
        !self.has_unlimited_seats && self.number_of_seats >= 0 && self.remaining_seats <= 0
    }

    /// Ids of the groups whose members hold it.
    pub(super) fn granting(&self) -> impl Iterator<Item = &str> {
        self.group_details.iter().filter_map(|group| group.group_id.as_deref())
    }
}

/// The key of a product (`jira-software`), also from a resource of the organisation
/// (`ari:cloud:jira-software::site/...`); `None` for what a site cannot give.
pub(super) fn product(resource: &str) -> Option<String> {
    let key = match resource.strip_prefix("ari:cloud:") {
        Some(rest) => rest.split(':').next().unwrap_or_default(),
        None => resource,
    };
    key.starts_with("jira").then(|| key.to_owned())
}

impl Cloud {
    /// Gives a role on a resource; already so is done.
    pub(super) async fn give(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        access: &Access,
    ) -> Result<(), TargetError> {
        if !self.hosts.has_organization() {
            return self.give_at_the_site(calls, account, access).await;
        }
        let sent = self.of_a_resource(calls, access).await?;
        match self.role(calls, account, &sent, "access.grant", ASSIGN).await {
            Ok(()) => Ok(()),
            Err(No::Conflict(words)) if words.code == "ADMIN-UAM-409-2" => Ok(()),
            Err(No::NotFound(_)) => self.nobody_or_nothing(calls, account, access).await,
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    /// Takes a role away; already gone is done.
    pub(super) async fn take(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        access: &Access,
    ) -> Result<(), TargetError> {
        if !self.hosts.has_organization() {
            let wanted = of_jira(access)?;
            return self.take_at_the_site(calls, account, |key| key == wanted).await;
        }
        let sent = self.of_a_resource(calls, access).await?;
        match self.role(calls, account, &sent, "access.revoke", REVOKE).await {
            Ok(()) => Ok(()),
            Err(No::NotFound(_)) if self.may_be_settling(&account.id.0) => Err(self.not_there(&account.id.0)),
            Err(No::NotFound(words)) => gone(words),
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    pub(super) async fn role(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        sent: &Access,
        operation: &'static str,
        path: &'static str,
    ) -> Result<(), No> {
        let body = json!({"role": sent.role, "resource": sent.resource});
        let request = self.of_organization(operation, Method::POST, path).segment("userId", &account.id.0).json(body);
        self.hosts.call(calls, Host::Organization, request).await.map(drop)
    }

    pub(super) async fn withdraw(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        sent: &Access,
    ) -> Result<(), TargetError> {
        match self.role(calls, account, sent, "access.revoke", REVOKE).await {
            Ok(()) => Ok(()),
            Err(No::NotFound(words)) => gone(words),
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    /// A 404 to a role: the person, or the resource.
    async fn nobody_or_nothing(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        access: &Access,
    ) -> Result<(), TargetError> {
        if self.may_be_settling(&account.id.0) {
            return Err(self.not_there(&account.id.0));
        }
        match self.row_with_id(calls, &account.id.0).await? {
            Some(row) if row.state() != "not_invited" => {
                let reason = format!("The organisation knows no {access}; is products of the policy right?");
                Err(TargetError::Refused { reason, field: None })
            }
            _ => Err(self.not_there(&account.id.0)),
        }
    }

    /// Access as the organisation names it: a product's key stands for its resource on this site, no role for the usual one.
    pub(super) async fn of_a_resource(&self, calls: &Calls<'_>, access: &Access) -> Result<Access, TargetError> {
        let role = if access.role.is_empty() { USER.to_owned() } else { access.role.clone() };
        if access.resource.starts_with("ari:") {
            return Ok(Access { resource: access.resource.clone(), role });
        }
        let cloud_id = self.hosts.cloud_id(calls).await?;
        Ok(Access { resource: format!("ari:cloud:{}::site/{cloud_id}", access.resource), role })
    }

    /// The site's products, a minute old at most.
    pub(super) async fn applications(&self, calls: &Calls<'_>) -> Result<Vec<Application>, TargetError> {
        let ask = async {
            match self.hosts.look(calls, Host::Site, get("application.list", "/rest/api/3/applicationrole")).await {
                Ok(document) => parse(document),
                Err(no) => Err(self.settle(calls, no, || "the list of products".to_owned()).await),
            }
        };
        self.applications.get(ask).await
    }

    /// Which of the products has no seat left, in words; a refusal is explained by seats as they are now (CLOUD-26).
    pub(super) async fn without_seat(
        &self,
        calls: &Calls<'_>,
        products: &[String],
    ) -> Result<Option<String>, TargetError> {
        self.applications.forget().await;
        let full = self.applications(calls).await?.into_iter().find(|one| products.contains(&one.key) && one.is_full());
        Ok(full.map(|one| format!("All {} seats of {} are taken", one.number_of_seats, one.name)))
    }

    async fn give_at_the_site(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        access: &Access,
    ) -> Result<(), TargetError> {
        let key = of_jira(access)?;
        let applications = self.applications(calls).await?;
        let Some(application) = applications.into_iter().find(|one| one.key == key) else {
            let reason = format!("This site has no product {key}");
            return Err(TargetError::Refused { reason, field: None });
        };
        for group in &application.default_groups_details {
            let group = GroupRef { name: &group.name, id: group.group_id.as_deref() };
            self.join(calls, group, account).await?;
        }
        Ok(())
    }

    /// Takes the person out of every group that grants one of the products (CLOUD-25).
    pub(super) async fn take_at_the_site(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        which: impl Fn(&str) -> bool,
    ) -> Result<(), TargetError> {
        let applications = self.applications(calls).await?;
        let granting: BTreeSet<&str> =
            applications.iter().filter(|one| which(&one.key)).flat_map(Application::granting).collect();
        let mut refusals = Refusals::default();
        for group in self.groups_at_the_site(calls, account).await? {
            let id = group.group_id.as_deref();
            if id.is_some_and(|id| granting.contains(id)) {
                refusals.note(self.leave(calls, GroupRef { name: &group.name, id }, account).await)?;
            }
        }
        refusals.settled()
    }

    async fn groups_at_the_site(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
    ) -> Result<Vec<GroupName>, TargetError> {
        let request = get("user.groups", "/rest/api/3/user/groups").about("accountId", &account.id.0);
        match self.hosts.look(calls, Host::Site, request).await {
            Ok(document) => parse(document),
            Err(No::NotFound(_)) => Ok(Vec::new()),
            Err(no) => Err(self.settle(calls, no, || named(account)).await),
        }
    }
}

/// The key of the product; what is none of Jira's a site alone can neither give nor take.
pub(super) fn of_jira(access: &Access) -> Result<String, TargetError> {
    let unknown = || no_key(&format!("Access to {}, which is not a product of Jira,", access.resource));
    product(&access.resource).ok_or_else(unknown)
}

pub(super) fn named(account: AccountRef<'_>) -> String {
    format!("the account {}", account.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_known_by_its_key_and_by_its_resource() {
        assert_eq!(product("jira-software").as_deref(), Some("jira-software"));
        assert_eq!(product("ari:cloud:jira-servicedesk::site/1").as_deref(), Some("jira-servicedesk"));
        assert_eq!(product("ari:cloud:confluence::site/1"), None);
    }
}
