//! Credentials of the IdPs: bearer tokens, user names with passwords for HTTP Basic, and OAuth clients. Of a secret that was
//! made here the store knows only the SHA-256, of a password that somebody chose only what argon2id makes of it.
//!
//! Several may be live at once, so that they can be rotated without a gap; among the living a label is unique within
//! its tenant, so that the audit's actor names one credential.

mod declared;
mod login;
mod rotation;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::tenant::Origin;
use super::{OnConstraint, StoreError};

pub use declared::{password_of, revoke_undeclared, upsert_declared};
pub use login::{authenticate, by_username, client, touch_last_used};
pub use rotation::{Successor, find, rotate};

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

/// What proves that a client is whom a credential was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Kind {
    /// A secret that was made here: a bearer token, or with a user name the password of HTTP Basic.
    Secret,
    /// The password of HTTP Basic, chosen by somebody.
    Password,
    /// The secret of an OAuth client, made here; opens nothing but the token endpoint.
    Client,
}

impl Kind {
    /// As in the column and the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Password => "password",
            Self::Client => "client",
        }
    }
}

/// What a credential may do.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, sqlx::Type,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Scope {
    /// Look.
    Read,
    /// Look and change.
    #[default]
    Write,
}

impl Scope {
    /// As in the column, the configuration and the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A credential as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Token {
    /// Its id.
    pub id: Uuid,
    /// Its name; the actor in the audit.
    pub label: String,
    /// What proves it.
    pub kind: Kind,
    /// HTTP Basic: the user name whose password it is; of an OAuth client its id; `None`: a bearer token.
    pub username: Option<String>,
    /// The user whom it stands for at `/Me`.
    pub me: Option<Uuid>,
    /// What it may do.
    pub scope: Scope,
    /// Whether groups are out of bounds.
    pub users_only: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it stops being accepted; `None`: never.
    pub expires: Option<DateTime<Utc>>,
    /// When another one took its place.
    pub rotated: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used: Option<DateTime<Utc>>,
    /// The configuration file declares it.
    pub declared: bool,
}

/// The credential that a request came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: Uuid,
    /// Its name; the actor in the audit.
    pub label: String,
    /// What proves it.
    pub kind: Kind,
    /// HTTP Basic: the user name whose password it is; of an OAuth client its id; `None`: a bearer token.
    pub username: Option<String>,
    /// The user whom it stands for at `/Me`.
    pub me: Option<Uuid>,
    /// What it may do.
    pub scope: Scope,
    /// Whether groups are out of bounds.
    pub users_only: bool,
    /// When it stops being accepted; `None`: never.
    pub expires: Option<DateTime<Utc>>,
}

/// What the store keeps of a secret.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// SHA-256 of a secret that was made here.
    Secret(&'a [u8; 32]),
    /// A chosen password, as argon2id in the PHC form.
    Password(&'a str),
    /// SHA-256 of the secret of an OAuth client.
    Client(&'a [u8; 32]),
}

impl<'a> Proof<'a> {
    /// What it proves.
    pub fn kind(self) -> Kind {
        match self {
            Self::Secret(_) => Kind::Secret,
            Self::Password(_) => Kind::Password,
            Self::Client(_) => Kind::Client,
        }
    }

    fn hash(self) -> Option<&'a [u8]> {
        match self {
            Self::Secret(hash) | Self::Client(hash) => Some(hash.as_slice()),
            Self::Password(_) => None,
        }
    }

    fn password(self) -> Option<&'a str> {
        match self {
            Self::Password(hash) => Some(hash),
            Self::Secret(_) | Self::Client(_) => None,
        }
    }
}

impl fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({})", self.kind().as_str())
    }
}

/// What a credential is to be.
#[derive(Clone, Copy, Debug)]
pub struct NewCredential<'a> {
    /// Its name.
    pub label: &'a str,
    /// What proves it.
    pub proof: Proof<'a>,
    /// HTTP Basic: the user name whose password it is; of an OAuth client its id.
    pub username: Option<&'a str>,
    /// The user whom it stands for at `/Me`.
    pub me: Option<Uuid>,
    /// What it may do.
    pub scope: Scope,
    /// Whether groups are out of bounds.
    pub users_only: bool,
    /// When it stops being accepted; `None`: never.
    pub expires: Option<DateTime<Utc>>,
}

impl<'a> NewCredential<'a> {
    /// A bearer token that may do anything and stands for nobody.
    pub fn bearer(label: &'a str, hash: &'a [u8; 32], expires: Option<DateTime<Utc>>) -> Self {
        let (username, me, scope, users_only) = (None, None, Scope::Write, false);
        Self { label, proof: Proof::Secret(hash), username, me, scope, users_only, expires }
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
    /// The configuration file declares it.
    #[error("token {0} is declared in the configuration file; change it there")]
    Declared(String),
    /// A secret was to take the place of a password, or the other way round.
    #[error("token {0} is of another kind than what is to take its place")]
    OtherKind(String),
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
        r#"WITH made AS (
             INSERT INTO token (tenant_id, id, hash, label, created, expires, username, me, kind, password, scope,
                                users_only)
             VALUES ($1, $2, $3, $4, $5, $6, $9, $10, $11, $12, $13, $14)
             RETURNING *
         ), noted AS (
             INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
             SELECT tenant_id, $5, gen_random_uuid(), $7, $8, 'token.create', 'token', id,
                    jsonb_build_object('label', label, 'kind', kind, 'expires', expires, 'username', username, 'me', me,
                                       'scope', scope, 'users_only', users_only), 201
             FROM made
         )
         SELECT id, label, kind AS "kind: Kind", username, me, scope AS "scope: Scope", users_only, created, expires,
                rotated, revoked, last_used, declared FROM made"#,
        tenant_id,
        id,
        new.proof.hash(),
        new.label,
        origin.at,
        new.expires,
        origin.request_id,
        origin.actor,
        new.username,
        new.me,
        new.proof.kind().as_str(),
        new.proof.password(),
        new.scope.as_str(),
        new.users_only,
    )
    .fetch_one(db)
    .await
    .map_err(StoreError::from);
    match made {
        Err(e) if e.constraint() == Some("token_hash_key") => Err(TokenError::InUse),
        other => other.on_constraint("token_label_key", || TokenError::LabelTaken(new.label.to_owned())),
    }
}

/// Tenant, label and end of the living credentials that end, for the metrics; those whose place another has taken are left out.
///
/// # Errors
/// The store failed.
pub async fn endings(db: impl PgExecutor<'_>) -> Result<Vec<(String, String, DateTime<Utc>)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT t.slug, k.label, k.expires AS "expires!" FROM token k JOIN tenant t ON t.id = k.tenant_id
           WHERE k.revoked IS NULL AND k.rotated IS NULL AND k.expires > now() - interval '30 days'
           ORDER BY k.expires LIMIT 10000"#,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.slug, row.label, row.expires)).collect())
}

/// All credentials of a tenant, the revoked and expired too, oldest first.
///
/// # Errors
/// The store failed.
pub async fn list(db: impl PgExecutor<'_>, tenant_id: Uuid) -> Result<Vec<Token>, StoreError> {
    let tokens = sqlx::query_as!(
        Token,
        r#"SELECT id, label, kind AS "kind: Kind", username, me, scope AS "scope: Scope", users_only, created, expires,
                  rotated, revoked, last_used, declared
           FROM token WHERE tenant_id = $1 ORDER BY created, id"#,
        tenant_id,
    )
    .fetch_all(db)
    .await?;
    Ok(tokens)
}

/// Revokes the live token with this id or label. One that the configuration file declares would come back with the next
/// start.
///
/// # Errors
/// [`TokenError::NotFound`], [`TokenError::Declared`].
pub async fn revoke(
    db: impl PgExecutor<'_>,
    tenant_id: Uuid,
    id_or_label: &str,
    origin: Origin<'_>,
) -> Result<Token, TokenError> {
    let revoked = sqlx::query_as!(
        Token,
        r#"WITH named AS (
             SELECT k.tenant_id, k.id, k.declared AND t.declared AS declared FROM token k JOIN tenant t ON t.id = k.tenant_id
             WHERE k.tenant_id = $1 AND k.revoked IS NULL AND (k.id::text = lower($2) OR k.label = $2)
         ), gone AS (
             UPDATE token SET revoked = $3
             WHERE tenant_id = $1 AND revoked IS NULL AND id IN (SELECT id FROM named WHERE NOT declared)
             RETURNING *
         ), noted AS (
             INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
             SELECT tenant_id, $3, gen_random_uuid(), $4, $5, 'token.revoke', 'token', id,
                    jsonb_build_object('label', label), 200
             FROM gone
         )
         SELECT k.id, k.label, k.kind AS "kind: Kind", k.username, k.me, k.scope AS "scope: Scope", k.users_only, k.created,
                k.expires, k.rotated, (CASE WHEN n.declared THEN NULL ELSE $3 END)::timestamptz AS "revoked?", k.last_used,
                n.declared AS "declared!"
         FROM token k JOIN named n ON n.tenant_id = k.tenant_id AND n.id = k.id WHERE k.tenant_id = $1"#,
        tenant_id,
        id_or_label,
        origin.at,
        origin.request_id,
        origin.actor,
    )
    .fetch_optional(db)
    .await
    .map_err(StoreError::from)?;
    match revoked {
        Some(token) if token.declared => Err(TokenError::Declared(token.label)),
        Some(token) => Ok(token),
        None => Err(TokenError::NotFound(id_or_label.to_owned())),
    }
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
