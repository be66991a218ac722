//! Login names that change hands while Jira is not yet as it will be: the outcome of an earlier call is not known, or a
//! rename is still to come.

use jira_scim::directory::Precondition;
use jira_scim::sandbox::Fault;
use jira_scim::writer::Settled;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_user_renamed_after_a_create_with_a_lost_answer_has_one_account_under_the_new_name() {
    let world = World::new().await;
    world.jira.inject(Fault::drop_answer().on("POST /user").times(1));
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    assert!(world.jira.account("ann").is_some(), "the work was done, and the answer lost");
    let rename = World::patch(json!([{"op": "replace", "path": "userName", "value": "ann.moss"}]));
    let caller = world.caller_in_a_hurry();
    world.directory.patch_user(&caller, &ann.to_string(), rename, &Precondition::None).await.unwrap();
    for _ in 0..3 {
        world.later(600).await;
        world.writer.drain().await.unwrap();
    }
    let accounts = world.jira.accounts().into_iter().map(|account| account.username);
    let ours: Vec<String> = accounts.filter(|name| *name != world.jira.admin()).collect();
    assert_eq!(ours, ["ann.moss"]);
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn a_name_given_up_by_a_rename_with_a_lost_answer_is_free_for_others() {
    let world = World::new().await;
    let ann = world.user_like(json!({"userName": "ann", "externalId": "e-1"})).await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::drop_answer().on("PUT /user").times(1));
    let rename = World::patch(json!([{"op": "replace", "path": "userName", "value": "ann.moss"}]));
    let caller = world.caller_in_a_hurry();
    world.directory.patch_user(&caller, &ann.to_string(), rename, &Precondition::None).await.unwrap();
    world.writer.drain().await.unwrap();
    assert!(world.jira.account("ann.moss").is_some(), "the work was done, and the answer lost");
    for _ in 0..3 {
        world.later(600).await;
        world.writer.drain().await.unwrap();
    }
    world.user_like(json!({"userName": "ann", "externalId": "e-2"})).await;
    world.writer.drain().await.unwrap();
    assert!(world.jira.account("ann").is_some_and(|account| account.active), "{}", world.record(ann).await);
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn an_account_that_is_about_to_be_renamed_is_nobody_elses_obstacle() {
    let world = World::new().await;
    let ann = world.user_like(json!({"userName": "ann", "externalId": "e-1"})).await;
    world.writer.drain().await.unwrap();
    let rename = World::patch(json!([{"op": "replace", "path": "userName", "value": "ann.moss"}]));
    let caller = world.caller_in_a_hurry();
    world.directory.patch_user(&caller, &ann.to_string(), rename, &Precondition::None).await.unwrap();
    // Inactive, so that the name is looked up at once.
    let attrs = json!({"userName": "ann", "externalId": "e-2", "active": false});
    let other = world.directory.create_user(&world.caller(), attrs.as_object().unwrap().clone()).await.unwrap();
    world.settle(&other).await;
    let activate = World::patch(json!([{"op": "replace", "path": "active", "value": true}]));
    let id = other.view.id.to_string();
    let accepted = world.directory.patch_user(&world.caller(), &id, activate, &Precondition::None).await.unwrap();
    assert_eq!(world.settle(&accepted).await, Settled::Applied, "{}", world.record(other.view.id).await);
    assert!(world.jira.account("ann").is_some_and(|account| account.active));
    assert!(world.jira.account("ann.moss").is_some_and(|account| account.active));
}
