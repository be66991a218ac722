//! The five ways to switch a person off, and back (reference, section 11): access revoked, membership suspended, removed,
//! account deactivated, account deleted. With a site alone there are two.

use reqwest::Method;
use serde_json::json;

use super::access::named;
use super::answer::{No, Words};
use super::hosts::{Host, no_key};
use super::person::Row;
use super::{AccountRef, Calls, Cloud, TargetError, Written};
use crate::account::{AccountId, Field, OffSwitch};
use crate::jira::client::Request;

const MEMBER: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}";
const SUSPEND: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}/suspend";
const RESTORE: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}/restore";
const DISABLE: &str = "/users/{account_id}/manage/lifecycle/disable";
const ENABLE: &str = "/users/{account_id}/manage/lifecycle/enable";
const DELETE: &str = "/users/{account_id}/manage/lifecycle/delete";
const CANCEL_DELETE: &str = "/users/{account_id}/manage/lifecycle/cancel-delete";

pub(super) fn off(way: OffSwitch) -> Result<Written, TargetError> {
    Ok(Written::AsAsked { off: Some(way) })
}

const ON: Written = Written::AsAsked { off: None };

impl Cloud {
    /// Suspends unless something else is asked for; a site alone removes.
    pub(super) async fn switch_off(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        way: Option<OffSwitch>,
    ) -> Result<Written, TargetError> {
        let keyless = !self.hosts.has_organization();
        match way {
            Some(OffSwitch::Revoke) => self.strip(calls, account).await,
            None if keyless => self.remove(calls, account).await,
            Some(OffSwitch::Remove) => self.remove(calls, account).await,
            Some(way) if keyless => Err(no_key(&format!("The off switch \"{}\"", way.name()))),
            None | Some(OffSwitch::Suspend) => self.suspend(calls, account).await,
            Some(OffSwitch::Deactivate) => self.deactivate(calls, account).await,
            Some(OffSwitch::Delete) => self.delete(calls, account).await,
        }
    }

    /// Undoes what switched the person off; looks where that is not on record.
    pub(super) async fn switch_on(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        way: Option<OffSwitch>,
    ) -> Result<Written, TargetError> {
        if !self.hosts.has_organization() {
            return match way {
                Some(OffSwitch::Revoke) => Ok(ON),
                _ => self.come_back(calls, account).await,
            };
        }
        let way = match way {
            Some(way) => Some(way),
            None => match self.row_with_id(calls, &account.id.0).await? {
                Some(row) => row.seen().off,
                None => Some(OffSwitch::Remove),
            },
        };
        match way {
            // Access and groups are given back one by one.
            None | Some(OffSwitch::Revoke) => Ok(ON),
            Some(OffSwitch::Suspend) => self.restore(calls, account).await,
            Some(OffSwitch::Remove) => self.come_back(calls, account).await,
            Some(OffSwitch::Deactivate) => self.enable(calls, account).await,
            Some(OffSwitch::Delete) => self.undelete(calls, account).await,
        }
    }

    fn is_off(&self, account: AccountRef<'_>, way: OffSwitch) -> Result<Written, TargetError> {
        self.has_settled(account);
        off(way)
    }

    pub(super) fn of_member<'a>(
        &'a self,
        operation: &'static str,
        method: Method,
        path: &'static str,
        directory: &'a str,
        account: AccountRef<'a>,
    ) -> Request<'a> {
        let request = self.of_organization(operation, method, path).segment("directoryId", directory);
        request.segment("accountId", &account.id.0)
    }

    /// Roles and groups are remembered (CLOUD-41). The body is empty and has to be there (CLOUD-7).
    async fn suspend(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<Written, TargetError> {
        let directory = self.directory(calls).await?;
        let request = self.of_member("user.suspend", Method::POST, SUSPEND, directory, account).json(json!({}));
        match self.hosts.call(calls, Host::Organization, request).await {
            Ok(_) => self.is_off(account, OffSwitch::Suspend),
            Err(No::NotFound(words)) => self.absent(calls, account, OffSwitch::Suspend, words).await,
            Err(No::BadRequest(words) | No::Conflict(words)) => self.perhaps_so(calls, account, words).await,
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    /// Somebody who is in no directory has no access, unless an invitation is on its way. A 404 alone does not prove it:
    /// the list has the last word, or a leaver would stay in (CLOUD-44).
    pub(super) async fn absent(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        way: OffSwitch,
        words: Words,
    ) -> Result<Written, TargetError> {
        if matches!(words.code.as_str(), "ADMIN-404-2" | "ADMIN-UAM-404-2") {
            return Err(No::NotFound(words).into_error(|| named(account)));
        }
        if self.may_be_settling(&account.id.0) {
            return Err(self.not_there(&account.id.0));
        }
        match self.person_with_id(calls, account.id).await? {
            Some(seen) if seen.active || (way, seen.off) == (OffSwitch::Remove, Some(OffSwitch::Suspend)) => {
                let reason = format!("Jira Cloud lists the account, and says that it is not there: {}", words.reason);
                Err(TargetError::Refused { reason, field: Some(Field::Active) })
            }
            Some(seen) if seen.off != Some(OffSwitch::Remove) => Ok(Written::Seen(seen)),
            _ => off(OffSwitch::Remove),
        }
    }

    /// A refusal of what may be so already: the directory tells (CLOUD-42).
    async fn perhaps_so(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        words: Words,
    ) -> Result<Written, TargetError> {
        match self.row_with_id(calls, &account.id.0).await?.map(Row::seen) {
            Some(seen) if !seen.active => Ok(Written::Seen(seen)),
            None => off(OffSwitch::Remove),
            Some(_) => Err(words.refused(Some(Field::Active))),
        }
    }

    async fn restore(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<Written, TargetError> {
        let directory = self.directory(calls).await?;
        let request = self.of_member("user.restore", Method::POST, RESTORE, directory, account).json(json!({}));
        match self.hosts.call(calls, Host::Organization, request).await {
            Ok(_) => Ok(ON),
            // Removed meanwhile: what was remembered is lost.
            Err(No::NotFound(_)) => self.come_back(calls, account).await,
            Err(No::BadRequest(words)) if !words.is_about_seats() => {
                match self.row_with_id(calls, &account.id.0).await?.map(Row::seen) {
                    Some(seen) if seen.active => Ok(Written::Seen(seen)),
                    _ => Err(words.refused(Some(Field::Active))),
                }
            }
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    /// Out of the directory, or the site; groups and roles are lost (CLOUD-43). Gone is gone (CLOUD-44).
    pub(super) async fn remove(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<Written, TargetError> {
        if !self.hosts.has_organization() {
            let request =
                Request::new("user.delete", Method::DELETE, "/rest/api/3/user").about("accountId", &account.id.0);
            return match self.hosts.call(calls, Host::Site, request).await {
                Ok(_) => self.is_off(account, OffSwitch::Remove),
                Err(No::NotFound(words)) => self.absent(calls, account, OffSwitch::Remove, words).await,
                Err(no) => Err(self.settle(calls, no, || named(account)).await),
            };
        }
        let directory = self.directory(calls).await?;
        let request = self.of_member("user.remove", Method::DELETE, MEMBER, directory, account);
        match self.hosts.call(calls, Host::Organization, request).await {
            Ok(_) => self.is_off(account, OffSwitch::Remove),
            Err(No::NotFound(words)) => self.absent(calls, account, OffSwitch::Remove, words).await,
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    /// Invited again, with nothing: access and groups follow. Where the account of old is gone for good, the address now
    /// is another account, which is for a look to find and for the policy to adopt (CLOUD-48).
    async fn come_back(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<Written, TargetError> {
        match self.invited_again(calls, account).await? {
            id if id == *account.id => Ok(ON),
            _ => Err(TargetError::Gone { what: named(account) }),
        }
    }

    async fn invited_again(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<AccountId, TargetError> {
        if self.hosts.has_organization() {
            return Ok(self.invite(calls, account.username, &Default::default()).await?.0);
        }
        // The site wants a product for somebody whom it knows (CLOUD-23).
        let applications = self.applications(calls).await?;
        let usual: Vec<String> =
            applications.iter().filter(|one| one.selected_by_default).map(|one| one.key.clone()).collect();
        Ok(self.add_to_the_site(calls, account.username, &usual).await?.id)
    }

    fn of_account<'a>(operation: &'static str, path: &'static str, account: AccountRef<'a>) -> Request<'a> {
        Request::new(operation, Method::POST, path).segment("account_id", &account.id.0).json(json!({}))
    }

    /// The account itself, everywhere (CLOUD-45). One that is not ours is suspended instead: a leaver must not stay in.
    async fn deactivate(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<Written, TargetError> {
        let request = Self::of_account("user.disable", DISABLE, account);
        match self.hosts.call(calls, Host::Organization, request).await {
            Ok(_) => self.is_off(account, OffSwitch::Deactivate),
            Err(No::Conflict(words)) => self.perhaps_so(calls, account, words).await,
            Err(No::Forbidden(words)) if is_not_managed(&words) => self.suspend(calls, account).await,
            Err(No::NotFound(words)) => self.absent(calls, account, OffSwitch::Deactivate, words).await,
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    async fn enable(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<Written, TargetError> {
        let request = Self::of_account("user.enable", ENABLE, account);
        match self.hosts.call(calls, Host::Organization, request).await {
            Ok(_) => Ok(ON),
            Err(No::Conflict(words)) => match self.row_with_id(calls, &account.id.0).await? {
                // Somebody else switched it in another way meanwhile.
                Some(row) if row.state() == "for_deletion" => self.undelete(calls, account).await,
                Some(row) if row.state() != "deactivated" => Ok(Written::Seen(row.seen())),
                _ => Err(words.refused(Some(Field::Active))),
            },
            Err(No::Forbidden(words)) if is_not_managed(&words) => self.not_ours_to_activate(calls, account).await,
            Err(No::NotFound(_)) => Err(self.not_there(&account.id.0)),
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    /// The account was ours when it was switched off, and is not now: that is about this one, and not about our key.
    async fn not_ours_to_activate(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<Written, TargetError> {
        let row = self.row_with_id(calls, &account.id.0).await?;
        match row.as_ref().map_or("not_invited", Row::state) {
            "deactivated" | "for_deletion" => {
                let reason = "The organisation does not manage this account any more, so that it cannot activate it; \
                              verify its domain at admin.atlassian.com";
                Err(TargetError::Refused { reason: reason.to_owned(), field: Some(Field::Active) })
            }
            "suspended" => self.restore(calls, account).await,
            "not_invited" => self.come_back(calls, account).await,
            _ => row.map(|row| Written::Seen(row.seen())).ok_or_else(|| self.not_there(&account.id.0)),
        }
    }

    /// The account itself, for good after 14 days (CLOUD-47). One that is not ours is removed instead.
    async fn delete(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<Written, TargetError> {
        let request = Self::of_account("user.delete", DELETE, account);
        match self.hosts.call(calls, Host::Organization, request).await {
            Ok(_) => self.is_off(account, OffSwitch::Delete),
            Err(No::NotFound(words)) if words.code == "accountNotFound" && !self.may_be_settling(&account.id.0) => {
                off(OffSwitch::Delete)
            }
            Err(No::NotFound(words)) => self.absent(calls, account, OffSwitch::Delete, words).await,
            Err(No::Conflict(words)) => match self.row_with_id(calls, &account.id.0).await? {
                Some(row) if row.state() == "for_deletion" => off(OffSwitch::Delete),
                None => off(OffSwitch::Delete),
                Some(_) => Err(words.refused(Some(Field::Active))),
            },
            Err(No::Forbidden(words)) if is_not_managed(&words) => self.remove(calls, account).await,
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    /// Within the 14 days; it activates as well. Afterwards the account is gone.
    async fn undelete(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<Written, TargetError> {
        let request = Self::of_account("user.undelete", CANCEL_DELETE, account);
        match self.hosts.call(calls, Host::Organization, request).await {
            // The record has forgotten groups and access; what is still there shows when it is given again.
            Ok(_) => Ok(ON),
            Err(No::Conflict(_)) => self.enable_or_see(calls, account).await,
            Err(No::Forbidden(words)) if is_not_managed(&words) => self.not_ours_to_activate(calls, account).await,
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    async fn enable_or_see(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<Written, TargetError> {
        match self.row_with_id(calls, &account.id.0).await?.map(Row::seen) {
            Some(seen) if seen.off != Some(OffSwitch::Delete) => Ok(Written::Seen(seen)),
            _ => Err(TargetError::Gone { what: named(account) }),
        }
    }
}

/// Nobody here is in charge of the account (CLOUD-13); a key with scopes is refused in the same code (CLOUD-3).
pub(super) fn is_not_managed(words: &Words) -> bool {
    let code = words.code == "forbidden" || words.code == "forbidden.targetUnverified";
    code && !words.reason.contains("manage:org")
}
