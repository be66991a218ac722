//! The snapshot of all memberships: XML, read as a stream of events into as little as can be (DC-85).

use std::collections::HashMap;
use std::sync::Arc;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::account::fold;

/// Who is a direct member of what.
#[derive(Default)]
pub(in crate::jira) struct Memberships {
    /// By folded username; the names of groups are shared.
    groups_of: HashMap<Box<str>, Vec<Arc<str>>>,
}

impl Memberships {
    /// Reads the document; the error says where it is none.
    pub(in crate::jira) fn read(document: &[u8]) -> Result<Self, String> {
        let mut reader = Reader::from_reader(document);
        let (mut found, mut group, mut ended) = (Self::default(), None::<Arc<str>>, false);
        loop {
            let event = reader.read_event().map_err(|error| strange(&error.to_string()))?;
            match event {
                Event::Empty(tag) if tag.local_name().as_ref() == b"memberships" => ended = true,
                Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                    b"membership" => group = Some(attribute(&tag, b"group")?.into()),
                    b"user" => {
                        let group = group.clone().ok_or_else(|| strange("a member of no group"))?;
                        let name = fold(&attribute(&tag, b"name")?);
                        found.groups_of.entry(name.into()).or_default().push(group);
                    }
                    _ => {}
                },
                Event::End(tag) if tag.local_name().as_ref() == b"membership" => group = None,
                Event::End(tag) if tag.local_name().as_ref() == b"memberships" => ended = true,
                Event::Eof => break,
                _ => {}
            }
        }
        // A document that was cut off would make members look as if they had left.
        if ended { Ok(found) } else { Err(strange("it ends too early")) }
    }

    /// The groups of that user.
    pub(in crate::jira) fn groups_of(&self, username: &str) -> Vec<String> {
        let groups = self.groups_of.get(fold(username).as_str());
        groups.into_iter().flatten().map(ToString::to_string).collect()
    }
}

fn attribute(tag: &BytesStart<'_>, name: &[u8]) -> Result<String, String> {
    let found = tag.try_get_attribute(name).map_err(|error| strange(&error.to_string()))?;
    let found = found.ok_or_else(|| strange("a name is missing"))?;
    let raw = std::str::from_utf8(&found.value).map_err(|error| strange(&error.to_string()))?;
    let value = quick_xml::escape::unescape(raw).map_err(|error| strange(&error.to_string()))?;
    Ok(value.into_owned())
}

fn strange(what: &str) -> String {
    format!("the memberships that the Crowd API answered cannot be read: {what}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_snapshot_is_read_with_its_escapes_and_without_its_nested_groups() {
        // DC-85
        let document = br#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
            <memberships>
              <membership group="r&amp;d &#60;1&gt;"><users><user name="Mara.Lund"/><user name="ole"></user></users>
                <groups><group name="child"/></groups></membership>
              <membership group="empty"><users/><groups/></membership>
              <membership group="platform-crew"><users><user name="mara.lund"/></users></membership>
            </memberships>"#;
        let found = Memberships::read(document).unwrap();
        assert_eq!(found.groups_of("mara.LUND"), ["r&d <1>", "platform-crew"]);
        assert_eq!(found.groups_of("ole"), ["r&d <1>"]);
        assert!(found.groups_of("child").is_empty());
    }

    #[test]
    fn a_document_that_was_cut_off_or_is_none_is_no_snapshot() {
        for document in [
            "<memberships><membership group=\"a\"><users><user name=\"b\"/>",
            "<html><body>Please log in</body></html>",
            "<memberships><user name=\"a\"/></memberships>",
            "",
        ] {
            assert!(Memberships::read(document.as_bytes()).is_err(), "{document}");
        }
    }
}
