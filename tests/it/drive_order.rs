//! The drive, clause 7: what somebody waits for comes before bulk work, and tenants come in turn.

use jira_scim::store::outbox::{self, NudgeAs};
use serde_json::json;
use uuid::Uuid;

use crate::drive_world::created;
use crate::world::{TARGET, World};

/// Fails when `priority` is taken out of the order of `outbox.due`.
#[tokio::test]
async fn a_leaver_does_not_wait_behind_bulk_work() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    for n in 0..100 {
        world.user(&format!("bulk{n}")).await;
    }
    world.sql("UPDATE outbox SET priority = 1, due_at = now() - interval '1 hour'").await;
    world.set(ann, json!({"active": false})).await;
    let mut conn = world.pool().acquire().await.unwrap();
    let due = outbox::due(&mut conn, TARGET, Uuid::nil(), 8).await.unwrap();
    assert_eq!(due[0].subject.id(), ann);
}

/// Fails when `least(outbox.priority, ...)` is taken out of the nudges.
#[tokio::test]
async fn a_live_request_lifts_a_bulk_row_and_bulk_work_does_not_lower_a_live_one() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.sql("UPDATE outbox SET priority = 1").await;
    world.set(ann, json!({"active": false})).await;
    let priority = "SELECT priority::bigint FROM outbox";
    assert_eq!(world.number(priority).await, 0);
    let mut conn = world.pool().acquire().await.unwrap();
    outbox::nudge(&mut conn, world.tenant.id, "user", &[ann], NudgeAs::BULK).await.unwrap();
    assert_eq!(world.number(priority).await, 0);
}

/// Fails when `turn` is taken out of the order of `outbox.due`: the second tenant would wait for all of the first.
#[tokio::test]
async fn tenants_come_in_turn() {
    let world = World::new().await;
    let other = world.other_tenant("other").await;
    for n in 0..6 {
        world.user(&format!("acme{n}")).await;
    }
    for n in 0..6 {
        let attrs = json!({"userName": format!("other{n}")}).as_object().unwrap().clone();
        world.directory.create_user(&world.caller_of(&other, None), attrs).await.unwrap();
    }
    world.writer.drain().await.unwrap();
    let names: Vec<String> = world.jira.journal().iter().filter_map(|call| created(call)).collect();
    let first = names[..4].iter().filter(|name| name.starts_with("acme")).count();
    assert_eq!((names.len(), first), (12, 2), "{names:?}");
    // Who comes first is passed on, too.
    let mut conn = world.pool().acquire().await.unwrap();
    world.user("acme-more").await;
    let attrs = json!({"userName": "other-more"}).as_object().unwrap().clone();
    world.directory.create_user(&world.caller_of(&other, None), attrs).await.unwrap();
    for last in [world.tenant.id, other.id] {
        let due = outbox::due(&mut conn, TARGET, last, 1).await.unwrap();
        assert_ne!(due[0].tenant_id, last);
    }
}
