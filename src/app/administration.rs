//! The admin listener: its tokens from the configuration, its address, its parts. Decides nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use uuid::Uuid;

use super::{AppError, bind};
use crate::admin::{self, AdminOptions, AdminState};
use crate::config::{AdminRole, Config};
use crate::lifecycle::Lifecycle;
use crate::listen::{self, ListenOptions};
use crate::record::Recorder;
use crate::store::admin_token::{self, NewAdmin, Role};
use crate::store::tenant::Origin;
use crate::store::{Store, StoreError, token};
use crate::sync::Sync;
use crate::telemetry::{Chain, Metrics};
use crate::writer::Writer;

/// What administrators work with.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) store: &'a Store,
    pub(super) writer: &'a Writer,
    pub(super) life: &'a Lifecycle,
    pub(super) metrics: &'a Metrics,
    pub(super) recorder: &'a Recorder,
    pub(super) sync: &'a Arc<Sync>,
}

/// Upserts the tokens that the configuration declares.
pub(super) async fn declare(store: &Store, config: &Config) -> Result<(), AppError> {
    let mut conn = store.pool().acquire().await.map_err(StoreError::from)?;
    let origin = Origin { actor: "configuration", request_id: Uuid::now_v7(), at: chrono::Utc::now() };
    for declared in &config.admin.tokens {
        let role = match declared.role {
            AdminRole::Viewer => Role::Viewer,
            AdminRole::Operator => Role::Operator,
            AdminRole::Admin => Role::Admin,
        };
        let hash = token::hash(declared.value.expose());
        let new = NewAdmin { label: &declared.label, role, hash: &hash, expires: declared.expires };
        admin_token::upsert_declared(&mut conn, new, origin)
            .await
            .map_err(|error| AppError::Tenant(format!("admin.token {}: {}", declared.label, Chain(&error))))?;
    }
    let labels: Vec<String> = config.admin.tokens.iter().map(|token| token.label.clone()).collect();
    for label in admin_token::revoke_undeclared(&mut *conn, &labels, origin.at).await? {
        tracing::info!("admin token {label} is no longer declared: revoked");
    }
    Ok(())
}

/// Serves administrators, unless that is switched off; at which address.
pub(super) async fn serve(config: &Config, base_url: &str, parts: Parts<'_>) -> Result<Option<SocketAddr>, AppError> {
    let Some(address) = config.admin.listen else { return Ok(None) };
    let options = ListenOptions::for_admin(config, admin::timed_out)?;
    let (listener, address) = bind(address).await?;
    if !address.ip().is_loopback() && options.tls.is_none() {
        tracing::warn!(
            %address,
            "admin.listen is not loopback and has no TLS: tokens and sessions go over the network as they are, unless a \
             proxy in front encrypts"
        );
    }
    let Parts { store, writer, life, metrics, recorder, sync } = parts;
    let state = AdminState::new(
        AdminOptions::new(config, base_url),
        Arc::new(config.clone()),
        store.clone(),
        writer.clone(),
        life.clone(),
        metrics.clone(),
    )
    .recorded_by(recorder.clone())
    .reading_by(Arc::clone(sync));
    life.spawn("admin listener", listen::serve(listener, admin::router(state), options, life.clone()));
    tracing::info!(%address, "the admin page and API listen on {address}");
    Ok(Some(address))
}
