//! PATCH by a partial resource, in the store and in Jira.

use axum::http::Method;
use jira_scim::sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CORE, Client, ENTERPRISE, Watch};
use crate::http_app::App;

#[tokio::test]
async fn a_partial_resource_changes_what_it_names() {
    let app = App::new().await;
    let old = Client::new(&app);
    let ann = json!({
        "userName": "ann", "title": "Lead", "name": {"givenName": "Ann", "familyName": "Moss", "middleName": "B"},
        "emails": [{"value": "ann@corp.example", "type": "work", "primary": true}, {"value": "ann@home.example", "type": "home"}],
        ENTERPRISE: {"department": "Ops", "division": "North"}
    });
    let path = format!("/Users/{}", old.post("/Users", ann).await.is(201).id());
    let body = json!({
        "schemas": [CORE],
        "meta": {"attributes": ["title", "name.middleName", "urn:scim:schemas:extension:enterprise:1.0:department"]},
        "name": {"familyName": "Moss-Reyes"},
        "emails": [{"value": "ann@home.example", "operation": "delete"}],
        "phoneNumbers": [{"value": "+1 555 0100", "type": "mobile"}]
    });
    let answer = old.patch(&path, body.clone()).await.is(200);
    assert_eq!(answer.body.get("title"), None);
    assert_eq!(answer.body["name"], json!({"givenName": "Ann", "familyName": "Moss-Reyes"}));
    assert_eq!(answer.body["emails"], json!([{"value": "ann@corp.example", "type": "work", "primary": true}]));
    assert_eq!(answer.body["phoneNumbers"], json!([{"value": "+1 555 0100", "type": "mobile"}]));
    assert_eq!(answer.body[ENTERPRISE], json!({"division": "North"}));
    // Once more is no change.
    assert_eq!(old.patch(&path, body).await.is(200).header("etag"), answer.header("etag"));
    old.patch(&path, json!({"emails": [{"value": "x", "operation": "explode"}]})).await.is(400);
    old.patch(&path, json!({"meta": {"attributes": ["userName"]}})).await.is(400);
    old.patch(&path, json!({"favouriteColour": "red"})).await.is(400);
    assert_eq!(old.get(&path).await.is(200).header("etag"), answer.header("etag"));
}

#[tokio::test]
async fn the_shape_of_a_patch_counts_and_not_the_path_it_came_to() {
    let app = App::new().await;
    let old = Client::new(&app);
    let (ann, crew) = (app.user("ann").await, app.group("Crew", &[]).await);
    let (user, group) = (format!("/Users/{ann}"), format!("/Groups/{crew}"));
    let operations = json!({"schemas": [CORE], "Operations": [{"op": "replace", "path": "active", "value": false}]});
    assert_eq!(old.patch(&user, operations).await.is(200).body["active"], false);
    let partial = json!({"schemas": [CORE], "id": ann, "active": true});
    assert_eq!(app.ask(Method::PATCH, &user).json(&partial).send().await.is(200).body["active"], true);
    let join = json!({"members": [{"value": ann}]});
    app.ask(Method::PATCH, &group).json(&join).send().await.is(204);
    assert_eq!(app.members(&crew).await, std::slice::from_ref(&ann));
    let leave = json!({"Operations": [{"op": "remove", "path": "members", "value": [{"value": ann}]}]});
    old.patch(&group, leave).await.is(204);
    assert!(app.members(&crew).await.is_empty());
    app.ask(Method::PATCH, &user)
        .json(&json!({"op": "replace", "value": {}}))
        .send()
        .await
        .refuses(400, "invalidSyntax");
}

#[tokio::test]
async fn members_join_and_leave_one_by_one_and_a_list_alone_empties_nothing() {
    let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let app = App::with_jira(&jira).await;
    let (old, mut watch) = (Client::new(&app), Watch::new(&jira));
    let mut ids = Vec::new();
    for name in ["ann", "bo", "cy"] {
        ids.push(app.user(name).await);
    }
    let crew = app.group("Crew", &[&ids[0], &ids[1]]).await;
    let path = format!("/Groups/{crew}");
    watch.writes();
    let member = |n: usize| json!({"value": ids[n], "display": "x"});
    let gone = |n: usize| json!({"value": ids[n], "operation": "DELETE"});

    old.patch(&path, json!({"schemas": [CORE], "members": [member(2), gone(1)]})).await.is(204);
    assert_eq!(app.members(&crew).await, [ids[0].clone(), ids[2].clone()]);
    assert_eq!(jira.members("Crew"), ["ann", "cy"]);
    let mut writes = watch.writes();
    writes.sort();
    assert_eq!(writes, ["DELETE /group/user", "POST /group/user"]);

    for nothing in [json!({"members": []}), json!({"members": null}), json!({"members": [gone(1), member(0)]})] {
        old.patch(&path, nothing).await.is(204);
    }
    assert_eq!(app.members(&crew).await.len(), 2);
    old.patch(&path, json!({"members": [{"operation": "delete"}]})).await.is(400);
    assert_eq!(watch.writes(), [""; 0]);

    let whole = json!({"meta": {"attributes": ["members"]}, "members": [member(1)]});
    let answer = old.patch(&format!("{path}?attributes=members"), whole).await.is(200);
    assert_eq!(answer.body["members"][0]["value"], json!(ids[1]));
    assert_eq!((answer.body["members"].as_array().unwrap().len(), answer.body.get("displayName")), (1, None));
    assert_eq!(jira.members("Crew"), ["bo"]);
    old.patch(&path, json!({"meta": {"attributes": ["members"]}})).await.is(204);
    assert!(app.members(&crew).await.is_empty() && jira.members("Crew").is_empty());
}

#[tokio::test]
async fn a_large_partial_resource_is_understood_like_a_small_one() {
    let app = App::new().await;
    let old = Client::new(&app);
    let (ann, bo) = (app.user("ann").await, app.user("bo").await);
    let crew = app.group("Crew", &[&ann]).await;
    let strangers = |n: u128| json!({"value": Uuid::from_u128(n).to_string(), "display": "nobody that is known here"});
    let mut members: Vec<Value> = (1..1500).map(strangers).collect();
    members[700] = json!({"display": "Ann", "value": ann, "operation": "delete"});
    members[701] = json!({"operation": "Delete", "value": Uuid::nil().to_string()});
    members.push(json!({"value": bo}));
    assert!(json!(members).to_string().len() > 65_536, "larger than what is read in one piece");
    old.patch(&format!("/Groups/{crew}"), json!({"schemas": [CORE], "members": members})).await.is(204);
    assert_eq!(app.members(&crew).await, std::slice::from_ref(&bo));
    members.push(json!({"value": bo, "operation": "delete"}));
    old.put(&format!("/Groups/{crew}"), json!({"displayName": "Crew", "members": members[699..]})).await.is(200);
    assert_eq!(app.members(&crew).await, [bo], "what a PUT marks as deleted is left out, whatever else it lists");
}

#[tokio::test]
async fn a_put_makes_no_member_of_whom_it_marks_as_deleted() {
    let app = App::new().await;
    let old = Client::new(&app);
    let (ann, bo) = (app.user("ann").await, app.user("bo").await);
    let crew = app.group("Crew", &[&ann, &bo]).await;
    let body = json!({"displayName": "Crew", "members": [{"value": ann, "operation": "delete"}, {"value": bo}]});
    old.put(&format!("/Groups/{crew}"), body).await.is(200);
    assert_eq!(app.members(&crew).await, [bo]);
}
