//! SCIM 1.1 on the wire (the core schema and REST API 1.1 texts of simplecloud.info): how its bodies are read and how its
//! answers are written.
//!
//! There is one engine, and its documents have the form of 2.0. What 1.1 merely calls by another name is another name in
//! the schema tables, so that filters, paths and bodies of either version are understood everywhere; what a PATCH means is
//! told by its shape in [`patch`](super::patch). So little is left for this module: to write.

mod bulk;
mod discovery;
mod write;

pub use bulk::bulk_response;
pub use discovery::{resource_types, schema, schemas, service_provider_configs};
pub use write::{error, list, resource};

use serde_json::Value;

use super::error::ScimError;
use super::schema::check::take_operation;

/// The body of a POST or PUT. An entry that says `"operation":"delete"` is one that should not be there, so it is left out:
/// a client that keeps the mark of an earlier PATCH must not make a member of whom it wants to remove.
///
/// # Errors
///
/// 400 `invalidValue` for another `operation` (S11-32).
pub fn read(mut body: Value) -> Result<Value, ScimError> {
    let Value::Object(object) = &mut body else { return Ok(body) };
    for (name, value) in object {
        let Value::Array(list) = value else { continue };
        let mut kept = Vec::with_capacity(list.len());
        for mut entry in list.drain(..) {
            let goes = match &mut entry {
                Value::Object(entry) => take_operation(entry, name)?,
                _ => false,
            };
            if !goes {
                kept.push(entry);
            }
        }
        *list = kept;
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_marked_as_deleted_is_not_in_the_new_list() {
        let body = json!({
            "displayName": "Crew", "operation": "delete",
            "members": [{ "value": "u-1" }, { "value": "u-2", "operation": "Delete" }, { "value": "u-3", "operation": null }]
        });
        assert_eq!(
            read(body).unwrap(),
            json!({ "displayName": "Crew", "operation": "delete", "members": [{ "value": "u-1" }, { "value": "u-3" }] })
        );
        assert_eq!(read(json!([1])).unwrap(), json!([1]));
        let error = read(json!({ "members": [{ "value": "u-1", "operation": "add" }] })).unwrap_err();
        assert_eq!((error.status, error.detail.as_str()), (400, "members.operation must be \"delete\"."));
    }
}
