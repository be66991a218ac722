#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::scim::error::ScimType;
use crate::scim::schema::{group, user};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn user_of(body: Value) -> Value {
    Value::Object(check_new(user(), body).unwrap())
}

fn refused(ty: &ResourceType, body: Value) -> String {
    let error = check_new(ty, body).unwrap_err();
    assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidValue)));
    error.detail
}

/// Each row: the rule, a body, the document.
#[test]
fn bodies_become_documents() {
    let rows = [
        (
            "OKTA-6",
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann.moss@corp.example",
                "name": { "givenName": "Ann", "familyName": "Moss" },
                "emails": [{ "primary": true, "value": "ann.moss@corp.example", "type": "work" }],
                "displayName": "Ann Moss", "locale": "en-US", "externalId": "00uExampleAnnMoss01",
                "groups": [], "password": "kW3-placeholder", "active": true
            }),
            json!({
                "userName": "ann.moss@corp.example", "name": { "givenName": "Ann", "familyName": "Moss" },
                "emails": [{ "primary": true, "value": "ann.moss@corp.example", "type": "work" }],
                "displayName": "Ann Moss", "locale": "en-US", "externalId": "00uExampleAnnMoss01", "active": true
            }),
        ),
        (
            "GEN-7 letter case of names",
            json!({
                "USERNAME": "amoss", "Name": { "GIVENNAME": "Ann" },
                "URN:IETF:params:scim:schemas:extension:enterprise:2.0:user": { "Department": "Ops" }
            }),
            json!({ "userName": "amoss", "name": { "givenName": "Ann" }, ENTERPRISE: { "department": "Ops" } }),
        ),
        (
            "GEN-8, S11-3, OL-5 the enterprise extension as SCIM 1.1 spells it",
            json!({
                "schemas": ["urn:scim:schemas:core:1.0"], "userName": "amoss", ENTERPRISE: { "division": "North" },
                "urn:scim:schemas:extension:enterprise:1.0":
                    { "department": "Ops", "manager": { "managerId": "u-1190", "displayName": "Cy Ode" } }
            }),
            json!({
                "userName": "amoss",
                ENTERPRISE: { "department": "Ops", "division": "North", "manager": { "value": "u-1190" } }
            }),
        ),
        (
            "GEN-8 schemas is no reason to refuse",
            json!({ "schemas": "nonsense", "userName": "amoss" }),
            json!({ "userName": "amoss" }),
        ),
        (
            "GEN-9 null is absent",
            json!({ "userName": "amoss", "title": null, "name": { "givenName": null }, "emails": [null], ENTERPRISE: null }),
            json!({ "userName": "amoss" }),
        ),
        (
            "GEN-10, OL-3 booleans as text",
            json!({ "userName": "amoss", "active": "False", "roles": [{ "value": "lead", "primary": "TRUE" }] }),
            json!({ "userName": "amoss", "active": false, "roles": [{ "value": "lead", "primary": true }] }),
        ),
        (
            "GEN-10 text that looks like a boolean stays text",
            json!({ "userName": "amoss", "title": "True" }),
            json!({ "userName": "amoss", "title": "True" }),
        ),
        (
            "GEN-11, OL-4, ENTRA-8, ENTRA-9 unknown and misspelt names",
            json!({
                "userName": "amoss", "prefferedLanguage": "en", "addresses[].city": "Rome", "addressses": null,
                "name": { "shoeSize": 44, "givenName": "Ann" },
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0User": { "department": "Ops" },
                "urn:okta:custom:user:1.0": { "badge": 7 }
            }),
            json!({ "userName": "amoss", "name": { "givenName": "Ann" } }),
        ),
        (
            "GEN-12, OKTA-13 the server's own attributes",
            json!({
                "userName": "amoss", "id": "u-1", "meta": { "version": "W/\"9\"" }, "groups": [{ "value": "g-1" }],
                ENTERPRISE: { "manager": { "value": "u-1190", "$ref": "x", "displayName": "Cy Ode" } }
            }),
            json!({ "userName": "amoss", ENTERPRISE: { "manager": { "value": "u-1190" } } }),
        ),
        (
            "OL-2 empty strings",
            json!({
                "userName": "amoss", "title": "", "name": { "givenName": "", "familyName": "" },
                "emails": [{ "value": "", "type": "work", "primary": true }], ENTERPRISE: { "manager": { "value": "" } }
            }),
            json!({ "userName": "amoss" }),
        ),
        (
            "OL-5 an object for a list",
            json!({ "userName": "amoss", "emails": { "value": "a@corp.example", "type": "work" } }),
            json!({ "userName": "amoss", "emails": [{ "value": "a@corp.example", "type": "work" }] }),
        ),
        (
            "ENTRA-10, P-35 bare strings for objects",
            json!({ "userName": "amoss", "emails": ["a@b.example"], "roles": "lead", ENTERPRISE: { "manager": "u-1190" } }),
            json!({
                "userName": "amoss", "emails": [{ "value": "a@b.example" }], "roles": [{ "value": "lead" }],
                ENTERPRISE: { "manager": { "value": "u-1190" } }
            }),
        ),
        (
            "P-19 a list of one for an object",
            json!({ "userName": "amoss", ENTERPRISE: { "manager": [{ "$ref": null, "value": "u-1190" }] } }),
            json!({ "userName": "amoss", ENTERPRISE: { "manager": { "value": "u-1190" } } }),
        ),
        (
            "PING-8 two primaries",
            json!({ "userName": "amoss", "emails": [
                { "value": "a@b.example", "primary": true, "type": "work" },
                { "value": "a@b.example", "primary": true, "type": "home" }
            ] }),
            json!({ "userName": "amoss", "emails": [
                { "value": "a@b.example", "primary": true, "type": "work" },
                { "value": "a@b.example", "primary": false, "type": "home" }
            ] }),
        ),
        (
            "OPP-4, GEN-21 free types and untouched values",
            json!({ "userName": "Ann.MOSS", "emails": [{ "value": "Ann@B.example", "type": "secondary" }],
                    "phoneNumbers": [{ "value": "(555) 01-00 ext. 2" }] }),
            json!({ "userName": "Ann.MOSS", "emails": [{ "value": "Ann@B.example", "type": "secondary" }],
                    "phoneNumbers": [{ "value": "(555) 01-00 ext. 2" }] }),
        ),
        (
            "P-17 JSON in a string",
            json!({ "userName": "amoss", "roles": [{ "value": "{\"id\":\"r1\"}" }] }),
            json!({ "userName": "amoss", "roles": [{ "value": "{\"id\":\"r1\"}" }] }),
        ),
        (
            "GOOG-8 active false on create, ENTRA-34 a guest",
            json!({ "userName": "ann_corp.example#EXT#@acme.example", "active": false }),
            json!({ "userName": "ann_corp.example#EXT#@acme.example", "active": false }),
        ),
    ];
    for (rule, body, expected) in rows {
        assert_eq!(user_of(body), expected, "{rule}");
    }
}

#[test]
fn wrong_types_are_refused_by_the_path_of_the_attribute() {
    for (body, start) in [
        (json!({ "userName": 7 }), "userName must be a string"),
        (json!({ "userName": "a", "active": "yes" }), "active must be true or false"),
        (json!({ "userName": "a", "active": 1 }), "active must be true or false"),
        (json!({ "userName": "a", "name": "Ann" }), "name must be an object"),
        (json!({ "userName": "a", "name": [{}, {}] }), "name must be an object"),
        (json!({ "userName": "a", "name": { "givenName": {} } }), "name.givenName must be a string"),
        (json!({ "userName": "a", "emails": 5 }), "emails must be a list of objects"),
        (json!({ "userName": "a", "emails": [["x"]] }), "emails must be a list of objects"),
        (json!({ "userName": "a", "emails": [{ "value": true }] }), "emails.value must be a string"),
        (json!({ "userName": "a", "emails": [{ "primary": "perhaps", "value": "x" }] }), "emails.primary must be"),
        (
            json!({ "userName": "a", ENTERPRISE: "Ops" }),
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User must",
        ),
        (
            json!({ "userName": "a", ENTERPRISE: { "department": 5 } }),
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department must be a string",
        ),
        (
            json!({ "userName": "a", ENTERPRISE: { "manager": { "value": 5 } } }),
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value must be a string",
        ),
        (json!({ "userName": "a\u{0}b" }), "userName contains"),
        (json!({ "userName": "a", "name": { "givenName": "\u{0}" } }), "name.givenName contains"),
        (json!({ "userName": "a", "unknown": ["\u{0}"] }), "unknown contains"),
        (json!({ "userName": "a", "unkn\u{0}own": 1 }), "unknown contains"),
        (json!({ "userName": "x".repeat(1025) }), "userName must not be longer"),
        (json!({ "userName": "a", "externalId": "x".repeat(1025) }), "externalId must not be longer"),
        (json!({ "userName": "a", "emails": ["x".repeat(1025)] }), "emails.value must not be longer"),
    ] {
        let detail = refused(user(), body);
        assert!(detail.starts_with(start), "{detail}");
    }
}

#[test]
fn what_is_required_must_be_there_and_not_be_empty() {
    for body in [json!({}), json!({ "userName": "" }), json!({ "userName": " \t" }), json!({ "userName": null })] {
        assert!(refused(user(), body).starts_with("userName is required"));
    }
    assert!(refused(group(), json!({ "displayName": "" })).starts_with("displayName is required"));
    assert_eq!(user_of(json!({ "userName": "amoss", "displayName": "" })), json!({ "userName": "amoss" }));
}

#[test]
fn a_body_that_is_no_object_is_a_syntax_error() {
    for body in [json!(null), json!([]), json!("userName"), json!(1)] {
        assert_eq!(check_new(user(), body).unwrap_err().scim_type, Some(ScimType::InvalidSyntax));
    }
}

#[test]
fn a_put_without_active_keeps_the_stored_one() {
    let stored = json!({ "userName": "amoss", "active": false, "title": "Lead" });
    let stored = stored.as_object().unwrap();
    let replaced = check_replace(user(), json!({ "userName": "amoss" }), stored).unwrap();
    assert_eq!(Value::Object(replaced), json!({ "userName": "amoss", "active": false }));
    let replaced = check_replace(user(), json!({ "userName": "amoss", "active": "True" }), stored).unwrap();
    assert_eq!(replaced["active"], true);
    let group_body = json!({ "displayName": "Crew" });
    assert_eq!(check_replace(group(), group_body, &Attrs::new()).unwrap().len(), 1);
}

#[test]
fn schemas_are_those_of_the_content() {
    let plain = check_new(user(), json!({ "userName": "a", "schemas": [ENTERPRISE] })).unwrap();
    assert_eq!(schemas_of(user(), &plain), ["urn:ietf:params:scim:schemas:core:2.0:User"]);
    let extended = check_new(user(), json!({ "userName": "a", ENTERPRISE: { "department": "Ops" } })).unwrap();
    assert_eq!(schemas_of(user(), &extended), ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE]);
}

/// Any JSON, with names of the schema among the keys.
pub(in crate::scim) fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["", "True", "a@b.example", "u-1", "work", "add", "remove", "members", "emails"])
            .prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text,
    ];
    let key = prop_oneof![
        3 => prop::sample::select(vec![
            "userName", "displayName", "name", "givenName", "emails", "value", "type", "primary", "active", "manager",
            "members", "op", "path", "Operations", "id", "groups", "$ref", ENTERPRISE, "emails[type eq \"work\"].value",
            "name.familyName", "schemas", "password",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_a_document_or_an_error_and_a_document_is_stable(body in any_json()) {
        for ty in [user(), group()] {
            let with_names = match body.clone() {
                Value::Object(mut object) => {
                    object.insert("userName".to_owned(), Value::from("amoss"));
                    object.insert("displayName".to_owned(), Value::from("Crew"));
                    Value::Object(object)
                }
                other => other,
            };
            if let Ok(attrs) = check_new(ty, with_names) {
                let again = check_new(ty, Value::Object(attrs.clone()));
                prop_assert_eq!(again, Ok(attrs));
            }
        }
    }
}
