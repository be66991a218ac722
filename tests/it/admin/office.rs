//! A daemon's admin side on a socket, with a sandbox Jira behind it, and a client that holds each answer to the document.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jira_scim::admin::{self, AdminOptions, AdminState, DOCUMENT};
use jira_scim::config::{Config, TargetConfig, TargetCredential, TargetKind};
use jira_scim::directory::Precondition;
use jira_scim::listen::{self, ListenOptions};
use jira_scim::record::Recorder;
use jira_scim::secret::Secret;
use jira_scim::store::admin_token::{self, NewAdmin, NewAdminToken, Role};
use jira_scim::sync::Sync;
use jira_scim::sync::run::Configured;
use jira_scim::telemetry::Metrics;
use jsonschema::Validator;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::world::{Make, World, origin};

/// Everything that a test of the admin side needs.
pub(crate) struct Office {
    pub(crate) world: World,
    pub(crate) config: Config,
    pub(crate) address: SocketAddr,
    pub(crate) viewer: String,
    pub(crate) operator: String,
    pub(crate) admin: String,
    pub(crate) http: reqwest::Client,
    /// The folder of the files that sources may name.
    pub(crate) files: tempfile::TempDir,
}

/// An answer, held to the document already.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// That it is refused with this status and code.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer.body["error"]["code"], code, "{}", answer.text);
        answer
    }

    pub(crate) fn items(&self) -> &[Value] {
        self.body["items"].as_array().unwrap()
    }
}

pub(crate) async fn give(store: &jira_scim::store::Store, role: Role, label: &str) -> String {
    let new = NewAdminToken::generate();
    let wanted = NewAdmin { label, role, hash: &new.hash(), expires: None };
    admin_token::create(store.pool(), wanted, false, origin()).await.unwrap();
    new.reveal().to_owned()
}

async fn serve(world: &World, config: Config, sources: Vec<Configured>) -> SocketAddr {
    let options = AdminOptions::new(&config, "https://scim.example.test");
    let listen = ListenOptions::for_admin(&config, admin::timed_out).unwrap();
    let (store, writer, life) = (world.store.clone(), world.writer.clone(), world.life.clone());
    let metrics = Metrics::new().unwrap();
    let recorder = Recorder::start(store.clone(), metrics.clone(), &life);
    let (lease, reads) = (config.writer.lease, Some(writer.clone()));
    let sync = Sync::new(store.clone(), sources, lease, life.clone(), metrics.clone(), reads);
    let sync = Arc::new(sync.with_files(config.admin.source_files.clone()));
    life.spawn("sources", Arc::clone(&sync).follow_all());
    let state = AdminState::new(options, Arc::new(config), store, writer, life.clone(), metrics);
    let state = state.recorded_by(recorder).reading_by(sync);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    life.spawn("admin", listen::serve(listener, admin::router(state), listen, life.clone()));
    address
}

impl Office {
    pub(crate) async fn new() -> Self {
        Self::over(Make::default()).await
    }

    pub(crate) async fn over(make: Make) -> Self {
        Self::fed(make, Config::defaults(), Vec::new()).await
    }

    /// With these sources in its configuration.
    pub(crate) async fn fed(make: Make, mut config: Config, sources: Vec<Configured>) -> Self {
        let world = World::make(make).await;
        let credential = TargetCredential::Token(Secret::new(world.jira.token()));
        config.targets = vec![TargetConfig::new("jira", TargetKind::DataCenter, world.jira.base_url(), credential)];
        config.admin.body = 64 << 10;
        config.admin.session_key = Some(Secret::new("k".repeat(32)));
        let files = tempfile::tempdir().unwrap();
        config.admin.source_files = Some(files.path().to_owned());
        let address = serve(&world, config.clone(), sources).await;
        let [viewer, operator, admin] = [
            give(&world.store, Role::Viewer, "vera").await,
            give(&world.store, Role::Operator, "otto").await,
            give(&world.store, Role::Admin, "anna").await,
        ];
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        Self { world, config, address, viewer, operator, admin, http, files }
    }

    /// The admin side of another replica.
    pub(crate) async fn another(&self, config: Config) -> SocketAddr {
        serve(&self.world, config, Vec::new()).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request to the API as somebody; its answer fits the document.
    pub(crate) async fn ask(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let request =
            self.http.request(method.parse().unwrap(), self.url(&format!("/api/v1{path}"))).bearer_auth(token);
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        let answer = read(request).await;
        held_to_the_document(method, path, &answer);
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(&self.admin, "GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(&self.admin, "POST", path, Some(body)).await
    }

    /// An operation without a body.
    pub(crate) async fn act(&self, method: &str, path: &str) -> Answer {
        self.ask(&self.admin, method, path, None).await
    }

    /// The result of a job, however long it takes.
    pub(crate) async fn result(&self, job: Answer) -> Value {
        let mut job = job.body;
        while job["state"] == "running" {
            let id = job["id"].as_str().unwrap().to_owned();
            job = self.get(&format!("/jobs/{id}")).await.is(200).body;
        }
        assert_eq!(job["state"], "done", "{job}");
        job["result"].clone()
    }

    /// A client deletes a user.
    pub(crate) async fn gone(&self, id: Uuid) {
        let caller = self.world.caller_in_a_hurry();
        self.world.directory.delete_user(&caller, &id.to_string(), &Precondition::None).await.unwrap();
    }

    /// The actions on record of an actor.
    pub(crate) async fn on_record(&self, actor: &str) -> Vec<String> {
        sqlx::query_scalar("SELECT action FROM audit WHERE actor = $1 ORDER BY at, action")
            .bind(actor)
            .fetch_all(self.world.pool())
            .await
            .unwrap()
    }
}

pub(crate) async fn read(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_default();
    Answer { status, headers, body, text }
}

/// The document, read once.
pub(crate) fn document() -> &'static Value {
    static READ: OnceLock<Value> = OnceLock::new();
    READ.get_or_init(|| serde_json::from_str(DOCUMENT).unwrap())
}

/// The template that a path fits, the one with the fewest parameters first.
pub(crate) fn template_of(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let wanted: Vec<&str> = template.split('/').collect();
        wanted.len() == parts.len() && wanted.iter().zip(&parts).all(|(w, p)| w.starts_with('{') || w == p)
    };
    let all = document()["paths"].as_object().unwrap().keys().filter(fits);
    all.min_by_key(|template| template.matches('{').count()).map(String::as_str)
}

/// Follows a reference within the document.
pub(crate) fn followed(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => followed(document().pointer(reference.trim_start_matches('#')).unwrap()),
        None => value,
    }
}

/// The validator of a schema, with the components that it refers to.
pub(crate) fn validator(schema: &Value) -> Validator {
    let mut whole = schema.clone();
    if let Value::Object(members) = &mut whole {
        members.insert("components".to_owned(), document()["components"].clone());
    }
    jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(&whole).unwrap()
}

/// That the status is documented, and the body as described.
#[track_caller]
pub(crate) fn held_to_the_document(method: &str, path: &str, answer: &Answer) {
    let Some(template) = template_of(path) else {
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
        return;
    };
    let operation = &document()["paths"][template][method.to_lowercase()];
    if operation.is_null() {
        assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text);
        return;
    }
    let response = &operation["responses"][answer.status.to_string()];
    assert!(!response.is_null(), "{method} {template}: {} is not documented: {}", answer.status, answer.text);
    let schema = &followed(response)["content"]["application/json"]["schema"];
    if schema.is_null() {
        assert!(answer.text.is_empty() || answer.status == 200, "{method} {template}: {}", answer.text);
        return;
    }
    if answer.headers["content-type"] != "application/json" {
        return;
    }
    let errors: Vec<String> =
        validator(schema).iter_errors(&answer.body).map(|e| format!("{}: {e}", e.instance_path)).collect();
    assert!(errors.is_empty(), "{method} {template} {}: {errors:?}: {}", answer.status, answer.text);
}

/// A body that somebody may send to make a tenant.
pub(crate) fn new_tenant(slug: &str) -> Value {
    json!({ "slug": slug, "target": "jira" })
}
