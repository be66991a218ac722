//! The target's looks against the sandbox, and what becomes of it while the site is not itself.

use std::collections::BTreeSet;
use std::time::Duration;

use jira_scim::account::{Account, AccountId};
use jira_scim::jira::{AccountRef, AlignOptions as Settings, Credential, Level, TargetError};
use jira_scim::sandbox::{AlignRules, AlignUser, CONNECTOR_ROLE, Fault, VIEWER_ROLE};
use serde_json::json;

use super::office::{Office, ivo, mara, reason};

#[tokio::test]
async fn the_owner_of_the_token_is_known_and_never_locked() {
    // ALIGN-3, ALIGN-5
    let office = Office::open().await;
    let probe = office.target.probe(&office.calls()).await.unwrap();
    let owner = office.desk.jira.owner();
    assert_eq!((probe.own_account.id.0, probe.own_account.username.as_str()), (owner.to_string(), "svc-scim"));
    assert_eq!(office.told(), ["GET /Users/{id}"]);
    assert!(reason(office.switch(owner, false).await.unwrap_err()).contains("token"));
    assert!(office.told().is_empty());
}

#[tokio::test]
async fn a_dead_token_and_a_role_that_may_not_are_denied() {
    // ALIGN-3, ALIGN-4
    let office = Office::open().await;
    let owner = office.desk.jira.owner();
    office.desk.jira.change(|world| world.change(owner, |user| user.role_id = VIEWER_ROLE));
    assert!(matches!(office.create(&mara()).await, Err(TargetError::Denied { detail }) if detail.contains("role")));
    office.desk.jira.change(|world| world.change(owner, |user| user.is_locked = -1));
    assert!(matches!(office.find("mlund").await, Err(TargetError::Denied { detail }) if detail.contains("401")));
}

#[tokio::test]
async fn an_account_is_found_by_its_key_whatever_the_site_makes_of_a_filter() {
    // ALIGN-7, ALIGN-9, ALIGN-10, ALIGN-25
    let office = Office::open().await;
    let id = office.desk.add(AlignUser::named("o'neill", "Mara", "O'Neill"));
    for number in 0..120 {
        office.desk.add(AlignUser::named(&format!("p{number}"), "P", &number.to_string()));
    }
    assert_eq!(office.find("O'NEILL").await.unwrap().unwrap().id.0, id.to_string());
    assert_eq!(office.find("nobody").await.unwrap(), None);
    assert_eq!(office.told(), ["GET /Users"; 2]);
    office.desk.jira.inject(Fault::status(400).on("GET /Users").containing("$filter"));
    // A quote may be all that this site dislikes.
    assert_eq!(office.find("o'neill").await.unwrap().unwrap().id.0, id.to_string());
    assert_eq!(office.told(), ["GET /Users"; 3]);
    assert_eq!(office.find("p7").await.unwrap().unwrap().username, "p7");
    assert_eq!(office.told(), ["GET /Users"; 1]);
    // From now on nobody tries a filter, and the list is remembered, with what we write ourselves.
    assert_eq!(office.find("mlund").await.unwrap(), None);
    assert!(office.told().is_empty());
    office.create(&mara()).await.unwrap();
    assert_eq!(office.told(), ["POST /Users"]);
    let made = office.find("mlund").await.unwrap().unwrap();
    office.switch(made.id.0.parse().unwrap(), false).await.unwrap();
    assert_eq!(office.told(), ["PATCH /Users/{id}", "GET /Users/{id}"]);
    assert!(!office.find("mlund").await.unwrap().unwrap().active);
    assert!(office.told().is_empty());
    // A write of which nobody knows what became of it makes the list worthless.
    office.desk.jira.inject(Fault::drop_answer().on("POST /Users").times(1));
    let ivo = Account { username: "ivo".to_owned(), email: "ivo@example.test".to_owned(), ..mara() };
    assert!(office.create(&ivo).await.is_err());
    assert!(office.find("ivo").await.unwrap().is_some());
    assert_eq!(office.told(), ["POST /Users", "GET /Users", "GET /Users"]);
}

#[tokio::test]
async fn two_users_with_one_key_are_told_unless_only_one_of_them_is_ours() {
    // ALIGN-15, ALIGN-31
    let rules = || AlignRules { duplicates: true, ..AlignRules::default() };
    let office = Office::with(rules(), |_| ()).await;
    let twins = [office.desk.add(ivo()), office.desk.add(AlignUser { role_id: CONNECTOR_ROLE, ..ivo() })];
    let told = reason(office.find("ivo").await.unwrap_err());
    assert!(twins.iter().all(|id| told.contains(&id.to_string())), "{told}");

    let office = Office::with(rules(), |settings| settings.ignore_roles = BTreeSet::from([CONNECTOR_ROLE])).await;
    let theirs = office.desk.add(AlignUser { role_id: CONNECTOR_ROLE, ..ivo() });
    assert!(office.find("ivo").await.unwrap().unwrap().hands_off.unwrap().contains("ignore_roles"));
    let ours = office.desk.add(ivo());
    assert_ne!(ours, theirs);
    let found = office.find("ivo").await.unwrap().unwrap();
    assert_eq!((found.id.0, found.hands_off), (ours.to_string(), None));
}

#[tokio::test]
async fn a_role_that_is_ignored_keeps_an_account_from_being_changed_although_it_is_linked() {
    // ALIGN-31
    let ignore = |settings: &mut Settings| settings.ignore_roles = BTreeSet::from([CONNECTOR_ROLE]);
    let office = Office::with(AlignRules::default(), ignore).await;
    let id = office.desk.add(ivo());
    office.switch(id, false).await.unwrap();
    assert_eq!(office.told(), ["GET /Users/{id}", "PATCH /Users/{id}", "GET /Users/{id}"]);
    office.desk.jira.change(|world| world.change(id, |user| user.role_id = CONNECTOR_ROLE));
    assert!(reason(office.switch(id, true).await.unwrap_err()).contains("ignore_roles"));
    assert_eq!(office.told(), ["GET /Users/{id}"]);
}

#[tokio::test]
async fn the_owner_of_a_token_that_goes_with_an_address_is_found_and_never_locked() {
    // ALIGN-5, ALIGN-32
    let by_address = |settings: &mut Settings| {
        let Credential::Bearer(token) = &settings.client.credential else { unreachable!() };
        let secret = token.split_once('|').unwrap().1.to_owned();
        settings.client.credential = Credential::Basic { user: "svc-scim@example.test".to_owned(), secret };
    };
    let office = Office::with(AlignRules::default(), by_address).await;
    let owner = office.desk.jira.owner();
    assert_eq!(office.target.probe(&office.calls()).await.unwrap().own_account.id.0, owner.to_string());
    assert!(reason(office.switch(owner, false).await.unwrap_err()).contains("token"));
    assert_eq!(office.told(), ["GET /Users"]);
    // Two with that address: nobody can say which of them must not be locked.
    office.desk.add(AlignUser { email: "svc-scim@example.test".to_owned(), ..ivo() });
    let told = office.target.probe(&office.calls()).await.unwrap_err();
    assert!(matches!(&told, TargetError::Denied { detail } if detail.contains("2 users")), "{told:?}");

    let unknown = |settings: &mut Settings| settings.client.credential = Credential::Bearer("s3cret".to_owned());
    let office = Office::with(AlignRules::default(), unknown).await;
    let told = office.target.probe(&office.calls()).await.unwrap_err();
    assert!(matches!(told, TargetError::Denied { detail } if detail.contains("user:<id>")));
    assert!(office.told().is_empty());
}

#[tokio::test]
async fn an_account_is_gone_only_when_the_list_does_not_have_it_either() {
    // ALIGN-2, ALIGN-30
    let office = Office::open().await;
    let get = async |id: &str| office.target.get_account(&office.calls(), &AccountId(id.to_owned())).await;
    assert_eq!(get("99").await.unwrap(), None);
    assert_eq!(office.told(), ["GET /Users/{id}", "GET /Users"]);
    assert!(matches!(office.switch(99, false).await, Err(TargetError::Gone { .. })));
    let id = office.desk.add(ivo());
    office.desk.jira.inject(Fault::status(404));
    assert!(matches!(get(&id.to_string()).await, Err(TargetError::Unreachable { maybe_done: false, .. })));
    assert!(matches!(office.find("ivo").await, Err(TargetError::Unreachable { .. })));
    office.desk.jira.clear_faults();
    office.desk.jira.inject(Fault::html(404));
    assert!(matches!(get(&id.to_string()).await, Err(TargetError::Unreachable { .. })));
}

#[tokio::test]
async fn a_listing_shows_everybody_once_a_hundred_at_a_time() {
    // ALIGN-7, ALIGN-8
    let office = Office::open().await;
    for number in 0..249 {
        office.desk.add(AlignUser::named(&format!("p{number}"), "P", &(number % 7).to_string()));
    }
    for honours in [true, false] {
        office.desk.jira.change(|world| world.rules.honours_order = honours);
        let (mut names, mut after) = (BTreeSet::new(), None);
        loop {
            let page = office.target.accounts(&office.calls(), after.as_deref()).await.unwrap();
            names.extend(page.items.into_iter().map(|seen| seen.username));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((names.len(), office.told().len()), (250, 3));
    }
    office.desk.jira.inject(Fault::status(400).on("GET /Users").containing("$orderby"));
    assert_eq!(office.target.accounts(&office.calls(), None).await.unwrap().items.len(), 100);
    assert_eq!(office.told().len(), 2);
}

#[tokio::test]
async fn a_change_whose_reading_back_failed_has_an_unknown_outcome() {
    // ALIGN-24
    let office = Office::open().await;
    let id = office.desk.add(ivo());
    for fault in [Fault::status(503), Fault::drop_before(), Fault::throttle(5), Fault::status(401)] {
        office.desk.jira.inject(fault.on("GET /Users/{id}").times(1));
        let error = office.switch(id, false).await.unwrap_err();
        assert!(matches!(error, TargetError::Unreachable { maybe_done: true, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_failing_site_is_unreachable_and_says_whether_it_may_have_worked() {
    // ALIGN-6, ALIGN-30
    let office = Office::open().await;
    let id = office.desk.add(ivo());
    for fault in [Fault::status(503), Fault::drop_answer(), Fault::html(200), Fault::hang(), Fault::redirect()] {
        office.desk.jira.inject(fault.on("PATCH").times(1));
        let error = office.switch(id, false).await.unwrap_err();
        assert!(matches!(error, TargetError::Unreachable { maybe_done: true, .. }), "{error:?}");
    }
    office.desk.jira.inject(Fault::throttle(7).on("PATCH").times(1));
    let seven = Some(Duration::from_secs(7));
    assert_eq!(office.switch(id, false).await.unwrap_err(), TargetError::Throttled { retry_after: seven });
    // A garbled answer to a PATCH is not needed: the look tells.
    office.desk.jira.inject(Fault::garbage().on("PATCH").times(1));
    assert!(matches!(office.switch(id, true).await, Err(TargetError::Unreachable { maybe_done: true, .. })));
}

#[tokio::test]
async fn there_are_no_groups_and_no_deletion() {
    // ALIGN-26, ALIGN-27
    let office = Office::open().await;
    assert!(!office.target.capabilities().groups);
    let calls = office.calls();
    assert_eq!(office.target.find_group(&calls, "crew").await, Ok(None));
    assert!(office.target.ensure_group(&calls, "crew").await.is_err());
    let id = AccountId("4201".to_owned());
    let error = office.target.delete_account(&calls, AccountRef { id: &id, username: "ivo" }).await.unwrap_err();
    assert!(reason(error).contains("cannot delete"));
    assert!(office.told().is_empty());
}

#[tokio::test]
async fn an_examination_tells_what_an_administrator_has_to_fill_in() {
    // ALIGN-14, ALIGN-15, ALIGN-17, ALIGN-19, ALIGN-28, ALIGN-31
    let rules = AlignRules { duplicates: true, ..AlignRules::default() };
    let office = Office::with(rules, |settings| settings.ignore_roles = BTreeSet::from([CONNECTOR_ROLE])).await;
    let nameless = office.desk.add(AlignUser { external_id: None, ..ivo() });
    office.desk.add(AlignUser { role_id: CONNECTOR_ROLE, external_id: None, division_id: None, ..ivo() });
    let empty = office.desk.add(AlignUser { company: Some(String::new()), ..AlignUser::named("eva", "Eva", "Koch") });
    let twins = [office.desk.add(ivo()), office.desk.add(ivo())];
    // Locked long ago, as one should be.
    let long_ago = Some(chrono::DateTime::UNIX_EPOCH);
    office.desk.add(AlignUser { is_locked: -1, user_end_date: long_ago, ..AlignUser::named("pia", "Pia", "Koch") });
    let examination = office.target.examine(&office.calls()).await.unwrap();
    let told = |part: &str| {
        let found = examination.findings.iter().find(|finding| finding.text.contains(part));
        found.unwrap_or_else(|| panic!("{part}: {:?}", examination.findings)).clone()
    };
    assert_eq!(told("no externalId").text, format!("1 user ({nameless}) has no externalId"));
    assert_eq!(told("no externalId").level, Level::Warning);
    assert!(told("the externalId of somebody else").text.contains(&format!("({}, {})", twins[0], twins[1])));
    assert!(told("refuse every change").text.starts_with(&format!("1 user ({empty})")));
    assert!(told("refuse every change").text.contains("company"));
    assert!(told("ignore_roles").text.starts_with("1 user"));
    let fact = |name: &str| examination.facts.iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!(fact("users"), "7 (6 active)");
    assert_eq!(
        (fact("regions"), fact("roles in use")),
        ("17 Europe, 18 Americas".to_owned(), "1 (1 users), 95 (5 users), 99 (1 users)".to_owned())
    );
    assert_eq!(json!(examination.findings[0])["level"], "warning");
}
