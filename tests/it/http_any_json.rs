//! Any JSON value as a body yields an answer and never a 5xx: hostile bodies and paths through the real router.

use axum::http::Method;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::http_app::{App, Make, options};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const BADGE: &str = "urn:example:badge:1.0";
/// Bodies that are tried; each is sent to every endpoint of both versions.
const BODIES: usize = 150;

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        2 => prop::sample::select(vec![
            "", "True", "a@b.example", "work", "add", "remove", "replace", "Add", "members", "emails", "active", "userName",
            "emails[type eq \"work\"].value", "members[value eq \"x\"]", "members[type eq \"User\"]", "name.givenName", "bulkId:b1",
            "POST", "/Users", "/Groups", "/Users/bulkId:b1", "urn:example:badge:1.0:number", "userName sw \"a\"", "ascending",
            "\u{0}", "\u{feff}", "a\u{301}\u{1f600}", "delete",
        ]).prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        1 => Just(Value::Null), 1 => any::<bool>().prop_map(Value::from), 1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from), 4 => text,
    ];
    let key = prop_oneof![
        8 => prop::sample::select(vec![
            "userName", "displayName", "externalId", "name", "givenName", "emails", "value", "type", "primary", "active", "manager",
            "members", "op", "path", "Operations", "id", "groups", "$ref", ENTERPRISE, BADGE, "number", "tags", "schemas", "password",
            "meta", "attributes", "operation", "method", "bulkId", "data", "failOnErrors", "filter", "sortBy", "sortOrder",
            "startIndex", "count", "cursor", "version",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// A body, and bodies around it that get further than it would alone.
fn dressed(value: &Value) -> Vec<Value> {
    let mut named = json!({ "userName": "zoe", "displayName": "Zoo" });
    if let (Value::Object(named), Value::Object(given)) = (&mut named, value) {
        for (key, value) in given {
            named.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    let list = if value.is_array() { value.clone() } else { json!([value]) };
    let operation = |op: &str, path: &str| json!({ "Operations": [{ "op": op, "path": path, "value": value }] });
    vec![
        value.clone(),
        named,
        json!({ "Operations": list }),
        json!({ "Operations": [{ "op": "replace", "value": value }] }),
        operation("add", "emails"),
        operation("remove", "members"),
        operation("replace", BADGE),
        json!({ "Operations": [{ "method": "POST", "path": "/Groups", "bulkId": "b1", "data": value }] }),
        json!({ "filter": value, "sortBy": value, "count": value, "cursor": value }),
    ]
}

/// Everything that takes a body, of both versions; searches are of SCIM 2.0 alone.
fn doors(user: &str, group: &str) -> Vec<(Method, String)> {
    let both = [
        (Method::POST, "/Users"),
        (Method::POST, "/Groups"),
        (Method::PUT, user),
        (Method::PUT, group),
        (Method::PATCH, user),
        (Method::PATCH, group),
        (Method::POST, "/Bulk"),
    ];
    let searches = ["/.search", "/Users/.search", "/Groups/.search"].map(|path| ("v2", (Method::POST, path)));
    let versions = ["v2", "v1"].into_iter().flat_map(|version| both.clone().map(|door| (version, door)));
    let doors = versions.chain(searches);
    doors.map(|(version, (method, path))| (method, format!("/scim/acme/{version}{path}"))).collect()
}

#[tokio::test]
async fn any_json_as_a_body_is_answered_and_never_by_an_error_of_ours() {
    let policy = json!({ "scim": { "schemas": [{ "id": BADGE, "resource": "User", "attributes": [
        { "name": "number", "type": "string", "mutability": "immutable" }, { "name": "tags", "type": "string", "multiValued": true }
    ] }] } });
    let mut options = options();
    // A request that is throttled is not judged.
    options.requests_per_second = 0;
    let app = App::make(Make { options, policy, ..Make::default() }, None).await;
    let (user, group) = (app.user("ada").await, app.group("Staff", &[]).await);
    let (user, group) = (format!("/Users/{user}"), format!("/Groups/{group}"));
    let doors = doors(&user, &group);
    let mut runner = TestRunner::deterministic();
    let bodies = any_json();
    for _ in 0..BODIES {
        let value = bodies.new_tree(&mut runner).unwrap().current();
        for body in dressed(&value) {
            for (method, path) in &doors {
                let answer = app.raw(method.clone(), path).token(&app.token).json(&body).send().await;
                assert_ne!(answer.status, 429);
                assert!(answer.status < 500, "{method} {path} {body}: {answer:?}");
            }
        }
    }
    for path in [user, group] {
        app.get(&path).await.is(200);
    }
    app.get("/Users").await.is(200);
}
