//! Import: what is at the target already is learnt into the store. Accounts, groups and memberships become SCIM resources, or
//! the record of those that are there; nothing is written to the target, and nobody goes into the outbox.
//!
//! A run of three stages: `accounts`, `groups`, `members`. Each page of the target's list is one transaction with the run's
//! place, so that a run that was cut off goes on; a second run finds everything as it is. Memory is bounded by a page and by
//! the largest group.

mod accounts;
mod groups;
mod judge;
mod members;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{Postgres, Transaction};

use super::Inner;
use super::runs::{Held, RunError};
use crate::jira::Calls;
use crate::store::import;

/// The first stage.
const ACCOUNTS: &str = "accounts";
/// The second.
const GROUPS: &str = "groups";
/// The last.
const MEMBERS: &str = "members";
/// Accounts, groups or members that go into one statement at most.
const CHUNK: usize = 1000;
/// How often a page is tried again that lost against somebody else.
const TRIES: usize = 8;

/// What an import came to so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Of accounts.
    pub accounts: Tally,
    /// Of groups.
    pub groups: Tally,
    /// Of memberships.
    pub memberships: Tally,
}

/// What became of things of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// The target listed them.
    pub seen: u64,
    /// They were on record already.
    pub known: u64,
    /// They were put on record for a resource that was there.
    pub linked: u64,
    /// A resource was made of them.
    pub created: u64,
    /// An imported resource was brought up to date.
    pub updated: u64,
    /// An imported membership is no more.
    pub removed: u64,
    /// They were left alone: why, and how many.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, u64>,
}

impl Tally {
    fn skip(&mut self, why: &str, count: u64) {
        if count > 0 {
            *self.skipped.entry(why.to_owned()).or_default() += count;
        }
    }

    /// Whether anything in the store is different because of it.
    fn changed(&self) -> u64 {
        self.linked + self.created + self.updated + self.removed
    }
}

impl Counters {
    fn changed(&self) -> u64 {
        self.accounts.changed() + self.groups.changed() + self.memberships.changed()
    }
}

/// Where an import is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Behind this place of the target's list of accounts or groups.
    after: Option<String>,
    /// Behind this Jira group, by key.
    group: String,
    /// What was counted of memberships before the group at hand: it is read from its beginning after a cut.
    before: Tally,
}

/// Does an import from where it was.
pub(super) async fn run(inner: &Inner, held: &Held) -> Result<(), RunError> {
    let (place, counters) = held.place()?;
    let stage = if held.run.stage.is_empty() { ACCOUNTS } else { held.run.stage.as_str() };
    let gate = held.gate(inner);
    let mut work = Work { inner, held, calls: Calls::new(held.run.request_id, &gate), place, counters };
    if stage == ACCOUNTS {
        work.accounts().await?;
    }
    if !held.runtime.target.capabilities().groups || !held.policy.groups.enabled {
        return Ok(());
    }
    let index = work.index().await?;
    let index = if stage == MEMBERS {
        index
    } else {
        work.groups(index).await?;
        // With those that were made.
        work.index().await?
    };
    work.members(&index).await
}

/// An import at work.
struct Work<'a> {
    inner: &'a Inner,
    held: &'a Held,
    calls: Calls<'a>,
    place: Place,
    counters: Counters,
}

impl Work<'_> {
    /// Ends a page, with an audit row where it changed anything.
    async fn commit(
        &mut self,
        mut tx: Transaction<'static, Postgres>,
        stage: &str,
        place: Place,
        counters: Counters,
    ) -> Result<(), RunError> {
        if counters.changed() > self.counters.changed() {
            let run = &self.held.run;
            let body = json!({ "run": run.id, "stage": stage, "so_far": counters });
            import::note(&mut tx, run.tenant_id, run.request_id, &run.actor, &body).await?;
        }
        self.held.commit(tx, stage, &place, &counters).await?;
        (self.place, self.counters) = (place, counters);
        // What was called is counted by the metrics; nobody reads it here.
        self.calls.take();
        Ok(())
    }
}

/// Whether the same page may well succeed now: somebody else was quicker.
fn may_try_again(error: &RunError) -> bool {
    match error {
        RunError::Store(error) => error.is_transient() || error.constraint().is_some(),
        _ => false,
    }
}
