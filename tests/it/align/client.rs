//! A plain HTTP client for the Jira Align sandbox: it shows answers as they came.

use jira_scim::sandbox::{AlignOptions, AlignRules, AlignSandbox, AlignUser};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::sandbox_client::{Answer, send};

/// A sandbox and somebody who calls it.
pub(crate) struct Desk {
    pub(crate) jira: AlignSandbox,
    http: Client,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::with(AlignOptions::default()).await
    }

    pub(crate) async fn ruled(rules: AlignRules) -> Self {
        Self::with(AlignOptions { rules, ..AlignOptions::default() }).await
    }

    pub(crate) async fn with(options: AlignOptions) -> Self {
        // Another test may have installed it already; either way there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().build().unwrap();
        Self { jira: AlignSandbox::start(options).await.unwrap(), http }
    }

    /// A request without credentials to a path below the root of the site.
    pub(crate) fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse::<Method>().unwrap(), format!("{}{path}", self.jira.base_url()))
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.bare(method, &format!("/rest/align/api/2{path}")).bearer_auth(self.jira.token())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, body: &Value) -> Answer {
        send(self.request("POST", "/Users").json(body)).await
    }

    pub(crate) async fn patch(&self, id: u64, operations: Value) -> Answer {
        send(self.request("PATCH", &format!("/Users/{id}")).json(&operations)).await
    }

    /// `replace` of one member.
    pub(crate) async fn set(&self, id: u64, name: &str, value: Value) -> Answer {
        self.patch(id, json!([{"op": "replace", "path": format!("/{name}"), "value": value}])).await
    }

    pub(crate) fn add(&self, user: AlignUser) -> u64 {
        self.jira.change(|world| world.add(user))
    }

    pub(crate) fn user(&self, id: u64) -> AlignUser {
        self.jira.look(|world| world.user(id).cloned()).unwrap()
    }

    /// The ids of a list.
    pub(crate) async fn ids(&self, query: &str) -> Vec<u64> {
        let answer = self.get(&format!("/Users{query}")).await;
        let rows = answer.json();
        rows.as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
    }
}

/// The body of a POST that has everything.
pub(crate) fn mara() -> Value {
    json!({"externalId": "mlund", "firstName": "Mara", "lastName": "Lund", "title": "Engineer",
           "email": "mara.lund@example.test", "regionId": 17, "cityId": 32, "roleId": 95, "costCenterId": 1,
           "divisionId": 65, "isExternal": 0})
}
