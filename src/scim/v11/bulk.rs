//! The answer to a Bulk. Requests are alike in both versions (S11-26): the paths, and the data of each operation, are
//! understood in either spelling.

use serde_json::{Value, json};

use super::write::in_old_words;
use crate::scim::bulk::{self, Outcome};
use crate::scim::urn;

/// What became of the operations: `status` is an object, and what went wrong stands in it instead of a `response`.
pub fn bulk_response(outcomes: Vec<Outcome>) -> Value {
    json!({ "schemas": [urn::CORE_1], "Operations": outcomes.into_iter().map(entry).collect::<Vec<_>>() })
}

fn entry(mut outcome: Outcome) -> Value {
    let detail = outcome.error.take().and_then(|error| Some(in_old_words(error.get("detail")?.as_str()?)));
    bulk::entry(outcome, |code| match detail {
        Some(detail) => json!({ "code": code.to_string(), "description": detail }),
        None => json!({ "code": code.to_string() }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::ScimError;
    use crate::scim::bulk::Method;

    #[test]
    fn the_status_of_an_operation_is_an_object() {
        let made = Outcome {
            method: Method::Post,
            bulk_id: Some("a".into()),
            location: Some("https://scim.example/1".into()),
            version: Some("W/\"1\"".into()),
            status: 201,
            error: None,
        };
        let error = Some(ScimError::uniqueness("Taken.").body());
        let refused =
            Outcome { method: Method::Put, location: None, version: None, status: 409, error, ..made.clone() };
        assert_eq!(
            bulk_response(vec![made, refused]),
            json!({
                "schemas": ["urn:scim:schemas:core:1.0"],
                "Operations": [
                    { "method": "POST", "bulkId": "a", "location": "https://scim.example/1", "version": "W/\"1\"",
                      "status": { "code": "201" } },
                    { "method": "PUT", "bulkId": "a", "status": { "code": "409", "description": "Taken." } }
                ]
            })
        );
    }
}
