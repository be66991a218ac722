//! `/tenants/{slug}/drift` and `/unmatched`: what Jira has that is not what was written there, and accounts that nobody claims.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::tenants::confirmed;
use crate::admin::answer::{Outcome, page};
use crate::admin::call::{Call, place};
use crate::admin::jobs;
use crate::admin::refusal::{Refusal, sentence};
use crate::policy::Policy;
use crate::store::drift;
use crate::store::tenant::{Origin, Tenant};
use crate::writer::unmatched::{Act, UnmatchedError};

/// Accounts that are told one by one.
const TOLD: usize = 1000;

pub(crate) async fn list(call: &Call) -> Outcome {
    let after = call.cursor::<(String, String, String)>()?.unwrap_or_default();
    let (limit, tenant) = (call.limit()?, call.tenant().await?);
    let mut conn = call.conn().await?;
    let found = drift::list(&mut conn, tenant.id, (&after.0, &after.1, &after.2), limit).await?;
    let next = found.last().filter(|_| found.len() as i64 == limit);
    let next = next.and_then(|last| place(&(&last.kind, &last.subject, &last.field)));
    page(&found, next)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SwitchOff {
    confirm: String,
    #[serde(default)]
    limit: Option<u32>,
}

pub(crate) async fn unmatched(call: &Call) -> Outcome {
    let tenant = call.tenant().await?;
    compare(call, tenant, "unmatched", Act::Report).await
}

pub(crate) async fn switch_off(call: &Call) -> Outcome {
    let SwitchOff { confirm, limit } = call.body()?;
    let tenant = call.tenant().await?;
    confirmed(&tenant, &confirm)?;
    let policy = Policy::from_value(&tenant.policy).unwrap_or_default();
    let limit = limit.unwrap_or(policy.unmatched_accounts.limit);
    compare(call, tenant, "switch-off", Act::SwitchOff { limit, seen_for: Duration::ZERO }).await
}

async fn compare(call: &Call, tenant: Tenant, what: &'static str, act: Act) -> Outcome {
    let (state, actor, request_id, at) = (Arc::clone(&call.state), call.actor.clone(), call.request_id, call.now);
    let slug = tenant.slug.clone();
    jobs::run(call, what, &slug, |_| async move {
        let origin = Origin { actor: &actor, request_id, at };
        let compared = state.writer.compare(&tenant, act, origin).await?;
        let strays: Vec<Value> = compared
            .strays
            .iter()
            .take(TOLD)
            .map(|stray| {
                json!({
                    "id": stray.id, "username": stray.username, "email": stray.email,
                    "display_name": stray.display_name, "outcome": stray.outcome,
                })
            })
            .collect();
        Ok(json!({
            "active": compared.active, "total": compared.strays.len(), "strays": strays,
            "withheld": compared.withheld,
        }))
    })
    .await
}

impl From<UnmatchedError> for Refusal {
    fn from(error: UnmatchedError) -> Self {
        let message = sentence(&error);
        match error {
            UnmatchedError::NoTarget(_) => Self::conflict("target-not-configured", message),
            UnmatchedError::NotYet(_) => Self::conflict("not-yet", message),
            UnmatchedError::Policy => Self::conflict("policy-not-understood", message),
            UnmatchedError::Target(_) => Self::unavailable("target-unavailable", message),
            UnmatchedError::Store(error) => error.into(),
        }
    }
}
