//! Stories through the whole program: SCIM requests to the real router, the writer, and a Jira Cloud. Each says what
//! Atlassian was asked, call by call; the table at the end of `docs/targets/cloud.md` has these numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jira_scim::jira::{Cloud, CloudOptions};
use jira_scim::sandbox::{CloudSandbox, CloudSandboxOptions, JournalEntry, NewPerson, Person};
use serde_json::{Value, json};

use crate::http_app::{Answer, App};

pub(super) const LOOK: &str = "POST dir/users/search";
pub(super) const INVITE: &str = "POST org/users/invite";
pub(super) const PROFILE: &str = "PATCH manage/profile";
const MANAGE: &str = "GET manage";
const JOIN: &str = "POST dir/groups/{groupId}/memberships";
const PART: &str = "DELETE dir/groups/{groupId}/memberships/{accountId}";
const NEW_GROUP: &str = "POST dir/groups";
const FIND_GROUP: &str = "POST dir/groups/search";

/// The daemon, and the Jira Cloud behind tenant `acme`.
pub(super) struct Stage {
    pub(super) app: App,
    pub(super) jira: CloudSandbox,
    told: AtomicUsize,
}

impl Stage {
    pub(super) async fn set() -> Self {
        Self::like(CloudSandboxOptions::default(), json!({}), |_| ()).await
    }

    async fn ruled(policy: Value) -> Self {
        Self::like(CloudSandboxOptions::default(), policy, |_| ()).await
    }

    pub(super) async fn like(options: CloudSandboxOptions, policy: Value, set: impl FnOnce(&mut CloudOptions)) -> Self {
        let jira = CloudSandbox::start(options).await.unwrap();
        let timeout = Duration::from_millis(1500);
        let mut options = super::cloud_options(&jira);
        options.site.timeout = timeout;
        set(&mut options);
        let app = App::before(Arc::new(Cloud::new(options).unwrap()), policy, timeout).await;
        Self { app, jira, told: AtomicUsize::new(0) }
    }

    /// The calls since the last time, without what is asked about ourselves and remembered.
    pub(super) fn told(&self) -> Vec<String> {
        let journal = self.jira.journal();
        let told = self.told.swap(journal.len(), Ordering::SeqCst);
        journal.iter().skip(told).filter(|entry| !is_remembered(entry)).map(|entry| short(entry)).collect()
    }

    /// Exactly these calls were made since the last time.
    #[track_caller]
    pub(super) fn cost(&self, calls: &[&str]) {
        assert_eq!(self.told(), calls);
    }

    /// Creates a person, whatever it costs; answers the path.
    pub(super) async fn hire(&self, name: &str) -> String {
        let path = format!("/Users/{}", self.app.post("/Users", person(name)).await.is(201).id());
        self.told();
        path
    }

    pub(super) async fn set_active(&self, path: &str, active: bool) -> Answer {
        self.app.patch(path, json!([{"op": "replace", "path": "active", "value": active}])).await
    }

    pub(super) fn state(&self, name: &str) -> &'static str {
        self.jira.look(|world| world.person(&mail(name)).map_or("nobody", Person::state))
    }

    pub(super) fn name(&self, email: &str) -> String {
        self.jira.look(|world| world.person(email).unwrap().name.clone())
    }

    pub(super) fn members(&self, group: &str) -> Vec<String> {
        self.jira.look(|world| world.members(group))
    }

    /// Everything that is due within a few minutes happens.
    pub(super) async fn pass(&self) {
        for _ in 0..4 {
            self.jira.release_late();
            self.app.later(120).await;
        }
        assert_eq!(self.app.open().await, 0, "subjects are open");
    }
}

/// What the daemon asks once in a while, whoever is to be written.
fn is_remembered(entry: &JournalEntry) -> bool {
    let ends = ["/myself", "/mypermissions", "/_edge/tenant_info", "/domains", "/directories", "/orgs/{orgId}"];
    let powers = entry.route.ends_with("/groups/search") && entry.json()["roleIds"].is_array();
    // Before somebody is switched off: who administers.
    let named =
        |names: &str| ["admins", "administrators", "atlassian-addons-admin"].iter().any(|name| names.contains(name));
    let asked = entry.route.ends_with("/groups/search") && named(&entry.json()["groupNames"].to_string());
    let members = entry.route.ends_with("/users/search") && entry.json()["groupIds"].is_array();
    let alone =
        entry.route.ends_with("/group/member") || (entry.route.ends_with("/groups/picker") && named(&entry.path));
    powers
        || asked
        || members
        || alone
        || entry.route.ends_with("/group/bulk")
        || ends.iter().any(|end| entry.route.ends_with(end))
}

fn short(entry: &JournalEntry) -> String {
    entry
        .operation()
        .replace("/v2/orgs/{orgId}/directories/{directoryId}", "dir")
        .replace("/v2/orgs/{orgId}", "org")
        .replace("/v1/orgs/{orgId}", "org1")
        .replace("/users/{account_id}/manage", "manage")
        .replace("/rest/api/3", "")
}

pub(super) fn mail(name: &str) -> String {
    format!("{name}@example.test")
}

/// Without a title: the name is the whole profile.
pub(super) fn person(name: &str) -> Value {
    json!({"userName": mail(name), "displayName": format!("{name} Lund"), "active": true,
           "emails": [{"value": mail(name), "primary": true}]})
}

#[tokio::test]
async fn a_create_is_a_look_an_invitation_and_the_name() {
    // CLOUD-11, CLOUD-19
    let stage = Stage::set().await;
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.cost(&[LOOK, INVITE, PROFILE]);
    assert_eq!((stage.state("mara"), stage.name(&mail("mara")).as_str()), ("active", "mara Lund"));
    assert_eq!((stage.app.open().await, stage.jira.totals().mails), (0, 0));
}

#[tokio::test]
async fn a_stranger_keeps_his_own_name_and_the_idp_sees_what_it_sent() {
    // CLOUD-13
    let stage = Stage::set().await;
    let body = json!({"userName": "max@elsewhere.test", "displayName": "Max Own", "active": true,
                      "emails": [{"value": "max@elsewhere.test", "primary": true}]});
    let path = format!("/Users/{}", stage.app.post("/Users", body).await.is(201).id());
    stage.cost(&[LOOK, INVITE]);
    assert_eq!(stage.name("max@elsewhere.test"), "max@elsewhere.test");
    assert_eq!(stage.app.get(&path).await.body["displayName"], "Max Own");
    stage.app.patch(&path, json!([{"op": "replace", "path": "displayName", "value": "Max Other"}])).await.is(200);
    stage.cost(&[]);
    stage.set_active(&path, false).await.is(200);
    stage.cost(&["POST dir/users/{accountId}/suspend"]);
}

#[tokio::test]
async fn an_account_that_is_there_is_adopted_and_made_as_it_is_to_be() {
    // CLOUD-10, CLOUD-12, CLOUD-52
    let stage = Stage::set().await;
    stage.jira.change(|world| world.add_person(&NewPerson::named(&mail("mara"), "mara Lund")));
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.cost(&[LOOK, MANAGE]);
    stage.jira.change(|world| world.add_person(&NewPerson::named(&mail("ivo"), "Ivo of old")));
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.cost(&[LOOK, MANAGE, PROFILE]);
    assert_eq!(stage.name(&mail("ivo")), "ivo Lund");
}

#[tokio::test]
async fn a_person_of_another_provisioner_is_refused_with_the_reason() {
    // CLOUD-50
    let stage = Stage::set().await;
    stage.jira.change(|world| {
        world.add_person(&NewPerson::named(&mail("mara"), "Mara"));
        world.edit_person(&mail("mara"), |mara| mara.synced = true).unwrap();
    });
    let refused = stage.app.post("/Users", person("mara")).await;
    assert!(refused.status >= 400 && refused.detail().contains("Another identity provider"), "{}", refused.body);
    stage.cost(&[LOOK]);
}

#[tokio::test]
async fn a_change_is_one_call_and_no_change_is_none() {
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    let mut body = person("mara");
    body["displayName"] = json!("Mara Moss");
    body["title"] = json!("Lead");
    stage.app.put(&mara, body.clone()).await.is(200);
    stage.cost(&[PROFILE]);
    stage.jira.look(|world| {
        let mara = world.person(&mail("mara")).unwrap();
        assert_eq!((mara.name.as_str(), mara.profile["job_title"].as_str()), ("Mara Moss", "Lead"));
    });
    stage.app.put(&mara, body.clone()).await.is(200);
    // Nobody at Atlassian reads a nickname of SCIM.
    body["nickName"] = json!("Mara");
    stage.app.put(&mara, body).await.is(200);
    stage.cost(&[]);
}

#[tokio::test]
async fn a_new_address_is_a_rename() {
    // CLOUD-54
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    let mut body = person("moss");
    body["displayName"] = json!("mara Lund");
    stage.app.put(&mara, body).await.is(200);
    stage.cost(&["PUT manage/email"]);
    assert_eq!((stage.state("mara"), stage.state("moss")), ("nobody", "active"));
    // One that somebody has is a conflict, and undone.
    stage.hire("ivo").await;
    let mut body = person("ivo");
    body["userName"] = json!(mail("moss"));
    let taken = stage.app.put(&mara, body).await;
    assert!(matches!(taken.status, 400 | 409), "{}", taken.body);
    assert_eq!(stage.app.get(&mara).await.body["userName"], mail("moss"));
}

/// The policy's word, the state afterwards, the call off, and the calls back.
type Way<'a> = (Option<&'a str>, &'a str, &'a [&'a str], &'a [&'a str]);

#[tokio::test]
async fn every_off_switch_takes_one_call_and_brings_the_person_back() {
    // CLOUD-41, CLOUD-43, CLOUD-45, CLOUD-47
    let cases: [Way<'_>; 4] = [
        (None, "suspended", &["POST dir/users/{accountId}/suspend"], &["POST dir/users/{accountId}/restore"]),
        (Some("remove"), "not_invited", &["DELETE dir/users/{accountId}"], &[INVITE, JOIN]),
        (Some("deactivate"), "deactivated", &["POST manage/lifecycle/disable"], &["POST manage/lifecycle/enable"]),
        (
            Some("delete"),
            "for_deletion",
            &["POST manage/lifecycle/delete"],
            &["POST manage/lifecycle/cancel-delete", JOIN],
        ),
    ];
    for (way, state, off, on) in cases {
        let deprovision = way.map_or(json!({}), |way| json!({"off_switch": way}));
        let stage = Stage::ruled(json!({"deprovision": deprovision})).await;
        let mara = stage.hire("mara").await;
        stage.app.group("Crew", &[mara.trim_start_matches("/Users/")]).await;
        stage.told();
        stage.set_active(&mara, false).await.is(200);
        stage.cost(off);
        assert_eq!(stage.state("mara"), state);
        stage.set_active(&mara, true).await.is(200);
        stage.cost(on);
        assert_eq!((stage.state("mara"), stage.members("Crew")), ("active", vec![mail("mara")]), "{way:?}");
    }
}

#[tokio::test]
async fn revoked_access_is_given_back_piece_by_piece() {
    // CLOUD-28
    let policy = json!({"products": [{"resource": "jira-software", "role": "atlassian/user"}],
                        "deprovision": {"off_switch": "revoke"}});
    let stage = Stage::ruled(policy).await;
    let mara = stage.hire("mara").await;
    let product = "jira-software-users-northwind-labs";
    assert_eq!(stage.members(product), [mail("mara")]);
    stage.set_active(&mara, false).await.is(200);
    assert_eq!((stage.members(product).len(), stage.state("mara")), (0, "active"));
    stage.told();
    stage.set_active(&mara, true).await.is(200);
    stage.cost(&["POST org1/users/{userId}/roles/assign"]);
    assert_eq!(stage.members(product), [mail("mara")]);
}

#[tokio::test]
async fn a_deleted_user_is_switched_off_or_removed_as_the_policy_says() {
    for (on_delete, call, state) in [
        ("deactivate", "POST dir/users/{accountId}/suspend", "suspended"),
        ("delete", "DELETE dir/users/{accountId}", "not_invited"),
    ] {
        let stage = Stage::ruled(json!({"deprovision": {"on_delete": on_delete}})).await;
        let mara = stage.hire("mara").await;
        stage.app.delete(&mara).await.is(204);
        stage.cost(&[call]);
        assert_eq!(stage.state("mara"), state);
        stage.app.post("/Users", person("mara")).await.is(201);
        assert_eq!(stage.state("mara"), "active", "{on_delete}");
    }
}

#[tokio::test]
async fn groups_are_made_once_and_filled_one_call_a_member() {
    // CLOUD-30, CLOUD-32
    let stage = Stage::set().await;
    let (mara, ivo) = (stage.hire("mara").await, stage.hire("ivo").await);
    let id = |path: &str| path.trim_start_matches("/Users/").to_owned();
    let crew = stage.app.group("Crew", &[&id(&mara)]).await;
    stage.cost(&[NEW_GROUP, FIND_GROUP, JOIN]);
    let path = format!("/Groups/{crew}");
    stage.app.patch(&path, json!([{"op": "add", "path": "members", "value": [{"value": id(&ivo)}]}])).await;
    stage.cost(&[JOIN]);
    assert_eq!(stage.members("Crew"), [mail("ivo"), mail("mara")]);
    let out = format!("members[value eq \"{}\"]", id(&mara));
    stage.app.patch(&path, json!([{"op": "remove", "path": out}])).await;
    stage.cost(&[PART]);
    // One that is there is filled.
    stage.jira.change(|world| world.create_group("Old Crew", "")).unwrap();
    stage.app.group("old crew", &[&id(&mara)]).await;
    stage.cost(&[NEW_GROUP, FIND_GROUP, JOIN]);
    assert_eq!(stage.members("Old Crew"), [mail("mara")]);
    stage.app.delete(&path).await.is(204);
    stage.pass().await;
    assert!(stage.members("Crew").is_empty());
}

#[tokio::test]
async fn groups_that_administer_or_are_synced_are_not_written() {
    // CLOUD-33, CLOUD-39
    let stage = Stage::set().await;
    let synced = stage.jira.change(|world| world.create_group("Synced", "")).unwrap();
    stage.jira.change(|world| world.edit_group(&synced, |group| group.synced = true));
    let mara = stage.hire("mara").await;
    for name in ["Synced", "site-admins", "system-administrators"] {
        let members = json!([{"value": mara.trim_start_matches("/Users/")}]);
        let refused = stage.app.post("/Groups", json!({"displayName": name, "members": members})).await;
        assert!(refused.status >= 400, "{name}: {}", refused.body);
        assert!(!stage.told().contains(&JOIN.to_owned()), "{name}");
        assert!(!stage.members(name).contains(&mail("mara")), "{name}");
    }
}

#[tokio::test]
async fn a_site_alone_does_what_it_can() {
    // CLOUD-21, CLOUD-43
    let policy = json!({"products": [{"resource": "jira-software"}]});
    let stage = Stage::like(CloudSandboxOptions::default(), policy, |options| options.organization = None).await;
    let mara = stage.app.post("/Users", person("mara")).await.is(201).id();
    stage.cost(&["GET /user/search", "POST /user"]);
    stage.app.group("Crew", &[&mara]).await;
    stage.cost(&["POST /group", "POST /group/user"]);
    let path = format!("/Users/{mara}");
    stage.app.patch(&path, json!([{"op": "replace", "path": "displayName", "value": "Mara Moss"}])).await.is(200);
    stage.cost(&[]);
    stage.set_active(&path, false).await.is(200);
    stage.cost(&["DELETE /user"]);
    assert_eq!(stage.state("mara"), "not_invited");
    stage.set_active(&path, true).await.is(200);
    assert_eq!(stage.told()[..2], ["GET /applicationrole", "POST /user"]);
    assert_eq!((stage.state("mara"), stage.members("Crew")), ("active", vec![mail("mara")]));
}

#[tokio::test]
async fn a_policy_that_needs_the_key_is_refused_in_words_and_the_leaver_stays_wanted_out() {
    let policy = json!({"deprovision": {"off_switch": "suspend"}});
    let stage = Stage::like(CloudSandboxOptions::default(), policy, |options| options.organization = None).await;
    let mara = stage.hire("mara").await;
    let refused = stage.set_active(&mara, false).await;
    assert!(refused.status >= 400 && refused.detail().contains("API key"), "{}", refused.body);
    assert_eq!(stage.app.get(&mara).await.body["active"], false);
    stage.cost(&[]);
}
