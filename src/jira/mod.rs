//! Layer 2: Jira's REST APIs, and nothing else. The only module that speaks HTTP to a Jira.
//!
//! [`Target`] is what the writer may ask of any Jira. Every step is safe to repeat: "already so" and "already gone" are
//! success. Nothing here knows the store, SCIM or policy.

mod align;
mod client;
mod cloud;
mod crowd;
mod data_center;
mod error;
mod keys;
mod reply;
mod tls;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::account::{Access, Account, AccountId, OffSwitch, SeenAccount, SeenGroup};

pub use crate::account::{Capabilities, Kind, Naming, UnknownKind};
pub use align::{Align, AlignOptions, MatchOn};
pub use client::{Client, ClientError, ClientOptions, Credential};
pub use cloud::{Cloud, CloudOptions, OrganizationOptions};
pub use crowd::CrowdOptions;
pub use data_center::{DataCenter, DataCenterOptions};
pub use error::TargetError;
pub use tls::tls_for;

/// The target of that kind; opens no connection.
///
/// # Errors
/// [`ClientError`] where the options cannot be used.
pub fn target(options: Options) -> Result<Arc<dyn Target>, ClientError> {
    Ok(match options {
        Options::Cloud(options) => Arc::new(Cloud::new(options)?),
        Options::DataCenter(options) => Arc::new(DataCenter::new(options)?),
        Options::Align(options) => Arc::new(Align::new(options)?),
    })
}

/// Why the accounts of a kind of Jira have no such further field; nothing where they have.
pub fn field_problem(kind: Kind, name: &str) -> Option<String> {
    match kind {
        Kind::DataCenter if ["first-name", "last-name"].contains(&name) => None,
        Kind::DataCenter => {
            Some(format!("{name} is no field of a Data Center account; there are first-name, last-name"))
        }
        Kind::Cloud => cloud::field_problem(name).err(),
        Kind::Align => align::field_problem(name, None),
    }
}

/// How to reach a Jira, of whichever kind.
#[derive(Clone, Debug)]
pub enum Options {
    /// Jira Data Center and Jira Server.
    DataCenter(DataCenterOptions),
    /// Jira Cloud.
    Cloud(CloudOptions),
    /// Jira Align.
    Align(AlignOptions),
}

/// The answer of one step at the target.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, TargetError>>;

/// What became of a request to create an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The target made it. Where it was to be inactive and could not be made so at once, this says that it is active:
    /// a [`Target::set_active`] is still to be done.
    New(SeenAccount),
    /// The target refused because an account of that username is there already; this is it.
    Exists(SeenAccount),
}

/// What became of a request to create a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnsuredGroup {
    /// The target made it.
    New {
        /// Its key, where groups have one.
        id: Option<String>,
    },
    /// It was there already; this is it.
    Existed(SeenGroup),
}

/// Who the daemon is at the target, and what it may do there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The daemon's own account, which it never adopts, renames or disables.
    pub own_account: SeenAccount,
    /// The version as the target prints it (`10.3.24`).
    pub version: String,
    /// The version's numbers (`[10, 3, 24]`); empty when unknown.
    pub version_numbers: Vec<u32>,
    /// Whether the credential may administer users and groups.
    pub administers: bool,
}

/// The fields of an account that an update may set. `None` leaves the field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountChange {
    /// A new login name.
    pub username: Option<String>,
    /// A new e-mail address.
    pub email: Option<String>,
    /// A new display name.
    pub display_name: Option<String>,
    /// New values of further fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
}

/// What a write to an account left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one lives at a time, and at once becomes the record")]
pub enum Written {
    /// The account as the target shows it afterwards; with groups where memberships were lost or came back.
    Seen(SeenAccount),
    /// The target accepted, and shows nothing: the account is as asked.
    AsAsked {
        /// How it was switched off, where it was: with [`OffSwitch::Remove`] and [`OffSwitch::Delete`] all groups and all
        /// access are gone.
        off: Option<OffSwitch>,
    },
}

/// An account of our record.
#[derive(Clone, Copy, Debug)]
pub struct AccountRef<'a> {
    /// Its key.
    pub id: &'a AccountId,
    /// Its login name on record.
    pub username: &'a str,
}

/// A group of our record.
#[derive(Clone, Copy, Debug)]
pub struct GroupRef<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its key, where groups have one and it is on record.
    pub id: Option<&'a str>,
}

/// Letting a person log in, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Which.
    pub active: bool,
    /// Off: the way to do it, or the target's best where the policy names none. On: how it was switched off, where that is
    /// on record.
    pub off: Option<OffSwitch>,
    /// Who takes over the projects and components of a person whose deactivation is refused because of them.
    pub hand_over_to: Option<String>,
}

/// A part of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page<T> {
    /// In no order that anybody may rely on.
    pub items: Vec<T>,
    /// What to ask for next; `None` at the end. Opaque.
    pub next: Option<String>,
}

/// When a person was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastLogin {
    /// Of the account.
    pub id: AccountId,
    /// When; to the day, on targets that do not tell more.
    pub at: DateTime<Utc>,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Note,
    /// Something will not work, or will not for long.
    Warning,
    /// Provisioning does not work.
    Problem,
}

/// One thing that an administrator should know about a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What is so.
    pub text: String,
    /// What to do about it; empty where there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Finding {
    /// Something good to know.
    pub fn note(text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Note, text: text.into(), advice: advice.into() }
    }

    /// Something that will not work, or will not for long.
    pub fn warning(text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Warning, text: text.into(), advice: advice.into() }
    }

    /// Something that keeps provisioning from working.
    pub fn problem(text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Problem, text: text.into(), advice: advice.into() }
    }
}

/// What `doctor` tells of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// What it is and can do: name and value, in the order in which they are shown.
    pub facts: Vec<(String, String)>,
    /// What an administrator should know.
    pub findings: Vec<Finding>,
}

/// One Jira. Implementations hold no state but capabilities that they may cache.
pub trait Target: Send + Sync {
    /// The kind, as in the configuration (`data-center`).
    fn kind(&self) -> &'static str {
        self.capabilities().kind.name()
    }
    /// What plans depend on.
    fn capabilities(&self) -> Capabilities;
    /// Who am I, which version, what may I do.
    fn probe<'a>(&'a self, calls: &'a Calls<'a>) -> Answer<'a, Probe>;
    /// Everything that an administrator should know, for `doctor`. An error only where the target cannot be reached or does
    /// not accept our credential.
    fn examine<'a>(&'a self, calls: &'a Calls<'a>) -> Answer<'a, Examination>;
    /// The account of that login name (compared without regard to case), with its groups; `None` when there is none.
    fn find_account<'a>(&'a self, calls: &'a Calls<'a>, username: &'a str) -> Answer<'a, Option<SeenAccount>>;
    /// The account that alone has this address; several are refused.
    fn find_by_email<'a>(&'a self, calls: &'a Calls<'a>, email: &'a str) -> Answer<'a, Option<SeenAccount>>;
    /// The account of that key, with its groups; `None` when there is none.
    fn get_account<'a>(&'a self, calls: &'a Calls<'a>, id: &'a AccountId) -> Answer<'a, Option<SeenAccount>>;
    /// Creates an account, active as asked for, with the access asked for.
    fn create_account<'a>(&'a self, calls: &'a Calls<'a>, account: &'a Account) -> Answer<'a, Created>;
    /// Sets the given fields.
    fn update_account<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        account: AccountRef<'a>,
        change: &'a AccountChange,
    ) -> Answer<'a, Written>;
    /// Lets the account log in, or not; what the answer says of it is certain.
    fn set_active<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        account: AccountRef<'a>,
        switch: &'a Switch,
    ) -> Answer<'a, Written>;
    /// Deletes the account; `Ok` too when it is gone already.
    fn delete_account<'a>(&'a self, calls: &'a Calls<'a>, account: AccountRef<'a>) -> Answer<'a, ()>;
    /// Looks a group up by name; `None` when there is none.
    fn find_group<'a>(&'a self, calls: &'a Calls<'a>, name: &'a str) -> Answer<'a, Option<SeenGroup>>;
    /// Creates the group unless it is there.
    fn ensure_group<'a>(&'a self, calls: &'a Calls<'a>, name: &'a str) -> Answer<'a, EnsuredGroup>;
    /// Deletes the group; `Ok` too when it is gone already.
    fn delete_group<'a>(&'a self, calls: &'a Calls<'a>, group: GroupRef<'a>) -> Answer<'a, ()>;
    /// Puts the account into the group; `Ok` too when it is a member. `Gone` when account or group does not exist.
    fn add_member<'a>(&'a self, calls: &'a Calls<'a>, group: GroupRef<'a>, account: AccountRef<'a>) -> Answer<'a, ()>;
    /// Takes the account out of the group; `Ok` too when it is no member or either of them is gone.
    fn remove_member<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        group: GroupRef<'a>,
        account: AccountRef<'a>,
    ) -> Answer<'a, ()>;
    /// Gives access to an application; `Ok` too when it is there. [`TargetError::NoSeats`] when the licence is used up.
    fn grant<'a>(&'a self, calls: &'a Calls<'a>, account: AccountRef<'a>, access: &'a Access) -> Answer<'a, ()>;
    /// Takes access to an application away; `Ok` too when it is not there.
    fn revoke<'a>(&'a self, calls: &'a Calls<'a>, account: AccountRef<'a>, access: &'a Access) -> Answer<'a, ()>;
    /// Names of the groups that the target labels as administrative.
    fn administrative_groups<'a>(&'a self, calls: &'a Calls<'a>) -> Answer<'a, Vec<String>>;
    /// All accounts, active or not, a page at a time: complete, or an error that says why it cannot be.
    fn accounts<'a>(&'a self, calls: &'a Calls<'a>, after: Option<&'a str>) -> Answer<'a, Page<SeenAccount>>;
    /// When people were last seen there, a page at a time, as far as the target tells; [`TargetError::Refused`] where it does
    /// not tell at all, with what would have to be different.
    fn last_logins<'a>(&'a self, calls: &'a Calls<'a>, after: Option<&'a str>) -> Answer<'a, Page<LastLogin>>;
    /// All groups, a page at a time.
    fn groups<'a>(&'a self, calls: &'a Calls<'a>, after: Option<&'a str>) -> Answer<'a, Page<SeenGroup>>;
    /// All members of a group, active or not, a page at a time.
    fn members<'a>(
        &'a self,
        calls: &'a Calls<'a>,
        group: GroupRef<'a>,
        after: Option<&'a str>,
    ) -> Answer<'a, Page<AccountId>>;
}

/// What the writer lets a call pass through: it renews the lease, waits for the target's pace, and may say stop.
pub trait Gate: Send + Sync {
    /// Called before each HTTP call. The permit is dropped when the call's answer has been read.
    ///
    /// # Errors
    /// [`TargetError::Stopped`] when no call may start any more (the lease is lost, the target is paused, shutdown).
    fn enter(&self) -> BoxFuture<'_, Result<Permit, TargetError>>;
    /// Told of each answer's rate-limit headers, so that the pace of all replicas can follow them.
    fn observe(&self, limits: RateLimits);
    /// Told of each call when it is over, also when nobody waited for its answer: for the metrics.
    fn called(&self, _call: &CallRecord) {}
}

/// Leave to make one call; whatever it holds is released when it is dropped.
pub struct Permit(#[allow(dead_code)] pub Option<Box<dyn Send>>);

/// What an answer's headers said about the target's patience (DC rate limiting, A4.5 of the reference).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Calls left in the bucket, where the target says so.
    pub remaining: Option<u64>,
    /// How long until the bucket is filled again.
    pub interval: Option<Duration>,
    /// How many calls are added in each interval.
    pub fill_rate: Option<u64>,
}

/// One HTTP call as it is kept in a delivery: never a body, a header or an identifying query value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// `POST`.
    pub method: String,
    /// The path template: `/rest/api/2/user?key={key}`.
    pub path: String,
    /// The HTTP status; `None` when there was no answer.
    pub status: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
}

/// The calls of one delivery: their gate, the id they carry, and the record of what was done.
pub struct Calls<'a> {
    /// Sent as `X-Request-Id`, so that Jira's access log and our delivery can be joined.
    pub request_id: Uuid,
    gate: &'a dyn Gate,
    log: Mutex<Vec<CallRecord>>,
    notes: Mutex<Vec<String>>,
}

impl<'a> Calls<'a> {
    /// An empty record of calls that pass through `gate`.
    pub fn new(request_id: Uuid, gate: &'a dyn Gate) -> Self {
        Self { request_id, gate, log: Mutex::default(), notes: Mutex::default() }
    }

    /// See [`Gate`].
    pub fn gate(&self) -> &dyn Gate {
        self.gate
    }

    /// Adds a call to the record.
    pub fn push(&self, call: CallRecord) {
        self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(call);
    }

    /// Adds something that whoever reads the delivery should know, in a sentence: a repair that was made on the way.
    pub fn note(&self, text: impl Into<String>) {
        self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(text.into());
    }

    /// Takes the notes so far.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Takes the record so far, leaving it empty.
    pub fn take(&self) -> Vec<CallRecord> {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
