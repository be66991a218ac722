//! What would be written, without writing it: every user's drive is played to its end over what the store says and what
//! the target has. Only reads at the target, no lease, no row of the outbox.
//!
//! A page of users is played together: whatever a play has to know of the target or of the claims is asked for at once,
//! and the play begins anew. The lines are handed over as they come, so nothing here grows with the memberships.

mod ask;
mod change;
#[cfg(test)]
pub(super) mod foretold;
mod line;
mod play;
mod sight;

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use self::line::Whom;
use self::play::{Played, play};
use self::sight::{Answers, Memory, Sight};
use super::facts::facts_of;
use super::gate::OpenGate;
use super::plan::{Place, Rules, plan_user};
use super::release::missing_groups;
use super::runtime::Runtime;
use super::unmatched::{PausedGate, UnmatchedError};
use super::{Inner, Writer};
use crate::account::fold;
use crate::jira::{Calls, TargetError};
use crate::policy::groups::jira_groups;
use crate::policy::mapping::Ground;
use crate::policy::{Policy, Unmatched};
use crate::store::drive::{self, Holder};
use crate::store::link::{StepState, UserFacts};
use crate::store::list::{self, Of, Wanted};
use crate::store::tenant::Tenant;
use crate::store::{StoreError, target};

pub use change::{Taken, taken_by_change};
pub use line::{BrakeSays, Kind, Line, Strays, Summary, Tally};

/// Users of one page.
const PAGE: i64 = 500;

/// Why there is no forecast.
#[derive(Debug, thiserror::Error)]
pub enum ForecastError {
    /// The configuration does not name the target.
    #[error("the tenant's target {0} is not configured")]
    NoTarget(String),
    /// Nobody knows what is there.
    #[error("the target {0} does not answer, or does not accept our credential")]
    NoAnswer(String),
    /// The policy cannot be read.
    #[error("the tenant's policy is not understood: {0}")]
    Policy(String),
    /// The target failed half-way.
    #[error("the target cannot be read")]
    Target(#[from] TargetError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody takes the lines any more.
    #[error("the plan cannot be written out")]
    Output(#[from] std::io::Error),
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Only these users; else everybody, and the groups that have nobody in them.
    pub users: Option<Vec<Uuid>>,
    /// Nobody, and of the groups only these, each with its alias.
    pub groups: Option<Vec<(Uuid, String)>>,
    /// Another policy than the tenant's.
    pub policy: Option<Arc<Policy>>,
}

/// What a forecast tells while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// One thing that would be written, or is not.
    Line(&'a Line),
    /// So many users were looked at, of about so many.
    Progress(u64, u64),
}

/// Whoever takes the lines.
pub type Teller<'a> = dyn FnMut(Told<'_>) -> std::io::Result<()> + Send + 'a;

impl Writer {
    /// Plays what would be written for a tenant, whatever its mode.
    ///
    /// # Errors
    /// [`ForecastError`]; nothing was written in any case.
    pub async fn forecast(
        &self,
        tenant: &Tenant,
        asked: &Asked,
        teller: &mut Teller<'_>,
    ) -> Result<Summary, ForecastError> {
        let inner = &*self.0;
        let runtime = inner.targets.get(&tenant.target).cloned();
        let runtime = runtime.ok_or_else(|| ForecastError::NoTarget(tenant.target.clone()))?;
        if !runtime.probe(inner, inner.options.probe_every).await? {
            return Err(ForecastError::NoAnswer(tenant.target.clone()));
        }
        if runtime.target.capabilities().groups && runtime.administrators().is_none() {
            runtime.know_administrators(inner).await?;
        }
        let rules = inner.rules_as_of_now(tenant, &runtime, asked.policy.clone()).await?;
        let gate = PausedGate(OpenGate { runtime: Arc::clone(&runtime), metrics: inner.metrics.clone() });
        let calls = Calls::new(Uuid::now_v7(), &gate);
        let forecast = Forecast { inner, tenant, runtime, rules, calls: &calls, people: inner.people(tenant).await? };
        forecast.run(asked, teller).await
    }
}

impl Inner {
    /// The rules of a tenant, or another policy on the same ground. What is protected is what the last probe said.
    pub(super) async fn rules_as_of_now(
        &self,
        tenant: &Tenant,
        runtime: &Runtime,
        policy: Option<Arc<Policy>>,
    ) -> Result<Rules, ForecastError> {
        let policy = match policy {
            Some(policy) => policy,
            None => Arc::new(
                Policy::from_value(&tenant.policy).map_err(|problems| ForecastError::Policy(problems.join(" ")))?,
            ),
        };
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let now = target::state(&mut conn, &runtime.name).await?.now;
        Ok(Rules {
            policy,
            protected: runtime.protected().unwrap_or_default(),
            ground: Ground {
                capabilities: runtime.target.capabilities(),
                email_fallback: self.options.email_fallback.clone(),
                tables: self.tables(),
            },
            now,
            only: None,
        })
    }

    async fn people(&self, tenant: &Tenant) -> Result<u64, StoreError> {
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        list::count(&mut conn, Of::Users, &Wanted::all(tenant.id)).await
    }
}

struct Forecast<'a> {
    inner: &'a Inner,
    tenant: &'a Tenant,
    runtime: Arc<Runtime>,
    rules: Rules,
    calls: &'a Calls<'a>,
    /// Living users of the tenant.
    people: u64,
}

impl Forecast<'_> {
    async fn run(self, asked: &Asked, teller: &mut Teller<'_>) -> Result<Summary, ForecastError> {
        let (mut summary, mut memory) = (Summary::default(), Memory::default());
        if let Some(groups) = &asked.groups {
            if self.makes_groups() {
                self.missing(groups, &mut memory, &mut summary, teller).await?;
            }
            return Ok(summary);
        }
        let mut after = Uuid::nil();
        while let Some(users) = self.page(asked, after).await? {
            after = users.last().copied().unwrap_or(after);
            summary.users += users.len() as u64;
            let mut conn = self.inner.store.pool().acquire().await.map_err(StoreError::from)?;
            let facts = facts_of(&mut conn, self.tenant.id, &users, &self.rules).await?;
            drop(conn);
            for (before, played) in self.play_all(facts, &mut memory).await? {
                tell(&before, &played, &mut summary, teller)?;
            }
            teller(Told::Progress(summary.users, self.people.max(summary.users)))?;
            if asked.users.is_some() {
                break;
            }
        }
        if asked.users.is_none() {
            self.empty_groups(&mut memory, &mut summary, teller).await?;
            self.strays(&memory, &mut summary, teller).await?;
        }
        summary.brake = self.brake(&summary);
        Ok(summary)
    }

    /// The next users, in the order of their ids; `None` at the end.
    async fn page(&self, asked: &Asked, after: Uuid) -> Result<Option<Vec<Uuid>>, StoreError> {
        let users = match &asked.users {
            Some(users) => users.clone(),
            None => {
                let mut conn = self.inner.store.pool().acquire().await.map_err(StoreError::from)?;
                drive::users_of_tenant(&mut conn, self.tenant.id, after, PAGE).await?
            }
        };
        Ok(Some(users).filter(|users| !users.is_empty()))
    }

    /// What the brake would say if all of it came within one window.
    fn brake(&self, summary: &Summary) -> Vec<BrakeSays> {
        let brake = &self.rules.policy.brake;
        let accounts = summary.count(Kind::Deactivate) + summary.count(Kind::Delete);
        match brake.enabled {
            // Access is taken away as memberships are.
            true => change::says(brake, self.people, accounts, summary.count(Kind::Leave) + summary.revoked),
            false => Vec::new(),
        }
    }

    /// Groups that nobody is put into, and that would be made all the same.
    async fn empty_groups(
        &self,
        memory: &mut Memory,
        summary: &mut Summary,
        teller: &mut Teller<'_>,
    ) -> Result<(), ForecastError> {
        if !self.makes_groups() {
            return Ok(());
        }
        let mut after = Uuid::nil();
        loop {
            let mut conn = self.inner.store.pool().acquire().await.map_err(StoreError::from)?;
            let page = drive::aliases(&mut conn, self.tenant.id, after, PAGE).await?;
            drop(conn);
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            self.missing(&page, memory, summary, teller).await?;
        }
    }

    /// Whether groups are made at all.
    fn makes_groups(&self) -> bool {
        let rules = &self.rules.policy.groups;
        rules.enabled && rules.create_missing && self.rules.ground.capabilities.groups
    }

    /// Those of these groups that would be made.
    async fn missing(
        &self,
        groups: &[(Uuid, String)],
        memory: &mut Memory,
        summary: &mut Summary,
        teller: &mut Teller<'_>,
    ) -> Result<(), ForecastError> {
        let mut conn = self.inner.store.pool().acquire().await.map_err(StoreError::from)?;
        let missing = missing_groups(&mut conn, self.tenant.id, groups, &self.rules).await?;
        drop(conn);
        for (id, alias) in groups.iter().filter(|(id, _)| missing.contains(id)) {
            for name in jira_groups(&self.rules.policy.groups, alias) {
                if self.makes(&name, memory).await? {
                    memory.made.insert(fold(&name), name.clone());
                    let line = Line::of_group(Some(*id), &name, "make");
                    summary.add(&line);
                    teller(Told::Line(&line))?;
                }
            }
        }
        Ok(())
    }

    /// Accounts that nobody claims, where the policy switches them off. Where there are more than its limit, none is.
    async fn strays(
        &self,
        memory: &Memory,
        summary: &mut Summary,
        teller: &mut Teller<'_>,
    ) -> Result<(), ForecastError> {
        let unmatched = &self.rules.policy.unmatched_accounts;
        if unmatched.action != Unmatched::Deactivate {
            return Ok(());
        }
        let mut found = match self.inner.strays(&self.runtime, self.calls, &self.rules.policy).await {
            Ok(comparison) => comparison.strays,
            // Then nobody is switched off, and the rest of the plan stands.
            Err(UnmatchedError::Target(TargetError::Refused { reason, .. })) => {
                *summary.refused.entry(format!("accounts that nobody claims: {reason}")).or_default() += 1;
                return Ok(());
            }
            Err(UnmatchedError::Target(error)) => return Err(error.into()),
            Err(UnmatchedError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(ForecastError::Policy(error.to_string())),
        };
        // Nobody's yet, and of somebody whom this very plan links.
        found.retain(|stray| !memory.is_taken(&stray.id, &fold(&stray.username)));
        let strays = Strays { found: found.len() as u64, limit: u64::from(unmatched.limit) };
        summary.unmatched = Some(strays);
        if strays.found > strays.limit {
            return Ok(());
        }
        for stray in &found {
            let line = Line::of_stray(stray);
            summary.add(&line);
            teller(Told::Line(&line))?;
        }
        Ok(())
    }

    /// Whether a group of that name would be made: it is not there, and nobody who was played makes it.
    async fn makes(&self, name: &str, memory: &mut Memory) -> Result<bool, ForecastError> {
        let key = fold(name);
        if self.rules.protected.bars_group(&self.rules.policy, &key, false) || memory.made.contains_key(&key) {
            return Ok(false);
        }
        if !memory.groups.contains_key(&key) {
            self.ask_groups(vec![name.to_owned()], memory).await?;
        }
        Ok(memory.groups.get(&key).is_none_or(Option::is_none))
    }

    /// Plays a page; users with nothing to tell are left out.
    async fn play_all(
        &self,
        facts: Vec<UserFacts>,
        memory: &mut Memory,
    ) -> Result<Vec<(UserFacts, Played)>, ForecastError> {
        let mut waiting: Vec<UserFacts> = facts.into_iter().filter(|facts| has_something(facts, &self.rules)).collect();
        waiting.sort_by_key(|facts| facts.user_id);
        let mut answers = Answers::default();
        let mut done = Vec::new();
        while !waiting.is_empty() {
            let mut needs = HashSet::new();
            let mut still = Vec::new();
            for facts in waiting {
                let me = Holder { tenant_id: self.tenant.id, user_id: facts.user_id };
                match play(&facts, &self.rules, &Sight { answers: &answers, memory, me }) {
                    Ok(played) => {
                        memory.keep(&played);
                        done.push((facts, played));
                    }
                    Err(need) => {
                        needs.insert(need);
                        still.push(facts);
                    }
                }
            }
            waiting = still;
            self.ask(needs, &mut answers, memory).await?;
        }
        done.sort_by_key(|(facts, _)| facts.user_id);
        Ok(done)
    }
}

/// Whether a user is to be played at all: something is to be done, or something stands that is not.
fn has_something(facts: &UserFacts, rules: &Rules) -> bool {
    let stands = !facts.record.steps.is_empty() || facts.pairs.values().any(|pair| pair.step.is_some());
    stands || !plan_user(facts, rules).is_empty()
}

/// Tells what one play came to, and counts it.
fn tell(
    before: &UserFacts,
    played: &Played,
    summary: &mut Summary,
    teller: &mut Teller<'_>,
) -> Result<(), ForecastError> {
    let user_name = before.user.as_ref().and_then(|user| user.attrs.get("userName")).and_then(|name| name.as_str());
    let whom = Whom { id: before.user_id, user_name: user_name.unwrap_or_default().to_owned() };
    let held = &before.record.granted;
    for (step, seen) in &played.moves {
        summary.count_step(step, held);
        if let Some(line) = Line::of(&whom, step, seen.as_ref()) {
            summary.add(&line);
            teller(Told::Line(&line))?;
        }
    }
    summary.concerned += u64::from(!played.moves.is_empty());
    let account = played.after.record.linked().map(|seen| seen.username.clone()).unwrap_or_default();
    let name_of = |key: &str| {
        let on_record = played.after.groups.get(key).map(|group| &group.name).filter(|name| !name.is_empty());
        on_record.or_else(|| played.after.wanted.get(key)).map_or_else(|| key.to_owned(), Clone::clone)
    };
    for (place, state) in standing(&played.after) {
        let line = Line::of_state(&whom, &account, &place, &state, name_of);
        summary.add(&line);
        teller(Told::Line(&line))?;
    }
    Ok(())
}

/// The steps that would not be done after the play: refused, held or waived.
fn standing(after: &UserFacts) -> Vec<(Place, StepState)> {
    let account = after.record.steps.iter().map(|(step, state)| (Place::Account(step.clone()), state.clone()));
    let pairs = after.pairs.iter().filter_map(|(key, pair)| Some((Place::Pair(key.clone()), pair.step.clone()?)));
    account.chain(pairs).collect()
}
