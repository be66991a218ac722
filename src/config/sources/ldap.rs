//! `[[source]]` of the kind "ldap": an LDAP server, Active Directory among them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{TIMEOUT, ca_file};
use crate::config::reader::Reader;
use crate::config::sections::positive;
use crate::config::value::{Texts, Value};
use crate::secret::Secret;

/// Entries that are asked for at once; Active Directory gives at most 1000.
const PAGE_SIZE: u32 = 500;

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

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
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
        let ldap = Self {
            start_tls: reader.get("start_tls", true),
            ca_file: ca_file(reader),
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
