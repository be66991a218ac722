//! Members of groups through the real router: who is unknown, circles, groups whose members change fast, and re-hires.

use axum::http::Method;
use serde_json::{Value, json};

use super::http_app::{App, Make};

const NOBODY: &str = "00000000-0000-7000-8000-0000000000aa";

fn add(id: &str) -> Value {
    json!([{ "op": "add", "path": "members", "value": [{ "value": id }] }])
}

async fn skipped(app: &App) -> Vec<Option<Vec<String>>> {
    sqlx::query_scalar("SELECT skipped FROM audit WHERE kind = 'group' ORDER BY at, id")
        .fetch_all(app.store.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn unknown_members_are_left_out_recorded_and_never_listed() {
    let app = App::new().await;
    let ada = app.user("ada").await;
    let members = json!([{ "value": ada }, { "value": NOBODY }, { "value": "u-7f31" }, { "value": "u-7f31" }]);
    let group = app.post("/Groups", json!({ "displayName": "Crew", "members": members })).await.is(201).id();
    assert_eq!(app.members(&group).await, [ada.as_str()]);
    app.patch(&format!("/Groups/{group}"), add("someone\u{7}")).await.is(204);
    app.put(&format!("/Groups/{group}"), json!({ "displayName": "Crew", "members": members })).await.is(200);
    assert_eq!(app.members(&group).await, [ada.as_str()]);
    let both = Some(vec![NOBODY.to_owned(), "u-7f31".to_owned()]);
    assert_eq!(skipped(&app).await, [both.clone(), Some(vec!["someone".to_owned()]), both]);
}

#[tokio::test]
async fn unknown_members_are_refused_by_their_ids_where_the_tenant_wants_it_so() {
    let policy = json!({ "scim": { "unknown_members": "refuse" } });
    let app = App::make(Make { policy, ..Make::default() }, None).await;
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let members = json!([{ "value": ada }, { "value": NOBODY }, { "value": "u-7f31" }]);
    let refused =
        app.post("/Groups", json!({ "displayName": "Crew", "members": members })).await.refuses(400, "invalidValue");
    assert!(refused.detail().starts_with("members: ") && refused.detail().contains(NOBODY), "{refused:?}");
    assert!(refused.detail().contains("u-7f31"), "{refused:?}");
    let group = app.group("Crew", &[&ada]).await;
    let path = format!("/Groups/{group}");
    let before = app.get(&path).await.is(200);
    app.put(&path, json!({ "displayName": "Staff", "members": members })).await.refuses(400, "invalidValue");
    let both = json!([
        { "op": "replace", "path": "displayName", "value": "Staff" }, { "op": "remove", "path": format!("members[value eq \"{ada}\"]") },
        { "op": "add", "path": "members", "value": [{ "value": bob }, { "value": NOBODY }] }
    ]);
    app.patch(&path, both).await.refuses(400, "invalidValue");
    app.patch(&path, add("u-7f31")).await.refuses(400, "invalidValue");
    assert_eq!(app.get(&path).await.is(200).body, before.body, "all or nothing");
    let gone = json!([{ "op": "remove", "path": "members", "value": [{ "value": NOBODY }, { "value": "u-7f31" }] }]);
    app.patch(&path, gone).await.is(204);
    app.patch(&path, add(&bob)).await.is(204);
    assert_eq!(app.members(&group).await.len(), 2);
    assert!(skipped(&app).await.iter().all(Option::is_none));
}

#[tokio::test]
async fn of_two_requests_that_close_a_circle_from_both_ends_one_is_refused() {
    let app = App::new().await;
    for round in 0..12 {
        let (a, b) = (app.group(&format!("a{round}"), &[]).await, app.group(&format!("b{round}"), &[]).await);
        let (one, other) = (format!("/Groups/{a}"), format!("/Groups/{b}"));
        let (first, second) = tokio::join!(app.patch(&one, add(&b)), app.patch(&other, add(&a)));
        let mut answers = [first.status, second.status];
        answers.sort_unstable();
        assert_eq!(answers, [204, 400], "{first:?} {second:?}");
        let members = app.members(&a).await.len() + app.members(&b).await.len();
        assert_eq!(members, 1);
    }
    let alone = app.group("alone", &[]).await;
    app.patch(&format!("/Groups/{alone}"), add(&alone)).await.refuses(400, "invalidValue");
}

#[tokio::test]
async fn a_change_is_answered_with_the_version_and_the_time_that_the_next_read_has() {
    let app = App::new().await;
    let ada = app.user("ada").await;
    let path = format!("/Groups/{}", app.group("Crew", &[]).await);
    for (method, body) in [
        (Method::PATCH, json!({ "Operations": add(&ada) })),
        (Method::PUT, json!({ "displayName": "Staff", "members": [] })),
    ] {
        let changed = app.ask(method, &format!("{path}?attributes=displayName,meta")).json(&body).send().await.is(200);
        let read = app.get(&path).await.is(200);
        assert_eq!(changed.header("etag"), read.header("etag"));
        assert_eq!(changed.body["meta"], read.body["meta"]);
    }
    let changed = app.patch(&path, add(&ada)).await.is(204);
    assert_eq!(changed.header("etag"), app.get(&path).await.header("etag"));
}

#[tokio::test]
async fn a_change_of_a_group_whose_members_change_fast_names_no_version_rather_than_a_wrong_one() {
    let app = App::new().await;
    let ada = app.user("ada").await;
    let path = format!("/Groups/{}", app.group("Crew", &[]).await);
    let remove = json!([{ "op": "remove", "path": "members" }]);
    for _ in 0..40 {
        app.patch(&path, add(&ada)).await.is(204);
        app.patch(&path, remove.clone()).await.is(204);
    }
    let blind = app.patch(&path, add(&ada)).await.is(204);
    assert_eq!(blind.header("etag"), "");
    let seen = app.patch(&format!("{path}?attributes=displayName"), remove).await.is(200);
    let read = app.get(&path).await.is(200);
    assert_eq!(
        (seen.header("etag"), read.header("etag")),
        ("W/\"83\"", "W/\"83\""),
        "one of the create, one of each change"
    );
    let held = app.ask(Method::PATCH, &path).header("if-match", "W/\"83\"").json(&json!({ "Operations": add(&ada) }));
    assert_eq!(held.send().await.is(204).header("etag"), "W/\"84\"");
}

#[tokio::test]
async fn a_tombstone_is_not_revived_for_an_external_id_that_somebody_alive_has() {
    let app = App::new().await;
    let make = async |name: &str, external: &str| {
        app.post("/Users", json!({ "userName": name, "externalId": external })).await.is(201).id()
    };
    let gone = make("ada", "x-1").await;
    app.delete(&format!("/Users/{gone}")).await.is(204);
    assert_eq!(make("ada.new", "x-1").await, gone, "a re-hire keeps its id");
    let other = make("bob", "x-2").await;
    app.delete(&format!("/Users/{gone}")).await.is(204);
    app.patch(&format!("/Users/{other}"), json!([{ "op": "replace", "path": "externalId", "value": "x-1" }]))
        .await
        .is(200);
    let third = make("cy", "x-1").await;
    assert!(third != gone && third != other, "the bearer of the externalId is alive: cy is nobody who left");
}
