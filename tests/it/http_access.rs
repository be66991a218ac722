//! Who may ask, what exists, and what a monitor sees.

use std::time::Duration;

use axum::http::Method;
use chrono::Utc;
use jira_scim::http::HttpOptions;
use jira_scim::store::tenant::{self, Origin};
use jira_scim::store::token::{self, NewToken};
use serde_json::json;
use uuid::Uuid;

use super::http_app::{App, options, tenant as new_tenant};

#[tokio::test]
async fn every_bad_credential_gets_the_same_401() {
    let app = App::new().await;
    let other = new_tenant(&app.store, "other").await;
    let expired = NewToken::generate();
    {
        let origin = Origin { actor: "test", request_id: Uuid::now_v7(), at: Utc::now() };
        let mut connection = app.store.pool().acquire().await.unwrap();
        let acme = tenant::get(&mut *connection, "acme").await.unwrap().unwrap();
        let past = Some(Utc::now() - Duration::from_secs(1));
        token::create(
            &mut *connection,
            acme.id,
            Uuid::now_v7(),
            token::NewCredential::bearer("old", expired.hash(), past),
            origin,
        )
        .await
        .unwrap();
    }
    app.get("/Users").await.is(200);
    let wrong = [
        app.raw(Method::GET, "/scim/acme/v2/Users"),
        app.raw(Method::GET, "/scim/acme/v2/Users").token("jst_wrong"),
        app.raw(Method::GET, "/scim/acme/v2/Users").token(&other),
        app.raw(Method::GET, "/scim/acme/v2/Users").token(expired.reveal()),
        app.raw(Method::GET, "/scim/acme/v2/Users").header("authorization", "Basic YTpi"),
        app.raw(Method::GET, "/scim/nobody/v2/Users").token(&app.token),
        app.raw(Method::GET, "/scim/other/v2/Users").token(&app.token),
        app.raw(Method::GET, "/scim/ACME/v2/Users").token(&app.token),
        app.raw(Method::GET, "/scim/%00/v2/Users").token(&app.token),
        app.raw(Method::GET, "/scim/acme/v2/ServiceProviderConfig"),
        app.raw(Method::GET, "/scim/acme/v2/nothing"),
        app.raw(Method::POST, "/scim/acme/v2/Schemas"),
    ];
    let mut bodies = Vec::new();
    for ask in wrong {
        let answer = ask.send().await.is(401);
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"scim\", Basic realm=\"scim\", charset=\"UTF-8\"");
        bodies.push(answer.body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
}

#[tokio::test]
async fn a_good_token_is_noted_as_used() {
    let app = App::new().await;
    app.get("/Users").await.is(200);
    app.lifecycle.shutdown();
    app.lifecycle.finish(Duration::from_secs(10)).await;
    let acme = tenant::get(app.store.pool(), "acme").await.unwrap().unwrap();
    assert!(token::list(app.store.pool(), acme.id).await.unwrap()[0].last_used.is_some());
}

#[tokio::test]
async fn what_does_not_exist_is_404_and_a_wrong_method_is_405_with_allow() {
    let app = App::new().await;
    for path in ["/nothing", "/Users/x/y", "/Schemas/urn:none", "/ResourceTypes/Device"] {
        app.get(path).await.is(404);
    }
    app.raw(Method::GET, "/scim/acme/v9/Users").send().await.is(404);
    app.raw(Method::GET, "/nothing").send().await.is(404);
    for (method, path, allow) in [
        (Method::PUT, "/Users", "GET, HEAD, POST"),
        (Method::GET, "/Users/.search", "POST"),
        (Method::PUT, "/.search", "POST"),
        (Method::POST, "", "GET, HEAD"),
        (Method::POST, "/Users/7", "GET, HEAD, PUT, PATCH, DELETE"),
        (Method::OPTIONS, "/Groups", "GET, HEAD, POST"),
        (Method::POST, "/Schemas", "GET, HEAD"),
        (Method::DELETE, "/ServiceProviderConfig", "GET, HEAD"),
        (Method::PATCH, "/ResourceTypes/User", "GET, HEAD"),
    ] {
        assert_eq!(app.ask(method, path).send().await.is(405).header("allow"), allow, "{path}");
    }
    app.post("/Me", json!({})).await.is(501);
}

#[tokio::test]
async fn discovery_says_what_there_is() {
    let app = App::new().await;
    let config = app.get("/ServiceProviderConfig").await.is(200);
    assert_eq!(config.body["patch"]["supported"], true);
    assert_eq!(config.body["etag"]["supported"], true);
    assert_eq!(config.body["filter"]["maxResults"], 200);
    assert_eq!(config.body["bulk"]["supported"], true);
    let types = app.get("/ResourceTypes").await.is(200);
    for endpoint in types.body["Resources"].as_array().unwrap() {
        app.get(&format!("/ResourceTypes/{}", endpoint["id"].as_str().unwrap())).await.is(200);
        app.get(endpoint["endpoint"].as_str().unwrap()).await.is(200);
    }
    let schemas = app.get("/Schemas").await.is(200);
    for schema in schemas.body["Resources"].as_array().unwrap() {
        let path = format!("/Schemas/{}", schema["id"].as_str().unwrap());
        assert_eq!(app.get(&path).await.is(200).body["attributes"], schema["attributes"]);
    }
    app.get("/Schemas?filter=id+pr").await.is(403);
}

#[tokio::test]
async fn the_prefix_of_the_public_url_may_stay_in_the_path() {
    let app = App::new().await;
    app.raw(Method::GET, "/prefix/scim/acme/v2/Users?").token(&app.token).send().await.is(200);
    app.raw(Method::GET, "/prefix/livez").send().await.is(200);
    app.raw(Method::GET, "/prefixscim/acme/v2/Users").token(&app.token).send().await.is(404);
}

#[tokio::test]
async fn a_request_id_goes_in_and_out_and_into_the_audit() {
    let app = App::new().await;
    let id = Uuid::now_v7();
    let answer = app
        .ask(Method::POST, "/Users")
        .header("x-request-id", &id.to_string())
        .json(&json!({"userName": "ada"}))
        .send()
        .await
        .is(201);
    assert_eq!(answer.header("x-request-id"), id.to_string());
    app.until("SELECT count(*) = 1 FROM audit JOIN request USING (tenant_id, request_id)").await;
    let given: Option<String> =
        sqlx::query_scalar("SELECT given FROM request").fetch_one(app.store.pool()).await.unwrap();
    assert_eq!(given, Some(id.to_string()));
    let answer = app.ask(Method::GET, "/Users").header("x-request-id", "okta-17").send().await;
    assert_eq!(answer.header("x-request-id"), "okta-17");
}

#[tokio::test]
async fn a_tenant_that_asks_too_often_is_429_with_whole_seconds() {
    let app = App::with(HttpOptions { requests_per_second: 1, burst: 2, ..options() }, None).await;
    let mut last = app.get("/Users?count=0").await.is(200);
    for _ in 0..50 {
        last = app.get("/Users?count=0").await;
    }
    assert_eq!(last.is(429).header("retry-after"), "1");
}

#[tokio::test]
async fn monitors_see_how_the_process_is_without_credentials() {
    let app = App::new().await;
    app.raw(Method::GET, "/livez").send().await.is(200);
    app.raw(Method::GET, "/readyz").send().await.is(200);
    app.raw(Method::POST, "/readyz").send().await.is(405);
    let health = app.raw(Method::GET, "/healthz").send().await.is(200);
    assert_eq!(health.body["state"], "ok");
    assert_eq!(health.body["components"]["database"]["state"], "ok");
    let metrics = app.raw(Method::GET, "/metrics").send().await.is(200);
    assert!(metrics.header("content-type").starts_with("text/plain"));
    app.lifecycle.shutdown();
    app.raw(Method::GET, "/readyz").send().await.is(503);
}

#[tokio::test]
async fn without_migrations_the_process_is_alive_and_not_ready() {
    let app = App::new().await;
    sqlx::query("DELETE FROM _sqlx_migrations").execute(app.store.pool()).await.unwrap();
    app.raw(Method::GET, "/livez").send().await.is(200);
    app.raw(Method::GET, "/readyz").send().await.is(503);
    let health = app.raw(Method::GET, "/healthz").send().await.is(503);
    assert_eq!(health.body["state"], "down");
    assert_eq!(health.body["components"]["database"]["last_error"], "Migrations are missing.");
}

#[tokio::test]
async fn without_its_database_the_process_answers_503_with_retry_after() {
    let app = App::new().await;
    app.get("/Users").await.is(200);
    app.store.pool().close().await;
    let answer = app.get("/Users").await.is(503);
    assert_eq!(answer.header("retry-after"), "5");
    assert!(!answer.detail().contains("pool"), "{answer:?}");
    app.post("/Users", json!({"userName": "ada"})).await.is(503);
    app.raw(Method::GET, "/readyz").send().await.is(503);
    app.raw(Method::GET, "/livez").send().await.is(200);
}
