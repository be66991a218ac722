//! What an administrator can say in a policy, as stories: SCIM requests to the real router, the writer, and a sandbox Jira.

use jira_scim::sandbox::{NewAccount, Sandbox, SandboxOptions};
use jira_scim::store::tenant::{self, TenantChange};
use serde_json::{Value, json};

use crate::http_app::{App, Make};
use crate::world::origin;

pub(crate) struct Stage {
    pub(crate) app: App,
    pub(crate) jira: Sandbox,
}

impl Stage {
    pub(crate) async fn set(policy: Value) -> Self {
        let jira = Sandbox::start(SandboxOptions { applications: vec![], ..SandboxOptions::default() }).await.unwrap();
        Self { app: App::make(Make { policy, ..Make::default() }, Some(&jira)).await, jira }
    }

    pub(crate) async fn policy(&self, policy: Value) {
        let mut conn = self.app.store.pool().acquire().await.unwrap();
        let change = TenantChange { policy: Some(policy), ..TenantChange::default() };
        tenant::update(&mut conn, "acme", &change, origin()).await.unwrap();
    }

    /// An account that is there, in these groups.
    pub(crate) fn there(&self, name: &str, groups: &[&str]) {
        self.jira.add_account(&NewAccount::named(name)).unwrap();
        for group in groups {
            self.join(name, group);
        }
    }

    pub(crate) fn join(&self, name: &str, group: &str) {
        if !self.jira.groups().iter().any(|known| known == group) {
            self.jira.add_group(group).unwrap();
        }
        self.jira.add_member(group, name).unwrap();
    }

    pub(crate) async fn hire(&self, name: &str) -> String {
        self.app.post("/Users", json!({"userName": name, "active": true})).await.is(201).id()
    }

    pub(crate) async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
        self.app.post("/Groups", json!({"displayName": name, "members": members})).await.is(201).id()
    }

    pub(crate) async fn set_active(&self, id: &str, active: bool) -> u16 {
        let operations = json!([{"op": "replace", "path": "active", "value": active}]);
        self.app.patch(&format!("/Users/{id}"), operations).await.status
    }

    pub(crate) async fn leave(&self, group: &str, user: &str) {
        let operations = json!([{"op": "remove", "path": format!("members[value eq \"{user}\"]")}]);
        self.app.patch(&format!("/Groups/{group}"), operations).await.is(204);
    }

    /// Everything that is due within a few minutes happens.
    pub(crate) async fn pass(&self) {
        for _ in 0..3 {
            self.app.later(120).await;
        }
    }

    pub(crate) fn groups_of(&self, name: &str) -> Vec<String> {
        let mut groups = self.jira.groups_of(name);
        groups.sort();
        groups
    }

    pub(crate) fn is_active(&self, name: &str) -> bool {
        self.jira.account(name).unwrap().active
    }
}

/// The usual example: somebody in three groups by hand, of whom the identity provider says that he is in two more.
async fn usual(policy: Value) -> (Stage, String, String) {
    let stage = Stage::set(policy).await;
    stage.there("ann", &["jira-software-users", "jira-administrators", "support-team"]);
    // Else she would be the last one.
    stage.there("boss", &["jira-administrators"]);
    let ann = stage.hire("ann").await;
    let developers = stage.group("developers", &[&ann]).await;
    stage.group("employees", &[&ann]).await;
    stage.pass().await;
    (stage, ann, developers)
}

const ALL_FIVE: [&str; 5] = ["developers", "employees", "jira-administrators", "jira-software-users", "support-team"];

#[tokio::test]
async fn with_never_all_groups_remain_whatever_the_identity_provider_takes_away() {
    let (stage, ann, developers) = usual(json!({"groups": {"remove": "never"}})).await;
    assert_eq!(stage.groups_of("ann"), ALL_FIVE);
    stage.leave(&developers, &ann).await;
    stage.set_active(&ann, false).await;
    stage.pass().await;
    assert!(!stage.is_active("ann"));
    assert_eq!(stage.groups_of("ann"), ALL_FIVE);
}

#[tokio::test]
async fn with_ours_what_we_wrote_goes_and_the_rest_stays() {
    let (stage, ann, developers) = usual(json!({"deprovision": {"strip_groups": true}})).await;
    assert_eq!(stage.groups_of("ann"), ALL_FIVE);
    stage.leave(&developers, &ann).await;
    assert_eq!(stage.groups_of("ann"), ["employees", "jira-administrators", "jira-software-users", "support-team"]);
    stage.set_active(&ann, false).await;
    stage.pass().await;
    assert_eq!(stage.groups_of("ann"), ["jira-administrators", "jira-software-users", "support-team"]);
}

#[tokio::test]
async fn with_all_exactly_what_the_identity_provider_says_remains_and_what_is_excluded() {
    let (stage, ann, developers) =
        usual(json!({"groups": {"remove": "all", "remove_exclude": ["^jira-administrators$"]}})).await;
    assert_eq!(stage.groups_of("ann"), ["developers", "employees", "jira-administrators"]);
    stage.set_active(&ann, false).await;
    stage.pass().await;
    assert!(!stage.is_active("ann"));
    assert_eq!(stage.groups_of("ann"), ["developers", "employees", "jira-administrators"], "on deactivation too");
    stage.leave(&developers, &ann).await;
    stage.pass().await;
    assert_eq!(stage.groups_of("ann"), ["employees", "jira-administrators"]);
}

#[tokio::test]
async fn a_policy_that_becomes_all_sweeps_accounts_that_are_there() {
    let (stage, _, _) = usual(json!({})).await;
    stage.policy(json!({"groups": {"remove": "all"}})).await;
    stage.pass().await;
    assert_eq!(stage.groups_of("ann"), ["developers", "employees", "jira-administrators"], "administrators are kept");
}

#[tokio::test]
async fn groups_are_renamed_filtered_and_put_together_as_the_rules_say() {
    let stage = Stage::set(json!({"groups": {
        "include": ["^jira-"], "exclude": ["-test$"], "case": "lower",
        "rename": [{"pattern": "^jira-(.+?)(-eu|-us)?$", "with": "$1"}],
        "table": {"Everybody": ["staff", "jira-users"]},
    }}))
    .await;
    let ann = stage.hire("ann").await;
    let eu = stage.group("JIRA-Dev-EU", &[&ann]).await;
    stage.group("jira-dev-us", &[&ann]).await;
    stage.group("jira-x-test", &[&ann]).await;
    stage.group("vpn", &[&ann]).await;
    let everybody = stage.group("everybody", &[&ann]).await;
    stage.pass().await;
    assert_eq!(stage.groups_of("ann"), ["dev", "jira-users", "staff"]);
    assert!(!stage.jira.groups().iter().any(|group| group.contains("vpn") || group.contains("test")));
    stage.leave(&eu, &ann).await;
    assert_eq!(stage.groups_of("ann"), ["dev", "jira-users", "staff"], "the other group still stands for it");
    stage.app.delete(&format!("/Groups/{everybody}")).await.is(204);
    stage.pass().await;
    assert_eq!(stage.groups_of("ann"), ["dev"]);
}

#[tokio::test]
async fn a_change_of_the_table_moves_everybody() {
    let manual = |to: &str| json!({"groups": {"mode": "manual", "table": {"Red": [to]}}});
    let stage = Stage::set(manual("crew")).await;
    let ann = stage.hire("ann").await;
    stage.group("Red", &[&ann]).await;
    stage.group("Blue", &[&ann]).await;
    assert_eq!(stage.groups_of("ann"), ["crew"]);
    stage.policy(manual("team")).await;
    stage.pass().await;
    assert_eq!(stage.groups_of("ann"), ["team"]);
}

#[tokio::test]
async fn a_renamed_group_keeps_its_jira_group_or_moves() {
    for (on_rename, groups, again) in [("alias", vec!["dev"], 409), ("move", vec!["engineers"], 201)] {
        let stage = Stage::set(json!({"groups": {"on_rename": on_rename}})).await;
        let ann = stage.hire("ann").await;
        let dev = stage.group("dev", &[&ann]).await;
        let rename = json!([{"op": "replace", "path": "displayName", "value": "engineers"}]);
        stage.app.patch(&format!("/Groups/{dev}"), rename).await.is(204);
        stage.pass().await;
        assert_eq!(stage.groups_of("ann"), groups, "{on_rename}");
        stage.app.post("/Groups", json!({"displayName": "dev"})).await.is(again);
    }
}

#[tokio::test]
async fn the_name_of_a_renamed_group_is_free_where_the_table_says_what_it_stands_for() {
    let stage = Stage::set(json!({"groups": {"table": {"dev": ["developers"]}}})).await;
    let dev = stage.group("dev", &[]).await;
    let rename = json!([{"op": "replace", "path": "displayName", "value": "engineers"}]);
    stage.app.patch(&format!("/Groups/{dev}"), rename).await.is(204);
    stage.app.post("/Groups", json!({"displayName": "dev"})).await.is(201);
}

#[tokio::test]
async fn members_of_a_group_in_a_group_count_where_nesting_is_on() {
    for (nesting, groups) in [(true, vec!["inner", "outer"]), (false, vec!["inner"])] {
        let stage = Stage::set(json!({"groups": {"nesting": nesting}})).await;
        let ann = stage.hire("ann").await;
        let inner = stage.group("inner", &[&ann]).await;
        stage.group("outer", &[&inner]).await;
        stage.pass().await;
        assert_eq!(stage.groups_of("ann"), groups);
    }
}

#[tokio::test]
async fn groups_lie_no_deeper_in_one_another_than_the_limit() {
    let stage = Stage::set(json!({})).await;
    let ann = stage.hire("ann").await;
    let mut inner = stage.group("g1", &[&ann]).await;
    for n in 2..=20 {
        inner = stage.group(&format!("g{n}"), &[&inner]).await;
    }
    stage.pass().await;
    assert_eq!(stage.groups_of("ann").len(), 20);
    let answer = stage.app.post("/Groups", json!({"displayName": "g21", "members": [{"value": inner}]})).await;
    assert!(answer.refuses(400, "invalidValue").detail().contains("20 deep"));
    let top = stage.group("top", &[]).await;
    let add = json!([{"op": "add", "path": "members", "value": [{"value": inner}]}]);
    stage.app.patch(&format!("/Groups/{top}"), add).await.refuses(400, "invalidValue");
}

#[tokio::test]
async fn default_groups_come_once_with_the_account_or_always() {
    let policy = |when: &str| json!({"groups": {"default_groups": ["jira-users"], "default_groups_when": when}});
    let stage = Stage::set(policy("create")).await;
    stage.there("bo", &[]);
    let (ann, _bo) = (stage.hire("ann").await, stage.hire("bo").await);
    stage.pass().await;
    assert_eq!((stage.groups_of("ann"), stage.groups_of("bo")), (vec!["jira-users".to_owned()], vec![]));
    stage.jira.remove_member("jira-users", "ann").unwrap();
    stage
        .app
        .patch(&format!("/Users/{ann}"), json!([{"op": "replace", "path": "displayName", "value": "A"}]))
        .await
        .is(200);
    stage.pass().await;
    stage.policy(policy("always")).await;
    stage.pass().await;
    assert_eq!(stage.groups_of("bo"), ["jira-users"]);
}

#[tokio::test]
async fn only_members_of_the_required_group_come_in_and_who_leaves_it_goes() {
    let stage = Stage::set(json!({"users": {"required_groups": ["jira-people"]}})).await;
    let (ann, _) = (stage.hire("ann").await, stage.hire("bo").await);
    let people = stage.group("Jira-People", &[&ann]).await;
    stage.pass().await;
    assert!(stage.is_active("ann") && stage.jira.account("bo").is_none());
    stage.leave(&people, &ann).await;
    assert!(!stage.is_active("ann"));
}

#[tokio::test]
async fn where_users_are_off_accounts_are_only_found() {
    let stage = Stage::set(json!({"users": {"enabled": false}})).await;
    stage.there("ann", &[]);
    let ann = stage.hire("ann").await;
    stage.group("dev", &[&ann]).await;
    stage.pass().await;
    assert_eq!(stage.groups_of("ann"), ["dev"]);
    stage.set_active(&ann, false).await;
    stage.pass().await;
    assert!(stage.is_active("ann"), "nobody is switched off");
    let answer = stage.app.post("/Users", json!({"userName": "bo"})).await;
    assert!(answer.detail().contains("policy.users.enabled"), "{}", answer.body);
    assert!(stage.jira.account("bo").is_none());
}

#[tokio::test]
async fn groups_can_be_off() {
    let stage = Stage::set(json!({"groups": {"enabled": false}})).await;
    let ann = stage.hire("ann").await;
    stage.group("dev", &[&ann]).await;
    stage.pass().await;
    assert!(stage.groups_of("ann").is_empty());
    assert!(!stage.jira.groups().iter().any(|group| group == "dev"));
}

#[tokio::test]
async fn a_group_that_we_made_is_deleted_where_no_other_stands_for_it() {
    let stage = Stage::set(json!({"deprovision": {"on_group_delete": "delete"}, "groups": {
        "rename": [{"pattern": "-(eu|us)$", "with": ""}]}}))
    .await;
    stage.jira.add_group("theirs").unwrap();
    let ann = stage.hire("ann").await;
    let (dev, eu) = (stage.group("dev", &[&ann]).await, stage.group("ops-eu", &[&ann]).await);
    let (us, theirs) = (stage.group("ops-us", &[&ann]).await, stage.group("theirs", &[&ann]).await);
    stage.pass().await;
    assert_eq!(stage.groups_of("ann"), ["dev", "ops", "theirs"]);
    for (group, left) in
        [(dev, vec!["ops", "theirs"]), (eu, vec!["ops", "theirs"]), (theirs, vec!["ops"]), (us, vec![])]
    {
        stage.app.delete(&format!("/Groups/{group}")).await.is(204);
        stage.pass().await;
        assert_eq!(stage.groups_of("ann"), left);
    }
    let left = stage.jira.groups();
    assert!(left.iter().any(|group| group == "theirs"), "one that was there stays: {left:?}");
    assert!(!left.iter().any(|group| group == "dev" || group == "ops"), "{left:?}");
}

#[tokio::test]
async fn a_group_that_is_kept_is_forgotten_only_where_no_other_stands_for_it() {
    let stage = Stage::set(json!({"deprovision": {"on_group_delete": "keep"}, "groups": {
        "rename": [{"pattern": "-(eu|us)$", "with": ""}]}}))
    .await;
    let ann = stage.hire("ann").await;
    let (eu, us) = (stage.group("ops-eu", &[&ann]).await, stage.group("ops-us", &[&ann]).await);
    let bo = stage.hire("bo").await;
    let add = json!([{"op": "add", "path": "members", "value": [{"value": bo}]}]);
    stage.app.patch(&format!("/Groups/{eu}"), add).await.is(204);
    stage.app.delete(&format!("/Groups/{eu}")).await.is(204);
    stage.pass().await;
    assert_eq!(stage.groups_of("bo"), ["ops"], "kept");
    stage.leave(&us, &ann).await;
    assert!(stage.groups_of("ann").is_empty(), "it was still ours");
}

#[tokio::test]
async fn protected_people_and_groups_are_left_alone() {
    let stage = Stage::set(json!({"protect": {"users": ["^svc-"], "groups": ["^board$"]}})).await;
    stage.there("svc-build", &["board"]);
    let answer = stage.app.post("/Users", json!({"userName": "svc-build"})).await.is(409);
    assert!(answer.detail().contains("policy.protect.users"), "{}", answer.body);
    let ann = stage.hire("ann").await;
    stage.app.post("/Groups", json!({"displayName": "Board", "members": [{"value": ann}]})).await;
    stage.pass().await;
    assert_eq!(stage.jira.members("board"), ["svc-build"]);
    assert!(stage.is_active("svc-build"));
}

#[tokio::test]
async fn the_last_administrator_is_never_switched_off() {
    let stage = Stage::set(json!({"protect": {"allow": ["jira-administrators"]}})).await;
    for name in ["ann", "bo"] {
        stage.there(name, &["jira-administrators"]);
    }
    let (ann, bo) = (stage.hire("ann").await, stage.hire("bo").await);
    assert_eq!(stage.set_active(&ann, false).await, 200);
    let operations = json!([{"op": "replace", "path": "active", "value": false}]);
    let answer = stage.app.patch(&format!("/Users/{bo}"), operations).await;
    assert!(answer.detail().contains("last administrator"), "{}", answer.body);
    assert!(stage.is_active("bo") && !stage.is_active("ann"));
    // Somebody else became one: the daily retry goes through.
    stage.there("cy", &["jira-administrators"]);
    stage.app.later(86_500).await;
    stage.app.later(60).await;
    assert!(!stage.is_active("bo"));
}

#[tokio::test]
async fn of_two_administrators_who_go_at_the_same_time_one_stays() {
    let stage = Stage::set(json!({})).await;
    let mut ids = Vec::new();
    for name in ["ann", "bo"] {
        stage.there(name, &["jira-administrators"]);
        ids.push(stage.hire(name).await);
    }
    let answers = futures_util::future::join_all(ids.iter().map(|id| stage.set_active(id, false))).await;
    stage.pass().await;
    assert_eq!(usize::from(stage.is_active("ann")) + usize::from(stage.is_active("bo")), 1, "{answers:?}");
}

#[tokio::test]
async fn of_two_administrators_who_are_deleted_at_the_same_time_one_stays() {
    let stage = Stage::set(json!({"deprovision": {"on_delete": "delete"}})).await;
    let mut ids = Vec::new();
    for name in ["ann", "bo"] {
        stage.there(name, &["jira-administrators"]);
        ids.push(stage.hire(name).await);
    }
    let paths: Vec<String> = ids.iter().map(|id| format!("/Users/{id}")).collect();
    let answers = futures_util::future::join_all(paths.iter().map(|path| stage.app.delete(path))).await;
    stage.pass().await;
    let stay =
        ["ann", "bo"].iter().filter(|name| stage.jira.account(name).is_some_and(|account| account.active)).count();
    assert_eq!(stay, 1, "{answers:?}");
}

#[tokio::test]
async fn whom_the_rules_give_no_login_name_gets_nobodys_account() {
    for matching in [json!(["user_name"]), json!(["external_id", "user_name"])] {
        let rules = json!({"match": matching, "account": {"username": "{{ enterprise.employeeNumber }}"}});
        let stage = Stage::set(rules).await;
        stage.there("guest", &[]);
        for active in [false, true] {
            let answer = stage.app.post("/Users", json!({"userName": "guest", "active": active})).await;
            assert_eq!(answer.status, if active { 400 } else { 201 }, "{answer:?}");
            stage.pass().await;
            assert!(stage.is_active("guest"), "somebody else's account");
            if !active {
                stage.app.delete(&format!("/Users/{}", answer.id())).await.is(204);
            }
        }
        assert!(stage.jira.journal().iter().all(|call| call.method == "GET"), "nothing was written");
    }
}

#[tokio::test]
async fn a_deletion_waits_out_its_grace_and_a_returner_keeps_the_account() {
    let stage = Stage::set(json!({"deprovision": {"on_delete": "delete", "delete_after": "1h"}})).await;
    let (ann, bo) = (stage.hire("ann").await, stage.hire("bo").await);
    for id in [&ann, &bo] {
        stage.app.delete(&format!("/Users/{id}")).await.is(204);
    }
    stage.pass().await;
    assert!(!stage.is_active("ann") && !stage.is_active("bo"));
    let key = stage.jira.account("bo").unwrap().key;
    assert_eq!(stage.hire("bo").await, bo, "the same id");
    let hour_ago = "UPDATE scim_user SET deleted_at = deleted_at - interval '1 hour' WHERE deleted_at IS NOT NULL";
    sqlx::query(hour_ago).execute(stage.app.store.pool()).await.unwrap();
    stage.app.later(3600).await;
    assert!(stage.jira.account("ann").is_none());
    assert!(stage.is_active("bo") && stage.jira.account("bo").unwrap().key == key);
}

#[tokio::test]
async fn people_find_their_accounts_by_what_the_policy_matches_by() {
    let stage = Stage::set(json!({"match": ["external_id", "email", "user_name"]})).await;
    for (name, email) in [("amoss", "ann@example.test"), ("e-7", "bo@example.test"), ("cy", "cy@example.test")] {
        let account = NewAccount { email: email.to_owned(), ..NewAccount::named(name) };
        stage.jira.add_account(&account).unwrap();
    }
    for twin in ["dee-1", "dee-2"] {
        let account = NewAccount { email: "dee@example.test".to_owned(), ..NewAccount::named(twin) };
        stage.jira.add_account(&account).unwrap();
    }
    let keys = |names: [&str; 3]| names.map(|name| stage.jira.account(name).unwrap().key);
    let before = keys(["amoss", "e-7", "cy"]);
    let user = |name: &str, id: &str| {
        json!({"userName": name, "externalId": id, "active": true,
            "emails": [{"value": format!("{name}@example.test"), "primary": true}]})
    };
    for (name, id) in [("ann", "e-1"), ("bo", "e-7"), ("cy", "e-3"), ("eve", "e-9")] {
        stage.app.post("/Users", user(name, id)).await.is(201);
    }
    stage.pass().await;
    assert_eq!(keys(["ann", "bo", "cy"]), before, "found, and renamed to what the identity provider calls them");
    assert!(stage.jira.account("amoss").is_none() && stage.is_active("eve"));
    let refused = stage.app.post("/Users", user("dee", "e-4")).await.is(400);
    assert!(
        refused.detail().contains("more than one account has the address dee@example.test"),
        "{}",
        refused.detail()
    );
    assert!(stage.jira.account("dee").is_none());
}

#[tokio::test]
async fn who_has_the_name_and_is_not_matched_is_somebody_else() {
    let stage = Stage::set(json!({"match": ["email"]})).await;
    stage.there("ann", &[]);
    let user = json!({"userName": "ann", "emails": [{"value": "ann.moss@example.test"}]});
    let refused = stage.app.post("/Users", user).await.is(409);
    assert!(refused.detail().contains("policy.match does not find people by that"), "{}", refused.detail());
}

#[tokio::test]
async fn an_adoption_waits_for_approval_and_the_rest_goes_on() {
    let stage = Stage::set(json!({"adopt": "ask"})).await;
    stage.there("ann", &[]);
    stage.app.post("/Users", json!({"userName": "ann", "displayName": "Ann"})).await.is(201);
    stage.hire("bo").await;
    stage.pass().await;
    assert_eq!(stage.jira.account("ann").unwrap().display_name, "ann", "nobody wrote it");
    assert!(stage.is_active("bo"));
}
