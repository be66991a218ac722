//! What a site's token can do alone.

use jira_scim::account::{Access, AccountId, Field, OffSwitch};
use jira_scim::jira::{AccountChange, Created, EnsuredGroup, Switch, TargetError, Written};
use jira_scim::sandbox::{CloudSandboxOptions, Fault, NewPerson};

use super::{Office, group, of, person, refusal, software, told};

const ADA: &str = "ada@example.test";

async fn with_seats(seats: u32) -> Office {
    let options = CloudSandboxOptions { seats: Some(seats), ..CloudSandboxOptions::default() };
    Office::like(options, |_, options| options.organization = None).await
}

fn off(way: Option<OffSwitch>) -> Switch {
    Switch { active: false, off: way, hand_over_to: None }
}

#[tokio::test]
async fn a_person_is_looked_for_and_added_with_products_and_nobody_can_write_the_profile() {
    // CLOUD-18, CLOUD-21
    let office = Office::keyless().await;
    let mut ada = person(ADA);
    ada.access.insert(software());
    let calls = office.calls();
    let Created::New(seen) = office.target.create_account(&calls, &ada).await.unwrap() else { panic!("not new") };
    assert_eq!(told(&calls), ["GET /user/search?query={query}&maxResults=50 200", "POST /user 201"]);
    assert_eq!((seen.username.as_str(), seen.read_only.len()), (ADA, 4));
    assert_eq!(office.members("jira-software-users-northwind-labs"), [ADA]);
    // CLOUD-22: a site mails, and nothing can be done about it.
    assert_eq!(office.sandbox.totals().mails, 1);
    let Created::Exists(found) = office.target.create_account(&office.calls(), &ada).await.unwrap() else {
        panic!("twice")
    };
    assert_eq!(found.id, seen.id);
    let change = AccountChange { display_name: Some("Ada".to_owned()), ..AccountChange::default() };
    let written = office.target.update_account(&office.calls(), of(&seen.id, ADA), &change).await.unwrap();
    assert!(matches!(written, Written::Seen(seen) if seen.read_only.contains(&Field::DisplayName)));
}

#[tokio::test]
async fn a_failure_is_not_believed_before_a_look() {
    // CLOUD-24
    let office = Office::keyless().await;
    office.sandbox.change(|world| world.fails_after_success = true);
    let calls = office.calls();
    let created = office.target.create_account(&calls, &person(ADA)).await.unwrap();
    assert!(matches!(created, Created::New(_)));
    assert_eq!(told(&calls)[1..], ["POST /user 400", "GET /user/search?query={query}&maxResults=50 200"]);
    // Removed and added again: a 500, and he is there.
    let id = office.sandbox.look(|world| AccountId(world.person(ADA).unwrap().id.clone()));
    office.switch(&id, ADA, &off(None)).await.unwrap();
    let calls = office.calls();
    let on = Switch { active: true, off: Some(OffSwitch::Remove), hand_over_to: None };
    office.target.set_active(&calls, of(&id, ADA), &on).await.unwrap();
    assert_eq!(told(&calls)[1..], ["POST /user 500", "GET /user/search?query={query}&maxResults=50 200"]);
    assert_eq!(office.state(ADA), "active");
}

#[tokio::test]
async fn seats_that_are_taken_are_told_from_other_refusals() {
    // CLOUD-25, CLOUD-26
    let office = with_seats(0).await;
    let mut ada = person(ADA);
    ada.access.insert(software());
    let error = office.target.create_account(&office.calls(), &ada).await.unwrap_err();
    let TargetError::NoSeats { reason } = error else { panic!("{error:?}") };
    assert_eq!(reason, "All 0 seats of Jira are taken");
    // Without a product there is nothing to run out of; a group that grants one has no room either.
    let id = office.hire(ADA).await;
    let error = office.target.grant(&office.calls(), of(&id, ADA), &software()).await.unwrap_err();
    assert!(matches!(error, TargetError::NoSeats { .. }), "{error:?}");
    let mut bad = person("no address");
    bad.username = "no address".to_owned();
    assert!(matches!(office.target.create_account(&office.calls(), &bad).await, Err(TargetError::Refused { .. })));
}

#[tokio::test]
async fn a_leaver_is_removed_and_the_ways_that_need_the_key_say_so() {
    // CLOUD-43, CLOUD-44
    let office = Office::keyless().await;
    let id = office.hire(ADA).await;
    for way in [OffSwitch::Suspend, OffSwitch::Deactivate, OffSwitch::Delete] {
        let reason = refusal(office.switch(&id, ADA, &off(Some(way))).await.unwrap_err());
        assert!(reason.contains(way.name()) && reason.contains("API key of the Atlassian organisation"), "{reason}");
    }
    let calls = office.calls();
    let written = office.target.set_active(&calls, of(&id, ADA), &off(None)).await.unwrap();
    assert_eq!(written, Written::AsAsked { off: Some(OffSwitch::Remove) });
    assert_eq!(told(&calls), ["DELETE /user?accountId={accountId} 204"]);
    assert_eq!(office.switch(&id, ADA, &off(None)).await.unwrap(), written);
    assert_eq!(office.state(ADA), "not_invited");
    // CLOUD-23: coming back asks for what the site gives to everybody.
    let on = Switch { active: true, off: Some(OffSwitch::Remove), hand_over_to: None };
    let calls = office.calls();
    office.target.set_active(&calls, of(&id, ADA), &on).await.unwrap();
    assert_eq!(told(&calls), ["GET /applicationrole 200", "POST /user 201"]);
}

#[tokio::test]
async fn access_is_membership_in_the_groups_that_grant_it() {
    // CLOUD-25, CLOUD-34
    let office = Office::keyless().await;
    let id = office.hire(ADA).await;
    let other = office.crew("Crew").await;
    office.target.add_member(&office.calls(), group("Crew", &other), of(&id, ADA)).await.unwrap();
    let calls = office.calls();
    office.target.grant(&calls, of(&id, ADA), &software()).await.unwrap();
    assert_eq!(told(&calls), ["GET /applicationrole 200", "POST /group/user?groupId={groupId} 201"]);
    let calls = office.calls();
    let written = office.target.set_active(&calls, of(&id, ADA), &off(Some(OffSwitch::Revoke))).await.unwrap();
    let Written::Seen(seen) = written else { panic!("not seen") };
    assert_eq!((seen.active, seen.groups), (false, Some(vec!["Crew".to_owned()])));
    let confluence = Access { resource: "ari:cloud:confluence::site/1".to_owned(), role: String::new() };
    let reason = refusal(office.target.grant(&office.calls(), of(&id, ADA), &confluence).await.unwrap_err());
    assert!(reason.contains("confluence") && reason.contains("API key"), "{reason}");
}

#[tokio::test]
async fn a_group_is_made_found_and_filled_by_its_id() {
    // CLOUD-31, CLOUD-32
    let office = Office::keyless().await;
    let calls = office.calls();
    let EnsuredGroup::New { id: Some(crew) } = office.target.ensure_group(&calls, "Crew").await.unwrap() else {
        panic!("not new")
    };
    assert_eq!(told(&calls), ["POST /group 201"]);
    assert!(matches!(office.target.ensure_group(&office.calls(), "CREW").await.unwrap(), EnsuredGroup::Existed(_)));
    let id = office.hire(ADA).await;
    let calls = office.calls();
    for _ in 0..2 {
        office.target.add_member(&calls, group("Crew", &crew), of(&id, ADA)).await.unwrap();
    }
    for _ in 0..2 {
        office.target.remove_member(&calls, group("Crew", &crew), of(&id, ADA)).await.unwrap();
    }
    let delete = "DELETE /group/user?groupId={groupId}&accountId={accountId}";
    assert_eq!(
        told(&calls),
        [
            "POST /group/user?groupId={groupId} 201".to_owned(),
            "POST /group/user?groupId={groupId} 400".to_owned(),
            format!("{delete} 200"),
            format!("{delete} 400"),
        ]
    );
    office.target.delete_group(&office.calls(), group("Crew", &crew)).await.unwrap();
    let error = office.target.add_member(&office.calls(), group("Crew", "gone"), of(&id, ADA)).await.unwrap_err();
    // Somebody who was invited a moment ago may just not be there yet.
    assert!(matches!(error, TargetError::Later { .. }), "{error:?}");
}

#[tokio::test]
async fn synced_groups_are_recognised_and_teams_are_no_groups() {
    // CLOUD-33, CLOUD-35
    let office = Office::keyless().await;
    let (synced, team) = (office.crew("Synced").await, office.crew("Dream").await);
    office.sandbox.change(|world| {
        world.edit_group(&synced, |group| group.synced = true);
        world.edit_group(&team, |group| group.team = true);
    });
    let seen = office.target.find_group(&office.calls(), "synced").await.unwrap().unwrap();
    assert!(seen.read_only.is_some());
    assert_eq!(office.target.find_group(&office.calls(), "Dream").await.unwrap(), None);
    let id = office.hire(ADA).await;
    let error = office.target.add_member(&office.calls(), group("Synced", &synced), of(&id, ADA)).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "our credential is fine: {error:?}");
    // The picker shows twenty; the exact list has the last word.
    for n in 0..30 {
        office.crew(&format!("aa crew {n:02}")).await;
    }
    office.crew("crew").await;
    assert!(office.target.find_group(&office.calls(), "crew").await.unwrap().is_some());
}

#[tokio::test]
async fn a_hidden_address_is_unknown_and_finds_nobody() {
    // CLOUD-17
    let office = Office::keyless().await;
    let id = office.sandbox.change(|world| {
        let id = world.add_person(&NewPerson::named(ADA, "Ada K"));
        world.edit_person(ADA, |ada| ada.email_hidden = true).unwrap();
        AccountId(id)
    });
    assert_eq!(office.target.find_account(&office.calls(), ADA).await.unwrap(), None);
    let seen = office.target.get_account(&office.calls(), &id).await.unwrap().unwrap();
    assert_eq!((seen.email, seen.display_name.as_str()), (None, "Ada K"));
    // Adding somebody who is there is no error, and brings the same account.
    let mut ada = person(ADA);
    ada.access.insert(software());
    let Created::New(made) = office.target.create_account(&office.calls(), &ada).await.unwrap() else {
        panic!("found")
    };
    assert_eq!((made.id, made.username.as_str()), (id, ADA));
    assert_eq!(office.target.get_account(&office.calls(), &AccountId("no".into())).await.unwrap(), None);
}

#[tokio::test]
async fn a_403_is_looked_into_before_the_credential_is_blamed() {
    let office = Office::keyless().await;
    let crew = office.crew("Crew").await;
    let id = office.hire(ADA).await;
    office.sandbox.inject(Fault::status(403).on("POST /rest/api/3/group/user").times(1));
    let error = office.target.add_member(&office.calls(), group("Crew", &crew), of(&id, ADA)).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_product_of_jira_is_not_said_to_be_taken_away() {
    // CLOUD-25
    let office = Office::keyless().await;
    let id = office.hire(ADA).await;
    let confluence = Access { resource: "ari:cloud:confluence::site/1".to_owned(), role: String::new() };
    let calls = office.calls();
    let reason = refusal(office.target.revoke(&calls, of(&id, ADA), &confluence).await.unwrap_err());
    assert!(reason.contains("confluence") && reason.contains("API key"), "{reason}");
    assert!(told(&calls).is_empty());
}

#[tokio::test]
async fn a_404_about_a_leaver_of_a_site_is_not_believed_before_a_look() {
    // CLOUD-8, CLOUD-44
    let office = Office::keyless().await;
    let id = AccountId(office.sandbox.change(|world| world.add_person(&NewPerson::named(ADA, "Ada K"))));
    office.sandbox.inject(Fault::status(404).on("DELETE").times(1));
    let reason = refusal(office.switch(&id, ADA, &off(None)).await.unwrap_err());
    assert!(reason.contains("lists the account"), "{reason}");
    assert_eq!(office.state(ADA), "active");
}

#[tokio::test]
async fn an_address_that_is_another_account_by_now_is_not_taken_for_the_one_of_old() {
    // CLOUD-48
    let office = Office::keyless().await;
    let id = office.hire(ADA).await;
    office.switch(&id, ADA, &off(None)).await.unwrap();
    office.sandbox.change(|world| world.close(ADA)).unwrap();
    let on = Switch { active: true, off: Some(OffSwitch::Remove), hand_over_to: None };
    let error = office.switch(&id, ADA, &on).await.unwrap_err();
    assert_eq!(error, TargetError::Gone { what: format!("the account {id}") });
}
