//! What becomes of imported people and groups that are not in Jira any more.

use jira_scim::sandbox::{Fault, NewAccount};
use jira_scim::store::run::{Kind, Run, State};
use jira_scim::store::tenant;
use jira_scim::writer::import::Counters;
use jira_scim::writer::unmatched::Act;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

use super::{ORIGIN, Stage};
use crate::world::origin;

impl Stage {
    /// Deletes an account as an administrator does.
    async fn gone(&self, name: &str) {
        self.by_hand(Method::DELETE, name, &json!({})).await;
    }

    async fn import_again(&self, options: Value) -> (Run, Counters) {
        self.request(Kind::Import, options).await;
        self.app.writer.run_due().await.unwrap();
        let run = self.last(Kind::Import).await;
        let counters = serde_json::from_value(run.counters.clone()).unwrap();
        (run, counters)
    }
}

#[tokio::test]
async fn who_was_deleted_in_jira_is_gone_and_comes_back_under_the_same_id() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    let (ann, bert) = (stage.id("ann").await, stage.id("bert").await);
    let (crew, empty) = (stage.group("crew").await["id"].clone(), stage.group("empty").await["id"].clone());
    stage.gone("ann").await;
    stage.jira.change(|world| world.delete_group("empty")).unwrap();
    let told = stage.writes();
    let second = stage.import().await;
    assert_eq!((second.accounts.removed, second.groups.removed), (1, 1), "{second:?}");
    stage.app.get(&format!("/Users/{ann}")).await.is(404);
    stage.app.get(&format!("/Groups/{}", empty.as_str().unwrap())).await.is(404);
    assert_eq!(stage.app.members(crew.as_str().unwrap()).await, [bert]);
    assert_eq!(stage.app.get("/Users").await.is(200).body["totalResults"], 2);
    assert_eq!(stage.app.get("/Groups").await.is(200).body["totalResults"], 1);
    assert_eq!((stage.app.open().await, stage.writes()), (0, told.clone()), "there is nothing to do at Jira");
    let third = stage.import().await;
    assert_eq!((third.accounts.removed, third.groups.removed, third.accounts.known), (0, 0, 2), "{third:?}");

    stage.jira.add_account(&NewAccount::named("ann")).unwrap();
    stage.jira.add_group("empty").unwrap();
    stage.jira.add_member("empty", "ann").unwrap();
    let back = stage.import().await;
    assert_eq!((back.accounts.created, back.groups.created, back.memberships.created), (1, 1, 1), "{back:?}");
    assert_eq!((stage.id("ann").await, stage.group("empty").await["id"].clone()), (ann, empty));
    assert_eq!(stage.user("ann").await[ORIGIN], json!({"origin": "imported"}));
    assert_eq!(stage.writes(), told);
}

#[tokio::test]
async fn whom_the_client_has_written_to_stays() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    let bert = stage.id("bert").await;
    stage.app.patch(&format!("/Users/{bert}"), json!([{"op": "add", "path": "title", "value": "Cook"}])).await.is(200);
    stage.gone("bert").await;
    assert_eq!(stage.import().await.accounts.removed, 0);
    assert_eq!(stage.id("bert").await, bert);
}

#[tokio::test]
async fn a_list_that_is_suddenly_short_removes_nobody_until_somebody_says_so() {
    let stage = Stage::settled(json!({"brake": {"accounts": {"percent": 10, "min": 1}}})).await;
    stage.import().await;
    for name in ["ann", "bert"] {
        stage.gone(name).await;
    }
    let (run, counters) = stage.import_again(json!({})).await;
    assert_eq!((run.state, counters.accounts.held, counters.accounts.removed), (State::Done, 2, 0), "{run:?}");
    let said = run.error.unwrap();
    assert!(said.contains("2 imported accounts") && said.contains("--past-the-brake"), "{said}");
    stage.id("ann").await;
    let (run, counters) = stage.import_again(json!({"past_the_brake": true})).await;
    assert_eq!((run.error, counters.accounts.held, counters.accounts.removed), (None, 0, 2));
}

#[tokio::test]
async fn a_list_that_is_refused_removes_nobody() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    stage.gone("ann").await;
    stage.jira.change(|world| world.delete_group("empty")).unwrap();
    stage.jira.inject(Fault::status(403).on("GET /user/list"));
    stage.request(Kind::Import, json!({})).await;
    stage.app.writer.run_due().await.unwrap();
    assert_ne!(stage.last(Kind::Import).await.state, State::Done);
    stage.id("ann").await;
    stage.group("empty").await;
}

#[tokio::test]
async fn who_is_not_listed_and_answers_all_the_same_stays() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    stage.request(Kind::Import, json!({})).await;
    // As after a list that had nobody.
    sqlx::query(
        "UPDATE run SET stage = 'accounts_gone', place = '{\"after\": null, \"group\": \"\", \"before\": {}}',
            counters = '{\"accounts\": {}, \"groups\": {}, \"memberships\": {}}' WHERE state = 'queued'",
    )
    .execute(stage.app.store.pool())
    .await
    .unwrap();
    stage.app.writer.run_due().await.unwrap();
    let run = stage.last(Kind::Import).await;
    assert_eq!((run.state, &run.error), (State::Done, &None));
    assert_eq!(run.counters["accounts"]["skipped"]["not listed, and there all the same"], 3, "{run:?}");
    assert_eq!(stage.app.get("/Users").await.is(200).body["totalResults"], 3);
}

#[tokio::test]
async fn nobodys_accounts_are_left_alone_while_an_import_is_open_or_was_not_finished() {
    let policy = json!({"unmatched_accounts": {"action": "deactivate", "limit": 50}});
    let stage = Stage::ruled(policy).await;
    stage.app.user("eve").await;
    stage.app.later(60).await;
    let tenant = tenant::get(stage.app.store.pool(), "acme").await.unwrap().unwrap();
    let compare = async || {
        let act = Act::SwitchOff { limit: 50, seen_for: Duration::ZERO };
        stage.app.writer.compare(&tenant, act, origin()).await.map(|done| done.strays.len()).map_err(|e| e.to_string())
    };
    assert_eq!(compare().await, Ok(0), "never imported");
    stage.request(Kind::Import, json!({})).await;
    assert!(compare().await.unwrap_err().contains("imported to the end"));
    for (state, refused) in [("failed", true), ("stopped", true), ("done", false)] {
        sqlx::query("UPDATE run SET state = $1, finished = now()")
            .bind(state)
            .execute(stage.app.store.pool())
            .await
            .unwrap();
        assert_eq!(compare().await.is_err(), refused, "{state}");
    }
    stage.request(Kind::Reset, json!({})).await;
    assert!(compare().await.is_err(), "what was imported is being forgotten");
}

#[tokio::test]
async fn whom_the_client_deleted_comes_back_without_the_clients_key() {
    let stage = Stage::ruled(json!({"deprovision": {"on_delete": "delete"}})).await;
    let eve = stage.app.post("/Users", json!({"userName": "eve", "externalId": "e7"})).await.is(201).id();
    stage.app.delete(&format!("/Users/{eve}")).await.is(204);
    stage.app.later(60).await;
    assert!(stage.jira.account("eve").is_none());
    stage.jira.add_account(&NewAccount::named("eve")).unwrap();
    stage.import().await;
    assert_eq!(stage.id("eve").await, eve, "the name is the same, and one side has no key");
    assert_eq!(stage.user("eve").await.get("externalId"), None);
    let other = stage.app.post("/Users", json!({"userName": "mallory", "externalId": "e7"})).await.is(201).id();
    assert_ne!(other, eve);
    let found = stage.app.get("/Users?filter=externalId%20eq%20%22e7%22").await.is(200);
    assert_eq!((&found.body["totalResults"], &found.body["Resources"][0]["id"]), (&json!(1), &json!(other)));
}
