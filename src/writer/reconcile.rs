//! Comparing what was written with what the target has: a run over the complete list of accounts, then over the members of each
//! Jira group on record. What looks different is looked at once more by itself before anything is concluded, so that an old page
//! of a long list accuses nobody; and nothing is put on record of anybody whom somebody works on.
//!
//! By `policy.drift.action` a difference is only listed; or what the target has goes on record and the drive writes what is
//! wanted; or it goes on record and stays, until something else is wanted. No write to a target is made here.

mod put_right;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use uuid::Uuid;

use super::Inner;
use super::drift::{differences, is_comparable};
use super::facts::{facts_of, user_facts};
use super::plan::Rules;
use super::runs::{Held, RunError};
use crate::account::SeenAccount;
use crate::jira::{Calls, GroupRef, Target, TargetError};
use crate::policy::groups::Remove;
use crate::policy::guard::DriftAction;
use crate::policy::mapping::Ground;
use crate::store::drift::{self, About, Difference, KnownGroup, Standing};
use crate::store::link::UserFacts;
use crate::store::tenant::Mode;
use crate::store::{StoreError, target};

/// Users that are compared at a time.
const PAGE: i64 = 500;
/// The stages of a run.
const ACCOUNTS: &str = "accounts";
const GROUPS: &str = "groups";
const THROUGH: &str = "through";

/// What a run comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Accounts that the target listed.
    pub accounts: u64,
    /// Users that were compared.
    pub users: u64,
    /// Jira groups that were compared.
    pub groups: u64,
    /// Members that the target listed.
    pub members: u64,
    /// What is not as it was written.
    pub differences: u64,
    /// Users who looked different and whom somebody worked on, or of whom something is uncertain.
    pub skipped: u64,
}

/// Where a run is.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Place {
    /// The user whose account was compared last.
    user: Uuid,
    /// The folded name of the group that was compared last.
    group: String,
}

/// Compares, from where the run was.
pub(super) async fn run(inner: &Inner, held: &Held) -> Result<(), RunError> {
    let gate = held.gate(inner);
    let calls = Calls::new(held.run.request_id, &gate);
    let (place, counters) = held.place()?;
    let mut conn = inner.store.pool().acquire().await?;
    // Listings are held against the store in tables of this connection, which nobody else must find in the pool.
    conn.close_on_drop();
    drift::open_tables(&mut conn).await?;
    let now = target::state(&mut conn, &held.tenant.target).await?.now;
    let rules = inner.rules_of(held, now);
    let mut comparison = Comparison { inner, held, calls: &calls, rules, conn, place, counters };
    let stage = held.run.stage.as_str();
    if !matches!(stage, GROUPS | THROUGH) {
        comparison.accounts().await?;
    }
    if stage != THROUGH && held.runtime.target.capabilities().groups && held.policy.groups.enabled {
        comparison.groups().await?;
    }
    comparison.conclude().await
}

impl Inner {
    /// What a run's tenant goes by.
    fn rules_of(&self, held: &Held, now: DateTime<Utc>) -> Rules {
        Rules {
            policy: held.policy.clone().into(),
            protected: held.runtime.protected().unwrap_or_default(),
            ground: Ground {
                capabilities: held.runtime.target.capabilities(),
                email_fallback: self.options.email_fallback.clone(),
                tables: self.tables(),
            },
            now,
            only: None,
        }
    }
}

struct Comparison<'a> {
    inner: &'a Inner,
    held: &'a Held,
    calls: &'a Calls<'a>,
    rules: Rules,
    /// With the tables of this run.
    conn: PoolConnection<Postgres>,
    place: Place,
    counters: Counters,
}

impl Comparison<'_> {
    fn target(&self) -> &dyn Target {
        self.held.runtime.target.as_ref()
    }

    fn tenant_id(&self) -> Uuid {
        self.held.tenant.id
    }

    /// What is done about a difference. A tenant that only observes writes nothing, and nothing is put on record for it to write.
    fn action(&self) -> DriftAction {
        match self.held.tenant.mode {
            Mode::Observe => DriftAction::Report,
            Mode::Enforce => self.held.policy.drift.action,
        }
    }

    /// Reads the whole list, and only then compares: an end that is none must make nobody look deleted.
    async fn accounts(&mut self) -> Result<(), RunError> {
        let mut after = None;
        self.counters.accounts = 0;
        loop {
            let page = self.target().accounts(self.calls, after.as_deref()).await?;
            self.calls.take();
            self.counters.accounts += page.items.len() as u64;
            drift::stage_accounts(&mut self.conn, &page.items).await?;
            self.keep(ACCOUNTS).await?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let page = drift::linked(&mut self.conn, self.held.tenant.id, self.place.user, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            let last = *last;
            self.counters.users += page.len() as u64;
            for user_id in self.suspects(page).await? {
                self.look_at(user_id, ACCOUNTS).await?;
            }
            self.place.user = last;
            self.keep(ACCOUNTS).await?;
        }
        drift::empty_tables(&mut self.conn).await?;
        self.keep(GROUPS).await
    }

    /// Those of a page whose account does not look as it was written.
    async fn suspects(&mut self, page: Vec<(Uuid, Option<SeenAccount>)>) -> Result<Vec<Uuid>, RunError> {
        let ids: Vec<Uuid> = page.iter().map(|(id, _)| *id).collect();
        let seen: HashMap<Uuid, Option<SeenAccount>> = page.into_iter().collect();
        let facts = self.facts(&ids).await?;
        let differs = |facts: &&UserFacts| {
            let seen = seen.get(&facts.user_id).and_then(Option::as_ref);
            is_comparable(facts) && !differences(facts, &self.rules, seen).is_empty()
        };
        Ok(facts.iter().filter(differs).map(|facts| facts.user_id).collect())
    }

    async fn facts(&mut self, users: &[Uuid]) -> Result<Vec<UserFacts>, StoreError> {
        facts_of(&mut self.conn, self.held.tenant.id, users, &self.rules).await
    }

    async fn groups(&mut self) -> Result<(), RunError> {
        if self.held.policy.groups.remove == Remove::All {
            // Anybody may have been put into any group.
            let mut after = None;
            loop {
                let page = self.target().groups(self.calls, after.as_deref()).await?;
                self.calls.take();
                drift::stage_groups(&mut self.conn, &page.items).await?;
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        loop {
            let next = drift::next_group(&mut self.conn, self.held.tenant.id, &self.place.group).await?;
            let Some(group) = next else { return Ok(()) };
            self.group(&group).await?;
            self.counters.groups += 1;
            self.place.group = group.key;
            self.keep(GROUPS).await?;
        }
    }

    /// Reads all members of a group, and only then compares.
    async fn group(&mut self, group: &KnownGroup) -> Result<(), RunError> {
        drift::empty_members(&mut self.conn).await?;
        let named = GroupRef { name: &group.name, id: group.id.as_deref() };
        let mut after = None;
        loop {
            let page = match self.target().members(self.calls, named, after.as_deref()).await {
                Ok(page) => page,
                Err(TargetError::Gone { .. }) if group.ours => return self.gone_group(group).await,
                Err(TargetError::Gone { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.calls.take();
            self.counters.members += page.items.len() as u64;
            drift::stage_members(&mut self.conn, &page.items).await?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let (tenant_id, target) = (self.tenant_id(), self.held.tenant.target.clone());
        let mut user = Uuid::nil();
        loop {
            let page = drift::missing_members(&mut self.conn, tenant_id, &group.key, user, PAGE).await?;
            let Some(last) = page.last().copied() else { break };
            for user_id in page {
                self.look_at(user_id, GROUPS).await?;
            }
            user = last;
        }
        if self.held.policy.groups.remove != Remove::All {
            return Ok(());
        }
        user = Uuid::nil();
        loop {
            let page = drift::unknown_members(&mut self.conn, tenant_id, &target, &group.key, user, PAGE).await?;
            let Some(last) = page.last().copied() else { return Ok(()) };
            for user_id in page {
                self.look_at(user_id, GROUPS).await?;
            }
            user = last;
        }
    }

    /// Looks at one account that seems to be different, and does what the policy says about what is.
    async fn look_at(&mut self, user_id: Uuid, stage: &str) -> Result<(), RunError> {
        let (tenant_id, run_id) = (self.held.tenant.id, self.held.run.id);
        let standing = drift::standing(&mut self.conn, tenant_id, user_id, run_id).await?;
        if standing == Standing::Judged {
            return Ok(());
        }
        let before = user_facts(&mut self.conn, self.held.tenant.id, user_id, &self.rules).await?;
        let before = before.filter(|facts| standing == Standing::Free && is_comparable(facts));
        let with_id = |facts: UserFacts| Some((facts.record.account_id()?.clone(), facts));
        let Some((id, before)) = before.and_then(with_id) else {
            self.counters.skipped += 1;
            return Ok(());
        };
        let seen = self.target().get_account(self.calls, &id).await?;
        self.calls.take();
        let found = differences(&before, &self.rules, seen.as_ref());
        if found.is_empty() {
            return Ok(());
        }
        let mut tx = self.held.begin(self.inner).await?;
        let done = match self.action() {
            DriftAction::Report => true,
            action => self.put_right(&mut tx, &before, seen, &found, action).await?,
        };
        if !done {
            // Somebody was quicker: whatever that was, the next run sees what came of it.
            drop(tx);
            self.counters.skipped += 1;
            return Ok(());
        }
        let (subject, name) = (user_id.to_string(), name_of(&before));
        let about = About { kind: "user", subject: &subject, name: &name };
        drift::keep(&mut tx, self.held.tenant.id, self.held.run.id, about, word(self.action()), &found).await?;
        self.counters.differences += found.len() as u64;
        self.held.commit(tx, stage, &self.place, &self.counters).await
    }

    /// A group on record that is not there.
    async fn gone_group(&mut self, group: &KnownGroup) -> Result<(), RunError> {
        self.calls.take();
        if self.target().find_group(self.calls, &group.name).await?.is_some() {
            return Ok(());
        }
        let (subject, wanted) = self.is_wanted(group).await?;
        if self.action() != DriftAction::Report {
            self.forget_group(group, subject).await?;
        }
        let there = || Some("there".to_owned());
        let field = "group".to_owned();
        let difference = Difference { field, written: there(), found: None, wanted: there().filter(|_| wanted) };
        let mut tx = self.held.begin(self.inner).await?;
        let about = About { kind: "group", subject: &group.key, name: &group.name };
        let (tenant_id, run_id) = (self.held.tenant.id, self.held.run.id);
        drift::keep(&mut tx, tenant_id, run_id, about, word(self.action()), &[difference]).await?;
        self.counters.differences += 1;
        self.held.commit(tx, GROUPS, &self.place, &self.counters).await
    }

    async fn keep(&self, stage: &str) -> Result<(), RunError> {
        let tx = self.held.begin(self.inner).await?;
        self.held.commit(tx, stage, &self.place, &self.counters).await
    }

    async fn conclude(&mut self) -> Result<(), RunError> {
        let mut tx = self.held.begin(self.inner).await?;
        let left = drift::conclude(&mut tx, self.held.tenant.id, self.held.run.id).await?;
        self.held.commit(tx, THROUGH, &self.place, &self.counters).await?;
        self.inner.metrics.drift(&self.held.tenant.slug, left);
        Ok(())
    }
}

fn word(action: DriftAction) -> &'static str {
    match action {
        DriftAction::Report => "report",
        DriftAction::Revert => "revert",
        DriftAction::Accept => "accept",
    }
}

fn name_of(facts: &UserFacts) -> String {
    let name = facts.user.as_ref().and_then(|user| user.attrs.get("userName")?.as_str());
    name.or(facts.record.linked().map(|seen| seen.username.as_str())).unwrap_or_default().to_owned()
}
