#![no_main]
//! PATCH bodies against stored documents.

use jira_scim::scim::{ResourceType, check_new, patch, schema};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

fuzz_target!(|bytes: &[u8]| {
    // The stored document and the PATCH, a line break between them.
    let split = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (stored, body) = bytes.split_at(split);
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return };
    for kind in [schema::user(), schema::group()] {
        let given = serde_json::from_slice::<Value>(stored).unwrap_or_else(|_| usual());
        let Ok(mut stored) = check_new(kind, given).or_else(|_| check_new(kind, usual())) else { continue };
        stored.remove("members");
        let Ok(parsed) = patch::parse(kind, &body).and_then(patch::split_members) else { continue };
        let Ok(once) = patch::apply(&parsed.attrs, kind, &stored) else { continue };
        is_document(kind, &once);
        if let Ok(twice) = patch::apply(&parsed.attrs, kind, &once) {
            is_document(kind, &twice);
        }
    }
});

fn usual() -> Value {
    json!({"userName": "ann", "displayName": "Ann", "emails": [{"value": "a@b", "type": "work", "primary": true}]})
}

/// What is stored would be stored again as it is.
fn is_document(kind: &'static ResourceType, attrs: &Map<String, Value>) {
    let again = check_new(kind, Value::Object(attrs.clone()));
    assert_eq!(again.as_ref(), Ok(attrs));
}
