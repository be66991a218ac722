//! Layer 1: from a listening socket to requests: HTTP/1.1 over TCP or TLS, bounded in every direction.
//!
//! Knows nothing of SCIM: it is given a router and tells it who asks ([`Peer`]). Malformed heads are answered 400 and
//! heads that are too large 431 by hyper itself, before any of our code runs.

mod forwarded;
mod tls;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::config::{Config, Server};
use crate::lifecycle::Lifecycle;
use crate::telemetry::Chain;

pub use forwarded::{Client, client};
pub use tls::{Tls, TlsError};

/// A request with more headers is answered 431.
const MAX_HEADERS: usize = 100;
/// The buffer of a connection, also for bodies; hyper wants at least 8 KiB.
const BUFFER: usize = 64 << 10;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The pause after a failed accept (no file descriptor is free, usually): trying at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end of the connection; an extension of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address that the connection comes from, a proxy's perhaps.
    pub address: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// How to serve.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// The largest head, in bytes.
    pub header_limit: usize,
    /// How long a head may take, and how long a connection may idle.
    pub header_timeout: Duration,
    /// How long a request may take, from its head to its answer's head.
    pub request_timeout: Duration,
    /// Connections at the same time.
    pub max_connections: usize,
    /// Encryption.
    pub tls: Option<Tls>,
    /// The answer to a request to that path that took too long.
    pub timed_out: fn(&str) -> Response,
}

impl ListenOptions {
    /// As configured; `timed_out` is the answer to a request that took too long.
    ///
    /// # Errors
    /// The certificate or its key cannot be used.
    pub fn from_config(server: &Server, timed_out: fn(&str) -> Response) -> Result<Self, TlsError> {
        Ok(Self {
            header_limit: server.header_limit,
            header_timeout: server.header_timeout,
            request_timeout: server.request_timeout,
            max_connections: server.max_connections as usize,
            tls: server.tls.as_ref().map(Tls::load).transpose()?,
            timed_out,
        })
    }

    /// As configured for administrators.
    ///
    /// # Errors
    /// The certificate or its key cannot be used.
    pub fn for_admin(config: &Config, timed_out: fn(&str) -> Response) -> Result<Self, TlsError> {
        Ok(Self {
            request_timeout: config.admin.request_timeout,
            max_connections: config.admin.max_connections as usize,
            tls: config.admin.tls.as_ref().map(Tls::load).transpose()?,
            ..Self::from_config(&Server { tls: None, ..config.server.clone() }, timed_out)?
        })
    }
}

/// Serves until the life ends: then nothing new is accepted, idle connections are closed, and requests that have begun
/// are answered within the grace period. Connections are tasks of `life`.
pub async fn serve(listener: TcpListener, router: Router, options: ListenOptions, life: Lifecycle) {
    if let Some(tls) = options.tls.clone() {
        life.spawn("certificate", tls.watch(life.clone()));
    }
    let free = Arc::new(Semaphore::new(options.max_connections));
    let server = Arc::new(Connections { router, options, life: life.clone() });
    loop {
        let next = async {
            // The semaphore is never closed.
            let permit = Arc::clone(&free).acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = life.soft().cancelled() => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, address)) => {
                let server = Arc::clone(&server);
                life.spawn("connection", async move {
                    // A panic here costs this connection, not the daemon.
                    let served = std::panic::AssertUnwindSafe(server.connection(stream, address)).catch_unwind().await;
                    if served.is_err() {
                        tracing::error!(%address, "a connection's task panicked");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

struct Connections {
    router: Router,
    options: ListenOptions,
    life: Lifecycle,
}

impl Connections {
    async fn connection(&self, stream: TcpStream, address: SocketAddr) {
        // Small answers must not wait for more to send.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.options.tls else {
            return self.http(stream, Peer { address, tls: false }).await;
        };
        let handshake = tokio::time::timeout(HANDSHAKE, tls.accept(stream));
        let encrypted = tokio::select! {
            () = self.life.soft().cancelled() => return,
            encrypted = handshake => encrypted,
        };
        match encrypted {
            Ok(Ok(stream)) => self.http(stream, Peer { address, tls: true }).await,
            Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%address, "TLS handshake took too long"),
        }
    }

    async fn http<S>(&self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let service = hyper::service::service_fn(|request| self.answer(request, peer));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.options.header_timeout);
        builder.max_headers(MAX_HEADERS).max_header_size(self.options.header_limit);
        builder.max_buf_size(BUFFER.max(self.options.header_limit));
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.life.soft().cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = served {
            tracing::debug!(address = %peer.address, error = %Chain(&error), "connection ended");
        }
    }

    async fn answer(&self, mut request: hyper::Request<Incoming>, peer: Peer) -> Result<Response, Infallible> {
        request.extensions_mut().insert(peer);
        let path = request.uri().path().to_owned();
        let answer = self.router.clone().oneshot(request.map(Body::new));
        match tokio::time::timeout(self.options.request_timeout, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                tracing::warn!(address = %peer.address, "a request took longer than server.request_timeout");
                Ok((self.options.timed_out)(&path))
            }
        }
    }
}
