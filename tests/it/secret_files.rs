//! The daemon's own secret at a Jira is replaced in its file, while people are pushed: nothing fails, and nothing is restarted.

use std::time::Duration;

use jira_scim::jira::{self, ClientOptions, Credential};
use jira_scim::sandbox::{Sandbox, SandboxOptions};
use serde_json::json;

use super::http_app::App;

/// A Jira whose token is in a file, and the app before it.
async fn with_file(folder: &tempfile::TempDir, look: Duration) -> (Sandbox, App, std::path::PathBuf) {
    let sandbox = Sandbox::start(SandboxOptions { applications: vec![], ..SandboxOptions::default() }).await.unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{}\n", sandbox.token())).unwrap();
    let credential = Credential::Bearer(sandbox.token().to_owned());
    let mut options = ClientOptions::new(sandbox.base_url().parse().unwrap(), credential);
    options.expected_user = Some(sandbox.admin().to_owned());
    (options.secret_file, options.secret_look) = (Some(file.clone()), look);
    let target = jira::target(jira::Options::DataCenter(jira::DataCenterOptions::new(options))).unwrap();
    let app = App::before(target, json!({}), Duration::from_secs(10)).await;
    (sandbox, app, file)
}

fn statuses(sandbox: &Sandbox) -> Vec<u16> {
    sandbox.journal().iter().filter_map(|entry| entry.status).collect()
}

async fn paused(app: &App) -> i64 {
    let sql = "SELECT count(*) FROM target_state WHERE failures > 0";
    sqlx::query_scalar(sql).fetch_one(app.store.pool()).await.unwrap()
}

#[tokio::test]
async fn a_secret_that_is_replaced_before_the_old_one_ends_costs_no_call() {
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, app, file) = with_file(&folder, Duration::ZERO).await;
    for n in 0..12 {
        if n == 4 {
            std::fs::write(&file, sandbox.issue_token(sandbox.admin()).unwrap()).unwrap();
        }
        if n == 8 {
            sandbox.revoke_token(sandbox.token());
        }
        app.user(&format!("user{n}")).await;
    }
    assert_eq!(app.open().await, 0);
    assert!((0..12).all(|n| sandbox.account(&format!("user{n}")).is_some()));
    assert!(statuses(&sandbox).iter().all(|status| *status != 401), "{:?}", statuses(&sandbox));
    assert_eq!(paused(&app).await, 0);
}

#[tokio::test]
async fn a_secret_that_ended_before_anybody_looked_is_read_again_and_the_call_is_made_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, app, file) = with_file(&folder, Duration::from_secs(3600)).await;
    app.user("before").await;
    std::fs::write(&file, sandbox.issue_token(sandbox.admin()).unwrap()).unwrap();
    sandbox.revoke_token(sandbox.token());
    for name in ["after", "later"] {
        app.user(name).await;
    }
    assert_eq!(app.open().await, 0, "both were written while their requests waited");
    assert!(["before", "after", "later"].iter().all(|name| sandbox.account(name).is_some()));
    assert_eq!(statuses(&sandbox).iter().filter(|status| **status == 401).count(), 1);
    assert_eq!(paused(&app).await, 0);
}

#[tokio::test]
async fn a_file_that_is_empty_or_gone_for_a_moment_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, app, file) = with_file(&folder, Duration::ZERO).await;
    std::fs::write(&file, "\n").unwrap();
    app.user("ann").await;
    std::fs::remove_file(&file).unwrap();
    app.user("bob").await;
    std::fs::write(&file, "two\nlines").unwrap();
    app.user("eve").await;
    assert!(["ann", "bob", "eve"].iter().all(|name| sandbox.account(name).is_some()));
    assert_eq!(paused(&app).await, 0);
}
