//! Tokens of administrators. The store knows only their SHA-256, and there is none from the beginning.
//!
//! They belong to the installation, not to a tenant: what is done with them is on record under the tenant of all zeros.

mod declared;
mod session;

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::tenant::Origin;
use super::token::hash;
use super::{OnConstraint, StoreError};

pub use declared::{revoke_undeclared, upsert_declared};
pub use session::{end, of_session};

/// Every admin token begins with it, so that secret scanners know one when they see one.
pub const PREFIX: &str = "jsa_";

/// What an administrator may do; each may do what those before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Viewer,
    /// Act on what is configured.
    Operator,
    /// Configure.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// As in the column, the API and the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| "a role is viewer, operator or admin".to_owned())
    }
}

/// A token that was just made; its text exists nowhere else.
pub struct NewAdminToken(String);

impl NewAdminToken {
    /// A token of 256 bits from the operating system.
    pub fn generate() -> Self {
        let bits: [u8; 32] = rand::random();
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bits)))
    }

    /// The text, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the store keeps.
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }
}

impl fmt::Debug for NewAdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewAdminToken(..)")
    }
}

/// A token as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdminToken {
    /// Its id.
    pub id: Uuid,
    /// What it is called in lists and in the audit.
    pub label: String,
    /// What its bearer may do.
    pub role: Role,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// From when on it is refused; none: never.
    pub expires: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used: Option<DateTime<Utc>>,
    /// The configuration file declares it.
    pub declared: bool,
}

impl AdminToken {
    /// `live`, `expired` or `revoked`.
    pub fn state(&self, now: DateTime<Utc>) -> &'static str {
        match (self.revoked, self.expires) {
            (Some(_), _) => "revoked",
            (None, Some(at)) if at <= now => "expired",
            (None, _) => "live",
        }
    }

    /// Whether it lets anybody in.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.state(now) == "live"
    }
}

/// What is to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewAdmin<'a> {
    /// See [`AdminToken::label`].
    pub label: &'a str,
    /// See [`AdminToken::role`].
    pub role: Role,
    /// See [`NewAdminToken::hash`].
    pub hash: &'a [u8; 32],
    /// See [`AdminToken::expires`].
    pub expires: Option<DateTime<Utc>>,
}

/// What can go wrong with an admin token.
#[derive(Debug, thiserror::Error)]
pub enum AdminTokenError {
    /// A live one has this label.
    #[error("there is a live admin token labelled {0} already")]
    LabelTaken(String),
    /// The text is another one's.
    #[error("this admin token is in use already")]
    InUse,
    /// No live one has this id or label.
    #[error("there is no live admin token {0}")]
    NotFound(String),
    /// The configuration file declares it.
    #[error("admin token {0} is declared in the configuration file; take it out there")]
    Declared(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A label that a log line and a table can carry; trimmed.
///
/// # Errors
/// What a label has to be.
pub fn checked_label(label: &str) -> Result<&str, &'static str> {
    let label = label.trim();
    if label.is_empty() || label.chars().count() > 100 || label.chars().any(char::is_control) {
        return Err("a label has 1 to 100 characters, none of them a control character");
    }
    Ok(label)
}

/// Stores a new token with its audit row.
///
/// # Errors
/// [`AdminTokenError::LabelTaken`], [`AdminTokenError::InUse`].
pub async fn create(
    db: impl PgExecutor<'_>,
    new: NewAdmin<'_>,
    declared: bool,
    origin: Origin<'_>,
) -> Result<AdminToken, AdminTokenError> {
    let made = sqlx::query_as!(
        AdminToken,
        r#"-- admin_token.create
        WITH made AS (
            INSERT INTO admin_token (id, hash, label, role, created, expires, declared)
            VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *
        ), noted AS (
            INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
            SELECT $8, $5, gen_random_uuid(), $9, $10, 'admin_token.create', 'admin_token', id,
                jsonb_build_object('label', label, 'role', role, 'expires', expires), 201 FROM made
        )
        SELECT id, label, role AS "role: Role", created, expires, revoked, last_used, declared FROM made"#,
        Uuid::now_v7(),
        new.hash.as_slice(),
        new.label,
        new.role.as_str(),
        origin.at,
        new.expires,
        declared,
        Uuid::nil(),
        origin.request_id,
        origin.actor,
    )
    .fetch_one(db)
    .await
    .map_err(StoreError::from);
    match made {
        Err(error) if error.constraint() == Some("admin_token_hash_key") => Err(AdminTokenError::InUse),
        other => other.on_constraint("admin_token_label_key", || AdminTokenError::LabelTaken(new.label.to_owned())),
    }
}

/// All of them after this id, the revoked and expired too, oldest first.
///
/// # Errors
/// The store failed.
pub async fn list(db: impl PgExecutor<'_>, after: Uuid, limit: i64) -> Result<Vec<AdminToken>, StoreError> {
    Ok(sqlx::query_as!(
        AdminToken,
        r#"-- admin_token.list
        SELECT id, label, role AS "role: Role", created, expires, revoked, last_used, declared
        FROM admin_token WHERE id > $1 ORDER BY id LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(db)
    .await?)
}

/// Revokes the live one with this id or label.
///
/// # Errors
/// [`AdminTokenError::NotFound`], [`AdminTokenError::Declared`].
pub async fn revoke(
    conn: &mut PgConnection,
    id_or_label: &str,
    origin: Origin<'_>,
) -> Result<AdminToken, AdminTokenError> {
    let gone = sqlx::query_as!(
        AdminToken,
        r#"-- admin_token.revoke
        WITH gone AS (
            UPDATE admin_token SET revoked = $2
            WHERE revoked IS NULL AND NOT declared AND (id::text = lower($1) OR label = $1) RETURNING *
        ), noted AS (
            INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
            SELECT $3, $2, gen_random_uuid(), $4, $5, 'admin_token.revoke', 'admin_token', id,
                jsonb_build_object('label', label), 200 FROM gone
        )
        SELECT id, label, role AS "role: Role", created, expires, revoked, last_used, declared FROM gone"#,
        id_or_label,
        origin.at,
        Uuid::nil(),
        origin.request_id,
        origin.actor,
    )
    .fetch_optional(&mut *conn)
    .await
    .map_err(StoreError::from)?;
    if let Some(gone) = gone {
        return Ok(gone);
    }
    let declared = sqlx::query_scalar!(
        r#"-- admin_token.is_declared
        SELECT EXISTS (SELECT FROM admin_token
            WHERE revoked IS NULL AND declared AND (id::text = lower($1) OR label = $1)) AS "any!""#,
        id_or_label,
    )
    .fetch_one(conn)
    .await
    .map_err(StoreError::from)?;
    let name = id_or_label.to_owned();
    Err(if declared { AdminTokenError::Declared(name) } else { AdminTokenError::NotFound(name) })
}

/// The token with this hash, whatever its state.
///
/// # Errors
/// The store failed.
pub async fn by_hash(db: impl PgExecutor<'_>, hash: &[u8; 32]) -> Result<Option<AdminToken>, StoreError> {
    Ok(sqlx::query_as!(
        AdminToken,
        r#"-- admin_token.by_hash
        SELECT id, label, role AS "role: Role", created, expires, revoked, last_used, declared
        FROM admin_token WHERE hash = $1"#,
        hash.as_slice(),
    )
    .fetch_optional(db)
    .await?)
}

/// Notes that a token was used; at most one write a minute, however often it is called.
///
/// # Errors
/// The store failed.
pub async fn touch(db: impl PgExecutor<'_>, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "-- admin_token.touch
        UPDATE admin_token SET last_used = $2
        WHERE id = $1 AND (last_used IS NULL OR last_used < $2::timestamptz - interval '1 minute')",
        id,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn roles_are_ordered_by_what_they_may() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
        assert_eq!("operator".parse(), Ok(Role::Operator));
        assert!("root".parse::<Role>().is_err());
    }

    #[test]
    fn a_token_has_its_prefix_and_does_not_show_in_debug_output() {
        let token = NewAdminToken::generate();
        assert!(token.reveal().starts_with(PREFIX) && token.reveal().len() == PREFIX.len() + 43);
        assert_ne!(token.reveal(), NewAdminToken::generate().reveal());
        assert_eq!(format!("{token:?}"), "NewAdminToken(..)");
    }

    #[test]
    fn a_label_is_short_and_printable() {
        assert_eq!(checked_label(" anna ").unwrap(), "anna");
        for label in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert!(checked_label(label).is_err(), "{label:?}");
        }
    }
}
