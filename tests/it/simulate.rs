//! The simulator against the real daemon, and the demo as a person runs it.

use std::process::{Command, Stdio};
use std::time::Duration;

use jira_scim::app::App;
use jira_scim::config::{Config, Pace, TargetConfig, TargetCredential, TargetKind};
use jira_scim::embedded::EmbeddedOptions;
use jira_scim::lifecycle::Lifecycle;
use jira_scim::sandbox::{Sandbox, SandboxOptions};
use jira_scim::secret::Secret;
use jira_scim::simulate::profile::Profile;
use jira_scim::simulate::session::Size;
use jira_scim::simulate::wire::Budget;
use jira_scim::simulate::{self, Options};
use jira_scim::store::tenant::{self, Mode, NewTenant, Origin};
use jira_scim::store::token::{self, NewToken};
use uuid::Uuid;

use super::postgres::{TestDb, fresh_database};

/// A daemon on a free port, with a Jira behind the tenant `acme`.
struct Daemon {
    app: App,
    life: Lifecycle,
    sandbox: Sandbox,
    token: String,
    _db: TestDb,
}

impl Daemon {
    async fn start() -> Self {
        let db = fresh_database().await;
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let mut config = Config::defaults();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.database.url = Some(Secret::new(db.url.clone()));
        config.limits.requests_per_second = 0;
        config.targets = vec![TargetConfig {
            name: "jira".to_owned(),
            kind: TargetKind::DataCenter,
            url: sandbox.base_url().to_owned(),
            credential: TargetCredential::Token(Secret::new(sandbox.token())),
            timeout: Duration::from_secs(10),
            late: Duration::from_secs(60),
            pace: Pace { concurrency: 8, per_second: 0 },
            ca_file: None,
            notify: false,
        }];
        let life = Lifecycle::new();
        let app = App::start(config, life.clone()).await.unwrap();
        let mut conn = app.store().pool().acquire().await.unwrap();
        let origin = Origin { actor: "test", request_id: Uuid::now_v7(), at: chrono::Utc::now() };
        let new = NewTenant {
            slug: "acme".into(),
            target: "jira".into(),
            mode: Mode::Enforce,
            policy: serde_json::json!({}),
        };
        let tenant = tenant::create(&mut conn, Uuid::now_v7(), &new, origin).await.unwrap();
        let fresh = NewToken::generate();
        token::create(&mut *conn, tenant.id, Uuid::now_v7(), "okta", fresh.hash(), None, origin).await.unwrap();
        drop(conn);
        Self { app, life, sandbox, token: fresh.reveal().to_owned(), _db: db }
    }

    fn options(&self, profile: Profile) -> Options {
        Options {
            profile,
            url: format!("{}/scim/acme/v2", self.app.base_url()),
            token: Secret::new(self.token.as_str()),
            extra_ca: None,
            size: Size { users: 30, groups: 3, keep: false },
            connections: 4,
            seed: 0,
            budget: Budget::default(),
            progress: false,
        }
    }

    async fn stop(self) {
        self.life.shutdown();
        self.app.finish().await;
    }
}

async fn a_session_is_clean(profile: Profile) {
    let daemon = Daemon::start().await;
    // The first meets nobody, the second those whom the first left behind, switched off.
    for round in ["first", "second"] {
        let report = simulate::run(daemon.options(profile)).await.unwrap();
        assert!(report.is_clean(), "{round}\n{report}");
        assert!(report.requests() > 100, "{round}\n{report}");
    }
    let accounts = daemon.sandbox.accounts();
    assert_eq!(accounts.len(), 31, "thirty people and the administrator");
    daemon.stop().await;
}

#[tokio::test]
async fn an_okta_catalogue_app_has_nothing_to_complain_about() {
    a_session_is_clean(Profile::Okta).await;
}

#[tokio::test]
async fn an_okta_private_app_has_nothing_to_complain_about() {
    a_session_is_clean(Profile::OktaPrivate).await;
}

#[tokio::test]
async fn a_session_stops_when_its_budget_is_spent() {
    let daemon = Daemon::start().await;
    let budget = Budget { requests: Some(50), duration: None };
    let report = simulate::run(Options { budget, ..daemon.options(Profile::Okta) }).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert!((50..54).contains(&report.requests()), "each connection may have one more under way\n{report}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_wrong_token_and_a_server_that_speaks_no_scim_are_complained_about() {
    let daemon = Daemon::start().await;
    let stranger = Options { token: Secret::new("jst_wrong"), ..daemon.options(Profile::Okta) };
    let report = simulate::run(stranger).await.unwrap();
    assert!(report.complaints[0].what.contains("status 401 instead of 200"), "{report}");
    let jira = Options { url: daemon.sandbox.base_url().to_owned(), ..daemon.options(Profile::Okta) };
    assert!(!simulate::run(jira).await.unwrap().is_clean());
    daemon.stop().await;
}

#[tokio::test]
async fn the_demo_ends_well_without_a_terminal_and_with_standard_input_closed() {
    // A folder that the private PostgreSQL's user can enter, and another to be in.
    let data_dir = EmbeddedOptions::throwaway().data_dir;
    let elsewhere = tempfile::tempdir().unwrap();
    let mut demo = Command::new("sh");
    demo.args(["-c", "exec \"$0\" demo --once --data-dir \"$1\" <&-", env!("CARGO_BIN_EXE_jira-scim")])
        .arg(&data_dir)
        .current_dir(elsewhere.path())
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || demo.output().unwrap()).await.unwrap();
    let _ = std::fs::remove_dir_all(&data_dir);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("POST /jira/rest/api/2/user ") && out.contains("They agree: 20 accounts"), "{out}{err}");
    assert!(!out.contains('\u{1b}'), "colours without a terminal");
}
