//! The form of a document in which values are compared: what a filter sees, in memory and in the store.
//!
//! The shape is that of the document. Strings of attributes that are not `caseExact` are folded, instants are written in
//! one way, everything else is as stored. Nothing folded is ever answered to a client (GEN-21).

use chrono::{DateTime, Datelike, NaiveDateTime, SubsecRound, Utc};
use serde_json::{Map, Value};

use super::resource::Attrs;
use super::schema::{Attribute, Kind, ResourceType};
use crate::account::fold;

/// The whole document in comparable form. `id`, `meta` and `groups`, which the caller may have added, are treated like
/// the rest. What no schema knows (any more) is folded as most attributes are, so that filters find it when its schema is
/// declared again.
pub fn folded(ty: &ResourceType, attrs: &Attrs) -> Attrs {
    attrs
        .iter()
        .map(|(key, value)| {
            let value = if let Some(attribute) = ty.attribute(key) {
                folded_value(attribute, value)
            } else if let (Some(extension), Value::Object(object)) = (ty.extension(key), value) {
                Value::Object(folded_parts(extension.attributes, object))
            } else {
                folded_unknown(value)
            };
            (key.clone(), value)
        })
        .collect()
}

/// One value of an attribute in comparable form; a list element by element.
pub fn folded_value(attribute: &Attribute, value: &Value) -> Value {
    match (attribute.kind, value) {
        (_, Value::Array(list)) => list.iter().map(|element| folded_value(attribute, element)).collect(),
        (Kind::Complex, Value::Object(object)) => Value::Object(folded_parts(attribute.sub_attributes, object)),
        (Kind::DateTime, Value::String(text)) => match instant(text) {
            Some(instant) => Value::String(instant_text(&instant)),
            None => value.clone(),
        },
        (_, Value::String(text)) if !attribute.case_exact => Value::String(fold(text)),
        _ => value.clone(),
    }
}

fn folded_unknown(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(fold(text)),
        Value::Array(list) => list.iter().map(folded_unknown).collect(),
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), folded_unknown(value))).collect(),
        other => other.clone(),
    }
}

fn folded_parts(attributes: &[Attribute], object: &Map<String, Value>) -> Map<String, Value> {
    object
        .iter()
        .map(|(key, value)| {
            let attribute = attributes.iter().find(|attribute| attribute.name == key);
            (key.clone(), attribute.map_or_else(|| folded_unknown(value), |attribute| folded_value(attribute, value)))
        })
        .collect()
}

/// Reads an instant: RFC 3339, or the same without an offset, which RFC 7643 section 2.3.5 (`xsd:dateTime`) allows and
/// which is read as UTC. Cut to microseconds, the precision of the store. `None` for anything else and for years that
/// have not four digits in UTC, whose text would not sort.
pub fn instant(text: &str) -> Option<DateTime<Utc>> {
    let parsed = DateTime::parse_from_rfc3339(text)
        .map(|instant| instant.with_timezone(&Utc))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|local| local.and_utc()))
        .ok()?;
    (0..=9999).contains(&parsed.year()).then(|| parsed.trunc_subsecs(6))
}

/// An instant as a folded document has it: `2026-04-07T14:19:34.000000Z`. The order of these texts is that of time.
pub fn instant_text(instant: &DateTime<Utc>) -> String {
    instant.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::scim::schema::user;

    #[test]
    fn only_what_is_not_case_exact_is_folded() {
        let document = json!({
            "userName": "Ann.MOSS@Corp.example",
            "externalId": "00uExample",
            "active": true,
            "emails": [{ "value": "Ann@Corp.example", "type": "Work", "primary": true }],
            "profileUrl": "https://Corp.example/Ann",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                { "department": "OPS", "manager": { "value": "U-1190" } },
            "id": "U-7F31",
            "meta": { "lastModified": "2026-04-07T16:19:34+02:00" },
            "groups": [{ "value": "G-02C9", "display": "Crew" }]
        });
        let folded = folded(user(), document.as_object().unwrap());
        assert_eq!(
            Value::Object(folded),
            json!({
                "userName": "ann.moss@corp.example",
                "externalId": "00uExample",
                "active": true,
                "emails": [{ "value": "ann@corp.example", "type": "work", "primary": true }],
                "profileUrl": "https://Corp.example/Ann",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                    { "department": "ops", "manager": { "value": "U-1190" } },
                "id": "U-7F31",
                "meta": { "lastModified": "2026-04-07T14:19:34.000000Z" },
                "groups": [{ "value": "G-02C9", "display": "crew" }]
            })
        );
    }

    #[test]
    fn instants_are_read_with_and_without_offset() {
        let same = instant("2026-04-07T14:19:34Z").unwrap();
        assert_eq!(instant("2026-04-07T14:19:34"), Some(same));
        assert_eq!(instant("2026-04-07T10:19:34.0000001-04:00"), Some(same));
        for text in ["", "2026-04-07", "yesterday", "0000-01-01T00:00:00+23:59", "2026-13-01T00:00:00Z"] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
