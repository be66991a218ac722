//! The simulator against the real daemon, some of whose answers are spoilt on the way: each is complained about, and nothing
//! else is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::header::{CONTENT_LENGTH, WWW_AUTHENTICATE};
use jira_scim::simulate::check::{Answer, Protocol};
use jira_scim::simulate::client::{self, Service};
use jira_scim::simulate::people::Person;
use jira_scim::simulate::profile::{Group, Idp, Member, Movement, Profile};
use jira_scim::simulate::report::Report;
use jira_scim::simulate::wire::{Budget, Recorder, Wire};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::http_app::{App, options};
use super::simulate_broken::{list, play_as, reply};

/// What becomes of an answer.
enum Spoilt {
    No,
    /// The daemon is not even asked.
    Said(u16, Value),
    Changed(fn(&mut Answer)),
}

type Spoil = fn(&str) -> Spoilt;

/// Passes the request on, and spoils the answer by what was asked: `PATCH /Users/u-1 {...}`.
async fn through(daemon: Router, request: Request, spoil: Spoil) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let path = percent_encoding::percent_decode_str(&path).decode_utf8_lossy();
    let path = path.trim_start_matches("/scim/acme/").trim_start_matches(['v', '1', '2']);
    let spoilt = spoil(&format!("{} {path} {}", parts.method, String::from_utf8_lossy(&body)));
    if let Spoilt::Said(status, body) = &spoilt {
        return reply(*status, body);
    }
    let response = daemon.oneshot(Request::from_parts(parts, Body::from(body))).await.unwrap();
    let Spoilt::Changed(change) = spoilt else { return response };
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut answer = Answer::new(parts.status.as_u16(), parts.headers, &body);
    change(&mut answer);
    let mut response = reply(answer.status, &answer.body);
    *response.headers_mut() = answer.headers;
    response.headers_mut().remove(CONTENT_LENGTH);
    response
}

/// The real daemon, without a Jira, whose answers are spoilt one by one.
struct Spoiling {
    app: App,
    people: AtomicU64,
}

impl Spoiling {
    async fn start() -> Self {
        let mut options = options();
        options.requests_per_second = 0;
        Self { app: App::with(options, None).await, people: AtomicU64::new(0) }
    }

    async fn url(&self, idp: &dyn Idp, spoil: Spoil) -> String {
        let daemon = self.app.router.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let version = if idp.manner().protocol == Protocol::V1 { "v1" } else { "v2" };
        let url = format!("http://{}/scim/acme/{version}", listener.local_addr().unwrap());
        let app = Router::new().fallback(move |request: Request| through(daemon.clone(), request, spoil));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        url
    }

    async fn wire(&self, idp: &dyn Idp, spoil: Spoil) -> (Wire, Arc<Recorder>) {
        let service = Arc::new(Service::new(&self.url(idp, spoil).await, None).unwrap());
        let headers = client::headers(&idp.headers(), &idp.authorization(&self.app.token)).unwrap();
        let recorder = Arc::new(Recorder::new(Budget::default()));
        (Wire::new(service, headers, recorder.clone(), idp.patience()).speaking(idp.manner()), recorder)
    }

    /// The only complaint about what the provider does with somebody who is there already.
    async fn complaint(
        &self,
        profile: Profile,
        spoil: Spoil,
        deed: impl AsyncFnOnce(&dyn Idp, &mut Wire, Known),
    ) -> String {
        only_complaint(&self.report(profile, spoil, deed).await)
    }

    async fn report(
        &self,
        profile: Profile,
        spoil: Spoil,
        deed: impl AsyncFnOnce(&dyn Idp, &mut Wire, Known),
    ) -> Report {
        let idp = profile.idp();
        let person = Person::new(7, self.people.fetch_add(1, Ordering::Relaxed));
        let (mut honest, _) = self.wire(&*idp, |_| Spoilt::No).await;
        let id = idp.create_user(&mut honest, &person).await.unwrap();
        let (mut wire, recorder) = self.wire(&*idp, spoil).await;
        deed(&*idp, &mut wire, Known { id, person }).await;
        recorder.report()
    }

    /// A whole session of an Okta.
    async fn session(&self, spoil: Spoil) -> Report {
        let url = self.url(&*Profile::Okta.idp(), spoil).await;
        let seed = 100 + self.people.fetch_add(1, Ordering::Relaxed);
        play_as(&self.app.token, Profile::Okta, &url, seed).await
    }
}

struct Known {
    id: String,
    person: Person,
}

fn only_complaint(report: &Report) -> String {
    assert_eq!(report.complaints.len(), 1, "{report}");
    format!("{}: {}", report.complaints[0].exchange, report.complaints[0].what)
}

fn spoilt_if(holds: bool, status: u16, body: Value) -> Spoilt {
    if holds { Spoilt::Said(status, body) } else { Spoilt::No }
}

/// Each with the provider that asks, what is said instead, and the complaint.
#[tokio::test]
async fn what_is_asked_for_acceptance_has_to_be_answered_rightly() {
    let daemon = Spoiling::start().await;
    let cases: [(Profile, Spoil, &str); 11] = [
        (
            Profile::Okta,
            |asked| spoilt_if(asked.contains("@CORP-7.EXAMPLE"), 200, list(&[])),
            "the list has {} (totalResults 0) instead of",
        ),
        (Profile::Okta, |asked| spoilt_if(asked.starts_with("POST /Users "), 201, list(&[])), "201 instead of 409"),
        (Profile::Okta, |asked| spoilt_if(asked.contains("/01010100"), 200, list(&[])), "200 instead of 404"),
        (
            Profile::Okta,
            |asked| spoilt_if(is_first_page(asked), 200, list(&[])),
            "a wrong credential): status 200 instead of 401",
        ),
        (
            Profile::Okta,
            |asked| match is_first_page(asked) {
                true => Spoilt::Changed(|answer| drop(answer.headers.remove(WWW_AUTHENTICATE))),
                false => Spoilt::No,
            },
            "a wrong credential): 401 without WWW-Authenticate",
        ),
        (
            Profile::OktaV1,
            |asked| spoilt_if(asked.contains("=AMOSS"), 200, list(&[])),
            "a bare word): status 200 instead of 400",
        ),
        (
            Profile::OktaV1,
            |asked| spoilt_if(is_first_page(asked), 200, list(&[])),
            "a wrong credential): status 200 instead of 401",
        ),
        (Profile::OktaOpp, |asked| spoilt_if(asked.contains("/01010100"), 200, list(&[])), "200 instead of 404"),
        (
            Profile::Entra,
            |asked| spoilt_if(asked.contains("manager eq"), 200, list(&[])),
            "who is managed by whom): the list has {} (totalResults 0) instead of {\"",
        ),
        (
            Profile::Entra,
            |asked| spoilt_if(asked.starts_with("PATCH") && asked.contains("Remove"), 204, Value::Null),
            "(totalResults 1) instead of {}",
        ),
        (
            Profile::Authentik,
            |asked| spoilt_if(asked.contains("userName eq"), 200, list(&[])),
            "409, and nobody of this userName is found",
        ),
    ];
    for (profile, spoil, wanted) in cases {
        let asks = async |idp: &dyn Idp, wire: &mut Wire, known: Known| {
            let _ = idp.acceptance(wire, &known.person, &known.id).await;
        };
        let told = daemon.complaint(profile, spoil, asks).await;
        assert!(told.contains(wanted), "{profile:?}: {told}");
    }
}

/// Okta's question with a wrong credential; with the right one it is never asked in an acceptance test.
fn is_first_page(asked: &str) -> bool {
    asked.starts_with("GET /Users?startIndex=1&count=2 ")
}

/// A write that is answered with 204 and not done.
fn ignored(asked: &str, method: &str) -> Spoilt {
    spoilt_if(asked.starts_with(method), 204, Value::Null)
}

#[tokio::test]
async fn what_was_written_has_to_be_there_when_it_is_looked_at_again() {
    let daemon = Spoiling::start().await;
    let leaves = async |idp: &dyn Idp, wire: &mut Wire, known: Known| {
        let _ = idp.set_active(wire, &known.id, &known.person, false).await;
    };
    for profile in [Profile::Okta, Profile::Entra, Profile::Google, Profile::Slack] {
        let report = daemon.report(profile, |asked| ignored(asked, "PATCH"), leaves).await;
        assert_eq!(report.complaints[0].what, "active is true instead of false", "{profile:?}\n{report}");
    }
    let marries = async |idp: &dyn Idp, wire: &mut Wire, known: Known| {
        let _ = idp.update_user(wire, &known.id, &known.person.renamed()).await;
    };
    for profile in [Profile::Entra, Profile::EntraLegacy] {
        let report = daemon.report(profile, |asked| ignored(asked, "PATCH"), marries).await;
        assert!(report.complaints[0].what.starts_with("displayName was sent as"), "{profile:?}\n{report}");
    }
}

#[tokio::test]
async fn whoever_was_deleted_has_to_be_gone() {
    let daemon = Spoiling::start().await;
    let deletes = async |idp: &dyn Idp, wire: &mut Wire, known: Known| {
        let user = Member { id: known.id, user_name: known.person.user_name };
        let _ = idp.delete_user(wire, &user).await;
    };
    let there: Spoil = |asked| spoilt_if(asked.starts_with("GET /Users/"), 200, json!({ "id": "u-1" }));
    let told = daemon.complaint(Profile::Google, there, deletes).await;
    assert!(told.ends_with(": status 200 instead of 404 (no detail)"), "{told}");
    let told = daemon.complaint(Profile::Google, |asked| ignored(asked, "DELETE"), deletes).await;
    assert!(told.ends_with(": status 200 instead of 404 (no detail)"), "{told}");
    let twice: Spoil = |asked| match asked.starts_with("DELETE") {
        true => Spoilt::Changed(|answer| *answer = Answer { status: 204, body: Value::Null, ..answer.clone() }),
        false => Spoilt::No,
    };
    let told = daemon.complaint(Profile::Entra, twice, deletes).await;
    assert!(told.starts_with("DELETE") && told.ends_with("status 204 instead of 404 (no detail)"), "{told}");
}

#[tokio::test]
async fn a_group_has_to_have_the_members_and_the_name_that_it_was_given() {
    let daemon = Spoiling::start().await;
    let crew = daemon.app.group("Crew S7", &[]).await;
    let crew = Group { id: crew, name: "Crew S7".to_owned() };
    let joins = async |idp: &dyn Idp, wire: &mut Wire, known: Known| {
        let member = [Member { id: known.id, user_name: known.person.user_name }];
        let movement = Movement { all: &member, joining: &member, leaving: &[] };
        idp.move_members(wire, &crew, movement).await.unwrap();
        let _ = idp.verify_members(wire, &crew, &member).await;
    };
    let told = daemon.complaint(Profile::Okta, |asked| ignored(asked, "PATCH"), joins).await;
    assert!(told.ends_with("of 1 members 1 are missing and 0 are too many"), "{told}");
    let renames = async |idp: &dyn Idp, wire: &mut Wire, _: Known| {
        let _ = idp.rename_group(wire, &crew, "Watch S7", &[]).await;
    };
    let told = daemon.complaint(Profile::Okta, |asked| ignored(asked, "PATCH"), renames).await;
    assert!(told.ends_with("displayName was sent as \"Watch S7\" and comes back as \"Crew S7\""), "{told}");
}

#[tokio::test]
async fn an_import_has_to_list_everybody_once() {
    let daemon = Spoiling::start().await;
    let honest: Spoil = |_| Spoilt::No;
    assert!(daemon.session(honest).await.is_clean());
    let twice: Spoil = |asked| on_import(asked, |answer| relist(answer, |listed| listed.push(listed[0].clone())));
    assert_eq!(only_complaint(&daemon.session(twice).await), "GET /Users (all): 1 users were listed twice");
    let missing: Spoil = |asked| on_import(asked, |answer| relist(answer, |listed| drop(listed.pop())));
    assert_eq!(only_complaint(&daemon.session(missing).await), "GET /Users (all): 1 users of ours are not listed");
}

fn on_import(asked: &str, change: fn(&mut Answer)) -> Spoilt {
    if asked.starts_with("GET /Users?startIndex=1&count=100 ") { Spoilt::Changed(change) } else { Spoilt::No }
}

/// Changes a list, and its counters with it.
fn relist(answer: &mut Answer, change: impl FnOnce(&mut Vec<Value>)) {
    let mut listed = answer.resources().to_vec();
    change(&mut listed);
    answer.body["totalResults"] = listed.len().into();
    answer.body["itemsPerPage"] = listed.len().into();
    answer.body["Resources"] = listed.into();
}
