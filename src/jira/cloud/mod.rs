//! Jira Cloud: the site's `/rest/api/3`, and where its organisation gives a key, the organisation's and the user management
//! API. The traps that are cited as `CLOUD-n` are listed in `docs/targets/cloud.md`.
//!
//! With the key everything goes through the organisation; the site alone can do less, and `doctor` says what. A create looks
//! first, because an invitation does not tell whom it found (CLOUD-19); else the quiet case is one call a step.

mod access;
mod answer;
mod create;
mod examine;
mod group;
mod hosts;
mod last_active;
mod list;
mod person;
mod probe;
mod profile;
mod site_group;
mod strip;
mod switch;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

use super::client::{ClientError, ClientOptions, Request};
use super::{
    AccountChange, AccountRef, Answer, Calls, Created, EnsuredGroup, Examination, GroupRef, LastLogin, Page, Probe,
    Switch, Target, TargetError, Written,
};
use crate::account::{Access, Account, AccountId, Capabilities, Kind, Naming, SeenAccount, SeenGroup};
use answer::No;
use hosts::{Host, Hosts, Remembered};
pub(super) use profile::field_problem;

/// How long an invitation may take before "not there" is believed (CLOUD-20).
const SETTLES_WITHIN: Duration = Duration::from_secs(15 * 60);
/// When to look whether it has.
const SETTLES_SOON: Duration = Duration::from_secs(15);
/// How long seats and administrative groups are remembered.
const A_MINUTE: Duration = Duration::from_secs(60);
/// How long the domains are.
const AN_HOUR: Duration = Duration::from_secs(60 * 60);

/// The organisation that the site belongs to.
#[derive(Clone, PartialEq, Eq)]
pub struct OrganizationOptions {
    /// Its id: the UUID after `/o/` in the address of its administration.
    pub id: String,
    /// Its API key, one without scopes (CLOUD-3).
    pub key: String,
    /// The directory that is provisioned; needed only where there are several (CLOUD-9).
    pub directory: Option<String>,
    /// The file that the key was read from, which is read again when it changes.
    pub key_file: Option<std::path::PathBuf>,
}

impl fmt::Debug for OrganizationOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrganizationOptions")
            .field("id", &self.id)
            .field("key", &"(redacted)")
            .field("directory", &self.directory)
            .finish()
    }
}

/// Everything that a Jira Cloud must be told.
#[derive(Clone, Debug)]
pub struct CloudOptions {
    /// The site (`https://example.atlassian.net`), with the e-mail address and the API token as Basic credential.
    pub site: ClientOptions,
    /// Without it much cannot be done: see `docs/targets/cloud.md`.
    pub organization: Option<OrganizationOptions>,
    /// Where the organisation's API and the gateway are.
    pub api: Url,
    /// The token has scopes: it works behind the gateway alone (CLOUD-2).
    pub scoped: bool,
    /// The site's cloud id; asked for when it is needed and not given.
    pub cloud_id: Option<String>,
}

impl CloudOptions {
    /// Where Atlassian's APIs are, unless somebody stands in for them.
    pub const API: &'static str = "https://api.atlassian.com";

    /// A site alone, with a token without scopes.
    ///
    /// # Errors
    /// None in practice: [`CloudOptions::API`] is a URL.
    pub fn new(site: ClientOptions) -> Result<Self, url::ParseError> {
        Ok(Self { site, organization: None, api: Url::parse(Self::API)?, scoped: false, cloud_id: None })
    }
}

/// One site of Jira Cloud.
pub struct Cloud {
    hosts: Hosts,
    organization: Option<OrganizationOptions>,
    /// Whether Atlassian mails an invitation (CLOUD-22).
    notify: bool,
    directory: OnceCell<String>,
    /// Whom we invited, and when (CLOUD-20).
    invited: Mutex<HashMap<String, Instant>>,
    domains: Remembered<Option<BTreeSet<String>>>,
    applications: Remembered<Vec<access::Application>>,
    powers: Remembered<group::Powers>,
}

impl Cloud {
    /// The site of these options; opens no connection.
    ///
    /// # Errors
    /// [`ClientError`] where they cannot be used.
    pub fn new(options: CloudOptions) -> Result<Self, ClientError> {
        Ok(Self {
            hosts: Hosts::new(&options)?,
            notify: options.site.notify,
            directory: OnceCell::new(),
            organization: options.organization,
            invited: Mutex::default(),
            domains: Remembered::for_a_while(AN_HOUR),
            applications: Remembered::for_a_while(A_MINUTE),
            powers: Remembered::for_a_while(A_MINUTE),
        })
    }

    /// An operation of the organisation: `/admin/v2/orgs/{orgId}/users/invite`.
    fn of_organization(&self, operation: &'static str, method: Method, path: &'static str) -> Request<'_> {
        let id = self.organization.as_ref().map_or("", |organization| &organization.id);
        Request::new(operation, method, path).segment("orgId", id)
    }

    /// The one directory that is written (CLOUD-9).
    async fn directory(&self, calls: &Calls<'_>) -> Result<&str, TargetError> {
        if let Some(id) = self.organization.as_ref().and_then(|organization| organization.directory.as_deref()) {
            return Ok(id);
        }
        let ask = || async {
            let request = self.of_organization("directory.list", Method::GET, "/admin/v2/orgs/{orgId}/directories");
            let found = self.hosts.look(calls, Host::Organization, request).await;
            let found: Directories = parse(found.map_err(|no| no.into_error(|| "the organisation".to_owned()))?)?;
            match <[Directory; 1]>::try_from(found.data) {
                Ok([only]) => Ok(only.directory_id),
                Err(several) => Err(which_directory(&several)),
            }
        };
        self.directory.get_or_try_init(ask).await.map(String::as_str)
    }

    /// Where people are looked for: all directories, unless one of several is ours.
    fn reading_directory(&self) -> &str {
        self.organization.as_ref().and_then(|organization| organization.directory.as_deref()).unwrap_or("-")
    }

    fn remember_invitation(&self, id: &str) {
        let mut invited = self.invited.lock().unwrap_or_else(PoisonError::into_inner);
        invited.retain(|_, at| at.elapsed() < SETTLES_WITHIN);
        invited.insert(id.to_owned(), Instant::now());
    }

    /// A call that only somebody who is there gets through: from now on "not there" is believed.
    fn has_settled(&self, account: AccountRef<'_>) {
        self.invited.lock().unwrap_or_else(PoisonError::into_inner).remove(&account.id.0);
    }

    /// Whether somebody who is not there may be about to come (CLOUD-20).
    fn may_be_settling(&self, id: &str) -> bool {
        let invited = self.invited.lock().unwrap_or_else(PoisonError::into_inner);
        invited.get(id).is_some_and(|at| at.elapsed() < SETTLES_WITHIN)
    }

    /// The error of a 404 that names an account.
    fn not_there(&self, id: &str) -> TargetError {
        if self.may_be_settling(id) {
            return TargetError::Later { reason: "the invitation has not settled".to_owned(), after: SETTLES_SOON };
        }
        TargetError::Gone { what: format!("the account {id}") }
    }

    /// The error of a rejection by the site that is final. A 403 is looked into: it is given to somebody who does not
    /// administer, and for an object that nobody may change here (CLOUD-33).
    async fn settle(&self, calls: &Calls<'_>, no: No, what: impl FnOnce() -> String) -> TargetError {
        match no {
            No::Forbidden(words) => match self.permissions(calls).await {
                Ok(permissions) if permissions.administers => words.refused(None),
                Ok(_) => TargetError::Denied { detail: words.reason },
                Err(error) => error,
            },
            other => other.into_error(what),
        }
    }
}

#[derive(serde::Deserialize)]
struct Directories {
    #[serde(default)]
    data: Vec<Directory>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    directory_id: String,
    #[serde(default)]
    name: String,
}

fn which_directory(found: &[Directory]) -> TargetError {
    let names: Vec<String> = found.iter().map(|one| format!("{} ({})", one.name, one.directory_id)).collect();
    let detail = match names.is_empty() {
        true => "the organisation shows no directory to this key".to_owned(),
        false => format!("the organisation has several directories; set directory to one of: {}", names.join(", ")),
    };
    TargetError::Denied { detail }
}

/// An answer as a type; one of another shape is no answer of Atlassian's.
fn parse<T: DeserializeOwned>(document: Value) -> Result<T, TargetError> {
    serde_json::from_value(document)
        .map_err(|error| TargetError::Unreachable { detail: format!("unexpected JSON: {error}"), maybe_done: true })
}

fn get<'a>(operation: &'static str, path: &'static str) -> Request<'a> {
    Request::new(operation, Method::GET, path)
}

impl Target for Cloud {
    fn capabilities(&self) -> Capabilities {
        Capabilities { kind: Kind::Cloud, groups: true, naming: Naming::Email }
    }

    fn probe<'a>(&'a self, calls: &'a Calls<'a>) -> Answer<'a, Probe> {
        Box::pin(self.who_am_i(calls))
    }

    fn examine<'a>(&'a self, calls: &'a Calls<'a>) -> Answer<'a, Examination> {
        Box::pin(self.look_around(calls))
    }

    fn find_account<'a>(&'a self, calls: &'a Calls<'a>, username: &'a str) -> Answer<'a, Option<SeenAccount>> {
        Box::pin(self.person_with_email(calls, username))
    }

    fn find_by_email<'a>(&'a self, calls: &'a Calls<'a>, email: &'a str) -> Answer<'a, Option<SeenAccount>> {
        Box::pin(self.person_with_email(calls, email))
    }

    fn get_account<'a>(&'a self, calls: &'a Calls<'a>, id: &'a AccountId) -> Answer<'a, Option<SeenAccount>> {
        Box::pin(self.person_with_id(calls, id))
    }

    fn create_account<'a>(&'a self, calls: &'a Calls<'a>, account: &'a Account) -> Answer<'a, Created> {
        Box::pin(self.invite_or_find(calls, account))
    }

    fn update_account<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        account: AccountRef<'a>,
        change: &'a AccountChange,
    ) -> Answer<'a, Written> {
        Box::pin(self.write_profile(calls, account, change))
    }

    fn set_active<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        account: AccountRef<'a>,
        switch: &'a Switch,
    ) -> Answer<'a, Written> {
        Box::pin(async move {
            match switch.active {
                true => self.switch_on(calls, account, switch.off).await,
                false => self.switch_off(calls, account, switch.off).await,
            }
        })
    }

    fn delete_account<'a>(&'a self, calls: &'a Calls<'a>, account: AccountRef<'a>) -> Answer<'a, ()> {
        Box::pin(async move { self.remove(calls, account).await.map(drop) })
    }

    fn find_group<'a>(&'a self, calls: &'a Calls<'a>, name: &'a str) -> Answer<'a, Option<SeenGroup>> {
        Box::pin(self.group_named(calls, name))
    }

    fn ensure_group<'a>(&'a self, calls: &'a Calls<'a>, name: &'a str) -> Answer<'a, EnsuredGroup> {
        Box::pin(self.make_group(calls, name))
    }

    fn delete_group<'a>(&'a self, calls: &'a Calls<'a>, group: GroupRef<'a>) -> Answer<'a, ()> {
        Box::pin(self.remove_group(calls, group))
    }

    fn add_member<'a>(&'a self, calls: &'a Calls<'a>, group: GroupRef<'a>, account: AccountRef<'a>) -> Answer<'a, ()> {
        Box::pin(self.join(calls, group, account))
    }

    fn remove_member<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        group: GroupRef<'a>,
        account: AccountRef<'a>,
    ) -> Answer<'a, ()> {
        Box::pin(self.leave(calls, group, account))
    }

    fn grant<'a>(&'a self, calls: &'a Calls<'a>, account: AccountRef<'a>, access: &'a Access) -> Answer<'a, ()> {
        Box::pin(self.give(calls, account, access))
    }

    fn revoke<'a>(&'a self, calls: &'a Calls<'a>, account: AccountRef<'a>, access: &'a Access) -> Answer<'a, ()> {
        Box::pin(self.take(calls, account, access))
    }

    fn administrative_groups<'a>(&'a self, calls: &'a Calls<'a>) -> Answer<'a, Vec<String>> {
        Box::pin(async move { Ok(self.powers(calls).await?.names()) })
    }

    fn accounts<'a>(&'a self, calls: &'a Calls<'a>, after: Option<&'a str>) -> Answer<'a, Page<SeenAccount>> {
        Box::pin(self.page_of_people(calls, after))
    }

    fn last_logins<'a>(&'a self, calls: &'a Calls<'a>, after: Option<&'a str>) -> Answer<'a, Page<LastLogin>> {
        Box::pin(self.page_of_last_active(calls, after))
    }

    fn groups<'a>(&'a self, calls: &'a Calls<'a>, after: Option<&'a str>) -> Answer<'a, Page<SeenGroup>> {
        Box::pin(self.page_of_groups(calls, after))
    }

    fn members<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        group: GroupRef<'a>,
        after: Option<&'a str>,
    ) -> Answer<'a, Page<AccountId>> {
        Box::pin(self.page_of_members(calls, group, after))
    }
}
