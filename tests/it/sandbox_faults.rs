//! Faults, the journal, and a Jira that goes down: DC-10, DC-15 to DC-17, DC-2 and DC-5 by fault.

use std::time::Duration;

use jira_scim::sandbox::{Fault, LateTrigger, NewAccount, Outcome, SandboxOptions};
use serde_json::{Value, json};

use crate::sandbox_client::{Bench, send, soon};

fn crew() -> Value {
    json!({"name": "crew"})
}

fn has_crew(bench: &Bench) -> bool {
    bench.jira.look(|world| world.has_group("crew"))
}

#[tokio::test]
async fn a_status_is_answered_as_often_as_wanted_and_nothing_is_done() {
    let bench = Bench::new().await;
    bench.jira.inject(Fault::status(503).retry_after(7).times(2).on("POST /group$"));
    assert_eq!(bench.get("/myself").await.status, 200);
    for _ in 0..2 {
        let answer = bench.post("/group", crew()).await;
        assert_eq!((answer.status, answer.header("Retry-After")), (503, "7"));
    }
    assert!(!has_crew(&bench));
    assert_eq!(bench.post("/group", crew()).await.status, 201);
}

/// DC-18, DC-75
#[tokio::test]
async fn a_refusing_jira_knows_the_caller_and_a_failing_one_does_not() {
    let bench = Bench::new().await;
    for (code, name) in [(403, "svc-scim"), (502, "anonymous")] {
        bench.jira.inject(Fault::status(code).times(1));
        let answer = bench.post("/group", crew()).await;
        assert_eq!((answer.status, answer.header("X-AUSERNAME")), (code, name));
    }
    bench.jira.inject(Fault::html(404).times(1));
    assert_eq!(bench.get("/user?username=svc-scim").await.header("X-AUSERNAME"), "");
}

#[tokio::test]
async fn a_status_may_hide_that_the_work_was_done() {
    let bench = Bench::new().await;
    bench.jira.inject(Fault::status(500).after_the_work().times(1));
    assert_eq!(bench.post("/group", crew()).await.status, 500);
    assert!(has_crew(&bench));
    assert!(bench.jira.journal()[0].did_work);
}

/// DC-9
#[tokio::test]
async fn throttling_says_when_to_come_back() {
    let bench = Bench::new().await;
    bench.jira.inject(Fault::throttle(30));
    let answer = bench.get("/myself").await;
    assert_eq!((answer.status, answer.header("Retry-After")), (429, "30"));
    bench.jira.clear_faults();
    assert_eq!(bench.get("/myself").await.status, 200);
}

/// DC-10, DC-15
#[tokio::test]
async fn a_page_comes_where_json_was_due() {
    let bench = Bench::new().await;
    for code in [200, 400, 503] {
        bench.jira.inject(Fault::html(code).times(1));
        let answer = bench.post("/group", crew()).await;
        assert_eq!(answer.status, code);
        assert!(answer.header("Content-Type").starts_with("text/html") && answer.text.contains("<html>"));
    }
    bench.jira.inject(Fault::redirect().times(1));
    let answer = bench.get("/myself").await;
    assert_eq!(answer.status, 302);
    assert!(answer.header("Location").ends_with("/login.jsp?os_destination=x"), "{}", answer.header("Location"));
    assert!(!has_crew(&bench));
}

#[tokio::test]
async fn garbage_comes_after_the_work() {
    let bench = Bench::new().await;
    bench.jira.inject(Fault::garbage());
    let answer = bench.post("/group", crew()).await;
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_str::<Value>(&answer.text).is_err());
    assert!(has_crew(&bench));
}

/// DC-2, DC-5
#[tokio::test]
async fn the_caller_can_be_lost_or_mistaken_or_asked_for_a_captcha() {
    let bench = Bench::new().await;
    bench.jira.inject(Fault::ausername("somebody.else").times(1));
    assert_eq!(bench.get("/myself").await.header("X-AUSERNAME"), "somebody.else");
    bench.jira.inject(Fault::anonymous().times(1));
    let lost = bench.post("/group", crew()).await;
    assert_eq!((lost.status, lost.header("X-AUSERNAME")), (403, "anonymous"));
    bench.jira.inject(Fault::captcha().times(1));
    let captcha = bench.get("/myself").await;
    assert_eq!(captcha.status, 403);
    assert!(captcha.header("X-Authentication-Denied-Reason").starts_with("CAPTCHA_CHALLENGE"));
}

#[tokio::test]
async fn a_delayed_answer_comes_after_its_work() {
    let bench = Bench::new().await;
    bench.jira.inject(Fault::delay(Duration::from_millis(1)));
    assert_eq!(bench.post("/group", crew()).await.status, 201);
}

/// DC-17
#[tokio::test]
async fn a_call_that_is_cut_before_its_work_did_nothing() {
    let bench = Bench::new().await;
    bench.jira.inject(Fault::drop_before().times(1));
    assert!(bench.request("POST", "/group").json(&crew()).send().await.is_err());
    assert!(!has_crew(&bench));
    let entry = bench.jira.journal()[0].clone();
    assert_eq!((entry.status, entry.outcome, entry.did_work), (None, Outcome::Dropped, false));
}

/// DC-16
#[tokio::test]
async fn a_call_whose_answer_is_dropped_did_its_work() {
    let bench = Bench::new().await;
    bench.jira.inject(Fault::drop_answer().times(1));
    assert!(bench.request("POST", "/group").json(&crew()).send().await.is_err());
    assert!(has_crew(&bench));
    let entry = bench.jira.journal()[0].clone();
    assert_eq!((entry.status, entry.outcome, entry.did_work), (Some(201), Outcome::Dropped, true));
}

#[tokio::test]
async fn a_hanging_call_does_nothing_however_long_it_is_waited_for() {
    let bench = Bench::new().await;
    bench.jira.inject(Fault::hang());
    let call = tokio::spawn(bench.request("POST", "/group").json(&crew()).send());
    soon(bench.jira.until_call(|entry| entry.outcome == Outcome::Hung)).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(bench.jira.release_late(), 0);
    assert!(!has_crew(&bench));
}

/// DC-16
#[tokio::test]
async fn late_work_is_done_when_the_client_gives_up() {
    let bench = Bench::new().await;
    bench.jira.inject(Fault::late(LateTrigger::Hangup).times(1));
    let call = tokio::spawn(bench.request("POST", "/group").json(&crew()).send());
    let hung = soon(bench.jira.until_call(|entry| entry.outcome == Outcome::Hung)).await;
    assert!(!has_crew(&bench));
    call.abort();
    soon(bench.jira.until(|world| world.has_group("crew"))).await;
    let late = soon(bench.jira.until_call(|entry| entry.outcome == Outcome::Late)).await;
    assert_eq!((late.late_for, late.status, late.did_work), (Some(hung.seq), Some(201), true));
}

/// DC-16
#[tokio::test]
async fn late_work_is_done_when_the_test_says_so_and_once() {
    let bench = Bench::new().await;
    bench.jira.inject(Fault::late_closing(LateTrigger::Release).times(1));
    assert!(bench.request("POST", "/group").json(&crew()).send().await.is_err());
    assert!(!has_crew(&bench));
    assert_eq!((bench.jira.release_late(), bench.jira.release_late()), (1, 0));
    assert!(has_crew(&bench));
}

/// DC-16
#[tokio::test]
async fn late_work_is_done_after_its_time() {
    let bench = Bench::new().await;
    bench.jira.inject(Fault::late_closing(LateTrigger::After(Duration::from_millis(1))).times(1));
    assert!(bench.request("POST", "/group").json(&crew()).send().await.is_err());
    soon(bench.jira.until(|world| world.has_group("crew"))).await;
}

/// DC-17
#[tokio::test]
async fn a_stopped_jira_refuses_connections_loses_late_work_and_comes_back_with_its_state() {
    let bench = Bench::new().await;
    bench.jira.add_account(&NewAccount::named("mara.lund")).unwrap();
    bench.jira.inject(Fault::late(LateTrigger::Hangup).times(1));
    let call = tokio::spawn(bench.request("POST", "/group").json(&crew()).send());
    soon(bench.jira.until_call(|entry| entry.outcome == Outcome::Hung)).await;
    soon(bench.jira.stop()).await.unwrap();
    assert!(call.await.unwrap().is_err());
    assert!(bench.request("GET", "/myself").send().await.unwrap_err().is_connect());
    soon(bench.jira.stop()).await.unwrap();
    soon(bench.jira.restart_on_same_port()).await.unwrap();
    assert_eq!(bench.get("/user?username=mara.lund").await.status, 200);
    assert_eq!(bench.jira.release_late(), 0);
    assert!(!has_crew(&bench));
    soon(bench.jira.restart_on_same_port()).await.unwrap();
    assert_eq!(bench.get("/myself").await.status, 200);
}

#[tokio::test]
async fn the_journal_tells_who_did_what_without_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.jsonl");
    let options = SandboxOptions { journal_file: Some(file.clone()), ..SandboxOptions::default() };
    let bench = Bench::with(options).await;
    let mut calls = bench.jira.subscribe();
    let body =
        json!({"name": "mara.lund", "emailAddress": "m@example.test", "displayName": "M", "password": "hunter2"});
    let request = bench.request("POST", "/user").header("X-Request-Id", "r-1").json(&body);
    assert_eq!(send(request).await.status, 201);
    bench.get("/user?username=mara.lund").await;

    let created = soon(calls.recv()).await.unwrap();
    assert_eq!((created.operation().as_str(), created.status, created.did_work), ("POST /user", Some(201), true));
    assert_eq!((created.caller.as_deref(), created.request_id.as_deref()), (Some("svc-scim"), Some("r-1")));
    assert_eq!((&created.json()["name"], &created.json()["password"]), (&json!("mara.lund"), &json!("***")));
    let read = soon(calls.recv()).await.unwrap();
    assert_eq!((read.path.as_str(), read.did_work), ("/jira/rest/api/2/user?username=mara.lund", false));

    let written = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["seq"], &lines[1]["outcome"]), (2, &json!(2), &json!("answered")));
    assert!(!written.contains("hunter2") && !written.contains(bench.jira.token()));
    let totals = bench.jira.totals();
    assert_eq!((totals.calls, totals.works, totals.by_operation["GET /user"]), (2, 1, 1));
}

#[tokio::test]
async fn many_clients_at_once_lose_no_member() {
    let bench = Bench::new().await;
    bench.jira.add_group("crew").unwrap();
    let calls = (0..100).map(|n| {
        bench.jira.add_account(&NewAccount::named(&format!("p{n}"))).unwrap();
        bench.post("/group/user?groupname=crew", json!({"name": format!("p{n}")}))
    });
    let answers = futures_util::future::join_all(calls.collect::<Vec<_>>()).await;
    assert!(answers.iter().all(|answer| answer.status == 201));
    assert_eq!(bench.jira.members("crew").len(), 100);
}
