//! Entity tags (RFC 7644 section 3.14): `W/"n"` with the resource's version as n.
//!
//! Compared weakly also for `If-Match`, because SCIM's tags are weak. A tag that is none of ours is simply a tag of
//! another version: 412, never 400.

use axum::http::{HeaderMap, HeaderName, header};

use crate::directory::Precondition;

/// The tag of a version.
pub(super) fn of(version: i64) -> String {
    format!("W/\"{version}\"")
}

/// Which versions a request is about.
#[derive(Debug)]
pub(super) struct Conditions {
    if_match: Tags,
    if_none_match: Tags,
}

impl Conditions {
    /// What the headers say.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self { if_match: tags(headers, &header::IF_MATCH), if_none_match: tags(headers, &header::IF_NONE_MATCH) }
    }

    /// What the `version` of a bulk operation says (RFC 7644 section 3.7).
    pub(super) fn of_bulk(version: Option<&str>) -> Self {
        let if_match = version.map_or(Tags::None, |text| read([text]));
        Self { if_match, if_none_match: Tags::None }
    }

    /// What `If-Match` asks for.
    pub(super) fn precondition(&self) -> Precondition {
        match &self.if_match {
            Tags::None | Tags::Any => Precondition::None,
            Tags::Versions(versions) => Precondition::Versions(versions.clone()),
        }
    }

    /// Whether `If-None-Match` says that the client has this version already.
    pub(super) fn is_known(&self, version: Option<i64>) -> bool {
        match &self.if_none_match {
            Tags::None => false,
            Tags::Any => true,
            Tags::Versions(versions) => version.is_some_and(|version| versions.contains(&version)),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    None,
    Any,
    Versions(Vec<i64>),
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Tags {
    read(headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("?")))
}

fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Tags {
    let mut given = false;
    let mut versions = Vec::new();
    for line in lines {
        // Our tags are digits, so a comma inside a foreign tag only makes two foreign tags of it.
        for tag in line.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
            given = true;
            if tag == "*" {
                return Tags::Any;
            }
            versions.extend(version(tag));
        }
    }
    if given { Tags::Versions(versions) } else { Tags::None }
}

fn version(tag: &str) -> Option<i64> {
    let opaque = tag.strip_prefix("W/").or_else(|| tag.strip_prefix("w/")).unwrap_or(tag);
    let digits = opaque.strip_prefix('"')?.strip_suffix('"')?;
    // `+3` parses as a number, and is no tag that we ever gave.
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn if_match_is_read_as_versions() {
        let versions = |list: &[i64]| Precondition::Versions(list.to_vec());
        let table = [
            (vec![], Precondition::None),
            (vec![""], Precondition::None),
            (vec!["*"], Precondition::None),
            (vec!["W/\"3\""], versions(&[3])),
            (vec!["w/\"3\""], versions(&[3])),
            (vec!["\"3\""], versions(&[3])),
            (vec!["W/\"3\", \"4\""], versions(&[3, 4])),
            (vec!["W/\"3\"", "W/\"5\""], versions(&[3, 5])),
            (vec!["garbage"], versions(&[])),
            (vec!["3"], versions(&[])),
            (vec!["W/\"\""], versions(&[])),
            (vec!["W/\"+3\""], versions(&[])),
            (vec!["W/\"99999999999999999999\""], versions(&[])),
            (vec!["garbage, W/\"7\""], versions(&[7])),
        ];
        for (lines, expected) in table {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(header::IF_MATCH, line.parse().unwrap());
            }
            assert_eq!(Conditions::of(&headers).precondition(), expected, "{lines:?}");
        }
    }

    #[test]
    fn if_none_match_knows_the_version_or_anything() {
        for (line, known) in
            [("W/\"3\"", true), ("*", true), ("W/\"2\", W/\"3\"", true), ("W/\"4\"", false), ("x", false)]
        {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, line.parse().unwrap())]);
            assert_eq!(Conditions::of(&headers).is_known(Some(3)), known, "{line}");
        }
        assert!(!Conditions::of(&HeaderMap::new()).is_known(Some(3)));
    }
}
