//! How groups name their members: by DN or by name (RFC 2307), all at once or in parts, and, in Active Directory, by being
//! somebody's primary group, which only the person tells.

use super::dn;
use super::entry::Raw;
use super::options::Options;

/// What a security identifier ends in: the number of the account within its domain.
const RELATIVE: usize = 4;
/// How long a security identifier is: a revision and an authority, and then up to 15 numbers.
const SID: std::ops::RangeInclusive<usize> = 12..=68;
const PRIMARY: &str = "primary:";
const NAME: &str = "name:";

/// An attribute of a group whose values are members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    /// So many values are asked for at once; `None`: as many as the server gives.
    at_once: Option<u32>,
}

impl Member {
    /// What is asked for when a group is read.
    pub(super) fn first(&self) -> String {
        if self.at_once.is_some() { self.from(0) } else { self.name.clone() }
    }

    /// What is asked for to get the values from that one on.
    pub(super) fn from(&self, first: u32) -> String {
        let last = self.at_once.map_or_else(|| "*".to_owned(), |count| first.saturating_add(count - 1).to_string());
        format!("{};range={first}-{last}", self.name)
    }

    /// Whether its values are names of people instead of DNs.
    pub(super) fn is_by_name(&self) -> bool {
        self.name.eq_ignore_ascii_case("memberUid")
    }

    fn members(&self, raw: &Raw) -> impl Iterator<Item = String> {
        raw.texts(&self.name).map(if self.is_by_name() { named } else { dn::member })
    }
}

/// `member;range=0-999|uniqueMember`
///
/// # Errors
/// A sentence about the first that is none.
pub(super) fn attributes(written: &str) -> Result<Vec<Member>, String> {
    let member = |text: &str| match text.split_once(';') {
        None => Some(Member { name: text.to_owned(), at_once: None }),
        Some((name, option)) => {
            let last: u32 = option.to_lowercase().strip_prefix("range=0-")?.parse().ok()?;
            Some(Member { name: name.to_owned(), at_once: Some(last.checked_add(1)?) })
        }
    };
    let wrong = |text: &str| format!("member: \"{text}\" is no attribute, nor one such as \"member;range=0-999\"");
    written.split('|').map(str::trim).map(|text| member(text).ok_or_else(|| wrong(text))).collect()
}

/// The members of a group that were sent.
pub(super) fn members(raw: &Raw, options: &Options) -> Vec<String> {
    options.members.iter().flat_map(|member| member.members(raw)).collect()
}

/// What a group calls somebody whom it does not name by DN; never the spelling of one.
pub(super) fn named(name: &str) -> String {
    format!("{NAME}{name}")
}

/// The name that the group has, of what `named` made of it.
pub(super) fn name_of(also: &str) -> Option<&str> {
    also.strip_prefix(NAME)
}

/// What all those are called whose primary group a group is.
pub(super) fn as_primary(raw: &Raw) -> Option<String> {
    Some(primary(raw.all("objectSid").first().filter(|sid| SID.contains(&sid.len()))?))
}

/// The same, by one of them: the group's identifier is the person's own, with another number at its end.
pub(super) fn by_primary(raw: &Raw) -> Option<String> {
    let own = raw.all("objectSid").first().filter(|sid| SID.contains(&sid.len()))?;
    let group: u32 = raw.text("primaryGroupID")?.parse().ok()?;
    let domain = own.get(..own.len() - RELATIVE)?;
    Some(primary(&[domain, &group.to_le_bytes()].concat()))
}

fn primary(sid: &[u8]) -> String {
    let digits: String = sid.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PRIMARY}{digits}")
}

/// A filter for the group that those who are called so have as their primary one.
pub(super) fn primary_filter(also: &str) -> Option<String> {
    let digits = also.strip_prefix(PRIMARY)?.as_bytes();
    let bytes: String = digits.chunks(2).map(|byte| format!("\\{}", String::from_utf8_lossy(byte))).collect();
    Some(format!("(objectSid={bytes})"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::entry::raw;
    use super::*;

    #[test]
    fn members_are_asked_for_at_once_or_in_parts() {
        let asked = attributes("member | uniqueMember;Range=0-499").unwrap();
        assert_eq!((asked[0].first(), asked[0].from(1500)), ("member".to_owned(), "member;range=1500-*".to_owned()));
        let part = |from: u32| asked[1].from(from);
        assert_eq!(asked[1].first(), "uniqueMember;range=0-499");
        assert_eq!((part(500), part(700)), ("uniqueMember;range=500-999".into(), "uniqueMember;range=700-1199".into()));
        for wrong in ["member;range=1-5", "member;range=0-*", "member;lang-de", "member;range=0-4294967295"] {
            assert!(attributes(wrong).unwrap_err().contains(wrong));
        }
    }

    #[test]
    fn a_person_and_the_primary_group_call_it_the_same() {
        let sid = |relative: u32| [&[1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0][..], &relative.to_le_bytes()].concat();
        let (own, group) = (sid(1103), sid(513));
        let person = raw("cn=ann", &[("objectSid", &[&own]), ("primaryGroupID", &[b"513"])]);
        let also = by_primary(&person).unwrap();
        assert_eq!(as_primary(&raw("cn=all", &[("objectSid", &[&group])])).unwrap(), also);
        assert_eq!(
            primary_filter(&also).unwrap(),
            "(objectSid=\\01\\02\\00\\00\\00\\00\\00\\05\\15\\00\\00\\00\\01\\02\\00\\00)"
        );
        assert_eq!((name_of(&also), primary_filter(&named("ann"))), (None, None));
        for odd in [&b"x"[..], &[0; 69]] {
            let odd = raw("cn=ann", &[("objectSid", &[odd]), ("primaryGroupID", &[b"513"])]);
            assert_eq!((by_primary(&odd), as_primary(&odd)), (None, None));
        }
        assert_eq!(by_primary(&raw("cn=ann", &[("objectSid", &[&own]), ("primaryGroupID", &[b"-1"])])), None);
    }
}
