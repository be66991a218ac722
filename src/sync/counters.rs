//! What a run comes to: numbers and sentences that its row keeps, and the lines that a plan prints. Bounded, whatever a directory
//! holds.

use serde::{Deserialize, Serialize};

use crate::store::run::Run;
use crate::store::source::Of;

/// So many sentences about single entries are kept of a run.
const MESSAGES: usize = 50;
/// The longest of them, in characters.
const LONGEST: usize = 400;

/// What came of things of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// The source has them.
    pub read: u64,
    /// They are in the store as they should be.
    pub same: u64,
    /// They are to be made.
    pub create: u64,
    /// They are to be changed.
    pub change: u64,
    /// The source does not have them any more.
    pub vanish: u64,
    /// They are left as they are; the messages say why.
    pub skip: u64,
}

/// What a run came to so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// How much was read: `full`, `changes` or `person`; empty before that is known.
    pub extent: String,
    /// Why everything was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Of people.
    pub people: Tally,
    /// Of groups.
    pub groups: Tally,
    /// Memberships that are to be given.
    pub joins: u64,
    /// Memberships that are to be taken away.
    pub leaves: u64,
    /// So much of all that is done.
    pub done: u64,
    /// People of whom nobody knows who they are: then nobody is taken away.
    pub nameless: u64,
    /// Groups of which nobody knows which they are: then no group and no member is taken away.
    pub nameless_groups: u64,
    /// What is wrong with single entries.
    pub messages: Vec<String>,
    /// So many more sentences of that kind there would be.
    pub unsaid: u64,
}

impl Counters {
    /// Of people or groups.
    pub(super) fn of(&mut self, of: Of) -> &mut Tally {
        match of {
            Of::Users => &mut self.people,
            Of::Groups => &mut self.groups,
        }
    }

    pub(super) fn say(&mut self, sentence: String) {
        if self.messages.len() >= MESSAGES {
            self.unsaid += 1;
            return;
        }
        self.messages.push(sentence.chars().filter(|c| !c.is_control()).take(LONGEST).collect());
    }

    /// How much there is to do.
    pub fn wanted(&self) -> u64 {
        let of = |tally: &Tally| tally.create + tally.change + tally.vanish;
        of(&self.people) + of(&self.groups) + self.joins + self.leaves
    }
}

/// One thing that a sync would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// `user` or `group`.
    pub of: &'static str,
    /// `create`, `change`, `deactivate`, `delete` or `members`.
    pub what: &'static str,
    /// The userName or displayName.
    pub name: String,
    /// Which attributes, how many members, why.
    pub detail: String,
}

impl Line {
    pub(super) fn new(of: Of, what: &'static str, name: &str, detail: String) -> Self {
        Self { of: of.as_str(), what, name: name.to_owned(), detail }
    }

    pub(super) fn members(name: &str, joins: u64, leaves: u64) -> Self {
        Self::new(Of::Groups, "members", name, format!("{joins} join, {leaves} leave"))
    }
}

/// What a run's row says it came to.
pub fn counters_of(run: &Run) -> Counters {
    serde_json::from_value::<Counters>(run.counters.clone()).unwrap_or_default()
}
