//! `jira-scim last-login`: asks a tenant's target when its people were last seen.

use std::time::Duration;

use serde_json::json;

use super::desk::Desk;
use super::{ConfigArgs, Failure};
use crate::app;
use crate::lifecycle::Lifecycle;
use crate::store::run::{self, Kind, Run};
use crate::store::tenant::{self, Tenant};
use crate::telemetry::Metrics;
use crate::writer::last_login::Logins;

/// How often a run that somebody else works on is looked at.
const AGAIN: Duration = Duration::from_millis(500);

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Asks, writes down what was told, and prints how much that was.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let desk = Desk::open(&args.config).await?;
    let read = read(args, &desk).await;
    desk.close().await;
    let logins = read?;
    println!("{}", if args.json { serde_json::to_string_pretty(&logins)? } else { told(logins) });
    Ok(())
}

async fn read(args: &Args, desk: &Desk) -> Result<Logins, Failure> {
    let tenant = tenant::get(desk.store.pool(), &args.tenant).await?;
    let tenant = tenant.ok_or_else(|| format!("there is no tenant {}", args.tenant))?;
    let run = worked(desk, &tenant, Kind::LastLogin).await?;
    match run.error {
        Some(why) => Err(format!("the last logins cannot be read: {why}").into()),
        None => Ok(serde_json::from_value(run.counters)?),
    }
}

/// Asks for a run of that kind, or joins the one that is open, and works on it or waits for whoever does. Tells on standard
/// error how far it is.
pub(super) async fn worked(desk: &Desk, tenant: &Tenant, kind: Kind) -> Result<Run, Failure> {
    let writer = app::writer(&desk.config, &desk.store, &Lifecycle::new(), &Metrics::new()?)?;
    let mut conn = desk.store.pool().acquire().await?;
    let asked = run::request(&mut conn, tenant.id, kind, &json!({}), desk.origin()).await?;
    let open = match asked {
        Some(id) => Some(id),
        None => run::last(&mut conn, tenant.id, kind).await?.map(|run| run.id),
    };
    drop(conn);
    let id = open.ok_or_else(|| format!("the {kind} of tenant {} is over", tenant.slug))?;
    let mut told = String::new();
    loop {
        writer.run_this(tenant.id, id).await?;
        let mut conn = desk.store.pool().acquire().await?;
        let run = run::get(&mut conn, tenant.id, id).await?;
        drop(conn);
        let run = run.ok_or_else(|| format!("tenant {} is gone", tenant.slug))?;
        if !run.state.is_open() {
            return Ok(run);
        }
        let now = progress(&run);
        if now != told {
            eprintln!("{now}");
            told = now;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn progress(run: &Run) -> String {
    let why = run.error.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{} {} {}{why}", run.kind, run.stage, run.counters)
}

fn told(Logins { told, users, changed }: Logins) -> String {
    if told == 0 {
        return "the target does not tell of anybody when they were last seen".to_owned();
    }
    format!(
        "the target tells of {told} accounts when they were last seen; {users} are of this tenant, {changed} changed"
    )
}
