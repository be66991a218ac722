//! The planner: what has to be done at the target so that a user is as the store says. A pure function.
//!
//! It compares desired (the store, through the policy) with the record (what we last wrote or saw). What is marked
//! `maybe` counts as unknown: an account is looked at, a wanted pair is added (adding looks), an unwanted one is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::account::{Account, By, Field, SeenAccount, fold};
use crate::jira::AccountChange;
use crate::policy::groups::{Groups, Remove, jira_groups};
use crate::policy::mapping::{self, Ground};
use crate::policy::protect::Protected;
use crate::policy::{Adopt, OnDelete, Policy};
use crate::store::link::{
    AccountStep, AsFound, InGroup, Known, Override, Pinned, StepState, Stuck, UserFacts, UserNow,
};

mod bar;
mod membership;
mod reasons;
mod states;
mod step;

#[cfg(test)]
mod tests;

pub use reasons::{Reasons, reasons};
pub use states::{
    DELETE_FINGERPRINT, access_fingerprint, active_fingerprint, barred_fingerprint, fingerprint, group_fingerprint,
    look_fingerprint, pair_fingerprint, place_of, write_fingerprint,
};
use states::{NO_ACCOUNT, NO_ADOPTION, UNMAPPED, by_rule};
pub use states::{is_asked, is_no_account, to_approve};
pub use step::{Place, Plan, Step, StepKind, kind_of};

/// How long until somebody without an account is looked for again, where we make none.
const DAILY: TimeDelta = TimeDelta::days(1);

/// What the plan goes by besides the facts.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The tenant's.
    pub policy: Arc<Policy>,
    /// What nothing may touch.
    pub protected: Protected,
    /// What an account depends on besides the user and the policy.
    pub ground: Ground,
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// The only steps that may be planned, besides looking; `None`: all.
    pub only: Option<BTreeSet<StepKind>>,
}

/// The Jira groups that a user's SCIM groups stand for: key to name.
pub fn wanted(groups_in: &[InGroup], rules: &Groups) -> BTreeMap<String, String> {
    let mut wanted = BTreeMap::new();
    for name in names(groups_in, rules).flat_map(|name| jira_groups(rules, name)) {
        wanted.entry(fold(&name)).or_insert(name);
    }
    wanted
}

/// The names of the groups that count.
pub fn names<'a>(groups_in: &'a [InGroup], rules: &'a Groups) -> impl Iterator<Item = &'a String> {
    groups_in.iter().filter(|group| group.direct || rules.nesting).map(|group| &group.name)
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
    planner.overrides_end(&mut plan);
    if planner.account(&mut plan) {
        planner.access(&mut plan);
        planner.groups(&mut plan);
    }
    plan.void = planner.void(&plan);
    plan.keep(rules.only.as_ref());
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
    /// What an account of the user is found by.
    finders: Vec<By>,
    /// Why the account cannot be written, where the policy's expressions do not come out.
    unmapped: Option<String>,
    /// Whether the identity provider and the policy want the person in, or somebody by hand.
    entitled: bool,
    /// Whether somebody pinned by hand that the person may log in, or may not.
    forced: Option<bool>,
    /// Whether the account itself is written: not by policy, and not where nobody claimed what was imported.
    managed: bool,
}

impl<'a> Planner<'a> {
    fn new(facts: &'a UserFacts, rules: &'a Rules) -> Option<Self> {
        let user = facts.user.as_ref()?;
        let groups = &rules.policy.groups;
        let forced = in_force(facts, rules.now).filter_map(|pinned| pinned.what.activity()).next_back();
        let entitled = forced.unwrap_or(user.active && required(facts, &rules.policy));
        let active = match (as_found(facts, user), forced) {
            // Nobody is switched on for having been in once: a purge may come years after somebody left.
            (Some(found), _) => found.active && facts.record.linked().is_none_or(|seen| seen.active),
            (None, Some(forced)) => forced,
            (None, None) if user.imported => facts.record.linked().map_or(user.active, |seen| seen.active),
            (None, None) => entitled && !user.deleted,
        };
        let names = names(&facts.groups_in, groups);
        let mapped = mapping::account(&user.attrs, active, names, &rules.policy, &rules.ground);
        let finders = mapping::finders(&user.attrs, &mapped, &rules.policy, &rules.ground);
        let managed = (rules.policy.users.enabled || user.purged) && !user.imported;
        Some(Self {
            finders,
            facts,
            rules,
            user,
            desired: mapped.account,
            unmapped: mapped.problem,
            entitled,
            forced,
            managed,
        })
    }

    /// Whether something has to be read before anything can be planned.
    fn look(&self) -> Option<Step> {
        let record = &self.facts.record;
        let by_name = |username: &str| Some(Step::Look { id: None, username: username.to_owned(), by: Vec::new() });
        let by_id = |seen: &SeenAccount| {
            let (id, username) = (Some(seen.id.clone()), seen.username.clone());
            Some(Step::Look { id, username, by: Vec::new() })
        };
        let late = self.facts.look_at.is_some_and(|at| at <= self.rules.now);
        match &record.known {
            Known::Linked { seen, maybe } if late || *maybe => by_id(seen),
            Known::Linked { seen, .. } if self.awaits_survey(seen) => by_id(seen),
            Known::Linked { .. } => None,
            Known::Nothing | Known::Absent if !self.managed && !self.looks_for_account() => None,
            Known::Nothing | Known::Absent | Known::Found(_) if late => match record.maybe_created.last() {
                Some(sent) => by_name(&sent.username),
                None => self.look_for_account(),
            },
            Known::Nothing => match record.maybe_created.last() {
                Some(sent) => by_name(&sent.username),
                None if !self.managed => self.look_for_account(),
                // Somebody of that name who may log in although the IdP says that the person may not.
                None if !self.user.deleted && !self.entitled => self.look_for_account(),
                // A create tells only of who has the login name.
                None if !self.user.deleted => self.look_for_account().filter(Step::finds_otherwise),
                None => None,
            },
            // The name that was found is not the name that is wanted any more. Our own creation is renamed instead.
            Known::Found(seen)
                if fold(&seen.username) != fold(&self.desired.username)
                    && !self.matches(seen)
                    && !self.user.deleted
                    && !self.is_our_creation(seen) =>
            {
                self.look_for_account()
            }
            // It was not there the last time.
            Known::Absent if !self.managed && self.facts.record.steps.contains_key(&AccountStep::Write) => {
                self.look_for_account()
            }
            Known::Absent | Known::Found(_) => None,
        }
    }

    /// A look for an account that the user may have already.
    fn look_for_account(&self) -> Option<Step> {
        let by_name = self.finders == [By::Username(self.desired.username.clone())];
        let by = if by_name { Vec::new() } else { self.finders.clone() };
        (!self.finders.is_empty()).then(|| Step::Look { id: None, username: self.desired.username.clone(), by })
    }

    /// Whether an account is one that the policy would find for this user.
    fn matches(&self, seen: &SeenAccount) -> bool {
        self.finders.iter().any(|by| by.is(seen))
    }

    /// Whether an account is looked for that we would not make: not again before its time.
    fn looks_for_account(&self) -> bool {
        let fingerprint = by_rule(NO_ACCOUNT, &write_fingerprint(&self.desired));
        let state = self.facts.record.steps.get(&AccountStep::Write);
        let waits = state.is_some_and(|state| state.blocks(&fingerprint, self.rules.now));
        !self.user.imported && !self.user.deleted && self.desired.active && !waits
    }

    /// Whether the groups of the account have to be known, and are not.
    fn awaits_survey(&self, seen: &SeenAccount) -> bool {
        let all = self.rules.policy.groups.remove == Remove::All && self.writes_groups();
        all && !self.facts.record.surveyed && !self.user.imported && self.bar(seen).is_none()
    }

    /// Plans the account; false where nothing can be said of its groups.
    fn account(&self, plan: &mut Plan) -> bool {
        match &self.facts.record.known {
            Known::Nothing | Known::Absent if self.managed => self.create(plan),
            Known::Nothing | Known::Absent => {
                self.miss(plan);
                false
            }
            Known::Found(seen) => {
                self.found(seen, plan);
                false
            }
            Known::Linked { seen, .. } => match self.bar(seen) {
                Some(bar) => {
                    self.forbid_by(plan, &bar);
                    false
                }
                None => {
                    self.linked(seen, plan);
                    true
                }
            },
        }
    }

    fn create(&self, plan: &mut Plan) -> bool {
        if !self.desired.active || self.user.deleted || self.awaits_another_name() {
            return false;
        }
        let fingerprint = write_fingerprint(&self.desired);
        if let Some(bar) = self.bar_of_name(&self.desired.username) {
            self.forbid_by(plan, &bar);
            return false;
        }
        if let Some(why) = &self.unmapped {
            self.forbid(plan, by_rule(UNMAPPED, &fingerprint), why.clone(), None);
            return false;
        }
        if self.blocked(&AccountStep::Write, &fingerprint, plan) {
            return false;
        }
        plan.steps.push(Step::Create { account: self.desired.clone(), welcome: self.welcome() });
        true
    }

    /// There is no account, and we make none.
    fn miss(&self, plan: &mut Plan) {
        if self.user.imported || self.user.deleted || !self.desired.active {
            return;
        }
        let fingerprint = by_rule(NO_ACCOUNT, &write_fingerprint(&self.desired));
        if !self.blocked(&AccountStep::Write, &fingerprint, plan) {
            let reason =
                format!("There is no account named {}, and policy.users.enabled is off.", self.desired.username);
            let retry_at = Some(self.rules.now + DAILY);
            let state = StepState { retry_at, ..refused(fingerprint, reason, Some(Field::Username), self.rules.now) };
            plan.stuck.push((Place::Account(AccountStep::Write), state));
        }
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
        if let Some(bar) = self.bar(seen) {
            self.forbid_by(plan, &bar);
        } else if made || self.adopts(seen) {
            // Also blocked when another tenant holds the account: the state says so until the name changes.
            if !self.blocked(&AccountStep::Write, &fingerprint, plan) {
                let welcome = if made { self.welcome() } else { BTreeMap::new() };
                plan.steps.push(Step::Link { account: seen.clone(), made, welcome });
            }
        } else if let Some(why) = self.unmapped.as_ref().filter(|_| !self.user.deleted) {
            self.forbid(plan, by_rule(UNMAPPED, &fingerprint), why.clone(), None);
        } else if !self.user.deleted && self.asks_for(seen) {
            self.ask(seen, plan);
        } else if !self.user.deleted {
            let name = &seen.username;
            let reason = if self.matches(seen) {
                format!("An account named {name} exists in Jira already, and adoption is off.")
            } else {
                format!(
                    "An account named {name} exists in Jira already, and policy.match does not find people by that."
                )
            };
            self.forbid(plan, by_rule(NO_ADOPTION, &fingerprint), reason, Some(Field::Username));
        }
    }

    /// Whether the found account becomes the user's.
    fn adopts(&self, seen: &SeenAccount) -> bool {
        let approved = self.facts.record.approved.as_ref() == Some(&seen.id);
        let adopt = self.rules.policy.adopt;
        !self.user.deleted && self.matches(seen) && (adopt == Adopt::Link || (adopt == Adopt::Ask && approved))
    }

    /// Whether the found account becomes the user's once somebody approves.
    fn asks_for(&self, seen: &SeenAccount) -> bool {
        self.rules.policy.adopt == Adopt::Ask && self.matches(seen)
    }

    fn ask(&self, seen: &SeenAccount, plan: &mut Plan) {
        let state = to_approve(&self.desired, seen, self.rules.now);
        if !self.blocked(&AccountStep::Write, &state.fingerprint, plan) {
            plan.stuck.push((Place::Account(AccountStep::Write), state));
        }
    }

    fn linked(&self, seen: &SeenAccount, plan: &mut Plan) {
        if !self.managed {
            // What somebody decides by hand is done all the same.
            if self.forced.is_some() {
                self.set_active(seen, plan);
            }
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
        } else if let Some(bar) = self.bar_of_name(&self.desired.username).filter(|_| renames) {
            self.forbid_by(plan, &bar);
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
        let deprovision = &self.rules.policy.deprovision;
        let delete = deprovision.on_delete == OnDelete::Delete
            && self.forced != Some(true)
            && as_found(self.facts, self.user).is_none();
        let since = self.user.deleted_at.unwrap_or(self.rules.now);
        let at = since.checked_add_signed(deprovision.delete_after.delta()).unwrap_or(DateTime::<Utc>::MAX_UTC);
        // A purge was asked for by name, and waits for nothing.
        if delete && at > self.rules.now && !self.user.purged {
            plan.due_at(at);
            self.set_active(seen, plan);
        } else if delete && !self.blocked(&AccountStep::Delete, DELETE_FINGERPRINT, plan) {
            plan.steps.push(Step::Delete { id: seen.id.clone() });
        } else {
            self.set_active(seen, plan);
        }
    }

    /// What is pinned for a time has to be looked at again when the time is over.
    fn overrides_end(&self, plan: &mut Plan) {
        in_force(self.facts, self.rules.now).filter_map(|pinned| pinned.until).for_each(|until| plan.due_at(until));
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
    let required = &policy.users.required_groups;
    // By its first name, or by the one that it has now: nobody is put out because a group is renamed.
    let counts = |group: &&InGroup| group.direct || policy.groups.nesting;
    let called = |group: &InGroup, name: &str| fold(&group.name) == name || fold(&group.shown) == name;
    let is_in = |name: &String| {
        let name = fold(name.trim());
        facts.groups_in.iter().filter(counts).any(|group| called(group, &name))
    };
    required.is_empty() || required.iter().any(is_in)
}

/// What is pinned now. An account that was switched off by hand until the identity provider does so is, once it does.
fn in_force(facts: &UserFacts, now: DateTime<Utc>) -> impl DoubleEndedIterator<Item = &Override> {
    let wanted = facts.user.as_ref().is_some_and(|user| user.active && !user.deleted);
    facts.overrides.iter().filter(move |pinned| pinned.until.map_or(wanted, |until| until > now))
}

/// Overrides without an end that the identity provider has caught up with.
pub fn caught_up(facts: &UserFacts) -> Vec<uuid::Uuid> {
    let gone = facts.user.as_ref().is_some_and(|user| !user.active || user.deleted);
    let ended = facts.overrides.iter().filter(|pinned| gone && pinned.until.is_none());
    ended.map(|pinned| pinned.id).collect()
}

impl Pinned {
    fn is_member_of(&self, group: &str) -> bool {
        matches!(self, Self::Member { key, .. } if key == group)
    }

    fn activity(&self) -> Option<bool> {
        match self {
            Self::Active => Some(true),
            Self::Inactive => Some(false),
            Self::Member { .. } => None,
        }
    }
}

/// How to leave an account that was there before a create that was refused and taken back, or before a purge.
fn as_found(facts: &UserFacts, user: &UserNow) -> Option<AsFound> {
    let record = &facts.record;
    let now = |seen: &SeenAccount| AsFound { active: seen.active, ..AsFound::default() };
    match &record.found {
        Some(found) => user.undone.then(|| found.clone()),
        // Of somebody who came back nobody knows any more how the account was found; it is not ours all the same.
        None if user.purged && !record.made => record.linked().map(now),
        None => None,
    }
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
