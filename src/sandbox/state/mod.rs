//! The world behind the sandbox's REST API: accounts, groups, memberships, project leads, seats.
//!
//! Pure: no HTTP, no clock, no chance. Every method is a rule that we believe Jira has; the numbers (`DC-21`) are those of
//! `docs/targets/data-center.md`. A call costs O(log n), apart from what reads everything by its nature.

mod accounts;
mod by_hand;
mod directories;
mod groups;
mod leads;
mod seeding;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use accounts::{Change, NewAccount, Reference};
pub use directories::Copy;
pub(crate) use directories::Replacement;
pub(crate) use leads::{Component, Project};

use super::Version;

/// The group that makes its members administrators (not system administrators).
pub const ADMINISTRATORS: &str = "jira-administrators";
/// The group that makes its members system administrators.
pub const SYSTEM_ADMINISTRATORS: &str = "jira-system-administrators";

/// The longest name, address or display name that Jira takes, in characters (DC-22).
const LONGEST: usize = 255;

/// Folds a name as Jira's directories do: they keep a lower-cased twin of each name.
pub(crate) fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// Why the world did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400, with messages that belong to no field and messages by form field (DC-14).
    #[error("refused: {messages:?} {errors:?}")]
    Invalid {
        /// Messages that belong to no field.
        messages: Vec<String>,
        /// Messages by form field (`username`, `email`, `fullname`, `active`).
        errors: BTreeMap<&'static str, String>,
    },
    /// 404.
    #[error("{0}")]
    NotFound(String),
    /// 403.
    #[error("{0}")]
    Forbidden(String),
}

impl Refusal {
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self::Invalid { messages: vec![text.into()], errors: BTreeMap::new() }
    }

    pub(crate) fn field(field: &'static str, text: impl Into<String>) -> Self {
        Self::Invalid { messages: Vec::new(), errors: BTreeMap::from([(field, text.into())]) }
    }
}

/// An account as a test or the demo sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// The immutable key (DC-20).
    pub key: String,
    /// The login name.
    pub username: String,
    /// The e-mail address, whatever the visibility setting hides from the API.
    pub email: String,
    /// The name that is shown.
    pub display_name: String,
    /// Whether the person may log in.
    pub active: bool,
    /// Whether the account lives in a read-only directory (DC-33).
    pub read_only: bool,
    /// Names of its groups, sorted.
    pub groups: Vec<String>,
}

/// An application (`jira-software`) with its seats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `jira-software`.
    pub key: String,
    /// `Jira Software`.
    pub name: String,
    /// Groups whose members have a seat; new users join all of them.
    pub groups: Vec<String>,
    /// Whether a new user gets the application when the request does not say (DC-24).
    pub selected_by_default: bool,
    /// The licence's limit; `None` is unlimited.
    pub seats: Option<u32>,
}

impl Role {
    /// An application that new users get only where they are given it, with one group of its own: `jira-software` is
    /// granted by `jira-software-users`.
    pub fn named(key: &str, seats: Option<u32>) -> Self {
        let words = key.split('-').map(|word| match word {
            "servicedesk" => "Service Management".to_owned(),
            word => word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect(),
        });
        Self {
            key: key.to_owned(),
            name: words.collect::<Vec<String>>().join(" "),
            groups: vec![format!("{key}-users")],
            selected_by_default: false,
            seats,
        }
    }
}

/// How this Jira is set up; see [`super::SandboxOptions`].
#[derive(Clone, Debug)]
pub struct Rules {
    /// The version that is played.
    pub version: Version,
    /// Whether any directory takes new accounts (DC-26).
    pub writable_directory: bool,
    /// The applications.
    pub roles: Vec<Role>,
}

pub(crate) struct Record {
    pub(crate) key: Arc<str>,
    pub(crate) name: Arc<str>,
    /// The folded name; the same allocation as `name` where they are equal, for a million accounts' sake.
    pub(crate) folded: Arc<str>,
    pub(crate) email: Box<str>,
    pub(crate) display_name: Box<str>,
    pub(crate) active: bool,
    pub(crate) read_only: bool,
    pub(crate) last_login: Option<DateTime<Utc>>,
    /// Folded names of the groups.
    pub(crate) groups: Names,
}

/// A small sorted set of folded names: a third of a tree's memory, which counts with a million accounts.
#[derive(Clone, Default)]
pub(crate) struct Names(Vec<Arc<str>>);

impl Names {
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// False when it was there already.
    fn insert(&mut self, name: Arc<str>) -> bool {
        match self.place(&name) {
            Ok(_) => false,
            Err(at) => {
                if self.0.capacity() == 0 {
                    self.0.reserve_exact(1);
                }
                self.0.insert(at, name);
                true
            }
        }
    }

    /// False when it was not there.
    fn remove(&mut self, name: &str) -> bool {
        self.place(name).map(|at| self.0.remove(at)).is_ok()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|known| (**known).cmp(name))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Power {
    User,
    Administrator,
    SystemAdministrator,
}

pub(crate) struct Group {
    pub(crate) name: Arc<str>,
    pub(crate) power: Power,
    /// Folded usernames, because `group/member` is ordered by them (DC-69).
    members: BTreeSet<Arc<str>>,
    active_members: usize,
}

/// The number of an account inside the world; never shown, never reused.
pub(crate) type Id = u32;

/// Everything this Jira knows.
pub struct World {
    pub(crate) rules: Rules,
    accounts: Vec<Option<Record>>,
    by_name: BTreeMap<Arc<str>, Id>,
    by_key: HashMap<Arc<str>, Id>,
    /// Keys of deleted accounts by folded username: a username that comes back gets its key back (DC-43).
    retired_keys: HashMap<Arc<str>, Arc<str>>,
    groups: BTreeMap<Arc<str>, Group>,
    /// By key.
    projects: BTreeMap<String, leads::Project>,
    next_project: u32,
    copies: HashMap<Id, Vec<Copy>>,
    beside: HashMap<Id, directories::Beside>,
    references: HashMap<Id, BTreeSet<Reference>>,
    passwords: HashMap<Id, String>,
    next_key: u64,
    changes: u64,
}

impl World {
    /// A fresh Jira: the two groups of administrators, the applications' groups, nobody in them.
    pub fn new(rules: Rules) -> Self {
        let mut world = Self {
            accounts: Vec::new(),
            by_name: BTreeMap::new(),
            by_key: HashMap::new(),
            retired_keys: HashMap::new(),
            groups: BTreeMap::new(),
            projects: BTreeMap::new(),
            next_project: 10_000,
            copies: HashMap::new(),
            beside: HashMap::new(),
            references: HashMap::new(),
            passwords: HashMap::new(),
            next_key: 10_000,
            changes: 0,
            rules,
        };
        world.insert_group(ADMINISTRATORS, Power::Administrator);
        world.insert_group(SYSTEM_ADMINISTRATORS, Power::SystemAdministrator);
        for name in world.rules.roles.iter().flat_map(|role| role.groups.clone()).collect::<BTreeSet<_>>() {
            world.insert_group(&name, Power::User);
        }
        world
    }

    /// How often anything changed: two equal numbers mean that nothing happened in between.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The account of that username, compared without regard to case.
    pub fn account(&self, username: &str) -> Option<AccountView> {
        self.find(username).map(|id| self.view(self.record(id)))
    }

    /// The account of that key, compared exactly.
    pub fn account_by_key(&self, key: &str) -> Option<AccountView> {
        self.find_key(key).map(|id| self.view(self.record(id)))
    }

    /// All accounts, ordered by folded username.
    pub fn accounts(&self) -> impl Iterator<Item = AccountView> + '_ {
        self.by_name.values().map(|id| self.view(self.record(*id)))
    }

    /// How many accounts there are.
    pub fn account_count(&self) -> usize {
        self.by_name.len()
    }

    /// Names of all groups, sorted by their folded names.
    pub fn groups(&self) -> Vec<String> {
        self.groups.values().map(|group| group.name.to_string()).collect()
    }

    /// Whether a group of that name is there, compared without regard to case.
    pub fn has_group(&self, name: &str) -> bool {
        self.group(name).is_some()
    }

    /// Usernames of the members of a group, inactive ones too, sorted; empty for an unknown group.
    pub fn members(&self, group: &str) -> Vec<String> {
        let Some(group) = self.group(group) else { return Vec::new() };
        group
            .members
            .iter()
            .filter_map(|name| self.by_name.get(name))
            .map(|id| self.record(*id).name.to_string())
            .collect()
    }

    /// Names of the groups of an account, sorted; empty for an unknown account.
    pub fn groups_of(&self, username: &str) -> Vec<String> {
        self.find(username).map(|id| self.group_names(self.record(id))).unwrap_or_default()
    }

    /// Whether the account is in the group; false where either is unknown.
    pub fn is_member(&self, group: &str, username: &str) -> bool {
        self.group(group).is_some_and(|group| group.members.contains(fold(username).as_str()))
    }

    pub(crate) fn find(&self, username: &str) -> Option<Id> {
        self.by_name.get(fold(username).as_str()).copied()
    }

    pub(crate) fn find_key(&self, key: &str) -> Option<Id> {
        self.by_key.get(key).copied()
    }

    /// The record behind an id that [`World::find`] gave out under the same lock.
    ///
    /// Ids in the indexes always have a record: both are only ever changed together, in this module.
    #[allow(clippy::expect_used)]
    pub(crate) fn record(&self, id: Id) -> &Record {
        self.accounts[id as usize].as_ref().expect("an indexed id has a record")
    }

    #[allow(clippy::expect_used)]
    fn record_mut(&mut self, id: Id) -> &mut Record {
        self.accounts[id as usize].as_mut().expect("an indexed id has a record")
    }

    pub(crate) fn is_active(&self, id: Id) -> bool {
        self.accounts.get(id as usize).and_then(Option::as_ref).is_some_and(|record| record.active)
    }

    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(fold(name).as_str())
    }

    pub(crate) fn group_names(&self, record: &Record) -> Vec<String> {
        record.groups.0.iter().filter_map(|name| self.groups.get(name)).map(|group| group.name.to_string()).collect()
    }

    pub(crate) fn power(&self, id: Id) -> Power {
        let groups = self.record(id).groups.0.iter().filter_map(|name| self.groups.get(name));
        groups.map(|group| group.power).max().unwrap_or(Power::User)
    }

    /// Accounts with a number greater than `after`, in the order of their numbers.
    pub(crate) fn after(&self, after: Option<Id>) -> impl Iterator<Item = (Id, &Record)> {
        let first = after.map_or(0, |id| id as usize + 1).min(self.accounts.len());
        let rest = self.accounts[first..].iter().enumerate();
        rest.filter_map(move |(n, record)| record.as_ref().map(|record| ((first + n) as Id, record)))
    }

    /// Accounts in the order of their folded usernames.
    pub(crate) fn by_username(&self) -> impl Iterator<Item = &Record> {
        self.by_name.values().map(|id| self.record(*id))
    }

    fn view(&self, record: &Record) -> AccountView {
        AccountView {
            key: record.key.to_string(),
            username: record.name.to_string(),
            email: record.email.to_string(),
            display_name: record.display_name.to_string(),
            active: record.active,
            read_only: record.read_only,
            groups: self.group_names(record),
        }
    }

    fn changed(&mut self) {
        self.changes += 1;
    }
}
