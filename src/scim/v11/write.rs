//! Answers in the form of SCIM 1.1: one URN for all (S11-2), the old names, `Errors`.

use serde_json::{Map, Value, json};

use crate::scim::error::ScimError;
use crate::scim::list::list_response;
use crate::scim::schema::{Attribute, ResourceType};
use crate::scim::urn;

/// A resource as it would be answered under 2.0, as 1.1 writes it: its URNs, the extension under its old URN with the old
/// names, and no `meta.resourceType`. `$ref` and `type` of members and groups are part of both versions.
pub fn resource(ty: &ResourceType, document: Value) -> Value {
    let Value::Object(mut document) = document else { return document };
    if let Some(Value::Array(schemas)) = document.get_mut("schemas") {
        schemas.iter_mut().for_each(|id| *id = old_urn(ty, id));
    }
    for extension in ty.extensions {
        if let Some(id) = extension.id_1
            && let Some(mut value) = document.remove(extension.id)
        {
            rename(extension.attributes, &mut value);
            document.insert(id.to_owned(), value);
        }
    }
    if let Some(Value::Object(meta)) = document.get_mut("meta") {
        meta.remove("resourceType");
        if meta.is_empty() {
            document.remove("meta");
        }
    }
    Value::Object(document)
}

fn old_urn(ty: &ResourceType, id: &Value) -> Value {
    let mut served = std::iter::once(ty.core).chain(ty.extensions.iter().copied());
    match served.find(|schema| *id == schema.id).and_then(|schema| schema.id_1) {
        Some(old) => old.into(),
        None => id.clone(),
    }
}

/// Gives the parts of complex attributes their old names.
fn rename(attributes: &[Attribute], value: &mut Value) {
    let Value::Object(object) = value else { return };
    for attribute in attributes {
        for part in attribute.sub_attributes {
            if let Some(old) = part.name_1
                && let Some(Value::Object(inner)) = object.get_mut(attribute.name)
                && let Some(value) = inner.remove(part.name)
            {
                inner.insert(old.to_owned(), value);
            }
        }
    }
}

/// A list answer (S11-6).
pub fn list(resources: Vec<Value>, total: u64, start_index: u64) -> Value {
    let mut list = list_response(resources, total, start_index);
    list["schemas"] = json!([urn::CORE_1]);
    list
}

/// The error body: `Errors` as the 1.1 text has it (S11-22), and the members of 2.0 because clients look for `detail`
/// (OKTA11-12).
pub fn error(error: &ScimError) -> Value {
    let (code, detail) = (error.status.to_string(), in_old_words(&error.detail));
    let mut body = Map::new();
    body.insert("schemas".to_owned(), json!([urn::CORE_1]));
    body.insert("Errors".to_owned(), json!([{ "description": detail, "code": code }]));
    body.insert("status".to_owned(), code.into());
    body.insert("detail".to_owned(), detail.into());
    Value::Object(body)
}

/// What went wrong, with the extension under its old URN, whichever the client used.
pub(super) fn in_old_words(detail: &str) -> String {
    detail.replace(urn::ENTERPRISE_USER, urn::ENTERPRISE_USER_1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{group, user};

    #[test]
    fn a_user_has_the_old_urns_and_names() {
        let user = resource(
            user(),
            json!({
                "schemas": [urn::USER, urn::ENTERPRISE_USER, "urn:example:custom:1.0"],
                "id": "u-7f31",
                "userName": "amoss",
                "groups": [{ "value": "g-02c9", "type": "direct" }],
                "meta": { "resourceType": "User", "location": "https://scim.example/scim/acme/v1/Users/u-7f31" },
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                    { "department": "Ops", "manager": { "value": "u-1190", "$ref": "x" } },
                "urn:example:custom:1.0": { "value": 1 }
            }),
        );
        assert_eq!(
            user,
            json!({
                "schemas":
                    ["urn:scim:schemas:core:1.0", "urn:scim:schemas:extension:enterprise:1.0", "urn:example:custom:1.0"],
                "id": "u-7f31",
                "userName": "amoss",
                "groups": [{ "value": "g-02c9", "type": "direct" }],
                "meta": { "location": "https://scim.example/scim/acme/v1/Users/u-7f31" },
                "urn:scim:schemas:extension:enterprise:1.0":
                    { "department": "Ops", "manager": { "managerId": "u-1190", "$ref": "x" } },
                "urn:example:custom:1.0": { "value": 1 }
            })
        );
    }

    #[test]
    fn a_meta_of_which_nothing_is_left_is_not_shown() {
        let shown = json!({ "schemas": [urn::GROUP], "id": "g-02c9", "meta": { "resourceType": "Group" } });
        assert_eq!(resource(group(), shown), json!({ "schemas": ["urn:scim:schemas:core:1.0"], "id": "g-02c9" }));
    }

    #[test]
    fn a_list_and_an_error_have_the_old_envelope() {
        assert_eq!(
            list(Vec::new(), 0, 1),
            json!({
                "schemas": ["urn:scim:schemas:core:1.0"],
                "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": []
            })
        );
        assert_eq!(
            error(&ScimError::uniqueness("A user named ann exists.")),
            json!({
                "schemas": ["urn:scim:schemas:core:1.0"],
                "Errors": [{ "description": "A user named ann exists.", "code": "409" }],
                "status": "409",
                "detail": "A user named ann exists."
            })
        );
        let refused = error(&ScimError::invalid_value(format!("{} must be an object.", urn::ENTERPRISE_USER)));
        assert_eq!(refused["detail"], "urn:scim:schemas:extension:enterprise:1.0 must be an object.");
        assert_eq!(refused["Errors"][0]["description"], refused["detail"]);
    }
}
