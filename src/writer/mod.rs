//! Layer 3: the one door for every write to a Jira.
//!
//! A *drive* takes a subject from the outbox and brings the target up to what the store says:
//! `claim` (one transaction: lease, facts, plan, marks), the calls, `record` (one transaction: what became of them).
//! `plan`, `absorb` and `outcome` are pure. `worker` and `settle` decide who drives when. Nothing here changes an
//! identity, and no call leaves the process inside a transaction.

pub mod absorb;
pub mod brake;
pub mod by_hand;
mod claim;
pub mod drift;
mod drive;
pub mod expiry;
pub(crate) mod facts;
mod fan_out;
pub mod forecast;
mod gate;
pub mod import;
mod last_administrator;
pub mod last_login;
mod made_groups;
pub mod outcome;
pub mod overrides;
pub mod pace;
mod perform;
pub mod pinned;
pub mod plan;
pub mod position;
pub mod reconcile;
mod record;
pub mod release;
pub mod removal;
pub mod runs;
mod runtime;
mod settle;
pub mod unmatched;
mod worker;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use uuid::Uuid;

use crate::account::{AccountId, SeenAccount};
use crate::jira::{Calls, Examination, Target, TargetError};
use crate::lifecycle::Lifecycle;
use crate::policy::Policy;
use crate::policy::mapping::{Ground, Grounds};
use crate::policy::tables::Tables;
use crate::store::drive::TenantRules;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use expiry::Expiry;
use gate::OpenGate;
use outcome::Patience;
use pace::PaceOptions;
use runtime::Runtime;

pub use drive::{DriveEnd, Driven};
pub use runtime::Health;
pub use settle::{Refusal, Settled};

/// The writer's settings.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// How long a request drives its own subjects before it is answered; zero: not at all.
    pub settle: Duration,
    /// How many subjects of one target this process drives at once; requests that settle are not counted. Each target has
    /// its own, so that one that hangs delays no other.
    pub workers: usize,
    /// How long a drive may work on a subject without a sign of life.
    pub lease: Duration,
    /// How often other replicas' work is looked for.
    pub poll: Duration,
    /// When to wait, and when to give up.
    pub patience: Patience,
    /// How often a target is asked who we are and which groups are administrative.
    pub probe_every: Duration,
    /// The domain of addresses for people without one (`mapping.email_fallback`).
    pub email_fallback: String,
}

/// One target with its settings.
pub struct TargetOptions {
    /// The name in the configuration.
    pub name: String,
    /// The Jira.
    pub target: Arc<dyn Target>,
    /// Its pace, for all replicas together.
    pub pace: PaceOptions,
    /// The longest that one call may take.
    pub timeout: Duration,
    /// How long after an unknown outcome the subject is looked at once more.
    pub late: Duration,
    /// Credentials whose end is known.
    pub expiries: Vec<Expiry>,
}

/// See the module.
#[derive(Clone)]
pub struct Writer(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) targets: HashMap<String, Arc<Runtime>>,
    pub(crate) options: WriterOptions,
    pub(crate) replica: Uuid,
    pub(crate) life: Lifecycle,
    pub(crate) metrics: Metrics,
    /// Tables that the expressions of policies look things up in.
    tables: RwLock<Arc<Tables>>,
    /// Policies as they were last read, by tenant, with their versions.
    policies: Mutex<HashMap<Uuid, (i64, Arc<Policy>)>>,
}

impl Inner {
    /// A tenant's policy, read once a version.
    pub(crate) fn policy(&self, tenant_id: Uuid, rules: &TenantRules) -> Result<Arc<Policy>, Vec<String>> {
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, policy)) = policies.get(&tenant_id)
            && *version == rules.policy_version
        {
            return Ok(Arc::clone(policy));
        }
        let policy = Arc::new(Policy::from_value(&rules.policy)?);
        policies.insert(tenant_id, (rules.policy_version, Arc::clone(&policy)));
        Ok(policy)
    }

    pub(crate) fn tables(&self) -> Arc<Tables> {
        Arc::clone(&self.tables.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Writer {
    /// A writer for these targets. Nothing runs until [`Writer::start`].
    pub fn new(
        store: Store,
        targets: Vec<TargetOptions>,
        options: WriterOptions,
        life: Lifecycle,
        metrics: Metrics,
    ) -> Self {
        let targets =
            targets.into_iter().map(|options| (options.name.clone(), Arc::new(Runtime::new(options)))).collect();
        let (replica, tables, policies) = (Uuid::now_v7(), RwLock::default(), Mutex::default());
        Self(Arc::new(Inner { store, targets, options, replica, life, metrics, tables, policies }))
    }

    /// The state of every target, for the health page.
    ///
    /// # Errors
    /// The store's.
    pub async fn health(&self) -> Result<Vec<Health>, StoreError> {
        runtime::health(&self.0).await
    }

    /// What accounts at a target depend on besides user and policy; of a Data Center where it is not configured (any more).
    pub fn ground(&self, target: &str) -> Ground {
        let capabilities = self.0.targets.get(target).map(|runtime| runtime.target.capabilities());
        Ground {
            capabilities: capabilities.unwrap_or(Ground::default().capabilities),
            email_fallback: self.0.options.email_fallback.clone(),
            tables: self.0.tables(),
        }
    }

    /// The same of every target.
    pub fn grounds(&self) -> Grounds {
        Grounds(self.0.targets.keys().map(|name| (name.clone(), self.ground(name))).collect())
    }

    /// Asks a target what it is, what it can do for us and what should be put right there, paused or not. `None`: it is not
    /// configured.
    ///
    /// # Errors
    /// It does not answer, or does not accept our credential.
    pub async fn examine(&self, target: &str) -> Option<Result<Examination, TargetError>> {
        let runtime = Arc::clone(self.0.targets.get(target)?);
        let gate = OpenGate { runtime: Arc::clone(&runtime), metrics: self.0.metrics.clone() };
        Some(runtime.target.examine(&Calls::new(Uuid::now_v7(), &gate)).await)
    }

    /// The account of that login name or key at a target. `None`: the target is not configured.
    ///
    /// # Errors
    /// It does not answer, or does not accept our credential.
    pub async fn find_account(&self, target: &str, name: &str) -> Option<Result<Option<SeenAccount>, TargetError>> {
        let runtime = Arc::clone(self.0.targets.get(target)?);
        let gate = OpenGate { runtime: Arc::clone(&runtime), metrics: self.0.metrics.clone() };
        let calls = Calls::new(Uuid::now_v7(), &gate);
        let by_name = match runtime.target.find_account(&calls, name).await {
            Ok(None) => None,
            found => return Some(found),
        };
        // No login name: perhaps a key. What a target takes for no key at all is no account either.
        match runtime.target.get_account(&calls, &AccountId(name.to_owned())).await {
            Err(TargetError::Refused { .. } | TargetError::Gone { .. }) => Some(Ok(by_name)),
            found => Some(found),
        }
    }

    /// Takes the tables that expressions look things up in. Whose account they change is found by a fan-out of the tenants.
    pub fn set_tables(&self, tables: Tables) {
        *self.0.tables.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tables);
    }

    /// There is work for the workers of this process.
    pub fn wake(&self, target: &str) {
        if let Some(runtime) = self.0.targets.get(target) {
            runtime.wake.notify_one();
        }
    }
}
