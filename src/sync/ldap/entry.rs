//! An answer taken apart. Whatever a server sends ends in `None`, never in a panic.

use std::collections::BTreeMap;

use ldap3::ResultEntry;
use ldap3::asn1::StructureTag;

/// An entry as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) dn: String,
    /// Values by the name of their attribute in lower case.
    values: BTreeMap<String, Vec<Vec<u8>>>,
    /// Attributes of which only the first values were sent, and where the next begin.
    pub(super) ranges: Vec<(String, u32)>,
    /// How many bytes its values have.
    pub(super) size: usize,
}

impl Raw {
    /// Takes an answer apart; `None` where it is not formed as it has to be.
    pub(super) fn read(entry: ResultEntry) -> Option<Self> {
        let mut parts = entry.0.match_id(4)?.expect_constructed()?.into_iter();
        let mut raw = Self { dn: text(parts.next()?)?, ..Self::default() };
        for attribute in parts.next()?.expect_constructed()? {
            let mut parts = attribute.expect_constructed()?.into_iter();
            let description = text(parts.next()?)?;
            let values = parts.next()?.expect_constructed()?.into_iter().map(StructureTag::expect_primitive);
            raw.add(&description, values.collect::<Option<Vec<_>>>()?);
        }
        Some(raw)
    }

    fn add(&mut self, description: &str, values: Vec<Vec<u8>>) {
        let (name, option) = match description.split_once(';') {
            None => (description.to_lowercase(), None),
            Some((name, option)) => (name.to_lowercase(), Some(option)),
        };
        match option.map(range) {
            // A language or an encoding of its own is another attribute.
            Some(None) => return,
            Some(Some(Some(next))) => self.ranges.push((name.clone(), next)),
            Some(Some(None)) | None => {}
        }
        self.size += values.iter().map(Vec::len).sum::<usize>();
        self.values.entry(name).or_default().extend(values);
    }

    /// The values of an attribute.
    pub(super) fn all(&self, name: &str) -> &[Vec<u8>] {
        self.values.get(&name.to_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// The values of an attribute that are text.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.all(name)
            .iter()
            .filter_map(|value| std::str::from_utf8(value).ok())
            .map(str::trim)
            .filter(|t| !t.is_empty())
    }

    /// The first value of an attribute that is text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }
}

/// `range=0-1499`: where the next values begin, if there are any; `None` for any other option.
fn range(option: &str) -> Option<Option<u32>> {
    let bounds = option.to_lowercase().strip_prefix("range=")?.to_owned();
    let (_, end) = bounds.split_once('-')?;
    if end == "*" { Some(None) } else { Some(Some(end.parse::<u32>().ok()?.checked_add(1)?)) }
}

fn text(tag: StructureTag) -> Option<String> {
    String::from_utf8(tag.expect_primitive()?).ok()
}

#[cfg(test)]
pub(super) fn raw(dn: &str, attributes: &[(&str, &[&[u8]])]) -> Raw {
    let mut raw = Raw { dn: dn.to_owned(), ..Raw::default() };
    for (description, values) in attributes {
        raw.add(description, values.iter().map(|value| value.to_vec()).collect());
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::raw;

    #[test]
    fn a_range_says_where_the_next_values_begin() {
        let entry = raw("cn=g", &[("member", &[]), ("member;range=0-1499", &[b"cn=a", b"cn=b"])]);
        assert_eq!((entry.all("Member").len(), entry.ranges.as_slice()), (2, &[("member".to_owned(), 1500)][..]));
        let last = raw("cn=g", &[("member;Range=1500-*", &[b"cn=c"])]);
        assert!(last.ranges.is_empty());
        assert_eq!(last.texts("member").collect::<Vec<_>>(), ["cn=c"]);
    }

    #[test]
    fn an_attribute_in_another_language_is_another_attribute() {
        let entry = raw("cn=g", &[("cn;lang-de", &[b"Gruppe"]), ("cn", &[b"Group"])]);
        assert_eq!(entry.texts("cn").collect::<Vec<_>>(), ["Group"]);
    }

    #[test]
    fn what_is_no_text_has_no_text() {
        let entry = raw("cn=g", &[("objectGUID", &[b"\xff\xfe"]), ("cn", &[b"  "])]);
        assert_eq!((entry.text("objectGUID"), entry.text("cn"), entry.all("objectGUID").len()), (None, None, 1));
    }
}
