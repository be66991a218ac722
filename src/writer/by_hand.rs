//! What an administrator does about steps that are not being done: retry them, or waive them.
//!
//! Only the holder of a subject's lease writes its link and pairs, so the lease is taken first; whoever drives the subject
//! at the moment is waited for. Lease, nudge, states and audit row are one transaction: nothing is half done, and no lease
//! is left behind. No call to a Jira is made here; the daemon's workers find the subject due.

mod links;
mod many;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::time::Instant;
use uuid::Uuid;

use super::absorb::set_state;
use super::facts::{standing_for, user_facts};
use super::plan::{Place, Rules, fingerprint, group_fingerprint, is_asked, place_of, plan_user, refused};
use crate::account::fold;
use crate::policy::Policy;
use crate::policy::mapping::Grounds;
use crate::policy::protect::Protected;
use crate::store::by_hand::{self, Noted};
use crate::store::drive::{self, Lease};
use crate::store::link::{AccountStep, Known, Pair, StepState, Stuck, UserFacts};
use crate::store::outbox::{self, NudgeAs, Subject};
use crate::store::tenant::{Origin, Tenant};
use crate::store::{Store, StoreError, outbox_view, target};

pub use links::LinkError;
pub use many::{Again, BULK, Deed, LIVE, Teller, group_key};

/// How often a subject that somebody drives is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// The transaction is over long before.
const LEASE: Duration = Duration::from_secs(30);

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ByHandError {
    /// Somebody drives the subject, and did not finish in time.
    #[error("somebody is working on it at the moment; try again")]
    Busy,
    /// There is no such user.
    #[error("there is no such user any more")]
    Gone,
    /// The step has nothing to do, so there is nothing to waive.
    #[error("{0} has nothing to do at present, so there is nothing to waive")]
    NothingToDo(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which states of one subject are to be cleared.
#[derive(Clone, Debug)]
pub struct Which {
    /// Only those that are so.
    pub states: Vec<Stuck>,
    /// Only this step.
    pub place: Option<Place>,
}

impl Which {
    fn covers(&self, place: &Place, state: &StepState) -> bool {
        self.states.contains(&state.state) && self.place.as_ref().is_none_or(|only| only == place)
    }
}

/// A step whose state was changed.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Changed {
    /// The step, as on the command line.
    pub step: String,
    /// What it was before; none for a step that was not stuck.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Stuck>,
    /// Why it was so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Changed {
    fn new(place: &Place, state: Option<&StepState>) -> Self {
        let (was, reason) = (state.map(|state| state.state), state.map(|state| state.reason.clone()));
        Self { step: step_name(place), was, reason }
    }
}

/// A step as the command line and the audit call it.
pub fn step_name(place: &Place) -> String {
    match place {
        Place::Account(AccountStep::Write) => "account".to_owned(),
        Place::Account(step) => step.to_string(),
        Place::Pair(key) => format!("member:{key}"),
        Place::Group(key) => format!("group:{key}"),
    }
}

/// The step of that name: `account`, `active`, `delete`, `access:APPLICATION`, `member:NAME`, `group:NAME`.
pub fn place_named(name: &str) -> Option<Place> {
    let of = |name: &str| Some(fold(name.trim())).filter(|key| !key.is_empty());
    match (name, name.split_once(':')) {
        ("account", _) => Some(Place::Account(AccountStep::Write)),
        ("active", _) => Some(Place::Account(AccountStep::Active)),
        ("delete", _) => Some(Place::Account(AccountStep::Delete)),
        (_, Some(("member", group))) => of(group).map(Place::Pair),
        (_, Some(("group", group))) => of(group).map(Place::Group),
        (name, Some(("access", _))) => AccountStep::try_from(name.to_owned()).ok().map(Place::Account),
        _ => None,
    }
}

/// The administrator's hand.
#[derive(Clone, Copy, Debug)]
pub struct ByHand<'a> {
    /// The store.
    pub store: &'a Store,
    /// Who asks, for the audit.
    pub origin: Origin<'a>,
    /// How long to wait for whoever drives a subject.
    pub patience: Duration,
    /// What an account depends on besides the user and the policy.
    pub grounds: &'a Grounds,
}

impl ByHand<'_> {
    /// Clears states of a user's steps and makes the user due with no failure on record. `priority` as in [`NudgeAs`].
    ///
    /// # Errors
    /// [`ByHandError::Busy`], [`ByHandError::Gone`], the store's.
    pub async fn retry_user(
        &self,
        tenant: &Tenant,
        user_id: Uuid,
        which: &Which,
        priority: i16,
    ) -> Result<Vec<Changed>, ByHandError> {
        let subject = Subject::User(user_id);
        self.holding(tenant, subject, priority, async |conn, lease| {
            let (mut facts, _) = self.facts(conn, tenant, lease, user_id).await?;
            let cleared: Vec<(Place, StepState)> =
                states_of(&facts).into_iter().filter(|(place, state)| which.covers(place, state)).collect();
            for (place, _) in &cleared {
                set_state(&mut facts, place, None);
            }
            save(conn, tenant, &facts, cleared.iter().map(|(place, _)| place)).await?;
            let changed: Vec<Changed> = cleared.iter().map(|(place, state)| Changed::new(place, Some(state))).collect();
            self.note(conn, tenant, "outbox.retry", subject, &changed).await?;
            Ok(changed)
        })
        .await
    }

    /// Waives one step of a user until its desired value changes, whether it is stuck already or only fails.
    ///
    /// # Errors
    /// [`ByHandError::NothingToDo`] where the planner would not do the step; [`ByHandError::Busy`], [`ByHandError::Gone`],
    /// the store's.
    pub async fn waive_user(&self, tenant: &Tenant, user_id: Uuid, place: &Place) -> Result<Changed, ByHandError> {
        let subject = Subject::User(user_id);
        self.holding(tenant, subject, 0, async |conn, lease| {
            let (mut facts, rules) = self.facts(conn, tenant, lease, user_id).await?;
            let before = states_of(&facts).into_iter().find(|(at, _)| at == place).map(|(_, state)| state);
            set_state(&mut facts, place, None);
            let nothing = || ByHandError::NothingToDo(step_name(place));
            let fingerprint = fingerprint(&facts, &rules, place).ok_or_else(nothing)?;
            if !is_planned(&facts, &rules, place) && before.as_ref().is_none_or(|s| s.fingerprint != fingerprint) {
                return Err(nothing());
            }
            set_state(&mut facts, place, Some(waived(fingerprint, before.as_ref(), rules.now)));
            save(conn, tenant, &facts, [place]).await?;
            let changed = Changed::new(place, before.as_ref());
            self.note(conn, tenant, "outbox.waive", subject, std::slice::from_ref(&changed)).await?;
            Ok(changed)
        })
        .await
    }

    /// Approves that the account that was found becomes the user's (`adopt = "ask"`).
    ///
    /// # Errors
    /// [`ByHandError::NothingToDo`] where no account waits for it; [`ByHandError::Busy`], [`ByHandError::Gone`], the store's.
    pub async fn approve(&self, tenant: &Tenant, user_id: Uuid, priority: i16) -> Result<Changed, ByHandError> {
        let (subject, place) = (Subject::User(user_id), Place::Account(AccountStep::Write));
        self.holding(tenant, subject, priority, async |conn, lease| {
            let (mut facts, _) = self.facts(conn, tenant, lease, user_id).await?;
            let state =
                facts.record.steps.get(&AccountStep::Write).filter(|state| is_asked(&state.fingerprint)).cloned();
            let (Known::Found(seen), Some(state)) = (&facts.record.known, state) else {
                return Err(ByHandError::NothingToDo(step_name(&place)));
            };
            facts.record.approved = Some(seen.id.clone());
            set_state(&mut facts, &place, None);
            save(conn, tenant, &facts, [&place]).await?;
            let changed = Changed::new(&place, Some(&state));
            self.note(conn, tenant, "outbox.approve", subject, std::slice::from_ref(&changed)).await?;
            Ok(changed)
        })
        .await
    }

    /// Clears the state of a Jira group's own step, and makes its SCIM group and everybody who waits for it due.
    ///
    /// # Errors
    /// [`ByHandError::Busy`], the store's.
    pub async fn retry_group(
        &self,
        tenant: &Tenant,
        key: &str,
        states: &[Stuck],
    ) -> Result<Option<Changed>, ByHandError> {
        self.with_group(tenant, key, async |conn, subject| {
            let group = drive::jira_group(conn, tenant.id, key).await?;
            let Some(state) = group.and_then(|group| group.step).filter(|state| states.contains(&state.state)) else {
                return Ok(None);
            };
            by_hand::save_group_step(conn, tenant.id, key, None).await?;
            drive::nudge_waiting(conn, tenant.id, key).await?;
            let changed = Changed::new(&Place::Group(key.to_owned()), Some(&state));
            self.note(conn, tenant, "outbox.retry", subject, std::slice::from_ref(&changed)).await?;
            Ok(Some(changed))
        })
        .await
    }

    /// Waives that a Jira group is made or looked for: whoever is to join it waits until somebody retries.
    ///
    /// # Errors
    /// [`ByHandError::NothingToDo`] where the group is unknown or there; [`ByHandError::Busy`], the store's.
    pub async fn waive_group(&self, tenant: &Tenant, key: &str) -> Result<Changed, ByHandError> {
        self.with_group(tenant, key, async |conn, subject| {
            let place = Place::Group(key.to_owned());
            let nothing = || ByHandError::NothingToDo(step_name(&place));
            let group = drive::jira_group(conn, tenant.id, key).await?.ok_or_else(nothing)?;
            if group.known == crate::store::link::GroupKnown::Exists {
                return Err(nothing());
            }
            let policy = Policy::from_value(&tenant.policy).unwrap_or_default();
            let fingerprint = group_fingerprint(key, policy.groups.create_missing);
            let now = target::state(conn, &tenant.target).await?.now;
            let state = waived(fingerprint, group.step.as_ref(), now);
            by_hand::save_group_step(conn, tenant.id, key, Some(&state)).await?;
            let changed = Changed::new(&place, group.step.as_ref());
            self.note(conn, tenant, "outbox.waive", subject, std::slice::from_ref(&changed)).await?;
            Ok(changed)
        })
        .await
    }

    /// Makes a subject without steps of its own (a group's or tenant's fan-out) due with no failure on record.
    ///
    /// # Errors
    /// [`ByHandError::Busy`], the store's.
    pub async fn retry_structure(&self, tenant: &Tenant, subject: Subject, priority: i16) -> Result<(), ByHandError> {
        self.holding(tenant, subject, priority, async |conn, _| {
            self.note(conn, tenant, "outbox.retry", subject, &[]).await?;
            Ok(())
        })
        .await
    }

    /// Ends a target's pause; see [`by_hand::end_pause`]. Answers why it was paused, where it was.
    ///
    /// # Errors
    /// The store's.
    pub async fn end_pause(&self, target: &str) -> Result<Option<String>, StoreError> {
        let mut conn = self.store.pool().acquire().await?;
        by_hand::end_pause(&mut conn, target, self.origin.request_id, self.origin.actor).await
    }

    /// Does `work` in one transaction that nudges the subject, holds its lease, and leaves it due.
    async fn holding<T>(
        &self,
        tenant: &Tenant,
        subject: Subject,
        priority: i16,
        work: impl AsyncFn(&mut PgConnection, &Lease) -> Result<T, ByHandError>,
    ) -> Result<T, ByHandError> {
        let until = Instant::now() + self.patience;
        loop {
            match self.try_holding(tenant, subject, priority, &work).await {
                Err(ByHandError::Store(error)) if error.is_transient() && Instant::now() < until => {}
                Ok(None) if Instant::now() >= until => return Err(ByHandError::Busy),
                Ok(None) => {}
                Ok(Some(done)) => return Ok(done),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// `None` where somebody else holds the subject.
    async fn try_holding<T>(
        &self,
        tenant: &Tenant,
        subject: Subject,
        priority: i16,
        work: &impl AsyncFn(&mut PgConnection, &Lease) -> Result<T, ByHandError>,
    ) -> Result<Option<T>, ByHandError> {
        let mut tx = self.store.pool().begin().await.map_err(StoreError::from)?;
        let how = NudgeAs { priority, request_id: Some(self.origin.request_id), ..NudgeAs::BULK };
        outbox::nudge(&mut tx, tenant.id, subject.kind(), &[subject.id()], how).await?;
        let Some(lease) = drive::take(&mut tx, tenant.id, subject, Uuid::new_v4(), LEASE).await? else {
            // What the nudge changed is taken back: whoever waits for a refusal to be cleared must not wait for nothing.
            return Ok(None);
        };
        let done = work(&mut tx, &lease).await?;
        by_hand::make_due(&mut tx, &lease).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(Some(done))
    }

    /// Does `work` on a Jira group: under the lease of the SCIM group that stands for it, where there is one.
    async fn with_group<T>(
        &self,
        tenant: &Tenant,
        key: &str,
        work: impl AsyncFn(&mut PgConnection, Subject) -> Result<T, ByHandError>,
    ) -> Result<T, ByHandError> {
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let groups = Policy::from_value(&tenant.policy).unwrap_or_default().groups;
        let scim_group = standing_for(&mut conn, tenant.id, &groups, key).await?.pop();
        drop(conn);
        if let Some(id) = scim_group {
            let subject = Subject::Group(id);
            return self.holding(tenant, subject, 0, async |conn, _| work(conn, subject).await).await;
        }
        let mut tx = self.store.pool().begin().await.map_err(StoreError::from)?;
        let done = work(&mut tx, Subject::Tenant(tenant.id)).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(done)
    }

    /// Desired and applied of a user with the rules, as a claim reads them.
    async fn facts(
        &self,
        conn: &mut PgConnection,
        tenant: &Tenant,
        lease: &Lease,
        user_id: Uuid,
    ) -> Result<(UserFacts, Rules), ByHandError> {
        let probe = target::state(conn, &lease.rules.target).await?.probe.unwrap_or_default();
        let rules = Rules {
            // The claim, too, takes the defaults for a policy that is not understood.
            policy: Policy::from_value(&lease.rules.policy).unwrap_or_default().into(),
            protected: Protected {
                own: probe.own_account,
                administrative: probe.administrative.iter().map(|name| fold(name)).collect(),
                ..Protected::default()
            },
            ground: self.grounds.of(&lease.rules.target),
            now: lease.now,
            only: None,
        };
        let facts = user_facts(conn, tenant.id, user_id, &rules).await?.ok_or(ByHandError::Gone)?;
        Ok((facts, rules))
    }

    async fn note(
        &self,
        conn: &mut PgConnection,
        tenant: &Tenant,
        action: &str,
        subject: Subject,
        changed: &[Changed],
    ) -> Result<(), StoreError> {
        let body: Value = json!({ "steps": changed });
        let noted = Noted {
            tenant_id: tenant.id,
            request_id: self.origin.request_id,
            actor: self.origin.actor,
            action,
            kind: subject.kind(),
            subject_id: subject.id(),
            body: &body,
        };
        by_hand::note(conn, noted).await
    }
}

/// The states on record of one user's own steps.
fn states_of(facts: &UserFacts) -> Vec<(Place, StepState)> {
    let account = facts.record.steps.iter().map(|(step, state)| (Place::Account(step.clone()), state.clone()));
    let pairs = facts.pairs.iter().filter_map(|(key, pair)| Some((Place::Pair(key.clone()), pair.step.clone()?)));
    account.chain(pairs).collect()
}

/// Whether the planner would do, or forbid, this step now.
fn is_planned(facts: &UserFacts, rules: &Rules, place: &Place) -> bool {
    let plan = plan_user(facts, rules);
    let planned = plan.steps.iter().filter_map(place_of);
    planned.chain(plan.stuck.into_iter().map(|(at, _)| at)).any(|at| at == *place)
}

/// The state of a step that somebody gave up.
pub(super) fn waived(fingerprint: String, before: Option<&StepState>, now: DateTime<Utc>) -> StepState {
    let reason = match before {
        Some(before) if before.state == Stuck::Waived => before.reason.clone(),
        Some(before) => format!("Waived by hand; it was {}: {}", word(before.state), before.reason),
        None => "Waived by hand.".to_owned(),
    };
    StepState { state: Stuck::Waived, ..refused(fingerprint, reason, None, now) }
}

fn word(state: Stuck) -> &'static str {
    outbox_view::State::from(state).as_str()
}

async fn save(
    conn: &mut PgConnection,
    tenant: &Tenant,
    facts: &UserFacts,
    places: impl IntoIterator<Item = &Place>,
) -> Result<(), StoreError> {
    let mut account = false;
    for place in places {
        match place {
            Place::Account(_) => account = true,
            Place::Pair(key) => {
                let pair: Pair = facts.pairs.get(key).cloned().unwrap_or_default();
                by_hand::save_pair_step(conn, tenant.id, facts.user_id, key, &pair).await?;
            }
            Place::Group(_) => {}
        }
    }
    if account {
        by_hand::save_record(conn, tenant.id, &tenant.target, facts.user_id, &facts.record).await?;
    }
    Ok(())
}
