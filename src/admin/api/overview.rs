//! `/overview` and `/health`: everything at a glance.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::runs;
use super::targets;
use crate::admin::answer::{Outcome, ok};
use crate::admin::call::Call;
use crate::admin::refusal::Refusal;
use crate::store::activity;
use crate::store::health::{SchemaState, schema_state};
use crate::store::outbox_view::{self, Sample};
use crate::store::overview::{Glance, glances};
use crate::store::run::{self, Run};
use crate::store::tenant::{self, Tenant};
use crate::writer;
use crate::writer::expiry;

/// Quarters of an hour in a day.
const STEPS: usize = 96;
/// Whoever waits for longer, waits for something that somebody should know of.
const LONG: f64 = 900.0;

pub(crate) async fn get(call: &Call) -> Outcome {
    let tenants = tenant::list(call.state.store.pool()).await?;
    let glances = read(call, &tenants, None).await?;
    let targets = targets::all(call).await?;
    let mut conn = call.conn().await?;
    let series = activity::last(&mut conn, call.now, STEPS).await?;
    ok(&json!({
        "version": env!("CARGO_PKG_VERSION"), "time": call.now, "tenants": glances, "targets": targets, "series": series,
    }))
}

/// One tenant at a glance.
pub(super) async fn of_tenant(call: &Call, tenant: &Tenant) -> Result<Value, Refusal> {
    let mut found = read(call, std::slice::from_ref(tenant), Some(tenant.id)).await?;
    found.pop().ok_or_else(|| Refusal::missing("no-such-tenant", "The tenant is being deleted."))
}

async fn read(call: &Call, tenants: &[Tenant], only: Option<Uuid>) -> Result<Vec<Value>, Refusal> {
    let health = call.state.writer.health().await?;
    let mut conn = call.conn().await?;
    let samples = by_tenant(outbox_view::sample(&mut conn).await?, |sample| sample.tenant_id);
    let seen = by_tenant(glances(&mut conn, only).await?, |glance| glance.tenant_id);
    let open = open_runs(&mut conn, only).await?;
    drop(conn);
    let of = |tenant: &Tenant| {
        let (sample, glance) = (samples.get(&tenant.id)?, seen.get(&tenant.id)?);
        let target = health.iter().find(|one| one.name == tenant.target);
        let runs: Vec<&Run> = open.iter().filter(|run| run.tenant_id == tenant.id).collect();
        Some(described(tenant, sample, glance, target, &runs, call.now))
    };
    Ok(tenants.iter().filter_map(of).collect())
}

fn by_tenant<T>(rows: Vec<T>, id: impl Fn(&T) -> Uuid) -> HashMap<Uuid, T> {
    rows.into_iter().map(|row| (id(&row), row)).collect()
}

async fn open_runs(conn: &mut PgConnection, only: Option<Uuid>) -> Result<Vec<Run>, Refusal> {
    Ok(run::open(conn, only).await?)
}

fn described(
    tenant: &Tenant,
    sample: &Sample,
    glance: &Glance,
    target: Option<&writer::Health>,
    runs: &[&Run],
    now: DateTime<Utc>,
) -> Value {
    let days_left = glance.token_expires.map(|at| expiry::days_left(at, now));
    let reasons = reasons(tenant, sample, glance, target, days_left);
    let state = match (reasons.is_empty(), sample.depth) {
        (false, _) => "attention",
        (true, 0) => "ok",
        (true, _) => "waiting",
    };
    let runs: Vec<Value> = runs.iter().map(|run| runs::described(run, &tenant.slug)).collect();
    json!({
        "slug": tenant.slug, "target": tenant.target, "mode": tenant.mode, "declared": tenant.declared,
        "state": state, "reasons": reasons, "last_contact": glance.last_contact,
        "queue": { "depth": sample.depth, "oldest_seconds": sample.oldest_seconds.max(0.0) },
        "refused": sample.refused, "held": sample.held, "waived": sample.waived,
        "brake": {
            "tripped": glance.tripped_at.is_some(), "at": glance.tripped_at, "reason": glance.tripped_because,
        },
        "token_expires": glance.token_expires, "token_days_left": days_left, "live_tokens": glance.live_tokens,
        "users": glance.users, "groups": glance.groups, "runs": runs,
    })
}

/// What somebody has to look after, a sentence each.
fn reasons(
    tenant: &Tenant,
    sample: &Sample,
    glance: &Glance,
    target: Option<&writer::Health>,
    days_left: Option<i64>,
) -> Vec<String> {
    let mut reasons = Vec::new();
    match target {
        None => reasons.push(format!("Its target {} is not configured.", tenant.target)),
        Some(health) if health.state == "paused" => {
            let why = health.last_error.clone().unwrap_or_else(|| "it does not answer".to_owned());
            reasons.push(format!("Jira ({}) is paused: {}.", tenant.target, why.trim_end_matches('.')));
        }
        Some(_) => {}
    }
    if glance.tripped_at.is_some() {
        reasons.push("The brake has tripped.".to_owned());
    }
    if sample.refused > 0 {
        reasons.push(format!("{} refused by Jira or a rule.", steps(sample.refused)));
    }
    if sample.held > 0 && glance.tripped_at.is_none() {
        reasons.push(format!("{} held.", steps(sample.held)));
    }
    if sample.oldest_seconds > LONG {
        reasons.push(format!("Work has waited for {} minutes.", (sample.oldest_seconds / 60.0).floor()));
    }
    match days_left {
        Some(days) if days <= 30 && glance.live_tokens <= 1 => {
            reasons.push(format!("Its credential ends in {days} days."));
        }
        _ if glance.live_tokens == 0 => {
            reasons.push("It has no credential that is accepted; no identity provider can reach it.".to_owned());
        }
        _ => {}
    }
    reasons
}

fn steps(count: i64) -> String {
    if count == 1 { "1 step is".to_owned() } else { format!("{count} steps are") }
}

/// `/health`: whether a request can be accepted, and how the Jiras are.
pub(crate) async fn health(call: &Call) -> Outcome {
    let (ready, detail) = match schema_state(call.state.store.pool()).await {
        Ok(SchemaState::Current) => (true, None),
        Ok(SchemaState::Behind) => (false, Some("Migrations are missing.".to_owned())),
        Ok(SchemaState::Newer) => (false, Some("The schema is newer than this program.".to_owned())),
        Err(_) => (false, Some("The database is not available.".to_owned())),
    };
    let mut components = vec![json!({ "name": "database", "ok": ready, "detail": detail })];
    if ready {
        components.extend(call.state.writer.health().await?.into_iter().map(|target| {
            let name = format!("target {}", target.name);
            json!({ "name": name, "ok": target.state != "paused", "detail": target.last_error })
        }));
    }
    ok(&json!({ "ready": ready, "components": components }))
}
