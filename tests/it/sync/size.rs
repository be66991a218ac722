//! Large directories: what is read is never held in memory, and a read that finds everything as it is is quick.
//!
//! A small one in every run of the tests; `SYNC_PEOPLE=20000` makes a large one (`make sync-size`).

use std::fmt::Write as _;

use super::Org;
use super::slapd::{dn, group, person};

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// How much memory this process has, in kibibytes.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_large_directory_is_brought_in_and_found_as_it_is() {
    let people = number("SYNC_PEOPLE", 1000);
    let (groups, large) = (people / 40, people * 3 / 4);
    let uid = |n: usize| format!("p{n:06}");
    let mut ldif = String::new();
    (0..people).for_each(|n| ldif.push_str(&person(&uid(n))));
    for number in 0..groups {
        let size = if number == 0 { large } else { 1 + number % 20 };
        let members: Vec<String> = (0..size).map(|n| dn(&uid((number * 7 + n) % people))).collect();
        write!(ldif, "{}", group(&format!("g{number:05}"), &members)).unwrap();
    }
    let mut org = Org::with(&ldif).await;
    drop(ldif);
    org.config.ldap.page_size = 500;
    let sync = async |name: &str| {
        let (start, before) = (std::time::Instant::now(), memory());
        let (run, _) = org.work(jira_scim::store::run::Kind::Sync, &Default::default()).await;
        assert_eq!(run.error, None);
        let seconds = start.elapsed().as_secs_f64();
        let more = memory().saturating_sub(before) / 1024;
        println!("{name}: {people} people, {groups} groups: {seconds:.1} s, {more} MiB more");
        jira_scim::sync::counters::counters_of(&run)
    };
    let first = sync("first").await;
    assert_eq!((first.people.create, first.groups.create), (people as u64, groups as u64));
    assert!(first.joins > large as u64 && first.done == first.wanted() && first.messages.is_empty(), "{first:?}");
    let again = sync("again").await;
    assert_eq!((again.people.same, again.groups.same, again.wanted()), (people as u64, groups as u64, 0));
    assert_eq!(org.staged().await, 0);
    let members: i64 =
        sqlx::query_scalar("SELECT count(*) FROM group_member").fetch_one(org.world.pool()).await.unwrap();
    assert_eq!(members as u64, first.joins);
}
