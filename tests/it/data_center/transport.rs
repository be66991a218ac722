use std::collections::BTreeSet;

use jira_scim::sandbox::{ADMINISTRATORS, Fault, LateTrigger, NewAccount, RateLimit};

use super::*;

/// Both a read and a write, so that each fault is seen on either.
async fn both(office: &Office) -> (TargetError, TargetError) {
    let calls = office.calls();
    let read = office.target.find_account(&calls, "mara.lund").await.unwrap_err();
    let write = office.target.create_account(&calls, &person("mara.lund")).await.unwrap_err();
    (read, write)
}

fn maybe_done(error: &TargetError) -> bool {
    match error {
        TargetError::Unreachable { maybe_done, .. } => *maybe_done,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_probe_tells_who_we_are_what_we_may_do_and_which_version_it_is() {
    // DC-1, DC-11, DC-12, DC-13
    let office = Office::open().await;
    let probe = office.target.probe(&office.calls()).await.unwrap();
    assert_eq!(probe.own_account.id.0, office.sandbox.account("svc-scim").unwrap().key);
    assert_eq!((probe.version.as_str(), probe.version_numbers), ("10.3.24", vec![10, 3, 24]));
    assert!(probe.administers);
}

#[tokio::test]
async fn a_jira_at_the_root_is_reached_too() {
    // DC-1
    let office = Office::with(SandboxOptions { context: String::new(), ..SandboxOptions::default() }, |_| ()).await;
    assert!(office.target.probe(&office.calls()).await.unwrap().administers);
}

#[tokio::test]
async fn a_wrong_context_path_never_looks_like_a_missing_account() {
    // DC-1, DC-18
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let mut options = client_options(&sandbox);
    options.base_url.set_path("/");
    let target = made_of(options);
    let office = Office { sandbox, target, gate: Turnstile::default() };
    let found = office.target.find_account(&office.calls(), "svc-scim").await;
    assert!(matches!(found, Err(TargetError::Unreachable { .. })), "{found:?}");
    assert!(office.target.probe(&office.calls()).await.is_err());
}

#[tokio::test]
async fn an_account_that_does_not_administer_is_denied() {
    // DC-13
    let mut office = Office::open().await;
    office.sandbox.add_account(&NewAccount::named("ole.dahl")).unwrap();
    let mut options = client_options(&office.sandbox);
    options.credential = Credential::Bearer(office.sandbox.issue_token("ole.dahl").unwrap());
    options.expected_user = None;
    office.target = made_of(options);
    assert!(!office.target.probe(&office.calls()).await.unwrap().administers);
    let error = office.target.create_account(&office.calls(), &person("mara.lund")).await.unwrap_err();
    assert!(matches!(error, TargetError::Denied { .. }), "{error:?}");
    office.sandbox.add_member(ADMINISTRATORS, "ole.dahl").unwrap();
    assert!(office.target.probe(&office.calls()).await.unwrap().administers);
}

#[tokio::test]
async fn wrong_missing_and_foreign_credentials_are_denied_at_the_first_call() {
    // DC-2, DC-3, DC-5
    let office = Office::open().await;
    for fault in [Fault::anonymous(), Fault::captcha(), Fault::ausername("somebody.else")] {
        office.sandbox.clear_faults();
        office.sandbox.inject(fault);
        let (read, write) = both(&office).await;
        assert!(matches!(read, TargetError::Denied { .. }), "{read:?}");
        assert!(matches!(write, TargetError::Denied { .. }), "{write:?}");
    }
    office.sandbox.clear_faults();
    office.sandbox.revoke_token(office.sandbox.token());
    let error = office.target.find_account(&office.calls(), "ole.dahl").await.unwrap_err();
    assert!(matches!(error, TargetError::Denied { .. }), "{error:?}");
    assert!(!error.to_string().contains(office.sandbox.token()));
}

#[tokio::test]
async fn repeated_bad_logins_end_in_a_captcha_that_refuses_the_right_password_too() {
    // DC-5
    let options = SandboxOptions { password: Some("right".to_owned()), ..SandboxOptions::default() };
    let basic = |secret: &str| Credential::Basic { user: "svc-scim".to_owned(), secret: secret.to_owned() };
    let mut office = Office::with(options, |options| options.credential = basic("wrong")).await;
    for _ in 0..4 {
        let error = office.target.find_account(&office.calls(), "mara.lund").await.unwrap_err();
        assert!(matches!(error, TargetError::Denied { .. }), "{error:?}");
    }
    let mut right = client_options(&office.sandbox);
    right.credential = basic("right");
    office.target = made_of(right);
    let error = office.target.find_account(&office.calls(), "mara.lund").await.unwrap_err();
    assert!(matches!(&error, TargetError::Denied { detail } if detail.contains("CAPTCHA")), "{error:?}");
    office.sandbox.solve_captcha("svc-scim");
    assert_eq!(office.target.find_account(&office.calls(), "mara.lund").await.unwrap(), None);
}

#[tokio::test]
async fn no_cookie_and_nothing_of_a_browser_is_ever_sent() {
    // DC-6, DC-7
    let office = Office::open().await;
    for username in ["mara.lund", "ole.dahl"] {
        let id = office.hire(username).await;
        office.target.set_active(&office.calls(), at(&id, username), &switch(false)).await.map(seen).unwrap();
        office.target.find_account(&office.calls(), username).await.unwrap();
    }
    assert_eq!(office.sandbox.totals().violations, 0);
}

#[tokio::test]
async fn the_request_id_of_a_delivery_is_in_jiras_log() {
    let office = Office::open().await;
    let calls = office.calls();
    office.target.create_account(&calls, &person("mara.lund")).await.unwrap();
    let id = calls.request_id.to_string();
    assert_eq!(office.sandbox.journal().last().unwrap().request_id.as_deref(), Some(id.as_str()));
}

#[tokio::test]
async fn a_page_a_redirect_and_garbage_are_no_answer_and_a_write_may_have_been_done() {
    // DC-10, DC-15, DC-18
    let office = Office::open().await;
    for fault in [
        Fault::html(200),
        Fault::html(404),
        Fault::html(503),
        Fault::redirect(),
        Fault::status(500),
        Fault::status(502),
        Fault::garbage(),
    ] {
        office.sandbox.clear_faults();
        office.sandbox.inject(fault.clone());
        let (read, write) = both(&office).await;
        assert!(!maybe_done(&read) && maybe_done(&write), "{fault:?}: {read:?} {write:?}");
    }
    // A redirect that had been followed would be in the journal as another path.
    let routes: BTreeSet<_> = office.sandbox.journal().iter().map(|entry| entry.route.clone()).collect();
    assert_eq!(routes, BTreeSet::from(["/user".to_owned()]));
}

#[tokio::test]
async fn a_broken_connection_leaves_a_write_unknown() {
    // DC-16, DC-17
    let office = Office::open().await;
    for fault in [Fault::drop_before(), Fault::drop_answer()] {
        office.sandbox.clear_faults();
        office.sandbox.inject(fault);
        let (read, write) = both(&office).await;
        assert!(!maybe_done(&read) && maybe_done(&write), "{read:?} {write:?}");
    }
}

#[tokio::test]
async fn a_refused_connection_proves_that_nothing_was_done() {
    // DC-17
    let office = Office::open().await;
    office.sandbox.stop().await.unwrap();
    let (read, write) = both(&office).await;
    assert!(!maybe_done(&read) && !maybe_done(&write), "{read:?} {write:?}");
    let calls = office.calls();
    assert!(office.target.probe(&calls).await.is_err());
    assert_eq!(told(&calls), ["GET /status -"]);
    office.sandbox.restart_on_same_port().await.unwrap();
    office.hire("mara.lund").await;
}

#[tokio::test]
async fn an_answer_that_never_comes_leaves_a_write_unknown_and_the_call_on_record() {
    // DC-16
    let office = Office::with(SandboxOptions::default(), impatient).await;
    office.sandbox.inject(Fault::hang().on("POST /user"));
    let calls = office.calls();
    let error = office.target.create_account(&calls, &person("mara.lund")).await.unwrap_err();
    assert!(maybe_done(&error), "{error:?}");
    assert_eq!(told(&calls), ["POST /rest/api/2/user -"]);
    assert_eq!(office.gate.called.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn jira_may_do_the_work_after_we_gave_up_and_the_account_is_then_found() {
    // DC-16
    let office = Office::with(SandboxOptions::default(), impatient).await;
    office.sandbox.inject(Fault::late(LateTrigger::Release).on("POST /user").times(1));
    let error = office.target.create_account(&office.calls(), &person("mara.lund")).await.unwrap_err();
    assert!(maybe_done(&error), "{error:?}");
    assert_eq!(office.target.find_account(&office.calls(), "mara.lund").await.unwrap(), None);
    assert_eq!(office.sandbox.release_late(), 1);
    assert!(office.target.find_account(&office.calls(), "mara.lund").await.unwrap().is_some());
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let office = Office::with(SandboxOptions::default(), |options| options.max_body = 64).await;
    let error = office.target.create_account(&office.calls(), &person("mara.lund")).await.unwrap_err();
    assert!(maybe_done(&error) && error.to_string().contains("64 bytes"), "{error:?}");
}

#[tokio::test]
async fn a_throttled_call_says_how_long_and_was_not_made() {
    // DC-9
    let office = Office::open().await;
    office.sandbox.inject(Fault::throttle(7));
    let (read, write) = both(&office).await;
    let pause = TargetError::Throttled { retry_after: Some(Duration::from_secs(7)) };
    assert_eq!((read, write), (pause.clone(), pause));
}

#[tokio::test]
async fn the_bucket_of_every_answer_is_passed_on() {
    // DC-9
    let limit = RateLimit { size: 2, fill: 1, interval: Duration::from_secs(60) };
    let options = SandboxOptions { rate_limit: Some(limit), ..SandboxOptions::default() };
    let office = Office::with(options, |_| ()).await;
    let calls = office.calls();
    for _ in 0..2 {
        office.target.find_account(&calls, "mara.lund").await.unwrap();
    }
    let error = office.target.find_account(&calls, "mara.lund").await.unwrap_err();
    assert!(matches!(error, TargetError::Throttled { retry_after: Some(_) }), "{error:?}");
    let limits = office.gate.limits.lock().unwrap();
    let left: Vec<_> = limits.iter().map(|limits| limits.remaining).collect();
    assert_eq!(left, [Some(1), Some(0), Some(0)]);
    assert!(limits.iter().all(|l| l.interval == Some(Duration::from_secs(60)) && l.fill_rate == Some(1)));
}

#[tokio::test]
async fn a_closed_gate_lets_no_call_out() {
    let office = Office::open().await;
    office.gate.closed.store(true, Ordering::SeqCst);
    let calls = office.calls();
    let error = office.target.create_account(&calls, &person("mara.lund")).await.unwrap_err();
    assert_eq!(error, TargetError::Stopped { reason: "closed" });
    assert!(told(&calls).is_empty() && office.sandbox.totals().calls == 0);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_is_on_record() {
    let office = Office::open().await;
    office.sandbox.inject(Fault::hang().on("POST /user"));
    let calls = office.calls();
    {
        let account = person("mara.lund");
        let call = office.target.create_account(&calls, &account);
        let arrived = office.sandbox.until_call(|entry| entry.route == "/user");
        tokio::select! {
            answer = call => panic!("{answer:?}"),
            _ = arrived => {}
        }
    }
    assert_eq!(told(&calls), ["POST /rest/api/2/user -"]);
}
