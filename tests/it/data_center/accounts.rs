use jira_scim::account::Field;
use jira_scim::jira::AccountChange;
use jira_scim::sandbox::{Fault, NewAccount, Reference};

use super::*;

const FIND: &str = "GET /rest/api/2/user?username={username}&expand=groups";
const READ: &str = "GET /rest/api/2/user?key={key}&expand=groups";
const PUT: &str = "PUT /rest/api/2/user?key={key}";

fn rename(username: &str) -> AccountChange {
    AccountChange { username: Some(username.to_owned()), ..AccountChange::default() }
}

#[tokio::test]
async fn creating_an_account_is_one_call_without_a_mail_or_a_password() {
    // DC-20, DC-23
    let office = Office::open().await;
    let calls = office.calls();
    let made = office.target.create_account(&calls, &person("mara.lund")).await.unwrap();
    assert_eq!(told(&calls), ["POST /rest/api/2/user 201"]);
    let Created::New(seen) = made else { panic!("{made:?}") };
    let account = office.sandbox.account("mara.lund").unwrap();
    assert_eq!((seen.id.0, seen.email.as_deref()), (account.key, Some("mara.lund@example.test")));
    assert_eq!(office.sandbox.totals().mails, 0);
    let sent = office.sandbox.journal().last().unwrap().json();
    assert!(sent.get("password").is_none() && sent["notification"] == "false", "{sent}");
}

#[tokio::test]
async fn a_duplicate_in_another_case_is_found_with_its_key_and_groups() {
    // DC-21
    let office = Office::open().await;
    let id = office.hire("Mara.Lund").await;
    office.sandbox.add_group("platform-crew").unwrap();
    office.sandbox.add_member("platform-crew", "mara.lund").unwrap();
    let calls = office.calls();
    let made = office.target.create_account(&calls, &person("mara.LUND")).await.unwrap();
    assert_eq!(told(&calls), ["POST /rest/api/2/user 400".to_owned(), format!("{FIND} 200")]);
    let Created::Exists(seen) = made else { panic!("{made:?}") };
    assert_eq!((seen.id, seen.username.as_str()), (id, "Mara.Lund"));
    assert!(seen.groups.unwrap().contains(&"platform-crew".to_owned()));
}

#[tokio::test]
async fn a_400_without_a_namesake_is_a_refusal_that_names_the_field() {
    // DC-14, DC-21, DC-22
    let office = Office::open().await;
    let mut bad_mail = person("mara.lund");
    bad_mail.email = "nowhere".to_owned();
    let mut long_name = person("mara.lund");
    long_name.display_name = "m".repeat(256);
    for (account, field) in
        [(person("mara<lund"), Field::Username), (bad_mail, Field::Email), (long_name, Field::DisplayName)]
    {
        let error = office.target.create_account(&office.calls(), &account).await.unwrap_err();
        assert!(matches!(error, TargetError::Refused { field: Some(named), .. } if named == field), "{error:?}");
    }
}

#[tokio::test]
async fn no_writable_directory_and_no_free_seat_are_told_apart_in_jiras_words() {
    // DC-24, DC-26, DC-51
    let read_only = SandboxOptions { writable_directory: false, ..SandboxOptions::default() };
    let office = Office::with(read_only, |_| ()).await;
    let error = office.target.create_account(&office.calls(), &person("mara.lund")).await.unwrap_err();
    assert!(reason(error).contains("read-only"));
    let office = Office::with(SandboxOptions::default().with_seats(0), |_| ()).await;
    let error = office.target.create_account(&office.calls(), &person("mara.lund")).await.unwrap_err();
    assert!(matches!(&error, TargetError::NoSeats { reason } if reason.contains("jira-software")), "{error:?}");
}

#[tokio::test]
async fn a_jira_that_insists_on_the_flag_of_experimental_operations_is_satisfied() {
    // DC-8
    let office =
        Office::with(SandboxOptions { experimental_enforced: true, ..SandboxOptions::default() }, |_| ()).await;
    let id = office.hire("mara.lund").await;
    office.target.set_active(&office.calls(), at(&id, "mara.lund"), &switch(false)).await.unwrap();
    office.target.delete_account(&office.calls(), at(&id, "mara.lund")).await.unwrap();
    office.target.examine(&office.calls()).await.unwrap();
}

#[tokio::test]
async fn an_account_that_is_to_be_inactive_is_created_and_then_deactivated() {
    // DC-25, DC-28
    let office = Office::open().await;
    let calls = office.calls();
    let made = office.target.create_account(&calls, &Account { active: false, ..person("mara.lund") }).await.unwrap();
    assert!(matches!(&made, Created::New(seen) if !seen.active), "{made:?}");
    assert_eq!(told(&calls), ["POST /rest/api/2/user 201".to_owned(), format!("{PUT} 200")]);
    assert!(!office.sandbox.account("mara.lund").unwrap().active);
}

#[tokio::test]
async fn a_new_account_that_could_not_be_made_inactive_is_told_as_new_and_active() {
    // DC-25
    let office = Office::open().await;
    office.sandbox.inject(Fault::status(503).on("PUT /user"));
    let account = Account { active: false, ..person("mara.lund") };
    let made = office.target.create_account(&office.calls(), &account).await.unwrap();
    assert!(matches!(&made, Created::New(seen) if seen.active), "{made:?}");
}

#[tokio::test]
async fn an_account_whose_answer_was_lost_is_found() {
    // DC-16
    let office = Office::open().await;
    office.sandbox.inject(Fault::drop_answer().on("POST /user").times(1));
    let error = office.target.create_account(&office.calls(), &person("mara.lund")).await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { maybe_done: true, .. }), "{error:?}");
    let seen = office.target.find_account(&office.calls(), "mara.lund").await.unwrap().unwrap();
    assert_eq!(seen.id.0, office.sandbox.account("mara.lund").unwrap().key);
    let again = office.target.create_account(&office.calls(), &person("mara.lund")).await.unwrap();
    assert_eq!(again, Created::Exists(seen));
}

#[tokio::test]
async fn finding_is_exact_without_regard_to_case_and_by_key_with_regard_to_it() {
    // DC-35, DC-36
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    office.hire("mara.lundgren").await;
    office.sandbox.change(|world| world.force_active("mara.lund", false)).unwrap();
    let calls = office.calls();
    let seen = office.target.find_account(&calls, "MARA.lund").await.unwrap().unwrap();
    assert_eq!((&seen.id, seen.active), (&id, false));
    assert_eq!(seen.groups.as_deref(), Some(&["jira-software-users".to_owned()][..]));
    assert_eq!(office.target.find_account(&calls, "mara").await.unwrap(), None);
    assert_eq!(office.target.find_account(&calls, " ").await.unwrap(), None);
    assert_eq!(office.target.get_account(&calls, &id).await.unwrap(), Some(seen));
    let other_case = AccountId(id.0.to_lowercase());
    assert_eq!(office.target.get_account(&calls, &other_case).await.unwrap(), None);
    assert_eq!(told(&calls).len(), 4);
}

#[tokio::test]
async fn a_hidden_address_is_unknown() {
    // DC-37
    let office = Office::with(SandboxOptions { emails_hidden: true, ..SandboxOptions::default() }, |_| ()).await;
    office.hire("mara.lund").await;
    let seen = office.target.find_account(&office.calls(), "mara.lund").await.unwrap().unwrap();
    assert_eq!(seen.email, None);
}

#[tokio::test]
async fn an_update_is_one_call_and_leaves_alone_what_is_missing_or_blank() {
    // DC-27
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    let calls = office.calls();
    let change =
        AccountChange { display_name: Some("Mara Berg".into()), email: Some(" ".into()), ..AccountChange::default() };
    let seen = office.target.update_account(&calls, at(&id, "mara.lund"), &change).await.map(seen).unwrap();
    assert_eq!(seen.display_name, "Mara Berg");
    assert_eq!(seen.email.as_deref(), Some("mara.lund@example.test"));
    assert_eq!(told(&calls), [format!("{PUT} 200")]);
    let nothing = AccountChange { email: Some(String::new()), ..AccountChange::default() };
    assert_eq!(
        office.target.update_account(&calls, at(&id, "mara.lund"), &nothing).await.map(super::seen).unwrap().id,
        id
    );
    assert_eq!(told(&calls), [format!("{READ} 200")]);
}

#[tokio::test]
async fn a_rename_keeps_the_key_and_is_safe_to_repeat() {
    // DC-20, DC-29
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    for _ in 0..2 {
        let seen = office
            .target
            .update_account(&office.calls(), at(&id, "mara.lund"), &rename("mara.berg"))
            .await
            .map(seen)
            .unwrap();
        assert_eq!((&seen.id, seen.username.as_str()), (&id, "mara.berg"));
    }
    assert_eq!(office.target.find_account(&office.calls(), "mara.lund").await.unwrap(), None);
}

#[tokio::test]
async fn a_rename_in_letter_case_alone_is_no_error_although_jira_does_not_store_it() {
    // DC-30
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    let seen = office
        .target
        .update_account(&office.calls(), at(&id, "mara.lund"), &rename("Mara.Lund"))
        .await
        .map(super::seen)
        .unwrap();
    assert_eq!(seen.username, "mara.lund");
    // The other reading: Jira sees nothing to change.
    office.sandbox.inject(Fault::status(400).on("PUT /user"));
    let seen = office
        .target
        .update_account(&office.calls(), at(&id, "mara.lund"), &rename("Mara.Lund"))
        .await
        .map(super::seen)
        .unwrap();
    assert_eq!(seen.id, id);
}

#[tokio::test]
async fn a_new_name_that_is_taken_is_a_conflict_and_one_that_is_illegal_a_refusal() {
    // DC-29
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    office.hire("mara.berg").await;
    let calls = office.calls();
    let error = office.target.update_account(&calls, at(&id, "mara.lund"), &rename("Mara.Berg")).await.unwrap_err();
    assert!(matches!(error, TargetError::Conflict { .. }), "{error:?}");
    let error = office.target.update_account(&calls, at(&id, "mara.lund"), &rename("mara<berg")).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { field: Some(Field::Username), .. }), "{error:?}");
}

#[tokio::test]
async fn an_update_of_an_account_that_was_deleted_is_gone() {
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    office.sandbox.change(|world| world.force_delete("mara.lund")).unwrap();
    let calls = office.calls();
    for error in [
        office.target.update_account(&calls, at(&id, "mara.lund"), &rename("mara.berg")).await.unwrap_err(),
        office.target.set_active(&calls, at(&id, "mara.lund"), &switch(false)).await.unwrap_err(),
    ] {
        assert_eq!(error, TargetError::Gone { what: format!("the account {id}") });
    }
}

#[tokio::test]
async fn leaving_and_coming_back_are_one_call_each_and_read_back() {
    // DC-28, DC-44
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    for active in [false, false, true, true] {
        let calls = office.calls();
        let seen = office.target.set_active(&calls, at(&id, "mara.lund"), &switch(active)).await.map(seen).unwrap();
        assert_eq!((seen.active, told(&calls)), (active, vec![format!("{PUT} 200")]));
        assert_eq!(office.sandbox.account("mara.lund").unwrap().active, active);
    }
}

#[tokio::test]
async fn a_jira_that_ignores_the_active_flag_is_found_out() {
    // DC-28
    let options = SandboxOptions {
        version: "8.2.6".parse().unwrap(),
        password: Some("s3cret".to_owned()),
        ..SandboxOptions::default()
    };
    let basic = Credential::Basic { user: "svc-scim".to_owned(), secret: "s3cret".to_owned() };
    let office = Office::with(options, |options| options.credential = basic).await;
    let id = office.hire("mara.lund").await;
    let error = office.target.set_active(&office.calls(), at(&id, "mara.lund"), &switch(false)).await.unwrap_err();
    assert!(matches!(&error, TargetError::Refused { field: Some(Field::Active), .. }), "{error:?}");
    assert!(reason(error).contains("8.3"));
}

#[tokio::test]
async fn a_project_lead_stays_and_jiras_words_name_the_project() {
    // DC-14, DC-31
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    office.sandbox.make_lead("mara.lund", "CREW").unwrap();
    let error = office.target.set_active(&office.calls(), at(&id, "mara.lund"), &switch(false)).await.unwrap_err();
    assert!(matches!(&error, TargetError::Refused { field: Some(Field::Active), .. }), "{error:?}");
    assert!(reason(error).contains("CREW"));
}

#[tokio::test]
async fn the_daemons_own_account_and_accounts_of_a_read_only_directory_are_refused() {
    // DC-32, DC-33
    let office = Office::open().await;
    let own = AccountId(office.sandbox.account("svc-scim").unwrap().key);
    let ldap = AccountId(office.sandbox.add_read_only_account(&NewAccount::named("ole.dahl")).unwrap());
    for (id, name) in [(own, "svc-scim"), (ldap, "ole.dahl")] {
        let error = office.target.set_active(&office.calls(), at(&id, name), &switch(false)).await.unwrap_err();
        assert!(matches!(error, TargetError::Refused { field: Some(Field::Active), .. }), "{error:?}");
        let error = office.target.delete_account(&office.calls(), at(&id, "")).await.unwrap_err();
        assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_leaver_whose_name_on_record_now_belongs_to_somebody_else_leaves_all_the_same() {
    // DC-47
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    office.target.update_account(&office.calls(), at(&id, "mara.lund"), &rename("mara.berg")).await.map(seen).unwrap();
    office.hire("mara.lund").await;
    let seen = office.target.set_active(&office.calls(), at(&id, "mara.lund"), &switch(false)).await.map(seen).unwrap();
    assert_eq!((seen.username.as_str(), seen.active), ("mara.berg", false));
    assert!(office.sandbox.account("mara.lund").unwrap().active);
}

#[tokio::test]
async fn a_write_that_cannot_be_read_back_has_an_unknown_outcome() {
    // DC-28
    let options = SandboxOptions {
        version: "8.2.6".parse().unwrap(),
        password: Some("s3cret".to_owned()),
        ..SandboxOptions::default()
    };
    let basic = Credential::Basic { user: "svc-scim".to_owned(), secret: "s3cret".to_owned() };
    let office = Office::with(options, |options| options.credential = basic).await;
    let id = office.hire("mara.lund").await;
    office.sandbox.inject(Fault::throttle(5).on("GET /user"));
    let error = office.target.set_active(&office.calls(), at(&id, "mara.lund"), &switch(false)).await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { maybe_done: true, .. }), "{error:?}");
}

#[tokio::test]
async fn deleting_is_done_also_the_second_time_and_refused_for_whoever_left_traces() {
    // DC-42
    let office = Office::open().await;
    let id = office.hire("mara.lund").await;
    for status in [204, 404] {
        let calls = office.calls();
        office.target.delete_account(&calls, at(&id, "")).await.unwrap();
        assert_eq!(told(&calls), [format!("DELETE /rest/api/2/user?key={{key}} {status}")]);
    }
    let id = office.hire("ole.dahl").await;
    office.sandbox.change(|world| world.bind_to_issue("ole.dahl", Reference::Reported)).unwrap();
    office.sandbox.make_lead("ole.dahl", "CREW").unwrap();
    let told = reason(office.target.delete_account(&office.calls(), at(&id, "")).await.unwrap_err());
    assert!(told.contains("reported") && told.contains("CREW"), "{told}");
}
