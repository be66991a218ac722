//! An import of a Jira Align, which has people and no groups.

use jira_scim::sandbox::AlignUser;
use serde_json::json;

use super::stage::{Stage, person};
use crate::import::imported;

#[tokio::test]
async fn people_become_resources_and_are_matched_without_a_write() {
    let stage = Stage::set().await;
    stage.jira.change(|world| world.add(AlignUser::named("mara", "mara", "Lund")));
    let counters = imported(&stage.app).await;
    assert_eq!((counters.accounts.created, counters.groups.seen), (1, 0), "{counters:?}");
    stage.told();
    let found = stage.app.get("/Users?filter=userName%20eq%20%22mara%22").await.is(200);
    assert_eq!(found.body["totalResults"], 1, "{:?}", found.body);
    let path = format!("/Users/{}", found.body["Resources"][0]["id"].as_str().unwrap());
    let before = stage.jira.user("mara").unwrap();
    stage.app.put(&path, person("mara")).await.is(200);
    assert_eq!(stage.jira.user("mara").unwrap().last_name, before.last_name);
    stage.app.patch(&path, json!([{"op": "replace", "path": "active", "value": false}])).await.is(200);
    assert!(!stage.is_active("mara"));
    assert_eq!(imported(&stage.app).await.accounts.created, 0);
}
