//! Jira Data Center and Jira Server through `/rest/api/2`: one file for accounts, one for groups, one for the probe. The
//! traps that are cited as `DC-n` are listed in `docs/targets/data-center.md`.
//!
//! In the quiet case each step is one call. A look follows only where Jira's answer leaves open what happened.

mod group;
mod probe;
mod user;

use reqwest::Method;

use super::client::{Client, Request};
use super::reply::{Rejection, Reply, Words};
use super::{
    AccountChange, AccountRef, Answer, Calls, Capabilities, Created, EnsuredGroup, Examination, GroupRef, Kind, Naming,
    Page, Probe, Switch, Target, TargetError, Written,
};
use crate::account::{Access, Account, AccountId, SeenAccount, SeenGroup};

/// One Jira Data Center; holds nothing but its client.
pub struct DataCenter {
    client: Client,
    notify: bool,
}

impl DataCenter {
    /// The Jira that `client` reaches; with `notify` it mails an invitation to each new account.
    pub fn new(client: Client, notify: bool) -> Self {
        Self { client, notify }
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
        Box::pin(async move { self.update(calls, account.id, account.username, change).await.map(Written::Seen) })
    }

    fn set_active<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        account: AccountRef<'a>,
        switch: &'a Switch,
    ) -> Answer<'a, Written> {
        Box::pin(
            async move { self.switch(calls, account.id, account.username, switch.active).await.map(Written::Seen) },
        )
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
        Box::pin(self.join(calls, group.name, account.username))
    }

    fn remove_member<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        group: GroupRef<'a>,
        account: AccountRef<'a>,
    ) -> Answer<'a, ()> {
        Box::pin(self.leave(calls, group.name, account.username))
    }

    fn examine<'a>(&'a self, _: &'a Calls<'a>) -> Answer<'a, Examination> {
        Box::pin(async { Err(refuse("not yet")) })
    }

    fn grant<'a>(&'a self, _: &'a Calls<'a>, _: AccountRef<'a>, _: &'a Access) -> Answer<'a, ()> {
        Box::pin(async { Err(refuse("not yet")) })
    }

    fn revoke<'a>(&'a self, _: &'a Calls<'a>, _: AccountRef<'a>, _: &'a Access) -> Answer<'a, ()> {
        Box::pin(async { Err(refuse("not yet")) })
    }

    fn accounts<'a>(&'a self, _: &'a Calls<'a>, _: Option<&'a str>) -> Answer<'a, Page<SeenAccount>> {
        Box::pin(async { Err(refuse("not yet")) })
    }

    fn groups<'a>(&'a self, _: &'a Calls<'a>, _: Option<&'a str>) -> Answer<'a, Page<SeenGroup>> {
        Box::pin(async { Err(refuse("not yet")) })
    }

    fn members<'a>(&'a self, _: &'a Calls<'a>, _: GroupRef<'a>, _: Option<&'a str>) -> Answer<'a, Page<AccountId>> {
        Box::pin(async { Err(refuse("not yet")) })
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
