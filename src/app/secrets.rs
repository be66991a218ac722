//! The files with credentials of declared tenants (`value_file`, `password_file`, `jwks_file`): read at the start, and again when
//! they change. What cannot be used changes nothing. Decides nothing.

use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use uuid::Uuid;

use super::credentials;
use crate::config::files::{Marks, marks, secret_in};
use crate::config::{TenantConfig, TokenConfig};
use crate::lifecycle::Lifecycle;
use crate::store::tenant::{self, Origin};
use crate::store::{Store, StoreError};
use crate::telemetry::Chain;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// The credentials of declared tenants that are in files, and how the files were when they were last read.
pub struct Files {
    tenants: Vec<TenantConfig>,
    known: Marks,
}

/// Follows the files until the lifecycle ends.
pub(super) async fn follow(tenants: Vec<TenantConfig>, store: Store, life: Lifecycle) {
    let mut files = Files::new(tenants);
    if files.known.is_empty() {
        return;
    }
    while !life.is_ending() {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = life.soft().cancelled() => return,
        }
        if let Err(error) = files.follow_once(&store).await {
            tracing::warn!(error = %Chain(&error), "credentials that changed in their files are not taken over; trying again");
        }
    }
}

/// The files that a tenant's credentials are in.
fn files_of(tenant: &TenantConfig) -> impl Iterator<Item = &Path> {
    let tokens = tenant.tokens.iter().filter_map(|token| token.file.as_deref());
    tokens.chain(tenant.issuers.iter().filter_map(|issuer| issuer.jwks_file.as_deref()))
}

impl Files {
    /// As they are now; they have just been read.
    pub fn new(tenants: Vec<TenantConfig>) -> Self {
        Self { known: marks(tenants.iter().flat_map(files_of)), tenants }
    }

    /// Takes over what changed since; how many tenants have other credentials than before.
    ///
    /// # Errors
    /// The store's; what cannot be used is told to the log.
    pub async fn follow_once(&mut self, store: &Store) -> Result<usize, StoreError> {
        let mut changed = 0;
        for tenant in &mut self.tenants {
            let now = marks(files_of(tenant));
            if now.iter().all(|(path, mark)| self.known.get(path) == Some(mark)) {
                continue;
            }
            let slug = tenant.slug.clone();
            match taken_over(tenant, store).await? {
                Ok(()) => {
                    changed += 1;
                    tracing::info!(
                        event = "secret.replaced",
                        tenant = slug,
                        "credentials of tenant {slug} were replaced"
                    );
                }
                // Another change of the file is another try.
                Err(what) => {
                    tracing::warn!(tenant = slug, "the credentials of tenant {slug} stay as they were: {what}")
                }
            }
            self.known.extend(now);
        }
        Ok(changed)
    }
}

/// Reads a tenant's files, and makes its credentials what they say; what stands against it is told.
async fn taken_over(tenant: &mut TenantConfig, store: &Store) -> Result<Result<(), String>, StoreError> {
    let mut read = tenant.clone();
    if let Err(what) = read.tokens.iter_mut().try_for_each(read_again) {
        return Ok(Err(what));
    }
    let mut conn = store.pool().acquire().await?;
    // Somebody deleted it; it is back at the next start.
    let Some(found) = tenant::get(&mut *conn, &tenant.slug).await? else { return Ok(Ok(())) };
    let origin = Origin { actor: "configuration", request_id: Uuid::now_v7(), at: Utc::now() };
    Ok(credentials::declare(&mut conn, &found, &read, origin).await.map(|()| *tenant = read))
}

fn read_again(token: &mut TokenConfig) -> Result<(), String> {
    let Some(file) = &token.file else { return Ok(()) };
    let value = secret_in(file).map_err(|what| format!("token {} {what}", token.label))?;
    if !token.may_be(&value) {
        return Err(format!("token {} is too short now", token.label));
    }
    token.value = value;
    Ok(())
}
