#![no_main]
//! Whole requests through the real router, on the PostgreSQL of `DATABASE_URL`.

use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::BodyExt;
use jira_scim::config::Config;
use jira_scim::directory::Directory;
use jira_scim::http::{Health, HttpOptions, HttpState, router};
use jira_scim::lifecycle::Lifecycle;
use jira_scim::store::tenant::{self, Mode, NewTenant, Origin};
use jira_scim::store::token::{self, NewCredential, NewToken};
use jira_scim::store::{Store, StoreOptions};
use jira_scim::telemetry::Metrics;
use jira_scim::writer::outcome::Patience;
use jira_scim::writer::{Writer, WriterOptions};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;
use tower::ServiceExt;
use uuid::Uuid;

struct App {
    runtime: Runtime,
    router: Router,
    token: String,
}

static APP: OnceLock<App> = OnceLock::new();

// First line: method and path; further lines up to an empty one: headers; then the body.
fuzz_target!(|bytes: &[u8]| {
    let app = APP.get_or_init(start);
    let Some(request) = request(bytes, &app.token) else { return };
    let shown = format!("{} {}", request.method(), request.uri());
    let (status, body) = app.runtime.block_on(async {
        let response = app.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.map(http_body_util::Collected::to_bytes))
    });
    assert!(status < 500 || status == 501, "{shown}: {status} {body:?}");
});

fn request(bytes: &[u8], token: &str) -> Option<Request<Body>> {
    let mut rest = bytes;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        line
    };
    let (method, path) = std::str::from_utf8(line()).ok()?.split_once(' ')?;
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).ok()?);
    request = request.uri(format!("/scim/fuzz{path}")).header("authorization", format!("Bearer {token}"));
    loop {
        let header = line();
        if header.is_empty() {
            break;
        }
        let colon = header.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&header[..colon]).ok()?;
        request = request.header(name, HeaderValue::from_bytes(&header[colon + 1..]).ok()?);
    }
    request.body(Body::from(rest.to_vec())).ok()
}

fn start() -> App {
    let runtime = Runtime::new().expect("a runtime");
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL of a migrated database that may be thrown away");
    let (router, token) = runtime.block_on(assembled(url));
    App { runtime, router, token }
}

async fn assembled(url: String) -> (Router, String) {
    let store = Store::lazy(&StoreOptions {
        url,
        max_connections: 4,
        acquire_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(5),
    })
    .expect("a store");
    let (lifecycle, metrics) = (Lifecycle::new(), Metrics::new().expect("metrics"));
    let options = WriterOptions {
        settle: Duration::ZERO,
        workers: 1,
        lease: Duration::from_secs(60),
        poll: Duration::from_secs(60),
        patience: Patience { max_backoff: Duration::from_secs(300), give_up_after: Duration::from_secs(86_400) },
        probe_every: Duration::from_secs(300),
        email_fallback: "users.invalid".into(),
    };
    let writer = Writer::new(store.clone(), Vec::new(), options, lifecycle.clone(), metrics.clone());
    let config = Config::defaults();
    let mut http = HttpOptions::new(&config.server, &config.limits);
    http.requests_per_second = 0;
    let directory = Directory::new(store.clone());
    let token = credential(&store).await;
    let state = HttpState::new(http, directory, writer, store, lifecycle, metrics, Health::default());
    (router(state), token)
}

async fn credential(store: &Store) -> String {
    let origin = Origin { actor: "fuzz", request_id: Uuid::now_v7(), at: chrono::Utc::now() };
    let mut connection = store.pool().acquire().await.expect("a connection");
    let made = match tenant::get(&mut *connection, "fuzz").await.expect("a migrated database") {
        Some(tenant) => tenant,
        None => {
            let policy = serde_json::json!({});
            let new = NewTenant { slug: "fuzz".into(), target: "none".into(), mode: Mode::Observe, policy };
            tenant::create(&mut connection, Uuid::now_v7(), &new, origin).await.expect("a tenant")
        }
    };
    let (id, token) = (Uuid::now_v7(), NewToken::generate());
    let label = id.to_string();
    let new = NewCredential::bearer(&label, token.hash(), None);
    token::create(&mut *connection, made.id, id, new, origin).await.expect("a token");
    token.reveal().to_owned()
}
