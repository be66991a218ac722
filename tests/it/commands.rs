//! The commands as a person runs them: what they print and their exit codes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use jira_scim::config::TlsFiles;
use jira_scim::lifecycle::Lifecycle;
use jira_scim::listen::{ListenOptions, Tls, serve};
use tokio::net::TcpListener;

fn command(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jira-scim"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JIRA_SCIM")) {
        command.env_remove(name);
    }
    command
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn check_config_says_ok_or_each_problem_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(command(&["check-config"], folder.path())).await;
    assert_eq!(said(&output), (Some(0), "ok".into(), String::new()));

    let file =
        "[server]\nlistn = 'x'\n[writer]\npoll = 'x'\n[[target]]\nname = 'jira'\nurl = 'http://jira'\ntoken = 't'\n";
    std::fs::write(folder.path().join("jira-scim.toml"), file).unwrap();
    let (code, out, err) = said(&run(command(&["check-config"], folder.path())).await);
    assert_eq!((code, out.as_str(), err.lines().count()), (Some(3), "", 2), "{err}");
    assert!(err.contains("server.listn (in jira-scim.toml) is not a known key; did you mean server.listen?"), "{err}");
}

#[tokio::test]
async fn check_config_looks_into_policies_and_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let file = "[server]\ntls_certificate_file = 'none'\ntls_key_file = 'none'\n\
                [[target]]\nname = 'jira'\nurl = 'http://jira'\ntoken = 't'\n\
                [[tenant]]\nslug = 'okta'\ntarget = 'jira'\npolicy = { adpot = 'off' }\n";
    std::fs::write(folder.path().join("jira-scim.toml"), file).unwrap();
    let (code, _, err) = said(&run(command(&["check-config"], folder.path())).await);
    assert_eq!(code, Some(3));
    assert!(err.contains("adpot") && err.contains("server.tls_certificate_file"), "{err}");
}

#[tokio::test]
async fn check_config_knows_which_fields_an_account_of_each_kind_has() {
    for (kind, more, field, fits) in [
        ("data-center", "token = 't'", "first-name", true),
        ("data-center", "token = 't'", "roleId", false),
        ("cloud", "user = 'a@b.example'\ntoken = 't'", "job_title", true),
        ("cloud", "user = 'a@b.example'\ntoken = 't'", "jobTitle", false),
        ("align", "token = 't'", "roleId", true),
        ("align", "token = 't'", "roleid", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = format!(
            "[[target]]\nname = 'jira'\nkind = '{kind}'\nurl = 'http://jira'\n{more}\n\
             [[tenant]]\nslug = 'okta'\ntarget = 'jira'\npolicy.account.fields.{field} = '{{{{ title }}}}'\n"
        );
        std::fs::write(folder.path().join("jira-scim.toml"), file).unwrap();
        let (code, _, err) = said(&run(command(&["check-config"], folder.path())).await);
        assert_eq!(code, Some(if fits { 0 } else { 3 }), "{kind} {field}: {err}");
        assert!(fits || err.contains(field), "{err}");
    }
}

#[tokio::test]
async fn wrong_usage_is_two() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(command(&["no-such-command"], folder.path())).await.status.code(), Some(2));
}

/// A daemon's health page, with an answer of our choice.
async fn page(status: StatusCode, tls: Option<Tls>) -> (String, Lifecycle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let setting = format!("server.listen={}", listener.local_addr().unwrap());
    let mut options =
        ListenOptions::from_config(&jira_scim::config::Config::defaults().server, |_| Default::default()).unwrap();
    options.tls = tls;
    let life = Lifecycle::new();
    let router = Router::new().route("/readyz", get(async move || status));
    life.spawn("listener", serve(listener, router, options, life.clone()));
    (setting, life)
}

#[tokio::test]
async fn healthcheck_asks_whether_the_daemon_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let (ready, _life) = page(StatusCode::OK, None).await;
    let (code, _, err) = said(&run(command(&["healthcheck", "--set", &ready], folder.path())).await);
    assert_eq!(code, Some(0), "{err}");
    let (busy, life) = page(StatusCode::SERVICE_UNAVAILABLE, None).await;
    let (code, _, err) = said(&run(command(&["healthcheck", "--set", &busy], folder.path())).await);
    assert!(code == Some(1) && err.contains("503"), "{err}");
    life.shutdown();
    life.finish(std::time::Duration::from_secs(60)).await;
    assert_eq!(run(command(&["healthcheck", "--set", &busy], folder.path())).await.status.code(), Some(1));
}

#[tokio::test]
async fn healthcheck_speaks_tls_with_our_own_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(["scim.example".to_owned()]).unwrap();
    let files = TlsFiles { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
    std::fs::write(&files.certificate, own.cert.pem()).unwrap();
    std::fs::write(&files.key, own.signing_key.serialize_pem()).unwrap();
    let (setting, _life) = page(StatusCode::OK, Some(Tls::load(&files).unwrap())).await;
    let arguments = [
        "healthcheck",
        "--set",
        &setting,
        "--set",
        "server.tls_certificate_file=tls.crt",
        "--set",
        "server.tls_key_file=tls.key",
    ];
    let (code, _, err) = said(&run(command(&arguments, folder.path())).await);
    assert_eq!(code, Some(0), "{err}");
}

#[tokio::test]
async fn migrate_brings_an_empty_database_up_to_date_and_repeats_itself() {
    let folder = tempfile::tempdir().unwrap();
    let database = crate::postgres::empty_database().await;
    for _ in 0..2 {
        let mut migrate = command(&["migrate"], folder.path());
        migrate.env("JIRA_SCIM__DATABASE__URL", &database.url);
        let (code, out, err) = said(&run(migrate).await);
        assert_eq!((code, out.as_str()), (Some(0), "the schema is up to date"), "{err}");
    }
    let tenants: i64 =
        sqlx::query_scalar("SELECT count(*) FROM tenant").fetch_one(&database.pool().await).await.unwrap();
    assert_eq!(tenants, 0);
}
