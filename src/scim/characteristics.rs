//! Tests of what each characteristic of a schema means (RFC 7643 section 2.2), over every operation on a document.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::error::{ScimError, ScimType};
use super::filter::{self, Limits};
use super::resource::{Attrs, check_new, check_replace, schemas_of};
use super::schema::{Attribute, Kind, ResourceType, Types};
use super::{Projection, folded, patch, project};

const BADGE: &str = "urn:example:badge:1.0";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// A tenant's extension with one attribute for each characteristic.
fn types() -> Types {
    let text = |name: &str, more: Value| {
        let mut attribute = json!({ "name": name, "type": "string" });
        attribute.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        attribute
    };
    Types::declared(&[json!({ "id": BADGE, "resource": "User", "attributes": [
        text("number", json!({ "required": true })),
        text("color", json!({ "canonicalValues": ["red", "blue"] })),
        text("serial", json!({ "mutability": "immutable" })),
        text("printed", json!({ "mutability": "readOnly" })),
        text("pin", json!({ "mutability": "writeOnly", "returned": "never" })),
        text("notes", json!({ "returned": "request" })),
        text("kind", json!({ "returned": "always" })),
        text("code", json!({ "caseExact": true })),
        text("tags", json!({ "multiValued": true })),
        { "name": "floor", "type": "integer" }, { "name": "height", "type": "decimal" }, { "name": "remote", "type": "boolean" },
        { "name": "since", "type": "dateTime" }, { "name": "home", "type": "reference" }, { "name": "scan", "type": "binary" },
        { "name": "desk", "type": "complex", "subAttributes": [
            text("room", json!({})), text("key", json!({ "mutability": "immutable" })),
            text("alarm", json!({ "returned": "never" })), text("hint", json!({ "returned": "request" })) ] },
        { "name": "doors", "type": "complex", "multiValued": true, "subAttributes": [
            text("value", json!({ "required": true })), text("type", json!({})), { "name": "primary", "type": "boolean" },
            text("lock", json!({ "mutability": "immutable" })), text("secret", json!({ "returned": "never" })) ] }
    ] })])
    .unwrap()
}

/// Ann with this badge.
fn with(badge: Value) -> Value {
    json!({ "userName": "ann", BADGE: badge })
}

fn ann() -> Attrs {
    let badge = json!({
        "number": "7", "serial": "S-1", "pin": "0000", "notes": "lost once", "kind": "guest", "code": "AbC", "tags": ["a", "b"],
        "desk": { "room": "R1", "key": "K1", "alarm": "1234", "hint": "left" },
        "doors": [{ "value": "north", "lock": "L1", "secret": "x" }, { "value": "south", "primary": true }]
    });
    check_new(types().user, with(badge)).unwrap()
}

fn badge(attrs: &Attrs) -> &Value {
    &attrs[BADGE]
}

fn patched(operation: Value) -> Result<Attrs, ScimError> {
    let ty = types().user;
    patch::apply(&patch::parse(ty, &json!({ "Operations": [operation] }))?, ty, &ann())
}

fn replaced(badge: Value) -> Result<Attrs, ScimError> {
    check_replace(types().user, with(badge), &ann())
}

fn shown(attrs: &Attrs, attributes: Option<&str>, excluded: Option<&str>) -> Value {
    let ty = types().user;
    let mut document = attrs.clone();
    document.insert("id".to_owned(), "u-1".into());
    Projection::parse(ty, attributes, excluded).unwrap().apply(ty, &mut document);
    Value::Object(document)
}

fn selects(text: &str, attrs: &Attrs) -> Result<bool, ScimError> {
    let ty = types().user;
    let expr = filter::resolve(&filter::parse(text, &Limits::default())?, ty)?;
    Ok(filter::eval(&expr, &Value::Object(folded(ty, attrs))))
}

#[test]
fn declared_values_are_kept_by_their_type_and_the_undeclared_ignored() {
    let given = json!({
        "NUMBER": "7", "floor": 3, "height": 1.5, "remote": "True", "since": "2026-04-07T14:19:34Z", "home": "https://x.example",
        "scan": "AAE=", "color": "green", "tags": "one", "shoeSize": 44, "printed": "now", "doors": "north", "notes": ""
    });
    let kept = json!({
        "number": "7", "floor": 3, "height": 1.5, "remote": true, "since": "2026-04-07T14:19:34Z", "home": "https://x.example",
        "scan": "AAE=", "color": "green", "tags": ["one"], "doors": [{ "value": "north" }]
    });
    let body = json!({ "userName": "ann", BADGE.to_uppercase(): given, "urn:example:other:1.0": { "a": 1 } });
    let attrs = check_new(types().user, body.clone()).unwrap();
    assert_eq!(Value::Object(attrs.clone()), with(kept));
    assert_eq!(schemas_of(types().user, &attrs), ["urn:ietf:params:scim:schemas:core:2.0:User", BADGE]);
    let elsewhere = check_new(Types::built_in().user, body).unwrap();
    assert_eq!(Value::Object(elsewhere), json!({ "userName": "ann" }), "OPP-3");
    for (name, value) in [
        ("floor", json!(1.5)),
        ("floor", json!("3")),
        ("remote", json!("perhaps")),
        ("since", json!("today")),
        ("color", json!(1)),
        ("desk", json!("R1")),
        ("tags", json!([["a"]])),
        ("doors", json!([{ "lock": "L1" }])),
    ] {
        let error = check_new(types().user, with(json!({ "number": "7", name: value }))).unwrap_err();
        assert_eq!(error.scim_type, Some(ScimType::InvalidValue));
        assert!(error.detail.starts_with(&format!("{BADGE}:{name}")), "{error}");
    }
}

#[test]
fn what_is_required_is_required_where_its_extension_is_present() {
    let ty = types().user;
    assert!(check_new(ty, json!({ "userName": "ann" })).is_ok());
    assert!(check_new(ty, with(json!({ "shoeSize": 44 }))).is_ok(), "nothing of the extension is there");
    for badge in [json!({ "color": "red" }), json!({ "number": " ", "color": "red" })] {
        let error = check_new(ty, with(badge.clone())).unwrap_err();
        assert_eq!(
            (error.scim_type, error.detail.split(' ').next()),
            (Some(ScimType::InvalidValue), Some(&*format!("{BADGE}:number")))
        );
        assert_eq!(replaced(badge).unwrap_err().scim_type, Some(ScimType::InvalidValue));
    }
    for (op, value, scim_type) in
        [("remove", Value::Null, ScimType::Mutability), ("replace", json!(""), ScimType::InvalidValue)]
    {
        let error = patched(json!({ "op": op, "path": format!("{BADGE}:number"), "value": value })).unwrap_err();
        assert_eq!(error.scim_type, Some(scim_type), "{op}");
        assert!(error.detail.starts_with(&format!("{BADGE}:number")), "{error}");
    }
}

#[test]
fn what_only_the_server_writes_is_ignored_in_values_and_refused_as_a_path() {
    assert_eq!(badge(&replaced(json!({ "number": "8", "printed": "now" })).unwrap()).get("printed"), None);
    for value in [json!({ BADGE: { "printed": "now" } }), json!({ format!("{BADGE}:printed"): "now" })] {
        assert_eq!(patched(json!({ "op": "add", "value": value })).unwrap(), ann());
    }
    for (op, path) in
        [("replace", format!("{BADGE}:printed")), ("remove", "printed".to_owned()), ("add", "groups".to_owned())]
    {
        let error = patched(json!({ "op": op, "path": path, "value": "now" })).unwrap_err();
        assert_eq!(error.scim_type, Some(ScimType::Mutability));
        assert!(error.detail.starts_with(&path), "{error}");
    }
}

/// Each row: a PATCH or PUT, and whether it leaves what is set once.
#[test]
fn what_is_immutable_is_set_once() {
    let path = |sub: &str| format!("{BADGE}:{sub}");
    let operation = |op: &str, at: &str, value: Value| json!({ "op": op, "path": path(at), "value": value });
    for (operation, fine) in [
        (operation("replace", "serial", json!("S-1")), true),
        (operation("add", "serial", json!("s-1")), true),
        (operation("replace", "serial", json!("S-2")), false),
        (operation("replace", "serial", Value::Null), false),
        (operation("remove", "serial", Value::Null), false),
        (json!({ "op": "replace", "value": { BADGE: { "serial": "S-2" } } }), false),
        (json!({ "op": "remove", "path": BADGE }), false),
        (operation("replace", "desk.key", json!("K1")), true),
        (operation("replace", "desk.key", json!("K2")), false),
        (operation("replace", "desk", json!({ "key": "K2" })), false),
        (operation("remove", "desk", Value::Null), false),
        (operation("replace", "doors[value eq \"north\"].lock", json!("L2")), false),
        (operation("remove", "doors[value eq \"north\"].lock", Value::Null), false),
        (operation("replace", "doors[value eq \"north\"]", json!({ "value": "north", "lock": "L2" })), false),
        (operation("add", "doors", json!([{ "value": "NORTH", "lock": "L2" }])), false),
        (operation("replace", "doors", json!([{ "value": "north", "lock": "L2" }])), false),
        (operation("replace", "doors[value eq \"south\"].lock", json!("L3")), true),
        (operation("remove", "doors[value eq \"north\"]", Value::Null), true),
    ] {
        match patched(operation.clone()) {
            Ok(after) => {
                assert!(fine, "{operation}");
                assert_eq!(badge(&after)["serial"], "S-1", "the old spelling stays");
            }
            Err(error) => {
                assert_eq!((fine, error.scim_type), (false, Some(ScimType::Mutability)), "{operation}: {error}")
            }
        }
    }
    let unset = check_new(types().user, with(json!({ "number": "7" }))).unwrap();
    let once = check_replace(types().user, with(json!({ "number": "7", "serial": "S-9" })), &unset).unwrap();
    assert_eq!(badge(&once)["serial"], "S-9");
    for (given, fine) in [
        (json!({ "number": "7", "serial": "S-1" }), true),
        (json!({ "number": "7" }), true),
        (json!({ "number": "7", "serial": "S-2" }), false),
        (json!({ "number": "7", "serial": null }), false),
        (json!({ "number": "7", "desk": { "room": "R2" } }), true),
        (json!({ "number": "7", "desk": { "room": "R2", "key": "K2" } }), false),
        (json!({ "number": "7", "doors": [{ "value": "north", "lock": "L2" }] }), false),
    ] {
        match replaced(given.clone()) {
            Ok(after) => {
                assert!(fine, "{given}");
                assert_eq!((&badge(&after)["serial"], &badge(&after)["desk"]["key"]), (&json!("S-1"), &json!("K1")));
            }
            Err(error) => {
                assert_eq!((fine, error.scim_type), (false, Some(ScimType::Mutability)), "{given}");
                assert!(error.detail.starts_with(&format!("{BADGE}:")), "{error}");
            }
        }
    }
}

#[test]
fn an_answer_has_what_may_be_returned() {
    let seen = |attributes: Option<&str>, excluded: Option<&str>| shown(&ann(), attributes, excluded)[BADGE].clone();
    let plain = json!({
        "number": "7", "serial": "S-1", "kind": "guest", "code": "AbC", "tags": ["a", "b"], "desk": { "room": "R1", "key": "K1" },
        "doors": [{ "value": "north", "lock": "L1" }, { "value": "south", "primary": true }]
    });
    assert_eq!(seen(None, None), plain);
    assert_eq!(seen(Some(BADGE), None), plain, "a schema as a whole is no request for what is hidden");
    assert_eq!(seen(Some("userName"), None), json!({ "kind": "guest" }));
    assert_eq!(seen(Some(&format!("{BADGE}:notes")), None), json!({ "notes": "lost once", "kind": "guest" }));
    assert_eq!(seen(Some("desk.hint,pin,desk.alarm"), None), json!({ "kind": "guest", "desk": { "hint": "left" } }));
    assert_eq!(seen(Some("desk"), None), json!({ "kind": "guest", "desk": { "room": "R1", "key": "K1" } }));
    assert_eq!(seen(Some("doors.secret,code"), None), json!({ "kind": "guest", "code": "AbC" }));
    assert_eq!(seen(None, Some(BADGE)), json!({ "kind": "guest" }));
    assert_eq!(seen(None, Some("kind,number,serial,code,tags,desk,doors")), json!({ "kind": "guest" }));
    let undeclared = {
        let ty = Types::built_in().user;
        let mut document = ann();
        Projection::default().apply(ty, &mut document);
        Value::Object(document)
    };
    assert_eq!(undeclared, json!({ "userName": "ann" }), "an extension that is not declared any more is not shown");
}

#[test]
fn a_stored_document_is_answered_untouched_only_where_nothing_hides_in_it() {
    let text = |value: Value| value.to_string();
    let built_in = Types::built_in().user;
    let plain = json!({ "userName": "ann", ENTERPRISE: { "department": "Ops" } });
    assert!(project::shown_as_stored(built_in, &text(plain.clone())));
    assert!(!project::shown_as_stored(types().user, &text(plain)), "its schema hides something");
    assert!(!project::shown_as_stored(built_in, &text(with(json!({ "number": "7" })))));
    assert!(!project::shown_as_stored(built_in, &text(json!({ ENTERPRISE: { "manager": { "value": "u-1" } } }))));
}

#[test]
fn what_is_never_returned_cannot_be_found_out_by_asking() {
    for text in [
        "pin eq \"0000\"",
        "pin pr",
        &format!("{BADGE}:desk.alarm sw \"1\""),
        "doors[secret eq \"x\"]",
        "doors.secret pr",
    ] {
        assert_eq!(selects(text, &ann()).unwrap_err().scim_type, Some(ScimType::InvalidFilter), "{text}");
    }
    assert!(selects("notes co \"LOST\"", &ann()).unwrap(), "what is returned on request may be asked for");
}

#[test]
fn filters_and_paths_follow_the_declaration() {
    for (text, expected) in [
        ("code eq \"AbC\"", true),
        ("code eq \"abc\"", false),
        ("kind eq \"GUEST\"", true),
        (&format!("{BADGE}:desk.room eq \"r1\""), true),
        ("tags eq \"B\"", true),
        ("tags[value eq \"a\"]", true),
        ("tags[value eq \"c\"]", false),
        ("doors[primary eq true].value eq \"south\"", true),
        ("not (floor gt 1)", true),
    ] {
        assert_eq!(selects(text, &ann()).unwrap(), expected, "{text}");
    }
    for (operation, name, expected) in [
        (json!({ "op": "add", "path": format!("{BADGE}:tags"), "value": ["C", "A"] }), "tags", json!(["a", "b", "C"])),
        (json!({ "op": "remove", "path": "tags", "value": ["B"] }), "tags", json!(["a"])),
        (json!({ "op": "remove", "path": "tags[value eq \"a\"]" }), "tags", json!(["b"])),
        (json!({ "op": "replace", "path": "tags[value eq \"a\"]", "value": "z" }), "tags", json!(["z", "b"])),
        (json!({ "op": "replace", "path": "tags", "value": "z" }), "tags", json!(["z"])),
        (json!({ "op": "remove", "path": "tags" }), "tags", Value::Null),
        (json!({ "op": "replace", "value": { format!("{BADGE}:floor"): 4 } }), "floor", json!(4)),
        (
            json!({ "op": "add", "path": "doors", "value": [{ "value": "west", "primary": true }] }),
            "doors",
            json!([
                { "value": "north", "lock": "L1", "secret": "x" }, { "value": "south", "primary": false },
                { "value": "west", "primary": true }
            ]),
        ),
    ] {
        assert_eq!(badge(&patched(operation.clone()).unwrap())[name], expected, "{operation}");
    }
    let error = patched(json!({ "op": "replace", "path": "tags[value eq \"q\"]", "value": "z" })).unwrap_err();
    assert_eq!(error.scim_type, Some(ScimType::NoTarget));
}

#[test]
fn a_put_keeps_what_its_sender_does_not_see() {
    let seen = json!({ "number": "8", "desk": { "room": "R2" }, "doors": [{ "value": "north" }] });
    let after = replaced(seen).unwrap();
    assert_eq!(
        *badge(&after),
        json!({
            "number": "8", "serial": "S-1", "pin": "0000", "notes": "lost once",
            "desk": { "room": "R2", "key": "K1", "alarm": "1234", "hint": "left" },
            "doors": [{ "value": "north", "lock": "L1", "secret": "x" }]
        })
    );
    let named = replaced(json!({ "number": "7", "PIN": "1111", "notes": null })).unwrap();
    assert_eq!((&badge(&named)["pin"], badge(&named).get("notes")), (&json!("1111"), None), "what is named is meant");
    let undeclared = check_replace(Types::built_in().user, json!({ "userName": "bo" }), &ann()).unwrap();
    assert_eq!((&undeclared["userName"], &undeclared[BADGE]), (&json!("bo"), &ann()[BADGE]), "kept for its return");
}

fn law(ty: &ResourceType, document: &Attrs) -> Result<(), String> {
    for (key, value) in document {
        match (ty.attribute(key), ty.extension(key), value) {
            (Some(attribute), _, value) if attribute.name == key => law_of(attribute, value)?,
            (None, Some(extension), Value::Object(object)) if extension.id == key && !object.is_empty() => {
                law_of_parts(extension.attributes, object)?;
            }
            _ => return Err(format!("{key} is no name of the schema")),
        }
    }
    let missing =
        ty.core.attributes.iter().find(|attribute| attribute.required && !document.contains_key(attribute.name));
    missing.map_or(Ok(()), |attribute| Err(format!("{} is missing", attribute.name)))
}

fn law_of_parts(attributes: &'static [Attribute], object: &Map<String, Value>) -> Result<(), String> {
    for (key, value) in object {
        let attribute =
            attributes.iter().find(|attribute| attribute.name == key).ok_or_else(|| format!("{key} is unknown"))?;
        law_of(attribute, value)?;
    }
    match attributes.iter().find(|attribute| attribute.required && !object.contains_key(attribute.name)) {
        Some(attribute) => Err(format!("{} is missing", attribute.name)),
        None => Ok(()),
    }
}

fn law_of(attribute: &Attribute, value: &Value) -> Result<(), String> {
    let entries = match (attribute.multi_valued, value) {
        (true, Value::Array(entries)) if !entries.is_empty() => entries.as_slice(),
        (false, single) => std::slice::from_ref(single),
        _ => return Err(format!("{} is no list, or an empty one", attribute.name)),
    };
    if entries.iter().filter(|entry| entry.get("primary") == Some(&Value::Bool(true))).count() > 1 {
        return Err(format!("{} has two primary entries", attribute.name));
    }
    entries.iter().try_for_each(|entry| match (attribute.kind, entry) {
        _ if attribute.read_only() => Err(format!("{} is the server's", attribute.name)),
        (Kind::Complex, Value::Object(parts)) if !parts.is_empty() => law_of_parts(attribute.sub_attributes, parts),
        (Kind::Boolean, Value::Bool(_)) | (Kind::Integer | Kind::Decimal, Value::Number(_)) => Ok(()),
        (Kind::String | Kind::Reference | Kind::Binary | Kind::DateTime, Value::String(text)) if !text.is_empty() => {
            Ok(())
        }
        _ => Err(format!("{} has the value {entry}", attribute.name)),
    })
}

/// A value for an attribute: mostly of its type.
fn any_value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec!["a", "A", "north", "S-1", "K1", "L1", "", "2026-04-07T14:19:34Z", "True"]);
    let plain = prop_oneof![
        6 => word.prop_map(Value::from), 1 => (0..3i64).prop_map(Value::from), 1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null)
    ];
    let name = prop::sample::select(vec![
        "value", "type", "primary", "lock", "secret", "room", "key", "alarm", "hint", "Value",
    ]);
    let object = prop::collection::vec((name, plain.clone()), 0..4)
        .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()));
    let entry = prop_oneof![plain, object];
    prop_oneof![2 => entry.clone(), 1 => prop::collection::vec(entry, 0..4).prop_map(Value::from)]
}

fn any_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "number", "color", "serial", "printed", "pin", "notes", "kind", "code", "tags", "floor", "remote", "since",
        "desk", "doors", "Doors", "shoeSize",
    ])
}

/// A document of the declared type.
fn any_document() -> impl Strategy<Value = Attrs> {
    prop::collection::vec((any_name(), any_value()), 0..10).prop_filter_map("a document", |pairs| {
        let mut badge: Map<String, Value> = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        badge.insert("number".to_owned(), "7".into());
        check_new(types().user, with(Value::Object(badge))).ok()
    })
}

fn any_operation() -> impl Strategy<Value = Value> {
    let op = prop::sample::select(vec!["add", "replace", "remove"]);
    let path = prop_oneof![
        4 => any_name().prop_map(|name| format!("{BADGE}:{name}")),
        2 => prop::sample::select(vec![
            "desk.room", "desk.key", "doors[value eq \"north\"]", "doors[value eq \"north\"].lock", "doors[primary eq true]",
            "doors[type eq \"a\"].value", "tags[value eq \"a\"]", "doors.type", "doors.primary",
        ]).prop_map(str::to_owned),
        1 => Just(BADGE.to_owned()),
    ];
    (
        op,
        path,
        prop_oneof![3 => any_value(), 1 => prop::collection::vec((any_name(), any_value()), 0..4)
        .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))],
    )
        .prop_map(|(op, path, value)| json!({ "op": op, "path": path, "value": value }))
}

proptest! {
    #[test]
    fn no_operation_makes_a_document_that_breaks_its_schema(
        stored in any_document(), operations in prop::collection::vec(any_operation(), 1..5)
    ) {
        let ty = types().user;
        prop_assert_eq!(law(ty, &stored), Ok(()));
        if let Ok(patch) = patch::parse(ty, &json!({ "Operations": operations })) {
            match patch::apply(&patch, ty, &stored) {
                Ok(after) => {
                    prop_assert_eq!(law(ty, &after), Ok(()));
                    if let Some(serial) = stored[BADGE].get("serial") {
                        prop_assert_eq!(after[BADGE].get("serial"), Some(serial));
                    }
                }
                Err(error) => prop_assert!(error.status == 400 && !error.detail.is_empty()),
            }
        }
    }

    #[test]
    fn an_operation_applied_twice_is_applied_once(stored in any_document(), operation in any_operation()) {
        let ty = types().user;
        if let Ok(patch) = patch::parse(ty, &json!({ "Operations": [operation] }))
            && let Ok(once) = patch::apply(&patch, ty, &stored)
        {
            prop_assert_eq!(patch::apply(&patch, ty, &once), Ok(once));
        }
    }

    #[test]
    fn a_put_of_an_answer_changes_nothing(stored in any_document(), foreign in any_value()) {
        let ty = types().user;
        let mut stored = stored;
        stored.insert("urn:example:gone:1.0".to_owned(), json!({ "a": foreign }));
        let mut answer = shown(&stored, None, None);
        answer["meta"] = json!({ "resourceType": "User" });
        answer["schemas"] = json!(schemas_of(ty, &stored));
        prop_assert_eq!(check_replace(ty, answer, &stored), Ok(stored), "OKTA-12");
    }

    #[test]
    fn no_choice_of_attributes_shows_what_is_never_returned(
        stored in any_document(), only in prop::collection::vec(any_name(), 0..5), except in prop::collection::vec(any_name(), 0..3),
        subs in prop::collection::vec(prop::sample::select(vec!["desk.alarm", "doors.secret", "desk.room", BADGE]), 0..3)
    ) {
        let names = [only.as_slice(), subs.as_slice()].concat().join(",");
        let shown = shown(&stored, Some(&names), Some(&except.join(",")));
        for never in ["/pin", "/desk/alarm", "/doors/0/secret", "/doors/1/secret", "/doors/2/secret"] {
            prop_assert_eq!(shown[BADGE].pointer(never), None);
        }
        prop_assert!(shown[BADGE].get("notes").is_none() || only.contains(&"notes"));
        prop_assert_eq!(shown[BADGE].get("kind"), stored[BADGE].get("kind"), "always");
    }
}
