//! Issuers of JWTs that a tenant trusts: who they are, where their keys are, and what their tokens must say.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::tenant::{self, Origin, Tenant};
use super::token::Scope;
use super::{OnConstraint, StoreError};

/// How many of a tenant's issuers may have the same name: one for each client that may do something else.
const MOST: i64 = 16;

/// An issuer.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Issuer {
    /// Its id.
    pub id: Uuid,
    /// Its name; the actor in the audit.
    pub label: String,
    /// What the claim `iss` must be.
    pub issuer: String,
    /// Where its keys are; none where they are given.
    pub jwks_url: Option<String>,
    /// The keys themselves.
    pub jwks: Option<Value>,
    /// What the claim `aud` must name.
    pub audience: String,
    /// `RS256`, `ES256`, `EdDSA`.
    pub algorithms: Vec<String>,
    /// How far its clock may be off.
    pub skew_seconds: i32,
    /// Whom the token must be of; `None`: anybody whom it issues one to.
    pub subject: Option<String>,
    /// What the token must grant.
    pub granted: Option<String>,
    /// What its bearer may do here.
    pub scope: Scope,
    /// Whether groups are out of bounds.
    pub users_only: bool,
    /// The configuration file declares it.
    pub declared: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When a token of it was last used, to the minute.
    pub last_used: Option<DateTime<Utc>>,
}

/// What an issuer is to be.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct NewIssuer {
    /// Its name; the actor in the audit.
    pub label: String,
    /// What the claim `iss` must be.
    pub issuer: String,
    /// Where its keys are ...
    pub jwks_url: Option<String>,
    /// ... or the keys themselves.
    pub jwks: Option<Value>,
    /// What the claim `aud` must name.
    pub audience: String,
    /// `RS256`, `ES256`, `EdDSA`.
    pub algorithms: Vec<String>,
    /// How far its clock may be off.
    pub skew_seconds: i32,
    /// Whom the token must be of.
    pub subject: Option<String>,
    /// What the token must grant.
    pub granted: Option<String>,
    /// What its bearer may do here.
    pub scope: Scope,
    /// Whether groups are out of bounds.
    pub users_only: bool,
}

/// What can go wrong with an issuer.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The tenant has one of this name.
    #[error("there is an issuer labelled {0} already")]
    LabelTaken(String),
    /// The tenant has none of this name.
    #[error("there is no issuer {0}")]
    NotFound(String),
    /// The configuration file declares it.
    #[error("issuer {0} is declared in the configuration file; change it there")]
    Declared(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores a new issuer with its audit row.
///
/// # Errors
/// [`IssuerError::LabelTaken`].
pub async fn create(
    db: impl PgExecutor<'_>,
    tenant_id: Uuid,
    id: Uuid,
    new: &NewIssuer,
    origin: Origin<'_>,
) -> Result<Issuer, IssuerError> {
    sqlx::query_as!(
        Issuer,
        r#"WITH made AS (
               INSERT INTO jwt_issuer (tenant_id, id, label, issuer, jwks_url, jwks, audience, algorithms, skew_seconds,
                                       subject, granted, scope, users_only, created)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
               RETURNING *
           ), noted AS (
               INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
               SELECT tenant_id, $14, gen_random_uuid(), $15, $16, 'issuer.create', 'issuer', id, $17, 201 FROM made
           )
           SELECT id, label, issuer, jwks_url, jwks, audience, algorithms, skew_seconds, subject, granted,
                  scope AS "scope: Scope", users_only, declared, created, last_used FROM made"#,
        tenant_id,
        id,
        new.label,
        new.issuer,
        new.jwks_url,
        new.jwks,
        new.audience,
        &new.algorithms,
        new.skew_seconds,
        new.subject,
        new.granted,
        new.scope.as_str(),
        new.users_only,
        origin.at,
        origin.request_id,
        origin.actor,
        serde_json::to_value(new).unwrap_or_default(),
    )
    .fetch_one(db)
    .await
    .map_err(StoreError::from)
    .on_constraint("jwt_issuer_label_key", || IssuerError::LabelTaken(new.label.clone()))
}

/// All issuers of a tenant, oldest first.
///
/// # Errors
/// The store failed.
pub async fn list(db: impl PgExecutor<'_>, tenant_id: Uuid) -> Result<Vec<Issuer>, StoreError> {
    let all = sqlx::query_as!(
        Issuer,
        r#"SELECT id, label, issuer, jwks_url, jwks, audience, algorithms, skew_seconds, subject, granted,
                  scope AS "scope: Scope", users_only, declared, created, last_used
           FROM jwt_issuer WHERE tenant_id = $1 ORDER BY created, id"#,
        tenant_id,
    )
    .fetch_all(db)
    .await?;
    Ok(all)
}

/// Deletes the issuer with this id or label; its tokens are refused within seconds.
///
/// # Errors
/// [`IssuerError::NotFound`], [`IssuerError::Declared`].
pub async fn delete(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id_or_label: &str,
    origin: Origin<'_>,
) -> Result<(), IssuerError> {
    let named = |issuer: &&Issuer| issuer.label == id_or_label || issuer.id.to_string() == id_or_label.to_lowercase();
    let all = list(&mut *conn, tenant_id).await?;
    let found = all.iter().find(named).ok_or_else(|| IssuerError::NotFound(id_or_label.to_owned()))?;
    if found.declared {
        return Err(IssuerError::Declared(found.label.clone()));
    }
    sqlx::query!(
        "WITH gone AS (DELETE FROM jwt_issuer WHERE tenant_id = $1 AND id = $2 RETURNING *)
         INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
         SELECT tenant_id, $3, gen_random_uuid(), $4, $5, 'issuer.delete', 'issuer', id,
                jsonb_build_object('label', label), 204
         FROM gone",
        tenant_id,
        found.id,
        origin.at,
        origin.request_id,
        origin.actor,
    )
    .execute(conn)
    .await
    .map_err(StoreError::from)?;
    Ok(())
}

/// Makes an issuer what the configuration file says, at every start.
///
/// # Errors
/// The store failed.
pub async fn upsert_declared(
    db: impl PgExecutor<'_>,
    tenant_id: Uuid,
    id: Uuid,
    new: &NewIssuer,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO jwt_issuer (tenant_id, id, label, issuer, jwks_url, jwks, audience, algorithms, skew_seconds, subject,
                                 granted, scope, users_only, declared)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, true)
         ON CONFLICT ON CONSTRAINT jwt_issuer_label_key DO UPDATE
         SET issuer = excluded.issuer, jwks_url = excluded.jwks_url, jwks = excluded.jwks, audience = excluded.audience,
             algorithms = excluded.algorithms, skew_seconds = excluded.skew_seconds, subject = excluded.subject,
             granted = excluded.granted, scope = excluded.scope, users_only = excluded.users_only, declared = true",
        tenant_id,
        id,
        new.label,
        new.issuer,
        new.jwks_url,
        new.jwks,
        new.audience,
        &new.algorithms,
        new.skew_seconds,
        new.subject,
        new.granted,
        new.scope.as_str(),
        new.users_only,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes the issuers that the configuration file declared once and does not name any more, and returns their labels.
///
/// # Errors
/// The store failed.
pub async fn delete_undeclared(
    db: impl PgExecutor<'_>,
    tenant_id: Uuid,
    labels: &[String],
) -> Result<Vec<String>, StoreError> {
    let gone = sqlx::query_scalar!(
        "DELETE FROM jwt_issuer WHERE tenant_id = $1 AND declared AND label <> ALL($2) RETURNING label",
        tenant_id,
        labels,
    )
    .fetch_all(db)
    .await?;
    Ok(gone)
}

/// The issuers of that name whom the tenant trusts, with the tenant.
///
/// # Errors
/// The store failed.
pub async fn trusted(
    conn: &mut PgConnection,
    slug: &str,
    issuer: &str,
) -> Result<Option<(Tenant, Vec<Issuer>)>, StoreError> {
    let issuers = sqlx::query_as!(
        Issuer,
        r#"SELECT i.id, i.label, i.issuer, i.jwks_url, i.jwks, i.audience, i.algorithms, i.skew_seconds, i.subject, i.granted,
                  i.scope AS "scope: Scope", i.users_only, i.declared, i.created, i.last_used
           FROM jwt_issuer i JOIN tenant t ON t.id = i.tenant_id
           WHERE t.slug = $1 AND i.issuer = $2 ORDER BY i.created, i.id LIMIT $3"#,
        slug,
        issuer,
        MOST,
    )
    .fetch_all(&mut *conn)
    .await?;
    if issuers.is_empty() {
        return Ok(None);
    }
    Ok(tenant::get(conn, slug).await?.map(|tenant| (tenant, issuers)))
}
