//! The two ways out: a reset that forgets and finds the same ids again, and a purge that takes back what came from here.

use jira_scim::store::run::Kind;
use serde_json::json;

use super::Stage;
use crate::world::later;

#[tokio::test]
async fn after_a_reset_a_fresh_import_finds_the_same_ids() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    let (ann, crew) = (stage.id("ann").await, stage.group("crew").await["id"].clone());
    let eve = stage.app.post("/Users", json!({"userName": "eve", "externalId": "e7"})).await.is(201).id();
    let run = stage.run(Kind::Reset, json!({})).await;
    assert_eq!((run.counters["users"].as_u64(), run.counters["groups"].as_u64()), (Some(4), Some(2)), "{run:?}");
    stage.app.get(&format!("/Users/{ann}")).await.is(404);
    for table in [
        "SELECT count(*) FROM claim",
        "SELECT count(*) FROM link",
        "SELECT count(*) FROM jira_membership",
        "SELECT count(*) FROM jira_group",
        "SELECT count(*) FROM outbox",
        "SELECT count(*) FROM group_member",
    ] {
        assert_eq!(stage.number(table).await, 0, "{table}");
    }
    assert_eq!(stage.app.get("/Users").await.is(200).body["totalResults"], 0);
    let told = stage.writes();
    let counters = stage.import().await;
    assert_eq!((counters.accounts.created, counters.groups.created), (4, 2), "{counters:?}");
    assert_eq!((stage.id("ann").await, stage.group("crew").await["id"].clone()), (ann.clone(), crew));
    assert_eq!(stage.id("eve").await, eve);
    let found = stage.app.get("/Users?filter=externalId%20eq%20%22e7%22").await.is(200);
    assert_eq!(found.body["Resources"][0]["id"], eve.as_str(), "what the client matches by is kept");
    assert_eq!(stage.app.members(stage.group("crew").await["id"].as_str().unwrap()).await.len(), 2);
    assert_eq!(stage.writes(), told, "nothing was written for all that");
}

#[tokio::test]
async fn after_a_reset_the_clients_own_post_finds_the_same_id_too() {
    let stage = Stage::set().await;
    let eve = stage.app.post("/Users", json!({"userName": "eve"})).await.is(201).id();
    stage.run(Kind::Reset, json!({})).await;
    assert_eq!(stage.app.post("/Users", json!({"userName": "eve"})).await.is(201).id(), eve);
    assert_eq!(
        stage.writes().iter().filter(|call| *call == "POST /user").count(),
        2,
        "it looks, and finds its account"
    );
}

#[tokio::test]
async fn a_purge_takes_back_what_came_from_here_and_leaves_the_rest_as_it_was_found() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    // Ann was there; the client takes her over, switches her off, and puts her into a group of its own.
    let ann = stage.id("ann").await;
    let eve = stage.app.user("eve").await;
    stage
        .app
        .patch(&format!("/Users/{ann}"), json!([{"op": "replace", "path": "title", "value": "Cook"}]))
        .await
        .is(200);
    stage.app.group("pushed", &[&ann, &eve]).await;
    stage
        .app
        .patch(&format!("/Users/{ann}"), json!([{"op": "replace", "path": "active", "value": false}]))
        .await
        .is(200);
    stage.app.later(60).await;
    assert!(!stage.jira.account("ann").unwrap().active);

    let run = stage.run(Kind::Purge, json!({"past_the_brake": true})).await;
    assert_eq!(run.counters["users"], 4, "{run:?}");
    stage.app.later(60).await;
    assert_eq!(stage.app.open().await, 0);
    assert!(!stage.jira.account("ann").unwrap().active, "who left stays out");
    assert_eq!(stage.jira.groups_of("ann"), ["crew"]);
    assert!(!stage.jira.account("eve").unwrap().active, "made here");
    assert_eq!(stage.jira.groups_of("eve"), Vec::<String>::new());
    assert!(stage.jira.account("bert").unwrap().active && stage.jira.groups_of("bert") == ["crew"], "never touched");
    assert_eq!(stage.app.get("/Users").await.is(200).body["totalResults"], 0);
    assert_eq!(stage.app.get("/Groups").await.is(200).body["totalResults"], 0);
}

#[tokio::test]
async fn a_purge_that_is_cut_off_goes_on() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    stage.request(Kind::Purge, json!({})).await;
    sqlx::query(
        "UPDATE run SET state = 'running', lease_token = gen_random_uuid(), lease_until = now() + interval '1 minute'
        WHERE kind = 'purge'",
    )
    .execute(stage.app.store.pool())
    .await
    .unwrap();
    assert_eq!(stage.app.writer.run_due().await.unwrap(), 0, "somebody works on it");
    later(stage.app.store.pool(), 61).await;
    assert_eq!(stage.app.writer.run_due().await.unwrap(), 1);
    stage.app.later(1).await;
    assert_eq!((stage.writes(), stage.app.open().await), (vec![], 0), "nothing came from here");
}

#[tokio::test]
async fn the_brake_holds_a_purge_that_is_too_much_at_once_unless_it_is_let_past() {
    let tight = json!({"brake": {"accounts": {"max": 2, "percent": 1, "min": 2}}});
    for past in [false, true] {
        let stage = Stage::ruled(tight.clone()).await;
        for name in ["ann", "bert", "cleo", "dora"] {
            stage.app.user(name).await;
        }
        stage.run(Kind::Purge, json!({"past_the_brake": past})).await;
        stage.app.later(60).await;
        let on = stage.jira.accounts().iter().filter(|account| account.active).count();
        // The daemon's own account is one of them.
        assert_eq!(on, if past { 1 } else { 3 }, "past the brake: {past}");
    }
}

#[tokio::test]
async fn an_import_that_waits_to_go_on_begins_anew_after_a_reset() {
    let stage = Stage::settled(json!({})).await;
    stage.request(Kind::Import, json!({})).await;
    sqlx::query(
        "UPDATE run SET stage = 'members', place = '{\"after\": null, \"group\": \"zzz\", \"before\": {}}',
            counters = '{\"accounts\": {}, \"groups\": {}, \"memberships\": {}}', due_at = now() + interval '1 hour'",
    )
    .execute(stage.app.store.pool())
    .await
    .unwrap();
    stage.run(Kind::Reset, json!({})).await;
    later(stage.app.store.pool(), 3601).await;
    stage.app.writer.run_due().await.unwrap();
    let run = stage.last(Kind::Import).await;
    assert_eq!((run.state.is_open(), &run.counters["accounts"]["created"]), (false, &json!(3)), "{run:?}");
}
