//! The last stage: who is in the Jira groups that are ours. A group that was imported is made what it is in Jira; of one that
//! the identity provider looks after, it is only put on record who of its members is there already.

use std::collections::HashSet;

use uuid::Uuid;

use super::groups::{Index, Standing};
use super::judge::BUSY;
use super::{CHUNK, Counters, MEMBERS, Place, TRIES, Work, may_try_again};
use crate::account::AccountId;
use crate::jira::{GroupRef, TargetError};
use crate::store::import::{self, KnownGroup};
use crate::writer::runs::RunError;

/// Jira groups that are read at once.
const PAGE: i64 = 500;

const NOBODYS: &str = "the account is no user's here";
const NOT_ASKED_FOR: &str = "the identity provider's group does not have the person";
const GONE: &str = "the group is gone";

impl Work<'_> {
    /// Reads the members of all groups from where it was.
    pub(super) async fn members(&mut self, index: &Index) -> Result<(), RunError> {
        if self.place.group.is_empty() {
            self.place.before = self.counters.memberships.clone();
        } else {
            self.again_from_the_beginning();
        }
        loop {
            let mut conn = self.inner.store.pool().acquire().await?;
            let page = import::known_groups(&mut conn, self.held.tenant.id, &self.place.group, PAGE).await?;
            drop(conn);
            if page.is_empty() {
                return Ok(());
            }
            for group in page {
                self.group(index, group).await?;
            }
        }
    }

    /// A group of which a part was read before a cut is read anew: what was seen of it is counted again, what was changed
    /// stays changed.
    fn again_from_the_beginning(&mut self) {
        let now = std::mem::take(&mut self.counters.memberships);
        self.counters.memberships = super::Tally {
            linked: now.linked,
            created: now.created,
            removed: now.removed,
            ..self.place.before.clone()
        };
    }

    async fn group(&mut self, index: &Index, group: KnownGroup) -> Result<(), RunError> {
        let protected = self.held.runtime.protected().unwrap_or_default();
        let ours = index.get(&group.key).filter(|_| {
            !protected.bars_group(&self.held.policy, &group.key, group.administrative)
                && !self.held.policy.protect.covers_group(&group.name)
        });
        match ours {
            Some(standing) => self.members_of(&group, standing).await,
            None => {
                self.place.group = group.key;
                Ok(())
            }
        }
    }

    async fn members_of(&mut self, group: &KnownGroup, standing: &Standing) -> Result<(), RunError> {
        let mut seen = HashSet::new();
        let mut waiting: Vec<AccountId> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let name = GroupRef { name: &group.name, id: group.id.as_deref() };
            let page = match self.held.runtime.target.members(&self.calls, name, after.as_deref()).await {
                Ok(page) => page,
                Err(TargetError::Gone { .. }) => return self.gone(group).await,
                Err(error) => return Err(error.into()),
            };
            waiting.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
            if waiting.len() >= CHUNK {
                let accounts = std::mem::take(&mut waiting);
                self.write_members(group, standing, &accounts, &mut seen, false).await?;
            }
        }
        self.write_members(group, standing, &waiting, &mut seen, true).await
    }

    async fn gone(&mut self, group: &KnownGroup) -> Result<(), RunError> {
        let mut counters = self.counters.clone();
        counters.memberships.skip(GONE, 1);
        let tx = self.held.begin(self.inner).await?;
        let place = Place { group: group.key.clone(), before: counters.memberships.clone(), after: None };
        self.commit(tx, MEMBERS, place, counters).await
    }

    async fn write_members(
        &mut self,
        group: &KnownGroup,
        standing: &Standing,
        accounts: &[AccountId],
        seen: &mut HashSet<Uuid>,
        last: bool,
    ) -> Result<(), RunError> {
        let accounts: Vec<String> = accounts.iter().map(|id| id.0.clone()).collect();
        let mut tries = 0;
        loop {
            match self.try_members(group, standing, &accounts, seen, last).await {
                Err(error) if may_try_again(&error) && tries < TRIES => tries += 1,
                other => return other,
            }
        }
    }

    async fn try_members(
        &mut self,
        group: &KnownGroup,
        standing: &Standing,
        accounts: &[String],
        seen: &mut HashSet<Uuid>,
        last: bool,
    ) -> Result<(), RunError> {
        let (tenant_id, target) = (self.held.tenant.id, self.held.runtime.name.as_str());
        let mut counters: Counters = self.counters.clone();
        let tally = &mut counters.memberships;
        let mut tx = self.held.begin(self.inner).await?;
        let locked = match standing.imported {
            Some(id) if import::lock_imported(&mut tx, tenant_id, id).await? => Some(id),
            _ => None,
        };
        let all = import::users_of(&mut tx, tenant_id, target, accounts).await?;
        tally.seen += accounts.len() as u64;
        tally.skip(NOBODYS, (accounts.len() as u64).saturating_sub(all.len() as u64));
        tally.skip(BUSY, all.iter().filter(|(_, open)| *open).count() as u64);
        let users: Vec<Uuid> = all.iter().filter(|(_, open)| !open).map(|(user, _)| *user).collect();
        if let Some(id) = locked {
            let joined = import::join(&mut tx, tenant_id, id, &group.key, &users).await?;
            tally.created += joined;
            tally.known += (users.len() as u64).saturating_sub(joined);
            seen.extend(all.iter().map(|(user, _)| *user));
        }
        if !standing.others.is_empty() || locked.is_none() {
            let groups: Vec<Uuid> = standing.others.iter().copied().chain(standing.imported).collect();
            let (paired, strangers) = import::confirm(&mut tx, tenant_id, &groups, &group.key, &users).await?;
            if locked.is_none() {
                tally.linked += paired;
                tally.known += (users.len() as u64).saturating_sub(paired + strangers);
                tally.skip(NOT_ASKED_FOR, strangers);
            }
        }
        if let Some(id) = locked.filter(|_| last) {
            tally.removed += left(&mut tx, tenant_id, id, &group.key, seen).await?;
        }
        let place = match last {
            true => Place { group: group.key.clone(), before: counters.memberships.clone(), after: None },
            false => self.place.clone(),
        };
        self.commit(tx, MEMBERS, place, counters).await
    }
}

/// Takes out of a group whoever is not in the Jira group any more.
async fn left(
    tx: &mut sqlx::PgConnection,
    tenant_id: Uuid,
    group: Uuid,
    key: &str,
    seen: &HashSet<Uuid>,
) -> Result<u64, crate::store::StoreError> {
    if import::size(tx, tenant_id, group).await? <= seen.len() as u64 {
        return Ok(0);
    }
    let mut removed = 0;
    let mut after = Uuid::nil();
    loop {
        let page = import::members_after(tx, tenant_id, group, after, CHUNK as i64).await?;
        let Some(end) = page.last().copied() else { return Ok(removed) };
        after = end;
        let gone: Vec<Uuid> = page.into_iter().filter(|user| !seen.contains(user)).collect();
        if !gone.is_empty() {
            removed += import::leave(tx, tenant_id, group, key, &gone).await?;
        }
    }
}
