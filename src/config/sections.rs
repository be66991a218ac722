//! The sections of the file, one struct each, with the defaults and bounds of their keys.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use super::reader::Reader;
use super::value::{BaseUrl, Bytes, Networks, Value};
use crate::secret::Secret;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86400);
const MIB: usize = 1 << 20;

/// `[server]`: where and how the daemon listens.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// What `Location` and `$ref` begin with, without a slash at its end; may have a path.
    pub public_url: Option<String>,
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Certificate chain and key (PEM files) for TLS; both or none.
    pub tls: Option<TlsFiles>,
    /// The largest head of a request, in bytes.
    pub header_limit: usize,
    /// How long a client may take to send a head; also how long a connection may idle.
    pub header_timeout: Duration,
    /// How long one request may take in all.
    pub request_timeout: Duration,
    /// How long an ending daemon waits for requests and steps.
    pub shutdown_grace: Duration,
    /// The largest number of open connections; further ones wait.
    pub max_connections: u32,
}

/// The PEM files of [`Server::tls`]; read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Server {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            listen: reader.get("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            public_url: reader.optional::<BaseUrl>("public_url").map(|url| url.0),
            trusted_proxies: reader.get("trusted_proxies", Networks::default()).0,
            tls: tls_files(reader, "server"),
            header_limit: reader
                .within("header_limit", Bytes(32 << 10), Bytes(8 << 10)..=Bytes(MIB), "between 8KiB and 1MiB")
                .0,
            header_timeout: positive(reader, "header_timeout", MINUTE / 2),
            request_timeout: positive(reader, "request_timeout", MINUTE / 2),
            shutdown_grace: reader.within(
                "shutdown_grace",
                Duration::from_secs(20),
                Duration::from_secs(1)..=HOUR,
                "between 1s and 1h",
            ),
            max_connections: reader.within("max_connections", 1024, 1..=1_000_000, "between 1 and 1000000"),
        }
    }

    /// What `Location` and `$ref` begin with: `public_url`, else the address that is really listened on.
    pub fn base_url(&self, bound: SocketAddr) -> String {
        self.public_url.clone().unwrap_or_else(|| self.local_url(bound))
    }

    /// How a program on this machine reaches the daemon; an address for all interfaces is not one to connect to.
    pub fn local_url(&self, bound: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let port = bound.port();
        match (bound.ip().is_unspecified(), bound.is_ipv4()) {
            (false, _) => format!("{scheme}://{bound}"),
            (true, true) => format!("{scheme}://127.0.0.1:{port}"),
            (true, false) => format!("{scheme}://[::1]:{port}"),
        }
    }
}

pub(super) fn tls_files(reader: &mut Reader<'_>, section: &str) -> Option<TlsFiles> {
    let certificate = reader.optional("tls_certificate_file");
    let key = reader.optional("tls_key_file");
    match (certificate, key) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (Some(_), None) => {
            reader.problem("tls_certificate_file", &format!("needs {section}.tls_key_file beside it"));
            None
        }
        (None, Some(_)) => {
            reader.problem("tls_key_file", &format!("needs {section}.tls_certificate_file beside it"));
            None
        }
        (None, None) => None,
    }
}

/// `[limits]`: what one request may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body: usize,
    /// The largest body of a request about a group, in bytes.
    pub group_body: usize,
    /// How deep a filter may be nested.
    pub filter_depth: usize,
    /// How many comparisons a filter may hold.
    pub filter_terms: usize,
    /// The most operations in one Bulk, and what a client takes for the most in one PATCH (AK-2), of which 2000 are allowed.
    pub bulk_operations: u32,
    /// The size of a list page when the client names none.
    pub page_default: u32,
    /// The largest list page; a larger `count` is answered with this many.
    pub page_max: u32,
    /// Requests a second and tenant in the long run; 0 is without limit.
    pub requests_per_second: u32,
    /// Requests that a quiet tenant may make at once.
    pub burst: u32,
}

impl Limits {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let bytes = |reader: &mut Reader<'_>, key, default| {
            reader.within(key, Bytes(default), Bytes(1 << 10)..=Bytes(1024 * MIB), "between 1KiB and 1GiB").0
        };
        let number = |reader: &mut Reader<'_>, key, default, max| {
            reader.within(key, default, 1..=max, &format!("between 1 and {max}"))
        };
        let limits = Self {
            body: bytes(reader, "body", 2 * MIB),
            group_body: bytes(reader, "group_body", 64 * MIB),
            filter_depth: number(reader, "filter_depth", 32, 200) as usize,
            filter_terms: number(reader, "filter_terms", 500, 10_000) as usize,
            bulk_operations: number(reader, "bulk_operations", 1000, 2_000),
            page_default: number(reader, "page_default", 100, 10_000),
            page_max: number(reader, "page_max", 200, 10_000),
            requests_per_second: reader.get("requests_per_second", 500),
            burst: number(reader, "burst", 2000, u32::MAX),
        };
        if limits.page_default > limits.page_max {
            reader.problem("page_default", "must not be larger than limits.page_max");
        }
        limits
    }
}

/// `[database]`: the mapping store.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// The PostgreSQL to use; `None` runs a private one in [`Database::data_dir`].
    pub url: Option<Secret>,
    /// The largest number of connections of this process.
    pub max_connections: u32,
    /// How long a request waits for a free connection before it is answered 503.
    pub acquire_timeout: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
    /// Where the private PostgreSQL keeps its data.
    pub data_dir: PathBuf,
    /// Where `initdb` and `postgres` are, when not in a usual place.
    pub postgres_bin: Option<PathBuf>,
}

impl Database {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let url = reader.secret("url", "url_file");
        let well_formed = url.as_ref().is_none_or(|url| {
            url::Url::parse(url.expose()).is_ok_and(|url| matches!(url.scheme(), "postgres" | "postgresql"))
        });
        if !well_formed {
            reader.problem("url", "must be a URL such as postgres://user:password@host:5432/database");
        }
        Self {
            url,
            max_connections: reader.within("max_connections", 16, 2..=1000, "between 2 and 1000"),
            acquire_timeout: positive(reader, "acquire_timeout", Duration::from_secs(3)),
            statement_timeout: positive(reader, "statement_timeout", Duration::from_secs(5)),
            data_dir: reader.optional("data_dir").unwrap_or_else(default_data_dir),
            postgres_bin: reader.optional("postgres_bin"),
        }
    }
}

/// `/var/lib/jira-scim` where that is ours or we are root; else the user's own place for data; else beside us.
fn default_data_dir() -> PathBuf {
    let system = Path::new("/var/lib/jira-scim");
    let root = rustix::process::geteuid().is_root();
    if root || rustix::fs::access(system, rustix::fs::Access::WRITE_OK).is_ok() {
        return system.to_path_buf();
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(".local/share"));
    match absolute("XDG_DATA_HOME").or_else(home) {
        Some(data) => data.join("jira-scim"),
        None => PathBuf::from("jira-scim-data"),
    }
}

/// `[writer]`: how Jira is made to agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// How long an answer to the identity provider waits for Jira; 0 does not wait.
    pub settle: Duration,
    /// How many subjects of one target this process drives at once.
    pub workers: u32,
    /// How long a drive holds its subject; renewed before each call.
    pub lease: Duration,
    /// The longest pause between two attempts.
    pub max_backoff: Duration,
    /// How long one subject may fail, while its target answers others, before it is given up as refused.
    pub give_up_after: Duration,
    /// How often work of other replicas is looked for.
    pub poll: Duration,
}

impl Writer {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            settle: reader.get("settle", Duration::from_secs(3)),
            workers: reader.within("workers", 16, 1..=1000, "between 1 and 1000"),
            lease: reader.within("lease", MINUTE, Duration::from_secs(5)..=HOUR, "between 5s and 1h"),
            max_backoff: reader.within("max_backoff", MINUTE * 5, Duration::from_secs(1)..=DAY, "between 1s and 24h"),
            give_up_after: positive(reader, "give_up_after", DAY),
            poll: reader.within(
                "poll",
                Duration::from_millis(250),
                Duration::from_millis(10)..=MINUTE,
                "between 10ms and 1m",
            ),
        }
    }
}

/// `[audit]`: the record of who asked for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// How many days records of requests and deliveries are kept.
    pub keep_days: u32,
    /// How many bytes they may take; beyond, the oldest days go. 0 is without limit.
    pub keep_size: usize,
}

impl Audit {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            keep_days: reader.within("keep_days", 90, 1..=36_500, "between 1 and 36500"),
            keep_size: reader.get("keep_size", Bytes(20 * 1024 * MIB)).0,
        }
    }
}

/// `[alert]`: where people are told what they have to look after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Where alerts are sent; a secret, because the address of many receivers is all it takes to send them something.
    pub webhook_url: Option<Secret>,
    /// What they are signed with.
    pub webhook_secret: Option<Secret>,
    /// The files that they are in, where they are; read again when they change.
    pub webhook_url_file: Option<PathBuf>,
    /// See [`Alert::webhook_url_file`].
    pub webhook_secret_file: Option<PathBuf>,
    /// How long the receiver may take.
    pub timeout: Duration,
    /// How long a target may be paused before people are told.
    pub target_down_after: Duration,
    /// How long work of a tenant that could be done may wait before people are told.
    pub queue_older_than: Duration,
}

impl Alert {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let (webhook_url_file, webhook_secret_file) =
            (reader.file_of("webhook_url_file"), reader.file_of("webhook_secret_file"));
        let webhook_url = reader.secret("webhook_url", "webhook_url_file");
        let is_address = |url: &Secret| {
            url::Url::parse(url.expose()).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        };
        if webhook_url.as_ref().is_some_and(|url| !is_address(url)) {
            reader.problem("webhook_url", "must be an http or https address");
        }
        Self {
            webhook_url,
            webhook_secret: reader.secret("webhook_secret", "webhook_secret_file"),
            webhook_url_file,
            webhook_secret_file,
            timeout: reader.within(
                "timeout",
                Duration::from_secs(10),
                Duration::from_millis(100)..=MINUTE,
                "between 100ms and 1m",
            ),
            target_down_after: reader.within("target_down_after", MINUTE * 10, MINUTE..=DAY, "between 1m and 24h"),
            queue_older_than: reader.within("queue_older_than", HOUR, MINUTE..=DAY * 7, "between 1m and 7d"),
        }
    }
}

/// `[log]`: what is printed to standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level, or `tracing` directives (`info,jira_scim::writer=debug`).
    pub level: String,
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// For human eyes.
    Text,
}

impl Value for LogFormat {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("\"auto\", \"json\" or \"text\"".to_owned()),
        }
    }
}

impl Log {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let level: String = reader.get("level", "info".to_owned());
        if tracing_subscriber::EnvFilter::try_new(&level).is_err() {
            reader.problem("level", "must be a level (error, warn, info, debug, trace) or directives of such");
        }
        Self { level, format: reader.get("format", LogFormat::Auto) }
    }
}

/// `[mapping]`: from a SCIM user to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The domain of the e-mail address that is made up for a user who has none.
    pub email_fallback: String,
}

impl Mapping {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let email_fallback: String = reader.get("email_fallback", "users.invalid".to_owned());
        if email_fallback.contains(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-')) {
            reader.problem("email_fallback", "must be a domain such as \"users.invalid\"");
        }
        Self { email_fallback }
    }
}

/// A duration above zero.
pub(super) fn positive(reader: &mut Reader<'_>, key: &'static str, default: Duration) -> Duration {
    reader.within(key, default, Duration::from_millis(1)..=Duration::MAX, "longer than nothing")
}
