use jira_scim::sandbox::{Fault, NewAccount, Role};

use super::*;

const ROLES: &str = "GET /rest/api/2/applicationrole 200";
const GRANT: &str = "POST /rest/api/2/user/application?username={username}&applicationKey=jira-servicedesk";
const REVOKE: &str = "DELETE /rest/api/2/user/application?username={username}&applicationKey=jira-servicedesk";
const LOOK: &str = "GET /rest/api/2/user?key={key}&expand=applicationRoles";

async fn desk(seats: u32) -> Office {
    let applications = vec![Role::named("jira-servicedesk", Some(seats)), Role::named("jira-software", None)];
    Office::with(SandboxOptions { applications, ..SandboxOptions::default() }, |_| ()).await
}

fn desk_access() -> Access {
    Access { resource: "jira-servicedesk".to_owned(), role: String::new() }
}

#[tokio::test]
async fn seats_are_read_once_and_then_counted_down_by_our_own_grants() {
    // DC-46, DC-51
    let office = desk(25).await;
    for (number, name) in ["mara.lund", "ole.dahl", "eva.berg"].into_iter().enumerate() {
        let id = office.hire(name).await;
        let calls = office.calls();
        office.target.grant(&calls, at(&id, name), &desk_access()).await.unwrap();
        let mut wanted = vec![format!("{GRANT} 200")];
        if number == 0 {
            wanted.insert(0, ROLES.to_owned());
        }
        assert_eq!(told(&calls), wanted);
        assert_eq!(office.sandbox.groups_of(name), ["jira-servicedesk-users"]);
    }
}

#[tokio::test]
async fn access_that_comes_with_a_new_account_is_the_same_one_call() {
    // DC-24
    let office = desk(25).await;
    let calls = office.calls();
    let account = Account { access: [desk_access()].into(), ..person("mara.lund") };
    office.target.create_account(&calls, &account).await.unwrap();
    assert_eq!(told(&calls), [ROLES, "POST /rest/api/2/user 201"]);
    assert_eq!(office.sandbox.groups_of("mara.lund"), ["jira-servicedesk-users"]);
    let calls = office.calls();
    office
        .target
        .create_account(&calls, &Account { access: [desk_access()].into(), ..person("ole.dahl") })
        .await
        .unwrap();
    assert_eq!(told(&calls), ["POST /rest/api/2/user 201"]);
}

#[tokio::test]
async fn the_last_seat_is_given_and_then_nobody_is_even_tried() {
    // DC-51
    let office = desk(1).await;
    let (mara, ole) = (office.hire("mara.lund").await, office.hire("ole.dahl").await);
    office.target.grant(&office.calls(), at(&mara, "mara.lund"), &desk_access()).await.unwrap();
    let calls = office.calls();
    let error = office.target.grant(&calls, at(&ole, "ole.dahl"), &desk_access()).await.unwrap_err();
    let TargetError::NoSeats { reason } = error else { panic!("{error:?}") };
    assert_eq!(reason, "Jira Service Management (jira-servicedesk) has no free seat: all 1 are in use");
    assert_eq!(told(&calls), [ROLES.to_owned(), format!("{LOOK} 200")]);
    // Who has one may be given it again, and a new one is not made without.
    office.target.grant(&office.calls(), at(&mara, "mara.lund"), &desk_access()).await.unwrap();
    let account = Account { access: [desk_access()].into(), ..person("eva.berg") };
    let error = office.target.create_account(&office.calls(), &account).await.unwrap_err();
    assert!(matches!(error, TargetError::NoSeats { .. }), "{error:?}");
    assert!(office.sandbox.account("eva.berg").is_none());
    // Who is there is found all the same.
    let account = Account { access: [desk_access()].into(), ..person("Mara.Lund") };
    assert!(matches!(office.target.create_account(&office.calls(), &account).await, Ok(Created::Exists(_))));
    // Who is gone waits for no seat.
    let gone = AccountId("JIRAUSER0".to_owned());
    let error = office.target.grant(&office.calls(), at(&gone, "nobody"), &desk_access()).await.unwrap_err();
    assert!(matches!(error, TargetError::Gone { .. }), "{error:?}");
    // A seat that becomes free is seen at once.
    office.target.set_active(&office.calls(), at(&mara, "mara.lund"), &switch(false)).await.unwrap();
    office.target.grant(&office.calls(), at(&ole, "ole.dahl"), &desk_access()).await.unwrap();
}

#[tokio::test]
async fn a_seat_that_somebody_else_took_meanwhile_is_told_with_jiras_words() {
    // DC-24, DC-51
    let office = desk(2).await;
    let (mara, ole) = (office.hire("mara.lund").await, office.hire("ole.dahl").await);
    office.target.grant(&office.calls(), at(&mara, "mara.lund"), &desk_access()).await.unwrap();
    office.sandbox.add_account(&NewAccount::named("by.hand")).unwrap();
    office.sandbox.add_member("jira-servicedesk-users", "by.hand").unwrap();
    let calls = office.calls();
    let error = office.target.grant(&calls, at(&ole, "ole.dahl"), &desk_access()).await.unwrap_err();
    assert!(matches!(&error, TargetError::NoSeats { reason } if reason.contains("licence")), "{error:?}");
    assert_eq!(told(&calls), [format!("{GRANT} 400"), format!("{LOOK} 200"), ROLES.to_owned()]);
}

#[tokio::test]
async fn an_application_that_is_not_there_is_refused_with_those_that_are() {
    // DC-46
    let office = desk(2).await;
    let id = office.hire("mara.lund").await;
    let access = Access { resource: "jira-core".to_owned(), role: String::new() };
    let told = reason(office.target.grant(&office.calls(), at(&id, "mara.lund"), &access).await.unwrap_err());
    assert_eq!(told, "Jira has no application jira-core; it has jira-servicedesk, jira-software");
}

#[tokio::test]
async fn taking_access_away_is_one_call_and_who_has_none_or_is_gone_is_done() {
    // DC-46
    let office = desk(2).await;
    let id = office.hire("mara.lund").await;
    office.target.grant(&office.calls(), at(&id, "mara.lund"), &desk_access()).await.unwrap();
    for _ in 0..2 {
        let calls = office.calls();
        office.target.revoke(&calls, at(&id, "mara.lund"), &desk_access()).await.unwrap();
        assert_eq!(told(&calls), [format!("{REVOKE} 204")]);
    }
    assert!(office.sandbox.groups_of("mara.lund").is_empty());
    office.sandbox.inject(Fault::status(400).on("DELETE /user/application").times(1));
    office.target.revoke(&office.calls(), at(&id, "mara.lund"), &desk_access()).await.unwrap();
    office.sandbox.change(|world| world.force_delete("mara.lund")).unwrap();
    let calls = office.calls();
    office.target.revoke(&calls, at(&id, "mara.lund"), &desk_access()).await.unwrap();
    assert_eq!(told(&calls), [format!("{REVOKE} 400"), format!("{LOOK} 404")]);
    let error = office.target.grant(&office.calls(), at(&id, "mara.lund"), &desk_access()).await.unwrap_err();
    assert!(matches!(error, TargetError::Gone { .. }), "{error:?}");
}

#[tokio::test]
async fn a_name_on_record_that_is_out_of_date_is_looked_up() {
    // DC-47
    let office = desk(2).await;
    let id = office.hire("mara.berg").await;
    office.target.grant(&office.calls(), at(&id, "mara.lund"), &desk_access()).await.unwrap();
    assert_eq!(office.sandbox.groups_of("mara.berg"), ["jira-servicedesk-users"]);
}
