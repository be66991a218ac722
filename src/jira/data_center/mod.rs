//! Jira Data Center and Jira Server through `/rest/api/2`: one file for accounts, one for groups, one for the probe. The
//! traps that are cited as `DC-n` are listed in `docs/targets/data-center.md`.
//!
//! In the quiet case each step is one call. A look follows only where Jira's answer leaves open what happened.

mod access;
mod activity;
mod bean;
mod examine;
mod group;
mod last_login;
mod leads;
mod listing;
mod probe;
mod user;
mod walk;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Method;

use super::client::{Client, ClientError, ClientOptions, Credential, Request};
use super::crowd::{Crowd, CrowdOptions, Memberships};
use super::reply::{Rejection, Reply, Words};
use super::{
    AccountChange, AccountRef, Answer, Calls, Capabilities, Created, EnsuredGroup, Examination, GroupRef, Kind,
    LastLogin, Naming, Page, Probe, Switch, Target, TargetError, Written,
};
use crate::account::{Access, Account, AccountId, SeenAccount, SeenGroup};

/// How to reach one Jira Data Center.
#[derive(Clone, Debug)]
pub struct DataCenterOptions {
    /// The REST API.
    pub client: ClientOptions,
    /// The Crowd-compatible API, where there is a credential for it (DC-80).
    pub crowd: Option<CrowdOptions>,
}

impl DataCenterOptions {
    /// Without the Crowd-compatible API.
    pub fn new(client: ClientOptions) -> Self {
        Self { client, crowd: None }
    }
}

/// One Jira Data Center; holds its clients and what it has learnt of what this Jira can do.
pub struct DataCenter {
    client: Client,
    notify: bool,
    /// Whether we log in with a password.
    basic: bool,
    crowd: Option<Crowd>,
    known: Mutex<Known>,
}

/// What is remembered between calls; none of it is needed.
#[derive(Default)]
struct Known {
    /// The version's numbers; empty before the first probe.
    version: Vec<u32>,
    /// Whether there is `user/list` (DC-41).
    user_list: Option<bool>,
    /// Applications with their seats.
    roles: Option<access::Roles>,
    /// For the listing that is under way.
    memberships: Option<Arc<Memberships>>,
}

impl DataCenter {
    /// The target; opens no connection.
    ///
    /// # Errors
    /// [`ClientError`] where the options cannot be used.
    pub fn new(options: DataCenterOptions) -> Result<Self, ClientError> {
        let crowd = options.crowd.as_ref().map(|crowd| Crowd::new(crowd, &options.client)).transpose()?;
        Ok(Self {
            notify: options.client.notify,
            basic: matches!(options.client.credential, Credential::Basic { .. }),
            client: Client::new(options.client)?,
            crowd,
            known: Mutex::default(),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this Jira is known to be older than that version.
    fn is_older_than(&self, version: &[u32]) -> bool {
        let known = self.known();
        !known.version.is_empty() && known.version.as_slice() < version
    }

    /// Whether this Jira is known to be of that version or a newer one.
    fn is_at_least(&self, version: &[u32]) -> bool {
        let known = self.known();
        !known.version.is_empty() && known.version.as_slice() >= version
    }

    async fn call(&self, calls: &Calls<'_>, request: Request<'_>) -> Result<Reply, Rejection> {
        self.client.call(calls, request).await
    }

    /// The error of a rejection that is final. A 403 to our own account is looked into: Jira gives it both to somebody
    /// who does not administer at all (DC-13) and where a directory forbids this one operation (DC-75).
    async fn settle(&self, calls: &Calls<'_>, rejection: Rejection, what: impl FnOnce() -> String) -> TargetError {
        match rejection {
            Rejection::Forbidden(words) => match self.administers(calls).await {
                Ok(true) => words.refused(),
                Ok(false) => TargetError::Denied { detail: format!("403, no administrator: {}", words.reason) },
                Err(error) => error,
            },
            other => other.into_error(what),
        }
    }
}

impl Target for DataCenter {
    fn capabilities(&self) -> Capabilities {
        Capabilities { kind: Kind::DataCenter, groups: true, naming: Naming::UserName }
    }

    fn probe<'a>(&'a self, calls: &'a Calls<'a>) -> Answer<'a, Probe> {
        Box::pin(self.look_around(calls))
    }

    fn find_account<'a>(&'a self, calls: &'a Calls<'a>, username: &'a str) -> Answer<'a, Option<SeenAccount>> {
        Box::pin(self.account_named(calls, username))
    }

    fn find_by_email<'a>(&'a self, calls: &'a Calls<'a>, email: &'a str) -> Answer<'a, Option<SeenAccount>> {
        Box::pin(self.account_with_email(calls, email))
    }

    fn get_account<'a>(&'a self, calls: &'a Calls<'a>, id: &'a AccountId) -> Answer<'a, Option<SeenAccount>> {
        Box::pin(self.account_with_key(calls, id))
    }

    fn create_account<'a>(&'a self, calls: &'a Calls<'a>, account: &'a Account) -> Answer<'a, Created> {
        Box::pin(self.create(calls, account))
    }

    fn update_account<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        account: AccountRef<'a>,
        change: &'a AccountChange,
    ) -> Answer<'a, Written> {
        Box::pin(self.update(calls, account, change))
    }

    fn set_active<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        account: AccountRef<'a>,
        switch: &'a Switch,
    ) -> Answer<'a, Written> {
        Box::pin(async move { self.switch(calls, account, switch).await.map(Written::Seen) })
    }

    fn delete_account<'a>(&'a self, calls: &'a Calls<'a>, account: AccountRef<'a>) -> Answer<'a, ()> {
        Box::pin(self.remove_account(calls, account.id))
    }

    fn find_group<'a>(&'a self, calls: &'a Calls<'a>, name: &'a str) -> Answer<'a, Option<SeenGroup>> {
        Box::pin(self.group_named(calls, name))
    }

    fn ensure_group<'a>(&'a self, calls: &'a Calls<'a>, name: &'a str) -> Answer<'a, EnsuredGroup> {
        Box::pin(self.make_group(calls, name))
    }

    fn delete_group<'a>(&'a self, calls: &'a Calls<'a>, group: GroupRef<'a>) -> Answer<'a, ()> {
        Box::pin(self.remove_group(calls, group.name))
    }

    fn add_member<'a>(&'a self, calls: &'a Calls<'a>, group: GroupRef<'a>, account: AccountRef<'a>) -> Answer<'a, ()> {
        Box::pin(self.join(calls, group.name, account))
    }

    fn remove_member<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        group: GroupRef<'a>,
        account: AccountRef<'a>,
    ) -> Answer<'a, ()> {
        Box::pin(self.leave(calls, group.name, account))
    }

    fn examine<'a>(&'a self, calls: &'a Calls<'a>) -> Answer<'a, Examination> {
        Box::pin(self.look_closely(calls))
    }

    fn grant<'a>(&'a self, calls: &'a Calls<'a>, account: AccountRef<'a>, access: &'a Access) -> Answer<'a, ()> {
        Box::pin(self.give(calls, account, &access.resource))
    }

    fn revoke<'a>(&'a self, calls: &'a Calls<'a>, account: AccountRef<'a>, access: &'a Access) -> Answer<'a, ()> {
        Box::pin(self.take_away(calls, account, &access.resource))
    }

    fn accounts<'a>(&'a self, calls: &'a Calls<'a>, after: Option<&'a str>) -> Answer<'a, Page<SeenAccount>> {
        Box::pin(self.list_accounts(calls, after))
    }

    fn last_logins<'a>(&'a self, calls: &'a Calls<'a>, after: Option<&'a str>) -> Answer<'a, Page<LastLogin>> {
        Box::pin(self.list_last_logins(calls, after))
    }

    fn groups<'a>(&'a self, calls: &'a Calls<'a>, _: Option<&'a str>) -> Answer<'a, Page<SeenGroup>> {
        // The picker has no pages, so that all of them are gathered at once (DC-70).
        Box::pin(async move { Ok(Page { items: self.all_groups(calls).await?, next: None }) })
    }

    fn members<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        group: GroupRef<'a>,
        after: Option<&'a str>,
    ) -> Answer<'a, Page<AccountId>> {
        Box::pin(self.list_members(calls, group.name, after))
    }

    fn administrative_groups<'a>(&'a self, calls: &'a Calls<'a>) -> Answer<'a, Vec<String>> {
        Box::pin(self.groups_that_administer(calls))
    }
}

/// A read.
fn get<'a>(operation: &'static str, path: &'static str) -> Request<'a> {
    Request::new(operation, Method::GET, path)
}

/// A refusal in our own words.
fn refuse(reason: impl Into<String>) -> TargetError {
    Words { reason: reason.into(), field: None }.refused()
}
