//! The lists of the file: `[[target]]`, one Jira each, and `[[tenant]]`, one identity provider's configuration each.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::reader::Reader;
use super::sections::positive;
use super::value::{BaseUrl, Value};
use crate::secret::Secret;

/// `[[target]]`: one Jira.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetConfig {
    /// What tenants call it.
    pub name: String,
    /// Which API it speaks.
    pub kind: TargetKind,
    /// Its base URL with the context path, without a slash at the end.
    pub url: String,
    /// As whom the daemon works there.
    pub credential: TargetCredential,
    /// How long one call may take.
    pub timeout: Duration,
    /// After which time a call that got no answer cannot take effect any more, so that a second look is final.
    pub late: Duration,
    /// How hard it may be worked.
    pub pace: Pace,
    /// A PEM file with further certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// Whether Jira mails people when their account is made.
    pub notify: bool,
}

/// Which API a target speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// Jira Data Center and Server, `/rest/api/2`.
    DataCenter,
}

impl TargetKind {
    /// As it is written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DataCenter => "data-center",
        }
    }
}

impl Value for TargetKind {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "data-center" => Ok(Self::DataCenter),
            _ => Err("\"data-center\"".to_owned()),
        }
    }
}

/// As whom the daemon works at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetCredential {
    /// A personal access token.
    Token(Secret),
    /// A login name and its password, where tokens are switched off.
    Password {
        /// The login name.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// How hard a target may be worked, by all replicas together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Calls at the same time.
    pub concurrency: u32,
    /// Calls a second; 0 is without limit.
    pub per_second: u32,
}

impl TargetConfig {
    /// `None` when something without a default is missing or wrong, which is a problem on record then.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let name = name(reader, "name");
        let kind = reader.get("kind", TargetKind::DataCenter);
        let url = reader.required::<BaseUrl>("url").map(|url| url.0);
        let credential = credential(reader);
        let timeout = positive(reader, "timeout", Duration::from_secs(10));
        let late = reader.get("late", (timeout * 2).max(Duration::from_secs(60)));
        if late < timeout {
            reader.problem("late", "must not be shorter than the time-out beside it");
        }
        let pace = reader.section("pace", |reader| Pace {
            concurrency: reader.within("concurrency", 4, 1..=1000, "between 1 and 1000"),
            per_second: reader.get("per_second", 0),
        });
        let ca_file = reader.optional::<PathBuf>("ca_file");
        if let Some(path) = ca_file.as_ref().filter(|path| !path.is_file()) {
            reader.problem("ca_file", &format!("names the file {}, which is not there", path.display()));
        }
        let notify = reader.get("notify", false);
        Some(Self { name: name?, kind, url: url?, credential: credential?, timeout, late, pace, ca_file, notify })
    }
}

fn credential(reader: &mut Reader<'_>) -> Option<TargetCredential> {
    let any = |keys: &[&str], reader: &Reader<'_>| keys.iter().any(|key| reader.has(key));
    let by_token = any(&["token", "token_file"], reader);
    let by_password = any(&["user", "password", "password_file"], reader);
    let token = reader.secret("token", "token_file");
    let user = reader.optional::<String>("user");
    let password = reader.secret("password", "password_file");
    match (by_token, by_password) {
        (true, true) => {
            reader.problem("token", "and user with password are both given: only one of them may be");
            None
        }
        (false, false) => {
            reader.problem("token_file", "is missing (or token, or user with password_file)");
            None
        }
        (true, false) => token.map(TargetCredential::Token),
        (false, true) => {
            if user.is_none() || password.is_none() {
                reader.problem("user", "and password_file (or password) are needed together");
            }
            Some(TargetCredential::Password { user: user?, password: password? })
        }
    }
}

/// `[[tenant]]`: one identity provider's configuration, read-only elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantConfig {
    /// Its part of the URL: `/scim/{slug}/v2`.
    pub slug: String,
    /// The name of its target.
    pub target: String,
    /// Whether Jira is written.
    pub mode: Mode,
    /// The rules from SCIM to Jira, as `policy` understands them.
    pub policy: serde_json::Value,
    /// Tokens that are there from the start.
    pub tokens: Vec<TokenConfig>,
}

/// `[[table]]`: a CSV file that the expressions of policies look things up in; read again when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableConfig {
    /// What `lookup` calls it.
    pub name: String,
    /// The file; its first line names the columns.
    pub file: PathBuf,
    /// The column that lookups compare with.
    pub key: String,
}

impl TableConfig {
    /// See [`TargetConfig::read`].
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let name = name(reader, "name");
        let file = reader.required::<PathBuf>("file");
        if let Some(path) = file.as_ref().filter(|path| !path.is_file()) {
            reader.problem("file", &format!("names the file {}, which is not there", path.display()));
        }
        let key = reader.required::<String>("key");
        Some(Self { name: name?, file: file?, key: key? })
    }
}

/// Whether a tenant's changes reach Jira.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Answer from the store and write nothing.
    Observe,
    /// Make Jira agree.
    Enforce,
}

impl Mode {
    /// As it is written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

impl Value for Mode {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "observe" => Ok(Self::Observe),
            "enforce" => Ok(Self::Enforce),
            _ => Err("\"observe\" or \"enforce\"".to_owned()),
        }
    }
}

/// `[[tenant.token]]`: a token that is given instead of made; stored hashed like the others.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenConfig {
    /// What lists call it.
    pub label: String,
    /// The token, or the password that belongs to [`TokenConfig::username`].
    pub value: Secret,
    /// HTTP Basic: the user name that comes with it.
    pub username: Option<String>,
    /// From when on it is refused.
    pub expires: Option<DateTime<Utc>>,
}

/// What a user name of HTTP Basic must be (RFC 7617 section 2).
pub const BASIC_USERNAME: &str = "must have 1 to 100 characters, none of them a colon or a control character";

/// Whether a name can be a user name of HTTP Basic; see [`BASIC_USERNAME`].
pub fn is_basic_username(name: &str) -> bool {
    (1..=100).contains(&name.chars().count()) && !name.chars().any(|c| c == ':' || c.is_control())
}

/// Below this, a secret can be guessed.
const TOKEN_MIN: usize = 32;

impl TenantConfig {
    /// See [`TargetConfig::read`].
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let slug = name(reader, "slug");
        let target = reader.required("target");
        let mode = reader.get("mode", Mode::Enforce);
        let policy = match reader.free("policy").map(serde_json::to_value) {
            None => serde_json::Value::Object(serde_json::Map::new()),
            Some(Ok(policy)) if policy.is_object() => policy,
            Some(_) => {
                reader.problem("policy", "must be a table");
                serde_json::Value::Null
            }
        };
        let tokens = reader.each("token", TokenConfig::read).into_iter().flatten().collect();
        Some(Self { slug: slug?, target: target?, mode, policy, tokens })
    }
}

impl TokenConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let label = reader.required("label");
        let given = reader.has("value") || reader.has("value_file");
        let value = reader.secret("value", "value_file");
        if !given {
            reader.problem("value_file", "is missing (or value)");
        }
        if value.as_ref().is_some_and(|value| value.expose().len() < TOKEN_MIN) {
            reader.problem("value", &format!("must have at least {TOKEN_MIN} characters"));
        }
        let username: Option<String> = reader.optional("username");
        if username.as_ref().is_some_and(|name| !is_basic_username(name)) {
            reader.problem("username", BASIC_USERNAME);
        }
        let expires = reader.optional("expires");
        Some(Self { label: label?, value: value?, username, expires })
    }
}

/// A name that stands in a URL.
fn name(reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
    let name = reader.required::<String>(key)?;
    if is_slug(&name) {
        return Some(name);
    }
    reader.problem(key, "must be 1 to 63 lowercase letters, digits and hyphens, with a letter or digit at both ends");
    None
}

/// Whether text may be a tenant's slug or a target's name. No underscore: Okta refuses a base URL with one (OKTA-4).
pub fn is_slug(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with('-') && !text.ends_with('-')
}
