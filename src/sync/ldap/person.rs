//! From an LDAP entry to a SCIM document. What the document means for Jira is the tenant's policy.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::dn;
use super::entry::Raw;
use super::member::{self, members};
use super::options::Options;
use crate::config::Disabled;
use crate::sync::mapping::{Goal, MOST_VALUES};
use crate::sync::source::{Entry, Piece};

/// SCIM attributes by the LDAP attributes that they are made of, of which the first that has a value counts.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    goals: Vec<(Goal, Vec<String>)>,
}

impl Mapping {
    /// From paths to names (`displayName` to `displayName|cn`); one without a name is left out.
    ///
    /// # Errors
    /// A sentence about the first that cannot be used.
    pub(super) fn new(attributes: &BTreeMap<&str, &str>) -> Result<Self, String> {
        let mut goals = Vec::new();
        for (path, names) in attributes {
            let names: Vec<String> =
                names.split('|').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
            let word = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
            if let Some(odd) = names.iter().find(|name| !word(name)) {
                return Err(format!("attributes: \"{odd}\" is no name of an LDAP attribute"));
            }
            if !names.is_empty() {
                goals.push((Goal::read(path)?, names));
            }
        }
        let mapping = Self { goals };
        if mapping.user_names().next().is_none() {
            return Err("attributes: userName has to be made of something".to_owned());
        }
        Ok(mapping)
    }

    /// All LDAP attributes.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.goals.iter().flat_map(|(_, names)| names).map(String::as_str)
    }

    /// Those that the userName is made of.
    pub(super) fn user_names(&self) -> impl Iterator<Item = &str> {
        self.goals.iter().filter(|(goal, _)| goal.is_user_name()).flat_map(|(_, names)| names).map(String::as_str)
    }
}

/// The attribute that tells who is switched off.
pub(super) fn disabled_attribute(rule: Disabled) -> Option<&'static str> {
    match rule {
        Disabled::Never => None,
        Disabled::UserAccountControl => Some("userAccountControl"),
        Disabled::PwdAccountLockedTime => Some("pwdAccountLockedTime"),
        Disabled::NsAccountLock => Some("nsAccountLock"),
    }
}

/// The year in which `pwdAccountLockedTime` is, of an account that somebody has to unlock.
const LOCKED_FOR_EVER: &str = "0000";
/// The bit of `userAccountControl` (ACCOUNTDISABLE).
const ACCOUNT_DISABLE: i64 = 2;

fn is_disabled(raw: &Raw, rule: Disabled) -> Result<bool, String> {
    let value = disabled_attribute(rule).and_then(|name| raw.text(name)).unwrap_or_default();
    Ok(match rule {
        Disabled::Never => false,
        // Every account has it: where it may not be read nobody knows who is switched off.
        Disabled::UserAccountControl => {
            let flags = value.parse::<i64>().map_err(|_| "its userAccountControl cannot be read".to_owned())?;
            flags & ACCOUNT_DISABLE != 0
        }
        Disabled::PwdAccountLockedTime => value.starts_with(LOCKED_FOR_EVER),
        Disabled::NsAccountLock => value.eq_ignore_ascii_case("true"),
    })
}

/// Attributes of Active Directory whose 16 bytes are a number; they may look like text.
const NUMBERS: [&str; 2] = ["objectGUID", "mS-DS-ConsistencyGuid"];

/// The id that stays.
fn key(raw: &Raw, attribute: &str) -> Option<String> {
    if NUMBERS.iter().any(|number| attribute.eq_ignore_ascii_case(number)) {
        let bytes: [u8; 16] = raw.all(attribute).first()?.as_slice().try_into().ok()?;
        return Some(Uuid::from_bytes_le(bytes).to_string());
    }
    raw.text(attribute).map(str::to_owned)
}

/// A person.
pub(super) fn person(raw: &Raw, options: &Options) -> Piece {
    let Some((key, place)) = key(raw, &options.id).zip(dn::normalised(&raw.dn)) else {
        return nameless(raw, options);
    };
    let mut body = Map::new();
    for (goal, names) in &options.mapping.goals {
        let values: Option<Vec<&str>> = names
            .iter()
            .map(|name| raw.texts(name).take(MOST_VALUES).collect::<Vec<_>>())
            .find(|values| !values.is_empty());
        if let Some(values) = values {
            goal.put(&mut body, &values);
        }
    }
    let body = match is_disabled(raw, options.disabled) {
        _ if !body.contains_key("userName") => {
            Err(format!("it has no {}", options.mapping.user_names().collect::<Vec<_>>().join(" or ")))
        }
        Err(why) => Err(why),
        Ok(disabled) => {
            body.insert("externalId".to_owned(), json!(key));
            body.insert("active".to_owned(), json!(!disabled));
            Ok(Value::Object(body))
        }
    };
    let also = match options.primary_groups {
        true => member::by_primary(raw),
        false => options.member_name().and_then(|name| raw.text(name)).map(member::named),
    };
    Piece::Entry(Entry { key, place, also, shown: raw.dn.clone(), body })
}

/// A group with the members that were sent with it.
pub(super) fn group(raw: &Raw, options: &Options) -> Vec<Piece> {
    let Some((key, place)) = key(raw, &options.id).zip(dn::normalised(&raw.dn)) else {
        return vec![nameless(raw, options)];
    };
    let body = match raw.text(&options.group_name) {
        Some(name) => Ok(json!({ "displayName": name, "externalId": key })),
        None => Err(format!("it has no {}", options.group_name)),
    };
    let members = members(raw, options);
    let primary = if options.primary_groups { member::as_primary(raw) } else { None };
    let primary = primary.map(|also| Piece::MembersBy { group: key.clone(), also });
    let entry = Piece::Entry(Entry { key: key.clone(), place, also: None, shown: raw.dn.clone(), body });
    [entry].into_iter().chain(primary).chain([Piece::Members { group: key, members }]).collect()
}

fn nameless(raw: &Raw, options: &Options) -> Piece {
    Piece::Nameless { shown: raw.dn.clone(), why: format!("it has no {} that can be read", options.id) }
}

#[cfg(test)]
mod tests {
    use super::super::entry::raw;
    use super::*;

    #[test]
    fn who_is_switched_off_is_told_in_the_servers_way() {
        let told = |rule, name: &str, value: &str| is_disabled(&raw("cn=ann", &[(name, &[value.as_bytes()])]), rule);
        let account = |value| told(Disabled::UserAccountControl, "userAccountControl", value);
        assert_eq!((account("514"), account("66048"), account("-2147483646")), (Ok(true), Ok(false), Ok(true)));
        assert!(
            account("").is_err() && account("none").is_err(),
            "who may not be seen to be switched off is not switched on"
        );
        let locked = |value| told(Disabled::PwdAccountLockedTime, "pwdAccountLockedTime", value);
        let times = ["000001010000Z", "00000101000000Z", "20261122010000Z", ""];
        assert_eq!(times.map(locked), [Ok(true), Ok(true), Ok(false), Ok(false)]);
        assert_eq!(told(Disabled::NsAccountLock, "nsAccountLock", "TRUE"), Ok(true));
        assert_eq!(told(Disabled::Never, "userAccountControl", "514"), Ok(false));
    }

    #[test]
    fn an_id_of_active_directory_is_sixteen_bytes() {
        let bytes: &[u8] = b"abcdefghijklmnop";
        for name in ["objectGUID", "ms-ds-consistencyguid"] {
            let entry = |value| raw("cn=ann", &[(name, &[value])]);
            assert_eq!(key(&entry(bytes), name).as_deref(), Some("64636261-6665-6867-696a-6b6c6d6e6f70"));
            assert_eq!(key(&entry(&bytes[1..]), name), None);
        }
        assert_eq!(key(&raw("cn=ann", &[("entryUUID", &[bytes])]), "entryUUID").as_deref(), Some("abcdefghijklmnop"));
    }
}
