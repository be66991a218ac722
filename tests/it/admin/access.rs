//! Who gets in, and what each may do.

use chrono::Utc;
use jira_scim::admin::described;
use jira_scim::store::admin_token::Role;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use uuid::Uuid;

use super::office::{Answer, Office, document, give, read};

/// A path with something in place of each parameter.
fn filled(template: &str) -> String {
    template.replace("{slug}", "acme").replace("{name}", "jira").replace("{id}", &Uuid::from_u128(1).to_string())
}

/// The example of an operation's body.
fn body_of(template: &str, method: &str) -> Option<Value> {
    let operation = &document()["paths"][template][method.to_lowercase()];
    let body = &operation["requestBody"]["content"]["application/json"]["example"];
    (!operation["requestBody"].is_null()).then(|| body.clone())
}

/// Everything that a change could touch.
async fn everything(office: &Office) -> Vec<String> {
    let tables = [
        "SELECT to_jsonb(t) - 'compared_at' FROM tenant t ORDER BY id",
        "SELECT to_jsonb(t) - 'last_used' FROM token t ORDER BY id",
        "SELECT to_jsonb(t) - 'last_used' FROM admin_token t ORDER BY id",
        "SELECT to_jsonb(t) FROM outbox t ORDER BY subject_id",
        "SELECT to_jsonb(t) FROM run t ORDER BY id",
        "SELECT to_jsonb(t) FROM override t ORDER BY id",
        "SELECT to_jsonb(t) FROM link t ORDER BY user_id",
        "SELECT to_jsonb(t) FROM scim_user t ORDER BY id",
        "SELECT to_jsonb(t) FROM brake t ORDER BY tenant_id",
        "SELECT to_jsonb(t) FROM scim_group t ORDER BY id",
        "SELECT to_jsonb(t) FROM group_member t ORDER BY group_id, member_id",
        "SELECT to_jsonb(t) FROM jira_group t ORDER BY 1",
        "SELECT to_jsonb(t) FROM jira_membership t ORDER BY 1",
        "SELECT to_jsonb(t) FROM claim t ORDER BY 1",
        "SELECT to_jsonb(t) FROM drift t ORDER BY 1",
        "SELECT to_jsonb(t) FROM unmatched_account t ORDER BY 1",
        "SELECT to_jsonb(t) - 'last_used' FROM jwt_issuer t ORDER BY id",
        "SELECT to_jsonb(t) FROM signing_key t ORDER BY 1",
        "SELECT to_jsonb(t) FROM target_state t ORDER BY name",
        "SELECT to_jsonb(t) FROM brake_grant t ORDER BY 1",
        "SELECT to_jsonb(t) FROM alert t ORDER BY id",
        "SELECT to_jsonb(t) FROM alert_state t ORDER BY 1",
        "SELECT to_jsonb(t) FROM audit t ORDER BY at, id",
    ];
    let mut all = Vec::new();
    for table in tables {
        let rows: Vec<Value> = sqlx::query_scalar(table).fetch_all(office.world.pool()).await.unwrap();
        all.extend(rows.iter().map(Value::to_string));
    }
    all
}

#[tokio::test]
async fn without_a_token_nobody_gets_in_anywhere() {
    let office = Office::new().await;
    for one in described().iter().filter(|one| !one.is_open) {
        let url = office.url(&format!("/api/v1{}", filled(one.path)));
        let bare = office.http.request(one.method.parse().unwrap(), &url);
        let answer = read(bare).await;
        assert_eq!((answer.status, &answer.body["error"]["code"]), (401, &json!("unauthenticated")), "{one:?}");
        let wrong = office.http.request(one.method.parse().unwrap(), &url).bearer_auth("jsa_wrong");
        let answer = read(wrong).await;
        assert!(matches!(answer.status, 401 | 429), "{one:?}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_viewer_changes_nothing_and_an_operator_configures_nothing() {
    let office = Office::new().await;
    let ann = office.world.user("ann").await;
    office.world.group("crew", &[ann]).await;
    office.world.writer.drain().await.unwrap();
    office.world.user("bob").await;
    let issuer = json!({ "label": "corp", "issuer": "https://idp.example", "audience": "a",
        "jwks_url": "https://idp.example/keys" });
    office.post("/tenants/acme/issuers", issuer).await.is(201);
    let before = everything(&office).await;
    for one in described().iter().filter(|one| !one.is_open) {
        let path = filled(one.path);
        for (role, token) in [("viewer", &office.viewer), ("operator", &office.operator)] {
            let allowed = one.role == "viewer" || (one.role == "operator" && role == "operator");
            if allowed {
                continue;
            }
            let answer = office.ask(token, one.method, &path, body_of(one.path, one.method)).await;
            answer.refused(403, "role-too-low");
        }
        // What a viewer may do changes nothing either, signing out aside.
        if one.role == "viewer" && one.path != "/session" {
            let answer = office.ask(&office.viewer, one.method, &path, body_of(one.path, one.method)).await;
            assert_ne!(answer.status, 403, "{one:?}: {}", answer.text);
        }
    }
    assert_eq!(everything(&office).await, before);
}

async fn signed_in(office: &Office, token: &str) -> (String, Value) {
    let answer = read(office.http.post(office.url("/api/v1/session")).json(&json!({ "token": token }))).await.is(201);
    let cookie = answer.headers[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Path=/"), "{cookie}");
    (cookie.split(';').next().unwrap().to_owned(), answer.body)
}

#[tokio::test]
async fn a_session_needs_its_second_word_for_changes_and_ends_when_one_signs_out() {
    let office = Office::new().await;
    let (cookie, session) = signed_in(&office, &office.admin).await;
    assert_eq!((&session["role"], &session["label"]), (&json!("admin"), &json!("anna")));
    let with = |method: &str, path: &str, csrf: Option<&str>| {
        let request = office.http.request(method.parse().unwrap(), office.url(path)).header(COOKIE, &cookie);
        csrf.map_or_else(
            || request.try_clone().unwrap(),
            |csrf| request.try_clone().unwrap().header("x-csrf-token", csrf),
        )
    };
    let again = read(with("GET", "/api/v1/session", None)).await.is(200);
    assert_eq!(again.body["csrf"], session["csrf"], "a page that is loaded anew finds it again");
    let csrf = session["csrf"].as_str().unwrap();
    let import = "/api/v1/tenants/acme/import";
    read(with("POST", import, None)).await.refused(403, "csrf");
    let (_, other) = signed_in(&office, &office.admin).await;
    read(with("POST", import, other["csrf"].as_str())).await.refused(403, "csrf");
    read(with("POST", import, Some(csrf))).await.is(202);
    let out = read(with("DELETE", "/api/v1/session", Some(csrf))).await.is(204);
    assert!(out.headers[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    read(with("GET", "/api/v1/session", None)).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_revoked_token_lets_nobody_in_within_seconds_not_even_its_sessions() {
    let office = Office::new().await;
    let token = give(&office.world.store, Role::Viewer, "guest").await;
    let (cookie, _) = signed_in(&office, &token).await;
    let tokens = office.get("/admin-tokens").await.is(200);
    let id = tokens.items().iter().find(|one| one["label"] == "guest").unwrap()["id"].as_str().unwrap().to_owned();
    office.act("DELETE", &format!("/admin-tokens/{id}")).await.is(200);
    let deadline = Utc::now() + chrono::TimeDelta::seconds(30);
    loop {
        let session = read(office.http.get(office.url("/api/v1/session")).header(COOKIE, &cookie)).await;
        let bearer = read(office.http.get(office.url("/api/v1/session")).bearer_auth(&token)).await;
        if (session.status, bearer.status) == (401, 401) {
            break;
        }
        assert!(Utc::now() < deadline, "still let in: {session:?} {bearer:?}");
        tokio::task::yield_now().await;
    }
    office.act("DELETE", &format!("/admin-tokens/{id}")).await.refused(404, "no-such-token");
}

#[tokio::test]
async fn whoever_guesses_is_told_to_wait_and_whoever_has_a_token_is_not() {
    let office = Office::new().await;
    let guess = || read(office.http.post(office.url("/api/v1/session")).json(&json!({ "token": "jsa_guess" })));
    let mut answers: Vec<Answer> = Vec::new();
    while answers.last().is_none_or(|answer| answer.status == 401) && answers.len() < 1000 {
        answers.push(guess().await);
    }
    let last = answers.pop().unwrap().refused(429, "too-many-attempts");
    assert!(last.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert!(answers.len() > 1 && answers.iter().all(|answer| answer.body["error"]["code"] == "wrong-token"));
    office.get("/session").await.is(200);
}

#[tokio::test]
async fn every_answer_tells_browsers_to_trust_nothing_else() {
    let office = Office::new().await;
    for path in ["/", "/api/openapi.json", "/nothing", "/api/v1/overview", "/api/v1/nothing", "/app.js"] {
        let answer = read(office.http.get(office.url(path))).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer", "{path}");
        assert!(answer.headers.contains_key("x-request-id"), "{path}");
        if path.starts_with("/api/v1") {
            assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        }
    }
}

#[tokio::test]
async fn bodies_are_json_within_bounds() {
    let office = Office::new().await;
    let send = |media: &'static str, body: String| {
        let request = office.http.post(office.url("/api/v1/tenants")).bearer_auth(&office.admin);
        read(request.header("content-type", media).body(body))
    };
    send("text/plain", "{}".into()).await.refused(415, "not-json");
    send("application/json", "{".into()).await.refused(400, "invalid-json");
    send("application/json", String::new()).await.refused(400, "invalid-json");
    send("application/json", "{\"slug\":\"a\\u0000b\"}".into()).await.refused(400, "invalid-json");
    send("application/json", "{\"policy\":1.7976931348623157e308}".into()).await.refused(400, "invalid-json");
    send("application/json", format!("\"{}\"", "x".repeat(100 << 10))).await.refused(413, "too-large");
    let unknown =
        send("application/json; charset=utf-8", json!({ "slug": "a", "target": "jira", "x": 1 }).to_string()).await;
    assert_eq!(unknown.refused(422, "invalid-value").body["error"]["field"], "x");
    office.get("/tenants?limit=0").await.refused(400, "invalid-parameter");
    office.get("/tenants?what=1").await.refused(400, "invalid-parameter");
    office.get("/tenants?cursor=%21").await.refused(400, "invalid-parameter");
}
