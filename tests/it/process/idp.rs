//! An identity provider that talks to a daemon over a real socket, and keeps asking while the daemon is away.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::daemon::PATIENCE;

/// The token of every tenant here; at least 32 characters.
pub(crate) const TOKEN: &str = "a-token-for-tests-of-the-process-0123456789";

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}")).to_owned()
    }

    pub(crate) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Idp {
    http: Client,
    daemon: watch::Receiver<String>,
}

impl Idp {
    /// For the daemon whose address the channel tells; it changes with each start.
    pub(crate) fn new(daemon: watch::Receiver<String>) -> Self {
        // Another test may have installed it already; either way there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { http, daemon }
    }

    /// For a daemon that stays where it is.
    pub(crate) fn of(url: &str) -> Self {
        Self::new(watch::channel(url.to_owned()).1)
    }

    /// One request to the tenant; `None` where no answer came.
    pub(crate) async fn ask(&self, method: &Method, path: &str, body: Option<&Value>) -> Option<Answer> {
        self.raw(method, &format!("/scim/acme/v2{path}"), TOKEN, body).await
    }

    /// One request to any path, with any token.
    pub(crate) async fn raw(&self, method: &Method, path: &str, token: &str, body: Option<&Value>) -> Option<Answer> {
        let url = format!("{}{path}", *self.daemon.borrow());
        let mut request = self.http.request(method.clone(), url).bearer_auth(token);
        if let Some(body) = body {
            request = request.header("content-type", "application/scim+json").body(body.to_string());
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let text = response.text().await.ok()?;
        Some(Answer { status, retry_after, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    /// Asks until somebody answers something else than 503; says whether an earlier try had no certain outcome.
    pub(crate) async fn insist(&self, method: &Method, path: &str, body: Option<&Value>) -> (Answer, bool) {
        let until = tokio::time::Instant::now() + PATIENCE;
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let mut doubt = false;
        loop {
            ticks.tick().await;
            match self.ask(method, path, body).await {
                Some(answer) if answer.status != 503 => return (answer, doubt),
                _ => doubt = true,
            }
            assert!(tokio::time::Instant::now() < until, "{method} {path} is never answered");
        }
    }

    /// [`Idp::insist`], and it must succeed.
    pub(crate) async fn must(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let (answer, _) = self.insist(&method, path, body.as_ref()).await;
        assert!(answer.succeeded(), "{method} {path}: {answer:?}");
        answer
    }

    /// The id of the one resource that the filter finds.
    pub(crate) async fn find(&self, endpoint: &str, attribute: &str, value: &str) -> Option<String> {
        let path = format!("/{endpoint}?filter={attribute}%20eq%20%22{value}%22");
        let answer = self.must(Method::GET, &path, None).await;
        let found = answer.body["Resources"].as_array().cloned().unwrap_or_default();
        assert!(found.len() < 2, "{value} is there twice: {answer:?}");
        found.first().map(|resource| resource["id"].as_str().unwrap().to_owned())
    }

    /// A new user's id.
    pub(crate) async fn user(&self, name: &str) -> String {
        self.must(Method::POST, "/Users", Some(user(name, name))).await.id()
    }

    /// A new group's id.
    pub(crate) async fn group(&self, name: &str, members: &[String]) -> String {
        self.must(Method::POST, "/Groups", Some(group(name, members))).await.id()
    }
}

/// A user's document.
pub(crate) fn user(user_name: &str, external_id: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": user_name,
        "externalId": external_id,
        "displayName": format!("Person {external_id}"),
        "emails": [{ "value": format!("{external_id}@corp.example"), "primary": true }],
        "active": true,
    })
}

/// A group's document.
pub(crate) fn group(name: &str, members: &[String]) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": name,
        "members": members,
    })
}

/// A PATCH with one operation.
pub(crate) fn patch(operation: Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation] })
}

/// A PATCH that sets one attribute.
pub(crate) fn set(path: &str, value: impl Into<Value>) -> Value {
    patch(json!({ "op": "replace", "path": path, "value": value.into() }))
}
