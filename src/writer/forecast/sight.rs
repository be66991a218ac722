//! What a forecast knows of the target and of the claims, as far as it has asked. Pure; `super` does the asking.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::play::Played;
use crate::account::{AccountId, By, SeenAccount, SeenGroup, fold};
use crate::jira::TargetError;
use crate::store::drive::{Holder, What};

/// What has to be asked before a play can go on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Need {
    /// The account of this key.
    Account(AccountId),
    /// The account of this login name, whose folded form is the key of the answer.
    Named(String),
    /// The account of this address, whose folded form is the key of the answer.
    Email(String),
    /// Whether there is a group of this name.
    Group(String),
    /// Who holds a name or an account.
    Claim(What, String),
    /// Which administrators can log in.
    Administrators,
}

/// Who holds a name or an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    /// Nobody, or the user itself.
    Free,
    /// A user of ours who is about to give it up: what the target has under it now does not count.
    GivenUp,
    /// Somebody, for good; why.
    Held(String),
}

/// What stands in the way of whoever is not the holder.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) by: Holder,
    pub(super) verdict: Claimed,
}

/// The answers about one page of users.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) accounts: HashMap<AccountId, Option<SeenAccount>>,
    /// By folded name.
    pub(super) named: HashMap<String, Option<SeenAccount>>,
    /// By folded address; what the target refuses to tell, too.
    pub(super) emails: HashMap<String, Result<Option<SeenAccount>, TargetError>>,
    /// `None`: nobody has it.
    pub(super) claims: HashMap<(What, String), Option<Held>>,
}

/// What a whole forecast remembers. Its size goes with the names of people and the groups of the target, not with memberships.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Digests of the login names that the target has, once they were listed.
    pub(super) names: Option<HashSet<u64>>,
    /// They cannot be listed.
    pub(super) unlisted: bool,
    /// How many names were looked up.
    pub(super) asked_names: usize,
    /// How many groups were looked up.
    pub(super) asked_groups: usize,
    /// Groups by key; `None`: there is none of that name.
    pub(super) groups: HashMap<String, Option<SeenGroup>>,
    /// All groups of the target are in `groups`.
    pub(super) all_groups: bool,
    /// Digests of what is claimed by users who were played.
    taken: HashSet<u64>,
    /// Administrators who can log in, as far as our record says, without those who were played and are none any more; `None`
    /// before somebody asked.
    pub(super) administrators: Option<HashSet<AccountId>>,
    /// Groups that would be made, each once.
    pub(super) made: BTreeMap<String, String>,
}

/// What one play sees.
pub(super) struct Sight<'a> {
    pub(super) answers: &'a Answers,
    pub(super) memory: &'a Memory,
    /// Whose play it is.
    pub(super) me: Holder,
}

pub(super) fn digest(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Memory {
    /// Whether somebody who was played claims an account by its key or by its folded login name.
    pub(super) fn is_taken(&self, id: &str, name: &str) -> bool {
        [(What::Account, id), (What::Name, name)]
            .into_iter()
            .any(|(what, key)| self.taken.contains(&digest((what, key.to_owned()))))
    }

    /// Keeps what a play claims and makes.
    pub(super) fn keep(&mut self, played: &Played) {
        self.taken.extend(played.claimed.iter().map(digest));
        if let (Some(gone), Some(who)) = (&played.administrator, &mut self.administrators) {
            who.remove(gone);
        }
        for key in &played.made {
            let name = played.after.groups.get(key).map_or(key, |group| &group.name);
            self.made.insert(key.clone(), name.clone());
        }
    }
}

impl Sight<'_> {
    pub(super) fn by_id(&self, id: &AccountId) -> Result<Option<&SeenAccount>, Need> {
        self.answers.accounts.get(id).map(Option::as_ref).ok_or_else(|| Need::Account(id.clone()))
    }

    pub(super) fn by_name(&self, username: &str) -> Result<Option<&SeenAccount>, Need> {
        let key = fold(username);
        let given_up = self.answers.claims.get(&(What::Name, key.clone())).is_some_and(|held| {
            held.as_ref().is_some_and(|held| held.by != self.me && held.verdict == Claimed::GivenUp)
        });
        let unknown = self.memory.names.as_ref().is_some_and(|names| !names.contains(&digest(&key)));
        if given_up || unknown {
            return Ok(None);
        }
        self.answers.named.get(&key).map(Option::as_ref).ok_or_else(|| Need::Named(username.to_owned()))
    }

    /// The account that the first of several finds, as a look would.
    pub(super) fn by_any(&self, by: &[By]) -> Result<Result<Option<&SeenAccount>, TargetError>, Need> {
        for by in by {
            let found = match by {
                By::Username(username) => self.by_name(username)?,
                By::Id(id) => self.by_id(id)?,
                By::Email(email) => {
                    match self.answers.emails.get(&fold(email)).ok_or_else(|| Need::Email(email.clone()))? {
                        Ok(found) => found.as_ref(),
                        Err(error) => return Ok(Err(error.clone())),
                    }
                }
            };
            if let Some(seen) = found.filter(|seen| by.is(seen)) {
                return Ok(Ok(Some(seen)));
            }
        }
        Ok(Ok(None))
    }

    pub(super) fn group(&self, key: &str, name: &str) -> Result<Option<SeenGroup>, Need> {
        if let Some(made) = self.memory.made.get(key) {
            return Ok(Some(SeenGroup { name: made.clone(), ..SeenGroup::default() }));
        }
        match self.memory.groups.get(key) {
            Some(known) => Ok(known.clone()),
            None if self.memory.all_groups => Ok(None),
            None => Err(Need::Group(name.to_owned())),
        }
    }

    pub(super) fn can_any_log_in(&self, administrators: &[AccountId]) -> Result<bool, Need> {
        let who = self.memory.administrators.as_ref().ok_or(Need::Administrators)?;
        Ok(administrators.iter().any(|id| who.contains(id)))
    }

    pub(super) fn claim(&self, what: What, key: &str) -> Result<Claimed, Need> {
        let claim = (what, key.to_owned());
        if self.memory.taken.contains(&digest(&claim)) {
            let thing = if what == What::Name { "login name" } else { "Jira account" };
            return Ok(Claimed::Held(format!("The {thing} is what another user of this tenant is to have.")));
        }
        match self.answers.claims.get(&claim) {
            Some(Some(held)) if held.by != self.me => Ok(held.verdict.clone()),
            Some(_) => Ok(Claimed::Free),
            None => Err(Need::Claim(what, claim.1)),
        }
    }
}
