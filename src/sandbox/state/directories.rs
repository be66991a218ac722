//! Several user directories: copies of one username in others than the one that wins it, names in two parts, and what
//! the Crowd-compatible API keeps beside an account (DC-50, DC-80 to DC-88).

use std::collections::BTreeMap;

use super::accounts::unknown_user;
use super::{Id, NewAccount, Refusal, World, fold};

/// A copy of an account in another directory than the one that is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The directory's name.
    pub directory: String,
    /// Whether that copy is active.
    pub active: bool,
}

/// What the Crowd-compatible API knows of an account beyond the REST API; most accounts have nothing of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beside {
    /// First and last name, where they were ever written.
    pub(crate) names: Option<(String, String)>,
    /// Attributes, apart from those that are worked out.
    pub(crate) attributes: BTreeMap<String, Vec<String>>,
}

/// An account as `PUT /rest/usermanagement/1/user` writes it: whole (DC-82).
#[derive(Clone, Debug)]
pub(crate) struct Replacement {
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) display_name: String,
    pub(crate) email: String,
    pub(crate) active: bool,
}

impl World {
    /// Puts a copy of the username into another directory, as a second LDAP would (DC-50).
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn add_copy(&mut self, username: &str, directory: &str, active: bool) -> Result<(), Refusal> {
        let id = self.existing(username)?;
        self.copies.entry(id).or_default().push(Copy { directory: directory.to_owned(), active });
        self.changed();
        Ok(())
    }

    /// Usernames that several directories have, where more than one copy is active or the only active one is hidden.
    pub(crate) fn duplicated(&self) -> BTreeMap<String, Vec<Copy>> {
        let counts = |id: &Id, copies: &[Copy]| {
            let seen = self.record(*id).active;
            copies.iter().any(|copy| copy.active) || (!seen && !copies.is_empty())
        };
        let found = self.copies.iter().filter(|(id, copies)| counts(id, copies));
        let own = |id: &Id| Copy { directory: "Jira Internal Directory".to_owned(), active: self.record(*id).active };
        found
            .map(|(id, copies)| {
                let all = std::iter::once(own(id)).chain(copies.iter().cloned()).collect();
                (self.record(*id).name.to_string(), all)
            })
            .collect()
    }

    /// First and last name: as written, else the display name cut at its last blank.
    pub(crate) fn name_parts(&self, id: Id) -> (String, String) {
        if let Some((first, last)) = self.beside.get(&id).and_then(|beside| beside.names.clone()) {
            return (first, last);
        }
        let shown = &self.record(id).display_name;
        let (first, last) = shown.rsplit_once(' ').unwrap_or(("", shown));
        (first.to_owned(), last.to_owned())
    }

    /// The account's attributes; the last login is one of them (DC-87).
    pub(crate) fn attributes(&self, id: Id) -> BTreeMap<String, Vec<String>> {
        let mut all = self.beside.get(&id).map(|beside| beside.attributes.clone()).unwrap_or_default();
        if let Some(at) = self.record(id).last_login {
            all.insert("login.lastLoginMillis".to_owned(), vec![at.timestamp_millis().to_string()]);
        }
        all
    }

    /// Creates an account by the Crowd-compatible API: no application comes with it (DC-88).
    ///
    /// # Errors
    /// 400 for a username that is taken or illegal.
    pub(crate) fn crowd_create(&mut self, new: &NewAccount, with: Replacement) -> Result<(), Refusal> {
        if !self.rules.writable_directory {
            return Err(Refusal::Forbidden("No directory takes new users.".to_owned()));
        }
        self.check_username(&new.username, None).map_err(Refusal::message)?;
        let id = self.insert(new);
        self.replace(id, with);
        Ok(())
    }

    /// Writes the whole account. No lead and no caller keeps anybody (DC-88).
    ///
    /// # Errors
    /// 403 in a read-only directory.
    pub(crate) fn crowd_update(&mut self, id: Id, with: Replacement) -> Result<(), Refusal> {
        self.check_crowd_may_write(id)?;
        self.replace(id, with);
        Ok(())
    }

    /// Renames; here the letter case alone counts, too.
    ///
    /// # Errors
    /// 400 for a name that is taken or illegal, 403 in a read-only directory.
    pub(crate) fn crowd_rename(&mut self, id: Id, name: &str) -> Result<(), Refusal> {
        self.check_crowd_may_write(id)?;
        self.check_username(name, Some(id)).map_err(Refusal::message)?;
        self.rename(id, name);
        self.changed();
        Ok(())
    }

    /// Deletes, whatever binds the person to issues (DC-88).
    ///
    /// # Errors
    /// 403 in a read-only directory.
    pub(crate) fn crowd_delete(&mut self, id: Id) -> Result<(), Refusal> {
        self.check_crowd_may_write(id)?;
        self.remove(id);
        Ok(())
    }

    /// Adds a member; 409 is for the caller to say.
    pub(crate) fn crowd_join(&mut self, id: Id, group: &str) -> bool {
        let folded = fold(group);
        let joins = !self.record(id).groups.contains(&folded);
        self.join(id, &folded);
        joins
    }

    /// Takes a member out; false for somebody who was none.
    pub(crate) fn crowd_leave(&mut self, id: Id, group: &str) -> bool {
        let folded = fold(group);
        let leaves = self.record(id).groups.contains(&folded);
        self.leave(id, &folded);
        leaves
    }

    /// All groups with the usernames of their members, in the order of the names.
    pub(crate) fn memberships(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.groups.values().map(|group| {
            let ids = group.members.iter().filter_map(|name| self.by_name.get(name));
            (&*group.name, ids.map(|id| &*self.record(*id).name).collect())
        })
    }

    /// The members of a group in the order of their folded names; none for an unknown group.
    pub(crate) fn member_ids<'a>(&'a self, group: &str) -> impl Iterator<Item = Id> + 'a {
        let members = self.group(group).into_iter().flat_map(|group| &group.members);
        members.filter_map(|name| self.by_name.get(name).copied())
    }

    /// All accounts in the order of their folded names.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.by_name.values().copied()
    }

    /// Stores an attribute.
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn set_attribute(&mut self, username: &str, name: &str, values: &[&str]) -> Result<(), Refusal> {
        let id = self.find(username).ok_or_else(|| Refusal::NotFound(unknown_user(username)))?;
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.beside.entry(id).or_default().attributes.insert(name.to_owned(), values);
        self.changed();
        Ok(())
    }

    fn check_crowd_may_write(&self, id: Id) -> Result<(), Refusal> {
        match self.record(id).read_only {
            true => Err(Refusal::Forbidden("The user's directory is read-only.".to_owned())),
            false => Ok(()),
        }
    }

    fn replace(&mut self, id: Id, with: Replacement) {
        let record = self.record_mut(id);
        record.display_name = with.display_name.into();
        record.email = with.email.into();
        self.beside.entry(id).or_default().names = Some((with.first_name, with.last_name));
        self.set_active(id, with.active);
        self.changed();
    }
}
