//! The five ways to switch a person off, and back.

use jira_scim::account::{AccountId, OffSwitch};
use jira_scim::jira::{Switch, TargetError, Written};
use jira_scim::sandbox::{AccountStatus, App, CloudSandboxOptions, Fault, NewPerson, Settles};

use super::{Office, of, refusal, software, told};

const ADA: &str = "ada@example.test";

fn off(way: Option<OffSwitch>) -> Switch {
    Switch { active: false, off: way, hand_over_to: None }
}

fn on(way: Option<OffSwitch>) -> Switch {
    Switch { active: true, off: way, hand_over_to: None }
}

fn done(off: OffSwitch) -> Written {
    Written::AsAsked { off: Some(off) }
}

const BACK: Written = Written::AsAsked { off: None };

/// A member of a group with a product.
async fn employed() -> (Office, AccountId) {
    let office = Office::open().await;
    let crew = office.crew("Crew").await;
    let id = office.hire(ADA).await;
    office.sandbox.change(|world| world.join(&id.0, &crew)).unwrap();
    office.target.grant(&office.calls(), of(&id, ADA), &software()).await.unwrap();
    (office, id)
}

#[tokio::test]
async fn a_leaver_is_suspended_in_one_call_and_comes_back_with_everything() {
    // CLOUD-7, CLOUD-41
    let (office, id) = employed().await;
    let calls = office.calls();
    assert_eq!(office.target.set_active(&calls, of(&id, ADA), &off(None)).await.unwrap(), done(OffSwitch::Suspend));
    assert_eq!(told(&calls), ["GET org/directories 200", "POST dir/users/{accountId}/suspend 204"]);
    assert_eq!(office.state(ADA), "suspended");
    assert_eq!(office.members("Crew"), [ADA]);
    let calls = office.calls();
    let back = office.target.set_active(&calls, of(&id, ADA), &on(Some(OffSwitch::Suspend))).await.unwrap();
    assert_eq!((back, told(&calls)), (BACK, vec!["POST dir/users/{accountId}/restore 204".to_owned()]));
    assert_eq!(office.state(ADA), "active");
}

#[tokio::test]
async fn a_person_who_is_removed_loses_groups_and_is_invited_again() {
    // CLOUD-43, CLOUD-44
    let (office, id) = employed().await;
    let way = Some(OffSwitch::Remove);
    assert_eq!(office.switch(&id, ADA, &off(way)).await.unwrap(), done(OffSwitch::Remove));
    assert_eq!(office.state(ADA), "not_invited");
    assert!(office.members("Crew").is_empty());
    assert_eq!(office.switch(&id, ADA, &off(way)).await.unwrap(), done(OffSwitch::Remove));
    assert_eq!(office.switch(&id, ADA, &off(None)).await.unwrap(), done(OffSwitch::Remove));
    let calls = office.calls();
    assert_eq!(office.target.set_active(&calls, of(&id, ADA), &on(way)).await.unwrap(), BACK);
    assert_eq!(told(&calls), ["POST org/users/invite 200"]);
    assert_eq!(office.state(ADA), "active");
}

#[tokio::test]
async fn an_account_is_deactivated_everywhere_and_repeating_it_is_no_failure() {
    // CLOUD-45, CLOUD-46
    let (office, id) = employed().await;
    let way = Some(OffSwitch::Deactivate);
    assert_eq!(office.switch(&id, ADA, &off(way)).await.unwrap(), done(OffSwitch::Deactivate));
    assert_eq!(office.state(ADA), "deactivated");
    let Written::Seen(seen) = office.switch(&id, ADA, &off(way)).await.unwrap() else { panic!("not seen") };
    assert_eq!((seen.active, seen.off), (false, way));
    assert_eq!(office.switch(&id, ADA, &on(way)).await.unwrap(), BACK);
    assert!(matches!(office.switch(&id, ADA, &on(way)).await.unwrap(), Written::Seen(seen) if seen.active));
    assert_eq!(office.state(ADA), "active");
}

#[tokio::test]
async fn an_account_that_is_not_ours_is_suspended_or_removed_instead() {
    // CLOUD-13, CLOUD-45
    let office = Office::open().await;
    let email = "max@elsewhere.test";
    let id = AccountId(office.sandbox.change(|world| world.add_person(&NewPerson::named(email, "Max"))));
    let written = office.switch(&id, email, &off(Some(OffSwitch::Deactivate))).await.unwrap();
    assert_eq!((written, office.state(email)), (done(OffSwitch::Suspend), "suspended"));
    let written = office.switch(&id, email, &off(Some(OffSwitch::Delete))).await.unwrap();
    assert_eq!((written, office.state(email)), (done(OffSwitch::Remove), "not_invited"));
}

#[tokio::test]
async fn a_deleted_account_has_14_days_and_then_is_gone() {
    // CLOUD-47
    let (office, id) = employed().await;
    let way = Some(OffSwitch::Delete);
    assert_eq!(office.switch(&id, ADA, &off(way)).await.unwrap(), done(OffSwitch::Delete));
    assert_eq!(office.state(ADA), "for_deletion");
    assert_eq!(office.switch(&id, ADA, &off(way)).await.unwrap(), done(OffSwitch::Delete));
    assert_eq!(office.switch(&id, ADA, &on(way)).await.unwrap(), BACK);
    assert_eq!(office.state(ADA), "active");
    office.switch(&id, ADA, &off(way)).await.unwrap();
    office.sandbox.change(|world| world.close(ADA)).unwrap();
    assert_eq!(office.switch(&id, ADA, &off(way)).await.unwrap(), done(OffSwitch::Delete));
    let error = office.switch(&id, ADA, &on(way)).await.unwrap_err();
    assert!(matches!(error, TargetError::Gone { .. }), "{error:?}");
}

#[tokio::test]
async fn revoking_takes_products_and_the_groups_that_grant_them_and_leaves_the_others() {
    // CLOUD-28, CLOUD-34
    let (office, id) = employed().await;
    assert_eq!(office.members("jira-software-users-northwind-labs"), [ADA]);
    let calls = office.calls();
    let written = office.target.set_active(&calls, of(&id, ADA), &off(Some(OffSwitch::Revoke))).await.unwrap();
    let Written::Seen(seen) = written else { panic!("not seen") };
    assert_eq!((seen.active, seen.off, seen.access), (false, Some(OffSwitch::Revoke), Some([].into())));
    assert_eq!(seen.groups, Some(vec!["Crew".to_owned()]));
    assert!(office.members("jira-software-users-northwind-labs").is_empty());
    assert_eq!(
        told(&calls),
        [
            "GET dir/users/{accountId}/role-assignments 200",
            "POST dir/users/search 200",
            "GET dir/groups/{groupId}/role-assignments 200",
            "GET org/directories 200",
            "DELETE dir/groups/{groupId}/memberships/{accountId} 204",
            "GET dir/groups/{groupId}/role-assignments 200",
            "POST org1/users/{userId}/roles/revoke 204",
            "POST dir/users/search 200"
        ]
    );
    assert_eq!(office.switch(&id, ADA, &on(Some(OffSwitch::Revoke))).await.unwrap(), BACK);
}

#[tokio::test]
async fn how_somebody_was_switched_off_is_looked_up_where_it_is_not_on_record() {
    let (office, id) = employed().await;
    for (way, call) in [
        (OffSwitch::Suspend, "POST dir/users/{accountId}/restore 204"),
        (OffSwitch::Deactivate, "POST manage/lifecycle/enable 204"),
        (OffSwitch::Delete, "POST manage/lifecycle/cancel-delete 200"),
        (OffSwitch::Remove, "POST org/users/invite 200"),
    ] {
        office.switch(&id, ADA, &off(Some(way))).await.unwrap();
        let calls = office.calls();
        assert_eq!(office.target.set_active(&calls, of(&id, ADA), &on(None)).await.unwrap(), BACK);
        assert_eq!(told(&calls), ["POST dir/users/search 200", call], "{way:?}");
        assert_eq!(office.state(ADA), "active");
    }
}

#[tokio::test]
async fn an_administrator_of_the_organisation_cannot_be_suspended_and_that_is_said() {
    // CLOUD-42
    let (office, id) = employed().await;
    office.sandbox.change(|world| world.edit_person(ADA, |ada| ada.org_admin = true)).unwrap();
    let reason = refusal(office.switch(&id, ADA, &off(None)).await.unwrap_err());
    assert!(reason.contains("organization admin"), "{reason}");
}

#[tokio::test]
async fn a_leaver_whose_invitation_has_not_settled_is_not_believed_to_be_out() {
    // CLOUD-20
    let settles = Settles::AfterCalls(1);
    let office = Office::with(CloudSandboxOptions { settles, ..CloudSandboxOptions::default() }).await;
    let id = office.hire(ADA).await;
    let error = office.switch(&id, ADA, &off(None)).await.unwrap_err();
    assert!(matches!(error, TargetError::Later { .. }), "{error:?}");
    assert_eq!(office.switch(&id, ADA, &off(None)).await.unwrap(), done(OffSwitch::Suspend));
}

#[tokio::test]
async fn a_restore_without_a_seat_says_so_and_one_of_somebody_removed_invites() {
    // CLOUD-26
    let (office, id) = employed().await;
    office.switch(&id, ADA, &off(None)).await.unwrap();
    office.sandbox.change(|world| world.limit_seats(Some(0)));
    let error = office.switch(&id, ADA, &on(Some(OffSwitch::Suspend))).await.unwrap_err();
    assert!(matches!(error, TargetError::NoSeats { .. }), "{error:?}");
    office.switch(&id, ADA, &off(Some(OffSwitch::Remove))).await.unwrap();
    assert_eq!(office.switch(&id, ADA, &on(Some(OffSwitch::Suspend))).await.unwrap(), BACK);
    assert_eq!(office.state(ADA), "active");
}

#[tokio::test]
async fn deleting_somebody_takes_him_out_of_the_directory_and_gone_is_gone() {
    let (office, id) = employed().await;
    let calls = office.calls();
    office.target.delete_account(&calls, of(&id, ADA)).await.unwrap();
    assert_eq!(told(&calls).last().unwrap(), "DELETE dir/users/{accountId} 204");
    office.target.delete_account(&office.calls(), of(&id, ADA)).await.unwrap();
    office.sandbox.inject(Fault::status(500).on("DELETE"));
    let error = office.target.delete_account(&office.calls(), of(&id, ADA)).await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable { maybe_done: true, .. }), "{error:?}");
}

#[tokio::test]
async fn an_address_that_is_another_account_by_now_is_not_taken_for_the_one_of_old() {
    // CLOUD-48
    let (office, id) = employed().await;
    office.switch(&id, ADA, &off(Some(OffSwitch::Remove))).await.unwrap();
    office.sandbox.change(|world| world.close(ADA)).unwrap();
    let error = office.switch(&id, ADA, &on(Some(OffSwitch::Remove))).await.unwrap_err();
    assert_eq!(error, TargetError::Gone { what: format!("the account {id}") });
    let new = office.target.find_account(&office.calls(), ADA).await.unwrap().unwrap();
    assert_ne!(new.id, id);
}

#[tokio::test]
async fn an_account_that_is_not_ours_any_more_cannot_be_activated_and_the_others_go_on() {
    // CLOUD-13, CLOUD-45
    let (office, id) = employed().await;
    for way in [OffSwitch::Deactivate, OffSwitch::Delete] {
        office.sandbox.change(|world| world.domains = vec!["example.test".to_owned()]);
        assert_eq!(office.switch(&id, ADA, &off(Some(way))).await.unwrap(), done(way));
        office.sandbox.change(|world| world.domains.clear());
        let reason = refusal(office.switch(&id, ADA, &on(Some(way))).await.unwrap_err());
        assert!(reason.contains("does not manage"), "{reason}");
        office.sandbox.change(|world| world.edit_person(ADA, |ada| ada.status = AccountStatus::Active)).unwrap();
        assert!(matches!(office.switch(&id, ADA, &on(Some(way))).await.unwrap(), Written::Seen(seen) if seen.active));
    }
    // Suspended, or removed, is what can be undone.
    office.switch(&id, ADA, &off(None)).await.unwrap();
    assert_eq!(office.switch(&id, ADA, &on(Some(OffSwitch::Deactivate))).await.unwrap(), BACK);
    office.switch(&id, ADA, &off(Some(OffSwitch::Remove))).await.unwrap();
    assert_eq!(office.switch(&id, ADA, &on(Some(OffSwitch::Deactivate))).await.unwrap(), BACK);
    assert_eq!(office.state(ADA), "active");
}

#[tokio::test]
async fn a_key_with_scopes_is_not_taken_for_an_account_that_is_not_ours() {
    // CLOUD-3
    let office = Office::like(CloudSandboxOptions::default(), |sandbox, options| {
        options.organization.as_mut().unwrap().key = sandbox.issue_key(true);
    })
    .await;
    let id = AccountId(office.sandbox.change(|world| world.add_person(&NewPerson::named(ADA, "Ada K"))));
    for switch in [off(Some(OffSwitch::Deactivate)), on(Some(OffSwitch::Deactivate))] {
        let error = office.switch(&id, ADA, &switch).await.unwrap_err();
        assert!(matches!(error, TargetError::Denied { .. }), "{error:?}");
    }
    assert_eq!(office.state(ADA), "active");
}

#[tokio::test]
async fn a_404_about_a_leaver_is_not_believed_before_a_look() {
    // CLOUD-44
    for (way, route) in [
        (OffSwitch::Suspend, "/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}/suspend"),
        (OffSwitch::Remove, "DELETE"),
        (OffSwitch::Deactivate, "/users/{account_id}/manage/lifecycle/disable"),
        (OffSwitch::Delete, "/users/{account_id}/manage/lifecycle/delete"),
        (OffSwitch::Revoke, "/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}/role-assignments"),
    ] {
        // Nobody who was invited a moment ago: he might just not be there yet.
        let office = Office::open().await;
        let id = AccountId(office.sandbox.change(|world| world.add_person(&NewPerson::named(ADA, "Ada K"))));
        office.sandbox.inject(Fault::status(404).on(route).times(1));
        let reason = refusal(office.switch(&id, ADA, &off(Some(way))).await.unwrap_err());
        assert!(reason.contains("lists the account"), "{way:?}: {reason}");
        assert_eq!(office.state(ADA), "active", "{way:?}");
    }
}

#[tokio::test]
async fn a_404_about_somebody_who_is_suspended_is_off_and_not_out() {
    // CLOUD-44
    let office = Office::open().await;
    let id = AccountId(office.sandbox.change(|world| world.add_person(&NewPerson::named(ADA, "Ada K"))));
    office.switch(&id, ADA, &off(None)).await.unwrap();
    office
        .sandbox
        .inject(Fault::status(404).on("/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}/suspend").times(1));
    let written = office.switch(&id, ADA, &off(None)).await.unwrap();
    assert!(matches!(written, Written::Seen(seen) if seen.off == Some(OffSwitch::Suspend)));
    office.sandbox.inject(Fault::status(404).on("DELETE").times(1));
    let error = office.target.delete_account(&office.calls(), of(&id, ADA)).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_group_that_may_not_be_left_keeps_nothing_else_from_being_taken() {
    // CLOUD-28, CLOUD-33
    let (office, id) = employed().await;
    // Ids ascend: the synced group comes before the last one.
    let product = "jira-software-users-northwind-labs";
    let (first, last) = (office.crew("Crew of old").await, office.crew("Crew of new").await);
    office.sandbox.change(|world| {
        let role = (world.apps[0].resource.clone(), "atlassian/user".to_owned());
        for group in [&first, &last] {
            world.edit_group(group, |group| group.roles.extend([role.clone()]));
            world.join(&id.0, group).unwrap();
        }
        world.edit_group(&first, |group| group.synced = true);
    });
    let reason = refusal(office.switch(&id, ADA, &off(Some(OffSwitch::Revoke))).await.unwrap_err());
    assert!(!reason.is_empty());
    assert_eq!(office.members("Crew of old"), [ADA]);
    assert!(office.members("Crew of new").is_empty() && office.members(product).is_empty());
    assert!(office.sandbox.look(|world| world.person(ADA).unwrap().roles.is_empty()));
}

#[tokio::test]
async fn roles_beyond_the_first_page_are_taken_as_well() {
    // CLOUD-15, CLOUD-28
    let (office, id) = employed().await;
    let crew = office.sandbox.look(|world| world.group("Crew").unwrap().id.clone());
    office.sandbox.change(|world| {
        for n in 0..25 {
            let key = format!("loom-{n:02}");
            let resource = format!("ari:cloud:{key}::site/1");
            let app = App { name: key.clone(), key, resource, seats: None, selected_by_default: false };
            world.install(app);
        }
        // The last of the apps is given directly, and one that is far down by a group with many roles.
        let role = |app: &App| (app.resource.clone(), "atlassian/user".to_owned());
        let mut roles: Vec<_> = world.apps.iter().map(role).collect();
        let own = roles.pop().unwrap();
        world.edit_person(ADA, |ada| ada.roles.extend([own])).unwrap();
        world.edit_group(&crew, |group| group.roles.extend(roles));
    });
    office.switch(&id, ADA, &off(Some(OffSwitch::Revoke))).await.unwrap();
    assert!(office.members("Crew").is_empty());
    assert!(office.sandbox.look(|world| world.person(ADA).unwrap().roles.is_empty()));
}
