//! The Data Center target against the sandbox: each trap of `docs/targets/data-center.md` that the target's calls can
//! fall into, cited by its number.

#![allow(clippy::unwrap_used, clippy::panic)]

mod access;
mod accounts;
mod canned;
mod crowd;
mod examine;
mod groups;
mod leads;
mod listing;
mod transport;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jira_scim::account::{Access, Account, AccountId, SeenAccount};
use jira_scim::jira::{
    AccountRef, CallRecord, Calls, ClientOptions, Created, Credential, CrowdOptions, DataCenter, DataCenterOptions,
    Gate, GroupRef, Permit, RateLimits, Switch, Target, TargetError, Written,
};
use jira_scim::sandbox::{Sandbox, SandboxOptions};
use uuid::Uuid;

/// A gate that is open until a test closes it, and remembers what it was told.
#[derive(Default)]
struct Turnstile {
    closed: AtomicBool,
    limits: Mutex<Vec<RateLimits>>,
    called: Mutex<Vec<CallRecord>>,
}

impl Gate for Turnstile {
    fn enter(&self) -> BoxFuture<'_, Result<Permit, TargetError>> {
        Box::pin(async {
            match self.closed.load(Ordering::SeqCst) {
                true => Err(TargetError::Stopped { reason: "closed" }),
                false => Ok(Permit(None)),
            }
        })
    }

    fn observe(&self, limits: RateLimits) {
        self.limits.lock().unwrap().push(limits);
    }

    fn called(&self, call: &CallRecord) {
        self.called.lock().unwrap().push(call.clone());
    }
}

fn at<'a>(id: &'a AccountId, username: &'a str) -> AccountRef<'a> {
    AccountRef { id, username }
}

/// An account of which only the login name matters.
fn who(username: &str) -> AccountRef<'_> {
    static NOBODY: LazyLock<AccountId> = LazyLock::new(|| AccountId("JIRAUSER0".to_owned()));
    AccountRef { id: &NOBODY, username }
}

fn group(name: &str) -> GroupRef<'_> {
    GroupRef { name, id: None }
}

fn switch(active: bool) -> Switch {
    Switch { active, off: None, hand_over_to: None }
}

fn seen(written: Written) -> SeenAccount {
    match written {
        Written::Seen(seen) => seen,
        Written::AsAsked { .. } => panic!("Data Center shows what it wrote"),
    }
}

/// A sandbox, the target that points at it, and the gate between them.
struct Office {
    sandbox: Sandbox,
    target: Arc<dyn Target>,
    gate: Turnstile,
}

impl Office {
    async fn open() -> Self {
        Self::with(SandboxOptions::default(), |_| ()).await
    }

    async fn with(options: SandboxOptions, set: impl FnOnce(&mut ClientOptions)) -> Self {
        let crowd = options.crowd.clone().map(|(user, secret)| CrowdOptions { user, secret, secret_file: None });
        let sandbox = Sandbox::start(options).await.unwrap();
        let mut client = client_options(&sandbox);
        set(&mut client);
        let target = Arc::new(DataCenter::new(DataCenterOptions { client, crowd }).unwrap());
        Self { sandbox, target, gate: Turnstile::default() }
    }

    fn calls(&self) -> Calls<'_> {
        Calls::new(Uuid::now_v7(), &self.gate)
    }

    /// Creates the person and forgets about the calls.
    async fn hire(&self, username: &str) -> AccountId {
        match self.target.create_account(&self.calls(), &person(username)).await.unwrap() {
            Created::New(seen) => seen.id,
            Created::Exists(seen) => panic!("{seen:?} is there already"),
        }
    }
}

fn client_options(sandbox: &Sandbox) -> ClientOptions {
    let credential = Credential::Bearer(sandbox.token().to_owned());
    let mut options = ClientOptions::new(sandbox.base_url().parse().unwrap(), credential);
    options.expected_user = Some(sandbox.admin().to_uppercase());
    options
}

/// For the tests in which an answer never comes: what is awaited is the time-out itself.
fn impatient(options: &mut ClientOptions) {
    options.timeout = Duration::from_millis(500);
}

fn person(username: &str) -> Account {
    Account {
        username: username.to_owned(),
        email: format!("{username}@example.test"),
        display_name: format!("{username} of the crew"),
        active: true,
        extra: BTreeMap::new(),
        access: Default::default(),
    }
}

/// `POST /rest/api/2/user 201` of each call.
fn told(calls: &Calls<'_>) -> Vec<String> {
    let status = |call: &CallRecord| call.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    calls.take().iter().map(|call| format!("{} {} {}", call.method, call.path, status(call))).collect()
}

fn reason(error: TargetError) -> String {
    match error {
        TargetError::Refused { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

/// A Jira that plays that version and is called with what it takes.
async fn of_version(version: &str, crowd: bool) -> Office {
    let options = SandboxOptions {
        version: version.parse().unwrap(),
        password: Some("s3cret".to_owned()),
        crowd: crowd.then(|| ("crowd-scim".to_owned(), "open-sesame".to_owned())),
        ..SandboxOptions::default()
    };
    let old = version.starts_with("8.2.") || version == "8.2";
    let basic = Credential::Basic { user: "svc-scim".to_owned(), secret: "s3cret".to_owned() };
    Office::with(options, |client| {
        if old {
            client.credential = basic;
        }
    })
    .await
}

/// The target of these options, without a Crowd credential.
fn made_of(client: ClientOptions) -> Arc<dyn Target> {
    Arc::new(DataCenter::new(DataCenterOptions::new(client)).unwrap())
}
