//! Access to products and apps.

use jira_scim::account::{Access, AccountId};
use jira_scim::jira::TargetError;
use jira_scim::sandbox::{CloudSandboxOptions, NewPerson};

use super::{Office, of, refusal, software, told};

const ADA: &str = "ada@example.test";

#[tokio::test]
async fn access_is_a_role_on_a_resource_and_a_products_key_stands_for_its_resource() {
    // CLOUD-34
    let office = Office::open().await;
    let id = office.hire(ADA).await;
    let calls = office.calls();
    office.target.grant(&calls, of(&id, ADA), &software()).await.unwrap();
    office.target.grant(&calls, of(&id, ADA), &software()).await.unwrap();
    let assign = "POST org1/users/{userId}/roles/assign 204";
    assert_eq!(told(&calls), ["GET /_edge/tenant_info 200", assign, assign]);
    assert_eq!(office.members("jira-software-users-northwind-labs"), [ADA]);
    let resource = office.sandbox.look(|world| world.apps[1].resource.clone());
    let confluence = Access { resource, role: "atlassian/user".to_owned() };
    office.target.grant(&office.calls(), of(&id, ADA), &confluence).await.unwrap();
    assert_eq!(office.sandbox.look(|world| world.person(ADA).unwrap().roles.len()), 2);
    let calls = office.calls();
    office.target.revoke(&calls, of(&id, ADA), &software()).await.unwrap();
    office.target.revoke(&calls, of(&id, ADA), &confluence).await.unwrap();
    let revoke = "POST org1/users/{userId}/roles/revoke 204";
    assert_eq!(told(&calls), [revoke, revoke]);
    assert!(office.sandbox.look(|world| world.person(ADA).unwrap().roles.is_empty()));
}

#[tokio::test]
async fn no_seat_is_told_apart_from_what_the_organisation_does_not_have() {
    // CLOUD-26
    let office = Office::with(CloudSandboxOptions { seats: Some(0), ..CloudSandboxOptions::default() }).await;
    let id = office.hire(ADA).await;
    let error = office.target.grant(&office.calls(), of(&id, ADA), &software()).await.unwrap_err();
    assert!(matches!(error, TargetError::NoSeats { .. }), "{error:?}");
    // Nobody who was invited a moment ago: he might just not be there yet.
    let id = office.sandbox.change(|world| world.add_person(&NewPerson::named("bo@example.test", "Bo")));
    let id = AccountId(id);
    let loom = Access { resource: "ari:cloud:loom::site/1".to_owned(), role: "atlassian/user".to_owned() };
    let reason = refusal(office.target.grant(&office.calls(), of(&id, ADA), &loom).await.unwrap_err());
    assert!(reason.contains("loom") && reason.contains("products"), "{reason}");
    office.target.revoke(&office.calls(), of(&id, ADA), &loom).await.unwrap();
}

#[tokio::test]
async fn access_of_somebody_who_is_not_there_is_gone() {
    let office = Office::open().await;
    let nobody = jira_scim::account::AccountId("712020:nobody".to_owned());
    let error = office.target.grant(&office.calls(), of(&nobody, ADA), &software()).await.unwrap_err();
    assert!(matches!(error, TargetError::Gone { .. }), "{error:?}");
    office.target.revoke(&office.calls(), of(&nobody, ADA), &software()).await.unwrap();
}
