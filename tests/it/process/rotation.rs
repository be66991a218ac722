//! The daemon's own token at Jira is replaced in the file that the configuration names, while many requests are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jira_scim::sandbox::{Sandbox, SandboxOptions};
use reqwest::Method;

use super::agreement::{database, drained};
use super::daemon::{Daemon, Home, eventually};
use super::idp::{Idp, user};
use super::settings::Settings;

/// Calls that Jira has to see before what was under way a moment ago is over.
const ENOUGH: u64 = 60;

/// People, one after the other, until somebody says stop; how many there were.
async fn pushes(idp: Idp, writer: usize, stop: Arc<AtomicBool>) -> usize {
    let mut pushed = 0;
    while !stop.load(Ordering::SeqCst) {
        let name = format!("user.{writer}.{pushed}");
        let answer = idp.ask(&Method::POST, "/Users", Some(&user(&name, &name))).await.expect("an answer");
        assert_eq!(answer.status, 201, "{answer:?}");
        pushed += 1;
    }
    pushed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_replaced_in_its_file_under_load_costs_no_call_and_no_restart() {
    let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let mut calls = jira.subscribe();
    let home = Home::new();
    let file = home.folder().join("jira-token");
    std::fs::write(&file, jira.token()).unwrap();
    let inline = format!("token = \"{}\"", jira.token());
    let settings = Settings::new(&jira).text();
    assert!(settings.contains(&inline), "{settings}");
    home.configure(&settings.replace(&inline, &format!("token_file = \"{}\"", file.display())));
    let daemon = Daemon::start(&home).await;
    let (idp, stop) = (Idp::of(&daemon.url()), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> = (0..8).map(|n| tokio::spawn(pushes(idp.clone(), n, Arc::clone(&stop)))).collect();
    let later = async |calls: u64| {
        let until = jira.totals().calls + calls;
        eventually("more calls to Jira", async || (jira.totals().calls >= until).then_some(())).await;
    };
    later(ENOUGH).await;
    std::fs::write(&file, format!("{}\n", jira.issue_token(jira.admin()).unwrap())).unwrap();
    // It is looked at every five seconds, as the program has it.
    eventually("the daemon to read the file", async || daemon.log().text().contains("secret.replaced").then_some(()))
        .await;
    later(ENOUGH).await;
    jira.revoke_token(jira.token());
    later(ENOUGH).await;
    stop.store(true, Ordering::SeqCst);
    let mut pushed = 0;
    for writer in writers {
        pushed += writer.await.unwrap();
    }
    drained(&mut database(&home).await).await;
    assert_eq!(jira.accounts().len(), pushed + 1, "everybody, and the administrator");
    calls.close();
    while let Some(call) = calls.recv().await {
        assert!(!matches!(call.status, Some(401 | 403)), "{call:?}");
    }
}
