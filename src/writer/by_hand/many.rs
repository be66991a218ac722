//! The same for whole tenants and groups: everything that is stuck, a page at a time, each subject a transaction of its own.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{ByHand, ByHandError, Changed, Which};
use crate::account::fold;
use crate::policy::Policy;
use crate::policy::groups::jira_groups;
use crate::store::by_hand::{self, GroupNamed};
use crate::store::link::Stuck;
use crate::store::outbox_view::State;
use crate::store::tenant::Tenant;
use crate::store::{Store, StoreError};
use crate::writer::plan::Place;

/// Users that are read at once.
const PAGE: i64 = 500;
/// Somebody waits for it.
pub const LIVE: i16 = 0;
/// A whole tenant's users never go before what an identity provider asks for meanwhile.
pub const BULK: i16 = 1;

/// One thing that was done, or not.
#[derive(Debug)]
pub struct Deed {
    /// `user`, `group` or `tenant`.
    pub kind: &'static str,
    /// The name or id that was said.
    pub name: String,
    /// What was changed, or why not.
    pub outcome: Result<Vec<Changed>, ByHandError>,
}

impl Deed {
    /// What was done about this subject.
    pub fn new(kind: &'static str, name: impl Into<String>, outcome: Result<Vec<Changed>, ByHandError>) -> Self {
        Self { kind, name: name.into(), outcome }
    }
}

/// Whoever hears of each deed.
pub type Teller<'a> = dyn FnMut(Deed) + Send + 'a;

/// What is to be tried again.
#[derive(Clone, Debug, Default)]
pub struct Again {
    /// Only this step.
    pub step: Option<Place>,
    /// Only what is so; empty: refused and held, for one user or group waived, too.
    pub states: Vec<Stuck>,
}

impl Again {
    fn states(&self, default: &[Stuck]) -> Vec<Stuck> {
        if self.states.is_empty() { default.to_vec() } else { self.states.clone() }
    }
}

/// The key of the Jira group that a name or id means in a tenant.
///
/// # Errors
/// The store's.
pub async fn group_key(store: &Store, tenant: &Tenant, name: &str) -> Result<Option<String>, StoreError> {
    let mut conn = store.pool().acquire().await?;
    let named = by_hand::group_named(&mut conn, tenant.id, Uuid::parse_str(name).ok(), &fold(name)).await?;
    Ok(named.map(|named| match named {
        GroupNamed::Jira(key) => key,
        // By default a SCIM group stands for the Jira group of its name, and by a policy of ours for the first of several.
        GroupNamed::Scim(alias) => {
            let policy = Policy::from_value(&tenant.policy).unwrap_or_default();
            fold(jira_groups(&policy.groups, &alias).first().unwrap_or(&alias))
        }
    }))
}

impl ByHand<'_> {
    /// Tries one user again.
    pub async fn retry_one(&self, tenant: &Tenant, id: Uuid, name: &str, again: &Again) -> Deed {
        let states = again.states(&[Stuck::Refused, Stuck::Held, Stuck::Waived]);
        if let Some(Place::Group(key)) = &again.step {
            let outcome = self.retry_group(tenant, key, &states).await;
            return Deed::new("group", key, outcome.map(|changed| changed.into_iter().collect()));
        }
        let which = Which { states, place: again.step.clone() };
        Deed::new("user", name, self.retry_user(tenant, id, &which, LIVE).await)
    }

    /// Tries a group's own step again, then the members whose membership of it was refused. False where the step is none of
    /// a group's.
    ///
    /// # Errors
    /// The store's.
    pub async fn retry_members(
        &self,
        tenant: &Tenant,
        key: &str,
        again: &Again,
        told: &mut Teller<'_>,
    ) -> Result<bool, StoreError> {
        let states = again.states(&[Stuck::Refused, Stuck::Held, Stuck::Waived]);
        let (own, pair) = (Place::Group(key.to_owned()), Place::Pair(key.to_owned()));
        if again.step.as_ref().is_some_and(|step| *step != own && *step != pair) {
            return Ok(false);
        }
        if again.step.as_ref() != Some(&pair) {
            let outcome = self.retry_group(tenant, key, &states).await;
            told(Deed::new("group", key, outcome.map(|changed| changed.into_iter().collect())));
        }
        if again.step.as_ref() == Some(&own) {
            return Ok(true);
        }
        let views: Vec<State> = states.iter().map(|state| State::from(*state)).collect();
        let which = Which { states, place: Some(pair) };
        let mut after = Uuid::nil();
        loop {
            let mut conn = self.store.pool().acquire().await?;
            let users = by_hand::stuck_members(&mut conn, tenant.id, key, &views, after, PAGE).await?;
            drop(conn);
            let Some(last) = users.last() else { return Ok(true) };
            after = *last;
            for id in users {
                told(Deed::new("user", id.to_string(), self.retry_user(tenant, id, &which, BULK).await));
            }
        }
    }

    /// Tries everything of a tenant again that was refused or is held, and whatever failed and waits.
    ///
    /// # Errors
    /// The store's.
    pub async fn retry_all(&self, tenant: &Tenant, again: &Again, told: &mut Teller<'_>) -> Result<(), StoreError> {
        let states = again.states(&[Stuck::Refused, Stuck::Held]);
        let views: Vec<State> = states.iter().map(|state| State::from(*state)).collect();
        let mut conn = self.store.pool().acquire().await?;
        let groups = by_hand::stuck_groups(&mut conn, tenant.id, &views).await?;
        let structures = by_hand::failing_structures(&mut conn, tenant.id).await?;
        drop(conn);
        let meant = |key: &String| again.step.as_ref().is_none_or(|step| *step == Place::Group(key.clone()));
        for key in groups.into_iter().filter(meant).collect::<BTreeSet<_>>() {
            let outcome = self.retry_group(tenant, &key, &states).await;
            told(Deed::new("group", key, outcome.map(|changed| changed.into_iter().collect())));
        }
        if matches!(again.step, Some(Place::Group(_))) {
            return Ok(());
        }
        for subject in structures.into_iter().filter(|_| again.step.is_none()) {
            let outcome = self.retry_structure(tenant, subject, BULK).await.map(|()| Vec::new());
            told(Deed::new(subject.kind(), subject.id().to_string(), outcome));
        }
        let which = Which { states, place: again.step.clone() };
        let mut after = Uuid::nil();
        loop {
            let mut conn = self.store.pool().acquire().await?;
            let users = by_hand::stuck_users(&mut conn, tenant.id, &views, after, PAGE).await?;
            drop(conn);
            let Some(last) = users.last() else { return Ok(()) };
            after = *last;
            for id in users {
                let outcome = self.retry_user(tenant, id, &which, BULK).await;
                // Whoever has other steps that are stuck was not meant.
                if again.step.is_none() || !matches!(&outcome, Ok(changed) if changed.is_empty()) {
                    told(Deed::new("user", id.to_string(), outcome));
                }
            }
        }
    }

    /// Approves every account of a tenant that a user waits for.
    ///
    /// # Errors
    /// The store's.
    pub async fn approve_all(&self, tenant: &Tenant, told: &mut Teller<'_>) -> Result<(), StoreError> {
        let mut after = Uuid::nil();
        loop {
            let mut conn = self.store.pool().acquire().await?;
            let users = by_hand::stuck_users(&mut conn, tenant.id, &[State::Held], after, PAGE).await?;
            drop(conn);
            let Some(last) = users.last() else { return Ok(()) };
            after = *last;
            for id in users {
                match self.approve(tenant, id, BULK).await {
                    // Held for another reason.
                    Err(ByHandError::NothingToDo(_)) => {}
                    outcome => told(Deed::new("user", id.to_string(), outcome.map(|changed| vec![changed]))),
                }
            }
        }
    }
}
