//! The target's writes against the sandbox: each trap of `docs/targets/align.md` that they can fall into, and what each costs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jira_scim::account::{Account, AccountId, Field};
use jira_scim::jira::{AccountChange, AccountRef, AlignOptions as Settings, Created, MatchOn, Switch, TargetError};
use jira_scim::sandbox::{AlignRules, AlignUser, Fault};

use super::office::{Office, fields, ivo, made, mara, reason, seen};

#[tokio::test]
async fn a_create_looks_first_and_sends_the_names_the_ids_and_the_key() {
    // ALIGN-13, ALIGN-15
    let office = Office::open().await;
    let seen = made(office.create(&mara()).await.unwrap());
    assert_eq!(office.told(), ["GET /Users", "POST /Users"]);
    let user = office.desk.jira.user("mlund").unwrap();
    assert_eq!((seen.id.0, seen.username.as_str(), seen.active), (user.id.to_string(), "mlund", true));
    assert_eq!((user.first_name.as_str(), user.last_name.as_str(), user.is_external), ("Mara Britt", "Lund", 0));
    assert_eq!((user.role_id, user.city_id, user.email.as_str()), (95, Some(32), "mara.lund@example.test"));
    assert_eq!(seen.read_only, BTreeSet::from([Field::DisplayName]));

    let again = office.create(&mara()).await.unwrap();
    assert!(matches!(again, Created::Exists(seen) if seen.username == "mlund"));
    assert_eq!(office.told(), ["GET /Users"]);
}

#[tokio::test]
async fn with_email_as_the_key_the_address_is_written_as_external_id_unless_the_policy_has_one() {
    let email = |settings: &mut Settings| settings.match_on = MatchOn::Email;
    let office = Office::with(AlignRules::default(), email).await;
    let account = Account { username: "mara.lund@example.test".to_owned(), ..mara() };
    let seen = made(office.create(&account).await.unwrap());
    assert_eq!(seen.username, "mara.lund@example.test");
    let user = office.desk.jira.user_by_email("mara.lund@example.test").unwrap();
    assert_eq!(user.external_id.as_deref(), Some("mara.lund@example.test"));
    // The address changes, and the external id with it.
    let address = Some("mara.moss@example.test".to_owned());
    let change = AccountChange { username: address.clone(), email: address, ..AccountChange::default() };
    office.told();
    office.update(user.id, &change).await.unwrap();
    assert_eq!(office.told(), ["GET /Users/{id}", "PATCH /Users/{id}", "GET /Users/{id}"]);
    assert_eq!(office.desk.user(user.id).external_id.as_deref(), Some("mara.moss@example.test"));

    let office = Office::with(AlignRules::default(), email).await;
    let mut account = account;
    account.extra.insert("externalId".to_owned(), "e-7".to_owned());
    made(office.create(&account).await.unwrap());
    let user = office.desk.jira.user("e-7").unwrap();
    let address = Some("mara.moss@example.test".to_owned());
    let change = AccountChange { username: address.clone(), email: address, ..AccountChange::default() };
    office.update(user.id, &change).await.unwrap();
    assert_eq!(office.desk.user(user.id).external_id.as_deref(), Some("e-7"));
}

#[tokio::test]
async fn a_create_without_its_ids_is_refused_with_the_keys_that_must_give_them_unless_somebody_is_there() {
    // ALIGN-13
    let office = Office::open().await;
    let mut account = mara();
    account.extra.remove("cityId");
    account.extra.insert("roleId".to_owned(), String::new());
    let told = reason(office.create(&account).await.unwrap_err());
    assert!(told.contains("policy.account.fields.cityId") && told.contains("policy.account.fields.roleId"), "{told}");
    assert_eq!(office.told(), ["GET /Users"]);
    office.desk.add(AlignUser::named("mlund", "Mara", "Lund"));
    assert!(matches!(office.create(&account).await, Ok(Created::Exists(_))));
    office.told();
    account.extra.insert("cityId".to_owned(), "Lund".to_owned());
    assert!(reason(office.create(&account).await.unwrap_err()).contains("cityId must be a whole number"));
    assert!(office.told().is_empty());
}

#[tokio::test]
async fn a_new_account_that_is_to_be_inactive_is_locked_at_once() {
    // ALIGN-16
    let office = Office::open().await;
    let seen = made(office.create(&Account { active: false, ..mara() }).await.unwrap());
    assert!(!seen.active && !office.desk.jira.user("mlund").unwrap().is_active());
    assert_eq!(office.told(), ["GET /Users", "POST /Users", "PATCH /Users/{id}", "GET /Users/{id}"]);
}

#[tokio::test]
async fn an_answer_to_a_post_that_is_only_an_id_is_followed_by_a_look() {
    // ALIGN-12
    let office = Office::with(AlignRules { answers_ids: true, ..AlignRules::default() }, |_| ()).await;
    assert_eq!(made(office.create(&mara()).await.unwrap()).username, "mlund");
    assert_eq!(office.told(), ["GET /Users", "POST /Users", "GET /Users/{id}"]);
}

#[tokio::test]
async fn a_refused_create_says_who_has_the_address_and_what_to_fill_in() {
    // ALIGN-14
    let office = Office::open().await;
    let email = "mara.lund@example.test".to_owned();
    let id = office.desk.add(AlignUser { external_id: None, email, ..ivo() });
    let told = reason(office.create(&mara()).await.unwrap_err());
    assert!(told.contains(&format!("The user {id} of Jira Align")) && told.contains("no externalId"), "{told}");
    office.desk.jira.change(|world| world.change(id, |user| user.external_id = Some("other".to_owned())));
    assert!(reason(office.create(&mara()).await.unwrap_err()).contains("another externalId"));
}

#[tokio::test]
async fn a_lock_and_an_unlock_are_a_patch_and_a_look_each() {
    // ALIGN-16, ALIGN-18, ALIGN-24
    let office = Office::open().await;
    let id = office.desk.add(ivo());
    assert!(!office.switch(id, false).await.unwrap().active);
    assert_eq!(office.told(), ["PATCH /Users/{id}", "GET /Users/{id}"]);
    assert!(office.desk.user(id).user_end_date.is_some());
    office.desk.jira.advance(Duration::from_secs(9 * 86_400));
    assert!(office.switch(id, true).await.unwrap().active);
    assert_eq!(office.told(), ["PATCH /Users/{id}", "GET /Users/{id}"]);
    assert_eq!(office.desk.user(id).user_end_date, None);
}

#[tokio::test]
async fn a_lock_is_not_believed_while_status_says_otherwise() {
    // ALIGN-17
    let office = Office::with(AlignRules { forgets_status: true, ..AlignRules::default() }, |_| ()).await;
    let id = office.desk.add(ivo());
    let error = office.switch(id, false).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { field: Some(Field::Active), .. }), "{error:?}");
}

#[tokio::test]
async fn a_success_that_changed_nothing_is_a_refusal() {
    // ALIGN-24
    let office = Office::open().await;
    let id = office.desk.add(ivo());
    office.desk.jira.inject(Fault::status(200).on("PATCH /Users/{id}"));
    assert!(reason(office.switch(id, false).await.unwrap_err()).contains("isLocked is still 0"));
    let change = AccountChange { email: Some("i@example.test".to_owned()), ..AccountChange::default() };
    assert!(reason(office.update(id, &change).await.unwrap_err()).contains("email is still"));
}

#[tokio::test]
async fn an_update_changes_the_key_the_address_and_the_fields_in_one_patch() {
    let office = Office::open().await;
    let id = office.desk.add(ivo());
    let change = AccountChange {
        username: Some("ivo.h".to_owned()),
        email: Some("ivo.h@example.test".to_owned()),
        display_name: Some("never sent".to_owned()),
        extra: fields(&[("title", ""), ("roleId", "91"), ("company", "Lund & Co")]),
    };
    let seen = office.update(id, &change).await.unwrap();
    assert_eq!(office.told(), ["PATCH /Users/{id}", "GET /Users/{id}"]);
    assert_eq!(
        (seen.username.as_str(), seen.extra["roleId"].as_str(), seen.extra["title"].as_str()),
        ("ivo.h", "91", "")
    );
    assert_eq!(office.desk.user(id).company.as_deref(), Some("Lund & Co"));
    // Nothing to send is nothing to change.
    let nothing = AccountChange { extra: fields(&[("cityId", "")]), ..AccountChange::default() };
    office.update(id, &nothing).await.unwrap();
    assert_eq!(office.told(), ["GET /Users/{id}"]);
}

#[tokio::test]
async fn a_record_that_refuses_every_change_is_repaired_once_and_told() {
    // ALIGN-19, ALIGN-20, ALIGN-21, ALIGN-22
    let ids = |settings: &mut Settings| {
        settings.repair = BTreeMap::from([("divisionId".to_owned(), 66), ("cityId".to_owned(), 33)])
    };
    let office = Office::with(AlignRules::default(), ids).await;
    let flawed = AlignUser {
        division_id: None,
        city_id: None,
        company: Some(String::new()),
        company_id: Some(String::new()),
        user_end_date: Some(chrono::DateTime::UNIX_EPOCH),
        ..ivo()
    };
    let id = office.desk.add(flawed);
    let calls = office.calls();
    let (account, off) = (AccountId(id.to_string()), Switch { active: false, off: None, hand_over_to: None });
    let account = AccountRef { id: &account, username: "ivo" };
    assert!(!seen(office.target.set_active(&calls, account, &off).await).unwrap().active);
    assert_eq!(office.told(), ["PATCH /Users/{id}", "GET /Users/{id}", "PATCH /Users/{id}", "GET /Users/{id}"]);
    let user = office.desk.user(id);
    assert_eq!((user.division_id, user.city_id, user.company, user.company_id), (Some(66), Some(33), None, None));
    let notes = calls.take_notes();
    assert!(
        notes[0].contains("divisionId was missing") && notes[0].contains("userEndDate was in the past"),
        "{notes:?}"
    );
}

#[tokio::test]
async fn what_the_change_sets_needs_no_other_value_and_what_nobody_gives_is_told() {
    // ALIGN-20
    let office = Office::open().await;
    let id = office.desk.add(AlignUser { division_id: None, city_id: None, ..ivo() });
    let told = reason(office.switch(id, false).await.unwrap_err());
    assert!(told.contains("has no divisionId and cityId"), "{told}");
    office.told();
    let whole = AccountChange { extra: fields(&[("divisionId", "65"), ("cityId", "32")]), ..AccountChange::default() };
    office.update(id, &whole).await.unwrap();
    assert_eq!(office.told(), ["PATCH /Users/{id}", "GET /Users/{id}"]);
    assert!(!office.switch(id, false).await.unwrap().active);
}

#[tokio::test]
async fn a_refusal_for_another_reason_is_passed_on_after_one_look() {
    // ALIGN-11, ALIGN-28
    let office = Office::open().await;
    let id = office.desk.add(ivo());
    let change = AccountChange { extra: fields(&[("cityId", "4711")]), ..AccountChange::default() };
    let told = reason(office.update(id, &change).await.unwrap_err());
    assert_eq!(told, format!("Cannot update user with id {id}. cityId 4711 does not exist."));
    assert_eq!(office.told(), ["PATCH /Users/{id}", "GET /Users/{id}"]);
}
