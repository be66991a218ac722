//! Rules about accounts: create, update, delete, application access.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Id, LONGEST, Names, Power, Record, Refusal, Role, World, fold};

/// What a create asks for.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// The login name.
    pub username: String,
    /// The e-mail address.
    pub email: String,
    /// The name that is shown.
    pub display_name: String,
    /// The password; Jira makes a random one when there is none.
    pub password: Option<String>,
    /// Applications to give access to; `None` means the default ones (DC-24).
    pub applications: Option<Vec<String>>,
}

impl NewAccount {
    /// An account with that username, a made-up e-mail address, the username as display name, and no application.
    pub fn named(username: &str) -> Self {
        Self {
            username: username.to_owned(),
            email: format!("{username}@example.test"),
            display_name: username.to_owned(),
            password: None,
            applications: Some(Vec::new()),
        }
    }
}

/// What an update asks for. `None` and blank mean "leave it" (DC-27).
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// A new login name.
    pub username: Option<String>,
    /// A new e-mail address.
    pub email: Option<String>,
    /// A new display name.
    pub display_name: Option<String>,
    /// Whether the person may log in.
    pub active: Option<bool>,
}

/// What binds a person to issues, so that the account cannot be deleted (DC-42).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// Reported an issue.
    Reported,
    /// Is assigned to an issue.
    Assigned,
    /// Wrote a comment.
    Commented,
}

impl Reference {
    fn reason(self, username: &str) -> String {
        let what = match self {
            Self::Reported => "has reported issues",
            Self::Assigned => "is assigned to issues",
            Self::Commented => "has commented on issues",
        };
        format!("Cannot delete user '{username}' because the user {what}.")
    }
}

impl World {
    /// Creates an account as `POST /user` does; answers its key.
    ///
    /// # Errors
    /// DC-21, DC-22, DC-24, DC-26.
    pub fn create_account(&mut self, new: &NewAccount) -> Result<String, Refusal> {
        if !self.rules.writable_directory {
            return Err(Refusal::message("You cannot add users, as all the user directories are read-only."));
        }
        let mut errors = BTreeMap::new();
        if let Err(text) = self.check_username(&new.username, None) {
            errors.insert("username", text);
        }
        if let Err(text) = check_email(&new.email) {
            errors.insert("email", text);
        }
        if let Err(text) = check_display_name(&new.display_name) {
            errors.insert("fullname", text);
        }
        if !errors.is_empty() {
            return Err(Refusal::Invalid { messages: Vec::new(), errors });
        }
        let groups = self.groups_of_applications(new.applications.as_deref())?;
        let id = self.insert(new);
        for group in groups {
            self.join(id, &fold(&group));
        }
        Ok(self.record(id).key.to_string())
    }

    /// Updates an account as `PUT /user` does. `caller` is the account that asks.
    ///
    /// # Errors
    /// DC-27 to DC-34. Nothing has changed then.
    pub(crate) fn update_account(&mut self, id: Id, change: &Change, caller: Id) -> Result<(), Refusal> {
        let knows_active = self.rules.version.at_least(&[8, 3]);
        let username = change.username.as_deref().filter(|text| !text.trim().is_empty());
        let email = change.email.as_deref().filter(|text| !text.trim().is_empty());
        let display_name = change.display_name.as_deref().filter(|text| !text.trim().is_empty());
        let active = change.active.filter(|_| knows_active);
        if username.is_none() && email.is_none() && display_name.is_none() && active.is_none() {
            return Err(Refusal::message("error.no.value.found.to.be.changed"));
        }
        self.check_editable(id, caller)?;
        if email.is_some_and(|text| check_email(text).is_err()) {
            return Err(Refusal::message("The e-mail address is not valid."));
        }
        if display_name.is_some_and(|text| text.chars().count() > LONGEST) {
            return Err(Refusal::message("The full name must not exceed 255 characters in length."));
        }
        // A new spelling of the same name is no rename and is not stored (DC-30).
        let new_name = username.filter(|text| fold(text) != *self.record(id).folded);
        if let Some(name) = new_name {
            self.check_username(name, Some(id)).map_err(|text| Refusal::field("username", text))?;
        }
        if active == Some(false) {
            self.check_may_be_deactivated(id, caller)?;
        }

        if let Some(name) = new_name {
            self.rename(id, name);
        }
        let record = self.record_mut(id);
        if let Some(email) = email {
            record.email = email.into();
        }
        if let Some(name) = display_name {
            record.display_name = name.into();
        }
        if let Some(active) = active {
            self.set_active(id, active);
        }
        self.changed();
        Ok(())
    }

    /// Deletes an account as `DELETE /user` does.
    ///
    /// # Errors
    /// DC-42: 400 with one message a reason.
    pub(crate) fn delete_account(&mut self, id: Id, caller: Id) -> Result<(), Refusal> {
        let name = self.record(id).name.clone();
        let mut reasons: Vec<String> = Vec::new();
        for reference in self.references.get(&id).into_iter().flatten() {
            reasons.push(reference.reason(&name));
        }
        let led = self.projects_of(id);
        if !led.is_empty() {
            reasons.push(format!("Cannot delete user '{name}' because the user leads projects: {}.", led.join(", ")));
        }
        if id == caller {
            reasons.push("You cannot delete the currently logged in user.".to_owned());
        }
        if self.power(id) == Power::SystemAdministrator && self.power(caller) < Power::SystemAdministrator {
            reasons.push(
                "As a user with JIRA Administrators permission, you cannot delete users with JIRA System \
                Administrators permission."
                    .to_owned(),
            );
        }
        if self.record(id).read_only {
            reasons.push("Cannot delete user, because the user directory is read-only.".to_owned());
        }
        if !reasons.is_empty() {
            return Err(Refusal::Invalid { messages: reasons, errors: BTreeMap::new() });
        }
        self.remove(id);
        Ok(())
    }

    /// Gives the account access to an application (DC-46).
    ///
    /// # Errors
    /// 400 for an unknown user or key, or when no seat is left.
    pub(crate) fn grant_application(&mut self, username: &str, application: &str) -> Result<(), Refusal> {
        let id = self.find(username).ok_or_else(|| Refusal::message(unknown_user(username)))?;
        let asked = [application.to_owned()];
        let groups = match self.rules.roles.iter().find(|role| role.key == application) {
            // Whoever has a seat needs no second one.
            Some(role) if self.record(id).active && self.has_application(id, role) => {
                role.groups.iter().cloned().collect()
            }
            _ => self.groups_of_applications(Some(&asked))?,
        };
        for group in groups {
            self.join(id, &fold(&group));
        }
        Ok(())
    }

    /// Whether a group of the account grants the application.
    pub(crate) fn has_application(&self, id: Id, role: &Role) -> bool {
        role.groups.iter().any(|group| self.record(id).groups.contains(&fold(group)))
    }

    /// Takes an application away: the account leaves every group that grants it (DC-46).
    ///
    /// # Errors
    /// 400 for an unknown user or key.
    pub(crate) fn revoke_application(&mut self, username: &str, application: &str) -> Result<(), Refusal> {
        let id = self.find(username).ok_or_else(|| Refusal::message(unknown_user(username)))?;
        let Some(role) = self.rules.roles.iter().find(|role| role.key == application) else {
            return Err(Refusal::message(unknown_application(application)));
        };
        for group in role.groups.clone() {
            self.leave(id, &fold(&group));
        }
        Ok(())
    }

    pub(crate) fn password_fits(&self, id: Id, password: &str) -> bool {
        self.passwords.get(&id).is_some_and(|known| known == password)
    }

    pub(crate) fn existing(&self, username: &str) -> Result<Id, Refusal> {
        self.find(username).ok_or_else(|| Refusal::NotFound(unknown_user(username)))
    }

    pub(super) fn check_username(&self, username: &str, own: Option<Id>) -> Result<(), String> {
        if username.trim().is_empty() {
            return Err("You must specify a username.".to_owned());
        }
        if username.chars().count() > LONGEST {
            return Err("The username must not exceed 255 characters in length.".to_owned());
        }
        if username.contains(['<', '>', '&']) {
            return Err("The username must not contain '<', '>' or '&'.".to_owned());
        }
        match self.find(username) {
            Some(other) if Some(other) != own => Err("A user with that username already exists.".to_owned()),
            _ => Ok(()),
        }
    }

    fn check_editable(&self, id: Id, caller: Id) -> Result<(), Refusal> {
        if self.record(id).read_only {
            return Err(Refusal::message("Cannot edit user, as the user's directory is read-only."));
        }
        if self.power(id) == Power::SystemAdministrator && self.power(caller) < Power::SystemAdministrator {
            return Err(Refusal::message("Only System Administrators can edit other System Administrators details."));
        }
        Ok(())
    }

    fn check_may_be_deactivated(&self, id: Id, caller: Id) -> Result<(), Refusal> {
        if id == caller {
            return Err(Refusal::message("You cannot deactivate the currently logged in user."));
        }
        let led = self.projects_of(id);
        if led.is_empty() {
            return Ok(());
        }
        let text = format!("Cannot deactivate user, because the user is the lead of: {}", led.join(", "));
        Err(Refusal::field("active", text))
    }

    /// The groups that come with the applications asked for, after a look at the seats (DC-24).
    fn groups_of_applications(&self, asked: Option<&[String]>) -> Result<BTreeSet<String>, Refusal> {
        let mut groups = BTreeSet::new();
        if let Some(key) = asked.into_iter().flatten().find(|key| self.rules.roles.iter().all(|role| role.key != **key))
        {
            return Err(Refusal::message(unknown_application(key)));
        }
        for role in &self.rules.roles {
            if !asked.map_or(role.selected_by_default, |asked| asked.contains(&role.key)) {
                continue;
            }
            if role.seats.is_some_and(|seats| self.users_of(role) >= seats as usize) {
                return Err(Refusal::message(format!(
                    "You cannot grant access to {}: the number of users that the licence allows is used up.",
                    role.name
                )));
            }
            groups.extend(role.groups.iter().cloned());
        }
        Ok(groups)
    }

    pub(super) fn insert(&mut self, new: &NewAccount) -> Id {
        let id = self.accounts.len() as Id;
        let name: Arc<str> = new.username.as_str().into();
        let folded = folded_twin(&name);
        let key = self.retired_keys.remove(&folded).unwrap_or_else(|| self.fresh_key(&folded));
        self.by_name.insert(folded.clone(), id);
        self.by_key.insert(key.clone(), id);
        if let Some(password) = &new.password {
            self.passwords.insert(id, password.clone());
        }
        self.accounts.push(Some(Record {
            key,
            name,
            folded,
            email: new.email.as_str().into(),
            display_name: new.display_name.as_str().into(),
            active: true,
            read_only: false,
            last_login: None,
            groups: Names::default(),
        }));
        self.changed();
        id
    }

    /// DC-20. Before 8.4 a key is the first username, and a taken one (its owner was renamed) falls back to a number.
    fn fresh_key(&mut self, folded: &Arc<str>) -> Arc<str> {
        if !self.rules.version.at_least(&[8, 4]) && !self.by_key.contains_key(folded) {
            return folded.clone();
        }
        loop {
            self.next_key += 1;
            let key: Arc<str> = format!("JIRAUSER{}", self.next_key).into();
            if !self.by_key.contains_key(&key) {
                return key;
            }
        }
    }

    pub(super) fn rename(&mut self, id: Id, name: &str) {
        let name: Arc<str> = name.into();
        let folded = folded_twin(&name);
        let old = self.record(id).folded.clone();
        let groups = self.record(id).groups.clone();
        self.by_name.remove(&old);
        self.by_name.insert(folded.clone(), id);
        for group in groups.0 {
            if let Some(group) = self.groups.get_mut(&group) {
                group.members.remove(&old);
                group.members.insert(folded.clone());
            }
        }
        let record = self.record_mut(id);
        record.name = name;
        record.folded = folded;
    }

    pub(super) fn set_active(&mut self, id: Id, active: bool) {
        if self.record(id).active == active {
            return;
        }
        self.record_mut(id).active = active;
        for group in self.record(id).groups.clone().0 {
            if let Some(group) = self.groups.get_mut(&group) {
                if active { group.active_members += 1 } else { group.active_members -= 1 }
            }
        }
    }

    pub(super) fn remove(&mut self, id: Id) {
        for group in self.record(id).groups.clone().0 {
            self.leave(id, &group);
        }
        let (folded, key) = (self.record(id).folded.clone(), self.record(id).key.clone());
        self.by_name.remove(&folded);
        self.by_key.remove(&key);
        self.retired_keys.insert(folded, key);
        self.forget_leads(id);
        self.copies.remove(&id);
        self.beside.remove(&id);
        self.references.remove(&id);
        self.passwords.remove(&id);
        self.accounts[id as usize] = None;
        self.changed();
    }
}

fn folded_twin(name: &Arc<str>) -> Arc<str> {
    let folded = fold(name);
    if folded == **name { name.clone() } else { folded.into() }
}

fn check_email(email: &str) -> Result<(), String> {
    if email.trim().is_empty() {
        return Err("You must specify an email address.".to_owned());
    }
    if email.chars().count() > LONGEST {
        return Err("The email address must not exceed 255 characters in length.".to_owned());
    }
    match email.split_once('@') {
        Some((left, right)) if !left.is_empty() && !right.is_empty() && !email.contains(char::is_whitespace) => Ok(()),
        _ => Err("You must specify a valid email address.".to_owned()),
    }
}

fn check_display_name(name: &str) -> Result<(), String> {
    match name.chars().count() {
        _ if name.trim().is_empty() => Err("You must specify a full name.".to_owned()),
        n if n > LONGEST => Err("The full name must not exceed 255 characters in length.".to_owned()),
        _ => Ok(()),
    }
}

pub(super) fn unknown_user(username: &str) -> String {
    format!("The user named '{username}' does not exist")
}

fn unknown_application(key: &str) -> String {
    format!("The application with the key '{key}' does not exist.")
}
