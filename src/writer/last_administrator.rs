//! The last administrator of a Jira is never switched off, deleted, or taken out of the group that grants it: whoever points an
//! identity provider at a Jira must be able to get in again. Our own account does not count, because no person logs in with it.

use chrono::TimeDelta;
use sqlx::PgConnection;

use super::plan::{DELETE_FINGERPRINT, Place, Plan, Rules, Step, active_fingerprint, pair_fingerprint, refused};
use crate::account::{AccountId, Field};
use crate::store::link::{AccountStep, StepState, UserFacts};
use crate::store::{StoreError, target};

/// How long until it is tried again.
const DAILY: TimeDelta = TimeDelta::days(1);

/// The step of the plan that would take the last administrator away, with the state that forbids it.
///
/// Holds the target's row until the transaction ends, so that of two administrators who go at the same time one stays.
pub(super) async fn guard(
    tx: &mut PgConnection,
    target: &str,
    facts: &UserFacts,
    rules: &Rules,
    plan: &Plan,
) -> Result<Option<(Place, StepState)>, StoreError> {
    let Some(taken) = taken(facts, rules, plan) else { return Ok(None) };
    let others: Vec<String> = taken.others.iter().map(|id| id.0.clone()).collect();
    let stays = target::lock_active_among(tx, target, &others, &administrative(rules)).await? > 0;
    Ok((!stays).then_some((taken.place, taken.state)))
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
