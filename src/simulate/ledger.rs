//! What a session made and has not deleted: so that it can clean up after itself, and say what it leaves.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::check::Kind;

/// The resources of a session, by kind and id.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    there: BTreeMap<(Kind, String), Entry>,
    /// Creates that were not answered, by kind and name: the server may have done them.
    unsure: BTreeSet<(Kind, String)>,
    alone: BTreeSet<(Kind, String)>,
    deleted: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    active: bool,
}

/// What a session leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Users that are active.
    pub active_users: usize,
    /// Users that are switched off.
    pub inactive_users: usize,
    /// Groups.
    pub groups: usize,
    /// Creates that were not answered: perhaps there, perhaps not.
    pub unsure: usize,
    /// Resources of the same name that were there before, and were not touched.
    pub left_alone: usize,
    /// Resources that were made and deleted again.
    pub deleted: u64,
}

impl Ledger {
    /// A resource was made, or one of an earlier session is gone on with.
    pub fn made(&mut self, kind: Kind, id: &str, name: &str) {
        self.unsure.remove(&(kind, name.to_owned()));
        self.there.insert((kind, id.to_owned()), Entry { name: name.to_owned(), active: true });
    }

    /// Whether the session made it.
    pub fn has(&self, kind: Kind, id: &str) -> bool {
        self.there.contains_key(&(kind, id.to_owned()))
    }

    /// A user was switched on or off.
    pub fn switched(&mut self, id: &str, active: bool) {
        if let Some(entry) = self.there.get_mut(&(Kind::User, id.to_owned())) {
            entry.active = active;
        }
    }

    /// A resource was deleted.
    pub fn gone(&mut self, kind: Kind, id: &str) {
        self.deleted += u64::from(self.there.remove(&(kind, id.to_owned())).is_some());
    }

    /// A create was not answered.
    pub fn unsure(&mut self, kind: Kind, name: &str) {
        self.unsure.insert((kind, name.to_owned()));
    }

    /// It was found out that it is not there.
    pub fn sure(&mut self, kind: Kind, name: &str) {
        self.unsure.remove(&(kind, name.to_owned()));
    }

    /// Somebody else's resource has this name.
    pub fn left_alone(&mut self, kind: Kind, name: &str) {
        self.alone.insert((kind, name.to_owned()));
    }

    /// Kind, id and name of what is there: groups first.
    pub fn there(&self) -> Vec<(Kind, String, String)> {
        self.there.iter().map(|((kind, id), entry)| (*kind, id.clone(), entry.name.clone())).collect()
    }

    /// Kind and name of what may be there.
    pub fn doubts(&self) -> Vec<(Kind, String)> {
        self.unsure.iter().cloned().collect()
    }

    /// What there is now.
    pub fn left(&self) -> Left {
        let users = |active| {
            self.there.iter().filter(|((kind, _), entry)| *kind == Kind::User && entry.active == active).count()
        };
        let (active_users, inactive_users) = (users(true), users(false));
        Left {
            active_users,
            inactive_users,
            groups: self.there.len() - active_users - inactive_users,
            unsure: self.unsure.len(),
            left_alone: self.alone.len(),
            deleted: self.deleted,
        }
    }
}

impl Left {
    /// Whether nothing of the session's is there any more.
    pub fn is_nothing(&self) -> bool {
        self.active_users + self.inactive_users + self.groups + self.unsure == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_and_not_deleted_is_left() {
        let mut ledger = Ledger::default();
        for id in ["u-1", "u-2", "u-3"] {
            ledger.made(Kind::User, id, id);
        }
        ledger.made(Kind::Group, "g-1", "Crew");
        ledger.switched("u-2", false);
        ledger.gone(Kind::User, "u-3");
        let left = Left { active_users: 1, inactive_users: 1, groups: 1, deleted: 1, ..Left::default() };
        assert_eq!(ledger.left(), left);
        assert_eq!(ledger.there()[0].0, Kind::Group, "groups go before their members");
        ledger.gone(Kind::User, "u-of-somebody-else");
        assert_eq!(ledger.left(), left);
    }

    #[test]
    fn an_unanswered_create_is_in_doubt_until_it_is_seen_or_seen_not_to_be() {
        let mut ledger = Ledger::default();
        ledger.unsure(Kind::User, "ann@corp-7.example");
        ledger.unsure(Kind::Group, "Crew S7");
        assert!(!ledger.left().is_nothing());
        ledger.made(Kind::User, "u-1", "ann@corp-7.example");
        ledger.sure(Kind::Group, "Crew S7");
        assert_eq!(ledger.doubts(), []);
    }
}
