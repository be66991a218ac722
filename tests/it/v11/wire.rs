//! Envelopes, media types, paths, methods and discovery.

use axum::http::Method;
use jira_scim::store::tenant::Mode;
use serde_json::json;

use super::{BASE, CORE, Client, ENTERPRISE};
use crate::http_app::{App, Make};

#[tokio::test]
async fn the_same_person_is_the_same_resource_in_both_versions() {
    let app = App::new().await;
    let old = Client::new(&app);
    let manager = app.user("cy").await;
    let made = old
        .post(
            "/Users",
            json!({
                "schemas": [CORE, ENTERPRISE], "userName": "ann", "name": {"givenName": "Ann"}, "externalId": "e-1",
                ENTERPRISE: {"department": "Ops", "manager": {"managerId": manager, "displayName": "Cy Ode"}}
            }),
        )
        .await
        .is(201);
    let path = format!("/Users/{}", made.id());
    assert_eq!(made.header("location"), format!("{BASE}{path}"));
    assert_eq!(made.body["schemas"], json!([CORE, ENTERPRISE]));
    assert_eq!(made.body["meta"]["location"], format!("{BASE}{path}"));
    assert_eq!(made.body["meta"].get("resourceType"), None);
    assert_eq!(made.body[ENTERPRISE]["manager"]["managerId"], json!(manager));

    let new = app.get(&path).await.is(200);
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    assert_eq!(new.body["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:User", enterprise]));
    assert_eq!(new.body[enterprise]["manager"]["value"], json!(manager));
    assert_eq!(new.body[enterprise]["manager"].get("managerId"), None);
    assert_eq!((new.id(), new.header("etag")), (made.id(), made.header("etag")));

    let page = old.find("/Users", "urn:scim:schemas:core:1.0:userName eq 'ANN'").await.is(200);
    assert_eq!((&page.body["totalResults"], &page.body["Resources"][0]["id"]), (&json!(1), &json!(made.id())));
    assert_eq!(page.body["Resources"][0]["schemas"], json!([CORE, ENTERPRISE]));
    for filter in [
        "urn:scim:schemas:extension:enterprise:1.0:department eq \"ops\"".to_owned(),
        format!("{ENTERPRISE}:manager.managerId eq \"{manager}\""),
        format!("manager eq \"{manager}\""),
        "meta.lastModified gt “2020-04-07T14:19:34Z” and externalId eq \"e-1\"".to_owned(),
    ] {
        assert_eq!(old.find("/Users", &filter).await.is(200).body["totalResults"], 1, "{filter}");
    }
    old.find("/Users", "AMOSS").await.is(400);
    assert_eq!(old.find("/Users", "userName eq \"nobody\"").await.is(200).body["Resources"], json!([]));
}

#[tokio::test]
async fn both_versions_understand_both_spellings_of_a_body() {
    let app = App::new().await;
    let (old, enterprise) = (Client::new(&app), "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User");
    let one = old.post("/Users", json!({"userName": "ann", enterprise: {"department": "Ops"}})).await.is(201);
    assert_eq!(one.body[ENTERPRISE], json!({"department": "Ops"}));
    let body = json!({"userName": "bo", ENTERPRISE: {"department": "Ops", "manager": {"managerId": one.id()}}});
    let two = app.post("/Users", body).await.is(201);
    assert_eq!(two.body[enterprise]["manager"]["value"], json!(one.id()));
    let path = format!("/Users/{}?attributes={ENTERPRISE}:department", two.id());
    assert_eq!(old.get(&path).await.is(200).body[ENTERPRISE], json!({"department": "Ops"}));
    assert_eq!(app.get(&path).await.is(200).body[enterprise], json!({"department": "Ops"}));
}

#[tokio::test]
async fn every_failure_has_the_old_envelope() {
    let app = App::new().await;
    let old = Client::new(&app);
    let id = old.post("/Users", json!({"userName": "ann"})).await.is(201).id();
    old.get("/Users/u-0000").await.is(404);
    old.get("/Nothing").await.is(404);
    old.get("/.search").await.is(404);
    old.post("/Users", json!({"userName": "ANN"})).await.is(409);
    old.post("/Users", json!({"name": {}})).await.is(400);
    old.ask(Method::POST, "/Users").body("{").send().await.is(400);
    old.ask(Method::PATCH, "/Users/u-0000").body("{").send().await.is(404);
    old.ask(Method::PUT, &format!("/Users/{id}"))
        .header("if-match", "W/\"9\"")
        .json(&json!({"userName": "ann"}))
        .send()
        .await
        .is(412);
    let anonymous = app.raw(Method::GET, "/scim/acme/v1/ServiceProviderConfigs").send().await.is(401);
    assert!(anonymous.header("www-authenticate").contains("Basic"), "{anonymous:?}");
    app.raw(Method::GET, "/scim/nobody/v1/Users").token(&app.token).send().await.is(401);
}

#[tokio::test]
async fn versions_are_compared() {
    let app = App::new().await;
    let old = Client::new(&app);
    let made = old.post("/Users", json!({"userName": "ann"})).await.is(201);
    let (path, tag) = (format!("/Users/{}", made.id()), made.header("etag").to_owned());
    assert_eq!(made.body["meta"]["version"], json!(tag));
    old.ask(Method::GET, &path).header("if-none-match", &tag).send().await.is(304);
    let titled = json!({"userName": "ann", "title": "Lead"});
    old.ask(Method::PUT, &path).header("if-match", &tag).json(&titled).send().await.is(200);
    old.ask(Method::GET, &path).header("if-none-match", &tag).send().await.is(200);
    old.ask(Method::DELETE, &path).header("if-match", &tag).send().await.is(412);
    old.delete(&path).await.is(204);
    old.get(&path).await.is(404);
    old.post("/Users", json!({"userName": "ann"})).await.is(201);
}

#[tokio::test]
async fn a_tenant_may_have_its_deletions_answered_200() {
    let make = Make { policy: json!({"scim": {"v1_delete": "ok"}}), mode: Mode::Observe, ..Make::default() };
    let app = App::make(make, None).await;
    let old = Client::new(&app);
    let (ann, bo) = (app.user("ann").await, app.user("bo").await);
    let crew = app.group("Crew", &[]).await;
    old.delete(&format!("/Users/{ann}")).await.is(200);
    old.delete(&format!("/Groups/{crew}")).await.is(200);
    old.get(&format!("/Users/{ann}")).await.is(404);
    app.delete(&format!("/Users/{bo}")).await.is(204);
}

#[tokio::test]
async fn the_suffix_json_is_the_same_path_and_xml_is_refused() {
    let app = App::new().await;
    let old = Client::new(&app);
    let made = old.post("/Users.json", json!({"userName": "ann"})).await.is(201);
    let path = format!("/Users/{}", made.id());
    assert_eq!(made.header("location"), format!("{BASE}{path}"));
    assert_eq!(old.get(&format!("{path}.json")).await.is(200).id(), made.id());
    old.get("/ServiceProviderConfigs.json").await.is(200);
    old.get(&format!("{path}.xml")).await.is(406);
    old.get("/Users.xml").await.is(406);
    old.ask(Method::GET, &path).header("accept", "application/xml").send().await.is(406);
    old.ask(Method::GET, &path).header("accept", "application/xml, application/json").send().await.is(200);
    let xml = old.ask(Method::POST, "/Users").header("content-type", "application/xml");
    xml.body("<User/>").send().await.is(415);
    app.ask(Method::GET, &path).header("accept", "application/xml").send().await.is(200);
}

#[tokio::test]
async fn a_post_may_mean_another_method() {
    let app = App::new().await;
    let old = Client::new(&app);
    let path = format!("/Users/{}", old.post("/Users", json!({"userName": "ann"})).await.is(201).id());
    let meaning = |method: &str| old.ask(Method::POST, &path).header("x-http-method-override", method);
    let patched = meaning("PATCH").json(&json!({"schemas": [CORE], "title": "Lead"})).send().await.is(200);
    assert_eq!((&patched.body["title"], &patched.body["userName"]), (&json!("Lead"), &json!("ann")));
    let put = meaning("put").json(&json!({"userName": "ann"})).send().await.is(200);
    assert_eq!(put.body.get("title"), None);
    meaning("GET").send().await.is(400);
    app.ask(Method::POST, &path).header("x-http-method-override", "DELETE").send().await.is(405);
    meaning("DELETE").send().await.is(204);
    old.get(&path).await.is(404);
}

#[tokio::test]
async fn the_configuration_and_the_schemas_are_told_and_not_written() {
    let app = App::new().await;
    let old = Client::new(&app);
    let config = old.get("/ServiceProviderConfigs").await.is(200);
    assert_eq!(old.get("/ServiceProviderConfig").await.is(200).body, config.body);
    let new = app.get("/ServiceProviderConfig").await.is(200);
    for feature in ["patch", "bulk", "filter", "changePassword", "sort", "etag", "authenticationSchemes"] {
        assert_eq!((&config.body[feature], config.body[feature].is_null()), (&new.body[feature], false), "{feature}");
    }
    assert_eq!(config.body["xmlDataFormat"]["supported"], false);
    let extension = config.body["schemas"][1].as_str().unwrap();
    let capabilities = config.body[extension]["userManagementCapabilities"].as_array().unwrap();
    assert!(capabilities.contains(&json!("PUSH_NEW_USERS")), "{capabilities:?}");

    let types = old.get("/ResourceTypes").await.is(200);
    assert_eq!(types.body["Resources"][0]["endpoint"], "/Users");
    let schemas = old.get("/Schemas").await.is(200);
    assert_eq!(schemas.body["schemas"], json!([CORE, "urn:scim:schemas:core:1.0:ListResponse"]));
    let group = old.get("/Schemas/urn:scim:schemas:core:1.0:Group").await.is(200);
    assert_eq!(group.body, schemas.body["Resources"][1]);
    assert_eq!(old.find("/Schemas", "name eq \"User\"").await.is(200).body["totalResults"], 1);
    old.find("/Schemas", "name co \"User\"").await.is(400);
    old.get("/Schemas/nothing").await.is(404);
    for path in ["/ServiceProviderConfigs", "/ResourceTypes", "/Schemas"] {
        let refused = old.post(path, json!({"name": "x"})).await.is(405);
        assert_eq!(refused.header("allow"), "GET, HEAD");
        old.delete(path).await.is(405);
    }
}

#[tokio::test]
async fn several_changes_in_one_request_are_answered_one_by_one() {
    let app = App::new().await;
    let old = Client::new(&app);
    let ann = app.user("ann").await;
    let answer = old
        .post(
            "/Bulk",
            json!({
                "schemas": [CORE],
                "Operations": [
                    {"method": "POST", "bulkId": "b", "path": "/Users",
                     "data": {"schemas": [CORE], "userName": "bo", ENTERPRISE: {"manager": {"managerId": ann}}}},
                    {"method": "POST", "bulkId": "c", "path": "/Users", "data": {"userName": "ANN"}},
                    {"method": "POST", "bulkId": "g", "path": "/Groups",
                     "data": {"displayName": "Crew", "members": [{"value": "bulkId:b"}, {"value": ann}]}},
                    {"method": "PATCH", "path": "/Groups/bulkId:g",
                     "data": {"members": [{"value": ann, "operation": "delete"}]}},
                    {"method": "DELETE", "path": format!("/Users/{ann}")}
                ]
            }),
        )
        .await
        .is(200);
    let codes: Vec<_> = answer.body["Operations"].as_array().unwrap().iter().map(|o| &o["status"]["code"]).collect();
    assert_eq!(codes, ["201", "409", "201", "204", "204"]);
    let operations = &answer.body["Operations"];
    assert!(operations[1]["status"]["description"].as_str().unwrap().contains("already exists"), "{operations}");
    assert_eq!(operations[1].get("response"), None);
    let bo = operations[0]["location"].as_str().unwrap().strip_prefix(BASE).unwrap().to_owned();
    assert_eq!(old.get(&bo).await.is(200).body[ENTERPRISE]["manager"]["managerId"], json!(ann));
    let crew = operations[2]["location"].as_str().unwrap().rsplit('/').next().unwrap();
    assert_eq!(app.members(crew).await, [bo.strip_prefix("/Users/").unwrap()]);
}

#[tokio::test]
async fn a_list_is_paged_sorted_by_the_store_and_cut_down() {
    let app = App::new().await;
    let old = Client::new(&app);
    for n in 0..5 {
        app.user(&format!("person-{n}")).await;
    }
    let mut seen = Vec::new();
    for start in [1, 3, 5, 7] {
        let page = old.get(&format!("/Users?startIndex={start}&count=2&attributes=userName")).await.is(200);
        assert_eq!((&page.body["totalResults"], &page.body["startIndex"]), (&json!(5), &json!(start)));
        let people = page.body["Resources"].as_array().unwrap();
        assert_eq!(page.body["itemsPerPage"], people.len());
        for person in people {
            assert_eq!((person.get("meta"), &person["schemas"]), (None, &json!([CORE])), "{person}");
            seen.push(person["userName"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(seen, ["person-0", "person-1", "person-2", "person-3", "person-4"]);
}
