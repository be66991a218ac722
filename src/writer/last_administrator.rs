//! The last administrator of a Jira is never switched off, deleted, or taken out of the group that grants it: whoever points an
//! identity provider at a Jira must be able to get in again. Our own account does not count, because no person logs in with it.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::plan::{DELETE_FINGERPRINT, Place, Plan, Rules, Step, active_fingerprint, pair_fingerprint, refused};
use crate::account::{AccountId, Field};
use crate::store::link::{AccountStep, StepState, UserFacts};
use crate::store::{StoreError, target};

/// How long until it is tried again.
const DAILY: TimeDelta = TimeDelta::days(1);

/// What may become of a plan that takes an administrator away.
pub(super) enum Guarded {
    /// It may go on.
    Free,
    /// This step would take the last one away: the state that forbids it.
    Forbidden(Place, StepState),
    /// Somebody went meanwhile: who there is has to be asked anew.
    Asks,
}

/// Whether a plan would take the last administrator away; `asked` is from before it was asked who there is.
///
/// Holds the target's row until the transaction ends, so that of two administrators who go at the same time one stays.
pub(super) async fn guard(
    tx: &mut PgConnection,
    target: &str,
    facts: &UserFacts,
    rules: &Rules,
    plan: &Plan,
    asked: Option<DateTime<Utc>>,
) -> Result<Guarded, StoreError> {
    let Some(taken) = taken(facts, rules, plan) else { return Ok(Guarded::Free) };
    // Who else there is has to be known as of now.
    let Some(asked) = asked else { return Ok(Guarded::Asks) };
    let others: Vec<String> = taken.others.iter().map(|id| id.0.clone()).collect();
    // Whoever was deleted is on record no more, and may still have been in the answer.
    if target::lock_administrators(tx, target).await?.is_some_and(|left| left >= asked) {
        return Ok(Guarded::Asks);
    }
    Ok(match target::active_among(tx, target, &others, &administrative(rules)).await? {
        0 => Guarded::Forbidden(taken.place, taken.state),
        _ => Guarded::Free,
    })
}

/// The groups that grant administration.
pub(super) fn administrative(rules: &Rules) -> Vec<String> {
    rules.protected.administrative.iter().cloned().collect()
}

/// An administrator whom a plan takes away.
pub(super) struct Taken {
    /// The account.
    pub(super) id: AccountId,
    /// The other administrators.
    pub(super) others: Vec<AccountId>,
    place: Place,
    state: StepState,
}

impl Taken {
    /// The step that is not done where none of the others can log in, with its state.
    pub(super) fn forbidden(self) -> (Place, StepState) {
        (self.place, self.state)
    }
}

/// The administrator whom a plan would take away, if it does.
pub(super) fn taken(facts: &UserFacts, rules: &Rules, plan: &Plan) -> Option<Taken> {
    let administrators = rules.protected.administrators.as_ref()?;
    let seen = facts.record.linked().filter(|seen| administrators.contains(&seen.id))?;
    let (place, fingerprint) = plan.steps.iter().find_map(|step| takes_away(step, rules))?;
    let reason = format!(
        "{} is the last administrator of this Jira who can log in; make somebody else one first.",
        seen.username
    );
    let state = refused(fingerprint, reason, Some(Field::Active), rules.now);
    Some(Taken {
        id: seen.id.clone(),
        others: administrators.iter().filter(|id| **id != seen.id).cloned().collect(),
        place,
        state: StepState { retry_at: Some(rules.now + DAILY), ..state },
    })
}

/// Whether it has to be asked who administers the target before this is done.
///
/// By what the rules were read with: what another drive has learned since does not make them know it.
pub(super) fn has_to_ask(plan: &Plan, rules: &Rules) -> bool {
    rules.protected.administrators.is_none()
        && rules.ground.capabilities.groups
        && plan.steps.iter().any(|step| takes_away(step, rules).is_some())
}

fn takes_away(step: &Step, rules: &Rules) -> Option<(Place, String)> {
    match step {
        Step::SetActive { active: false, .. } => Some((Place::Account(AccountStep::Active), active_fingerprint(false))),
        Step::Delete { .. } => Some((Place::Account(AccountStep::Delete), DELETE_FINGERPRINT.to_owned())),
        Step::RemoveMember { key, .. } if rules.protected.administrative.contains(key) => {
            Some((Place::Pair(key.clone()), pair_fingerprint(false)))
        }
        _ => None,
    }
}
