//! The listener: limits on heads and time, shutdown, TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jira_scim::config::TlsFiles;
use jira_scim::lifecycle::{Ending, Lifecycle};
use jira_scim::listen::{ListenOptions, Peer, Tls, serve};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const LONG: Duration = Duration::from_secs(60);

fn timed_out(path: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("too long: {path}")).into_response()
}

fn options() -> ListenOptions {
    ListenOptions {
        header_limit: 16 << 10,
        header_timeout: LONG,
        request_timeout: LONG,
        max_connections: 100,
        tls: None,
        timed_out,
    }
}

async fn start(router: Router, options: ListenOptions) -> (SocketAddr, Lifecycle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let life = Lifecycle::new();
    life.spawn("listener", serve(listener, router, options, life.clone()));
    (address, life)
}

/// Sends a request and reads until the server closes the connection.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    // The server may have answered and closed before it has read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn ask(address: SocketAddr, request: &str) -> String {
    exchange(TcpStream::connect(address).await.unwrap(), request).await
}

fn hello() -> Router {
    Router::new().route("/", get(async |axum::Extension(peer): axum::Extension<Peer>| format!("tls={}", peer.tls)))
}

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn the_router_is_told_who_asks() {
    let (address, _life) = start(hello(), options()).await;
    assert!(ask(address, GET).await.ends_with("tls=false"));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431_and_one_that_is_no_head_is_400() {
    let (address, _life) = start(hello(), options()).await;
    let large = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(20 << 10));
    assert!(ask(address, &large).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-One: 1\r\n".repeat(101));
    assert!(ask(address, &many).await.starts_with("HTTP/1.1 431"));
    assert!(ask(address, "what?\r\n\r\n").await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_all_the_same() {
    let router = Router::new().route("/", get(async || std::future::pending::<()>().await));
    let options = ListenOptions { request_timeout: Duration::from_millis(1), ..options() };
    let (address, _life) = start(router, options).await;
    let answer = ask(address, GET).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("too long: /"), "{answer}");
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let options = ListenOptions { header_timeout: Duration::from_millis(1), ..options() };
    let (address, _life) = start(hello(), options).await;
    assert_eq!(ask(address, "GET / HTTP/1.1\r\nHost:").await, "");
}

#[tokio::test]
async fn shutdown_answers_what_has_begun_and_closes_what_idles() {
    let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (entered, go_on) = (Arc::clone(&entered), Arc::clone(&go_on));
        async move || {
            entered.notify_one();
            go_on.notified().await;
            "done"
        }
    };
    let (address, life) = start(Router::new().route("/", get(handler)), options()).await;
    let idle = TcpStream::connect(address).await.unwrap();
    let busy = tokio::spawn(async move { ask(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await });
    entered.notified().await;
    life.shutdown();
    assert_eq!(exchange(idle, "").await, "");
    go_on.notify_one();
    assert!(busy.await.unwrap().ends_with("done"));
    assert_eq!(life.finish(LONG).await, Ending::Finished);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_panic_costs_one_connection_only() {
    let broken = get(async || -> &'static str { std::panic::resume_unwind(Box::new("broken")) });
    let (address, life) = start(hello().route("/broken", broken), options()).await;
    let _ = ask(address, &GET.replace("/ ", "/broken ")).await;
    assert!(ask(address, GET).await.ends_with("tls=false"));
    assert!(!life.is_ending());
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_client() {
    let dir = tempfile::tempdir().unwrap();
    let files = TlsFiles { certificate: dir.path().join("tls.crt"), key: dir.path().join("tls.key") };
    let renew = || {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&files.certificate, own.cert.pem()).unwrap();
        std::fs::write(&files.key, own.signing_key.serialize_pem()).unwrap();
        own.cert.der().clone()
    };
    let first = renew();
    let tls = Tls::load(&files).unwrap();
    let (address, _life) = start(hello(), ListenOptions { tls: Some(tls.clone()), ..options() }).await;
    assert!(ask_encrypted(address, first).await.ends_with("tls=true"));
    let second = renew();
    assert!(tls.reload().unwrap());
    assert!(ask_encrypted(address, second).await.ends_with("tls=true"));
}

/// Trusts that one certificate and no other.
async fn ask_encrypted(address: SocketAddr, trusted: rustls::pki_types::CertificateDer<'static>) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await.unwrap();
    exchange(connector.connect("localhost".try_into().unwrap(), stream).await.unwrap(), GET).await
}
