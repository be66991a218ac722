//! What differs between identity providers, as data. The steps that read it are in `steps` and `groups`.

use std::time::Duration;

use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Group, Member};
use crate::simulate::check::{Kind, Protocol};
use crate::simulate::people::Person;
use crate::simulate::wire::{Manner, Patience};

pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(super) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub(super) const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
pub(super) const CORE1: &str = "urn:scim:schemas:core:1.0";

/// Of a provider about which nothing is known: a 429 is obeyed.
pub(super) const PATIENT: Patience = Patience { answer: Duration::from_secs(60), attempts: 10, sends: 1 };

/// How one provider speaks.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// How it speaks.
    pub manner: Manner,
    /// Headers of every request, in lower case.
    pub headers: &'static [(&'static str, &'static str)],
    /// How long it waits, and how often it tries.
    pub patience: Patience,
    /// The statuses of a good PUT.
    pub put: &'static [u16],
    /// What it does with users.
    pub users: Users,
    /// What it does with groups; `None`: nothing (GOOG-5).
    pub groups: Option<Groups>,
}

/// When a resource is looked for before one is made.
#[derive(Debug)]
pub enum Match<T: ?Sized + 'static> {
    /// Before every create; the function gives the path.
    Before(fn(&T) -> String),
    /// After a create was answered with 409 (AK-4).
    AfterConflict(fn(&T) -> String),
    /// All are read and compared on this side (PING-5).
    ReadAll,
    /// Never (KC-3).
    Never,
}

// Not derived, because `str` is neither.
impl<T: ?Sized> Clone for Match<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Match<T> {}

/// What a provider does with users.
#[derive(Clone, Copy, Debug)]
pub struct Users {
    /// When one is looked for.
    pub find: Match<Person>,
    /// The body of POST and PUT: of whom, with which id, active or not.
    pub body: fn(&Person, Option<&str>, bool) -> Value,
    /// How a profile is changed.
    pub update: Update,
    /// How one is switched on and off.
    pub switch: Switch,
    /// When and how it looks again.
    pub reread: Reread,
    /// Whether it deletes users.
    pub deletes: Deletes,
    /// How it reads all users.
    pub import: Import,
    /// By which quirks each of these is as it is.
    pub cites: UserCites,
}

/// How a profile is changed.
#[derive(Clone, Copy, Debug)]
pub enum Update {
    /// GET, change what is mastered, PUT the rest back as received.
    PutBack(fn(&Person, &mut Value)),
    /// PUT of the body.
    Put,
    /// PATCH with this body.
    Patch(fn(&Person, &str) -> Value),
}

/// How a user is switched on and off.
#[derive(Clone, Copy, Debug)]
pub enum Switch {
    /// GET, change `active`, PUT the rest back as received.
    PutBack,
    /// PUT of the body with another `active`.
    Put,
    /// PATCH with this body, which gets the user's id.
    Patch(fn(&str, bool) -> Value),
}

/// When a user is read again after a write, and how.
#[derive(Clone, Copy, Debug)]
pub enum Reread {
    /// After switching one on or off, by the look-up that precedes a create.
    Switched,
    /// After every write, by the look-up that precedes a create.
    Lookup,
    /// After every write, by id.
    Id,
}

/// Whether users are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletes {
    /// Never: they are switched off (OKTA-10).
    Never,
    /// By DELETE.
    Once,
    /// By DELETE, which is repeated and gets 404 then (VAL-1, AK-12).
    Twice,
}

/// How all resources are read.
#[derive(Clone, Copy, Debug)]
pub enum Import {
    /// Not at all.
    No,
    /// Pages of this size.
    Pages(u64),
    /// Pages of the server's size.
    ServersPages,
    /// One request without paging.
    Whole,
}

/// The quirks by which the steps with users are as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserCites {
    /// Look-ups.
    pub find: &'static str,
    /// POST.
    pub create: &'static str,
    /// Changes of the profile.
    pub update: &'static str,
    /// Activation and deactivation.
    pub switch: &'static str,
    /// DELETE.
    pub delete: &'static str,
    /// Reading all.
    pub import: &'static str,
}

/// What a provider does with groups.
#[derive(Clone, Copy, Debug)]
pub struct Groups {
    /// When one is looked for.
    pub find: Match<str>,
    /// The body of a create.
    pub body: fn(&str) -> Value,
    /// How members change.
    pub members: Members,
    /// How one gets another name.
    pub rename: Rename,
    /// How it reads the members back.
    pub shown: Shown,
    /// By which quirks each of these is as it is.
    pub cites: GroupCites,
}

/// How members change.
#[derive(Clone, Copy, Debug)]
pub enum Members {
    /// PUT of the group with all its members.
    Put(fn(&Group, &[Member]) -> Value),
    /// PATCH.
    Patch(Patching),
}

/// How members change by PATCH.
#[derive(Clone, Copy, Debug)]
pub struct Patching {
    /// The bodies, one request each: of the group, who joins, who leaves.
    pub change: fn(&Group, &[Member], &[Member]) -> Vec<Value>,
    /// The most members of one change.
    pub batch: usize,
    /// The body that makes exactly these the members, where the provider has one.
    pub whole: Option<fn(&Group, &[Member]) -> Value>,
    /// What follows the id in the path (OL-8).
    pub suffix: &'static str,
    /// A member list in the answer is wrong (ENTRA-25).
    pub quiet: bool,
}

/// How a group gets another name.
#[derive(Clone, Copy, Debug)]
pub enum Rename {
    /// As members change: by PUT of all, or by PATCH that says the name.
    WithMembers,
    /// PATCH with this body; it gets the group and the new name.
    Patch(fn(&Group, &str) -> Value),
    /// Not at all.
    No,
}

/// How members are read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The group with all its members.
    Whole,
    /// Besides, the group without them, and one question for one member (ENTRA-7, F-10).
    OneByOne,
}

/// The quirks by which the steps with groups are as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct GroupCites {
    /// Look-ups.
    pub find: &'static str,
    /// POST.
    pub create: &'static str,
    /// Changes of members.
    pub members: &'static str,
    /// Another name.
    pub rename: &'static str,
    /// DELETE.
    pub delete: &'static str,
}

impl Dialect {
    /// The statuses of a good DELETE (S11-21).
    pub(super) fn deleted(&self) -> &'static [u16] {
        match self.manner.protocol {
            Protocol::V1 => &[200, 204],
            Protocol::V2 => &[204],
        }
    }
}

/// What is left as it is in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Text as it stands in a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

/// `/Users?filter=userName%20eq%20%22ann%22`, with JSON's escapes in the literal (F-22).
pub(super) fn filter(kind: Kind, attribute: &str, value: &str) -> String {
    let expression = format!("{attribute} eq {}", Value::from(value));
    format!("{}?filter={}", kind.path(), encoded(&expression))
}

/// `/Users/u-7f31`: ids go into URLs as they are (GEN-18).
pub(super) fn at(kind: Kind, id: &str) -> String {
    format!("{}/{id}", kind.path())
}

/// A PATCH of SCIM 2.0.
pub(super) fn patch(operations: Value) -> Value {
    serde_json::json!({ "schemas": [PATCH_OP], "Operations": operations })
}

/// `GET /Users?filter`, as the report calls it.
pub(super) fn named(method: &Method, kind: Kind) -> &'static str {
    match (method.as_str(), kind) {
        ("PUT", Kind::User) => "PUT /Users/{id}",
        ("PUT", Kind::Group) => "PUT /Groups/{id}",
        ("PATCH", Kind::User) => "PATCH /Users/{id}",
        ("PATCH", Kind::Group) => "PATCH /Groups/{id}",
        ("DELETE", Kind::User) => "DELETE /Users/{id}",
        ("DELETE", Kind::Group) => "DELETE /Groups/{id}",
        ("POST", Kind::User) => "POST /Users",
        ("POST", Kind::Group) => "POST /Groups",
        (_, Kind::User) => "GET /Users/{id}",
        (_, Kind::Group) => "GET /Groups/{id}",
    }
}
