//! Credentials of the IdPs: bearer tokens, and user names with generated passwords for HTTP Basic. The store knows only
//! the SHA-256 of either.
//!
//! Several may be live at once, so that they can be rotated without a gap; among the living a label is unique within
//! its tenant, so that the audit's actor names one credential.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::{Acquire, PgConnection, PgExecutor};
use uuid::Uuid;

use super::tenant::{Mode, Origin, Tenant};
use super::{OnConstraint, StoreError};

/// Every token begins with it, so that secret scanners know one when they see one.
pub const PREFIX: &str = "jst_";

/// A token that was just made; its text exists nowhere else.
pub struct NewToken {
    text: String,
    hash: [u8; 32],
}

impl NewToken {
    /// A token of 256 bits from the operating system.
    pub fn generate() -> Self {
        Self::from_bits(rand::random())
    }

    /// The token that these bits make.
    pub fn from_bits(bits: [u8; 32]) -> Self {
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bits));
        let hash = hash(&text);
        Self { text, hash }
    }

    /// The text, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What the store keeps.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewToken(..)")
    }
}

/// SHA-256 of a token's text. No salt and no stretching: a token has 256 random bits, nothing can be guessed.
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// A credential as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Token {
    /// Its id.
    pub id: Uuid,
    /// Its name; the actor in the audit.
    pub label: String,
    /// HTTP Basic: the user name whose password it is; `None`: a bearer token.
    pub username: Option<String>,
    /// The user whom it stands for at `/Me`.
    pub me: Option<Uuid>,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it stops being accepted; `None`: never.
    pub expires: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used: Option<DateTime<Utc>>,
}

/// The credential that a request came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: Uuid,
    /// Its name; the actor in the audit.
    pub label: String,
    /// HTTP Basic: the user name whose password it is; `None`: a bearer token.
    pub username: Option<String>,
    /// The user whom it stands for at `/Me`.
    pub me: Option<Uuid>,
    /// When it stops being accepted; `None`: never.
    pub expires: Option<DateTime<Utc>>,
}

/// What a credential is to be.
#[derive(Clone, Copy, Debug)]
pub struct NewCredential<'a> {
    /// Its name.
    pub label: &'a str,
    /// SHA-256 of the secret.
    pub hash: &'a [u8; 32],
    /// HTTP Basic: the user name whose password it is.
    pub username: Option<&'a str>,
    /// The user whom it stands for at `/Me`.
    pub me: Option<Uuid>,
    /// When it stops being accepted; `None`: never.
    pub expires: Option<DateTime<Utc>>,
}

impl<'a> NewCredential<'a> {
    /// A bearer token that stands for nobody.
    pub fn bearer(label: &'a str, hash: &'a [u8; 32], expires: Option<DateTime<Utc>>) -> Self {
        Self { label, hash, username: None, me: None, expires }
    }
}

/// What can go wrong with a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A live token of the tenant has this label.
    #[error("there is a live token labelled {0} already")]
    LabelTaken(String),
    /// The same token text is in use, perhaps by another tenant.
    #[error("this token is in use already")]
    InUse,
    /// No live token has this id or label.
    #[error("there is no live token {0}")]
    NotFound(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores a new credential with its audit row.
///
/// # Errors
/// [`TokenError::LabelTaken`], [`TokenError::InUse`].
pub async fn create(
    db: impl PgExecutor<'_>,
    tenant_id: Uuid,
    id: Uuid,
    new: NewCredential<'_>,
    origin: Origin<'_>,
) -> Result<Token, TokenError> {
    let made = sqlx::query_as!(
        Token,
        "WITH made AS (
             INSERT INTO token (tenant_id, id, hash, label, created, expires, username, me)
             VALUES ($1, $2, $3, $4, $5, $6, $9, $10)
             RETURNING *
         ), noted AS (
             INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
             SELECT tenant_id, $5, gen_random_uuid(), $7, $8, 'token.create', 'token', id,
                    jsonb_build_object('label', label, 'expires', expires, 'username', username, 'me', me), 201
             FROM made
         )
         SELECT id, label, username, me, created, expires, revoked, last_used FROM made",
        tenant_id,
        id,
        new.hash.as_slice(),
        new.label,
        origin.at,
        new.expires,
        origin.request_id,
        origin.actor,
        new.username,
        new.me,
    )
    .fetch_one(db)
    .await
    .map_err(StoreError::from);
    match made {
        Err(e) if e.constraint() == Some("token_hash_key") => Err(TokenError::InUse),
        other => other.on_constraint("token_label_key", || TokenError::LabelTaken(new.label.to_owned())),
    }
}

/// All credentials of a tenant, the revoked and expired too, oldest first.
///
/// # Errors
/// The store failed.
pub async fn list(db: impl PgExecutor<'_>, tenant_id: Uuid) -> Result<Vec<Token>, StoreError> {
    let tokens = sqlx::query_as!(
        Token,
        "SELECT id, label, username, me, created, expires, revoked, last_used FROM token
         WHERE tenant_id = $1 ORDER BY created, id",
        tenant_id,
    )
    .fetch_all(db)
    .await?;
    Ok(tokens)
}

/// Revokes the live token with this id or label.
///
/// # Errors
/// [`TokenError::NotFound`].
pub async fn revoke(
    db: impl PgExecutor<'_>,
    tenant_id: Uuid,
    id_or_label: &str,
    origin: Origin<'_>,
) -> Result<Token, TokenError> {
    let revoked = sqlx::query_as!(
        Token,
        "WITH gone AS (
             UPDATE token SET revoked = $3
             WHERE tenant_id = $1 AND revoked IS NULL AND (id::text = lower($2) OR label = $2)
             RETURNING *
         ), noted AS (
             INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
             SELECT tenant_id, $3, gen_random_uuid(), $4, $5, 'token.revoke', 'token', id,
                    jsonb_build_object('label', label), 200
             FROM gone
         )
         SELECT id, label, username, me, created, expires, revoked, last_used FROM gone",
        tenant_id,
        id_or_label,
        origin.at,
        origin.request_id,
        origin.actor,
    )
    .fetch_optional(db)
    .await
    .map_err(StoreError::from)?;
    revoked.ok_or_else(|| TokenError::NotFound(id_or_label.to_owned()))
}

/// Makes a credential what the configuration file says: live, with this text and this expiry. A token of another text
/// under the same label is revoked.
///
/// # Errors
/// [`TokenError::InUse`].
pub async fn upsert_declared(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    new: NewCredential<'_>,
    origin: Origin<'_>,
) -> Result<(), TokenError> {
    let mut tx = conn.begin().await.map_err(StoreError::from)?;
    // Replicas start together: the lock makes the second one see what the first one made.
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('token ' || $1::uuid::text, 0))", tenant_id)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::from)?;
    // Another text under this label gives way.
    sqlx::query!(
        "UPDATE token SET revoked = $4 WHERE tenant_id = $1 AND label = $2 AND hash <> $3 AND revoked IS NULL",
        tenant_id,
        new.label,
        new.hash.as_slice(),
        origin.at,
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::from)?;
    let known = sqlx::query!(
        "UPDATE token SET expires = $4, username = $5, revoked = NULL, declared = true
         WHERE tenant_id = $1 AND hash = $2 AND label = $3",
        tenant_id,
        new.hash.as_slice(),
        new.label,
        new.expires,
        new.username,
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::from)?;
    if known.rows_affected() == 0 {
        create(&mut *tx, tenant_id, id, new, origin).await?;
        sqlx::query!("UPDATE token SET declared = true WHERE tenant_id = $1 AND id = $2", tenant_id, id)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::from)?;
    }
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// Revokes the tokens that the configuration file declared once and does not name any more, and returns their labels.
///
/// # Errors
/// The store failed.
pub async fn revoke_undeclared(
    db: impl PgExecutor<'_>,
    tenant_id: Uuid,
    labels: &[String],
    at: DateTime<Utc>,
) -> Result<Vec<String>, StoreError> {
    let revoked = sqlx::query_scalar!(
        "UPDATE token SET revoked = $3
         WHERE tenant_id = $1 AND declared AND revoked IS NULL AND label <> ALL($2) RETURNING label",
        tenant_id,
        labels,
        at,
    )
    .fetch_all(db)
    .await?;
    Ok(revoked)
}

/// The tenant and the credential of a request, in one query. `None` for an unknown tenant, an unknown, expired or
/// revoked token and a token of another tenant alike: a client learns nothing from the difference.
///
/// # Errors
/// The store failed.
pub async fn authenticate(
    db: impl PgExecutor<'_>,
    slug: &str,
    hash: &[u8; 32],
) -> Result<Option<(Tenant, Credential)>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT t.id, t.slug, t.target, t.mode AS "mode: Mode", t.policy, t.policy_version, t.declared, t.created,
                  t.modified, k.id AS token_id, k.label, k.username, k.me, k.expires
           FROM token k JOIN tenant t ON t.id = k.tenant_id
           WHERE k.hash = $2 AND t.slug = $1 AND k.revoked IS NULL AND (k.expires IS NULL OR k.expires > now())"#,
        slug,
        hash.as_slice(),
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| {
        let tenant = Tenant {
            id: row.id,
            slug: row.slug,
            target: row.target,
            mode: row.mode,
            policy: row.policy,
            policy_version: row.policy_version,
            declared: row.declared,
            created: row.created,
            modified: row.modified,
        };
        let credential =
            Credential { id: row.token_id, label: row.label, username: row.username, me: row.me, expires: row.expires };
        (tenant, credential)
    }))
}

/// Notes that a token was used; at most one write a minute, however often it is called.
///
/// # Errors
/// The store failed.
pub async fn touch_last_used(
    db: impl PgExecutor<'_>,
    tenant_id: Uuid,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE token SET last_used = $3
         WHERE tenant_id = $1 AND id = $2 AND (last_used IS NULL OR last_used < $3::timestamptz - interval '1 minute')",
        tenant_id,
        id,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_bits_behind_a_prefix_that_scanners_know() {
        let token = NewToken::from_bits([0xff; 32]);
        assert_eq!(token.reveal(), format!("jst_{}8", "_".repeat(42)));
        assert_eq!(token.hash(), &hash(token.reveal()));
        assert_ne!(NewToken::generate().reveal(), NewToken::generate().reveal());
    }

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", NewToken::from_bits([7; 32])), "NewToken(..)");
    }
}
