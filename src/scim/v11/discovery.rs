//! What this server can do, as SCIM 1.1 says it, from the same tables as the 2.0 documents.

use serde_json::{Map, Value, json};

use super::write::list;
use crate::scim::discovery::{self, Announcement};
use crate::scim::error::ScimError;
use crate::scim::filter::{Filter, Op};
use crate::scim::schema::{Attribute, Kind, ResourceType, Schema};
use crate::scim::tolerance::CAPABILITIES;
use crate::scim::urn;

/// The features that a client of the vendor extension offers to its administrator because they are listed here (OPP-1).
/// `PUSH_PASSWORD_UPDATES` is not: passwords are accepted and dropped.
const CAPABILITIES_OF_OURS: [&str; 8] = [
    "GROUP_PUSH",
    "IMPORT_NEW_USERS",
    "IMPORT_PROFILE_UPDATES",
    "PUSH_NEW_USERS",
    "PUSH_PENDING_USERS",
    "PUSH_PROFILE_UPDATES",
    "PUSH_USER_DEACTIVATION",
    "REACTIVATE_USERS",
];

/// What 1.1 says of a feature, and 2.0 as well.
const FEATURES: [&str; 7] = ["patch", "bulk", "filter", "changePassword", "sort", "etag", "authenticationSchemes"];

/// `/ServiceProviderConfigs` (S11-28): the statements of the 2.0 document, `xmlDataFormat`, and the vendor extension.
pub fn service_provider_configs(base_url: &str, announcement: &Announcement<'_>) -> Value {
    let mut config = Map::new();
    if let Value::Object(mut known) = discovery::service_provider_config(base_url, announcement) {
        config.extend(FEATURES.iter().filter_map(|name| known.remove_entry(*name)));
    }
    config.insert("schemas".to_owned(), json!([urn::CORE_1, CAPABILITIES]));
    config.insert("xmlDataFormat".to_owned(), json!({ "supported": false }));
    config.insert(CAPABILITIES.to_owned(), json!({ "userManagementCapabilities": CAPABILITIES_OF_OURS }));
    config.insert("meta".to_owned(), json!({ "location": format!("{base_url}/ServiceProviderConfigs") }));
    Value::Object(config)
}

/// `/ResourceTypes`, which 1.1 does not have and one client asks for (OKTA11-11).
pub fn resource_types(types: &[&'static ResourceType]) -> Value {
    list_of(types.iter().map(|ty| resource_type(ty)).collect())
}

fn resource_type(ty: &ResourceType) -> Value {
    json!({
        "schemas": [urn::CORE_1],
        "id": ty.name,
        "name": ty.name,
        "description": ty.description,
        "endpoint": ty.endpoint,
        "schema": old_id(ty.core),
    })
}

/// `/Schemas`: one for each resource type, with the attributes of its extensions (S11-27). A client may look one up with a
/// filter on `name`, `schema`, `endpoint` or `id`.
///
/// # Errors
///
/// 400 `invalidFilter` for any other filter.
pub fn schemas(base_url: &str, types: &[&'static ResourceType], asked: Option<&Filter>) -> Result<Value, ScimError> {
    let mut found = Vec::with_capacity(types.len());
    for ty in types {
        let document = schema_document(ty, base_url);
        if asked.map_or(Ok(true), |filter| fits(filter, &document))? {
            found.push(document);
        }
    }
    Ok(list_of(found))
}

/// `/Schemas/{id}`, by the schema's id, its name or its endpoint; `None` for what is not served.
pub fn schema(base_url: &str, types: &[&'static ResourceType], id: &str) -> Option<Value> {
    let named = |ty: &&&'static ResourceType| {
        [schema_id(ty).as_str(), ty.name, ty.endpoint.trim_start_matches('/')]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(id))
    };
    types.iter().find(named).map(|ty| schema_document(ty, base_url))
}

fn list_of(documents: Vec<Value>) -> Value {
    let total = documents.len() as u64;
    let mut answer = list(documents, total, 1);
    answer["schemas"] = json!([urn::CORE_1, urn::LIST_RESPONSE_1]);
    answer
}

fn old_id(schema: &Schema) -> &'static str {
    schema.id_1.unwrap_or(schema.id)
}

fn schema_id(ty: &ResourceType) -> String {
    format!("{}:{}", old_id(ty.core), ty.name)
}

fn schema_document(ty: &ResourceType, base_url: &str) -> Value {
    let served = std::iter::once(ty.core).chain(ty.extensions.iter().copied());
    let attributes: Vec<Value> = served
        .flat_map(|schema| schema.attributes.iter().map(|attribute| attribute_document(attribute, old_id(schema))))
        .collect();
    let id = schema_id(ty);
    json!({
        "schemas": [urn::CORE_1],
        "name": ty.name,
        "description": ty.core.description,
        "schema": old_id(ty.core),
        "endpoint": ty.endpoint,
        "attributes": attributes,
        "meta": { "location": format!("{base_url}/Schemas/{id}") },
        "id": id,
    })
}

fn attribute_document(attribute: &Attribute, schema: &str) -> Value {
    let mut document = part_document(attribute);
    document.insert("schema".to_owned(), schema.into());
    document.insert("multiValued".to_owned(), attribute.multi_valued.into());
    if attribute.multi_valued {
        document.insert("multiValuedAttributeChildName".to_owned(), singular(attribute.name).into());
    }
    if !attribute.sub_attributes.is_empty() {
        let parts = attribute.sub_attributes.iter().map(|part| Value::Object(part_document(part))).collect();
        document.insert("subAttributes".to_owned(), parts);
    }
    Value::Object(document)
}

fn part_document(attribute: &Attribute) -> Map<String, Value> {
    let mut document = Map::new();
    let mut put = |key: &str, value: Value| document.insert(key.to_owned(), value);
    put("name", attribute.name_1.unwrap_or(attribute.name).into());
    put("type", kind(attribute.kind).into());
    put("description", attribute.description.into());
    put("readOnly", attribute.read_only().into());
    put("required", attribute.required.into());
    put("caseExact", attribute.case_exact.into());
    if !attribute.canonical_values.is_empty() {
        put("canonicalValues", attribute.canonical_values.into());
    }
    document
}

/// 1.1 has no references: a URL is text.
fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Reference => Kind::String.as_str(),
        other => other.as_str(),
    }
}

/// What an element of the list would be called in XML.
fn singular(name: &str) -> &str {
    match name.strip_suffix("es") {
        Some(stem) if name.ends_with("sses") => stem,
        _ => name.strip_suffix('s').unwrap_or(name),
    }
}

/// Whether a schema fits a filter; there are two of them, so nothing cleverer than a look at each is needed.
fn fits(asked: &Filter, document: &Value) -> Result<bool, ScimError> {
    match asked {
        Filter::And(all) => all.iter().try_fold(true, |so_far, one| Ok(fits(one, document)? && so_far)),
        Filter::Or(any) => any.iter().try_fold(false, |so_far, one| Ok(fits(one, document)? || so_far)),
        Filter::Not(inner) => Ok(!fits(inner, document)?),
        Filter::Compare { attr, op: Op::Eq, value } => {
            let known = ["name", "schema", "endpoint", "id"].into_iter().find(|known| known.eq_ignore_ascii_case(attr));
            let text = known.and_then(|known| document[known].as_str());
            text.map(|text| text.eq_ignore_ascii_case(value.text())).ok_or_else(unfit)
        }
        Filter::Compare { .. } | Filter::Present(_) | Filter::Any { .. } => Err(unfit()),
    }
}

fn unfit() -> ScimError {
    ScimError::invalid_filter("Schemas are found by name, schema, endpoint or id, each with eq.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::scim::discovery::AuthenticationScheme;
    use crate::scim::filter;
    use crate::scim::schema::{group, user};

    const BASE: &str = "https://scim.acme.example/scim/acme/v1";

    fn both() -> [&'static ResourceType; 2] {
        [user(), group()]
    }

    #[test]
    fn the_configuration_says_the_same_as_the_newer_one_and_what_that_does_not_ask() {
        let announcement = Announcement {
            max_results: 200,
            default_results: 100,
            bulk: true,
            max_operations: 100,
            max_payload: 1 << 20,
            authentication_schemes: &[AuthenticationScheme {
                kind: "httpbasic",
                name: "HTTP Basic",
                description: "A user name and a password.",
                primary: true,
            }],
        };
        let (old, new) =
            (service_provider_configs(BASE, &announcement), discovery::service_provider_config(BASE, &announcement));
        for name in FEATURES {
            assert!(!old[name].is_null(), "{name}");
            assert_eq!(old[name], new[name], "{name}");
        }
        assert_eq!(old["xmlDataFormat"], json!({ "supported": false }));
        assert_eq!(old["schemas"], json!(["urn:scim:schemas:core:1.0", CAPABILITIES]));
        let capabilities = old[CAPABILITIES]["userManagementCapabilities"].as_array().unwrap();
        assert!(capabilities.contains(&json!("GROUP_PUSH")) && capabilities.len() == 8);
        assert!(!capabilities.contains(&json!("PUSH_PASSWORD_UPDATES")));
        assert_eq!(old["meta"], json!({ "location": format!("{BASE}/ServiceProviderConfigs") }));
    }

    #[test]
    fn resource_types_have_a_name_an_endpoint_and_a_schema() {
        let list = resource_types(&both());
        assert_eq!((&list["totalResults"], &list["Resources"][1]["name"]), (&json!(2), &json!("Group")));
        assert_eq!(list["Resources"][0]["endpoint"], "/Users");
        assert_eq!(list["Resources"][0]["schema"], "urn:scim:schemas:core:1.0");
    }

    #[test]
    fn a_schema_is_flat_and_names_the_extension_at_its_attributes() {
        let list = schemas(BASE, &both(), None).unwrap();
        assert_eq!(list["schemas"], json!(["urn:scim:schemas:core:1.0", "urn:scim:schemas:core:1.0:ListResponse"]));
        assert_eq!(list["totalResults"], 2);
        let user = &list["Resources"][0];
        let named = |name: &str| {
            user["attributes"].as_array().unwrap().iter().find(|attribute| attribute["name"] == name).unwrap().clone()
        };
        assert_eq!(
            named("userName"),
            json!({
                "name": "userName", "type": "string", "multiValued": false, "readOnly": false, "required": true,
                "caseExact": false, "schema": "urn:scim:schemas:core:1.0",
                "description": "The name the user is known by to the identity provider."
            })
        );
        assert_eq!(named("emails")["multiValuedAttributeChildName"], "email");
        assert_eq!(named("addresses")["multiValuedAttributeChildName"], "address");
        assert_eq!(named("x509Certificates")["multiValuedAttributeChildName"], "x509Certificate");
        assert_eq!(named("entitlements")["subAttributes"][0]["name"], "value");
        assert_eq!(named("profileUrl")["type"], "string");
        assert_eq!(named("manager")["schema"], "urn:scim:schemas:extension:enterprise:1.0");
        assert_eq!(named("manager")["subAttributes"][0]["name"], "managerId");
        assert_eq!(named("groups")["readOnly"], true);
    }

    #[test]
    fn a_schema_is_found_by_its_id_its_name_and_a_filter() {
        for id in ["urn:scim:schemas:core:1.0:Group", "group", "Groups"] {
            assert_eq!(schema(BASE, &both(), id).unwrap()["endpoint"], "/Groups", "{id}");
        }
        assert_eq!(schema(BASE, &both(), "urn:scim:schemas:core:1.0"), None);
        let asked = |text: &str| {
            let filter = filter::parse(text, &filter::Limits::default()).unwrap();
            schemas(BASE, &both(), Some(&filter)).map(|list| list["totalResults"].as_u64().unwrap())
        };
        assert_eq!(asked("name eq \"user\"").unwrap(), 1);
        assert_eq!(asked("name eq \"User\" and schema eq \"urn:scim:schemas:core:1.0\"").unwrap(), 1);
        assert_eq!(asked("not (endpoint eq \"/Users\") or name eq \"user\"").unwrap(), 2);
        assert_eq!(asked("name eq \"Device\"").unwrap(), 0);
        assert_eq!(asked("name eq \"Device\" and shoeSize eq \"7\"").unwrap_err().status, 400);
        assert_eq!(asked("name co \"U\"").unwrap_err().status, 400);
    }
}
