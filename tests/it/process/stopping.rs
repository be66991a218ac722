//! SIGTERM: what is at hand is finished, and the next start goes on.

use std::time::Duration;

use jira_scim::sandbox::{Fault, LateTrigger, Sandbox, SandboxOptions};
use reqwest::Method;

use super::agreement::{database, drained};
use super::daemon::{Daemon, Home, PATIENCE};
use super::idp::{Idp, user};
use super::settings::Settings;
use crate::postgres::fresh_database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_daemon_answers_and_records_what_it_has_begun_and_leaves_the_rest_for_the_next_start() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let home = Home::new();
    let settings = Settings { database: format!("url = \"{}\"", db.url), settle: "20s", ..Settings::new(&jira) };
    home.configure(&settings.concurrency(1).text());
    let mut daemon = Daemon::start(&home).await;
    jira.inject(Fault::delay(Duration::from_millis(500)).on("POST /user").times(1));
    let idp = Idp::of(&daemon.url());
    let hire = |name: &'static str| {
        let idp = idp.clone();
        tokio::spawn(async move { idp.ask(&Method::POST, "/Users", Some(&user(name, name))).await })
    };
    let ann = hire("ann");
    let call = jira.until_call(|call| call.operation() == "POST /user");
    tokio::time::timeout(PATIENCE, call).await.unwrap();
    let bo = hire("bo");
    super::daemon::eventually("bo to be accepted", async || {
        let users: i64 = sqlx::query_scalar("SELECT count(*) FROM scim_user").fetch_one(&pool).await.unwrap();
        (users == 2).then_some(())
    })
    .await;
    daemon.terminate();
    assert_eq!(daemon.ended().await.code(), Some(0), "{}", daemon.log().text());
    for answer in [ann, bo] {
        assert_eq!(answer.await.unwrap().expect("an answer").status, 201);
    }
    let open: i64 =
        sqlx::query_scalar("SELECT count(*) FROM delivery WHERE outcome IS NULL").fetch_one(&pool).await.unwrap();
    assert_eq!(open, 0, "each delivery says what became of it");
    let leased: i64 =
        sqlx::query_scalar("SELECT count(*) FROM outbox WHERE lease_until > now()").fetch_one(&pool).await.unwrap();
    assert_eq!(leased, 0, "nobody has to wait for a lease of the dead");
    let _next = Daemon::start(&home).await;
    drained(&mut pool.acquire().await.unwrap()).await;
    assert!(jira.account("ann").is_some() && jira.account("bo").is_some());
    assert_eq!(jira.totals().by_operation["POST /user"], 2, "nothing was done again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_daemon_takes_its_postgres_with_it_and_finds_its_data_again() {
    let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let home = Home::new();
    home.configure(&Settings::new(&jira).text());
    let mut daemon = Daemon::start(&home).await;
    let ann = Idp::of(&daemon.url()).user("ann").await;
    daemon.terminate();
    assert_eq!(daemon.ended().await.code(), Some(0), "{}", daemon.log().text());
    assert_eq!(home.processes(), [] as [i32; 0]);
    let daemon = Daemon::start(&home).await;
    let found = Idp::of(&daemon.url()).must(Method::GET, &format!("/Users/{ann}"), None).await;
    assert_eq!(found.body["userName"], "ann");
    drained(&mut database(&home).await).await;
    assert!(jira.account("ann").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_outlasts_the_grace_period_is_cut_short_and_looked_at_by_the_next_start() {
    let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let home = Home::new();
    let text = Settings::new(&jira).text().replace("\"2s\"", "\"2500ms\"");
    home.configure(&text.replace("[server]", "[server]\nshutdown_grace = \"1s\""));
    let mut daemon = Daemon::start(&home).await;
    // Jira does the work when nobody listens any more.
    jira.inject(Fault::late(LateTrigger::Hangup).on("POST /user").times(1));
    Idp::of(&daemon.url()).user("ann").await;
    let call = jira.until_call(|call| call.operation() == "POST /user");
    tokio::time::timeout(PATIENCE, call).await.unwrap();
    daemon.terminate();
    assert_eq!(daemon.ended().await.code(), Some(1));
    let said = daemon.log().text();
    assert!(said.contains("not everything had finished when the grace period was over"), "{said}");
    assert_eq!(home.processes(), [] as [i32; 0]);
    let _next = Daemon::start(&home).await;
    drained(&mut database(&home).await).await;
    assert!(jira.account("ann").is_some_and(|account| account.active));
    let creates = jira.journal().iter().filter(|call| call.operation() == "POST /user" && call.did_work).count();
    assert_eq!(creates, 1, "nobody twice");
}
