//! A daemon with its admin page, a Jira behind it, and a browser in front.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jira_scim::sandbox::{Sandbox, SandboxOptions};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::browser::Browser;
use crate::process::daemon::{Daemon, Home, PATIENCE, eventually};

pub(super) const ADMIN: &str = "jsa_an-admin-token-for-the-tests-of-the-page-0123456789";
pub(super) const VIEWER: &str = "jsa_a-viewer-token-for-the-tests-of-the-page-0123456789";

/// The folder of the files that sources may name.
const SECRETS: &str = "secrets";

/// See the module. What is declared first goes first; the home, which ends whatever is left, goes last.
pub(super) struct World {
    pub(super) browser: Browser,
    pub(super) jira: Sandbox,
    /// Where the page is.
    pub(super) page: String,
    http: Client,
    daemon: Daemon,
    home: Home,
}

impl World {
    pub(super) async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let home = Home::new();
        std::fs::create_dir(home.folder().join(SECRETS)).unwrap();
        home.configure(&configuration(&jira, &home.folder().join(SECRETS)));
        let daemon = Daemon::start(&home).await;
        let page = eventually("the admin page", async || admin_address(&daemon)).await;
        let browser = Browser::start(home.folder()).await;
        let http = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { browser, jira, page: format!("http://{page}"), http, daemon, home }
    }

    pub(super) fn folder(&self) -> &Path {
        self.home.folder()
    }

    /// Where files are that sources may name.
    pub(super) fn secrets(&self) -> PathBuf {
        self.home.folder().join(SECRETS)
    }

    /// One request of an identity provider; it must succeed.
    pub(super) async fn push(&self, tenant: &str, token: &str, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("{}/scim/{tenant}/v2{path}", self.daemon.url());
        let request =
            self.http.request(method, &url).bearer_auth(token).header("content-type", "application/scim+json");
        let response = request.body(body.to_string()).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{url}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// What an OAuth client gets at the tenant's token endpoint.
    pub(super) async fn token_of(&self, tenant: &str, id: &str, secret: &str) -> String {
        let url = format!("{}/scim/{tenant}/oauth/token", self.daemon.url());
        let request = self.http.post(url).basic_auth(id, Some(secret));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let response = request.body("grant_type=client_credentials").send().await.unwrap();
        let answer: Value = response.json().await.unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    /// The status of a request of an identity provider with this header.
    pub(super) async fn status(&self, tenant: &str, authorization: &str) -> u16 {
        let url = format!("{}/scim/{tenant}/v2/Users", self.daemon.url());
        self.http.get(url).header("authorization", authorization).send().await.unwrap().status().as_u16()
    }

    /// Waits until somebody has an account that may log in, or may not.
    pub(super) async fn account(&self, username: &str, active: bool) {
        let like = || self.jira.account(username).is_some_and(|account| account.active == active);
        eventually(&format!("{username} to be active: {active}"), async || like().then_some(())).await;
    }

    /// One request to the admin API, past the page; it must succeed.
    pub(super) async fn api(&self, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("{}/api/v1{path}", self.page);
        let response = self.http.request(method, &url).bearer_auth(ADMIN).json(body).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{url}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// What the admin API answers to a GET.
    pub(super) async fn get(&self, path: &str) -> Value {
        let url = format!("{}/api/v1{path}", self.page);
        self.http.get(url).bearer_auth(ADMIN).send().await.unwrap().json().await.unwrap()
    }

    /// An operation without a body, past the page; it must succeed.
    pub(super) async fn act(&self, path: &str) {
        let url = format!("{}/api/v1{path}", self.page);
        let response = self.http.post(url).bearer_auth(ADMIN).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
    }

    /// What the daemon has logged.
    pub(super) fn log(&self) -> String {
        self.daemon.log().text()
    }

    /// Opens a view of the page.
    pub(super) async fn view(&self, path: &str) {
        self.browser.open(&format!("{}/#/{path}", self.page)).await;
    }

    /// Signs in on the page as it is.
    pub(super) async fn sign_in(&self, token: &str) {
        self.browser.fill("Admin token", token).await;
        self.browser.click("button", "Sign in").await;
        self.browser.until("the session", "return find('button', 'Sign out') !== null && settled();").await;
    }
}

/// A person as an identity provider sends one.
pub(super) fn person(given: &str, family: &str) -> Value {
    let name = format!("{}.{}", given.to_lowercase(), family.to_lowercase());
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": name,
        "externalId": name,
        "name": { "givenName": given, "familyName": family },
        "displayName": format!("{given} {family}"),
        "emails": [{ "value": format!("{name}@corp.example"), "primary": true }],
        "active": true,
    })
}

/// What an identity provider sends for somebody who leaves.
pub(super) fn leaves() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "replace", "value": { "active": false } }],
    })
}

fn admin_address(daemon: &Daemon) -> Option<SocketAddr> {
    daemon.log().lines().iter().find_map(|line| {
        let said: Value = serde_json::from_str(line).ok()?;
        said["message"].as_str()?.starts_with("the admin page").then(|| said["address"].as_str()?.parse().ok())?
    })
}

fn configuration(jira: &Sandbox, secrets: &Path) -> String {
    let (url, token, secrets) = (jira.base_url(), jira.token(), secrets.display());
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
source_files = "{secrets}"
[[admin.token]]
label = "anna"
role = "admin"
value = "{ADMIN}"
[[admin.token]]
label = "victor"
role = "viewer"
value = "{VIEWER}"
[database]
data_dir = "{{data}}"
[writer]
poll = "50ms"
[[target]]
name = "jira"
url = "{url}"
token = "{token}"
token_expires = "2099-01-31"
"#
    )
}
