//! Layer 4: the admin API and the admin page, on a listener of their own.
//!
//! Every request takes one way: `entry` gives it an id, lets its bearer in (`door`), finds the operation and whether the
//! bearer's role may use it (`operations`), reads the body, and hands on to one file a subject (`api`). What is done is done by
//! functions below that the command line uses, too: nothing here decides about identities or speaks to a Jira.
//!
//! `openapi.json` is the interface; tests hold the operations, their roles and their answers to it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use ipnet::IpNet;

use crate::config::Config;
use crate::lifecycle::Lifecycle;
use crate::record::Recorder;
use crate::store::Store;
use crate::sync::Sync;
use crate::telemetry::Metrics;
use crate::writer::Writer;

use self::door::Door;
use self::jobs::Jobs;
use self::recording::Reads;
use self::refusal::Refusal;
use self::session::Sessions;

mod answer;
mod api;
mod call;
mod door;
mod entry;
mod jobs;
mod operations;
mod recording;
mod refusal;
mod session;
mod ui;

pub use operations::{Described, described};
pub use ui::DOCUMENT;

/// What the configuration says about this layer.
#[derive(Clone, Debug)]
pub struct AdminOptions {
    /// Whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The largest body in bytes.
    pub body: usize,
    /// The longest wait for a body; shorter than what the listener gives the whole request.
    pub body_timeout: Duration,
    /// What the URLs of tenants begin with, without a slash at the end.
    pub base_url: String,
}

impl AdminOptions {
    /// As configured, with the address that SCIM is served at.
    pub fn new(config: &Config, base_url: &str) -> Self {
        Self {
            trusted_proxies: config.server.trusted_proxies.clone(),
            body: config.admin.body,
            body_timeout: config.admin.request_timeout.mul_f64(0.8),
            base_url: base_url.trim_end_matches('/').to_owned(),
        }
    }
}

/// What every request may use.
pub struct AdminState {
    store: Store,
    writer: Writer,
    life: Lifecycle,
    metrics: Metrics,
    config: Arc<Config>,
    options: AdminOptions,
    door: Door,
    jobs: Jobs,
    recorder: Option<Recorder>,
    reads: Reads,
    sync: Option<Arc<Sync>>,
}

impl AdminState {
    /// Puts the parts together. Changes run as tasks of `life`.
    pub fn new(
        options: AdminOptions,
        config: Arc<Config>,
        store: Store,
        writer: Writer,
        life: Lifecycle,
        metrics: Metrics,
    ) -> Self {
        let sessions = Sessions::new(config.admin.session_key.as_ref(), config.admin.session);
        Self {
            store,
            writer,
            life,
            metrics,
            config,
            options,
            door: Door::new(sessions),
            jobs: Jobs::default(),
            recorder: None,
            reads: Reads::default(),
            sync: None,
        }
    }
}

impl AdminState {
    /// Every request is put on record there.
    #[must_use]
    pub fn recorded_by(self, recorder: Recorder) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// Sources are read by this.
    #[must_use]
    pub fn reading_by(self, sync: Arc<Sync>) -> Self {
        Self { sync: Some(sync), ..self }
    }
}

/// The answer to a request that the listener cut off: what it began may go on.
pub fn timed_out(_path: &str) -> Response {
    let refusal = Refusal::unavailable("timed-out", "This took too long; what was begun may go on.");
    entry::secured(refusal.response(), false)
}

/// Everything that this layer answers, the unknown path included.
pub fn router(state: AdminState) -> Router {
    Router::new().fallback(entry::entry).with_state(Arc::new(state))
}
