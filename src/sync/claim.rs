//! Which source feeds which tenant: one at most, and not one that somebody else brought people to.

use sqlx::PgConnection;

use super::run::{Configured, Sync, SyncError};
use crate::config::SourceConfig;
use crate::store::StoreError;
use crate::store::source::{self, Claim};
use crate::store::tenant::{self, Tenant};

impl Sync {
    /// The tenant that a source feeds, which it holds from now on.
    ///
    /// # Errors
    /// [`SyncError::Refused`]: there is no such tenant, or it has people of somebody else's.
    pub async fn claim(&self, configured: &Configured) -> Result<Tenant, SyncError> {
        let SourceConfig { name, take_over, .. } = &configured.config;
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let tenant = tenant_of(&mut conn, configured).await?;
        let claim = source::claim(&mut conn, tenant.id, name, *take_over).await?;
        unless_occupied(claim, tenant, configured)
    }

    /// The tenant that a source could feed; it is not taken.
    ///
    /// # Errors
    /// As of [`Self::claim`].
    pub async fn may_feed(&self, configured: &Configured) -> Result<Tenant, SyncError> {
        let SourceConfig { name, take_over, .. } = &configured.config;
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let tenant = tenant_of(&mut conn, configured).await?;
        let claim = source::may_claim(&mut conn, tenant.id, name, *take_over).await?;
        unless_occupied(claim, tenant, configured)
    }

    /// Lets go of tenants whose source is not configured any more.
    ///
    /// # Errors
    /// The store's.
    pub async fn release_undeclared(&self) -> Result<Vec<String>, StoreError> {
        let (tenants, names): (Vec<String>, Vec<String>) =
            self.sources().iter().map(|one| (one.tenant().to_owned(), one.name().to_owned())).unzip();
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        source::release_undeclared(&mut conn, &tenants, &names).await
    }
}

async fn tenant_of(conn: &mut PgConnection, configured: &Configured) -> Result<Tenant, SyncError> {
    let SourceConfig { name, tenant: slug, .. } = &configured.config;
    let tenant = tenant::get(conn, slug).await?;
    tenant.ok_or_else(|| SyncError::Refused(format!("source {name}: there is no tenant {slug}")))
}

fn unless_occupied(claim: Claim, tenant: Tenant, configured: &Configured) -> Result<Tenant, SyncError> {
    match claim {
        Claim::Held => Ok(tenant),
        Claim::Occupied => Err(SyncError::Refused(format!(
            "source {}: tenant {} has people whom a SCIM client or another source brought; \
             set take_over = true to take them over by userName, or feed another tenant",
            configured.config.name, tenant.slug
        ))),
    }
}
