//! Finding and inviting people through the organisation.

use std::collections::BTreeMap;
use std::time::Duration;

use jira_scim::account::{Access, AccountId, Field};
use jira_scim::jira::{Created, TargetError};
use jira_scim::sandbox::{CloudSandboxOptions, Fault, NewPerson, Settles};

use super::{Office, group, of, person, software, told};

const ADA: &str = "ada@example.test";

fn new(created: Created) -> jira_scim::account::SeenAccount {
    match created {
        Created::New(seen) => seen,
        Created::Exists(seen) => panic!("{seen:?} is there already"),
    }
}

#[tokio::test]
async fn a_stranger_is_looked_for_and_invited_without_a_mail_and_gets_the_products_at_once() {
    // CLOUD-11, CLOUD-12, CLOUD-19, CLOUD-22
    let office = Office::open().await;
    let calls = office.calls();
    let mut ada = person(ADA);
    ada.access.insert(software());
    ada.extra = BTreeMap::from([("job_title".to_owned(), "Engineer".to_owned())]);
    let seen = new(office.target.create_account(&calls, &ada).await.unwrap());
    assert_eq!(
        told(&calls),
        [
            "POST dir/users/search 200",
            "GET /_edge/tenant_info 200",
            "POST org/users/invite 200",
            "GET org1/domains 200"
        ]
    );
    assert_eq!(seen.access, Some([software()].into()));
    // The name that was asked for is not there, and neither is the title: an update follows.
    assert_eq!((seen.display_name.as_str(), seen.extra["job_title"].as_str()), (ADA, ""));
    assert!(seen.active && seen.read_only.is_empty());
    assert_eq!(office.sandbox.totals().mails, 0);
    // What is remembered is not asked again.
    let calls = office.calls();
    office.target.create_account(&calls, &person("bo@example.test")).await.unwrap();
    assert_eq!(told(&calls), ["POST dir/users/search 200", "POST org/users/invite 200"]);
}

#[tokio::test]
async fn a_strangers_account_that_nobody_here_manages_keeps_its_profile() {
    // CLOUD-13
    let office = Office::open().await;
    let seen = new(office.target.create_account(&office.calls(), &person("max@elsewhere.test")).await.unwrap());
    let all = [Field::Username, Field::Email, Field::DisplayName, Field::Extra];
    assert_eq!(seen.read_only, all.into());
}

#[tokio::test]
async fn somebody_who_is_there_is_found_with_groups_and_privileges_and_nobody_is_invited() {
    // CLOUD-10, CLOUD-12, CLOUD-52
    let office = Office::open().await;
    let crew = office.crew("Crew").await;
    office.sandbox.change(|world| {
        let id = world.add_person(&NewPerson::named(ADA, "Ada K"));
        world.join(&id, &crew).unwrap();
        world.edit_person(ADA, |ada| ada.saml = true).unwrap();
    });
    let calls = office.calls();
    let Created::Exists(seen) = office.target.create_account(&calls, &person("ADA@example.test")).await.unwrap() else {
        panic!("invited somebody who is there")
    };
    assert_eq!(
        told(&calls),
        ["POST dir/users/search 200", "GET manage?privileges=profile.write,email.set,lifecycle.enablement 200"]
    );
    assert_eq!(seen.groups, Some(vec!["Crew".to_owned()]));
    // CLOUD-51
    assert_eq!(seen.read_only, [Field::DisplayName].into());
    assert_eq!(office.target.find_account(&office.calls(), ADA).await.unwrap(), Some(seen));
    assert_eq!(office.target.find_account(&office.calls(), "nobody@example.test").await.unwrap(), None);
}

#[tokio::test]
async fn people_of_another_provisioner_are_left_alone() {
    // CLOUD-50
    let office = Office::open().await;
    office.sandbox.change(|world| {
        world.add_person(&NewPerson::named(ADA, "Ada K"));
        world.edit_person(ADA, |ada| ada.synced = true).unwrap();
        world.add_person(&NewPerson { invited: false, ..NewPerson::named("bo@example.test", "Bo") });
        world.edit_person("bo@example.test", |bo| bo.synced = true).unwrap();
    });
    for email in [ADA, "bo@example.test"] {
        let Created::Exists(seen) = office.target.create_account(&office.calls(), &person(email)).await.unwrap() else {
            panic!("{email} was invited")
        };
        assert!(seen.hands_off.unwrap().contains("Another"), "{email}");
    }
}

#[tokio::test]
async fn an_account_that_is_managed_and_not_invited_is_invited_and_keeps_its_name_until_an_update() {
    // CLOUD-10, CLOUD-19
    let office = Office::open().await;
    office.sandbox.change(|world| {
        world.add_person(&NewPerson { invited: false, ..NewPerson::named(ADA, "Ada of old") });
    });
    let seen = new(office.target.create_account(&office.calls(), &person(ADA)).await.unwrap());
    assert_eq!(seen.display_name, "Ada of old");
    assert_eq!(office.state(ADA), "active");
}

#[tokio::test]
async fn a_2xx_with_a_part_that_failed_grants_only_what_it_says() {
    // CLOUD-26, CLOUD-27
    let office = Office::with(CloudSandboxOptions { seats: Some(0), ..CloudSandboxOptions::default() }).await;
    let mut ada = person(ADA);
    ada.access.insert(software());
    let calls = office.calls();
    let seen = new(office.target.create_account(&calls, &ada).await.unwrap());
    assert!(told(&calls).contains(&"POST org/users/invite 206".to_owned()));
    assert_eq!(seen.access, Some([].into()));
    let error = office.target.grant(&office.calls(), of(&seen.id, ADA), &software()).await.unwrap_err();
    assert!(matches!(error, TargetError::NoSeats { .. }), "{error:?}");
}

#[tokio::test]
async fn what_the_organisation_does_not_have_cannot_be_given() {
    let office = Office::open().await;
    let mut ada = person(ADA);
    ada.access.insert(Access { resource: "ari:cloud:loom::site/1".to_owned(), role: "atlassian/user".to_owned() });
    let error = office.target.create_account(&office.calls(), &ada).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_group_is_waited_for_until_the_invitation_has_settled_and_nothing_else_is_asked() {
    // CLOUD-20
    let settles = Settles::After(Duration::from_secs(30));
    let office = Office::with(CloudSandboxOptions { settles, ..CloudSandboxOptions::default() }).await;
    let crew = office.crew("Crew").await;
    let id = office.hire(ADA).await;
    let calls = office.calls();
    let error = office.target.add_member(&calls, group("Crew", &crew), of(&id, ADA)).await.unwrap_err();
    assert!(matches!(error, TargetError::Later { .. }), "{error:?}");
    assert_eq!(told(&calls), ["GET org/directories 200", "POST dir/groups/{groupId}/memberships 404"]);
    office.sandbox.advance(Duration::from_secs(31));
    office.target.add_member(&office.calls(), group("Crew", &crew), of(&id, ADA)).await.unwrap();
    assert_eq!(office.members("Crew"), [ADA]);
}

#[tokio::test]
async fn somebody_who_left_long_ago_is_gone_and_a_group_that_was_deleted_is_gone() {
    let office = Office::open().await;
    let crew = office.crew("Crew").await;
    let id = office
        .sandbox
        .change(|world| world.add_person(&NewPerson { invited: false, ..NewPerson::named(ADA, "Ada K") }));
    let ada = AccountId(id);
    let error = office.target.add_member(&office.calls(), group("Crew", &crew), of(&ada, ADA)).await.unwrap_err();
    assert_eq!(error, TargetError::Gone { what: format!("the account {ada}") });
    let error = office.target.add_member(&office.calls(), group("Old", "gone"), of(&ada, ADA)).await.unwrap_err();
    assert_eq!(error, TargetError::Gone { what: "the group \"Old\"".to_owned() });
}

#[tokio::test]
async fn a_person_is_read_by_id_in_every_state() {
    let office = Office::open().await;
    let id = office.hire(ADA).await;
    let read = || async { office.target.get_account(&office.calls(), &id).await.unwrap().unwrap() };
    assert!(read().await.active);
    office.sandbox.change(|world| world.edit_person(ADA, |ada| ada.email = ADA.to_owned()).unwrap());
    office.sandbox.change(|world| world.close(ADA).unwrap());
    assert_eq!(office.target.get_account(&office.calls(), &id).await.unwrap(), None);
    assert_eq!(office.target.get_account(&office.calls(), &AccountId("nobody".into())).await.unwrap(), None);
}

#[tokio::test]
async fn an_invitation_whose_answer_is_lost_may_have_been_made() {
    let office = Office::open().await;
    office.sandbox.inject(Fault::drop_answer().on("POST /v2/orgs/{orgId}/users/invite").times(1));
    let error = office.target.create_account(&office.calls(), &person(ADA)).await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { maybe_done: true, .. }), "{error:?}");
    assert_eq!(office.state(ADA), "active");
    // A search that fails has changed nothing.
    office
        .sandbox
        .inject(Fault::drop_answer().on("POST /v2/orgs/{orgId}/directories/{directoryId}/users/search").times(1));
    let error = office.target.find_account(&office.calls(), ADA).await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { maybe_done: false, .. }), "{error:?}");
}
