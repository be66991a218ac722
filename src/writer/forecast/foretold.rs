//! A play over a Jira that a test holds in its hands.

use super::play::{Played, play};
use super::sight::{Answers, Memory, Need, Sight};
use crate::account::{AccountId, SeenAccount, SeenGroup, fold};
use crate::jira::TargetError;
use crate::store::drive::Holder;
use crate::store::link::UserFacts;
use crate::writer::plan::{Rules, Step};

/// A Jira that can be asked.
pub(in crate::writer) trait Asked {
    /// The account of that login name.
    fn is_named(&self, username: &str) -> Option<SeenAccount>;
    /// The account of that key.
    fn is_keyed(&self, id: &AccountId) -> Option<SeenAccount>;
    /// What it says of who has that address.
    fn has_address(&self, email: &str) -> Result<Option<SeenAccount>, TargetError>;
    /// Whether there is a group.
    fn has_group(&self, key: &str) -> bool;
}

/// The steps that a forecast tells, and the record after them. Nobody else claims anything.
pub(in crate::writer) fn foretold(facts: &UserFacts, rules: &Rules, jira: &impl Asked) -> (Vec<Step>, UserFacts) {
    let (mut answers, mut memory) = (Answers::default(), Memory::default());
    let me = Holder { tenant_id: uuid::Uuid::nil(), user_id: facts.user_id };
    loop {
        match play(facts, rules, &Sight { answers: &answers, memory: &memory, me }) {
            Ok(Played { moves, after, .. }) => return (moves.into_iter().map(|(step, _)| step).collect(), after),
            Err(Need::Account(id)) => drop(answers.accounts.insert(id.clone(), jira.is_keyed(&id))),
            Err(Need::Named(name)) => drop(answers.named.insert(fold(&name), jira.is_named(&name))),
            Err(Need::Email(email)) => drop(answers.emails.insert(fold(&email), jira.has_address(&email))),
            Err(Need::Claim(what, key)) => drop(answers.claims.insert((what, key), None)),
            Err(Need::Administrators) => memory.administrators = Some(Default::default()),
            Err(Need::Group(name)) => {
                let there = jira.has_group(&fold(&name));
                let group = there.then(|| SeenGroup { name: name.clone(), ..SeenGroup::default() });
                memory.groups.insert(fold(&name), group);
            }
        }
    }
}
