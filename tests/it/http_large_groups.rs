//! Groups that are too large for one piece, through the real router.

use serde_json::{Value, json};

use super::http_app::{App, BASE};

/// More than are read with a group, and more than two pages.
const MANY: usize = 2500;

/// That many users and a group of them all.
async fn crowd(app: &App, name: &str) -> (String, Vec<String>) {
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar(
        "INSERT INTO scim_user (tenant_id, id, user_name_key, active, email_keys, attrs, folded, created, modified)
         SELECT t.id, gen_random_uuid(), 'user' || n, true, '{}', jsonb_build_object('userName', 'User' || n),
             jsonb_build_object('userName', 'user' || n), now(), now()
         FROM tenant t, generate_series(1, $1) n WHERE t.slug = 'acme' RETURNING id",
    )
    .bind(i32::try_from(MANY).unwrap())
    .fetch_all(app.store.pool())
    .await
    .unwrap();
    let mut ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.sort();
    let refs: Vec<&str> = ids.iter().map(String::as_str).collect();
    (app.group(name, &refs).await, ids)
}

fn values(members: &Value) -> Vec<String> {
    members.as_array().unwrap().iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_member_of_a_large_group_is_listed_once_wherever_it_is_answered() {
    let app = App::new().await;
    let (group, ids) = crowd(&app, "Everybody").await;
    let small = app.group("Few", &[&ids[0]]).await;
    let path = format!("/Groups/{group}");

    let got = app.get(&path).await.is(200);
    assert_eq!(values(&got.body["members"]), ids);
    assert_eq!(got.body["displayName"], "Everybody");
    assert!(got.header("etag").starts_with("W/") && got.header("location") == format!("{BASE}{path}"));
    let last = &got.body["members"][MANY - 1];
    assert_eq!(last["$ref"], format!("{BASE}/Users/{}", ids[MANY - 1]));
    assert_eq!((last["type"].as_str(), last["display"].as_str().map(|name| &name[..4])), (Some("User"), Some("User")));

    let page = app.get("/Groups").await.is(200);
    assert_eq!((page.body["totalResults"].as_u64(), page.body["itemsPerPage"].as_u64()), (Some(2), Some(2)));
    for resource in page.body["Resources"].as_array().unwrap() {
        let expected = if resource["id"] == json!(small) { &ids[..1] } else { &ids[..] };
        assert_eq!(values(&resource["members"]), expected);
    }

    let put = app.put(&path, json!({"displayName": "All", "members": [{"value": ids[1]}]})).await.is(200);
    assert_eq!(values(&put.body["members"]), &ids[1..2]);
}

#[tokio::test]
async fn a_large_group_is_cut_down_to_what_is_asked_for() {
    let app = App::new().await;
    let (group, ids) = crowd(&app, "Everybody").await;
    let got = app.get(&format!("/Groups/{group}?attributes=members.value")).await.is(200);
    assert_eq!(values(&got.body["members"]), ids);
    assert!(got.body["members"].as_array().unwrap().iter().all(|member| member.as_object().unwrap().len() == 1));
    assert_eq!(got.body.get("displayName"), None);
    let got = app.get(&format!("/Groups/{group}?excludedAttributes=members")).await.is(200);
    assert_eq!(got.body.get("members"), None);
}

#[tokio::test]
async fn a_large_body_is_understood_like_a_small_one() {
    let app = App::new().await;
    let (group, ids) = crowd(&app, "Everybody").await;
    let path = format!("/Groups/{group}");
    let entry =
        |id: &String| json!({"value": id, "display": "Somebody", "$ref": format!("../Users/{id}"), "type": "User"});
    let list = |ids: &[String]| ids.iter().map(entry).collect::<Vec<Value>>();
    let (half, last) = (&ids[..MANY / 2], &ids[MANY - 1..]);

    app.patch(&path, json!([{"op": "remove", "path": "members", "value": list(half)}])).await.is(204);
    assert_eq!(app.members(&group).await, &ids[MANY / 2..]);
    app.patch(&path, json!([{"op": "replace", "value": {"displayName": "Half", "members": list(half)}}])).await.is(204);
    assert_eq!(app.members(&group).await, half);
    app.patch(&path, json!([{"op": "add", "value": list(last), "path": "members"}, {"op": "add", "path": "members", "value": list(half)}]))
        .await
        .is(204);
    assert_eq!(app.members(&group).await.len(), MANY / 2 + 1);
    let answer = app.put(&path, json!({"displayName": "All", "members": list(&ids)})).await.is(200);
    assert_eq!(values(&answer.body["members"]), ids);
    let made = app.post("/Groups", json!({"displayName": "More", "members": list(&ids)})).await.is(201);
    assert_eq!(app.members(&made.id()).await, ids);

    let without_an_id: Vec<Value> = list(&ids).into_iter().chain([json!({"display": "Nobody"})]).collect();
    app.put(&path, json!({"displayName": "All", "members": without_an_id})).await.refuses(400, "invalidValue");
    let mut cut_off = json!({"displayName": "All", "members": list(&ids)}).to_string();
    cut_off.pop();
    app.ask(axum::http::Method::PUT, &path).body(cut_off).send().await.refuses(400, "invalidSyntax");
    assert_eq!(app.members(&group).await, ids);
}

#[tokio::test]
async fn a_large_group_that_is_pushed_again_is_not_changed() {
    let app = App::new().await;
    let (group, ids) = crowd(&app, "Everybody").await;
    let path = format!("/Groups/{group}");
    let tag = app.get(&path).await.header("etag").to_owned();
    let body =
        json!({"displayName": "Everybody", "members": ids.iter().map(|id| json!({"value": id})).collect::<Vec<_>>()});
    assert_eq!(app.put(&path, body).await.is(200).header("etag"), tag);
    let but_one = json!([{"op": "replace", "path": "members", "value": ids[1..].iter().map(|id| json!({"value": id})).collect::<Vec<_>>()}]);
    app.patch(&path, but_one).await.is(204);
    assert_eq!(app.members(&group).await, &ids[1..]);
}
