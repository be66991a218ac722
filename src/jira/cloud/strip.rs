//! Taking away what gives access to an app, and nothing else: roles, and the groups that grant one.

use reqwest::Method;
use serde::Deserialize;

use super::access::named;
use super::answer::No;
use super::person::Row;
use super::{AccountRef, Calls, Cloud, GroupRef, TargetError, Written};
use crate::account::{Access, Field, OffSwitch, SeenAccount};

const ROLES: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}/role-assignments";

/// What somebody has on a resource, and where from (CLOUD-28).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnResource {
    resource_id: String,
    #[serde(default)]
    role_assignments: Vec<Assigned>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assigned {
    role: String,
    #[serde(default)]
    role_assignment_methods: Vec<String>,
}

impl OnResource {
    fn is_by_group(&self) -> bool {
        let mut ways = self.role_assignments.iter().flat_map(|one| &one.role_assignment_methods);
        ways.any(|way| way.starts_with("group"))
    }
}

/// The first refusal of several steps: it must not keep the others from being taken.
#[derive(Default)]
pub(super) struct Refusals(Option<String>);

impl Refusals {
    /// Goes on after a refusal; any other failure ends it.
    pub(super) fn note(&mut self, result: Result<(), TargetError>) -> Result<(), TargetError> {
        match result {
            Err(TargetError::Refused { reason, .. }) => {
                self.0.get_or_insert(reason);
                Ok(())
            }
            other => other,
        }
    }

    /// The refusal, once everything else is done.
    pub(super) fn settled(self) -> Result<(), TargetError> {
        let refused = |reason| TargetError::Refused { reason, field: Some(Field::Active) };
        self.0.map_or(Ok(()), |reason| Err(refused(reason)))
    }
}

impl Cloud {
    /// Takes away what gives access to an app: roles, and groups that grant one. Other groups stay.
    pub(super) async fn strip(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<Written, TargetError> {
        if !self.hosts.has_organization() {
            self.take_at_the_site(calls, account, |_| true).await?;
            let seen = self.person_with_id(calls, account.id).await?;
            return self.stripped(account, seen);
        }
        let ask = || self.of_member("user.roles", Method::GET, ROLES, self.reading_directory(), account);
        let found: Vec<OnResource> = match self.every_page(calls, ask).await {
            Ok(found) => found,
            Err(No::NotFound(words)) => return self.absent(calls, account, OffSwitch::Revoke, words).await,
            Err(no) => return Err(no.into_error(|| named(account))),
        };
        let mut refusals = Refusals::default();
        let row = self.row_with_id(calls, &account.id.0).await?;
        let resources: Vec<&str> = found.iter().map(|one| one.resource_id.as_str()).collect();
        if found.iter().any(OnResource::is_by_group) {
            for group in row.iter().flat_map(|row| row.groups.iter().flatten()) {
                let Some(id) = group.id.as_deref() else { continue };
                if self.grants_any(calls, id, &resources).await? {
                    let name = group.name.as_deref().unwrap_or_default();
                    refusals.note(self.leave(calls, GroupRef { name, id: Some(id) }, account).await)?;
                }
            }
        }
        for one in &found {
            for assigned in &one.role_assignments {
                if assigned.role_assignment_methods.iter().any(|way| way == "direct") {
                    let access = Access { resource: one.resource_id.clone(), role: assigned.role.clone() };
                    refusals.note(self.withdraw(calls, account, &access).await)?;
                }
            }
        }
        refusals.settled()?;
        let seen = self.row_with_id(calls, &account.id.0).await?.map(Row::seen);
        self.stripped(account, seen)
    }

    fn stripped(&self, account: AccountRef<'_>, seen: Option<SeenAccount>) -> Result<Written, TargetError> {
        let seen = seen.ok_or_else(|| self.not_there(&account.id.0))?;
        let off = seen.off.or(Some(OffSwitch::Revoke));
        Ok(Written::Seen(SeenAccount { active: false, off, access: Some(Default::default()), ..seen }))
    }
}
