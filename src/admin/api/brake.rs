//! `/tenants/{slug}/brake`: what the brake holds, and what is done about it.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use crate::admin::answer::{Outcome, ok, page};
use crate::admin::call::{Call, place};
use crate::admin::jobs;
use crate::admin::refusal::Refusal;
use crate::policy::Policy;
use crate::store::brake::{self, BrakeClass, Decision, HeldAfter, HeldFilter};
use crate::store::tenant::Origin;
use crate::writer::brake::{decide_by_hand, limit};

/// The limits by their names.
const CLASSES: [(&str, BrakeClass); 2] = [("accounts", BrakeClass::Accounts), ("memberships", BrakeClass::Memberships)];
/// Pages without anything that are read until an answer says to go on.
const EMPTY: usize = 8;

/// A part of what is held.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    class: Option<BrakeClass>,
}

pub(crate) async fn get(call: &Call) -> Outcome {
    let tenant = call.tenant().await?;
    let policy = Policy::from_value(&tenant.policy).map_err(|problems| {
        Refusal::conflict("policy-not-understood", format!("The policy is not understood: {}", problems.join(" ")))
    })?;
    let rules = &policy.brake;
    let mut conn = call.conn().await?;
    let (trip, levels) = brake::look(&mut conn, tenant.id, rules.window.duration()).await?;
    let count = brake::count_held(&mut conn, tenant.id).await?;
    let of = |class, held: i64| json!({ "let_through": levels.of(class), "limit": limit(rules, &levels, class), "held": held });
    ok(&json!({
        "enabled": rules.enabled, "tripped": trip, "window": rules.window, "people": levels.people,
        "accounts": of(BrakeClass::Accounts, count.accounts),
        "memberships": of(BrakeClass::Memberships, count.memberships),
    }))
}

pub(crate) async fn held(call: &Call) -> Outcome {
    let (behind, limit) = (call.cursor::<HeldAfter>()?, call.limit()?);
    let class = call.word("class", &CLASSES)?;
    let tenant = call.tenant().await?;
    let filter = HeldFilter { user: call.user_in_query(&tenant).await?, class, by: None };
    let mut conn = call.conn().await?;
    let (mut all, mut after) = (Vec::new(), Some(behind.unwrap_or_default()));
    for _ in 0..EMPTY {
        let Some(cursor) = after.take() else { break };
        let room = limit - all.len() as i64;
        let (found, next) = brake::held(&mut conn, tenant.id, filter, &cursor, room).await?;
        all.extend(found);
        after = next;
        if all.len() as i64 >= limit {
            break;
        }
    }
    page(&all, after.and_then(|after| place(&after)))
}

pub(crate) async fn release(call: &Call) -> Outcome {
    decide(call, "brake-release", Decision::Pass).await
}

pub(crate) async fn drop(call: &Call) -> Outcome {
    decide(call, "brake-drop", Decision::Drop).await
}

async fn decide(call: &Call, what: &'static str, decision: Decision) -> Outcome {
    let Part { user, class } = call.body()?;
    let tenant = call.tenant().await?;
    let user = match &user {
        Some(name) => Some(call.user(&tenant, "user", name).await?),
        None => None,
    };
    let filter = HeldFilter { user, class, by: None };
    let (state, actor, request_id, at) = (Arc::clone(&call.state), call.actor.clone(), call.request_id, call.now);
    let slug = tenant.slug.clone();
    jobs::run(call, what, &slug, |progress| async move {
        let origin = Origin { actor: &actor, request_id, at };
        let mut told = |steps| progress.told(steps);
        let done = decide_by_hand(&state.store, &tenant, origin, decision, filter, &mut told).await?;
        state.writer.wake(&tenant.target);
        Ok(json!({ "steps": done.steps, "reset": done.reset }))
    })
    .await
}
