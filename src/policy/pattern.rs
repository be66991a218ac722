//! A regular expression of a policy: understood when the policy is written, of bounded size, and told from another by its text.

use std::fmt;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The largest program that a pattern may become, in bytes.
const LARGEST: usize = 1 << 20;
/// Names that have nothing in common: what fits all of them fits everybody.
const ANYBODY: [&str; 5] = ["a", "Zoë Ångström", "q7-probe@nowhere.test", "_svc.probe", "0"];

/// A regular expression over names. Letter case does not count, as it does not count in Jira's names; `(?-i)` makes it count.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Understands a pattern.
    ///
    /// # Errors
    /// The library's words: what is wrong, and where.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        RegexBuilder::new(text).case_insensitive(true).size_limit(LARGEST).build().map(Self)
    }

    /// Whether a part of the name fits, or all of it where the pattern says so (`^...$`).
    pub fn is_match(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// The name with every part that fits replaced; `$1` stands for what the first parentheses fit.
    pub fn replace(&self, name: &str, with: &str) -> String {
        self.0.replace_all(name, with).into_owned()
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether letter case counts, or may count.
    pub(super) fn regards_case(&self) -> bool {
        // `(?-i)`, `(?s-i:...)`: flags behind a minus.
        self.as_str().split("(?").skip(1).any(|tail| {
            let flags = tail.split([')', ':']).next().unwrap_or_default();
            flags.split_once('-').is_some_and(|(_, off)| off.contains('i'))
        })
    }

    /// Whether there is hardly a name that does not fit.
    pub(super) fn fits_everybody(&self) -> bool {
        ANYBODY.iter().all(|name| self.is_match(name))
    }

    /// A reference in `with` to parentheses that the pattern does not have.
    pub(super) fn unknown_reference(&self, with: &str) -> Option<String> {
        let names: Vec<&str> = self.0.capture_names().flatten().collect();
        let mut rest = with;
        while let Some((_, tail)) = rest.split_once('$') {
            let (name, after) = reference(tail);
            let known = match name.parse::<usize>() {
                Ok(number) => number < self.0.captures_len(),
                Err(_) => name.is_empty() || names.contains(&name),
            };
            if !known {
                return Some(format!("${name}"));
            }
            rest = after;
        }
        None
    }
}

/// The name behind a `$`, and what follows it; empty for `$$`.
fn reference(tail: &str) -> (&str, &str) {
    if let Some(after) = tail.strip_prefix('$') {
        return ("", after);
    }
    if let Some((name, after)) = tail.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
        return (name, after);
    }
    let end = tail.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(tail.len());
    tail.split_at(end)
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(|error| de::Error::custom(format!("a regular expression is not understood: {error}")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn letter_case_does_not_count_unless_it_is_asked_for() {
        assert!(Pattern::new("^svc-").unwrap().is_match("SVC-backup"));
        assert!(!Pattern::new("(?-i)^svc-").unwrap().is_match("SVC-backup"));
    }

    #[test]
    fn parts_are_put_where_the_replacement_says() {
        let pattern = Pattern::new("^jira-(.+)-(eu|us)$").unwrap();
        assert_eq!(pattern.replace("jira-dev-eu", "$2.$1"), "eu.dev");
        assert_eq!(pattern.replace("dev", "$1"), "dev");
    }

    #[test]
    fn a_reference_to_parentheses_that_are_not_there_is_found() {
        let pattern = Pattern::new("^(a)(?P<kind>b)$").unwrap();
        for (with, unknown) in [
            ("$1-$2", None),
            ("${kind}", None),
            ("$$5", None),
            ("$3", Some("$3")),
            ("$1x", Some("$1x")),
            ("${1}x", None),
            ("${no}", Some("$no")),
        ] {
            assert_eq!(pattern.unknown_reference(with).as_deref(), unknown, "{with}");
        }
    }

    #[test]
    fn a_pattern_that_fits_everybody_is_recognised() {
        for (text, everybody) in [(".*", true), ("", true), ("^.+$", true), ("^svc-", false), ("a|b", false)] {
            assert_eq!(Pattern::new(text).unwrap().fits_everybody(), everybody, "{text}");
        }
    }
}
