//! The record has everything: requests for tokens, rows that cannot be read, changes without their request, what a list leaves out,
//! and tenants that are no more.

use axum::http::Method;
use chrono::{DateTime, Utc};
use jira_scim::record::export::{Export, Form};
use jira_scim::store::audit::{self, NOBODY, Pages, Query};
use jira_scim::store::{tenant, token};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::{acme, found, recorded, text};
use crate::http_app::App;
use crate::http_credentials::{basic, made};
use crate::world::origin;

async fn sql(app: &App, sql: &'static str) {
    sqlx::query(sql).execute(app.store.pool()).await.unwrap();
}

#[tokio::test]
async fn a_request_for_a_token_is_on_record_with_its_client_and_without_its_secret() {
    let app = App::new().await;
    let wanted = jira_scim::login::credential::Wanted {
        label: "oauth".into(),
        client: true,
        username: Some("client".into()),
        ..Default::default()
    };
    let good = made(&app, wanted).await;
    let ask = async |authorization: &str, body: &'static str| {
        let ask = app.raw(Method::POST, "/scim/acme/oauth/token").header("authorization", authorization);
        ask.header("content-type", "application/x-www-form-urlencoded").body(body).send().await
    };
    ask(&good, "grant_type=client_credentials&scope=read").await.is(200);
    ask(&good, "grant_type=password&password=s3cret").await.is(400);
    ask(&basic("client", "s3cret"), "grant_type=client_credentials").await.is(401);
    app.raw(Method::POST, "/scim/acme/oauth/token?client_secret=s3cret").send().await.is(400);
    recorded(&app, 4).await;
    let rows = found(&app, Query { method: Some("POST".into()), ..Query::default() }).await;
    let told: Vec<(&str, i16)> = rows.iter().rev().map(|row| (row.actor.as_str(), row.status.unwrap())).collect();
    assert_eq!(told, [("oauth", 200), ("oauth", 400), ("", 401), ("", 400)]);
    assert!(rows.iter().all(|row| row.path.as_deref().unwrap().starts_with("/scim/acme/oauth/token")), "{rows:?}");
    assert_eq!(rows[3].body, Some(json!({"grant_type": "client_credentials", "scope": "read"})));
    assert!(rows[2].error.as_deref().unwrap().contains("grant_type"), "{rows:?}");
    let everything = serde_json::to_string(&rows).unwrap();
    assert!(!everything.contains("s3cret") && !everything.contains(&good[6..]), "{everything}");
}

#[tokio::test]
async fn a_number_that_cannot_be_read_back_is_refused_and_one_that_was_stored_hides_no_other_row() {
    let app = App::new().await;
    let refused = app.raw(Method::POST, "/scim/acme/v2/Users").token(&app.token);
    let refused =
        refused.header("content-type", "application/json").body(r#"{"userName":"ann","x":1.7e308}"#).send().await;
    assert_eq!(refused.refuses(400, "invalidValue").detail().split(':').next(), Some("x"));
    app.user("bo").await;
    recorded(&app, 2).await;
    sql(&app, "UPDATE request SET body = '{\"a\": 1.7e308}'").await;
    sql(&app, "UPDATE audit SET body = '{\"a\": -1.7e308}'").await;
    let rows = found(&app, Query::default()).await;
    assert!(rows.len() >= 2, "{rows:?}");
    assert!(rows.iter().filter_map(|row| row.body.as_ref()).all(Value::is_object));
}

#[tokio::test]
async fn a_change_of_an_administrator_whose_process_was_killed_before_it_wrote_the_request_down_is_in_the_list() {
    let app = App::new().await;
    let acme = acme(&app).await;
    let mut conn = app.store.pool().acquire().await.unwrap();
    let by_anna = tenant::Origin { actor: "admin:anna", request_id: Uuid::now_v7(), at: Utc::now() };
    let id: Uuid = token::list(app.store.pool(), acme).await.unwrap()[0].id;
    token::revoke(&mut *conn, acme, &id.to_string(), by_anna).await.unwrap();
    let row = async |query: Query| found(&app, query).await.into_iter().find(|row| row.actor == "admin:anna");
    let shown = row(Query::default()).await.unwrap();
    assert_eq!((shown.side.as_str(), shown.changes[0].action.as_str()), ("admin", "token.revoke"));
    assert!(shown.error.unwrap().contains("not on record"));
    let of = |side: &str| Query { side: Some(side.into()), ..Query::default() };
    assert!(row(of("admin")).await.is_some() && row(of("inside")).await.is_none() && row(of("scim")).await.is_none());
}

#[tokio::test]
async fn what_the_last_process_left_behind_is_looked_for_from_its_last_record_on() {
    let app = App::new().await;
    app.user("ann").await;
    recorded(&app, 1).await;
    sql(&app, "UPDATE request SET at = at - interval '3 days'").await;
    let mut conn = app.store.pool().acquire().await.unwrap();
    let last = audit::last_record(&mut conn, Utc::now()).await.unwrap().unwrap();
    assert!((Utc::now() - last).num_hours() >= 71, "{last}");
    assert_eq!(audit::last_record(&mut conn, DateTime::UNIX_EPOCH).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_list_leaves_out_of_a_row_is_counted_there_and_is_in_an_export() {
    let app = App::new().await;
    app.user("ann").await;
    recorded(&app, 1).await;
    sql(&app, "INSERT INTO delivery (tenant_id, at, id, kind, subject_id, request_id, steps)
        SELECT r.tenant_id, r.at + n * interval '1 millisecond', gen_random_uuid(), 'user', gen_random_uuid(), r.request_id, '[]'
        FROM request r, generate_series(1, 2345) n").await;
    let rows = found(&app, text("ann")).await;
    assert_eq!((rows[0].deliveries.len(), rows[0].more_deliveries, rows[0].more_changes), (20, 2325, 0));
    let (mut pages, mut export) = (Pages::new(vec![acme(&app).await], text("ann")), Export::new(Form::Json));
    let mut written = Vec::new();
    while let Some(rows) = pages.next(&app.store).await.unwrap() {
        written.extend(export.rows(&rows));
    }
    written.extend(export.end());
    let all: Value = serde_json::from_slice(&written).unwrap();
    let mut ids: Vec<&str> =
        all[0]["deliveries"].as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), all[0].get("more_deliveries")), (2345, None));
}

#[tokio::test]
async fn what_a_deleted_tenant_did_is_found_until_its_days_are_dropped() {
    let app = App::new().await;
    app.user("ann").await;
    recorded(&app, 1).await;
    let acme = acme(&app).await;
    let mut conn = app.store.pool().acquire().await.unwrap();
    assert_eq!(audit::tenants_named(&mut conn, "acme").await.unwrap(), [acme]);
    tenant::delete(&mut conn, "acme", false, origin()).await.unwrap();
    assert_eq!(audit::everybody(&mut conn).await.unwrap(), [acme, NOBODY]);
    assert_eq!(audit::tenants_named(&mut conn, "acme").await.unwrap(), [acme]);
    assert_eq!(audit::tenants_named(&mut conn, &acme.to_string()).await.unwrap(), [acme]);
    assert!(audit::tenants_named(&mut conn, "other").await.unwrap().is_empty());
    let rows = audit::search(&mut conn, &[acme], &Query::default(), 100).await.unwrap().rows;
    let mut actions: Vec<&str> =
        rows.iter().flat_map(|row| &row.changes).map(|change| change.action.as_str()).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["tenant.create", "tenant.delete", "token.create", "user.create"]);
}

#[tokio::test]
async fn a_change_shows_what_was_done_to_jira_for_a_later_request() {
    let app = App::new().await;
    let ann = app.user("ann").await;
    app.patch(&format!("/Users/{ann}"), json!([{"op": "replace", "path": "title", "value": "Boss"}])).await.is(200);
    recorded(&app, 2).await;
    sql(&app, "INSERT INTO delivery (tenant_id, at, id, kind, subject_id, request_id, steps, outcome)
        SELECT a.tenant_id, a.at + interval '1 minute', gen_random_uuid(), 'user', a.subject_id, a.request_id, '[]', 'applied'
        FROM audit a WHERE action = 'user.patch'").await;
    sql(
        &app,
        "INSERT INTO delivery (tenant_id, at, id, kind, subject_id, request_id, steps, outcome)
        SELECT a.tenant_id, a.at, gen_random_uuid(), 'user', a.subject_id, a.request_id, '[]', 'paused'
        FROM audit a WHERE action = 'user.create'",
    )
    .await;
    let rows = found(&app, Query { user: Some(vec![ann.parse().unwrap()]), ..Query::default() }).await;
    let of = |n: usize| rows[n].deliveries.iter().map(|d| d.outcome.as_deref().unwrap()).collect::<Vec<_>>();
    assert_eq!((of(0), of(1)), (vec!["applied"], vec!["paused", "applied"]));
    assert_eq!(rows[1].deliveries[1].request_id, Some(rows[0].request_id), "and says whose it is");
}

#[tokio::test]
async fn a_name_that_only_old_requests_have_is_found_however_long_ago_they_were() {
    let app = App::new().await;
    app.user("ann").await;
    recorded(&app, 1).await;
    sql(&app, "INSERT INTO request SELECT tenant_id, at - n * interval '3 days', gen_random_uuid(), request_id, given, side, actor,
        remote, method, path, status, duration_us, changed, body, error, words FROM request, generate_series(1, 60) n").await;
    let all = found(&app, text("ann")).await;
    assert_eq!(all.len(), 61);
    assert!(all.is_sorted_by(|a, b| a.at > b.at));
    let since = Utc::now() - chrono::TimeDelta::days(10);
    assert_eq!(found(&app, Query { since: Some(since), ..text("ann") }).await.len(), 4);
    assert_eq!(found(&app, Query { until: Some(since), ..text("ann") }).await.len(), 57);
}

#[tokio::test]
async fn changes_that_came_by_no_request_are_found_by_their_words_among_thousands() {
    let app = App::new().await;
    sql(&app, "INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
        SELECT t.id, now() - n * interval '1 minute', gen_random_uuid(), gen_random_uuid(), 'sync:corp', 'user.create', 'user',
            gen_random_uuid(), jsonb_build_object('userName', 'user' || n || '@x.example', 'name', 'ÖTZI Zwölfer-' || n), 201
        FROM tenant t, generate_series(1, 25000) n").await;
    for (words, rows) in [("user24999@x.example", 1), ("ötzi zwölfer 20123", 1), ("Zwölfer 24998", 1), ("nobody24", 0)]
    {
        let found = found(&app, text(words)).await;
        assert_eq!(found.len(), rows, "{words}");
        assert!(found.iter().all(|row| row.side == "inside" && row.actor == "sync:corp"), "{found:?}");
    }
    assert_eq!(found(&app, text("corp")).await.len(), 100, "the newest");
    // None of the newest thousands.
    let old = Query { until: Some(Utc::now() - chrono::TimeDelta::minutes(22_000)), ..text("24") };
    assert_eq!(found(&app, old).await.len(), 100);
}
