//! From the entries of the configuration to sources, and their start.

use std::sync::Arc;

use super::AppError;
use crate::config::{Config, SourceConfig};
use crate::lifecycle::Lifecycle;
use crate::store::{Store, StoreError};
use crate::sync::Sync;
use crate::sync::run::Configured;
use crate::telemetry::{Chain, Metrics};
use crate::writer::Writer;

/// The source of a configuration's entry; nothing is connected yet.
///
/// # Errors
/// An attribute or a file cannot be used.
pub fn source(config: &SourceConfig) -> Result<Configured, AppError> {
    Configured::new(config).map_err(|source| AppError::Source { name: config.name.clone(), source })
}

/// All sources of a configuration; those that were made are looked up later.
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
    let sync = Sync::new(store, sources, config.writer.lease, life, metrics, writer.cloned());
    Ok(sync.with_files(config.admin.source_files.clone()))
}

/// Takes over the tenants of the sources, lets go of the others, and begins to follow the schedules.
///
/// # Errors
/// The store's. A source that may not feed its tenant is told in the log, and the others are read all the same.
pub(super) async fn start(sync: &Arc<Sync>, life: &Lifecycle) -> Result<(), StoreError> {
    sync.refresh().await?;
    for slug in sync.release_undeclared().await? {
        tracing::info!(tenant = slug, "tenant {slug} is no longer fed by a source: SCIM clients may write to it");
    }
    for one in sync.sources() {
        match one.configured() {
            Ok(configured) => {
                if let Err(error) = sync.claim(configured).await {
                    tracing::error!(source = one.name(), "{}; it is not read", Chain(&error));
                }
            }
            Err(why) => tracing::error!(source = one.name(), "source {}: {why}; it is not read", one.name()),
        }
    }
    life.spawn("sources", Arc::clone(sync).follow_all());
    Ok(())
}
