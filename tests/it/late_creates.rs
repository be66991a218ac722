//! A create whose answer was lost, and that Jira executes after the provider has thought better of it.

use jira_scim::directory::Precondition;
use jira_scim::sandbox::{Fault, LateTrigger};
use serde_json::json;
use uuid::Uuid;

use crate::world::World;

async fn rename(world: &World, user: Uuid, name: &str) {
    let patch = World::patch(json!([{ "op": "replace", "path": "userName", "value": name }]));
    let id = user.to_string();
    world.directory.patch_user(&world.caller_in_a_hurry(), &id, patch, &Precondition::None).await.unwrap();
}

/// Lets back-offs end, but not the second look come.
async fn soon(world: &World) {
    world.later(3).await;
    world.writer.drain().await.unwrap();
}

async fn after_the_second_look(world: &World) {
    world.later(400).await;
    world.writer.drain().await.unwrap();
}

fn people(world: &World) -> Vec<String> {
    let accounts = world.jira.accounts();
    let mut names: Vec<String> =
        accounts.iter().map(|a| a.username.clone()).filter(|name| name != world.jira.admin()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_rename_before_a_late_create_does_not_make_two_accounts() {
    let world = World::new().await;
    world.user("first").await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::late_closing(LateTrigger::Release).on("POST /user$").times(1));
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    rename(&world, ann, "anna").await;
    soon(&world).await;
    assert_eq!(people(&world), ["first"], "whether ann comes is not known yet: nobody is created under another name");
    assert_eq!(world.jira.release_late(), 1);
    world.jira.until(|jira| jira.account("ann").is_some()).await;
    after_the_second_look(&world).await;
    assert_eq!(people(&world), ["anna", "first"]);
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn a_create_that_never_came_frees_its_name() {
    let world = World::new().await;
    world.user("first").await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::drop_before().on("POST /user$").times(1));
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    rename(&world, ann, "anna").await;
    after_the_second_look(&world).await;
    assert_eq!(people(&world), ["anna", "first"]);
    world.user("ann").await;
    world.writer.drain().await.unwrap();
    assert_eq!(people(&world), ["ann", "anna", "first"]);
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn a_leaver_whose_create_comes_late_is_found_and_deactivated() {
    let world = World::new().await;
    world.user("first").await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::late_closing(LateTrigger::Release).on("POST /user$"));
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    let id = ann.to_string();
    world.directory.delete_user(&world.caller_in_a_hurry(), &id, &Precondition::None).await.unwrap();
    world.jira.clear_faults();
    soon(&world).await;
    assert_eq!(people(&world), ["first"]);
    world.jira.release_late();
    world.jira.until(|jira| jira.account("ann").is_some()).await;
    assert!(world.jira.account("ann").unwrap().active);
    after_the_second_look(&world).await;
    assert!(!world.jira.account("ann").unwrap().active);
    assert_eq!(world.outbox().await, 0);
}
