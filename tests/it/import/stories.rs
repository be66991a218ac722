//! What an import makes of a Jira, and what a second one makes of what has changed.

use std::time::Duration;

use jira_scim::policy::mapping::Grounds;
use jira_scim::sandbox::{NewAccount, Sandbox, SandboxOptions};
use jira_scim::store::run::Kind;
use jira_scim::store::tenant::{self, Mode};
use jira_scim::writer::by_hand::ByHand;
use serde_json::{Value, json};

use super::{ORIGIN, Stage};
use crate::http_app::{App, Make, enforce};
use crate::world::origin;

#[tokio::test]
async fn people_groups_and_memberships_become_resources_and_nothing_is_written() {
    let stage = Stage::settled(json!({})).await;
    stage.jira.change(|world| world.force_active("cleo", false)).unwrap();
    let first = stage.import().await;
    assert_eq!((first.accounts.created, first.accounts.skipped["our own account"]), (3, 1), "{first:?}");
    assert_eq!((first.groups.created, first.memberships.created), (2, 2), "{first:?}");
    assert_eq!(first.groups.skipped["grants administration"], 2, "{first:?}");
    assert_eq!((stage.writes(), stage.app.open().await), (vec![], 0), "nothing was written, and nothing waits");

    let ann = stage.user("ann").await;
    assert_eq!(ann[ORIGIN], json!({"origin": "imported"}));
    assert!(ann["schemas"].as_array().unwrap().contains(&ORIGIN.into()), "{ann}");
    assert_eq!((&ann["emails"][0]["value"], &ann["active"]), (&json!("ann@example.test"), &json!(true)));
    assert_eq!(stage.user("cleo").await["active"], false);
    let crew = stage.group("crew").await;
    assert_eq!(crew["members"].as_array().unwrap().len(), 2, "{crew}");
    assert_eq!(crew["urn:jira-scim:params:scim:schemas:extension:origin:2.0:Group"]["origin"], "imported");
    let found = stage.app.get(&format!("/Users?filter={ORIGIN}:origin%20eq%20%22imported%22")).await.is(200);
    assert_eq!(found.body["totalResults"], 3);

    let again = stage.import().await;
    assert_eq!((again.accounts.known, again.groups.known, again.memberships.known), (3, 2, 2), "{again:?}");
    assert_eq!((again.accounts.created, again.groups.created, again.memberships.created), (0, 0, 0), "{again:?}");
    assert_eq!(stage.user("ann").await, ann, "the same resource, at the same version");
    assert_eq!(stage.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn what_changed_in_jira_changes_what_nobody_has_written_to() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    let (ann, crew) = (stage.id("ann").await, stage.group("crew").await["id"].as_str().unwrap().to_owned());
    let bert = stage.id("bert").await;
    stage.app.patch(&format!("/Users/{bert}"), json!([{"op": "add", "path": "title", "value": "Cook"}])).await.is(200);
    for name in ["ann", "bert"] {
        stage.jira.change(|world| world.force_active(name, false)).unwrap();
    }
    stage.jira.remove_member("crew", "bert").unwrap();
    stage.jira.add_member("crew", "cleo").unwrap();
    stage.jira.add_account(&NewAccount::named("dora")).unwrap();
    let second = stage.import().await;
    assert_eq!((second.accounts.updated, second.accounts.created), (1, 1), "{second:?}");
    assert_eq!((second.memberships.created, second.memberships.removed), (1, 1), "{second:?}");
    assert_eq!(stage.app.get(&format!("/Users/{ann}")).await.is(200).body["active"], false);
    assert_eq!(stage.app.get(&format!("/Users/{bert}")).await.is(200).body["active"], true, "the client's by now");
    let mut members = vec![ann, stage.id("cleo").await];
    members.sort();
    assert_eq!(stage.app.members(&crew).await, members);
}

#[tokio::test]
async fn somebody_who_was_renamed_in_jira_keeps_the_id() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    let ann = stage.id("ann").await;
    rename(&stage, "ann", "anna").await;
    assert_eq!(stage.import().await.accounts.updated, 1);
    assert_eq!(stage.id("anna").await, ann);
    // The name is free again.
    stage.jira.add_account(&NewAccount::named("ann")).unwrap();
    assert_eq!(stage.import().await.accounts.created, 1);
    assert_ne!(stage.id("ann").await, ann);
}

#[tokio::test]
async fn people_whom_the_client_made_while_it_was_only_observed_get_their_accounts() {
    let jira = Sandbox::start(SandboxOptions { applications: vec![], ..SandboxOptions::default() }).await.unwrap();
    jira.add_account(&NewAccount::named("ann")).unwrap();
    jira.add_group("crew").unwrap();
    jira.add_member("crew", "ann").unwrap();
    let app = App::make(Make { mode: Mode::Observe, ..Make::default() }, Some(&jira)).await;
    let stage = Stage { app, jira };
    let body = json!({"userName": "ann", "displayName": "ann", "emails": [{"value": "ann@example.test"}]});
    let ann = stage.app.post("/Users", body).await.is(201).id();
    stage.app.group("crew", &[&ann]).await;
    stage.app.later(1).await;
    let counters = stage.import().await;
    assert_eq!((counters.accounts.linked, counters.accounts.created), (1, 0), "{counters:?}");
    assert_eq!((counters.groups.known, counters.memberships.linked), (1, 1), "{counters:?}");
    enforce(&stage.app.store).await;
    stage.app.later(1).await;
    assert_eq!(stage.writes(), Vec::<String>::new(), "everything is as the client wants it");
}

#[tokio::test]
async fn an_import_finds_whose_an_account_is_as_a_drive_would() {
    let jira = Sandbox::start(SandboxOptions { applications: vec![], ..SandboxOptions::default() }).await.unwrap();
    for (name, email) in [("amoss", "ann@example.test"), ("e-7", "bo@elsewhere.test"), ("cy", "cy@elsewhere.test")] {
        jira.add_account(&NewAccount { email: email.to_owned(), ..NewAccount::named(name) }).unwrap();
    }
    let policy = json!({"match": ["external_id", "email"]});
    let app = App::make(Make { policy, mode: Mode::Observe, ..Make::default() }, Some(&jira)).await;
    let stage = Stage { app, jira };
    for (name, id) in [("ann", "e-1"), ("bo", "e-7"), ("cy", "e-9")] {
        let body = json!({"userName": name, "externalId": id, "emails": [{"value": format!("{name}@example.test")}]});
        stage.app.post("/Users", body).await.is(201);
    }
    stage.app.later(1).await;
    let counters = stage.import().await;
    assert_eq!((counters.accounts.linked, counters.accounts.created), (2, 0), "{counters:?}");
    assert_eq!(counters.accounts.skipped["the name is another user's"], 1, "cy is not found by the name: {counters:?}");
}

#[tokio::test]
async fn rules_say_what_is_left_alone_and_which_groups_are_ours() {
    let policy = json!({"protect": {"users": ["^svc-"], "groups": ["^secret$"]},
                        "groups": {"include": ["^crew$", "^secret$"]}});
    let stage = Stage::settled(policy).await;
    stage.jira.add_account(&NewAccount::named("svc-build")).unwrap();
    stage.jira.add_group("secret").unwrap();
    let counters = stage.import().await;
    assert_eq!(counters.accounts.skipped["protected by the policy"], 1, "{counters:?}");
    assert_eq!(counters.groups.skipped["protected by the policy"], 1, "{counters:?}");
    assert_eq!(
        (counters.groups.created, counters.groups.skipped["the policy does not want it"]),
        (1, 1),
        "{counters:?}"
    );
}

#[tokio::test]
async fn an_account_of_another_tenant_is_left_to_it() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    let other = crate::http_app::tenant(&stage.app.store, "other").await;
    assert!(!other.is_empty());
    let tenant = jira_scim::store::tenant::get(stage.app.store.pool(), "other").await.unwrap().unwrap();
    let mut conn = stage.app.store.pool().acquire().await.unwrap();
    let origin = crate::world::origin();
    jira_scim::store::run::request(&mut conn, tenant.id, Kind::Import, &json!({}), origin).await.unwrap().unwrap();
    stage.app.writer.run_due().await.unwrap();
    let run = jira_scim::store::run::last(&mut conn, tenant.id, Kind::Import).await.unwrap().unwrap();
    assert_eq!(run.counters["accounts"]["skipped"]["another tenant's"], 3, "{run:?}");
    assert_eq!(run.counters["accounts"]["created"], 0);
    assert_eq!(run.counters["groups"]["created"], 2, "groups are nobody's alone");
    assert_eq!(run.counters["memberships"]["skipped"]["the account is no user's here"], 2);
}

#[tokio::test]
async fn a_schedule_imports_again_and_again() {
    let stage = Stage::settled(json!({"import": {"every": "1h"}})).await;
    assert_eq!(stage.app.writer.run_due().await.unwrap(), 1);
    assert_eq!(stage.app.writer.run_due().await.unwrap(), 0);
    crate::world::later(stage.app.store.pool(), 3601).await;
    assert_eq!(stage.app.writer.run_due().await.unwrap(), 1);
    assert_eq!(stage.last(Kind::Import).await.actor, "schedule");
    let audited: Vec<Value> = sqlx::query_scalar("SELECT body FROM audit WHERE action = 'import.page' ORDER BY at")
        .fetch_all(stage.app.store.pool())
        .await
        .unwrap();
    assert_eq!(audited.len(), 3, "a row a page that changed something: {audited:?}");
}

#[tokio::test]
async fn somebody_whose_new_name_is_taken_keeps_the_account_under_the_old_one() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    // The client knows of a dora who is to have no account yet; then ann is called dora in Jira.
    let dora = stage.app.post("/Users", json!({"userName": "dora", "active": false})).await.is(201).id();
    let ann = stage.id("ann").await;
    rename(&stage, "ann", "dora").await;
    let counters = stage.import().await;
    assert_eq!(counters.accounts.skipped["being written"], 1, "{counters:?}");
    assert_eq!((stage.id("ann").await, stage.id("dora").await), (ann, dora));
    assert_eq!(stage.number("SELECT count(*) FROM claim WHERE what = 'account'").await, 3, "hers is still hers");
}

async fn rename(stage: &Stage, from: &str, to: &str) {
    stage.by_hand(reqwest::Method::PUT, from, &json!({"name": to})).await;
}

#[tokio::test]
async fn where_adoptions_are_approved_an_import_waits_for_it_too() {
    let jira = Sandbox::start(SandboxOptions { applications: vec![], ..SandboxOptions::default() }).await.unwrap();
    jira.add_account(&NewAccount::named("ann")).unwrap();
    let make = Make { policy: json!({"adopt": "ask"}), mode: Mode::Observe, ..Make::default() };
    let stage = Stage { app: App::make(make, Some(&jira)).await, jira };
    let ann = stage.app.post("/Users", json!({"userName": "ann", "displayName": "Ann Moss"})).await.is(201).id();
    stage.app.later(1).await;
    for _ in 0..2 {
        let counters = stage.import().await;
        let waits = "it waits for approval: jira-scim outbox approve";
        assert_eq!((counters.accounts.linked, counters.accounts.skipped[waits]), (0, 1), "{counters:?}");
        assert_eq!(stage.number("SELECT count(*) FROM claim WHERE what = 'account'").await, 0);
    }
    enforce(&stage.app.store).await;
    stage.app.later(60).await;
    assert_eq!(stage.writes(), Vec::<String>::new(), "nobody approved");
    let tenant = tenant::get(stage.app.store.pool(), "acme").await.unwrap().unwrap();
    let grounds = Grounds::default();
    let patience = Duration::from_secs(20);
    let by_hand = ByHand { store: &stage.app.store, origin: origin(), patience, grounds: &grounds };
    by_hand.approve(&tenant, ann.parse().unwrap(), 0).await.unwrap();
    stage.app.later(60).await;
    assert_eq!(stage.jira.account("ann").unwrap().display_name, "Ann Moss");
    assert_eq!(stage.number("SELECT count(*) FROM claim WHERE what = 'account'").await, 1);
}
