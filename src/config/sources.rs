//! `[[source]]`: a directory that is read on a schedule, for a tenant whose identity provider does not push.

mod ldap;
mod made;
mod scim;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::places::name;
use super::reader::Reader;
use super::value::{Texts, Value};

pub use ldap::{Bind, ChangedBy, Disabled, LdapConfig, Preset, Referrals};
pub use scim::{ScimConfig, ScimId, ScimLogin, ScimMembers, ScimPaging, ScimVersion};

/// The shortest time between two runs.
const SHORTEST: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86400);

/// `[[source]]`: one directory, which feeds one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// What commands call it.
    pub name: String,
    /// The tenant that it feeds.
    pub tenant: String,
    /// Whether it may take over people whom somebody else brought.
    pub take_over: bool,
    /// Whether people are read.
    pub users: bool,
    /// Whether groups are read.
    pub groups: bool,
    /// Only members of these groups; empty: everybody.
    pub scope_groups: Vec<String>,
    /// What becomes of people whom the source does not have any more.
    pub vanished: Vanished,
    /// What becomes of such groups.
    pub vanished_groups: VanishedGroups,
    /// A run that would take away more than this share of the people, or groups, stops before its first change,
    pub fall_percent: u32,
    /// unless it is not more than this many.
    pub fall_min: u32,
    /// When it is read.
    pub schedule: Schedule,
    /// Whether it is read when the daemon starts, too.
    pub at_start: bool,
    /// Every how-manieth read is of everything; those between are of changes. 1: all are.
    pub full_every: u32,
    /// The server and its ways.
    pub server: ServerConfig,
}

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerConfig {
    /// An LDAP server.
    Ldap(LdapConfig),
    /// Another SCIM server.
    Scim(ScimConfig),
}

impl ServerConfig {
    /// How long an answer may take.
    pub fn timeout(&self) -> Duration {
        match self {
            Self::Ldap(ldap) => ldap.timeout,
            Self::Scim(scim) => scim.timeout,
        }
    }
}

/// The kinds of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ldap,
    Scim,
}

impl Value for Kind {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "ldap" => Ok(Self::Ldap),
            "scim" => Ok(Self::Scim),
            _ => Err("\"ldap\" or \"scim\"".to_owned()),
        }
    }
}

/// What becomes of people whom the source does not have any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vanished {
    /// They are switched off.
    Deactivate,
    /// Nothing.
    Keep,
    /// They are deleted.
    Delete,
}

impl Value for Vanished {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "deactivate" => Ok(Self::Deactivate),
            "keep" => Ok(Self::Keep),
            "delete" => Ok(Self::Delete),
            _ => Err("\"deactivate\", \"keep\" or \"delete\"".to_owned()),
        }
    }
}

/// What becomes of groups that the source does not have any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VanishedGroups {
    /// They are deleted.
    Delete,
    /// Nothing.
    Keep,
}

impl Value for VanishedGroups {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "delete" => Ok(Self::Delete),
            "keep" => Ok(Self::Keep),
            _ => Err("\"delete\" or \"keep\"".to_owned()),
        }
    }
}

/// When a source is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// So often.
    Every(Duration),
    /// By a cron expression, in UTC.
    Cron(String),
    /// Only when it is told to.
    ByHand,
}

/// A cron expression.
struct CronText(String);

impl Value for CronText {
    fn read(value: &toml::Value) -> Result<Self, String> {
        let text = value.as_str().map(str::trim).filter(|text| croner::Cron::from_str(text).is_ok());
        text.map(|text| Self(text.to_owned())).ok_or_else(|| "a cron expression such as \"0 2 * * *\"".to_owned())
    }
}

impl SourceConfig {
    /// `None` when something without a default is missing or wrong, which is a problem on record then.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let name = name(reader, "name");
        let tenant = reader.required::<String>("tenant");
        let (users, groups) = (reader.get("users", true), reader.get("groups", true));
        if !users && !groups {
            reader.problem("users", "and groups are both false: nothing would be read");
        }
        let take_over = reader.get("take_over", false);
        let scope_groups = reader.get("scope_groups", Texts::default()).0;
        let vanished = reader.get("vanished", Vanished::Deactivate);
        let vanished_groups = reader.get("vanished_groups", VanishedGroups::Delete);
        let fall_percent = reader.within("fall_percent", 10, 0..=100, "between 0 and 100");
        let fall_min = reader.get("fall_min", 5);
        let schedule = schedule(reader);
        let at_start = reader.get("at_start", false);
        let full_every = reader.within("full_every", FULL_EVERY, 1..=10_000, "between 1 and 10000");
        let server = match reader.get("kind", Kind::Ldap) {
            Kind::Ldap => LdapConfig::read(reader).map(ServerConfig::Ldap),
            Kind::Scim => ScimConfig::read(reader).map(ServerConfig::Scim),
        };
        Some(Self {
            name: name?,
            tenant: tenant?,
            take_over,
            users,
            groups,
            scope_groups,
            vanished,
            vanished_groups,
            fall_percent,
            fall_min,
            schedule,
            at_start,
            full_every,
            server: server?,
        })
    }
}

fn schedule(reader: &mut Reader<'_>) -> Schedule {
    let every = reader.optional::<Duration>("every");
    let cron = reader.optional::<CronText>("cron");
    match (every, cron) {
        (Some(_), Some(_)) => {
            reader.problem("every", "and cron are both given: only one of them may be");
            Schedule::ByHand
        }
        (Some(every), None) => {
            if every < SHORTEST || every > DAY * 31 {
                reader.problem("every", "must be between 1m and 31days");
            }
            Schedule::Every(every)
        }
        (None, Some(cron)) => Schedule::Cron(cron.0),
        (None, None) => Schedule::ByHand,
    }
}

/// The only certificate authorities to trust.
fn ca_file(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let path = reader.optional::<PathBuf>("ca_file")?;
    if !path.is_file() {
        reader.problem("ca_file", &format!("names the file {}, which is not there", path.display()));
    }
    Some(path)
}

/// Read every hour, everything is read once a day.
pub const FULL_EVERY: u32 = 24;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);
