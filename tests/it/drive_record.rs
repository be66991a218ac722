//! The drive, clauses 4 and 5: what a drive leaves behind, and steps that are not being done.

use jira_scim::sandbox::Fault;
use jira_scim::store::tenant::{Mode, TenantChange};
use serde_json::{Value, json};

use crate::world::{Make, World};

/// Fails when the claim begins a delivery before it knows that the plan has steps.
#[tokio::test]
async fn a_drive_with_nothing_to_do_writes_no_delivery() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    let (deliveries, calls) = (world.deliveries().await, world.calls());
    world.set(ann, json!({"title": "Gardener"})).await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.deliveries().await, world.calls()), (deliveries, calls));
    assert_eq!(world.outbox().await, 0);
}

/// Fails when `Finish::Done` drops its time: nobody ever comes back to a refused leaver.
#[tokio::test]
async fn a_subject_that_is_due_by_time_keeps_its_row() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.make_lead("ann", "OPS").unwrap();
    world.set(ann, json!({"active": false})).await;
    world.writer.drain().await.unwrap();
    let tomorrow =
        "SELECT count(*) FROM outbox WHERE due_at BETWEEN now() + interval '23 hours' AND now() + interval '25 hours'
        AND lease_token IS NULL AND attempts = 0";
    assert_eq!(world.number(tomorrow).await, 1);
}

/// Fails when `retry_at` is not set for what takes away.
#[tokio::test]
async fn a_deactivation_that_jira_refuses_stays_desired_and_is_tried_again_every_day() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.make_lead("ann", "OPS").unwrap();
    world.set(ann, json!({"active": false})).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.account_step(ann, "active").await["state"], "refused");
    let calls = world.calls();
    world.drain_after(3600).await;
    assert_eq!(world.calls(), calls, "not before tomorrow");
    world.jira.change(|jira| jira.remove_lead("OPS"));
    world.drain_after(86_400).await;
    assert!(!world.is_active("ann"));
    assert_eq!(world.account_step(ann, "active").await, Value::Null);
    assert_eq!(world.outbox().await, 0);
}

/// Fails when a refusal is kept for the subject instead of for the step.
#[tokio::test]
async fn a_refused_group_does_not_block_the_others() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    for group in ["Archive", "Broken", "Crew"] {
        world.group(group, &[ann]).await;
    }
    world.jira.inject(Fault::status(400).on("POST /group/user").containing("Broken"));
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("ann"), ["Archive", "Crew"]);
    let step = world.pair_step(ann, "broken").await;
    assert_eq!(step["state"], "refused");
    assert_eq!(world.outbox().await, 0, "nothing can be done now, and nothing has a time");
}

/// Fails as above, for the group itself: its members wait, and come when it is there.
#[tokio::test]
async fn a_group_that_jira_does_not_make_keeps_only_its_own_members_waiting() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.group("Broken", &[ann]).await;
    world.group("Crew", &[ann]).await;
    world.jira.inject(Fault::status(400).on("POST /group$").containing("Broken"));
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("ann"), ["Crew"]);
    assert_eq!(world.pair_step(ann, "broken").await["state"], "waiting");
    // Somebody makes it by hand; the next change of its own finds it.
    world.jira.clear_faults();
    world.jira.add_group("Broken").unwrap();
    world.sql("UPDATE jira_group SET step = NULL WHERE name_key = 'broken'").await;
    let bo = world.user("bo").await;
    let broken = "SELECT id FROM scim_group WHERE display_name_key = 'broken'";
    let broken = sqlx::query_scalar(broken).fetch_one(world.pool()).await.unwrap();
    world.member(broken, bo, true).await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.groups_of("ann").len(), world.groups_of("bo").len()), (2, 1), "who waited is nudged");
}

/// Fails when a refused deactivation blocks the account's other steps.
#[tokio::test]
async fn a_refused_leaver_still_gets_a_new_address_and_leaves_the_groups() {
    let world = World::with_policy(json!({"deprovision": {"strip_groups": true}})).await;
    let ann = world.user("ann").await;
    world.group("Crew", &[ann]).await;
    world.writer.drain().await.unwrap();
    world.jira.make_lead("ann", "OPS").unwrap();
    world.set(ann, json!({"active": false})).await;
    world.writer.drain().await.unwrap();
    world.set(ann, json!({"emails": [{"value": "moss@corp.example", "primary": true}]})).await;
    world.writer.drain().await.unwrap();
    let account = world.jira.account("ann").unwrap();
    assert_eq!((account.active, account.email.as_str()), (true, "moss@corp.example"));
    assert!(world.groups_of("ann").is_empty());
}

/// Fails when the planner does not compare the fingerprint: either it never stops calling, or it never calls again.
#[tokio::test]
async fn a_refused_step_is_left_alone_until_its_value_changes() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::status(400).on("PUT /user").containing("Wrong"));
    world.set(ann, json!({"displayName": "Wrong"})).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.account_step(ann, "write").await["state"], "refused");
    let calls = world.calls();
    world.set(ann, json!({"title": "Gardener"})).await;
    world.drain_after(86_400).await;
    assert_eq!(world.calls(), calls, "the same value is not sent again");
    world.set(ann, json!({"displayName": "Right"})).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.account("ann").unwrap().display_name, "Right");
    assert_eq!(world.account_step(ann, "write").await, Value::Null);
}

/// Fails when a state outlives the wish for it.
#[tokio::test]
async fn a_refusal_is_forgotten_when_nobody_wants_the_value_any_more() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    let crew = world.group("Crew", &[]).await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::status(400).on("PUT /user").containing("Wrong"));
    world.jira.inject(Fault::status(400).on("POST /group/user"));
    world.set(ann, json!({"displayName": "Wrong"})).await;
    world.member(crew, ann, true).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.pair_step(ann, "crew").await["state"], "refused");
    world.set(ann, json!({"displayName": "ann"})).await;
    world.member(crew, ann, false).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.account_step(ann, "write").await, Value::Null);
    assert_eq!(world.number("SELECT count(*) FROM jira_membership").await, 0);
}

/// Fails when a login name in another letter case has another fingerprint: the drive would never come to an end.
#[tokio::test]
async fn a_refusal_sticks_to_an_account_whose_name_jira_spells_in_another_case() {
    let world = World::new().await;
    world.account_by_hand("Ann");
    let ann = world.user("ann").await;
    world.jira.inject(Fault::status(400).on("PUT /user"));
    world.writer.drain().await.unwrap();
    assert_eq!(world.count("PUT /user"), 1);
    assert_eq!(world.account_step(ann, "write").await["state"], "refused");
    assert_eq!(world.outbox().await, 0);
}

/// Fails when the claim does not read the mode: nothing may be written, and nothing is kept for later.
#[tokio::test]
async fn a_tenant_that_observes_writes_nothing_and_keeps_no_rows() {
    let mut world = World::make(Make { mode: Mode::Observe, ..Make::default() }).await;
    let ann = world.user("ann").await;
    world.group("Crew", &[ann]).await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.writes(), world.outbox().await), (vec![], 0));
    world.change_tenant(TenantChange { mode: Some(Mode::Enforce), ..TenantChange::default() }).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("ann"), ["Crew"]);
}

/// Fails when the fan-out forgets those who wait for a time: the create that was lost before the tenant went to observe
/// comes after all, and nobody looks.
#[tokio::test]
async fn a_second_look_survives_a_while_of_observing() {
    let mut world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.set(ann, json!({"displayName": "Wrong"})).await;
    world.jira.inject(Fault::late_closing(jira_scim::sandbox::LateTrigger::Release).on("PUT /user").times(1));
    world.drive(ann).await;
    world.set(ann, json!({"displayName": "ann"})).await;
    world.drain_after(2).await;
    world.change_tenant(TenantChange { mode: Some(Mode::Observe), ..TenantChange::default() }).await;
    world.later(1).await;
    world.sql("UPDATE outbox SET due_at = now()").await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.outbox().await, 0);
    world.change_tenant(TenantChange { mode: Some(Mode::Enforce), ..TenantChange::default() }).await;
    world.writer.drain().await.unwrap();
    world.jira.release_late();
    world.drain_after(61).await;
    assert_eq!(world.jira.account("ann").unwrap().display_name, "ann");
}
