#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use crate::scim::patch::{GroupPatch, Member, MemberChange, apply, parse, split_members};
use crate::scim::resource::Attrs;
use crate::scim::resource::tests::any_json;
use crate::scim::schema::{Types, group, user};
use crate::scim::{ScimError, ScimType};
use serde_json::Value;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const CORE_1: &str = "urn:scim:schemas:core:1.0";
const ENTERPRISE_1: &str = "urn:scim:schemas:extension:enterprise:1.0";

fn ann() -> Attrs {
    let document = json!({
        "userName": "amoss",
        "active": true,
        "title": "Lead",
        "name": { "givenName": "Ann", "familyName": "Moss", "middleName": "B" },
        "emails": [
            { "value": "ann@corp.example", "type": "work", "primary": true },
            { "value": "ann@home.example", "type": "home" }
        ],
        "addresses": [{ "type": "work", "locality": "Leeds" }, { "type": "home", "locality": "York", "primary": true }],
        ENTERPRISE: { "department": "Ops", "manager": { "value": "u-1190" } }
    });
    document.as_object().unwrap().clone()
}

fn patched(stored: &Attrs, body: &Value) -> Result<Attrs, ScimError> {
    apply(&parse(user(), body)?, user(), stored)
}

/// Each row: the rule, a body, the members of the document that are another then (null: gone).
#[test]
fn a_partial_resource_is_merged_after_its_names_are_taken_out() {
    let home = json!({ "value": "ann@home.example", "type": "home" });
    let work = json!({ "value": "ann@corp.example", "type": "work", "primary": true });
    let rows = [
        ("OKTA11-4", json!({ "schemas": [CORE_1], "id": "u-7f31", "active": false }), json!({ "active": false })),
        ("GEN-10", json!({ "active": "False" }), json!({ "active": false })),
        (
            "S11-30",
            json!({
                "schemas": [CORE_1], "meta": { "attributes": ["title"] }, "name": { "familyName": "Moss-Reyes" },
                "emails": [{ "value": "ann@home.example", "operation": "delete" }],
                "phoneNumbers": [{ "value": "+1 555 0100", "type": "mobile" }]
            }),
            json!({
                "title": null, "name": { "givenName": "Ann", "familyName": "Moss-Reyes", "middleName": "B" },
                "emails": [work], "phoneNumbers": [{ "value": "+1 555 0100", "type": "mobile" }]
            }),
        ),
        ("S11-17 simple", json!({ "title": "Chief", "nickName": "A" }), json!({ "title": "Chief", "nickName": "A" })),
        (
            "S11-17 an entry is found by its value, whatever its type",
            json!({ "emails": [{ "value": "ANN@home.example", "type": "other", "display": "A" }] }),
            json!({ "emails": [work, { "value": "ANN@home.example", "type": "other", "display": "A" }] }),
        ),
        (
            "S11-34",
            json!({ "emails": [{ "value": "ann@new.example", "primary": true }] }),
            json!({ "emails": [
                { "value": "ann@corp.example", "type": "work", "primary": false }, home,
                { "value": "ann@new.example", "primary": true }
            ] }),
        ),
        (
            "OL-5 one object for a list of one",
            json!({ "emails": { "value": "ann@home.example", "operation": "DELETE" } }),
            json!({ "emails": [work] }),
        ),
        (
            "S11-16, S11-19 a name in both is replaced",
            json!({ "meta": { "attributes": ["emails"] }, "emails": [{ "value": "only@corp.example" }] }),
            json!({ "emails": [{ "value": "only@corp.example" }] }),
        ),
        ("S11-19 emptied", json!({ "meta": { "attributes": ["emails"] } }), json!({ "emails": null })),
        (
            "S11-30 names with a part and with a URN",
            json!({ "META": { "Attributes": ["name.middleName", format!("{ENTERPRISE_1}:department"), "Title"] } }),
            json!({
                "name": { "givenName": "Ann", "familyName": "Moss" }, "title": null,
                ENTERPRISE: { "manager": { "value": "u-1190" } }
            }),
        ),
        (
            "S11-3",
            json!({ ENTERPRISE_1: { "division": "North", "manager": { "managerId": "u-2", "displayName": "Cy" } } }),
            json!({ ENTERPRISE: { "department": "Ops", "division": "North", "manager": { "value": "u-2" } } }),
        ),
        (
            "GEN-8 the URN of 2.0",
            json!({ ENTERPRISE: { "department": "Lab" } }),
            json!({ ENTERPRISE: { "department": "Lab", "manager": { "value": "u-1190" } } }),
        ),
        ("S11-31 not there", json!({ "emails": [{ "value": "x@y.example", "operation": "delete" }] }), json!({})),
        ("S11-31 there", json!({ "emails": [{ "value": "ann@home.example" }] }), json!({})),
        (
            "S11-33 the same address",
            json!({ "addresses": [{ "type": "work", "locality": "leeds" }] }),
            json!({ "addresses": [
                { "type": "work", "locality": "leeds" }, { "type": "home", "locality": "York", "primary": true }
            ] }),
        ),
        (
            "S11-33 another address",
            json!({ "addresses": [{ "type": "work", "locality": "Hull" }] }),
            json!({ "addresses": [
                { "type": "work", "locality": "Leeds" }, { "type": "home", "locality": "York", "primary": true },
                { "type": "work", "locality": "Hull" }
            ] }),
        ),
        (
            "S11-33 an address goes by all that is given",
            json!({ "addresses": [{ "type": "home", "operation": "delete" }, { "type": "work", "locality": "York", "operation": "delete" }] }),
            json!({ "addresses": [{ "type": "work", "locality": "Leeds" }] }),
        ),
        (
            "S11-33 the mark alone names who bears it, and an unmarked one names nobody else",
            json!({ "addresses": [{ "primary": true, "operation": "delete" }] }),
            json!({ "addresses": [{ "type": "work", "locality": "Leeds" }] }),
        ),
        ("an entry that says nothing deletes nothing", json!({ "emails": [{ "operation": "delete" }] }), json!({})),
        ("nothing but a name or a mark takes away", json!({ "emails": [], "addresses": null }), json!({})),
        (
            "GEN-9 null clears what is single",
            json!({ "title": null, "name": { "middleName": "" } }),
            json!({
                "title": null, "name": { "givenName": "Ann", "familyName": "Moss" }
            }),
        ),
        (
            "GEN-11, GEN-12 unknown names and the server's own",
            json!({
                "meta": { "attributes": ["shoeSize", "urn:example:1.0:x", "password"], "created": "x" }, "groups": [],
                "prefferedLanguage": "en", "password": "kW3-placeholder", "id": null
            }),
            json!({}),
        ),
        (
            "S11-32 no operation",
            json!({ "emails": [{ "value": "a@b.example", "operation": null }, { "value": "c@d.example", "Operation": "" }] }),
            json!({ "emails": [work, home, { "value": "a@b.example" }, { "value": "c@d.example" }] }),
        ),
        ("P-3", json!({ "schemas": [CORE_1], "password": "kW3-placeholder" }), json!({})),
    ];
    for (rule, body, expected) in rows {
        let mut document = ann();
        for (name, value) in expected.as_object().unwrap() {
            match value {
                Value::Null => document.remove(name),
                value => document.insert(name.clone(), value.clone()),
            };
        }
        let once = patched(&ann(), &body).unwrap();
        assert_eq!(once, document, "{rule}: {body}");
        assert_eq!(patched(&once, &body).unwrap(), once, "{rule} twice");
    }
}

#[test]
fn one_address_for_two_purposes_is_told_apart_by_its_type() {
    let twice = json!({ "userName": "amoss", "emails": [
        { "value": "ann@corp.example", "type": "work" }, { "value": "ann@corp.example", "type": "home" }
    ] });
    let after = |entry: Value| {
        let patched = patched(twice.as_object().unwrap(), &json!({ "emails": [entry] })).unwrap();
        patched
            .get("emails")
            .map_or(json!([]), |emails| emails.as_array().unwrap().iter().map(|e| e["type"].clone()).collect())
    };
    let entry = |kind: &str| json!({ "value": "ann@corp.example", "type": kind });
    let going = |kind: &str| json!({ "value": "ann@corp.example", "type": kind, "operation": "delete" });
    assert_eq!(after(entry("home")), json!(["work", "home"]));
    assert_eq!(after(entry("other")), json!(["work", "home", "other"]));
    assert_eq!(after(going("home")), json!(["work"]));
    assert_eq!(after(going("other")), json!(["work", "home"]));
    assert_eq!(after(json!({ "value": "ann@corp.example", "operation": "delete" })), json!([]));
}

#[test]
fn what_a_tenant_declares_is_merged_like_what_is_built_in() {
    const BADGE: &str = "urn:example:badge:1.0";
    let types = Types::declared(&[json!({ "id": BADGE, "resource": "User", "attributes": [
        { "name": "tags", "type": "string", "multiValued": true },
        { "name": "doors", "type": "complex", "multiValued": true, "subAttributes": [
            { "name": "value", "type": "string" }, { "name": "note", "type": "string" },
            { "name": "lock", "type": "string", "mutability": "immutable" } ] }
    ] })])
    .unwrap();
    let stored = json!({
        "userName": "amoss", BADGE: { "tags": ["a"], "doors": [{ "value": "north", "lock": "L1" }, { "value": "south" }] }
    });
    let after = |badge: Value| {
        let patch = parse(types.user, &json!({ BADGE: badge })).unwrap();
        apply(&patch, types.user, stored.as_object().unwrap()).map(|document| document[BADGE].clone())
    };
    let joined = json!({ "tags": ["A", "b"], "doors": [{ "value": "north", "note": "x" }, { "value": "south", "operation": "delete" }] });
    assert_eq!(
        after(joined).unwrap(),
        json!({ "tags": ["a", "b"], "doors": [{ "value": "north", "lock": "L1", "note": "x" }] })
    );
    assert_eq!(after(json!({ "doors": [{ "value": "south", "lock": "L2" }] })).unwrap()["doors"][1]["lock"], "L2");
    let error = after(json!({ "doors": [{ "value": "north", "lock": "L2" }] })).unwrap_err();
    assert_eq!((error.status, error.scim_type), (400, Some(ScimType::Mutability)), "{error}");
    let named = json!({ "meta": { "attributes": [format!("{BADGE}:tags")] } });
    let emptied = apply(&parse(types.user, &named).unwrap(), types.user, stored.as_object().unwrap()).unwrap();
    assert_eq!(emptied[BADGE].get("tags"), None);
}

#[test]
fn what_is_no_partial_resource_is_refused_and_named() {
    use ScimType::{InvalidSyntax, InvalidValue, Mutability};
    let patch_op = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
    for (body, kind, words) in [
        (json!({}), InvalidSyntax, "Operations"),
        (json!({ "favouriteColour": "red" }), InvalidSyntax, "attributes of a User"),
        (json!({ "op": "replace", "path": "active", "value": false }), InvalidSyntax, "Operations"),
        (json!({ "schemas": [patch_op], "active": false }), InvalidSyntax, "Operations"),
        (json!([]), InvalidSyntax, "object"),
        (json!({ "Operations": null, "active": false }), InvalidSyntax, "Operations"),
        (json!({ "active": "off" }), InvalidValue, "active"),
        (json!({ "emails": [{ "value": "a@b.example", "operation": "remove" }] }), InvalidValue, "emails.operation"),
        (json!({ "emails": [{ "value": "a@b.example", "operation": true }] }), InvalidValue, "emails.operation"),
        (json!({ "meta": { "attributes": 7 } }), InvalidValue, "meta.attributes"),
        (json!({ "meta": { "attributes": [7] } }), InvalidValue, "meta.attributes"),
        (json!({ "meta": { "attributes": vec!["title"; 501] } }), InvalidValue, "meta.attributes"),
        (json!({ "meta": { "attributes": ["groups"] } }), Mutability, "groups"),
        (json!({ "meta": { "attributes": ["userName"] } }), InvalidValue, "userName"),
        (json!({ ENTERPRISE_1: 7 }), InvalidValue, "extension"),
    ] {
        let error = patched(&ann(), &body).unwrap_err();
        assert_eq!((error.status, error.scim_type), (400, Some(kind)), "{body}");
        assert!(error.detail.contains(words), "{}", error.detail);
    }
    let renamed = json!({ "meta": { "attributes": ["userName"] }, "userName": "ann" });
    assert_eq!(patched(&ann(), &renamed).unwrap()["userName"], "ann");
}

fn of_group(body: Value) -> Result<GroupPatch, ScimError> {
    split_members(parse(group(), &body)?)
}

fn added(ids: &[&str]) -> MemberChange {
    MemberChange::Add(ids.iter().map(|id| Member { value: (*id).to_owned(), kind: None }).collect())
}

fn removed(ids: &[&str]) -> MemberChange {
    MemberChange::Remove(ids.iter().map(|id| (*id).to_owned()).collect())
}

#[test]
fn members_join_and_leave_without_a_look_at_the_others() {
    let ann = json!({ "value": "u-7f31", "display": "ann.moss@corp.example" });
    let bo = json!({ "value": "u-55aa", "operation": "delete" });
    let rows = [
        ("OKTA11-7", json!({ "schemas": [CORE_1], "members": [ann] }), vec![added(&["u-7f31"])]),
        ("OKTA11-8", json!({ "schemas": [CORE_1], "members": [bo] }), vec![removed(&["u-55aa"])]),
        (
            "SLACK-5",
            json!({ "schemas": [CORE_1, ENTERPRISE_1], "members": [{ "value": "u-7f31" }, bo] }),
            vec![added(&["u-7f31"]), removed(&["u-55aa"])],
        ),
        (
            "runs",
            json!({ "members": [bo, { "value": "u-2", "operation": "Delete" }, ann, "u-3", bo] }),
            vec![removed(&["u-55aa", "u-2"]), added(&["u-7f31", "u-3"]), removed(&["u-55aa"])],
        ),
        ("S11-19", json!({ "meta": { "attributes": ["members"] } }), vec![MemberChange::RemoveAll]),
        (
            "S11-19 with members",
            json!({ "meta": { "attributes": ["members"] }, "members": [ann] }),
            vec![MemberChange::RemoveAll, added(&["u-7f31"])],
        ),
        ("an empty list is nobody", json!({ "members": [] }), vec![]),
        ("null is nobody", json!({ "members": null }), vec![]),
    ];
    for (rule, body, expected) in rows {
        assert_eq!(of_group(body).unwrap().members, expected, "{rule}");
    }
}

#[test]
fn a_group_is_renamed_and_its_description_dropped() {
    let body = json!({
        "schemas": [CORE_1, "urn:example:custom:group:1.0"], "id": "g-02c9", "displayName": "Platform",
        "urn:example:custom:group:1.0": { "description": "x" }
    });
    let GroupPatch { attrs, members } = of_group(body).unwrap();
    assert_eq!(members, []);
    let stored = json!({ "displayName": "Platform Crew" });
    let after = apply(&attrs, group(), stored.as_object().unwrap()).unwrap();
    assert_eq!(Value::Object(after), json!({ "displayName": "Platform" }));
}

#[test]
fn members_without_an_id_or_with_another_operation_are_refused() {
    for members in [
        json!([{ "operation": "delete" }]),
        json!([{ "display": "Ann" }]),
        json!([{ "value": "u-1", "operation": "add" }]),
        json!([7]),
    ] {
        let error = of_group(json!({ "members": members })).unwrap_err();
        assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidValue)), "{members}");
    }
}

proptest! {
    #[test]
    fn any_partial_resource_is_applied_or_refused_and_leaves_a_whole_document(emails in any_json(), members in any_json(), names in any_json()) {
        let body = json!({ "emails": emails, "addresses": members, "name": names, "meta": { "attributes": names } });
        if let Ok(after) = patched(&ann(), &body) {
            prop_assert!(after.contains_key("userName"));
            for list in ["emails", "addresses"] {
                let marked = after.get(list).map_or(0, |list| {
                    list.as_array().unwrap().iter().filter(|entry| entry["primary"] == true).count()
                });
                prop_assert!(marked <= 1, "{list}: {after:?}");
            }
            prop_assert!(!Value::Object(after).to_string().contains("\"operation\""));
        }
        match of_group(json!({ "displayName": names, "members": members })) {
            Ok(patch) => prop_assert!(!patch.members.contains(&MemberChange::RemoveAll)),
            Err(error) => prop_assert_eq!(error.status, 400),
        }
    }
}
