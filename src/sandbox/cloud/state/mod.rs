//! The world behind the Cloud sandbox: an organisation with directories, people, groups, apps and their seats.
//!
//! Pure: no HTTP, no chance, and no clock but the number that it is given. Every method is a rule that we believe Atlassian
//! has; the numbers (`CLOUD-12`) are those of `docs/targets/cloud.md`.

mod groups;
mod lifecycle;
mod people;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

pub use groups::Group;
pub use people::{AccountStatus, NewPerson, Person, PersonKind};

/// Roles whose holders take a seat (reference, 7.7).
const BILLABLE: [&str; 3] = ["atlassian/user", "atlassian/admin", "atlassian/guest"];
/// The group that may remove people from the site.
pub const SITE_ADMINS: &str = "site-admins";
/// The group that administers the organisation.
pub const ORG_ADMINS: &str = "org-admins";
/// A group that Jira shows and the organisation does not.
pub const SYSTEM_ADMINISTRATORS: &str = "system-administrators";

/// Folds a name as Atlassian does when it compares addresses and group names.
pub(crate) fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// Why the world did not do what it was asked; each API words it in its own way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No such account anywhere.
    #[error("no such account")]
    NoPerson,
    /// The account is in no directory (yet).
    #[error("the account is not in the directory")]
    NotInDirectory,
    /// No such group.
    #[error("no such group")]
    NoGroup,
    /// No such app, or a role that it does not have.
    #[error("no such resource")]
    NoResource,
    /// The licence is used up.
    #[error("no seat is left for {0}")]
    NoSeats(String),
    /// Already a member.
    #[error("already a member")]
    AlreadyMember,
    /// No member.
    #[error("not a member")]
    NotMember,
    /// The members are synced from elsewhere.
    #[error("the group is read-only")]
    ReadOnlyGroup,
    /// A group of that name is there.
    #[error("the name is taken")]
    NameTaken,
    /// The name is empty or too long.
    #[error("the name is not valid")]
    BadName,
    /// The group gives a role to everybody.
    #[error("a default group")]
    DefaultGroup,
    /// The group administers something.
    #[error("a group that grants administration")]
    AdminGroup,
    /// An organisation admin cannot be suspended.
    #[error("an organisation admin")]
    OrgAdmin,
}

/// A directory of people and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// `b7e0f1aa-...`.
    pub id: String,
    /// What it is called.
    pub name: String,
}

/// An app of the organisation with its seats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// `jira-software`.
    pub key: String,
    /// `Jira`.
    pub name: String,
    /// `ari:cloud:jira-software::site/...`.
    pub resource: String,
    /// The licence's limit; `None` is unlimited.
    pub seats: Option<u32>,
    /// Whether new people of the site get it unless something else is asked for.
    pub selected_by_default: bool,
}

/// When an invitation has settled, so that the person can join groups (CLOUD-20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settles {
    /// At once.
    AtOnce,
    /// After so many calls that were answered 404.
    AfterCalls(u32),
    /// When the sandbox's clock was moved on by so much.
    After(Duration),
}

/// Everything this organisation knows.
pub struct World {
    /// The site's cloud id.
    pub cloud_id: String,
    /// The organisation's id.
    pub org_id: String,
    /// Its directories; the first one is where invitations go.
    pub directories: Vec<Directory>,
    /// Its apps.
    pub apps: Vec<App>,
    /// Domains whose accounts it manages.
    pub domains: Vec<String>,
    /// How long invitations take.
    pub settles: Settles,
    /// Whether `POST /user` says that it failed when it did not (CLOUD-24).
    pub fails_after_success: bool,
    /// What [`super::super::Stand::advance`] has added so far.
    pub(crate) clock: Duration,
    pub(super) people: Vec<Person>,
    pub(super) by_id: HashMap<String, usize>,
    pub(super) by_email: HashMap<String, usize>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) group_names: HashMap<String, String>,
    next: u64,
    changes: u64,
}

impl World {
    /// A fresh organisation: one directory, the apps with their default groups, the groups of administrators.
    pub(crate) fn new(cloud_id: &str, org_id: &str, apps: Vec<App>, domains: Vec<String>, settles: Settles) -> Self {
        let directory =
            Directory { id: "b7e0f1aa-1111-4aaa-9bbb-00000000d001".to_owned(), name: "Northwind Labs".to_owned() };
        let mut world = Self {
            cloud_id: cloud_id.to_owned(),
            org_id: org_id.to_owned(),
            directories: vec![directory],
            domains,
            settles,
            fails_after_success: false,
            clock: Duration::ZERO,
            people: Vec::new(),
            by_id: HashMap::new(),
            by_email: HashMap::new(),
            groups: BTreeMap::new(),
            group_names: HashMap::new(),
            next: 0,
            changes: 0,
            apps: Vec::new(),
        };
        for app in apps {
            world.install(app);
        }
        for (name, role) in [(SITE_ADMINS, "atlassian/site-admin"), (ORG_ADMINS, "atlassian/org-admin")] {
            let id = world.insert_group(name);
            let resource = format!("ari:cloud:platform::site/{cloud_id}");
            world.edit_group(&id, |group| group.roles.extend([(resource, role.to_owned())]));
        }
        let id = world.insert_group(SYSTEM_ADMINISTRATORS);
        world.edit_group(&id, |group| {
            group.system = true;
            group.administers_jira = true;
        });
        world
    }

    /// Adds an app with its default group, `<key>-users-northwind-labs` (CLOUD-34).
    pub fn install(&mut self, app: App) {
        let id = self.insert_group(&format!("{}-users-northwind-labs", app.key));
        let role = (app.resource.clone(), "atlassian/user".to_owned());
        self.edit_group(&id, |group| {
            group.default_role = Some(role.clone());
            group.roles.insert(role);
        });
        self.apps.push(app);
        self.changed();
    }

    /// How often anything changed: two equal numbers mean that nothing happened in between.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn app_of(&self, resource: &str) -> Result<&App, Trouble> {
        self.apps.iter().find(|app| app.resource == resource).ok_or(Trouble::NoResource)
    }

    /// Limits the seats of every app.
    pub fn limit_seats(&mut self, seats: Option<u32>) {
        self.apps.iter_mut().for_each(|app| app.seats = seats);
        self.changed();
    }

    /// How many people hold a seat of the app: active, not suspended, with a billable role, directly or by a group.
    pub fn users_of(&self, resource: &str) -> usize {
        let holds = |person: &&Person| person.uses_apps() && self.holds_seat(person, resource);
        self.people.iter().filter(holds).count()
    }

    pub(crate) fn holds_seat(&self, person: &Person, resource: &str) -> bool {
        self.roles_of(person).iter().any(|(on, role, _)| on == resource && BILLABLE.contains(&role.as_str()))
    }

    /// Resource, role, and whether it comes from a group.
    pub(crate) fn roles_of(&self, person: &Person) -> BTreeSet<(String, String, bool)> {
        let direct = person.roles.iter().map(|(on, role)| (on.clone(), role.clone(), false));
        let groups = person.groups.iter().filter_map(|id| self.groups.get(id));
        let inherited = groups.flat_map(|group| &group.roles).map(|(on, role)| (on.clone(), role.clone(), true));
        direct.chain(inherited).collect()
    }

    /// A seat for one more, where the person has none yet (CLOUD-26).
    pub(crate) fn check_seats(&self, person: &Person, roles: &BTreeSet<(String, String)>) -> Result<(), Trouble> {
        for (resource, role) in roles {
            let Ok(app) = self.app_of(resource) else { continue };
            let Some(seats) = app.seats else { continue };
            let takes = BILLABLE.contains(&role.as_str()) && !(person.uses_apps() && self.holds_seat(person, resource));
            if takes && self.users_of(resource) >= seats as usize {
                return Err(Trouble::NoSeats(app.name.clone()));
            }
        }
        Ok(())
    }

    pub(super) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn changed(&mut self) {
        self.changes += 1;
    }
}
