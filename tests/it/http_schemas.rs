//! Extensions that a tenant declares, through the real router: stored, answered, filtered, patched, announced.

use axum::http::Method;
use jira_scim::store::tenant::{self, Origin, TenantChange};
use serde_json::{Value, json};
use uuid::Uuid;

use super::http_app::{App, Make};

const CUSTOM: &str = "urn:okta:onprem_app:1.0:user:custom";
const COST: &str = "urn:example:cost:1.0";

fn declared() -> Value {
    json!({ "scim": { "schemas": [
        { "resource": "User", "id": CUSTOM, "attributes": [
            { "name": "shift", "type": "string" }, { "name": "isRemote", "type": "boolean" },
            { "name": "level", "type": "integer" }, { "name": "serial", "type": "string", "mutability": "immutable" },
            { "name": "pin", "type": "string", "mutability": "writeOnly", "returned": "never" },
            { "name": "tags", "type": "string", "multiValued": true }
        ] },
        { "resource": "Group", "id": COST, "attributes": [{ "name": "centre", "type": "string", "required": true }] }
    ] } })
}

async fn app() -> App {
    App::make(Make { policy: declared(), ..Make::default() }, None).await
}

/// What the agent of a site sends (OPP-2, OPP-3).
fn ann() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", CUSTOM], "userName": "ann",
        CUSTOM: { "shift": "late", "isRemote": true, "level": 3, "serial": "S-1", "pin": "0000", "tags": ["a", "B"], "unheard": 1 }
    })
}

/// Gives tenant `acme` another policy, and the next request a credential that nobody remembers.
async fn change_policy(app: &mut App, policy: Value) {
    let mut connection = app.store.pool().acquire().await.unwrap();
    let origin = Origin { actor: "test", request_id: Uuid::now_v7(), at: chrono::Utc::now() };
    let change = TenantChange { policy: Some(policy), ..TenantChange::default() };
    tenant::update(&mut connection, "acme", &change, origin).await.unwrap();
    app.token = super::http_app::another_token(&app.store, "acme").await;
}

#[tokio::test]
async fn declared_values_come_back_and_undeclared_ones_are_ignored() {
    let app = app().await;
    let shown = json!({ "shift": "late", "isRemote": true, "level": 3, "serial": "S-1", "tags": ["a", "B"] });
    let made = app.post("/Users", ann()).await.is(201);
    assert_eq!((&made.body[CUSTOM], &made.body["schemas"][1]), (&shown, &json!(CUSTOM)), "OPP-3");
    let path = format!("/Users/{}", made.id());
    assert_eq!(app.get(&path).await.is(200).body[CUSTOM], shown);
    let old = app.raw(Method::GET, &format!("/scim/acme/v1{path}")).token(&app.token).send().await.is(200);
    assert_eq!(old.body[CUSTOM], shown, "the same person under 1.1");
    let plain = App::new().await;
    let made = plain.post("/Users", ann()).await.is(201);
    assert_eq!((made.body.get(CUSTOM), made.body["schemas"].as_array().unwrap().len()), (None, 1));
    assert_eq!(plain.holdings().await.len(), 2, "a user and a total: {:?}", plain.holdings().await);
    assert!(!format!("{:?}", plain.holdings().await).contains("late"), "never stored half");
}

#[tokio::test]
async fn a_declared_attribute_is_asked_for_like_any_other() {
    let app = app().await;
    let ann = app.post("/Users", ann()).await.is(201).id();
    app.post("/Users", json!({ "userName": "bo", CUSTOM: { "shift": "EARLY", "level": 10, "isRemote": false } }))
        .await
        .is(201);
    app.user("cy").await;
    for (filter, expected) in [
        (format!("{CUSTOM}:shift eq \"LATE\""), vec!["ann"]),
        ("shift sw \"e\"".to_owned(), vec!["bo"]),
        ("level gt 4".to_owned(), vec!["bo"]),
        (format!("{CUSTOM}:isRemote eq true"), vec!["ann"]),
        ("tags eq \"b\"".to_owned(), vec!["ann"]),
        ("tags[value eq \"b\"]".to_owned(), vec!["ann"]),
        ("not (shift pr)".to_owned(), vec!["cy"]),
        (format!("{}:LEVEL ge 3 and userName ne \"bo\"", CUSTOM.to_uppercase()), vec!["ann"]),
    ] {
        let query: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let page = app.get(&format!("/Users?attributes=userName&filter={query}")).await.is(200);
        let names: Vec<&str> =
            page.body["Resources"].as_array().unwrap().iter().map(|user| user["userName"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{filter}");
    }
    app.get("/Users?filter=pin+eq+%220000%22").await.refuses(400, "invalidFilter");
    app.get("/Users?filter=unheard+eq+1").await.refuses(400, "invalidFilter");
    let some = app.get(&format!("/Users/{ann}?attributes={CUSTOM}:level,pin")).await.is(200);
    assert_eq!(some.body[CUSTOM], json!({ "level": 3 }));
    let less = app.get(&format!("/Users/{ann}?excludedAttributes=shift,tags,serial")).await.is(200);
    assert_eq!(less.body[CUSTOM], json!({ "isRemote": true, "level": 3 }));
}

#[tokio::test]
async fn a_declared_attribute_is_changed_like_any_other() {
    let app = app().await;
    let path = format!("/Users/{}", app.post("/Users", ann()).await.is(201).id());
    let patched = app
        .patch(
            &path,
            json!([
                { "op": "replace", "path": format!("{CUSTOM}:shift"), "value": "early" },
                { "op": "add", "value": { format!("{CUSTOM}:level"): 4, CUSTOM: { "isRemote": "False" } } },
                { "op": "remove", "path": format!("{CUSTOM}:tags[value eq \"a\"]") }
            ]),
        )
        .await
        .is(200);
    let now = json!({ "shift": "early", "isRemote": false, "level": 4, "serial": "S-1", "tags": ["B"] });
    assert_eq!(patched.body[CUSTOM], now);
    let wrong = json!([{ "op": "replace", "path": format!("{CUSTOM}:level"), "value": "many" }]);
    let refused = app.patch(&path, wrong).await.refuses(400, "invalidValue");
    assert!(refused.detail().starts_with(&format!("{CUSTOM}:level")), "{refused:?}");
    let other = json!([{ "op": "replace", "path": format!("{CUSTOM}:serial"), "value": "S-2" }]);
    app.patch(&path, other).await.refuses(400, "mutability");
    app.put(&path, json!({ "userName": "ann", CUSTOM: { "serial": "S-2" } })).await.refuses(400, "mutability");
    let same = app.get(&path).await.is(200);
    assert_eq!(same.header("etag"), patched.header("etag"), "a refused request changes nothing");
    let put = app.put(&path, same.body.clone()).await.is(200);
    assert_eq!(put.body, same.body, "OKTA-12: neither version nor lastModified");
    let pin: String = sqlx::query_scalar("SELECT attrs #>> $1 FROM scim_user")
        .bind(vec![CUSTOM.to_owned(), "pin".to_owned()])
        .fetch_one(app.store.pool())
        .await
        .unwrap();
    assert_eq!(pin, "0000", "what a client does not see survives its PUT");
    app.post("/Groups", json!({ "displayName": "Crew", COST: { "unheard": 1 } })).await.is(201);
    app.post("/Groups", json!({ "displayName": "Staff", COST: { "centre": "" , "x": 1 } })).await.is(201);
    let group = app.post("/Groups", json!({ "displayName": "Desk", COST: { "centre": "C1" } })).await.is(201);
    assert_eq!(group.body[COST], json!({ "centre": "C1" }));
    let remove = json!([{ "op": "remove", "path": format!("{COST}:centre") }]);
    app.patch(&format!("/Groups/{}", group.id()), remove).await.refuses(400, "mutability");
}

#[tokio::test]
async fn discovery_announces_what_the_tenant_declares_and_no_other_tenant() {
    let app = app().await;
    let schemas = app.get("/Schemas").await.is(200);
    let ids: Vec<&Value> = schemas.body["Resources"].as_array().unwrap().iter().map(|schema| &schema["id"]).collect();
    assert_eq!((ids.len(), schemas.body["totalResults"].as_u64()), (7, Some(7)));
    assert!(ids.contains(&&json!(CUSTOM)) && ids.contains(&&json!(COST)), "{ids:?}");
    let schema = app.get(&format!("/Schemas/{CUSTOM}")).await.is(200);
    let pin =
        schema.body["attributes"].as_array().unwrap().iter().find(|attribute| attribute["name"] == "pin").unwrap();
    assert_eq!((&pin["mutability"], &pin["returned"]), (&json!("writeOnly"), &json!("never")));
    let user = app.get("/ResourceTypes/User").await.is(200);
    assert!(
        user.body["schemaExtensions"].as_array().unwrap().contains(&json!({ "schema": CUSTOM, "required": false }))
    );
    let other = super::http_app::tenant(&app.store, "other").await;
    let path = format!("/scim/other/v2/Schemas/{CUSTOM}");
    app.raw(Method::GET, &path).token(&other).send().await.is(404);
    let made = app.raw(Method::POST, "/scim/other/v2/Users").token(&other).json(&ann()).send().await.is(201);
    assert_eq!(made.body.get(CUSTOM), None);
}

#[tokio::test]
async fn what_is_not_declared_any_more_is_kept_unseen_and_comes_back() {
    let mut app = app().await;
    let path = format!("/Users/{}", app.post("/Users", ann()).await.is(201).id());
    change_policy(&mut app, json!({})).await;
    let unseen = app.get(&path).await.is(200);
    assert_eq!((unseen.body.get(CUSTOM), unseen.body["schemas"].as_array().unwrap().len()), (None, 1));
    let listed = app.get("/Users").await.is(200);
    assert_eq!(listed.body["Resources"][0].get(CUSTOM), None);
    app.get("/Users?filter=shift+pr").await.refuses(400, "invalidFilter");
    app.put(&path, json!({ "userName": "ann", "title": "Lead", CUSTOM: { "shift": "early" } })).await.is(200);
    change_policy(&mut app, declared()).await;
    let back = app.get(&path).await.is(200);
    assert_eq!((&back.body["title"], &back.body[CUSTOM]["shift"]), (&json!("Lead"), &json!("late")));
    let found = app.get("/Users?filter=shift+eq+%22LATE%22").await.is(200);
    assert_eq!(found.body["totalResults"], 1, "and is found");
}
