//! Rules about groups and memberships.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Group, Id, LONGEST, Power, Record, Refusal, Role, World, fold};

/// One page of `group/member`.
pub(crate) struct MemberPage<'a> {
    /// The rows.
    pub(crate) rows: Vec<&'a Record>,
    /// How many there are in all.
    pub(crate) total: usize,
}

impl Group {
    /// Whether membership grants administration (DC-71).
    pub(crate) fn administers(&self) -> bool {
        self.power > Power::User
    }

    /// How many members there are, inactive ones too.
    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }
}

impl World {
    /// Creates a group as `POST /group` does.
    ///
    /// # Errors
    /// DC-61.
    pub fn create_group(&mut self, name: &str) -> Result<(), Refusal> {
        if name.trim().is_empty() {
            return Err(Refusal::message("You must specify a valid group name."));
        }
        if name.chars().count() > LONGEST {
            return Err(Refusal::message("The group name must not exceed 255 characters in length."));
        }
        if self.has_group(name) {
            return Err(Refusal::message("A group or user with this name already exists."));
        }
        self.insert_group(name, Power::User);
        Ok(())
    }

    /// Deletes a group as `DELETE /group` does.
    ///
    /// # Errors
    /// DC-62, DC-73.
    pub fn delete_group(&mut self, name: &str) -> Result<(), Refusal> {
        let folded = self.existing_group(name)?;
        let administrative = self.groups.values().filter(|group| group.administers()).count();
        if administrative == 1 && self.groups.get(&folded).is_some_and(Group::administers) {
            return Err(Refusal::message("You cannot delete the last group that grants administration."));
        }
        if let Some(group) = self.groups.remove(&folded) {
            for member in &group.members {
                if let Some(id) = self.by_name.get(member).copied() {
                    self.record_mut(id).groups.remove(&folded);
                }
            }
        }
        self.changed();
        Ok(())
    }

    /// Adds a member as `POST /group/user` does.
    ///
    /// # Errors
    /// DC-64, DC-65.
    pub fn add_member(&mut self, group: &str, username: &str) -> Result<(), Refusal> {
        let folded = self.existing_group(group)?;
        let id = self.existing(username)?;
        if self.record(id).groups.contains(&folded) {
            return Err(Refusal::message(format!(
                "Cannot add user '{username}', user is already a member of '{group}'"
            )));
        }
        self.join(id, &folded);
        Ok(())
    }

    /// Removes a member as `DELETE /group/user` does; `caller` is the account that asks, where there is one.
    ///
    /// # Errors
    /// DC-65, DC-66, DC-73.
    pub(crate) fn remove_member_as(&mut self, group: &str, username: &str, caller: Option<Id>) -> Result<(), Refusal> {
        let folded = self.existing_group(group)?;
        let id = self.existing(username)?;
        if !self.record(id).groups.contains(&folded) {
            return Err(Refusal::message(format!(
                "Cannot remove user '{username}' from group '{group}' since user is not a member of '{group}'"
            )));
        }
        if caller == Some(id) && self.is_last_power(id, &folded) {
            return Err(Refusal::message(
                "You cannot remove yourself from the last group that makes you an administrator.",
            ));
        }
        self.leave(id, &folded);
        Ok(())
    }

    /// Removes a member, as an administrator with a browser would do.
    ///
    /// # Errors
    /// DC-65, DC-66.
    pub fn remove_member(&mut self, group: &str, username: &str) -> Result<(), Refusal> {
        self.remove_member_as(group, username, None)
    }

    /// Lets a group grant administration, which `groups/picker` shows as a label (DC-71).
    ///
    /// # Errors
    /// 404 for an unknown group.
    pub fn label_admin(&mut self, group: &str) -> Result<(), Refusal> {
        let folded = self.existing_group(group)?;
        if let Some(group) = self.groups.get_mut(&folded) {
            group.power = group.power.max(Power::Administrator);
        }
        self.changed();
        Ok(())
    }

    /// A page of a group's members, ordered by username (DC-68, DC-69).
    ///
    /// # Errors
    /// 404 for an unknown group.
    pub(crate) fn member_page(
        &self,
        group: &str,
        start: usize,
        rows: usize,
        inactive_too: bool,
    ) -> Result<MemberPage<'_>, Refusal> {
        let group = self.group(group).ok_or_else(|| Refusal::NotFound(unknown_group(group)))?;
        let names = group.members.iter();
        if inactive_too {
            // Skipping names alone keeps a deep page of a large group cheap: no account is looked up.
            let rows = names.skip(start).take(rows).filter_map(|name| self.by_name.get(name));
            return Ok(MemberPage { rows: rows.map(|id| self.record(*id)).collect(), total: group.members.len() });
        }
        let records = names.filter_map(|name| self.by_name.get(name)).map(|id| self.record(*id));
        let rows = records.filter(|record| record.active).skip(start).take(rows).collect();
        Ok(MemberPage { rows, total: group.active_members })
    }

    /// Groups whose name holds `text`, sorted (DC-70).
    pub(crate) fn groups_with<'a>(&'a self, text: &str) -> impl Iterator<Item = &'a Group> {
        let text = fold(text);
        self.groups.iter().filter(move |(folded, _)| folded.contains(&text)).map(|(_, group)| group)
    }

    /// How many active accounts have the application.
    pub(crate) fn users_of(&self, role: &Role) -> usize {
        let groups: Vec<&Group> = role.groups.iter().filter_map(|name| self.group(name)).collect();
        if let [group] = groups.as_slice() {
            return group.active_members;
        }
        let members: BTreeSet<&Arc<str>> = groups.iter().flat_map(|group| &group.members).collect();
        members.into_iter().filter_map(|name| self.by_name.get(name)).filter(|id| self.record(**id).active).count()
    }

    pub(super) fn insert_group(&mut self, name: &str, power: Power) {
        let name: Arc<str> = name.into();
        let group = Group { name: name.clone(), power, members: BTreeSet::new(), active_members: 0 };
        self.groups.entry(fold(&name).into()).or_insert(group);
        self.changed();
    }

    pub(super) fn join(&mut self, id: Id, folded: &str) {
        let Some((name, _)) = self.groups.get_key_value(folded) else { return };
        let name = name.clone();
        let record = self.record_mut(id);
        let (member, active) = (record.folded.clone(), record.active);
        if !record.groups.insert(name) {
            return;
        }
        if let Some(group) = self.groups.get_mut(folded) {
            group.members.insert(member);
            group.active_members += usize::from(active);
        }
        self.changed();
    }

    pub(super) fn leave(&mut self, id: Id, folded: &str) {
        let record = self.record_mut(id);
        let (member, active) = (record.folded.clone(), record.active);
        if !record.groups.remove(folded) {
            return;
        }
        if let Some(group) = self.groups.get_mut(folded) {
            group.members.remove(&member);
            group.active_members -= usize::from(active);
        }
        self.changed();
    }

    fn existing_group(&self, name: &str) -> Result<Arc<str>, Refusal> {
        let found = self.groups.get_key_value(fold(name).as_str());
        found.map(|(folded, _)| folded.clone()).ok_or_else(|| Refusal::NotFound(unknown_group(name)))
    }

    fn is_last_power(&self, id: Id, leaving: &str) -> bool {
        let powerful = |name: &str| self.groups.get(name).is_some_and(Group::administers);
        powerful(leaving) && !self.record(id).groups.0.iter().any(|name| **name != *leaving && powerful(name))
    }
}

pub(super) fn unknown_group(name: &str) -> String {
    format!("The group named '{name}' does not exist.")
}
