//! A look at a source that changes nothing: whether it lets us in, how much it has, and how a few people would be brought in.

use serde::Serialize;
use serde_json::Value;

use super::run::Configured;
use super::source::{Entry, Piece, Reading, SourceError, Step, Wanted, WantedGroups};

/// So many people are shown.
const SHOWN: usize = 3;
/// So many sentences about single entries are told.
const TOLD: usize = 20;

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Seen {
    /// Where it is.
    pub address: String,
    /// How many people it has.
    pub people: u64,
    /// How many groups.
    pub groups: u64,
    /// How many members these name.
    pub members: u64,
    /// Some people as they would be brought in.
    pub shown: Vec<Value>,
    /// What is wrong with single entries.
    pub messages: Vec<String>,
}

/// Reads a source to its end.
///
/// # Errors
/// The source's.
pub async fn look(configured: &Configured) -> Result<Seen, SourceError> {
    let mut seen = Seen { address: configured.source.address(), ..Seen::default() };
    seen.read(configured.source.people(&Wanted::All).await?, true).await?;
    if configured.config.groups || !configured.config.scope_groups.is_empty() {
        seen.read(configured.source.groups(&WantedGroups::All).await?, false).await?;
    }
    Ok(seen)
}

impl Seen {
    async fn read(&mut self, mut reading: Box<dyn Reading>, people: bool) -> Result<(), SourceError> {
        loop {
            let pieces = match reading.next().await? {
                Step::Complete => return Ok(()),
                Step::Page(pieces) => pieces,
            };
            for piece in pieces {
                match piece {
                    Piece::Entry(entry) => self.take(entry, people),
                    Piece::Members { members, .. } => self.members += members.len() as u64,
                    // Who they are only the people tell.
                    Piece::MembersBy { .. } => {}
                    Piece::Nameless { shown, why } => self.say(format!("{shown}: {why}")),
                }
            }
        }
    }

    fn take(&mut self, entry: Entry, people: bool) {
        *(if people { &mut self.people } else { &mut self.groups }) += 1;
        match entry.body {
            Ok(body) if people && self.shown.len() < SHOWN => self.shown.push(body),
            Ok(_) => {}
            Err(why) => self.say(format!("{}: {why}", entry.shown)),
        }
    }

    fn say(&mut self, sentence: String) {
        if self.messages.len() < TOLD {
            self.messages.push(sentence);
        }
    }
}
