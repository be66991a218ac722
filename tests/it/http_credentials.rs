//! Credentials other than `Authorization: Bearer`, and whom they stand for.

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use jira_scim::store::tenant::{self, Origin};
use jira_scim::store::token::{self, NewCredential, NewToken};
use serde_json::json;
use uuid::Uuid;

use super::http_app::{App, Ask, BASE};

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
