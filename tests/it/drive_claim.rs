//! The drive, clause 2: what a call is about to touch is on record as `maybe` before the call goes out, so that "the
//! answer was lost, then the IdP took it back" leaves no access.

use jira_scim::sandbox::{Fault, LateTrigger, NewAccount};
use serde_json::json;

use crate::drive_world::soon;
use crate::world::World;

/// A crash right after the call went out: the drive is dropped, and its lease runs out.
async fn crash(world: &World, user: uuid::Uuid, operation: &str) {
    let drive = world.driving(user);
    world.seen(operation).await;
    drive.abort();
    let _cancelled = soon(drive).await;
}

/// Fails when `absorb::mark` is taken out of the claim.
#[tokio::test]
async fn what_a_call_touches_is_on_record_before_the_call() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.group("Crew", &[ann]).await;
    world.jira.inject(Fault::hold().on("POST /user").times(1));
    let drive = world.driving(ann);
    world.seen("POST /user").await;
    assert_eq!(world.record(ann).await["maybe_created"][0]["username"], "ann");
    assert_eq!(world.number("SELECT count(*) FROM jira_membership WHERE maybe").await, 1);
    assert_eq!(world.number("SELECT count(*) FROM delivery WHERE outcome IS NULL").await, 1);
    assert_eq!(world.number("SELECT count(*) FROM claim WHERE what = 'name' AND key = 'ann'").await, 1);
    world.jira.release_held();
    soon(drive).await.unwrap().unwrap();
}

/// Fails when `absorb::mark` is taken out of the claim: nobody knows of the account, and the leaver keeps it.
#[tokio::test]
async fn a_crash_after_a_create_and_then_a_delete_leave_no_active_account() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.jira.inject(Fault::hold().on("POST /user").times(1));
    crash(&world, ann, "POST /user").await;
    world.delete(ann).await;
    world.drain_after(61).await;
    assert!(!world.is_active("ann"));
    world.drain_after(61).await;
    assert_eq!(world.outbox().await, 0);
}

/// Fails when `absorb::doubt` is taken out of the claim: the dead process's call comes after the only look.
#[tokio::test]
async fn a_call_that_jira_executes_long_after_a_crash_is_found() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.jira.inject(Fault::late_closing(LateTrigger::Release).on("POST /user").times(1));
    world.jira.inject(Fault::hold().on("GET /myself").times(1));
    // The first drive asks who we are, and is dropped when it has lost the answer to its create.
    let probing = world.driving(ann);
    world.seen("GET /myself").await;
    world.jira.clear_faults();
    world.jira.inject(Fault::late(LateTrigger::Release).on("POST /user").times(1));
    world.jira.release_held();
    world.seen("POST /user").await;
    probing.abort();
    let _cancelled = soon(probing).await;
    world.delete(ann).await;
    // The lease has run out: nothing is there yet.
    world.later(61).await;
    world.sql("UPDATE link SET look_at = now() + interval '30 seconds' WHERE look_at IS NOT NULL").await;
    world.writer.drain().await.unwrap();
    assert!(world.jira.account("ann").is_none());
    world.jira.release_late();
    assert!(world.is_active("ann"));
    world.drain_after(61).await;
    assert!(!world.is_active("ann"), "{:?}", world.record(ann).await);
}

/// Fails when the pairs are taken out of `absorb::mark`.
#[tokio::test]
async fn a_crash_after_a_member_was_added_and_then_a_removal_leave_no_membership() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    let crew = world.group("Crew", &[]).await;
    world.writer.drain().await.unwrap();
    world.member(crew, ann, true).await;
    world.jira.inject(Fault::hold().on("POST /group/user").times(1));
    crash(&world, ann, "POST /group/user").await;
    assert_eq!(world.groups_of("ann"), ["Crew"]);
    world.member(crew, ann, false).await;
    world.drain_after(61).await;
    assert!(world.groups_of("ann").is_empty());
}

/// Fails when `maybe` of the account is not looked at: the record would say that the person is still active.
#[tokio::test]
async fn a_crash_after_a_deactivation_and_then_a_reactivation_leave_the_person_active() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.set(ann, json!({"active": false})).await;
    world.jira.inject(Fault::hold().on("PUT /user").times(1));
    crash(&world, ann, "PUT /user").await;
    assert!(!world.is_active("ann"));
    world.set(ann, json!({"active": true})).await;
    world.drain_after(61).await;
    assert!(world.is_active("ann"));
}

/// Fails when `unknown` is taken out of `absorb_error`.
#[tokio::test]
async fn a_lost_answer_to_a_create_and_then_a_delete_leave_no_active_account() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.jira.inject(Fault::drop_answer().on("POST /user").times(1));
    world.drive(ann).await;
    assert!(world.is_active("ann"));
    world.delete(ann).await;
    world.drain_after(2).await;
    assert!(!world.is_active("ann"));
}

/// Fails when `unknown` is taken out of `absorb_error`.
#[tokio::test]
async fn a_lost_answer_to_an_added_member_and_then_a_removal_leave_no_membership() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    let crew = world.group("Crew", &[]).await;
    world.writer.drain().await.unwrap();
    world.member(crew, ann, true).await;
    world.jira.inject(Fault::drop_answer().on("POST /group/user").times(1));
    world.drive(ann).await;
    assert_eq!(world.groups_of("ann"), ["Crew"]);
    world.member(crew, ann, false).await;
    world.drain_after(2).await;
    assert!(world.groups_of("ann").is_empty());
}

/// Fails when `is_what_we_sent` does not compare the display name or the address.
#[tokio::test]
async fn a_namesake_that_is_not_what_we_sent_is_not_our_own_creation() {
    let world = World::with_policy(json!({"adopt": "off"})).await;
    for (name, display_name, email) in
        [("ann", "Ann Stranger", "ann@users.invalid"), ("bo", "bo", "stranger@corp.example")]
    {
        let user = world.user(name).await;
        world.jira.inject(Fault::drop_before().on("POST /user").times(1));
        world.drive(user).await;
        let stranger = NewAccount { display_name: display_name.into(), email: email.into(), ..NewAccount::named(name) };
        world.jira.add_account(&stranger).unwrap();
        world.drain_after(2).await;
        world.delete(user).await;
        world.drain_after(61).await;
        assert!(world.is_active(name), "a stranger's account is left alone");
    }
    assert_eq!(world.count("PUT /user"), 0);
}

/// Fails when a maybe-create is not on record: adoption is off, so our own account would be refused as a stranger's.
#[tokio::test]
async fn our_own_creation_is_recognised_although_adoption_is_off() {
    let world = World::with_policy(json!({"adopt": "off"})).await;
    let ann = world.user("ann").await;
    world.jira.inject(Fault::drop_answer().on("POST /user").times(1));
    world.drive(ann).await;
    world.drain_after(2).await;
    assert_eq!(world.record(ann).await["known"]["linked"]["seen"]["username"], "ann");
    world.set(ann, json!({"active": false})).await;
    world.writer.drain().await.unwrap();
    assert!(!world.is_active("ann"));
}

/// Fails when the planner creates under a new name while a create under the old one may still come: two accounts.
#[tokio::test]
async fn a_create_that_may_still_come_under_an_old_name_is_waited_for() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.jira.inject(Fault::late_closing(LateTrigger::Release).on("POST /user").times(1));
    world.drive(ann).await;
    world.set(ann, json!({"userName": "anna"})).await;
    world.drain_after(2).await;
    world.jira.release_late();
    world.drain_after(61).await;
    world.drain_after(61).await;
    assert!(world.jira.account("ann").is_none());
    assert!(world.is_active("anna"));
    assert_eq!(world.outbox().await, 0);
}
