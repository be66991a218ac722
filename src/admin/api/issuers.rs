//! `/tenants/{slug}/issuers`: who else may vouch for the identity provider, with JWTs of his own.

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::admin::answer::{Answer, Outcome, made, page};
use crate::admin::call::{Call, place};
use crate::admin::refusal::{Refusal, sentence};
use crate::login::{issuer, jwt};
use crate::store::jwt_issuer::{self, Issuer, IssuerError, NewIssuer};
use crate::store::token::Scope;

/// How far a clock may be off where nobody says.
const SKEW: i32 = 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    label: String,
    issuer: String,
    audience: String,
    #[serde(default)]
    jwks_url: Option<String>,
    #[serde(default)]
    jwks: Option<Map<String, Value>>,
    #[serde(default)]
    algorithms: Vec<String>,
    #[serde(default)]
    skew_seconds: Option<i32>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    granted: Option<String>,
    #[serde(default)]
    scope: Scope,
    #[serde(default)]
    users_only: bool,
}

pub(crate) async fn list(call: &Call) -> Outcome {
    let (after, limit) = (call.cursor::<Uuid>()?, call.limit()?);
    let tenant = call.tenant().await?;
    let all = jwt_issuer::list(call.state.store.pool(), tenant.id).await?;
    let begin = after.map_or(0, |after| all.iter().position(|one| one.id == after).map_or(all.len(), |at| at + 1));
    let limit = usize::try_from(limit).unwrap_or(1);
    let shown: Vec<&Issuer> = all.iter().skip(begin).take(limit).collect();
    let more = all.len() > begin + shown.len();
    let next = shown.last().filter(|_| more).and_then(|last| place(&last.id));
    page(&shown, next)
}

pub(crate) async fn create(call: &Call) -> Outcome {
    let wanted: Wanted = call.body()?;
    let every = || jwt::ALGORITHMS.iter().map(ToString::to_string).collect();
    let new = NewIssuer {
        label: wanted.label.trim().to_owned(),
        issuer: wanted.issuer,
        jwks_url: wanted.jwks_url,
        jwks: wanted.jwks.map(Value::Object),
        audience: wanted.audience,
        algorithms: if wanted.algorithms.is_empty() { every() } else { wanted.algorithms },
        skew_seconds: wanted.skew_seconds.unwrap_or(SKEW),
        subject: wanted.subject,
        granted: wanted.granted,
        scope: wanted.scope,
        users_only: wanted.users_only,
    };
    issuer::check(&new).map_err(|(field, what)| {
        // The configuration's names are not those of the body.
        let field = match field {
            "jwks_file" => "jwks",
            "clock_skew" => "skew_seconds",
            "required_scope" => "granted",
            other => other,
        };
        Refusal::value(field, format!("{field} {}.", what.replace("jwks_file", "jwks")))
    })?;
    let tenant = call.tenant().await?;
    made(&jwt_issuer::create(call.state.store.pool(), tenant.id, Uuid::now_v7(), &new, call.origin()).await?)
}

pub(crate) async fn delete(call: &Call) -> Outcome {
    let (id, tenant) = (call.id()?.to_string(), call.tenant().await?);
    let mut conn = call.conn().await?;
    jwt_issuer::delete(&mut conn, tenant.id, &id, call.origin()).await?;
    Ok(Answer::Nothing)
}

impl From<IssuerError> for Refusal {
    fn from(error: IssuerError) -> Self {
        let message = sentence(&error);
        match error {
            IssuerError::LabelTaken(_) => Self::conflict("label-taken", message).at("label"),
            IssuerError::NotFound(_) => Self::missing("no-such-issuer", message),
            IssuerError::Declared(_) => Self::conflict("declared", message),
            IssuerError::Store(error) => error.into(),
        }
    }
}
