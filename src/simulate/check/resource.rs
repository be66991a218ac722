//! What is wrong with a resource.

use std::collections::BTreeSet;

use hyper::header::{CONTENT_TYPE, LOCATION};
use serde_json::Value;

use super::{Answer, Kind, Protocol};

pub(super) fn whole(kind: Kind, protocol: Protocol, answer: &Answer, found: &mut Vec<String>) {
    if !answer.body.is_object() {
        found.push(format!("no {} in the body", kind.word()));
        return;
    }
    let urn = kind.urn(protocol);
    if !answer.names(urn) {
        found.push(format!("schemas does not name {urn}"));
    }
    match answer.body.get("id") {
        Some(Value::String(id)) if usable(id) => {}
        Some(Value::String(id)) => found.push(format!("the id `{id}` is empty or holds a blank, a slash or `bulkId`")),
        Some(_) => found.push("id is not a string".to_owned()),
        None => found.push("no id".to_owned()),
    }
    // SCIM 1.1 has no resourceType.
    if protocol == Protocol::V2 && meta(answer, "resourceType") != Some(kind.word()) {
        found.push(format!("meta.resourceType is not {}", kind.word()));
    }
    if meta(answer, "location").is_none() {
        found.push("no meta.location".to_owned());
    }
    if answer.body.get("password").is_some() {
        found.push("the password comes back".to_owned());
    }
}

fn meta<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.body.get("meta")?.get(name)?.as_str()
}

/// OKTA-22, GEN-18.
fn usable(id: &str) -> bool {
    !id.is_empty() && !id.contains("bulkId") && !id.contains(|c: char| c.is_whitespace() || c == '/')
}

pub(super) fn same_id(id: &str, answer: &Answer, found: &mut Vec<String>) {
    // A 204 says nothing about it.
    if answer.body.is_object() && answer.id() != Some(id) {
        found.push(format!("the id is {} instead of {id}", answer.body.get("id").unwrap_or(&Value::Null)));
    }
}

pub(super) fn location(kind: Kind, answer: &Answer, found: &mut Vec<String>) {
    let Some(location) = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok()) else {
        found.push("no Location".to_owned());
        return;
    };
    let end = format!("{}/{}", kind.path(), answer.id().unwrap_or("?"));
    if !location.starts_with("http") || !location.ends_with(&end) {
        found.push(format!("Location {location} is not an absolute URL that ends with {end}"));
    }
    if meta(answer, "location").is_some_and(|meta| meta != location) {
        found.push("Location and meta.location differ".to_owned());
    }
}

/// `schemas`, `id`, `meta` and `groups` are the server's own; a password must not come back.
const OWN: [&str; 6] = ["schemas", "id", "meta", "groups", "members", "password"];

pub(super) fn echo(sent: &Value, answer: &Answer, found: &mut Vec<String>) {
    let (Some(sent), Some(answered)) = (sent.as_object(), answer.resource()) else { return };
    let matters = |name: &str| !OWN.contains(&name) && !is_foreign(name);
    for (name, value) in sent.iter().filter(|(name, _)| matters(name)) {
        if !comes_back(value, answered.get(name)) {
            let now = answered.get(name).map_or_else(|| "nothing".to_owned(), Value::to_string);
            found.push(format!("{name} was sent as {value} and comes back as {now}"));
        }
    }
}

/// An extension of the client's own, which a server may drop (GEN-11, OKTA11-5, OPP-3).
fn is_foreign(name: &str) -> bool {
    name.starts_with("urn:") && !name.starts_with("urn:ietf:") && !name.starts_with("urn:scim:")
}

/// Whether everything that was sent is there. The server may add to objects; what is empty equals absence (GEN-9, OL-2),
/// and a boolean may have been sent as text (GEN-10).
fn comes_back(sent: &Value, answered: Option<&Value>) -> bool {
    match (sent, answered) {
        (Value::Null, None | Some(Value::Null)) => true,
        (Value::String(sent), None) => sent.is_empty(),
        (Value::String(sent), Some(Value::Bool(answered))) => sent.eq_ignore_ascii_case(&answered.to_string()),
        (Value::Array(sent), None) => sent.is_empty(),
        (Value::Array(sent), Some(Value::Array(answered))) => {
            sent.len() == answered.len()
                && sent.iter().all(|item| answered.iter().any(|other| comes_back(item, Some(other))))
        }
        // OL-5: one object where a list is meant.
        (Value::Object(_), Some(Value::Array(answered))) => {
            matches!(answered.as_slice(), [only] if comes_back(sent, Some(only)))
        }
        (Value::Object(sent), None) => sent.values().all(|value| comes_back(value, None)),
        (Value::Object(sent), Some(Value::Object(answered))) => {
            sent.iter().all(|(name, value)| name == "$ref" || comes_back(value, answered.get(name)))
        }
        (sent, answered) => answered == Some(sent),
    }
}

pub(super) fn is_active(active: bool, answer: &Answer, found: &mut Vec<String>) {
    // A 204 says nothing about it.
    let Some(resource) = answer.resource() else { return };
    if resource.get("active") != Some(&Value::Bool(active)) {
        let now = resource.get("active").unwrap_or(&Value::Null);
        found.push(format!("active is {now} instead of {active}"));
    }
}

pub(super) fn without(name: &str, answer: &Answer, found: &mut Vec<String>) {
    if answer.resource().is_some_and(|resource| resource.get(name).is_some()) {
        found.push(format!("{name} is in the answer"));
    }
}

pub(super) fn members(ids: &BTreeSet<String>, answer: &Answer, found: &mut Vec<String>) {
    let members = answer.body.get("members").and_then(Value::as_array);
    let listed: BTreeSet<String> = members
        .into_iter()
        .flatten()
        .filter_map(|member| member.get("value").and_then(Value::as_str).map(str::to_owned))
        .collect();
    let missing = ids.difference(&listed).count();
    let extra = listed.difference(ids).count();
    if missing + extra > 0 {
        found.push(format!("of {} members {missing} are missing and {extra} are too many", ids.len()));
    }
}

pub(super) fn nothing(answer: &Answer, found: &mut Vec<String>) {
    if answer.status == 204 && !answer.body.is_null() {
        found.push("204 with a body".to_owned());
    }
}

pub(super) fn charset(answer: &Answer, found: &mut Vec<String>) {
    let media = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !answer.body.is_null() && !media.to_ascii_lowercase().contains("charset=") {
        found.push(format!("Content-Type `{media}` has no charset"));
    }
}
