//! Bulk (RFC 7644 section 3.7): what is asked for, in which order it can be done, and how it is answered.
//!
//! A `bulkId` stands for the resource that another operation of the request makes, also one further down. Whoever names it
//! is done after whoever makes it; apart from that the order is the client's.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::error::{ScimError, quoted};
use super::urn;

/// How a reference begins (RFC 7644 section 3.7.2). No id of ours contains it (`OKTA-22`).
const REFERENCE: &str = "bulkId:";

/// A bulk request.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkRequest {
    /// After so many failed operations the rest is not tried; `None`: all are.
    pub fail_on_errors: Option<u64>,
    /// In the client's order.
    pub operations: Vec<Operation>,
}

/// What one operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Makes a resource.
    Post,
    /// Replaces one.
    Put,
    /// Changes one.
    Patch,
    /// Deletes one.
    Delete,
}

impl Method {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Method::Post, Method::Put, Method::Patch, Method::Delete]
            .into_iter()
            .find(|method| method.as_str().eq_ignore_ascii_case(text))
    }
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What it does.
    pub method: Method,
    /// The client's name for what it makes.
    pub bulk_id: Option<String>,
    /// The version that it expects, as in `If-Match`.
    pub version: Option<String>,
    /// Relative to the tenant's base URL.
    pub path: String,
    /// The body.
    pub data: Option<Value>,
}

/// Reads a bulk request of at most `most` operations. Keys ignore letter case (GEN-7).
///
/// # Errors
///
/// 400 `invalidSyntax` or `invalidValue` naming the place, 413 where there are too many operations.
pub fn parse(body: Value, most: u64) -> Result<BulkRequest, ScimError> {
    let Value::Object(mut body) = body else {
        return Err(ScimError::invalid_syntax("The body must be a JSON object."));
    };
    let fail_on_errors = match take(&mut body, "failOnErrors") {
        None => None,
        Some(value) => Some(
            value
                .as_u64()
                .filter(|most| *most > 0)
                .ok_or_else(|| ScimError::invalid_value("failOnErrors must be a whole number above zero."))?,
        ),
    };
    let Some(Value::Array(operations)) = take(&mut body, "Operations") else {
        return Err(ScimError::invalid_syntax("The body must be a JSON object with Operations, a list."));
    };
    if operations.len() as u64 > most {
        let detail = format!("The request has {} operations; the limit (maxOperations) is {most}.", operations.len());
        return Err(ScimError::too_large(detail));
    }
    let operations =
        operations.into_iter().enumerate().map(|(at, value)| operation(at, value)).collect::<Result<Vec<_>, _>>()?;
    distinct(&operations)?;
    Ok(BulkRequest { fail_on_errors, operations })
}

fn operation(at: usize, value: Value) -> Result<Operation, ScimError> {
    let Value::Object(mut object) = value else {
        return Err(ScimError::invalid_syntax(format!("Operations[{at}] must be an object.")));
    };
    let method = text(&mut object, at, "method")?.as_deref().and_then(Method::read).ok_or_else(|| {
        ScimError::invalid_syntax(format!("Operations[{at}].method must be POST, PUT, PATCH or DELETE."))
    })?;
    let path = text(&mut object, at, "path")?
        .ok_or_else(|| ScimError::invalid_syntax(format!("Operations[{at}].path is missing.")))?;
    Ok(Operation {
        method,
        bulk_id: text(&mut object, at, "bulkId")?,
        version: text(&mut object, at, "version")?,
        path,
        data: take(&mut object, "data"),
    })
}

fn text(object: &mut Map<String, Value>, at: usize, key: &str) -> Result<Option<String>, ScimError> {
    match take(object, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
        Some(_) => Err(ScimError::invalid_syntax(format!("Operations[{at}].{key} must be a text."))),
    }
}

/// The value of a key in any letter case; `null` is none (GEN-9).
fn take(object: &mut Map<String, Value>, key: &str) -> Option<Value> {
    let name = object.keys().find(|name| name.eq_ignore_ascii_case(key))?.clone();
    object.remove(&name).filter(|value| !value.is_null())
}

fn distinct(operations: &[Operation]) -> Result<(), ScimError> {
    let mut seen = HashMap::new();
    for (at, operation) in operations.iter().enumerate() {
        let Some(id) = &operation.bulk_id else { continue };
        if let Some(first) = seen.insert(id.as_str(), at) {
            let detail = format!("Operations[{at}].bulkId is that of Operations[{first}] too.");
            return Err(ScimError::invalid_value(detail));
        }
    }
    Ok(())
}

/// An order in which every operation comes after those that it names, and otherwise in the client's; each with whether
/// it can never come so, because it names itself through others.
pub fn order(operations: &[Operation]) -> Vec<(usize, bool)> {
    let makers: HashMap<&str, usize> =
        operations.iter().enumerate().filter_map(|(at, op)| Some((op.bulk_id.as_deref()?, at))).collect();
    let needs: Vec<Vec<usize>> = operations
        .iter()
        .map(|operation| {
            let mut named = Vec::new();
            mentions(operation, &mut |id| named.extend(makers.get(id).copied()));
            named
        })
        .collect();
    let mut walk = Walk { needs: &needs, state: vec![State::New; operations.len()], order: Vec::new() };
    for at in 0..operations.len() {
        walk.visit(at);
    }
    walk.order
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    /// On the way down from here.
    Open,
    Done {
        circular: bool,
    },
}

struct Walk<'a> {
    needs: &'a [Vec<usize>],
    state: Vec<State>,
    order: Vec<(usize, bool)>,
}

impl Walk<'_> {
    /// Depth first without recursion: a chain may be as long as the request.
    fn visit(&mut self, from: usize) {
        let mut path = vec![(from, 0)];
        let mut circular = vec![false; self.needs.len()];
        while let Some((at, next)) = path.last_mut() {
            let at = *at;
            if *next == 0 {
                if self.state[at] != State::New {
                    path.pop();
                    continue;
                }
                self.state[at] = State::Open;
            }
            let Some(need) = self.needs[at].get(*next).copied() else {
                path.pop();
                self.state[at] = State::Done { circular: circular[at] };
                self.order.push((at, circular[at]));
                continue;
            };
            *next += 1;
            match self.state[need] {
                State::New => path.push((need, 0)),
                // Everybody between the two ends of the circle is in it.
                State::Open => {
                    let start = path.iter().position(|(open, _)| *open == need).unwrap_or(0);
                    path[start..].iter().for_each(|(open, _)| circular[*open] = true);
                }
                State::Done { .. } => {}
            }
        }
    }
}

/// The bulkIds that an operation names, in its path and anywhere in its data.
fn mentions<'a>(operation: &'a Operation, found: &mut impl FnMut(&'a str)) {
    references(&operation.path, found);
    if let Some(data) = &operation.data {
        mentions_in(data, found);
    }
}

fn mentions_in<'a>(value: &'a Value, found: &mut impl FnMut(&'a str)) {
    match value {
        Value::String(text) => references(text, found),
        Value::Array(list) => list.iter().for_each(|value| mentions_in(value, found)),
        Value::Object(object) => object.values().for_each(|value| mentions_in(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `bulkId:x` alone, as the last part of a path, or in the quotes of a PATCH path.
fn references<'a>(text: &'a str, found: &mut impl FnMut(&'a str)) {
    for (at, _) in text.match_indices(REFERENCE) {
        let before = text[..at].chars().next_back();
        let id = &text[at + REFERENCE.len()..];
        match before {
            None => found(id),
            Some('/') => found(id.split('/').next().unwrap_or(id)),
            Some('"') => found(id.split('"').next().unwrap_or(id)),
            Some(_) => {}
        }
    }
}

/// Puts the ids of what was made in the place of their bulkIds, in one walk over the operation.
///
/// # Errors
///
/// 409 for a bulkId whose operation failed, 400 `invalidValue` for one that names no operation.
pub fn resolve(operation: &mut Operation, made: &HashMap<String, Option<String>>) -> Result<(), ScimError> {
    if let Some(path) = resolved(&operation.path, made)? {
        operation.path = path;
    }
    match &mut operation.data {
        Some(data) => resolve_in(data, made),
        None => Ok(()),
    }
}

fn resolve_in(value: &mut Value, made: &HashMap<String, Option<String>>) -> Result<(), ScimError> {
    match value {
        Value::String(text) => {
            if let Some(with_ids) = resolved(text, made)? {
                *text = with_ids;
            }
            Ok(())
        }
        Value::Array(list) => list.iter_mut().try_for_each(|value| resolve_in(value, made)),
        Value::Object(object) => object.values_mut().try_for_each(|value| resolve_in(value, made)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// The text with ids in the place of its references; `None` where it has none.
fn resolved(text: &str, made: &HashMap<String, Option<String>>) -> Result<Option<String>, ScimError> {
    let mut named = Vec::new();
    references(text, &mut |id| named.push(id));
    if named.is_empty() {
        return Ok(None);
    }
    let mut with_ids = String::with_capacity(text.len());
    let mut rest = text;
    for id in named {
        let Some((before, after)) = rest.split_once(&format!("{REFERENCE}{id}")) else { break };
        with_ids.push_str(before);
        with_ids.push_str(made_by(id, made)?);
        rest = after;
    }
    with_ids.push_str(rest);
    Ok(Some(with_ids))
}

fn made_by<'a>(id: &str, made: &'a HashMap<String, Option<String>>) -> Result<&'a str, ScimError> {
    match made.get(id) {
        Some(Some(made)) => Ok(made),
        Some(None) => {
            let detail = format!("The operation with bulkId {} failed.", quoted(id));
            Err(ScimError { status: 409, scim_type: None, detail })
        }
        None => {
            let detail = format!("bulkId {} names no operation that makes something.", quoted(id));
            Err(ScimError::invalid_value(detail))
        }
    }
}

/// What became of one operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What it was.
    pub method: Method,
    /// The client's name for it.
    pub bulk_id: Option<String>,
    /// Where the resource is; `None` for a POST that failed.
    pub location: Option<String>,
    /// The version that it made.
    pub version: Option<String>,
    /// The HTTP status.
    pub status: u16,
    /// The error; success needs no body (RFC 7644 section 3.7.3).
    pub error: Option<Value>,
}

/// The answer: one entry for each operation that was tried.
pub fn response(outcomes: Vec<Outcome>) -> Value {
    json!({
        "schemas": [urn::BULK_RESPONSE],
        "Operations": outcomes.into_iter().map(|outcome| entry(outcome, |status| Value::from(status.to_string()))).collect::<Vec<_>>(),
    })
}

/// One entry; the versions of the protocol write `status` differently.
pub(in crate::scim) fn entry(outcome: Outcome, status: impl FnOnce(u16) -> Value) -> Value {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            entry.insert(key.to_owned(), value);
        }
    };
    put("method", Some(outcome.method.as_str().into()));
    put("bulkId", outcome.bulk_id.map(Value::from));
    put("version", outcome.version.map(Value::from));
    put("location", outcome.location.map(Value::from));
    put("status", Some(status(outcome.status)));
    put("response", outcome.error);
    Value::Object(entry)
}

#[cfg(test)]
mod tests;
