//! `/sources/{name}/…`: a look at a source, what a read would change, a read now, and what the last ones came to.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::admin::answer::{Outcome, accepted, ok, page};
use crate::admin::call::{Call, checked_name, place};
use crate::admin::jobs;
use crate::admin::refusal::{Refusal, sentence};
use crate::store::run::{self, Kind, Run};
use crate::store::tenant::Tenant;
use crate::sync::counters::counters_of;
use crate::sync::look::look;
use crate::sync::run::{Asked, Configured};
use crate::sync::{Line, Sync, SyncError};

use super::runs::described;
use super::sources::{known, sync};

/// The most lines of a plan that are told.
const LINES: usize = 1000;
/// How long an answer waits for a read of one person, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);
/// What a history may hold.
const KINDS: [(&str, Kind); 2] = [("sync", Kind::Sync), ("sync_plan", Kind::SyncPlan)];

/// The source in the path, ready to be read.
async fn readable(call: &Call) -> Result<Arc<Configured>, Refusal> {
    let one = known(call).await?;
    let broken = |why: &str| Refusal::conflict("source-broken", format!("This source cannot be read: {why}."));
    one.configured().cloned().map_err(broken)
}

impl From<SyncError> for Refusal {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Store(error) => error.into(),
            error => Self::conflict("source-refused", sentence(&error)),
        }
    }
}

pub(crate) async fn test(call: &Call) -> Outcome {
    let configured = readable(call).await?;
    let tenant = configured.config.tenant.clone();
    let work = move |_| async move {
        // That it does not work is what was asked for.
        let (seen, error) = match look(&configured).await {
            Ok(seen) => (seen, None),
            Err(error) => (Default::default(), Some(sentence(&error))),
        };
        let mut result = json!(seen);
        result["address"] = json!(configured.source.address());
        result["ok"] = json!(error.is_none());
        result["error"] = json!(error);
        Ok(result)
    };
    jobs::run(call, "source-test", &tenant, work).await
}

pub(crate) async fn plan(call: &Call) -> Outcome {
    let full = call.flag("full")?;
    let configured = readable(call).await?;
    let sync = Arc::clone(sync(call)?);
    let tenant = sync.may_feed(&configured).await?;
    let id = asked(call, &sync, &tenant, Kind::SyncPlan, &Asked { full, ..Asked::default() }).await?;
    let (store, slug) = (call.state.store.clone(), tenant.slug.clone());
    let work = move |progress: jobs::Progress| async move {
        let (mut lines, mut more) = (Vec::new(), 0_u64);
        let mut line = |line: Line| {
            if lines.len() < LINES {
                lines.push(line)
            } else {
                more += 1
            }
            progress.told(lines.len() as u64 + more);
        };
        let worked = sync.work(&configured, tenant.id, id, &mut line).await?;
        let mut conn = store.pool().acquire().await?;
        let run = run::get(&mut conn, tenant.id, id).await?;
        let run = run.filter(|_| worked.is_some()).ok_or_else(open_already)?;
        let counters = counters_of(&run);
        Ok(json!({
            "lines": lines, "more": more, "wanted": counters.wanted(), "counters": counters, "error": run.error,
        }))
    };
    jobs::run(call, "source-plan", &slug, work).await
}

fn open_already() -> Refusal {
    Refusal::conflict("run-open", "Such a run of this source is open already; wait for it, or stop it.")
}

async fn asked(call: &Call, sync: &Sync, tenant: &Tenant, kind: Kind, asked: &Asked) -> Result<Uuid, Refusal> {
    let id = sync.ask(tenant.id, kind, asked, call.origin()).await?;
    id.ok_or_else(open_already)
}

pub(crate) async fn run(call: &Call) -> Outcome {
    let user = match call.text("user")? {
        Some(name) => Some(checked_name("user", name)?.trim().to_owned()),
        None => None,
    };
    let full = call.flag("full")?;
    let configured = readable(call).await?;
    let sync = sync(call)?;
    let tenant = sync.claim(&configured).await?;
    let waits = user.is_some();
    let id = asked(call, sync, &tenant, Kind::Sync, &Asked { user, full }).await?;
    sync.ring();
    let mut run = found(call, &tenant, id).await?;
    // Somebody is at a login page.
    let until = tokio::time::Instant::now() + PATIENCE;
    while waits && run.state.is_open() && tokio::time::Instant::now() < until {
        tokio::time::sleep(LOOK).await;
        run = found(call, &tenant, id).await?;
    }
    let answer = described(&run, &tenant.slug);
    if run.state.is_open() { accepted(&answer) } else { ok(&answer) }
}

async fn found(call: &Call, tenant: &Tenant, id: Uuid) -> Result<Run, Refusal> {
    let mut conn = call.conn().await?;
    let run = run::get(&mut conn, tenant.id, id).await?;
    run.ok_or_else(|| Refusal::missing("no-such-run", "The tenant has no such run, or none any more."))
}

pub(crate) async fn history(call: &Call) -> Outcome {
    let (after, limit) = (call.cursor::<(DateTime<Utc>, Uuid)>()?, call.limit()?);
    let kind = call.word("kind", &KINDS)?.unwrap_or(Kind::Sync);
    let one = known(call).await?;
    let Some(tenant) = crate::store::tenant::get(call.state.store.pool(), one.tenant()).await? else {
        return page::<Value>(&[], None);
    };
    let mut conn = call.conn().await?;
    let runs = run::list(&mut conn, tenant.id, Some(kind), after, limit).await?;
    let next = runs.last().filter(|_| runs.len() as i64 == limit).and_then(|run| place(&(run.requested, run.id)));
    let items: Vec<Value> = runs.iter().map(|run| described(run, &tenant.slug)).collect();
    page(&items, next)
}
