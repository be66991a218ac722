//! Layer 5: everything is put together here, top to bottom; nothing else knows all the parts.

mod activity;
mod administration;
pub mod credentials;
pub mod secrets;
mod sources;
pub mod tables;
mod targets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use uuid::Uuid;

use crate::alert::{AlertError, AlertOptions, Alerts};
use crate::cli::Database;
use crate::config::Config;
use crate::directory::Directory;
use crate::embedded::EmbeddedError;
use crate::http::{self, Health, HttpOptions, HttpState};
use crate::jira::ClientError;
use crate::lifecycle::{Ending, Lifecycle};
use crate::listen::{self, ListenOptions, TlsError};
use crate::policy::Policy;
use crate::policy::mapping::{Ground, Grounds};
use crate::record::Recorder;
use crate::store::janitor::{self, Keep};
use crate::store::tenant::{self, Mode, NewTenant, Origin};
use crate::store::{Store, StoreError, brake, outbox_view, token};
use crate::telemetry::{Chain, Metrics};
use crate::writer::forecast::taken_by_change;
use crate::writer::outcome::Patience;
use crate::writer::{Writer, WriterOptions};

pub use sources::{source, sources};
pub use targets::target;

/// How often history is tidied: partitions made and dropped, tallies and touches folded, tombstones purged.
const SWEEP: Duration = Duration::from_secs(60);
/// How often the gauges of the outbox are read.
const SAMPLE: Duration = Duration::from_secs(15);
/// How long a tombstone is kept for a re-hire.
const TOMBSTONE_DAYS: u32 = 365;
/// How often a target is asked who we are and which groups are administrative.
const PROBE_EVERY: Duration = Duration::from_secs(600);
/// How long the start waits for a database that is not there yet.
const DATABASE_PATIENCE: Duration = Duration::from_secs(60);
/// How long the start counts what a change of a declared tenant's rules takes away.
const FORECAST_PATIENCE: Duration = Duration::from_secs(10);

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The private PostgreSQL.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The mapping store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A target.
    #[error("target {name}")]
    Target {
        /// Its name in the configuration.
        name: String,
        /// What is wrong with it.
        #[source]
        source: ClientError,
    },
    /// A source.
    #[error("source {name}")]
    Source {
        /// Its name in the configuration.
        name: String,
        /// What is wrong with it.
        #[source]
        source: crate::sync::source::SourceError,
    },
    /// A file that the configuration names.
    #[error("cannot read {path}")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A declared tenant or admin token.
    #[error("{0}")]
    Tenant(String),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The webhook.
    #[error(transparent)]
    Alert(#[from] AlertError),
    /// The metrics.
    #[error("the metrics cannot be set up")]
    Metrics(#[from] prometheus::Error),
}

/// A running daemon.
pub struct App {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    base_url: String,
    store: Store,
    writer: Writer,
    database: Database,
    life: Lifecycle,
    grace: Duration,
}

impl App {
    /// Starts everything: the store, the migrations, the tenants of the configuration, the writer, the listener.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub async fn start(config: Config, life: Lifecycle) -> Result<Self, AppError> {
        let database = Database::open(&config.database).await?;
        let store = Store::lazy(&database.store_options(&config.database))?;
        migrate(&store).await?;
        // Before anybody writes history: a row that is on its way to the default partition meanwhile would be refused.
        let mut conn = store.pool().acquire().await.map_err(StoreError::from)?;
        janitor::ensure_partitions(&mut conn, chrono::Utc::now().date_naive()).await?;
        drop(conn);
        declare_tenants(&store, &config).await?;
        administration::declare(&store, &config).await?;
        let metrics = Metrics::new()?;
        let writer = writer(&config, &store, &life, &metrics)?;
        let alerts = alerts(&config, &store)?;
        let health = Health::default();
        let (listener, address) = bind(config.server.listen).await?;
        let options = HttpOptions::new(&config.server, &config.limits);
        let recorder = Recorder::start(store.clone(), metrics.clone(), &life);
        let state = HttpState::new(
            options,
            Directory::new(store.clone()),
            writer.clone(),
            store.clone(),
            life.clone(),
            metrics.clone(),
            health.clone(),
        )
        .recorded_by(recorder.clone());
        let listen = ListenOptions::from_config(&config.server, http::timed_out)?;
        let sync = Arc::new(sources(&config, &store, &life, &metrics, Some(&writer))?);
        writer.start();
        sources::start(&sync, &life).await?;
        if !config.tables.is_empty() {
            let (tables, store, writer) = (config.tables.clone(), store.clone(), writer.clone());
            life.spawn("tables", tables::follow(tables, store, writer, life.clone()));
        }
        life.spawn("secrets", secrets::follow(config.tenants.clone(), store.clone(), life.clone()));
        life.spawn("janitor", sweep(store.clone(), health.clone(), config.audit.clone(), life.clone()));
        life.spawn("alerts", alerts.run(life.clone()));
        life.spawn("alert watch", credentials::watch(&config, &store).run(life.clone()));
        life.spawn("metrics", sample(store.clone(), metrics.clone(), life.clone()));
        life.spawn("listener", listen::serve(listener, http::router(state), listen, life.clone()));
        let base_url = config.server.base_url(address);
        let parts = administration::Parts {
            store: &store,
            writer: &writer,
            life: &life,
            metrics: &metrics,
            recorder: &recorder,
            sync: &sync,
        };
        let admin_address = administration::serve(&config, &base_url, parts).await?;
        life.spawn("activity", activity::count(store.clone(), metrics.clone(), life.clone()));
        tracing::info!(%address, base_url, version = env!("CARGO_PKG_VERSION"), "jira-scim listens on {address}");
        Ok(Self {
            address,
            admin_address,
            base_url,
            store,
            writer,
            database,
            life,
            grace: config.server.shutdown_grace,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where administrators are served; `None` where that is switched off.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// What `Location` and `$ref` are built on, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The mapping store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The writer.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Runs until the lifecycle ends, lets what runs finish within the grace period, and stops the private PostgreSQL.
    pub async fn finish(self) -> Ending {
        let ending = self.life.finish(self.grace).await;
        self.store.pool().close().await;
        self.database.close().await;
        ending
    }
}

/// Applies the migrations, waiting for a database that is still starting.
async fn migrate(store: &Store) -> Result<(), StoreError> {
    let until = tokio::time::Instant::now() + DATABASE_PATIENCE;
    loop {
        match store.migrate().await {
            Err(error @ StoreError::Unavailable(_)) if tokio::time::Instant::now() < until => {
                tracing::warn!(error = %Chain(&error), "the database is not there yet; trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            other => return other,
        }
    }
}

/// Upserts the tenants that the configuration declares, with their tokens.
async fn declare_tenants(store: &Store, config: &Config) -> Result<(), AppError> {
    let mut conn = store.pool().acquire().await.map_err(StoreError::from)?;
    let grounds = grounds(config)?;
    for declared in &config.tenants {
        let problem = |what: String| AppError::Tenant(format!("tenant {}: {what}", declared.slug));
        let policy = Policy::from_value(&declared.policy).map_err(|problems| problem(problems.join(" ")))?;
        let mode = match declared.mode {
            crate::config::Mode::Observe => Mode::Observe,
            crate::config::Mode::Enforce => Mode::Enforce,
        };
        let new = NewTenant {
            slug: declared.slug.clone(),
            target: declared.target.clone(),
            mode,
            policy: declared.policy.clone(),
        };
        warn_of_change(store, &mut conn, &grounds, &new, policy).await?;
        let origin = Origin { actor: "configuration", request_id: Uuid::now_v7(), at: chrono::Utc::now() };
        let tenant = tenant::upsert_declared(&mut conn, Uuid::now_v7(), &new, origin)
            .await
            .map_err(|e| problem(Chain(&e).to_string()))?;
        credentials::declare(&mut conn, &tenant, declared, origin).await.map_err(problem)?;
    }
    let slugs: Vec<String> = config.tenants.iter().map(|tenant| tenant.slug.clone()).collect();
    for slug in tenant::release_undeclared(&mut *conn, &slugs).await? {
        tracing::info!(
            tenant = slug,
            "tenant {slug} is no longer declared in the configuration: the commands may change it"
        );
    }
    Ok(())
}

/// Says in the log when what the file declares of a tenant would touch more people, or take more away, than the brake lets
/// through. It is declared all the same: the brake holds what takes away.
async fn warn_of_change(
    store: &Store,
    conn: &mut sqlx::PgConnection,
    grounds: &Grounds,
    new: &NewTenant,
    policy: Policy,
) -> Result<(), StoreError> {
    let Some(before) = tenant::get(&mut *conn, &new.slug).await? else { return Ok(()) };
    if (&before.policy, before.mode) == (&new.policy, new.mode) {
        return Ok(());
    }
    let taken = taken_by_change(store, &before, grounds.of(&new.target), Arc::new(policy), new.mode);
    // A start waits for nobody: of a tenant this large the brake says it.
    match tokio::time::timeout(FORECAST_PATIENCE, taken).await {
        Ok(Ok(taken)) if taken.is_too_much() => tracing::warn!(
            tenant = new.slug,
            "the configuration's rules for tenant {} {}; see jira-scim plan",
            new.slug,
            taken.sentence()
        ),
        Ok(Err(error)) => {
            tracing::warn!(tenant = new.slug, error = %Chain(&error), "a change of rules could not be counted");
        }
        Ok(Ok(_)) | Err(_) => {}
    }
    Ok(())
}

/// The writer of a configuration; nothing runs yet.
///
/// # Errors
/// A target or table cannot be used.
pub fn writer(config: &Config, store: &Store, life: &Lifecycle, metrics: &Metrics) -> Result<Writer, AppError> {
    let targets = config.targets.iter().map(target).collect::<Result<Vec<_>, _>>()?;
    let options = WriterOptions {
        settle: config.writer.settle,
        workers: config.writer.workers as usize,
        lease: config.writer.lease,
        poll: config.writer.poll,
        patience: Patience { max_backoff: config.writer.max_backoff, give_up_after: config.writer.give_up_after },
        probe_every: PROBE_EVERY,
        email_fallback: config.mapping.email_fallback.clone(),
    };
    let writer = Writer::new(store.clone(), targets, options, life.clone(), metrics.clone());
    writer.set_tables(tables::read(&config.tables)?);
    Ok(writer)
}

/// Whoever tells people what they have to look after.
fn alerts(config: &Config, store: &Store) -> Result<Alerts, AlertError> {
    let options = config.alert.webhook_url.clone().map(|url| AlertOptions {
        url,
        secret: config.alert.webhook_secret.clone(),
        url_file: config.alert.webhook_url_file.clone(),
        secret_file: config.alert.webhook_secret_file.clone(),
        timeout: config.alert.timeout,
    });
    Alerts::new(store.clone(), options.as_ref())
}

/// What accounts depend on besides user and policy, by target.
///
/// # Errors
/// A table cannot be read, or a target not be made.
pub fn grounds(config: &Config) -> Result<Grounds, AppError> {
    let tables = Arc::new(tables::read(&config.tables)?);
    let ground = |capabilities| Ground {
        capabilities,
        email_fallback: config.mapping.email_fallback.clone(),
        tables: Arc::clone(&tables),
    };
    let grounds = config.targets.iter().map(|entry| {
        let made = target(entry)?;
        Ok((made.name, ground(made.target.capabilities())))
    });
    grounds.collect::<Result<_, AppError>>().map(Grounds)
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), AppError> {
    let fail = |source| AppError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    Ok((listener, bound))
}

/// Tidies history now and then. The first time at once: there must be a partition for today.
async fn sweep(store: Store, health: Health, kept: crate::config::Audit, life: Lifecycle) {
    let keep =
        Keep { history_days: kept.keep_days, history_size: kept.keep_size as u64, tombstone_days: TOMBSTONE_DAYS };
    while !life.is_ending() {
        let now = chrono::Utc::now();
        match janitor::run_once(&store, now, keep).await {
            Ok(_) => health.worked("janitor", now),
            Err(error) => {
                health.failed("janitor", "History could not be tidied.".to_owned(), now);
                tracing::warn!(error = %Chain(&error), "history could not be tidied; trying again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP) => {}
            () = life.soft().cancelled() => {}
        }
    }
}

/// Reads the gauges of the outbox now and then.
async fn sample(store: Store, metrics: Metrics, life: Lifecycle) {
    while !life.is_ending() {
        if let Err(error) = sample_once(&store, &metrics).await {
            tracing::debug!(error = %Chain(&error), "the outbox could not be counted");
        }
        tokio::select! {
            () = tokio::time::sleep(SAMPLE) => {}
            () = life.soft().cancelled() => {}
        }
    }
}

async fn sample_once(store: &Store, metrics: &Metrics) -> Result<(), StoreError> {
    let mut conn = store.pool().acquire().await.map_err(StoreError::from)?;
    for tenant in outbox_view::sample(&mut conn).await? {
        metrics.outbox(&tenant.slug, tenant.depth, Duration::from_secs_f64(tenant.oldest_seconds.max(0.0)));
        metrics.steps(&tenant.slug, "refused", tenant.refused);
        metrics.steps(&tenant.slug, "held", tenant.held);
        metrics.steps(&tenant.slug, "waived", tenant.waived);
    }
    metrics.tokens_expire(token::endings(&mut *conn).await?);
    for (slug, tripped) in brake::sample(&mut conn).await? {
        metrics.brake_tripped(&slug, tripped);
    }
    Ok(())
}
