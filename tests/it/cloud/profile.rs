//! Names, profiles and addresses.

use std::collections::BTreeMap;
use std::time::Duration;

use jira_scim::account::{AccountId, Field};
use jira_scim::jira::{AccountChange, TargetError, Written};
use jira_scim::sandbox::{CloudSandboxOptions, NewPerson, Settles};

use super::{Office, of, refusal, told};

const ADA: &str = "ada@example.test";

fn renamed(name: &str) -> AccountChange {
    AccountChange { display_name: Some(name.to_owned()), ..AccountChange::default() }
}

fn moved(email: &str) -> AccountChange {
    AccountChange { username: Some(email.to_owned()), email: Some(email.to_owned()), ..AccountChange::default() }
}

fn seen(written: Written) -> jira_scim::account::SeenAccount {
    match written {
        Written::Seen(seen) => seen,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_managed_account_gets_its_name_and_profile_in_one_call_and_its_address_in_another() {
    // CLOUD-14, CLOUD-54
    let office = Office::open().await;
    let id = office.hire(ADA).await;
    let calls = office.calls();
    let extra = BTreeMap::from([("job_title".to_owned(), "Engineer".to_owned())]);
    let change = AccountChange { extra, display_name: Some("Ada Reyes".to_owned()), ..moved("reyes@example.test") };
    let written = office.target.update_account(&calls, of(&id, ADA), &change).await.unwrap();
    assert_eq!(written, Written::AsAsked { off: None });
    assert_eq!(told(&calls), ["PUT manage/email 204", "PATCH manage/profile 200"]);
    office.sandbox.look(|world| {
        let ada = world.person("reyes@example.test").unwrap();
        assert_eq!((ada.id.as_str(), ada.name.as_str()), (id.0.as_str(), "Ada Reyes"));
        assert_eq!(ada.profile["job_title"], "Engineer");
    });
}

#[tokio::test]
async fn an_account_that_is_not_managed_shows_what_it_is_and_that_it_is_not_ours_to_write() {
    // CLOUD-13
    let office = Office::open().await;
    let id = AccountId(office.sandbox.change(|world| world.add_person(&NewPerson::named("max@elsewhere.test", "Max"))));
    for change in [renamed("Maximilian"), moved("m@elsewhere.test")] {
        let written = office.target.update_account(&office.calls(), of(&id, "max@elsewhere.test"), &change).await;
        let seen = seen(written.unwrap());
        assert_eq!((seen.display_name.as_str(), seen.read_only.len()), ("Max", 4));
    }
}

#[tokio::test]
async fn a_name_that_single_sign_on_overwrites_is_left_alone_from_then_on() {
    // CLOUD-51
    let office = Office::open().await;
    let id = office.hire(ADA).await;
    office.sandbox.change(|world| world.edit_person(ADA, |ada| ada.saml = true)).unwrap();
    let calls = office.calls();
    let written = office.target.update_account(&calls, of(&id, ADA), &renamed("Ada Reyes")).await.unwrap();
    assert_eq!(seen(written).read_only, [Field::DisplayName].into());
    assert_eq!(told(&calls), ["PATCH manage/profile 403", "POST dir/users/search 200"]);
}

#[tokio::test]
async fn an_account_that_a_directory_took_over_meanwhile_is_recognised() {
    // CLOUD-50
    let office = Office::open().await;
    let id = office.hire(ADA).await;
    office.sandbox.change(|world| world.edit_person(ADA, |ada| ada.synced = true)).unwrap();
    for change in [renamed("Ada Reyes"), moved("reyes@example.test")] {
        let written = office.target.update_account(&office.calls(), of(&id, ADA), &change).await.unwrap();
        assert!(seen(written).hands_off.is_some());
    }
}

#[tokio::test]
async fn an_address_moves_only_within_verified_domains_and_never_onto_somebody() {
    // CLOUD-54
    let office = Office::open().await;
    let id = office.hire(ADA).await;
    office.hire("bo@example.test").await;
    let moves = |email: &str| {
        let change = moved(email);
        let (office, id) = (&office, &id);
        async move { office.target.update_account(&office.calls(), of(id, ADA), &change).await.unwrap_err() }
    };
    let reason = refusal(moves("ada@elsewhere.test").await);
    assert!(reason.contains("elsewhere.test") && reason.contains("verify"), "{reason}");
    assert!(matches!(moves("bo@example.test").await, TargetError::Conflict { .. }));
    assert!(matches!(moves("no address").await, TargetError::Refused { field: Some(Field::Email), .. }));
}

#[tokio::test]
async fn a_profile_that_is_not_there_yet_waits_and_one_that_is_gone_is_gone() {
    // CLOUD-20
    let settles = Settles::After(Duration::from_secs(30));
    let office = Office::with(CloudSandboxOptions { settles, ..CloudSandboxOptions::default() }).await;
    let id = office.hire(ADA).await;
    let error = office.target.update_account(&office.calls(), of(&id, ADA), &renamed("A")).await.unwrap_err();
    assert!(matches!(error, TargetError::Later { .. }), "{error:?}");
    let nobody = AccountId("712020:nobody".to_owned());
    let error = office.target.update_account(&office.calls(), of(&nobody, ADA), &renamed("A")).await.unwrap_err();
    assert!(matches!(error, TargetError::Gone { .. }), "{error:?}");
}

#[tokio::test]
async fn a_field_that_breaks_a_rule_is_named() {
    // CLOUD-53
    let office = Office::open().await;
    let id = office.hire(ADA).await;
    let extra = BTreeMap::from([("nickname".to_owned(), "n".repeat(31))]);
    let change = AccountChange { extra, ..AccountChange::default() };
    let reason = refusal(office.target.update_account(&office.calls(), of(&id, ADA), &change).await.unwrap_err());
    assert!(reason.contains("nickname: maxLength"), "{reason}");
    // One that no account has never leaves the house.
    let change = AccountChange { extra: BTreeMap::from([("roleId".into(), "8".into())]), ..AccountChange::default() };
    let calls = office.calls();
    let reason = refusal(office.target.update_account(&calls, of(&id, ADA), &change).await.unwrap_err());
    assert!(reason.contains("job_title"), "{reason}");
    assert!(told(&calls).is_empty());
}

#[tokio::test]
async fn what_cannot_be_empty_is_not_emptied() {
    // CLOUD-53
    let office = Office::open().await;
    let id = office.hire(ADA).await;
    let blank = |name: &str| (name.to_owned(), " ".to_owned());
    let extra: BTreeMap<String, String> = ["nickname", "zoneinfo", "locale"].iter().map(|name| blank(name)).collect();
    let calls = office.calls();
    let change = AccountChange { extra: extra.clone(), ..AccountChange::default() };
    let written = office.target.update_account(&calls, of(&id, ADA), &change).await.unwrap();
    assert_eq!((written, told(&calls)), (Written::AsAsked { off: None }, Vec::new()));
    // What can be is, and goes through.
    let mut extra: BTreeMap<String, String> = extra.into_keys().map(|name| (name, String::new())).collect();
    extra.insert("job_title".to_owned(), String::new());
    let change = AccountChange { extra, ..AccountChange::default() };
    let written = office.target.update_account(&calls, of(&id, ADA), &change).await.unwrap();
    assert_eq!((written, told(&calls)), (Written::AsAsked { off: None }, vec!["PATCH manage/profile 200".to_owned()]));
}
