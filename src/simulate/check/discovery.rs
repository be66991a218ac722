//! What is wrong with a server's description of itself.

use serde_json::Value;

use super::Answer;

/// The features that clients ask about; SCIM 1.1 and 2.0 name them alike.
const FEATURES: [&str; 6] = ["patch", "bulk", "filter", "changePassword", "sort", "etag"];

pub(super) fn configuration(answer: &Answer, found: &mut Vec<String>) {
    let part = |feature: &str, name: &str| answer.body.get(feature).and_then(|part| part.get(name));
    for feature in FEATURES {
        if !part(feature, "supported").is_some_and(Value::is_boolean) {
            found.push(format!("{feature}.supported is not a boolean"));
        }
    }
    for (feature, name) in [("bulk", "maxOperations"), ("bulk", "maxPayloadSize"), ("filter", "maxResults")] {
        if !part(feature, name).is_some_and(Value::is_u64) {
            found.push(format!("{feature}.{name} is not an integer"));
        }
    }
    if !answer.body.get("authenticationSchemes").is_some_and(Value::is_array) {
        found.push("authenticationSchemes is not a list".to_owned());
    }
}

pub(super) fn describes(names: &[&str], answer: &Answer, found: &mut Vec<String>) {
    let has = |resource: &Value, text: &str| ["id", "name"].iter().any(|key| resource[key] == text);
    for name in names {
        if !answer.resources().iter().any(|resource| has(resource, name)) {
            found.push(format!("{name} is not described"));
        }
    }
}

pub(super) fn capabilities(urn: &str, names: &[&str], answer: &Answer, found: &mut Vec<String>) {
    let Some(extension) = answer.body.get(urn) else {
        found.push(format!("no {urn}: no feature can be enabled"));
        return;
    };
    let offered = extension.get("userManagementCapabilities").and_then(Value::as_array);
    for name in names {
        if !offered.is_some_and(|offered| offered.iter().any(|capability| capability == name)) {
            found.push(format!("{name} is not among the capabilities"));
        }
    }
}
