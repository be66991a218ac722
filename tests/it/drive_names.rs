//! The drive, clause 10, and what nothing may touch: who holds a name or an account, adoption, our own account, groups
//! that make administrators; what leaving does.

use jira_scim::sandbox::{Fault, NewAccount, Reference};
use jira_scim::writer::Settled;
use serde_json::json;

use crate::world::World;

/// Fails when the claim of the name is taken out, or when a conflict is refused while the other is open.
#[tokio::test]
async fn a_chain_of_renames_is_done_from_its_end() {
    let world = World::new().await;
    let (ann, bo) = (world.user("a").await, world.user("b").await);
    world.writer.drain().await.unwrap();
    let keys = [world.jira.account("a").unwrap().key, world.jira.account("b").unwrap().key];
    world.set(bo, json!({"userName": "c"})).await;
    world.set(ann, json!({"userName": "b"})).await;
    // The one who waits is driven first.
    world.drive(ann).await;
    assert_eq!([world.jira.account("b").unwrap().key, world.jira.account("c").unwrap().key], keys);
    world.writer.drain().await.unwrap();
    assert_eq!(world.outbox().await, 0);
    assert_eq!(world.record(ann).await["steps"], json!(null));
}

/// Fails as above: three in a row, one after the other, and nobody is refused on the way.
#[tokio::test]
async fn a_longer_chain_takes_longer_and_refuses_nobody() {
    let world = World::new().await;
    let people = [world.user("a").await, world.user("b").await, world.user("c").await, world.user("d").await];
    world.writer.drain().await.unwrap();
    for (person, name) in people.iter().zip(["b", "c", "d", "e"]).rev() {
        world.set(*person, json!({"userName": name})).await;
    }
    world.drive(people[0]).await;
    world.drain_after(3).await;
    world.drain_after(3).await;
    for name in ["b", "c", "d", "e"] {
        assert!(world.jira.account(name).is_some(), "{name}");
    }
    assert_eq!(world.number("SELECT count(*) FROM link WHERE record ? 'steps'").await, 0);
    assert_eq!(world.outbox().await, 0);
}

/// Fails when a holder in the middle of a back-off is not open.
#[tokio::test]
async fn a_conflict_is_not_refused_while_the_other_waits_for_its_turn() {
    let world = World::new().await;
    let (ann, bo) = (world.user("a").await, world.user("b").await);
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::status(500).on("PUT /user").containing("\"c\""));
    world.set(bo, json!({"userName": "c"})).await;
    world.writer.drain().await.unwrap();
    world.set(ann, json!({"userName": "b"})).await;
    world.drive(ann).await;
    assert_eq!(world.record(ann).await["steps"], json!(null));
    world.jira.clear_faults();
    world.drain_after(301).await;
    world.drain_after(3).await;
    assert!(world.jira.account("b").is_some() && world.jira.account("c").is_some());
    assert_eq!(world.outbox().await, 0);
}

/// Fails when a tombstone's account is taken over without approval: another externalId is another person.
#[tokio::test]
async fn the_name_of_somebody_who_had_an_account_is_not_given_to_another_person() {
    let world = World::new().await;
    let first = world.user_like(json!({"userName": "ann", "externalId": "e-1"})).await;
    world.writer.drain().await.unwrap();
    world.delete(first).await;
    world.writer.drain().await.unwrap();
    let attrs = json!({"userName": "ann", "externalId": "e-2"}).as_object().unwrap().clone();
    let accepted = world.directory.create_user(&world.caller(), attrs).await.unwrap();
    assert_ne!(accepted.view.id, first);
    let Settled::Refused(refusal) = world.settle(&accepted).await else { panic!("not refused") };
    assert!(refusal.conflict, "{refusal:?}");
    assert!(!world.is_active("ann"));
}

/// Fails when the claim of somebody without an account is not passed on: one that a process left behind that died.
#[tokio::test]
async fn the_name_of_somebody_who_never_had_an_account_is_free() {
    let world = World::new().await;
    let first = world.user_like(json!({"userName": "ann", "externalId": "e-1"})).await;
    world.sql("INSERT INTO claim SELECT 'jira', 'name', user_name_key, tenant_id, id FROM scim_user").await;
    world.delete(first).await;
    world.writer.drain().await.unwrap();
    let second = world.user_like(json!({"userName": "ann", "externalId": "e-2"})).await;
    world.writer.drain().await.unwrap();
    assert!(world.is_active("ann"));
    assert_eq!(world.record(second).await["made"], true);
}

/// Fails when a tombstone that is about to free the name is not waited for.
#[tokio::test]
async fn the_name_of_somebody_whose_account_is_being_deleted_is_waited_for() {
    let world = World::with_policy(json!({"deprovision": {"on_delete": "delete"}})).await;
    let first = world.user_like(json!({"userName": "ann", "externalId": "e-1"})).await;
    world.writer.drain().await.unwrap();
    world.delete(first).await;
    let second = world.user_like(json!({"userName": "ann", "externalId": "e-2"})).await;
    world.drive(second).await;
    assert_eq!(world.writes(), ["POST /user", "DELETE /user", "POST /user"]);
    assert!(world.is_active("ann"));
    assert_eq!(world.record(second).await["made"], true);
}

/// Fails when claims are not across tenants.
#[tokio::test]
async fn an_account_of_another_tenant_is_never_adopted() {
    let world = World::new().await;
    let other = world.other_tenant("other").await;
    world.user_like(json!({"userName": "ann", "displayName": "Ann"})).await;
    world.writer.drain().await.unwrap();
    let attrs = json!({"userName": "ann", "displayName": "Somebody Else"}).as_object().unwrap().clone();
    let caller = world.caller_of(&other, Some(world.writer.settle_lease()));
    let accepted = world.directory.create_user(&caller, attrs).await.unwrap();
    let settled = world.writer.settle(&other, accepted.about, &accepted.nudged).await;
    assert!(matches!(&settled, Settled::Refused(refusal) if refusal.conflict), "{settled:?}");
    // Also when the name was changed in Jira by hand, so that only the account tells.
    world.sql("DELETE FROM claim WHERE what = 'name'").await;
    let attrs = json!({"displayName": "Somebody Else Altogether"});
    let patch = World::patch(json!([{ "op": "replace", "value": attrs }]));
    let id = accepted.view.id.to_string();
    let caller = world.caller_of(&other, None);
    world.directory.patch_user(&caller, &id, patch, &jira_scim::directory::Precondition::None).await.unwrap();
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.account("ann").unwrap().display_name, "Ann");
}

/// Fails when the own account is not protected by its name, or by its key.
#[tokio::test]
async fn our_own_account_is_never_adopted_renamed_or_disabled() {
    let world = World::new().await;
    let own = world.jira.admin().to_owned();
    let before = world.jira.account(&own).unwrap();
    let attrs = json!({"userName": own.to_uppercase(), "active": false}).as_object().unwrap().clone();
    let accepted = world.directory.create_user(&world.caller(), attrs).await.unwrap();
    assert!(matches!(world.settle(&accepted).await, Settled::Refused(_)));
    world.delete(accepted.view.id).await;
    world.user(&own).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.writes(), [""; 0], "Jira is not even asked");
    world.delete(accepted.view.id).await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.set(ann, json!({"userName": own})).await;
    world.writer.drain().await.unwrap();
    // Even one that was linked before our credential was changed.
    let record = json!({"known": {"linked": {"seen": {"id": before.key, "username": own, "email": before.email,
        "display_name": before.display_name, "active": true}, "maybe": false}}});
    sqlx::query("UPDATE link SET record = $2 WHERE user_id = $1")
        .bind(ann)
        .bind(record)
        .execute(world.pool())
        .await
        .unwrap();
    world.set(ann, json!({"userName": "other", "active": false})).await;
    world.writer.drain().await.unwrap();
    world.delete(ann).await;
    world.writer.drain().await.unwrap();
    let after = world.jira.account(&own).unwrap();
    assert_eq!((after.active, after.display_name, after.groups), (true, before.display_name, before.groups));
}

/// Fails when the label is not looked at before the group is joined, left or created into.
#[tokio::test]
async fn groups_that_make_administrators_are_never_joined_or_left_unless_they_are_allowed() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.group("jira-administrators", &[ann]).await;
    world.writer.drain().await.unwrap();
    assert!(world.groups_of("ann").is_empty());
    assert_eq!(world.pair_step(ann, "jira-administrators").await["state"], "refused");
    // One that got its label after we had asked.
    world.jira.add_group("Secret Bosses").unwrap();
    world.jira.label_admin("Secret Bosses").unwrap();
    let bosses = world.group("secret bosses", &[ann]).await;
    world.writer.drain().await.unwrap();
    assert!(world.groups_of("ann").is_empty());
    // Somebody whom an administrator put in is not taken out.
    world.jira.add_member("Secret Bosses", "ann").unwrap();
    world.sql("UPDATE jira_membership SET written = true, step = NULL").await;
    world.member(bosses, ann, false).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("ann"), ["Secret Bosses"]);
    assert_eq!(world.count("POST /group/user") + world.count("DELETE /group/user"), 0);

    let world = World::with_policy(json!({"protect": {"allow": ["Jira-Administrators"]}})).await;
    let ann = world.user("ann").await;
    world.group("jira-administrators", &[ann]).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("ann"), ["jira-administrators"]);
}

/// Fails when an account that exists is refused, or its groups are taken for ours.
#[tokio::test]
async fn an_account_and_a_group_that_exist_are_adopted_with_all_that_is_theirs() {
    let world = World::new().await;
    let key = world.account_by_hand("Ann");
    world.account_by_hand("stranger");
    for group in ["Crew", "Club"] {
        world.jira.add_group(group).unwrap();
        world.jira.add_member(group, "Ann").unwrap();
    }
    world.jira.add_member("Crew", "stranger").unwrap();
    let ann = world.user_like(json!({"userName": "ann", "displayName": "Ann Moss"})).await;
    let bo = world.user("bo").await;
    let crew = world.group("crew", &[ann, bo]).await;
    world.writer.drain().await.unwrap();
    let account = world.jira.account("ann").unwrap();
    assert_eq!((account.key, account.display_name.as_str()), (key, "Ann Moss"));
    assert_eq!(world.jira.members("Crew"), ["Ann", "bo", "stranger"]);
    world.delete_group(crew).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.members("Crew"), ["stranger"]);
    assert_eq!(world.groups_of("ann"), ["Club"], "what was never the IdP's stays");
    world.set(ann, json!({"active": false})).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("ann"), ["Club"]);
}

/// Fails when `adopt = "off"` links.
#[tokio::test]
async fn an_account_that_exists_is_a_conflict_when_adoption_is_off() {
    let world = World::with_policy(json!({"adopt": "off"})).await;
    world.account_by_hand("ann");
    let attrs = json!({"userName": "ann", "displayName": "Ann Moss"}).as_object().unwrap().clone();
    let accepted = world.directory.create_user(&world.caller(), attrs).await.unwrap();
    let Settled::Refused(refusal) = world.settle(&accepted).await else { panic!("not refused") };
    assert!(refusal.conflict && refusal.reason.contains("adoption is off"), "{refusal:?}");
    assert_eq!(world.jira.account("ann").unwrap().display_name, "ann");
    // When the stranger is gone the name is free, although the same account was found before.
    world.jira.change(|jira| jira.force_delete("ann")).unwrap();
    world.set(accepted.view.id, json!({"displayName": "Ann"})).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.account("ann").unwrap().display_name, "Ann");
}

/// Fails when default groups are not wanted by everybody who is active.
#[tokio::test]
async fn everybody_who_is_active_is_in_the_default_groups() {
    let world =
        World::with_policy(json!({"groups": {"default_groups": ["Everybody"]}, "deprovision": {"strip_groups": true}}))
            .await;
    let ann = world.user("ann").await;
    world.user_like(json!({"userName": "bo", "active": false})).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.members("Everybody"), ["ann"]);
    world.set(ann, json!({"active": false})).await;
    world.writer.drain().await.unwrap();
    assert!(world.jira.members("Everybody").is_empty());
    world.set(ann, json!({"active": true})).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.members("Everybody"), ["ann"]);
}

/// Fails when DELETE deletes although the policy says deactivate.
#[tokio::test]
async fn a_deleted_person_is_deactivated_and_out_of_all_our_groups() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.group("Crew", &[ann]).await;
    world.writer.drain().await.unwrap();
    world.delete(ann).await;
    world.writer.drain().await.unwrap();
    assert!(world.jira.account("ann").is_some_and(|account| !account.active));
    assert!(world.groups_of("ann").is_empty());
    assert_eq!(world.count("DELETE /user"), 0);
}

/// Fails when a refused deletion is the end of it.
#[tokio::test]
async fn a_person_who_cannot_be_deleted_is_deactivated() {
    let world = World::with_policy(json!({"deprovision": {"on_delete": "delete"}})).await;
    let (ann, bo) = (world.user("ann").await, world.user("bo").await);
    world.group("Crew", &[ann, bo]).await;
    world.writer.drain().await.unwrap();
    world.jira.change(|jira| jira.bind_to_issue("ann", Reference::Reported)).unwrap();
    world.delete(ann).await;
    world.delete(bo).await;
    world.writer.drain().await.unwrap();
    assert!(world.jira.account("ann").is_some_and(|account| !account.active));
    assert!(world.groups_of("ann").is_empty());
    assert!(world.jira.account("bo").is_none());
    assert_eq!(world.outbox().await, 0);
}

/// Fails when a person who was deleted in Jira by hand is not made again.
#[tokio::test]
async fn an_account_that_is_gone_is_made_again_with_its_groups() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.group("Crew", &[ann]).await;
    world.writer.drain().await.unwrap();
    world.jira.change(|jira| jira.force_delete("ann")).unwrap();
    world.set(ann, json!({"displayName": "Ann Moss"})).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.account("ann").unwrap().display_name, "Ann Moss");
    assert_eq!(world.groups_of("ann"), ["Crew"]);
}

/// Fails when a namesake in another case is a stranger.
#[tokio::test]
async fn a_change_of_letter_case_is_no_rename() {
    let world = World::new().await;
    world.jira.add_account(&NewAccount::named("ANN")).unwrap();
    let ann = world
        .user_like(json!({"userName": "ann", "displayName": "ANN", "emails": [{"value": "ANN@example.test"}]}))
        .await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.count("PUT /user"), 0);
    assert_eq!(world.record(ann).await["known"]["linked"]["seen"]["username"], "ANN");
}
