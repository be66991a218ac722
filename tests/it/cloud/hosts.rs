//! Credentials, hosts, limits, and answers that are none.

use std::time::Duration;

use jira_scim::jira::{Level, TargetError};
use jira_scim::sandbox::{CloudSandboxOptions, Fault, Limits, NewPerson, RateLimit};

use super::{Office, group, of, person, told};

const ADA: &str = "ada@example.test";

fn ten_a_minute() -> Option<RateLimit> {
    Some("1/1/60".parse().unwrap())
}

#[tokio::test]
async fn the_probe_asks_who_we_are_and_not_whom_it_finds() {
    // CLOUD-6
    let office = Office::open().await;
    let calls = office.calls();
    let probe = office.target.probe(&calls).await.unwrap();
    assert!(probe.administers);
    assert_eq!(probe.own_account.username, office.sandbox.admin());
    assert_eq!(
        told(&calls),
        ["GET /myself 200", "GET /mypermissions?permissions=ADMINISTER,USER_PICKER 200", "GET org1 200"]
    );
}

#[tokio::test]
async fn somebody_who_may_not_look_is_told_that_nobody_is_there_and_we_do_not_believe_it() {
    // CLOUD-6, CLOUD-8
    let office = Office::like(CloudSandboxOptions::default(), |sandbox, options| {
        options.organization = None;
        sandbox.change(|world| world.add_person(&NewPerson::named("plain@example.test", "Plain")));
        let secret = sandbox.issue_token("plain@example.test");
        options.site.credential = jira_scim::jira::Credential::Basic { user: "plain@example.test".to_owned(), secret };
    })
    .await;
    assert!(!office.target.probe(&office.calls()).await.unwrap().administers);
    let error = office.target.accounts(&office.calls(), None).await.unwrap_err();
    assert!(matches!(error, TargetError::Denied { .. }), "{error:?}");
    let id = jira_scim::account::AccountId("712020:a".to_owned());
    let error = office.target.get_account(&office.calls(), &id).await.unwrap_err();
    assert!(matches!(error, TargetError::Denied { .. }), "{error:?}");
    let found = office.target.examine(&office.calls()).await.unwrap().findings;
    assert!(found.iter().any(|finding| finding.level == Level::Problem && finding.text.contains("nobody")));
}

#[tokio::test]
async fn a_credential_that_ended_is_denied_on_either_side() {
    // CLOUD-2, CLOUD-66
    let office = Office::open().await;
    office.sandbox.revoke_token(office.sandbox.token());
    let error = office.target.probe(&office.calls()).await.unwrap_err();
    assert!(matches!(&error, TargetError::Denied { detail } if detail.contains("expired")), "{error:?}");
    let office = Office::open().await;
    office.sandbox.revoke_key(&office.sandbox.organization_key());
    for error in [
        office.target.probe(&office.calls()).await.unwrap_err(),
        office.target.create_account(&office.calls(), &person(ADA)).await.unwrap_err(),
    ] {
        assert!(matches!(error, TargetError::Denied { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_token_with_scopes_goes_through_the_gateway_and_nowhere_else() {
    // CLOUD-1, CLOUD-2
    let scoped = |through: bool| {
        Office::like(CloudSandboxOptions::default(), move |sandbox, options| {
            options.scoped = through;
            let secret = sandbox.scoped_token();
            options.site.credential = jira_scim::jira::Credential::Basic { user: sandbox.admin().to_owned(), secret };
        })
    };
    let office = scoped(false).await;
    let error = office.target.probe(&office.calls()).await.unwrap_err();
    assert!(matches!(&error, TargetError::Denied { detail } if detail.contains("cloud_id")), "{error:?}");
    let office = scoped(true).await;
    let calls = office.calls();
    assert!(office.target.probe(&calls).await.unwrap().administers);
    assert_eq!(told(&calls)[..2], ["GET /_edge/tenant_info 200", "GET /myself 200"]);
    let gateway = office.sandbox.journal().iter().filter(|call| call.api == "jira-gateway").count();
    assert_eq!(gateway, 2);
}

#[tokio::test]
async fn a_key_with_scopes_is_denied_and_doctor_says_which_one_is_needed() {
    // CLOUD-3
    let office = Office::like(CloudSandboxOptions::default(), |sandbox, options| {
        options.organization.as_mut().unwrap().key = sandbox.issue_key(true);
    })
    .await;
    let found = office.target.examine(&office.calls()).await.unwrap().findings;
    let problem = found.iter().find(|finding| finding.text.contains("scopes")).unwrap();
    assert!(problem.level == Level::Problem && problem.advice.contains("without scopes"));
    let error = office.target.create_account(&office.calls(), &person(ADA)).await.unwrap_err();
    assert!(matches!(&error, TargetError::Denied { detail } if detail.contains("without scopes")), "{error:?}");
}

#[tokio::test]
async fn a_site_token_is_nothing_to_the_organisation() {
    // CLOUD-4
    let office = Office::like(CloudSandboxOptions::default(), |sandbox, options| {
        options.organization.as_mut().unwrap().key = sandbox.token().to_owned();
    })
    .await;
    let error = office.target.find_account(&office.calls(), ADA).await.unwrap_err();
    assert!(matches!(error, TargetError::Denied { .. }), "{error:?}");
}

#[tokio::test]
async fn an_endpoint_that_is_throttled_rests_and_the_others_go_on() {
    // CLOUD-60
    let limits = Limits { burst: ten_a_minute(), ..Limits::default() };
    let office = Office::like(CloudSandboxOptions { limits, ..CloudSandboxOptions::default() }, |_, options| {
        options.organization = None;
    })
    .await;
    let find = |email: &'static str| {
        let office = &office;
        async move {
            let calls = office.calls();
            (office.target.find_account(&calls, email).await, told(&calls).len())
        }
    };
    assert_eq!(find("a@example.test").await, (Ok(None), 1));
    let (error, calls) = find("b@example.test").await;
    assert!(matches!(error, Err(TargetError::Later { after, .. }) if after > Duration::from_secs(30)), "{error:?}");
    assert_eq!(calls, 1);
    // It is remembered: nobody knocks again.
    let (error, calls) = find("c@example.test").await;
    assert!(matches!(error, Err(TargetError::Later { .. })), "{error:?}");
    assert_eq!(calls, 0);
    office.target.ensure_group(&office.calls(), "Crew").await.unwrap();
}

#[tokio::test]
async fn every_other_limit_is_everybodys_and_says_when_it_ends() {
    // CLOUD-61, CLOUD-62, CLOUD-63
    let cases = [
        Limits { quota: ten_a_minute(), ..Limits::default() },
        Limits { edge: ten_a_minute(), ..Limits::default() },
        Limits { organization: ten_a_minute(), ..Limits::default() },
    ];
    for limits in cases {
        let keyless = limits.organization.is_none();
        let office = Office::like(CloudSandboxOptions { limits, ..CloudSandboxOptions::default() }, |_, options| {
            if keyless {
                options.organization = None;
            }
        })
        .await;
        office.target.find_account(&office.calls(), ADA).await.unwrap();
        let error = office.target.find_account(&office.calls(), ADA).await.unwrap_err();
        let TargetError::Throttled { retry_after: Some(wait) } = error else { panic!("{limits:?} {error:?}") };
        assert!(wait > Duration::from_secs(30) && wait <= Duration::from_secs(61), "{limits:?} {wait:?}");
        // The pace follows the headers.
        let told = office.gate.limits.lock().unwrap().last().copied().unwrap();
        assert_eq!((told.remaining, told.fill_rate), (Some(0), Some(1)));
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_never_believed() {
    let office = Office::open().await;
    let crew = office.crew("Crew").await;
    let id = office.hire(ADA).await;
    let join = || async { office.target.add_member(&office.calls(), group("Crew", &crew), of(&id, ADA)).await };
    for fault in [
        Fault::html(200),
        Fault::html(404),
        Fault::redirect(),
        Fault::garbage(),
        Fault::status(503),
        Fault::drop_before(),
    ] {
        office.sandbox.inject(fault.clone().times(1));
        let error = join().await.unwrap_err();
        assert!(matches!(error, TargetError::Unreachable { .. }), "{fault:?} {error:?}");
    }
    join().await.unwrap();
    office.sandbox.stop().await.unwrap();
    let error = join().await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { maybe_done: false, .. }), "{error:?}");
}

#[tokio::test]
async fn several_directories_need_a_choice_and_doctor_names_them() {
    // CLOUD-9
    let office = Office::open().await;
    office.sandbox.change(|world| {
        let second = jira_scim::sandbox::Directory { id: "d2".to_owned(), name: "Contractors".to_owned() };
        world.directories.push(second);
    });
    let error = office.target.ensure_group(&office.calls(), "Crew").await.unwrap_err();
    assert!(matches!(&error, TargetError::Denied { detail } if detail.contains("Contractors (d2)")), "{error:?}");
    let found = office.target.examine(&office.calls()).await.unwrap().findings;
    assert!(found.iter().any(|finding| finding.level == Level::Problem && finding.text.contains("Contractors")));
}

#[tokio::test]
async fn doctor_says_what_is_there_and_what_is_missing() {
    let office = Office::with(CloudSandboxOptions { seats: Some(0), ..CloudSandboxOptions::default() }).await;
    let found = office.target.examine(&office.calls()).await.unwrap();
    let fact = |name: &str| found.facts.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(fact("organisation"), Some("Northwind Labs"));
    assert_eq!(fact("verified domains"), Some("example.test"));
    assert_eq!(fact("seats of jira-software"), Some("0 of 0 left"));
    assert!(fact("administrative groups").unwrap().contains("org-admins"));
    assert!(found.findings.iter().any(|finding| finding.text.contains("no seat left")));
    let keyless = Office::keyless().await;
    let found = keyless.target.examine(&keyless.calls()).await.unwrap();
    assert_eq!(
        found.findings.iter().filter(|finding| finding.text.contains("Without the organisation's key")).count(),
        4
    );
}

#[tokio::test]
async fn no_form_of_debug_shows_a_key_and_no_record_shows_a_person() {
    let office = Office::open().await;
    let options = super::cloud_options(&office.sandbox);
    let shown = format!("{options:?}");
    assert!(!shown.contains(&office.sandbox.organization_key()) && !shown.contains(office.sandbox.token()), "{shown}");
    let id = office.hire(ADA).await;
    let calls = office.calls();
    office.target.get_account(&calls, &id).await.unwrap();
    office.target.delete_account(&calls, of(&id, ADA)).await.unwrap();
    let recorded = format!("{:?}", calls.take());
    assert!(!recorded.contains(&id.0) && !recorded.contains("ada"), "{recorded}");
}

#[tokio::test]
async fn a_key_of_the_organisation_that_is_replaced_in_its_file_needs_no_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let office = Office::like(CloudSandboxOptions::default(), |sandbox, options| {
        std::fs::write(&file, sandbox.organization_key()).unwrap();
        options.organization.as_mut().unwrap().key_file = Some(file.clone());
    })
    .await;
    office.hire("before@corp.example").await;
    std::fs::write(&file, format!("{}\n", office.sandbox.issue_key(false))).unwrap();
    office.sandbox.revoke_key(&office.sandbox.organization_key());
    office.hire("after@corp.example").await;
    office.hire("later@corp.example").await;
    let refused = office.sandbox.journal().iter().filter(|call| call.status == Some(401)).count();
    assert_eq!(refused, 1, "the call that found out was made once more");
}
