//! The drive, clause 3: leases, and the second look after an unknown outcome.

use jira_scim::sandbox::{Fault, LateTrigger};
use serde_json::json;
use uuid::Uuid;

use crate::drive_world::{in_background, soon};
use crate::world::{Make, World};
use jira_scim::store::outbox::Subject;
use std::time::Duration;

/// Fails when the renewal is taken out of the gate: the lease is shorter than a call, so each call has to renew it.
#[tokio::test]
async fn a_drive_whose_lease_was_taken_makes_no_further_call() {
    let world =
        World::make(Make { lease: Duration::from_secs(5), timeout: Duration::from_secs(5), ..Make::default() }).await;
    let ann = world.user("ann").await;
    world.group("Crew", &[ann]).await;
    world.jira.inject(Fault::hold().on("POST /user").times(1));
    let drive = world.driving(ann);
    world.seen("POST /user").await;
    world.steal().await;
    world.jira.release_held();
    soon(drive).await.unwrap().unwrap();
    assert_eq!(world.writes(), ["POST /user"]);
}

/// Fails when `still_holds` is not asked before the record is written.
#[tokio::test]
async fn a_drive_that_lost_its_lease_only_says_that_it_does_not_know() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.set(ann, json!({"displayName": "Ann Moss"})).await;
    world.jira.inject(Fault::hold().on("PUT /user").times(1));
    let drive = world.driving(ann);
    world.seen("PUT /user").await;
    world.steal().await;
    world.sql("UPDATE link SET record = jsonb_set(record, '{known,linked,maybe}', 'false')").await;
    world.jira.release_held();
    soon(drive).await.unwrap().unwrap();
    let record = world.record(ann).await;
    assert_eq!(record["known"]["linked"]["maybe"], true);
    assert_eq!(record["known"]["linked"]["seen"]["display_name"], "ann", "nothing that was learned is said");
    assert_eq!(world.number("SELECT count(*) FROM link WHERE look_at > now()").await, 1);
    assert_eq!(world.number("SELECT count(*) FROM delivery WHERE outcome = 'lost'").await, 1);
    world.drain_after(61).await;
    assert_eq!(world.record(ann).await["known"]["linked"]["seen"]["display_name"], "Ann Moss");
}

/// Fails when `keep_doubts` is taken out of the record: the second drive, which came after the lease had run out, writes
/// over what the first one could not know.
#[tokio::test]
async fn what_a_drive_doubts_that_lost_its_lease_survives_the_record_of_its_successor() {
    let world = World::make(Make { timeout: Duration::from_secs(1), ..Make::default() }).await;
    let ann = world.user("ann").await;
    let crew = world.group("Crew", &[]).await;
    world.writer.drain().await.unwrap();
    let second = world.another_writer();
    world.member(crew, ann, true).await;
    // The first drive's call is executed late, long after everybody has given it up.
    world.jira.inject(Fault::late(LateTrigger::Release).on("POST /group/user").times(1));
    let first = world.driving(ann);
    world.seen("POST /group/user").await;
    world.member(crew, ann, false).await;
    world.later(61).await;
    world.jira.inject(Fault::hold().on("GET /user").times(1));
    let successor = in_background(&second, world.tenant.id, Subject::User(ann));
    world.seen("GET /user").await;
    // Its call times out: only now does the first drive come to its record, while its successor looks.
    soon(first).await.unwrap().unwrap();
    world.jira.release_held();
    soon(successor).await.unwrap().unwrap();
    assert_eq!(world.record(ann).await["watch"], json!(["crew"]));
    world.jira.release_late();
    assert_eq!(world.groups_of("ann"), ["Crew"]);
    world.drain_after(120).await;
    assert!(world.groups_of("ann").is_empty());
}

/// What the tests below do: a change whose call Jira executes only after the IdP has taken it back and the subject has
/// been looked at; then the second look.
async fn executed_late(world: &World, user: Uuid, operation: &str, change: impl AsyncFn(), back: impl AsyncFn()) {
    world.jira.inject(Fault::late_closing(LateTrigger::Release).on(operation).times(1));
    change().await;
    world.drive(user).await;
    back().await;
    world.drain_after(2).await;
    assert_eq!(world.jira.release_late(), 1);
    world.drain_after(61).await;
    assert_eq!(world.outbox().await, 0);
}

/// Fails when `unknown` sets no `look_at`; so do the four below.
#[tokio::test]
async fn a_late_create_is_found_and_deactivated() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    executed_late(&world, ann, "POST /user", async || {}, async || world.delete(ann).await).await;
    assert!(world.jira.account("ann").is_some());
    assert!(!world.is_active("ann"));
}

/// See [`a_late_create_is_found_and_deactivated`].
#[tokio::test]
async fn a_late_update_is_found_and_corrected() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    let change = async || world.set(ann, json!({"displayName": "Wrong"})).await;
    let back = async || world.set(ann, json!({"displayName": "ann"})).await;
    executed_late(&world, ann, "PUT /user", change, back).await;
    assert_eq!(world.jira.account("ann").unwrap().display_name, "ann");
}

/// See [`a_late_create_is_found_and_deactivated`].
#[tokio::test]
async fn a_late_deactivation_is_found_and_the_person_activated_again() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    let change = async || world.set(ann, json!({"active": false})).await;
    let back = async || world.set(ann, json!({"active": true})).await;
    executed_late(&world, ann, "PUT /user", change, back).await;
    assert!(world.is_active("ann"));
}

/// See [`a_late_create_is_found_and_deactivated`].
#[tokio::test]
async fn a_late_added_member_is_found_and_removed() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    let crew = world.group("Crew", &[]).await;
    world.writer.drain().await.unwrap();
    let change = async || world.member(crew, ann, true).await;
    let back = async || world.member(crew, ann, false).await;
    executed_late(&world, ann, "POST /group/user", change, back).await;
    assert!(world.groups_of("ann").is_empty());
}

/// See [`a_late_create_is_found_and_deactivated`].
#[tokio::test]
async fn a_late_removed_member_is_found_and_added_again() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    let crew = world.group("Crew", &[ann]).await;
    world.writer.drain().await.unwrap();
    let change = async || world.member(crew, ann, false).await;
    let back = async || world.member(crew, ann, true).await;
    executed_late(&world, ann, "DELETE /group/user", change, back).await;
    assert_eq!(world.groups_of("ann"), ["Crew"]);
}

/// Fails when `forget_account` is taken out of the look.
#[tokio::test]
async fn a_late_delete_is_found_and_the_rehired_get_a_new_account_and_their_groups() {
    let world = World::with_policy(json!({"deprovision": {"on_delete": "delete"}})).await;
    let ann = world.user("ann").await;
    let crew = world.group("Crew", &[ann]).await;
    world.writer.drain().await.unwrap();
    let change = async || world.delete(ann).await;
    let back = async || {
        assert_eq!(world.user("ann").await, ann);
        world.member(crew, ann, true).await;
    };
    executed_late(&world, ann, "DELETE /user", change, back).await;
    assert!(world.is_active("ann"));
    assert_eq!(world.groups_of("ann"), ["Crew"]);
}
