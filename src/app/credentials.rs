//! The credentials of a tenant that the configuration declares: its tokens, and the issuers of JWTs that it trusts; and whoever
//! looks when credentials end.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::alert::{Watch, WatchOptions};
use crate::config::{Config, JwtConfig, TenantConfig, TokenConfig, TokenScope};
use crate::login::{issuer, password};
use crate::store::Store;
use crate::store::alert::Ending;
use crate::store::jwt_issuer::{self, NewIssuer};
use crate::store::tenant::{Origin, Tenant};
use crate::store::token::{self, NewCredential, Proof, Scope};
use crate::telemetry::Chain;

/// Makes a tenant's credentials what the configuration says; those that it does not name any more are gone.
///
/// # Errors
/// A sentence about what cannot be.
pub async fn declare(
    conn: &mut PgConnection,
    tenant: &Tenant,
    declared: &TenantConfig,
    origin: Origin<'_>,
) -> Result<(), String> {
    for token in &declared.tokens {
        declare_token(conn, tenant, token, origin).await?;
    }
    let labels: Vec<String> = declared.tokens.iter().map(|token| token.label.clone()).collect();
    let slug = &tenant.slug;
    let failed = |error: crate::store::StoreError| Chain(&error).to_string();
    for label in token::revoke_undeclared(&mut *conn, tenant.id, &labels, origin.at).await.map_err(failed)? {
        tracing::info!(tenant = slug, "token {label} of tenant {slug} is no longer declared: revoked");
    }
    for jwt in &declared.issuers {
        let new = issuer_of(jwt)?;
        jwt_issuer::upsert_declared(&mut *conn, tenant.id, Uuid::now_v7(), &new).await.map_err(failed)?;
    }
    let labels: Vec<String> = declared.issuers.iter().map(|issuer| issuer.label.clone()).collect();
    for label in jwt_issuer::delete_undeclared(&mut *conn, tenant.id, &labels).await.map_err(failed)? {
        tracing::info!(tenant = slug, "issuer {label} of tenant {slug} is no longer declared: not trusted any more");
    }
    Ok(())
}

async fn declare_token(
    conn: &mut PgConnection,
    tenant: &Tenant,
    token: &TokenConfig,
    origin: Origin<'_>,
) -> Result<(), String> {
    let hash = token::hash(token.value.expose());
    let chosen = if token.chosen { Some(chosen(conn, tenant, token).await?) } else { None };
    let new = NewCredential {
        proof: match &chosen {
            Some(password) => Proof::Password(password),
            None if token.client => Proof::Client(&hash),
            None => Proof::Secret(&hash),
        },
        username: token.username.as_deref(),
        scope: scope(token.scope),
        users_only: token.users_only,
        ..NewCredential::bearer(&token.label, &hash, token.expires)
    };
    let declared = token::upsert_declared(conn, tenant.id, Uuid::now_v7(), new, origin).await;
    declared.map_err(|error| Chain(&error).to_string())
}

/// What the store keeps of a chosen password: what it has already, where that is of the same password, because each hash has a
/// salt of its own.
async fn chosen(conn: &mut PgConnection, tenant: &Tenant, token: &TokenConfig) -> Result<String, String> {
    if !password::may_be_chosen(&token.value) {
        return Err(format!("token {}: {}", token.label, password::CHOSEN));
    }
    let failed = |error: crate::store::StoreError| Chain(&error).to_string();
    let kept = token::password_of(&mut *conn, tenant.id, &token.label).await.map_err(failed)?;
    let chosen = token.value.clone();
    let hashed = tokio::task::spawn_blocking(move || match kept.filter(|kept| password::fits(&chosen, kept)) {
        Some(kept) => Ok(kept),
        None => password::hash(&chosen),
    });
    hashed.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

fn scope(scope: TokenScope) -> Scope {
    match scope {
        TokenScope::Read => Scope::Read,
        TokenScope::Write => Scope::Write,
    }
}

/// An issuer of the configuration, with its keys where they are in a file.
///
/// # Errors
/// A sentence that begins with the key that is wrong.
pub fn issuer_of(jwt: &JwtConfig) -> Result<NewIssuer, String> {
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        let set = text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
        set.map_err(|error| format!("jwks_file names the file {}, which cannot be read: {error}", path.display()))
    };
    let new = NewIssuer {
        label: jwt.label.clone(),
        issuer: jwt.issuer.clone(),
        jwks_url: jwt.jwks_url.clone(),
        jwks: jwt.jwks_file.as_ref().map(read).transpose()?,
        audience: jwt.audience.clone(),
        algorithms: jwt.algorithms.clone(),
        skew_seconds: seconds(jwt.clock_skew),
        subject: jwt.subject.clone(),
        granted: jwt.required_scope.clone(),
        scope: scope(jwt.scope),
        users_only: jwt.users_only,
    };
    issuer::check(&new).map_err(|(field, what)| format!("{field} {what}"))?;
    Ok(new)
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

/// Whoever looks for what people have to be told.
pub fn watch(config: &Config, store: &Store) -> Watch {
    let endings = config.targets.iter().flat_map(|target| {
        let ending = |(credential, expires): (&'static str, _)| Ending {
            target: target.name.clone(),
            credential: credential.to_owned(),
            expires,
        };
        target.expiries().map(ending)
    });
    let options = WatchOptions {
        targets: config.targets.iter().map(|target| target.name.clone()).collect(),
        endings: endings.collect(),
        target_down_after: config.alert.target_down_after,
        queue_older_than: config.alert.queue_older_than,
    };
    Watch::new(store.clone(), options)
}
