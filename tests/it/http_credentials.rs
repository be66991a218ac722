//! Credentials other than `Authorization: Bearer`, and whom they stand for.

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use jira_scim::http::HttpOptions;
use jira_scim::login::credential::{self, Wanted};
use jira_scim::secret::Secret;
use jira_scim::store::tenant::{self, Origin};
use jira_scim::store::token::{self, NewCredential, NewToken, Scope};
use serde_json::json;
use uuid::Uuid;

use super::http_app::{App, Ask, BASE, Make, options};

/// A further credential of tenant `acme`.
pub async fn credential(app: &App, label: &str, username: Option<&str>, me: Option<Uuid>) -> String {
    let origin = Origin { actor: "test", request_id: Uuid::now_v7(), at: Utc::now() };
    let acme = tenant::get(app.store.pool(), "acme").await.unwrap().unwrap();
    let secret = NewToken::generate();
    let new = NewCredential { username, me, ..NewCredential::bearer(label, secret.hash(), None) };
    token::create(app.store.pool(), acme.id, Uuid::now_v7(), new, origin).await.unwrap();
    secret.reveal().to_owned()
}

fn authorized<'a>(app: &'a App, method: Method, path: &str, authorization: &str) -> Ask<'a> {
    app.raw(method, &format!("/scim/acme/v2{path}")).header("authorization", authorization)
}

pub fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

#[tokio::test]
async fn a_user_name_opens_only_with_its_password_and_a_token_only_without_a_user_name() {
    let app = App::new().await;
    let password = credential(&app, "agent", Some("agent"), None).await;
    let token = app.token.as_str();
    let table = [
        (basic("agent", &password), 200),
        // Asked again, so that what is remembered is judged too.
        (basic("other", &password), 401),
        (basic("agent", token), 401),
        (basic("", token), 401),
        (format!("Bearer {password}"), 401),
        (password.clone(), 401),
        (token.to_owned(), 200),
        (format!("bearer {token}"), 200),
        (format!("Basic {token}"), 401),
    ];
    for (authorization, status) in table {
        let answer = authorized(&app, Method::GET, "/Users", &authorization).send().await;
        assert_eq!(answer.status, status, "{authorization}");
    }
}

/// A credential of tenant `acme`, made as the commands make it, and what its `Authorization` says.
pub async fn made(app: &App, wanted: Wanted) -> String {
    let origin = Origin { actor: "test", request_id: Uuid::now_v7(), at: Utc::now() };
    let mut conn = app.store.pool().acquire().await.unwrap();
    let acme = tenant::get(&mut *conn, "acme").await.unwrap().unwrap();
    let made = credential::make(&mut conn, acme.id, &wanted, origin).await.unwrap();
    let chosen = wanted.password.as_ref().map(|password| password.expose().to_owned());
    let secret = made.secret.map(|secret| secret.reveal().to_owned()).or(chosen).unwrap();
    match &made.token.username {
        Some(username) => basic(username, &secret),
        None => format!("Bearer {secret}"),
    }
}

#[tokio::test]
async fn a_credential_that_may_only_read_hears_what_it_lacks() {
    let app = App::new().await;
    let ada = app.user("ada").await;
    let reader = made(&app, Wanted { label: "reader".into(), scope: Scope::Read, ..Wanted::default() }).await;
    let ask = |method: Method, path: &str| authorized(&app, method, path, &reader);
    ask(Method::GET, &format!("/Users/{ada}")).send().await.is(200);
    ask(Method::POST, "/Users/.search").json(&json!({})).send().await.is(200);
    for (method, path) in [
        (Method::POST, "/Users".to_owned()),
        (Method::PUT, format!("/Users/{ada}")),
        (Method::PATCH, format!("/Users/{ada}")),
        (Method::DELETE, format!("/Users/{ada}")),
        (Method::POST, "/Groups".to_owned()),
        (Method::POST, "/Bulk".to_owned()),
    ] {
        let answer = ask(method, &path).json(&json!({"userName": "eve"})).send().await.is(403);
        assert_eq!(answer.detail(), "This credential may only read: it lacks the scope write.");
    }
    assert_eq!(app.get("/Users").await.body["totalResults"], 1);
}

#[tokio::test]
async fn a_credential_for_users_only_cannot_touch_a_group_in_a_bulk_either() {
    let app = App::new().await;
    let group = app.group("Crew", &[]).await;
    let users = made(&app, Wanted { label: "users".into(), users_only: true, ..Wanted::default() }).await;
    let ask = |method: Method, path: &str| authorized(&app, method, path, &users);
    ask(Method::POST, "/Users").json(&json!({"userName": "ada"})).send().await.is(201);
    ask(Method::GET, "/ResourceTypes").send().await.is(200);
    for path in ["/Groups".to_owned(), format!("/Groups/{group}"), "/".to_owned()] {
        let answer = ask(Method::GET, &path).send().await.is(403);
        assert_eq!(answer.detail(), "This credential is for users only: it lacks access to groups.");
    }
    let bea = app.user("bea").await;
    app.group("Club", &[&bea]).await;
    assert_eq!(app.get(&format!("/Users/{bea}")).await.is(200).body["groups"][0]["display"], "Club");
    for path in [format!("/Users/{bea}"), format!("/Users/{bea}?attributes=groups")] {
        let seen = ask(Method::GET, &path).send().await.is(200);
        assert!(seen.body.get("groups").is_none(), "nor as an attribute of users: {:?}", seen.body);
    }
    let listed = ask(Method::GET, "/Users?attributes=groups,userName").send().await.is(200);
    assert!(!listed.body.to_string().contains("Club"), "{:?}", listed.body);
    let changed = ask(Method::PATCH, &format!("/Users/{bea}?attributes=groups"));
    let operation = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "add", "path": "title", "value": "Boss"}]});
    assert!(changed.json(&operation).send().await.is(200).body.get("groups").is_none());
    let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [
        {"method": "DELETE", "path": format!("/Groups/{group}")},
        {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"userName": "bob"}},
    ]});
    let answer = ask(Method::POST, "/Bulk").json(&bulk).send().await.is(200);
    let statuses: Vec<_> =
        answer.body["Operations"].as_array().unwrap().iter().map(|op| op["status"].clone()).collect();
    assert_eq!(statuses, ["403", "201"]);
    app.get(&format!("/Groups/{group}")).await.is(200);
}

#[tokio::test]
async fn a_chosen_password_opens_until_it_is_revoked_and_is_stored_as_argon2id() {
    let app = App::new().await;
    let password = Secret::new("correct horse battery");
    let wanted =
        Wanted { label: "agent".into(), username: Some("agent".into()), password: Some(password), ..Wanted::default() };
    let authorization = made(&app, wanted).await;
    let app = &app;
    let ask =
        |authorization: String| async move { authorized(app, Method::GET, "/Users", &authorization).send().await };
    ask(authorization.clone()).await.is(200);
    ask(authorization.clone()).await.is(200);
    ask(basic("agent", "correct horse batterx")).await.is(401);
    ask(basic("nobody", "correct horse battery")).await.is(401);
    ask(basic("agent\0", "correct horse battery")).await.is(401);
    ask("Bearer correct horse battery".to_owned()).await.is(401);
    let stored: (Option<Vec<u8>>, String) = sqlx::query_as("SELECT hash, password FROM token WHERE label = 'agent'")
        .fetch_one(app.store.pool())
        .await
        .unwrap();
    assert!(stored.0.is_none() && stored.1.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{stored:?}");
    let audited: String =
        sqlx::query_scalar("SELECT string_agg(body::text, ' ') FROM audit").fetch_one(app.store.pool()).await.unwrap();
    assert!(!audited.contains("argon2id") && !audited.contains("horse"), "{audited}");

    // What remembers the password for a minute asks the store every two seconds whether it is still good.
    sqlx::query("UPDATE token SET revoked = now() WHERE label = 'agent'").execute(app.store.pool()).await.unwrap();
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while ask(authorization.clone()).await.status == 200 {
        assert!(tokio::time::Instant::now() < until, "a revoked password is still good");
    }
}

#[tokio::test]
async fn a_password_is_guessed_a_few_times_and_then_only_slowly_whether_there_is_such_a_tenant_or_not() {
    let app = App::new().await;
    let password = Some(Secret::new("correct horse battery"));
    let agent = Wanted { label: "agent".into(), username: Some("agent".into()), password, ..Wanted::default() };
    let right = made(&app, agent).await;
    let mut answers = Vec::new();
    for slug in ["acme", "no-such-tenant"] {
        let path = format!("/scim/{slug}/v2/Users");
        let ask = |authorization: &str| app.raw(Method::GET, &path).header("authorization", authorization);
        let mut statuses = Vec::new();
        for _ in 0..12 {
            let answer = ask(&basic("agent", "wrong wrong wrong")).send().await;
            statuses.push((answer.status, answer.detail().to_owned()));
        }
        let answer = ask(&right).send().await.is(429);
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0, "the right one is not even looked at");
        assert_eq!(answer.detail(), "Too many failed logins came from this address.");
        answers.push(statuses);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!((answers[0][9].0, answers[0][11].0), (401, 429));
    // A secret that cannot be guessed passes whatever others do.
    app.get("/Users").await.is(200);
}

#[tokio::test]
async fn a_client_from_elsewhere_is_told_no_more_than_one_with_a_wrong_token() {
    let options = HttpOptions { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..options() };
    let policy = json!({"scim": {"networks": ["198.51.100.0/24", "2001:db8::7"]}});
    let app = App::make(Make { options, policy, ..Make::default() }, None).await;
    for (peer, forwarded, status) in [
        ("198.51.100.7:1", None, 200),
        ("[2001:db8::7]:1", None, 200),
        ("[::ffff:198.51.100.7]:1", None, 200),
        ("192.0.2.1:1", None, 401),
        ("10.0.0.1:1", Some("198.51.100.9"), 200),
        ("10.0.0.1:1", Some("192.0.2.1"), 401),
        ("192.0.2.1:1", Some("198.51.100.9"), 401),
        ("198.51.100.7:1", None, 200),
    ] {
        let mut ask = app.ask(Method::GET, "/Users").from(peer);
        if let Some(forwarded) = forwarded {
            ask = ask.header("x-forwarded-for", forwarded);
        }
        let answer = ask.send().await.is(status);
        if status == 401 {
            let wrong = app.raw(Method::GET, "/scim/acme/v2/Users").token("jst_wrong").from("192.0.2.2:1").send().await;
            assert_eq!(answer.body, wrong.is(401).body);
        }
    }
}

#[tokio::test]
async fn me_is_the_user_whom_the_credential_stands_for() {
    let app = App::new().await;
    let ada = app.user("ada").await;
    let bearer = format!("Bearer {}", credential(&app, "ada's", None, Some(ada.parse().unwrap())).await);
    let me = |method: Method| authorized(&app, method, "/Me", &bearer);

    let answer = me(Method::GET).send().await.is(200);
    assert_eq!((answer.id(), answer.header("location")), (ada.clone(), format!("{BASE}/Users/{ada}").as_str()));
    let patch = json!({"Operations": [{"op": "replace", "path": "displayName", "value": "Ada"}]});
    me(Method::PATCH).json(&patch).send().await.is(200);
    assert_eq!(app.get(&format!("/Users/{ada}")).await.body["displayName"], "Ada");
    me(Method::PUT).json(&json!({"userName": "ada", "title": "Countess"})).send().await.is(200);
    assert_eq!(me(Method::POST).json(&json!({})).send().await.is(405).header("allow"), "GET, HEAD, PUT, PATCH, DELETE");
    me(Method::DELETE).send().await.is(204);
    me(Method::GET).send().await.is(404);
}

#[tokio::test]
async fn a_credential_that_stands_for_nobody_has_no_me() {
    let app = App::new().await;
    let answer = app.get("/Me").await.is(501);
    assert!(answer.detail().contains("stands for no user"), "{}", answer.detail());
}
