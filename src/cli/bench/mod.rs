//! `jira-scim bench` (`make bench`): how fast it is on this machine, beside what the same PostgreSQL does on its own.
//!
//! The daemon and the sandbox are processes of their own, the database is a private PostgreSQL with full durability, and
//! the requests are Okta's. Everything lies in a temporary folder and is gone at the end.

mod audit;
mod children;
mod drain;
mod import;
mod measures;
mod seeding;
mod yardstick;

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Failure;
use crate::embedded::{Embedded, EmbeddedOptions};
use crate::lifecycle::Lifecycle;
use crate::simulate::client::Service;
use crate::simulate::latency::millis;
use crate::simulate::load::Drive;
use crate::simulate::report::Row;
use crate::store::{Store, StoreOptions, scratch};
use children::Daemon;
use measures::Measures;
use seeding::Seeded;

pub(super) use children::{SandboxArgs, run_sandbox};

/// The database within the private PostgreSQL.
const DATABASE: &str = "bench";

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    /// People in the store before anything is measured
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=5_000_000))]
    users: u64,
    /// How long each thing is measured
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    measure: Duration,
    /// How long each thing runs before it is measured
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    warm_up: Duration,
    /// Connections at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=100))]
    connections: u16,
    /// Measure instead what an import of so many people needs, each in ten groups of 200
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2_000..=1_000_000))]
    import: Option<u64>,
    /// Measure instead how long searches take among so many requests on record
    #[arg(long, value_name = "N", conflicts_with = "import", value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    audit: Option<u64>,
    /// How much of the requests is put on record: off, changes or all
    #[arg(long, value_name = "LEVEL", default_value = "all", value_parser = ["off", "changes", "all"])]
    record: String,
    /// People who wait at once, for the measure of how well the target's pace is used; 0 leaves that out
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pending: u64,
    /// Calls a second that the target allows for that measure
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pace: u32,
}

/// One line of the result.
struct Line {
    row: Row,
    rate: f64,
    failures: u64,
    /// What the daemon's processors worked for one answer: the figure to compare between runs on a busy machine.
    cpu: Option<Duration>,
}

/// Where everything lies; removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Measures, and prints a table.
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let life = Lifecycle::new();
    life.listen_for_signals()?;
    let folder = Folder(fresh_folder()?);
    eprintln!("a private PostgreSQL with full durability ...");
    let embedded =
        Embedded::start(EmbeddedOptions { data_dir: folder.0.join("data"), bin_dir: None, throwaway: false }).await?;
    let measuring = async {
        match (args.import, args.audit) {
            (Some(users), _) => import::run(users, &embedded).await,
            (None, Some(requests)) => audit::run(requests, &embedded).await,
            (None, None) => measured(&args, &folder.0, &embedded).await,
        }
    };
    let measured = tokio::select! {
        measured = measuring => measured,
        () = life.soft().cancelled() => Err("interrupted".into()),
    };
    embedded.stop().await;
    measured
}

/// A folder that the private PostgreSQL's user can enter.
fn fresh_folder() -> io::Result<PathBuf> {
    let usual = EmbeddedOptions::throwaway().data_dir;
    let folder = usual.with_file_name(format!("jira-scim-bench-{}", uuid::Uuid::new_v4().simple()));
    std::fs::DirBuilder::new().mode(0o711).create(&folder)?;
    Ok(folder)
}

async fn measured(args: &Args, folder: &Path, embedded: &Embedded) -> Result<(), Failure> {
    let load = load_average();
    if load > 1.0 {
        println!("the machine is busy with other things (load average {load:.1}): the figures are too low");
    }
    let drive = Drive { connections: usize::from(args.connections), warm_up: args.warm_up, measure: args.measure };
    let pgbench = yardstick::pgbench(embedded)?;
    scratch::recreate(&embedded.url(), DATABASE).await?;
    let store = Store::lazy(&StoreOptions {
        url: embedded.url_of(DATABASE),
        max_connections: 4,
        acquire_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(60),
    })?;
    store.migrate().await?;
    eprintln!("a sandbox Jira with {} people ...", args.users);
    let sandbox = children::sandbox(folder, args.users, None).await?;
    let daemon = Daemon::configure(folder, &embedded.url_of(DATABASE), &sandbox.url, &sandbox.token, 0)?;
    let token = daemon.admit().await?;
    daemon.record(folder, &args.record).await?;
    eprintln!("the store with the same people ...");
    let begun = Instant::now();
    let seeded = Arc::new(seeding::seed(&store, args.users, &sandbox.keys).await?);
    eprintln!("  {} people and {} groups in {:.0} s", args.users, seeded.groups.len(), begun.elapsed().as_secs_f64());

    let mut lines = Vec::new();
    let settled = run_of(&daemon, &store, &seeded, &token, drive, None, &mut lines).await?;
    let unsettled = run_of(&daemon, &store, &seeded, &token, drive, Some("0s"), &mut lines).await?;
    store.pool().close().await;
    let bare = yardstick::run(&pgbench, folder, embedded, drive).await?;
    drop(sandbox.process);
    let drained = drain::run(folder, embedded, args.pending, args.pace, drive.connections).await?;
    print(args, &lines, &bare, settled.max(unsettled));
    drained.iter().for_each(drain::Drained::print);
    if drained.iter().any(|drained| !drained.is_enough()) {
        return Err("the pace that a target allows was not used".into());
    }
    if lines.iter().any(|line| line.failures > 0) {
        return Err("some requests failed, see the last column and above".into());
    }
    Ok(())
}

/// One life of the daemon; answers its peak memory in KiB.
async fn run_of(
    daemon: &Daemon,
    store: &Store,
    seeded: &Arc<Seeded>,
    token: &str,
    drive: Drive,
    settle: Option<&str>,
    lines: &mut Vec<Line>,
) -> Result<u64, Failure> {
    let running = daemon.start(settle).await?;
    let service = Service::new(&daemon.scim_url(), None)?;
    let measures = Measures::new(service, token, drive, seeded.clone(), store.clone(), &running)?;
    match settle {
        None => {
            measures.reads(lines).await;
            measures.writes("settled", 1, lines).await?;
        }
        Some(time) => measures.writes(&format!("settle={time}"), 2, lines).await?,
    }
    let peak = running.peak_memory()?;
    running.end().await?;
    Ok(peak)
}

/// How many processes wanted a processor during the last minute.
fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

fn print(args: &Args, lines: &[Line], bare: &[Line], peak: u64) {
    let (users, connections, seconds) = (args.users, args.connections, args.measure.as_secs_f64());
    println!(
        "\n{users} people, {connections} connections, {seconds:.0} s each, all on this machine; on record: {}\n",
        args.record
    );
    let heads = ["a second", "p50 ms", "p99 ms", "cpu us", "failures"];
    println!("{:<44} {:>10} {:>9} {:>9} {:>9} {:>9}", "", heads[0], heads[1], heads[2], heads[3], heads[4]);
    for line in lines.iter().chain(bare) {
        let (p50, p99) = (millis(line.row.p50), millis(line.row.p99));
        let cpu = line.cpu.map_or_else(|| "-".to_owned(), |cpu| cpu.as_micros().to_string());
        println!("{:<44} {:>10.0} {p50:>9} {p99:>9} {cpu:>9} {:>9}", line.row.name, line.rate, line.failures);
    }
    println!("\ncpu: what the daemon alone worked for one answer, and for what it did in Jira meanwhile");
    println!("peak memory of the daemon: {:.1} MiB", peak as f64 / 1024.0);
    let rate_of = |lines: &[Line], start: &str| {
        lines.iter().find(|line| line.row.name.starts_with(start)).map_or(f64::NAN, |line| line.rate)
    };
    let accepted = rate_of(lines, "POST /Users, settle=0s");
    let ratio = accepted / rate_of(bare, yardstick::PAIR);
    println!("accepted POSTs a second to bare resource-and-history inserts a second: {ratio:.2}");
}
