//! The body of a write to a group: parsed while it arrives, with each member cut down to its id, so that a group of a
//! hundred thousand is in memory as a list of ids and neither as text nor as a document.
//!
//! What else a client says of a member (`display`, `$ref`, `type`) is read-only or known better here (PATCH semantics 4
//! of the shapes: only `value` plays a part), so nothing is lost.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};

use bytes::{Buf, Bytes};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

/// Chunks that wait for the parser.
const AHEAD: usize = 16;
/// So many bodies are parsed at once: each holds a thread until it has arrived.
const AT_ONCE: usize = 64;
static FREE: Semaphore = Semaphore::const_new(AT_ONCE);
/// The most members that a body names; Atlassian allows 290,000 in a group.
const MOST_MEMBERS: usize = 1_000_000;
/// The most other values in a body: a value takes far more memory than its text.
const MOST_VALUES: usize = 200_000;
/// How the parser says that there are more.
const TOO_MANY: &str = "too many values";

/// A parser that is fed from elsewhere.
pub(super) struct Parser {
    chunks: mpsc::Sender<Bytes>,
    parsed: tokio::task::JoinHandle<serde_json::Result<Value>>,
    _place: Option<SemaphorePermit<'static>>,
}

impl Parser {
    /// Waits for its turn.
    pub(super) async fn start() -> Self {
        // The semaphore is never closed.
        let place = FREE.acquire().await.ok();
        let (chunks, arriving) = mpsc::channel(AHEAD);
        let parsed = tokio::task::spawn_blocking(move || parse(Arriving { arriving, chunk: Bytes::new() }));
        Self { chunks, parsed, _place: place }
    }

    /// Takes the next part of the body. What comes after a mistake is not looked at.
    pub(super) async fn feed(&self, chunk: Bytes) {
        let _the_parser_stopped_at_a_mistake = self.chunks.send(chunk).await;
    }

    /// The value, once everything was fed. `None` where the parser itself failed.
    pub(super) async fn finish(self) -> Option<serde_json::Result<Value>> {
        drop(self.chunks);
        self.parsed.await.ok()
    }
}

fn parse(arriving: Arriving) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_reader(io::BufReader::with_capacity(16 << 10, arriving));
    let counts = Counts { members: Cell::new(0), others: Cell::new(0) };
    let value = Compact { members: false, counts: &counts }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// The body as a reader that waits for its chunks; on a thread that may wait.
struct Arriving {
    arriving: mpsc::Receiver<Bytes>,
    chunk: Bytes,
}

impl Read for Arriving {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.arriving.blocking_recv() {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let n = self.chunk.len().min(into.len());
        self.chunk.copy_to_slice(&mut into[..n]);
        Ok(n)
    }
}

/// Whether a body holds more than may be kept of it; see [`Parser`].
pub(super) fn holds_too_much(error: &serde_json::Error) -> bool {
    error.to_string().starts_with(TOO_MANY)
}

/// How much was kept of the body so far.
struct Counts {
    members: Cell<usize>,
    others: Cell<usize>,
}

impl Counts {
    fn add<E: Error>(count: &Cell<usize>, most: usize) -> Result<(), E> {
        count.set(count.get() + 1);
        if count.get() > most { Err(E::custom(TOO_MANY)) } else { Ok(()) }
    }
}

/// A JSON value whose lists of members are lists of ids.
#[derive(Clone, Copy)]
struct Compact<'c> {
    /// An array here lists members.
    members: bool,
    counts: &'c Counts,
}

impl<'de> DeserializeSeed<'de> for Compact<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Compact<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let before = self.counts.others.get();
            let Some(element) = elements.next_element_seed(Self { members: false, ..self })? else { break };
            let element = if self.members { cut(element) } else { element };
            if self.members && element.is_string() {
                // What else the entry held is gone again.
                self.counts.others.set(before);
                Counts::add(&self.counts.members, MOST_MEMBERS)?;
            } else {
                Counts::add(&self.counts.others, MOST_VALUES)?;
            }
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        // Of a PATCH operation. Clients write the path before the value; where one does not, its list stays as it is.
        let mut path_names_members = false;
        while let Some(key) = entries.next_key::<String>()? {
            let members = names_members(&key) || (path_names_members && key.eq_ignore_ascii_case("value"));
            let value = entries.next_value_seed(Self { members, ..self })?;
            Counts::add(&self.counts.others, MOST_VALUES)?;
            if key.eq_ignore_ascii_case("path") {
                path_names_members = value.as_str().is_some_and(names_members);
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

fn names_members(name: &str) -> bool {
    name.rsplit(':').next().unwrap_or(name).trim().eq_ignore_ascii_case("members")
}

/// A member as its id. An entry without one, or with a SCIM 1.1 `operation` (S11-18), stays for others to judge.
fn cut(entry: Value) -> Value {
    let Value::Object(mut object) = entry else { return entry };
    if object.keys().any(|key| key.eq_ignore_ascii_case("operation")) {
        return Value::Object(object);
    }
    let key = object.keys().find(|key| key.eq_ignore_ascii_case("value")).cloned();
    match key.and_then(|key| object.get_mut(&key)) {
        Some(Value::String(id)) if !id.trim().is_empty() => {
            let mut id = std::mem::take(id);
            id.shrink_to_fit();
            Value::String(id)
        }
        _ => Value::Object(object),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    /// Parses the text in pieces of a few bytes.
    async fn parsed(text: &str) -> Option<Value> {
        let parser = Parser::start().await;
        for chunk in text.as_bytes().chunks(if text.len() > 1000 { 4096 } else { 7 }) {
            parser.feed(Bytes::copy_from_slice(chunk)).await;
        }
        parser.finish().await.unwrap().ok()
    }

    #[tokio::test]
    async fn members_are_cut_down_to_their_ids_and_nothing_else_is_touched() {
        let table = [
            (
                json!({ "displayName": "Crew", "members": [{ "value": "u-1", "display": "ann" }, { "VALUE": "u-2" }, "u-3"] }),
                json!({ "displayName": "Crew", "members": ["u-1", "u-2", "u-3"] }),
            ),
            (
                json!({ "Operations": [{ "op": "add", "path": "members", "value": [{ "value": "u-1", "type": "User" }] }] }),
                json!({ "Operations": [{ "op": "add", "path": "members", "value": ["u-1"] }] }),
            ),
            (
                json!({ "Operations": [{ "op": "add", "value": { "Members": [{ "value": "u-1" }] } }] }),
                json!({ "Operations": [{ "op": "add", "value": { "Members": ["u-1"] } }] }),
            ),
        ];
        for (body, expected) in table {
            assert_eq!(parsed(&body.to_string()).await, Some(expected), "{body}");
        }
        for body in [
            json!({ "members": [{ "value": "u-1", "operation": "delete" }, {}, { "value": "" }, { "value": 7 }, null] }),
            json!({ "emails": [{ "value": "ann@corp.example", "type": "work" }] }),
            json!({ "Operations": [{ "op": "add", "path": "emails", "value": [{ "value": "x", "type": "work" }] }] }),
            json!([null, true, -1, 2, 1.5, "é\n", {}]),
        ] {
            assert_eq!(parsed(&body.to_string()).await, Some(body));
        }
    }

    #[tokio::test]
    async fn what_would_take_far_more_memory_than_its_text_is_refused() {
        let flood = |key: &str, entry: &str, n: usize| format!("{{\"{key}\":[{}0]}}", format!("{entry},").repeat(n));
        for text in [
            flood("x", "0", MOST_VALUES),
            flood("members", "0", MOST_VALUES),
            flood("members", "\"u\"", MOST_MEMBERS + 1),
        ] {
            let parser = Parser::start().await;
            parser.feed(Bytes::from(text)).await;
            assert!(holds_too_much(&parser.finish().await.unwrap().unwrap_err()));
        }
        let many = flood("members", r#"{"value":"u","display":"U","type":"User"}"#, MOST_VALUES);
        assert!(parsed(&many).await.is_some());
    }

    #[tokio::test]
    async fn what_is_no_json_and_what_is_nested_too_deep_is_refused() {
        for text in ["", "{", "{} {}", "{\"a\":}", &"[".repeat(100_000)] {
            assert_eq!(parsed(text).await, None);
        }
    }
}
