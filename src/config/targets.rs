//! `[[target]]`: one Jira each, of three kinds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::places::name;
use super::reader::Reader;
use super::sections::positive;
use super::value::{BaseUrl, Value};
use crate::secret::Secret;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The least time after which a call without an answer cannot take effect any more.
const LATE: Duration = Duration::from_secs(60);
/// Calls at the same time.
const CONCURRENCY: u32 = 4;

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
    /// The file that its secret comes from.
    pub credential_file: Option<PathBuf>,
    /// From when on the token is refused, where that is known.
    pub token_expires: Option<DateTime<Utc>>,
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
    /// Cloud: a token with scopes works only through Atlassian's gateway, which calls the site by this id.
    pub cloud_id: Option<String>,
    /// Cloud: Atlassian's gateway and organisation APIs.
    pub api_url: Option<String>,
    /// Cloud: the organisation and its key.
    pub organization: Option<OrganizationConfig>,
    /// Data Center: the second door, which is Crowd's.
    pub crowd: Option<CrowdConfig>,
    /// Align.
    pub align: AlignConfig,
}

/// Which API a target speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// Jira Data Center and Server, `/rest/api/2`.
    DataCenter,
    /// Jira Cloud: a site and, better, its organisation.
    Cloud,
    /// Jira Align, API 2.0.
    Align,
}

impl TargetKind {
    /// As it is written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DataCenter => "data-center",
            Self::Cloud => "cloud",
            Self::Align => "align",
        }
    }
}

impl Value for TargetKind {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "data-center" => Ok(Self::DataCenter),
            "cloud" => Ok(Self::Cloud),
            "align" => Ok(Self::Align),
            _ => Err("\"data-center\", \"cloud\" or \"align\"".to_owned()),
        }
    }
}

/// As whom the daemon works at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetCredential {
    /// A token of its own: a personal access token, or that of Align.
    Token(Secret),
    /// A login name and its password; on Cloud an e-mail address and its API token.
    Password {
        /// The login name.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// `[target.organization]`: the organisation that a Cloud site belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationConfig {
    /// The UUID after `/o/` in the address of Atlassian Administration.
    pub id: String,
    /// A key without scopes.
    pub key: Secret,
    /// The file that it comes from.
    pub key_file: Option<PathBuf>,
    /// From when on the key is refused, where that is known.
    pub key_expires: Option<DateTime<Utc>>,
    /// The directory that is managed, where the organisation has several.
    pub directory: Option<String>,
}

/// `[target.crowd]`: the application that Jira's user server knows us as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrowdConfig {
    /// Its name.
    pub application: String,
    /// Its password.
    pub password: Secret,
    /// The file that it comes from.
    pub password_file: Option<PathBuf>,
}

/// `[target.align]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlignConfig {
    /// What a person is found by.
    pub match_on: MatchOn,
    /// System roles whose users are neither adopted nor changed.
    pub ignore_roles: Vec<u32>,
    /// What is put into records that lack it and so refuse every change: `divisionId`, `cityId`, ...
    pub repair: BTreeMap<String, u32>,
}

/// What a person is found by at Align, and what is written there as the external id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchOn {
    /// The external id, which is the login name of the policy.
    #[default]
    ExternalId,
    /// The e-mail address.
    Email,
}

impl Value for MatchOn {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "external_id" => Ok(Self::ExternalId),
            "email" => Ok(Self::Email),
            _ => Err("\"external_id\" or \"email\"".to_owned()),
        }
    }
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
    /// A target with the defaults of everything else.
    pub fn new(name: &str, kind: TargetKind, url: &str, credential: TargetCredential) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            url: url.to_owned(),
            credential,
            credential_file: None,
            token_expires: None,
            timeout: TIMEOUT,
            late: LATE,
            pace: Pace { concurrency: CONCURRENCY, per_second: 0 },
            ca_file: None,
            notify: false,
            cloud_id: None,
            api_url: None,
            organization: None,
            crowd: None,
            align: AlignConfig::default(),
        }
    }

    /// `None` when something without a default is missing or wrong, which is a problem on record then.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let name = name(reader, "name");
        let kind = reader.get("kind", TargetKind::DataCenter);
        let url = reader.required::<BaseUrl>("url").map(|url| url.0);
        let credential_file = reader.file_of("token_file").or_else(|| reader.file_of("password_file"));
        let credential = match kind {
            TargetKind::Cloud => cloud_credential(reader),
            TargetKind::DataCenter | TargetKind::Align => credential(reader),
        };
        let token_expires = reader.optional("token_expires");
        let timeout = positive(reader, "timeout", TIMEOUT);
        let late = reader.get("late", (timeout * 2).max(LATE));
        if late < timeout {
            reader.problem("late", "must not be shorter than the time-out beside it");
        }
        let pace = reader.section("pace", |reader| Pace {
            concurrency: reader.within("concurrency", CONCURRENCY, 1..=1000, "between 1 and 1000"),
            per_second: reader.get("per_second", 0),
        });
        let ca_file = reader.optional::<PathBuf>("ca_file");
        if let Some(path) = ca_file.as_ref().filter(|path| !path.is_file()) {
            reader.problem("ca_file", &format!("names the file {}, which is not there", path.display()));
        }
        let notify = reader.get("notify", false);
        for (key, of) in [
            ("cloud_id", TargetKind::Cloud),
            ("api_url", TargetKind::Cloud),
            ("organization", TargetKind::Cloud),
            ("crowd", TargetKind::DataCenter),
            ("align", TargetKind::Align),
        ] {
            if reader.has(key) && kind != of {
                reader.problem(key, &format!("belongs to a target of the kind \"{}\"", of.as_str()));
            }
        }
        let cloud_id = reader.optional("cloud_id");
        let api_url = reader.optional::<BaseUrl>("api_url").map(|url| url.0);
        let organization = given(reader, "organization", OrganizationConfig::read);
        let crowd = given(reader, "crowd", CrowdConfig::read);
        let align = reader.section("align", AlignConfig::read);
        Some(Self {
            name: name?,
            kind,
            url: url?,
            credential: credential?,
            credential_file,
            token_expires,
            timeout,
            late,
            pace,
            ca_file,
            notify,
            cloud_id,
            api_url,
            organization,
            crowd,
            align,
        })
    }

    /// Credentials whose end is known, by what they are called in the file.
    pub fn expiries(&self) -> impl Iterator<Item = (&'static str, DateTime<Utc>)> + '_ {
        let key = self.organization.as_ref().and_then(|organization| organization.key_expires);
        [("token", self.token_expires), ("organization.key", key)]
            .into_iter()
            .filter_map(|(what, at)| Some((what, at?)))
    }
}

/// A section that is there or not; one that is not there lacks nothing.
fn given<T>(reader: &mut Reader<'_>, key: &'static str, read: fn(&mut Reader<'_>) -> Option<T>) -> Option<T> {
    if reader.has(key) { reader.section(key, read) } else { reader.unread(key, read) }
}

impl OrganizationConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let id = reader.required("id");
        let key_file = reader.file_of("key_file");
        let key = secret(reader, "key", "key_file");
        let key_expires = reader.optional("key_expires");
        let directory = reader.optional("directory");
        Some(Self { id: id?, key: key?, key_file, key_expires, directory })
    }
}

impl CrowdConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let application = reader.required("application");
        let password_file = reader.file_of("password_file");
        let password = secret(reader, "password", "password_file");
        Some(Self { application: application?, password: password?, password_file })
    }
}

impl AlignConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            match_on: reader.get("match_on", MatchOn::default()),
            ignore_roles: reader.get("ignore_roles", Vec::new()),
            repair: reader.get("repair", BTreeMap::new()),
        }
    }
}

/// A secret that has to be there.
fn secret(reader: &mut Reader<'_>, key: &'static str, file_key: &'static str) -> Option<Secret> {
    if !reader.has(key) && !reader.has(file_key) {
        reader.problem(file_key, &format!("is missing (or {key})"));
    }
    reader.secret(key, file_key)
}

/// E-mail address and API token.
fn cloud_credential(reader: &mut Reader<'_>) -> Option<TargetCredential> {
    for key in ["password", "password_file"] {
        if reader.has(key) {
            reader.problem(key, "is nothing that Cloud accepts: give token_file beside user");
        }
    }
    let _refused = reader.secret("password", "password_file");
    let token = secret(reader, "token", "token_file");
    let user = reader.required::<String>("user");
    Some(TargetCredential::Password { user: user?, password: token? })
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
