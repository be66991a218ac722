//! `jira-scim brake`: what a tenant's brake holds, and what an administrator does about it.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde_json::json;

use super::desk::Desk;
use super::outbox::user;
use super::table::table;
use super::{ConfigArgs, Failure};
use crate::policy::Policy;
use crate::store::brake::{self, BrakeClass, Decision, Held, HeldAfter, HeldFilter};
use crate::store::tenant::{self, Tenant};
use crate::writer::brake::{decide_by_hand, limit};

/// Things that are read at once.
const PAGE: i64 = 500;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Tell whether it has tripped, how much of its limits is used, and how much it holds
    Status {
        /// List what is held, too
        #[arg(long)]
        list: bool,
        /// The most that are listed
        #[arg(long, value_name = "N", default_value_t = 1000, requires = "list")]
        limit: usize,
        #[command(flatten)]
        shared: Shared,
    },
    /// Let through what it holds; without --user and --class it is ready again afterwards, and counts from nothing
    Release {
        #[command(flatten)]
        part: Part,
        #[command(flatten)]
        shared: Shared,
    },
    /// Give up what it holds, until something else is wanted; without --user and --class it is ready again afterwards
    Drop {
        #[command(flatten)]
        part: Part,
        #[command(flatten)]
        shared: Shared,
    },
}

/// What each of the commands takes.
#[derive(clap::Args)]
struct Shared {
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// A part of what is held.
#[derive(clap::Args)]
struct Part {
    /// Only what is held of this user (userName or id); the brake stays as it is
    #[arg(long, value_name = "NAME|ID")]
    user: Option<String>,
    /// Only what is under this limit; the brake stays as it is
    #[arg(long)]
    class: Option<ClassArg>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ClassArg {
    Accounts,
    Memberships,
}

impl From<ClassArg> for BrakeClass {
    fn from(class: ClassArg) -> Self {
        match class {
            ClassArg::Accounts => Self::Accounts,
            ClassArg::Memberships => Self::Memberships,
        }
    }
}

/// Runs the command and prints its answer.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let (Command::Status { shared, .. } | Command::Release { shared, .. } | Command::Drop { shared, .. }) =
        &args.command;
    let desk = Desk::open(&shared.config).await?;
    let answer = answer(&args.command, shared, &desk).await;
    desk.close().await;
    println!("{}", answer?);
    Ok(())
}

async fn answer(command: &Command, shared: &Shared, desk: &Desk) -> Result<String, Failure> {
    let tenant = tenant::get(desk.store.pool(), &shared.tenant).await?;
    let tenant = tenant.ok_or_else(|| format!("there is no tenant {}", shared.tenant))?;
    match command {
        Command::Status { list, limit, .. } => status(desk, &tenant, list.then_some(*limit), shared.json).await,
        Command::Release { part, .. } => decide(desk, tenant, part, Decision::Pass, shared.json).await,
        Command::Drop { part, .. } => decide(desk, tenant, part, Decision::Drop, shared.json).await,
    }
}

async fn status(desk: &Desk, tenant: &Tenant, list: Option<usize>, as_json: bool) -> Result<String, Failure> {
    let policy = Policy::from_value(&tenant.policy).map_err(|problems| problems.join(" "))?;
    let rules = &policy.brake;
    let mut conn = desk.store.pool().acquire().await?;
    let (trip, levels) = brake::look(&mut conn, tenant.id, rules.window.duration()).await?;
    let count = brake::count_held(&mut conn, tenant.id).await?;
    drop(conn);
    let held = first_held(desk, tenant, list.unwrap_or(0)).await?;
    let of =
        |class, held| json!({ "let_through": levels.of(class), "limit": limit(rules, &levels, class), "held": held });
    if as_json {
        let mut json = json!({
            "tenant": tenant.slug, "enabled": rules.enabled, "tripped": trip, "window": rules.window, "people": levels.people,
            "accounts": of(BrakeClass::Accounts, count.accounts),
            "memberships": of(BrakeClass::Memberships, count.memberships),
        });
        if list.is_some() {
            json["held"] = json!(held);
        }
        return Ok(format!("{json:#}"));
    }
    let mut lines = vec![match &trip {
        _ if !rules.enabled => format!("{}: the policy has switched the brake off", tenant.slug),
        None => format!("{}: ready", tenant.slug),
        Some(trip) => {
            format!("{}: tripped at {}: {}", tenant.slug, trip.at.format("%Y-%m-%d %H:%M:%S UTC"), trip.reason)
        }
    }];
    for (class, held) in [(BrakeClass::Accounts, count.accounts), (BrakeClass::Memberships, count.memberships)] {
        let (used, most) = (levels.of(class), limit(rules, &levels, class));
        lines.push(format!("{}: {used} of {most} within {}, {held} held", class.as_str(), rules.window));
    }
    if !held.is_empty() {
        lines.push(listed(&held));
        let all = usize::try_from(count.accounts + count.memberships).unwrap_or(usize::MAX);
        if all > held.len() {
            lines.push(format!("({} not shown: --limit)", all - held.len()));
        }
    }
    if trip.is_some() || count.accounts + count.memberships > 0 {
        lines.push(format!(
            "let it through with `jira-scim brake release {0}`, or give it up with `jira-scim brake drop {0}`",
            tenant.slug
        ));
    }
    Ok(lines.join("\n"))
}

fn listed(held: &[Held]) -> String {
    let rows: Vec<Vec<String>> = held
        .iter()
        .map(|held| {
            let name = held.name.clone().unwrap_or_else(|| held.subject.clone());
            vec![name, held.step.clone(), held.since.format("%Y-%m-%d %H:%M:%S UTC").to_string()]
        })
        .collect();
    table(&["who", "what", "held since"], &rows)
}

async fn first_held(desk: &Desk, tenant: &Tenant, limit: usize) -> Result<Vec<Held>, Failure> {
    let (mut all, mut after) = (Vec::new(), Some(HeldAfter::default()));
    while let Some(place) = after.filter(|_| all.len() < limit) {
        let mut conn = desk.store.pool().acquire().await?;
        let (held, next) = brake::held(&mut conn, tenant.id, HeldFilter::default(), &place, PAGE).await?;
        all.extend(held);
        after = next;
    }
    all.truncate(limit);
    Ok(all)
}

async fn decide(
    desk: &Desk,
    tenant: Tenant,
    part: &Part,
    decision: Decision,
    as_json: bool,
) -> Result<String, Failure> {
    let tenants = [tenant];
    let user = match &part.user {
        Some(name) => Some(user(desk, &tenants, name).await?.id),
        None => None,
    };
    let filter = HeldFilter { user, class: part.class.map(Into::into), by: None };
    let mut told = |steps| {
        if std::io::stderr().is_terminal() {
            eprint!("\r{steps} steps");
            // A progress that cannot be shown is no reason to stop.
            let _unseen = std::io::stderr().flush();
        }
    };
    let done = decide_by_hand(&desk.store, &tenants[0], desk.origin(), decision, filter, &mut told).await?;
    if std::io::stderr().is_terminal() && done.steps > 0 {
        eprintln!();
    }
    let slug = &tenants[0].slug;
    if as_json {
        let json = json!({ "tenant": slug, "reset": done.reset, "steps": done.steps });
        return Ok(format!("{json:#}"));
    }
    let what = match decision {
        Decision::Pass => "released; the daemon does them now",
        Decision::Drop => "given up until something else is wanted",
    };
    let ready = match (user.is_none() && part.class.is_none(), done.reset) {
        (false, _) => "",
        (true, true) => ", and the brake is ready again",
        (true, false) => ", and the brake was not tripped",
    };
    Ok(format!("{slug}: {} steps {what}{ready}", done.steps))
}
