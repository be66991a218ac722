//! From the entries of the configuration to sources, and their start.

use std::sync::Arc;

use super::AppError;
use crate::config::{Config, SourceConfig};
use crate::lifecycle::Lifecycle;
use crate::store::{Store, StoreError};
use crate::sync::Sync;
use crate::sync::ldap::Ldap;
use crate::sync::run::Configured;
use crate::telemetry::{Chain, Metrics};
use crate::writer::Writer;

/// The source of a configuration's entry; nothing is connected yet.
///
/// # Errors
/// An attribute or a file cannot be used.
pub fn source(config: &SourceConfig) -> Result<Configured, AppError> {
    let ldap = Ldap::new(&config.ldap).map_err(|source| AppError::Source { name: config.name.clone(), source })?;
    Ok(Configured { config: config.clone(), source: Arc::new(ldap) })
}

/// All sources of a configuration.
///
/// # Errors
/// That of the first that cannot be used.
pub fn sources(
    config: &Config,
    store: &Store,
    life: &Lifecycle,
    metrics: &Metrics,
    writer: Option<&Writer>,
) -> Result<Sync, AppError> {
    let sources = config.sources.iter().map(source).collect::<Result<_, _>>()?;
    let (store, life, metrics) = (store.clone(), life.clone(), metrics.clone());
    Ok(Sync::new(store, sources, config.writer.lease, life, metrics, writer.cloned()))
}

/// Takes over the tenants of the sources, lets go of the others, and begins to follow the schedules.
///
/// # Errors
/// The store's. A source that may not feed its tenant is told in the log, and the others are read all the same.
pub(super) async fn start(sync: Sync, life: &Lifecycle) -> Result<(), StoreError> {
    for slug in sync.release_undeclared().await? {
        tracing::info!(tenant = slug, "tenant {slug} is no longer fed by a source: SCIM clients may write to it");
    }
    let sync = Arc::new(sync);
    for (place, configured) in sync.sources().iter().enumerate() {
        if let Err(error) = sync.claim(configured).await {
            tracing::error!(source = configured.config.name, "{}; it is not read", Chain(&error));
        }
        life.spawn("source", Arc::clone(&sync).follow(place));
    }
    Ok(())
}
