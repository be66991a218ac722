//! Answers that a real Jira may give and the sandbox does not: from a server that says the same to everybody.

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use tokio::net::TcpListener;

use super::*;

const MYSELF: &str = r#"{"key": "JIRAUSER1", "name": "åse", "displayName": "Åse", "active": true}"#;
const ADMINISTERS: &str = r#"{"permissions": {"ADMINISTER": {"havePermission": true}}}"#;
const DOES_NOT: &str = r#"{"permissions": {"ADMINISTER": {"havePermission": false}}}"#;

/// A target at a server that gives these answers.
async fn target(answer: fn(&Method, &str) -> (u16, &'static str)) -> Arc<dyn Target> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jira/", listener.local_addr().unwrap()).parse().unwrap();
    let router = Router::new().fallback(move |method: Method, uri: Uri| async move {
        let (status, body) = answer(&method, uri.path());
        (StatusCode::from_u16(status).unwrap(), [("X-AUSERNAME", "%C3%A5se")], body)
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut options = ClientOptions::new(url, Credential::Bearer("s3cret".to_owned()));
    options.expected_user = Some("Åse".to_owned());
    made_of(options)
}

fn forbidding(method: &Method, path: &str, permissions: &'static str) -> (u16, &'static str) {
    match (method, path) {
        (&Method::GET, "/jira/rest/api/2/mypermissions") => (200, permissions),
        _ => (403, r#"{"errorMessages": ["The directory does not allow this."], "errors": {}}"#),
    }
}

#[tokio::test]
async fn what_a_directory_forbids_to_an_administrator_is_refused_and_pauses_nothing() {
    // DC-75
    let gate = Turnstile::default();
    let calls = Calls::new(Uuid::now_v7(), &gate);
    let target = target(|method, path| forbidding(method, path, ADMINISTERS)).await;
    for error in [
        target.ensure_group(&calls, "platform-crew").await.unwrap_err(),
        target.add_member(&calls, group("platform-crew"), who("mara.lund")).await.unwrap_err(),
        target.create_account(&calls, &person("mara.lund")).await.unwrap_err(),
    ] {
        assert_eq!(reason(error), "The directory does not allow this.");
    }
}

#[tokio::test]
async fn a_403_to_whoever_does_not_administer_is_denied() {
    // DC-13
    let gate = Turnstile::default();
    let calls = Calls::new(Uuid::now_v7(), &gate);
    let target = target(|method, path| forbidding(method, path, DOES_NOT)).await;
    let error = target.ensure_group(&calls, "platform-crew").await.unwrap_err();
    assert!(matches!(error, TargetError::Denied { .. }), "{error:?}");
}

#[tokio::test]
async fn a_jira_that_is_still_starting_is_asked_nothing_else() {
    // DC-11
    let gate = Turnstile::default();
    let calls = Calls::new(Uuid::now_v7(), &gate);
    let target = target(|_, _| (200, r#"{"state": "STARTING"}"#)).await;
    let error = target.probe(&calls).await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { maybe_done: false, .. }), "{error:?}");
    assert_eq!(told(&calls), ["GET /status 200"]);
}

#[tokio::test]
async fn a_probe_lives_without_status_page_and_version_and_with_a_name_beyond_ascii() {
    // DC-11, DC-12, DC-19
    let gate = Turnstile::default();
    let calls = Calls::new(Uuid::now_v7(), &gate);
    let target = target(|_, path| match path {
        "/jira/rest/api/2/myself" => (200, MYSELF),
        "/jira/rest/api/2/mypermissions" => (200, ADMINISTERS),
        "/jira/rest/api/2/serverInfo" => (200, "{}"),
        _ => (404, "<html>blocked by the proxy</html>"),
    });
    let probe = target.await.probe(&calls).await.unwrap();
    assert_eq!((probe.own_account.username.as_str(), probe.version.as_str()), ("åse", ""));
    assert!(probe.version_numbers.is_empty() && probe.administers);
}

#[tokio::test]
async fn an_answer_to_a_put_that_is_no_account_is_followed_by_a_look() {
    // DC-28
    let gate = Turnstile::default();
    let calls = Calls::new(Uuid::now_v7(), &gate);
    let target = target(|method, _| if method == Method::PUT { (200, "") } else { (200, MYSELF) }).await;
    let id = AccountId("JIRAUSER1".to_owned());
    assert!(target.set_active(&calls, at(&id, "åse"), &switch(true)).await.map(seen).unwrap().active);
    assert_eq!(told(&calls).len(), 2);
}

#[tokio::test]
async fn a_list_that_stops_before_its_end_or_does_not_move_is_no_complete_list() {
    // DC-41
    let gate = Turnstile::default();
    let calls = Calls::new(Uuid::now_v7(), &gate);
    let stops = target(|_, _| (200, r#"{"values": [], "isLast": false}"#)).await;
    assert!(reason(stops.accounts(&calls, None).await.unwrap_err()).contains("not at its end"));
    let stuck = target(|_, _| (200, r#"{"values": [], "nextCursor": 418, "isLast": false}"#)).await;
    let page = stuck.accounts(&calls, None).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("list 418"), "a number will do as well");
    assert!(reason(stuck.accounts(&calls, page.next.as_deref()).await.unwrap_err()).contains("does not go on"));
}

#[tokio::test]
async fn members_whose_page_does_not_say_where_it_begins_come_to_an_end() {
    // DC-67
    let gate = Turnstile::default();
    let calls = Calls::new(Uuid::now_v7(), &gate);
    let target = target(|_, _| (200, r#"{"values": [{"key": "JIRAUSER1"}], "total": 2}"#)).await;
    let page = target.members(&calls, group("platform-crew"), None).await.unwrap();
    let page = target.members(&calls, group("platform-crew"), page.next.as_deref()).await.unwrap();
    assert_eq!(page.next, None);
}
