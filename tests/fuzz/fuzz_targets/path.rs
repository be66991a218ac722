#![no_main]
//! Attribute names in projections and PATCH paths.

use jira_scim::scim::{Projection, check_new, patch, schema};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

fuzz_target!(|text: &str| {
    for kind in [schema::user(), schema::group()] {
        for (only, except) in [(Some(text), None), (None, Some(text)), (Some(text), Some("emails.type"))] {
            let Ok(projection) = Projection::parse(kind, only, except) else { continue };
            let mut document = document();
            projection.apply(kind, &mut document);
            assert!(document.contains_key("id") && document.contains_key("schemas"), "{document:?}");
            assert!(document.iter().all(|(key, value)| whole()[key] == *value || is_part(value)), "{document:?}");
        }
        for op in ["add", "replace", "remove"] {
            let body = json!({"Operations": [{"op": op, "path": text, "value": "x"}]});
            let Ok(parsed) = patch::parse(kind, &body).and_then(patch::split_members) else { continue };
            let Ok(mut stored) = check_new(kind, whole()) else { continue };
            stored.remove("members");
            if let Ok(changed) = patch::apply(&parsed.attrs, kind, &stored) {
                assert_eq!(check_new(kind, Value::Object(changed.clone())).as_ref(), Ok(&changed));
            }
        }
    }
});

fn whole() -> Value {
    json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "7", "userName": "ann", "displayName": "Ann",
        "name": {"givenName": "Ann"}, "emails": [{"value": "a@b", "type": "work"}], "members": [{"value": "7"}]})
}

fn document() -> Map<String, Value> {
    whole().as_object().cloned().unwrap_or_default()
}

fn is_part(value: &Value) -> bool {
    value.is_object() || value.is_array()
}
