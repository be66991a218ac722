//! `jira-scim import`: learns what is at a tenant's target already.

use std::fmt::Write as _;

use super::desk::Desk;
use super::runs::{asked, last, tenant, worked};
use super::table::table;
use super::{ConfigArgs, Failure, confirm};
use crate::store::run::{self, Kind, Run, State};
use crate::writer::import::{Counters, ImportOptions, Tally};
use crate::writer::removal;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Leave it to the daemon, and do not wait
    #[arg(long, conflicts_with_all = ["status", "stop"])]
    background: bool,
    /// Only say how far the last one is, or what it came to; with --reset, the last reset
    #[arg(long, conflicts_with = "stop")]
    status: bool,
    /// Stop the one that is under way; with --reset, the reset
    #[arg(long)]
    stop: bool,
    /// Remove whoever is not listed any more, however many that are
    #[arg(long, conflicts_with_all = ["status", "stop", "reset"])]
    past_the_brake: bool,
    /// Forget instead what is on record of the target: users and groups are gone until they come back, Jira is left as it is
    #[arg(long)]
    reset: bool,
    /// With --reset: do not ask
    #[arg(long, requires = "reset")]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command and prints what it came to.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let desk = Desk::open(&args.config).await?;
    let answer = answer(args, &desk).await;
    desk.close().await;
    let run = answer?;
    println!("{}", if args.json { serde_json::to_string_pretty(&run)? } else { told(&run)? });
    match (run.state, run.error) {
        (State::Failed, Some(why)) => Err(format!("the {} failed: {why}", run.kind).into()),
        _ => Ok(()),
    }
}

async fn answer(args: &Args, desk: &Desk) -> Result<Run, Failure> {
    let tenant = tenant(desk, &args.tenant).await?;
    let kind = if args.reset { Kind::Reset } else { Kind::Import };
    if args.status || args.stop {
        return last(desk, &tenant, kind, args.stop).await;
    }
    if args.reset {
        let what = "Its users and groups are gone until an import or the identity provider brings them back; \
                    Jira is left as it is.";
        confirm::typed(&tenant.slug, what, args.yes)?;
    }
    let options = serde_json::to_value(ImportOptions { past_the_brake: args.past_the_brake })?;
    let id = asked(desk, &tenant, kind, &options).await?;
    if args.background {
        let mut conn = desk.store.pool().acquire().await?;
        let run = run::get(&mut conn, tenant.id, id).await?;
        return run.ok_or_else(|| format!("tenant {} is gone", tenant.slug).into());
    }
    worked(desk, &tenant, id, progress).await
}

fn counters(run: &Run) -> Counters {
    serde_json::from_value(run.counters.clone()).unwrap_or_default()
}

/// One line, while it runs.
fn progress(run: &Run) -> String {
    let why = run.error.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    if run.kind == Kind::Reset {
        let so_far: removal::Counters = serde_json::from_value(run.counters.clone()).unwrap_or_default();
        return format!("reset: {} users, {} groups{why}", so_far.users, so_far.groups);
    }
    let counters = counters(run);
    let tally = match run.stage.as_str() {
        "groups" | "groups_gone" => &counters.groups,
        "members" => &counters.memberships,
        _ => &counters.accounts,
    };
    let stage = if run.stage.is_empty() { "accounts" } else { run.stage.trim_end_matches("_gone") };
    let Tally { seen, known, linked, created, .. } = tally;
    let skipped: u64 = tally.skipped.values().sum();
    format!("{stage}: {seen} seen, {known} known, {linked} linked, {created} created, {skipped} skipped{why}")
}

/// What it came to.
fn told(run: &Run) -> Result<String, Failure> {
    let mut text = match run.state {
        State::Done if run.kind == Kind::Reset => return Ok(format!("{}; done", progress(run))),
        State::Done => run.error.as_ref().map_or_else(|| "done".to_owned(), |caution| format!("done; {caution}")),
        state => format!("{}: {}", state.as_str(), progress(run)),
    };
    if run.kind == Kind::Reset || !run.counters.is_object() || run.stage.is_empty() {
        return Ok(text);
    }
    let Counters { accounts, groups, memberships } = counters(run);
    let named = [("accounts", &accounts), ("groups", &groups), ("memberships", &memberships)];
    let rows: Vec<Vec<String>> = named
        .iter()
        .map(|(name, tally)| {
            let skipped: u64 = tally.skipped.values().sum();
            let numbers = [tally.seen, tally.known, tally.linked, tally.created, tally.updated, tally.removed, skipped];
            std::iter::once((*name).to_owned()).chain(numbers.map(|number| number.to_string())).collect()
        })
        .collect();
    text.push('\n');
    text.push_str(&table(&["", "seen", "known", "linked", "created", "updated", "removed", "skipped"], &rows));
    for (name, tally) in named {
        for (why, count) in &tally.skipped {
            write!(text, "\nskipped {name}: {count}, {why}")?;
        }
    }
    Ok(text)
}
