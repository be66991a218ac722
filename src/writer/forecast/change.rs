//! What a change of a tenant's rules would take away that was not to be taken away before: compared plan by plan, without asking
//! the target.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::super::brake::class_of;
use super::super::facts::facts_of;
use super::super::plan::{Place, Rules, Step, place_of, plan_user};
use super::super::release::rules_for;
use super::{BrakeSays, ForecastError};
use crate::policy::Policy;
use crate::policy::guard::Brake;
use crate::policy::mapping::Ground;
use crate::store::brake::BrakeClass;
use crate::store::link::UserFacts;
use crate::store::list::{self, Of, Wanted};
use crate::store::tenant::{Mode, Tenant};
use crate::store::{Store, StoreError, drive};

/// Users of one page.
const PAGE: i64 = 500;
/// The class of what is taken out of groups.
const MEMBERSHIPS: &str = "memberships";

/// What a change would take away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Users that were looked at.
    pub users: u64,
    /// For accounts and for memberships.
    pub brake: Vec<BrakeSays>,
    /// Users of whom nobody can say it before Jira was asked what they are in (`groups.remove = "all"`).
    pub unread: u64,
}

impl Taken {
    /// Whether it is more than the brake lets through.
    pub fn is_too_much(&self) -> bool {
        // Of those the worst is assumed: that each loses a membership at least.
        self.brake
            .iter()
            .any(|says| says.trips || (says.class == MEMBERSHIPS && says.wanted + self.unread > says.limit))
    }

    /// In words: `120 accounts (the limit is 100)`.
    pub fn sentence(&self) -> String {
        let parts = self.brake.iter().filter(|says| says.wanted > 0);
        let parts: Vec<String> =
            parts.map(|says| format!("{} {} (the limit is {})", says.wanted, says.class, says.limit)).collect();
        let unread = (self.unread > 0).then(|| format!("whatever else Jira has {} of them in", self.unread));
        let parts: Vec<String> = parts.into_iter().chain(unread).collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    }
}

/// Compares a tenant's plans under its rules with those under other ones. The limits are those of the present policy, so that a
/// change cannot raise them for itself.
///
/// # Errors
/// [`ForecastError::Policy`], the store's.
pub async fn taken_by_change(
    store: &Store,
    tenant: &Tenant,
    ground: Ground,
    policy: Arc<Policy>,
    mode: Mode,
) -> Result<Taken, ForecastError> {
    if mode == Mode::Observe {
        return Ok(Taken::default());
    }
    let present = Policy::from_value(&tenant.policy).map_err(|problems| ForecastError::Policy(problems.join(" ")))?;
    let brake = present.brake.clone();
    let before = rules_for(store, tenant, Arc::new(present), ground).await?;
    let after = Rules { policy, ..before.clone() };
    let observed = tenant.mode == Mode::Observe;
    let (mut accounts, mut memberships, mut users, mut unread) = (0, 0, 0, 0);
    let mut place = Uuid::nil();
    let mut conn = store.pool().acquire().await.map_err(StoreError::from)?;
    let people = list::count(&mut conn, Of::Users, &Wanted::all(tenant.id)).await?;
    loop {
        let page = drive::users_of_tenant(&mut conn, tenant.id, place, PAGE).await?;
        let Some(last) = page.last() else { break };
        place = *last;
        users += page.len() as u64;
        let (mut old, mut new) = (
            facts_of(&mut conn, tenant.id, &page, &before).await?,
            facts_of(&mut conn, tenant.id, &page, &after).await?,
        );
        old.sort_by_key(|facts| facts.user_id);
        new.sort_by_key(|facts| facts.user_id);
        for (old, new) in old.iter().zip(&new) {
            let due = if observed { BTreeSet::new() } else { takes(old, &before) };
            unread += u64::from(looks(new, &after) && (observed || !looks(old, &before)));
            for (class, _) in takes(new, &after).difference(&due) {
                match class {
                    BrakeClass::Memberships => memberships += 1,
                    BrakeClass::Accounts => accounts += 1,
                }
            }
        }
    }
    Ok(Taken { users, brake: says(&brake, people, accounts, memberships), unread })
}

/// Whether an account has to be read before anything can be said.
fn looks(facts: &UserFacts, rules: &Rules) -> bool {
    let linked = facts.record.linked().is_some();
    linked && plan_user(facts, rules).steps.iter().any(|step| matches!(step, Step::Look { .. }))
}

fn takes(facts: &UserFacts, rules: &Rules) -> BTreeSet<(BrakeClass, Option<Place>)> {
    let plan = plan_user(facts, rules);
    plan.steps.iter().filter_map(|step| Some((class_of(step)?, place_of(step)))).collect()
}

/// What a brake says if all of it came within one window.
pub(super) fn says(brake: &Brake, people: u64, accounts: u64, memberships: u64) -> Vec<BrakeSays> {
    [("accounts", accounts, &brake.accounts), (MEMBERSHIPS, memberships, &brake.memberships)]
        .into_iter()
        .map(|(class, wanted, limit)| {
            let limit = limit.of(people);
            BrakeSays { class, wanted, limit, trips: wanted > limit }
        })
        .collect()
}
