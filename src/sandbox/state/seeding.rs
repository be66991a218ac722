//! Fills a fresh Jira with the people and groups of a [`Seed`]: no rule is asked, and names are shared, so that a large
//! seed is quick and small.

use super::{NewAccount, World, fold};
use crate::sandbox::seed::{self, Seed};

impl World {
    /// Adds the people and groups of the seed; names that are taken are left as they are.
    pub fn sow(&mut self, seed: Seed) {
        let first = self.accounts.len();
        for number in 0..seed.users {
            let person = seed::person(number);
            if self.find(&person.username).is_some() {
                continue;
            }
            let new = NewAccount {
                email: person.email.clone(),
                display_name: person.display_name(),
                ..NewAccount::named(&person.username)
            };
            let id = self.insert(&new);
            self.record_mut(id).active = person.active;
        }
        let defaults: Vec<String> = self
            .rules
            .roles
            .iter()
            .filter(|role| role.selected_by_default)
            .flat_map(|role| role.groups.iter().map(|group| fold(group)))
            .collect();
        let last = self.accounts.len();
        for group in defaults {
            (first..last).for_each(|id| self.join(id as u32, &group));
        }
        for (name, people) in seed::groups(seed.users) {
            self.insert_group(&name, super::Power::User);
            let folded = fold(&name);
            for number in people {
                if let Some(id) = self.find(&seed::person(number).username) {
                    self.join(id, &folded);
                }
            }
        }
    }
}
