//! Groups and tenants as subjects: the Jira group's existence, and the users that a change of structure concerns.
//!
//! The fan-out pages over users by key, a page a transaction, and enqueues only those whose plan is not empty.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Inner;
use super::absorb::{absorb, absorb_error, mark, refuse, set_states};
use super::brake;
use super::claim::{Structure, times};
use super::drive::DriveEnd;
use super::facts::facts_of;
use super::gate::LeaseGate;
use super::outcome::{Failure, Verdict, judge};
use super::perform::perform;
use super::plan::{Place, Plan, Step, StepKind, barred_fingerprint, group_fingerprint, plan_user, refused};
use super::release::{group_mark, missing_groups};
use crate::account::fold;
use crate::jira::{Calls, TargetError};
use crate::policy::OnGroupDelete;
use crate::policy::groups::jira_groups;
use crate::store::StoreError;
use crate::store::delivery;
use crate::store::drive::{self, Finish, GroupFacts};
use crate::store::link::{GroupKnown, JiraGroup, StepState, Stuck, UserFacts};
use crate::store::outbox::{self, NudgeAs, Subject};

/// Users of one page.
const PAGE: i64 = 1000;

impl Inner {
    /// Drives a group or a tenant. Returns the end and the number of calls.
    pub(crate) async fn drive_structure(&self, work: Structure) -> Result<(DriveEnd, usize), StoreError> {
        let group = match work.lease.subject {
            Subject::Group(id) => {
                let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
                drive::group_facts(&mut conn, work.lease.tenant_id, id).await?.map(|facts| (id, facts))
            }
            Subject::User(_) | Subject::Tenant(_) => None,
        };
        if work.rules.only.is_some() && !group.as_ref().is_some_and(|(_, facts)| still_released(facts, &work)) {
            let nothing = Ended::nothing();
            return self.end_structure(&work, None, nothing).await;
        }
        let groups = &work.rules.policy.groups;
        let names = group.as_ref().map(|(_, facts)| jira_groups(groups, &facts.alias)).unwrap_or_default();
        let mut ended = Ended::nothing();
        let deleted = group.as_ref().is_some_and(|(_, facts)| facts.deleted);
        for name in &names {
            let next = match deleted {
                _ if !groups.enabled || !work.rules.ground.capabilities.groups => break,
                false if groups.create_missing => self.ensure(&work, name).await?,
                false => break,
                true => self.part_with(&work, name).await?,
            };
            ended = ended.and(next);
            if ended.finish != (Finish::Done { due: None }) {
                break;
            }
            if deleted {
                self.no_longer_held(&work, &fold(name)).await?;
            }
        }
        if matches!(work.lease.subject, Subject::Tenant(_)) {
            ended = ended.and(self.purged_groups(&work).await?);
        }
        // A Jira group that could not be deleted yet is not emptied before that is known.
        if deleted && ended.finish != (Finish::Done { due: None }) {
            return self.end_structure(&work, None, ended).await;
        }
        if work.lease.fan_out {
            let mut after = work.lease.page_after.unwrap_or(Uuid::nil());
            let keys: Vec<String> = names.iter().map(|name| fold(name)).collect();
            let group = group.as_ref().map(|(id, _)| (*id, keys.as_slice()));
            let keeps = deleted && work.rules.policy.deprovision.on_group_delete == OnGroupDelete::Keep;
            while let Some(last) = self.page(&work, group, keeps, after).await? {
                after = last;
            }
            if group.is_none() {
                self.missing_groups(&work).await?;
            }
            self.wake_all();
        }
        let gone = group.filter(|_| deleted).map(|(id, _)| id);
        self.end_structure(&work, gone, ended).await
    }

    /// Gives the lease back; the edges of a group that is `gone` go with it.
    async fn end_structure(
        &self,
        work: &Structure,
        gone: Option<Uuid>,
        ended: Ended,
    ) -> Result<(DriveEnd, usize), StoreError> {
        let mut tx = self.store.pool().begin().await?;
        let holds = drive::still_holds(&mut tx, &work.lease).await?.is_some();
        if holds {
            if let Some(id) = gone {
                drive::purge_group_edges(&mut tx, work.lease.tenant_id, id).await?;
            }
            drive::finish(&mut tx, &work.lease, &ended.finish).await?;
        }
        tx.commit().await?;
        let end = match ended.finish {
            Finish::Done { .. } if holds => DriveEnd::Settled { refused: ended.refused, standing: Vec::new() },
            Finish::Done { .. } | Finish::Again { .. } => DriveEnd::Pending,
        };
        Ok((end, ended.calls))
    }

    fn wake_all(&self) {
        for runtime in self.targets.values() {
            runtime.wake.notify_one();
        }
    }

    /// One page: enqueues those whose plan is not empty, and keeps the place. `None` at the end.
    async fn page(
        &self,
        work: &Structure,
        group: Option<(Uuid, &[String])>,
        keeps: bool,
        after: Uuid,
    ) -> Result<Option<Uuid>, StoreError> {
        let tenant_id = work.lease.tenant_id;
        let mut tx = self.store.pool().begin().await?;
        if !drive::renew(&mut tx, &work.lease, self.options.lease).await? {
            return Ok(None);
        }
        let users = match group {
            Some((id, keys)) => drive::users_of_group(&mut tx, tenant_id, id, keys, after, PAGE).await?,
            None => drive::users_of_tenant(&mut tx, tenant_id, after, PAGE).await?,
        };
        let Some(last) = users.last().copied() else { return Ok(None) };
        let mut all = facts_of(&mut tx, tenant_id, &users, &work.rules).await?;
        for key in group.filter(|_| keeps).map(|(_, keys)| keys).unwrap_or_default() {
            let left = all.iter_mut().filter(|facts| !facts.wanted.contains_key(key));
            let users: Vec<Uuid> = left.filter_map(|facts| facts.pairs.remove(key).map(|_| facts.user_id)).collect();
            drive::forget_pairs(&mut tx, tenant_id, key, &users).await?;
        }
        // What was decided while the tenant only observed.
        let decided = brake::decided(&mut tx, tenant_id, &all).await?;
        let concerned: Vec<Uuid> = all
            .into_iter()
            .filter_map(|mut facts| {
                // What a brake holds that the policy has switched off is to be done.
                brake::let_go(&mut facts, &work.rules);
                let plan = plan_user(&facts, &work.rules);
                // Also who waits for a time: while the tenant only observed, that was forgotten.
                let concerned = !plan.is_empty() || plan.due.is_some() || decided.contains(&facts.user_id);
                concerned.then_some(facts.user_id)
            })
            .collect();
        if !concerned.is_empty() {
            outbox::nudge(&mut tx, tenant_id, "user", &concerned, NudgeAs::BULK).await?;
        }
        drive::keep_page(&mut tx, &work.lease, last).await?;
        tx.commit().await?;
        Ok(Some(last))
    }

    /// Enqueues the tenant's groups whose Jira group is not known to exist: those that nobody is in are no user's matter. What
    /// was done of it before a crash is done again, which is no harm.
    async fn missing_groups(&self, work: &Structure) -> Result<(), StoreError> {
        let (rules, mut after) = (&work.rules.policy.groups, Uuid::nil());
        if !rules.enabled || !rules.create_missing || !work.rules.ground.capabilities.groups {
            return Ok(());
        }
        loop {
            let mut tx = self.store.pool().begin().await?;
            let page = drive::aliases(&mut tx, work.lease.tenant_id, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            if !drive::renew(&mut tx, &work.lease, self.options.lease).await? {
                return Ok(());
            }
            let missing = missing_groups(&mut tx, work.lease.tenant_id, &page, &work.rules).await?;
            outbox::nudge(&mut tx, work.lease.tenant_id, "group", &missing, NudgeAs::BULK).await?;
            tx.commit().await?;
        }
    }

    /// Makes sure that the Jira group exists, so that an administrator can give it permissions before anybody is in it.
    async fn ensure(&self, work: &Structure, name: &str) -> Result<Ended, StoreError> {
        let key = fold(name);
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let known = drive::jira_group(&mut conn, work.lease.tenant_id, &key).await?;
        drop(conn);
        let group = known.unwrap_or_else(|| JiraGroup { name: name.to_owned(), ..JiraGroup::default() });
        let facts = UserFacts { groups: BTreeMap::from([(key.clone(), group)]), ..UserFacts::default() };
        let plan = plan_group(&facts.groups, &key, work);
        if plan.is_empty() {
            return Ok(Ended { finish: Finish::Done { due: None }, refused: refusals(&facts, &key, work), calls: 0 });
        }
        self.group_steps(work, key, facts, plan).await
    }

    /// Does the steps about one Jira group, with their marks before and their record after.
    pub(super) async fn group_steps(
        &self,
        work: &Structure,
        key: String,
        mut facts: UserFacts,
        plan: Plan,
    ) -> Result<Ended, StoreError> {
        let tenant_id = work.lease.tenant_id;
        let mut tx = self.store.pool().begin().await?;
        let mut marked = facts.clone();
        mark(&mut marked, &plan);
        drive::save_groups(&mut tx, tenant_id, &marked.groups).await?;
        let steps = plan.steps.iter().map(|step| serde_json::json!({ "step": step })).collect();
        let delivery = delivery::begin(&mut tx, &work.lease, Uuid::now_v7(), &steps).await?;
        tx.commit().await?;

        let gate = LeaseGate::new(self, std::sync::Arc::clone(&work.runtime), &work.lease, work.taken);
        let calls = Calls::new(delivery.id, &gate);
        let times = times(&work.rules, &work.runtime, work.taken);
        let mut failure = None;
        set_states(&mut facts, &plan);
        for step in &plan.steps {
            match perform(work.runtime.target.as_ref(), &calls, step, &facts).await {
                Ok(done) => absorb(&mut facts, step, done, times),
                Err(error) => {
                    absorb_error(&mut facts, step, &error, times);
                    failure = Some((step, error));
                }
            }
        }
        let labelled = facts.groups.get(&key).is_some_and(|group| group.administrative);
        if facts.groups.contains_key(&key) && work.rules.protected.bars_group(&work.rules.policy, &key, labelled) {
            set_barred(&mut facts.groups, &key, work);
        }
        let made = calls.take();
        let finish = self.finish_group(work, failure.as_ref().map(|(_, error)| error)).await?;
        // A target that answers others and not this: given up, with the last error.
        if let (Finish::Done { .. }, Some((step, error @ TargetError::Unreachable { .. }))) = (&finish, &failure) {
            let reason = format!("Given up: {error}");
            refuse(&mut facts, step, refused(String::new(), reason, None, work.rules.now));
        }
        let mut tx = self.store.pool().begin().await?;
        if drive::still_holds(&mut tx, &work.lease).await?.is_none() {
            // The marks stay: whoever has the lease now makes sure of the group.
            let calls = serde_json::json!(made);
            delivery::end(&mut tx, &work.lease, delivery, &steps, &calls, "lost", Some("the lease was lost")).await?;
            tx.commit().await?;
            return Ok(Ended { finish, refused: Vec::new(), calls: made.len() });
        }
        drive::save_groups(&mut tx, tenant_id, &facts.groups).await?;
        match facts.groups.get(&key) {
            Some(group) if group.known == GroupKnown::Exists => {
                drive::nudge_waiting(&mut tx, tenant_id, &key).await?;
            }
            Some(_) => {}
            None => drive::forget_group(&mut tx, tenant_id, &key).await?,
        }
        let refused = refusals(&facts, &key, work);
        let outcome = match (&finish, refused.is_empty()) {
            (Finish::Again { .. }, _) => "paused",
            (Finish::Done { .. }, true) => "applied",
            (Finish::Done { .. }, false) => "refused",
        };
        let error = failure.as_ref().map(|(_, error)| error.to_string());
        delivery::end(&mut tx, &work.lease, delivery, &steps, &serde_json::json!(made), outcome, error.as_deref())
            .await?;
        tx.commit().await?;
        self.metrics.delivery(&work.tenant, outcome);
        Ok(Ended { finish, refused, calls: made.len() })
    }

    async fn finish_group(&self, work: &Structure, failure: Option<&TargetError>) -> Result<Finish, StoreError> {
        let Some(error) = failure else { return Ok(Finish::Done { due: None }) };
        let unreachable = matches!(error, TargetError::Unreachable { .. });
        let target_answers = unreachable && work.runtime.answers(self).await;
        let failure = Failure {
            attempts: work.lease.attempts,
            first_failure: work.lease.first_failure,
            ..work.runtime.failure(work.rules.now, target_answers)
        };
        Ok(match judge(error, failure, self.options.patience) {
            None | Some(Verdict::GiveUp) => Finish::Done { due: None },
            Some(Verdict::Pause { kind, wait }) => {
                work.runtime.pause(self, kind, wait, &error.to_string()).await?;
                again(work.rules.now, work.lease.attempts, work.lease.first_failure, error)
            }
            Some(Verdict::Leave) => again(work.rules.now, work.lease.attempts, work.lease.first_failure, error),
            Some(Verdict::Retry { at, attempts, first_failure }) => again(at, attempts, Some(first_failure), error),
        })
    }
}

/// Whether a group of a tenant that observes is as it was when somebody released it: what changed since is only observed.
fn still_released(group: &GroupFacts, work: &Structure) -> bool {
    let mark = group_mark(&group.alias, work.lease.rules.policy_version);
    let may = work.rules.only.as_ref().is_none_or(|only| only.contains(&StepKind::Group));
    may && !group.deleted && work.lease.release_mark.as_ref() == Some(&mark)
}

pub(super) struct Ended {
    pub(super) finish: Finish,
    pub(super) refused: Vec<(Place, StepState)>,
    pub(super) calls: usize,
}

impl Ended {
    /// There was nothing to do.
    pub(super) fn nothing() -> Self {
        Self { finish: Finish::Done { due: None }, refused: Vec::new(), calls: 0 }
    }

    /// This, and then the next.
    pub(super) fn and(mut self, next: Self) -> Self {
        self.refused.extend(next.refused);
        Self { finish: next.finish, refused: self.refused, calls: self.calls + next.calls }
    }
}

fn again(
    at: chrono::DateTime<chrono::Utc>,
    attempts: i32,
    first_failure: Option<chrono::DateTime<chrono::Utc>>,
    error: &TargetError,
) -> Finish {
    Finish::Again { at, attempts, first_failure, error: error.to_string() }
}

/// Plans one Jira group: ensure it, unless it is there, or a rule or an earlier refusal says no.
fn plan_group(groups: &BTreeMap<String, JiraGroup>, key: &str, work: &Structure) -> Plan {
    let mut plan = Plan::default();
    let Some(group) = groups.get(key) else { return plan };
    let barred_now = work.rules.protected.bars_group(&work.rules.policy, key, group.administrative);
    let ensured = group_fingerprint(&group.name, true);
    let fingerprint = if barred_now { barred_fingerprint(&ensured) } else { ensured };
    if group.step.as_ref().is_some_and(|state| state.blocks(&fingerprint, work.rules.now)) {
        return plan;
    }
    if barred_now {
        plan.stuck.push((Place::Group(key.to_owned()), barred(&group.name, work)));
    } else if group.known != GroupKnown::Exists {
        plan.steps.push(Step::EnsureGroup { key: key.to_owned(), name: group.name.clone(), create: true });
    }
    plan
}

fn barred(name: &str, work: &Structure) -> StepState {
    let reason = match work.rules.policy.protect.covers_group(name) {
        true => format!("policy.protect.groups keeps everybody off the Jira group {name}."),
        false => {
            format!("The Jira group {name} grants administration; nothing writes it unless protect.allow names it.")
        }
    };
    refused(barred_fingerprint(&group_fingerprint(name, true)), reason, None, work.rules.now)
}

fn set_barred(groups: &mut BTreeMap<String, JiraGroup>, key: &str, work: &Structure) {
    if let Some(group) = groups.get_mut(key) {
        group.step = Some(barred(&group.name, work));
    }
}

/// The group's refusal, where it is of this drive.
fn refusals(facts: &UserFacts, key: &str, work: &Structure) -> Vec<(Place, StepState)> {
    facts
        .groups
        .get(key)
        .and_then(|group| group.step.clone())
        .filter(|state| state.state == Stuck::Refused && state.since >= work.rules.now)
        .map(|state| (Place::Group(key.to_owned()), state))
        .into_iter()
        .collect()
}
