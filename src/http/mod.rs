//! Layer 4: SCIM 2.0 and 1.1 over HTTP, and what monitors ask for.
//!
//! Every request takes one way. `entry` gives it an id, a span and a place in the metrics, and turns a panic into a 500;
//! `dispatch` finds out what is asked for; `serve_tenant` lets the tenant in and hands on to one file an endpoint.
//! What the version of the protocol changes is in `wire`. Nothing here decides about identities (the directory does) or speaks to a Jira (the writer does).
//!
//! Leniencies of the wire are rows of [`scim::tolerance`](crate::scim::tolerance), each explained where it lives: content
//! types (`body`, GEN-1; those of GET and DELETE are not read, GEN-2), slashes in paths (`route`, GEN-5), unknown
//! parameters and `+` (`query`, GEN-5, GEN-6). `Accept` is read for clients of 1.1 that understand nothing but XML
//! (`wire`), and by nobody else (GEN-3); every answer is JSON with a charset (GEN-4).

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use ipnet::IpNet;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use self::error::Failure;
pub use self::health::{Component, Health};
use self::limits::Limiter;
use self::origin::Origin;
use self::tenant::Doorkeeper;
use self::wire::Version;
use crate::config;
use crate::directory::Directory;
use crate::lifecycle::Lifecycle;
use crate::record::Recorder;
use crate::scim::filter;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::writer::Writer;

mod accept;
mod body;
mod bulk;
mod credential;
mod discovery;
mod entry;
mod error;
mod etag;
mod exchange;
mod grant;
mod group;
mod group_body;
mod health;
mod limits;
mod members;
mod oauth;
mod origin;
mod proof;
mod query;
mod recording;
mod reply;
mod route;
mod search;
mod tenant;
mod user;
mod wire;

use self::exchange::Exchange;

/// What the configuration says about this layer.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// `server.public_url`: what `Location` and `$ref` are built on. None: what the client's request says.
    /// Without a slash at its end; may have a path.
    pub public_url: Option<String>,
    /// Whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The longest wait for a request's body; shorter than what the listener gives the whole request.
    pub body_timeout: Duration,
    /// The largest body in bytes.
    pub body: usize,
    /// The largest body of a group in bytes.
    pub group_body: usize,
    /// How large a filter may be.
    pub filter: filter::Limits,
    /// The most operations of one Bulk.
    pub bulk_operations: u64,
    /// How many resources a page has where the client does not say.
    pub page_default: u64,
    /// The most resources a page has, whatever the client says.
    pub page_max: u64,
    /// Requests a second that a tenant may make on average; 0: any number.
    pub requests_per_second: u32,
    /// Requests that a tenant may make at once.
    pub burst: u32,
}

impl HttpOptions {
    /// As configured.
    pub fn new(server: &config::Server, limits: &config::Limits) -> Self {
        Self {
            public_url: server.public_url.clone(),
            trusted_proxies: server.trusted_proxies.clone(),
            // The listener cuts the whole request off; a body that does not come must be told before.
            body_timeout: server.request_timeout.mul_f64(0.8),
            body: limits.body,
            group_body: limits.group_body,
            filter: filter::Limits {
                depth: limits.filter_depth,
                terms: limits.filter_terms,
                ..filter::Limits::default()
            },
            bulk_operations: u64::from(limits.bulk_operations),
            page_default: u64::from(limits.page_default),
            page_max: u64::from(limits.page_max),
            requests_per_second: limits.requests_per_second,
            burst: limits.burst,
        }
    }
}

/// What every request may use.
pub struct HttpState {
    directory: Directory,
    writer: Writer,
    store: Store,
    lifecycle: Lifecycle,
    metrics: Metrics,
    health: Health,
    options: HttpOptions,
    origin: Origin,
    /// The path of the public URL, where it has one: a proxy may leave it in the requests.
    prefix: String,
    doorkeeper: Doorkeeper,
    limiter: Limiter,
    /// Puts requests on record; `None`: nobody does.
    recorder: Option<Recorder>,
}

impl HttpState {
    /// Puts the parts together. Changes run as tasks of `lifecycle`.
    pub fn new(
        options: HttpOptions,
        directory: Directory,
        writer: Writer,
        store: Store,
        lifecycle: Lifecycle,
        metrics: Metrics,
        health: Health,
    ) -> Self {
        Self {
            prefix: options.public_url.as_deref().map(path_of).unwrap_or_default(),
            origin: Origin { public_url: options.public_url.clone(), trusted_proxies: options.trusted_proxies.clone() },
            doorkeeper: Doorkeeper::default(),
            limiter: Limiter::new(options.requests_per_second, options.burst),
            directory,
            writer,
            store,
            lifecycle,
            metrics,
            health,
            options,
            recorder: None,
        }
    }

    /// Puts every request on record.
    pub fn recorded_by(self, recorder: Recorder) -> Self {
        Self { recorder: Some(recorder), ..self }
    }
}

/// The answer to a request to that path that the listener cut off: the change that it made, if any, goes on.
pub fn timed_out(path: &str) -> Response {
    Failure::timed_out().answer(Version::of_path(path))
}

/// The path of a URL, without a slash at its end.
fn path_of(url: &str) -> String {
    url::Url::parse(url).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default()
}

/// Answers below this many bytes are sent as they are: a resource is small, a page or a large group is not (`OKTA-2`).
const WORTH_COMPRESSING: u64 = 16 * 1024;

/// Everything that this layer answers, the unknown path included. The listener gives each request its
/// [`Peer`](crate::listen::Peer); without it no forwarded header is believed.
pub fn router(state: HttpState) -> Router {
    // A fallback and no routes: a path is read once, by `route`, which also knows the methods and the labels.
    let compression = CompressionLayer::new().gzip(true).compress_when(SizeAbove::new(WORTH_COMPRESSING));
    Router::new().fallback(entry::entry).with_state(Arc::new(state)).layer(compression)
}
