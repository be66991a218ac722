//! Makes credentials, and puts one in the place of another: what the command line and the admin API do alike.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::password::{self, CHOSEN, HashError, may_be_chosen};
use crate::config::{BASIC_USERNAME, is_basic_username};
use crate::secret::Secret;
use crate::store::tenant::Origin;
use crate::store::token::{self, Kind, NewCredential, NewToken, Proof, Scope, Successor, Token, TokenError};

/// What is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What it is called.
    pub label: String,
    /// HTTP Basic: the user name; of an OAuth client its id. `None`: a bearer token, or a client whose id is made.
    pub username: Option<String>,
    /// A chosen password; `None`: a secret is made.
    pub password: Option<Secret>,
    /// Whether it is an OAuth client.
    pub client: bool,
    /// The user whom it stands for at `/Me`.
    pub me: Option<Uuid>,
    /// What it may do.
    pub scope: Scope,
    /// Whether groups are out of bounds.
    pub users_only: bool,
    /// When it stops being accepted.
    pub expires: Option<DateTime<Utc>>,
}

/// A credential that was just made.
#[derive(Debug)]
pub struct Made {
    /// As it is listed.
    pub token: Token,
    /// The secret, where one was made: it exists nowhere else.
    pub secret: Option<NewToken>,
}

/// Why there is no credential.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A thing that is wanted cannot be had: which, and what it must be.
    #[error("{field}: {what}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What it must be.
        what: &'static str,
    },
    /// The password cannot be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store's.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl CredentialError {
    fn field(field: &'static str, what: &'static str) -> Self {
        Self::Field { field, what }
    }
}

/// A label that a log line and a table can carry.
const LABEL: &str = "a label has 1 to 100 characters, none of them a control character";

/// Cuts blanks off a label.
///
/// # Errors
/// It is none.
pub fn checked_label(label: &str) -> Result<&str, CredentialError> {
    let label = label.trim();
    if label.is_empty() || label.chars().count() > 100 || label.chars().any(char::is_control) {
        return Err(CredentialError::field("label", LABEL));
    }
    Ok(label)
}

/// Whether it can be had at all, the label aside.
///
/// # Errors
/// The field that is wrong.
pub fn check(wanted: &Wanted, now: DateTime<Utc>) -> Result<(), CredentialError> {
    if wanted.username.as_deref().is_some_and(|name| !is_basic_username(name)) {
        return Err(CredentialError::field("username", BASIC_USERNAME));
    }
    if wanted.expires.is_some_and(|at| at <= now) {
        return Err(CredentialError::field("expires", "lies in the past"));
    }
    let Some(chosen) = &wanted.password else { return Ok(()) };
    if wanted.client {
        return Err(CredentialError::field("password", "of an OAuth client is made, not chosen"));
    }
    if wanted.username.is_none() {
        return Err(CredentialError::field("password", "needs a user name"));
    }
    if !may_be_chosen(chosen) {
        return Err(CredentialError::field("password", CHOSEN));
    }
    Ok(())
}

/// The secret of a new credential, and what the store keeps of it.
enum Kept {
    Made(NewToken),
    Chosen(String),
}

impl Kept {
    async fn of(password: Option<&Secret>) -> Result<Self, CredentialError> {
        let Some(chosen) = password.cloned() else { return Ok(Self::Made(NewToken::generate())) };
        let hashed = tokio::task::spawn_blocking(move || password::hash(&chosen)).await;
        Ok(Self::Chosen(hashed.map_err(|_| CredentialError::field("password", "could not be hashed"))??))
    }

    fn proof(&self, client: bool) -> Proof<'_> {
        match self {
            Self::Made(new) if client => Proof::Client(new.hash()),
            Self::Made(new) => Proof::Secret(new.hash()),
            Self::Chosen(hash) => Proof::Password(hash),
        }
    }

    fn secret(self) -> Option<NewToken> {
        match self {
            Self::Made(new) => Some(new),
            Self::Chosen(_) => None,
        }
    }
}

/// Makes a credential.
///
/// # Errors
/// [`CredentialError`].
pub async fn make(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    wanted: &Wanted,
    origin: Origin<'_>,
) -> Result<Made, CredentialError> {
    let label = checked_label(&wanted.label)?;
    check(wanted, origin.at)?;
    let id = Uuid::now_v7();
    let client_id = (wanted.client && wanted.username.is_none()).then(|| id.to_string());
    let kept = Kept::of(wanted.password.as_ref()).await?;
    let new = NewCredential {
        label,
        proof: kept.proof(wanted.client),
        username: wanted.username.as_deref().or(client_id.as_deref()),
        me: wanted.me,
        scope: wanted.scope,
        users_only: wanted.users_only,
        expires: wanted.expires,
    };
    let token = token::create(conn, tenant_id, id, new, origin).await?;
    Ok(Made { token, secret: kept.secret() })
}

/// Makes a credential that takes the place of a living one; the old one is accepted until then.
///
/// # Errors
/// [`CredentialError`].
pub async fn rotate(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id_or_label: &str,
    password: Option<&Secret>,
    (expires, until): (Option<DateTime<Utc>>, DateTime<Utc>),
    origin: Origin<'_>,
) -> Result<Made, CredentialError> {
    let old = token::find(&mut *conn, tenant_id, id_or_label).await?;
    match (old.kind, password) {
        (Kind::Password, None) => return Err(CredentialError::field("password", "is chosen, so a new one is needed")),
        (Kind::Secret | Kind::Client, Some(_)) => {
            return Err(CredentialError::field("password", "is made for this credential, not chosen"));
        }
        (Kind::Password, Some(chosen)) if !may_be_chosen(chosen) => {
            return Err(CredentialError::field("password", CHOSEN));
        }
        _ => {}
    }
    let kept = Kept::of(password).await?;
    let successor = Successor { id: Uuid::now_v7(), proof: kept.proof(old.kind == Kind::Client), expires, until };
    let token = token::rotate(conn, tenant_id, id_or_label, successor, origin).await?;
    Ok(Made { token, secret: kept.secret() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_label_is_short_and_printable() {
        assert_eq!(checked_label(" okta ").unwrap(), "okta");
        for label in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert!(checked_label(label).is_err(), "{label:?}");
        }
    }

    #[test]
    fn what_cannot_be_had_names_its_field() {
        let now = DateTime::UNIX_EPOCH;
        let password = |text: &str| Some(Secret::new(text));
        let name = || Some("agent".to_owned());
        for (wanted, field) in [
            (Wanted { username: Some("a:b".into()), ..Wanted::default() }, "username"),
            (Wanted { expires: Some(now), ..Wanted::default() }, "expires"),
            (Wanted { password: password("long enough to do"), ..Wanted::default() }, "password"),
            (Wanted { password: password("short"), username: name(), ..Wanted::default() }, "password"),
            (
                Wanted { password: password("long enough to do"), username: name(), client: true, ..Wanted::default() },
                "password",
            ),
        ] {
            let error = check(&wanted, now).unwrap_err();
            assert!(matches!(error, CredentialError::Field { field: named, .. } if named == field), "{error}");
        }
    }
}
