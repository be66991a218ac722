//! Groups by id.

use jira_scim::jira::{EnsuredGroup, GroupRef, TargetError};
use jira_scim::sandbox::{CloudSandboxOptions, Fault, ORG_ADMINS, SITE_ADMINS};

use super::{Office, group, of, refusal, told};

const ADA: &str = "ada@example.test";

#[tokio::test]
async fn a_new_group_is_looked_up_for_its_id_because_the_answer_has_no_body() {
    // CLOUD-30, CLOUD-32
    let office = Office::open().await;
    let calls = office.calls();
    let EnsuredGroup::New { id } = office.target.ensure_group(&calls, "Crew").await.unwrap() else {
        panic!("it was not there")
    };
    assert_eq!(told(&calls), ["GET org/directories 200", "POST dir/groups 201", "POST dir/groups/search 200"]);
    assert_eq!(id, office.sandbox.look(|world| world.group("crew").map(|group| group.id.clone())));
    let EnsuredGroup::Existed(seen) = office.target.ensure_group(&office.calls(), "CREW").await.unwrap() else {
        panic!("two of one name")
    };
    assert_eq!((seen.name.as_str(), seen.id, seen.read_only), ("Crew", id, None));
}

#[tokio::test]
async fn members_come_and_go_in_one_call_and_repeating_is_no_failure() {
    // CLOUD-29
    let office = Office::open().await;
    let crew = office.crew("Crew").await;
    let id = office.hire(ADA).await;
    office.target.add_member(&office.calls(), group("Crew", &crew), of(&id, ADA)).await.unwrap();
    let calls = office.calls();
    office.target.add_member(&calls, group("Crew", &crew), of(&id, ADA)).await.unwrap();
    office.target.remove_member(&calls, group("Crew", &crew), of(&id, ADA)).await.unwrap();
    office.target.remove_member(&calls, group("Crew", &crew), of(&id, ADA)).await.unwrap();
    assert_eq!(
        told(&calls),
        [
            "POST dir/groups/{groupId}/memberships 409",
            "DELETE dir/groups/{groupId}/memberships/{accountId} 204",
            "DELETE dir/groups/{groupId}/memberships/{accountId} 404"
        ]
    );
    // Without an id on record the name is looked up.
    let unknown = GroupRef { name: "crew", id: None };
    office.target.add_member(&office.calls(), unknown, of(&id, ADA)).await.unwrap();
    assert_eq!(office.members("Crew"), [ADA]);
}

#[tokio::test]
async fn a_409_that_is_the_licence_is_told_apart_by_its_code() {
    // CLOUD-26, CLOUD-29
    let office = Office::with(CloudSandboxOptions { seats: Some(0), ..CloudSandboxOptions::default() }).await;
    let id = office.hire(ADA).await;
    let name = "jira-software-users-northwind-labs";
    let licensed = office.sandbox.look(|world| world.group(name).unwrap().id.clone());
    let error = office.target.add_member(&office.calls(), group(name, &licensed), of(&id, ADA)).await.unwrap_err();
    let TargetError::NoSeats { reason } = error else { panic!("{error:?}") };
    assert!(reason.contains("Jira"), "{reason}");
}

#[tokio::test]
async fn a_group_of_another_provisioner_is_recognised_before_anything_is_written() {
    // CLOUD-33
    let office = Office::open().await;
    let (synced, fixed) = (office.crew("Synced").await, office.crew("Fixed").await);
    office.sandbox.change(|world| {
        world.edit_group(&synced, |group| group.synced = true);
        world.edit_group(&fixed, |group| group.modifiable = false);
    });
    for name in ["Synced", "Fixed"] {
        let seen = office.target.find_group(&office.calls(), name).await.unwrap().unwrap();
        assert!(seen.read_only.is_some(), "{name}");
    }
    let id = office.hire(ADA).await;
    let error = office.target.add_member(&office.calls(), group("Synced", &synced), of(&id, ADA)).await.unwrap_err();
    assert!(refusal(error).contains("ADMIN-403-5"));
}

#[tokio::test]
async fn groups_that_administer_anything_are_known_from_both_sides() {
    // CLOUD-36, CLOUD-39
    let office = Office::open().await;
    let local = office.crew("local-admins").await;
    office.sandbox.change(|world| world.edit_group(&local, |group| group.administers_jira = true));
    let calls = office.calls();
    let mut names = office.target.administrative_groups(&calls).await.unwrap();
    names.sort();
    assert_eq!(names, ["atlassian-addons-admin", "local-admins", ORG_ADMINS, SITE_ADMINS, "system-administrators"]);
    assert_eq!(told(&calls).len(), 3);
    for name in [SITE_ADMINS, "LOCAL-ADMINS", "system-administrators"] {
        let seen = office.target.find_group(&office.calls(), name).await.unwrap().unwrap();
        assert!(seen.administrative, "{name}");
    }
    // What Jira alone knows is never made a second time.
    let EnsuredGroup::Existed(seen) =
        office.target.ensure_group(&office.calls(), "system-administrators").await.unwrap()
    else {
        panic!("made")
    };
    assert!(seen.administrative && seen.read_only.is_some());
}

#[tokio::test]
async fn default_and_administrative_groups_cannot_be_deleted_and_gone_is_gone() {
    // CLOUD-34, CLOUD-37
    let office = Office::open().await;
    let id = |name: &str| office.sandbox.look(|world| world.group(name).unwrap().id.clone());
    for (name, code) in [("jira-software-users-northwind-labs", "ADMIN-403-6"), (SITE_ADMINS, "ADMIN-403-7")] {
        let error = office.target.delete_group(&office.calls(), group(name, &id(name))).await.unwrap_err();
        assert!(refusal(error).contains(code), "{name}");
    }
    let crew = office.crew("Crew").await;
    office.target.delete_group(&office.calls(), group("Crew", &crew)).await.unwrap();
    office.target.delete_group(&office.calls(), group("Crew", &crew)).await.unwrap();
    assert!(office.sandbox.look(|world| world.group("Crew").is_none()));
}

#[tokio::test]
async fn an_organisation_that_is_not_known_means_our_configuration_and_nobody_is_gone() {
    // CLOUD-65
    let office = Office::like(CloudSandboxOptions::default(), |_, options| {
        let organization = options.organization.as_mut().unwrap();
        organization.id = "wrong".to_owned();
        organization.directory = Some("d".to_owned());
    })
    .await;
    let id = jira_scim::account::AccountId("712020:a".to_owned());
    let error = office.target.remove_member(&office.calls(), group("Crew", "g"), of(&id, ADA)).await.unwrap_err();
    assert!(matches!(error, TargetError::Denied { .. }), "{error:?}");
    office.sandbox.inject(Fault::html(404));
    let error = office.target.remove_member(&office.calls(), group("Crew", "g"), of(&id, ADA)).await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { .. }), "{error:?}");
}
