//! Stories through the whole program: SCIM requests to the real router, the writer, and a Jira Align. Each says what Jira
//! Align was asked, call by call; the table at the end of `docs/targets/align.md` is held to these numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jira_scim::jira::{Align, AlignOptions as Settings, ClientOptions, Credential, MatchOn};
use jira_scim::sandbox::{AlignOptions, AlignRules, AlignSandbox, AlignUser, CONNECTOR_ROLE, Fault, VIEWER_ROLE};
use jira_scim::writer::TargetOptions;
use jira_scim::writer::pace::PaceOptions;
use serde_json::{Value, json};

use crate::http_app::{App, Make};

const LOOK: &str = "GET /Users";
const CREATE: &str = "POST /Users";
const CHANGE: &str = "PATCH /Users/{id}";
const BACK: &str = "GET /Users/{id}";

/// The daemon, and the Jira Align behind tenant `acme`.
struct Stage {
    app: App,
    jira: AlignSandbox,
    told: AtomicUsize,
}

impl Stage {
    async fn set() -> Self {
        Self::like(AlignOptions::default(), policy(), |_| ()).await
    }

    async fn like(options: AlignOptions, policy: Value, settings: impl FnOnce(&mut Settings)) -> Self {
        let jira = AlignSandbox::start(options).await.unwrap();
        let timeout = Duration::from_millis(1500);
        let credential = Credential::Bearer(jira.token().to_owned());
        let mut client = ClientOptions::new(jira.base_url().parse().unwrap(), credential);
        client.timeout = timeout;
        let mut made = Settings::new(client);
        settings(&mut made);
        let target = TargetOptions {
            name: "jira".into(),
            target: Arc::new(Align::new(made).unwrap()),
            pace: PaceOptions { concurrency: 4, per_second: 0.0 },
            timeout,
            late: Duration::from_secs(60),
            expiries: Vec::new(),
        };
        let app = App::over(Make { policy, timeout, ..Make::default() }, target).await;
        Self { app, jira, told: AtomicUsize::new(0) }
    }

    /// The calls since the last time, without the looks at the token's owner, which belong to no request: the daemon asks
    /// who it is before its first call and after each pause.
    fn told(&self) -> Vec<String> {
        let journal = self.jira.journal();
        let told = self.told.swap(journal.len(), Ordering::SeqCst);
        let own = format!("/Users/{}", self.jira.owner());
        journal.iter().skip(told).filter(|entry| !entry.path.ends_with(&own)).map(|entry| entry.operation()).collect()
    }

    /// Exactly these calls were made since the last time.
    #[track_caller]
    fn cost(&self, calls: &[&str]) {
        assert_eq!(self.told(), calls);
    }

    /// Creates a person, whatever it costs; answers the path.
    async fn hire(&self, name: &str) -> String {
        let path = format!("/Users/{}", self.app.post("/Users", person(name)).await.is(201).id());
        self.told();
        path
    }

    /// Everything that is due within a few minutes happens.
    async fn pass(&self) {
        for _ in 0..3 {
            self.jira.release_late();
            self.app.later(120).await;
        }
        assert_eq!(self.app.open().await, 0, "subjects are open");
    }

    async fn set_active(&self, path: &str, active: bool) -> crate::http_app::Answer {
        self.app.patch(path, json!([{"op": "replace", "path": "active", "value": active}])).await
    }

    fn is_active(&self, external_id: &str) -> bool {
        self.jira.user(external_id).unwrap().is_active()
    }
}

/// Where everybody is in Lund, and the rest is the same for all.
fn policy() -> Value {
    json!({"account": {"fields": {
        "roleId": "95", "costCenterId": "1", "divisionId": "65", "regionId": "17", "cityId": "32"}}})
}

fn person(name: &str) -> Value {
    json!({"userName": name, "externalId": format!("e-{name}"), "displayName": format!("{name} Lund"),
           "name": {"givenName": name, "familyName": "Lund"}, "title": "Engineer",
           "emails": [{"value": format!("{name}@example.test"), "primary": true}], "active": true})
}

#[tokio::test]
async fn a_create_is_a_look_and_a_post() {
    let stage = Stage::set().await;
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.cost(&[LOOK, CREATE]);
    let user = stage.jira.user("mara").unwrap();
    assert_eq!(
        (user.first_name.as_str(), user.last_name.as_str(), user.title.as_deref()),
        ("mara", "Lund", Some("Engineer"))
    );
    assert_eq!((user.role_id, user.cost_center_id, user.is_external, user.is_active()), (95, Some(1), 0, true));
    assert_eq!(stage.app.open().await, 0);
}

#[tokio::test]
async fn an_account_that_is_there_is_adopted_and_made_as_it_is_to_be() {
    let stage = Stage::set().await;
    stage.jira.change(|world| world.add(AlignUser::named("mara", "mara", "Lund")));
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.cost(&[LOOK]);
    stage.jira.change(|world| world.add(AlignUser { title: None, ..AlignUser::named("ivo", "Ivo", "Haas") }));
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.cost(&[LOOK, CHANGE, BACK]);
    let user = stage.jira.user("ivo").unwrap();
    assert_eq!(
        (user.first_name.as_str(), user.last_name.as_str(), user.title.as_deref()),
        ("ivo", "Lund", Some("Engineer"))
    );
}

#[tokio::test]
async fn a_connectors_record_is_made_whole_when_it_is_adopted() {
    // ALIGN-20, ALIGN-21
    let stage = Stage::set().await;
    let flawed = AlignUser {
        division_id: None,
        city_id: None,
        company: Some(String::new()),
        ..AlignUser::named("mara", "mara", "Lund")
    };
    stage.jira.change(|world| world.add(flawed));
    stage.app.post("/Users", person("mara")).await.is(201);
    // The ids are a difference like any other; the empty company is the repair.
    stage.cost(&[LOOK, CHANGE, BACK, CHANGE, BACK]);
    let user = stage.jira.user("mara").unwrap();
    assert_eq!((user.division_id, user.city_id, user.company), (Some(65), Some(32), None));
}

#[tokio::test]
async fn a_change_is_a_patch_and_a_look_and_no_change_is_nothing() {
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    let mut body = person("mara");
    body["title"] = json!("Lead");
    body["emails"][0]["value"] = json!("mara.lund@example.test");
    stage.app.put(&mara, body.clone()).await.is(200);
    stage.cost(&[CHANGE, BACK]);
    let user = stage.jira.user("mara").unwrap();
    assert_eq!((user.title.as_deref(), user.email.as_str()), (Some("Lead"), "mara.lund@example.test"));
    stage.app.put(&mara, body.clone()).await.is(200);
    // Nobody at Jira Align reads a nickname.
    body["nickName"] = json!("Mara");
    stage.app.put(&mara, body).await.is(200);
    stage.cost(&[]);
}

#[tokio::test]
async fn a_rename_changes_the_external_id() {
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    stage.app.patch(&mara, json!([{"op": "replace", "path": "userName", "value": "mara.moss"}])).await.is(200);
    stage.cost(&[CHANGE, BACK]);
    assert!(stage.jira.user("mara").is_none() && stage.is_active("mara.moss"));
    // A name that somebody has already is refused, and undone.
    stage.hire("ivo").await;
    let taken = stage.app.patch(&mara, json!([{"op": "replace", "path": "userName", "value": "IVO"}])).await;
    assert!(matches!(taken.status, 400 | 409), "{}", taken.body);
    assert_eq!(stage.app.get(&mara).await.body["userName"], "mara.moss");
}

#[tokio::test]
async fn with_email_as_the_key_a_new_address_is_a_rename() {
    let email = |settings: &mut Settings| settings.match_on = MatchOn::Email;
    let stage = Stage::like(AlignOptions::default(), policy(), email).await;
    let mara = stage.hire("mara").await;
    assert_eq!(
        stage.jira.user_by_email("mara@example.test").unwrap().external_id.as_deref(),
        Some("mara@example.test")
    );
    let moved =
        json!([{"op": "replace", "path": "emails", "value": [{"value": "mara.moss@example.test", "primary": true}]}]);
    stage.app.patch(&mara, moved).await.is(200);
    stage.cost(&[BACK, CHANGE, BACK]);
    let user = stage.jira.user_by_email("mara.moss@example.test").unwrap();
    assert_eq!(user.external_id.as_deref(), Some("mara.moss@example.test"));
}

#[tokio::test]
async fn a_leaver_is_locked_and_a_returner_unlocked_however_long_ago_it_was() {
    // ALIGN-16, ALIGN-18, ALIGN-22
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    stage.set_active(&mara, false).await.is(200);
    stage.cost(&[CHANGE, BACK]);
    assert!(!stage.is_active("mara"));
    stage.jira.advance(Duration::from_secs(400 * 86_400));
    stage.set_active(&mara, true).await.is(200);
    stage.cost(&[CHANGE, BACK]);
    assert!(stage.is_active("mara") && stage.jira.user("mara").unwrap().user_end_date.is_none());
}

#[tokio::test]
async fn a_deleted_user_is_locked_because_there_is_no_deletion() {
    // ALIGN-26
    for on_delete in ["deactivate", "delete"] {
        let mut policy = policy();
        policy["deprovision"] = json!({"on_delete": on_delete});
        let stage = Stage::like(AlignOptions::default(), policy, |_| ()).await;
        let mara = stage.hire("mara").await;
        stage.app.delete(&mara).await.is(204);
        stage.cost(&[CHANGE, BACK]);
        assert!(!stage.is_active("mara"), "{on_delete}");
        // A re-hire gets the same account back.
        stage.app.post("/Users", person("mara")).await.is(201);
        assert!(stage.is_active("mara"), "{on_delete}");
        assert_eq!(stage.jira.look(|world| world.user_count()), 2);
    }
}

#[tokio::test]
async fn groups_are_taken_and_cost_nothing() {
    // ALIGN-27
    let stage = Stage::set().await;
    let mara = stage.app.post("/Users", person("mara")).await.is(201).id();
    stage.told();
    let crew = stage.app.group("Platform Crew", &[&mara]).await;
    let path = format!("/Groups/{crew}");
    stage.app.patch(&path, json!([{"op": "remove", "path": "members"}])).await.is(204);
    stage.app.delete(&path).await.is(204);
    stage.app.writer.drain().await.unwrap();
    stage.cost(&[]);
    assert_eq!(stage.app.open().await, 0);
}

#[tokio::test]
async fn a_refused_create_is_answered_in_jira_aligns_words_and_leaves_nobody() {
    // ALIGN-11, ALIGN-28; licences that are used up are told like this as well.
    let mut policy = policy();
    policy["account"]["fields"]["cityId"] = json!("4711");
    let stage = Stage::like(AlignOptions::default(), policy, |_| ()).await;
    let refused = stage.app.post("/Users", person("mara")).await.is(400);
    assert!(refused.body["detail"].as_str().unwrap().contains("cityId 4711 does not exist"), "{}", refused.body);
    stage.cost(&[LOOK, CREATE, LOOK]);
    assert!(stage.jira.user("mara").is_none());
    assert_eq!(stage.app.get("/Users").await.body["totalResults"], 0);
}

#[tokio::test]
async fn a_policy_without_an_id_is_told_before_any_call() {
    // ALIGN-13
    let mut policy = policy();
    policy["account"]["fields"].as_object_mut().unwrap().remove("cityId");
    let stage = Stage::like(AlignOptions::default(), policy, |_| ()).await;
    let refused = stage.app.post("/Users", person("mara")).await.is(400);
    assert!(refused.body["detail"].as_str().unwrap().contains("policy.account.fields.cityId"), "{}", refused.body);
    stage.cost(&[]);
}

#[tokio::test]
async fn a_revoked_token_pauses_the_target_and_costs_one_call() {
    // ALIGN-3
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    let (owner, token) = (stage.jira.owner(), stage.jira.token().to_owned());
    stage.jira.change(|world| world.revoke_token(owner));
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.set_active(&mara, false).await.is(200);
    stage.cost(&[LOOK]);
    let secret = token.split_once('|').unwrap().1.to_owned();
    stage.jira.change(|world| world.issue_token(owner, &secret));
    for _ in 0..3 {
        stage.app.later(3600).await;
    }
    assert!(stage.is_active("ivo") && !stage.is_active("mara"));
    assert_eq!(stage.app.open().await, 0);
}

#[tokio::test]
async fn a_role_that_may_not_manage_users_is_our_problem_and_not_the_providers() {
    // ALIGN-4
    let stage = Stage::set().await;
    let owner = stage.jira.owner();
    stage.jira.change(|world| world.change(owner, |user| user.role_id = VIEWER_ROLE));
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.cost(&[LOOK, CREATE]);
}

#[tokio::test]
async fn ten_requests_a_minute_are_kept_to_and_everything_arrives() {
    // ALIGN-6
    let limit = Some("10/10/60".parse().unwrap());
    let options = AlignOptions { rate_limit: limit, ..AlignOptions::default() };
    let stage = Stage::like(options, policy(), |_| ()).await;
    for name in ["ada", "bela", "carl", "dirk", "elif", "fay", "gus"] {
        stage.app.post("/Users", person(name)).await.is(201);
    }
    // The daemon's look at itself, nine more calls, and one that is told to wait.
    assert_eq!((stage.told().len(), stage.jira.journal().len()), (10, 11));
    stage.jira.advance(Duration::from_secs(60));
    stage.app.later(61).await;
    stage.cost(&[LOOK, CREATE, LOOK, CREATE, LOOK, CREATE]);
    assert_eq!(stage.app.open().await, 0);
    let throttled = stage.jira.journal().iter().filter(|entry| entry.status == Some(429)).count();
    assert_eq!((throttled, stage.jira.active().len()), (1, 8));
}

#[tokio::test]
async fn a_site_that_hangs_is_waited_for_once_and_looked_at_later() {
    let stage = Stage::set().await;
    stage.jira.inject(Fault::hang().on("POST /Users").times(1));
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.cost(&[LOOK, CREATE]);
    stage.pass().await;
    assert!(stage.is_active("mara") && stage.is_active("ivo"));
    assert_eq!(stage.jira.look(|world| world.user_count()), 3);
}

#[tokio::test]
async fn answers_that_got_lost_are_looked_for_and_nobody_is_made_twice() {
    // ALIGN-15: this site would let a second one pass.
    let options =
        AlignOptions { rules: AlignRules { duplicates: true, ..AlignRules::default() }, ..AlignOptions::default() };
    let stage = Stage::like(options, policy(), |_| ()).await;
    stage.jira.inject(Fault::drop_answer().on("POST /Users").times(1));
    let mara = format!("/Users/{}", stage.app.post("/Users", person("mara")).await.is(201).id());
    stage.cost(&[LOOK, CREATE]);
    stage.pass().await;
    assert_eq!(stage.jira.look(|world| world.user_count()), 2);
    stage.told();
    stage.jira.inject(Fault::drop_answer().on("PATCH").times(1));
    stage.set_active(&mara, false).await.is(200);
    stage.cost(&[CHANGE]);
    stage.pass().await;
    assert!(!stage.is_active("mara"));
}

#[tokio::test]
async fn a_site_that_lies_is_not_believed() {
    // ALIGN-17, ALIGN-24
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    stage.jira.inject(Fault::status(200).on("PATCH").times(1));
    let refused = stage.app.patch(&mara, json!([{"op": "replace", "path": "title", "value": "Lead"}])).await.is(400);
    assert!(refused.body["detail"].as_str().unwrap().contains("title is still"), "{}", refused.body);
    stage.cost(&[CHANGE, BACK]);
    assert_eq!(stage.app.get(&mara).await.body["title"], "Engineer");
    // What takes away stays wanted, and is done in the end.
    stage.jira.inject(Fault::status(200).on("PATCH").times(1));
    assert!(stage.set_active(&mara, false).await.status >= 400);
    assert!(stage.is_active("mara"));
    stage.app.later(90_000).await;
    assert!(!stage.is_active("mara"));
    // Garbage and pages are nothing to go by.
    stage.told();
    stage.jira.inject(Fault::garbage().on("POST /Users").times(1));
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.pass().await;
    stage.jira.inject(Fault::html(200).on("POST /Users").times(1));
    stage.app.post("/Users", person("eva")).await.is(201);
    stage.pass().await;
    assert!(stage.is_active("ivo") && stage.is_active("eva"));
    assert_eq!(stage.jira.look(|world| world.user_count()), 4);
}

#[tokio::test]
async fn a_site_that_is_down_delays_nobody_and_hears_of_everything_when_it_is_up() {
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    stage.jira.stop().await.unwrap();
    stage.set_active(&mara, false).await.is(200);
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.jira.restart_on_same_port().await.unwrap();
    stage.pass().await;
    assert!(!stage.is_active("mara") && stage.is_active("ivo"));
    stage.cost(&[CHANGE, BACK, LOOK, CREATE]);
}

#[tokio::test]
async fn accounts_of_an_ignored_role_are_neither_adopted_nor_changed() {
    // ALIGN-31
    let ignore = |settings: &mut Settings| {
        settings.ignore_roles.insert(CONNECTOR_ROLE);
    };
    let stage = Stage::like(AlignOptions::default(), policy(), ignore).await;
    let theirs = AlignUser { role_id: CONNECTOR_ROLE, ..AlignUser::named("mara", "Mara", "Lund") };
    stage.jira.change(|world| world.add(theirs));
    let refused = stage.app.post("/Users", person("mara")).await;
    assert!(
        refused.status >= 400 && refused.body["detail"].as_str().unwrap().contains("ignore_roles"),
        "{}",
        refused.body
    );
    stage.cost(&[LOOK]);
}

#[tokio::test]
async fn a_repaired_record_is_told_in_the_delivery() {
    // ALIGN-19
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    let id = stage.jira.user("mara").unwrap().id;
    stage.jira.change(|world| world.change(id, |user| user.company = Some(String::new())));
    stage.set_active(&mara, false).await.is(200);
    stage.cost(&[CHANGE, BACK, CHANGE, BACK]);
    assert!(!stage.is_active("mara"));
}
