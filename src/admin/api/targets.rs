//! `/targets`: the Jiras of the configuration, how they are, and when their credentials end.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::admin::answer::{Outcome, ok, page};
use crate::admin::call::{Call, place, shown};
use crate::admin::refusal::{Refusal, sentence};
use crate::config::TargetConfig;
use crate::jira::Level;
use crate::store::by_hand;
use crate::store::tenant;
use crate::writer::{self, expiry};

/// All of them, by name.
pub(super) async fn all(call: &Call) -> Result<Vec<Value>, Refusal> {
    let health = call.state.writer.health().await?;
    let tenants = tenant::list(call.state.store.pool()).await?;
    let mut targets: Vec<&TargetConfig> = call.state.config.targets.iter().collect();
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    let slugs = |name: &str| {
        let of = tenants.iter().filter(|tenant| tenant.target == name);
        of.map(|tenant| tenant.slug.clone()).collect::<Vec<_>>()
    };
    Ok(targets
        .into_iter()
        .map(|target| {
            let known = health.iter().find(|one| one.name == target.name);
            described(target, known, &slugs(&target.name), call.now)
        })
        .collect())
}

fn described(target: &TargetConfig, health: Option<&writer::Health>, tenants: &[String], now: DateTime<Utc>) -> Value {
    let credentials: Vec<Value> = target
        .expiries()
        .map(|(what, at)| {
            json!({
                "what": what, "expires": at, "days_left": expiry::days_left(at, now), "near": expiry::is_near(at, now),
            })
        })
        .collect();
    json!({
        "name": target.name, "kind": target.kind.as_str(), "url": target.url, "credentials": credentials,
        "tenants": tenants,
        "health": {
            "state": health.map_or("unknown", |health| health.state),
            "pause_kind": health.and_then(|health| health.pause_kind.clone()),
            "last_error": health.and_then(|health| health.last_error.clone()),
            "paused_until": health.and_then(|health| health.paused_until),
            "last_success": health.and_then(|health| health.last_success),
            "version": health.and_then(|health| health.version.clone()),
        },
    })
}

pub(crate) async fn list(call: &Call) -> Outcome {
    let (after, limit) = (call.cursor::<String>()?.unwrap_or_default(), call.limit()?);
    let limit = usize::try_from(limit).unwrap_or(1);
    let name = |target: &Value| target["name"].as_str().unwrap_or_default().to_owned();
    let behind: Vec<Value> = all(call).await?.into_iter().filter(|target| name(target) > after).collect();
    let next = behind.get(limit).and_then(|_| place(&name(&behind[limit - 1])));
    page(&behind[..behind.len().min(limit)], next)
}

/// The name in the path, which is one.
fn known(call: &Call) -> Result<&TargetConfig, Refusal> {
    let name = call.param("name");
    let missing = || Refusal::missing("no-such-target", format!("There is no target {}.", shown(name)));
    call.state.config.target(name).ok_or_else(missing)
}

pub(crate) async fn get(call: &Call) -> Outcome {
    let target = known(call)?;
    let found = all(call).await?.into_iter().find(|one| one["name"] == target.name.as_str());
    ok(&found.ok_or_else(Refusal::internal)?)
}

pub(crate) async fn test(call: &Call) -> Outcome {
    let target = known(call)?;
    let missing = || Refusal::missing("no-such-target", "This process does not work with that target.");
    let examined = call.state.writer.examine(&target.name).await.ok_or_else(missing)?;
    let (facts, findings, error) = match examined {
        Ok(examination) => (examination.facts, examination.findings, None),
        Err(error) => (Vec::new(), Vec::new(), Some(sentence(&error))),
    };
    let ill = findings.iter().any(|finding| finding.level == Level::Problem);
    let facts: Vec<Value> = facts.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    ok(&json!({ "ok": error.is_none() && !ill, "error": error, "facts": facts, "findings": findings }))
}

pub(crate) async fn resume(call: &Call) -> Outcome {
    let target = known(call)?;
    let mut conn = call.conn().await?;
    let was = by_hand::end_pause(&mut conn, &target.name, call.request_id, &call.actor).await?;
    drop(conn);
    call.state.writer.wake(&target.name);
    ok(&json!({ "was": was }))
}
