//! What a forecast says: a line for each thing that would be written or is not, and the sums. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use crate::account::{Access, SeenAccount, fold};
use crate::jira::AccountChange;
use crate::store::link::Stuck;
use crate::writer::plan::{Place, Step};
use crate::writer::unmatched::Stray;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An account is made.
    Create,
    /// An account that is there becomes the user's.
    Link,
    /// Fields are written, the login name among them.
    Update,
    /// Somebody may log in again.
    Activate,
    /// Somebody may not log in any more.
    Deactivate,
    /// An account is deleted.
    Delete,
    /// Access to an application is given or taken away.
    Access,
    /// A group is made or deleted.
    Group,
    /// Somebody is put into a group.
    Join,
    /// Somebody is taken out of a group.
    Leave,
    /// A rule or Jira says no.
    Refused,
    /// The brake or a lack of seats holds it.
    Held,
    /// Somebody waived it by hand.
    Waived,
}

impl Kind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 13] = [
        Self::Create,
        Self::Link,
        Self::Update,
        Self::Activate,
        Self::Deactivate,
        Self::Delete,
        Self::Access,
        Self::Group,
        Self::Join,
        Self::Leave,
        Self::Refused,
        Self::Held,
        Self::Waived,
    ];

    /// As on the command line and in the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Link => "link",
            Self::Update => "update",
            Self::Activate => "activate",
            Self::Deactivate => "deactivate",
            Self::Delete => "delete",
            Self::Access => "access",
            Self::Group => "group",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Refused => "refused",
            Self::Held => "held",
            Self::Waived => "waived",
        }
    }

    /// Whether Jira would be written.
    pub fn writes(self) -> bool {
        !matches!(self, Self::Refused | Self::Held | Self::Waived)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that would be written, or is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What.
    pub kind: Kind,
    /// The SCIM user or group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// The user's `userName`; empty where the line is about a group alone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The login name in Jira.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// The Jira group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// For people: which fields, which access, why not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Whom lines are about.
#[derive(Clone, Debug, Default)]
pub(super) struct Whom {
    pub(super) id: Uuid,
    pub(super) user_name: String,
}

impl Line {
    /// Of a step; `seen` is the account on record before it. `None` for what writes nothing.
    pub(super) fn of(whom: &Whom, step: &Step, seen: Option<&SeenAccount>) -> Option<Self> {
        let known = seen.map(|seen| seen.username.clone()).unwrap_or_default();
        let line = |kind, detail: String| Self {
            kind,
            id: Some(whom.id),
            user: whom.user_name.clone(),
            account: known.clone(),
            group: None,
            detail,
        };
        let in_group = |kind, name: &str| Self { group: Some(name.to_owned()), ..line(kind, String::new()) };
        Some(match step {
            Step::Look { .. } => return None,
            Step::Create { account, .. } => {
                let detail = format!("{} <{}>", account.display_name, account.email);
                Self { account: account.username.clone(), ..line(Kind::Create, detail) }
            }
            Step::Link { account, made, .. } => {
                let detail = if *made { "made by us" } else { "there already" };
                Self { account: account.username.clone(), ..line(Kind::Link, detail.to_owned()) }
            }
            Step::Update { change, .. } => line(Kind::Update, changed(seen, change)),
            Step::SetActive { active: true, .. } => line(Kind::Activate, String::new()),
            Step::SetActive { off, .. } => {
                line(Kind::Deactivate, off.map(|off| off.name().to_owned()).unwrap_or_default())
            }
            Step::Delete { .. } => line(Kind::Delete, String::new()),
            Step::Grant { access } => line(Kind::Access, format!("give {access}")),
            Step::Revoke { access } => line(Kind::Access, format!("take {access}")),
            Step::EnsureGroup { name, .. } => Self::of_group(None, name, "make"),
            Step::DeleteGroup { name, .. } => Self::of_group(None, name, "delete"),
            Step::AddMember { name, .. } => in_group(Kind::Join, name),
            Step::RemoveMember { name, .. } => in_group(Kind::Leave, name),
        })
    }

    /// Of a group that is made or deleted.
    pub(super) fn of_group(id: Option<Uuid>, name: &str, what: &str) -> Self {
        Self {
            kind: Kind::Group,
            id,
            user: String::new(),
            account: String::new(),
            group: Some(name.to_owned()),
            detail: what.to_owned(),
        }
    }

    /// Of an account that nobody claims, which is switched off.
    pub(super) fn of_stray(stray: &Stray) -> Self {
        Self {
            kind: Kind::Deactivate,
            id: None,
            user: String::new(),
            account: stray.username.clone(),
            group: None,
            detail: "nobody claims it".to_owned(),
        }
    }

    /// Of a step that is not done.
    pub(super) fn of_state(
        whom: &Whom,
        account: &str,
        place: &Place,
        state: &crate::store::link::StepState,
        name_of: impl Fn(&str) -> String,
    ) -> Self {
        let kind = match state.state {
            Stuck::Refused | Stuck::Waiting => Kind::Refused,
            Stuck::Held => Kind::Held,
            Stuck::Waived => Kind::Waived,
        };
        let group = match place {
            Place::Account(_) => None,
            Place::Pair(key) | Place::Group(key) => Some(name_of(key)),
        };
        Self {
            kind,
            id: Some(whom.id),
            user: whom.user_name.clone(),
            account: account.to_owned(),
            group,
            detail: state.reason.clone(),
        }
    }
}

/// `login name ann -> bo, e-mail -> bo@corp.example`
fn changed(seen: Option<&SeenAccount>, change: &AccountChange) -> String {
    let from = |value: Option<&str>| value.filter(|v| !v.is_empty()).map(|v| format!(" {v}")).unwrap_or_default();
    let extra = |name: &str| seen.and_then(|seen| seen.extra.get(name)).map(String::as_str);
    let named = [
        ("login name", seen.map(|seen| seen.username.as_str()), &change.username),
        ("e-mail", seen.and_then(|seen| seen.email.as_deref()), &change.email),
        ("display name", seen.map(|seen| seen.display_name.as_str()), &change.display_name),
    ];
    let named = named
        .into_iter()
        .filter_map(|(field, old, new)| new.as_ref().map(|new| format!("{field}{} -> {new}", from(old))));
    let fields = change.extra.iter().map(|(name, new)| format!("{name}{} -> {new}", from(extra(name))));
    named.chain(fields).collect::<Vec<_>>().join(", ")
}

/// How many people a Jira group gains and loses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Who joins.
    pub plus: u64,
    /// Who leaves.
    pub minus: u64,
}

/// What the brake would say of one kind of taking away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrakeSays {
    /// `accounts` or `memberships`.
    pub class: &'static str,
    /// How many would be taken away.
    pub wanted: u64,
    /// How many may be within a window.
    pub limit: u64,
    /// Whether it would trip.
    pub trips: bool,
}

/// Accounts that nobody claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Strays {
    /// How many there are.
    pub found: u64,
    /// With more than so many, none is switched off.
    pub limit: u64,
}

/// The most reasons of refusals that are counted one by one.
const REASONS: usize = 100;

/// The sums of a forecast.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Users that were looked at, deleted ones included.
    pub users: u64,
    /// Users of whom something would be written.
    pub concerned: u64,
    /// Lines of each kind.
    pub lines: BTreeMap<Kind, u64>,
    /// Updates that change a login name.
    pub renames: u64,
    /// By the Jira group's name.
    pub groups: BTreeMap<String, Tally>,
    /// By application: who gets access, and who gives it up.
    pub seats: BTreeMap<String, Tally>,
    /// Accounts that nobody claims, where the policy switches them off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmatched: Option<Strays>,
    /// Why something is not done, with how often.
    pub refused: BTreeMap<String, u64>,
    /// What the brake would say; empty where it is off.
    pub brake: Vec<BrakeSays>,
    /// Access that would be taken away.
    #[serde(skip)]
    pub(super) revoked: u64,
    /// The groups by key, with the spelling that is shown.
    #[serde(skip)]
    spelled: BTreeMap<String, String>,
}

impl Summary {
    /// Nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|(kind, count)| !kind.writes() || *count == 0)
    }

    /// How many lines of a kind there are.
    pub fn count(&self, kind: Kind) -> u64 {
        self.lines.get(&kind).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, line: &Line) {
        *self.lines.entry(line.kind).or_default() += 1;
        match (line.kind, &line.group) {
            (Kind::Join, Some(group)) => self.group(group).plus += 1,
            (Kind::Leave, Some(group)) => self.group(group).minus += 1,
            (Kind::Refused | Kind::Held | Kind::Waived, _) => {
                let full = self.refused.len() >= REASONS && !self.refused.contains_key(&line.detail);
                let reason = if full { "(other reasons)" } else { &line.detail };
                *self.refused.entry(reason.to_owned()).or_default() += 1;
            }
            _ => {}
        }
    }

    /// Counts what a line does not tell: renames and seats. `held` is the access that the account has on record.
    pub(super) fn count_step<'a>(&mut self, step: &Step, held: impl IntoIterator<Item = &'a Access>) {
        match step {
            Step::Create { account, .. } => account.access.iter().for_each(|a| self.seat(a).plus += 1),
            Step::Grant { access } => self.seat(access).plus += 1,
            Step::Revoke { access } => {
                self.revoked += 1;
                self.seat(access).minus += 1;
            }
            Step::SetActive { active: false, .. } | Step::Delete { .. } => {
                held.into_iter().for_each(|access| self.seat(access).minus += 1);
            }
            Step::Update { change, .. } => self.renames += u64::from(change.username.is_some()),
            _ => {}
        }
    }

    fn seat(&mut self, access: &Access) -> &mut Tally {
        self.seats.entry(access.to_string()).or_default()
    }

    fn group(&mut self, name: &str) -> &mut Tally {
        let name = self.spelled.entry(fold(name)).or_insert_with(|| name.to_owned()).clone();
        self.groups.entry(name).or_default()
    }
}
