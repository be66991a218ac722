//! `jira-scim tenant purge`: takes back from Jira everything that came from a tenant.

use std::time::Duration;

use serde_json::{Value, json};

use super::desk::Desk;
use super::runs::{asked, tenant, worked};
use super::{ConfigArgs, Failure, confirm};
use crate::policy::{OnDelete, Policy};
use crate::store::removal::{self, Left, Sizes};
use crate::store::run::{Kind, Run, State};
use crate::store::tenant::{Mode, Tenant};
use crate::writer::removal::{Counters, PurgeOptions};

/// How often it is looked what still waits for the daemon.
const LOOK: Duration = Duration::from_secs(1);
/// Nothing moves for so long: then there is no daemon, or the target is paused.
const PATIENCE: u32 = 60;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Its name
    slug: String,
    /// Let all of it through the brake
    #[arg(long)]
    past_the_brake: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Do not wait for the daemon, which writes what there is to write
    #[arg(long)]
    background: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Shows what would be done, asks, and does it.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let desk = Desk::open(&args.config).await?;
    let answer = answer(args, &desk).await;
    desk.close().await;
    println!("{}", answer?);
    Ok(())
}

async fn answer(args: &Args, desk: &Desk) -> Result<String, Failure> {
    let tenant = tenant(desk, &args.slug).await?;
    if tenant.mode == Mode::Observe {
        return Err(format!("tenant {} only observes: nothing would be written", tenant.slug).into());
    }
    let policy = Policy::from_value(&tenant.policy).map_err(|problems| problems.join(" "))?;
    let mut conn = desk.store.pool().acquire().await?;
    let sizes = removal::sizes(&mut conn, tenant.id).await?;
    drop(conn);
    eprintln!("{}", plan(&tenant, &policy, sizes));
    let what = "Its users and groups are gone for the identity provider; take its credentials away first, or it makes \
                them again.";
    confirm::typed(&tenant.slug, what, args.yes)?;
    let options = serde_json::to_value(PurgeOptions { past_the_brake: args.past_the_brake })?;
    let id = asked(desk, &tenant, Kind::Purge, &options).await?;
    let run = worked(desk, &tenant, id, progress).await?;
    if run.state != State::Done {
        let why = run.error.unwrap_or_else(|| run.state.as_str().to_owned());
        return Err(format!("the purge failed: {why}").into());
    }
    let left = if args.background { look(desk, &tenant).await? } else { written(desk, &tenant).await? };
    let text = told(args, &tenant, sizes, &run, left)?;
    if left.waiting + left.stuck == 0 || args.background {
        return Ok(text);
    }
    println!("{text}");
    Err(super::plan::Pending(format!("{} users and groups still wait, {} are stuck", left.waiting, left.stuck)).into())
}

/// What would be done, in sentences.
fn plan(tenant: &Tenant, policy: &Policy, sizes: Sizes) -> String {
    let verb = match policy.deprovision.on_delete {
        OnDelete::Deactivate => "deactivated",
        OnDelete::Delete => "deleted",
    };
    let groups = match policy.deprovision.on_group_delete {
        crate::policy::OnGroupDelete::Delete => "deleted where nobody else uses them",
        _ => "left, without our members",
    };
    let Sizes { made, found, memberships, groups: made_groups } = sizes;
    format!(
        "tenant {} at target {}:\n  {made} accounts that were made from here are {verb}\n  {found} accounts that were there \
         before are left as they were found\n  {memberships} memberships that were given from here are taken back\n  \
         {made_groups} groups that were made from here are {groups}",
        tenant.slug, tenant.target
    )
}

fn progress(run: &Run) -> String {
    let so_far: Counters = serde_json::from_value(run.counters.clone()).unwrap_or_default();
    let why = run.error.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{} users and {} groups are handed to the writer{why}", so_far.users, so_far.groups)
}

/// Waits until the daemon has written everything, or nothing moves any more.
async fn written(desk: &Desk, tenant: &Tenant) -> Result<Left, Failure> {
    let (mut before, mut idle) = (Left::default(), 0);
    loop {
        let left = look(desk, tenant).await?;
        idle = if left == before { idle + 1 } else { 0 };
        if left != before {
            eprintln!("{} wait to be written, {} are stuck", left.waiting, left.stuck);
        }
        if left.waiting == 0 || idle > PATIENCE {
            return Ok(left);
        }
        before = left;
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(desk: &Desk, tenant: &Tenant) -> Result<Left, Failure> {
    let mut conn = desk.store.pool().acquire().await?;
    Ok(removal::left(&mut conn, tenant.id).await?)
}

fn told(args: &Args, tenant: &Tenant, plan: Sizes, run: &Run, left: Left) -> Result<String, Failure> {
    if args.json {
        let told: Value = json!({ "tenant": tenant.slug, "plan": plan, "removed": run.counters, "left": left });
        return Ok(serde_json::to_string_pretty(&told)?);
    }
    let mut text = progress(run);
    if left.waiting > 0 {
        text.push_str(&format!("\n{} of them still wait: the daemon goes on with them", left.waiting));
    }
    if left.stuck > 0 {
        text.push_str(&format!("\n{} are stuck; see: jira-scim outbox list --tenant {}", left.stuck, tenant.slug));
    }
    Ok(text)
}
