//! The record of requests: what is on it, who finds what on it, and what is never on it.

use std::time::Duration;

use axum::http::Method;
use chrono::{DateTime, Utc};
use jira_scim::http::HttpOptions;
use jira_scim::sandbox::{Sandbox, SandboxOptions};
use jira_scim::store::audit::{self, NOBODY, Page, Pages, Query, Row};
use jira_scim::store::tenant;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http_app::{self, App, Make};
use crate::world::origin;

pub async fn acme(app: &App) -> Uuid {
    tenant::get(app.store.pool(), "acme").await.unwrap().unwrap().id
}

/// Waits until that many requests are on record.
pub async fn recorded(app: &App, n: i64) {
    let counted = async {
        let count = || sqlx::query_scalar::<_, i64>("SELECT count(*) FROM request").fetch_one(app.store.pool());
        while count().await.unwrap() < n {}
    };
    tokio::time::timeout(Duration::from_secs(30), counted).await.unwrap();
}

pub async fn found(app: &App, query: Query) -> Vec<Row> {
    let tenant = acme(app).await;
    page(app, &[tenant], query, 100).await.rows
}

async fn page(app: &App, tenants: &[Uuid], query: Query, limit: u32) -> Page {
    let mut conn = app.store.pool().acquire().await.unwrap();
    audit::search(&mut conn, tenants, &query, limit).await.unwrap()
}

pub fn text(text: &str) -> Query {
    Query { text: Some(text.into()), ..Query::default() }
}

/// Method and status of each, the oldest first.
fn told(rows: &[Row]) -> Vec<(String, i16)> {
    rows.iter().rev().map(|row| (row.method.clone().unwrap_or_default(), row.status.unwrap_or_default())).collect()
}

#[tokio::test]
async fn every_request_is_on_record_with_its_answer_its_changes_and_what_followed_in_jira() {
    let jira = Sandbox::start(SandboxOptions { applications: vec![], ..SandboxOptions::default() }).await.unwrap();
    let app = App::make(Make::default(), Some(&jira)).await;
    let ann = app.post("/Users", json!({"userName": "ann", "name": {"familyName": "Zwölfer"}})).await.is(201).id();
    app.get(&format!("/Users/{ann}")).await.is(200);
    app.get("/Users?filter=userName+eq+%22nobody%22").await.is(200);
    app.post("/Users", json!({"userName": "ann", "displayName": "Double"})).await.is(409);
    app.patch(&format!("/Users/{ann}"), json!([{"op": "replace", "path": "displayName", "value": "A"}])).await.is(200);
    app.delete(&format!("/Users/{ann}")).await.is(204);
    recorded(&app, 6).await;
    let rows = found(&app, Query { side: Some("scim".into()), ..Query::default() }).await;
    let expected = [("POST", 201), ("GET", 200), ("GET", 200), ("POST", 409), ("PATCH", 200), ("DELETE", 204)];
    assert_eq!(told(&rows), expected.map(|(method, status)| (method.to_owned(), status)));
    let create = &rows[5];
    assert_eq!((create.actor.as_str(), create.changes[0].action.as_str()), ("idp", "user.create"));
    assert_eq!(create.changes[0].body.as_ref().unwrap()["name"]["familyName"], "Zwölfer");
    assert_eq!((create.deliveries.len(), create.deliveries[0].outcome.as_deref()), (1, Some("applied")));
    assert!(create.body.is_none(), "its body is in the audit");
    assert!(create.duration_ms.unwrap() > 0.0 && create.path.as_deref() == Some("/scim/acme/v2/Users"));
    let twice = &rows[2];
    assert_eq!(twice.body.as_ref().unwrap()["displayName"], "Double");
    assert!(twice.error.as_ref().unwrap().contains("ann") && twice.changes.is_empty(), "{twice:?}");
    let search = rows[3].path.as_deref().unwrap();
    assert!(search.ends_with("filter=userName+eq+%22nobody%22"), "{search}");
}

#[tokio::test]
async fn a_request_is_found_by_whatever_is_known_of_it() {
    let app = App::new().await;
    let ann = app.post("/Users", json!({"userName": "ann", "name": {"familyName": "Zwölfer"}})).await.is(201).id();
    let bo = app.post("/Users", json!({"userName": "bo", "displayName": "Bo O'Neil-Smith"})).await.is(201).id();
    let crew = app.group("Crew", &[&ann]).await;
    app.patch(&format!("/Users/{ann}"), json!([{"op": "replace", "path": "userName", "value": "anna"}])).await.is(200);
    app.post("/Users", json!({"userName": "BO"})).await.is(409);
    app.ask(Method::GET, "/Users").header("x-request-id", "okta-17").send().await.is(200);
    app.raw(Method::GET, "/scim/acme/v2/Users").token("jst_wrong").send().await.is(401);
    recorded(&app, 7).await;
    let n = |query: Query| {
        let app = &app;
        async move { told(&found(app, query).await).len() }
    };
    assert_eq!(n(text("zwölf")).await, 1, "by the beginning of a word");
    assert_eq!(n(text("Smith o'neil")).await, 1);
    assert_eq!(n(text("zwölfer smith")).await, 0, "every word");
    assert_eq!(n(text("crew")).await, 1);
    let ids = async |name: &str| {
        let mut conn = app.store.pool().acquire().await.unwrap();
        audit::users_named(&mut conn, acme(&app).await, name).await.unwrap()
    };
    let ann: Uuid = ann.parse().unwrap();
    assert_eq!((ids("Anna").await, ids("ann").await), (vec![ann], vec![ann]), "now, and formerly");
    assert!(ids("nobody").await.is_empty());
    // Made, put into a group, renamed.
    assert_eq!(n(Query { user: Some(vec![ann]), ..Query::default() }).await, 3);
    assert_eq!(n(Query { user: Some(vec![]), ..Query::default() }).await, 0);
    let bo: Uuid = bo.parse().unwrap();
    assert_eq!(n(Query { user: Some(vec![bo]), ..Query::default() }).await, 1);
    let mut conn = app.store.pool().acquire().await.unwrap();
    let group = audit::groups_named(&mut conn, acme(&app).await, "crew").await.unwrap();
    drop(conn);
    assert_eq!(group, [crew.parse::<Uuid>().unwrap()]);
    assert_eq!(n(Query { group: Some(group), ..Query::default() }).await, 1);
    let status = |status: &str| Query { status: Some(status.into()), ..Query::default() };
    assert_eq!((n(status("409")).await, n(status("4xx")).await, n(status("5XX")).await), (1, 2, 0));
    assert_eq!(n(Query { method: Some("patch".into()), ..Query::default() }).await, 1);
    let actor = |actor: &str| Query { actor: Some(actor.into()), side: Some("scim".into()), ..Query::default() };
    assert_eq!((n(actor("IDP")).await, n(actor("other")).await, n(actor("")).await), (6, 0, 1));
    let id = jira_scim::telemetry::uuid_of("okta-17");
    let rows = found(&app, Query { request_id: Some(id), ..Query::default() }).await;
    assert_eq!((rows.len(), rows[0].given.as_deref()), (1, Some("okta-17")));
    let all = found(&app, Query::default()).await;
    let between = Query { since: Some(all[3].at), until: Some(all[1].at), ..Query::default() };
    assert_eq!(found(&app, between).await, all[2..=3], "from, and before");
}

#[tokio::test]
async fn commands_and_the_daemons_own_changes_stand_in_the_same_list() {
    let app = App::new().await;
    app.user("ann").await;
    recorded(&app, 1).await;
    let rows = found(&app, Query::default()).await;
    let sides: Vec<&str> = rows.iter().rev().map(|row| row.side.as_str()).collect();
    assert_eq!(sides, ["inside", "inside", "scim"], "the tenant, its token, the user once");
    let inside =
        found(&app, Query { side: Some("inside".into()), text: Some("token".into()), ..Query::default() }).await;
    assert_eq!((inside.len(), inside[0].changes[0].action.as_str()), (1, "token.create"));
    assert!(found(&app, Query { text: Some("100%".into()), ..Query::default() }).await.is_empty());
}

#[tokio::test]
async fn pages_come_one_after_the_other_without_gap_or_double() {
    let app = App::new().await;
    for n in 0..12 {
        app.user(&format!("user{n}")).await;
    }
    recorded(&app, 12).await;
    for query in [Query::default(), text("user"), Query { method: Some("POST".into()), ..Query::default() }] {
        let all = found(&app, query.clone()).await;
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = page(&app, &[acme(&app).await], Query { after, ..query.clone() }, 5).await;
            paged.extend(page.rows);
            match page.next {
                // As a client carries it.
                Some(next) => after = Some(next.to_string().parse().unwrap()),
                None => break,
            }
        }
        assert_eq!(paged, all);
        let (mut pages, mut exported) = (Pages::new(vec![acme(&app).await], query), Vec::new());
        while let Some(rows) = pages.next(&app.store).await.unwrap() {
            exported.extend(rows);
        }
        assert_eq!(exported, all);
    }
}

#[tokio::test]
async fn one_tenants_requests_never_show_under_anothers_name() {
    let app = App::new().await;
    let other = http_app::tenant(&app.store, "other").await;
    app.user("ann").await;
    let body = json!({"userName": "ann", "displayName": "Secretly"});
    let their = app.raw(Method::POST, "/scim/other/v2/Users").token(&other).json(&body).send().await.is(201).id();
    // A credential for the wrong tenant: it is the tenant's whose door it was.
    app.raw(Method::GET, "/scim/acme/v2/Users").token(&other).send().await.is(401);
    app.raw(Method::GET, "/scim/no-such/v2/Users").token(&other).send().await.is(401);
    recorded(&app, 4).await;
    assert!(found(&app, text("secretly")).await.is_empty());
    assert!(found(&app, Query { user: Some(vec![their.parse().unwrap()]), ..Query::default() }).await.is_empty());
    let mine = found(&app, Query { side: Some("scim".into()), ..Query::default() }).await;
    assert_eq!(told(&mine), [("POST".to_owned(), 201), ("GET".to_owned(), 401)]);
    assert_eq!(mine[0].actor, "", "nobody was let in");
    let nobody = page(&app, &[NOBODY], Query::default(), 100).await.rows;
    assert_eq!((nobody.len(), nobody[0].tenant), (1, None));
    let other_id = tenant::get(app.store.pool(), "other").await.unwrap().unwrap().id;
    let all = page(&app, &[acme(&app).await, other_id, NOBODY], Query::default(), 100).await.rows;
    assert_eq!(all.iter().filter(|row| row.side == "scim").count(), 4);
    assert!(all.is_sorted_by(|a, b| a.at >= b.at));
}

#[tokio::test]
async fn no_password_reaches_the_record_whether_the_request_succeeds_or_not() {
    let app = App::new().await;
    app.post("/Users", json!({"userName": "ann", "password": "s3cret"})).await.is(201);
    app.post("/Users", json!({"userName": "ann", "password": "s3cret"})).await.is(409);
    app.post("/Users", json!({"password": "s3cret"})).await.is(400);
    app.get("/Users?filter=password+eq+%22s3cret%22").await;
    app.get("/Users?access_token=s3cret").await;
    let schema = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
    for filter in ["password eq \"s3cret\"", "password eq s3cret"] {
        app.post("/Users/.search", json!({"schemas": [schema], "filter": filter})).await;
    }
    recorded(&app, 7).await;
    let everything: Vec<Value> =
        sqlx::query_scalar("SELECT to_jsonb(r) FROM request r UNION ALL SELECT to_jsonb(a) FROM audit a")
            .fetch_all(app.store.pool())
            .await
            .unwrap();
    let text = serde_json::to_string(&everything).unwrap();
    assert!(!text.contains("s3cret") && text.contains("[redacted]") && !text.contains(&app.token), "{text}");
}

#[tokio::test]
async fn the_level_says_how_much_is_on_record() {
    for (level, methods, bodies) in
        [("all", vec!["POST", "GET", "POST"], 1), ("changes", vec!["POST", "POST"], 1), ("off", vec!["POST"], 0)]
    {
        let app = App::make(Make { policy: json!({"record": {"level": level}}), ..Make::default() }, None).await;
        app.user("ann").await;
        app.get("/Users").await.is(200);
        app.post("/Users/.search", json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]})).await;
        app.post("/Users", json!({})).await.is(400);
        // A stranger's is on record whatever the tenant says, and comes after the others.
        app.raw(Method::GET, "/scim/acme/v2/Users").token("jst_wrong").send().await.is(401);
        let methods: Vec<&str> = methods.into_iter().collect();
        let expected = i64::try_from(methods.len()).unwrap() + if level == "all" { 2 } else { 1 };
        recorded(&app, expected).await;
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM audit WHERE action = 'user.create' AND body IS NOT NULL")
                .fetch_one(app.store.pool())
                .await
                .unwrap();
        assert_eq!(count, bodies, "{level}");
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM request").fetch_one(app.store.pool()).await.unwrap();
        assert_eq!(rows, expected, "{level}");
        let made: i64 = sqlx::query_scalar("SELECT count(*) FROM audit WHERE action = 'user.create'")
            .fetch_one(app.store.pool())
            .await
            .unwrap();
        assert_eq!(made, 1, "{level}: that it was made is always on record");
        let by_idp = Query { actor: Some("idp".into()), side: Some("scim".into()), ..Query::default() };
        let listed = found(&app, by_idp).await;
        let create = listed.last().unwrap();
        assert_eq!(create.changes[0].action, "user.create", "{level}: and the list shows it");
        assert!(level != "off" || (create.body.is_none() && create.changes[0].body.is_none()), "{create:?}");
    }
}

#[tokio::test]
async fn what_is_on_its_way_is_written_when_the_process_ends() {
    let app = App::new().await;
    for n in 0..30 {
        app.user(&format!("user{n}")).await;
    }
    app.lifecycle.shutdown();
    app.lifecycle.finish(Duration::from_secs(20)).await;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM request").fetch_one(app.store.pool()).await.unwrap();
    assert_eq!(rows, 30);
}

#[tokio::test]
async fn what_is_cleared_is_gone_and_that_somebody_did_is_not() {
    let app = App::new().await;
    let other = http_app::tenant(&app.store, "other").await;
    app.user("ann").await;
    app.raw(Method::GET, "/scim/other/v2/Users").token(&other).send().await.is(200);
    recorded(&app, 2).await;
    let clear = async |before: DateTime<Utc>| {
        let mut conn = app.store.pool().acquire().await.unwrap();
        audit::clear(&mut conn, acme(&app).await, before, origin()).await.unwrap()
    };
    let kept = clear(Utc::now() - chrono::TimeDelta::hours(1)).await;
    assert_eq!((kept.requests, kept.changes), (0, 0));
    let gone = clear(Utc::now()).await;
    assert_eq!((gone.requests, gone.changes), (1, 3), "the tenant, its token, the user");
    clear(Utc::now()).await;
    let left = found(&app, Query::default()).await;
    let actions: Vec<&str> = left.iter().map(|row| row.changes[0].action.as_str()).collect();
    assert_eq!(actions, ["audit.clear"; 3]);
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM request").fetch_one(app.store.pool()).await.unwrap();
    assert_eq!(rows, 1, "the other tenant's");
}

#[tokio::test]
async fn changes_whose_process_died_before_it_wrote_the_request_down_are_found_again() {
    let app = App::new().await;
    app.user("ann").await;
    recorded(&app, 1).await;
    // As a kill leaves it: the change and its audit, and no request.
    sqlx::query("DELETE FROM request").execute(app.store.pool()).await.unwrap();
    sqlx::query("UPDATE audit SET remote = '192.0.2.1' WHERE action = 'user.create'")
        .execute(app.store.pool())
        .await
        .unwrap();
    let mut conn = app.store.pool().acquire().await.unwrap();
    let since = Utc::now() - chrono::TimeDelta::minutes(10);
    assert_eq!(audit::adopt_lost(&mut conn, since, Utc::now()).await.unwrap(), 1);
    assert_eq!(audit::adopt_lost(&mut conn, since, Utc::now()).await.unwrap(), 0);
    drop(conn);
    let rows = found(&app, text("ann")).await;
    assert_eq!((rows.len(), rows[0].method.as_deref(), rows[0].changes.len()), (1, Some("POST"), 1));
}

#[tokio::test]
async fn the_address_on_record_is_that_of_the_client_behind_a_trusted_proxy_and_of_the_peer_else() {
    let options = HttpOptions { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..http_app::options() };
    let app = App::make(Make { options, policy: json!({"record": {"level": "all"}}), ..Make::default() }, None).await;
    for (peer, status) in [("10.0.0.1:1", 200), ("192.0.2.1:1", 200)] {
        let ask = app.ask(Method::GET, "/Users").from(peer).header("x-forwarded-for", "203.0.113.5, 198.51.100.9");
        ask.send().await.is(status);
    }
    recorded(&app, 2).await;
    let scim = Query { side: Some("scim".into()), ..Query::default() };
    let remotes: Vec<Option<String>> = found(&app, scim).await.into_iter().map(|row| row.remote).collect();
    assert_eq!(remotes, [Some("192.0.2.1".to_owned()), Some("198.51.100.9".to_owned())]);
}
