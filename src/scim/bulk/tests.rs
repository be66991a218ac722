#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn parsed(operations: Value) -> Vec<Operation> {
    parse(json!({ "Operations": operations }), 100).unwrap().operations
}

fn post(id: &str, data: Value) -> Value {
    json!({ "method": "POST", "path": "/Users", "bulkId": id, "data": data })
}

#[test]
fn a_request_is_read_in_any_letter_case() {
    let request = parse(
        json!({ "schemas": ["x"], "FAILONERRORS": 2, "operations": [
            { "METHOD": "patch", "path": "/Users/7", "version": "W/\"3\"", "data": { "a": 1 }, "bulkId": null, "other": true }
        ]}),
        1,
    );
    let operation = Operation {
        method: Method::Patch,
        bulk_id: None,
        version: Some("W/\"3\"".into()),
        path: "/Users/7".into(),
        data: Some(json!({ "a": 1 })),
    };
    assert_eq!(request.unwrap(), BulkRequest { fail_on_errors: Some(2), operations: vec![operation] });
}

#[test]
fn what_is_wrong_with_a_request_is_named() {
    let delete = json!({ "method": "DELETE", "path": "/Users/7" });
    for (body, status, words) in [
        (json!([]), 400, "JSON object"),
        (json!({}), 400, "Operations"),
        (json!({ "Operations": {} }), 400, "Operations"),
        (json!({ "Operations": [1] }), 400, "Operations[0]"),
        (json!({ "Operations": [{ "path": "/Users" }] }), 400, "Operations[0].method"),
        (json!({ "Operations": [delete, { "method": "GET", "path": "/Users" }] }), 400, "Operations[1].method"),
        (json!({ "Operations": [{ "method": "POST" }] }), 400, "Operations[0].path"),
        (json!({ "Operations": [{ "method": "POST", "path": 7 }] }), 400, "Operations[0].path"),
        (json!({ "Operations": [{ "method": "POST", "path": "/Users", "bulkId": 7 }] }), 400, "Operations[0].bulkId"),
        (json!({ "Operations": [post("a", json!({})), post("a", json!({}))] }), 400, "Operations[1].bulkId"),
        (json!({ "Operations": [], "failOnErrors": 0 }), 400, "failOnErrors"),
        (json!({ "Operations": [], "failOnErrors": "1" }), 400, "failOnErrors"),
        (json!({ "Operations": [delete, delete, delete] }), 413, "maxOperations"),
    ] {
        let error = parse(body.clone(), 2).unwrap_err();
        assert_eq!(error.status, status, "{body}");
        assert!(error.detail.contains(words), "{}", error.detail);
    }
}

#[test]
fn who_names_a_bulk_id_comes_after_who_makes_it() {
    let table: [(Value, &[(usize, bool)]); 6] = [
        (json!([post("a", json!({})), post("b", json!({}))]), &[(0, false), (1, false)]),
        (json!([post("a", json!({ "manager": "bulkId:b" })), post("b", json!({}))]), &[(1, false), (0, false)]),
        (
            json!([
                { "method": "PATCH", "path": "/Groups/bulkId:g", "data": {} },
                post("g", json!({ "members": [{ "value": "bulkId:u" }] })),
                post("u", json!({}))
            ]),
            &[(2, false), (1, false), (0, false)],
        ),
        (
            json!([
                { "method": "PATCH", "path": "/Groups/7", "data": { "Operations": [{ "op": "remove", "path": "members[value eq \"bulkId:u\"]" }] } },
                post("u", json!({}))
            ]),
            &[(1, false), (0, false)],
        ),
        // A circle, and one behind it.
        (
            json!([
                post("c", json!({ "manager": "bulkId:a" })),
                post("a", json!({ "manager": "bulkId:b" })),
                post("b", json!({ "manager": "bulkId:a" }))
            ]),
            &[(2, true), (1, true), (0, false)],
        ),
        (json!([post("a", json!({ "manager": "bulkId:a" }))]), &[(0, true)]),
    ];
    for (operations, expected) in table {
        assert_eq!(order(&parsed(operations.clone())), expected, "{operations}");
    }
}

#[test]
fn ids_take_the_place_of_bulk_ids_wherever_they_may_stand() {
    let made = HashMap::from([("u".to_owned(), Some("id-1".to_owned())), ("u2".to_owned(), Some("id-2".to_owned()))]);
    let mut operation = parsed(json!([{
        "method": "PATCH", "path": "/Groups/bulkId:u2",
        "data": { "members": [{ "value": "bulkId:u" }, { "value": "bulkId:u2" }], "path": "members[value eq \"bulkId:u\"]", "displayName": "about bulkId:u" }
    }]))
    .remove(0);
    resolve(&mut operation, &made).unwrap();
    assert_eq!(operation.path, "/Groups/id-2");
    assert_eq!(
        operation.data.unwrap(),
        json!({ "members": [{ "value": "id-1" }, { "value": "id-2" }], "path": "members[value eq \"id-1\"]", "displayName": "about bulkId:u" })
    );
}

#[test]
fn a_bulk_id_that_made_nothing_is_told() {
    let made = HashMap::from([("failed".to_owned(), None)]);
    for (id, status) in [("failed", 409), ("nobody", 400)] {
        let mut operation = parsed(json!([post("x", json!({ "manager": format!("bulkId:{id}") }))])).remove(0);
        let error = resolve(&mut operation, &made).unwrap_err();
        assert_eq!(error.status, status);
        assert!(error.detail.contains(id), "{}", error.detail);
    }
}

#[test]
fn a_bulk_id_may_be_named_as_often_as_the_body_is_long() {
    // Quadratic work would not end here.
    let many = vec![json!("bulkId:u"); 200_000];
    let mut operation =
        parsed(json!([{ "method": "PATCH", "path": "/Groups/7", "data": { "members": many } }])).remove(0);
    resolve(&mut operation, &HashMap::from([("u".to_owned(), Some("id-1".to_owned()))])).unwrap();
    assert_eq!(operation.data.unwrap()["members"][199_999], "id-1");
}

proptest! {
    #[test]
    fn the_order_names_each_operation_once_and_makers_first(needs in proptest::collection::vec(proptest::collection::vec(0_usize..12, 0..3), 12)) {
        let operations: Vec<Value> = needs.iter().enumerate().map(|(at, named)| {
            let named: Vec<String> = named.iter().map(|id| format!("bulkId:{id}")).collect();
            post(&at.to_string(), json!({ "named": named }))
        }).collect();
        let order = order(&parsed(Value::Array(operations)));
        let mut place = vec![usize::MAX; needs.len()];
        for (nth, (at, _)) in order.iter().enumerate() {
            prop_assert_eq!(place[*at], usize::MAX);
            place[*at] = nth;
        }
        let circular: Vec<bool> = (0..needs.len()).map(|at| order[place[at]].1).collect();
        for (at, named) in needs.iter().enumerate() {
            for need in named {
                prop_assert!(place[*need] < place[at] || circular[at] || circular[*need]);
            }
        }
    }
}
