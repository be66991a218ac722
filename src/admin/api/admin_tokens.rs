//! `/admin-tokens`: who may use this API.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::admin::answer::{Outcome, made, ok, page};
use crate::admin::call::{Call, is_storable, place};
use crate::admin::refusal::Refusal;
use crate::store::admin_token::{self, AdminToken, NewAdmin, NewAdminToken, Role};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    label: String,
    role: Role,
    #[serde(default)]
    expires: Option<DateTime<Utc>>,
}

fn described(token: &AdminToken, now: DateTime<Utc>) -> Value {
    let mut value = json!(token);
    value["state"] = json!(token.state(now));
    value
}

/// An expiry that lies ahead.
pub(super) fn checked_expiry(
    expires: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, Refusal> {
    match expires {
        Some(at) if at <= now || !is_storable(at) => Err(Refusal::value("expires", "expires must be a time ahead.")),
        expires => Ok(expires),
    }
}

pub(crate) async fn list(call: &Call) -> Outcome {
    let (after, limit) = (call.cursor::<Uuid>()?.unwrap_or_default(), call.limit()?);
    let tokens = admin_token::list(call.state.store.pool(), after, limit).await?;
    let next = tokens.last().filter(|_| tokens.len() as i64 == limit).and_then(|last| place(&last.id));
    let items: Vec<Value> = tokens.iter().map(|token| described(token, call.now)).collect();
    page(&items, next)
}

pub(crate) async fn create(call: &Call) -> Outcome {
    let Wanted { label, role, expires } = call.body()?;
    let label =
        admin_token::checked_label(&label).map_err(|what| Refusal::value("label", format!("label: {what}.")))?;
    let expires = checked_expiry(expires, call.now)?;
    let new = NewAdminToken::generate();
    let wanted = NewAdmin { label, role, hash: &new.hash(), expires };
    let token = admin_token::create(call.state.store.pool(), wanted, false, call.origin()).await?;
    made(&json!({ "token": described(&token, call.now), "secret": new.reveal() }))
}

pub(crate) async fn revoke(call: &Call) -> Outcome {
    let id = call.id()?.to_string();
    let mut conn = call.conn().await?;
    let token = admin_token::revoke(&mut conn, &id, call.origin()).await?;
    ok(&described(&token, call.now))
}
