//! Releases a part of what a tenant in `observe` would write: the users and groups concerned get a row in the outbox that says
//! which kinds of steps may be done, once, and a mark of what was wanted then: a change that comes before the writing does is
//! observed like any other, and ends the release. The tenant goes on observing. No call to a Jira is made here.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::DateTime;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::facts::facts_of;
use super::plan::{Rules, StepKind, plan_user};
use super::runtime::protected_by;
use crate::account::fold;
use crate::policy::Policy;
use crate::policy::groups::jira_groups;
use crate::policy::mapping::Ground;
use crate::policy::protect::Protected;
use crate::store::by_hand::{self, Noted};
use crate::store::link::{GroupKnown, UserFacts};
use crate::store::tenant::{Mode, Origin, Tenant};
use crate::store::{Store, StoreError, drive, release, target};

/// Users or groups of one page.
const PAGE: i64 = 1000;

/// What is released.
#[derive(Clone, Debug)]
pub struct Which {
    /// Steps of these kinds.
    pub kinds: BTreeSet<StepKind>,
    /// Only of these users; else of everybody, and of groups that have nobody in them.
    pub users: Option<Vec<Uuid>>,
}

impl Which {
    /// The steps of these kinds, with what they need: who is put into a group needs the group.
    pub fn new(kinds: impl IntoIterator<Item = StepKind>, users: Option<Vec<Uuid>>) -> Self {
        let mut kinds: BTreeSet<StepKind> = kinds.into_iter().collect();
        if kinds.is_empty() {
            kinds.extend(StepKind::ALL);
        }
        if kinds.contains(&StepKind::Join) {
            kinds.insert(StepKind::Group);
        }
        Self { kinds, users }
    }
}

/// How much was released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Released {
    /// Users of whom something is to be done.
    pub users: u64,
    /// Groups that are to be there.
    pub groups: u64,
}

/// Why nothing was released.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// Everything is written anyway.
    #[error("tenant {0} does not observe: everything is written as it comes")]
    NotObserving(String),
    /// The policy cannot be read.
    #[error("the tenant's policy is not understood: {0}")]
    Policy(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Releases; whoever works on the outbox does the rest.
///
/// # Errors
/// [`ReleaseError`].
pub async fn release_steps(
    store: &Store,
    tenant: &Tenant,
    which: &Which,
    ground: Ground,
    origin: Origin<'_>,
) -> Result<Released, ReleaseError> {
    if tenant.mode != Mode::Observe {
        return Err(ReleaseError::NotObserving(tenant.slug.clone()));
    }
    let policy = Policy::from_value(&tenant.policy).map_err(|problems| ReleaseError::Policy(problems.join(" ")))?;
    let mut rules = rules_for(store, tenant, Arc::new(policy), ground).await?;
    rules.only = Some(which.kinds.clone());
    let released = Release { store, tenant, which, rules, origin };
    let (users, groups) = (released.users().await?, released.groups().await?);
    released.note(users, groups).await?;
    Ok(Released { users, groups })
}

/// Rules of a tenant without its target: what is protected is what the last probe of anybody said.
pub(super) async fn rules_for(
    store: &Store,
    tenant: &Tenant,
    policy: Arc<Policy>,
    ground: Ground,
) -> Result<Rules, StoreError> {
    let mut conn = store.pool().acquire().await.map_err(StoreError::from)?;
    let state = target::state(&mut conn, &tenant.target).await?;
    let now = state.now;
    let protected = state.probe.as_ref().map(protected_by).unwrap_or_default();
    Ok(Rules { policy, protected, ground, now, only: None })
}

struct Release<'a> {
    store: &'a Store,
    tenant: &'a Tenant,
    which: &'a Which,
    rules: Rules,
    origin: Origin<'a>,
}

impl Release<'_> {
    async fn users(&self) -> Result<u64, StoreError> {
        let (mut count, mut after) = (0, Uuid::nil());
        loop {
            let mut tx = self.store.pool().begin().await?;
            let page = match &self.which.users {
                Some(users) => users.clone(),
                None => drive::users_of_tenant(&mut tx, self.tenant.id, after, PAGE).await?,
            };
            let Some(last) = page.last() else { return Ok(count) };
            after = *last;
            let facts = facts_of(&mut tx, self.tenant.id, &page, &self.rules).await?;
            let concerned = facts.iter().filter(|facts| !plan_user(facts, &self.rules).steps.is_empty());
            let version = self.tenant.policy_version;
            let ids: Vec<(Uuid, String)> = concerned.map(|facts| (facts.user_id, user_mark(facts, version))).collect();
            self.put(&mut tx, "user", &ids).await?;
            tx.commit().await?;
            count += ids.len() as u64;
            if self.which.users.is_some() {
                return Ok(count);
            }
        }
    }

    /// Groups that are not known to exist: also those that nobody is in.
    async fn groups(&self) -> Result<u64, StoreError> {
        let rules = &self.rules.policy.groups;
        let able = rules.enabled && rules.create_missing && self.rules.ground.capabilities.groups;
        if self.which.users.is_some() || !able || !self.which.kinds.contains(&StepKind::Group) {
            return Ok(0);
        }
        let (mut count, mut after) = (0, Uuid::nil());
        loop {
            let mut tx = self.store.pool().begin().await?;
            let page = drive::aliases(&mut tx, self.tenant.id, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after = *last;
            let missing = missing_groups(&mut tx, self.tenant.id, &page, &self.rules).await?;
            let marked = page.into_iter().filter(|(id, _)| missing.contains(id));
            let version = self.tenant.policy_version;
            let ids: Vec<(Uuid, String)> = marked.map(|(id, alias)| (id, group_mark(&alias, version))).collect();
            self.put(&mut tx, "group", &ids).await?;
            tx.commit().await?;
            count += ids.len() as u64;
        }
    }

    async fn put(&self, conn: &mut sqlx::PgConnection, kind: &str, ids: &[(Uuid, String)]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let kinds: Vec<String> = self.which.kinds.iter().map(|kind| kind.name().to_owned()).collect();
        release::release(conn, self.tenant.id, kind, ids, &kinds, self.origin.request_id).await
    }

    async fn note(&self, users: u64, groups: u64) -> Result<(), StoreError> {
        let kinds: Vec<&str> = self.which.kinds.iter().map(|kind| kind.name()).collect();
        let body = json!({ "kinds": kinds, "users": users, "groups": groups, "only": self.which.users });
        let noted = Noted {
            tenant_id: self.tenant.id,
            request_id: self.origin.request_id,
            actor: self.origin.actor,
            action: "tenant.release",
            kind: "tenant",
            subject_id: self.tenant.id,
            body: &body,
        };
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        by_hand::note(&mut conn, noted).await
    }
}

/// What is wanted of a user, in short: what is wanted later was not released with it.
pub(super) fn user_mark(facts: &UserFacts, policy_version: i64) -> String {
    let user = facts.user.as_ref().map(|user| (user.version, user.active, user.deleted));
    let mut groups: Vec<&str> = facts.groups_in.iter().map(|group| group.name.as_str()).collect();
    groups.sort_unstable();
    let wanted: Vec<&String> = facts.wanted.keys().collect();
    let mut pins: Vec<Uuid> = facts.overrides.iter().map(|pin| pin.id).collect();
    pins.sort_unstable();
    digest(&format!("{policy_version} {user:?} {groups:?} {wanted:?} {pins:?}"))
}

/// Users or groups with their marks, for what else lets a tenant that observes do something.
pub(super) async fn marked(
    conn: &mut sqlx::PgConnection,
    tenant: &Tenant,
    kind: &str,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let version = tenant.policy_version;
    let mut marked = Vec::with_capacity(ids.len());
    if kind == "group" {
        for id in ids {
            let facts = drive::group_facts(conn, tenant.id, *id).await?;
            marked.extend(facts.map(|facts| (*id, group_mark(&facts.alias, version))));
        }
        return Ok(marked);
    }
    // A mark is of what is wanted: nothing of it depends on the target.
    let rules = Rules {
        policy: Arc::new(Policy::from_value(&tenant.policy).unwrap_or_default()),
        protected: Protected::default(),
        ground: Ground::default(),
        now: DateTime::UNIX_EPOCH,
        only: None,
    };
    let facts = facts_of(conn, tenant.id, ids, &rules).await?;
    Ok(facts.iter().map(|facts| (facts.user_id, user_mark(facts, version))).collect())
}

/// The same of a group.
pub(super) fn group_mark(alias: &str, policy_version: i64) -> String {
    digest(&format!("{policy_version} {alias:?}"))
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Those SCIM groups of a page that stand for a Jira group which is not known to exist.
pub(super) async fn missing_groups(
    conn: &mut sqlx::PgConnection,
    tenant_id: Uuid,
    page: &[(Uuid, String)],
    rules: &Rules,
) -> Result<Vec<Uuid>, StoreError> {
    let named: Vec<(Uuid, Vec<String>)> = page
        .iter()
        .map(|(id, alias)| (*id, jira_groups(&rules.policy.groups, alias).iter().map(|name| fold(name)).collect()))
        .collect();
    let keys: Vec<String> = named.iter().flat_map(|(_, keys)| keys.clone()).collect();
    let known = drive::jira_groups(conn, tenant_id, &keys).await?;
    let is_missing = |key: &String| {
        known.get(key).is_none_or(|group| group.known != GroupKnown::Exists && group.step.is_none())
            && !rules.protected.bars_group(&rules.policy, key, known.get(key).is_some_and(|group| group.administrative))
    };
    Ok(named.into_iter().filter(|(_, keys)| keys.iter().any(is_missing)).map(|(id, _)| id).collect())
}
