//! The part of the plan that is about groups and applications: what a person is to be in, compared with what is on record.

use super::states::access_fingerprint;
use super::{Place, Plan, Planner, Step, as_found, blocks, group_fingerprint, refused};
use crate::account::{Access, fold};
use crate::store::link::{AccountStep, GroupKnown, JiraGroup, Pair, StepState, Stuck};

impl Planner<'_> {
    /// Access to applications. Somebody who may not log in is given nothing, and keeps what is there: it costs no seat.
    pub(super) fn access(&self, plan: &mut Plan) {
        if plan.steps.iter().any(|step| matches!(step, Step::Create { .. } | Step::Delete { .. })) {
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
        let strip = self.rules.policy.deprovision.strip_groups && !self.desired.active;
        let on_record = record.granted.union(&record.maybe_granted);
        let revoke = match self.desired.active || strip {
            true => on_record.filter(|access| strip || !wanted.contains(*access)).cloned().collect(),
            false => Vec::new(),
        };
        (grant, revoke)
    }

    pub(super) fn groups(&self, plan: &mut Plan) {
        // A deleted account is in no group.
        if !self.rules.ground.capabilities.groups || plan.steps.iter().any(|step| matches!(step, Step::Delete { .. })) {
            return;
        }
        let wanted = self.wanted_groups();
        for (key, pair) in &self.facts.pairs {
            let stays = as_found(self.facts, self.user).is_some_and(|found| found.groups.contains(key));
            if !stays && !wanted.iter().any(|(wanted, _)| wanted == key) {
                self.part(key, pair, plan);
            }
        }
        for (key, name) in &wanted {
            self.join(key, name, plan);
        }
    }

    /// The Jira groups that the person is to be in, by key.
    pub(super) fn wanted_groups(&self) -> Vec<(String, String)> {
        if self.user.deleted || (!self.entitled && self.rules.policy.deprovision.strip_groups) {
            return Vec::new();
        }
        let mut wanted = self.facts.wanted.clone();
        for name in &self.rules.policy.groups.default_groups {
            wanted.entry(fold(name.trim())).or_insert_with(|| name.trim().to_owned());
        }
        wanted.into_iter().collect()
    }

    fn join(&self, key: &str, name: &str, plan: &mut Plan) {
        let pair = self.facts.pairs.get(key).cloned().unwrap_or_default();
        let group = self.facts.groups.get(key).cloned().unwrap_or_default();
        let barred = self.bars(key);
        let fingerprint = self.desired_pair(key, true);
        let create = self.rules.policy.groups.create_missing;
        // Somebody who may not log in joins nothing new; what is there already stays.
        let settled = pair.written && !pair.maybe;
        if settled || (!self.desired.active && !pair.maybe) || self.blocks_pair(&pair, &group, key, &fingerprint, plan)
        {
            return;
        }
        if barred {
            let reason =
                format!("The Jira group {name} grants administration; nothing joins it unless protect.allow names it.");
            plan.stuck.push((Place::Pair(key.to_owned()), refused(fingerprint, reason, None, self.rules.now)));
            return;
        }
        if group.known != GroupKnown::Exists {
            if let Some(state) = &group.step
                && state.blocks(&group_fingerprint(key, create), self.rules.now)
            {
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
            let reason = format!(
                "The Jira group {name} grants administration; nobody is taken out unless protect.allow names it."
            );
            plan.stuck.push((Place::Pair(key.to_owned()), refused(fingerprint, reason, None, self.rules.now)));
            return;
        }
        plan.steps.push(Step::RemoveMember { key: key.to_owned(), name: name.to_owned() });
    }

    pub(super) fn bars(&self, key: &str) -> bool {
        let labelled = self.facts.groups.get(key).is_some_and(|group| group.administrative);
        self.rules.protected.bars_group(&self.rules.policy, key, labelled)
    }

    /// A pair that waits for its group waits only as long as the group is not known to exist.
    fn blocks_pair(&self, pair: &Pair, group: &JiraGroup, key: &str, fingerprint: &str, plan: &mut Plan) -> bool {
        match &pair.step {
            Some(state) if state.state == Stuck::Waiting => {
                let ensured = group_fingerprint(key, self.rules.policy.groups.create_missing);
                group.known != GroupKnown::Exists
                    && group.step.as_ref().is_some_and(|step| step.blocks(&ensured, self.rules.now))
                    && state.fingerprint == fingerprint
            }
            state => blocks(state.as_ref(), fingerprint, self.rules.now, plan),
        }
    }
}
