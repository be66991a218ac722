//! Inviting, suspending, restoring, removing, and the roles of a person.

use std::collections::BTreeSet;

use super::people::Membership;
use super::{AccountStatus, Settles, Trouble, World};

impl World {
    /// Invites an address into the first directory; answers the account's id. Somebody who is there stays as he is,
    /// and somebody who was removed comes back with nothing (CLOUD-19, CLOUD-43).
    pub(crate) fn invite(&mut self, email: &str) -> String {
        let at = self.account_for(email);
        let directory = self.directories.first().map(|directory| directory.id.clone()).unwrap_or_default();
        let settles = match self.settles {
            Settles::After(time) => Settles::After(self.clock + time),
            other => other,
        };
        let person = &mut self.people[at];
        person.on_site = true;
        if person.membership.is_none() {
            let unsettled = (settles != Settles::AtOnce).then_some(settles);
            person.membership = Some(Membership { directory, suspended: false, unsettled });
            self.changed();
        }
        self.people[at].id.clone()
    }

    /// Gives a role on a resource (CLOUD-26).
    pub(crate) fn assign(&mut self, id: &str, resource: &str, role: &str) -> Result<(), Trouble> {
        self.app_of(resource)?;
        let pair = (resource.to_owned(), role.to_owned());
        let person = self.person_by_id(id).ok_or(Trouble::NoPerson)?;
        if person.roles.contains(&pair) {
            return Ok(());
        }
        self.check_seats(person, &BTreeSet::from([pair.clone()]))?;
        // App access puts somebody into the default groups of the app, too (CLOUD-34).
        let groups: Vec<String> = self.default_groups(&pair);
        self.person_mut(id)?.roles.insert(pair);
        for group in groups {
            self.join_unchecked(id, &group);
        }
        self.changed();
        Ok(())
    }

    /// Takes a role back, and with it the default groups that gave it.
    pub(crate) fn withdraw(&mut self, id: &str, resource: &str, role: &str) -> Result<(), Trouble> {
        self.app_of(resource)?;
        let pair = (resource.to_owned(), role.to_owned());
        let groups: Vec<String> = self.default_groups(&pair);
        let had = self.person_mut(id)?.roles.remove(&pair);
        for group in &groups {
            self.leave_unchecked(id, group);
        }
        if had {
            self.changed();
        }
        Ok(())
    }

    /// Turns access off; everything is remembered (CLOUD-41).
    pub(crate) fn suspend(&mut self, id: &str) -> Result<(), Trouble> {
        self.settled(id)?;
        let person = self.person_mut(id)?;
        if person.org_admin {
            return Err(Trouble::OrgAdmin);
        }
        if let Some(membership) = &mut person.membership {
            if membership.suspended {
                return Ok(());
            }
            membership.suspended = true;
        }
        self.changed();
        Ok(())
    }

    /// Turns access on again, where there are seats for it.
    pub(crate) fn restore(&mut self, id: &str) -> Result<(), Trouble> {
        let person = self.person_by_id(id).ok_or(Trouble::NoPerson)?;
        let Some(membership) = &person.membership else { return Err(Trouble::NotInDirectory) };
        if !membership.suspended {
            return Ok(());
        }
        let roles: BTreeSet<(String, String)> =
            self.roles_of(person).into_iter().map(|(resource, role, _)| (resource, role)).collect();
        self.check_seats(person, &roles)?;
        if let Some(membership) = &mut self.person_mut(id)?.membership {
            membership.suspended = false;
        }
        self.changed();
        Ok(())
    }

    /// Takes the person out of the directory: roles and groups are lost (CLOUD-43).
    pub(crate) fn expel(&mut self, id: &str) -> Result<(), Trouble> {
        let person = self.person_mut(id)?;
        if person.membership.is_none() {
            return Err(Trouble::NotInDirectory);
        }
        if person.org_admin {
            return Err(Trouble::OrgAdmin);
        }
        person.membership = None;
        person.roles.clear();
        let groups: Vec<String> = person.groups.iter().cloned().collect();
        for group in groups {
            self.leave_unchecked(id, &group);
        }
        self.changed();
        Ok(())
    }

    /// Sets what the account is in itself.
    pub(crate) fn set_status(&mut self, id: &str, status: AccountStatus) -> Result<(), Trouble> {
        let person = self.person_mut(id)?;
        if person.status != status {
            person.status = status;
            self.changed();
        }
        Ok(())
    }

    /// The 14 days are over (CLOUD-47).
    ///
    /// # Errors
    /// When there is no account of that address.
    pub fn close(&mut self, email: &str) -> Result<(), Trouble> {
        let id = self.person(email).ok_or(Trouble::NoPerson)?.id.clone();
        let groups: Vec<String> = self.person_mut(&id)?.groups.iter().cloned().collect();
        for group in groups {
            self.leave_unchecked(&id, &group);
        }
        let person = self.person_mut(&id)?;
        person.status = AccountStatus::Closed;
        person.membership = None;
        self.by_email.remove(&super::fold(email));
        self.changed();
        Ok(())
    }
}
