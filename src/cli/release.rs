//! `jira-scim release`: does a part of a plan while the tenant goes on observing.

use std::time::{Duration, Instant};

use serde_json::json;

use super::desk::Desk;
use super::plan::{Pending, known, users};
use super::{ConfigArgs, Failure};
use crate::store::release;
use crate::store::tenant::Tenant;
use crate::writer::plan::StepKind;
use crate::writer::release::{Released, Which, release_steps};

/// How often it is looked what came of it.
const LOOK: Duration = Duration::from_millis(200);
/// How often the progress is told.
const TELL: Duration = Duration::from_secs(5);

/// The arguments.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["kind", "user", "all"]))]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Only steps of this kind; may be given several times. join brings the groups that it needs
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<KindArg>,
    /// Only of this user (userName or id)
    #[arg(long, value_name = "NAME|ID")]
    user: Option<String>,
    /// Everything that the plan shows
    #[arg(long, conflicts_with_all = ["kind", "user"])]
    all: bool,
    /// How long to wait for what comes of it
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A kind of step on the command line.
#[derive(Clone, Copy)]
struct KindArg(StepKind);

impl clap::ValueEnum for KindArg {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: [KindArg; StepKind::ALL.len()] = {
            let mut all = [KindArg(StepKind::Create); StepKind::ALL.len()];
            let mut place = 0;
            while place < all.len() {
                all[place] = KindArg(StepKind::ALL[place]);
                place += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()))
    }
}

/// Releases, waits, and tells what came of it.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let desk = Desk::open(&args.config).await?;
    let done = release_and_wait(args, &desk).await;
    desk.close().await;
    let (said, left) = done?;
    println!("{said}");
    match left {
        0 => Ok(()),
        left => Err(Pending(format!("{left} users and groups still wait; is the daemon running?")).into()),
    }
}

async fn release_and_wait(args: &Args, desk: &Desk) -> Result<(String, u64), Failure> {
    let tenant = known(desk, &args.tenant).await?;
    let kinds = args.kind.iter().map(|kind| kind.0);
    let which = Which::new(kinds, users(desk, &tenant, args.user.as_deref()).await?);
    let ground = desk.grounds.of(&tenant.target);
    let released = release_steps(&desk.store, &tenant, &which, ground, desk.origin()).await?;
    let left = wait(args.wait, desk, &tenant).await?;
    let mut conn = desk.store.pool().acquire().await?;
    let origin = desk.origin();
    let since = origin.at - chrono::TimeDelta::minutes(1);
    let outcomes = release::outcomes(&mut conn, tenant.id, origin.request_id, since).await?;
    let said = match args.json {
        true => serde_json::to_string_pretty(&json!({
            "tenant": tenant.slug, "released": released, "waiting": left,
            "deliveries": outcomes.iter().map(|(outcome, count)| (outcome.clone(), json!(count)))
                .collect::<serde_json::Map<_, _>>(),
        }))?,
        false => told(&tenant, released, left, &outcomes),
    };
    Ok((said, left))
}

/// Waits until nothing released is left, or the time is over; how much is left.
async fn wait(patience: Duration, desk: &Desk, tenant: &Tenant) -> Result<u64, Failure> {
    let (begun, mut said) = (Instant::now(), Instant::now());
    loop {
        let mut conn = desk.store.pool().acquire().await?;
        let left = release::waiting(&mut conn, tenant.id).await?;
        drop(conn);
        if left == 0 || begun.elapsed() >= patience {
            return Ok(left);
        }
        if said.elapsed() >= TELL {
            said = Instant::now();
            eprintln!("{left} users and groups still wait");
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn told(tenant: &Tenant, released: Released, left: u64, outcomes: &[(String, u64)]) -> String {
    let mut said = format!("tenant {}: {} users and {} groups released", tenant.slug, released.users, released.groups);
    let rounds: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    if !rounds.is_empty() {
        said.push_str(&format!("; rounds of writing: {}", rounds.join(", ")));
    }
    if outcomes.iter().any(|(outcome, _)| outcome == "refused") {
        said.push_str("\nwhat was refused: jira-scim outbox list --state refused");
    }
    if left == 0 && rounds.is_empty() {
        said.push_str("; nothing had to be written");
    }
    said
}
