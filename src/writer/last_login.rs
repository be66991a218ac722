//! When people were last seen: a run that reads it from the target a page at a time, and writes it down for the users whose
//! accounts are ours. Nothing is written to the target, and nothing of a resource changes.

use serde::{Deserialize, Serialize};

use super::Inner;
use super::runs::{Held, RunError};
use crate::jira::Calls;
use crate::store::last_login;

/// What a run of asking comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logins {
    /// Accounts of which the target tells when they were last seen.
    pub told: u64,
    /// Those that are a user's of the tenant.
    pub users: u64,
    /// Users whose time is another than before.
    pub changed: u64,
}

/// Where a run is.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Place {
    /// The target's own word for it; none at the beginning, and at the end.
    after: Option<String>,
}

/// Asks the tenant's target when its people were last seen, and writes it down.
pub(super) async fn run(inner: &Inner, held: &Held) -> Result<(), RunError> {
    let gate = held.gate(inner);
    let calls = Calls::new(held.run.request_id, &gate);
    let (mut place, mut logins): (Place, Logins) = held.place()?;
    let mut ends = !held.run.stage.is_empty() && place.after.is_none();
    while !ends {
        let page = held.runtime.target.last_logins(&calls, place.after.as_deref()).await?;
        // The record of the calls is nobody's here, and would grow with the list.
        calls.take();
        let (ids, times): (Vec<String>, Vec<_>) = page.items.into_iter().map(|one| (one.id.0, one.at)).unzip();
        let mut tx = held.begin(inner).await?;
        let noted = last_login::note(&mut tx, held.tenant.id, &held.tenant.target, &ids, &times).await?;
        logins.told += ids.len() as u64;
        logins.users += noted.users;
        logins.changed += noted.changed;
        ends = page.next.is_none();
        place.after = page.next;
        held.commit(tx, "accounts", &place, &logins).await?;
    }
    Ok(())
}
