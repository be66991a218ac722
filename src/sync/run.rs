//! A run of a source: read, compare, check, apply. One run of a tenant at a time, under a lease; a run that was cut off begins
//! anew, because a directory cannot be read from its middle and doing the same again changes nothing.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use uuid::Uuid;

use super::counters::{Counters, Line};
use super::extent::Extent;
use super::lease::{Lease, attempt};
use super::registry::Registry;
use super::source::{Mark, Source, SourceError};
use crate::config::SourceConfig;
use crate::directory::{Caller, Directory};
use crate::lifecycle::Lifecycle;
use crate::policy::Policy;
use crate::policy::record::Level;
use crate::policy::scim::UnknownMembers;
use crate::store::run::{self, Hold, Kind, Run, State};
use crate::store::source::{self, Stage, staging};
use crate::store::tenant::{Origin, Tenant};
use crate::store::{Store, StoreError};
use crate::telemetry::{Chain, Metrics};
use crate::writer::Writer;

/// The wait before a read that failed is tried again.
const WAIT: Duration = Duration::from_secs(60);
/// So many failures in a row are the end of a run that nobody watches.
const ATTEMPTS: i64 = 5;

/// A source of the configuration, ready to be read.
#[derive(Clone)]
pub struct Configured {
    /// What the configuration says of it.
    pub config: SourceConfig,
    /// The directory.
    pub source: Arc<dyn Source>,
}

/// Who is told what a sync would do, line by line.
pub type Teller<'a> = dyn FnMut(Line) + Send + std::marker::Sync + 'a;

/// Why a run did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Somebody else has it by now, or it was stopped.
    #[error("the run is somebody else's, or was stopped")]
    Lost,
    /// The process ends.
    #[error("the daemon is ending")]
    Ending,
    /// The directory.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It must not be done.
    #[error("{0}")]
    Refused(String),
}

/// What a run is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// Only the person of this userName.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Everything, also where changes would do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
}

/// All sources, and what they are brought in by.
pub struct Sync {
    pub(super) store: Store,
    pub(super) directory: Directory,
    pub(super) registry: Registry,
    lease: Duration,
    life: Lifecycle,
    metrics: Metrics,
    writer: Option<Writer>,
}

/// A run at work.
pub(super) struct Work<'a> {
    pub(super) sync: &'a Sync,
    pub(super) configured: &'a Configured,
    pub(super) caller: Caller,
    pub(super) stage: Stage,
    pub(super) counters: Counters,
    /// No complete read was applied yet.
    pub(super) first: bool,
    pub(super) extent: Extent,
    /// From where changes may be asked for after this.
    pub(super) people_mark: Option<Mark>,
    pub(super) groups_mark: Option<Mark>,
    /// The groups, by key, whose members alone come; known after they were read.
    pub(super) scope: Option<Vec<String>>,
    /// So many members were staged.
    pub(super) members: u64,
    /// Active people whom the source switches off.
    pub(super) losses: u64,
    lease: Lease,
    line: &'a mut Teller<'a>,
}

impl Work<'_> {
    pub(super) async fn conn(&self) -> Result<PoolConnection<Postgres>, SyncError> {
        Ok(self.sync.store.pool().acquire().await.map_err(StoreError::from)?)
    }

    pub(super) async fn keep(&self, stage: &str) -> Result<(), SyncError> {
        self.lease.keep(stage, &self.counters).await
    }

    /// The same in the middle of a page that may be long: only when a good part of the lease is over.
    pub(super) async fn breathe(&self, stage: &str) -> Result<(), SyncError> {
        if self.lease.is_aging() { self.keep(stage).await } else { Ok(()) }
    }

    pub(super) fn tell(&mut self, line: Line) {
        (self.line)(line);
    }

    async fn perform(&mut self, asked: &Asked, plans: bool) -> Result<(), SyncError> {
        self.decide(asked).await?;
        self.take_in().await?;
        let one = matches!(self.extent, Extent::One(_));
        if one && self.counters.people.read == 0 {
            return Err(SyncError::Refused("The source has nobody of that name.".to_owned()));
        }
        self.judge().await?;
        if !one {
            self.check_fall().await?;
        }
        if !plans {
            self.apply().await?;
            self.remember().await?;
        }
        self.keep("done").await
    }

    /// Deletes what this and others that are over have staged.
    pub(super) async fn clear(&self) -> Result<(), SyncError> {
        loop {
            let mut conn = self.conn().await?;
            if !staging::clear(&mut conn, self.stage).await? {
                return Ok(());
            }
            drop(conn);
            self.breathe("making room").await?;
        }
    }

    /// The how-manieth try of the run this is.
    pub(super) fn attempt(&self) -> i64 {
        self.lease.attempt()
    }
}

impl Sync {
    /// All sources over a store; `writer` is woken by what is brought in.
    pub fn new(
        store: Store,
        sources: Vec<Configured>,
        lease: Duration,
        life: Lifecycle,
        metrics: Metrics,
        writer: Option<Writer>,
    ) -> Self {
        let registry = Registry::new(sources, lease);
        Self { directory: Directory::new(store.clone()), store, registry, lease, life, metrics, writer }
    }

    pub(super) fn life(&self) -> &Lifecycle {
        &self.life
    }

    /// Asks for a run, or joins the one that is open. `None` when one with other options is open.
    ///
    /// # Errors
    /// The store's.
    pub async fn ask(
        &self,
        tenant_id: Uuid,
        kind: Kind,
        asked: &Asked,
        origin: Origin<'_>,
    ) -> Result<Option<Uuid>, StoreError> {
        let options = serde_json::to_value(asked).unwrap_or_else(|_| json!({}));
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        if let Some(id) = run::request(&mut conn, tenant_id, kind, &options, origin).await? {
            return Ok(Some(id));
        }
        let last = run::last(&mut conn, tenant_id, kind).await?;
        Ok(last.filter(|run| run.state.is_open() && run.options == options).map(|run| run.id))
    }

    /// Works on a run where nobody else does, and answers what it came to; `None` when it cannot be taken up now.
    ///
    /// # Errors
    /// The store's; what became of the run itself is in the run.
    pub async fn work(
        &self,
        configured: &Configured,
        tenant_id: Uuid,
        id: Uuid,
        line: &mut Teller<'_>,
    ) -> Result<Option<()>, StoreError> {
        let hold = Hold { tenant_id, id, token: Uuid::new_v4() };
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let Some(run) = run::take(&mut conn, hold, self.lease).await? else { return Ok(None) };
        drop(conn);
        // A library that reads what a server sends may stumble over it: that is the end of this run and of nothing else.
        let performed = AssertUnwindSafe(self.perform(configured, &run, hold, line)).catch_unwind().await;
        let outcome = performed.unwrap_or_else(|_| Err(SyncError::Refused("reading the source panicked".to_owned())));
        self.ended(configured, &run, hold, outcome).await?;
        Ok(Some(()))
    }

    async fn perform(
        &self,
        configured: &Configured,
        run: &Run,
        hold: Hold,
        line: &mut Teller<'_>,
    ) -> Result<(), SyncError> {
        let asked: Asked = serde_json::from_value(run.options.clone()).unwrap_or_default();
        let plans = run.kind == Kind::SyncPlan;
        let tenant = if plans { self.may_feed(configured).await? } else { self.claim(configured).await? };
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let held = source::held(&mut *conn, tenant.id).await?;
        drop(conn);
        let caller = caller(configured, tenant, run.request_id, &asked)?;
        let mut work = Work {
            sync: self,
            configured,
            caller,
            stage: Stage { tenant_id: hold.tenant_id, run_id: hold.token },
            counters: Counters::default(),
            first: held.is_none_or(|held| held.applied.is_none()),
            extent: Extent::Whole,
            people_mark: None,
            groups_mark: None,
            scope: None,
            members: 0,
            losses: 0,
            lease: Lease::new(self.store.clone(), run, hold, self.lease, self.life.clone()),
            line,
        };
        let outcome = work.perform(&asked, plans).await;
        let changed = work.counters.done > 0;
        if outcome.is_err() {
            // What it came to belongs to a run that failed, too; where the lease is gone there is nothing to tell.
            let _ = work.keep("stopped").await;
        }
        if let Err(error) = work.clear().await {
            tracing::warn!(error = %Chain(&error), "what a sync staged is left for the next one to delete");
        }
        if let Some(writer) = self.writer.as_ref().filter(|_| changed) {
            writer.wake(&work.caller.tenant.target);
        }
        outcome
    }

    async fn ended(
        &self,
        configured: &Configured,
        run: &Run,
        hold: Hold,
        outcome: Result<(), SyncError>,
    ) -> Result<(), StoreError> {
        let (name, slug) = (&configured.config.name, &configured.config.tenant);
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let (state, why) = match outcome {
            Ok(()) => (State::Done, None),
            Err(SyncError::Lost) => return Ok(()),
            Err(SyncError::Ending) => return run::give_back(&mut conn, hold, Duration::ZERO, None).await,
            Err(error) => {
                let why = Chain(&error).to_string();
                // Whoever asked for it by hand wants to hear at once.
                let unwatched = run.actor == SCHEDULE && attempt(run) < ATTEMPTS;
                if unwatched && may_pass(&error) {
                    tracing::warn!(source = name, "source {name}: {why}; trying again in {} seconds", WAIT.as_secs());
                    return run::give_back(&mut conn, hold, WAIT, Some(&why)).await;
                }
                (State::Failed, Some(why))
            }
        };
        match &why {
            None => tracing::info!(source = name, "source {name}: {} of tenant {slug} is through", run.kind),
            Some(why) => tracing::warn!(source = name, "source {name}: {} of tenant {slug} failed: {why}", run.kind),
        }
        self.metrics.run_ended(slug, run.kind.as_str(), state.as_str(), chrono::Utc::now());
        run::finish(&mut conn, hold, state, why.as_deref()).await?;
        Ok(())
    }
}

/// Who asks for the runs that are due.
pub(super) const SCHEDULE: &str = "schedule";

fn may_pass(error: &SyncError) -> bool {
    match error {
        SyncError::Source(error) => error.may_pass(),
        SyncError::Store(_) => true,
        SyncError::Lost | SyncError::Ending | SyncError::Refused(_) => false,
    }
}

/// As whom a source changes its tenant.
fn caller(configured: &Configured, tenant: Tenant, request_id: Uuid, asked: &Asked) -> Result<Caller, SyncError> {
    let refused = |problems: Vec<String>| {
        SyncError::Refused(format!("the tenant's policy is not understood: {}", problems.join(" ")))
    };
    let policy = Policy::from_value(&tenant.policy).map_err(refused)?;
    let types = policy.scim.types().map_err(refused)?;
    Ok(Caller {
        types,
        refuses_unknown_members: policy.scim.unknown_members == UnknownMembers::Refuse,
        groups: Arc::new(policy.groups),
        actor: format!("sync:{}", configured.config.name),
        request_id,
        remote: None,
        // Somebody waits at a login page for one person, and for a whole directory nobody does.
        priority: i16::from(asked.user.is_none()),
        settles: None,
        records_bodies: policy.record.level != Level::Off,
        tenant: Arc::new(tenant),
    })
}
