//! A SCIM server that gives a part, lies, stumbles or leads elsewhere changes nobody.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use futures_util::stream;
use jira_scim::config::{ScimConfig, ScimLogin, ScimMembers, ScimPaging};
use jira_scim::secret::Secret;
use serde_json::{Value, json};

use super::scim_world::{Fed, Odd, asked_for, json_response, page, status};

const NAMES: &[&str] = &["ann", "bob", "cid", "dora", "eve", "finn", "gus"];

/// Fed by such a server, and by one that behaves at first.
async fn fed(answer: impl Fn(&Request, usize) -> Response + Clone + Send + Sync + 'static) -> (Fed, Odd) {
    let odd = Odd::listing(answer).await;
    (Fed::by(odd.config()).await, odd)
}

async fn failed(answer: impl Fn(&Request, usize) -> Response + Clone + Send + Sync + 'static) -> String {
    fed(answer).await.0.failed().await
}

#[tokio::test]
async fn a_list_that_is_not_whole_changes_nobody() {
    let whole = |request: &Request| asked_for(request, NAMES);
    let why = failed(move |request, _| json_response(&with(whole(request), "totalResults", json!(9)))).await;
    assert!(why.contains("9 entries were announced and 7 came"), "{why}");
    let why = failed(move |request, _| json_response(&with(whole(request), "totalResults", json!(2)))).await;
    assert!(why.contains("2 entries were announced and 3 came"), "{why}");
    let why = failed(move |request, _| json_response(&with(whole(request), "totalResults", Value::Null))).await;
    assert!(why.contains("does not say how many"), "{why}");
    let why = failed(move |request, n| json_response(&with(whole(request), "totalResults", json!(7 + n)))).await;
    assert!(why.contains("had 7 entries and has 8 now"), "{why}");
    let why = failed(move |request, n| if n == 1 { status(500) } else { json_response(&whole(request)) }).await;
    assert!(why.contains("cannot be reached: it answers 500"), "{why}");
    let why = failed(move |request, n| json_response(&with(whole(request), "startIndex", json!(1 + n)))).await;
    assert!(why.contains("was asked for from 3 on and came from 2 on"), "{why}");
    let why = failed(|_, _| json_response(&page(&NAMES[..3], 7, 1))).await;
    assert!(why.contains("came from 1 on"), "who always gets the first page notices: {why}");
    let why = failed(|_, _| Response::new(Body::from("<html>Sign in</html>"))).await;
    assert!(why.contains("not formed as SCIM has it"), "{why}");
}

#[tokio::test]
async fn a_list_that_moves_underneath_is_noticed_though_its_length_stays() {
    // Ann leaves and somebody comes at the end, between the first page and the second.
    let moved: &[&str] = &["bob", "cid", "dora", "eve", "finn", "gus", "hugo"];
    let why = failed(move |request, n| json_response(&asked_for(request, if n == 0 { NAMES } else { moved }))).await;
    assert!(why.contains("has moved while it was read"), "{why}");
}

#[tokio::test]
async fn a_list_by_cursor_ends_where_the_server_says_so() {
    let by_cursor = |cut: usize| {
        move |request: &Request, n: usize| {
            assert!(request.uri().query().unwrap().contains("cursor="), "{}", request.uri());
            let all: Vec<&[&str]> = NAMES.chunks(3).collect();
            let mut page = page(all[n.min(all.len() - 1)], NAMES.len(), 1);
            if n + 1 < cut {
                page["nextCursor"] = json!(format!("c{n}"));
            }
            json_response(&page)
        }
    };
    let (mut good, odd) = fed(by_cursor(3)).await;
    good.scim().paging = ScimPaging::Cursor;
    assert_eq!(good.all().await.people.read, 7);
    let asked: Vec<String> = odd.asked().into_iter().filter(|line| line.starts_with("/Users")).collect();
    assert!(asked[0].contains("cursor=&") && asked[2].contains("cursor=c1"), "{asked:?}");
    let (mut cut, _) = fed(by_cursor(2)).await;
    cut.scim().paging = ScimPaging::Cursor;
    assert!(cut.failed().await.contains("7 entries were announced and 6 came"));
    let (mut circle, _) = fed(|_, _| json_response(&with(page(&["ann"], 7, 1), "nextCursor", json!("c")))).await;
    circle.scim().paging = ScimPaging::Cursor;
    assert!(circle.failed().await.contains("does not come to an end"));
}

#[tokio::test]
async fn servers_that_give_less_at_once_than_asked_for_are_read_whole() {
    for most in 1..=4 {
        let answer = move |request: &Request, _| {
            let mut page = asked_for(request, NAMES);
            let some = page["Resources"].as_array_mut().unwrap();
            some.truncate(most);
            json_response(&page)
        };
        let (mut fed, _) = fed(answer).await;
        fed.scim().page_size = 100;
        assert_eq!(fed.all().await.people.read, 7, "{most} at once");
    }
}

#[tokio::test]
async fn one_bad_entry_is_skipped_and_told_and_one_without_an_id_saves_everybody() {
    let people = json!({ "totalResults": 3, "Resources": [
        { "id": "1", "userName": "ann" }, { "id": "2", "displayName": "Nameless" }, { "id": "3", "userName": "cid", "active": "perhaps" },
    ] });
    let (fed, _) = fed(move |_, _| json_response(&people)).await;
    let counters = fed.all().await;
    assert_eq!((counters.people.create, counters.people.skip), (1, 2));
    assert!(counters.messages.iter().any(|told| told.contains("has no userName")), "{:?}", counters.messages);
    assert!(counters.messages.iter().any(|told| told.contains("active")), "{:?}", counters.messages);
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again() {
    let busy = |request: &Request, n| match n {
        1 | 2 => Response::builder()
            .status(if n == 1 { 429 } else { 503 })
            .header("retry-after", "0")
            .body(Body::empty())
            .unwrap(),
        _ => json_response(&asked_for(request, NAMES)),
    };
    assert_eq!(fed(busy).await.0.all().await.people.read, 7);
    let always =
        |_: &Request, _| Response::builder().status(429).header("retry-after", "0").body(Body::empty()).unwrap();
    assert!(failed(always).await.contains("it said 10 times that it is busy"));
}

#[tokio::test]
async fn a_redirect_is_followed_within_the_server_and_nowhere_else() {
    let thief = Odd::listing(|request, _| json_response(&asked_for(request, NAMES))).await;
    let to = |place: String| Response::builder().status(302).header("location", place).body(Body::empty()).unwrap();
    let elsewhere = thief.url.clone();
    let (mut led, _) = fed(move |_, _| to(format!("{elsewhere}/Users"))).await;
    led.scim().login = Some(ScimLogin::Token(Secret::new("the-token")));
    let why = led.failed().await;
    assert!(why.contains("is redirected to another server"), "{why}");
    assert_eq!(thief.asked(), Vec::<String>::new(), "nobody else sees the credential");
    let (home, _) = fed(move |request, _| match request.uri().path() {
        "/Users" => to(format!("/v2/Users?{}", request.uri().query().unwrap())),
        _ => json_response(&asked_for(request, NAMES)),
    })
    .await;
    assert_eq!(home.all().await.people.read, 7);
    assert!(failed(move |request, _| to(request.uri().to_string())).await.contains("redirects in a circle"));
}

#[tokio::test]
async fn an_answer_without_end_is_not_kept() {
    let endless = |_: &Request, _| {
        let blanks = Bytes::from(vec![b' '; 1 << 20]);
        Response::new(Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(blanks.clone()))))
    };
    assert!(failed(endless).await.contains("more than 64 MiB at once"));
}

#[tokio::test]
async fn a_connection_that_is_lost_within_an_answer_gave_a_part() {
    let cut = |_: &Request, _| {
        let some = [Ok(Bytes::from("{\"totalResults\": 7, ")), Err(std::io::Error::other("cut"))];
        Response::new(Body::from_stream(stream::iter(some)))
    };
    assert!(failed(cut).await.contains("cannot be reached"));
}

#[tokio::test]
async fn a_group_that_is_gone_or_another_when_its_members_are_asked_for_changes_nobody() {
    for (answer, told) in [(None, "is gone"), (Some(json!({ "id": "g2", "displayName": "Other" })), "another one came")]
    {
        let odd = Odd::new(move |path, request, _| match path {
            "/ServiceProviderConfig" => json_response(&json!({})),
            "/Users" => json_response(&asked_for(request, NAMES)),
            "/Groups" => {
                assert!(request.uri().query().unwrap().contains("excludedAttributes=members"), "{}", request.uri());
                json_response(&json!({ "totalResults": 1, "Resources": [{ "id": "g1", "displayName": "Crew" }] }))
            }
            _ => answer.as_ref().map_or_else(|| status(404), json_response),
        })
        .await;
        let fed = Fed::by(ScimConfig { members: ScimMembers::Each, ..odd.config() }).await;
        let why = fed.failed().await;
        assert!(why.contains(told), "{why}");
    }
}

#[tokio::test]
async fn a_server_that_looks_at_no_filter_gives_one_person_all_the_same() {
    let (fed, _) = fed(|request, _| json_response(&asked_for(request, NAMES))).await;
    let asked = jira_scim::sync::run::Asked { user: Some("dora".into()), ..Default::default() };
    assert_eq!(fed.synced(&asked).await.people.create, 1);
    assert_eq!(fed.names().await, ["dora"]);
}

#[tokio::test]
async fn an_address_that_is_no_scim_server_is_told() {
    let odd = Odd::new(|_, _, _| status(404)).await;
    let why = Fed::by(odd.config()).await.failed().await;
    assert!(why.contains("does not say which version of SCIM it speaks"), "{why}");
}

fn with(mut page: Value, key: &str, value: Value) -> Value {
    page[key] = value;
    page
}
