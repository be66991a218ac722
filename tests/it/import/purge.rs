//! A purge of what came from here for other reasons than a group of the identity provider.

use jira_scim::sandbox::{NewAccount, Role, Sandbox, SandboxOptions};
use jira_scim::store::brake::{Decision, HeldFilter};
use jira_scim::store::link::Pinned;
use jira_scim::store::outbox::{self, NudgeAs};
use jira_scim::store::removal::{self, Names};
use jira_scim::store::run::{Kind, State};
use jira_scim::store::tenant::Mode;
use jira_scim::store::{overrides, tenant};
use jira_scim::writer::brake::decide_by_hand;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

use super::Stage;
use crate::http_app::{self, App, Make};
use crate::world::origin;

impl Stage {
    async fn purge(&self, options: Value) {
        self.run(Kind::Purge, options).await;
        // The tenant, and then its people.
        self.app.later(60).await;
        self.app.later(60).await;
    }

    async fn pin(&self, user: &str, group: &str) {
        let pool = self.app.store.pool();
        let tenant = tenant::get(pool, "acme").await.unwrap().unwrap();
        let user_id: Uuid = user.parse().unwrap();
        let what = Pinned::Member { key: group.to_owned(), name: group.to_owned() };
        let until = Some(chrono::Utc::now() + chrono::TimeDelta::days(30));
        let new = overrides::New { user_id, what: &what, until, reason: "project", actor: "test" };
        let mut conn = pool.acquire().await.unwrap();
        overrides::add(&mut conn, tenant.id, &new).await.unwrap();
        outbox::nudge(&mut conn, tenant.id, "user", &[user_id], NudgeAs::BULK).await.unwrap();
    }
}

#[tokio::test]
async fn a_purge_takes_default_groups_overrides_and_deleted_groups_back_and_waits_for_nothing() {
    let policy = json!({"groups": {"remove": "never", "default_groups": ["everybody"]},
                        "deprovision": {"on_delete": "delete", "delete_after": "7d"}});
    let stage = Stage::settled(policy).await;
    let before = stage.jira.groups();
    stage.import().await;
    let ann = stage.id("ann").await;
    stage.app.patch(&format!("/Users/{ann}"), json!([{"op": "add", "path": "title", "value": "Cook"}])).await.is(200);
    let (eve, fred) = (stage.app.user("eve").await, stage.app.user("fred").await);
    stage.app.group("pushed", &[&ann, &eve]).await;
    let old = stage.app.group("old", &[&eve]).await;
    stage.pin(&eve, "special").await;
    stage.app.later(60).await;
    stage.app.delete(&format!("/Groups/{old}")).await.is(204);
    stage.app.delete(&format!("/Users/{fred}")).await.is(204);
    stage.app.later(60).await;
    assert_eq!(stage.jira.groups_of("eve"), ["everybody", "old", "pushed", "special"]);
    assert!(!stage.jira.account("fred").unwrap().active, "his account waits to be deleted");
    let told = stage.writes().len();
    let tenant = tenant::get(stage.app.store.pool(), "acme").await.unwrap().unwrap();
    let mut conn = stage.app.store.pool().acquire().await.unwrap();
    let sizes = removal::sizes(&mut conn, tenant.id).await.unwrap();
    let names = removal::names(&mut conn, tenant.id, Names::Made, None, 10).await.unwrap();
    drop(conn);
    let names: Vec<String> = names.into_iter().map(|named| named.name).collect();
    assert_eq!((sizes.made, sizes.found, sizes.groups, sizes.overrides), (2, 3, 4, 1), "{sizes:?}");
    assert_eq!(names, ["eve", "fred"]);

    stage.purge(json!({"past_the_brake": true})).await;
    assert_eq!(stage.app.open().await, 0);
    assert_eq!(stage.jira.groups(), before, "whatever was made from here is gone");
    assert!(stage.jira.account("eve").is_none() && stage.jira.account("fred").is_none());
    assert!(stage.jira.account("ann").unwrap().active && stage.jira.groups_of("ann") == ["crew"]);
    let calls = &stage.writes()[told..];
    assert_eq!(calls.iter().filter(|call| *call == "DELETE /group").count(), 4, "{calls:?}");
    assert_eq!(
        calls.iter().filter(|call| *call == "DELETE /group/user").count(),
        0,
        "nobody is taken out first: {calls:?}"
    );
    let overrides = "SELECT count(*) FROM override WHERE lifted IS NULL";
    assert_eq!(stage.number(overrides).await, 0);
}

#[tokio::test]
async fn a_group_that_another_tenant_wants_stays_without_our_people() {
    let stage = Stage::set().await;
    http_app::tenant(&stage.app.store, "other").await;
    sqlx::query("UPDATE tenant SET policy = $1 WHERE slug = 'other'")
        .bind(json!({"groups": {"default_groups": ["pushed"]}}))
        .execute(stage.app.store.pool())
        .await
        .unwrap();
    let eve = stage.app.user("eve").await;
    stage.app.group("pushed", &[&eve]).await;
    stage.app.group("alone", &[&eve]).await;
    stage.purge(json!({"past_the_brake": true})).await;
    let groups = stage.jira.groups();
    assert!(groups.contains(&"pushed".to_owned()) && !groups.contains(&"alone".to_owned()), "{groups:?}");
    assert_eq!(stage.jira.members("pushed"), Vec::<String>::new());
    assert!(!stage.jira.account("eve").unwrap().active);
}

#[tokio::test]
async fn the_brake_holds_groups_of_a_purge_until_somebody_releases_them() {
    let none = json!({"max": 0, "percent": 0, "min": 0});
    let stage = Stage::ruled(json!({"brake": {"memberships": none}})).await;
    let eve = stage.app.user("eve").await;
    stage.app.group("pushed", &[&eve]).await;
    stage.purge(json!({})).await;
    assert_eq!(stage.jira.members("pushed"), ["eve"]);
    let held = "SELECT count(*) FROM jira_group WHERE step ->> 'state' = 'held'";
    assert_eq!(stage.number(held).await, 1);
    let tenant = tenant::get(stage.app.store.pool(), "acme").await.unwrap().unwrap();
    let all = HeldFilter::default();
    decide_by_hand(&stage.app.store, &tenant, origin(), Decision::Pass, all, &mut |_| {}).await.unwrap();
    stage.app.later(60).await;
    stage.app.later(60).await;
    assert!(!stage.jira.groups().contains(&"pushed".to_owned()));
    assert_eq!((stage.app.open().await, stage.number(held).await), (0, 0));
}

#[tokio::test]
async fn access_that_an_adopted_account_got_is_taken_back_and_the_account_stays_as_it_was() {
    let applications = vec![Role::named("jira-core", None)];
    let jira = Sandbox::start(SandboxOptions { applications, ..SandboxOptions::default() }).await.unwrap();
    jira.add_account(&NewAccount::named("ann")).unwrap();
    let settle = Duration::from_secs(20);
    let make = Make { policy: json!({"applications": ["jira-core"]}), settle, ..Make::default() };
    let stage = Stage { app: App::make(make, Some(&jira)).await, jira };
    assert_eq!(stage.jira.groups_of("ann"), Vec::<String>::new());
    stage.app.user("ann").await;
    assert_eq!(stage.jira.groups_of("ann"), ["jira-core-users"]);
    stage.purge(json!({})).await;
    assert_eq!(stage.jira.groups_of("ann"), Vec::<String>::new());
    assert!(stage.jira.account("ann").unwrap().active);
}

#[tokio::test]
async fn somebody_imported_who_was_switched_on_in_jira_since_is_left_on() {
    let stage = Stage::settled(json!({})).await;
    stage.jira.change(|world| world.force_active("ann", false)).unwrap();
    stage.import().await;
    stage.jira.change(|world| world.force_active("ann", true)).unwrap();
    assert_eq!(stage.import().await.accounts.updated, 1);
    stage.purge(json!({"past_the_brake": true})).await;
    assert!(stage.jira.account("ann").unwrap().active);
    assert_eq!(stage.writes(), Vec::<String>::new(), "nothing came from here");
}

#[tokio::test]
async fn a_tenant_that_only_observes_is_not_purged() {
    let jira = Sandbox::start(SandboxOptions { applications: vec![], ..SandboxOptions::default() }).await.unwrap();
    let stage = Stage { app: App::make(Make { mode: Mode::Observe, ..Make::default() }, Some(&jira)).await, jira };
    stage.app.user("eve").await;
    stage.request(Kind::Purge, json!({})).await;
    stage.app.writer.run_due().await.unwrap();
    let run = stage.last(Kind::Purge).await;
    assert!(run.state == State::Failed && run.error.as_ref().unwrap().contains("only observes"), "{run:?}");
    assert_eq!(stage.app.get("/Users").await.is(200).body["totalResults"], 1);
}

#[tokio::test]
async fn an_adopted_account_of_somebody_who_left_and_came_back_is_not_taken_for_ours() {
    let stage = Stage::set().await;
    stage.jira.add_account(&NewAccount::named("ann")).unwrap();
    let ann = stage.app.user("ann").await;
    stage.app.delete(&format!("/Users/{ann}")).await.is(204);
    assert!(!stage.jira.account("ann").unwrap().active);
    assert_eq!(stage.app.user("ann").await, ann);
    assert!(stage.jira.account("ann").unwrap().active);
    stage.purge(json!({})).await;
    assert!(stage.jira.account("ann").unwrap().active, "it was there before");
}
