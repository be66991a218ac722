//! The Cloud target against its sandbox: each trap of `docs/targets/cloud.md` that the target's calls can fall into, cited
//! by its number.

#![allow(clippy::unwrap_used, clippy::panic)]

mod access;
mod foul_weather;
mod groups;
mod hosts;
mod import;
mod lists;
mod people;
mod profile;
mod site;
mod stories;
mod switches;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use jira_scim::account::{Access, Account, AccountId};
use jira_scim::jira::{
    self, AccountRef, CallRecord, Calls, ClientOptions, CloudOptions, Created, Credential, Gate, GroupRef,
    OrganizationOptions, Permit, RateLimits, Switch, Target, TargetError, Written,
};
use jira_scim::sandbox::{CloudSandbox, CloudSandboxOptions};
use uuid::Uuid;

/// A gate that is always open and remembers what it was told.
#[derive(Default)]
struct Turnstile {
    limits: Mutex<Vec<RateLimits>>,
}

impl Gate for Turnstile {
    fn enter(&self) -> BoxFuture<'_, Result<Permit, TargetError>> {
        Box::pin(async { Ok(Permit(None)) })
    }

    fn observe(&self, limits: RateLimits) {
        self.limits.lock().unwrap().push(limits);
    }
}

/// A sandbox, the target that points at it, and the gate between them.
struct Office {
    sandbox: CloudSandbox,
    target: Arc<dyn Target>,
    gate: Turnstile,
}

impl Office {
    /// With the organisation's key.
    async fn open() -> Self {
        Self::with(CloudSandboxOptions::default()).await
    }

    async fn with(options: CloudSandboxOptions) -> Self {
        Self::like(options, |_, _| ()).await
    }

    /// With the site's token alone.
    async fn keyless() -> Self {
        Self::like(CloudSandboxOptions::default(), |_, options| options.organization = None).await
    }

    async fn like(options: CloudSandboxOptions, set: impl FnOnce(&CloudSandbox, &mut CloudOptions)) -> Self {
        let sandbox = CloudSandbox::start(options).await.unwrap();
        let mut options = cloud_options(&sandbox);
        set(&sandbox, &mut options);
        let target = jira::target(jira::Options::Cloud(options)).unwrap();
        Self { sandbox, target, gate: Turnstile::default() }
    }

    fn calls(&self) -> Calls<'_> {
        Calls::new(Uuid::now_v7(), &self.gate)
    }

    /// Invites somebody and forgets about the calls.
    async fn hire(&self, email: &str) -> AccountId {
        match self.target.create_account(&self.calls(), &person(email)).await.unwrap() {
            Created::New(seen) => seen.id,
            Created::Exists(seen) => panic!("{seen:?} is there already"),
        }
    }

    /// A group, and its id.
    async fn crew(&self, name: &str) -> String {
        self.sandbox.change(|world| world.create_group(name, "")).unwrap()
    }

    async fn switch(&self, id: &AccountId, email: &str, switch: &Switch) -> Result<Written, TargetError> {
        self.target.set_active(&self.calls(), AccountRef { id, username: email }, switch).await
    }

    /// `active`, `suspended`, ...
    fn state(&self, email: &str) -> &'static str {
        self.sandbox.look(|world| world.person(email).map_or("nobody", jira_scim::sandbox::Person::state))
    }

    fn members(&self, group: &str) -> Vec<String> {
        self.sandbox.look(|world| world.members(group))
    }
}

fn cloud_options(sandbox: &CloudSandbox) -> CloudOptions {
    let credential = Credential::Basic { user: sandbox.admin().to_owned(), secret: sandbox.token().to_owned() };
    let url: url::Url = sandbox.base_url().parse().unwrap();
    CloudOptions {
        site: ClientOptions::new(url.clone(), credential),
        organization: Some(OrganizationOptions {
            id: sandbox.look(|world| world.org_id.clone()),
            key: sandbox.organization_key(),
            key_file: None,
            directory: None,
        }),
        api: url,
        scoped: false,
        cloud_id: None,
    }
}

fn person(email: &str) -> Account {
    Account {
        username: email.to_owned(),
        email: email.to_owned(),
        display_name: "Ada Kowalczyk".to_owned(),
        active: true,
        extra: BTreeMap::new(),
        access: BTreeSet::new(),
    }
}

fn software() -> Access {
    Access { resource: "jira-software".to_owned(), role: String::new() }
}

fn of<'a>(id: &'a AccountId, email: &'a str) -> AccountRef<'a> {
    AccountRef { id, username: email }
}

fn group<'a>(name: &'a str, id: &'a str) -> GroupRef<'a> {
    GroupRef { name, id: Some(id) }
}

/// `POST /admin/v2/orgs/{orgId}/users/invite 200` of each call, without the part that is always the same.
fn told(calls: &Calls<'_>) -> Vec<String> {
    let status = |call: &CallRecord| call.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let short = |path: &str| {
        path.replace("/admin/v2/orgs/{orgId}/directories/{directoryId}", "dir")
            .replace("/admin/v2/orgs/{orgId}", "org")
            .replace("/admin/v1/orgs/{orgId}", "org1")
            .replace("/users/{account_id}/manage", "manage")
            .replace("/rest/api/3", "")
    };
    calls.take().iter().map(|call| format!("{} {} {}", call.method, short(&call.path), status(call))).collect()
}

fn refusal(error: TargetError) -> String {
    match error {
        TargetError::Refused { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}
