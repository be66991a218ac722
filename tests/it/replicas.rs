//! Two daemons on one database: they share the work and the pace, and one of them can be killed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jira_scim::sandbox::{Fault, Sandbox, SandboxOptions};
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

use crate::postgres::{TestDb, fresh_database};
use crate::process::daemon::{Daemon, Home, eventually};
use crate::process::idp::{Idp, patch};
use crate::process::settings::Settings;

/// Calls at once, for both together.
const CONCURRENCY: usize = 4;

struct Pair {
    jira: Sandbox,
    pool: PgPool,
    daemons: [Daemon; 2],
    _homes: [Home; 2],
    _db: TestDb,
}

impl Pair {
    /// Two daemons that know of each other.
    async fn new() -> Self {
        let db = fresh_database().await;
        let pool = db.pool().await;
        let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let homes = [Home::new(), Home::new()];
        let settings = Settings { database: format!("url = \"{}\"", db.url), settle: "0s", ..Settings::new(&jira) };
        let settings = settings.concurrency(CONCURRENCY);
        homes.iter().for_each(|home| home.configure(&settings.text()));
        let daemons = [Daemon::start(&homes[0]).await, Daemon::start(&homes[1]).await];
        let both: DateTime<Utc> = eventually("two replicas", async || {
            let row: (i64, DateTime<Utc>) =
                sqlx::query_as("SELECT count(*), now() FROM replica").fetch_one(&pool).await.unwrap();
            (row.0 == 2).then_some(row.1)
        })
        .await;
        // Each has said that it lives once more since, and counted the other.
        eventually("both to count the other", async || {
            let last = sqlx::query_scalar::<_, DateTime<Utc>>("SELECT min(seen_at) FROM replica");
            (last.fetch_one(&pool).await.unwrap() > both).then_some(())
        })
        .await;
        Self { jira, pool, daemons, _homes: homes, _db: db }
    }

    fn idp(&self, replica: usize) -> Idp {
        Idp::of(&self.daemons[replica].url())
    }

    /// How many deliveries a replica has made.
    async fn deliveries(&self, replica: usize) -> u64 {
        let answer = self.idp(replica).raw(&Method::GET, "/metrics", "", None).await.unwrap();
        let text = answer.body.as_str().unwrap().to_owned();
        let applied = |line: &str| line.starts_with("jira_scim_deliveries_total{") && line.contains("\"applied\"");
        let counts = text.lines().filter(|line| applied(line)).filter_map(|line| line.rsplit(' ').next());
        counts.map(|count| count.parse::<u64>().unwrap()).sum()
    }

    async fn outbox(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(&self.pool).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_share_the_work_and_the_other_finishes_it_when_one_is_killed() {
    let mut pair = Pair::new().await;
    // Slow enough that something is left when both have begun, also where the requests take their time.
    pair.jira.inject(Fault::delay(Duration::from_millis(400)).on("POST /"));
    let idp = pair.idp(0);
    let crew = idp.group("Crew", &[]).await;
    let mut names = Vec::new();
    for number in 0..80 {
        let name = format!("p{number}");
        let member = json!({ "op": "add", "path": "members", "value": [{ "value": idp.user(&name).await }] });
        idp.must(Method::PATCH, &format!("/Groups/{crew}"), Some(patch(member))).await;
        names.push(name);
    }
    eventually("work of both", async || {
        let (one, other) = tokio::join!(pair.deliveries(0), pair.deliveries(1));
        (one > 2 && other > 2).then_some(())
    })
    .await;
    let left = pair.outbox().await;
    let before = pair.deliveries(0).await;
    pair.daemons[1].kill9().await;
    pair.jira.clear_faults();
    assert!(left > 10, "the kill comes in the middle, with {left} people to do");
    eventually("the end of the work", async || (pair.outbox().await == 0).then_some(())).await;
    names.sort();
    assert_eq!(pair.jira.members("Crew"), names);
    assert!(names.iter().all(|name| pair.jira.account(name).unwrap().active));
    assert_eq!(pair.jira.accounts().len(), names.len() + 1, "everybody once, and the administrator");
    assert!(pair.deliveries(0).await > before, "the other went on");
    assert_eq!(pair.jira.totals().violations, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_together_make_no_more_calls_at_once_than_the_target_bears() {
    let mut pair = Pair::new().await;
    let answer_after = Duration::from_millis(150);
    pair.jira.inject(Fault::delay(answer_after).on("POST /"));
    let seen = pair.jira.journal().len();
    for number in 0..30 {
        pair.idp(number % 2).user(&format!("p{number}")).await;
    }
    eventually("the end of the work", async || (pair.outbox().await == 0).then_some(())).await;
    // A call is on its way for at least as long as its answer is held back.
    let held_back = TimeDelta::from_std(answer_after).unwrap();
    let calls: Vec<DateTime<Utc>> =
        pair.jira.journal()[seen..].iter().filter(|entry| entry.method == "POST").map(|entry| entry.at).collect();
    let at_once = |at: &DateTime<Utc>| calls.iter().filter(|other| *other <= at && *at < **other + held_back).count();
    let most = calls.iter().map(at_once).max().unwrap();
    assert!((1..=CONCURRENCY).contains(&most), "{most} calls at once");
    // Whoever leaves in good order is not counted any more.
    pair.daemons[1].terminate();
    assert_eq!(pair.daemons[1].ended().await.code(), Some(0), "{}", pair.daemons[1].log().text());
    let replicas: i64 = sqlx::query_scalar("SELECT count(*) FROM replica").fetch_one(&pair.pool).await.unwrap();
    assert_eq!(replicas, 1);
}
