//! `[[source]]`: a directory that is read on a schedule, for a tenant whose identity provider does not push.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::places::name;
use super::reader::Reader;
use super::sections::positive;
use super::value::{Texts, Value};
use crate::secret::Secret;

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
    pub ldap: LdapConfig,
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

/// An LDAP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LdapConfig {
    /// What is usual at servers of its kind.
    pub preset: Preset,
    /// Its addresses; the first that answers is asked.
    pub urls: Vec<String>,
    /// Whether `ldap://` becomes TLS before anything is said.
    pub start_tls: bool,
    /// A PEM file with the only certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// As whom it is read.
    pub bind: Option<Bind>,
    /// Where people and groups are looked for.
    pub base_dn: String,
    /// Where people are, where that is not `base_dn`.
    pub user_base_dn: Option<String>,
    /// Where groups are.
    pub group_base_dn: Option<String>,
    /// Which entries are people.
    pub user_filter: Option<String>,
    /// Which entries are groups.
    pub group_filter: Option<String>,
    /// The attribute with the id that stays.
    pub id: Option<String>,
    /// The attributes of a group with its members' DNs.
    pub member: Option<String>,
    /// Whether a group has those as members, too, whose primary group it is (Active Directory).
    pub primary_groups: Option<bool>,
    /// The attribute of a person that `memberUid` means.
    pub member_name: Option<String>,
    /// The attribute with a group's name.
    pub group_name: Option<String>,
    /// How it is told what changed.
    pub changed_by: Option<ChangedBy>,
    /// How it is told that somebody is switched off.
    pub disabled: Option<Disabled>,
    /// What becomes of referrals.
    pub referrals: Option<Referrals>,
    /// SCIM attributes by LDAP attributes, over those of the preset.
    pub attributes: BTreeMap<String, String>,
    /// Entries that are asked for at once.
    pub page_size: u32,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// As whom a server is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The DN; at Active Directory also `user@domain`.
    pub dn: String,
    /// The password.
    pub password: Secret,
}

/// What is usual at servers of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// OpenLDAP.
    OpenLdap,
    /// Active Directory.
    ActiveDirectory,
    /// 389 Directory Server.
    Ds389,
}

impl Value for Preset {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "openldap" => Ok(Self::OpenLdap),
            "active-directory" => Ok(Self::ActiveDirectory),
            "389ds" => Ok(Self::Ds389),
            _ => Err("\"openldap\", \"active-directory\" or \"389ds\"".to_owned()),
        }
    }
}

/// How it is told that somebody is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disabled {
    /// It is not told.
    Never,
    /// Bit 2 of `userAccountControl` (Active Directory).
    UserAccountControl,
    /// `pwdAccountLockedTime` says for ever (OpenLDAP's password policy); a lock that ends by itself does not count.
    PwdAccountLockedTime,
    /// `nsAccountLock` is true (389 Directory Server).
    NsAccountLock,
}

impl Value for Disabled {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "never" => Ok(Self::Never),
            "userAccountControl" => Ok(Self::UserAccountControl),
            "pwdAccountLockedTime" => Ok(Self::PwdAccountLockedTime),
            "nsAccountLock" => Ok(Self::NsAccountLock),
            _ => Err("\"userAccountControl\", \"pwdAccountLockedTime\", \"nsAccountLock\" or \"never\"".to_owned()),
        }
    }
}

/// How it is told what changed since a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangedBy {
    /// It is not told: every read is of everything.
    Never,
    /// `modifyTimestamp` (OpenLDAP, 389 Directory Server), which all replicas have alike.
    ModifyTimestamp,
    /// `uSNChanged` (Active Directory), which each domain controller counts by itself.
    UsnChanged,
    /// `whenChanged` (Active Directory), which each domain controller has of its own.
    WhenChanged,
}

impl Value for ChangedBy {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "never" => Ok(Self::Never),
            "modifyTimestamp" => Ok(Self::ModifyTimestamp),
            "uSNChanged" => Ok(Self::UsnChanged),
            "whenChanged" => Ok(Self::WhenChanged),
            _ => Err("\"modifyTimestamp\", \"uSNChanged\", \"whenChanged\" or \"never\"".to_owned()),
        }
    }
}

/// What becomes of referrals, which are never followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referrals {
    /// A part of the directory is elsewhere: the read is not complete.
    Refuse,
    /// They lead to what is not meant to be read.
    Ignore,
}

impl Value for Referrals {
    fn read(value: &toml::Value) -> Result<Self, String> {
        match value.as_str().unwrap_or_default() {
            "refuse" => Ok(Self::Refuse),
            "ignore" => Ok(Self::Ignore),
            _ => Err("\"refuse\" or \"ignore\"".to_owned()),
        }
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
        let ldap = LdapConfig::read(reader);
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
            ldap: ldap?,
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

impl LdapConfig {
    /// A server with the defaults of everything else.
    pub fn new(preset: Preset, url: &str, base_dn: &str) -> Self {
        Self {
            preset,
            urls: vec![url.to_owned()],
            start_tls: true,
            ca_file: None,
            bind: None,
            base_dn: base_dn.to_owned(),
            user_base_dn: None,
            group_base_dn: None,
            user_filter: None,
            group_filter: None,
            id: None,
            member: None,
            primary_groups: None,
            member_name: None,
            changed_by: None,
            group_name: None,
            disabled: None,
            referrals: None,
            attributes: BTreeMap::new(),
            page_size: PAGE_SIZE,
            timeout: TIMEOUT,
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let preset = reader.required("preset");
        let urls = reader.required::<Texts>("urls").map(|urls| urls.0);
        let known = |url: &String| {
            url::Url::parse(url).is_ok_and(|url| {
                matches!(url.scheme(), "ldap" | "ldaps" | "ldapi")
                    && url.host_str().is_some_and(|host| !host.is_empty())
                    && url.username().is_empty()
                    && url.password().is_none()
            })
        };
        if urls.as_ref().is_some_and(|urls| urls.is_empty() || !urls.iter().all(known)) {
            reader.problem("urls", "must be a list of URLs such as \"ldaps://ldap.example.com\", without credentials");
        }
        let ca_file = reader.optional::<PathBuf>("ca_file");
        if let Some(path) = ca_file.as_ref().filter(|path| !path.is_file()) {
            reader.problem("ca_file", &format!("names the file {}, which is not there", path.display()));
        }
        let ldap = Self {
            start_tls: reader.get("start_tls", true),
            ca_file,
            bind: bind(reader),
            user_base_dn: reader.optional("user_base_dn"),
            group_base_dn: reader.optional("group_base_dn"),
            user_filter: filter(reader, "user_filter"),
            group_filter: filter(reader, "group_filter"),
            id: reader.optional("id"),
            member: reader.optional("member"),
            primary_groups: reader.optional("primary_groups"),
            member_name: reader.optional("member_name"),
            changed_by: reader.optional("changed_by"),
            group_name: reader.optional("group_name"),
            disabled: reader.optional("disabled"),
            referrals: reader.optional("referrals"),
            attributes: reader.get("attributes", BTreeMap::new()),
            page_size: reader.within("page_size", PAGE_SIZE, 1..=10_000, "between 1 and 10000"),
            timeout: positive(reader, "timeout", TIMEOUT),
            base_dn: String::new(),
            preset: Preset::OpenLdap,
            urls: Vec::new(),
        };
        let base_dn = reader.required("base_dn");
        Some(Self { base_dn: base_dn?, preset: preset?, urls: urls?, ..ldap })
    }
}

/// Read every hour, everything is read once a day.
pub const FULL_EVERY: u32 = 24;
/// Entries that are asked for at once; Active Directory gives at most 1000.
const PAGE_SIZE: u32 = 500;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);

fn bind(reader: &mut Reader<'_>) -> Option<Bind> {
    let given = reader.has("bind_dn") || reader.has("bind_password") || reader.has("bind_password_file");
    let dn = reader.optional("bind_dn");
    let password = reader.secret("bind_password", "bind_password_file");
    if given && (dn.is_none() || password.is_none()) {
        reader.problem("bind_dn", "and bind_password_file (or bind_password) are needed together");
    }
    Some(Bind { dn: dn?, password: password? })
}

/// A filter in parentheses; whether the server understands it, the server says.
fn filter(reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
    let text: String = reader.optional(key)?;
    if ldap3::parse_filter(&text).is_err() {
        reader.problem(key, "must be an LDAP filter such as \"(objectClass=person)\"");
    }
    Some(text)
}
