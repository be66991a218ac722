//! The spine, end to end below HTTP: a change reaches Jira in as few calls as the design says.

use jira_scim::directory::Precondition;
use jira_scim::writer::Settled;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn creating_a_user_is_one_call_and_leaves_nothing_open() {
    let world = World::new().await;
    let attrs = json!({"userName": "ann.moss", "displayName": "Ann Moss", "emails": [{"value": "ann@corp.example"}]});
    let accepted = world.directory.create_user(&world.caller(), attrs.as_object().unwrap().clone()).await.unwrap();
    assert_eq!(world.settle(&accepted).await, Settled::Applied);
    let account = world.jira.account("ann.moss").unwrap();
    assert_eq!(
        (account.email.as_str(), account.display_name.as_str(), account.active),
        ("ann@corp.example", "Ann Moss", true)
    );
    assert_eq!(world.writes(), ["POST /user"]);
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn a_groups_life_costs_one_call_a_membership() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    let bo = world.user("bo").await;
    let crew = world.group("Platform Crew", &[ann]).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("ann"), ["Platform Crew"]);
    let before = world.calls();
    let add = World::patch(json!([{"op": "add", "path": "members", "value": [{"value": bo.to_string()}]}]));
    let accepted =
        world.directory.patch_group(&world.caller(), &crew.to_string(), add, &Precondition::None).await.unwrap();
    assert_eq!(world.settle(&accepted).await, Settled::Applied);
    assert_eq!(world.groups_of("bo"), ["Platform Crew"]);
    assert_eq!(world.calls() - before, 1, "{:?}", world.writes());
    world.directory.delete_group(&world.caller_in_a_hurry(), &crew.to_string(), &Precondition::None).await.unwrap();
    world.writer.drain().await.unwrap();
    assert!(world.groups_of("ann").is_empty() && world.groups_of("bo").is_empty());
    assert!(world.jira.groups().iter().any(|group| group == "Platform Crew"), "the Jira group stays");
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn a_leaver_is_deactivated_and_a_rehire_gets_the_same_id_and_account_back() {
    let world = World::new().await;
    let ann = world.user_like(json!({"userName": "ann", "externalId": "e-1"})).await;
    world.group("Crew", &[ann]).await;
    world.writer.drain().await.unwrap();
    world.directory.delete_user(&world.caller_in_a_hurry(), &ann.to_string(), &Precondition::None).await.unwrap();
    world.writer.drain().await.unwrap();
    assert!(!world.jira.account("ann").unwrap().active);
    assert!(world.groups_of("ann").is_empty());
    let again = world.user_like(json!({"userName": "ann", "externalId": "e-1"})).await;
    assert_eq!(again, ann);
    world.writer.drain().await.unwrap();
    assert!(world.jira.account("ann").unwrap().active);
    assert!(world.groups_of("ann").is_empty(), "from the IdP's present state, never from memory");
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn a_request_that_changes_nothing_writes_nothing() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    let before = world.calls();
    let patch = World::patch(json!([{"op": "replace", "path": "displayName", "value": "ann"}]));
    let accepted =
        world.directory.patch_user(&world.caller(), &ann.to_string(), patch, &Precondition::None).await.unwrap();
    assert!(!accepted.changed);
    assert_eq!(accepted.view.version, 1);
    assert_eq!(world.settle(&accepted).await, Settled::Applied);
    assert_eq!(world.calls(), before);
}
