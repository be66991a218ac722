//! For each check, a good answer passes and a broken one is reported.
#![allow(clippy::unwrap_used)]

use hyper::header::{HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::json;

use super::*;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const CAPABLE: &str = "urn:okta:schemas:scim:providerconfig:1.0";

fn answer(status: u16, body: Value) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/scim+json; charset=utf-8"));
    Answer { status, headers, body, unreadable: None }
}

fn ann() -> Value {
    json!({
        "schemas": [USER], "id": "u-7f31", "userName": "ann.moss@corp.example", "active": true,
        "name": { "givenName": "Ann", "familyName": "Moss" },
        "emails": [{ "value": "ann.moss@corp.example", "type": "work", "primary": true }],
        "meta": { "resourceType": "User", "location": "https://scim.corp.example/v2/Users/u-7f31" }
    })
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body.as_object_mut().unwrap().insert(name.to_owned(), value);
    body
}

fn without(mut body: Value, name: &str) -> Value {
    body.as_object_mut().unwrap().remove(name).unwrap();
    body
}

fn passes(check: Check, answer: &Answer) {
    passes_in(Protocol::V2, check, answer);
}

fn passes_in(protocol: Protocol, check: Check, answer: &Answer) {
    assert_eq!(faults(protocol, &[answer.status], "", &[check], answer), []);
}

/// The broken answer gets exactly one complaint, which holds this text, and says by which quirk.
fn reports(check: Check, answer: &Answer, text: &str) {
    reports_in(Protocol::V2, check, answer, text);
}

fn reports_in(protocol: Protocol, check: Check, answer: &Answer, text: &str) {
    let found = faults(protocol, &[answer.status], "", &[check], answer);
    assert!(found.len() == 1 && found[0].what.contains(text), "wanted `{text}`, got {found:?}");
    assert!(!found[0].cites.is_empty(), "{found:?}");
}

#[test]
fn another_status_is_reported_with_the_servers_own_words_and_nothing_else() {
    let refused = answer(400, json!({ "detail": "No seats." }));
    let found = faults(Protocol::V2, &[200, 204], "OKTA-15", &[Check::Resource(Kind::User)], &refused);
    assert_eq!(found, [Fault::new("status 400 instead of 200 or 204 (No seats.)", "OKTA-15")]);
    let older = answer(400, json!({ "Errors": [{ "description": "No seats." }] }));
    assert_eq!(faults(Protocol::V1, &[200, 204], "OKTA-15", &[], &older), found);
}

#[test]
fn a_request_that_may_end_in_a_conflict_has_checks_for_both_ends() {
    let checks = [Check::Resource(Kind::User), Check::Error];
    let conflict = answer(409, json!({ "schemas": [ERROR], "status": "409", "detail": "There is one." }));
    for answer in [answer(201, ann()), conflict] {
        assert_eq!(faults(Protocol::V2, &[201, 409], "", &checks, &answer), []);
    }
    assert_eq!(faults(Protocol::V2, &[201, 409], "", &checks, &answer(409, Value::Null)).len(), 3);
}

#[test]
fn a_body_that_is_not_json_is_reported() {
    let page = Answer::new(200, HeaderMap::new(), b"<html>");
    assert!(faults(Protocol::V2, &[200], "", &[], &page)[0].what.contains("not JSON"));
}

#[test]
fn a_foreign_content_type_is_reported() {
    let mut broken = answer(200, ann());
    broken.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    reports(Check::Active(true), &broken, "Content-Type");
    broken.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    passes(Check::Active(true), &broken);
}

#[test]
fn a_resource_needs_schemas_id_and_meta() {
    let check = || Check::Resource(Kind::User);
    passes(check(), &answer(200, ann()));
    reports(check(), &answer(200, Value::Null), "no User");
    reports(check(), &answer(200, without(ann(), "schemas")), "schemas");
    reports(check(), &answer(200, without(ann(), "id")), "no id");
    reports(check(), &answer(200, with(ann(), "id", json!(7))), "not a string");
    for id in ["", "a b", "a\tb", "a/b"] {
        reports(check(), &answer(200, with(ann(), "id", json!(id))), "is empty or holds a blank, a slash");
    }
    reports(check(), &answer(200, with(ann(), "id", json!("xbulkIdx"))), "bulkId");
    reports(check(), &answer(200, with(ann(), "meta", json!({ "location": "x" }))), "resourceType");
    reports(check(), &answer(200, with(ann(), "meta", json!({ "resourceType": "User" }))), "meta.location");
    reports(check(), &answer(200, with(ann(), "password", json!("x"))), "password");
}

#[test]
fn a_patch_may_be_answered_with_nothing_or_with_everything() {
    let check = || Check::ResourceOrNothing(Kind::User);
    passes(check(), &answer(204, Value::Null));
    passes(check(), &answer(200, ann()));
    assert_eq!(check().cites(), "OKTA-15, VAL-9");
    reports(check(), &answer(200, Value::Null), "no User");
    reports(check(), &answer(204, json!({})), "with a body");
}

#[test]
fn another_id_is_reported() {
    passes(Check::Id("u-7f31".into()), &answer(200, ann()));
    reports(Check::Id("u-7F31".into()), &answer(200, ann()), "instead of u-7F31");
}

#[test]
fn a_create_needs_an_absolute_location() {
    let at = |location: &str| {
        let mut answer = answer(201, ann());
        answer.headers.insert(LOCATION, HeaderValue::from_str(location).unwrap());
        answer
    };
    let check = || Check::Location(Kind::User);
    passes(check(), &at("https://scim.corp.example/v2/Users/u-7f31"));
    reports(check(), &answer(201, ann()), "no Location");
    reports(check(), &at("https://other.example/v2/Users/u-7f31"), "differ");
    assert_eq!(faults(Protocol::V2, &[201], "", &[check()], &at("/v2/Users/u-7f31")).len(), 2);
    for location in ["https://scim.corp.example/v2/Users/u-1", "/v2/Users/u-7f31"] {
        let mut same = at(location);
        same.body["meta"]["location"] = json!(location);
        reports(check(), &same, "is not an absolute URL that ends with /Users/u-7f31");
    }
}

#[test]
fn what_was_sent_has_to_come_back() {
    let sent = json!({
        "schemas": [USER], "userName": "ann.moss@corp.example", "password": "x", "groups": [],
        "emails": [{ "primary": true, "value": "ann.moss@corp.example", "type": "work" }]
    });
    let check = || Check::Echo(sent.clone());
    passes(check(), &answer(201, ann()));
    reports(check(), &answer(201, with(ann(), "userName", json!("ANN.MOSS@corp.example"))), "userName");
    reports(check(), &answer(201, without(ann(), "emails")), "emails");
    reports(check(), &answer(201, with(ann(), "emails", json!([{ "value": "x@corp.example" }]))), "emails");
}

#[test]
fn active_has_to_be_a_boolean_in_a_resource_and_in_a_list() {
    passes(Check::Active(true), &answer(200, ann()));
    passes(Check::Active(false), &answer(204, Value::Null));
    reports(Check::Active(false), &answer(200, ann()), "instead of false");
    reports(Check::Active(true), &answer(200, with(ann(), "active", json!("true"))), "instead of true");
    reports(Check::Active(false), &answer(200, json!({ "Resources": [ann()] })), "instead of false");
}

fn page() -> Value {
    json!({ "schemas": [LIST], "totalResults": 1, "startIndex": 1, "itemsPerPage": 1, "Resources": [ann()] })
}

#[test]
fn a_list_needs_integer_counters_that_fit() {
    let check = || Check::List { start: 1, count: 100 };
    passes(check(), &answer(200, page()));
    passes(check(), &answer(200, json!({ "schemas": [LIST], "totalResults": 0 })));
    reports(check(), &answer(200, without(page(), "schemas")), "schemas");
    reports(check(), &answer(200, with(page(), "totalResults", json!("1"))), "not an integer");
    reports(check(), &answer(200, without(page(), "totalResults")), "no totalResults");
    reports(check(), &answer(200, without(page(), "startIndex")), "no startIndex");
    reports(check(), &answer(200, with(page(), "startIndex", json!(2))), "startIndex is not 1");
    reports(check(), &answer(200, with(page(), "itemsPerPage", json!(100))), "itemsPerPage");
    reports(check(), &answer(200, with(page(), "Resources", json!([{}]))), "has no id");
    reports(Check::List { start: 1, count: 0 }, &answer(200, page()), "where 0 were asked for");
    let two = with(with(page(), "Resources", json!([ann(), ann()])), "itemsPerPage", json!(2));
    reports(check(), &answer(200, two), "totalResults is 1");
}

#[test]
fn a_filter_has_to_find_exactly_what_it_names() {
    passes(Check::Found(vec!["u-7f31".into()]), &answer(200, page()));
    reports(Check::Found(Vec::new()), &answer(200, page()), "instead of {}");
    reports(Check::Found(vec!["u-1".into()]), &answer(200, page()), "u-1");
    for (total, told) in [(json!(2), "totalResults 2"), (json!(null), "totalResults none")] {
        let miscounted = answer(200, with(page(), "totalResults", total));
        reports(Check::Found(vec!["u-7f31".into()]), &miscounted, told);
    }
    passes(Check::EachHas("userName", "ANN.MOSS@CORP.EXAMPLE".into()), &answer(200, page()));
    reports(Check::EachHas("userName", "bo@corp.example".into()), &answer(200, page()), "userName is not");
}

#[test]
fn lost_and_foreign_members_are_counted() {
    let group = |ids: &[&str]| {
        let members: Vec<Value> = ids.iter().map(|id| json!({ "value": id })).collect();
        answer(200, json!({ "members": members }))
    };
    let check = || Check::Members(["a".to_owned(), "b".to_owned()].into());
    passes(check(), &group(&["b", "a"]));
    passes(Check::Members(BTreeSet::new()), &answer(200, json!({})));
    reports(check(), &group(&["a", "c"]), "1 are missing and 1 are too many");
}

#[test]
fn an_answer_without_content_has_no_body() {
    passes(Check::Nothing, &answer(204, Value::Null));
    reports(Check::Nothing, &answer(204, json!({})), "with a body");
}

#[test]
fn an_error_needs_its_envelope() {
    let good = || json!({ "schemas": [ERROR], "status": "404", "detail": "There is no such user." });
    passes(Check::Error, &answer(404, good()));
    reports(Check::Error, &answer(404, without(good(), "schemas")), "schemas");
    reports(Check::Error, &answer(404, with(good(), "status", json!(404))), "instead of \"404\"");
    reports(Check::Error, &answer(404, with(good(), "detail", json!(""))), "detail");
}

#[test]
fn a_401_needs_a_challenge() {
    let mut asked = answer(401, Value::Null);
    reports(Check::Challenge, &asked, "WWW-Authenticate");
    asked.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    passes(Check::Challenge, &asked);
}

#[test]
fn only_an_integer_tells_okta_how_long_to_wait() {
    let mut throttled = answer(429, Value::Null);
    assert!(retry_after(&throttled).unwrap_err().contains("without"));
    throttled.headers.insert(RETRY_AFTER, HeaderValue::from_static("Wed, 21 Oct 2026 07:28:00 GMT"));
    assert!(retry_after(&throttled).unwrap_err().contains("integer"));
    throttled.headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
    assert_eq!(retry_after(&throttled), Ok(2));
}

#[test]
fn a_resource_of_scim_1_1_has_another_urn_and_no_type() {
    let old = |body: Value| {
        with(with(body, "schemas", json!([CORE1])), "meta", json!({ "location": "https://x/v1/Users/u-7f31" }))
    };
    let check = || Check::Resource(Kind::User);
    passes_in(Protocol::V1, check(), &answer(200, old(ann())));
    reports_in(Protocol::V1, check(), &answer(200, ann()), CORE1);
    reports_in(Protocol::V1, check(), &answer(200, without(old(ann()), "id")), "no id");
}

#[test]
fn what_a_template_left_empty_need_not_come_back_and_text_may_become_a_boolean() {
    let sent = json!({
        "userName": "ann.moss@corp.example", "active": "true", "title": "", "addresses[].city": "", "nickName": null,
        "emails": { "value": "ann.moss@corp.example" }, "urn:vendor:custom:1.0": { "shift": "late" },
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "manager": null }
    });
    passes(Check::Echo(sent), &answer(201, ann()));
    reports(Check::Echo(json!({ "active": "false" })), &answer(201, ann()), "active");
    reports(Check::Echo(json!({ "title": "Lead" })), &answer(201, ann()), "title");
    let enterprise = json!({ "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "Ops" } });
    reports(Check::Echo(enterprise), &answer(201, ann()), "enterprise");
}

#[test]
fn what_was_sent_is_looked_for_in_the_first_resource_of_a_list() {
    let check = |given: &str| Check::Echo(json!({ "name": { "givenName": given } }));
    passes(check("Ann"), &answer(200, page()));
    reports(check("Bo"), &answer(200, page()), "name was sent");
}

#[test]
fn a_member_list_that_nobody_wants_is_reported() {
    let group = |members| answer(200, json!({ "displayName": "Crew", "members": members }));
    passes(Check::Without("members"), &answer(200, json!({ "displayName": "Crew" })));
    passes(Check::Without("members"), &answer(204, Value::Null));
    reports(Check::Without("members"), &group(json!([])), "members is in the answer");
}

#[test]
fn an_unpaged_list_needs_a_total_and_ids_and_nothing_else() {
    let bare = json!({ "schemas": [LIST], "totalResults": 1, "Resources": [ann()] });
    passes(Check::Unpaged, &answer(200, bare.clone()));
    reports(Check::Unpaged, &answer(200, with(bare.clone(), "totalResults", json!("1"))), "not an integer");
    reports(Check::Unpaged, &answer(200, with(bare.clone(), "Resources", json!({}))), "not a list");
    reports(Check::Unpaged, &answer(200, with(bare, "Resources", json!([{}]))), "has no id");
}

#[test]
fn a_list_of_scim_1_1_has_the_urn_of_everything() {
    let old = with(page(), "schemas", json!([CORE1]));
    passes_in(Protocol::V1, Check::List { start: 1, count: 100 }, &answer(200, old));
    reports_in(Protocol::V1, Check::List { start: 1, count: 100 }, &answer(200, page()), CORE1);
}

#[test]
fn an_error_of_scim_1_1_needs_both_envelopes() {
    let good = || json!({ "Errors": [{ "description": "No such user.", "code": "404" }], "detail": "No such user." });
    let check = |body| (Protocol::V1, Check::Error, answer(404, body));
    let passes = |(protocol, check, answer): (_, _, Answer)| passes_in(protocol, check, &answer);
    let reports = |(protocol, check, answer): (_, _, Answer), text| reports_in(protocol, check, &answer, text);
    passes(check(good()));
    passes(check(with(good(), "Errors", json!([{ "description": "No such user.", "code": 404 }]))));
    reports(check(without(good(), "Errors")), "no Errors");
    reports(check(with(good(), "Errors", json!([{ "code": "404" }]))), "no description");
    reports(check(with(good(), "Errors", json!([{ "description": "x", "code": "400" }]))), "is not 404");
    reports(check(without(good(), "detail")), "no detail");
}

#[test]
fn an_answer_without_a_charset_is_reported() {
    let mut broken = answer(200, ann());
    passes(Check::Charset, &broken);
    broken.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reports(Check::Charset, &broken, "no charset");
}

fn configuration() -> Value {
    json!({
        "patch": { "supported": true }, "bulk": { "supported": false, "maxOperations": 100, "maxPayloadSize": 2097152 },
        "filter": { "supported": true, "maxResults": 200 }, "changePassword": { "supported": false },
        "sort": { "supported": false }, "etag": { "supported": false }, "authenticationSchemes": []
    })
}

#[test]
fn a_configuration_speaks_in_booleans_and_integers() {
    let check = || Check::Configuration;
    passes(check(), &answer(200, configuration()));
    let booleans = ["patch", "bulk", "filter", "changePassword", "sort", "etag"].map(|name| (name, "supported"));
    let integers = [("bulk", "maxOperations"), ("bulk", "maxPayloadSize"), ("filter", "maxResults")];
    for (feature, name) in booleans.into_iter().chain(integers) {
        let told = format!("{feature}.{name} is not");
        let mut broken = configuration();
        broken[feature][name] = json!(broken[feature][name].to_string());
        reports(check(), &answer(200, broken.clone()), &told);
        broken[feature].as_object_mut().unwrap().remove(name);
        reports(check(), &answer(200, broken), &told);
    }
    reports(check(), &answer(200, without(configuration(), "authenticationSchemes")), "authenticationSchemes");
}

#[test]
fn a_schema_that_is_not_described_is_reported() {
    let schemas = answer(200, json!({ "Resources": [{ "id": USER, "name": "User" }] }));
    passes(Check::Describes(&[USER, "User"]), &schemas);
    reports(Check::Describes(&["User", "Group"]), &schemas, "Group is not described");
}

#[test]
fn a_capability_that_is_not_offered_is_reported() {
    let check = || Check::Capabilities(CAPABLE, &["GROUP_PUSH", "PUSH_NEW_USERS"]);
    let offers = |names: &[&str]| answer(200, json!({ CAPABLE: { "userManagementCapabilities": names } }));
    passes(check(), &offers(&["PUSH_NEW_USERS", "GROUP_PUSH"]));
    reports(check(), &offers(&["GROUP_PUSH"]), "PUSH_NEW_USERS");
    reports(check(), &answer(200, json!({})), "no feature");
}
