//! Asking for what a page of plays has to know: of the target by reading only, and of the store who holds what.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt};
use sqlx::PgConnection;

use super::super::claim::why_held;
use super::super::facts::facts_of;
use super::super::last_administrator;
use super::super::plan::{Step, plan_user};
use super::sight::{Answers, Claimed, Held, Memory, Need, digest};
use super::{Forecast, ForecastError};
use crate::account::{AccountId, fold};
use crate::jira::TargetError;
use crate::store::drive::{self, Holder, What};
use crate::store::{StoreError, target};

/// Names that are looked up one by one; beyond, the target's complete list is read once.
const NAMES: usize = 200;
/// The same for groups.
const GROUPS: usize = 100;
/// Calls at once; the target's pace says how many there are in the end.
const AT_ONCE: usize = 16;

impl Forecast<'_> {
    /// Answers all that is needed at once.
    pub(super) async fn ask(
        &self,
        needs: HashSet<Need>,
        answers: &mut Answers,
        memory: &mut Memory,
    ) -> Result<(), ForecastError> {
        let (mut ids, mut names, mut groups, mut claims) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut emails = Vec::new();
        for need in needs {
            match need {
                Need::Account(id) => ids.push(id),
                Need::Named(name) => names.push(name),
                Need::Email(email) => emails.push(email),
                Need::Group(name) => groups.push(name),
                Need::Claim(what, key) => claims.push((what, key)),
                Need::Administrators => memory.administrators = Some(self.active_administrators().await?),
            }
        }
        let (target, calls) = (&self.runtime.target, self.calls);
        let found = futures_util::stream::iter(ids)
            .map(|id| async move { target.get_account(calls, &id).await.map(|seen| (id, seen)) })
            .buffer_unordered(AT_ONCE);
        answers.accounts.extend(found.try_collect::<Vec<_>>().await?);
        let found = futures_util::stream::iter(emails)
            .map(|email| async move {
                match target.find_by_email(calls, &email).await {
                    // Said of this person, not of the target.
                    Err(error) if !matches!(error, TargetError::Refused { .. }) => Err(error),
                    told => Ok((fold(&email), told)),
                }
            })
            .buffer_unordered(AT_ONCE);
        answers.emails.extend(found.try_collect::<Vec<_>>().await?);
        self.ask_names(names, answers, memory).await?;
        self.ask_groups(groups, memory).await?;
        if !claims.is_empty() {
            self.ask_claims(claims, answers).await?;
        }
        // Nobody reads the record of these calls, and there may be many.
        drop(calls.take());
        Ok(())
    }

    async fn ask_names(
        &self,
        mut names: Vec<String>,
        answers: &mut Answers,
        memory: &mut Memory,
    ) -> Result<(), TargetError> {
        memory.asked_names += names.len();
        if memory.names.is_none() && !memory.unlisted && memory.asked_names > NAMES {
            memory.names = self.list_names().await?;
            memory.unlisted = memory.names.is_none();
        }
        if let Some(known) = &memory.names {
            names.retain(|name| known.contains(&digest(fold(name))));
        }
        let (target, calls) = (&self.runtime.target, self.calls);
        let found = futures_util::stream::iter(names)
            .map(|name| async move { target.find_account(calls, &name).await.map(|seen| (fold(&name), seen)) })
            .buffer_unordered(AT_ONCE);
        answers.named.extend(found.try_collect::<Vec<_>>().await?);
        Ok(())
    }

    /// Digests of all login names; `None` where the target does not show all of them.
    async fn list_names(&self) -> Result<Option<HashSet<u64>>, TargetError> {
        let (mut names, mut after) = (HashSet::new(), None);
        loop {
            let page = match self.runtime.target.accounts(self.calls, after.as_deref()).await {
                Ok(page) => page,
                // A list that cannot be complete is none: people are looked up one by one then.
                Err(TargetError::Refused { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            if page.items.iter().any(|account| account.username.is_empty()) {
                return Ok(None);
            }
            names.extend(page.items.iter().map(|account| digest(fold(&account.username))));
            after = page.next;
            drop(self.calls.take());
            if after.is_none() {
                return Ok(Some(names));
            }
        }
    }

    pub(super) async fn ask_groups(&self, names: Vec<String>, memory: &mut Memory) -> Result<(), TargetError> {
        if names.is_empty() || memory.all_groups {
            return Ok(());
        }
        memory.asked_groups += names.len();
        if memory.asked_groups > GROUPS {
            let mut after = None;
            loop {
                let page = self.runtime.target.groups(self.calls, after.as_deref()).await?;
                memory.groups.extend(page.items.into_iter().map(|group| (fold(&group.name), Some(group))));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            memory.all_groups = true;
            return Ok(());
        }
        let (target, calls) = (&self.runtime.target, self.calls);
        let found = futures_util::stream::iter(names)
            .map(|name| async move { target.find_group(calls, &name).await.map(|group| (fold(&name), group)) })
            .buffer_unordered(AT_ONCE);
        memory.groups.extend(found.try_collect::<Vec<_>>().await?);
        Ok(())
    }

    async fn ask_claims(&self, claims: Vec<(What, String)>, answers: &mut Answers) -> Result<(), StoreError> {
        let mut conn = self.inner.store.pool().acquire().await.map_err(StoreError::from)?;
        let mut holders = drive::holders(&mut conn, &self.runtime.name, &claims).await?;
        for claim in claims {
            let held = match holders.remove(&claim) {
                Some(by) => Some(Held { by, verdict: self.verdict(&mut conn, &claim, by).await? }),
                None => None,
            };
            answers.claims.insert(claim, held);
        }
        Ok(())
    }

    /// The administrators who can log in, as a drive would reckon them.
    async fn active_administrators(&self) -> Result<HashSet<AccountId>, StoreError> {
        let mut active = HashSet::new();
        let mut conn = self.inner.store.pool().acquire().await.map_err(StoreError::from)?;
        let groups = last_administrator::administrative(&self.rules);
        for id in self.rules.protected.administrators.iter().flatten() {
            if target::active_among(&mut conn, &self.runtime.name, std::slice::from_ref(&id.0), &groups).await? > 0 {
                active.insert(id.clone());
            }
        }
        Ok(active)
    }

    /// What somebody else would hear who asks for what `by` holds.
    async fn verdict(
        &self,
        conn: &mut PgConnection,
        (what, key): &(What, String),
        by: Holder,
    ) -> Result<Claimed, StoreError> {
        let state = drive::holder_state(conn, by).await?;
        if !state.living && !state.has_account {
            return Ok(Claimed::Free);
        }
        if by.tenant_id == self.tenant.id {
            let facts = facts_of(conn, by.tenant_id, &[by.user_id], &self.rules).await?.pop();
            let steps = facts.map(|facts| plan_user(&facts, &self.rules).steps).unwrap_or_default();
            let leaves = |step: &Step| match step {
                Step::Update { change, .. } => change.username.is_some(),
                Step::Delete { .. } => true,
                _ => false,
            };
            if steps.iter().any(leaves) {
                return Ok(Claimed::GivenUp);
            }
        }
        let me = Holder { tenant_id: self.tenant.id, ..by };
        Ok(Claimed::Held(why_held(*what, key, by, me, state)))
    }
}
