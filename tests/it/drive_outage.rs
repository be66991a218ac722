//! The drive, clause 6: a target that is away, asks for patience or denies our credential pauses as a whole and costs
//! nobody an attempt; only a subject that fails alone is given up.

use jira_scim::sandbox::Fault;
use jira_scim::store::{outbox, target};
use jira_scim::writer::DriveEnd;
use serde_json::json;
use uuid::Uuid;

use crate::drive_world::{created, soon};
use crate::world::{TARGET, World};

/// Fails when an unreachable target costs the subject an attempt: after an hour everybody would be given up.
#[tokio::test]
async fn an_outage_of_a_weekend_loses_nothing() {
    let world = World::new().await;
    let crew = world.group("Crew", &[]).await;
    world.writer.drain().await.unwrap();
    world.jira.stop().await.unwrap();
    for n in 0..20 {
        let user = world.user(&format!("user{n}")).await;
        world.member(crew, user, true).await;
    }
    for _ in 0..60 {
        world.drain_after(3600).await;
    }
    assert_eq!(world.number("SELECT count(*) FROM outbox WHERE attempts = 0 AND kind = 'user'").await, 20);
    assert!(world.number("SELECT failures::bigint FROM target_state").await > 50);
    world.jira.restart_on_same_port().await.unwrap();
    world.drain_after(3600).await;
    assert_eq!(world.jira.members("Crew").len(), 20);
    assert_eq!(world.outbox().await, 0);
}

/// Fails when the target is not asked whether it answers others before the whole of it is paused, and when a subject is
/// never given up.
#[tokio::test]
async fn a_subject_that_fails_alone_is_given_up_with_its_last_error_while_others_are_served() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.jira.inject(Fault::status(500).on("POST /user").containing("ann"));
    world.user("bo").await;
    world.writer.drain().await.unwrap();
    assert!(world.is_active("bo"));
    assert!(world.number("SELECT attempts::bigint FROM outbox").await >= 1);
    for _ in 0..12 {
        world.drain_after(600).await;
    }
    let step = world.account_step(ann, "write").await;
    assert_eq!(step["state"], "refused");
    assert!(step["reason"].as_str().unwrap().contains("500"), "{step}");
    let calls = world.calls();
    world.drain_after(86_400).await;
    world.drain_after(86_400).await;
    assert!(world.calls() - calls <= 2, "only a second look");
    assert_eq!(
        world.count("POST /user") - 1,
        world.jira.journal().iter().filter(|c| created(c) == Some("ann".into())).count()
    );
    // A change of the value is a new start.
    world.jira.clear_faults();
    world.set(ann, json!({"displayName": "Ann Moss"})).await;
    world.writer.drain().await.unwrap();
    assert!(world.is_active("ann"));
}

/// Fails when giving up forgets a step that only reads: the leaver would keep access, and nobody would know.
#[tokio::test]
async fn a_leaver_whose_account_cannot_be_read_is_never_forgotten() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::drop_before().on("PUT /user").times(1));
    world.jira.inject(Fault::status(500).on("GET /user"));
    world.set(ann, json!({"active": false})).await;
    for _ in 0..12 {
        world.drain_after(600).await;
    }
    assert!(world.is_active("ann"));
    assert_eq!(world.outbox().await, 1, "it has a time");
    world.jira.clear_faults();
    world.drain_after(86_400).await;
    assert!(!world.is_active("ann"));
}

/// Fails when a group that fails alone is dropped without a word.
#[tokio::test]
async fn a_group_that_fails_alone_is_given_up_with_its_last_error() {
    let world = World::new().await;
    world.jira.inject(Fault::status(500).on("POST /group$").containing("Broken"));
    world.group("Broken", &[]).await;
    for _ in 0..12 {
        world.drain_after(600).await;
    }
    let refused =
        "SELECT count(*) FROM jira_group WHERE step ->> 'state' = 'refused' AND step ->> 'reason' LIKE '%500%'";
    assert_eq!(world.number(refused).await, 1);
    assert_eq!(world.outbox().await, 0);
}

/// Fails when `Denied` does not pause: every further call makes the CAPTCHA last.
#[tokio::test]
async fn after_a_captcha_nobody_calls_until_the_pause_is_over() {
    let world = World::new().await;
    world.user("ann").await;
    world.writer.drain().await.unwrap();
    for n in 0..5 {
        world.user(&format!("user{n}")).await;
    }
    world.jira.inject(Fault::captcha());
    let calls = world.calls();
    world.writer.drain().await.unwrap();
    assert_eq!(world.calls() - calls, 1);
    world.drain_after(50).await;
    // Another replica that has just started knows it too.
    assert_eq!(world.another_writer().drain().await.unwrap(), 0);
    assert_eq!(world.calls() - calls, 1);
    assert_eq!(world.number("SELECT count(*) FROM outbox WHERE attempts = 0").await, 5);
    world.drain_after(30).await;
    world.drain_after(30).await;
    assert_eq!(world.count("GET /myself"), 2, "one trial");
    world.jira.clear_faults();
    world.drain_after(3600).await;
    assert!(world.is_active("user4"));
    assert_eq!(world.outbox().await, 0);
}

/// Fails as above, for a credential that was revoked.
#[tokio::test]
async fn after_a_401_nobody_calls_until_the_pause_is_over() {
    let world = World::new().await;
    world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.user("bo").await;
    world.user("cy").await;
    world.jira.inject(Fault::status(401).times(1));
    let calls = world.calls();
    world.writer.drain().await.unwrap();
    world.drain_after(50).await;
    assert_eq!(world.calls() - calls, 1);
    world.drain_after(20).await;
    assert!(world.is_active("bo") && world.is_active("cy"));
}

/// Fails when `Retry-After` is not read, or a pause is made shorter.
#[tokio::test]
async fn retry_after_is_honoured() {
    let world = World::new().await;
    world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.user("bo").await;
    world.user("cy").await;
    world.jira.inject(Fault::throttle(120).on("POST /user").times(1));
    let calls = world.calls();
    world.writer.drain().await.unwrap();
    world.drain_after(110).await;
    assert_eq!(world.calls() - calls, 1);
    assert_eq!(world.number("SELECT count(*) FROM outbox WHERE attempts = 0").await, 2);
    world.drain_after(15).await;
    assert!(world.is_active("bo") && world.is_active("cy"));
}

/// Fails when `begin_trial` lets everybody try, or when the end of its time ends a pause, here or in `outbox.due`.
#[tokio::test]
async fn when_a_pause_is_over_exactly_one_replica_asks_and_the_others_wait_for_the_answer() {
    let world = World::new().await;
    world.user("ann").await;
    world.writer.drain().await.unwrap();
    let others = [world.another_writer(), world.another_writer()];
    for other in &others {
        other.drain().await.unwrap();
    }
    for n in 0..8 {
        world.user(&format!("user{n}")).await;
    }
    world.jira.inject(Fault::status(503).times(2));
    world.writer.drain().await.unwrap();
    world.later(10).await;
    let mut conn = world.pool().acquire().await.unwrap();
    assert!(outbox::due(&mut conn, TARGET, Uuid::nil(), 8).await.unwrap().is_empty(), "its time alone ends no pause");
    world.jira.inject(Fault::hold().on("GET /myself").times(1));
    let (calls, asked) = (world.calls(), world.count("GET /myself"));
    let writer = world.writer.clone();
    let trial = tokio::spawn(async move { writer.drain().await });
    soon(world.jira.until_call(|call| call.operation() == "GET /myself" && call.seq > calls as u64)).await;
    assert!(!target::begin_trial(&mut conn, TARGET, 10.0).await.unwrap(), "one trial at a time");
    let calls = world.calls();
    for other in &others {
        assert_eq!(other.drain().await.unwrap(), 0);
    }
    assert_eq!((world.calls(), world.count("GET /myself")), (calls, asked + 1));
    world.jira.release_held();
    soon(trial).await.unwrap().unwrap();
    assert!(world.is_active("user7"));
}

/// Fails when a failed trial does not count: the target would be asked every second for a whole weekend.
#[tokio::test]
async fn each_failed_trial_makes_the_pause_longer_up_to_the_longest() {
    let world = World::new().await;
    world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.stop().await.unwrap();
    world.user("bo").await;
    world.writer.drain().await.unwrap();
    for failures in 1..20 {
        assert_eq!(world.number("SELECT failures::bigint FROM target_state").await, failures);
        let wait = "SELECT extract(epoch FROM paused_until - now())::bigint FROM target_state";
        assert!(world.number(wait).await <= (1 << (failures - 1).min(20)).min(300));
        world.drain_after(301).await;
    }
}

/// Fails when neither `settle` nor the claim asks for the pause, or when the rows stay leased to the request.
#[tokio::test]
async fn a_request_does_not_wait_for_a_target_that_is_paused() {
    let world = World::new().await;
    world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::captcha());
    world.user("bo").await;
    world.writer.drain().await.unwrap();
    let calls = world.calls();
    let attrs = json!({"userName": "cy"}).as_object().unwrap().clone();
    let accepted = world.directory.create_user(&world.caller(), attrs).await.unwrap();
    assert_eq!(world.settle(&accepted).await, jira_scim::writer::Settled::Pending);
    assert_eq!(world.calls(), calls);
    // And it leaves its rows to the workers.
    assert_eq!(world.number("SELECT count(*) FROM outbox WHERE lease_token IS NOT NULL").await, 0);
}

/// Fails when the claim does not ask for the pause: a drive would write a delivery and mark what it never touches.
#[tokio::test]
async fn a_drive_at_a_paused_target_changes_nothing() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::captcha());
    let bo = world.user("bo").await;
    world.drive(bo).await;
    let deliveries = world.deliveries().await;
    world.set(ann, json!({"displayName": "Ann Moss"})).await;
    assert_eq!(world.drive(ann).await.end, DriveEnd::Pending);
    assert_eq!(world.deliveries().await, deliveries);
    assert_eq!(world.record(ann).await["known"]["linked"]["maybe"], false);
}
