//! SCIM 1.1 through the real router: how the wire differs from 2.0, and the sessions of the clients that speak it.

mod patch;
mod stories;
mod wire;

use axum::http::Method;
use jira_scim::sandbox::Sandbox;
use serde_json::Value;

use crate::http_app::{Answer, App, Ask};
use crate::http_credentials::{basic, credential};

pub const BASE: &str = "https://scim.example.test/prefix/scim/acme/v1";
pub const CORE: &str = "urn:scim:schemas:core:1.0";
pub const ENTERPRISE: &str = "urn:scim:schemas:extension:enterprise:1.0";

/// A client of tenant `acme` that speaks 1.1.
pub struct Client<'a> {
    app: &'a App,
    authorization: String,
}

impl<'a> Client<'a> {
    pub fn new(app: &'a App) -> Self {
        Self { app, authorization: format!("Bearer {}", app.token) }
    }

    /// With a user name and a generated password, as most clients of 1.1 want it.
    pub async fn with_password(app: &'a App, username: &str) -> Self {
        let password = credential(app, username, Some(username), None).await;
        Self { app, authorization: basic(username, &password) }
    }

    pub fn ask(&self, method: Method, path: &str) -> Ask<'a> {
        self.app.raw(method, &format!("/scim/acme/v1{path}")).header("authorization", &self.authorization)
    }

    async fn write(&self, method: Method, path: &str, body: &Value) -> Answer {
        let ask = self.ask(method, path).header("content-type", "application/json;charset=utf-8");
        ask.body(body.to_string()).send().await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path).send().await
    }

    pub async fn find(&self, collection: &str, filter: &str) -> Answer {
        let escaped: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        self.get(&format!("{collection}?filter={escaped}&startIndex=1&count=100")).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.write(Method::POST, path, &body).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.write(Method::PUT, path, &body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.write(Method::PATCH, path, &body).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path).send().await
    }
}

/// The writes that Jira has seen since the last look.
pub struct Watch<'a> {
    jira: &'a Sandbox,
    seen: usize,
}

impl<'a> Watch<'a> {
    pub fn new(jira: &'a Sandbox) -> Self {
        Self { jira, seen: 0 }
    }

    pub fn writes(&mut self) -> Vec<String> {
        let journal = self.jira.journal();
        let new = journal.iter().skip(self.seen).filter(|entry| entry.method != "GET");
        let writes = new.map(|entry| entry.operation()).collect();
        self.seen = journal.len();
        writes
    }
}
