//! A walk over all usernames by their beginnings, for a Jira whose search is cut off and that has no better list (DC-40,
//! DC-52). Pure: it says what to ask next, and is told how much came back.
//!
//! No page is trusted that may have been cut off: then its beginning is split into longer ones, letter by letter.

use serde::{Deserialize, Serialize};

use crate::account::fold;

/// The letters that usernames are made of nearly everywhere; others are learnt from what is seen.
const USUAL: &str = "abcdefghijklmnopqrstuvwxyz0123456789._-@+'";

/// Letters that a username may begin with in Europe: each is asked for once, because a name whose first letter nobody else has
/// would never be seen.
fn wide() -> impl Iterator<Item = char> {
    let ranges = ['\u{df}'..='\u{17f}', '\u{3b1}'..='\u{3c9}', '\u{430}'..='\u{45f}'];
    ranges.into_iter().flatten().filter(|letter| letter.is_lowercase())
}

/// Longer than any username.
const DEEPEST: usize = 255;

/// The smallest number of rows at which any version of Jira cuts a search off.
const SMALLEST_CAP: usize = 100;

/// Whether more rows may exist than came back. What the versions are known to do is believed only as long as the number is
/// not a round one.
pub(super) fn may_be_capped(rows: usize, known_cap: usize) -> bool {
    rows >= known_cap || (rows > 0 && rows.is_multiple_of(50))
}

/// The cap that a version is known to have; the smallest where it is not known (DC-40).
pub(super) fn known_cap(version: &[u32]) -> usize {
    if version.is_empty() || version >= [10].as_slice() { SMALLEST_CAP } else { 1000 }
}

/// Where the walk is. Short, and all that is needed to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Walk {
    /// The beginning to ask for next; empty for everybody.
    at: String,
    /// Letters that were learnt, in the order in which they were.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    learnt: String,
    /// Whether one was learnt after some beginning had been split without it: then there is a second round.
    #[serde(default)]
    again: bool,
}

impl Walk {
    /// What `user/search` is asked for; `None` where asking is of no use, because Jira would trim the blank.
    pub(super) fn question(&self) -> Option<&str> {
        match self.at.as_str() {
            "" => Some("."),
            at if at.ends_with(' ') => None,
            at => Some(at),
        }
    }

    /// Whether an account belongs to this beginning: the search finds other names and addresses as well (DC-38).
    pub(super) fn covers(&self, username: &str) -> bool {
        fold(username).starts_with(&self.at)
    }

    /// The username that a split would lose: the beginning itself.
    pub(super) fn itself(&self) -> Option<&str> {
        Some(self.at.as_str()).filter(|at| !at.is_empty() && !at.ends_with(' '))
    }

    /// Learns the letters of a username.
    pub(super) fn learn(&mut self, username: &str) {
        for letter in fold(username).chars() {
            if !USUAL.contains(letter) && !self.learnt.contains(letter) {
                self.learnt.push(letter);
                self.again |= !self.at.is_empty();
            }
        }
    }

    /// After an answer that was complete: the next beginning, or `None` at the end.
    pub(super) fn onward(mut self) -> Option<Self> {
        while let Some(last) = self.at.pop() {
            if let Some(next) = self.after(last) {
                self.at.push(next);
                return Some(self);
            }
        }
        // Every beginning has been asked for.
        let first = self.letters().next();
        (std::mem::take(&mut self.again)).then(|| Self { at: first.into_iter().collect(), ..self })
    }

    /// After an answer that may have been cut off: one letter more. `None` where no name can be longer.
    pub(super) fn inward(mut self) -> Option<Self> {
        if self.at.chars().count() >= DEEPEST {
            return None;
        }
        let first = self.letters().next()?;
        self.at.push(first);
        Some(self)
    }

    fn letters(&self) -> impl Iterator<Item = char> {
        let root = self.at.is_empty();
        let first = wide().filter(move |_| root);
        let learnt = self.learnt.chars().filter(move |letter| !(root && wide().any(|wide| wide == *letter)));
        USUAL.chars().chain(first).chain(learnt)
    }

    fn after(&self, letter: char) -> Option<char> {
        let no_blank = self.at.is_empty() || self.at.ends_with(' ');
        let mut rest = self.letters().skip_while(|known| *known != letter).skip(1);
        rest.find(|next| !(*next == ' ' && no_blank))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    /// Walks over a Jira with these usernames that shows `cap` rows at most; the questions, and who was found.
    fn walk(names: &[String], cap: usize) -> (usize, BTreeSet<String>) {
        let (mut found, mut questions) = (BTreeSet::new(), 0);
        let mut walk = Some(Walk::default());
        while let Some(mut here) = walk {
            // A later call has nothing but the text.
            here = serde_json::from_str(&serde_json::to_string(&here).unwrap()).unwrap();
            questions += 1;
            assert!(questions < 100_000);
            let part = here.question().map(|text| if text == "." { String::new() } else { text.trim().to_owned() });
            let hits: Vec<&String> = names
                .iter()
                .filter(|name| part.as_ref().is_none_or(|part| fold(name).starts_with(part)))
                .take(cap)
                .collect();
            hits.iter().for_each(|name| here.learn(name));
            if part.is_some() && !may_be_capped(hits.len(), cap) {
                found.extend(hits.into_iter().filter(|name| here.covers(name)).cloned());
                walk = here.onward();
            } else {
                found.extend(here.itself().and_then(|at| names.iter().find(|name| fold(name) == at)).cloned());
                walk = here.inward();
            }
        }
        (questions, found)
    }

    #[test]
    fn a_small_jira_is_one_question() {
        let names: Vec<String> = (0..42).map(|n| format!("p{n}")).collect();
        assert_eq!(walk(&names, 100), (1, names.into_iter().collect()));
    }

    #[test]
    fn everybody_is_found_although_no_answer_shows_more_than_a_hundred() {
        // DC-40, DC-52
        let mut names: Vec<String> = (0..1_200).map(|n| format!("Crew.{n}")).collect();
        names.extend([
            "crew".to_owned(),
            "crew.x".to_owned(),
            "maé lund".to_owned(),
            "Öle".to_owned(),
            "a b".to_owned(),
        ]);
        let (_, found) = walk(&names, 100);
        let all: BTreeSet<String> = names.into_iter().collect();
        assert_eq!(all.difference(&found).collect::<Vec<_>>(), Vec::<&String>::new());
    }

    #[test]
    fn a_letter_that_is_learnt_late_makes_a_second_round() {
        let mut names: Vec<String> = (0..300).map(|n| format!("a{n:03}")).collect();
        names.push("aéx".to_owned());
        names.extend((0..300).map(|n| format!("é{n:03}")));
        names.push("zé".to_owned());
        assert_eq!(walk(&names, 100).1, names.into_iter().collect());
    }

    #[test]
    fn round_numbers_are_not_trusted_whatever_the_version_is_known_for() {
        assert!(may_be_capped(100, 1000) && may_be_capped(50, 1000) && may_be_capped(1000, 1000));
        assert!(!may_be_capped(0, 100) && !may_be_capped(99, 100) && !may_be_capped(523, 1000));
        assert_eq!([known_cap(&[]), known_cap(&[9, 12, 0]), known_cap(&[10, 3, 1])], [100, 1000, 100]);
    }
}
