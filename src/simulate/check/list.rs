//! What is wrong with a list.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Answer, CORE1, Protocol};

pub(super) fn page(start: u64, count: u64, protocol: Protocol, answer: &Answer, found: &mut Vec<String>) {
    unpaged(protocol, answer, found);
    let Some(body) = answer.body.as_object() else { return };
    let resources = answer.resources().len() as u64;
    if answer.total().is_some_and(|total| total > 0) {
        // RFC 7644 section 3.4.2: both are required where a page was asked for.
        if counter(body, "startIndex", found).is_some_and(|answered| answered != start) {
            found.push(format!("startIndex is not {start}"));
        }
        if counter(body, "itemsPerPage", found).is_some_and(|answered| answered != resources) {
            found.push(format!("itemsPerPage does not say that there are {resources} resources"));
        }
    }
    if resources > count {
        found.push(format!("{resources} resources where {count} were asked for"));
    }
}

pub(super) fn unpaged(protocol: Protocol, answer: &Answer, found: &mut Vec<String>) {
    let urn = match protocol {
        Protocol::V1 => CORE1,
        Protocol::V2 => "urn:ietf:params:scim:api:messages:2.0:ListResponse",
    };
    if !answer.names(urn) {
        found.push(format!("schemas does not name {urn}"));
    }
    let Some(body) = answer.body.as_object() else { return };
    let resources = answer.resources().len() as u64;
    if body.get("Resources").is_some_and(|resources| !resources.is_array()) {
        found.push("Resources is not a list".to_owned());
    }
    if let Some(total) = counter(body, "totalResults", found)
        && total < resources
    {
        found.push(format!("totalResults is {total} and there are {resources} resources"));
    }
    if answer.resources().iter().any(|resource| resource.get("id").and_then(Value::as_str).is_none()) {
        found.push("a resource of the list has no id".to_owned());
    }
}

fn counter(body: &Map<String, Value>, name: &str, found: &mut Vec<String>) -> Option<u64> {
    match body.get(name) {
        Some(value) if value.is_u64() => value.as_u64(),
        Some(value) => {
            found.push(format!("{name} is {value} and not an integer"));
            None
        }
        None => {
            found.push(format!("no {name}"));
            None
        }
    }
}

pub(super) fn holds(ids: &[String], answer: &Answer, found: &mut Vec<String>) {
    let wanted: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let listed: BTreeSet<&str> =
        answer.resources().iter().filter_map(|resource| resource.get("id")?.as_str()).collect();
    if wanted != listed || answer.total() != Some(ids.len() as u64) {
        let total = answer.total().map_or_else(|| "none".to_owned(), |total| total.to_string());
        found.push(format!("the list has {listed:?} (totalResults {total}) instead of {wanted:?}"));
    }
}

pub(super) fn each_has(name: &str, text: &str, answer: &Answer, found: &mut Vec<String>) {
    let same = |value: &Value| value.as_str().is_some_and(|value| value.to_lowercase() == text.to_lowercase());
    if !answer.resources().iter().all(|resource| resource.get(name).is_some_and(same)) {
        found.push(format!("the list holds a resource whose {name} is not `{text}`"));
    }
}
