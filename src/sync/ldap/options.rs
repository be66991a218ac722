//! What is known of a server: the configuration over what is usual at servers of its kind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use url::Url;

use super::member::{self, Member};
use super::person::Mapping;
use crate::config::{Bind, ChangedBy, Disabled, LdapConfig, Preset, Referrals};
use crate::sync::source::SourceError;
use crate::sync::tls;

/// See the module.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) urls: Vec<Url>,
    pub(super) start_tls: bool,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) bind: Option<Bind>,
    pub(super) user_base: String,
    pub(super) group_base: String,
    pub(super) user_filter: String,
    pub(super) group_filter: String,
    pub(super) id: String,
    pub(super) members: Vec<Member>,
    pub(super) member_name: String,
    /// Whether people name a group as their primary one, which does not name them then.
    pub(super) primary_groups: bool,
    pub(super) changed_by: ChangedBy,
    /// The attribute that is another after every change of an entry.
    pub(super) version: &'static str,
    pub(super) group_name: String,
    pub(super) disabled: Disabled,
    pub(super) referrals: Referrals,
    pub(super) mapping: Mapping,
    pub(super) page_size: i32,
    pub(super) timeout: Duration,
}

/// What is usual at servers of a kind.
struct Usual {
    user_filter: &'static str,
    group_filter: &'static str,
    id: &'static str,
    disabled: Disabled,
    referrals: Referrals,
    changed_by: ChangedBy,
    primary_groups: bool,
    version: &'static str,
    attributes: &'static [(&'static str, &'static str)],
}

const OPENLDAP: Usual = Usual {
    user_filter: "(objectClass=inetOrgPerson)",
    group_filter: "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))",
    id: "entryUUID",
    disabled: Disabled::PwdAccountLockedTime,
    referrals: Referrals::Refuse,
    changed_by: ChangedBy::ModifyTimestamp,
    primary_groups: false,
    version: "modifyTimestamp",
    attributes: INET_ORG_PERSON,
};

const DS389: Usual = Usual { id: "nsUniqueId", disabled: Disabled::NsAccountLock, ..OPENLDAP };

const ACTIVE_DIRECTORY: Usual = Usual {
    user_filter: "(&(objectCategory=person)(objectClass=user))",
    group_filter: "(objectClass=group)",
    id: "objectGUID",
    disabled: Disabled::UserAccountControl,
    // A search from the root of a domain is always referred to the partitions beside it, in which nobody is looked for.
    referrals: Referrals::Ignore,
    changed_by: ChangedBy::UsnChanged,
    primary_groups: true,
    version: "uSNChanged",
    attributes: &[
        ("userName", "sAMAccountName"),
        ("displayName", "displayName|cn"),
        ("name.givenName", "givenName"),
        ("name.familyName", "sn"),
        ("emails", "mail"),
        ("title", "title"),
        ("phoneNumbers", "telephoneNumber"),
        ("enterprise.employeeNumber", "employeeID|employeeNumber"),
        ("enterprise.department", "department"),
        ("enterprise.division", "division"),
        ("enterprise.organization", "company"),
    ],
};

const INET_ORG_PERSON: &[(&str, &str)] = &[
    ("userName", "uid"),
    ("displayName", "displayName|cn"),
    ("name.givenName", "givenName"),
    ("name.familyName", "sn"),
    ("emails", "mail"),
    ("title", "title"),
    ("phoneNumbers", "telephoneNumber"),
    ("preferredLanguage", "preferredLanguage"),
    ("enterprise.employeeNumber", "employeeNumber"),
    ("enterprise.department", "departmentNumber"),
    ("enterprise.organization", "o"),
];

fn usual(preset: Preset) -> Usual {
    match preset {
        Preset::OpenLdap => OPENLDAP,
        Preset::ActiveDirectory => ACTIVE_DIRECTORY,
        Preset::Ds389 => DS389,
    }
}

impl Options {
    pub(super) fn new(config: &LdapConfig) -> Result<Self, SourceError> {
        let usual = usual(config.preset);
        let or = |given: &Option<String>, usual: &str| given.clone().unwrap_or_else(|| usual.to_owned());
        let urls = config.urls.iter().map(|url| {
            Url::parse(url).map_err(|error| SourceError::Unusable(format!("{url} is not an address: {error}")))
        });
        let mut attributes: BTreeMap<&str, &str> = usual.attributes.iter().copied().collect();
        attributes.extend(config.attributes.iter().map(|(path, names)| (path.as_str(), names.as_str())));
        let primary_groups = config.primary_groups.unwrap_or(usual.primary_groups);
        let members = member::attributes(&or(&config.member, "member|uniqueMember")).map_err(SourceError::Unusable)?;
        if primary_groups && members.iter().any(Member::is_by_name) {
            let why =
                "member: memberUid and primary_groups cannot both be: a person is named by one thing besides the DN";
            return Err(SourceError::Unusable(why.to_owned()));
        }
        Ok(Self {
            urls: urls.collect::<Result<_, _>>()?,
            start_tls: config.start_tls,
            tls: tls::verifying(config.ca_file.as_deref())?,
            bind: config.bind.clone(),
            user_base: or(&config.user_base_dn, &config.base_dn),
            group_base: or(&config.group_base_dn, &config.base_dn),
            user_filter: or(&config.user_filter, usual.user_filter),
            group_filter: or(&config.group_filter, usual.group_filter),
            id: or(&config.id, usual.id),
            members,
            member_name: or(&config.member_name, "uid"),
            primary_groups,
            version: usual.version,
            changed_by: config.changed_by.unwrap_or(usual.changed_by),
            group_name: or(&config.group_name, "cn"),
            disabled: config.disabled.unwrap_or(usual.disabled),
            referrals: config.referrals.unwrap_or(usual.referrals),
            mapping: Mapping::new(&attributes).map_err(SourceError::Unusable)?,
            page_size: i32::try_from(config.page_size).unwrap_or(i32::MAX),
            timeout: config.timeout,
        })
    }

    /// The attribute of a person that groups name members by, if one does so.
    pub(super) fn member_name(&self) -> Option<&str> {
        self.members.iter().any(Member::is_by_name).then_some(self.member_name.as_str())
    }
}
