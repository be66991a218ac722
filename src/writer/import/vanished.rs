//! After a complete list: imported people and groups that are not in it any more become tombstones, and come back under their
//! ids when they are listed again. Nothing is written to the target, where there is nothing to do.
//!
//! A list is not believed without a second look: nobody goes of whom the target still answers when asked by key, and nobody
//! at all where more are missing than the brake would let go.

use uuid::Uuid;

use super::groups::Index;
use super::judge::BUSY;
use super::{ACCOUNTS_GONE, Counters, GROUPS, GROUPS_GONE, MEMBERS, Place, TRIES, Tally, Work, may_try_again};
use crate::account::{AccountId, fold};
use crate::store::StoreError;
use crate::store::import::{self, Unseen, Vanished};
use crate::store::removal;
use crate::writer::runs::RunError;

/// Users or groups that are looked at, and go, in one transaction.
const PAGE: i64 = 200;

const STILL_THERE: &str = "not listed, and there all the same";

/// Of which kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Users,
    Groups,
}

impl Kind {
    fn stage(self) -> &'static str {
        if self == Self::Users { ACCOUNTS_GONE } else { GROUPS_GONE }
    }

    fn next(self) -> &'static str {
        if self == Self::Users { GROUPS } else { MEMBERS }
    }

    fn tally(self, counters: &mut Counters) -> &mut Tally {
        if self == Self::Users { &mut counters.accounts } else { &mut counters.groups }
    }
}

impl Work<'_> {
    /// Removes what the list before did not have, from where it was. `index` says which Jira groups others stand for.
    pub(super) async fn vanished(&mut self, kind: Kind, index: Option<&Index>) -> Result<(), RunError> {
        let (tenant_id, run) = (self.held.tenant.id, self.held.run.id);
        if self.place.after.is_none() {
            let missing = self.unseen(kind).await?;
            if self.is_too_many(missing) {
                let mut counters = self.counters.clone();
                kind.tally(&mut counters).held = missing.unseen;
                return self.next_stage(kind, counters).await;
            }
        }
        loop {
            let after = self.place.after.as_deref().and_then(|id| Uuid::try_parse(id).ok()).unwrap_or_default();
            let mut conn = self.inner.store.pool().acquire().await?;
            let page = match kind {
                Kind::Users => import::vanished_users(&mut conn, tenant_id, run, after, PAGE).await?,
                Kind::Groups => import::vanished_groups(&mut conn, tenant_id, run, after, PAGE).await?,
            };
            drop(conn);
            let Some(last) = page.last().map(|vanished| vanished.id) else {
                return self.next_stage(kind, self.counters.clone()).await;
            };
            let mut gone = Vec::new();
            for vanished in &page {
                if !self.is_there(kind, vanished).await? {
                    gone.push(vanished);
                }
            }
            let there = (page.len() - gone.len()) as u64;
            self.remove(kind, &gone, there, last, index).await?;
        }
    }

    /// Whether more are missing than may go at once.
    fn is_too_many(&self, Unseen { all, unseen }: Unseen) -> bool {
        let brake = &self.held.policy.brake;
        brake.enabled && !self.options.past_the_brake && unseen > brake.accounts.share_of(all)
    }

    async fn unseen(&self, kind: Kind) -> Result<Unseen, StoreError> {
        let (tenant_id, run) = (self.held.tenant.id, self.held.run.id);
        let mut conn = self.inner.store.pool().acquire().await.map_err(StoreError::from)?;
        match kind {
            Kind::Users => import::unseen_users(&mut conn, tenant_id, run).await,
            Kind::Groups => import::unseen_groups(&mut conn, tenant_id, run).await,
        }
    }

    /// Whether the target answers when it is asked by key.
    async fn is_there(&self, kind: Kind, vanished: &Vanished) -> Result<bool, RunError> {
        let (target, Some(key)) = (&self.held.runtime.target, &vanished.key) else { return Ok(false) };
        Ok(match kind {
            Kind::Users => target.get_account(&self.calls, &AccountId(key.clone())).await?.is_some(),
            Kind::Groups => target.find_group(&self.calls, key).await?.is_some(),
        })
    }

    async fn remove(
        &mut self,
        kind: Kind,
        gone: &[&Vanished],
        there: u64,
        last: Uuid,
        index: Option<&Index>,
    ) -> Result<(), RunError> {
        let mut tries = 0;
        loop {
            match self.try_to_remove(kind, gone, there, last, index).await {
                Err(error) if may_try_again(&error) && tries < TRIES => tries += 1,
                other => return other,
            }
        }
    }

    async fn try_to_remove(
        &mut self,
        kind: Kind,
        gone: &[&Vanished],
        there: u64,
        last: Uuid,
        index: Option<&Index>,
    ) -> Result<(), RunError> {
        let tenant_id = self.held.tenant.id;
        let ids: Vec<Uuid> = gone.iter().map(|vanished| vanished.id).collect();
        let mut counters = self.counters.clone();
        let mut tx = self.held.begin(self.inner).await?;
        let removed = match kind {
            Kind::Users => {
                let free = import::lock_users(&mut tx, tenant_id, &ids).await?;
                let buried = removal::bury_users(&mut tx, tenant_id, &free).await?;
                removal::forget_users(&mut tx, tenant_id, &buried).await?;
                buried
            }
            Kind::Groups => {
                let free = import::lock_groups(&mut tx, tenant_id, &ids).await?;
                let buried = removal::bury_groups(&mut tx, tenant_id, &free).await?;
                let alone = |vanished: &&&Vanished| buried.contains(&vanished.id);
                let keys = gone.iter().filter(alone).filter_map(|vanished| vanished.key.as_deref().map(fold));
                // Of a group that another one stands for, the writer finds out by itself.
                let nobodys = |key: &String| {
                    index.is_none_or(|index| index.get(key).is_none_or(|standing| standing.others.is_empty()))
                };
                import::forget_vanished(&mut tx, tenant_id, &keys.filter(nobodys).collect::<Vec<_>>()).await?;
                buried
            }
        };
        let tally = kind.tally(&mut counters);
        tally.removed += removed.len() as u64;
        tally.skip(STILL_THERE, there);
        tally.skip(BUSY, (gone.len() as u64).saturating_sub(removed.len() as u64));
        let place = Place { after: Some(last.to_string()), ..self.place.clone() };
        self.commit(tx, kind.stage(), place, counters).await
    }

    async fn next_stage(&mut self, kind: Kind, counters: Counters) -> Result<(), RunError> {
        let tx = self.held.begin(self.inner).await?;
        self.commit(tx, kind.next(), Place::default(), counters).await
    }
}
