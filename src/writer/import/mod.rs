//! Import: what is at the target already is learnt into the store. Accounts, groups and memberships become SCIM resources, or
//! the record of those that are there; nothing is written to the target, and nobody goes into the outbox.
//!
//! A run of stages: `accounts`, `groups`, `members`; after the first two, whoever is not listed any more. Each page of the target's list is one transaction with the run's
//! place, so that a run that was cut off goes on; a second run finds everything as it is. Memory is bounded by a page and by
//! the largest group.

mod accounts;
mod groups;
mod judge;
mod members;
mod vanished;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{Postgres, Transaction};

use self::vanished::Kind;
use super::Inner;
use super::runs::{Held, RunError};
use crate::jira::Calls;
use crate::store::import;

/// The first stage.
const ACCOUNTS: &str = "accounts";
/// Whose account was not among them.
const ACCOUNTS_GONE: &str = "accounts_gone";
/// The second list.
const GROUPS: &str = "groups";
/// Groups that were not on it.
const GROUPS_GONE: &str = "groups_gone";
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
    /// An imported person, group or membership is no more.
    pub removed: u64,
    /// Imported ones that were not listed, of which none was removed, because they are too many at once to be believed.
    #[serde(skip_serializing_if = "is_none")]
    pub held: u64,
    /// They were left alone: why, and how many.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, u64>,
}

fn is_none(count: &u64) -> bool {
    *count == 0
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

    /// What somebody has to know of an import that is through.
    fn caution(&self) -> Option<String> {
        let what = match (self.accounts.held, self.groups.held) {
            (0, 0) => return None,
            (accounts, 0) => format!("{accounts} imported accounts"),
            (0, groups) => format!("{groups} imported groups"),
            (accounts, groups) => format!("{accounts} imported accounts and {groups} groups"),
        };
        Some(format!(
            "{what} were not listed any more, which is more than policy.brake.accounts.percent allows at once: none was \
             removed. Where they are really gone from the target, import with --past-the-brake."
        ))
    }
}

/// What an import was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportOptions {
    /// Whoever is not listed any more goes, however many that are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub past_the_brake: bool,
}

/// Where an import is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Behind this place of the target's list of accounts or groups, or behind this one of those that are gone.
    after: Option<String>,
    /// Behind this Jira group, by key.
    group: String,
    /// What was counted of memberships before the group at hand: it is read from its beginning after a cut.
    before: Tally,
}

/// Does an import from where it was. Answers what somebody has to know of it, if anything.
pub(super) async fn run(inner: &Inner, held: &Held) -> Result<Option<String>, RunError> {
    let (place, counters) = held.place()?;
    let stages = [ACCOUNTS, ACCOUNTS_GONE, GROUPS, GROUPS_GONE, MEMBERS];
    let begun = stages.iter().position(|stage| *stage == held.run.stage).unwrap_or_default();
    let to_do = |stage: &str| stages[begun..].contains(&stage);
    let (gate, options) = (held.gate(inner), held.options()?);
    let mut work = Work { inner, held, calls: Calls::new(held.run.request_id, &gate), options, place, counters };
    if to_do(ACCOUNTS) {
        work.accounts().await?;
    }
    if to_do(ACCOUNTS_GONE) {
        work.vanished(Kind::Users, None).await?;
    }
    if !held.runtime.target.capabilities().groups || !held.policy.groups.enabled {
        return Ok(work.counters.caution());
    }
    if to_do(GROUPS) {
        work.groups(work.index().await?).await?;
    }
    // With those that were made.
    let index = work.index().await?;
    if to_do(GROUPS_GONE) {
        work.vanished(Kind::Groups, Some(&index)).await?;
    }
    work.members(&index).await?;
    Ok(work.counters.caution())
}

/// An import at work.
struct Work<'a> {
    inner: &'a Inner,
    held: &'a Held,
    calls: Calls<'a>,
    options: ImportOptions,
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
