//! The simulator against servers that do not do what they should: what it says, that it ends, and whom it never touches.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use clap::ValueEnum;
use hyper::{HeaderMap, Method};
use jira_scim::secret::Secret;
use jira_scim::simulate::check::{Check, Kind};
use jira_scim::simulate::client::Service;
use jira_scim::simulate::profile::{Group, Profile};
use jira_scim::simulate::report::Report;
use jira_scim::simulate::session::{Ending, Size};
use jira_scim::simulate::wire::{Ask, Budget, Patience, Recorder, Wire};
use jira_scim::simulate::{self, Credential, Options};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A server that answers as the function says; its base URL.
async fn server(answer: impl Fn(&Method, &str) -> Response + Clone + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(move |request: Request| {
        let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
        let response = answer(request.method(), &path);
        async move { response }
    });
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

/// `Null` is no body.
pub fn reply(status: u16, body: &Value) -> Response {
    let json = Response::builder().status(status).header("content-type", "application/scim+json");
    json.body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) }).unwrap()
}

fn wire(url: &str, patience: Patience) -> (Wire, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::new(Budget::default()));
    let service = Arc::new(Service::new(url, None).unwrap());
    (Wire::new(service, HeaderMap::new(), recorder.clone(), patience), recorder)
}

fn look() -> Ask {
    Ask::new("GET /Users", Method::GET, "/Users", &[200]).check(Check::Unpaged)
}

async fn play(profile: Profile, url: &str, seed: u64) -> Report {
    play_as("jst_any", profile, url, seed).await
}

pub async fn play_as(token: &str, profile: Profile, url: &str, seed: u64) -> Report {
    let options = Options {
        profile,
        url: url.to_owned(),
        credential: Credential::Token(Secret::new(token)),
        extra_ca: None,
        size: Size { users: 3, groups: 2, ending: Ending::Purge },
        connections: 2,
        seed,
        budget: Budget::default(),
        progress: false,
    };
    simulate::run(options, std::future::pending()).await.unwrap()
}

const ONE: Patience = Patience { answer: Duration::from_secs(60), attempts: 3, sends: 1 };

#[test]
fn every_profile_is_in_the_table_of_the_operations_page() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    for profile in Profile::value_variants() {
        let name = profile.to_possible_value().unwrap().get_name().to_owned();
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[tokio::test]
async fn a_429_is_obeyed_and_no_complaint() {
    let calls = Arc::new(AtomicU32::new(0));
    let url = server(move |_, _| {
        if calls.fetch_add(1, Ordering::Relaxed) < 2 {
            return Response::builder().status(429).header("retry-after", "0").body(Body::empty()).unwrap();
        }
        reply(200, &list(&[]))
    })
    .await;
    let (mut wire, recorder) = wire(&url, ONE);
    assert!(wire.ask(look()).await.is_ok());
    let report = recorder.report();
    assert!(report.is_clean() && report.throttled == 2, "{report}");
}

#[tokio::test]
async fn a_429_that_never_ends_is_given_up() {
    let url =
        server(|_, _| Response::builder().status(429).header("retry-after", "0").body(Body::empty()).unwrap()).await;
    let (mut wire, recorder) = wire(&url, ONE);
    assert!(wire.ask(look()).await.is_err());
    assert!(recorder.report().complaints[0].what.contains("429 after 3 attempts"), "{}", recorder.report());
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (mut wire, recorder) = wire(&url, Patience { answer: Duration::from_millis(20), ..ONE });
    assert!(wire.ask(look()).await.is_err());
    let report = recorder.report();
    assert!(report.complaints[0].what.contains("no answer within 0.02 s"), "{report}");
    assert_eq!(report.complaints[0].cites, "GEN-22");
    assert_eq!(Profile::Keycloak.idp().patience().answer, Duration::from_secs(5), "KC-2");
    drop(listener);
}

pub fn list(resources: &[Value]) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse", "urn:scim:schemas:core:1.0"],
            "totalResults": resources.len(), "startIndex": 1, "itemsPerPage": resources.len(), "Resources": resources })
}

/// A server that takes no notice of filters answers every look-up with somebody, who is not the one looked for.
#[tokio::test]
async fn no_profile_ever_touches_whom_it_did_not_look_for() {
    for profile in Profile::value_variants() {
        let writes = Arc::new(Mutex::new(Vec::new()));
        let seen = writes.clone();
        let url = server(move |method, path| {
            let about_kind = |kind: Kind| path.starts_with(kind.path()) && !path[1..].contains('/');
            match *method {
                Method::GET if about_kind(Kind::User) => {
                    reply(200, &list(&[json!({ "id": "u-boss", "userName": "the.boss@corp.com", "active": true })]))
                }
                Method::GET if about_kind(Kind::Group) => {
                    reply(200, &list(&[json!({ "id": "g-board", "displayName": "The Board" })]))
                }
                Method::GET => reply(404, &json!({ "detail": "No." })),
                _ => {
                    seen.lock().unwrap().push(format!("{method} {path}"));
                    reply(409, &json!({ "detail": "No." }))
                }
            }
        })
        .await;
        let report = play(*profile, &url, 7).await;
        assert!(!report.is_clean(), "{profile:?}");
        assert!(report.left.is_nothing(), "{profile:?}\n{report}");
        let writes = writes.lock().unwrap();
        assert!(writes.iter().all(|write| write.starts_with("POST ")), "{profile:?}: {writes:?}");
    }
}

/// What was created without an answer is found and deleted at the end.
#[tokio::test]
async fn a_create_that_was_done_but_not_told_is_cleaned_up() {
    let there: Arc<Mutex<Vec<String>>> = Arc::default();
    let state = there.clone();
    let url = server(move |method, path| {
        let mut there = state.lock().unwrap();
        let asked = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
        match *method {
            Method::POST if path.starts_with("/Users") => {
                let id = format!("u-{}", there.len());
                there.push(id);
                reply(500, &json!({ "detail": "Done, but told otherwise." }))
            }
            Method::DELETE => {
                there.retain(|id| !path.ends_with(id.as_str()));
                Response::builder().status(204).body(Body::empty()).unwrap()
            }
            Method::GET if asked.contains("userName eq") && !there.is_empty() => {
                let name = asked.split('"').nth(1).unwrap_or_default();
                reply(200, &list(&[json!({ "id": there[0], "userName": name, "active": true })]))
            }
            _ => reply(200, &list(&[])),
        }
    })
    .await;
    let options = Size { users: 1, groups: 0, ending: Ending::Purge };
    let options = Options {
        profile: Profile::Okta,
        url,
        credential: Credential::Token(Secret::new("jst_any")),
        extra_ca: None,
        size: options,
        connections: 1,
        seed: 7,
        budget: Budget::default(),
        progress: false,
    };
    let report = simulate::run(options, std::future::pending()).await.unwrap();
    assert!(!report.is_clean() && report.left.is_nothing(), "{report}");
    assert_eq!(report.left.deleted, 1, "{report}");
    assert!(there.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_group_that_is_listed_twice_is_reported() {
    let crew = json!({ "id": "g-1", "displayName": "Crew" });
    let url = server(move |_, _| reply(200, &list(&[crew.clone(), crew.clone()]))).await;
    let (mut wire, recorder) = wire(&url, ONE);
    let found = Profile::Pingone.idp().find_group(&mut wire, "Crew").await.unwrap();
    assert_eq!(found, Some(Group { id: "g-1".to_owned(), name: "Crew".to_owned() }));
    let report = recorder.report();
    assert_eq!(report.complaints.len(), 1, "{report}");
    assert_eq!(report.complaints[0].what, "Crew is listed twice");
}
