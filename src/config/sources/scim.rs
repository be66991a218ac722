//! `[[source]]` of the kind "scim": another SCIM server, whose people and groups are read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{TIMEOUT, ca_file};
use crate::config::reader::Reader;
use crate::config::sections::positive;
use crate::config::value::{BaseUrl, Value};
use crate::secret::Secret;

/// Entries that are asked for at once; many servers give fewer.
const PAGE_SIZE: u32 = 200;
/// The longest filter, in characters.
const LONGEST_FILTER: usize = 4000;

/// Another SCIM server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScimConfig {
    /// What `/Users` is below.
    pub url: String,
    /// Which protocol it speaks; `None`: it is asked.
    pub version: Option<ScimVersion>,
    /// As whom it is read.
    pub login: Option<ScimLogin>,
    /// A PEM file with the only certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// Which people are read, in the server's own words.
    pub user_filter: Option<String>,
    /// Which groups.
    pub group_filter: Option<String>,
    /// Where the id is that stays.
    pub id: ScimId,
    /// How members of groups are had.
    pub members: ScimMembers,
    /// How it is asked for the next page.
    pub paging: ScimPaging,
    /// Attributes that are made of others.
    pub attributes: BTreeMap<String, String>,
    /// Entries that are asked for at once.
    pub page_size: u32,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// As whom a SCIM server is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScimLogin {
    /// A bearer token.
    Token(Secret),
    /// Basic.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScimVersion {
    /// SCIM 1.1.
    V1,
    /// SCIM 2.0.
    V2,
}

impl Value for ScimVersion {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "1.1" => Ok(Self::V1),
            "2.0" => Ok(Self::V2),
            _ => Err("\"1.1\" or \"2.0\"".to_owned()),
        }
    }
}

/// Where the id is that stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScimId {
    /// The server's own.
    #[default]
    Id,
    /// The one that somebody gave it.
    ExternalId,
}

impl Value for ScimId {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "id" => Ok(Self::Id),
            "externalId" => Ok(Self::ExternalId),
            _ => Err("\"id\" or \"externalId\"".to_owned()),
        }
    }
}

/// How members of groups are had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScimMembers {
    /// With the list of groups.
    #[default]
    List,
    /// Each group is asked for alone.
    Each,
}

impl Value for ScimMembers {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "list" => Ok(Self::List),
            "each" => Ok(Self::Each),
            _ => Err("\"list\" or \"each\"".to_owned()),
        }
    }
}

/// How a server is asked for the next page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScimPaging {
    /// By cursor where it says that it can, else by index.
    #[default]
    Auto,
    /// By `startIndex`.
    Index,
    /// By `cursor` (RFC 9865).
    Cursor,
}

impl Value for ScimPaging {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "auto" => Ok(Self::Auto),
            "index" => Ok(Self::Index),
            "cursor" => Ok(Self::Cursor),
            _ => Err("\"auto\", \"index\" or \"cursor\"".to_owned()),
        }
    }
}

impl ScimConfig {
    /// A server with the defaults of everything else.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            version: None,
            login: None,
            ca_file: None,
            user_filter: None,
            group_filter: None,
            id: ScimId::default(),
            members: ScimMembers::default(),
            paging: ScimPaging::default(),
            attributes: BTreeMap::new(),
            page_size: PAGE_SIZE,
            timeout: TIMEOUT,
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = reader.required::<BaseUrl>("url").map(|url| url.0);
        if url.as_deref().is_some_and(|url| !is_safe(url)) {
            reader.problem("url", "must begin with https, or be an address of this machine");
        }
        let version = reader.optional("version");
        let scim = Self {
            version,
            login: login(reader),
            ca_file: ca_file(reader),
            user_filter: filter(reader, "user_filter"),
            group_filter: filter(reader, "group_filter"),
            id: reader.get("id", ScimId::default()),
            members: reader.get("members", ScimMembers::default()),
            paging: reader.get("paging", ScimPaging::default()),
            attributes: reader.get("attributes", BTreeMap::new()),
            page_size: reader.within("page_size", PAGE_SIZE, 1..=10_000, "between 1 and 10000"),
            timeout: positive(reader, "timeout", TIMEOUT),
            url: String::new(),
        };
        if version == Some(ScimVersion::V1) && scim.paging == ScimPaging::Cursor {
            reader.problem("paging", "cannot be \"cursor\" with SCIM 1.1");
        }
        Some(Self { url: url?, ..scim })
    }
}

/// A credential goes over TLS, or stays on this machine.
fn is_safe(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || loopback
}

fn login(reader: &mut Reader<'_>) -> Option<ScimLogin> {
    let by_token = reader.has("token") || reader.has("token_file");
    let by_password = ["username", "password", "password_file"].iter().any(|key| reader.has(key));
    let token = reader.secret("token", "token_file");
    let username = reader.optional::<String>("username");
    let password = reader.secret("password", "password_file");
    if by_token && by_password {
        reader.problem("token", "and username with password are both given: only one of them may be");
    }
    if by_password && (username.is_none() || password.is_none()) {
        reader.problem("username", "and password_file (or password) are needed together");
    }
    match (token, username, password) {
        (Some(token), _, _) => Some(ScimLogin::Token(token)),
        (None, Some(username), Some(password)) => Some(ScimLogin::Password { username, password }),
        _ => None,
    }
}

/// Whether the server understands it, the server says.
fn filter(reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
    let text: String = reader.optional(key)?;
    if text.chars().count() > LONGEST_FILTER || text.chars().any(char::is_control) {
        reader.problem(key, "must be a SCIM filter such as \"active eq true\", of 4000 characters at most");
    }
    Some(text)
}
