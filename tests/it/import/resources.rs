//! What was imported is a resource like others, until its first write at any rate.

use jira_scim::sandbox::Fault;
use serde_json::json;

use super::{ORIGIN, Stage};

#[tokio::test]
async fn the_first_write_makes_it_the_clients_even_one_that_changes_nothing() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    let ann = stage.user("ann").await;
    let path = format!("/Users/{}", ann["id"].as_str().unwrap());
    let same = stage.app.put(&path, ann.clone()).await.is(200).body;
    assert_eq!((same.get(ORIGIN), &same["userName"]), (None, &ann["userName"]));
    assert_ne!(same["meta"]["version"], ann["meta"]["version"]);
    assert_eq!(stage.writes(), Vec::<String>::new(), "Jira is so already");
    stage.app.patch(&path, json!([{"op": "replace", "path": "displayName", "value": "Ann Moss"}])).await.is(200);
    assert_eq!(stage.writes(), ["PUT /user"]);
    stage.app.delete(&path).await.is(204);
    assert!(!stage.jira.account("ann").unwrap().active);
}

#[tokio::test]
async fn a_post_of_somebody_imported_is_a_conflict_that_says_where_to_look() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    let refused = stage.app.post("/Users", json!({"userName": "ANN"})).await.refuses(409, "uniqueness");
    assert!(refused.detail().contains("imported") && refused.detail().contains(&stage.id("ann").await), "{refused:?}");
}

#[tokio::test]
async fn by_the_tenants_choice_a_post_takes_the_imported_one_over() {
    let stage = Stage::settled(json!({"import": {"post": "claim"}})).await;
    stage.import().await;
    let (ann, groups) = (stage.id("ann").await, stage.user("ann").await["groups"].clone());
    let body = json!({"userName": "ann", "displayName": "Ann Moss", "externalId": "e1",
                      "emails": [{"value": "ann@example.test"}]});
    let claimed = stage.app.post("/Users", body.clone()).await.is(201);
    assert_eq!((claimed.id(), claimed.body.get(ORIGIN)), (ann.clone(), None));
    assert_eq!((&claimed.body["groups"], groups.as_array().unwrap().len()), (&groups, 1), "as GET answers");
    assert_eq!(stage.app.get(&format!("/Users/{ann}")).await.is(200).body, claimed.body);
    assert_eq!(stage.jira.account("ann").unwrap().display_name, "Ann Moss");
    assert_eq!(stage.writes(), ["PUT /user"]);
    stage.app.post("/Users", body).await.refuses(409, "uniqueness");
}

#[tokio::test]
async fn a_claim_that_jira_refuses_gives_the_imported_one_back() {
    let stage = Stage::settled(json!({"import": {"post": "claim"}})).await;
    stage.import().await;
    let before = stage.user("ann").await;
    stage.jira.inject(Fault::status(400).on("PUT /user").times(1));
    let body = json!({"userName": "ann", "displayName": "Ann Moss"});
    stage.app.post("/Users", body).await.is(400);
    let after = stage.user("ann").await;
    for key in ["id", "displayName", "emails", ORIGIN] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert_eq!(stage.number("SELECT count(*) FROM scim_user WHERE origin = 'imported'").await, 3);
}

#[tokio::test]
async fn the_extension_is_declared_and_read_only() {
    let stage = Stage::settled(json!({})).await;
    let schema = stage.app.get(&format!("/Schemas/{ORIGIN}")).await.is(200);
    assert_eq!(schema.body["attributes"][0]["mutability"], "readOnly");
    let made = stage.app.post("/Users", json!({"userName": "eve", ORIGIN: {"origin": "imported"}})).await.is(201);
    assert_eq!(made.body.get(ORIGIN), None);
}

#[tokio::test]
async fn a_change_of_members_makes_an_imported_group_the_clients_and_imports_leave_it_alone() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    let (ann, cleo) = (stage.id("ann").await, stage.id("cleo").await);
    let crew = stage.group("crew").await["id"].as_str().unwrap().to_owned();
    let path = format!("/Groups/{crew}");
    stage.app.patch(&path, json!([{"op": "add", "path": "members", "value": [{"value": cleo}]}])).await;
    assert_eq!(stage.writes(), ["POST /group/user"]);
    let extension = "urn:jira-scim:params:scim:schemas:extension:origin:2.0:Group";
    assert_eq!(stage.group("crew").await.get(extension), None);
    stage.app.patch(&path, json!([{"op": "remove", "path": format!("members[value eq \"{ann}\"]")}])).await;
    assert_eq!(stage.jira.groups_of("ann"), Vec::<String>::new(), "what was imported may be taken away");
    stage.jira.add_member("crew", "ann").unwrap();
    let counters = stage.import().await;
    assert_eq!((counters.memberships.created, counters.memberships.removed), (0, 0), "{counters:?}");
    assert_eq!(stage.app.members(&crew).await.len(), 2);
}

#[tokio::test]
async fn a_post_of_an_imported_group_is_a_conflict_or_a_claim_with_the_members_that_it_names() {
    let stage = Stage::settled(json!({})).await;
    stage.import().await;
    stage.app.post("/Groups", json!({"displayName": "Crew"})).await.refuses(409, "uniqueness");
    let stage = Stage::settled(json!({"import": {"post": "claim"}})).await;
    stage.import().await;
    let (ann, crew) = (stage.id("ann").await, stage.group("crew").await["id"].as_str().unwrap().to_owned());
    let body = json!({"displayName": "crew", "externalId": "g1", "members": [{"value": ann}]});
    assert_eq!(stage.app.post("/Groups", body.clone()).await.is(201).id(), crew);
    stage.app.later(1).await;
    assert_eq!(stage.app.members(&crew).await, [ann]);
    assert_eq!(stage.jira.members("crew"), ["ann"], "who is not named leaves");
    stage.app.post("/Groups", body).await.refuses(409, "uniqueness");
}
