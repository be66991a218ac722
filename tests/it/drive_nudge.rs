//! The drive, clause 1: a nudge counts up, also where the row is there; a drive removes only what it claimed.

use jira_scim::directory::Precondition;
use jira_scim::sandbox::{Fault, NewAccount};
use serde_json::json;

use crate::drive_world::soon;
use crate::world::World;

/// Fails when `seq = outbox.seq + 1` is taken out of any of the statements that nudge.
#[tokio::test]
async fn every_change_counts_up_the_row_that_is_there() {
    let world = World::new().await;
    let ann = world.user_like(json!({"userName": "ann", "externalId": "e-1"})).await;
    let crew = world.group("Crew", &[]).await;
    let seq = "SELECT seq FROM outbox WHERE kind = 'user'";
    assert_eq!(world.number(seq).await, 1);
    world.set(ann, json!({"displayName": "Ann"})).await;
    assert_eq!(world.number(seq).await, 2);
    world.member(crew, ann, true).await;
    assert_eq!(world.number(seq).await, 3);
    world.delete(ann).await;
    assert_eq!(world.number(seq).await, 4);
    world.user_like(json!({"userName": "ann", "externalId": "e-1"})).await;
    assert_eq!(world.number(seq).await, 5);
    world.delete_group(crew).await;
    assert_eq!(world.number("SELECT seq FROM outbox WHERE kind = 'group'").await, 2);
}

/// Fails when `AND seq = $5` is taken out of `drive.finish`: the row goes, and with it the change.
#[tokio::test]
async fn a_change_during_the_calls_leaves_the_subject_due_at_once() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.jira.inject(Fault::hold().on("POST /user").times(1));
    let drive = world.driving(ann);
    world.seen("POST /user").await;
    world.set(ann, json!({"displayName": "Ann Moss"})).await;
    world.jira.release_held();
    soon(drive).await.unwrap().unwrap();
    assert_eq!(world.number("SELECT count(*) FROM outbox WHERE due_at <= now()").await, 1);
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.account("ann").unwrap().display_name, "Ann Moss");
    assert_eq!(world.outbox().await, 0);
}

/// Fails when `CASE WHEN seq = $5` is taken out of `drive.finish`: the change waits for tomorrow's retry.
#[tokio::test]
async fn a_change_during_the_calls_does_not_wait_for_a_time_that_the_drive_found() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.make_lead("ann", "OPS").unwrap();
    world.set(ann, json!({"active": false})).await;
    world.jira.inject(Fault::hold().on("PUT /user").times(1));
    let drive = world.driving(ann);
    world.seen("PUT /user").await;
    world.set(ann, json!({"displayName": "Ann Moss"})).await;
    world.jira.release_held();
    soon(drive).await.unwrap().unwrap();
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.account("ann").unwrap().display_name, "Ann Moss");
}

/// Fails when `lease_token = $4` is taken out of `drive.finish` and of `drive.still_holds`.
#[tokio::test]
async fn a_drive_does_not_remove_a_row_that_somebody_else_has_leased() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.jira.inject(Fault::hold().on("POST /user").times(1));
    let drive = world.driving(ann);
    world.seen("POST /user").await;
    world.steal().await;
    world.jira.release_held();
    soon(drive).await.unwrap().unwrap();
    assert_eq!(world.number("SELECT count(*) FROM outbox WHERE lease_until > now()").await, 1);
}

/// A drive in the middle of its calls is told of nothing: ten changes during an outage become one write.
#[tokio::test]
async fn ten_changes_become_one_write() {
    let world = World::new().await;
    world.jira.add_account(&NewAccount::named("somebody")).unwrap();
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    let before = world.count("PUT /user");
    for n in 0..10 {
        let patch = World::patch(json!([{"op": "replace", "path": "displayName", "value": format!("Ann {n}")}]));
        let caller = world.caller_in_a_hurry();
        world.directory.patch_user(&caller, &ann.to_string(), patch, &Precondition::None).await.unwrap();
    }
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.account("ann").unwrap().display_name, "Ann 9");
    assert_eq!(world.count("PUT /user") - before, 1);
}
