//! Every call that reached the sandbox, in the order in which the world saw them.
//!
//! Kept in memory up to a bound, handed to subscribers at once, and written as JSON lines where a file is wanted. Holds
//! no password and no header.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Bodies longer than this, in bytes, are not kept.
const LONGEST_BODY: usize = 16 * 1024;
/// The same for a journal that is checked against Atlassian's documents.
const LONGEST_CHECKED: usize = 4 * 1024 * 1024;

/// What the client saw of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An answer was sent.
    Answered,
    /// The connection was closed without an answer.
    Dropped,
    /// No answer came: the client had to give up.
    Hung,
    /// The work was done after the client gave up; `late_for` says which call it was.
    Late,
}

/// One call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JournalEntry {
    /// 1 for the first call; without gaps.
    pub seq: u64,
    /// When the call was handled.
    pub at: DateTime<Utc>,
    /// `POST`.
    pub method: String,
    /// Path and query as they came.
    pub path: String,
    /// Which of the sandbox's APIs was called (`organizations`); empty where there is only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api: String,
    /// The operation without context and version: `/group/user`; ids in its path are names in braces.
    pub route: String,
    /// The HTTP status that was, or would have been, answered; `None` where nothing got that far.
    pub status: Option<u16>,
    /// What the client saw.
    pub outcome: Outcome,
    /// Whether the world is different after this call.
    pub did_work: bool,
    /// Who called; `None` for nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The client's `X-Request-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The JSON body, passwords blackened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Box<RawValue>>,
    /// The JSON body of the answer that was, or would have been, sent; kept only where the journal goes to a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<RawValue>>,
    /// The fault that was played.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What a real Jira would have choked on: a cookie, a browser's header (DC-6, DC-7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
    /// Whom Jira would have sent a mail (DC-23).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_to: Option<String>,
    /// The `seq` of the call whose work was done here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_for: Option<u64>,
}

impl JournalEntry {
    /// The body as a JSON value; `Null` where there is none.
    pub fn json(&self) -> Value {
        self.body.as_deref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(Value::Null)
    }

    /// `POST /group/user`.
    pub fn operation(&self) -> String {
        format!("{} {}", self.method, self.route)
    }
}

/// Counts since the start, also of calls that the bounded journal has forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All calls.
    pub calls: u64,
    /// Calls that changed the world.
    pub works: u64,
    /// Calls that a real Jira would have choked on.
    pub violations: u64,
    /// Mails that would have gone out.
    pub mails: u64,
    /// Calls by operation (`POST /user`).
    pub by_operation: BTreeMap<String, u64>,
}

/// The journal itself.
pub(crate) struct Journal {
    entries: VecDeque<Arc<JournalEntry>>,
    capacity: usize,
    next: u64,
    totals: Totals,
    files: Vec<File>,
    subscribers: Vec<mpsc::UnboundedSender<Arc<JournalEntry>>>,
}

impl Journal {
    /// Appends to these files, too.
    pub(crate) fn new(capacity: usize, files: &[PathBuf]) -> io::Result<Self> {
        let files: io::Result<Vec<File>> =
            files.iter().map(|path| File::options().create(true).append(true).open(path)).collect();
        Ok(Self {
            entries: VecDeque::new(),
            capacity: capacity.max(1),
            next: 1,
            totals: Totals::default(),
            files: files?,
            subscribers: Vec::new(),
        })
    }

    /// Numbers the entry and keeps it; answers its number.
    pub(crate) fn push(&mut self, mut entry: JournalEntry) -> u64 {
        entry.seq = self.next;
        self.next += 1;
        self.count(&entry);
        self.write(&entry);
        let entry = Arc::new(entry);
        self.subscribers.retain(|subscriber| subscriber.send(entry.clone()).is_ok());
        if self.entries.len() == self.capacity {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        self.next - 1
    }

    pub(crate) fn entries(&self) -> Vec<Arc<JournalEntry>> {
        self.entries.iter().cloned().collect()
    }

    /// Entries with a number from `seq` on that are still kept.
    pub(crate) fn since(&self, seq: u64) -> impl Iterator<Item = &Arc<JournalEntry>> {
        let first = self.next - self.entries.len() as u64;
        self.entries.iter().skip(seq.saturating_sub(first) as usize)
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals.clone()
    }

    pub(crate) fn subscribe(&mut self) -> mpsc::UnboundedReceiver<Arc<JournalEntry>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.subscribers.push(sender);
        receiver
    }

    fn count(&mut self, entry: &JournalEntry) {
        self.totals.calls += u64::from(entry.late_for.is_none());
        self.totals.works += u64::from(entry.did_work);
        self.totals.violations += u64::from(entry.violation.is_some());
        self.totals.mails += u64::from(entry.mail_to.is_some());
        if entry.late_for.is_none() {
            *self.totals.by_operation.entry(entry.operation()).or_default() += 1;
        }
    }

    /// Whether the answers are worth keeping: whoever writes a file wants to check them, and memory holds many calls.
    pub(crate) fn keeps_answers(&self) -> bool {
        !self.files.is_empty()
    }

    /// A full disk must not change what the sandbox answers: the file is given up, once, with a warning.
    fn write(&mut self, entry: &JournalEntry) {
        if self.files.is_empty() {
            return;
        }
        let line = serde_json::to_vec(entry).map_err(io::Error::other).map(|mut line| {
            line.push(b'\n');
            line
        });
        self.files.retain_mut(|file| {
            let written = line.as_deref().map_or(Ok(()), |line| file.write_all(line));
            if let Err(error) = &written {
                tracing::warn!(%error, "the sandbox's journal file cannot be written and is given up");
            }
            written.is_ok()
        });
    }
}

/// Bodies longer than this, in bytes, are not kept; where everything is to be checked, hardly any is.
fn longest_body() -> usize {
    static LONGEST: LazyLock<usize> = LazyLock::new(|| match folder() {
        Some(_) => LONGEST_CHECKED,
        None => LONGEST_BODY,
    });
    *LONGEST
}

/// Where every sandbox writes a journal of its own, if anywhere.
fn folder() -> Option<OsString> {
    std::env::var_os("JIRA_SCIM_SANDBOX_JOURNAL_DIR").filter(|folder| !folder.is_empty())
}

/// The file in the folder that `JIRA_SCIM_SANDBOX_JOURNAL_DIR` names, if it does: for checks over everything that was
/// ever called, in however many processes.
pub(crate) fn file_of_its_own(kind: &str, version: &str) -> Option<PathBuf> {
    Some(PathBuf::from(folder()?).join(format!("{kind}-{version}-{}.jsonl", Uuid::new_v4())))
}

/// The body as the journal keeps it: JSON only, bounded, passwords blackened.
pub(crate) fn redacted(body: &[u8]) -> Option<Box<RawValue>> {
    if body.is_empty() {
        return None;
    }
    let kept = match serde_json::from_slice::<Value>(body) {
        Ok(mut value) if body.len() <= longest_body() => {
            blacken(&mut value);
            value
        }
        Ok(_) => Value::String(format!("({} bytes)", body.len())),
        Err(_) => Value::String(format!("({} bytes that are not JSON)", body.len())),
    };
    serde_json::value::to_raw_value(&kept).ok()
}

fn blacken(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name.to_lowercase().contains("password") { *member = "***".into() } else { blacken(member) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(blacken),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn entry() -> JournalEntry {
        JournalEntry {
            seq: 0,
            at: DateTime::UNIX_EPOCH,
            method: "POST".into(),
            path: "/jira/rest/api/2/user".into(),
            api: String::new(),
            route: "/user".into(),
            status: Some(201),
            outcome: Outcome::Answered,
            did_work: true,
            caller: None,
            request_id: None,
            body: None,
            answer: None,
            fault: None,
            violation: None,
            mail_to: None,
            late_for: None,
        }
    }

    #[test]
    fn a_full_journal_forgets_the_oldest_entry_and_still_counts_it() {
        let mut journal = Journal::new(2, &[]).unwrap();
        for _ in 0..3 {
            journal.push(entry());
        }
        assert_eq!(journal.entries().iter().map(|entry| entry.seq).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(journal.since(3).map(|entry| entry.seq).collect::<Vec<_>>(), [3]);
        assert_eq!(journal.since(1).count(), 2);
        assert_eq!(journal.totals().by_operation["POST /user"], 3);
    }

    #[test]
    fn passwords_are_blackened_at_any_depth() {
        let body = redacted(br#"{"name":"a","password":"x","more":[{"currentPassword":"y"}]}"#).unwrap();
        assert!(!body.get().contains('x') && !body.get().contains('y'), "{}", body.get());
        assert!(body.get().contains("***"));
    }

    #[test]
    fn a_body_that_is_not_json_is_told_by_its_size_alone() {
        assert_eq!(redacted(b"password=x").unwrap().get(), r#""(10 bytes that are not JSON)""#);
    }
}
