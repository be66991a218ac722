//! `/Groups` through the real router.

use axum::http::Method;
use serde_json::json;

use super::http_app::{App, BASE};

#[tokio::test]
async fn a_group_is_created_read_changed_and_deleted() {
    let app = App::new().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let made = app.post("/Groups", json!({"displayName": "Staff", "members": [{"value": ada}]})).await.is(201);
    let path = format!("/Groups/{}", made.id());
    assert_eq!(made.header("location"), format!("{BASE}{path}"));
    let member = json!({"value": ada, "$ref": format!("{BASE}/Users/{ada}"), "type": "User", "display": "ada"});
    assert_eq!(made.body["members"], json!([member]));
    assert_eq!(app.get(&path).await.is(200).body["members"], json!([member]));

    let put = app.put(&path, json!({"displayName": "Crew", "members": [{"value": bob}]})).await.is(200);
    assert_eq!(put.body["displayName"], "Crew");
    assert_eq!(app.members(&made.id()).await, [bob]);
    app.post("/Groups", json!({"displayName": "CREW"})).await.refuses(409, "uniqueness");

    app.delete(&path).await.is(204);
    app.get(&path).await.is(404);
}

#[tokio::test]
async fn a_patch_is_204_unless_attributes_are_asked_for() {
    let app = App::new().await;
    let ada = app.user("ada").await;
    let staff = app.group("Staff", &[]).await;
    let add = json!([{"op": "add", "path": "members", "value": [{"value": ada}]}]);
    let answer = app.patch(&format!("/Groups/{staff}"), add.clone()).await.is(204);
    assert!(answer.header("etag").starts_with("W/\""), "{answer:?}");
    let answer = app.patch(&format!("/Groups/{staff}?attributes=members"), add).await.is(200);
    assert_eq!(answer.body["members"][0]["value"], json!(ada));
    assert_eq!(answer.body.get("displayName"), None);
}

#[tokio::test]
async fn removing_a_listed_member_keeps_the_others() {
    let app = App::new().await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let staff = app.group("Staff", &[&ada, &bob]).await;
    let remove = json!([{"op": "remove", "path": "members", "value": [{"value": ada}]}]);
    app.patch(&format!("/Groups/{staff}"), remove).await.is(204);
    assert_eq!(app.members(&staff).await, [bob]);
}

#[tokio::test]
async fn a_page_of_groups_shows_members_unless_they_are_not_wanted() {
    let app = App::new().await;
    let ada = app.user("ada").await;
    app.group("Staff", &[&ada]).await;
    let page = app.get("/Groups").await.is(200);
    assert_eq!(page.body["Resources"][0]["members"][0]["value"], json!(ada));
    let page = app.get("/Groups?excludedAttributes=members&filter=displayName+eq+%22staff%22").await.is(200);
    assert_eq!(page.body["totalResults"], 1);
    assert_eq!(page.body["Resources"][0].get("members"), None);
}

#[tokio::test]
async fn a_large_list_is_compressed_for_a_client_that_asks_and_a_resource_is_not() {
    let app = App::new().await;
    for n in 0..60 {
        app.user(&format!("person-{n:03}")).await;
    }
    let encoding = async |path: &str| {
        let headers = app.ask(Method::GET, path).header("accept-encoding", "gzip").headers().await;
        headers.get("content-encoding").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(encoding("/Users").await.as_deref(), Some("gzip"));
    assert_eq!(encoding("/Users?count=1").await, None);
}
