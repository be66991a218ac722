//! `/tenants/{slug}/runs`: imports, comparisons, removals and reads of a source, with their counters as they are now.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::admin::answer::{Outcome, accepted, ok, page};
use crate::admin::call::{Call, place};
use crate::admin::refusal::Refusal;
use crate::store::run::{self, Kind, Run};
use crate::store::tenant::Tenant;
use crate::writer::import::ImportOptions;

/// The kinds by their names.
const KINDS: [(&str, Kind); 7] = [
    ("import", Kind::Import),
    ("reconcile", Kind::Reconcile),
    ("last_login", Kind::LastLogin),
    ("reset", Kind::Reset),
    ("purge", Kind::Purge),
    ("sync", Kind::Sync),
    ("sync_plan", Kind::SyncPlan),
];

/// A run as it is answered.
pub(super) fn described(run: &Run, slug: &str) -> Value {
    json!({
        "id": run.id, "tenant": slug, "kind": run.kind, "state": run.state, "options": run.options, "stage": run.stage,
        "counters": run.counters, "error": run.error, "attempts": run.attempts, "actor": run.actor,
        "requested": run.requested, "started": run.started, "finished": run.finished,
    })
}

pub(crate) async fn list(call: &Call) -> Outcome {
    let (after, limit) = (call.cursor::<(DateTime<Utc>, Uuid)>()?, call.limit()?);
    let (kind, tenant) = (call.word("kind", &KINDS)?, call.tenant().await?);
    let mut conn = call.conn().await?;
    let runs = run::list(&mut conn, tenant.id, kind, after, limit).await?;
    let next = runs.last().filter(|_| runs.len() as i64 == limit).and_then(|run| place(&(run.requested, run.id)));
    let items: Vec<Value> = runs.iter().map(|run| described(run, &tenant.slug)).collect();
    page(&items, next)
}

async fn found(call: &Call, tenant: &Tenant, id: Uuid) -> Result<Run, Refusal> {
    let mut conn = call.conn().await?;
    let run = run::get(&mut conn, tenant.id, id).await?;
    run.ok_or_else(|| Refusal::missing("no-such-run", "The tenant has no such run, or none any more."))
}

pub(crate) async fn get(call: &Call) -> Outcome {
    let (id, tenant) = (call.id()?, call.tenant().await?);
    ok(&described(&found(call, &tenant, id).await?, &tenant.slug))
}

pub(crate) async fn stop(call: &Call) -> Outcome {
    let (id, tenant) = (call.id()?, call.tenant().await?);
    let run = found(call, &tenant, id).await?;
    let over = || Refusal::conflict("run-over", "This run is over already.");
    if !run.state.is_open() {
        return Err(over());
    }
    let mut conn = call.conn().await?;
    let stopped = run::stop(&mut conn, tenant.id, run.kind, call.origin()).await?;
    drop(conn);
    // A tenant has one open run of a kind: another one is open only where this one ended a moment ago.
    if stopped != Some(id) {
        return Err(over());
    }
    ok(&described(&found(call, &tenant, id).await?, &tenant.slug))
}

/// Asks for a run, which the daemon takes up.
pub(super) async fn ask(call: &Call, tenant: &Tenant, kind: Kind, options: &Value) -> Outcome {
    let mut conn = call.conn().await?;
    let asked = run::request(&mut conn, tenant.id, kind, options, call.origin()).await?;
    drop(conn);
    let Some(id) = asked else {
        let message = format!("A run of the kind {kind} is open already; wait for it, or stop it.");
        return Err(Refusal::conflict("run-open", message));
    };
    call.state.writer.wake(&tenant.target);
    accepted(&described(&found(call, tenant, id).await?, &tenant.slug))
}

pub(crate) async fn import(call: &Call) -> Outcome {
    let past_the_brake = call.flag("past_the_brake")?;
    let options = if past_the_brake { json!(ImportOptions { past_the_brake }) } else { json!({}) };
    ask(call, &call.tenant().await?, Kind::Import, &options).await
}

pub(crate) async fn reconcile(call: &Call) -> Outcome {
    ask(call, &call.tenant().await?, Kind::Reconcile, &json!({})).await
}

pub(crate) async fn last_login(call: &Call) -> Outcome {
    ask(call, &call.tenant().await?, Kind::LastLogin, &json!({})).await
}
