//! What the IdP hears of what Jira says.

use std::time::Duration;

use axum::http::Method;
use jira_scim::sandbox::{Fault, JournalEntry, Sandbox, SandboxOptions};
use serde_json::json;

use super::http_app::App;

#[tokio::test]
async fn a_user_that_is_answered_201_is_in_jira() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let app = App::with_jira(&sandbox).await;
    app.user("ada").await;
    assert!(sandbox.account("ada").is_some());
}

#[tokio::test]
async fn what_jira_refuses_is_the_clients_error_and_is_undone() {
    let sandbox = Sandbox::start(SandboxOptions::default().with_seats(1)).await.unwrap();
    let app = App::with_jira(&sandbox).await;
    app.user("ada").await;
    let refused = app.post("/Users", json!({"userName": "bob"})).await;
    assert!(matches!(refused.status, 400 | 409), "{refused:?}");
    assert!(!refused.detail().is_empty());
    assert_eq!(app.get("/Users?filter=userName+eq+%22bob%22").await.is(200).body["totalResults"], 0);
}

#[tokio::test]
async fn a_deactivation_that_jira_refuses_is_told_and_stays_desired() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let app = App::with_jira(&sandbox).await;
    let path = format!("/Users/{}", app.user("ada").await);
    sandbox.make_lead("ada", "OPS").unwrap();
    app.patch(&path, json!([{"op": "replace", "path": "active", "value": false}])).await.refuses(400, "invalidValue");
    assert_eq!(app.get(&path).await.is(200).body["active"], false);
}

#[tokio::test]
async fn a_jira_that_is_away_is_no_problem_of_the_clients() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let app = App::with_jira(&sandbox).await;
    sandbox.stop().await.unwrap();
    let path = format!("/Users/{}", app.user("ada").await);
    app.get(&path).await.is(200);
    let health = app.raw(Method::GET, "/healthz").send().await.is(200);
    assert_eq!(health.body["state"], "degraded");
    app.raw(Method::GET, "/readyz").send().await.is(200);
}

#[tokio::test]
async fn a_client_that_hangs_up_stops_nothing() {
    let sandbox = Sandbox::start(SandboxOptions::default().with_seats(1)).await.unwrap();
    let app = App::with_jira(&sandbox).await;
    app.user("ada").await;
    sandbox.inject(Fault::delay(Duration::from_millis(200)).on("POST /user"));
    tokio::select! {
        answer = app.post("/Users", json!({"userName": "bob"})) => panic!("answered too early: {answer:?}"),
        _ = sandbox.until_call(is_about_bob) => {}
    }
    // The refusal comes after the client has gone, and is undone all the same.
    tokio::time::timeout(Duration::from_secs(10), undone(&app)).await.unwrap();
    assert_eq!(app.get("/Users?filter=userName+eq+%22bob%22").await.is(200).body["totalResults"], 0);
}

async fn undone(app: &App) {
    let undone = "SELECT EXISTS (SELECT FROM audit WHERE action = 'undo')";
    while !sqlx::query_scalar::<_, bool>(undone).fetch_one(app.store.pool()).await.unwrap() {}
}

fn is_about_bob(call: &JournalEntry) -> bool {
    call.method == "POST" && call.body.as_ref().is_some_and(|body| body.get().contains("bob"))
}
