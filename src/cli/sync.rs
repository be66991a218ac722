//! `jira-scim sync`: directories that are read on a schedule. Tests them, says what a read would change, reads now, and tells
//! what came of it.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::desk::Desk;
use super::plan::Pending;
use super::runs::watched;
use super::table::table;
use super::{ConfigArgs, Failure};
use crate::app;
use crate::lifecycle::Lifecycle;
use crate::store::run::{self, Kind, Run, State};
use crate::store::source;
use crate::store::tenant::{self, Tenant};
use crate::sync::counters::{Tally, counters_of};
use crate::sync::look::{Seen, look};
use crate::sync::run::{Asked, Configured};
use crate::sync::schedule::Next;
use crate::sync::{Counters, Line, Sync};
use crate::telemetry::{Chain, Metrics};

/// So many runs are listed.
const LISTED: i64 = 10;
/// How often it is tried to take up a run that somebody else has.
const AGAIN: Duration = Duration::from_millis(500);

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Connect, bind, count, and show three people as they would be brought in; changes nothing.
    Test(Named),
    /// Show what a read would change; exit code 5 when that is not nothing.
    Plan(PlanArgs),
    /// Read now.
    Run(RunArgs),
    /// Tell what the last runs came to.
    Status(Named),
}

#[derive(clap::Args)]
struct Named {
    #[command(flatten)]
    config: ConfigArgs,
    /// The source
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct PlanArgs {
    #[command(flatten)]
    named: Named,
    /// Read everything, also where the next run will read changes only
    #[arg(long)]
    full: bool,
}

#[derive(clap::Args)]
struct RunArgs {
    #[command(flatten)]
    named: Named,
    /// Read everything, also where changes would do
    #[arg(long, conflicts_with = "user")]
    full: bool,
    /// Only this person, by userName, and which groups this person is in
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Leave it to the daemon, and do not wait
    #[arg(long)]
    background: bool,
}

/// Runs the command.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let (Command::Test(named)
    | Command::Plan(PlanArgs { named, .. })
    | Command::Status(named)
    | Command::Run(RunArgs { named, .. })) = &args.command;
    let desk = Desk::open(&named.config).await?;
    let outcome = act(args, named, &desk).await;
    desk.close().await;
    outcome
}

async fn act(args: &Args, named: &Named, desk: &Desk) -> Result<(), Failure> {
    let life = Lifecycle::new();
    life.listen_for_signals()?;
    let sync = app::sources(&desk.config, &desk.store, &life, &Metrics::new()?, None)?;
    sync.refresh().await?;
    let one = sync.source(&named.source).ok_or_else(|| format!("there is no source {}", named.source))?;
    let configured = one.configured().map_err(|why| format!("source {}: {why}", named.source))?;
    match &args.command {
        Command::Test(_) => test(named, configured).await,
        Command::Plan(args) => plan(args, desk, &sync, configured).await,
        Command::Run(args) => read(args, desk, sync, configured, &life).await,
        Command::Status(_) => status(named, desk, &sync, configured).await,
    }
}

async fn test(named: &Named, configured: &Configured) -> Result<(), Failure> {
    let seen = look(configured).await?;
    if named.json {
        println!("{}", serde_json::to_string_pretty(&seen)?);
        return Ok(());
    }
    let Seen { address, people, groups, members, shown, messages } = seen;
    println!("{address}: {people} people, {groups} groups with {members} members");
    for person in &shown {
        println!("{}", serde_json::to_string_pretty(person)?);
    }
    for sentence in &messages {
        println!("cannot be used: {sentence}");
    }
    Ok(())
}

async fn plan(args: &PlanArgs, desk: &Desk, sync: &Sync, configured: &Configured) -> Result<(), Failure> {
    let tenant = sync.may_feed(configured).await?;
    let wanted = Asked { full: args.full, ..Asked::default() };
    let id = asked(desk, sync, &tenant, Kind::SyncPlan, &wanted).await?;
    let (json, mut first) = (args.named.json, true);
    if json {
        print!("{{\"lines\": [");
    }
    let mut line = |line: Line| match (json, serde_json::to_string(&line)) {
        (true, Ok(text)) => {
            print!("{}\n  {text}", if first { "" } else { "," });
            first = false;
        }
        _ => println!("{} {} {}{}", line.what, line.of, line.name, detail(&line.detail)),
    };
    let worked = sync.work(configured, tenant.id, id, &mut line).await;
    let run = row(desk, &tenant, id).await?;
    let counters = counters_of(&run);
    if json {
        println!("],\n\"summary\": {}}}", serde_json::to_string(&counters)?);
    } else {
        println!("{}", summary(&counters));
    }
    match (worked?, run.state, run.error) {
        (None, ..) => Err(format!("a plan of source {} is under way already", configured.config.name).into()),
        (_, State::Done, _) if counters.wanted() > 0 => {
            Err(Pending(format!("{} things would be changed", counters.wanted())).into())
        }
        (_, State::Done, _) => Ok(()),
        (_, _, Some(why)) => Err(why.into()),
        (..) => {
            // Nobody else goes on with a plan that was interrupted.
            let mut conn = desk.store.pool().acquire().await?;
            run::stop(&mut conn, tenant.id, Kind::SyncPlan, desk.origin()).await?;
            Err("the plan was interrupted".into())
        }
    }
}

fn detail(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

async fn read(
    args: &RunArgs,
    desk: &Desk,
    sync: Sync,
    configured: &Configured,
    life: &Lifecycle,
) -> Result<(), Failure> {
    let tenant = sync.claim(configured).await?;
    let id = asked(desk, &sync, &tenant, Kind::Sync, &Asked { user: args.user.clone(), full: args.full }).await?;
    let run = match args.background {
        true => row(desk, &tenant, id).await?,
        false => worked(desk, sync, configured, &tenant, id, life).await?,
    };
    println!("{}", if args.named.json { serde_json::to_string_pretty(&run)? } else { told(&run) });
    match (run.state, run.error) {
        (State::Failed, Some(why)) => Err(format!("source {}: {why}", configured.config.name).into()),
        _ => Ok(()),
    }
}

/// Works on a run unless the daemon does, and waits for its end.
async fn worked(
    desk: &Desk,
    sync: Sync,
    configured: &Configured,
    tenant: &Tenant,
    id: Uuid,
    life: &Lifecycle,
) -> Result<Run, Failure> {
    let (configured, tenant_id, ours) = (configured.clone(), tenant.id, life.clone());
    let work = tokio::spawn(async move {
        while !ours.is_ending() {
            if let Err(error) = sync.work(&configured, tenant_id, id, &mut |_| {}).await {
                eprintln!("{}", Chain(&error));
            }
            tokio::time::sleep(AGAIN).await;
        }
    });
    let ended = watched(desk, tenant, id, life, |run| progress(&run.stage, &counters_of(run))).await;
    life.shutdown();
    // It stops at its next page, and gives the run back.
    let _ended = work.await;
    ended
}

async fn asked(desk: &Desk, sync: &Sync, tenant: &Tenant, kind: Kind, asked: &Asked) -> Result<Uuid, Failure> {
    let id = sync.ask(tenant.id, kind, asked, desk.origin()).await?;
    id.ok_or_else(|| format!("tenant {}: another {kind} is under way", tenant.slug).into())
}

async fn row(desk: &Desk, tenant: &Tenant, id: Uuid) -> Result<Run, Failure> {
    let mut conn = desk.store.pool().acquire().await?;
    let run = run::get(&mut conn, tenant.id, id).await?;
    run.ok_or_else(|| format!("tenant {} is gone", tenant.slug).into())
}

async fn status(named: &Named, desk: &Desk, sync: &Sync, configured: &Configured) -> Result<(), Failure> {
    let slug = &configured.config.tenant;
    let tenant = tenant::get(desk.store.pool(), slug).await?.ok_or_else(|| format!("there is no tenant {slug}"))?;
    let mut conn = desk.store.pool().acquire().await?;
    let held = source::held(&mut *conn, tenant.id).await?;
    let runs = run::list(&mut conn, tenant.id, Some(Kind::Sync), None, LISTED).await?;
    drop(conn);
    let next = sync.next(configured, &tenant, chrono::Utc::now()).await?;
    if named.json {
        let all = json!({ "tenant": slug, "source": held, "next": next, "runs": runs });
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    match held {
        Some(held) => println!("{}: feeds tenant {slug} since {}", held.name, held.since.to_rfc3339()),
        None => println!("{}: does not feed tenant {slug} yet", configured.config.name),
    }
    println!("{}", expected(&next));
    let rows: Vec<Vec<String>> = runs.iter().map(line_of).collect();
    println!("{}", table(&["requested", "by", "state", "at", "extent", "read", "to do", "done", "skipped"], &rows));
    if let Some(last) = runs.first() {
        println!("{}", told(last));
    }
    Ok(())
}

/// When the next read is, and of what.
fn expected(next: &Next) -> String {
    let when = match next.at {
        Some(at) => format!("next read at {}", at.to_rfc3339()),
        None => "read when it is told to".to_owned(),
    };
    match &next.because {
        _ if next.extent == "changes" => format!("{when}: changes only; everything in {} reads", next.full_in),
        Some(why) => format!("{when}: everything, because {why}"),
        None => format!("{when}: everything"),
    }
}

fn line_of(run: &Run) -> Vec<String> {
    let counters = counters_of(run);
    let numbers = [
        counters.people.read + counters.groups.read,
        counters.wanted(),
        counters.done,
        counters.people.skip + counters.groups.skip,
    ];
    let state = run.state.as_str().to_owned();
    let texts = [run.requested.to_rfc3339(), run.actor.clone(), state, run.stage.clone(), counters.extent];
    texts.into_iter().chain(numbers.map(|number| number.to_string())).collect()
}

/// What a run came to, with what is wrong with single entries.
fn told(run: &Run) -> String {
    let counters = counters_of(run);
    let mut text = format!("{}: {}", run.state.as_str(), summary(&counters));
    if let Some(why) = &run.error {
        text.push_str("\nwhy: ");
        text.push_str(why);
    }
    for sentence in &counters.messages {
        text.push_str("\nskipped: ");
        text.push_str(sentence);
    }
    if counters.unsaid > 0 {
        text.push_str(&format!("\nand {} more", counters.unsaid));
    }
    if counters.nameless + counters.nameless_groups > 0 {
        text.push_str("\nwho is not in the source any more was left alone: not every entry has an id");
    }
    text
}

/// How far a run is, on a line that fits a terminal: how much there is to do is known once everything was read.
fn progress(stage: &str, counters: &Counters) -> String {
    let (read, done, all) = (counters.people.read, counters.done, counters.wanted());
    if all == 0 {
        return format!("{stage}: {read} people and {} groups read", counters.groups.read);
    }
    let share = |parts: u64| usize::try_from(done.min(all) * parts / all).unwrap_or_default();
    format!("{stage}: [{:.<20}] {:>3} %, {done} of {all}", "#".repeat(share(20)), share(100))
}

/// What a run came to, on one line.
pub(super) fn summary(counters: &Counters) -> String {
    let of = |names: [&str; 2], tally: &Tally| {
        let Tally { read, create, change, vanish, skip, .. } = tally;
        let name = names[usize::from(*read != 1)];
        format!("{read} {name} ({create} new, {change} changed, {vanish} gone, {skip} skipped)")
    };
    let Counters { people, groups, joins, leaves, done, .. } = counters;
    let all = counters.wanted();
    let (people, groups) = (of(["person", "people"], people), of(["group", "groups"], groups));
    let text = format!("{people}, {groups}, {joins} join, {leaves} leave; {done} of {all} done");
    match (counters.extent.as_str(), &counters.because) {
        ("changes", _) => format!("changes only: {text}"),
        ("full", Some(why)) => format!("{text} (everything was read: {why})"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_tells_what_it_read_and_then_how_much_of_what_there_is_to_do_is_done() {
        let counters = |read, joins, done| Counters {
            people: Tally { read, ..Tally::default() },
            joins,
            done,
            ..Counters::default()
        };
        for (counters, line) in [
            (counters(1500, 0, 0), "write: 1500 people and 0 groups read"),
            (counters(1500, 3000, 0), "write: [....................]   0 %, 0 of 3000"),
            (counters(1500, 3000, 1470), "write: [#########...........]  49 %, 1470 of 3000"),
            (counters(1500, 3000, 3000), "write: [####################] 100 %, 3000 of 3000"),
        ] {
            assert_eq!(progress("write", &counters), line);
        }
    }

    #[test]
    fn one_is_told_as_one() {
        let one = Tally { read: 1, ..Tally::default() };
        let told = summary(&Counters { people: one, groups: one, ..Counters::default() });
        assert!(told.starts_with("1 person (0 new") && told.contains(", 1 group (0 new"), "{told}");
    }
}
