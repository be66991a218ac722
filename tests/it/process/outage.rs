//! The private PostgreSQL is killed while the daemon serves: 503 with `Retry-After`, then recovery without a restart.

use jira_scim::sandbox::{Sandbox, SandboxOptions};
use reqwest::Method;

use super::agreement::{database, drained};
use super::daemon::{Daemon, Home, eventually};
use super::idp::{Idp, user};
use super::settings::Settings;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgres_is_503_with_retry_after_and_recovers_by_itself() {
    let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let home = Home::new();
    home.configure(&Settings::new(&jira).text());
    let daemon = Daemon::start(&home).await;
    let idp = Idp::of(&daemon.url());
    idp.user("before").await;
    // Every connection of the pool is there when the server dies.
    let reads = (0..40).map(|_| {
        let idp = idp.clone();
        tokio::spawn(async move { idp.ask(&Method::GET, "/Users", None).await })
    });
    for read in reads.collect::<Vec<_>>() {
        assert_eq!(read.await.unwrap().expect("an answer").status, 200);
    }
    // Killed as often as it takes to be seen down, since it is back quickly.
    let down = eventually("an answer without a database", async || {
        home.kill9_postgres();
        idp.ask(&Method::GET, "/Users", None).await.filter(|answer| answer.status != 200)
    })
    .await;
    assert_eq!(down.status, 503, "{down:?}");
    assert!(down.retry_after.is_some(), "{down:?}");
    assert_eq!(down.body["status"], "503", "{down:?}");
    eventually("the recovery", async || {
        let ready = idp.raw(&Method::GET, "/readyz", "", None).await.is_some_and(|answer| answer.status == 200);
        ready.then_some(())
    })
    .await;
    // More at once than there are connections in the pool: none of them is a dead one.
    let hires = (0..40).map(|number| {
        let (idp, name) = (idp.clone(), format!("after.{number}"));
        tokio::spawn(async move { idp.ask(&Method::POST, "/Users", Some(&user(&name, &name))).await })
    });
    for hire in hires.collect::<Vec<_>>() {
        let answer = hire.await.unwrap().expect("an answer");
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    drained(&mut database(&home).await).await;
    assert_eq!(jira.accounts().len(), 42, "everybody, and the administrator");
}
