//! `/tenants/{slug}/tokens`: the credentials of the identity provider. The only place of the API that ever shows one, once.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::admin_tokens::checked_expiry;
use crate::admin::answer::{Outcome, made, ok, page};
use crate::admin::call::{Call, is_storable, place};
use crate::admin::refusal::{Refusal, sentence};
use crate::login::credential::{self, CredentialError, Made, Wanted, checked_label};
use crate::secret::Secret;
use crate::store::tenant::Tenant;
use crate::store::token::{self, Scope, Token};

/// How long a credential that is replaced is still accepted, where nobody says.
const OVERLAP: TimeDelta = TimeDelta::hours(24);

/// What somebody wants a credential to be.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenRequest {
    label: String,
    #[serde(default)]
    expires: Option<DateTime<Utc>>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Secret>,
    #[serde(default)]
    client: bool,
    #[serde(default)]
    me: Option<String>,
    #[serde(default)]
    scope: Scope,
    #[serde(default)]
    users_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default)]
    expires: Option<DateTime<Utc>>,
    #[serde(default)]
    until: Option<DateTime<Utc>>,
    #[serde(default)]
    password: Option<Secret>,
}

impl From<CredentialError> for Refusal {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Field { field, what } => Self::value(field, format!("{field}: {what}.")),
            CredentialError::Token(error) => error.into(),
            CredentialError::Hash(error) => {
                tracing::error!(error = %sentence(&error), "a password could not be hashed");
                Self::internal()
            }
        }
    }
}

impl TokenRequest {
    /// The same, as far as it can be checked before there is a tenant; `at` goes before the fields' names.
    pub(super) fn checked(self, at: &str, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let below = |refusal: Refusal| {
            let field = refusal.field.clone().unwrap_or_default();
            refusal.at(format!("{at}{field}"))
        };
        checked_label(&self.label).map_err(|error| below(error.into()))?;
        checked_expiry(self.expires, now).map_err(below)?;
        let (username, password) = (self.username.clone(), self.password.clone());
        let wanted = Wanted { username, password, client: self.client, ..Wanted::default() };
        credential::check(&wanted, now).map_err(|error| below(error.into()))?;
        Ok(self)
    }

    /// The same, of a tenant that has no users yet.
    pub(super) fn of_nobody(self, at: &str) -> Result<Self, Refusal> {
        match self.me {
            Some(_) => Err(Refusal::value(format!("{at}me"), "A tenant that is being made has no users yet.")),
            None => Ok(self),
        }
    }
}

fn described(token: &Token, now: DateTime<Utc>) -> Value {
    let mut value = json!(token);
    let state = match (token.revoked, token.expires) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at <= now => "expired",
        (None, _) => "live",
    };
    value["state"] = json!(state);
    value
}

fn shown(new: &Made, now: DateTime<Utc>) -> Value {
    let secret = new.secret.as_ref().map(|secret| secret.reveal());
    json!({ "token": described(&new.token, now), "secret": secret })
}

/// Makes a credential; its text is in the answer and nowhere else.
pub(super) async fn make(
    call: &Call,
    conn: &mut PgConnection,
    tenant: &Tenant,
    wanted: TokenRequest,
    me: Option<Uuid>,
) -> Result<Value, Refusal> {
    let wanted = Wanted {
        label: wanted.label,
        username: wanted.username,
        password: wanted.password,
        client: wanted.client,
        me,
        scope: wanted.scope,
        users_only: wanted.users_only,
        expires: wanted.expires,
    };
    Ok(shown(&credential::make(conn, tenant.id, &wanted, call.origin()).await?, call.now))
}

pub(crate) async fn list(call: &Call) -> Outcome {
    let (after, limit) = (call.cursor::<Uuid>()?, call.limit()?);
    let tenant = call.tenant().await?;
    let all = token::list(call.state.store.pool(), tenant.id).await?;
    let begin = after.map_or(0, |after| all.iter().position(|token| token.id == after).map_or(all.len(), |at| at + 1));
    let limit = usize::try_from(limit).unwrap_or(1);
    let shown: Vec<&Token> = all.iter().skip(begin).take(limit).collect();
    let more = all.len() > begin + shown.len();
    let next = shown.last().filter(|_| more).and_then(|last| place(&last.id));
    let items: Vec<Value> = shown.into_iter().map(|token| described(token, call.now)).collect();
    page(&items, next)
}

pub(crate) async fn create(call: &Call) -> Outcome {
    let wanted = call.body::<TokenRequest>()?.checked("", call.now)?;
    let tenant = call.tenant().await?;
    let me = match &wanted.me {
        Some(name) => Some(call.user(&tenant, "me", name).await?),
        None => None,
    };
    let mut conn = call.conn().await?;
    made(&make(call, &mut conn, &tenant, wanted, me).await?)
}

pub(crate) async fn rotate(call: &Call) -> Outcome {
    let Rotation { expires, until, password } = call.body()?;
    let (id, tenant) = (call.id()?.to_string(), call.tenant().await?);
    let expires = checked_expiry(expires, call.now)?;
    let until = until.unwrap_or(call.now + OVERLAP);
    if until < call.now || !is_storable(until) {
        return Err(Refusal::value("until", "until must not lie in the past."));
    }
    let mut conn = call.conn().await?;
    let rotated =
        credential::rotate(&mut conn, tenant.id, &id, password.as_ref(), (expires, until), call.origin()).await?;
    made(&shown(&rotated, call.now))
}

pub(crate) async fn revoke(call: &Call) -> Outcome {
    let (id, tenant) = (call.id()?.to_string(), call.tenant().await?);
    let gone = token::revoke(call.state.store.pool(), tenant.id, &id, call.origin()).await?;
    ok(&described(&gone, call.now))
}
