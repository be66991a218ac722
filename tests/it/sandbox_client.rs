//! A plain HTTP client for the sandbox's own tests: it shows answers as they came and knows nothing of Jira.

use std::time::Duration;

use jira_scim::sandbox::{Sandbox, SandboxOptions};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The form fields that the error collection names (DC-14).
    pub(crate) fn fields(&self) -> Vec<String> {
        self.json()["errors"].as_object().unwrap().keys().cloned().collect()
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        serde_json::from_value(self.json()["errorMessages"].clone()).unwrap()
    }
}

/// A sandbox and somebody who calls it.
pub(crate) struct Bench {
    pub(crate) jira: Sandbox,
    http: Client,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(SandboxOptions::default()).await
    }

    pub(crate) async fn version(version: &str) -> Self {
        Self::with(SandboxOptions { version: version.parse().unwrap(), ..SandboxOptions::default() }).await
    }

    pub(crate) async fn with(options: SandboxOptions) -> Self {
        // Another test may have installed it already; either way there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self { jira: Sandbox::start(options).await.unwrap(), http }
    }

    /// A request without credentials to a path below `/rest/api/2`.
    pub(crate) fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse::<Method>().unwrap(), format!("{}/rest/api/2{path}", self.jira.base_url()))
    }

    /// A request without credentials to a path below the context.
    pub(crate) fn root(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse::<Method>().unwrap(), format!("{}{path}", self.jira.base_url()))
    }

    /// A request without credentials to the Crowd-compatible API.
    pub(crate) fn crowd(&self, method: &str, path: &str) -> RequestBuilder {
        self.root(method, &format!("/rest/usermanagement/1{path}"))
    }

    /// The administrator's request.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(self.jira.token())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.request("DELETE", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request("POST", path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        send(self.request("PUT", path).json(&body)).await
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

/// Fails the test where something never comes; nothing depends on how long it takes.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("this should have come by now")
}
