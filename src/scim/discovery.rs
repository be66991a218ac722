//! The discovery documents (RFC 7644 section 4, RFC 7643 sections 5 to 7), printed from the schema tables.
//!
//! They say exactly what is true: clients write every attribute that `/Schemas` lists (VAL-4) and act on the limits of
//! `/ServiceProviderConfig` (AK-2).

use serde_json::{Map, Value, json};

use super::list::list_response;
use super::schema::{Attribute, Kind, ResourceType, Schema, Types};
use super::urn;

/// A way to authenticate, as `/ServiceProviderConfig` names it (RFC 7643 section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticationScheme {
    /// `oauthbearertoken` or `httpbasic`.
    pub kind: &'static str,
    /// The name for people.
    pub name: &'static str,
    /// A sentence for people.
    pub description: &'static str,
    /// Whether it is the preferred one.
    pub primary: bool,
}

/// The limits and schemes that `/ServiceProviderConfig` announces.
#[derive(Clone, Debug)]
pub struct Announcement<'a> {
    /// The most resources in one answer.
    pub max_results: u64,
    /// How many where the client does not say.
    pub default_results: u64,
    /// Whether Bulk is served.
    pub bulk: bool,
    /// The most operations in one Bulk. Announced also where Bulk is not served: one client takes it for the number of
    /// operations in one PATCH (AK-2), so 0 would mean "no limit".
    pub max_operations: u64,
    /// The largest body, in bytes.
    pub max_payload: u64,
    /// How to authenticate.
    pub authentication_schemes: &'a [AuthenticationScheme],
}

/// `/ServiceProviderConfig`. `base_url` has no slash at its end.
pub fn service_provider_config(base_url: &str, announcement: &Announcement<'_>) -> Value {
    let schemes: Vec<Value> = announcement
        .authentication_schemes
        .iter()
        .map(|scheme| {
            json!({
                "type": scheme.kind,
                "name": scheme.name,
                "description": scheme.description,
                "primary": scheme.primary,
            })
        })
        .collect();
    json!({
        "schemas": [urn::SERVICE_PROVIDER_CONFIG],
        "patch": { "supported": true },
        "bulk": {
            "supported": announcement.bulk,
            "maxOperations": announcement.max_operations,
            "maxPayloadSize": announcement.max_payload,
        },
        "filter": { "supported": true, "maxResults": announcement.max_results },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "etag": { "supported": true },
        // RFC 9865 section 4. There is no cursorTimeout: a cursor is a place, and places do not expire.
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": announcement.default_results,
            "maxPageSize": announcement.max_results,
        },
        "authenticationSchemes": schemes,
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base_url}/ServiceProviderConfig"),
        },
    })
}

/// `/ResourceTypes`.
pub fn resource_types(types: Types, base_url: &str) -> Value {
    list_of(types.all().map(|ty| resource_type_document(ty, base_url)).into())
}

/// `/ResourceTypes/{id}`; `None` for what is not served.
pub fn resource_type(types: Types, base_url: &str, id: &str) -> Option<Value> {
    types.all().into_iter().find(|ty| ty.name == id).map(|ty| resource_type_document(ty, base_url))
}

/// `/Schemas`.
pub fn schemas(types: Types, base_url: &str) -> Value {
    list_of(types.schemas().map(|schema| schema_document(schema, base_url)).collect())
}

/// `/Schemas/{urn}`, in any letter case; `None` for what is not served.
pub fn schema(types: Types, base_url: &str, id: &str) -> Option<Value> {
    let found = types.schemas().find(|schema| schema.id.eq_ignore_ascii_case(id))?;
    Some(schema_document(found, base_url))
}

fn list_of(documents: Vec<Value>) -> Value {
    let total = documents.len() as u64;
    list_response(documents, total, 1)
}

fn resource_type_document(ty: &ResourceType, base_url: &str) -> Value {
    let extensions: Vec<Value> =
        ty.extensions.iter().map(|extension| json!({ "schema": extension.id, "required": false })).collect();
    json!({
        "schemas": [urn::RESOURCE_TYPE],
        "id": ty.name,
        "name": ty.name,
        "description": ty.description,
        "endpoint": ty.endpoint,
        "schema": ty.core.id,
        "schemaExtensions": extensions,
        "meta": { "resourceType": "ResourceType", "location": format!("{base_url}/ResourceTypes/{}", ty.name) },
    })
}

fn schema_document(schema: &Schema, base_url: &str) -> Value {
    json!({
        "schemas": [urn::SCHEMA],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": schema.attributes.iter().map(attribute_document).collect::<Vec<Value>>(),
        "meta": { "resourceType": "Schema", "location": format!("{base_url}/Schemas/{}", schema.id) },
    })
}

fn attribute_document(attribute: &Attribute) -> Value {
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| document.insert(key.to_owned(), value);
    put("name", attribute.name.into());
    put("type", attribute.kind.as_str().into());
    put("multiValued", attribute.multi_valued.into());
    put("description", attribute.description.into());
    put("required", attribute.required.into());
    put("mutability", attribute.mutability.as_str().into());
    put("returned", attribute.returned.as_str().into());
    if attribute.kind == Kind::Complex {
        put("subAttributes", attribute.sub_attributes.iter().map(attribute_document).collect());
    } else {
        put("caseExact", attribute.case_exact.into());
        put("uniqueness", attribute.uniqueness.as_str().into());
    }
    if !attribute.canonical_values.is_empty() {
        put("canonicalValues", attribute.canonical_values.into());
    }
    if !attribute.reference_types.is_empty() {
        put("referenceTypes", attribute.reference_types.into());
    }
    Value::Object(document)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const BASE: &str = "https://scim.acme.example/scim/acme/v2";

    #[test]
    fn the_configuration_says_what_is_true() {
        let announcement = Announcement {
            max_results: 200,
            default_results: 100,
            bulk: false,
            max_operations: 100,
            max_payload: 2_097_152,
            authentication_schemes: &[AuthenticationScheme {
                kind: "oauthbearertoken",
                name: "Bearer token",
                description: "Token issued per tenant.",
                primary: true,
            }],
        };
        let config = service_provider_config(BASE, &announcement);
        assert_eq!(config["bulk"], json!({ "supported": false, "maxOperations": 100, "maxPayloadSize": 2_097_152 }));
        assert_eq!(config["filter"], json!({ "supported": true, "maxResults": 200 }));
        assert_eq!(config["sort"], json!({ "supported": true }));
        assert_eq!(
            config["pagination"],
            json!({
                "cursor": true, "index": true, "defaultPaginationMethod": "index",
                "defaultPageSize": 100, "maxPageSize": 200
            })
        );
        assert_eq!(config["authenticationSchemes"][0]["type"], "oauthbearertoken");
        assert_eq!(config["meta"]["location"], format!("{BASE}/ServiceProviderConfig"));
    }

    #[test]
    fn resource_types_are_listed_and_found_by_name() {
        let list = resource_types(Types::built_in(), BASE);
        assert_eq!(list["totalResults"], 2);
        assert_eq!(list["Resources"][0]["schemaExtensions"][0]["schema"], urn::ENTERPRISE_USER);
        assert_eq!(resource_type(Types::built_in(), BASE, "Group").unwrap()["endpoint"], "/Groups");
        assert_eq!(resource_type(Types::built_in(), BASE, "Device"), None);
    }

    #[test]
    fn schemas_are_listed_and_found_by_urn() {
        let list = schemas(Types::built_in(), BASE);
        assert_eq!(list["totalResults"], 5);
        let user = schema(Types::built_in(), BASE, urn::USER).unwrap();
        assert_eq!(list["Resources"][0], user);
        let attributes = user["attributes"].as_array().unwrap();
        let named = |name: &str| attributes.iter().find(|attribute| attribute["name"] == name);
        assert_eq!(named("userName").unwrap()["required"], true);
        assert_eq!(named("userName").unwrap()["uniqueness"], "server");
        assert_eq!(named("groups").unwrap()["mutability"], "readOnly");
        assert_eq!(named("emails").unwrap()["subAttributes"][2]["canonicalValues"], json!(["work", "home", "other"]));
        assert_eq!(named("photos").unwrap()["subAttributes"][0]["referenceTypes"], json!(["external"]));
        assert_eq!(named("password"), None);
        assert_eq!(schema(Types::built_in(), BASE, "urn:example:none"), None);
    }

    #[test]
    fn no_member_of_a_document_is_null() {
        fn no_nulls(value: &Value) -> bool {
            match value {
                Value::Null => false,
                Value::Array(list) => list.iter().all(no_nulls),
                Value::Object(object) => object.values().all(no_nulls),
                _ => true,
            }
        }
        assert!(no_nulls(&schemas(Types::built_in(), BASE)) && no_nulls(&resource_types(Types::built_in(), BASE)));
    }
}
