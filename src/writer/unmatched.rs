//! Accounts at a target that nobody claims: found by comparing the target's complete list with the store, told, and, where the
//! policy says so, switched off. Nobody's account is touched while any user of the target waits to be written.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::brake::{self, Asker};
use super::gate::OpenGate;
use super::runtime::{Runtime, administrators};
use super::{Inner, Writer};
use crate::account::{AccountId, SeenAccount, fold};
use crate::jira::{AccountRef, CallRecord, Calls, Gate, Permit, RateLimits, Switch, TargetError};
use crate::policy::pattern::Pattern;
use crate::policy::{Policy, Protect, Unmatched, UnmatchedAccounts};
use crate::store::brake::{BrakeClass, Wanted, Whose};
use crate::store::by_hand::{self, Noted};
use crate::store::tenant::{self, Origin, Tenant};
use crate::store::{StoreError, unmatched};
use crate::telemetry::Chain;

/// How often a tenant is compared.
const EVERY: Duration = Duration::from_secs(3600);
/// The longest that one comparison may take.
const LONGEST: Duration = Duration::from_secs(1800);
/// How often it is looked whose turn it is.
const LOOK: Duration = Duration::from_secs(60);

/// An account that nobody claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stray {
    /// Its key.
    pub id: String,
    /// Its login name.
    pub username: String,
    /// Its address, where the target shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The name that is shown.
    pub display_name: String,
    /// What was done.
    pub outcome: Outcome,
}

/// What became of an account that nobody claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was found, and left as it is.
    Reported,
    /// It was switched off.
    SwitchedOff,
    /// It is still on, because the brake holds it; the next comparison asks again.
    Held(String),
    /// It is still on.
    Failed(String),
    /// It was asked to be switched off, and nobody knows whether it was.
    Unknown(String),
}

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Active accounts that the target has.
    pub active: usize,
    /// Those that nobody claims.
    pub strays: Vec<Stray>,
    /// Why none was switched off that should have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
}

/// Why a tenant was not compared.
#[derive(Debug, thiserror::Error)]
pub enum UnmatchedError {
    /// The configuration does not name the target.
    #[error("the tenant's target {0} is not configured")]
    NoTarget(String),
    /// Nobody may conclude anything yet.
    #[error("{0}")]
    NotYet(&'static str),
    /// The policy cannot be read.
    #[error("the tenant's policy is not understood")]
    Policy,
    /// The target's list is not complete, or cannot be had.
    #[error("the accounts of the target cannot be listed")]
    Target(#[from] TargetError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is to be done about accounts that nobody claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// They are listed.
    Report,
    /// They are switched off, at most so many, and only who was nobody's for so long already: a source that pushes in
    /// rounds has had its turn by then.
    SwitchOff {
        /// See [`UnmatchedAccounts::limit`].
        limit: u32,
        /// As seen by earlier comparisons.
        seen_for: Duration,
    },
}

impl Writer {
    /// Compares the accounts of a tenant's target with all that is known of them, and switches strays off if asked to.
    ///
    /// # Errors
    /// [`UnmatchedError`]; then nothing was switched off.
    pub async fn compare(&self, tenant: &Tenant, act: Act, origin: Origin<'_>) -> Result<Comparison, UnmatchedError> {
        let runtime = self.0.targets.get(&tenant.target).cloned();
        let runtime = runtime.ok_or_else(|| UnmatchedError::NoTarget(tenant.target.clone()))?;
        let policy = Policy::from_value(&tenant.policy).map_err(|_| UnmatchedError::Policy)?;
        self.0.must_answer(&runtime).await?;
        if matches!(act, Act::SwitchOff { .. }) {
            self.0.may_conclude(&runtime).await?;
        }
        let gate = PausedGate(OpenGate { runtime: Arc::clone(&runtime), metrics: self.0.metrics.clone() });
        let calls = Calls::new(origin.request_id, &gate);
        let mut comparison = self.0.strays(&runtime, &calls, &policy).await?;
        let seen_for = match act {
            Act::Report => Duration::ZERO,
            Act::SwitchOff { seen_for, .. } => seen_for,
        };
        let long = self.0.remember(tenant, &comparison, seen_for).await?;
        if let Act::SwitchOff { limit, .. } = act {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            if comparison.strays.len() > limit {
                comparison.withheld = Some(format!(
                    "{} accounts are more than unmatched_accounts.limit, which is {limit}: none was switched off.",
                    comparison.strays.len()
                ));
            } else {
                self.0.switch_off(tenant, &runtime, &calls, &policy, &mut comparison, (&long, origin)).await?;
            }
        }
        self.0
            .metrics
            .unmatched(&tenant.slug, comparison.strays.iter().filter(|s| s.outcome != Outcome::SwitchedOff).count());
        Ok(comparison)
    }

    /// Compares tenants whose policy asks for it, each once an hour, by one of all replicas.
    pub(super) async fn compare_now_and_then(&self) {
        while !self.0.life.is_ending() {
            if let Err(error) = self.compare_due(EVERY).await {
                tracing::warn!(error = %Chain(&error), "accounts could not be compared; trying again");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.0.life.soft().cancelled() => {}
            }
        }
    }

    /// Compares every tenant whose turn it is, and says how many were.
    ///
    /// # Errors
    /// The store's; what goes wrong at one target is told and delays no other.
    pub async fn compare_due(&self, every: Duration) -> Result<usize, StoreError> {
        let mut conn = self.0.store.pool().acquire().await.map_err(StoreError::from)?;
        let mut by_target: BTreeMap<String, Vec<Tenant>> = BTreeMap::new();
        for tenant in tenant::list(&mut *conn).await? {
            by_target.entry(tenant.target.clone()).or_default().push(tenant);
        }
        drop(conn);
        // All targets at once: one that hangs delays no other.
        let all = by_target.into_values().map(|tenants| async move {
            let mut compared = 0;
            for tenant in tenants {
                compared += usize::from(self.compare_if_due(&tenant, every).await?);
            }
            Ok::<_, StoreError>(compared)
        });
        futures_util::future::try_join_all(all).await.map(|compared| compared.into_iter().sum())
    }

    async fn compare_if_due(&self, tenant: &Tenant, every: Duration) -> Result<bool, StoreError> {
        let Ok(policy) = Policy::from_value(&tenant.policy) else { return Ok(false) };
        let UnmatchedAccounts { action, limit, .. } = policy.unmatched_accounts;
        let act = match action {
            Unmatched::Keep => return Ok(false),
            Unmatched::Report => Act::Report,
            // Two comparisons at least, the second never a whole round later than the first.
            Unmatched::Deactivate => Act::SwitchOff { limit, seen_for: every / 2 },
        };
        let mut conn = self.0.store.pool().acquire().await.map_err(StoreError::from)?;
        let mine = unmatched::take_turn(&mut conn, tenant.id, every.as_secs_f64()).await?;
        drop(conn);
        if !mine {
            return Ok(false);
        }
        let origin = Origin { actor: "unmatched accounts", request_id: Uuid::now_v7(), at: chrono::Utc::now() };
        match tokio::time::timeout(LONGEST, self.compare(tenant, act, origin)).await {
            Ok(Ok(comparison)) => tell(&tenant.slug, &comparison),
            Ok(Err(error)) => tracing::warn!(
                tenant = tenant.slug,
                error = %Chain(&error),
                "the accounts of tenant {} were not compared", tenant.slug
            ),
            Err(_) => tracing::warn!(
                tenant = tenant.slug,
                "the accounts of tenant {} were not compared within {} minutes",
                tenant.slug,
                LONGEST.as_secs() / 60
            ),
        }
        Ok(true)
    }
}

fn tell(slug: &str, comparison: &Comparison) {
    let off = comparison.strays.iter().filter(|stray| stray.outcome == Outcome::SwitchedOff).count();
    let strays = comparison.strays.len();
    match &comparison.withheld {
        Some(why) => tracing::warn!(tenant = slug, strays, "tenant {slug}: {why}"),
        None if strays > 0 => {
            tracing::info!(
                tenant = slug,
                strays,
                off,
                "tenant {slug}: {strays} accounts are nobody's, {off} switched off"
            );
        }
        None => {}
    }
}

impl Inner {
    /// Whether it is known who we are there, so that nobody compares us.
    async fn must_answer(&self, runtime: &Arc<Runtime>) -> Result<(), UnmatchedError> {
        match runtime.probe(self, self.options.probe_every).await? {
            true => Ok(()),
            false => Err(UnmatchedError::NotYet("the target does not answer, or does not accept our credential")),
        }
    }

    /// Whether everybody who could claim an account has done so.
    async fn may_conclude(&self, runtime: &Runtime) -> Result<(), UnmatchedError> {
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        match unmatched::is_settled(&mut conn, &runtime.name).await? {
            true => Ok(()),
            false => Err(UnmatchedError::NotYet(
                "users of this target still wait to be written, or one of its tenants only observes, has nobody with an account, or was not imported to the end",
            )),
        }
    }

    /// Reads the whole list.
    pub(super) async fn strays(
        &self,
        runtime: &Arc<Runtime>,
        calls: &Calls<'_>,
        policy: &Policy,
    ) -> Result<Comparison, UnmatchedError> {
        let filter = Filter::new(policy);
        let protected = runtime.protected().unwrap_or_default();
        let mut comparison = Comparison::default();
        let mut after = None;
        loop {
            let page = runtime.target.accounts(calls, after.as_deref()).await?;
            let mut active: Vec<SeenAccount> = page.items.into_iter().filter(|account| account.active).collect();
            comparison.active += active.len();
            active.retain(|account| {
                !protected.is_own(&account.id) && account.hands_off.is_none() && filter.concerns(account)
            });
            comparison.strays.extend(self.unclaimed(&runtime.name, active).await?);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if !comparison.strays.is_empty() && runtime.target.capabilities().groups {
            // Nobody's, perhaps, and still the last to be switched off.
            let groups = runtime.target.administrative_groups(calls).await?;
            let spared = administrators(runtime.target.as_ref(), calls, &groups).await?;
            comparison.strays.retain(|stray| !spared.contains(&AccountId(stray.id.clone())));
        }
        Ok(comparison)
    }

    async fn remember(
        &self,
        tenant: &Tenant,
        comparison: &Comparison,
        seen_for: Duration,
    ) -> Result<HashSet<String>, StoreError> {
        let ids: Vec<String> = comparison.strays.iter().map(|stray| stray.id.clone()).collect();
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        unmatched::remember(&mut conn, tenant.id, &ids, seen_for.as_secs_f64()).await
    }

    /// Whether nobody claims it even now: the list took a while.
    async fn is_still_nobodys(&self, runtime: &Runtime, stray: &Stray) -> Result<bool, StoreError> {
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let email = stray.email.as_deref().map(fold).unwrap_or_default();
        let (id, name) = (stray.id.clone(), fold(&stray.username));
        Ok(unmatched::claimed(&mut conn, &runtime.name, &[id], &[name], &[email]).await?.is_empty())
    }

    async fn unclaimed(&self, target: &str, accounts: Vec<SeenAccount>) -> Result<Vec<Stray>, StoreError> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<String> = accounts.iter().map(|account| account.id.0.clone()).collect();
        let names: Vec<String> = accounts.iter().map(|account| fold(&account.username)).collect();
        let emails: Vec<String> =
            accounts.iter().map(|account| account.email.as_deref().map(fold).unwrap_or_default()).collect();
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let claimed = unmatched::claimed(&mut conn, target, &ids, &names, &emails).await?;
        let free = accounts.into_iter().enumerate().filter(|(place, _)| !claimed.contains(place));
        Ok(free.map(|(_, account)| Stray::of(account)).collect())
    }

    async fn switch_off(
        &self,
        tenant: &Tenant,
        runtime: &Arc<Runtime>,
        calls: &Calls<'_>,
        policy: &Policy,
        comparison: &mut Comparison,
        (long, origin): (&HashSet<String>, Origin<'_>),
    ) -> Result<(), UnmatchedError> {
        let deprovision = &policy.deprovision;
        let switch =
            Switch { active: false, off: deprovision.off_switch, hand_over_to: deprovision.hand_over_to.clone() };
        for stray in comparison.strays.iter_mut().filter(|stray| long.contains(&stray.id)) {
            self.may_conclude(runtime).await?;
            if !self.is_still_nobodys(runtime, stray).await? {
                continue;
            }
            if let Some(why) = self.is_held(tenant, policy, stray).await? {
                comparison.withheld = Some(why.clone());
                stray.outcome = Outcome::Held(why);
                continue;
            }
            let id = AccountId(stray.id.clone());
            let account = AccountRef { id: &id, username: &stray.username };
            let switched = runtime.target.set_active(calls, account, &switch).await;
            stray.outcome = match &switched {
                Ok(_) => Outcome::SwitchedOff,
                Err(error @ TargetError::Unreachable { maybe_done: true, .. }) => Outcome::Unknown(error.to_string()),
                Err(error) => Outcome::Failed(error.to_string()),
            };
            // The record says so before the next one is touched.
            self.note(tenant, stray, origin).await?;
            match switched {
                Err(error) if concerns_all(&error) => {
                    if !matches!(error, TargetError::Stopped { .. }) {
                        runtime.pause_because(self, &error).await?;
                    }
                    let why = format!("The target does not let us go on ({error}); the rest has its turn next time.");
                    comparison.withheld = Some(why);
                    return Ok(());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Why the brake does not let it through.
    async fn is_held(&self, tenant: &Tenant, policy: &Policy, stray: &Stray) -> Result<Option<String>, StoreError> {
        let whose = Whose::Account(stray.id.clone());
        let wanted = Wanted { class: BrakeClass::Accounts, place: "account".to_owned(), weight: 1, gone: false };
        let asker = Asker { id: tenant.id, slug: &tenant.slug };
        let mut tx = self.store.pool().begin().await?;
        let asked = brake::ask(&mut tx, &policy.brake, asker, &whose, &[wanted]).await?;
        tx.commit().await?;
        if let Some(trip) = &asked.tripped {
            self.tell_trip(&tenant.slug, trip);
        }
        Ok(asked.held.into_iter().flatten().next())
    }

    async fn note(&self, tenant: &Tenant, stray: &Stray, origin: Origin<'_>) -> Result<(), StoreError> {
        let body = json!(stray);
        let noted = Noted {
            tenant_id: tenant.id,
            request_id: origin.request_id,
            actor: origin.actor,
            action: "account.switch_off",
            kind: "tenant",
            subject_id: tenant.id,
            body: &body,
        };
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        by_hand::note(&mut conn, noted).await
    }
}

/// Whether an error says something of the target and not of one account.
fn concerns_all(error: &TargetError) -> bool {
    matches!(
        error,
        TargetError::Denied { .. }
            | TargetError::Throttled { .. }
            | TargetError::Unreachable { .. }
            | TargetError::Stopped { .. }
    )
}

impl Stray {
    fn of(account: SeenAccount) -> Self {
        Self {
            id: account.id.0,
            username: account.username,
            email: account.email,
            display_name: account.display_name,
            outcome: Outcome::Reported,
        }
    }
}

/// Which accounts the policy is about.
struct Filter {
    only: Option<Pattern>,
    except: Option<Pattern>,
    protect: Protect,
    /// Whoever takes over what leavers led, folded.
    heir: Option<String>,
}

impl Filter {
    fn new(policy: &Policy) -> Self {
        Self {
            heir: policy.deprovision.hand_over_to.as_deref().map(|name| fold(name.trim())),
            only: policy.unmatched_accounts.only.clone(),
            except: policy.unmatched_accounts.except.clone(),
            protect: policy.protect.clone(),
        }
    }

    fn concerns(&self, account: &SeenAccount) -> bool {
        let fits = |pattern: &Pattern| {
            pattern.is_match(&account.username) || account.email.as_deref().is_some_and(|email| pattern.is_match(email))
        };
        let is_heir = self.heir.as_ref().is_some_and(|heir| *heir == fold(&account.username));
        !is_heir
            && !self.protect.covers_user(&account.username)
            && self.only.as_ref().is_none_or(fits)
            && !self.except.as_ref().is_some_and(fits)
    }
}

/// Like the gate of a probe, but a paused target is left alone.
pub(super) struct PausedGate(pub(super) OpenGate);

impl Gate for PausedGate {
    fn enter(&self) -> BoxFuture<'_, Result<Permit, TargetError>> {
        Box::pin(async {
            if self.0.runtime.is_paused() {
                return Err(TargetError::Stopped { reason: "the target is paused" });
            }
            self.0.enter().await
        })
    }

    fn observe(&self, limits: RateLimits) {
        self.0.observe(limits);
    }

    fn called(&self, call: &CallRecord) {
        self.0.called(call);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::policy::Deprovision;

    #[test]
    fn the_policy_says_which_accounts_it_is_about() {
        let account = |username: &str, email: Option<&str>| SeenAccount {
            username: username.to_owned(),
            email: email.map(str::to_owned),
            ..SeenAccount::default()
        };
        let unmatched_accounts = UnmatchedAccounts {
            only: Some(Pattern::new("@example\\.test$").unwrap()),
            except: Some(Pattern::new("^svc-").unwrap()),
            ..UnmatchedAccounts::default()
        };
        let deprovision = Deprovision { hand_over_to: Some("Boss".to_owned()), ..Deprovision::default() };
        let filter = Filter::new(&Policy { unmatched_accounts, deprovision, ..Policy::default() });
        assert!(!filter.concerns(&account("boss", Some("boss@example.test"))), "the heir");
        assert!(filter.concerns(&account("mara", Some("mara@example.test"))));
        assert!(!filter.concerns(&account("svc-build", Some("build@example.test"))));
        assert!(!filter.concerns(&account("mara", Some("mara@elsewhere.test"))));
        assert!(!filter.concerns(&account("mara", None)));
        assert!(Filter::new(&Policy::default()).concerns(&account("mara", None)));
    }
}
