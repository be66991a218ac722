//! `jira-scim tenant purge`: takes back from Jira everything that came from a tenant.

use std::io::Write as _;
use std::time::Duration;

use serde_json::json;

use super::desk::Desk;
use super::runs::{asked, last, tenant, worked};
use super::{ConfigArgs, Failure, confirm};
use crate::policy::{OnDelete, Policy};
use crate::store::removal::{self, Left, Named, Names};
use crate::store::run::{Kind, Run, State};
use crate::store::tenant::{Mode, Tenant};
use crate::writer::removal::{Counters, PurgeOptions, sentence};

/// How often it is looked what still waits for the daemon.
const LOOK: Duration = Duration::from_secs(1);
/// Nothing moves for so long: then there is no daemon, or the target is paused.
const PATIENCE: u32 = 60;
/// Names of a kind that are shown to somebody who reads.
const SHOWN: i64 = 20;
/// Names that are read at once.
const PAGE: i64 = 1000;

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
    /// Only say what would be done
    #[arg(long, conflicts_with_all = ["status", "stop", "yes", "background", "past_the_brake"])]
    plan: bool,
    /// Only say how far the last purge is, or what it came to
    #[arg(long, conflicts_with_all = ["stop", "yes", "background", "past_the_brake"])]
    status: bool,
    /// Stop handing users and groups to the writer; it goes on with those that it has
    #[arg(long, conflicts_with_all = ["yes", "background", "past_the_brake"])]
    stop: bool,
    /// Print JSON, with all names
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
    answer
}

async fn answer(args: &Args, desk: &Desk) -> Result<(), Failure> {
    let tenant = tenant(desk, &args.slug).await?;
    if args.status || args.stop {
        return tell_last(args, desk, &tenant).await;
    }
    let policy = Policy::from_value(&tenant.policy).map_err(|problems| problems.join(" "))?;
    if args.plan {
        match args.json {
            true => {
                print_plan(desk, &tenant).await?;
                println!("}}");
            }
            false => println!("{}", plan(desk, &tenant, &policy).await?),
        }
        return Ok(());
    }
    if tenant.mode == Mode::Observe {
        return Err(format!("tenant {} only observes: nothing would be written", tenant.slug).into());
    }
    eprintln!("{}", plan(desk, &tenant, &policy).await?);
    let what = "Its users and groups are gone for the identity provider; take its credentials away first, or it makes \
                them again.";
    confirm::typed(&tenant.slug, what, args.yes)?;
    if args.json {
        print_plan(desk, &tenant).await?;
        println!(",");
    }
    let done = done(args, desk, &tenant).await;
    if args.json {
        // What was begun is ended, whatever became of it.
        let rest = match &done {
            Ok((run, left)) => json!({ "removed": run.counters, "left": left }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        println!("{}", serde_json::to_string_pretty(&rest)?.trim_start_matches('{'));
    }
    let (run, left) = done?;
    if !args.json {
        println!("{}", told(&tenant, &run, left));
    }
    if left.waiting + left.stuck == 0 || args.background {
        return Ok(());
    }
    Err(super::plan::Pending(format!("{} users and groups still wait, {} are stuck", left.waiting, left.stuck)).into())
}

async fn done(args: &Args, desk: &Desk, tenant: &Tenant) -> Result<(Run, Left), Failure> {
    let options = serde_json::to_value(PurgeOptions { past_the_brake: args.past_the_brake })?;
    let id = asked(desk, tenant, Kind::Purge, &options).await?;
    let run = worked(desk, tenant, id, progress).await?;
    if run.state != State::Done {
        let why = run.error.unwrap_or_else(|| run.state.as_str().to_owned());
        return Err(format!("the purge failed: {why}").into());
    }
    let left = if args.background { look(desk, tenant).await? } else { written(desk, tenant).await? };
    Ok((run, left))
}

async fn tell_last(args: &Args, desk: &Desk, tenant: &Tenant) -> Result<(), Failure> {
    let run = last(desk, tenant, Kind::Purge, args.stop).await?;
    let left = look(desk, tenant).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&json!({ "run": run, "left": left }))?);
    } else {
        println!("{}: {}", run.state.as_str(), told(tenant, &run, left));
    }
    Ok(())
}

/// What would be done, in sentences, with the first names of each kind.
async fn plan(desk: &Desk, tenant: &Tenant, policy: &Policy) -> Result<String, Failure> {
    let mut conn = desk.store.pool().acquire().await?;
    let sizes = removal::sizes(&mut conn, tenant.id).await?;
    let mut text = format!("tenant {} at target {}:", tenant.slug, tenant.target);
    for what in Names::ALL {
        let names = removal::names(&mut conn, tenant.id, what, None, SHOWN).await?;
        let (count, sentence) = sentence(what, sizes, policy);
        text.push_str(&format!("\n  {count} {sentence}"));
        for named in &names {
            text.push_str(&format!("\n    {}", named.name));
        }
        let more = count - i64::try_from(names.len()).unwrap_or(count);
        if more > 0 {
            text.push_str(&format!("\n    and {more} more (all with --json)"));
        }
    }
    let (on_delete, overrides) = (&policy.deprovision, sizes.overrides);
    if overrides > 0 {
        text.push_str(&format!("\n  {overrides} overrides end"));
    }
    text.push_str(
        "\nA purge is asked for by name: what groups.remove and on_group_delete would keep is taken back as well",
    );
    if on_delete.on_delete == OnDelete::Delete && !on_delete.delete_after.is_zero() {
        text.push_str(", and deprovision.delete_after is not waited out");
    }
    text.push('.');
    Ok(text)
}

/// The beginning of the answer in JSON: all names, a page after the other; its end follows.
async fn print_plan(desk: &Desk, tenant: &Tenant) -> Result<(), Failure> {
    let mut conn = desk.store.pool().acquire().await?;
    let sizes = removal::sizes(&mut conn, tenant.id).await?;
    let mut out = std::io::stdout();
    write!(out, "{{\"tenant\": {}, \"plan\": {}, \"names\": {{", json!(tenant.slug), json!(sizes))?;
    for (number, what) in Names::ALL.into_iter().enumerate() {
        write!(out, "{}\n  {}: [", if number == 0 { "" } else { "," }, json!(what.as_str()))?;
        let mut after: Option<Named> = None;
        loop {
            let page = removal::names(&mut conn, tenant.id, what, after.as_ref(), PAGE).await?;
            for named in &page {
                write!(
                    out,
                    "{}\n    {}",
                    if after.is_none() && named == &page[0] { "" } else { "," },
                    json!(named.name)
                )?;
            }
            let Some(last) = page.into_iter().next_back() else { break };
            after = Some(last);
        }
        write!(out, "]")?;
    }
    write!(out, "}}")?;
    out.flush()?;
    Ok(())
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

fn told(tenant: &Tenant, run: &Run, left: Left) -> String {
    let mut text = progress(run);
    if left.waiting > 0 {
        text.push_str(&format!("\n{} of them still wait: the daemon goes on with them", left.waiting));
    }
    if left.stuck > 0 {
        text.push_str(&format!("\n{} are stuck; see: jira-scim outbox list --tenant {}", left.stuck, tenant.slug));
    }
    text
}
