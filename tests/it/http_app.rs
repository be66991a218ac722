//! A daemon's HTTP side without a socket: the real router over a real database, with a Jira where a test wants one.
//!
//! Every answer is examined for what all answers must be, so that no test has to.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Method, Request, header};
use base64::Engine as _;
use chrono::Utc;
use http_body_util::BodyExt;
use jira_scim::config::{Config, Server};
use jira_scim::directory::Directory;
use jira_scim::http::{Health, HttpOptions, HttpState, router};
use jira_scim::jira::{self, ClientOptions, Credential, Target};
use jira_scim::lifecycle::Lifecycle;
use jira_scim::record::Recorder;
use jira_scim::sandbox::Sandbox;
use jira_scim::store::tenant::{self, Mode, NewTenant, Origin};
use jira_scim::store::token::{self, NewToken};
use jira_scim::store::{Store, StoreOptions};
use jira_scim::telemetry::Metrics;
use jira_scim::writer::outcome::Patience;
use jira_scim::writer::pace::PaceOptions;
use jira_scim::writer::{TargetOptions, Writer, WriterOptions};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use super::postgres::{TestDb, fresh_database};
use super::world;

pub const BASE: &str = "https://scim.example.test/prefix/scim/acme/v2";

pub struct App {
    /// `None` where the database is the test's own.
    _db: Option<TestDb>,
    pub store: Store,
    pub token: String,
    pub lifecycle: Lifecycle,
    /// Its workers do not run: a test says when.
    pub writer: Writer,
    pub metrics: Metrics,
    pub router: Router,
}

/// What an app is made of.
pub struct Make {
    pub options: HttpOptions,
    /// Of tenant `acme`.
    pub policy: Value,
    pub mode: Mode,
    pub settle: Duration,
    /// Of one call to Jira.
    pub timeout: Duration,
    /// How long a request waits for a connection to the database.
    pub acquire_timeout: Duration,
}

impl Default for Make {
    fn default() -> Self {
        Self {
            options: options(),
            policy: json!({}),
            mode: Mode::Enforce,
            settle: Duration::from_secs(20),
            timeout: Duration::from_secs(10),
            acquire_timeout: Duration::from_secs(3),
        }
    }
}

pub fn options() -> HttpOptions {
    let config = Config::defaults();
    let server = Server { public_url: Some("https://scim.example.test/prefix".to_owned()), ..config.server };
    HttpOptions::new(&server, &config.limits)
}

impl App {
    /// Without a Jira: everything is accepted and nothing is written.
    pub async fn new() -> Self {
        Self::with(options(), None).await
    }

    /// With this Jira behind tenant `acme`; the workers do not run, so only settling writes.
    pub async fn with_jira(sandbox: &Sandbox) -> Self {
        Self::with(options(), Some(sandbox)).await
    }

    pub async fn with(options: HttpOptions, sandbox: Option<&Sandbox>) -> Self {
        Self::make(Make { options, settle: Duration::from_secs(3), ..Make::default() }, sandbox).await
    }

    pub async fn make(make: Make, sandbox: Option<&Sandbox>) -> Self {
        let db = fresh_database().await;
        let url = db.url.clone();
        Self { _db: Some(db), ..Self::on(&url, make, sandbox).await }
    }

    /// Before that Jira of any kind, under that policy.
    pub async fn before(jira: Arc<dyn Target>, policy: Value, timeout: Duration) -> Self {
        let db = fresh_database().await;
        let (url, make) = (db.url.clone(), Make { policy, timeout, ..Make::default() });
        Self { _db: Some(db), ..Self::onto(&url, make, Some(named_jira(jira, timeout))).await }
    }

    /// On a database that the test looks after itself; its migrations are done.
    pub async fn on(url: &str, make: Make, sandbox: Option<&Sandbox>) -> Self {
        let target = sandbox.map(|sandbox| target(sandbox, make.timeout));
        Self::onto(url, make, target).await
    }

    async fn onto(url: &str, make: Make, target: Option<TargetOptions>) -> Self {
        let store = Store::lazy(&StoreOptions {
            url: url.to_owned(),
            max_connections: 8,
            acquire_timeout: make.acquire_timeout,
            statement_timeout: Duration::from_secs(5),
        })
        .unwrap();
        let lifecycle = Lifecycle::new();
        let metrics = Metrics::new().unwrap();
        let writer = Writer::new(
            store.clone(),
            target.into_iter().collect(),
            WriterOptions {
                settle: make.settle,
                workers: 4,
                lease: Duration::from_secs(60),
                poll: Duration::from_millis(250),
                patience: Patience {
                    max_backoff: Duration::from_secs(300),
                    give_up_after: Duration::from_secs(86_400),
                },
                probe_every: Duration::from_secs(300),
                email_fallback: "users.invalid".into(),
            },
            lifecycle.clone(),
            metrics.clone(),
        );
        let state = HttpState::new(
            make.options,
            Directory::new(store.clone()),
            writer.clone(),
            store.clone(),
            lifecycle.clone(),
            metrics.clone(),
            Health::default(),
        )
        .recorded_by(Recorder::start(store.clone(), metrics.clone(), &lifecycle));
        let token = tenant_like(&store, "acme", make.mode, make.policy).await;
        Self { _db: None, store, token, lifecycle, writer, metrics, router: router(state) }
    }

    /// Lets that much time pass for everything that waits for a time, and the workers do what is due then.
    pub async fn later(&self, seconds: i64) {
        world::later(self.store.pool(), seconds).await;
        // Reads the target's state, which this process would otherwise believe for as long as it was paused.
        self.writer.health().await.unwrap();
        self.writer.drain().await.unwrap();
    }

    /// How many subjects are open.
    pub async fn open(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(self.store.pool()).await.unwrap()
    }

    /// What the store holds for its clients, without versions and times, and how much it says that this is.
    pub async fn holdings(&self) -> Vec<Value> {
        let rows = "SELECT jsonb_build_object('id', id, 'attrs', attrs, 'active', active) FROM scim_user WHERE deleted_at IS NULL
            UNION ALL SELECT jsonb_build_object('id', g.id, 'attrs', g.attrs, 'jira', g.alias, 'members', ARRAY(
                SELECT m.member_id FROM group_member m WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id ORDER BY 1))
            FROM scim_group g WHERE g.deleted_at IS NULL
            UNION ALL SELECT jsonb_build_object('kind', kind, 'total', sum(n)) FROM (
                SELECT kind, n FROM tally UNION ALL SELECT kind, delta FROM tally_delta) AS counted GROUP BY kind
            ORDER BY 1";
        sqlx::query_scalar(rows).fetch_all(self.store.pool()).await.unwrap()
    }

    /// Waits until a query says so: for what goes on after an answer. Put a time-out around a test that may wait for ever.
    pub async fn until(&self, sql: &'static str) {
        while !sqlx::query_scalar::<_, bool>(sql).fetch_one(self.store.pool()).await.unwrap() {}
    }

    /// A request to a path of tenant `acme`, with its token.
    pub fn ask(&self, method: Method, path: &str) -> Ask<'_> {
        self.raw(method, &format!("/scim/acme/v2{path}")).token(&self.token)
    }

    /// A request to any path, without a token.
    pub fn raw(&self, method: Method, path: &str) -> Ask<'_> {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        Ask { router: &self.router, request }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path).send().await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path).json(&body).send().await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PUT, path).json(&body).send().await
    }

    pub async fn patch(&self, path: &str, operations: Value) -> Answer {
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
        self.ask(Method::PATCH, path).json(&body).send().await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path).send().await
    }

    /// A new user's id.
    pub async fn user(&self, name: &str) -> String {
        self.post("/Users", json!({"userName": name})).await.is(201).id()
    }

    /// A new group's id.
    pub async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
        self.post("/Groups", json!({"displayName": name, "members": members})).await.is(201).id()
    }

    /// The ids of a group's members, sorted.
    pub async fn members(&self, group: &str) -> Vec<String> {
        let answer = self.get(&format!("/Groups/{group}")).await.is(200);
        let members = answer.body["members"].as_array().cloned().unwrap_or_default();
        let mut ids: Vec<String> = members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    }
}

fn target(sandbox: &Sandbox, timeout: Duration) -> TargetOptions {
    let credential = Credential::Bearer(sandbox.token().to_owned());
    let mut options = ClientOptions::new(sandbox.base_url().parse().unwrap(), credential);
    options.expected_user = Some(sandbox.admin().to_owned());
    options.timeout = timeout;
    named_jira(jira::target(jira::Options::DataCenter(jira::DataCenterOptions::new(options))).unwrap(), timeout)
}

fn named_jira(target: Arc<dyn Target>, timeout: Duration) -> TargetOptions {
    TargetOptions {
        name: "jira".into(),
        target,
        pace: PaceOptions { concurrency: 4, per_second: 0.0 },
        timeout,
        late: Duration::from_secs(60),
        expiries: Vec::new(),
    }
}

/// Makes a tenant on target `jira`, and a token for it.
pub async fn tenant(store: &Store, slug: &str) -> String {
    tenant_like(store, slug, Mode::Enforce, json!({})).await
}

async fn tenant_like(store: &Store, slug: &str, mode: Mode, policy: Value) -> String {
    let origin = Origin { actor: "test", request_id: Uuid::now_v7(), at: Utc::now() };
    let new = NewTenant { slug: slug.into(), target: "jira".into(), mode, policy };
    let mut connection = store.pool().acquire().await.unwrap();
    let made = tenant::create(&mut connection, Uuid::now_v7(), &new, origin).await.unwrap();
    token_of(&mut connection, made.id, "idp", origin).await
}

/// Makes a password of tenant `acme` for this user name; what HTTP Basic sends.
pub async fn basic(store: &Store, username: &str) -> String {
    let origin = Origin { actor: "test", request_id: Uuid::now_v7(), at: Utc::now() };
    let acme = tenant::get(store.pool(), "acme").await.unwrap().unwrap();
    let password = NewToken::generate();
    let bearer = token::NewCredential::bearer(username, password.hash(), None);
    let wanted = token::NewCredential { username: Some(username), ..bearer };
    token::create(store.pool(), acme.id, Uuid::now_v7(), wanted, origin).await.unwrap();
    base64::engine::general_purpose::STANDARD.encode(format!("{username}:{}", password.reveal()))
}

/// One more token of that tenant, which nothing remembers yet.
pub async fn another_token(store: &Store, slug: &str) -> String {
    let origin = Origin { actor: "test", request_id: Uuid::now_v7(), at: Utc::now() };
    let mut connection = store.pool().acquire().await.unwrap();
    let id = tenant::get(&mut *connection, slug).await.unwrap().unwrap().id;
    token_of(&mut connection, id, &Uuid::now_v7().to_string(), origin).await
}

async fn token_of(connection: &mut sqlx::PgConnection, tenant_id: Uuid, label: &str, origin: Origin<'_>) -> String {
    let token = NewToken::generate();
    let credential = token::NewCredential::bearer(label, token.hash(), None);
    token::create(&mut *connection, tenant_id, Uuid::now_v7(), credential, origin).await.unwrap();
    token.reveal().to_owned()
}

/// Tells tenant `acme` to write, as the command would.
pub async fn enforce(store: &Store) {
    let origin = Origin { actor: "test", request_id: Uuid::now_v7(), at: Utc::now() };
    let change = tenant::TenantChange { mode: Some(Mode::Enforce), ..tenant::TenantChange::default() };
    let mut connection = store.pool().acquire().await.unwrap();
    tenant::update(&mut connection, "acme", &change, origin).await.unwrap();
}

pub struct Ask<'a> {
    router: &'a Router,
    request: Request<Body>,
}

impl Ask<'_> {
    pub fn header(self, name: &'static str, value: &str) -> Self {
        self.named_header(HeaderName::from_static(name), value)
    }

    pub fn named_header(mut self, name: HeaderName, value: &str) -> Self {
        self.request.headers_mut().append(name, value.parse().unwrap());
        self
    }

    /// Over a connection from there.
    pub fn from(mut self, peer: &str) -> Self {
        let peer = jira_scim::listen::Peer { address: peer.parse().unwrap(), tls: false };
        self.request.extensions_mut().insert(peer);
        self
    }

    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/scim+json").body(body.to_string())
    }

    /// The headers of an answer whose body is not looked at.
    pub async fn headers(self) -> HeaderMap {
        self.router.clone().oneshot(self.request).await.unwrap().headers().clone()
    }

    pub async fn send(self) -> Answer {
        let path = self.request.uri().path();
        // The token endpoint speaks OAuth.
        let scim = path.starts_with("/scim/") && !path.ends_with("/oauth/token");
        let old = path.split('/').nth(3) == Some("v1");
        let head = self.request.method() == Method::HEAD;
        let response = self.router.clone().oneshot(self.request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let answer = Answer { status, headers, body };
        answer.examine(scim && !head, old, bytes.len());
        answer
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// What is true of every answer.
    fn examine(&self, scim: bool, old: bool, length: usize) {
        assert!(self.headers.contains_key("x-request-id"), "{self:?}");
        if !scim {
            return;
        }
        if matches!(self.status, 204 | 304) || (old && self.status == 200 && length == 0) {
            assert_eq!(length, 0, "{self:?}");
            return;
        }
        if old {
            return self.examine_1_1();
        }
        assert_eq!(self.header(header::CONTENT_TYPE), "application/scim+json; charset=utf-8", "{self:?}");
        if self.status >= 400 {
            assert_eq!(self.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{self:?}");
            assert_eq!(self.body["status"], self.status.to_string(), "{self:?}");
            assert!(!self.detail().is_empty(), "{self:?}");
        } else {
            assert!(self.body["schemas"].is_array(), "{self:?}");
        }
    }

    /// What is true of every answer of SCIM 1.1.
    fn examine_1_1(&self) {
        assert_eq!(self.header(header::CONTENT_TYPE), "application/json; charset=utf-8", "{self:?}");
        assert_eq!(self.body["schemas"][0], "urn:scim:schemas:core:1.0", "{self:?}");
        assert!(!self.body.to_string().contains("urn:ietf:params:scim"), "{self:?}");
        if self.status >= 400 {
            let told = json!([{"description": self.detail(), "code": self.status.to_string()}]);
            assert_eq!((&self.body["Errors"], self.detail().is_empty()), (&told, false), "{self:?}");
        }
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    #[track_caller]
    pub fn refuses(self, status: u16, scim_type: &str) -> Self {
        assert_eq!((self.status, self.body["scimType"].as_str()), (status, Some(scim_type)), "{self:?}");
        self
    }

    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }

    pub fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}
