//! What a change of a tenant's rules would write that was not to be written before, and how much of it takes away: compared plan
//! by plan, without asking the target.

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
/// The class of who is switched off or deleted; its limit is also that of people who are touched.
const ACCOUNTS: &str = "accounts";

/// What a change would come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Users that were looked at.
    pub users: u64,
    /// Users of whom something would be written that was not to be written before.
    pub touched: u64,
    /// What is taken away: accounts and memberships.
    pub brake: Vec<BrakeSays>,
    /// Users of whom nobody can say it before Jira was asked what they are in (`groups.remove = "all"`).
    pub unread: u64,
}

impl Taken {
    /// Whether it touches more people, or takes more away, than the brake lets through.
    pub fn is_too_much(&self) -> bool {
        let people = self.brake.iter().find(|says| says.class == ACCOUNTS).map_or(u64::MAX, |says| says.limit);
        // Of those the worst is assumed: that each loses a membership at least.
        self.touched > people
            || self
                .brake
                .iter()
                .any(|says| says.trips || (says.class == MEMBERSHIPS && says.wanted + self.unread > says.limit))
    }

    /// In words: `change something of 300 of 2000 users, and take away 120 accounts (the limit is 100)`.
    pub fn sentence(&self) -> String {
        let users = counted(self.users, "users");
        format!("change something of {} of {users}, and take away {}", self.touched, self.taken())
    }

    fn taken(&self) -> String {
        let parts = self.brake.iter().filter(|says| says.wanted > 0);
        let parts: Vec<String> =
            parts.map(|says| format!("{} (the limit is {})", counted(says.wanted, says.class), says.limit)).collect();
        let unread = (self.unread > 0).then(|| format!("whatever else Jira has {} of them in", self.unread));
        let parts: Vec<String> = parts.into_iter().chain(unread).collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    }
}

/// `1 account`, `2 accounts`.
fn counted(number: u64, things: &str) -> String {
    let things = if number == 1 { things.trim_end_matches('s') } else { things };
    format!("{number} {things}")
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
    let mut taken = Taken::default();
    let (mut accounts, mut memberships) = (0, 0);
    let mut place = Uuid::nil();
    let mut conn = store.pool().acquire().await.map_err(StoreError::from)?;
    let people = list::count(&mut conn, Of::Users, &Wanted::all(tenant.id)).await?;
    loop {
        let page = drive::users_of_tenant(&mut conn, tenant.id, place, PAGE).await?;
        let Some(last) = page.last() else { break };
        place = *last;
        taken.users += page.len() as u64;
        let (mut old, mut new) = (
            facts_of(&mut conn, tenant.id, &page, &before).await?,
            facts_of(&mut conn, tenant.id, &page, &after).await?,
        );
        old.sort_by_key(|facts| facts.user_id);
        new.sort_by_key(|facts| facts.user_id);
        for (old, new) in old.iter().zip(&new) {
            let due = if observed { Vec::new() } else { plan_user(old, &before).steps };
            let planned = plan_user(new, &after).steps;
            taken.touched += u64::from(planned.iter().any(|step| !due.contains(step)));
            taken.unread += u64::from(looks(new, &planned) && !looks(old, &due));
            for (class, _) in takes(&planned).difference(&takes(&due)) {
                match class {
                    BrakeClass::Memberships => memberships += 1,
                    BrakeClass::Accounts => accounts += 1,
                }
            }
        }
    }
    if brake.enabled {
        taken.brake = says(&brake, people, accounts, memberships);
    }
    Ok(taken)
}

/// Whether an account has to be read before anything can be said.
fn looks(facts: &UserFacts, steps: &[Step]) -> bool {
    facts.record.linked().is_some() && steps.iter().any(|step| matches!(step, Step::Look { .. }))
}

fn takes(steps: &[Step]) -> BTreeSet<(BrakeClass, Option<Place>)> {
    steps.iter().filter_map(|step| Some((class_of(step)?, place_of(step)))).collect()
}

/// What a brake says if all of it came within one window.
pub(super) fn says(brake: &Brake, people: u64, accounts: u64, memberships: u64) -> Vec<BrakeSays> {
    [(ACCOUNTS, accounts, &brake.accounts), (MEMBERSHIPS, memberships, &brake.memberships)]
        .into_iter()
        .map(|(class, wanted, limit)| {
            let limit = limit.of(people);
            BrakeSays { class, wanted, limit, trips: wanted > limit }
        })
        .collect()
}
