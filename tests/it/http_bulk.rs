//! `/Bulk` through the real router, and what Jira gets of it.

use axum::http::Method;
use jira_scim::sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value, json};

use super::http_app::{Answer, App, BASE, Make, options};

async fn bulk(app: &App, operations: Value) -> Answer {
    app.post(
        "/Bulk",
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations}),
    )
    .await
}

fn statuses(answer: &Answer) -> Vec<&str> {
    let operations = answer.body["Operations"].as_array().unwrap();
    operations.iter().map(|operation| operation["status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_group_may_name_members_that_a_later_operation_makes() {
    let app = App::new().await;
    let answer = bulk(
        &app,
        json!([
            {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"displayName": "Staff", "members": [{"value": "bulkId:ada"}]}},
            {"method": "POST", "path": "/Users", "bulkId": "ada", "data": {"userName": "ada"}},
            {"method": "PATCH", "path": "/Groups/bulkId:g", "data": {"Operations": [{"op": "add", "path": "members", "value": [{"value": "bulkId:bob"}]}]}},
            {"method": "POST", "path": "/Users", "bulkId": "bob", "data": {"userName": "bob", "manager": "x"}}
        ]),
    )
    .await
    .is(200);
    assert_eq!(answer.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]));
    assert_eq!(statuses(&answer), ["201", "201", "204", "201"]);
    let made = &answer.body["Operations"];
    let group = made[0]["location"].as_str().unwrap().strip_prefix(&format!("{BASE}/Groups/")).unwrap();
    let mut people: Vec<&str> =
        [1, 3].map(|n| made[n]["location"].as_str().unwrap().rsplit('/').next().unwrap()).to_vec();
    people.sort_unstable();
    assert_eq!(app.members(group).await, people);
    assert_eq!(made[0]["bulkId"], "g");
    assert_eq!(made[2]["version"], app.get(&format!("/Groups/{group}")).await.header("etag"));
    assert_eq!(made[0].get("response"), None);
}

#[tokio::test]
async fn each_operation_stands_for_itself_and_says_what_was_wrong() {
    let app = App::new().await;
    let ada = app.user("ada").await;
    let answer = bulk(
        &app,
        json!([
            {"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "ADA"}},
            {"method": "PUT", "path": format!("/Users/{ada}"), "version": "W/\"7\"", "data": {"userName": "ada"}},
            {"method": "PATCH", "path": "/Users/nobody", "data": {"Operations": []}},
            {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"displayName": "Staff", "members": [{"value": "bulkId:a"}]}},
            {"method": "POST", "path": "/Schemas", "data": {}},
            {"method": "POST", "path": "/Users"},
            {"method": "POST", "path": "/Users", "bulkId": "c", "data": {"userName": "bulkId:c"}},
            {"method": "DELETE", "path": format!("{BASE}/Users/{ada}")}
        ]),
    )
    .await
    .is(200);
    assert_eq!(statuses(&answer), ["409", "412", "404", "409", "400", "400", "409", "204"]);
    let operations = answer.body["Operations"].as_array().unwrap();
    for operation in &operations[..7] {
        assert_eq!(operation["response"]["status"], operation["status"], "{operation}");
        assert!(!operation["response"]["detail"].as_str().unwrap().is_empty());
    }
    assert_eq!(operations[0].get("location"), None);
    assert_eq!(operations[1]["location"], format!("{BASE}/Users/{ada}"));
    assert_eq!(operations[7]["location"], format!("{BASE}/Users/{ada}"));
    app.get(&format!("/Users/{ada}")).await.is(404);
    assert_eq!(app.get("/Groups").await.body["totalResults"], 0);
}

#[tokio::test]
async fn after_so_many_errors_the_rest_is_not_tried() {
    let app = App::new().await;
    let post = |name: &str| json!({"method": "POST", "path": "/Users", "bulkId": name, "data": {"userName": name.trim_end_matches('2')}});
    let operations = json!([post("ada"), post("ada2"), post("bob"), post("bob2"), post("eve")]);
    let answer = app.post("/Bulk", json!({"failOnErrors": 2, "Operations": operations})).await.is(200);
    assert_eq!(statuses(&answer), ["201", "409", "201", "409"]);
    assert_eq!(app.get("/Users").await.body["totalResults"], 2);
}

#[tokio::test]
async fn the_limits_are_those_that_are_announced() {
    let mut few = options();
    few.bulk_operations = 2;
    few.body = 4096;
    let app = App::with(few, None).await;
    let told = app.get("/ServiceProviderConfig").await.is(200).body["bulk"].clone();
    assert_eq!(told, json!({"supported": true, "maxOperations": 2, "maxPayloadSize": 4096}));
    let delete = json!({"method": "DELETE", "path": "/Users/x"});
    bulk(&app, json!([delete, delete])).await.is(200);
    let refused = bulk(&app, json!([delete, delete, delete])).await.is(413);
    assert!(refused.detail().contains("maxOperations"), "{}", refused.detail());
    app.post("/Bulk", json!({"Operations": [], "x": "x".repeat(5000)})).await.is(413);
    assert_eq!(app.ask(Method::GET, "/Bulk").send().await.is(405).header("allow"), "POST");
}

#[tokio::test]
async fn what_a_bulk_makes_is_written_to_jira_by_the_workers() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let app = App::make(Make::default(), Some(&sandbox)).await;
    let answer = bulk(
        &app,
        json!([
            {"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "ada", "emails": [{"value": "ada@corp.example"}]}},
            {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"displayName": "staff", "members": [{"value": "bulkId:a"}]}}
        ]),
    )
    .await
    .is(200);
    assert_eq!(statuses(&answer), ["201", "201"]);
    assert!(sandbox.account("ada").is_none(), "the request waited for Jira");
    app.writer.drain().await.unwrap();
    assert!(sandbox.account("ada").unwrap().active);
    assert_eq!(sandbox.members("staff"), ["ada"]);
    assert_eq!(app.open().await, 0);
}

#[tokio::test]
async fn what_there_is_no_time_for_is_answered_as_not_done() {
    let mut hasty = options();
    hasty.body_timeout = std::time::Duration::from_nanos(1);
    let app = App::with(hasty, None).await;
    let post = |name: &str| json!({"method": "POST", "path": "/Users", "bulkId": name, "data": {"userName": name}});
    let answer = bulk(&app, json!([post("ada"), post("bob")])).await.is(200);
    assert_eq!(statuses(&answer), ["503", "503"]);
    assert_eq!(app.get("/Users").await.body["totalResults"], 0);
}
