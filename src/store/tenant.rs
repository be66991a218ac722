//! Tenants: one IdP's configuration each.
//!
//! A change of policy, mode or target bumps `policy_version` and nudges the tenant in the same transaction, so that a
//! drive fans the change out. What a policy means is decided in `policy`, not here.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Acquire, PgConnection, PgExecutor};
use uuid::Uuid;

use super::{OnConstraint, StoreError};

/// Whether a tenant's changes are written to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Mode {
    /// Answer from the store, write nothing; `plan` shows what would be done.
    Observe,
    /// Write.
    Enforce,
}

impl Mode {
    /// As in the column, the configuration and the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

/// One IdP's configuration as stored.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Tenant {
    /// Its id.
    pub id: Uuid,
    /// The name in the URL.
    pub slug: String,
    /// Name of the `[[target]]` it writes to.
    pub target: String,
    /// See [`Mode`].
    pub mode: Mode,
    /// The rules, untyped; `policy::Policy` is the typed form.
    pub policy: Value,
    /// Grows with every change of policy, mode or target.
    pub policy_version: i64,
    /// The configuration file declares it, so nothing else may change it.
    pub declared: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was last changed.
    pub modified: DateTime<Utc>,
}

/// What a new tenant is to be.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// The name in the URL; `config` knows which names are allowed.
    pub slug: String,
    /// Name of the `[[target]]`.
    pub target: String,
    /// See [`Mode`].
    pub mode: Mode,
    /// The rules, already checked by `policy`.
    pub policy: Value,
}

/// What to change about a tenant; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default)]
pub struct TenantChange {
    /// Another target.
    pub target: Option<String>,
    /// Another mode.
    pub mode: Option<Mode>,
    /// Other rules, already checked by `policy`.
    pub policy: Option<Value>,
    /// Only while the rules have this version.
    pub if_version: Option<i64>,
}

/// Who asks for an administrative change, and when; goes into its audit row.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Who: `cli:anna`, `config`.
    pub actor: &'a str,
    /// The request's id.
    pub request_id: Uuid,
    /// The time of the change.
    pub at: DateTime<Utc>,
}

/// What can go wrong with a tenant.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// Another tenant has this name.
    #[error("there is a tenant {0} already")]
    SlugTaken(String),
    /// The configuration file declares it.
    #[error("tenant {0} is declared in the configuration file; change it there")]
    Declared(String),
    /// The rules have another version than the change was made for.
    #[error("the rules of tenant {slug} have version {version} by now")]
    ChangedMeanwhile {
        /// The tenant.
        slug: String,
        /// The version that they have.
        version: i64,
    },
    /// There is no such tenant.
    #[error("there is no tenant {0}")]
    NotFound(String),
    /// Its people have accounts at the present target, whose keys mean somebody else at another.
    #[error("tenant {slug} has accounts at its target {target}; make another tenant for another target")]
    TargetInUse {
        /// The tenant.
        slug: String,
        /// Its target.
        target: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a tenant with its audit row.
///
/// # Errors
/// [`TenantError::SlugTaken`].
pub async fn create(
    conn: &mut PgConnection,
    id: Uuid,
    new: &NewTenant,
    origin: Origin<'_>,
) -> Result<Tenant, TenantError> {
    insert(conn, id, new, false, origin)
        .await
        .on_constraint("tenant_slug_key", || TenantError::SlugTaken(new.slug.clone()))
}

async fn insert(
    conn: &mut PgConnection,
    id: Uuid,
    new: &NewTenant,
    declared: bool,
    origin: Origin<'_>,
) -> Result<Tenant, StoreError> {
    let tenant = sqlx::query_as!(
        Tenant,
        r#"WITH made AS (
               INSERT INTO tenant (id, slug, target, mode, policy, declared, created, modified)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
               RETURNING *
           ), noted AS (
               INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
               SELECT id, $7, gen_random_uuid(), $8, $9, 'tenant.create', 'tenant', id,
                      jsonb_build_object('target', target, 'mode', mode, 'policy', policy), 201
               FROM made
           )
           SELECT id, slug, target, mode AS "mode: Mode", policy, policy_version, declared, created, modified
           FROM made"#,
        id,
        new.slug,
        new.target,
        new.mode.as_str(),
        new.policy,
        declared,
        origin.at,
        origin.request_id,
        origin.actor,
    )
    .fetch_one(conn)
    .await?;
    Ok(tenant)
}

/// The tenant with this name.
///
/// # Errors
/// The store failed.
pub async fn get(db: impl PgExecutor<'_>, slug: &str) -> Result<Option<Tenant>, StoreError> {
    let tenant = sqlx::query_as!(
        Tenant,
        r#"SELECT id, slug, target, mode AS "mode: Mode", policy, policy_version, declared, created, modified
           FROM tenant WHERE slug = $1"#,
        slug,
    )
    .fetch_optional(db)
    .await?;
    Ok(tenant)
}

/// The tenant with this id.
///
/// # Errors
/// The store failed.
pub async fn by_id(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Tenant>, StoreError> {
    let tenant = sqlx::query_as!(
        Tenant,
        r#"SELECT id, slug, target, mode AS "mode: Mode", policy, policy_version, declared, created, modified
           FROM tenant WHERE id = $1"#,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(tenant)
}

/// All tenants, by name.
///
/// # Errors
/// The store failed.
pub async fn list(db: impl PgExecutor<'_>) -> Result<Vec<Tenant>, StoreError> {
    let tenants = sqlx::query_as!(
        Tenant,
        r#"SELECT id, slug, target, mode AS "mode: Mode", policy, policy_version, declared, created, modified
           FROM tenant ORDER BY slug"#,
    )
    .fetch_all(db)
    .await?;
    Ok(tenants)
}

/// Changes a tenant that the configuration file does not declare. A change that changes nothing writes nothing.
///
/// # Errors
/// [`TenantError::NotFound`], [`TenantError::Declared`].
pub async fn update(
    conn: &mut PgConnection,
    slug: &str,
    change: &TenantChange,
    origin: Origin<'_>,
) -> Result<Tenant, TenantError> {
    let mut tx = conn.begin().await.map_err(StoreError::from)?;
    let before = locked(&mut tx, slug).await?.ok_or_else(|| TenantError::NotFound(slug.to_owned()))?;
    if before.declared {
        // Not left to the drop, which keeps the lock until the connection is used again.
        tx.rollback().await.map_err(StoreError::from)?;
        return Err(TenantError::Declared(slug.to_owned()));
    }
    if change.if_version.is_some_and(|version| version != before.policy_version) {
        tx.rollback().await.map_err(StoreError::from)?;
        return Err(TenantError::ChangedMeanwhile { slug: slug.to_owned(), version: before.policy_version });
    }
    let after = write(&mut tx, before, change, false, origin).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(after)
}

/// Makes a tenant what the configuration file says: at every start, by every replica. Only what differs is written.
/// A tenant of the same name that was made by hand becomes a declared one.
///
/// # Errors
/// The store failed.
pub async fn upsert_declared(
    conn: &mut PgConnection,
    id: Uuid,
    new: &NewTenant,
    origin: Origin<'_>,
) -> Result<Tenant, TenantError> {
    let mut tx = conn.begin().await.map_err(StoreError::from)?;
    let change = TenantChange {
        target: Some(new.target.clone()),
        mode: Some(new.mode),
        policy: Some(new.policy.clone()),
        if_version: None,
    };
    // Replicas start together: the lock makes the second one see what the first one made.
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('tenant ' || $1, 0))", new.slug)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::from)?;
    let tenant = match locked(&mut tx, &new.slug).await? {
        Some(before) => write(&mut tx, before, &change, true, origin).await?,
        None => insert(&mut tx, id, new, true, origin)
            .await
            .on_constraint("tenant_slug_key", || TenantError::SlugTaken(new.slug.clone()))?,
    };
    tx.commit().await.map_err(StoreError::from)?;
    Ok(tenant)
}

/// Tenants that the configuration file no longer declares become ordinary ones; nothing is deleted by leaving a line
/// out. Returns their names.
///
/// # Errors
/// The store failed.
pub async fn release_undeclared(db: impl PgExecutor<'_>, declared: &[String]) -> Result<Vec<String>, StoreError> {
    let released = sqlx::query_scalar!(
        "UPDATE tenant SET declared = false WHERE declared AND slug <> ALL($1) RETURNING slug",
        declared,
    )
    .fetch_all(db)
    .await?;
    Ok(released)
}

async fn locked(conn: &mut PgConnection, slug: &str) -> Result<Option<Tenant>, StoreError> {
    let tenant = sqlx::query_as!(
        Tenant,
        r#"SELECT id, slug, target, mode AS "mode: Mode", policy, policy_version, declared, created, modified
           FROM tenant WHERE slug = $1 FOR UPDATE"#,
        slug,
    )
    .fetch_optional(conn)
    .await?;
    Ok(tenant)
}

/// Whether any of a tenant's people has, or may have, an account: account keys of one Jira mean somebody else at another.
async fn has_accounts(conn: &mut PgConnection, tenant_id: Uuid) -> Result<bool, StoreError> {
    let any = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM link WHERE tenant_id = $1) AS "any!""#, tenant_id)
        .fetch_one(conn)
        .await?;
    Ok(any)
}

/// Writes the locked tenant with its audit row; where the rules changed, with a new version of them and a nudge.
async fn write(
    conn: &mut PgConnection,
    before: Tenant,
    change: &TenantChange,
    declared: bool,
    origin: Origin<'_>,
) -> Result<Tenant, TenantError> {
    let mut after = before.clone();
    after.target = change.target.clone().unwrap_or(after.target);
    after.mode = change.mode.unwrap_or(after.mode);
    after.policy = change.policy.clone().unwrap_or(after.policy);
    after.declared = declared;
    if after == before {
        return Ok(before);
    }
    if after.target != before.target && has_accounts(conn, before.id).await? {
        return Err(TenantError::TargetInUse { slug: before.slug, target: before.target });
    }
    let rules_changed = (&after.target, after.mode, &after.policy) != (&before.target, before.mode, &before.policy);
    after.policy_version += i64::from(rules_changed);
    after.modified = origin.at;
    sqlx::query!(
        "WITH changed AS (
             UPDATE tenant SET target = $2, mode = $3, policy = $4, policy_version = $5, declared = $6, modified = $7
             WHERE id = $1
         ), noted AS (
             INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
             VALUES ($1, $7, gen_random_uuid(), $8, $9, 'tenant.update', 'tenant', $1,
                     jsonb_build_object('target', $2::text, 'mode', $3::text, 'policy', $4::jsonb), 200)
         )
         INSERT INTO outbox (tenant_id, kind, subject_id, priority, due_at, since, fan_out, request_id)
         SELECT $1, 'tenant', $1, 1, $7, $7, true, $8 WHERE $10
         ON CONFLICT ON CONSTRAINT outbox_pkey DO UPDATE
         SET seq = outbox.seq + 1, due_at = least(outbox.due_at, excluded.due_at), fan_out = true,
             page_after = NULL, request_id = excluded.request_id",
        after.id,
        after.target,
        after.mode.as_str(),
        after.policy,
        after.policy_version,
        after.declared,
        after.modified,
        origin.request_id,
        origin.actor,
        rules_changed,
    )
    .execute(conn)
    .await
    .map_err(StoreError::from)?;
    Ok(after)
}

/// Deletes a tenant and everything it owns in the store; nothing is written to its target. The name and the credentials
/// are gone at once, the rest follows a few thousand rows a statement, and the janitor finishes what a crash left. Audit
/// and deliveries stay until their day is dropped: they say who deleted it and what was done before.
///
/// # Errors
/// [`TenantError::NotFound`]; [`TenantError::Declared`] unless `force`.
pub async fn delete(
    conn: &mut PgConnection,
    slug: &str,
    force: bool,
    origin: Origin<'_>,
) -> Result<Tenant, TenantError> {
    let mut tx = conn.begin().await.map_err(StoreError::from)?;
    let tenant = locked(&mut tx, slug).await?.ok_or_else(|| TenantError::NotFound(slug.to_owned()))?;
    if tenant.declared && !force {
        tx.rollback().await.map_err(StoreError::from)?;
        return Err(TenantError::Declared(slug.to_owned()));
    }
    sqlx::query!(
        "WITH gone AS (DELETE FROM tenant WHERE id = $1)
         INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
         VALUES ($1, $2, gen_random_uuid(), $3, $4, 'tenant.delete', 'tenant', $1,
                 jsonb_build_object('slug', $5::text), 204)",
        tenant.id,
        origin.at,
        origin.request_id,
        origin.actor,
        tenant.slug,
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::from)?;
    tx.commit().await.map_err(StoreError::from)?;
    purge(conn, tenant.id).await?;
    Ok(tenant)
}

/// Rows that one statement of [`purge`] deletes at most.
macro_rules! delete_page {
    ($conn:expr, $tenant:expr, $table:literal) => {
        // By physical place: one page of rows without a sort. A row that moved meanwhile is met in the next round.
        while sqlx::query!(
            "DELETE FROM "
                + $table
                + " WHERE ctid = ANY(ARRAY(SELECT ctid FROM "
                + $table
                + " WHERE tenant_id = $1 LIMIT 5000))",
            $tenant,
        )
        .execute(&mut *$conn)
        .await?
        .rows_affected()
            > 0
        {}
    };
}

/// Deletes what is left of a tenant whose own row is gone: first the outbox, so that no drive begins any more.
///
/// # Errors
/// The store failed; calling it again goes on where it stopped.
pub(super) async fn purge(conn: &mut PgConnection, tenant_id: Uuid) -> Result<(), StoreError> {
    delete_page!(conn, tenant_id, "outbox");
    delete_page!(conn, tenant_id, "run");
    delete_page!(conn, tenant_id, "source");
    delete_page!(conn, tenant_id, "source_entry");
    delete_page!(conn, tenant_id, "source_member");
    delete_page!(conn, tenant_id, "source_known");
    delete_page!(conn, tenant_id, "drift");
    delete_page!(conn, tenant_id, "jira_membership");
    delete_page!(conn, tenant_id, "jira_group");
    delete_page!(conn, tenant_id, "unmatched_account");
    delete_page!(conn, tenant_id, "brake_grant");
    delete_page!(conn, tenant_id, "brake");
    delete_page!(conn, tenant_id, "alert");
    delete_page!(conn, tenant_id, "alert_state");
    delete_page!(conn, tenant_id, "override");
    delete_page!(conn, tenant_id, "claim");
    delete_page!(conn, tenant_id, "link");
    delete_page!(conn, tenant_id, "group_touch");
    delete_page!(conn, tenant_id, "group_member");
    delete_page!(conn, tenant_id, "scim_group");
    delete_page!(conn, tenant_id, "scim_user");
    delete_page!(conn, tenant_id, "tally_delta");
    delete_page!(conn, tenant_id, "tally");
    Ok(())
}
