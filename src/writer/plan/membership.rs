//! The part of the plan that is about groups and applications: what a person is to be in, compared with what is on record.

use std::collections::BTreeMap;

use super::states::access_fingerprint;
use super::{Place, Plan, Planner, Step, as_found, blocks, group_fingerprint, in_force, refused};
use crate::account::{Access, fold};
use crate::policy::groups::{Remove, When};
use crate::store::link::{AccountStep, GroupKnown, JiraGroup, Pair, Pinned, StepState, Stuck};

impl Planner<'_> {
    /// Access to applications. Somebody who may not log in is given nothing, and keeps what is there: it costs no seat.
    pub(super) fn access(&self, plan: &mut Plan) {
        if !self.managed || plan.steps.iter().any(|step| matches!(step, Step::Create { .. } | Step::Delete { .. })) {
            return;
        }
        let (grant, revoke) = self.access_to_do();
        for (accesses, give) in [(revoke, false), (grant, true)] {
            for access in accesses {
                let step = AccountStep::Access(access.clone());
                if !self.blocked(&step, &access_fingerprint(give), plan) {
                    plan.steps.push(if give { Step::Grant { access } } else { Step::Revoke { access } });
                }
            }
        }
    }

    /// What is to be given, and what is to be taken away.
    pub(super) fn access_to_do(&self) -> (Vec<Access>, Vec<Access>) {
        let record = &self.facts.record;
        let wanted = &self.desired.access;
        let sure = |access: &&Access| record.granted.contains(*access) && !record.maybe_granted.contains(*access);
        let grant = match self.desired.active && !self.user.deleted {
            true => wanted.iter().filter(|access| !sure(access)).cloned().collect(),
            false => Vec::new(),
        };
        let found = self.user.purged && !record.made;
        let strip = found || (self.rules.policy.deprovision.strip_groups && !self.desired.active);
        let on_record = record.granted.union(&record.maybe_granted);
        let revoke = match self.desired.active || strip {
            true => on_record.filter(|access| strip || !wanted.contains(*access)).cloned().collect(),
            false => Vec::new(),
        };
        (grant, revoke)
    }

    pub(super) fn groups(&self, plan: &mut Plan) {
        // A deleted account is in no group.
        if !self.writes_groups() || plan.steps.iter().any(|step| matches!(step, Step::Delete { .. })) {
            return;
        }
        let mut wanted = self.wanted_groups();
        if let Some(Step::Create { welcome, .. }) = plan.steps.first() {
            wanted.extend(welcome.clone());
        }
        for (key, pair) in &self.facts.pairs {
            if !wanted.contains_key(key) && self.takes_away(key, pair) {
                self.part(key, pair, plan);
            }
        }
        for (key, name) in &wanted {
            self.join(key, name, plan);
        }
    }

    /// Whether anything is done about groups at all.
    pub(super) fn writes_groups(&self) -> bool {
        self.rules.ground.capabilities.groups && (self.rules.policy.groups.enabled || self.user.purged)
    }

    /// The Jira groups that the person is to be in, by key.
    pub(super) fn wanted_groups(&self) -> BTreeMap<String, String> {
        let gone = self.user.deleted && self.forced != Some(true);
        if gone || (!self.entitled && self.rules.policy.deprovision.strip_groups) {
            return BTreeMap::new();
        }
        let mut wanted = if self.user.deleted { BTreeMap::new() } else { self.facts.wanted.clone() };
        for (key, name) in self.defaults() {
            wanted.entry(key).or_insert(name);
        }
        for pinned in in_force(self.facts, self.rules.now) {
            if let Pinned::Member { key, name } = &pinned.what {
                wanted.entry(key.clone()).or_insert_with(|| name.clone());
            }
        }
        wanted
    }

    /// The default groups that the person is in: all, or those that came with the account.
    fn defaults(&self) -> BTreeMap<String, String> {
        if self.user.imported || self.user.deleted {
            return BTreeMap::new();
        }
        let came = |key: &String| {
            let pair = self.facts.pairs.get(key);
            pair.is_some_and(|pair| (pair.written && !pair.theirs) || pair.maybe || pair.step.is_some())
        };
        let always = self.rules.policy.groups.default_groups_when == When::Always;
        self.default_groups().filter(|(key, _)| always || came(key)).collect()
    }

    fn default_groups(&self) -> impl Iterator<Item = (String, String)> {
        self.rules.policy.groups.default_groups.iter().map(|name| (fold(name.trim()), name.trim().to_owned()))
    }

    /// The groups that come with the creation of an account, and are not asked for again.
    pub(super) fn welcome(&self) -> BTreeMap<String, String> {
        let once = self.rules.policy.groups.default_groups_when == When::Create && self.writes_groups();
        if once { self.default_groups().collect() } else { BTreeMap::new() }
    }

    /// Whether a membership that nobody asks for is taken away.
    pub(super) fn takes_away(&self, key: &str, pair: &Pair) -> bool {
        let found = as_found(self.facts, self.user);
        if !self.writes_groups()
            || found.as_ref().is_some_and(|found| pair.theirs || pair.imported || found.groups.contains(key))
        {
            return false;
        }
        let groups = &self.rules.policy.groups;
        if self.user.purged {
            // All that was given from here, and only that, whatever the rule is for others.
            return !pair.theirs && !pair.imported;
        }
        match groups.remove {
            // What was given for a time by hand is taken back all the same.
            Remove::Never => !pair.theirs && self.facts.overrides.iter().any(|over| over.what.is_member_of(key)),
            Remove::Ours => !pair.theirs,
            Remove::All => {
                let name = self.facts.groups.get(key).map_or(key, |group| &group.name);
                !groups.keeps(name) && !(pair.theirs && (self.user.imported || self.bars(key)))
            }
        }
    }

    fn join(&self, key: &str, name: &str, plan: &mut Plan) {
        let pair = self.facts.pairs.get(key).cloned().unwrap_or_default();
        let group = self.facts.groups.get(key).cloned().unwrap_or_default();
        let barred = self.bars(key);
        let fingerprint = self.desired_pair(key, true);
        let create = self.rules.policy.groups.create_missing;
        // Somebody who may not log in joins nothing new; what is there already stays.
        let settled = pair.written && !pair.maybe && !pair.theirs;
        if settled || (!self.desired.active && !pair.maybe) || self.blocks_pair(&pair, &group, key, &fingerprint, plan)
        {
            return;
        }
        if barred {
            let reason = self.why_barred(name, "nothing joins it");
            plan.stuck.push((Place::Pair(key.to_owned()), refused(fingerprint, reason, None, self.rules.now)));
            return;
        }
        if group.known != GroupKnown::Exists {
            if let Some(state) = &group.step
                && state.blocks(&group_fingerprint(key, create), self.rules.now)
            {
                state.retry_at.into_iter().for_each(|at| plan.due_at(at));
                let reason = format!("Waits for the Jira group {name}: {}", state.reason);
                let waiting = StepState { state: Stuck::Waiting, ..refused(fingerprint, reason, None, self.rules.now) };
                plan.stuck.push((Place::Pair(key.to_owned()), waiting));
                return;
            }
            plan.steps.push(Step::EnsureGroup { key: key.to_owned(), name: name.to_owned(), create });
        }
        plan.steps.push(Step::AddMember { key: key.to_owned(), name: name.to_owned() });
    }

    fn part(&self, key: &str, pair: &Pair, plan: &mut Plan) {
        let group = self.facts.groups.get(key).cloned().unwrap_or_default();
        let name = if group.name.is_empty() { key } else { &group.name };
        let fingerprint = self.desired_pair(key, false);
        if !(pair.written || pair.maybe) || blocks(pair.step.as_ref(), &fingerprint, self.rules.now, plan) {
            return;
        }
        if self.bars(key) {
            let reason = self.why_barred(name, "nobody is taken out");
            plan.stuck.push((Place::Pair(key.to_owned()), refused(fingerprint, reason, None, self.rules.now)));
            return;
        }
        plan.steps.push(Step::RemoveMember { key: key.to_owned(), name: name.to_owned() });
    }

    pub(super) fn bars(&self, key: &str) -> bool {
        let labelled = self.facts.groups.get(key).is_some_and(|group| group.administrative);
        self.rules.protected.bars_group(&self.rules.policy, key, labelled)
    }

    fn why_barred(&self, name: &str, what: &str) -> String {
        if self.rules.policy.protect.covers_group(name) {
            return format!("policy.protect.groups keeps everybody off the Jira group {name}: {what}.");
        }
        format!("The Jira group {name} grants administration; {what} unless protect.allow names it.")
    }

    /// A pair that waits for its group waits only as long as the group is not known to exist.
    fn blocks_pair(&self, pair: &Pair, group: &JiraGroup, key: &str, fingerprint: &str, plan: &mut Plan) -> bool {
        match &pair.step {
            Some(state) if state.state == Stuck::Waiting => {
                let ensured = group_fingerprint(key, self.rules.policy.groups.create_missing);
                let retry_at = group.step.as_ref().and_then(|step| step.retry_at).filter(|at| *at > self.rules.now);
                retry_at.into_iter().for_each(|at| plan.due_at(at));
                group.known != GroupKnown::Exists
                    && group.step.as_ref().is_some_and(|step| step.blocks(&ensured, self.rules.now))
                    && state.fingerprint == fingerprint
            }
            state => blocks(state.as_ref(), fingerprint, self.rules.now, plan),
        }
    }
}
