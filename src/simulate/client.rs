//! One HTTP/1.1 connection to a SCIM server: kept alive, opened again when the server closed it.
//!
//! No pool, no redirects, no cookies, no compression, so that what is measured is the server. A request that may have
//! reached the server is never sent twice; that is for the profile to decide.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use url::Url;

/// The largest answer that is read, in bytes.
const LARGEST: usize = 256 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a base URL.
    #[error("{0} is not a base URL such as https://scim.corp.example/scim/acme/v2")]
    Url(String),
    /// A credential with a line break or the like.
    #[error("the credential cannot be sent in a header")]
    Credential,
    /// The certificate authorities.
    #[error("the certificate authorities cannot be used")]
    Roots(#[from] rustls::Error),
    /// The file of certificate authorities.
    #[error("the file of certificate authorities is not PEM")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// No connection.
    #[error("cannot connect to {at}")]
    Connect {
        /// Host and port.
        at: String,
        /// Why.
        source: io::Error,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("the connection broke")]
    Broken(#[from] hyper::Error),
    /// The body could not be read.
    #[error("the answer's body could not be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The path or a header cannot be sent.
    #[error("the request cannot be written")]
    Request(#[from] hyper::http::Error),
    /// Nothing came within the time.
    #[error("no answer within {} s", .0.as_secs_f32())]
    TimeOut(Duration),
}

/// Where the SCIM server is.
#[derive(Debug)]
pub struct Service {
    host: String,
    port: u16,
    authority: HeaderValue,
    /// The base URL's path without a slash at its end.
    path: String,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Service {
    /// Reads a base URL; `extra_ca` is PEM with further certificate authorities.
    ///
    /// # Errors
    /// The URL, or the authorities, cannot be used.
    pub fn new(base: &str, extra_ca: Option<&[u8]>) -> Result<Self, ClientError> {
        let bad = || ClientError::Url(base.to_owned());
        let url = Url::parse(base.trim()).map_err(|_| bad())?;
        let host = url.host_str().ok_or_else(bad)?.to_owned();
        let port = url.port_or_known_default().ok_or_else(bad)?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match url.scheme() {
            "http" => None,
            "https" => Some((trusting(extra_ca)?, ServerName::try_from(bare.clone()).map_err(|_| bad())?)),
            _ => return Err(bad()),
        };
        let path = url.path().trim_end_matches('/').to_owned();
        let authority = HeaderValue::from_str(&authority).map_err(|_| bad())?;
        Ok(Self { host: bare, port, authority, path, tls })
    }

    async fn connect(&self) -> Result<(SendRequest<Full<Bytes>>, JoinHandle<()>), ClientError> {
        let fail = |source| ClientError::Connect { at: format!("{}:{}", self.host, self.port), source };
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(fail)?;
        stream.set_nodelay(true).map_err(fail)?;
        match &self.tls {
            None => speak(TokioIo::new(stream)).await,
            Some((config, name)) => {
                let connector = TlsConnector::from(config.clone());
                speak(TokioIo::new(connector.connect(name.clone(), stream).await.map_err(fail)?)).await
            }
        }
    }
}

async fn speak<S>(stream: S) -> Result<(SendRequest<Full<Bytes>>, JoinHandle<()>), ClientError>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(stream).await?;
    // Its errors are told to whoever waits for an answer.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Ok((sender, driver))
}

fn trusting(extra_ca: Option<&[u8]>) -> Result<Arc<ClientConfig>, ClientError> {
    let provider = Arc::new(ring::default_provider());
    let extra = match extra_ca {
        Some(pem) => CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?,
        None => Vec::new(),
    };
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider.clone())?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The headers of every request: a profile's own and the credential.
///
/// # Errors
/// A value cannot be sent.
pub fn headers(own: &[(&'static str, &'static str)], authorization: &str) -> Result<HeaderMap, ClientError> {
    let mut headers = HeaderMap::new();
    for (name, value) in own {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let mut credential = HeaderValue::from_str(authorization).map_err(|_| ClientError::Credential)?;
    credential.set_sensitive(true);
    headers.insert(AUTHORIZATION, credential);
    Ok(headers)
}

/// What to send.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query below the base URL: `/Users?startIndex=1`.
    pub path: String,
    /// The body, with the `content-type` of the headers.
    pub body: Option<Bytes>,
    /// Headers of this request alone; they replace those of the connection.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Request {
    /// A request without a body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, headers: Vec::new() }
    }

    /// The same with a JSON body.
    #[must_use]
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Some(Bytes::from(body.to_string()));
        self
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty where there is none.
    pub body: Bytes,
    /// From the first byte sent to the last byte read, without opening the connection.
    pub took: Duration,
}

/// A connection, opened when first used.
#[derive(Debug)]
pub struct Connection {
    service: Arc<Service>,
    headers: HeaderMap,
    patience: Duration,
    open: Option<(SendRequest<Full<Bytes>>, JoinHandle<()>)>,
}

impl Connection {
    /// A connection that sends these headers with every request and gives up after `patience`.
    pub fn new(service: Arc<Service>, mut headers: HeaderMap, patience: Duration) -> Self {
        headers.insert(HOST, service.authority.clone());
        Self { service, headers, patience, open: None }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// There is no answer. The server may have done the work all the same.
    pub async fn send(&mut self, request: &Request) -> Result<Reply, ClientError> {
        let patience = self.patience;
        match tokio::time::timeout(patience, self.send_patiently(request)).await {
            Ok(answer) => {
                if answer.is_err() {
                    self.close();
                }
                answer
            }
            Err(_) => {
                self.close();
                Err(ClientError::TimeOut(patience))
            }
        }
    }

    async fn send_patiently(&mut self, request: &Request) -> Result<Reply, ClientError> {
        for _ in 0..2 {
            let message = self.message(request)?;
            let sender = self.sender().await?;
            let started = Instant::now();
            let answer = match sender.send_request(message).await {
                Ok(answer) => answer,
                // The server had closed the idle connection: nothing was sent.
                Err(error) if error.is_canceled() => {
                    self.close();
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, LARGEST).collect().await.map_err(ClientError::Body)?.to_bytes();
            let took = started.elapsed();
            if head.headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close")) {
                self.close();
            }
            return Ok(Reply { status: head.status, headers: head.headers, body, took });
        }
        let source = io::Error::new(io::ErrorKind::ConnectionAborted, "closed again and again");
        Err(ClientError::Connect { at: self.service.host.clone(), source })
    }

    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, ClientError> {
        let usable = match &mut self.open {
            Some((sender, _)) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.close();
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let mut open = self.service.connect().await?;
                open.0.ready().await?;
                open
            }
        };
        Ok(&mut self.open.insert(open).0)
    }

    fn message(&self, request: &Request) -> Result<hyper::Request<Full<Bytes>>, ClientError> {
        let target = format!("{}{}", self.service.path, request.path);
        let mut message = hyper::Request::builder()
            .method(request.method.clone())
            .uri(target)
            .body(Full::new(request.body.clone().unwrap_or_default()))?;
        *message.headers_mut() = self.headers.clone();
        if request.body.is_none() {
            message.headers_mut().remove(hyper::header::CONTENT_TYPE);
        }
        for (name, value) in &request.headers {
            message.headers_mut().insert(name.clone(), value.clone());
        }
        Ok(message)
    }

    fn close(&mut self) {
        if let Some((_, driver)) = self.open.take() {
            driver.abort();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_base_url_keeps_its_path_and_loses_its_last_slash() {
        let service = Service::new("http://scim.corp.example/scim/acme/v2/", None).unwrap();
        assert_eq!((service.path.as_str(), service.port), ("/scim/acme/v2", 80));
        assert_eq!(service.authority, "scim.corp.example");
    }

    #[test]
    fn what_is_not_a_base_url_is_said_to_be_none() {
        for bad in ["", "scim.corp.example", "ftp://scim.corp.example", "file:///etc"] {
            assert!(matches!(Service::new(bad, None), Err(ClientError::Url(_))), "{bad}");
        }
    }

    #[test]
    fn a_credential_with_a_line_break_is_refused() {
        assert!(matches!(headers(&[], "Bearer a\r\nx: y"), Err(ClientError::Credential)));
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closed_while_idle_is_opened_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Service::new(&format!("http://{}", listener.local_addr().unwrap()), None).unwrap();
        let server = tokio::spawn(async move {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 1024];
                assert!(stream.read(&mut head).await.unwrap() > 0);
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            }
        });
        let mut connection = Connection::new(Arc::new(service), HeaderMap::new(), Duration::from_secs(60));
        for _ in 0..2 {
            let reply = connection.send(&Request::new(Method::GET, "/Users")).await.unwrap();
            assert_eq!(reply.status, 204);
        }
        server.await.unwrap();
    }
}
