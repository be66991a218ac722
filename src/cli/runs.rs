//! What commands that are runs have in common: asking for one, working on it or waiting for whoever does, and telling how far
//! it is.

use std::io::IsTerminal;
use std::time::Duration;

use serde_json::Value;

use super::Failure;
use super::desk::Desk;
use crate::app;
use crate::lifecycle::Lifecycle;
use crate::store::run::{self, Kind, Run};
use crate::store::tenant::{self, Tenant};
use crate::telemetry::{Chain, Metrics};
use uuid::Uuid;

/// How often a run is looked at.
const AGAIN: Duration = Duration::from_millis(500);

/// The tenant of that name.
pub(super) async fn tenant(desk: &Desk, slug: &str) -> Result<Tenant, Failure> {
    let found = tenant::get(desk.store.pool(), slug).await?;
    found.ok_or_else(|| format!("there is no tenant {slug}").into())
}

/// Asks for a run of that kind, or joins the one that is open.
pub(super) async fn asked(desk: &Desk, tenant: &Tenant, kind: Kind, options: &Value) -> Result<Uuid, Failure> {
    let mut conn = desk.store.pool().acquire().await?;
    if let Some(id) = run::request(&mut conn, tenant.id, kind, options, desk.origin()).await? {
        return Ok(id);
    }
    match run::last(&mut conn, tenant.id, kind).await? {
        Some(run) if run.state.is_open() && run.options != *options => {
            Err(format!("tenant {}: a {kind} with other options is open already", tenant.slug).into())
        }
        Some(run) => {
            // Whoever asks for it does not want to wait for the time of its next try.
            run::hurry(&mut conn, tenant.id, run.id).await?;
            Ok(run.id)
        }
        None => Err(format!("tenant {}: the {kind} is over", tenant.slug).into()),
    }
}

/// The last run of that kind; with `stop`, it is stopped first.
pub(super) async fn last(desk: &Desk, tenant: &Tenant, kind: Kind, stop: bool) -> Result<Run, Failure> {
    let mut conn = desk.store.pool().acquire().await?;
    if stop && run::stop(&mut conn, tenant.id, kind, desk.origin()).await?.is_none() {
        return Err(format!("no {kind} of tenant {} is under way", tenant.slug).into());
    }
    let last = run::last(&mut conn, tenant.id, kind).await?;
    last.ok_or_else(|| format!("there was no {kind} of tenant {} yet", tenant.slug).into())
}

/// A run of that kind without options, to its end.
pub(super) async fn done(desk: &Desk, tenant: &Tenant, kind: Kind) -> Result<Run, Failure> {
    let id = asked(desk, tenant, kind, &serde_json::json!({})).await?;
    worked(desk, tenant, id, |run| {
        let why = run.error.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{}: {} {}{why}", run.kind, if run.stage.is_empty() { "begins" } else { &run.stage }, run.counters)
    })
    .await
}

/// Works on a run unless somebody else does, and waits for its end; tells on standard error how far it is.
pub(super) async fn worked(
    desk: &Desk,
    tenant: &Tenant,
    id: Uuid,
    progress: impl Fn(&Run) -> String,
) -> Result<Run, Failure> {
    let life = Lifecycle::new();
    life.listen_for_signals()?;
    let writer = app::writer(&desk.config, &desk.store, &life, &Metrics::new()?)?;
    let (tenant_id, ours) = (tenant.id, life.clone());
    let work = tokio::spawn(async move {
        while !ours.is_ending() {
            if let Err(error) = writer.run_this(tenant_id, id).await {
                eprintln!("{}", Chain(&error));
            }
            tokio::time::sleep(AGAIN).await;
        }
    });
    let ended = watched(desk, tenant, id, &life, progress).await;
    life.shutdown();
    // It stops at its next page, and gives the run back.
    let _ended = work.await;
    ended
}

/// Waits for the end of a run that somebody works on, and tells on standard error how far it is.
pub(super) async fn watched(
    desk: &Desk,
    tenant: &Tenant,
    id: Uuid,
    life: &Lifecycle,
    progress: impl Fn(&Run) -> String,
) -> Result<Run, Failure> {
    let terminal = std::io::stderr().is_terminal();
    let mut told = String::new();
    loop {
        let mut conn = desk.store.pool().acquire().await?;
        let run = run::get(&mut conn, tenant.id, id).await?;
        drop(conn);
        let run = run.ok_or_else(|| format!("tenant {} is gone", tenant.slug))?;
        let now = progress(&run);
        if now != told {
            // On a terminal one line is written over and over.
            if terminal {
                eprint!("\r\x1b[K{now}")
            } else {
                eprintln!("{now}")
            }
            told = now;
        }
        if !run.state.is_open() {
            if terminal {
                eprintln!();
            }
            return Ok(run);
        }
        if life.is_ending() {
            return Err(format!("interrupted; the daemon goes on with the {} where it is", run.kind).into());
        }
        tokio::time::sleep(AGAIN).await;
    }
}
