//! The states of steps that are not being done: which value each is about, and when it says nothing any more. Pure.
//!
//! A state has a fingerprint of its step's desired value. The planner leaves the step alone while the fingerprint fits.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::{Place, Plan, Planner, Rules, Step, change, refused};
use crate::account::{Account, Field, SeenAccount, fold};
use crate::jira::AccountChange;
use crate::policy::OnDelete;
use crate::store::link::{AccountStep, GroupKnown, Known, StepState, Stuck, UserFacts};

/// The place that the state of a step has.
pub fn place_of(step: &Step) -> Option<Place> {
    match step {
        Step::Look { .. } | Step::Link { .. } | Step::Create { .. } | Step::Update { .. } => {
            Some(Place::Account(AccountStep::Write))
        }
        Step::SetActive { .. } => Some(Place::Account(AccountStep::Active)),
        Step::Delete { .. } => Some(Place::Account(AccountStep::Delete)),
        Step::Grant { access } | Step::Revoke { access } => Some(Place::Account(AccountStep::Access(access.clone()))),
        Step::EnsureGroup { key, .. } | Step::DeleteGroup { key, .. } => Some(Place::Group(key.clone())),
        Step::AddMember { key, .. } | Step::RemoveMember { key, .. } => Some(Place::Pair(key.clone())),
    }
}

/// The fingerprint of the fields that `Write` writes. Letter case of a login name is nothing to write (DC-30).
pub fn write_fingerprint(account: &Account) -> String {
    let folded = fold(&account.username);
    let fields = [folded.as_str(), account.email.as_str(), account.display_name.as_str()];
    digest(fields.into_iter().chain(account.extra.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()])))
}

/// The fingerprint of the access to an application that is given, or taken away.
pub fn access_fingerprint(give: bool) -> String {
    format!("granted={give}")
}

fn digest<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The fingerprint of the flag that `Active` writes.
pub fn active_fingerprint(active: bool) -> String {
    format!("active={active}")
}

/// The fingerprint of a pair.
pub fn pair_fingerprint(member: bool) -> String {
    format!("member={member}")
}

/// The fingerprint of deleting an account.
pub const DELETE_FINGERPRINT: &str = "delete";

/// The fingerprint of reading the account: whatever the user is to be, until the user changes.
pub fn look_fingerprint(facts: &UserFacts) -> String {
    format!("look@{}", facts.user.as_ref().map_or(0, |user| user.version))
}

/// The fingerprint of a Jira group's existence. One that is only looked for may be created when the policy says so.
pub fn group_fingerprint(name: &str, create: bool) -> String {
    if create { fold(name) } else { format!("look for {}", fold(name)) }
}

/// The fingerprint of a pair or group that is not written because the group grants administration.
pub fn barred_fingerprint(fingerprint: &str) -> String {
    by_rule("administrative", fingerprint)
}

/// A rule's refusal ends with the rule: it has a fingerprint that nothing else has.
pub(super) fn by_rule(rule: &str, fingerprint: &str) -> String {
    format!("{rule}: {fingerprint}")
}

/// The fingerprint that a state must have for the planner to leave its step alone; `None` where there is nothing to do.
pub fn fingerprint(facts: &UserFacts, rules: &Rules, place: &Place) -> Option<String> {
    let planner = Planner::new(facts, rules)?;
    match place {
        Place::Account(AccountStep::Write) if planner.look().is_some() => Some(look_fingerprint(facts)),
        Place::Account(step) => planner.account_fingerprint(step),
        Place::Pair(key) => planner.pair_fingerprint(key),
        Place::Group(key) => {
            let create = rules.policy.groups.create_missing;
            let exists = facts.groups.get(key).is_some_and(|group| group.known == GroupKnown::Exists);
            (!exists).then(|| group_fingerprint(key, create))
        }
    }
}

pub(super) const OWN_ACCOUNT: &str = "own account";
pub(super) const NO_ADOPTION: &str = "no adoption";
pub(super) const HANDS_OFF: &str = "hands off";
pub(super) const UNMAPPED: &str = "unmapped";
pub(super) const PROTECTED: &str = "protected";
pub(super) const ASK: &str = "ask";
pub(super) const NO_ACCOUNT: &str = "no account";

/// The state of the account of a user for whom somebody has to approve of an adoption.
pub fn to_approve(desired: &Account, seen: &SeenAccount, now: DateTime<Utc>) -> StepState {
    let fingerprint = by_rule(ASK, &write_fingerprint(desired));
    let reason = format!(
        "An account named {} ({}) exists in Jira already; it waits until somebody approves that it becomes this user's.",
        seen.username, seen.display_name
    );
    StepState { state: Stuck::Held, ..refused(fingerprint, reason, Some(Field::Username), now) }
}

/// Whether a state says that somebody has to approve of an adoption.
pub fn is_asked(fingerprint: &str) -> bool {
    fingerprint.starts_with(ASK)
}

/// Whether a state says that there is no account, so that a look ends it.
pub fn is_no_account(fingerprint: &str) -> bool {
    fingerprint.starts_with(NO_ACCOUNT)
}

impl Planner<'_> {
    /// States on record that are not those of a step that is still to be done.
    pub(super) fn void(&self, plan: &Plan) -> Vec<Place> {
        let account = self.facts.record.steps.iter().filter_map(|(step, state)| {
            let is_void = self.account_fingerprint(step).as_ref() != Some(&state.fingerprint);
            is_void.then(|| Place::Account(step.clone()))
        });
        let pairs = self.facts.pairs.iter().filter_map(|(key, pair)| {
            let state = pair.step.as_ref()?;
            let is_void = self.pair_fingerprint(key).as_ref() != Some(&state.fingerprint);
            is_void.then(|| Place::Pair(key.clone()))
        });
        let groups = self.wanted_groups().into_keys().filter_map(|key| {
            let group = self.facts.groups.get(&key)?;
            let is_void = group.step.is_some() && group.known == GroupKnown::Exists && !self.bars(&key);
            is_void.then_some(Place::Group(key))
        });
        account.chain(pairs).chain(groups).filter(|place| plan.stuck.iter().all(|(stuck, _)| stuck != place)).collect()
    }

    fn account_fingerprint(&self, step: &AccountStep) -> Option<String> {
        let write = write_fingerprint(&self.desired);
        match (step, &self.facts.record.known) {
            (AccountStep::Write, Known::Nothing | Known::Absent) if !self.managed => {
                let misses = !self.user.imported && !self.user.deleted && self.desired.active;
                misses.then(|| by_rule(NO_ACCOUNT, &write))
            }
            (AccountStep::Write, Known::Nothing | Known::Absent) => {
                let barred = self.bar_of_name(&self.desired.username).map(|bar| self.barred_write(&bar));
                barred.or_else(|| Some(self.writable(write))).filter(|_| self.desired.active)
            }
            (step, Known::Found(seen) | Known::Linked { seen, .. }) if self.bar(seen).is_some() => {
                self.bar(seen).map(|bar| self.barred_write(&bar)).filter(|_| *step == AccountStep::Write)
            }
            (AccountStep::Write, Known::Found(seen)) if self.is_our_creation(seen) || self.adopts(seen) => Some(write),
            (AccountStep::Write, Known::Found(seen)) => {
                let rule = match &self.unmapped {
                    Some(_) => UNMAPPED,
                    None if self.asks_for(seen) => ASK,
                    None => NO_ADOPTION,
                };
                (!self.user.deleted).then(|| by_rule(rule, &write))
            }
            (step, Known::Linked { .. })
                if !self.managed && (*step != AccountStep::Active || self.forced.is_none()) =>
            {
                None
            }
            (AccountStep::Write, Known::Linked { seen, .. }) => {
                let change = change(seen, &self.desired);
                let renames = change.username.is_some();
                let bar = self.bar_of_name(&self.desired.username).filter(|_| renames && self.unmapped.is_none());
                let to_do = !self.user.deleted && change != AccountChange::default();
                to_do.then(|| bar.map_or_else(|| self.writable(write), |bar| self.barred_write(&bar)))
            }
            (AccountStep::Active, Known::Linked { seen, .. }) => {
                (seen.active != self.desired.active).then(|| active_fingerprint(self.desired.active))
            }
            (AccountStep::Delete, Known::Linked { .. }) => {
                let delete = self.user.deleted && self.rules.policy.deprovision.on_delete == OnDelete::Delete;
                delete.then(|| DELETE_FINGERPRINT.to_owned())
            }
            (AccountStep::Access(access), Known::Linked { .. }) => {
                let (grant, revoke) = self.access_to_do();
                let given = grant.contains(access).then(|| access_fingerprint(true));
                given.or_else(|| revoke.contains(access).then(|| access_fingerprint(false)))
            }
            (AccountStep::Active | AccountStep::Delete | AccountStep::Access(_), _) => None,
        }
    }

    /// The fingerprint of a write, or that of the rule that forbids it because the policy's expressions do not come out.
    fn writable(&self, write: String) -> String {
        if self.unmapped.is_some() { by_rule(UNMAPPED, &write) } else { write }
    }

    fn pair_fingerprint(&self, key: &str) -> Option<String> {
        let pair = self.facts.pairs.get(key).cloned().unwrap_or_default();
        let wanted = self.wanted_groups().iter().any(|(wanted, _)| wanted == key);
        let to_do = if wanted {
            !pair.written || pair.maybe || pair.theirs
        } else {
            (pair.written || pair.maybe) && self.takes_away(key, &pair)
        };
        to_do.then(|| self.desired_pair(key, wanted))
    }

    pub(super) fn desired_pair(&self, key: &str, member: bool) -> String {
        let fingerprint = pair_fingerprint(member);
        if self.bars(key) { barred_fingerprint(&fingerprint) } else { fingerprint }
    }
}
