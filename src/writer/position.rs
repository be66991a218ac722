//! Where one user stands: everything that the next drive would go by, and what it would do. Asks nobody but the store.

use uuid::Uuid;

use super::Writer;
use super::facts::{standing_for, user_facts};
use super::forecast::ForecastError;
use super::plan::{Desired, Plan, Reasons, Rules, desired, plan_user, reasons};
use crate::store::StoreError;
use crate::store::link::UserFacts;
use crate::store::target::TargetState;
use crate::store::tenant::Tenant;

/// See the module.
#[derive(Clone, Debug)]
pub struct Position {
    /// The user as the store has him, and what is on record of the account.
    pub facts: UserFacts,
    /// What the plan goes by.
    pub rules: Rules,
    /// What would be done next.
    pub plan: Plan,
    /// What the user is to have.
    pub desired: Desired,
    /// Why.
    pub reasons: Reasons,
    /// How the target is.
    pub target: TargetState,
}

impl Writer {
    /// Where a user stands; `None` where there is none, not even a tombstone.
    ///
    /// # Errors
    /// The configuration does not name the target, the policy cannot be read, or the store failed.
    pub async fn position(&self, tenant: &Tenant, user_id: Uuid) -> Result<Option<Position>, ForecastError> {
        let inner = &*self.0;
        let runtime = inner.targets.get(&tenant.target).cloned();
        let runtime = runtime.ok_or_else(|| ForecastError::NoTarget(tenant.target.clone()))?;
        let target = runtime.refresh(inner).await?;
        let rules = inner.rules_as_of_now(tenant, &runtime, None).await?;
        let mut conn = inner.store.pool().acquire().await.map_err(StoreError::from)?;
        let Some(facts) = user_facts(&mut conn, tenant.id, user_id, &rules).await? else { return Ok(None) };
        let (Some(desired), Some(reasons)) = (desired(&facts, &rules), reasons(&facts, &rules)) else {
            return Ok(None);
        };
        let plan = plan_user(&facts, &rules);
        Ok(Some(Position { facts, rules, plan, desired, reasons, target }))
    }

    /// The living SCIM groups that stand for a Jira group under these rules.
    ///
    /// # Errors
    /// The store's.
    pub async fn groups_standing_for(
        &self,
        tenant: &Tenant,
        rules: &Rules,
        group_key: &str,
    ) -> Result<Vec<Uuid>, StoreError> {
        let mut conn = self.0.store.pool().acquire().await.map_err(StoreError::from)?;
        standing_for(&mut conn, tenant.id, &rules.policy.groups, group_key).await
    }

    /// The store that this writer works on.
    pub fn store(&self) -> &crate::store::Store {
        &self.0.store
    }
}
