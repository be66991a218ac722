//! The one HTTP client for every kind of Jira: what is sent with each call, and how a call is timed, bounded, gated and
//! recorded. Knows no endpoint; what an answer means is decided in [`super::reply`]. Never logs a URL, a body or a secret.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use chrono::Utc;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, InvalidHeaderValue};
use reqwest::{Method, StatusCode};
use tracing::Instrument as _;
use url::Url;

use super::keys::{Keys, LOOK};
use super::reply::{self, Expectation, Rejection, Reply};
use super::{CallRecord, Calls, TargetError, tls};

/// What is left as it is in a query value: the unreserved characters of RFC 3986 section 2.3 (DC-74).
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Below Tomcat's default keep-alive of 20 s, so that a call rarely meets a connection that the other side just closed.
const IDLE: Duration = Duration::from_secs(15);

/// How the daemon proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A personal access token (Jira 8.14 and later); acts as its owner.
    Bearer(String),
    /// User name and password; off by default from Jira 11.
    Basic {
        /// The login name.
        user: String,
        /// The password.
        secret: String,
    },
}

impl Credential {
    /// The same with another secret.
    pub(super) fn with_secret(&self, secret: &str) -> Self {
        match self {
            Self::Bearer(_) => Self::Bearer(secret.to_owned()),
            Self::Basic { user, .. } => Self::Basic { user: user.clone(), secret: secret.to_owned() },
        }
    }

    pub(super) fn header(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        let text = match self {
            Self::Bearer(secret) => format!("Bearer {secret}"),
            Self::Basic { user, secret } => {
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}")))
            }
        };
        let mut value = HeaderValue::from_str(&text)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The account that the answers must name, where the credential tells.
    fn user(&self) -> Option<&str> {
        match self {
            Self::Bearer(_) => None,
            Self::Basic { user, .. } => Some(user),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(redacted)",
            Self::Basic { .. } => "Basic(redacted)",
        })
    }
}

/// Everything a client must know about its Jira.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Scheme, host, port and context path (`https://jira.example.test/jira`); no user, query or fragment.
    pub base_url: Url,
    /// How to authenticate.
    pub credential: Credential,
    /// The file that the secret was read from, which is read again when it changes.
    pub secret_file: Option<PathBuf>,
    /// How often it is looked whether it has changed.
    pub secret_look: Duration,
    /// The longest a call may take, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// The longest that connecting, TLS included, may take.
    pub connect_timeout: Duration,
    /// The longest answer that is read, in bytes.
    pub max_body: usize,
    /// Never one that looks like a browser's: that invites XSRF checks (DC-7).
    pub user_agent: String,
    /// Further root certificates as PEM.
    pub extra_ca: Option<Vec<u8>>,
    /// The only way to a proxy; the environment's `*_proxy` variables are not read.
    pub proxy: Option<Url>,
    /// Whether Jira mails an invitation to a new account (DC-23).
    pub notify: bool,
    /// The account that every answer must name in `X-AUSERNAME`; with [`Credential::Basic`] its user unless given.
    pub expected_user: Option<String>,
}

impl ClientOptions {
    /// The usual limits: 15 s a call, 5 s to connect, answers up to 16 MiB, `jira-scim/<version>`.
    pub fn new(base_url: Url, credential: Credential) -> Self {
        Self {
            base_url,
            credential,
            secret_file: None,
            secret_look: LOOK,
            timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            max_body: 16 << 20,
            user_agent: concat!("jira-scim/", env!("CARGO_PKG_VERSION")).to_owned(),
            extra_ca: None,
            proxy: None,
            notify: false,
            expected_user: None,
        }
    }
}

/// Why a client could not be made: always the configuration's fault.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The base URL cannot be used.
    #[error("the target's URL {0}")]
    BaseUrl(&'static str),
    /// The extra root certificates cannot be read.
    #[error("the target's extra root certificates are not PEM")]
    Certificate(#[source] Option<rustls::pki_types::pem::Error>),
    /// The credential or the user agent has characters that no HTTP header may have.
    #[error("the target's credential or user agent cannot be sent in an HTTP header")]
    Header(#[from] InvalidHeaderValue),
    /// TLS cannot be set up, for instance because the machine trusts no roots at all.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// Anything else that the HTTP library objects to.
    #[error("the HTTP client cannot be made")]
    Http(#[from] reqwest::Error),
}

/// One Jira's HTTP side. Cheap to clone; keeps connections, never cookies (DC-6).
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Without a slash at the end.
    base: Arc<str>,
    keys: Arc<Keys>,
    expected_user: Option<Arc<str>>,
    max_body: usize,
}

impl Client {
    /// A client for one Jira; opens no connection.
    ///
    /// # Errors
    /// [`ClientError`], always something that the configuration must change.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let base = checked_base(&options.base_url)?;
        let tls = match options.base_url.scheme() {
            "https" => tls::verifying(options.extra_ca.as_deref())?,
            _ => tls::trusting_nobody()?,
        };
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .default_headers(standing_headers())
            .user_agent(HeaderValue::from_str(&options.user_agent)?)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .timeout(options.timeout)
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(IDLE);
        builder = match options.proxy {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy)?),
            None => builder.no_proxy(),
        };
        let expected = options.expected_user.or_else(|| options.credential.user().map(str::to_owned));
        let keys = Keys::new(options.credential, options.secret_file, options.secret_look)?;
        Ok(Self {
            http: builder.build()?,
            base: base.into(),
            keys: Arc::new(keys),
            expected_user: expected.map(Into::into),
            max_body: options.max_body,
        })
    }

    /// Makes one call and says what the answer means.
    pub(super) async fn call(&self, calls: &Calls<'_>, request: Request<'_>) -> Result<Reply, Rejection> {
        let writes = request.writes();
        let raw = self.exchange(calls, request).await?;
        let expectation = Expectation { writes, user: self.expected_user.as_deref(), now: Utc::now() };
        reply::classify(&expectation, raw.status, &raw.headers, &raw.body)
    }

    /// As [`Client::call`]; `None` for a 404, where a path is asked for that not every version has.
    pub(super) async fn call_if_known(
        &self,
        calls: &Calls<'_>,
        request: Request<'_>,
    ) -> Result<Option<Reply>, Rejection> {
        let raw = self.exchange(calls, request).await?;
        if raw.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let expectation = Expectation { writes: false, user: self.expected_user.as_deref(), now: Utc::now() };
        reply::classify(&expectation, raw.status, &raw.headers, &raw.body).map(Some)
    }

    /// Makes one call, and where it is not accepted because the secret was replaced meanwhile, the same once more.
    pub(super) async fn exchange(&self, calls: &Calls<'_>, request: Request<'_>) -> Result<Raw, TargetError> {
        let sent = self.keys.header().await;
        let raw = self.once(calls, &request, &sent).await?;
        let refused = matches!(raw.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if refused && self.keys.changed_since(&sent).await {
            let renewed = self.keys.header().await;
            return self.once(calls, &request, &renewed).await;
        }
        Ok(raw)
    }

    /// One call: through the gate, then out, until the answer has been read; recorded whatever happens, also when the
    /// caller loses interest half-way.
    async fn once(
        &self,
        calls: &Calls<'_>,
        request: &Request<'_>,
        authorization: &HeaderValue,
    ) -> Result<Raw, TargetError> {
        let permit = calls.gate().enter().await?;
        let template = request.template();
        let span = tracing::info_span!(
            "target_call",
            operation = request.operation,
            method = %request.method,
            path = %template,
            request_id = %calls.request_id,
            status = tracing::field::Empty,
        );
        let mut record = Recording::begin(calls, &request.method, template);
        let result = self.send(calls, (request, authorization), &mut record).instrument(span.clone()).await;
        if let Some(status) = record.status {
            span.record("status", status);
        }
        span.in_scope(|| match &result {
            Ok(_) => tracing::debug!("the target answered"),
            Err(error) => tracing::debug!(%error, "the target did not answer"),
        });
        drop(record);
        drop(permit);
        result
    }

    async fn send(
        &self,
        calls: &Calls<'_>,
        (request, authorization): (&Request<'_>, &HeaderValue),
        record: &mut Recording<'_>,
    ) -> Result<Raw, TargetError> {
        let writes = request.writes();
        let mut builder = self
            .http
            .request(request.method.clone(), format!("{}{}", self.base, request.path_and_query()))
            .header(AUTHORIZATION, authorization.clone())
            .header("X-Request-Id", calls.request_id.to_string());
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        if let Some(kind) = request.accepts {
            builder = builder.header(ACCEPT, kind);
        }
        let mut response = builder.send().await.map_err(|error| unreachable(error, writes))?;
        record.status = Some(response.status().as_u16());
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        if let Some(limits) = reply::rate_limits(&headers) {
            calls.gate().observe(limits);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(error, writes))? {
            if body.len() + chunk.len() > self.max_body {
                let detail = format!("the answer is longer than {} bytes", self.max_body);
                return Err(TargetError::Unreachable { detail, maybe_done: writes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Raw { status, headers, body })
    }
}

/// An answer as it came.
pub(super) struct Raw {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// A call to be made. Identifying values are kept apart from the path so that they never reach a record or a log.
pub(super) struct Request<'a> {
    operation: &'static str,
    method: Method,
    path: &'static str,
    segments: Vec<(&'static str, &'a str)>,
    query: Vec<(&'static str, &'a str, bool)>,
    body: Option<serde_json::Value>,
    accepts: Option<&'static str>,
}

impl<'a> Request<'a> {
    /// `operation` is the name in the trace (`user.create`); `path` starts at the context path and may hold names in
    /// braces, for which [`Request::segment`] gives the values.
    pub(super) fn new(operation: &'static str, method: Method, path: &'static str) -> Self {
        Self { operation, method, path, segments: Vec::new(), query: Vec::new(), body: None, accepts: None }
    }

    /// Gives the value for `{name}` in the path: kept out of every record, which shows the name.
    pub(super) fn segment(mut self, name: &'static str, value: &'a str) -> Self {
        self.segments.push((name, value));
        self
    }

    /// Adds a query value that says who or what: kept out of every record.
    pub(super) fn about(mut self, name: &'static str, value: &'a str) -> Self {
        self.query.push((name, value, true));
        self
    }

    /// Adds a query value that is the same for everybody.
    pub(super) fn with(mut self, name: &'static str, value: &'a str) -> Self {
        self.query.push((name, value, false));
        self
    }

    /// Adds the JSON body.
    pub(super) fn json(mut self, body: serde_json::Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Asks for another kind of answer than JSON.
    pub(super) fn accepting(mut self, kind: &'static str) -> Self {
        self.accepts = Some(kind);
        self
    }

    pub(super) fn writes(&self) -> bool {
        self.method != Method::GET
    }

    fn path_and_query(&self) -> String {
        let path = self.segments.iter().fold(self.path.to_owned(), |path, (name, value)| {
            path.replace(&format!("{{{name}}}"), &utf8_percent_encode(value, VALUE).to_string())
        });
        self.render(path, |_, value, _| utf8_percent_encode(value, VALUE).to_string())
    }

    /// `POST /rest/api/3/user`: what a rate limit may be about.
    pub(super) fn endpoint(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// `/rest/api/2/user?key={key}`.
    fn template(&self) -> String {
        self.render(
            self.path.to_owned(),
            |name, value, identifies| if identifies { format!("{{{name}}}") } else { value.to_owned() },
        )
    }

    fn render(&self, mut text: String, value_of: impl Fn(&str, &str, bool) -> String) -> String {
        for (index, (name, value, identifies)) in self.query.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(name);
            text.push('=');
            text.push_str(&value_of(name, value, *identifies));
        }
        text
    }
}

/// The record of a call under way; dropping it files it, so that a call that was abandoned is on record too.
struct Recording<'a> {
    calls: &'a Calls<'a>,
    method: String,
    path: String,
    started: Instant,
    status: Option<u16>,
}

impl<'a> Recording<'a> {
    fn begin(calls: &'a Calls<'a>, method: &Method, path: String) -> Self {
        Self { calls, method: method.to_string(), path, started: Instant::now(), status: None }
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        let duration_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (method, path) = (std::mem::take(&mut self.method), std::mem::take(&mut self.path));
        let call = CallRecord { method, path, status: self.status, duration_ms };
        self.calls.gate().called(&call);
        self.calls.push(call);
    }
}

fn checked_base(url: &Url) -> Result<String, ClientError> {
    let complaint = if !matches!(url.scheme(), "http" | "https") {
        "must begin with http:// or https://"
    } else if url.host_str().is_none_or(str::is_empty) {
        "names no host"
    } else if !url.username().is_empty() || url.password().is_some() {
        "must not hold a user or a password; they have settings of their own"
    } else if url.query().is_some() || url.fragment().is_some() {
        "must end with the context path"
    } else {
        return Ok(url.as_str().trim_end_matches('/').to_owned());
    };
    Err(ClientError::BaseUrl(complaint))
}

/// What goes with every call beside the credential: the experimental flag (DC-8), no XSRF token (DC-7), and JSON.
fn standing_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert("X-ExperimentalApi", HeaderValue::from_static("true"));
    headers.insert("X-Atlassian-Token", HeaderValue::from_static("no-check"));
    headers
}

/// A transport failure as our own error. Only a connection that was never made proves that nothing was done.
fn unreachable(error: reqwest::Error, writes: bool) -> TargetError {
    let connecting = error.is_connect() || error.is_builder();
    let what = match (error.is_timeout(), connecting) {
        (true, true) => "connecting took too long",
        (true, false) => "the answer took too long",
        (false, true) => "no connection",
        (false, false) => "the connection broke",
    };
    // The URL names people, so only what lies beneath is told.
    let error = error.without_url();
    let cause = std::iter::successors(std::error::Error::source(&error), |cause| cause.source()).last();
    let detail = cause.map_or_else(|| what.to_owned(), |cause| format!("{what}: {cause}"));
    TargetError::Unreachable { detail, maybe_done: writes && !connecting }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn options(url: &str) -> ClientOptions {
        ClientOptions::new(Url::parse(url).unwrap(), Credential::Bearer("s3cret".to_owned()))
    }

    #[test]
    fn no_form_of_debug_shows_a_secret() {
        let basic = Credential::Basic { user: "svc-scim".to_owned(), secret: "s3cret".to_owned() };
        let shown = format!("{:?} {:?} {:?}", options("http://jira.example.test"), basic, basic.header().unwrap());
        assert!(!shown.contains("s3cret") && !shown.contains("c3Zj"), "{shown}");
    }

    #[test]
    fn a_base_url_keeps_its_context_path_and_loses_its_last_slash() {
        for (given, kept) in [
            ("https://jira.example.test", "https://jira.example.test"),
            ("https://jira.example.test/", "https://jira.example.test"),
            ("http://jira.example.test:8080/jira/", "http://jira.example.test:8080/jira"),
        ] {
            assert_eq!(checked_base(&Url::parse(given).unwrap()).unwrap(), kept);
        }
    }

    #[test]
    fn a_base_url_that_cannot_be_used_is_refused_with_a_reason() {
        for url in ["ftp://jira.example.test", "http://u:p@jira.example.test", "http://jira.example.test/?a=b"] {
            assert!(matches!(Client::new(options(url)), Err(ClientError::BaseUrl(_))), "{url}");
        }
    }

    #[test]
    fn a_secret_with_a_line_break_is_an_error_of_the_configuration() {
        let mut options = options("http://jira.example.test");
        options.credential = Credential::Bearer("one\ntwo".to_owned());
        assert!(matches!(Client::new(options), Err(ClientError::Header(_))));
    }

    #[test]
    fn query_values_are_fully_encoded_and_never_appear_in_the_template() {
        let request = Request::new("group.remove", Method::DELETE, "/rest/api/2/group/user")
            .about("groupname", "r&d + #1/ä")
            .with("maxResults", "1");
        assert_eq!(
            request.path_and_query(),
            "/rest/api/2/group/user?groupname=r%26d%20%2B%20%231%2F%C3%A4&maxResults=1"
        );
        assert_eq!(request.template(), "/rest/api/2/group/user?groupname={groupname}&maxResults=1");
    }

    #[test]
    fn a_value_within_the_path_is_fully_encoded_and_never_appears_in_the_template() {
        let request = Request::new("user.get", Method::GET, "/v1/orgs/{orgId}/users/{id}").segment("id", "a/../b");
        let request = request.segment("orgId", "7").with("expand", "x");
        assert_eq!(request.path_and_query(), "/v1/orgs/7/users/a%2F..%2Fb?expand=x");
        assert_eq!(request.template(), "/v1/orgs/{orgId}/users/{id}?expand=x");
    }
}
