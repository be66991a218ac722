//! From where changes are to be asked for: the server's own times or counts, never this machine's clock, which says only what
//! is too far ahead to be believed.
//!
//! A time is the newest that a read saw, because only the server knows its clock; a count is what the server said before the read.
//! Both are overlapped, for what reached a replica late or was committed out of turn.

use chrono::{NaiveDateTime, TimeDelta};
use ldap3::{Ldap, Scope};

use super::connect::unreachable;
use super::entry::Raw;
use super::options::Options;
use crate::config::ChangedBy;
use crate::sync::source::{Mark, SourceError};

/// Changes that are asked for once more: what a replica learns so much later is still seen.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);
/// The same of counts.
const OVERLAP_COUNT: u64 = 1000;
/// Before every entry: where nothing was there, whatever comes later is newer.
const BEGINNING: &str = "19700101000000";
/// A time further ahead was written by a server whose clock was wrong, and would hide every change until then.
const AHEAD: TimeDelta = TimeDelta::days(1);
/// Digits of a time without fractions of a second.
const DIGITS: usize = 14;
/// The form of those digits.
const FORM: &str = "%Y%m%d%H%M%S";

/// What a read knows of changes.
pub(super) struct Changes {
    by: ChangedBy,
    since: Option<Mark>,
    /// Whose count it is.
    server: String,
    /// The server's count when the read began.
    count: Option<u64>,
    /// The newest time that was seen, in its digits.
    newest: Option<String>,
    /// No time after this one is believed, in digits.
    latest: String,
    /// Entries were seen.
    any: bool,
}

impl Changes {
    /// Before a read; of changes since then.
    ///
    /// # Errors
    /// [`SourceError::Stale`]: another server answers, or its count went back.
    pub(super) async fn begin(
        ldap: &mut Ldap,
        address: &str,
        options: &Options,
        since: Option<&Mark>,
    ) -> Result<Self, SourceError> {
        let by = options.changed_by;
        let (server, count) = match by {
            ChangedBy::Never | ChangedBy::ModifyTimestamp => (String::new(), None),
            ChangedBy::UsnChanged | ChangedBy::WhenChanged => controller(ldap, address, options).await?,
        };
        let latest = (chrono::Utc::now() + AHEAD).format(FORM).to_string();
        let changes = Self { by, since: since.cloned(), server, count, newest: None, latest, any: false };
        changes.check()?;
        Ok(changes)
    }

    fn check(&self) -> Result<(), SourceError> {
        let Some(since) = &self.since else { return Ok(()) };
        let stale = |why: &str| Err(SourceError::Stale(why.to_owned()));
        if since.server != self.server {
            return stale("another server answers than the last time");
        }
        match self.by {
            ChangedBy::Never => stale("changed_by is \"never\""),
            ChangedBy::UsnChanged => match (self.count, since.at.parse::<u64>()) {
                (Some(now), Ok(then)) if now >= then => Ok(()),
                (Some(_), Ok(_)) => stale("the server's count of changes went back"),
                _ => stale("the server does not count its changes"),
            },
            ChangedBy::ModifyTimestamp | ChangedBy::WhenChanged => match time(&since.at) {
                Some(_) => Ok(()),
                None => stale("the last time is not understood"),
            },
        }
    }

    /// The attribute that has to be read for it.
    pub(super) fn attribute(&self) -> Option<&'static str> {
        match self.by {
            ChangedBy::ModifyTimestamp => Some("modifyTimestamp"),
            ChangedBy::WhenChanged => Some("whenChanged"),
            ChangedBy::UsnChanged | ChangedBy::Never => None,
        }
    }

    /// What has to hold for what changed.
    pub(super) fn filter(&self) -> Option<String> {
        let since = self.since.as_ref()?;
        match self.by {
            ChangedBy::Never => None,
            ChangedBy::UsnChanged => {
                let from = since.at.parse::<u64>().ok()?.saturating_sub(OVERLAP_COUNT);
                Some(format!("(uSNChanged>={from})"))
            }
            ChangedBy::ModifyTimestamp => Some(format!("(modifyTimestamp>={}Z)", from(&since.at)?)),
            ChangedBy::WhenChanged => Some(format!("(whenChanged>={}.0Z)", from(&since.at)?)),
        }
    }

    /// An entry came.
    pub(super) fn saw(&mut self, raw: &Raw) {
        self.any = true;
        let digits = self.attribute().and_then(|name| raw.text(name)).and_then(digits);
        let digits = digits.filter(|digits| *digits <= self.latest.as_str());
        if digits > self.newest.as_deref() {
            self.newest = digits.map(str::to_owned);
        }
    }

    /// From where the next read may ask for changes.
    pub(super) fn mark(&self) -> Option<Mark> {
        let at = match self.by {
            ChangedBy::Never => return None,
            ChangedBy::UsnChanged => self.count?.to_string(),
            ChangedBy::ModifyTimestamp | ChangedBy::WhenChanged => {
                let before = self.since.as_ref().and_then(|since| digits(&since.at));
                match self.newest.as_deref().max(before) {
                    Some(digits) => format!("{digits}Z"),
                    None if self.any => return None,
                    None => format!("{BEGINNING}Z"),
                }
            }
        };
        Some(Mark { server: self.server.clone(), at })
    }
}

/// Who a domain controller is, and how far it has counted. Restored from a backup, it is another.
async fn controller(ldap: &mut Ldap, address: &str, options: &Options) -> Result<(String, Option<u64>), SourceError> {
    let root = base_entry(ldap, address, options, "", &["dsServiceName", "highestCommittedUSN"]).await?;
    let first = |name: &str| root.as_ref().and_then(|entry| entry.text(name)).map(str::to_owned);
    let count = first("highestCommittedUSN").and_then(|text| text.parse().ok());
    let Some(service) = first("dsServiceName") else { return Ok((String::new(), None)) };
    // Where it may not be read, the name of the service has to do.
    let settings = base_entry(ldap, address, options, &service, &["invocationId"]).await?;
    let invocation = settings.as_ref().and_then(|entry| entry.all("invocationId").first()).map(|id| hex(id));
    Ok((format!("{service} {}", invocation.unwrap_or_default()), count))
}

/// One entry, or none where it cannot be read.
async fn base_entry(
    ldap: &mut Ldap,
    address: &str,
    options: &Options,
    dn: &str,
    attributes: &[&str],
) -> Result<Option<Raw>, SourceError> {
    let asked =
        ldap.with_timeout(options.timeout).search(dn, Scope::Base, "(objectClass=*)", attributes.to_vec()).await;
    let found = asked.map_err(|error| unreachable(address, &error))?;
    Ok(found.0.into_iter().next().and_then(Raw::read))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digits of a time in UTC, which compare as the times do; any other form is not understood.
fn digits(text: &str) -> Option<&str> {
    let (digits, rest) = text.split_at_checked(DIGITS)?;
    let fraction = rest.strip_suffix('Z')?;
    let plain = fraction.is_empty() || fraction.starts_with('.') && fraction[1..].bytes().all(|b| b.is_ascii_digit());
    (plain && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

fn time(text: &str) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(digits(text)?, FORM).ok()
}

/// From which time changes are asked for, in digits.
fn from(at: &str) -> Option<String> {
    Some(time(at)?.checked_sub_signed(OVERLAP)?.format(FORM).to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::entry::raw;
    use super::*;

    fn changes(by: ChangedBy, since: Option<(&str, &str)>, server: &str, count: Option<u64>) -> Changes {
        let since = since.map(|(server, at)| Mark { server: server.to_owned(), at: at.to_owned() });
        let latest = "20261231000000".to_owned();
        Changes { by, since, server: server.to_owned(), count, newest: None, latest, any: false }
    }

    #[test]
    fn changes_are_asked_for_from_a_little_before_the_newest_that_was_seen() {
        let mut read = changes(ChangedBy::ModifyTimestamp, None, "", None);
        assert_eq!(read.mark().unwrap().at, "19700101000000Z", "nothing was there");
        for time in ["20261122010000Z", "20261122013000Z", "20361122000000Z", "20261121235959Z", "yesterday"] {
            read.saw(&raw("cn=x", &[("modifyTimestamp", &[time.as_bytes()])]));
        }
        let mark = read.mark().unwrap();
        assert_eq!(mark.at, "20261122013000Z", "ten years ahead is the mistake of a clock");
        let mut next = changes(ChangedBy::ModifyTimestamp, Some(("", &mark.at)), "", None);
        next.check().unwrap();
        assert_eq!(next.filter().unwrap(), "(modifyTimestamp>=20261122012500Z)");
        assert_eq!(next.mark().unwrap(), mark, "nothing changed");
        next.saw(&raw("cn=x", &[("modifyTimestamp", &[b"20261122020000Z"])]));
        assert_eq!(next.mark().unwrap().at, "20261122020000Z");
    }

    #[test]
    fn a_server_that_keeps_its_times_to_itself_is_read_in_full() {
        let mut read = changes(ChangedBy::ModifyTimestamp, None, "", None);
        read.saw(&raw("cn=x", &[]));
        assert_eq!(read.mark(), None);
        assert_eq!(changes(ChangedBy::UsnChanged, None, "dc1", None).mark(), None);
        assert_eq!(changes(ChangedBy::Never, None, "", None).mark(), None);
    }

    #[test]
    fn times_of_active_directory_have_a_fraction() {
        let mut read = changes(ChangedBy::WhenChanged, Some(("dc1", "20261122013000Z")), "dc1", None);
        assert_eq!(read.filter().unwrap(), "(whenChanged>=20261122012500.0Z)");
        read.saw(&raw("cn=x", &[("whenChanged", &[b"20261122020000.0Z"])]));
        assert_eq!(read.mark().unwrap().at, "20261122020000Z");
    }

    #[test]
    fn a_count_is_the_servers_own() {
        let same = changes(ChangedBy::UsnChanged, Some(("dc1", "5000")), "dc1", Some(5100));
        same.check().unwrap();
        assert_eq!(same.filter().unwrap(), "(uSNChanged>=4000)");
        assert_eq!(same.mark().unwrap(), Mark { server: "dc1".to_owned(), at: "5100".to_owned() });
        let stale = |server: &str, count| {
            let error = changes(ChangedBy::UsnChanged, Some(("dc1", "5000")), server, count).check().unwrap_err();
            assert!(matches!(error, SourceError::Stale(_)), "{error}");
            error.to_string()
        };
        assert!(stale("dc2", Some(9000)).contains("another server"));
        assert!(stale("dc1", Some(4999)).contains("went back"));
        assert!(stale("dc1", None).contains("does not count"));
    }
}
