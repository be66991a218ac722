#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::scim::error::ScimType;
use crate::scim::filter::{Expr, Op};
use crate::scim::resource::check_new;
use crate::scim::resource::tests::any_json;
use crate::scim::schema::{group, user};

mod members;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn ann() -> Attrs {
    let body = json!({
        "userName": "ann.moss@corp.example",
        "externalId": "00uExampleAnnMoss01",
        "name": { "givenName": "Ann", "familyName": "Moss" },
        "displayName": "Ann Moss",
        "preferredLanguage": "en",
        "active": true,
        "emails": [
            { "value": "ann.moss@corp.example", "type": "work", "primary": true },
            { "value": "ann@home.example", "type": "home" }
        ],
        ENTERPRISE: { "employeeNumber": "8841", "manager": { "value": "u-1000" } }
    });
    check_new(user(), body).unwrap()
}

fn patched_with(operations: Value) -> Result<Attrs, ScimError> {
    let patch = parse(user(), &json!({ "Operations": operations }))?;
    apply(&patch, user(), &ann())
}

/// What the operations change of Ann: each top-level member that differs, null where it is gone.
fn difference(operations: Value) -> Value {
    let before = ann();
    let after = patched_with(operations).unwrap();
    let mut changed = Map::new();
    for key in before.keys().chain(after.keys()) {
        if before.get(key) != after.get(key) {
            changed.insert(key.clone(), after.get(key).cloned().unwrap_or(Value::Null));
        }
    }
    Value::Object(changed)
}

fn refusal(ty: &ResourceType, operations: Value) -> (u16, Option<ScimType>) {
    let stored = if ty.name == "User" { ann() } else { Attrs::from_iter([("displayName".to_owned(), "Crew".into())]) };
    let outcome = parse(ty, &json!({ "Operations": operations }))
        .and_then(|patch| if ty.name == "User" { Ok(patch) } else { Ok(split_members(patch)?.attrs) })
        .and_then(|patch| apply(&patch, ty, &stored));
    let error = outcome.unwrap_err();
    assert!(!error.detail.is_empty());
    (error.status, error.scim_type)
}

/// Each row: the quirk, the operations, what they change.
#[test]
fn every_shape_on_users_has_the_effect_its_sender_relies_on() {
    let work = |value: &str| {
        json!([
            { "value": value, "type": "work", "primary": true }, { "value": "ann@home.example", "type": "home" }
        ])
    };
    let department = format!("{ENTERPRISE}:department");
    let manager = format!("{ENTERPRISE}:manager");
    let with_department = json!({ "employeeNumber": "8841", "manager": { "value": "u-1000" }, "department": "Ops" });
    let with_manager = json!({ "employeeNumber": "8841", "manager": { "value": "u-1190" } });
    let rows = [
        ("P-1", json!([{ "op": "replace", "value": { "active": false } }]), json!({ "active": false })),
        ("P-2", json!([{ "op": "replace", "value": { "active": true } }]), json!({})),
        ("P-3", json!([{ "op": "replace", "value": { "password": "s3cret" } }]), json!({})),
        ("P-3", json!([{ "op": "replace", "path": "password", "value": "s3cret" }]), json!({})),
        ("P-4", json!([{ "op": "Replace", "path": "active", "value": "False" }]), json!({ "active": false })),
        ("P-5", json!([{ "op": "replace", "path": "active", "value": false }]), json!({ "active": false })),
        ("P-6", json!([{ "op": "Add", "path": "active", "value": "True" }]), json!({})),
        ("P-7", json!([{ "op": "replace", "path": "active", "value": "false" }]), json!({ "active": false })),
        (
            "P-8",
            json!([{ "op": "replace", "value": {
                "displayName": "Ann M.", "name.givenName": "Anne", "name.familyName": "Reyes", department.as_str(): "Ops"
            } }]),
            json!({
                "displayName": "Ann M.", "name": { "givenName": "Anne", "familyName": "Reyes" },
                ENTERPRISE: with_department.clone()
            }),
        ),
        (
            "P-9",
            json!([{ "op": "add", "value": {
                "name.givenName": "Anne", "emails[type eq \"work\"].value": "a@corp.example"
            } }]),
            json!({ "name": { "givenName": "Anne", "familyName": "Moss" }, "emails": work("a@corp.example") }),
        ),
        (
            "P-10",
            json!([{ "op": "Add", "path": department, "value": "Ops" }]),
            json!({ ENTERPRISE: with_department.clone() }),
        ),
        (
            "P-11",
            json!([{ "op": "replace", "value": { ENTERPRISE: { "department": "Ops" } } }]),
            json!({ ENTERPRISE: with_department.clone() }),
        ),
        (
            "P-11",
            json!([{ "op": "add", "path": ENTERPRISE, "value": { "Department": "Ops", "shoeSize": 1 } }]),
            json!({ ENTERPRISE: with_department }),
        ),
        ("P-11", json!([{ "op": "remove", "path": ENTERPRISE }]), json!({ ENTERPRISE: null })),
        (
            "P-12",
            json!([{ "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "new@corp.example" }]),
            json!({ "emails": work("new@corp.example") }),
        ),
        (
            "P-12",
            json!([{ "op": "Replace", "path": "phoneNumbers[type eq \"work\"].value", "value": "+1 555 0101" }]),
            json!({ "phoneNumbers": [{ "type": "work", "value": "+1 555 0101" }] }),
        ),
        (
            "P-13",
            json!([{ "op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+1 555 0100" }]),
            json!({ "phoneNumbers": [{ "type": "mobile", "value": "+1 555 0100" }] }),
        ),
        (
            "P-14",
            json!([
                { "op": "Add", "path": "addresses[type eq \"work\"].formatted", "value": "5 Low Rd" },
                { "op": "Add", "path": "addresses[type eq \"work\"].country", "value": "NZ" }
            ]),
            json!({ "addresses": [{ "type": "work", "formatted": "5 Low Rd", "country": "NZ" }] }),
        ),
        (
            "P-15",
            json!([{ "op": "Replace", "path": "emails[type eq \"work\"].Value", "value": "new@corp.example" }]),
            json!({ "emails": work("new@corp.example") }),
        ),
        (
            "P-16",
            json!([{ "op": "Add", "path": "roles[primary eq \"True\"].value", "value": "lead" }]),
            json!({ "roles": [{ "primary": true, "value": "lead" }] }),
        ),
        (
            "P-16",
            json!([{ "op": "Replace", "path": "emails[primary eq \"True\"].value", "value": "new@corp.example" }]),
            json!({ "emails": work("new@corp.example") }),
        ),
        (
            "P-17",
            json!([{ "op": "Add", "path": "roles", "value": [{ "value": "{\"id\":\"r1\",\"value\":\"25\"}" }] }]),
            json!({ "roles": [{ "value": "{\"id\":\"r1\",\"value\":\"25\"}" }] }),
        ),
        (
            "P-18",
            json!([{ "op": "Add", "path": manager, "value": "u-1190" }]),
            json!({ ENTERPRISE: with_manager.clone() }),
        ),
        (
            "P-19",
            json!([{ "op": "Replace", "path": "manager", "value": [{ "$ref": null, "value": "u-1190" }] }]),
            json!({ ENTERPRISE: with_manager }),
        ),
        ("P-20", json!([{ "op": "Remove", "path": manager }]), json!({ ENTERPRISE: { "employeeNumber": "8841" } })),
        (
            "P-20",
            json!([{ "op": "Replace", "path": manager, "value": "" }]),
            json!({ ENTERPRISE: { "employeeNumber": "8841" } }),
        ),
        (
            "P-20",
            json!([{ "op": "Replace", "path": manager, "value": { "value": "" } }]),
            json!({ ENTERPRISE: { "employeeNumber": "8841" } }),
        ),
        (
            "P-21",
            json!([{ "op": "Replace", "path": "name", "value": { "familyName": "Moss-Reyes" } }]),
            json!({ "name": { "givenName": "Ann", "familyName": "Moss-Reyes" } }),
        ),
        (
            "P-22",
            json!([{ "op": "Replace", "path": "emails[type eq \"work\"].value", "value": null }]),
            json!({ "emails": [{ "value": "ann@home.example", "type": "home" }] }),
        ),
        (
            "P-23",
            json!([{ "op": "Replace", "path": "emails", "value": [{ "value": "x@corp.example", "type": "work", "primary": true }] }]),
            json!({ "emails": [{ "value": "x@corp.example", "type": "work", "primary": true }] }),
        ),
        ("P-37", json!([]), json!({})),
        ("P-39", json!([{ "op": "Replace", "path": "externalId", "value": "x-1" }]), json!({ "externalId": "x-1" })),
        (
            "P-41",
            json!([{ "op": "Replace", "path": "userName", "value": "new@corp.example" }]),
            json!({ "userName": "new@corp.example" }),
        ),
        (
            "P-42",
            json!([{ "op": "Replace", "path": "preferredLanguage", "value": "" }]),
            json!({ "preferredLanguage": null }),
        ),
        (
            "P-45",
            json!([{ "op": "replace", "value": { "groups": [{ "value": "g-1" }], "id": "u-0", "meta": {}, "title": "Lead" } }]),
            json!({ "title": "Lead" }),
        ),
        ("GEN-8", json!([{ "op": "add", "path": "schemas", "value": ["urn:example:x"] }]), json!({})),
        ("GEN-11", json!([{ "op": "add", "path": "urn:example:2.0:User:badge", "value": 7 }]), json!({})),
        (
            "OL-4",
            json!([{ "op": "replace", "value": { "addresses[].city": "Rome", "title": "Lead" } }]),
            json!({ "title": "Lead" }),
        ),
    ];
    for (quirk, operations, expected) in rows {
        assert_eq!(difference(operations), expected, "{quirk}");
    }
}

#[test]
fn a_request_of_many_operations_is_applied_whole_or_not_at_all() {
    let mut operations: Vec<Value> =
        (0..36).map(|n| json!({ "op": "add", "path": "roles", "value": [{ "value": format!("r{n}") }] })).collect();
    let after = patched_with(Value::from(operations.clone())).unwrap();
    assert_eq!(after["roles"].as_array().unwrap().len(), 36, "P-38");
    operations.push(json!({ "op": "replace", "path": "active", "value": "perhaps" }));
    assert_eq!(patched_with(Value::from(operations)).unwrap_err().scim_type, Some(ScimType::InvalidValue));
}

#[test]
fn the_words_of_the_envelope_may_be_in_any_letter_case() {
    let body = json!({ "operations": [{ "OP": "REPLACE", "Path": "Title", "Value": "Lead", "extra": 1 }] });
    let after = apply(&parse(user(), &body).unwrap(), user(), &ann()).unwrap();
    assert_eq!(after["title"], "Lead", "P-43, P-35");
}

#[test]
fn lists_keep_the_rules_of_the_rfc() {
    let home = json!({ "value": "ann@home.example", "type": "home" });
    let rows = [
        (
            "a present entry is not added twice",
            json!([{ "op": "add", "path": "emails", "value": [{ "value": "ANN@home.example", "type": "home" }] }]),
            json!({ "emails": [
                { "value": "ann.moss@corp.example", "type": "work", "primary": true }, { "value": "ANN@home.example", "type": "home" }
            ] }),
        ),
        (
            "the same value under another type is another entry",
            json!([{ "op": "add", "path": "emails", "value": { "value": "ann@home.example", "type": "other" } }]),
            json!({ "emails": [
                { "value": "ann.moss@corp.example", "type": "work", "primary": true }, home,
                { "value": "ann@home.example", "type": "other" }
            ] }),
        ),
        (
            "a new primary entry takes the mark",
            json!([{ "op": "add", "path": "emails", "value": [{ "value": "x@corp.example", "primary": "True" }] }]),
            json!({ "emails": [
                { "value": "ann.moss@corp.example", "type": "work", "primary": false }, home,
                { "value": "x@corp.example", "primary": true }
            ] }),
        ),
        (
            "marking an old one does too",
            json!([{ "op": "replace", "path": "emails[type eq \"home\"].primary", "value": true }]),
            json!({ "emails": [
                { "value": "ann.moss@corp.example", "type": "work", "primary": false },
                { "value": "ann@home.example", "type": "home", "primary": true }
            ] }),
        ),
        (
            "remove by filter",
            json!([{ "op": "remove", "path": "emails[type eq \"work\" and value co \"CORP\"]" }]),
            json!({ "emails": [home] }),
        ),
        (
            "remove by value list takes only those",
            json!([{ "op": "remove", "path": "emails", "value": [{ "value": "Ann.Moss@corp.example" }] }]),
            json!({ "emails": [home] }),
        ),
        ("remove of an empty list takes none", json!([{ "op": "remove", "path": "emails", "value": [] }]), json!({})),
        ("remove without value takes all", json!([{ "op": "remove", "path": "emails" }]), json!({ "emails": null })),
        (
            "remove of what is not there succeeds",
            json!([
                { "op": "remove", "path": "emails[type eq \"other\"]" }, { "op": "remove", "path": "title" },
                { "op": "remove", "path": "name.middleName" }, { "op": "remove", "path": "roles" }
            ]),
            json!({}),
        ),
        (
            "replacing a selected entry keeps what its bracket says",
            json!([{ "op": "replace", "path": "emails[type eq \"work\"]", "value": { "value": "x@corp.example" } }]),
            json!({ "emails": [{ "type": "work", "value": "x@corp.example" }, home] }),
        ),
        (
            "adding to a selected entry merges",
            json!([{ "op": "add", "path": "emails[type eq \"work\"]", "value": { "display": "Office" } }]),
            json!({ "emails": [
                { "value": "ann.moss@corp.example", "type": "work", "primary": true, "display": "Office" }, home
            ] }),
        ),
        (
            "an entry may be created whole",
            json!([{ "op": "add", "path": "ims[type eq \"xmpp\" and primary eq true]", "value": "ann@chat.example" }]),
            json!({ "ims": [{ "type": "xmpp", "primary": true, "value": "ann@chat.example" }] }),
        ),
        (
            "an entry is not created to be cleared",
            json!([{ "op": "replace", "path": "ims[type eq \"xmpp\"].value", "value": "" }]),
            json!({}),
        ),
        (
            "type before value",
            json!([
                { "op": "add", "path": "ims[type eq \"xmpp\"].primary", "value": true },
                { "op": "add", "path": "ims[type eq \"xmpp\"].value", "value": "ann@chat.example" }
            ]),
            json!({ "ims": [{ "type": "xmpp", "primary": true, "value": "ann@chat.example" }] }),
        ),
        (
            "removing the last part of a complex attribute removes it",
            json!([{ "op": "remove", "path": "name.givenName" }, { "op": "remove", "path": "name.familyName" }]),
            json!({ "name": null }),
        ),
    ];
    for (rule, operations, expected) in rows {
        assert_eq!(difference(operations), expected, "{rule}");
    }
}

#[test]
fn a_repeated_rename_of_an_entry_makes_no_second_one() {
    let rename =
        json!([{ "op": "replace", "path": "emails[value eq \"ann@home.example\"].value", "value": "a@new.example" }]);
    let patch = parse(user(), &json!({ "Operations": rename })).unwrap();
    let once = apply(&patch, user(), &ann()).unwrap();
    assert_eq!(once["emails"][1], json!({ "value": "a@new.example", "type": "home" }));
    assert_eq!(apply(&patch, user(), &once), Ok(once), "GEN-22");
}

#[test]
fn what_cannot_be_done_is_refused_with_its_keyword() {
    use ScimType::{InvalidFilter, InvalidPath, InvalidSyntax, InvalidValue, Mutability, NoTarget};
    for (operations, scim_type) in [
        (json!("none"), InvalidSyntax),
        (json!({ "op": "add" }), InvalidSyntax),
        (json!([1]), InvalidSyntax),
        (json!([{ "path": "title", "value": "x" }]), InvalidSyntax),
        (json!([{ "op": "move", "path": "title", "value": "x" }]), InvalidSyntax),
        (json!([{ "op": 1, "path": "title", "value": "x" }]), InvalidSyntax),
        (json!([{ "op": "replace", "path": 1, "value": "x" }]), InvalidPath),
        (json!([{ "op": "replace", "path": "shoeSize", "value": 44 }]), InvalidPath),
        (json!([{ "op": "replace", "path": "name.shoeSize", "value": 44 }]), InvalidPath),
        (json!([{ "op": "replace", "path": "name[givenName pr].familyName", "value": "x" }]), InvalidPath),
        (json!([{ "op": "replace", "path": "emails[type eq \"work\"", "value": "x" }]), InvalidPath),
        (json!([{ "op": "replace", "path": "emails[type eq \"work\"]value", "value": "x" }]), InvalidPath),
        (json!([{ "op": "replace", "path": "emails[type eq \"work\"].shoe", "value": "x" }]), InvalidPath),
        (json!([{ "op": "replace", "path": "emails[type]", "value": "x" }]), InvalidFilter),
        (json!([{ "op": "replace", "path": "emails[shoe eq 1]", "value": "x" }]), InvalidFilter),
        (json!([{ "op": "replace", "path": "groups", "value": [] }]), Mutability),
        (json!([{ "op": "remove", "path": "id" }]), Mutability),
        (json!([{ "op": "replace", "path": "meta.created", "value": "x" }]), Mutability),
        (json!([{ "op": "replace", "path": "manager.$ref", "value": "x" }]), Mutability),
        (json!([{ "op": "remove", "value": { "title": "x" } }]), NoTarget),
        (
            json!([{ "op": "replace", "path": "emails[not (type eq \"work\") and type ne \"home\"].value", "value": "x" }]),
            NoTarget,
        ),
        (json!([{ "op": "replace", "path": "title" }]), InvalidValue),
        (json!([{ "op": "replace", "value": "title" }]), InvalidValue),
        (json!([{ "op": "replace", "path": "title", "value": 5 }]), InvalidValue),
        (json!([{ "op": "replace", "path": "name", "value": "Ann" }]), InvalidValue),
        (json!([{ "op": "replace", "path": ENTERPRISE, "value": "Ops" }]), InvalidValue),
        (json!([{ "op": "replace", "path": "title", "value": "a\u{0}b" }]), InvalidValue),
        (json!([{ "op": "remove", "path": "userName" }]), Mutability),
        (json!([{ "op": "replace", "path": "userName", "value": "" }]), InvalidValue),
        (json!([{ "op": "remove", "path": "emails", "value": 5 }]), InvalidValue),
    ] {
        assert_eq!(refusal(user(), operations.clone()), (400, Some(scim_type)), "{operations}");
    }
    assert_eq!(parse(user(), &json!([])).unwrap_err().scim_type, Some(InvalidSyntax));
    assert_eq!(parse(user(), &json!({})).unwrap_err().scim_type, Some(InvalidSyntax));
    let flood = vec![json!({ "op": "add", "path": "title", "value": "x" }); MOST_OPERATIONS + 1];
    assert_eq!(parse(user(), &json!({ "Operations": flood })).unwrap_err().status, 413);
    let bomb = format!("emails{}", "[(".repeat(4_000));
    let operations = json!([{ "op": "remove", "path": bomb }]);
    assert_eq!(refusal(user(), operations), (400, Some(InvalidFilter)));
}

fn any_operation() -> impl Strategy<Value = Value> {
    let op = prop::sample::select(vec!["add", "Replace", "remove", "Add", "replace"]);
    let path = prop::sample::select(vec![
        "active",
        "title",
        "userName",
        "name",
        "name.givenName",
        "emails",
        "emails.value",
        "emails[type eq \"work\"]",
        "emails[type eq \"work\"].value",
        "emails[primary eq true].value",
        "roles",
        "addresses[type eq \"home\"].country",
        "manager",
        "department",
        ENTERPRISE,
        "members",
        "members[value eq \"u-1\"]",
        "emails[not (type pr)]",
        "",
    ]);
    (op, path, any_json()).prop_map(|(op, path, value)| json!({ "op": op, "path": path, "value": value }))
}

proptest! {
    #[test]
    fn any_json_is_a_patch_or_an_error(body in any_json(), operations in prop::collection::vec(any_operation(), 0..4)) {
        for ty in [user(), group()] {
            let stored = if ty.name == "User" { ann() } else { Attrs::from_iter([("displayName".to_owned(), "C".into())]) };
            for body in [body.clone(), json!({ "Operations": [body.clone()] }), json!({ "Operations": operations })] {
                let Ok(patch) = parse(ty, &body) else { continue };
                let Ok(split) = split_members(patch) else { continue };
                if let Ok(after) = apply(&split.attrs, ty, &stored) {
                    // What a PATCH makes is what a POST of it would store.
                    prop_assert_eq!(check_new(ty, Value::Object(after.clone())), Ok(after));
                }
            }
        }
    }

    #[test]
    fn replacing_twice_is_replacing_once(operation in any_operation()) {
        let mut operation = operation;
        operation["op"] = "replace".into();
        if let Ok(patch) = parse(user(), &json!({ "Operations": [operation] }))
            && let Ok(once) = apply(&patch, user(), &ann())
        {
            prop_assert_eq!(apply(&patch, user(), &once), Ok(once));
        }
    }
}

#[test]
fn to_take_active_away_switches_nobody_on() {
    for active in [false, true] {
        let stored = json!({ "userName": "ann", "active": active }).as_object().unwrap().clone();
        for operation in [
            json!({ "op": "remove", "path": "active" }),
            json!({ "op": "replace", "path": "active", "value": null }),
            json!({ "op": "replace", "path": "active", "value": "" }),
            json!({ "op": "replace", "value": { "active": null } }),
        ] {
            let patch = parse(user(), &json!({ "Operations": [operation] })).unwrap();
            assert_eq!(apply(&patch, user(), &stored).as_ref(), Ok(&stored), "{operation}");
        }
        let patch =
            parse(user(), &json!({ "schemas": ["urn:scim:schemas:core:1.0"], "meta": { "attributes": ["active"] } }));
        assert_eq!(apply(&patch.unwrap(), user(), &stored).as_ref(), Ok(&stored), "S11-16");
    }
}

#[test]
fn the_long_way_to_name_a_list_removes_only_what_is_listed() {
    let remove = |value| json!([{ "op": "remove", "path": "emails.value", "value": value }]);
    let stored = json!({ "userName": "ann", "emails": [{ "value": "a@x" }, { "value": "b@x" }] });
    let stored = stored.as_object().unwrap();
    let left = |operations| {
        let patch = parse(user(), &json!({ "Operations": operations })).unwrap();
        apply(&patch, user(), stored).unwrap().get("emails").cloned()
    };
    assert_eq!(left(remove(json!(["a@x"]))), Some(json!([{ "value": "b@x" }])));
    assert_eq!(left(remove(json!([]))), stored.get("emails").cloned());
}
