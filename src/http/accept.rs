//! Accepting a change: commit it, give the writer a moment to settle it, and answer the IdP by what came of it.
//!
//! The whole dance runs as a task of its own, so that a client that hangs up stops nothing. A refusal by the target
//! becomes the client's error; what gave or changed something is taken back first, what takes something away stays
//! desired and is tried again, because a refusal must not hand access back.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tracing::Instrument;

use super::Exchange;
use super::error::Failure;
use crate::directory::{Accepted, Caller, Directory, DirectoryError, Undo};
use crate::scim::ScimError;
use crate::store::outbox::Subject;
use crate::telemetry::{Chain, Metrics};
use crate::writer::{Refusal, Settled, Writer};

/// Makes `change` and settles it; the resource as it is now. `about` names the resource: a refusal that concerns it is
/// the client's, one that concerns only others is not.
///
/// # Errors
/// 403 where a source feeds the tenant; what the directory says, or what the target refused.
pub(super) async fn accept<T, A, C, F>(exchange: &Exchange<'_>, about: A, change: C) -> Result<T, Failure>
where
    T: Send + 'static,
    A: FnOnce(&T) -> Subject + Send + 'static,
    C: FnOnce(Directory, Caller) -> F + Send + 'static,
    F: Future<Output = Result<Accepted<T>, DirectoryError>> + Send + 'static,
{
    if let Some(source) = &exchange.source {
        let detail =
            format!("This tenant is fed by the source {source}: its users and groups can be read here, not changed.");
        return Err(ScimError { status: 403, scim_type: None, detail }.into());
    }
    let state = exchange.state;
    let mut caller = exchange.caller.clone();
    let settles = exchange.settles;
    caller.settles = (settles && state.writer.settles(&caller.tenant)).then(|| state.writer.settle_lease());
    let doors =
        Doors { directory: state.directory.clone(), writer: state.writer.clone(), metrics: state.metrics.clone() };
    let notes = exchange.notes.clone();
    let dance = async move {
        let accepted = change(doors.directory.clone(), caller.clone()).await?;
        notes.accepted(accepted.about.id(), accepted.changed);
        if !settles {
            doors.writer.wake(&caller.tenant.target);
            return Ok(accepted.view);
        }
        let about = about(&accepted.view);
        doors.settled(&caller, about, accepted).await
    };
    let (tell, told) = oneshot::channel();
    let dance = AssertUnwindSafe(dance).catch_unwind().map(|outcome| {
        // Nobody listens where the client hung up; the work is done all the same.
        let _ = tell.send(outcome.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))));
    });
    state.lifecycle.spawn("accept", dance.in_current_span());
    // The task is dropped unfinished only when the process ends the hard way.
    told.await.unwrap_or_else(|_| Err(Failure::ending()))
}

/// What a change goes through.
struct Doors {
    directory: Directory,
    writer: Writer,
    metrics: Metrics,
}

impl Doors {
    /// Waits for the writer within its budget, and turns its word into an answer.
    async fn settled<T>(&self, caller: &Caller, about: Subject, accepted: Accepted<T>) -> Result<T, Failure> {
        let settled = self.writer.settle(&caller.tenant, about, &accepted.nudged).await;
        self.metrics.settled(&caller.tenant.slug, word(&settled));
        match settled {
            Settled::Applied | Settled::Pending => Ok(accepted.view),
            Settled::Refused(refusal) => Err(self.refused(caller, accepted.undo, &refusal).await),
        }
    }

    /// Takes back what gave or changed; what took away stays desired.
    async fn refused(&self, caller: &Caller, undo: Option<Undo>, refusal: &Refusal) -> Failure {
        let (error, reason) = (told_to_the_client(refusal), refusal.reason.as_str());
        let Some(undo) = undo else {
            tracing::warn!(reason, "refused by the target; stays desired");
            return error.into();
        };
        // Where this fails the change stays as a late refusal: shown, counted, and tried again with the next change.
        match self.directory.undo(caller, undo, error.status, reason).await {
            Ok(true) => tracing::info!(reason, "refused by the target and undone"),
            Ok(false) => tracing::warn!(reason, "refused by the target; changed since, so not undone"),
            Err(e) => tracing::error!(reason, error = %Chain(&e), "refused by the target and not undone"),
        }
        error.into()
    }
}

/// For the metric.
fn word(settled: &Settled) -> &'static str {
    match settled {
        Settled::Applied => "applied",
        Settled::Pending => "pending",
        Settled::Refused(_) => "refused",
    }
}

/// The SCIM attribute that is at fault, and the target's own words.
fn told_to_the_client(refusal: &Refusal) -> ScimError {
    let detail = match refusal.field {
        Some(field) => format!("{}: {}", field.scim_attribute(), refusal.reason),
        None => refusal.reason.clone(),
    };
    if refusal.conflict { ScimError::uniqueness(detail) } else { ScimError::invalid_value(detail) }
}

/// Logs a panic; the client learns nothing of it.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(panic = message, "a request panicked");
    Failure::internal()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Field;
    use crate::scim::ScimType;

    fn refusal(field: Option<Field>, conflict: bool) -> Refusal {
        Refusal { reason: "a user with that username already exists".into(), field, conflict }
    }

    #[test]
    fn a_refusal_names_the_attribute_and_keeps_the_targets_words() {
        let error = told_to_the_client(&refusal(Some(Field::Username), true));
        assert_eq!((error.status, error.scim_type), (409, Some(ScimType::Uniqueness)));
        assert_eq!(error.detail, "userName: a user with that username already exists");
        let error = told_to_the_client(&refusal(None, false));
        assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidValue)));
        assert_eq!(error.detail, "a user with that username already exists");
    }
}
