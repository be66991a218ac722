//! Large directories: what is read is never held in memory, and a read that finds everything as it is is quick.
//!
//! A small one in every run of the tests; `SYNC_PEOPLE=20000` makes a large one (`make sync-size`). The reads are those of the
//! program as a process of its own, so that its memory is its own, too.

use std::process::Stdio;
use std::time::{Duration, Instant};

use jira_scim::sync::counters::{Counters, counters_of};

use super::slapd::{aged, dn, group, person};
use super::{Org, cli};

/// More people than that are not written to Jira here: that is what `bench` measures.
const WRITTEN: usize = 50_000;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What one read took.
struct Took {
    seconds: f64,
    /// The most memory that the process had, in MiB.
    memory: usize,
    counters: Counters,
}

/// The most memory that a process had so far, in MiB; `None` when it is gone.
fn most_memory(pid: u32) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? / 1024)
}

/// Reads the directory with the program, and says what it took.
async fn read(org: &Org, name: &str, line: &str) -> Took {
    let folder = tempfile::tempdir().unwrap();
    let mut command = cli::command(org, folder.path(), line, "full_every = 4\n");
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut memory = 0;
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let status = loop {
        ticks.tick().await;
        memory = memory.max(most_memory(child.id()).unwrap_or_default());
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    assert!(status.success(), "{name}: {status}");
    let mut conn = org.world.pool().acquire().await.unwrap();
    let run = jira_scim::store::run::last(&mut conn, org.world.tenant.id, jira_scim::store::run::Kind::Sync).await;
    let counters = counters_of(&run.unwrap().unwrap());
    println!("{name} ({}): {seconds:.1} s, {memory} MiB", counters.extent);
    Took { seconds, memory, counters }
}

fn directory(people: usize, groups: usize, large: usize) -> String {
    let uid = |n: usize| format!("p{n:06}");
    let mut ldif: String = (0..people).map(|n| person(&uid(n))).collect();
    for number in 0..groups {
        let size = if number == 0 { large } else { 1 + number % 20 };
        let members: Vec<String> = (0..size).map(|n| dn(&uid((number * 7 + n) % people))).collect();
        ldif.push_str(&group(&format!("g{number:05}"), &members));
    }
    aged(&ldif)
}

#[tokio::test]
async fn a_large_directory_is_brought_in_and_found_as_it_is_without_a_call_to_jira() {
    let people = number("SYNC_PEOPLE", 400);
    let (groups, large) = ((people / 40).min(500), (people * 3 / 4).min(15_000));
    let org = Org::with(&directory(people, groups, large)).await;
    println!("{people} people, {groups} groups, the largest with {large} members");
    let first = read(&org, "first read", "sync run corp").await;
    let Counters { people: came, groups: came_too, joins, .. } = first.counters.clone();
    assert_eq!((came.create, came_too.create), (people as u64, groups as u64));
    assert!(joins > large as u64 && first.counters.done == first.counters.wanted(), "{:?}", first.counters);
    assert_eq!(first.counters.messages, Vec::<String>::new());
    if people <= WRITTEN {
        let start = Instant::now();
        org.world.writer.drain().await.unwrap();
        println!("written to the sandbox: {:.1} s, {} calls", start.elapsed().as_secs_f64(), org.world.calls());
        assert_eq!(org.world.outbox().await, 0);
    }

    let (calls, waiting) = (org.world.calls(), org.world.outbox().await);
    for (name, line) in [("full read, nothing new", "sync run corp --full"), ("changes, nothing new", "sync run corp")]
    {
        let again = read(&org, name, line).await;
        assert_eq!(again.counters.wanted(), 0, "{:?}", again.counters);
        if people <= WRITTEN {
            org.world.writer.drain().await.unwrap();
        }
        assert_eq!((org.world.calls(), org.world.outbox().await), (calls, waiting));
        // What is read is staged page by page: it may cost time, and not memory.
        assert!(again.memory < 128 && first.memory < 128, "{} and {} MiB", first.memory, again.memory);
        assert!(again.seconds.is_finite());
    }
    assert_eq!(org.staged().await, 0);
    let members: i64 =
        sqlx::query_scalar("SELECT count(*) FROM group_member").fetch_one(org.world.pool()).await.unwrap();
    assert_eq!(members as u64, joins);
}
