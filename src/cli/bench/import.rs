//! How much memory an import needs: one of a tenth of the size, then the whole one. The first page of a list must cost what the
//! last one does.

use std::path::Path;
use std::time::{Duration, Instant};

use super::children::{Daemon, SandboxKind, peak_memory, sandbox_like};
use super::{DATABASE, Folder, fresh_folder};
use crate::cli::Failure;
use crate::embedded::Embedded;
use crate::store::scratch;

/// People in one group.
const CREW: u64 = 200;
/// Groups that each person is in.
const GROUPS_EACH: u64 = 10;
/// How often the memory of the command is read.
const LOOK: Duration = Duration::from_millis(20);
/// The whole import may need so much more than one of a tenth.
const MOST: f64 = 1.2;

/// What an import came to.
struct Imported {
    users: u64,
    seconds: f64,
    peak: u64,
    counters: serde_json::Value,
}

/// The groups for so many people: the name of each, and its first member's number; the rest are those behind it, in a circle.
pub(super) fn groups(users: u64) -> impl Iterator<Item = (String, u64)> {
    let count = users * GROUPS_EACH / CREW;
    (0..count).map(move |number| (name(number), number * CREW % users.max(1)))
}

/// Four letters and digits that have nothing in common with those of other groups: a Data Center lists more than a thousand groups
/// only by what their names have in common.
fn name(number: u64) -> String {
    const ALL: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mixed = number.wrapping_mul(1_000_003) % 36_u64.pow(4);
    [1, 36, 36 * 36, 36 * 36 * 36].iter().map(|unit| char::from(ALL[(mixed / unit % 36) as usize])).collect()
}

/// The numbers of a group's members.
pub(super) fn members(users: u64, first: u64) -> impl Iterator<Item = u64> {
    (0..CREW.min(users)).map(move |offset| (first + offset) % users)
}

/// Measures a tenth and the whole, and prints both.
pub(super) async fn run(users: u64, embedded: &Embedded) -> Result<(), Failure> {
    let small = one((users / 10).max(CREW), embedded).await?;
    let large = one(users, embedded).await?;
    println!("\n{:>9} {:>9} {:>12} {:>9} {:>14}", "people", "groups", "memberships", "seconds", "peak MiB");
    for Imported { users, seconds, peak, counters } in [&small, &large] {
        let created = |what: &str| counters[what]["created"].as_u64().unwrap_or_default();
        let (groups, memberships) = (created("groups"), created("memberships"));
        println!("{users:>9} {groups:>9} {memberships:>12} {seconds:>9.1} {:>14.1}", *peak as f64 / 1024.0);
    }
    let ratio = large.peak as f64 / small.peak as f64;
    println!("peak memory of the whole import to that of a tenth: {ratio:.2}");
    if ratio > MOST { Err("an import's memory grows with what is imported".into()) } else { Ok(()) }
}

async fn one(users: u64, embedded: &Embedded) -> Result<Imported, Failure> {
    let folder = Folder(fresh_folder()?);
    scratch::recreate(&embedded.url(), DATABASE).await?;
    eprintln!("a sandbox Jira with {users} people ...");
    let sandbox = sandbox_like(&folder.0, users, None, SandboxKind::Import).await?;
    let daemon = Daemon::configure(&folder.0, &embedded.url_of(DATABASE), &sandbox.url, &sandbox.token, 0)?;
    daemon.admit().await?;
    eprintln!("its import ...");
    let imported = import(users, &daemon, &folder.0).await?;
    drop(sandbox.process);
    Ok(imported)
}

async fn import(users: u64, daemon: &Daemon, folder: &Path) -> Result<Imported, Failure> {
    let begun = Instant::now();
    let told = folder.join("import.json");
    let mut command = daemon.spawn(&["import", super::children::TENANT, "--json"], &told)?;
    let id = command.id().ok_or("the import ended at once")?;
    let mut peak = 0;
    let status = loop {
        if let Some(status) = command.try_wait()? {
            break status;
        }
        peak = peak.max(peak_memory(id).unwrap_or_default());
        tokio::time::sleep(LOOK).await;
    };
    if !status.success() {
        return Err(format!("the import ended with {status}").into());
    }
    let run: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(told)?)?;
    let seconds = begun.elapsed().as_secs_f64();
    let counters = run.get("counters").cloned().unwrap_or_default();
    Ok(Imported { users, seconds, peak, counters })
}
