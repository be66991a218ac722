//! What `docs/targets/align.md` says of Jira Align's API 2.0, through a socket.

use std::time::Duration;

use jira_scim::sandbox::{AlignOptions, AlignRules, AlignUser, Fault, VIEWER_ROLE};
use serde_json::json;

use super::client::{Desk, mara};
use crate::sandbox_client::send;

fn ivo() -> AlignUser {
    AlignUser::named("ivo", "Ivo", "Haas")
}

#[tokio::test]
async fn the_api_lies_under_its_root_and_whatever_is_not_there_is_a_bare_404() {
    // ALIGN-1, ALIGN-2, ALIGN-26
    let desk = Desk::new().await;
    assert_eq!(desk.get("/Users").await.status, 200);
    assert_eq!(desk.get("/users").await.status, 200);
    let owner = desk.jira.owner();
    let gone = desk.get("/Users/99").await;
    for answer in [
        gone,
        desk.get("/Nothing").await,
        send(desk.request("DELETE", &format!("/Users/{owner}"))).await,
        send(desk.bare("GET", "/api/costcenters")).await,
        send(desk.bare("GET", "/rest/align/api/3/Users")).await,
    ] {
        assert_eq!((answer.status, answer.text.as_str()), (404, ""));
    }
}

#[tokio::test]
async fn a_token_dies_when_it_is_replaced_and_when_its_owner_is_locked() {
    // ALIGN-3, ALIGN-5
    let desk = Desk::new().await;
    assert!(desk.jira.token().starts_with(&format!("user:{}|", desk.jira.owner())));
    assert_eq!(send(desk.bare("GET", "/rest/align/api/2/Users")).await.status, 401);
    let owner = desk.jira.owner();
    assert_eq!(desk.set(owner, "isLocked", json!(-1)).await.status, 200);
    assert_eq!(desk.get("/Users").await.status, 401);
    desk.jira.change(|world| world.change(owner, |user| user.is_locked = 0));
    assert_eq!(desk.get("/Users").await.status, 200);
    desk.jira.change(|world| world.issue_token(owner, "another"));
    assert_eq!(desk.get("/Users").await.status, 401);
}

#[tokio::test]
async fn a_token_may_do_what_the_role_of_its_owner_may() {
    // ALIGN-4
    let desk = Desk::new().await;
    let owner = desk.jira.owner();
    desk.jira.change(|world| world.change(owner, |user| user.role_id = VIEWER_ROLE));
    assert_eq!(desk.get("/Users").await.status, 200);
    let refused = desk.post(&mara()).await;
    assert_eq!((refused.status, refused.text.as_str()), (403, ""));
    assert_eq!(desk.set(owner, "title", json!("x")).await.status, 403);
}

#[tokio::test]
async fn too_many_calls_are_429_with_the_time_to_wait() {
    // ALIGN-6
    let limit = Some("2/1/60".parse().unwrap());
    let desk = Desk::with(AlignOptions { rate_limit: limit, ..AlignOptions::default() }).await;
    assert_eq!([desk.get("/Users").await.status, desk.get("/Users").await.status], [200, 200]);
    let refused = desk.get("/Users").await;
    assert_eq!(refused.status, 429);
    assert!((1..=60).contains(&refused.header("Retry-After").parse::<u64>().unwrap()));
    desk.jira.advance(Duration::from_secs(60));
    assert_eq!(desk.get("/Users").await.status, 200);
}

#[tokio::test]
async fn a_list_is_a_bare_array_of_at_most_a_hundred_rows() {
    // ALIGN-7
    let desk = Desk::new().await;
    for number in 0..149 {
        desk.add(AlignUser::named(&format!("p{number}"), "P", &number.to_string()));
    }
    assert_eq!(desk.ids("").await.len(), 100);
    assert_eq!(desk.ids("?$top=500").await.len(), 100);
    assert_eq!(desk.ids("?$top=5").await.len(), 5);
    assert_eq!(desk.ids("?$skip=100&$top=100").await.len(), 50);
    assert!(desk.ids("?$skip=200").await.is_empty());
}

#[tokio::test]
async fn the_order_of_a_list_is_that_of_the_ids_only_where_one_asks_and_it_is_honoured() {
    // ALIGN-8
    let desk = Desk::new().await;
    let (zoe, abe) = (desk.add(AlignUser::named("z", "Zoe", "Zander")), desk.add(AlignUser::named("a", "Abe", "Abel")));
    let owner = desk.jira.owner();
    assert_eq!(desk.ids("?$orderby=id").await, [owner, zoe, abe]);
    assert_eq!(desk.ids("").await, [abe, owner, zoe]);
    desk.jira.change(|world| world.rules.honours_order = false);
    assert_eq!(desk.ids("?$orderby=id").await, [abe, owner, zoe]);
}

#[tokio::test]
async fn a_filter_compares_and_a_selection_leaves_out() {
    // ALIGN-9, ALIGN-10
    let desk = Desk::new().await;
    let neill = desk.add(AlignUser { last_name: "O'Neill".to_owned(), ..ivo() });
    for filter in [
        "externalId eq 'IVO'",
        "email eq 'ivo@example.test' and isLocked eq 0",
        "contains(firstname,'vo')",
        "lastName eq 'O''Neill'",
        &format!("id eq {neill}"),
    ] {
        assert_eq!(desk.ids(&format!("?$filter={filter}")).await, [neill], "{filter}");
    }
    assert!(desk.ids("?$filter=externalId eq 'iv'").await.is_empty());
    assert_eq!(desk.get("/Users?$filter=lastName eq 'O'Neill'").await.status, 400);
    let row = desk.get(&format!("/Users/{neill}?$select=id,email")).await.json();
    assert_eq!(row, json!({"id": neill, "email": "ivo@example.test"}));
}

#[tokio::test]
async fn a_refusal_is_a_json_string_that_names_the_user() {
    // ALIGN-11
    let desk = Desk::new().await;
    let id = desk.add(AlignUser { city_id: None, ..ivo() });
    let refused = desk.set(id, "title", json!("Lead")).await;
    let text = refused.json().as_str().unwrap().to_owned();
    assert!(refused.status == 400 && text.starts_with(&format!("Cannot update user with id {id}. ")), "{text}");
}

#[tokio::test]
async fn a_post_answers_the_user_or_only_its_id() {
    // ALIGN-12
    let desk = Desk::new().await;
    let made = desk.post(&mara()).await;
    let shown = made.json();
    assert_eq!((made.status, &shown["fullName"], &shown["status"]), (201, &json!("Mara Lund"), &json!("Active")));
    let desk = Desk::ruled(AlignRules { answers_ids: true, ..AlignRules::default() }).await;
    assert!(desk.post(&mara()).await.json().is_u64());
}

#[tokio::test]
async fn a_post_needs_its_ids_and_ids_that_this_site_has() {
    // ALIGN-13, ALIGN-28
    let desk = Desk::new().await;
    for name in ["regionId", "cityId", "roleId", "costCenterId", "divisionId", "firstName", "lastName", "email"] {
        let mut body = mara();
        body.as_object_mut().unwrap().remove(name);
        let refused = desk.post(&body).await;
        assert!(refused.status == 400 && refused.text.contains(name), "{name}: {}", refused.text);
    }
    let mut body = mara();
    body["cityId"] = json!(4711);
    assert!(desk.post(&body).await.text.contains("cityId 4711 does not exist"));
    for path in ["/regions", "/cities", "/Divisions"] {
        assert!(desk.get(path).await.json()[0]["name"].is_string(), "{path}");
    }
    // A city of another region is nobody's concern.
    body["cityId"] = json!(41);
    assert_eq!(desk.post(&body).await.status, 201);
}

#[tokio::test]
async fn a_duplicate_is_refused_unless_the_site_lets_it_pass() {
    // ALIGN-14, ALIGN-15
    let desk = Desk::new().await;
    desk.post(&mara()).await;
    let mut namesake = mara();
    namesake["externalId"] = json!("mlund2");
    assert!(desk.post(&namesake).await.text.contains("email already exists"));
    let mut same = mara();
    same["email"] = json!("other@example.test");
    assert!(desk.post(&same).await.text.contains("externalId already exists"));
    same.as_object_mut().unwrap().remove("externalId");
    assert_eq!(desk.post(&same).await.status, 201);
    desk.jira.change(|world| world.rules.duplicates = true);
    assert_eq!(desk.post(&mara()).await.status, 201);
}

#[tokio::test]
async fn a_lock_is_minus_one_sets_the_end_date_and_shows_in_status() {
    // ALIGN-16, ALIGN-18
    let desk = Desk::new().await;
    let id = desk.add(ivo());
    let locked = desk.set(id, "isLocked", json!(-1)).await;
    assert_eq!((locked.status, locked.text.as_str()), (200, ""));
    let shown = desk.get(&format!("/Users/{id}")).await.json();
    assert_eq!((&shown["isLocked"], &shown["status"]), (&json!(-1), &json!("Inactive")));
    assert!(shown["userEndDate"].is_string());
    let end = desk.user(id).user_end_date;
    desk.jira.advance(Duration::from_secs(3600));
    desk.set(id, "isLocked", json!(-1)).await;
    assert_eq!(desk.user(id).user_end_date, end);
}

#[tokio::test]
async fn a_write_to_status_succeeds_and_changes_nothing() {
    // ALIGN-17, ALIGN-24, ALIGN-29
    let desk = Desk::new().await;
    let id = desk.add(ivo());
    for (name, value) in [("status", "Inactive"), ("fullName", "Somebody Else")] {
        assert_eq!(desk.set(id, name, json!(value)).await.status, 200);
    }
    let shown = desk.get(&format!("/Users/{id}")).await.json();
    assert_eq!(
        (&shown["status"], &shown["fullName"], &shown["isLocked"]),
        (&json!("Active"), &json!("Ivo Haas"), &json!(0))
    );
    desk.jira.change(|world| world.rules.forgets_status = true);
    desk.set(id, "isLocked", json!(-1)).await;
    let shown = desk.get(&format!("/Users/{id}")).await.json();
    assert_eq!((&shown["status"], &shown["isLocked"]), (&json!("Active"), &json!(-1)));
}

#[tokio::test]
async fn any_change_validates_the_whole_record() {
    // ALIGN-19, ALIGN-20, ALIGN-21
    let desk = Desk::new().await;
    let connector = desk.add(AlignUser { division_id: None, city_id: None, ..ivo() });
    let refused = desk.set(connector, "isLocked", json!(-1)).await;
    assert!(refused.text.contains("divisionId is required. cityId is required."), "{}", refused.text);
    let whole = json!([{"op": "replace", "path": "/divisionId", "value": 65}, {"op": "add", "path": "/cityId", "value": 32},
                       {"op": "replace", "path": "/isLocked", "value": -1}]);
    assert_eq!(desk.patch(connector, whole).await.status, 200);

    let company = AlignUser {
        company: Some(String::new()),
        company_id: Some(String::new()),
        ..AlignUser::named("eva", "Eva", "Koch")
    };
    let company = desk.add(company);
    let refused = desk.set(company, "title", json!("Lead")).await;
    let words = "company must be between 1 and 100 characters. companyId must be between 1 and 50 characters.";
    assert!(refused.text.contains(words), "{}", refused.text);
    let nulls = json!([{"op": "replace", "path": "/company", "value": null}, {"op": "remove", "path": "/companyId"}]);
    assert_eq!(desk.patch(company, nulls).await.status, 200);
}

#[tokio::test]
async fn an_end_date_of_long_ago_refuses_every_change_until_it_is_cleared() {
    // ALIGN-22
    let desk = Desk::new().await;
    let id = desk.add(ivo());
    desk.set(id, "isLocked", json!(-1)).await;
    desk.jira.advance(Duration::from_secs(3 * 86_400));
    for (name, value) in [("isLocked", json!(0)), ("title", json!("Lead"))] {
        let refused = desk.set(id, name, value).await;
        assert!(refused.text.contains("UserEndDate cannot be set before 1 days in past."), "{}", refused.text);
    }
    let both = json!([{"op": "replace", "path": "/isLocked", "value": 0}, {"op": "replace", "path": "/userEndDate", "value": null}]);
    assert_eq!(desk.patch(id, both).await.status, 200);
    assert!(desk.user(id).is_active() && desk.user(id).user_end_date.is_none());
}

#[tokio::test]
async fn a_patch_is_an_array_of_operations_in_lower_case() {
    // ALIGN-23
    let desk = Desk::new().await;
    let id = desk.add(ivo());
    for patch in [
        json!({"title": "Lead"}),
        json!([{"op": "Replace", "path": "/title", "value": "Lead"}]),
        json!([{"op": "replace", "path": "title", "value": "Lead"}]),
        json!([{"op": "replace", "path": "/nickName", "value": "Lead"}]),
        json!([{"op": "replace", "path": "/cityId", "value": "Lund"}]),
    ] {
        assert_eq!(desk.patch(id, patch.clone()).await.status, 400, "{patch}");
    }
    assert_eq!(desk.user(id), AlignUser { id, ..ivo() });
    let form = desk.request("PATCH", &format!("/Users/{id}")).body("title=Lead");
    assert_eq!(send(form).await.status, 415);
}

#[tokio::test]
async fn faults_look_like_those_of_jira_align() {
    // ALIGN-11, ALIGN-30
    let desk = Desk::new().await;
    desk.jira.inject(Fault::status(400).times(1));
    assert_eq!(desk.get("/Users").await.json(), json!("Injected fault."));
    desk.jira.inject(Fault::throttle(7).times(1));
    assert_eq!(desk.get("/Users").await.header("Retry-After"), "7");
    desk.jira.inject(Fault::status(503).on("GET /Users/{id}"));
    let owner = desk.jira.owner();
    assert_eq!(desk.get(&format!("/Users/{owner}")).await.status, 503);
    assert_eq!(desk.get("/Users").await.status, 200);
    let routes: Vec<String> = desk.jira.journal().iter().map(|entry| entry.operation()).collect();
    assert_eq!(routes, ["GET /Users", "GET /Users", "GET /Users/{id}", "GET /Users"]);
}
