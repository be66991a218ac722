//! The lists of the file: `[[tenant]]`, one identity provider's configuration each, and `[[table]]`.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::reader::Reader;
use super::value::Value;
use crate::secret::Secret;

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
    /// Issuers of JWTs that it trusts.
    pub issuers: Vec<JwtConfig>,
    /// Examples that the policy is held to.
    pub tests: Vec<TestConfig>,
}

/// `[[tenant.test]]`: a user, and what is to come of it, as `policy` understands them.
#[derive(Clone, Debug, PartialEq)]
pub struct TestConfig {
    /// What a failure calls it.
    pub name: String,
    /// `user`, `groups` and `expect`, as far as they are given.
    pub example: serde_json::Value,
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
    /// `None` when something without a default is missing or wrong, which is a problem on record then.
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
    /// The file that it is in, where it is; read again when it changes.
    pub file: Option<PathBuf>,
    /// Whether somebody chose it: a password, which may be shorter than what is made.
    pub chosen: bool,
    /// HTTP Basic: the user name that comes with it; of an OAuth client its id.
    pub username: Option<String>,
    /// Whether it is the secret of an OAuth client, which opens nothing but the token endpoint.
    pub client: bool,
    /// What it may do.
    pub scope: TokenScope,
    /// Whether groups are out of bounds.
    pub users_only: bool,
    /// From when on it is refused.
    pub expires: Option<DateTime<Utc>>,
}

/// What a credential may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenScope {
    /// Look.
    Read,
    /// Look and change.
    #[default]
    Write,
}

impl Value for TokenScope {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            _ => Err("\"read\" or \"write\"".to_owned()),
        }
    }
}

/// `[[tenant.jwt]]`: an issuer of JWTs that the tenant trusts; what it must be is known to `login`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtConfig {
    /// What lists call it.
    pub label: String,
    /// The claim `iss`.
    pub issuer: String,
    /// Where its keys are ...
    pub jwks_url: Option<String>,
    /// ... or the file that holds them.
    pub jwks_file: Option<PathBuf>,
    /// What the claim `aud` names.
    pub audience: String,
    /// `RS256`, `ES256`, `EdDSA`.
    pub algorithms: Vec<String>,
    /// How far its clock may be off.
    pub clock_skew: Duration,
    /// Whom the tokens must be of.
    pub subject: Option<String>,
    /// What they must grant.
    pub required_scope: Option<String>,
    /// What the bearer may do here.
    pub scope: TokenScope,
    /// Whether groups are out of bounds.
    pub users_only: bool,
}

impl JwtConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (label, issuer) = (reader.required("label"), reader.required("issuer"));
        let (jwks_url, jwks_file) = (reader.optional("jwks_url"), reader.optional("jwks_file"));
        let audience = reader.required("audience");
        let every = || ["RS256", "ES256", "EdDSA"].map(str::to_owned).to_vec();
        let algorithms = reader.get("algorithms", every());
        let clock_skew = reader.get("clock_skew", Duration::from_secs(60));
        let (subject, required_scope) = (reader.optional("subject"), reader.optional("required_scope"));
        let (scope, users_only) = (reader.get("scope", TokenScope::Write), reader.get("users_only", false));
        Some(Self {
            label: label?,
            issuer: issuer?,
            jwks_url,
            jwks_file,
            audience: audience?,
            algorithms,
            clock_skew,
            subject,
            required_scope,
            scope,
            users_only,
        })
    }
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
    /// `None` when something without a default is missing or wrong, which is a problem on record then.
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
        let issuers = reader.each("jwt", JwtConfig::read).into_iter().flatten().collect();
        let tests = reader.each("test", TestConfig::read).into_iter().flatten().collect();
        Some(Self { slug: slug?, target: target?, mode, policy, tokens, issuers, tests })
    }
}

impl TestConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let name = reader.required("name");
        let mut example = serde_json::Map::new();
        for key in ["user", "groups", "expect"] {
            if let Some(given) = reader.free(key) {
                match serde_json::to_value(given) {
                    Ok(given) => drop(example.insert(key.to_owned(), given)),
                    Err(error) => reader.problem(key, &format!("is not understood: {error}")),
                }
            }
        }
        Some(Self { name: name?, example: serde_json::Value::Object(example) })
    }
}

impl TokenConfig {
    /// Whether that is long enough for what is made; what is chosen has rules of its own.
    pub fn may_be(&self, value: &Secret) -> bool {
        self.chosen || value.expose().len() >= TOKEN_MIN
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let label = reader.required("label");
        let made = reader.has("value") || reader.has("value_file");
        let chosen = reader.has("password") || reader.has("password_file");
        let file = reader.file_of("value_file").or_else(|| reader.file_of("password_file"));
        let value = reader.secret("value", "value_file");
        let password = reader.secret("password", "password_file");
        match (made, chosen) {
            (false, false) => reader.problem("value_file", "is missing (or value, password, password_file)"),
            (true, true) => reader.problem("password", "and value are both given: only one of them may be"),
            _ => {}
        }
        if value.as_ref().is_some_and(|value| value.expose().len() < TOKEN_MIN) {
            reader.problem("value", &format!("must have at least {TOKEN_MIN} characters"));
        }
        let value = value.or(password);
        let username: Option<String> = reader.optional("username");
        if chosen && username.is_none() {
            reader.problem("password", "needs a username beside it");
        }
        if username.as_ref().is_some_and(|name| !is_basic_username(name)) {
            reader.problem("username", BASIC_USERNAME);
        }
        let client = reader.get("client", false);
        if client && username.is_none() {
            reader.problem("client", "needs a username beside it, which is the client's id");
        }
        if client && chosen {
            reader.problem("password", "of an OAuth client is made, not chosen: give it as value");
        }
        let (scope, users_only) = (reader.get("scope", TokenScope::Write), reader.get("users_only", false));
        let expires = reader.optional("expires");
        Some(Self { label: label?, value: value?, file, chosen, username, client, scope, users_only, expires })
    }
}

/// A name that stands in a URL.
pub(super) fn name(reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
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
