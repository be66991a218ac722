//! What is done by hand, on a thread of its own: what it waits for cannot be handed from one thread to another.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::admin::AdminState;
use crate::admin::call::Call;
use crate::admin::refusal::{Refusal, sentence};
use crate::policy::mapping::Grounds;
use crate::store::tenant::Origin;
use crate::writer::by_hand::{ByHand, ByHandError, LinkError};

/// How long to wait for whoever drives a subject at the moment.
const PATIENCE: Duration = Duration::from_secs(15);

/// A hand as work of its own has it.
pub(super) struct OwnHand {
    pub(super) state: Arc<AdminState>,
    grounds: Grounds,
    actor: String,
    request_id: Uuid,
    at: DateTime<Utc>,
}

impl OwnHand {
    pub(super) fn of(call: &Call) -> Self {
        let (state, grounds) = (Arc::clone(&call.state), call.state.writer.grounds());
        Self { state, grounds, actor: call.actor.clone(), request_id: call.request_id, at: call.now }
    }

    pub(super) fn hand(&self) -> ByHand<'_> {
        let origin = Origin { actor: &self.actor, request_id: self.request_id, at: self.at };
        ByHand { store: &self.state.store, origin, patience: PATIENCE, grounds: &self.grounds }
    }
}

/// Does the work, unless the daemon ends.
pub(super) async fn alone<T, F>(state: &AdminState, work: impl FnOnce() -> F + Send + 'static) -> Result<T, Refusal>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Refusal>>,
{
    let (runtime, ending) = (tokio::runtime::Handle::current(), state.life.soft().clone());
    let thread = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            tokio::select! {
                worked = work() => worked,
                () = ending.cancelled() => Err(Refusal::unavailable("unavailable", "The daemon is ending.")),
            }
        })
    });
    thread.await.map_err(|_| Refusal::internal())?
}

impl From<ByHandError> for Refusal {
    fn from(error: ByHandError) -> Self {
        let message = sentence(&error);
        match error {
            ByHandError::Busy => Self::conflict("busy", message),
            ByHandError::Gone => Self::missing("no-such-user", message),
            ByHandError::NothingToDo(_) => Self::conflict("nothing-to-do", message),
            ByHandError::Store(error) => error.into(),
        }
    }
}

impl From<LinkError> for Refusal {
    fn from(error: LinkError) -> Self {
        let message = sentence(&error);
        match error {
            LinkError::NotLinked => Self::conflict("not-linked", message),
            LinkError::LinkedAlready => Self::conflict("linked-already", message),
            LinkError::AccountTaken => Self::conflict("account-taken", message),
            LinkError::Protected => Self::conflict("protected", message),
            LinkError::ByHand(error) => error.into(),
        }
    }
}
