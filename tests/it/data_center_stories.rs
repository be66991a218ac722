//! Stories through the whole program: SCIM requests to the real router, the writer, and a Jira Data Center. Each says what
//! Jira was asked, call by call; the table at the end of `docs/targets/data-center.md` is held to these numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jira_scim::jira::{ClientOptions, Credential, CrowdOptions, DataCenter, DataCenterOptions};
use jira_scim::sandbox::{Fault, NewAccount, Role, Sandbox, SandboxOptions};
use serde_json::{Value, json};

use crate::http_app::{Answer, App};

const CREATE: &str = "POST /user";
const FIND: &str = "GET /user";
const CHANGE: &str = "PUT /user";
const SEATS: &str = "GET /applicationrole";
const PROJECTS: &str = "GET /project";
const COMPONENTS: &str = "GET /project/{projectIdOrKey}/components";

/// What each story costs: the rows of the table.
const COSTS: &[(&str, &[&str])] = &[
    ("a person is created", &[CREATE]),
    ("with an application, once a minute", &[SEATS, CREATE]),
    ("with an application, within the minute", &[CREATE]),
    ("with first and last name by the Crowd API", &[CREATE, CHANGE]),
    ("an account that is there is adopted", &[CREATE, FIND]),
    ("and made as it is to be", &[CREATE, FIND, CHANGE]),
    ("something that Jira shows is changed", &[CHANGE]),
    ("nothing that Jira shows is changed", &[]),
    ("a rename", &[CHANGE]),
    ("a leaver", &[CHANGE]),
    ("a returner", &[CHANGE]),
    (
        "a leaver who leads a project and a component is refused with their names",
        &[CHANGE, PROJECTS, COMPONENTS, COMPONENTS],
    ),
    (
        "or hands them over",
        &[CHANGE, PROJECTS, COMPONENTS, COMPONENTS, "PUT /project/{projectIdOrKey}", "PUT /component/{id}", CHANGE],
    ),
    ("a deletion that deactivates", &[CHANGE]),
    ("a deletion for good", &["DELETE /user"]),
    ("one that Jira refuses, so that the account is deactivated", &["DELETE /user", CHANGE]),
    ("a new group with two members", &["POST /group", "POST /group/user", "POST /group/user"]),
    ("a group that is there already", &["POST /group", "GET /group/member", "GET /groups/picker"]),
    ("somebody joins", &["POST /group/user"]),
    ("somebody leaves", &["DELETE /group/user"]),
    ("a group with one member is deleted", &["DELETE /group/user"]),
    ("an account that is there is adopted and granted an application", &[CREATE, FIND, "POST /user/application"]),
    ("a leaver whose applications are taken away", &[CHANGE, "DELETE /user/application"]),
    ("no seat is left for a new person", &[SEATS, FIND]),
    ("no seat is left for somebody who is there", &[SEATS, FIND]),
    ("Jira says that it changed something, and did not", &[CHANGE, FIND, FIND]),
    ("our token was taken back, however many people wait", &[CREATE]),
    ("Jira does not answer, however many people wait", &[CREATE]),
    ("an answer got lost, then and later", &[CREATE, FIND]),
];

/// The daemon, and the Jira behind tenant `acme`.
struct Stage {
    app: App,
    jira: Sandbox,
    told: AtomicUsize,
}

impl Stage {
    async fn set() -> Self {
        Self::like(json!({}), SandboxOptions { applications: vec![], ..SandboxOptions::default() }).await
    }

    async fn like(policy: Value, options: SandboxOptions) -> Self {
        let crowd = options.crowd.clone().map(|(user, secret)| CrowdOptions { user, secret, secret_file: None });
        let jira = Sandbox::start(options).await.unwrap();
        let timeout = Duration::from_millis(1500);
        let credential = Credential::Bearer(jira.token().to_owned());
        let mut client = ClientOptions::new(jira.base_url().parse().unwrap(), credential);
        client.timeout = timeout;
        let app =
            App::before(Arc::new(DataCenter::new(DataCenterOptions { client, crowd }).unwrap()), policy, timeout).await;
        Self { app, jira, told: AtomicUsize::new(0) }
    }

    /// With two applications, of which the service desk has that many seats and belongs to everybody.
    async fn desk(seats: u32, more: Value) -> Self {
        let applications = vec![Role::named("jira-servicedesk", Some(seats)), Role::named("jira-core", None)];
        let mut policy = json!({"applications": ["jira-servicedesk"]});
        policy.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        Self::like(policy, SandboxOptions { applications, ..SandboxOptions::default() }).await
    }

    /// The calls since the last time, without the looks at who we are and which groups administer, which belong to no
    /// request: before the first call, after each pause, and every ten minutes.
    fn told(&self) -> Vec<String> {
        let own = ["/status", "/myself", "/serverInfo", "/mypermissions"];
        let journal = self.jira.journal();
        let told = self.told.swap(journal.len(), Ordering::SeqCst);
        let new = journal.iter().skip(told);
        let looks = |path: &str| path.contains("/groups/picker?query=&") || path.contains("administrators&");
        new.filter(|entry| !own.contains(&entry.route.as_str()) && !looks(&entry.path))
            .map(|entry| entry.operation())
            .collect()
    }

    /// Exactly the calls of that row of the table were made since the last time.
    #[track_caller]
    fn costs(&self, story: &str) {
        let (_, calls) = COSTS.iter().find(|(known, _)| *known == story).expect("a row of the table");
        assert_eq!(self.told(), *calls, "{story}");
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

    async fn set_active(&self, path: &str, active: bool) -> Answer {
        self.app.patch(path, json!([{"op": "replace", "path": "active", "value": active}])).await
    }

    fn is_active(&self, username: &str) -> bool {
        self.jira.account(username).unwrap().active
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.jira.totals().violations, 0, "a call broke one of Jira's rules");
        }
    }
}

fn person(name: &str) -> Value {
    json!({"userName": name, "displayName": format!("{name} Lund"), "active": true,
           "name": {"givenName": name, "familyName": "Lund"},
           "emails": [{"value": format!("{name}@example.test"), "primary": true}]})
}

fn detail(answer: &Answer) -> &str {
    answer.body["detail"].as_str().unwrap_or_default()
}

#[test]
fn the_table_of_costs_is_that_of_these_stories() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/targets/data-center.md");
    let text = std::fs::read_to_string(path).unwrap();
    for (story, calls) in COSTS {
        let which: Vec<String> = calls.iter().map(|call| format!("`{call}`")).collect();
        let row = format!("| {story} | {} | {} |", calls.len(), which.join(", "));
        assert!(text.contains(&row), "this row is missing:\n{row}");
    }
}

#[tokio::test]
async fn a_create_is_one_call() {
    let stage = Stage::set().await;
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.costs("a person is created");
    let account = stage.jira.account("mara").unwrap();
    assert_eq!((account.email.as_str(), account.display_name.as_str()), ("mara@example.test", "mara Lund"));
    assert_eq!(stage.app.open().await, 0);
}

#[tokio::test]
async fn an_account_that_is_there_is_adopted_and_made_as_it_is_to_be() {
    let stage = Stage::set().await;
    let there = |name: &str| NewAccount {
        email: format!("{name}@example.test"),
        display_name: format!("{name} Lund"),
        ..NewAccount::named(name)
    };
    stage.jira.add_account(&there("mara")).unwrap();
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.costs("an account that is there is adopted");
    stage.jira.add_account(&NewAccount { display_name: "Ivo".to_owned(), ..there("ivo") }).unwrap();
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.costs("and made as it is to be");
    assert_eq!(stage.jira.account("ivo").unwrap().display_name, "ivo Lund");
}

#[tokio::test]
async fn a_change_is_one_call_and_no_change_is_none() {
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    let mut body = person("mara");
    body["displayName"] = json!("Mara Berg");
    body["emails"][0]["value"] = json!("mara.berg@example.test");
    stage.app.put(&mara, body.clone()).await.is(200);
    stage.costs("something that Jira shows is changed");
    stage.app.put(&mara, body.clone()).await.is(200);
    body["nickName"] = json!("Mara");
    stage.app.put(&mara, body).await.is(200);
    stage.costs("nothing that Jira shows is changed");
    assert_eq!(stage.jira.account("mara").unwrap().email, "mara.berg@example.test");
}

#[tokio::test]
async fn a_rename_keeps_the_account_and_a_taken_name_is_refused_and_undone() {
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    let key = stage.jira.account("mara").unwrap().key;
    let to = |name: &str| json!([{"op": "replace", "path": "userName", "value": name}]);
    stage.app.patch(&mara, to("mara.berg")).await.is(200);
    stage.costs("a rename");
    assert_eq!(stage.jira.account("mara.berg").unwrap().key, key);
    stage.jira.add_account(&NewAccount::named("ole")).unwrap();
    let taken = stage.app.patch(&mara, to("Ole")).await;
    assert!(matches!(taken.status, 400 | 409), "{}", taken.body);
    assert_eq!(stage.app.get(&mara).await.body["userName"], "mara.berg");
}

#[tokio::test]
async fn leaving_and_returning_are_one_call_each() {
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    stage.set_active(&mara, false).await.is(200);
    stage.costs("a leaver");
    assert!(!stage.is_active("mara"));
    stage.set_active(&mara, true).await.is(200);
    stage.costs("a returner");
    assert!(stage.is_active("mara"));
}

#[tokio::test]
async fn a_deletion_deactivates_or_deletes_and_falls_back_where_jira_refuses() {
    // DC-42
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    stage.app.delete(&mara).await.is(204);
    stage.costs("a deletion that deactivates");
    assert!(!stage.is_active("mara"));
    let options = SandboxOptions { applications: vec![], ..SandboxOptions::default() };
    let stage = Stage::like(json!({"deprovision": {"on_delete": "delete"}}), options).await;
    let mara = stage.hire("mara").await;
    stage.app.delete(&mara).await.is(204);
    stage.costs("a deletion for good");
    assert!(stage.jira.account("mara").is_none());
    let ivo = stage.hire("ivo").await;
    stage.jira.change(|world| world.bind_to_issue("ivo", jira_scim::sandbox::Reference::Reported)).unwrap();
    stage.app.delete(&ivo).await;
    stage.costs("one that Jira refuses, so that the account is deactivated");
    assert!(!stage.is_active("ivo"));
}

#[tokio::test]
async fn a_group_and_each_of_its_memberships_is_one_call() {
    let stage = Stage::set().await;
    let mut ids = Vec::new();
    for name in ["mara", "ivo", "eva"] {
        ids.push(stage.hire(name).await.trim_start_matches("/Users/").to_owned());
    }
    let crew = stage.app.group("Platform Crew", &[&ids[0], &ids[1]]).await;
    stage.app.writer.drain().await.unwrap();
    stage.costs("a new group with two members");
    let path = format!("/Groups/{crew}");
    stage.app.patch(&path, json!([{"op": "add", "path": "members", "value": [{"value": ids[2]}]}])).await;
    stage.costs("somebody joins");
    for id in &ids[1..] {
        let gone = format!("members[value eq \"{id}\"]");
        stage.app.patch(&path, json!([{"op": "remove", "path": gone}])).await;
        stage.costs("somebody leaves");
    }
    assert_eq!(stage.jira.members("Platform Crew"), ["mara"]);
    stage.app.delete(&path).await.is(204);
    stage.app.writer.drain().await.unwrap();
    stage.costs("a group with one member is deleted");
    assert!(stage.jira.groups().contains(&"Platform Crew".to_owned()), "the group and its permissions stay");
    stage.jira.add_group("Web Crew").unwrap();
    stage.app.group("web crew", &[]).await;
    stage.app.writer.drain().await.unwrap();
    stage.costs("a group that is there already");
}

#[tokio::test]
async fn applications_come_with_the_account_and_follow_the_policy() {
    // DC-24, DC-46, DC-51
    let stage = Stage::desk(25, json!({})).await;
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.costs("with an application, once a minute");
    let ivo = format!("/Users/{}", stage.app.post("/Users", person("ivo")).await.is(201).id());
    stage.costs("with an application, within the minute");
    assert_eq!(stage.jira.groups_of("ivo"), ["jira-servicedesk-users"]);
    // Adopted: what it lacks is granted.
    let there = NewAccount { display_name: "eva Lund".into(), ..NewAccount::named("eva") };
    stage.jira.add_account(&there).unwrap();
    stage.app.post("/Users", person("eva")).await.is(201);
    stage.costs("an account that is there is adopted and granted an application");
    stage.set_active(&ivo, false).await.is(200);
    stage.costs("a leaver");
    assert_eq!(stage.jira.groups_of("ivo"), ["jira-servicedesk-users"], "an inactive account needs no seat");
}

#[tokio::test]
async fn a_leaver_loses_his_applications_where_the_policy_strips() {
    // DC-46
    let stage = Stage::desk(25, json!({"deprovision": {"strip_groups": true}})).await;
    let mara = stage.hire("mara").await;
    stage.set_active(&mara, false).await.is(200);
    stage.costs("a leaver whose applications are taken away");
    assert!(stage.jira.groups_of("mara").is_empty());
}

#[tokio::test]
async fn without_a_seat_nobody_is_made_and_the_refusal_says_why() {
    // DC-51
    let stage = Stage::desk(1, json!({})).await;
    stage.hire("mara").await;
    let refused = stage.app.post("/Users", person("ivo")).await;
    assert!(
        refused.status >= 400 && detail(&refused).contains("jira-servicedesk) has no free seat"),
        "{}",
        refused.body
    );
    stage.costs("no seat is left for a new person");
    assert!(stage.jira.account("ivo").is_none());
    assert_eq!(stage.app.get("/Users").await.body["totalResults"], 1);
}

#[tokio::test]
async fn with_seats_held_people_wait_for_a_seat_and_then_get_it() {
    // DC-51
    let stage = Stage::desk(1, json!({"seats": "hold"})).await;
    let mara = stage.hire("mara").await;
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.costs("no seat is left for a new person");
    assert!(stage.jira.account("ivo").is_none());
    stage.set_active(&mara, false).await.is(200);
    for _ in 0..3 {
        stage.app.later(86_400).await;
    }
    assert_eq!(stage.jira.groups_of("ivo"), ["jira-servicedesk-users"]);
}

#[tokio::test]
async fn what_a_leaver_leads_is_told_to_the_identity_provider() {
    // DC-31, DC-48
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    lead(&stage.jira);
    let refused = stage.set_active(&mara, false).await;
    assert!(refused.status >= 400, "{}", refused.body);
    assert!(
        detail(&refused).contains("CREW (Platform Crew)") && detail(&refused).contains("\"API\""),
        "{}",
        refused.body
    );
    stage.costs("a leaver who leads a project and a component is refused with their names");
    // It stays wanted, and is tried again when somebody else leads.
    assert_eq!(stage.app.get(&mara).await.body["active"], false);
    for project in ["CREW", "WEB"] {
        stage.jira.change(|world| world.remove_lead(project));
    }
    stage.app.later(90_000).await;
    stage.costs("a leaver");
    assert!(!stage.is_active("mara"));
}

#[tokio::test]
async fn a_lead_is_handed_over_and_the_delivery_says_so() {
    // DC-49
    let options = SandboxOptions { applications: vec![], ..SandboxOptions::default() };
    let stage = Stage::like(json!({"deprovision": {"hand_over_to": "ole.dahl"}}), options).await;
    stage.jira.add_account(&NewAccount::named("ole.dahl")).unwrap();
    let mara = stage.hire("mara").await;
    lead(&stage.jira);
    stage.set_active(&mara, false).await.is(200);
    stage.costs("or hands them over");
    assert!(!stage.is_active("mara"));
    assert_eq!(stage.jira.look(|world| world.projects_led_by("ole.dahl")), ["CREW", "WEB"]);
    let steps: String = sqlx::query_scalar("SELECT string_agg(steps::text, ' ') FROM delivery")
        .fetch_one(stage.app.store.pool())
        .await
        .unwrap();
    assert!(steps.contains("the project CREW (Platform Crew) was handed over to ole.dahl"), "{steps}");
}

fn lead(jira: &Sandbox) {
    jira.change(|world| {
        world.add_project("CREW", "Platform Crew");
        world.make_component_lead("mara", "WEB", "API")
    })
    .unwrap();
    jira.make_lead("mara", "CREW").unwrap();
}

#[tokio::test]
async fn a_revoked_token_pauses_the_target_and_costs_one_call() {
    // DC-3
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    let token = stage.jira.token().to_owned();
    stage.jira.revoke_token(&token);
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.app.post("/Users", person("eva")).await.is(201);
    stage.set_active(&mara, false).await.is(200);
    stage.costs("our token was taken back, however many people wait");
    stage.jira.restore_token("svc-scim", &token).unwrap();
    for _ in 0..3 {
        stage.app.later(3600).await;
    }
    assert!(stage.is_active("ivo") && stage.is_active("eva") && !stage.is_active("mara"));
    assert_eq!(stage.app.open().await, 0);
}

#[tokio::test]
async fn ten_requests_a_minute_are_kept_to_and_everybody_arrives() {
    // DC-9: without the headers that the pace follows, for then this would take its minutes.
    let stage = Stage::set().await;
    let minute = |stage: &Stage| stage.jira.inject(Fault::throttle(60).skip(10).times(1));
    minute(&stage);
    for number in 0..12 {
        stage.app.post("/Users", person(&format!("p{number}"))).await.is(201);
    }
    // Five looks at ourselves and five people; the sixth is told to wait, and nobody else asks.
    assert_eq!(stage.jira.journal().len(), 11);
    assert_eq!(stage.told(), [CREATE; 6]);
    assert_eq!(stage.jira.accounts().len(), 1 + 5);
    for _ in 0..3 {
        let before = stage.jira.journal().len();
        minute(&stage);
        stage.app.later(61).await;
        assert!(stage.jira.journal().len() - before <= 11, "more than ten in a minute");
        stage.jira.clear_faults();
    }
    let throttled = stage.jira.journal().iter().filter(|entry| entry.status == Some(429)).count();
    assert_eq!((stage.jira.accounts().len(), stage.app.open().await), (1 + 12, 0));
    assert!(throttled <= 2, "{throttled} were told to wait");
}

#[tokio::test]
async fn a_jira_that_hangs_is_waited_for_once_and_looked_at_later() {
    // DC-16
    let stage = Stage::set().await;
    stage.jira.inject(Fault::hang().on("POST /user").times(1));
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.costs("Jira does not answer, however many people wait");
    stage.pass().await;
    assert!(stage.is_active("mara") && stage.is_active("ivo"));
    assert_eq!(stage.jira.accounts().len(), 3);
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_and_nobody_is_made_twice() {
    // DC-16
    let stage = Stage::set().await;
    stage.jira.inject(Fault::drop_answer().on("POST /user").times(1));
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.app.later(5).await;
    stage.costs("an answer got lost, then and later");
    stage.pass().await;
    assert_eq!(stage.jira.accounts().len(), 2);
}

#[tokio::test]
async fn a_jira_that_lies_is_not_believed() {
    // DC-10, DC-28
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    // It says 200 and does nothing: read back, refused.
    stage.jira.inject(Fault::status(200).on("PUT /user").times(1));
    let refused = stage.set_active(&mara, false).await;
    assert!(refused.status >= 400 && detail(&refused).contains("still active"), "{}", refused.body);
    stage.costs("Jira says that it changed something, and did not");
    // The same with a name: nothing is undone that was not done.
    stage.set_active(&mara, true).await;
    stage.told();
    stage.jira.inject(Fault::status(200).on("PUT /user").times(1));
    let refused = stage.app.patch(&mara, json!([{"op": "replace", "path": "displayName", "value": "Mara Berg"}])).await;
    assert!(refused.status >= 400, "{}", refused.body);
    stage.costs("Jira says that it changed something, and did not");
    assert_eq!(stage.app.get(&mara).await.body["displayName"], "mara Lund");
    // A page of HTML, and something that is no JSON, are no answers: the work may have been done.
    for (name, fault) in [("ivo", Fault::html(200)), ("eva", Fault::garbage())] {
        stage.jira.inject(fault.on("POST /user").times(1));
        stage.app.post("/Users", person(name)).await.is(201);
        stage.pass().await;
        assert!(stage.is_active(name), "{name}");
    }
    assert_eq!(stage.jira.accounts().len(), 4);
}

#[tokio::test]
async fn first_and_last_name_are_one_call_more_where_there_is_a_crowd_credential() {
    // DC-82
    let options = SandboxOptions {
        applications: vec![],
        crowd: Some(("crowd-scim".into(), "open-sesame".into())),
        ..SandboxOptions::default()
    };
    let fields = json!({"first-name": "{{ name.givenName }}", "last-name": "{{ name.familyName }}"});
    let stage = Stage::like(json!({"account": {"fields": fields}}), options).await;
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.costs("with first and last name by the Crowd API");
    assert_eq!(stage.jira.account("mara").unwrap().email, "mara@example.test");
    assert_eq!(stage.app.open().await, 0);
}

#[tokio::test]
async fn a_jira_that_is_down_delays_nobody_and_hears_of_everything_when_it_is_up() {
    // DC-17
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    stage.jira.stop().await.unwrap();
    stage.set_active(&mara, false).await.is(200);
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.jira.restart_on_same_port().await.unwrap();
    stage.pass().await;
    assert!(!stage.is_active("mara") && stage.is_active("ivo"));
    assert_eq!(stage.told(), [CHANGE, CREATE]);
}
