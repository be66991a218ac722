//! `/Users` through the real router.

use axum::http::Method;
use serde_json::{Value, json};

use super::http_app::{App, BASE};

#[tokio::test]
async fn a_user_is_created_read_replaced_patched_and_deleted() {
    let app = App::new().await;
    let made =
        app.post("/Users", json!({"userName": "Ada", "name": {"familyName": "Byron"}, "active": true})).await.is(201);
    let (id, place) = (made.id(), format!("{BASE}/Users/{}", made.id()));
    assert_eq!(made.header("location"), place);
    assert_eq!(made.header("etag"), "W/\"1\"");
    assert_eq!(made.body["meta"]["location"], place);
    assert_eq!(made.body["meta"]["resourceType"], "User");
    assert_eq!(made.body["meta"]["version"], "W/\"1\"");

    let path = format!("/Users/{id}");
    let read = app.get(&path).await.is(200);
    assert_eq!(read.body["userName"], "Ada");
    assert_eq!(read.body["meta"], made.body["meta"]);

    let put = app.put(&path, json!({"userName": "Ada", "title": "Countess"})).await.is(200);
    assert_eq!(put.body["title"], "Countess");
    assert_eq!(put.body.get("name"), None);
    assert_eq!(put.header("etag"), "W/\"2\"");

    let patched = app.patch(&path, json!([{"op": "replace", "path": "active", "value": false}])).await.is(200);
    assert_eq!(patched.body["active"], false);
    assert_eq!(app.get(&path).await.is(200).body["active"], false);

    app.delete(&path).await.is(204);
    app.get(&path).await.is(404);
    app.delete(&path).await.is(404);
}

#[tokio::test]
async fn a_name_that_is_taken_is_409_in_any_letter_case() {
    let app = App::new().await;
    app.user("ada").await;
    app.post("/Users", json!({"userName": "ADA"})).await.refuses(409, "uniqueness");
}

#[tokio::test]
async fn a_filter_finds_by_name_and_nothing_found_is_an_empty_page() {
    let app = App::new().await;
    let id = app.user("ada@corp.example").await;
    for path in [
        "/Users?filter=userName%20eq%20%22ADA@corp.example%22",
        "/Users/?FILTER=userName+Eq+%22ada@corp.example%22&aadOptscim062020&startindex=1&count=100",
    ] {
        let page = app.get(path).await.is(200);
        assert_eq!((&page.body["totalResults"], &page.body["Resources"][0]["id"]), (&json!(1), &json!(id)), "{path}");
    }
    let page = app.get("/Users?filter=userName+eq+%22nobody%22").await.is(200);
    assert_eq!(page.body["totalResults"], 0);
    assert_eq!(page.body["Resources"], json!([]));
}

#[tokio::test]
async fn pages_are_cut_by_start_and_count_and_never_larger_than_allowed() {
    let app = App::new().await;
    for n in 0..5 {
        app.user(&format!("user{n}")).await;
    }
    for (query, start, items) in [
        ("startIndex=2&count=2", 2, 2),
        ("startIndex=-7&count=3", 1, 3),
        ("startIndex=5", 5, 1),
        ("startIndex=99", 99, 0),
        ("count=0", 1, 0),
        ("count=-1", 1, 0),
        ("count=99999999999", 1, 5),
    ] {
        let page = app.get(&format!("/Users?{query}")).await.is(200);
        assert_eq!(page.body["totalResults"], 5, "{query}");
        assert_eq!(page.body["startIndex"], start, "{query}");
        assert_eq!(page.body["itemsPerPage"], items, "{query}");
        assert_eq!(page.body["Resources"].as_array().unwrap().len(), items, "{query}");
    }
    app.get("/Users?count=many").await.refuses(400, "invalidValue");
}

#[tokio::test]
async fn the_client_says_which_attributes_it_sees_on_every_verb() {
    let app = App::new().await;
    let keys = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let body = json!({"userName": "ada", "title": "Countess"});
    let made = app.post("/Users?attributes=userName", body.clone()).await.is(201);
    assert_eq!(keys(&made.body), ["id", "schemas", "userName"]);
    let path = format!("/Users/{}", made.id());
    let without = |path: &str| format!("{path}?excludedAttributes=title,meta,groups,active");
    for answer in [
        app.get(&without(&path)).await,
        app.put(&without(&path), body).await,
        app.patch(&without(&path), json!([{"op": "add", "path": "title", "value": "Lady"}])).await,
    ] {
        assert_eq!(keys(&answer.is(200).body), ["id", "schemas", "userName"]);
    }
    let page = app.get("/Users?attributes=USERNAME").await.is(200);
    assert_eq!(keys(&page.body["Resources"][0]), ["id", "schemas", "userName"]);
}

#[tokio::test]
async fn a_user_shows_its_groups_unless_they_are_not_wanted() {
    let app = App::new().await;
    let ada = app.user("ada").await;
    let staff = app.group("Staff", &[&ada]).await;
    let path = format!("/Users/{ada}");
    let group = json!({"value": staff, "$ref": format!("{BASE}/Groups/{staff}"), "display": "Staff", "type": "direct"});
    assert_eq!(app.get(&path).await.body["groups"], json!([group]));
    let patched = app.patch(&path, json!([{"op": "add", "path": "title", "value": "Lady"}])).await.is(200);
    assert_eq!(patched.body["groups"], json!([group]));
    assert_eq!(app.get(&format!("{path}?excludedAttributes=groups")).await.body.get("groups"), None);
}

#[tokio::test]
async fn a_known_version_is_304_and_an_old_one_is_412() {
    let app = App::new().await;
    let path = format!("/Users/{}", app.user("ada").await);
    let known = app.ask(Method::GET, &path).header("if-none-match", "W/\"1\"").send().await.is(304);
    assert_eq!(known.header("etag"), "W/\"1\"");
    app.ask(Method::GET, &path).header("if-none-match", "W/\"2\"").send().await.is(200);

    let body = json!({"userName": "ada", "title": "Lady"});
    for tag in ["W/\"9\"", "garbage", "\"9\", W/\"8\""] {
        app.ask(Method::PUT, &path).json(&body).header("if-match", tag).send().await.is(412);
        app.ask(Method::DELETE, &path).header("if-match", tag).send().await.is(412);
    }
    app.ask(Method::PUT, &path).json(&body).header("if-match", "\"7\", \"1\"").send().await.is(200);
    app.ask(Method::DELETE, &path).header("if-match", "*").send().await.is(204);
}

#[tokio::test]
async fn head_says_all_but_the_body() {
    let app = App::new().await;
    let path = format!("/Users/{}", app.user("ada").await);
    let length = app.get(&path).await.is(200).body.to_string().len();
    let head = app.ask(Method::HEAD, &path).send().await.is(200);
    assert_eq!((head.header("content-length"), &head.body), (length.to_string().as_str(), &Value::Null));
    assert_eq!(head.header("etag"), "W/\"1\"");
}
