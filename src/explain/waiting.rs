//! What keeps the next write from being done: the tenant's mode, the target, the queue. Pure.

use super::words::{list, sentence, step, time};
use crate::store::explain::Open;
use crate::store::tenant::{Mode, Tenant};
use crate::writer::plan::Step;
use crate::writer::position::Position;

/// Why nothing is written for this user now, whoever he is; the first reason counts.
pub(super) fn obstacle(tenant: &Tenant, position: &Position, open: Option<&Open>) -> Option<String> {
    if tenant.mode == Mode::Observe {
        return Some(format!("tenant {} only observes, so nothing is written to Jira", tenant.slug));
    }
    if position.target.is_paused() {
        let target = &position.target;
        let kind = target.pause_kind.as_deref().unwrap_or("paused");
        let until = target.paused_until.map(|at| format!("; it is tried again at {}", time(at))).unwrap_or_default();
        let why =
            target.pause_reason.as_deref().map(|why| format!(": {}", why.trim_end_matches('.'))).unwrap_or_default();
        return Some(format!("the target {} is paused ({kind}{why}){until}", tenant.target));
    }
    let open = open?;
    if open.leased {
        return Some("it is being written at this moment".to_owned());
    }
    let failed = open.last_error.as_deref().filter(|_| open.attempts > 0);
    match (failed, open.is_due) {
        (Some(error), false) => Some(format!(
            "it failed {} times ({}); it is tried again at {}",
            open.attempts,
            error.trim_end_matches('.'),
            time(open.due)
        )),
        (_, true) => Some(format!("it waits since {} for its turn", time(open.since))),
        (None, false) => open
            .last_error
            .as_deref()
            .map(|why| format!("{} It is looked at again at {}", sentence(why), time(open.due))),
    }
}

/// What would be done next, in a sentence; `None` where nothing would.
pub(super) fn next_steps(position: &Position) -> Option<String> {
    let steps: Vec<String> = position.plan.steps.iter().map(step).collect();
    (!steps.is_empty()).then(|| format!("What is to be done: {}.", list(&steps)))
}

/// Whether a look comes first, so that nobody can say yet what is to be done.
pub(super) fn looks_first(position: &Position) -> bool {
    matches!(position.plan.steps.first(), Some(Step::Look { .. }))
}
