//! The simulator against the real daemon, and the demo as a person runs it.

use std::process::{Command, Stdio};
use std::sync::Arc;

use jira_scim::account::{AccountId, SeenAccount};
use jira_scim::app::App;
use jira_scim::config::{Config, Pace, TargetConfig, TargetCredential, TargetKind};
use jira_scim::embedded::EmbeddedOptions;
use jira_scim::lifecycle::Lifecycle;
use jira_scim::sandbox::{NewAccount, Sandbox, SandboxOptions};
use jira_scim::scim;
use jira_scim::secret::Secret;
use jira_scim::simulate::check::Protocol;
use jira_scim::simulate::client::{self, Service};
use jira_scim::simulate::people::Person;
use jira_scim::simulate::profile::{Group, Member, Movement, Profile, okta};
use jira_scim::simulate::report::Report;
use jira_scim::simulate::session::{Ending, Size};
use jira_scim::simulate::wire::{Budget, Recorder, Wire};
use jira_scim::simulate::{self, Credential, Options};
use jira_scim::store::seed::{self, SeedUser};
use jira_scim::store::tenant::{self, Mode, NewTenant, Origin};
use jira_scim::store::token::{self, NewToken};
use serde_json::Value;
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
        config.admin.listen = None;
        config.database.url = Some(Secret::new(db.url.clone()));
        config.limits.requests_per_second = 0;
        let credential = TargetCredential::Token(Secret::new(sandbox.token()));
        let target = TargetConfig::new("jira", TargetKind::DataCenter, sandbox.base_url(), credential);
        config.targets = vec![TargetConfig { pace: Pace { concurrency: 8, per_second: 0 }, ..target }];
        let life = Lifecycle::new();
        let app = App::start(config, life.clone()).await.unwrap();
        let mut conn = app.store().pool().acquire().await.unwrap();
        let origin = Origin { actor: "test", request_id: Uuid::now_v7(), at: chrono::Utc::now() };
        let new = NewTenant {
            slug: "acme".into(),
            target: "jira".into(),
            mode: Mode::Enforce,
            // A session ends with everybody leaving.
            policy: serde_json::json!({"brake": {"enabled": false}}),
        };
        let tenant = tenant::create(&mut conn, Uuid::now_v7(), &new, origin).await.unwrap();
        let fresh = NewToken::generate();
        token::create(
            &mut *conn,
            tenant.id,
            Uuid::now_v7(),
            token::NewCredential::bearer("okta", fresh.hash(), None),
            origin,
        )
        .await
        .unwrap();
        drop(conn);
        Self { app, life, sandbox, token: fresh.reveal().to_owned(), _db: db }
    }

    fn options(&self, profile: Profile) -> Options {
        Options {
            profile,
            url: format!("{}/scim/acme/{}", self.app.base_url(), version(profile)),
            credential: Credential::Token(Secret::new(self.token.as_str())),
            extra_ca: None,
            size: Size { users: 20, groups: 2, ending: Ending::Usual },
            connections: 4,
            seed: 7,
            budget: Budget::default(),
            progress: false,
        }
    }

    /// A name and a password for HTTP Basic (OPP-10).
    async fn basic(&self) -> Credential {
        let mut conn = self.app.store().pool().acquire().await.unwrap();
        let tenant = tenant::get(&mut *conn, "acme").await.unwrap().unwrap();
        let origin = Origin { actor: "test", request_id: Uuid::now_v7(), at: chrono::Utc::now() };
        let fresh = NewToken::generate();
        let bearer = token::NewCredential::bearer("agent", fresh.hash(), None);
        let new = token::NewCredential { username: Some("agent"), ..bearer };
        token::create(&mut *conn, tenant.id, Uuid::now_v7(), new, origin).await.unwrap();
        Credential::Basic { user: "agent".to_owned(), password: Secret::new(fresh.reveal()) }
    }

    async fn play(&self, options: Options) -> Report {
        simulate::run(options, std::future::pending()).await.unwrap()
    }

    async fn stop(self) {
        self.life.shutdown();
        self.app.finish().await;
    }
}

fn version(profile: Profile) -> &'static str {
    match profile.idp().manner().protocol {
        Protocol::V1 => "v1",
        Protocol::V2 => "v2",
    }
}

/// Twice: the first meets nobody, the second those whom the first left behind, switched off or deleted.
async fn a_session_is_clean(profile: Profile) {
    let daemon = Daemon::start().await;
    let mut options = daemon.options(profile);
    if profile == Profile::OktaOpp {
        options.credential = daemon.basic().await;
    }
    let mut leaves_people = false;
    for round in ["first", "second"] {
        let report = daemon.play(options.clone()).await;
        assert!(report.is_clean(), "{round}\n{report}");
        assert!(report.requests() > 100, "{round}\n{report}");
        assert_eq!((report.left.groups, report.left.active_users), (0, 0), "{round}\n{report}");
        leaves_people = report.left.inactive_users > 0;
    }
    let active = daemon.sandbox.accounts().iter().filter(|account| account.active).count();
    assert_eq!(active, 1, "the administrator alone");
    assert_eq!(leaves_people, !profile.idp().deletes_users());
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
async fn entra_has_nothing_to_complain_about_with_its_flag() {
    a_session_is_clean(Profile::Entra).await;
}

#[tokio::test]
async fn entra_has_nothing_to_complain_about_without_its_flag() {
    a_session_is_clean(Profile::EntraLegacy).await;
}

#[tokio::test]
async fn google_has_nothing_to_complain_about() {
    a_session_is_clean(Profile::Google).await;
}

#[tokio::test]
async fn onelogin_has_nothing_to_complain_about() {
    a_session_is_clean(Profile::Onelogin).await;
}

#[tokio::test]
async fn pingone_has_nothing_to_complain_about() {
    a_session_is_clean(Profile::Pingone).await;
}

#[tokio::test]
async fn pingfederate_has_nothing_to_complain_about() {
    a_session_is_clean(Profile::Pingfederate).await;
}

#[tokio::test]
async fn jumpcloud_has_nothing_to_complain_about() {
    a_session_is_clean(Profile::Jumpcloud).await;
}

#[tokio::test]
async fn keycloak_has_nothing_to_complain_about() {
    a_session_is_clean(Profile::Keycloak).await;
}

#[tokio::test]
async fn authentik_has_nothing_to_complain_about() {
    a_session_is_clean(Profile::Authentik).await;
}

#[tokio::test]
async fn one_identity_has_nothing_to_complain_about() {
    a_session_is_clean(Profile::OneIdentity).await;
}

#[tokio::test]
async fn an_okta_of_scim_1_1_has_nothing_to_complain_about() {
    a_session_is_clean(Profile::OktaV1).await;
}

#[tokio::test]
async fn oktas_on_premises_agent_has_nothing_to_complain_about() {
    a_session_is_clean(Profile::OktaOpp).await;
}

#[tokio::test]
async fn a_client_made_for_slack_has_nothing_to_complain_about() {
    a_session_is_clean(Profile::Slack).await;
}

#[tokio::test]
async fn a_session_stops_when_its_budget_is_spent() {
    let daemon = Daemon::start().await;
    let budget = Budget { requests: Some(50), duration: None };
    let size = Size { users: 30, groups: 3, ending: Ending::Keep };
    let report = daemon.play(Options { budget, size, ..daemon.options(Profile::Okta) }).await;
    assert!(report.is_clean(), "{report}");
    assert!((50..54).contains(&report.requests()), "each connection may have one more under way\n{report}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_session_that_is_ended_early_cleans_up_all_the_same() {
    let daemon = Daemon::start().await;
    let size = Size { users: 30, groups: 3, ending: Ending::Purge };
    let budget = Budget { requests: Some(50), duration: None };
    let report = daemon.play(Options { budget, size, ..daemon.options(Profile::Okta) }).await;
    assert!(report.is_clean() && report.left.is_nothing() && report.left.deleted > 10, "{report}");
    let stopped = Options { size, seed: 8, ..daemon.options(Profile::Okta) };
    let report = simulate::run(stopped, std::future::ready(())).await.unwrap();
    assert!(report.is_clean() && report.left.is_nothing(), "{report}");
    daemon.stop().await;
}

/// Seed 0 gives names without a mark: whoever has one was not made by a simulator.
#[tokio::test]
async fn who_was_there_before_is_left_alone() {
    let daemon = Daemon::start().await;
    seed_three(&daemon).await;
    let before = daemon.app.store().clone();
    let rows = users_as_they_are(&before).await;
    let size = Size { users: 5, groups: 2, ending: Ending::Purge };
    let report = daemon.play(Options { size, seed: 0, ..daemon.options(Profile::Entra) }).await;
    assert_eq!(report.left.left_alone, 3, "{report}");
    assert!(report.is_clean() && report.left.is_nothing(), "{report}");
    assert_eq!(users_as_they_are(&before).await, rows);
    let nobody = Size { users: 3, ..size };
    let report = daemon.play(Options { size: nobody, seed: 0, ..daemon.options(Profile::Entra) }).await;
    assert!(report.complaints[0].what.contains("nobody could be assigned"), "{report}");
    daemon.stop().await;
}

/// Id, version and state of everybody who is there.
async fn users_as_they_are(store: &jira_scim::store::Store) -> Vec<(Uuid, i64, bool)> {
    sqlx::query_as("SELECT id, version, active FROM scim_user WHERE deleted_at IS NULL ORDER BY id")
        .fetch_all(store.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_wrong_token_and_a_server_that_speaks_no_scim_are_complained_about() {
    let daemon = Daemon::start().await;
    let wrong = Credential::Token(Secret::new("jst_wrong"));
    let report = daemon.play(Options { credential: wrong, ..daemon.options(Profile::Okta) }).await;
    assert!(report.complaints[0].what.contains("status 401 instead of 200"), "{report}");
    assert_eq!(report.complaints[0].cites, "OKTA-4, F-18");
    let jira = Options { url: daemon.sandbox.base_url().to_owned(), ..daemon.options(Profile::Okta) };
    assert!(!daemon.play(jira).await.is_clean());
    daemon.stop().await;
}

#[tokio::test]
async fn the_demo_ends_well_without_a_terminal_and_with_standard_input_closed() {
    let out = demo_of("data-center").await;
    assert!(out.contains("POST /jira/rest/api/2/user ") && out.contains("They agree: 20 accounts"), "{out}");
}

#[tokio::test]
async fn the_demo_tells_the_same_story_with_jira_align() {
    let out = demo_of("align").await;
    assert!(out.contains("POST /rest/align/api/2/Users ") && out.contains("They agree: 20 accounts"), "{out}");
}

#[tokio::test]
async fn the_demo_tells_the_same_story_with_jira_cloud() {
    let out = demo_of("cloud").await;
    assert!(out.contains("/users/invite ") && out.contains("They agree: 20 accounts"), "{out}");
}

#[tokio::test]
async fn the_demo_reads_a_directory_and_shows_what_comes_of_it() {
    let out = demo_of("data-center --source ldap").await;
    assert!(out.contains("POST /jira/rest/api/2/user ") && out.contains("Jira was not called."), "{out}");
    assert!(out.contains("Jira agrees: 13 accounts (12 active)") && out.contains("changes only: "), "{out}");
}

/// Plays the demo once, to a good end; what it prints.
async fn demo_of(target: &str) -> String {
    // A folder that the private PostgreSQL's user can enter, and another to be in.
    let data_dir = EmbeddedOptions::throwaway().data_dir;
    let elsewhere = tempfile::tempdir().unwrap();
    let mut demo = Command::new("sh");
    demo.args(["-c", "exec \"$0\" demo --once --data-dir \"$1\" --target $2 <&-", env!("CARGO_BIN_EXE_jira-scim")])
        .arg(&data_dir)
        .arg(target)
        .current_dir(elsewhere.path())
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || demo.output().unwrap()).await.unwrap();
    let _ = std::fs::remove_dir_all(&data_dir);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(!out.contains('\u{1b}'), "colours without a terminal");
    out.into_owned()
}

/// What an Okta would have seen of them, and what Jira has.
#[tokio::test]
async fn seeded_people_are_as_if_they_had_come_over_scim() {
    let daemon = Daemon::start().await;
    let seeded = seed_three(&daemon).await;
    let base = format!("{}/scim/acme/v2", daemon.app.base_url());
    let idp = Profile::Okta.idp();
    let headers = client::headers(&idp.headers(), &idp.authorization(&daemon.token)).unwrap();
    let recorder = Arc::new(Recorder::new(Budget::default()));
    let service = Arc::new(Service::new(&base, None).unwrap());
    let mut wire = Wire::new(service, headers, recorder.clone(), idp.patience());

    let (ids, complete) = idp.import_users(&mut wire, 1).await.unwrap();
    assert!(complete && ids.len() == 3, "the totals are right: {ids:?}");
    let members: Vec<Member> = (0..3)
        .map(|number| Member {
            id: seeded.users[number].to_string(),
            user_name: Person::new(0, number as u64).user_name,
        })
        .collect();
    let group = Group { id: seeded.group.to_string(), name: "Crew".to_owned() };
    idp.verify_members(&mut wire, &group, &members[..2]).await.unwrap();
    let movement = Movement { all: &members[1..], joining: &members[2..], leaving: &members[..1] };
    idp.move_members(&mut wire, &group, movement).await.unwrap();
    idp.set_active(&mut wire, &members[1].id, &Person::new(0, 1), false).await.unwrap();
    assert!(recorder.report().is_clean(), "{}", recorder.report());

    let name = |number: u64| Person::new(0, number).user_name;
    assert_eq!(daemon.sandbox.members("Crew"), [name(1), name(2)]);
    assert!(!daemon.sandbox.account(&name(1)).unwrap().active);
    let about_people = |operation: &String| operation.ends_with("/user");
    let mut calls: Vec<String> =
        daemon.sandbox.journal().iter().map(|call| call.operation()).filter(about_people).collect();
    calls.sort();
    assert_eq!(calls, ["DELETE /group/user", "POST /group/user", "PUT /user"], "one call for each change, and no look");
    daemon.stop().await;
}

struct Three {
    users: Vec<Uuid>,
    group: Uuid,
}

/// As the daemon keeps what Okta sends.
fn seed_user(person: &Person, key: &str) -> SeedUser {
    let Value::Object(mut attrs) = okta::new_user(person) else { panic!("a user is an object") };
    for name in ["schemas", "groups", "password"] {
        attrs.remove(name);
    }
    let folded = scim::folded(scim::user(), &attrs);
    let account = SeenAccount {
        id: AccountId(key.to_owned()),
        username: person.user_name.clone(),
        email: Some(person.user_name.clone()),
        display_name: person.display_name(),
        active: true,
        ..SeenAccount::default()
    };
    SeedUser { id: Uuid::now_v7(), attrs, folded, account }
}

/// Three people with accounts, two of them in a group.
async fn seed_three(daemon: &Daemon) -> Three {
    daemon.sandbox.add_group("Crew").unwrap();
    let mut conn = daemon.app.store().pool().acquire().await.unwrap();
    let tenant = tenant::get(&mut *conn, "acme").await.unwrap().unwrap();
    let mut users = Vec::new();
    for number in 0..3 {
        let person = Person::new(0, number);
        let new = NewAccount {
            email: person.user_name.clone(),
            display_name: person.display_name(),
            ..NewAccount::named(&person.user_name)
        };
        let key = daemon.sandbox.add_account(&new).unwrap();
        if number < 2 {
            daemon.sandbox.add_member("Crew", &person.user_name).unwrap();
        }
        users.push(seed_user(&person, &key));
    }
    let ids: Vec<Uuid> = users.iter().map(|user| user.id).collect();
    seed::users(&mut conn, tenant.id, "jira", &users).await.unwrap();
    let group = Uuid::now_v7();
    seed::group(&mut conn, tenant.id, group, "Crew", &ids[..2]).await.unwrap();
    Three { users: ids, group }
}
