//! The drive: claim, call, record, until nothing is left to be done.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use uuid::Uuid;

use super::absorb::{self, Done};
use super::claim::{Claimed, Turn, Work, times};
use super::gate::LeaseGate;
use super::outcome::{Failure, Verdict, judge};
use super::perform::perform;
use super::plan::{Place, Rules, Step, barred_fingerprint, pair_fingerprint, refused};
use super::{Inner, Writer};
use crate::account::fold;
use crate::jira::{CallRecord, Calls, TargetError};
use crate::policy::Seats;
use crate::store::StoreError;
use crate::store::link::{GroupKnown, StepState, Stuck, UserFacts};
use crate::store::outbox::Subject;

/// How many rounds of claim, call, record one drive makes before it lets others go first.
const ROUNDS: usize = 8;

/// How often a transaction is tried that the database breaks off to end a deadlock.
const TRIES: usize = 5;

/// How a drive ended.
#[derive(Clone, Debug, PartialEq)]
pub enum DriveEnd {
    /// Nothing is left that can be done now. Steps that are refused are named.
    Settled {
        /// During this drive, by rule or by Jira.
        refused: Vec<(Place, StepState)>,
        /// By an earlier drive, and still.
        standing: Vec<(Place, StepState)>,
    },
    /// Something is left: the target is away, slow, or somebody else goes first.
    Pending,
    /// Somebody else has the subject, or there is no row.
    Taken,
    /// The tenant only observes.
    Observed,
}

impl DriveEnd {
    /// How many steps were newly refused.
    pub(crate) fn refusals(&self) -> usize {
        match self {
            Self::Settled { refused, .. } => refused.len(),
            Self::Pending | Self::Taken | Self::Observed => 0,
        }
    }
}

/// What a drive did, for the demo's and the tests' eyes.
#[derive(Clone, Debug, PartialEq)]
pub struct Driven {
    /// How it ended.
    pub end: DriveEnd,
    /// How many calls it made.
    pub calls: usize,
}

/// What the calls of one round came to.
pub(crate) struct Performed {
    pub(crate) after: UserFacts,
    /// Each step with what became of it.
    pub(crate) steps: Value,
    pub(crate) calls: Vec<CallRecord>,
    /// The failure that ended the round.
    pub(crate) failure: Option<(Step, TargetError)>,
    pub(crate) lease_lost: bool,
    /// Steps that were tried, for a drive that lost its lease.
    pub(crate) tried: Vec<Step>,
}

impl Writer {
    /// Drives one subject until nothing can be done now. `token` is the lease's, old or new.
    ///
    /// # Errors
    /// The store's; the row is then picked up again when the lease has run out.
    pub async fn drive(&self, tenant_id: Uuid, subject: Subject, token: Uuid) -> Result<Driven, StoreError> {
        self.0.drive(tenant_id, subject, token, true).await
    }
}

impl Inner {
    /// `lead`: drive whoever is in the way first (one level deep).
    async fn drive(&self, tenant_id: Uuid, subject: Subject, token: Uuid, lead: bool) -> Result<Driven, StoreError> {
        let mut driven = Driven { end: DriveEnd::Pending, calls: 0 };
        let (mut insist, mut asked) = (!lead, None);
        let mut since = None;
        for _ in 0..ROUNDS {
            self.know_target(tenant_id).await?;
            let turn = Turn { first: since.is_none(), insist, asked };
            driven.end = match self.claim_persistently(tenant_id, subject, token, turn).await? {
                Claimed::Taken if since.is_some() => return Ok(driven),
                Claimed::Taken => DriveEnd::Taken,
                Claimed::Observed => DriveEnd::Observed,
                Claimed::Settled { facts, now } => {
                    let fresh = since.unwrap_or(now);
                    let (refused, standing) = facts.map(|facts| refusals(&facts, fresh)).unwrap_or_default();
                    DriveEnd::Settled { refused, standing }
                }
                Claimed::Waits => DriveEnd::Pending,
                Claimed::Asks(runtime, now) => {
                    if runtime.know_administrators(self).await? {
                        asked = Some(now);
                        continue;
                    }
                    break;
                }
                Claimed::Behind(holder) if !insist => {
                    insist = true;
                    self.drive_holder(holder.tenant_id, holder.user_id).await?;
                    continue;
                }
                Claimed::Behind(_) => DriveEnd::Pending,
                Claimed::Structure(structure) => {
                    let (end, calls) = self.drive_structure(*structure).await?;
                    driven.calls += calls;
                    end
                }
                Claimed::User(work) => {
                    let start = *since.get_or_insert(work.rules.now);
                    let (round, calls) = self.round(*work, start).await?;
                    driven.calls += calls;
                    match round {
                        Some(end) => end,
                        None => continue,
                    }
                }
            };
            return Ok(driven);
        }
        self.release(tenant_id, subject, token).await?;
        Ok(driven)
    }

    /// A claim that the database broke off to end a deadlock is made again.
    async fn claim_persistently(
        &self,
        tenant_id: Uuid,
        subject: Subject,
        token: Uuid,
        turn: Turn,
    ) -> Result<Claimed, StoreError> {
        for _ in 1..TRIES {
            match self.claim(tenant_id, subject, token, turn).await {
                Err(error) if error.is_transient() => {}
                other => return other,
            }
        }
        self.claim(tenant_id, subject, token, turn).await
    }

    /// One round of calls and its record; `None` when there is more to do under the same lease.
    async fn round(
        &self,
        work: Work,
        start: chrono::DateTime<chrono::Utc>,
    ) -> Result<(Option<DriveEnd>, usize), StoreError> {
        let performed = self.perform(&work).await;
        let calls = performed.calls.len();
        let verdict = match &performed.failure {
            Some((_, error)) => self.judge(&work, error).await?,
            None => None,
        };
        for _ in 1..TRIES {
            match self.record(&work, &performed, &verdict, start).await {
                Err(error) if error.is_transient() => {}
                other => return Ok((other?, calls)),
            }
        }
        Ok((self.record(&work, &performed, &verdict, start).await?, calls))
    }

    async fn drive_holder(&self, tenant_id: Uuid, user_id: Uuid) -> Result<(), StoreError> {
        let token = Uuid::new_v4();
        Box::pin(self.drive(tenant_id, Subject::User(user_id), token, false)).await.map(drop)
    }

    /// The first drive at a target asks who we are there: without that nobody knows what is protected.
    async fn know_target(&self, tenant_id: Uuid) -> Result<(), StoreError> {
        // One target is the rule: then there is nothing to look up.
        let unknown: Vec<_> = self.targets.values().filter(|r| r.protected().is_none() && !r.is_paused()).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let rules = crate::store::drive::rules(&mut conn, tenant_id).await?;
        drop(conn);
        if let Some(runtime) = rules.and_then(|rules| self.targets.get(&rules.target))
            && runtime.protected().is_none()
        {
            runtime.probe(self, self.options.probe_every).await?;
        }
        Ok(())
    }

    async fn perform(&self, work: &Work) -> Performed {
        let gate = LeaseGate::new(self, std::sync::Arc::clone(&work.runtime), &work.lease, work.taken);
        let calls = Calls::new(work.delivery.id, &gate);
        let mut performed = Performed {
            after: work.before.clone(),
            steps: Value::Null,
            calls: Vec::new(),
            failure: None,
            lease_lost: false,
            tried: Vec::new(),
        };
        let mut steps = Vec::with_capacity(work.plan.steps.len());
        for step in &work.plan.steps {
            if performed.failure.is_some() {
                steps.push(json!({ "step": step, "outcome": "not attempted" }));
                continue;
            }
            if let Some(why) = skip(&mut performed.after, step, &work.rules) {
                steps.push(json!({ "step": step, "outcome": why }));
                continue;
            }
            let answer = self.step(work, &calls, step, &performed.after).await;
            let times = times(&work.rules, &work.runtime, work.taken);
            if !matches!(answer, Err(TargetError::Stopped { .. })) {
                performed.tried.push(step.clone());
            }
            let mut shown = shown(step, &answer, &calls.take(), &mut performed.calls);
            let notes = calls.take_notes();
            if !notes.is_empty() {
                shown["notes"] = json!(notes);
            }
            steps.push(shown);
            match answer {
                Ok(done) => absorb::absorb(&mut performed.after, step, done, times),
                Err(TargetError::NoSeats { reason }) if work.rules.policy.seats == Seats::Hold => {
                    absorb::hold(&mut performed.after, step, &reason, times);
                }
                Err(error) => {
                    absorb::absorb_error(&mut performed.after, step, &error, times);
                    if ends_the_round(&error) {
                        performed.failure = Some((step.clone(), error));
                    }
                }
            }
        }
        performed.steps = Value::Array(steps);
        performed.lease_lost = gate.is_lost();
        performed
    }

    async fn step(&self, work: &Work, calls: &Calls<'_>, step: &Step, facts: &UserFacts) -> Result<Done, TargetError> {
        if work.runtime.protected().is_none() {
            return Err(TargetError::Stopped { reason: "the target has not been probed yet" });
        }
        perform(work.runtime.target.as_ref(), calls, step, facts).await
    }

    /// What the failure means; asks the target whether it answers others before it blames the subject.
    async fn judge(&self, work: &Work, error: &TargetError) -> Result<Option<Verdict>, StoreError> {
        let unreachable = matches!(error, TargetError::Unreachable { .. });
        let target_answers = unreachable && work.runtime.answers(self).await;
        let failure = Failure {
            attempts: work.lease.attempts,
            first_failure: work.lease.first_failure,
            ..work.runtime.failure(work.rules.now, target_answers)
        };
        let verdict = judge(error, failure, self.options.patience);
        if let Some(Verdict::Pause { kind, wait }) = &verdict {
            work.runtime.pause(self, *kind, *wait, &error.to_string()).await?;
        }
        if unreachable && !target_answers {
            work.runtime.last_was_slow.store(true, Ordering::Relaxed);
        }
        Ok(verdict)
    }
}

/// Failures of one step that say nothing of the next.
fn ends_the_round(error: &TargetError) -> bool {
    !matches!(error, TargetError::Refused { .. } | TargetError::Conflict { .. } | TargetError::NoSeats { .. })
}

/// Whether an earlier step of this round makes this one impossible, or forbidden.
pub(crate) fn skip(facts: &mut UserFacts, step: &Step, rules: &Rules) -> Option<&'static str> {
    let now = rules.now;
    match step {
        Step::EnsureGroup { .. } | Step::AddMember { .. } | Step::Grant { .. } if facts.record.linked().is_none() => {
            Some("waits for the account")
        }
        Step::AddMember { key, name } => {
            let group = facts.groups.get(key).cloned().unwrap_or_default();
            let fingerprint = pair_fingerprint(true);
            if rules.protected.bars_group(&rules.policy, key, group.administrative) {
                let reason = format!(
                    "The Jira group {name} grants administration; nothing joins it unless protect.allow names it."
                );
                let state = refused(barred_fingerprint(&fingerprint), reason, None, now);
                absorb::set_state(facts, &Place::Pair(key.clone()), Some(state));
                return Some("refused by rule");
            }
            if group.known == GroupKnown::Exists {
                return None;
            }
            let why = group.step.as_ref().map_or("it does not exist", |state| state.reason.as_str());
            let reason = format!("Waits for the Jira group {name}: {why}");
            let state = StepState { state: Stuck::Waiting, ..refused(fingerprint, reason, None, now) };
            absorb::set_state(facts, &Place::Pair(key.clone()), Some(state));
            Some("waits for the group")
        }
        _ => None,
    }
}

/// One step as a delivery shows it.
fn shown(step: &Step, answer: &Result<Done, TargetError>, calls: &[CallRecord], all: &mut Vec<CallRecord>) -> Value {
    all.extend_from_slice(calls);
    match answer {
        Ok(_) => json!({ "step": step, "outcome": "done" }),
        Err(
            TargetError::Refused { reason, .. } | TargetError::Conflict { reason } | TargetError::NoSeats { reason },
        ) => {
            json!({ "step": step, "outcome": "refused", "reason": reason })
        }
        Err(TargetError::Unreachable { maybe_done: true, detail }) => {
            json!({ "step": step, "outcome": "unknown", "reason": detail })
        }
        Err(error) => json!({ "step": step, "outcome": "failed", "reason": error.to_string() }),
    }
}

/// Refused steps with their states.
type Refusals = Vec<(Place, StepState)>;

/// The steps on record that are refused: since a time, and before it.
pub(crate) fn refusals(facts: &UserFacts, since: chrono::DateTime<chrono::Utc>) -> (Refusals, Refusals) {
    let account = facts.record.steps.iter().map(|(step, state)| (Place::Account(step.clone()), state.clone()));
    let pairs =
        facts.pairs.iter().filter_map(|(key, pair)| pair.step.clone().map(|state| (Place::Pair(fold(key)), state)));
    account
        .chain(pairs)
        .filter(|(_, state)| matches!(state.state, Stuck::Refused | Stuck::Waiting))
        .partition(|(_, state)| state.since >= since)
}
