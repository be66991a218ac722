//! The record: one transaction with what became of the calls, and what becomes of the outbox row.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Inner;
use super::absorb::{self, Times};
use super::claim::{Work, knowledge, times};
use super::drive::{DriveEnd, Performed, refusals};
use super::last_administrator;
use super::outcome::{Verdict, backoff};
use super::plan::{Step, plan_user, refused};
use crate::account::fold;
use crate::store::StoreError;
use crate::store::delivery;
use crate::store::drive::{self, Delivery, Finish, Holder, With};
use crate::store::link::{GroupKnown, Known, UserFacts};
use crate::store::outbox::{self, NudgeAs, Subject};
use crate::store::target;

impl Inner {
    /// Writes what a round came to. `None` when there is more to do under the same lease.
    pub(crate) async fn record(
        &self,
        work: &Work,
        performed: &Performed,
        verdict: &Option<Verdict>,
        start: DateTime<Utc>,
    ) -> Result<Option<DriveEnd>, StoreError> {
        let mut after = performed.after.clone();
        if let (Some(Verdict::GiveUp), Some((step, error))) = (verdict, &performed.failure) {
            let reason = format!("Given up: {error}");
            absorb::refuse(&mut after, step, refused(String::new(), reason, None, work.rules.now));
        }
        let mut finish = finish_of(work, performed, verdict, &after);
        let mut tx = self.store.pool().begin().await?;
        // The usual case in one statement: the lease is ours, nobody nudged, nothing is left.
        let clean = finish == Some(Finish::Done { due: None })
            && !performed.lease_lost
            && drive::finish_clean(&mut tx, &work.lease).await?;
        if !clean {
            let held = if performed.lease_lost { None } else { drive::still_holds(&mut tx, &work.lease).await? };
            let Some(seq) = held else {
                self.record_doubt(&mut tx, work, performed).await?;
                tx.commit().await?;
                self.metrics.delivery(&work.tenant, "lost");
                return Ok(Some(DriveEnd::Pending));
            };
            if seq != work.lease.seq {
                keep_doubts(&mut tx, work, &mut after).await?;
                finish = finish_of(work, performed, verdict, &after);
            }
        }
        let (refused, standing) = refusals(&after, start);
        let outcome = outcome(verdict, &refused);
        let error = performed.failure.as_ref().map(|(_, error)| error.to_string());
        let ended = Delivery {
            id: work.delivery.id,
            steps: &performed.steps,
            calls: &json!(performed.calls),
            outcome: Some(outcome),
            error: error.as_deref(),
        };
        save(&mut tx, work, &after, &ended).await?;
        if last_administrator::taken(&work.before, &work.rules, &work.plan).is_some() {
            target::administrator_left(&mut tx, &work.runtime.name).await?;
        }
        if let Some(finish) = finish.as_ref().filter(|_| !clean) {
            drive::finish(&mut tx, &work.lease, finish).await?;
        }
        tx.commit().await?;
        self.metrics.delivery(&work.tenant, outcome);
        Ok(match finish {
            None => None,
            Some(Finish::Again { .. }) => Some(DriveEnd::Pending),
            Some(Finish::Done { .. }) => Some(DriveEnd::Settled { refused, standing }),
        })
    }

    /// Somebody else has the subject: what we touched is `maybe`, and nothing more may be said.
    async fn record_doubt(&self, tx: &mut PgConnection, work: &Work, performed: &Performed) -> Result<(), StoreError> {
        let (lease, user_id) = (&work.lease, work.before.user_id);
        if !performed.tried.is_empty() {
            // The row first: it is the lock of the link, and its new number tells the holder of the lease to look there.
            outbox::nudge(tx, lease.tenant_id, "user", &[user_id], NudgeAs::BULK).await?;
            if let Some((mut record, look_at)) = drive::record(tx, lease.tenant_id, user_id).await? {
                absorb::doubt_from_outside(&mut record, &performed.tried);
                let Times { now, late, .. } = times(&work.rules, &work.runtime, work.taken);
                drive::save_doubt(tx, lease.tenant_id, user_id, &record, look_at.max(Some(now + late))).await?;
            }
        }
        let calls = json!(performed.calls);
        delivery::end(tx, lease, work.delivery, &performed.steps, &calls, "lost", Some("the lease was lost")).await
    }

    /// Gives a subject back that is not finished.
    pub(crate) async fn release(&self, tenant_id: Uuid, subject: Subject, token: Uuid) -> Result<(), StoreError> {
        let mut tx = self.store.pool().begin().await?;
        if let Some(lease) = drive::take(&mut tx, tenant_id, subject, token, self.options.lease).await? {
            // Counted as a failure of the subject: one that runs in a circle has to do so more and more slowly.
            let wait = backoff(lease.attempts, self.options.patience.max_backoff, rand::random());
            let again = Finish::Again {
                at: lease.now + chrono::TimeDelta::from_std(wait).unwrap_or(chrono::TimeDelta::MAX),
                attempts: lease.attempts.saturating_add(1),
                first_failure: lease.first_failure.or(Some(lease.now)),
                error: "The plan did not come to an end.".to_owned(),
            };
            drive::finish(&mut tx, &lease, &again).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// What becomes of the outbox row; `None` when there is more to do under the same lease.
fn finish_of(work: &Work, performed: &Performed, verdict: &Option<Verdict>, after: &UserFacts) -> Option<Finish> {
    let again = |at, attempts, first_failure| {
        let error = performed.failure.as_ref().map(|(_, error)| error.to_string()).unwrap_or_default();
        Some(Finish::Again { at, attempts, first_failure, error })
    };
    let next = plan_user(after, &work.rules);
    match verdict {
        None if !next.is_empty() => None,
        // What was given up is a state now; the steps behind it have their turn.
        Some(Verdict::GiveUp) if !next.is_empty() => again(work.rules.now, 0, None),
        None | Some(Verdict::GiveUp) => Some(Finish::Done { due: next.due }),
        Some(Verdict::Retry { at, attempts, first_failure }) => again(*at, *attempts, Some(*first_failure)),
        Some(Verdict::Pause { .. } | Verdict::Leave) => {
            again(work.rules.now, work.lease.attempts, work.lease.first_failure)
        }
    }
}

/// Drives that lost their lease to this one may have set `maybe` since the claim: that must not be written over.
async fn keep_doubts(tx: &mut PgConnection, work: &Work, after: &mut UserFacts) -> Result<(), StoreError> {
    if let Some((record, look_at)) = drive::record(tx, work.lease.tenant_id, after.user_id).await?
        && (&record, look_at) != (&work.marked.record, work.marked.look_at)
    {
        absorb::keep_doubts(after, record, look_at);
    }
    Ok(())
}

/// Writes what is known now.
async fn save(
    tx: &mut PgConnection,
    work: &Work,
    after: &UserFacts,
    delivery: &Delivery<'_>,
) -> Result<(), StoreError> {
    let tenant_id = work.lease.tenant_id;
    let me = Holder { tenant_id, user_id: after.user_id };
    let newly_linked = after.record.account_id().filter(|id| work.before.record.account_id() != Some(*id));
    let with = With { delivery: Some(delivery), account: newly_linked.map(|id| id.0.as_str()) };
    // Also pairs that are as they were before the marks have to be written again.
    drive::save(tx, &work.lease, after, &knowledge(after, &work.marked, &work.before), with).await?;
    if claims_changed(work, after) {
        let names: Vec<String> = after.record.linked().iter().map(|seen| fold(&seen.username)).collect();
        drive::keep_claims(tx, me, &names, after.record.account_id().map(|id| id.0.as_str())).await?;
    }
    for (key, group) in &after.groups {
        let known_before = work.before.groups.get(key).is_some_and(|before| before.known == GroupKnown::Exists);
        if group.known == GroupKnown::Exists && !known_before {
            drive::nudge_waiting(tx, tenant_id, key).await?;
        }
    }
    Ok(())
}

/// Whether names or accounts can be given up: a rename is through, a create was refused, the account is gone. After a
/// look too: it may have found that what was given up as unknown had come about.
fn claims_changed(work: &Work, after: &UserFacts) -> bool {
    let certain = after.record.maybe_created.is_empty()
        && matches!(after.record.known, Known::Absent | Known::Nothing | Known::Linked { maybe: false, .. });
    let wrote_a_name = work.plan.steps.iter().any(|step| match step {
        Step::Update { change, .. } => change.username.is_some(),
        Step::Create { .. } => after.record.linked().is_none(),
        Step::Delete { .. } | Step::Look { .. } => true,
        _ => false,
    });
    certain && (wrote_a_name || (work.before.record.linked().is_some() && after.record.linked().is_none()))
}

fn outcome(verdict: &Option<Verdict>, refusals: &[impl Sized]) -> &'static str {
    match verdict {
        Some(Verdict::Pause { .. }) => "paused",
        Some(Verdict::Retry { .. }) => "failed",
        Some(Verdict::GiveUp) => "given up",
        Some(Verdict::Leave) => "interrupted",
        None if !refusals.is_empty() => "refused",
        None => "applied",
    }
}
