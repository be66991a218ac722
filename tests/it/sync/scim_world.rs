//! A company whose directory is another SCIM server: our own door over a real socket, or one that misbehaves.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use jira_scim::config::{Schedule, ScimConfig, ScimLogin, ServerConfig, SourceConfig, Vanished, VanishedGroups};
use jira_scim::secret::Secret;
use jira_scim::store::run::{self, Kind, Run, State};
use jira_scim::sync::counters::counters_of;
use jira_scim::sync::run::{Asked, Configured};
use jira_scim::sync::{Counters, Line, Sync};
use jira_scim::telemetry::Metrics;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::http_app::App;
use crate::world::{World, origin};

/// A store with a Jira, fed by a SCIM server.
pub struct Fed {
    pub world: World,
    pub config: SourceConfig,
}

impl Fed {
    pub async fn by(scim: ScimConfig) -> Self {
        Self { world: World::new().await, config: source("corp", scim) }
    }

    pub fn scim(&mut self) -> &mut ScimConfig {
        match &mut self.config.server {
            ServerConfig::Scim(scim) => scim,
            ServerConfig::Ldap(_) => panic!("this is no SCIM server"),
        }
    }

    pub async fn work(&self, kind: Kind, asked: &Asked) -> (Run, Vec<Line>) {
        let (store, life) = (self.world.store.clone(), self.world.life.clone());
        let configured = Configured::new(&self.config).unwrap();
        let lease = std::time::Duration::from_secs(60);
        let sync = Sync::new(store, vec![configured.clone()], lease, life, Metrics::new().unwrap(), None);
        let tenant = self.world.tenant.id;
        let id = sync.ask(tenant, kind, asked, origin()).await.unwrap().unwrap();
        sync.claim(&configured).await.unwrap();
        let mut lines = Vec::new();
        sync.work(&configured, tenant, id, &mut |line| lines.push(line)).await.unwrap().unwrap();
        let mut conn = self.world.pool().acquire().await.unwrap();
        (run::get(&mut conn, tenant, id).await.unwrap().unwrap(), lines)
    }

    /// A read, brought in and written to Jira.
    pub async fn synced(&self, asked: &Asked) -> Counters {
        let (run, _) = self.work(Kind::Sync, asked).await;
        assert_eq!((run.state, run.error.as_deref()), (State::Done, None), "{:?}", run.counters);
        self.world.writer.drain().await.unwrap();
        counters_of(&run)
    }

    pub async fn all(&self) -> Counters {
        self.synced(&Asked { full: true, ..Asked::default() }).await
    }

    /// Why a read failed; then it changed nobody.
    pub async fn failed(&self) -> String {
        let before = self.people().await;
        let (run, _) = self.work(Kind::Sync, &Asked { full: true, ..Asked::default() }).await;
        assert_eq!(run.state, State::Failed, "{run:?}");
        assert_eq!(self.people().await, before, "a read that was not complete changes nobody");
        run.error.unwrap()
    }

    /// Who is there, by userName.
    pub async fn people(&self) -> Vec<Value> {
        let rows = "SELECT attrs || jsonb_build_object('id', id, 'active', active) FROM scim_user WHERE deleted_at IS NULL ORDER BY user_name_key";
        sqlx::query_scalar(rows).fetch_all(self.world.pool()).await.unwrap()
    }

    pub async fn names(&self) -> Vec<String> {
        self.people().await.iter().map(|person| person["userName"].as_str().unwrap().to_owned()).collect()
    }

    pub fn active(&self, username: &str) -> bool {
        self.world.jira.account(username).is_some_and(|account| account.active)
    }
}

fn source(name: &str, scim: ScimConfig) -> SourceConfig {
    SourceConfig {
        name: name.into(),
        tenant: "acme".into(),
        take_over: false,
        users: true,
        groups: true,
        scope_groups: Vec::new(),
        vanished: Vanished::Deactivate,
        vanished_groups: VanishedGroups::Delete,
        fall_percent: 10,
        fall_min: 5,
        full_every: 24,
        schedule: Schedule::ByHand,
        at_start: false,
        server: ServerConfig::Scim(scim),
    }
}

/// Our own daemon's door, as an identity provider that is read.
pub struct Idp {
    pub app: App,
    address: String,
}

impl Idp {
    pub async fn new() -> Self {
        let app = App::new().await;
        let address = served(app.router.clone()).await;
        Self { app, address }
    }

    /// How it is read, in small pages.
    pub fn config(&self, version: &str) -> ScimConfig {
        let login = ScimLogin::Token(Secret::new(self.app.token.clone()));
        ScimConfig { login: Some(login), page_size: 3, ..ScimConfig::new(&self.url(version)) }
    }

    pub fn url(&self, version: &str) -> String {
        format!("{}/scim/acme/{version}", self.address)
    }

    /// So many people, and a crew of the first three of them.
    pub async fn peopled(count: usize) -> (Self, Vec<String>) {
        let idp = Self::new().await;
        let mut ids = Vec::new();
        for n in 0..count {
            let body = json!({
                "userName": format!("p{n:02}"), "displayName": format!("Person {n}"), "active": true,
                "name": { "givenName": "Person", "familyName": format!("{n}") },
                "emails": [{ "value": format!("p{n:02}@corp.example"), "type": "work", "primary": true }],
            });
            ids.push(idp.app.post("/Users", body).await.is(201).id());
        }
        let first: Vec<&str> = ids.iter().take(3).map(String::as_str).collect();
        idp.app.group("crew", &first).await;
        (idp, ids)
    }
}

async fn served(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A server that answers as a test says, and remembers what it was asked.
pub struct Odd {
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Odd {
    /// `answer` hears path and query, and how many of the same path there were before.
    pub async fn new(
        answer: impl Fn(&str, &Request, usize) -> Response + Clone + Send + std::marker::Sync + 'static,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::<String>::new()));
        let log = Arc::clone(&asked);
        let router = Router::new().fallback(move |request: Request| -> Answering {
            let (log, answer) = (Arc::clone(&log), answer.clone());
            Box::pin(async move {
                let path = request.uri().path().to_owned();
                let whole = request.uri().path_and_query().unwrap().to_string();
                let before = {
                    let mut log = log.lock().unwrap();
                    let before = log.iter().filter(|line| line.split('?').next() == Some(&path)).count();
                    log.push(whole);
                    before
                };
                answer(&path, &request, before)
            })
        });
        Self { url: served(router).await, asked }
    }

    /// One that says what it is, and lists what it is told to.
    pub async fn listing(
        answer: impl Fn(&Request, usize) -> Response + Clone + Send + std::marker::Sync + 'static,
    ) -> Self {
        Self::new(move |path, request, before| match path {
            "/ServiceProviderConfig" => json_response(&json!({ "filter": { "supported": true } })),
            "/Groups" => json_response(&page(&[], 0, 1)),
            _ => answer(request, before),
        })
        .await
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub fn config(&self) -> ScimConfig {
        ScimConfig { page_size: 3, ..ScimConfig::new(&self.url) }
    }
}

pub fn json_response(value: &Value) -> Response {
    Response::builder().header("content-type", "application/scim+json").body(Body::from(value.to_string())).unwrap()
}

pub fn status(status: u16) -> Response {
    Response::builder().status(status).body(Body::empty()).unwrap()
}

/// A part of a list of people.
pub fn page(names: &[&str], total: usize, start: usize) -> Value {
    let resources: Vec<Value> =
        names.iter().map(|name| json!({ "id": format!("id-{name}"), "userName": name, "active": true })).collect();
    json!({ "totalResults": total, "startIndex": start, "itemsPerPage": names.len(), "Resources": resources })
}

/// The part of a list that a request asks for, from a server that does as it is told.
pub fn asked_for(request: &Request, names: &[&str]) -> Value {
    let number = |name: &str, default: usize| {
        let query = request.uri().query().unwrap_or_default();
        let value = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        value.map_or(default, |(_, value)| value.parse().unwrap())
    };
    let (start, count) = (number("startIndex", 1), number("count", 100));
    let some: Vec<&str> = names.iter().skip(start - 1).take(count).copied().collect();
    page(&some, names.len(), start)
}
