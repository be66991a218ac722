//! Members of groups: every shape is a difference, and none empties a group by mistake.

use super::*;

fn split(operations: Value) -> GroupPatch {
    split_members(parse(group(), &json!({ "Operations": operations })).unwrap()).unwrap()
}

fn named(ids: &[&str]) -> Vec<Member> {
    ids.iter().map(|id| Member { value: (*id).to_owned(), kind: None }).collect()
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// Each row: the quirk, the operations, the changes of members.
#[test]
fn every_shape_on_members_is_a_difference() {
    use MemberChange::{Add, Remove, RemoveAll, ReplaceAll};
    let nobody: [Member; 0] = [];
    let rows = [
        (
            "P-24",
            json!([{ "op": "Add", "path": "members", "value": [{ "$ref": null, "value": "u-7f31" }] }]),
            vec![Add(named(&["u-7f31"]))],
        ),
        (
            "P-25",
            json!([{ "op": "add", "path": "members", "value": [{ "value": "u-7f31", "display": "ann" }] }]),
            vec![Add(named(&["u-7f31"]))],
        ),
        (
            "P-26",
            json!([{ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": "u-7f31" }] }]),
            vec![Remove(ids(&["u-7f31"]))],
        ),
        ("P-26", json!([{ "op": "remove", "path": "members", "value": [] }]), vec![Remove(Vec::new())]),
        ("P-27", json!([{ "op": "remove", "path": "members[value eq \"u-7f31\"]" }]), vec![Remove(ids(&["u-7f31"]))]),
        (
            "P-27",
            json!([{ "op": "remove", "path": "Members[Value Eq u-7f31 or value eq 'u-2']" }]),
            vec![Remove(ids(&["u-7f31", "u-2"]))],
        ),
        ("P-28", json!([{ "op": "remove", "path": "members" }]), vec![RemoveAll]),
        (
            "P-29",
            json!([{ "op": "replace", "path": "members", "value": [{ "value": "u-1" }, { "value": "u-2" }, { "value": "u-1" }] }]),
            vec![ReplaceAll(named(&["u-1", "u-2"]))],
        ),
        ("P-30", json!([{ "op": "replace", "path": "members", "value": [] }]), vec![ReplaceAll(nobody.to_vec())]),
        ("P-31", json!([{ "op": "replace", "value": { "id": "g-02c9", "displayName": "Platform" } }]), vec![]),
        (
            "P-32",
            json!([{ "op": "replace", "value": { "members": [], "id": "g-02c9", "displayName": "Platform" } }]),
            vec![ReplaceAll(nobody.to_vec())],
        ),
        (
            "P-33",
            json!([{ "op": "add", "value": { "members": [{ "value": "u-7f31" }] } }]),
            vec![Add(named(&["u-7f31"]))],
        ),
        (
            "P-34",
            json!([{ "op": "remove", "path": "members", "value": { "members": [{ "value": "u-7f31" }] } }]),
            vec![Remove(ids(&["u-7f31"]))],
        ),
        (
            "P-35",
            json!([{ "op": "add", "path": "members", "value": "u-7f31", "name": "x" }]),
            vec![Add(named(&["u-7f31"]))],
        ),
        ("P-35", json!([{ "op": "remove", "path": "members", "value": "u-7f31" }]), vec![Remove(ids(&["u-7f31"]))]),
        ("P-36", json!([{ "op": "replace", "path": "members", "value": null }]), vec![ReplaceAll(nobody.to_vec())]),
        ("GEN-9", json!([{ "op": "add", "path": "members", "value": null }]), vec![Add(nobody.to_vec())]),
        (
            "P-44",
            json!([
                { "op": "remove", "path": "members[value eq \"u-1\"]" }, { "op": "remove", "path": "members[value eq \"u-2\"]" },
                { "op": "add", "path": "members", "value": [{ "value": "u-3", "display": "bo" }] },
                { "op": "add", "path": "members", "value": [{ "value": "u-4" }] }
            ]),
            vec![Remove(ids(&["u-1"])), Remove(ids(&["u-2"])), Add(named(&["u-3"])), Add(named(&["u-4"]))],
        ),
        (
            "a long name",
            json!([{ "op": "remove", "path": "members.value", "value": "u-1" }]),
            vec![Remove(ids(&["u-1"]))],
        ),
        (
            "an entry replaced",
            json!([{ "op": "replace", "path": "members[value eq \"u-1\"]", "value": { "value": "u-2" } }]),
            vec![Remove(ids(&["u-1"])), Add(named(&["u-2"]))],
        ),
    ];
    for (quirk, operations, expected) in rows {
        assert_eq!(split(operations).members, expected, "{quirk}");
    }
}

#[test]
fn the_document_of_a_group_is_patched_beside_its_members() {
    let stored = check_new(group(), json!({ "displayName": "Platform Crew" })).unwrap();
    let document = |operations| Value::Object(apply(&split(operations).attrs, group(), &stored).unwrap());
    let renamed = json!([
        { "op": "replace", "value": { "id": "g-02c9", "displayName": "Platform" } },
        { "op": "remove", "path": "members[value eq \"u-7f31\"]" },
        { "op": "add", "path": "members", "value": [{ "value": "u-55aa", "display": "bo.reyes@corp.example" }] }
    ]);
    assert_eq!(document(renamed), json!({ "displayName": "Platform" }), "OKTA-18, P-31");
    let whole = json!([{ "op": "replace", "value": {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "id": "g-02c9", "externalId": "x-1", "displayName": "Platform"
    } }]);
    assert_eq!(document(whole), json!({ "displayName": "Platform", "externalId": "x-1" }), "P-40");
    let by_path = json!([{ "op": "Replace", "path": "externalId", "value": "x-2" }]);
    assert_eq!(document(by_path), json!({ "displayName": "Platform Crew", "externalId": "x-2" }), "P-39");
}

#[test]
fn the_kind_of_a_member_is_taken_from_its_type_or_reference() {
    let entry =
        |entry: Value| match split(json!([{ "op": "add", "path": "members", "value": [entry] }])).members.as_slice() {
            [MemberChange::Add(members)] => members[0].kind,
            other => panic!("{other:?}"),
        };
    assert_eq!(entry(json!({ "value": "u-1" })), None);
    assert_eq!(entry(json!({ "value": "u-1", "type": "group" })), Some("Group"));
    assert_eq!(entry(json!({ "value": "u-1", "type": "direct" })), None);
    assert_eq!(entry(json!({ "value": "u-1", "$ref": "Users/u-1" })), Some("User"), "KC-7");
    assert_eq!(
        entry(json!({ "value": "g-1", "$ref": "https://scim.acme.example/t/acme/v2/Groups/g-1" })),
        Some("Group")
    );
    assert_eq!(entry(json!({ "value": "g-1", "$ref": "g-1" })), None);
}

#[test]
fn members_are_taken_out_of_a_body() {
    let take = |body| {
        let mut body: Value = body;
        let members = take_members(&mut body).unwrap();
        assert_eq!(body, json!({ "displayName": "Crew" }));
        members
    };
    assert_eq!(take(json!({ "displayName": "Crew" })), None);
    assert_eq!(take(json!({ "displayName": "Crew", "MEMBERS": null })), Some(Vec::new()));
    assert_eq!(take(json!({ "displayName": "Crew", "members": ["u-1", "u-2"] })), Some(named(&["u-1", "u-2"])));
    assert_eq!(take(json!({ "displayName": "Crew", "members": [] })), Some(Vec::new()), "OKTA-17");
    let members = json!([{ "value": "u-1", "display": "ann" }, { "value": "u-1" }, "u-2"]);
    assert_eq!(take(json!({ "displayName": "Crew", "members": members })), Some(named(&["u-1", "u-2"])));
}

#[test]
fn a_list_of_members_without_ids_never_passes_for_an_empty_one() {
    for list in [
        json!([null]),
        json!([{ "value": null }]),
        json!([{ "value": "" }]),
        json!([{}]),
        json!([""]),
        json!([{ "type": "User" }]),
        json!({}),
        json!(""),
    ] {
        for operation in ["add", "replace", "remove"] {
            let operations = json!([{ "op": operation, "path": "members", "value": list }]);
            assert_eq!(refusal(group(), operations), (400, Some(ScimType::InvalidValue)), "{operation} {list}");
        }
        let body = json!({ "displayName": "Crew", "members": list });
        assert_eq!(check_new(group(), body).unwrap_err().scim_type, Some(ScimType::InvalidValue), "{list}");
    }
}

#[test]
fn members_are_selected_by_value_and_type_only() {
    let changes = split(json!([{ "op": "remove", "path": "members[type eq \"User\" and value sw \"u-\"]" }])).members;
    assert!(matches!(changes.as_slice(), [MemberChange::RemoveWhere(Expr::And(terms))]
        if matches!(terms.as_slice(), [Expr::Compare { op: Op::Eq, .. }, Expr::Compare { op: Op::Sw, .. }])));
    for (path, scim_type) in [
        ("members[display eq \"ann\"]", ScimType::InvalidFilter),
        ("members[$ref eq \"x\"]", ScimType::InvalidFilter),
        ("members[value eq \"u-1\"].value", ScimType::Mutability),
        ("members[value eq \"u-1\"].display", ScimType::Mutability),
        ("members.type", ScimType::Mutability),
    ] {
        assert_eq!(refusal(group(), json!([{ "op": "remove", "path": path }])), (400, Some(scim_type)), "{path}");
    }
    let bare = json!([{ "op": "remove", "path": "members.value" }]);
    assert_eq!(refusal(group(), bare), (400, Some(ScimType::Mutability)), "never a way to remove all");
}

#[test]
fn a_group_of_eight_thousand_members_in_one_body_is_read() {
    let members: Vec<Value> = (0..8_000).map(|n| json!({ "value": format!("u-{n}") })).collect();
    let changes = split(json!([{ "op": "add", "path": "members", "value": members }])).members;
    assert!(matches!(changes.as_slice(), [MemberChange::Add(members)] if members.len() == 8_000), "MISC-2");
}

#[test]
fn null_in_the_place_of_a_list_of_members_empties_no_group() {
    for (path, value) in [("members", json!({ "members": null })), ("members", json!([]))] {
        let changes = split(json!([{ "op": "remove", "path": path, "value": value }])).members;
        assert_eq!(changes, [MemberChange::Remove(Vec::new())], "{value}");
    }
    assert_eq!(split(json!([{ "op": "remove", "path": "members" }])).members, [MemberChange::RemoveAll], "P-28");
}

#[test]
fn members_in_two_spellings_are_all_taken() {
    let mut body = json!({ "displayName": "Crew", "members": ["u-1"], "Members": [{ "value": "u-2" }] });
    let mut members = take_members(&mut body).unwrap().unwrap();
    members.sort_by(|one, other| one.value.cmp(&other.value));
    assert_eq!((members, body), (named(&["u-1", "u-2"]), json!({ "displayName": "Crew" })));
}
