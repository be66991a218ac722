//! Groups by id, their members, and what they grant.

use std::collections::BTreeSet;

use super::{SYSTEM_ADMINISTRATORS, Trouble, World, fold};

/// The longest name that is taken *(unconfirmed)*.
const LONGEST: usize = 255;

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// `5f0e7a10-...`: the only stable key (CLOUD-30).
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The directory that it is in.
    pub directory: String,
    /// Ids of its members, suspended ones too.
    pub members: BTreeSet<String>,
    /// What its members may do: resource and role.
    pub roles: BTreeSet<(String, String)>,
    /// The role that everybody who gets the app has by this group (CLOUD-34).
    pub default_role: Option<(String, String)>,
    /// An identity provider decides on its members (CLOUD-33).
    pub synced: bool,
    /// Whether our key may change it.
    pub modifiable: bool,
    /// A team of Atlassian Teams, which pickers show among the groups (CLOUD-35).
    pub team: bool,
    /// One that Jira knows and the organisation does not (CLOUD-36).
    pub system: bool,
    /// It has Jira's own global permission to administer.
    pub administers_jira: bool,
}

impl Group {
    /// Whether its members may administer anything.
    pub fn administers(&self) -> bool {
        let powers = ["atlassian/admin", "atlassian/org-admin", "atlassian/site-admin", "atlassian/user-access-admin"];
        self.administers_jira || self.roles.iter().any(|(_, role)| powers.contains(&role.as_str()))
    }

    pub(crate) fn administers_the_organization(&self) -> bool {
        self.roles.iter().any(|(_, role)| role == "atlassian/org-admin" || role == "atlassian/site-admin")
    }
}

impl World {
    /// All groups, ordered by id.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// The group of that name, compared without regard to case.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.group_names.get(&fold(name)).and_then(|id| self.groups.get(id))
    }

    /// The group of that id.
    pub fn group_by_id(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    /// Addresses of a group's members, sorted; empty for an unknown group.
    pub fn members(&self, group: &str) -> Vec<String> {
        let members = self.group(group).into_iter().flat_map(|group| &group.members);
        let mut emails: Vec<String> =
            members.filter_map(|id| self.person_by_id(id)).map(|person| person.email.clone()).collect();
        emails.sort();
        emails
    }

    /// Names of the groups of the account with that address, sorted.
    pub fn groups_of(&self, email: &str) -> Vec<String> {
        let ids = self.person(email).into_iter().flat_map(|person| &person.groups);
        let mut names: Vec<String> = ids.filter_map(|id| self.groups.get(id)).map(|group| group.name.clone()).collect();
        names.sort();
        names
    }

    /// Creates a group; answers its id.
    ///
    /// # Errors
    /// [`Trouble::NameTaken`], [`Trouble::BadName`].
    pub fn create_group(&mut self, name: &str, description: &str) -> Result<String, Trouble> {
        if name.trim().is_empty() || name.chars().count() > LONGEST {
            return Err(Trouble::BadName);
        }
        if self.group(name).is_some() {
            return Err(Trouble::NameTaken);
        }
        let id = self.insert_group(name);
        self.edit_group(&id, |group| group.description = description.to_owned());
        Ok(id)
    }

    /// Deletes a group.
    ///
    /// # Errors
    /// CLOUD-34 and CLOUD-37.
    pub fn delete_group(&mut self, id: &str) -> Result<(), Trouble> {
        let group = self.groups.get(id).ok_or(Trouble::NoGroup)?;
        if group.default_role.is_some() {
            return Err(Trouble::DefaultGroup);
        }
        if group.administers() {
            return Err(Trouble::AdminGroup);
        }
        if group.synced || !group.modifiable {
            return Err(Trouble::ReadOnlyGroup);
        }
        let (name, members) = (fold(&group.name), group.members.clone());
        for member in members {
            self.leave_unchecked(&member, id);
        }
        self.groups.remove(id);
        self.group_names.remove(&name);
        self.changed();
        Ok(())
    }

    /// Adds a member (CLOUD-20, CLOUD-26, CLOUD-31, CLOUD-33).
    ///
    /// # Errors
    /// When one of the two is not there, the group is read-only, or a seat is missing.
    pub fn join(&mut self, id: &str, group: &str) -> Result<(), Trouble> {
        let found = self.groups.get(group).ok_or(Trouble::NoGroup)?;
        if found.synced || !found.modifiable {
            return Err(Trouble::ReadOnlyGroup);
        }
        self.settled(id)?;
        let found = self.groups.get(group).ok_or(Trouble::NoGroup)?;
        if found.members.contains(id) {
            return Err(Trouble::AlreadyMember);
        }
        let person = self.person_by_id(id).ok_or(Trouble::NoPerson)?;
        self.check_seats(person, &found.roles)?;
        self.join_unchecked(id, group);
        Ok(())
    }

    /// Removes a member.
    ///
    /// # Errors
    /// When one of the two is not there, or they do not belong together, or the group is read-only.
    pub fn part(&mut self, id: &str, group: &str) -> Result<(), Trouble> {
        let found = self.groups.get(group).ok_or(Trouble::NoGroup)?;
        if found.synced || !found.modifiable {
            return Err(Trouble::ReadOnlyGroup);
        }
        self.person_by_id(id).ok_or(Trouble::NoPerson)?;
        if !found.members.contains(id) {
            return Err(Trouble::NotMember);
        }
        self.leave_unchecked(id, group);
        Ok(())
    }

    /// Changes a group by hand.
    pub fn edit_group(&mut self, id: &str, how: impl FnOnce(&mut Group)) {
        if let Some(group) = self.groups.get_mut(id) {
            how(group);
            self.changed();
        }
    }

    pub(crate) fn insert_group(&mut self, name: &str) -> String {
        let n = self.fresh();
        let id = format!("{n:08x}-2222-4bbb-8ccc-{n:012x}");
        let directory = self.directories.first().map(|directory| directory.id.clone()).unwrap_or_default();
        let group = Group {
            id: id.clone(),
            name: name.to_owned(),
            description: String::new(),
            directory,
            members: BTreeSet::new(),
            roles: BTreeSet::new(),
            default_role: None,
            synced: false,
            modifiable: true,
            team: false,
            system: name == SYSTEM_ADMINISTRATORS,
            administers_jira: false,
        };
        self.group_names.insert(fold(name), id.clone());
        self.groups.insert(id.clone(), group);
        self.changed();
        id
    }

    pub(super) fn default_groups(&self, role: &(String, String)) -> Vec<String> {
        let gives = |group: &&Group| group.default_role.as_ref() == Some(role);
        self.groups.values().filter(gives).map(|group| group.id.clone()).collect()
    }

    pub(crate) fn join_unchecked(&mut self, id: &str, group: &str) {
        let Some(found) = self.groups.get_mut(group) else { return };
        found.members.insert(id.to_owned());
        if let Ok(person) = self.person_mut(id) {
            person.groups.insert(group.to_owned());
        }
        self.changed();
    }

    pub(super) fn leave_unchecked(&mut self, id: &str, group: &str) {
        let Some(found) = self.groups.get_mut(group) else { return };
        found.members.remove(id);
        if let Ok(person) = self.person_mut(id) {
            person.groups.remove(group);
        }
        self.changed();
    }
}
