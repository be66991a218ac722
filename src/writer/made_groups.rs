//! The end of Jira groups that were made from here and that nobody else stands for: with the SCIM group, where the policy says
//! so, or with a purge, whatever they were made for. They go before the people are taken out of them one by one.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Inner;
use super::brake::GroupVerdict;
use super::claim::Structure;
use super::facts::standing_for;
use super::fan_out::Ended;
use super::plan::{Plan, Step};
use crate::account::fold;
use crate::policy::{OnGroupDelete, Policy};
use crate::store::drive::{self, Finish};
use crate::store::link::{JiraGroup, UserFacts};
use crate::store::{StoreError, removal, tenant};

/// Groups that are looked at at once.
const PAGE: i64 = 200;

impl Inner {
    /// Deletes those that a purge asks for, as far as they are still asked for. What the brake holds is asked for again later; the next is tried all
    /// the same, so that somebody who looks sees all of it.
    pub(super) async fn purged_groups(&self, work: &Structure) -> Result<Ended, StoreError> {
        let mut ended = Ended::nothing();
        if work.rules.only.is_some() || !work.rules.ground.capabilities.groups {
            return Ok(ended);
        }
        let mut after = String::new();
        loop {
            let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
            let page = removal::groups_to_delete(&mut conn, work.lease.tenant_id, &after, PAGE).await?;
            drop(conn);
            let Some(last) = page.last() else { return Ok(ended) };
            after = last.clone();
            for key in page {
                let next = self.purged_group(work, &key).await?;
                let again = ended.finish.clone();
                ended = ended.and(next);
                if ended.finish == (Finish::Done { due: None }) {
                    ended.finish = again;
                } else if work.runtime.is_paused() {
                    return Ok(ended);
                }
            }
        }
    }

    async fn purged_group(&self, work: &Structure, key: &str) -> Result<Ended, StoreError> {
        let (tenant_id, target) = (work.lease.tenant_id, &work.lease.rules.target);
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let Some(group) = drive::jira_group(&mut conn, tenant_id, key).await? else { return Ok(Ended::nothing()) };
        let barred = work.rules.protected.bars_group(&work.rules.policy, key, group.administrative);
        if barred || self.is_wanted_elsewhere(&mut conn, target, key, Some(tenant_id)).await? {
            removal::keep_group(&mut conn, tenant_id, key).await?;
            return Ok(Ended::nothing());
        }
        drop(conn);
        let ended = self.delete_made(work, key.to_owned(), group).await?;
        // Given up by hand, or refused: it stays.
        if ended.finish == (Finish::Done { due: None }) {
            let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
            removal::keep_group(&mut conn, tenant_id, key).await?;
        }
        Ok(ended)
    }

    /// The SCIM group is deleted: what the policy says of its Jira group, unless another group still stands for it.
    pub(super) async fn part_with(&self, work: &Structure, name: &str) -> Result<Ended, StoreError> {
        let done = Ended::nothing();
        let (tenant_id, key) = (work.lease.tenant_id, fold(name));
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let policy = &work.rules.policy;
        match policy.deprovision.on_group_delete {
            // What is kept is forgotten page by page, of those who are in no other group that stands for it.
            OnGroupDelete::Empty | OnGroupDelete::Keep => return Ok(done),
            OnGroupDelete::Delete => {}
        }
        let Some(group) = drive::jira_group(&mut conn, tenant_id, &key).await?.filter(|group| group.made) else {
            return Ok(done);
        };
        let barred = work.rules.protected.bars_group(policy, &key, group.administrative);
        if barred || self.is_wanted_elsewhere(&mut conn, &work.lease.rules.target, &key, None).await? {
            return Ok(done);
        }
        drop(conn);
        self.delete_made(work, key, group).await
    }

    /// Deletes a Jira group that we made, unless the brake holds it.
    async fn delete_made(&self, work: &Structure, key: String, group: JiraGroup) -> Result<Ended, StoreError> {
        let done = Ended::nothing();
        match self.may_delete(work, &key, &group).await? {
            GroupVerdict::Through => {}
            GroupVerdict::GivenUp => return Ok(done),
            // Its drive looks again now and then: the brake may be switched off by the policy.
            GroupVerdict::Held(error) => {
                let (attempts, first_failure) = (work.lease.attempts, work.lease.first_failure);
                let at = work.rules.now + TimeDelta::hours(1);
                return Ok(Ended { finish: Finish::Again { at, attempts, first_failure, error }, ..done });
            }
        }
        let mut plan = Plan::default();
        plan.steps.push(Step::DeleteGroup { key: key.clone(), name: group.name.clone() });
        let facts = UserFacts { groups: BTreeMap::from([(key.clone(), group)]), ..UserFacts::default() };
        self.group_steps(work, key, facts, plan).await
    }

    /// Whether any living group, or a rule, of any tenant of this target stands for a Jira group. The default groups of a
    /// tenant that is `purged` are nobody's.
    async fn is_wanted_elsewhere(
        &self,
        conn: &mut PgConnection,
        target: &str,
        key: &str,
        purged: Option<Uuid>,
    ) -> Result<bool, StoreError> {
        for tenant in tenant::list(&mut *conn).await?.into_iter().filter(|tenant| tenant.target == target) {
            // Nobody knows what a policy wants that this version does not understand.
            let Ok(policy) = Policy::from_value(&tenant.policy) else { return Ok(true) };
            let default = policy.groups.default_groups.iter().any(|name| fold(name.trim()) == key);
            if (default && purged != Some(tenant.id))
                || !standing_for(conn, tenant.id, &policy.groups, key).await?.is_empty()
            {
                return Ok(true);
            }
        }
        drive::is_pinned_group(conn, target, key).await
    }
}
