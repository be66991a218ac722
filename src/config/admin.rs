//! `[admin]`: the listener for administrators, and the tokens that are there from the start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::reader::Reader;
use super::sections::{TlsFiles, positive, tls_files};
use super::value::{Bytes, Value};
use crate::secret::Secret;

/// Below this, a secret can be guessed.
const TOKEN_MIN: usize = 32;
const MINUTE: Duration = Duration::from_secs(60);

/// `[admin]`: where administrators are served.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// The address of the admin page and API; `None` where it is switched off.
    pub listen: Option<SocketAddr>,
    /// Certificate chain and key for TLS; both or none.
    pub tls: Option<TlsFiles>,
    /// How long somebody stays signed in.
    pub session: Duration,
    /// What sessions are signed with; by default made anew at each start, so that a restart ends them.
    pub session_key: Option<Secret>,
    /// The largest body, in bytes.
    pub body: usize,
    /// How long a request may take until its answer begins.
    pub request_timeout: Duration,
    /// Open connections.
    pub max_connections: u32,
    /// Where files are that sources which are made by the API may name; `None`: they may name none.
    pub source_files: Option<PathBuf>,
    /// Tokens that are there from the start.
    pub tokens: Vec<AdminTokenConfig>,
}

/// `[[admin.token]]`: a token that is given instead of made; stored hashed like the others.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminTokenConfig {
    /// What lists and the audit call it.
    pub label: String,
    /// What its bearer may do.
    pub role: AdminRole,
    /// The token.
    pub value: Secret,
    /// From when on it is refused.
    pub expires: Option<DateTime<Utc>>,
}

/// What an administrator may do; each may do what those before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminRole {
    /// Look.
    Viewer,
    /// Act on what is configured.
    Operator,
    /// Configure.
    Admin,
}

impl Value for AdminRole {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "viewer" => Ok(Self::Viewer),
            "operator" => Ok(Self::Operator),
            "admin" => Ok(Self::Admin),
            _ => Err("\"viewer\", \"operator\" or \"admin\"".to_owned()),
        }
    }
}

/// An address, or nothing.
struct Listen(Option<SocketAddr>);

impl Value for Listen {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str() {
            Some(text) if text.trim().is_empty() => Ok(Self(None)),
            _ => match SocketAddr::read(value) {
                Ok(address) => Ok(Self(Some(address))),
                Err(expected) => Err(format!("{expected}, or \"\"")),
            },
        }
    }
}

impl Admin {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let session_key = reader.secret("session_key", "session_key_file");
        if session_key.as_ref().is_some_and(|key| key.expose().len() < TOKEN_MIN) {
            reader.problem("session_key", &format!("must have at least {TOKEN_MIN} characters"));
        }
        Self {
            listen: reader.get("listen", Listen(Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8081))))).0,
            tls: tls_files(reader, "admin"),
            session: reader.within("session", MINUTE * 60, MINUTE..=MINUTE * 60 * 24, "between 1m and 24h"),
            session_key,
            body: reader.within("body", Bytes(2 << 20), Bytes(16 << 10)..=Bytes(64 << 20), "between 16KiB and 64MiB").0,
            request_timeout: positive(reader, "request_timeout", MINUTE),
            max_connections: reader.within("max_connections", 128, 1..=100_000, "between 1 and 100000"),
            source_files: folder(reader, "source_files"),
            tokens: reader.each("token", AdminTokenConfig::read).into_iter().flatten().collect(),
        }
    }
}

/// A folder that is there.
fn folder(reader: &mut Reader<'_>, key: &'static str) -> Option<PathBuf> {
    let path: PathBuf = reader.optional(key)?;
    if !path.is_dir() {
        reader.problem(key, &format!("names the folder {}, which is not there", path.display()));
    }
    Some(path)
}

impl AdminTokenConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let label = reader.required("label");
        let role = reader.required("role");
        let given = reader.has("value") || reader.has("value_file");
        let value = reader.secret("value", "value_file");
        if !given {
            reader.problem("value_file", "is missing (or value)");
        }
        if value.as_ref().is_some_and(|value| value.expose().len() < TOKEN_MIN) {
            reader.problem("value", &format!("must have at least {TOKEN_MIN} characters"));
        }
        let expires = reader.optional("expires");
        Some(Self { label: label?, role: role?, value: value?, expires })
    }
}
