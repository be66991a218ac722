//! What keeps a daemon from starting is said in a sentence; what does not keep it is shown.

use jira_scim::sandbox::{Sandbox, SandboxOptions};
use reqwest::Method;
use serde_json::Value;

use super::daemon::{Daemon, Home, eventually};
use super::idp::{Idp, TOKEN};
use super::settings::Settings;

/// Starts a daemon that must not come up: its exit code and what it said that is no log line.
async fn refused(home: &Home) -> (Option<i32>, String) {
    let mut daemon = Daemon::spawn(home);
    let code = daemon.ended().await.code();
    let plain = |line: &String| !line.starts_with('{');
    let said = eventually("its last words", async || {
        let said: Vec<String> = daemon.log().lines().into_iter().filter(plain).collect();
        (!said.is_empty()).then(|| said.join("\n"))
    });
    (code, said.await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_configuration_is_three_and_a_sentence() {
    let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let right = Settings::new(&jira).text();
    let table = [
        (right.replace("settle =", "setle ="), "writer.setle", "did you mean writer.settle?"),
        (right.replace(TOKEN, "short"), "tenant.0.token.0.value", "32"),
        (
            right.replace(&format!("token = \"{}\"", jira.token()), "token_file = \"none\""),
            "target.0.token_file",
            "none",
        ),
        (right.replace("target = \"jira\"", "target = \"other\""), "tenant.0.target", "\"other\""),
    ];
    for (text, key, hint) in table {
        let home = Home::new();
        home.configure(&text);
        let (code, said) = refused(&home).await;
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(key) && said.contains(hint), "{said}");
        assert!(!said.contains("short"), "a secret is not repeated: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_or_a_data_directory_in_use_is_one_and_a_sentence_and_disturbs_nobody() {
    let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let home = Home::new();
    let text = Settings::new(&jira).text();
    home.configure(&text);
    let daemon = Daemon::start(&home).await;
    let (code, said) = refused(&home).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("another jira-scim (process ") && said.contains("uses the data directory"), "{said}");

    let other = Home::new();
    let taken = daemon.url().replace("http://", "");
    other.configure(&text.replace("127.0.0.1:0", &taken));
    let (code, said) = refused(&other).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("cannot listen on {taken}")), "{said}");
    assert_eq!(other.processes(), [] as [i32; 0], "its PostgreSQL ended with it");
    Idp::of(&daemon.url()).user("ann").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_jira_refuses_is_shown_and_the_idp_is_served_all_the_same() {
    let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let wrong = "a-token-that-was-revoked";
    let settings = Settings { jira: (jira.base_url().to_owned(), wrong.to_owned()), ..Settings::new(&jira) };
    let home = Home::new();
    home.configure(&settings.text());
    let daemon = Daemon::start(&home).await;
    let idp = Idp::of(&daemon.url());
    idp.user("ann").await;
    let target: Value = eventually("the refusal on the health page", async || {
        let health = idp.raw(&Method::GET, "/healthz", "", None).await?;
        assert_eq!(health.status, 200, "a Jira that is away does not take the daemon down");
        Some(health.body["targets"][0].clone()).filter(|target| target["state"] == "paused")
    })
    .await;
    assert_eq!(target["pause_kind"], "denied", "{target}");
    assert!(target["last_error"].as_str().is_some_and(|text| text.len() > 10), "{target}");
    assert!(!target.to_string().contains(wrong) && !daemon.log().text().contains(wrong));
    let stranger = idp.raw(&Method::GET, "/scim/acme/v2/Users", "not-the-token-at-all-0123456789-0123", None).await;
    assert_eq!(stranger.unwrap().status, 401);
    assert!(!daemon.log().text().contains(TOKEN));
}
