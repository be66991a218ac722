//! What administrators do, on record, and what becomes of their sessions at other replicas.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use jira_scim::config::TlsFiles;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};

use super::office::{Office, new_tenant, read};

/// The rows of a list as soon as there is one like that.
async fn rows_with(office: &Office, path: &str, like: impl Fn(&Value) -> bool) -> Vec<Value> {
    let looked = async {
        loop {
            let rows = office.get(path).await.is(200).items().to_vec();
            if rows.iter().any(&like) {
                return rows;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looked).await.unwrap()
}

fn actions(row: &Value) -> Vec<&str> {
    // Those of one transaction have one time.
    let changes = row["changes"].as_array().unwrap();
    let mut actions: Vec<&str> = changes.iter().map(|change| change["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    actions
}

#[tokio::test]
async fn making_and_deleting_a_tenant_is_on_record_with_what_it_changed_also_when_the_tenant_is_no_more() {
    let office = Office::new().await;
    let mut wanted = new_tenant("okta");
    wanted["token"] = json!({ "label": "okta" });
    office.post("/tenants", wanted).await.is(201);
    let made = |row: &Value| row["method"] == "POST" && actions(row) == ["tenant.create", "token.create"];
    rows_with(&office, "/tenants/okta/audit?method=POST", made).await;
    rows_with(&office, "/audit?method=POST", made).await;
    office.act("DELETE", "/tenants/okta?confirm=okta").await.is(200);
    let gone = |row: &Value| row["method"] == "DELETE" && actions(row) == ["tenant.delete"];
    let rows = rows_with(&office, "/audit?method=DELETE", gone).await;
    assert_eq!((rows[0]["actor"].as_str(), rows.len()), (Some("admin:anna"), 1));
    let rows = rows_with(&office, "/audit?tenant=okta", gone).await;
    assert!(rows.iter().any(made), "{rows:?}");
    office.get("/audit?tenant=nobody").await.refused(404, "no-such-tenant");
}

#[tokio::test]
async fn who_signs_in_is_on_record_by_name() {
    let office = Office::new().await;
    let sign_in = |token: &str| read(office.http.post(office.url("/api/v1/session")).json(&json!({ "token": token })));
    sign_in("jsa_wrong").await.is(401);
    sign_in(&office.viewer).await.is(201);
    let path = "/audit?method=POST&side=admin";
    let rows = rows_with(&office, path, |row| row["actor"] == "admin:vera").await;
    assert_eq!((rows[0]["status"].as_i64(), rows[1]["actor"].as_str()), (Some(201), Some("")));
    let text = serde_json::to_string(&rows).unwrap();
    assert!(!text.contains("jsa_"), "{text}");
}

#[tokio::test]
async fn what_a_page_reads_again_and_again_is_on_record_once_and_by_the_tenants_level() {
    let office = Office::new().await;
    for _ in 0..5 {
        office.get("/tenants/acme").await.is(200);
    }
    office.get("/tenants/acme/users").await.is(200);
    office.get("/tenants/acme/overrides/x").await;
    let path = "/tenants/acme/audit?side=admin&method=GET";
    let rows = rows_with(&office, path, |row| row["path"] == "/api/v1/tenants/acme/users").await;
    let overviews = rows.iter().filter(|row| row["path"] == "/api/v1/tenants/acme").count();
    assert_eq!(overviews, 1, "{rows:?}");
    let off = json!({ "policy": { "record": { "level": "off" } } });
    office.ask(&office.admin, "PUT", "/tenants/acme/policy", Some(off)).await.is(200);
    office.get("/tenants/acme/groups").await.is(200);
    office.post("/tenants/acme/policy/validate", json!({ "text": "{}" })).await.is(200);
    let rows = rows_with(&office, "/tenants/acme/audit?side=admin", |row| {
        row["path"].as_str().is_some_and(|path| path.ends_with("/validate"))
    })
    .await;
    let validate = rows.iter().find(|row| row["path"].as_str().unwrap().ends_with("/validate")).unwrap();
    assert!(validate.get("body").is_none(), "{validate}");
    assert!(rows.iter().all(|row| row["path"] != "/api/v1/tenants/acme/groups"), "{rows:?}");
}

#[tokio::test]
async fn the_audit_is_not_cleared_of_what_is_still_to_come() {
    let office = Office::new().await;
    let body = json!({ "confirm": "acme", "before": Utc::now() + TimeDelta::hours(1) });
    let refused = office.post("/tenants/acme/audit/clear", body).await.refused(422, "invalid-value");
    assert_eq!(refused.body["error"]["field"], "before");
}

#[tokio::test]
async fn who_signs_out_is_signed_out_at_every_replica_within_seconds() {
    let office = Office::new().await;
    let other = office.another(office.config.clone()).await;
    let signed_in = office.http.post(office.url("/api/v1/session")).json(&json!({ "token": office.admin }));
    let signed_in = read(signed_in).await.is(201);
    let cookie = signed_in.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let there = || read(office.http.get(format!("http://{other}/api/v1/session")).header(COOKIE, &cookie));
    there().await.is(200);
    let out = office.http.delete(office.url("/api/v1/session")).header(COOKIE, &cookie);
    read(out.header("x-csrf-token", signed_in.body["csrf"].as_str().unwrap())).await.is(204);
    read(office.http.get(office.url("/api/v1/session")).header(COOKIE, &cookie)).await.refused(401, "unauthenticated");
    let ended = async { while there().await.status != 401 {} };
    tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap();
}

#[tokio::test]
async fn the_admin_side_speaks_tls_where_it_has_a_certificate_and_its_cookie_is_for_tls_alone() {
    let office = Office::new().await;
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
    std::fs::write(&files.certificate, own.cert.pem()).unwrap();
    std::fs::write(&files.key, own.signing_key.serialize_pem()).unwrap();
    let mut config = office.config.clone();
    config.admin.tls = Some(files);
    let port = office.another(config).await.port();
    let root = reqwest::Certificate::from_pem(own.cert.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let url = format!("https://localhost:{port}");
    let answer = read(http.post(format!("{url}/api/v1/session")).json(&json!({ "token": office.admin }))).await.is(201);
    assert!(answer.headers[SET_COOKIE].to_str().unwrap().ends_with("; Secure"), "{:?}", answer.headers);
    read(http.get(format!("{url}/"))).await.is(200);
    assert!(http.get(format!("http://localhost:{port}/")).send().await.is_err(), "not without it");
}

#[tokio::test]
async fn an_export_has_every_row_however_many_there_are() {
    let office = Office::new().await;
    office.get("/tenants/acme").await.is(200);
    rows_with(&office, "/tenants/acme/audit", |row| row["path"] == "/api/v1/tenants/acme").await;
    sqlx::query(
        "INSERT INTO request SELECT tenant_id, at - n * interval '1 second', gen_random_uuid(), gen_random_uuid(), given, side,
            'many', remote, method, path, status, duration_us, changed, body, error, array_to_tsvector(ARRAY['a:many'])
        FROM request, generate_series(1, 12345) n WHERE path = '/api/v1/tenants/acme'",
    )
    .execute(office.world.pool())
    .await
    .unwrap();
    let csv = office.get("/tenants/acme/audit/export?format=csv&actor=many").await.is(200);
    assert_eq!(csv.text.lines().count(), 1 + 12_345);
    let json = office.get("/tenants/acme/audit/export?format=json&actor=many").await.is(200);
    let ids: std::collections::HashSet<&str> =
        json.body.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 12_345, "each once");
}

#[tokio::test]
async fn a_plan_is_exported_whole_and_its_pages_end_with_the_groups_that_nobody_is_in() {
    let office = Office::new().await;
    for n in 0..620 {
        office.world.user(&format!("user{n}")).await;
    }
    for name in ["Empty", "Void"] {
        office.world.group(name, &[]).await;
    }
    let csv = office.get("/tenants/acme/plan/export?format=csv").await.is(200);
    let kinds = |kind: &str| csv.text.lines().filter(|line| line.starts_with(&format!("{kind},"))).count();
    assert_eq!((kinds("create"), kinds("group")), (620, 2));
    let (mut lines, mut path) = (Vec::new(), "/tenants/acme/plan?limit=500".to_owned());
    loop {
        let page = office.get(&path).await.is(200);
        lines.extend(page.items().iter().map(|line| line["kind"].as_str().unwrap().to_owned()));
        match page.body["next"].as_str() {
            Some(next) => path = format!("/tenants/acme/plan?limit=500&cursor={next}"),
            None => break,
        }
    }
    let of = |kind: &str| lines.iter().filter(|line| *line == kind).count();
    assert_eq!((of("create"), of("group"), lines.last().map(String::as_str)), (620, 2, Some("group")));
}
