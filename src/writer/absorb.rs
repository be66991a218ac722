//! What a step's answer teaches: from the record before to the record after. Pure.
//!
//! The base is the record as it was *before* the claim marked it `maybe`: what was never attempted is as it was, what was
//! done is written, and what has an unknown outcome is `maybe` and gets a second look.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::plan::{
    DELETE_FINGERPRINT, Place, Plan, Step, access_fingerprint, active_fingerprint, group_fingerprint, look_fingerprint,
    pair_fingerprint, refused, write_fingerprint,
};
use crate::account::SeenAccount;
use crate::jira::{Created, TargetError, Written};
use crate::store::link::{AccountStep, GroupKnown, Known, LinkRecord, Pair, StepState, Stuck, UserFacts};
use learn::{
    applied, doubt_account, doubt_update, forget_account, link, looked, merged, named, owe, sent, switched,
    unknown_create,
};

/// What a step answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// The account as it is, if there is one.
    Looked(Option<SeenAccount>),
    /// The account is the user's own now.
    Linked,
    /// The account was created, or one of that name was there.
    Created(Created),
    /// The account was written.
    Written(Written),
    /// The access is as asked.
    AccessWritten,
    /// The account is gone.
    Deleted,
    /// The group is there.
    Ensured {
        /// We made it.
        made: bool,
        /// It grants administration.
        administrative: bool,
        /// Its key, where groups have one.
        id: Option<String>,
    },
    /// There is no group that could be written.
    NoGroup {
        /// It is not there and must not be created, or its members cannot be changed.
        reason: String,
    },
    /// The account is in the group, or out of it.
    PairWritten,
    /// The group is gone.
    GroupDeleted,
}

/// What matters besides the answer.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// How long after an unknown outcome to look once more.
    pub late: TimeDelta,
    /// Whether groups are put on record that are not ours (`groups.remove = "all"`).
    pub survey: bool,
}

/// How long until something that takes away is tried again after a refusal.
const DAILY: TimeDelta = TimeDelta::days(1);

/// How long until it is looked again for what others have to give: a seat, a group.
const HOURLY: TimeDelta = TimeDelta::hours(1);

/// Puts the states on record that the plan changes without a call.
pub fn set_states(facts: &mut UserFacts, plan: &Plan) {
    for place in &plan.void {
        set_state(facts, place, None);
    }
    for (place, state) in &plan.stuck {
        set_state(facts, place, Some(state.clone()));
    }
}

/// Marks everything that the plan is about to touch as `maybe`.
pub fn mark(facts: &mut UserFacts, plan: &Plan) {
    set_states(facts, plan);
    for step in &plan.steps {
        match step {
            Step::Create { account, .. } => unknown_create(facts, account),
            Step::Update { change, .. } => doubt_update(facts, change),
            Step::SetActive { .. } | Step::Delete { .. } => doubt_account(facts),
            Step::Grant { access } | Step::Revoke { access } => {
                facts.record.maybe_granted.insert(access.clone());
            }
            Step::EnsureGroup { key, name, create } => {
                let group = facts.groups.entry(key.clone()).or_insert_with(|| named(name));
                if *create && group.known == GroupKnown::Unknown {
                    group.known = GroupKnown::Maybe;
                }
            }
            Step::AddMember { key, name } | Step::RemoveMember { key, name } => {
                facts.groups.entry(key.clone()).or_insert_with(|| named(name));
                facts.pairs.entry(key.clone()).or_default().maybe = true;
            }
            Step::Look { .. } | Step::Link { .. } | Step::DeleteGroup { .. } => {}
        }
    }
}

/// Sets or clears the state of a step.
pub fn set_state(facts: &mut UserFacts, place: &Place, state: Option<StepState>) {
    match place {
        Place::Account(step) => match state {
            Some(state) => drop(facts.record.steps.insert(step.clone(), state)),
            None => drop(facts.record.steps.remove(step)),
        },
        Place::Pair(key) => facts.pairs.entry(key.clone()).or_default().step = state,
        Place::Group(key) => facts.groups.entry(key.clone()).or_insert_with(|| named(key)).step = state,
    }
}

/// Puts the answer of one step on record.
pub fn absorb(facts: &mut UserFacts, step: &Step, done: Done, times: Times) {
    match (step, done) {
        (Step::Look { id, .. }, Done::Looked(seen)) => looked(facts, id.is_some(), seen, times),
        (Step::Link { account, made, welcome }, _) => {
            link(facts, account.clone(), *made, times.survey);
            owe(facts, welcome);
        }
        (Step::Create { account, welcome }, Done::Created(Created::New(seen))) => {
            facts.record.steps.clear();
            let granted = seen.access.clone().unwrap_or_else(|| account.access.clone());
            link(facts, merged(seen, &sent(account)), true, times.survey);
            owe(facts, welcome);
            (facts.record.granted, facts.record.maybe_granted) = (granted, BTreeSet::new());
        }
        (Step::Create { .. }, Done::Created(Created::Exists(seen))) => facts.record.known = Known::Found(seen),
        (Step::Update { change, .. }, Done::Written(written)) => {
            facts.record.steps.remove(&AccountStep::Write);
            let asked = applied(facts.record.linked().cloned().unwrap_or_default(), change);
            let seen = match written {
                Written::Seen(seen) => merged(seen, &asked),
                Written::AsAsked { .. } => asked,
            };
            facts.record.known = Known::Linked { seen, maybe: false };
        }
        (Step::SetActive { active, .. }, Done::Written(written)) => {
            facts.record.steps.remove(&AccountStep::Active);
            switched(facts, *active, written, times.survey);
        }
        (Step::Grant { access }, Done::AccessWritten) => {
            facts.record.maybe_granted.remove(access);
            facts.record.steps.remove(&AccountStep::Access(access.clone()));
            facts.record.granted.insert(access.clone());
        }
        (Step::Revoke { access }, Done::AccessWritten) => {
            facts.record.maybe_granted.remove(access);
            facts.record.steps.remove(&AccountStep::Access(access.clone()));
            facts.record.granted.remove(access);
        }
        (Step::Delete { .. }, Done::Deleted) => forget_account(facts),
        (Step::EnsureGroup { key, name, .. }, Done::Ensured { made, administrative, id }) => {
            let group = facts.groups.entry(key.clone()).or_insert_with(|| named(name));
            group.known = GroupKnown::Exists;
            group.made |= made;
            group.administrative |= administrative;
            group.id = id.or(group.id.take());
            group.step = None;
        }
        (Step::EnsureGroup { key, name, create }, Done::NoGroup { reason }) => {
            let group = facts.groups.entry(key.clone()).or_insert_with(|| named(name));
            let state = refused(group_fingerprint(name, *create), reason, None, times.now);
            // Somebody may make it by hand.
            let retry_at = (!create).then(|| times.now + HOURLY);
            group.step = Some(StepState { retry_at, ..state });
        }
        (Step::AddMember { key, .. }, Done::PairWritten) => {
            facts.pairs.insert(key.clone(), Pair { written: true, ..Pair::default() });
        }
        (Step::RemoveMember { key, .. }, Done::PairWritten) => drop(facts.pairs.insert(key.clone(), Pair::default())),
        (Step::DeleteGroup { key, .. }, Done::GroupDeleted) => {
            facts.groups.remove(key);
            facts.pairs.remove(key);
        }
        // An answer of another kind than the step asked for cannot be: `perform` pairs them.
        _ => {}
    }
}

/// Puts the failure of one step on record.
pub fn absorb_error(facts: &mut UserFacts, step: &Step, error: &TargetError, times: Times) {
    match error {
        TargetError::Unreachable { maybe_done: true, .. } => unknown(facts, step, times),
        TargetError::Refused { reason, field } => {
            let state = refused(String::new(), reason.clone(), *field, times.now);
            refuse(facts, step, StepState { conflict: false, ..state });
        }
        TargetError::Conflict { reason } => {
            let state = refused(String::new(), reason.clone(), Some(crate::account::Field::Username), times.now);
            refuse(facts, step, StepState { conflict: true, ..state });
        }
        TargetError::Gone { .. } => gone(facts, step),
        TargetError::NoSeats { reason } => refuse(facts, step, refused(String::new(), reason.clone(), None, times.now)),
        TargetError::Unreachable { .. }
        | TargetError::Throttled { .. }
        | TargetError::Denied { .. }
        | TargetError::Later { .. }
        | TargetError::Stopped { .. } => {}
    }
}

/// No seat is left, and the policy says to wait for one.
pub fn hold(facts: &mut UserFacts, step: &Step, reason: &str, times: Times) {
    let state = refused(String::new(), reason.to_owned(), None, times.now);
    stick(facts, step, StepState { state: Stuck::Held, retry_at: Some(times.now + HOURLY), ..state });
}

/// The state of a step that was refused; what takes away is tried again daily, because a refusal must not hand access back.
pub fn refuse(facts: &mut UserFacts, step: &Step, state: StepState) {
    stick(facts, step, StepState { state: Stuck::Refused, ..state });
}

fn stick(facts: &mut UserFacts, step: &Step, mut state: StepState) {
    let place = match step {
        Step::Create { account, .. } => {
            state.fingerprint = write_fingerprint(account);
            Place::Account(AccountStep::Write)
        }
        Step::Update { desired, .. } => {
            state.fingerprint.clone_from(desired);
            Place::Account(AccountStep::Write)
        }
        Step::Grant { access } | Step::Revoke { access } => {
            // It was not done, so it is as it was.
            facts.record.maybe_granted.remove(access);
            let give = matches!(step, Step::Grant { .. });
            state.fingerprint = access_fingerprint(give);
            again_tomorrow(&mut state, !give);
            Place::Account(AccountStep::Access(access.clone()))
        }
        Step::SetActive { active, .. } => {
            state.fingerprint = active_fingerprint(*active);
            again_tomorrow(&mut state, !active);
            Place::Account(AccountStep::Active)
        }
        Step::Delete { .. } => {
            state.fingerprint = DELETE_FINGERPRINT.to_owned();
            Place::Account(AccountStep::Delete)
        }
        Step::EnsureGroup { key, name, create } => {
            state.fingerprint = group_fingerprint(name, *create);
            facts.groups.entry(key.clone()).or_insert_with(|| named(name)).known = GroupKnown::Unknown;
            Place::Group(key.clone())
        }
        Step::AddMember { key, .. } => {
            state.fingerprint = pair_fingerprint(true);
            Place::Pair(key.clone())
        }
        Step::RemoveMember { key, .. } => {
            state.fingerprint = pair_fingerprint(false);
            again_tomorrow(&mut state, true);
            Place::Pair(key.clone())
        }
        // An account that cannot be read cannot be written: nothing of the user is planned until it can.
        Step::Look { .. } => {
            state.fingerprint = look_fingerprint(facts);
            again_tomorrow(&mut state, true);
            Place::Account(AccountStep::Write)
        }
        Step::Link { .. } | Step::DeleteGroup { .. } => return,
    };
    set_state(facts, &place, Some(state));
}

/// What takes away is tried again daily, unless there is an earlier time.
fn again_tomorrow(state: &mut StepState, takes_away: bool) {
    if takes_away && state.retry_at.is_none() {
        state.retry_at = Some(state.since + DAILY);
    }
}

/// What is certain no more while a step is on its way, besides the marks: it gets a second look.
pub fn doubt(facts: &mut UserFacts, step: &Step, times: Times) {
    // A group has no second look: making sure of it is one.
    if !matches!(step, Step::EnsureGroup { .. } | Step::DeleteGroup { .. }) {
        unknown(facts, step, times);
    }
}

/// What a drive that lost its lease may say of the steps that it tried: that their outcome is not known. `record` is the
/// account as whoever came after has it.
pub fn doubt_from_outside(record: &mut LinkRecord, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Create { account, .. } if !record.maybe_created.contains(account) => {
                record.maybe_created.push(account.clone());
            }
            Step::AddMember { key, .. } | Step::RemoveMember { key, .. } => drop(record.watch.insert(key.clone())),
            Step::Grant { access } | Step::Revoke { access } => {
                record.maybe_granted.insert(access.clone());
                record.watch_access.insert(access.clone());
            }
            _ => {}
        }
    }
    if let Known::Linked { maybe, .. } = &mut record.known {
        *maybe = true;
    }
}

/// Takes over what others doubted while this drive was at work.
pub fn keep_doubts(facts: &mut UserFacts, doubted: LinkRecord, look_at: Option<DateTime<Utc>>) {
    let record = &mut facts.record;
    record.watch.extend(doubted.watch);
    record.maybe_granted.extend(doubted.maybe_granted);
    record.watch_access.extend(doubted.watch_access);
    if let Known::Linked { maybe, .. } = &mut record.known {
        *maybe = true;
    }
    let new: Vec<_> = doubted.maybe_created.into_iter().filter(|sent| !record.maybe_created.contains(sent)).collect();
    record.maybe_created.extend(new);
    facts.look_at = facts.look_at.max(look_at);
}

fn unknown(facts: &mut UserFacts, step: &Step, times: Times) {
    match step {
        Step::Create { account, .. } => unknown_create(facts, account),
        Step::Update { change, .. } => doubt_update(facts, change),
        Step::SetActive { .. } | Step::Delete { .. } => doubt_account(facts),
        Step::EnsureGroup { key, name, .. } => {
            facts.groups.entry(key.clone()).or_insert_with(|| named(name)).known = GroupKnown::Maybe;
            return;
        }
        Step::AddMember { key, .. } | Step::RemoveMember { key, .. } => {
            facts.pairs.entry(key.clone()).or_default().maybe = true;
            facts.record.watch.insert(key.clone());
        }
        Step::Grant { access } | Step::Revoke { access } => {
            facts.record.maybe_granted.insert(access.clone());
            facts.record.watch_access.insert(access.clone());
        }
        Step::Look { .. } | Step::Link { .. } | Step::DeleteGroup { .. } => return,
    }
    let look = times.now + times.late;
    facts.look_at = Some(facts.look_at.map_or(look, |at| at.max(look)));
}

fn gone(facts: &mut UserFacts, step: &Step) {
    match step {
        Step::Update { .. } | Step::SetActive { .. } | Step::Delete { .. } => forget_account(facts),
        // Either the account or the group vanished: look at the one, ensure the other.
        Step::AddMember { key, .. } => {
            doubt_account(facts);
            if let Some(group) = facts.groups.get_mut(key) {
                group.known = GroupKnown::Unknown;
            }
        }
        Step::RemoveMember { key, .. } => drop(facts.pairs.insert(key.clone(), Pair::default())),
        Step::Grant { .. } | Step::Revoke { .. } => doubt_account(facts),
        Step::DeleteGroup { key, .. } => drop(facts.groups.remove(key)),
        Step::Create { .. } | Step::EnsureGroup { .. } | Step::Look { .. } | Step::Link { .. } => {}
    }
}

mod learn;

#[cfg(test)]
mod tests;
