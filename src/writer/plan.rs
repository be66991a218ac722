//! The planner: what has to be done at the target so that a user is as the store says. A pure function.
//!
//! It compares desired (the store, through the policy) with the record (what we last wrote or saw). What is marked
//! `maybe` counts as unknown: an account is looked at, a wanted pair is added (adding looks), an unwanted one is removed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::account::{Account, Field, SeenAccount, fold};
use crate::jira::AccountChange;
use crate::policy::mapping::{self, Ground};
use crate::policy::protect::Protected;
use crate::policy::{Adopt, OnDelete, Policy};
use crate::store::link::{AccountStep, AsFound, Known, StepState, Stuck, UserFacts, UserNow};

mod membership;
mod states;
mod step;

#[cfg(test)]
mod tests;

pub use states::{
    DELETE_FINGERPRINT, access_fingerprint, active_fingerprint, barred_fingerprint, fingerprint, group_fingerprint,
    look_fingerprint, pair_fingerprint, place_of, write_fingerprint,
};
use states::{HANDS_OFF, NO_ADOPTION, OWN_ACCOUNT, UNMAPPED, by_rule};
pub use step::{Place, Plan, Step};

/// What the plan goes by besides the facts.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The tenant's.
    pub policy: Policy,
    /// What nothing may touch.
    pub protected: Protected,
    /// What an account depends on besides the user and the policy.
    pub ground: Ground,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

/// The state of a step that a rule or Jira refused.
pub fn refused(fingerprint: String, reason: String, field: Option<Field>, now: DateTime<Utc>) -> StepState {
    StepState {
        state: Stuck::Refused,
        fingerprint,
        reason,
        field,
        conflict: false,
        brake: false,
        retry_at: None,
        since: now,
    }
}

/// Plans one user.
pub fn plan_user(facts: &UserFacts, rules: &Rules) -> Plan {
    let mut plan = Plan::default();
    let Some(planner) = Planner::new(facts, rules) else { return plan };
    // When it is past, the look itself is planned.
    if let Some(at) = facts.look_at.filter(|at| *at > rules.now) {
        plan.due_at(at);
    }
    if let Some(look) = planner.look() {
        if !planner.blocked(&AccountStep::Write, &look_fingerprint(facts), &mut plan) {
            plan.steps.push(look);
        }
        return plan;
    }
    if planner.account(&mut plan) {
        planner.access(&mut plan);
        planner.groups(&mut plan);
    }
    plan.void = planner.void(&plan);
    plan
}

/// What a user is to have at the target, whatever is on record of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The account.
    pub account: Account,
    /// Whether one would be made if there were none.
    pub there: bool,
    /// The Jira groups that the person is to be in: key to name.
    pub groups: BTreeMap<String, String>,
}

/// What a user is to have; `None` where there is no such user.
pub fn desired(facts: &UserFacts, rules: &Rules) -> Option<Desired> {
    let planner = Planner::new(facts, rules)?;
    let groups = planner.wanted_groups().into_iter().collect();
    let there = planner.desired.active && !planner.user.deleted;
    Some(Desired { there, groups, account: planner.desired })
}

struct Planner<'a> {
    facts: &'a UserFacts,
    rules: &'a Rules,
    user: &'a UserNow,
    desired: Account,
    /// Why the account cannot be written, where the policy's expressions do not come out.
    unmapped: Option<String>,
    /// Whether the identity provider and the policy want the person in.
    entitled: bool,
}

impl<'a> Planner<'a> {
    fn new(facts: &'a UserFacts, rules: &'a Rules) -> Option<Self> {
        let user = facts.user.as_ref()?;
        let active = match as_found(facts, user) {
            Some(found) => found.active,
            None => user.active && !user.deleted && required(facts, &rules.policy),
        };
        let mapped = mapping::account(&user.attrs, active, facts.wanted.values(), &rules.policy, &rules.ground);
        let entitled = user.active && required(facts, &rules.policy);
        Some(Self { facts, rules, user, desired: mapped.account, unmapped: mapped.problem, entitled })
    }

    /// Whether something has to be read before anything can be planned.
    fn look(&self) -> Option<Step> {
        let record = &self.facts.record;
        let by_name = |username: &str| Some(Step::Look { id: None, username: username.to_owned() });
        let late = self.facts.look_at.is_some_and(|at| at <= self.rules.now);
        match &record.known {
            Known::Linked { seen, maybe } if late || *maybe => {
                Some(Step::Look { id: Some(seen.id.clone()), username: seen.username.clone() })
            }
            Known::Linked { .. } => None,
            Known::Nothing | Known::Absent | Known::Found(_) if late => {
                by_name(record.maybe_created.last().map_or(&self.desired.username, |sent| &sent.username))
            }
            Known::Nothing => match record.maybe_created.last() {
                Some(sent) => by_name(&sent.username),
                // Somebody of that name who may log in although the IdP says that the person may not.
                None if !self.user.deleted && !self.entitled => by_name(&self.desired.username),
                None => None,
            },
            // The name that was found is not the name that is wanted any more. Our own creation is renamed instead.
            Known::Found(seen)
                if fold(&seen.username) != fold(&self.desired.username)
                    && !self.user.deleted
                    && !self.is_our_creation(seen) =>
            {
                by_name(&self.desired.username)
            }
            Known::Absent | Known::Found(_) => None,
        }
    }

    /// Plans the account; false where nothing can be said of its groups.
    fn account(&self, plan: &mut Plan) -> bool {
        match &self.facts.record.known {
            Known::Nothing | Known::Absent => self.create(plan),
            Known::Found(seen) => {
                self.found(seen, plan);
                false
            }
            Known::Linked { seen, .. } => {
                self.linked(seen, plan);
                !self.rules.protected.is_own(&seen.id) && seen.hands_off.is_none()
            }
        }
    }

    fn create(&self, plan: &mut Plan) -> bool {
        if !self.desired.active || self.user.deleted || self.awaits_another_name() {
            return false;
        }
        let fingerprint = write_fingerprint(&self.desired);
        if self.rules.protected.is_own_name(&self.desired.username) {
            self.refuse_own(plan, &fingerprint);
            return false;
        }
        if let Some(why) = &self.unmapped {
            self.forbid(plan, by_rule(UNMAPPED, &fingerprint), why.clone(), None);
            return false;
        }
        if self.blocked(&AccountStep::Write, &fingerprint, plan) {
            return false;
        }
        plan.steps.push(Step::Create { account: self.desired.clone() });
        true
    }

    /// Jira may still execute a create that we gave up on: one under another name meanwhile would make two accounts.
    fn awaits_another_name(&self) -> bool {
        let name = fold(&self.desired.username);
        self.facts.look_at.is_some() && self.facts.record.maybe_created.iter().any(|sent| fold(&sent.username) != name)
    }

    /// A create whose answer was lost made it.
    fn is_our_creation(&self, seen: &SeenAccount) -> bool {
        self.facts.record.maybe_created.iter().any(|sent| is_what_we_sent(sent, seen))
    }

    /// An account is there that is not linked: ours after all, adopted, or somebody else's.
    fn found(&self, seen: &SeenAccount, plan: &mut Plan) {
        let made = self.is_our_creation(seen);
        let fingerprint = write_fingerprint(&self.desired);
        if self.rules.protected.is_own(&seen.id) {
            self.refuse_own(plan, &fingerprint);
        } else if let Some(why) = &seen.hands_off {
            self.keep_off(plan, &fingerprint, why);
        } else if made || (!self.user.deleted && self.rules.policy.adopt == Adopt::Link) {
            // Also blocked when another tenant holds the account: the state says so until the name changes.
            if !self.blocked(&AccountStep::Write, &fingerprint, plan) {
                plan.steps.push(Step::Link { account: seen.clone(), made });
            }
        } else if !self.user.deleted {
            let reason = format!("An account named {} exists in Jira already, and adoption is off.", seen.username);
            self.forbid(plan, by_rule(NO_ADOPTION, &fingerprint), reason, Some(Field::Username));
        }
    }

    fn linked(&self, seen: &SeenAccount, plan: &mut Plan) {
        if self.rules.protected.is_own(&seen.id) {
            self.refuse_own(plan, &write_fingerprint(&self.desired));
            return;
        }
        if let Some(why) = &seen.hands_off {
            self.keep_off(plan, &write_fingerprint(&self.desired), why);
            return;
        }
        if self.user.deleted {
            self.leave(seen, plan);
            return;
        }
        // What takes away goes first: a step that fails ends the round, and must not keep a leaver in.
        if self.desired.active {
            self.update(seen, plan);
            self.set_active(seen, plan);
        } else {
            self.set_active(seen, plan);
            self.update(seen, plan);
        }
    }

    fn update(&self, seen: &SeenAccount, plan: &mut Plan) {
        let change = change(seen, &self.desired);
        let renames = change.username.is_some();
        // The name that would become free is the one that such a create takes.
        if change == AccountChange::default() || (renames && self.awaits_another_name()) {
            return;
        }
        let fingerprint = write_fingerprint(&self.desired);
        if let Some(why) = &self.unmapped {
            self.forbid(plan, by_rule(UNMAPPED, &fingerprint), why.clone(), None);
        } else if renames && self.rules.protected.is_own_name(&self.desired.username) {
            self.refuse_own(plan, &fingerprint);
        } else if !self.blocked(&AccountStep::Write, &fingerprint, plan) {
            plan.steps.push(Step::Update { id: seen.id.clone(), change, desired: fingerprint });
        }
    }

    fn set_active(&self, seen: &SeenAccount, plan: &mut Plan) {
        let active = self.desired.active;
        if seen.active != active && !self.blocked(&AccountStep::Active, &active_fingerprint(active), plan) {
            let deprovision = &self.rules.policy.deprovision;
            let off = if active { seen.off } else { deprovision.off_switch };
            let hand_over_to = deprovision.hand_over_to.clone().filter(|_| !active);
            plan.steps.push(Step::SetActive { id: seen.id.clone(), active, off, hand_over_to });
        }
    }

    fn leave(&self, seen: &SeenAccount, plan: &mut Plan) {
        let delete = self.rules.policy.deprovision.on_delete == OnDelete::Delete;
        if delete
            && as_found(self.facts, self.user).is_none()
            && !self.blocked(&AccountStep::Delete, DELETE_FINGERPRINT, plan)
        {
            plan.steps.push(Step::Delete { id: seen.id.clone() });
        } else {
            self.set_active(seen, plan);
        }
    }

    fn refuse_own(&self, plan: &mut Plan, fingerprint: &str) {
        let reason = "This is the account that jira-scim itself works with; it is never provisioned.".to_owned();
        self.forbid(plan, by_rule(OWN_ACCOUNT, fingerprint), reason, Some(Field::Username));
    }

    fn keep_off(&self, plan: &mut Plan, fingerprint: &str, why: &str) {
        self.forbid(plan, by_rule(HANDS_OFF, fingerprint), why.to_owned(), Some(Field::Username));
    }

    /// A rule keeps the account from being written; one about the login name is a conflict.
    fn forbid(&self, plan: &mut Plan, fingerprint: String, reason: String, field: Option<Field>) {
        if !self.blocked(&AccountStep::Write, &fingerprint, plan) {
            let conflict = field.is_some();
            let state = StepState { conflict, ..refused(fingerprint, reason, field, self.rules.now) };
            plan.stuck.push((Place::Account(AccountStep::Write), state));
        }
    }

    fn blocked(&self, step: &AccountStep, fingerprint: &str, plan: &mut Plan) -> bool {
        blocks(self.facts.record.steps.get(step), fingerprint, self.rules.now, plan)
    }
}

/// Whether the person is in one of the groups that the policy asks for.
fn required(facts: &UserFacts, policy: &Policy) -> bool {
    let names = &policy.users.required_groups;
    names.is_empty() || names.iter().any(|name| facts.wanted.contains_key(&fold(name.trim())))
}

/// How to leave an account that was there before a create that was refused and taken back.
fn as_found<'a>(facts: &'a UserFacts, user: &UserNow) -> Option<&'a AsFound> {
    facts.record.found.as_ref().filter(|_| user.undone)
}

/// A found account is our own creation only if what we sent fits. A target that invites people may show their address as
/// their name until they have come.
pub(super) fn is_what_we_sent(sent: &Account, seen: &SeenAccount) -> bool {
    let address = seen.username.contains('@') && fold(&seen.display_name) == fold(&seen.username);
    let nameless = address || seen.read_only.contains(&Field::DisplayName);
    fold(&sent.username) == fold(&seen.username)
        && (nameless || sent.display_name == seen.display_name)
        && seen.email.as_ref().is_none_or(|email| *email == sent.email)
}

/// The fields that differ and may be written. A login name that differs only in letter case is no rename to Jira (DC-30),
/// so it is none here.
fn change(seen: &SeenAccount, desired: &Account) -> AccountChange {
    let writable = |field: Field| !seen.read_only.contains(&field);
    let renamed = fold(&seen.username) != fold(&desired.username) && writable(Field::Username);
    let moved = seen.email.as_ref() != Some(&desired.email) && writable(Field::Email);
    let called = seen.display_name != desired.display_name && writable(Field::DisplayName);
    let extra =
        desired.extra.iter().filter(|(name, value)| seen.extra.get(*name) != Some(value) && writable(Field::Extra));
    AccountChange {
        username: renamed.then(|| desired.username.clone()),
        email: moved.then(|| desired.email.clone()),
        display_name: called.then(|| desired.display_name.clone()),
        extra: extra.map(|(name, value)| (name.clone(), value.clone())).collect(),
    }
}

fn blocks(state: Option<&StepState>, fingerprint: &str, now: DateTime<Utc>, plan: &mut Plan) -> bool {
    let Some(state) = state else { return false };
    let blocks = state.blocks(fingerprint, now);
    if blocks && let Some(at) = state.retry_at {
        plan.due_at(at);
    }
    blocks
}
