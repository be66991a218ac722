//! The drive, clause 8: a change of structure enqueues those whose plan is not empty, page by page.

use jira_scim::directory::Precondition;
use jira_scim::store::outbox::Subject;
use jira_scim::store::tenant::TenantChange;
use serde_json::json;
use uuid::Uuid;

use crate::world::World;

/// More than a page of people with accounts, without a call to Jira: those with an even number are in the Jira group
/// `crew`, all are in the SCIM group.
async fn crowd(world: &World, group: Uuid) {
    let people = "WITH people AS (
            INSERT INTO scim_user (tenant_id, id, user_name_key, active, email_keys, attrs, folded, created, modified)
            SELECT $1, gen_random_uuid(), 'p' || n, true, '{}', jsonb_build_object('userName', 'p' || n, 'active', true),
                '{}', now(), now()
            FROM generate_series(1, 1200) AS n RETURNING id, user_name_key AS name
        ), links AS (
            INSERT INTO link (tenant_id, user_id, target, record)
            SELECT $1, id, 'jira', jsonb_build_object('known', jsonb_build_object('linked', jsonb_build_object('seen',
                jsonb_build_object('id', 'JIRAUSER' || name, 'username', name, 'email', name || '@users.invalid',
                    'display_name', name, 'active', true), 'maybe', false)))
            FROM people
        ), members AS (
            INSERT INTO group_member (tenant_id, group_id, member_id, is_group) SELECT $1, $2, id, false FROM people
        )
        INSERT INTO jira_membership (tenant_id, user_id, group_key, written)
        SELECT $1, id, 'crew', true FROM people WHERE right(name, 1)::int % 2 = 0";
    sqlx::query(people).bind(world.tenant.id).bind(group).execute(world.pool()).await.unwrap();
}

async fn drive_structure(world: &World, subject: Subject) {
    world.writer.drive(world.tenant.id, subject, Uuid::new_v4()).await.unwrap();
}

const USERS: &str = "SELECT count(*) FROM outbox WHERE kind = 'user'";

/// Fails when the fan-out does not ask the planner (1200), or ends with its first page.
#[tokio::test]
async fn the_deletion_of_a_group_enqueues_every_member_that_has_something_to_leave() {
    let world = World::new().await;
    let crew = world.group("Crew", &[]).await;
    world.writer.drain().await.unwrap();
    crowd(&world, crew).await;
    world.delete_group(crew).await;
    drive_structure(&world, Subject::Group(crew)).await;
    assert_eq!(world.number(USERS).await, 600);
    assert_eq!(world.outbox().await, 600, "the group's own row is gone");
    assert_eq!(world.number("SELECT count(*) FROM outbox WHERE priority = 0").await, 0, "bulk work");
    assert_eq!(world.number("SELECT count(*) FROM group_member").await, 0);
}

/// Fails when the cursor is not read: a fan-out that was cut off would begin anew, and with a million rows never end.
#[tokio::test]
async fn a_fan_out_that_was_cut_off_goes_on_where_it_was() {
    let world = World::new().await;
    let crew = world.group("Crew", &[]).await;
    world.writer.drain().await.unwrap();
    crowd(&world, crew).await;
    world.delete_group(crew).await;
    world
        .sql("UPDATE outbox SET page_after = (SELECT id FROM scim_user ORDER BY id OFFSET 999 LIMIT 1) WHERE kind = 'group'")
        .await;
    drive_structure(&world, Subject::Group(crew)).await;
    let rest = "SELECT count(*) FROM (SELECT id FROM scim_user ORDER BY id OFFSET 1000) s
        JOIN jira_membership m ON m.user_id = s.id";
    assert_eq!(world.number(USERS).await, world.number(rest).await);
}

/// Fails when a nudge does not set the cursor back (`page_after = NULL`).
#[tokio::test]
async fn a_change_of_structure_during_a_fan_out_begins_it_anew() {
    let world = World::new().await;
    let (crew, inner) = (world.group("Crew", &[]).await, world.group("Inner", &[]).await);
    world.writer.drain().await.unwrap();
    crowd(&world, crew).await;
    world.member(crew, inner, true).await;
    world.sql("UPDATE outbox SET page_after = 'ffffffff-ffff-ffff-ffff-ffffffffffff' WHERE kind = 'group'").await;
    world.member(crew, inner, false).await;
    drive_structure(&world, Subject::Group(crew)).await;
    assert_eq!(world.number(USERS).await, 600, "those who have not joined yet");
}

/// Fails when the cursor is kept although the row was nudged since (`AND seq = $6` of `drive.keep_page`).
#[tokio::test]
async fn a_page_that_was_enqueued_before_a_nudge_does_not_count() {
    let world = World::new().await;
    let crew = world.group("Crew", &[]).await;
    world.writer.drain().await.unwrap();
    world.delete_group(crew).await;
    let token = Uuid::new_v4();
    let mut conn = world.pool().acquire().await.unwrap();
    let lease = jira_scim::store::drive::take(
        &mut conn,
        world.tenant.id,
        Subject::Group(crew),
        token,
        std::time::Duration::from_secs(60),
    );
    let lease = lease.await.unwrap().unwrap();
    world.sql("UPDATE outbox SET seq = seq + 1, page_after = NULL").await;
    jira_scim::store::drive::keep_page(&mut conn, &lease, Uuid::max()).await.unwrap();
    assert_eq!(world.number("SELECT count(*) FROM outbox WHERE page_after IS NULL").await, 1);
}

/// Fails when a change of an edge between groups does not fan out.
#[tokio::test]
async fn an_edge_between_groups_moves_the_people_inside() {
    let world = World::new().await;
    let (ann, bo) = (world.user("ann").await, world.user("bo").await);
    let inner = world.group("Inner", &[ann]).await;
    let middle = world.group("Middle", &[inner]).await;
    let outer = world.group("Outer", &[bo]).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("ann"), ["Inner", "Middle"]);
    world.member(outer, middle, true).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("ann"), ["Inner", "Middle", "Outer"]);
    world.member(middle, inner, false).await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.groups_of("ann"), world.groups_of("bo")), (vec!["Inner".to_owned()], vec!["Outer".to_owned()]));
    world.member(middle, inner, true).await;
    world.writer.drain().await.unwrap();
    world.delete_group(middle).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("ann"), ["Inner"]);
    assert_eq!(world.outbox().await, 0);
}

/// Fails when a change of policy does not fan out; a leaver joins nothing.
#[tokio::test]
async fn a_change_of_policy_reaches_those_whom_it_concerns() {
    let mut world = World::new().await;
    let (_ann, bo) = (world.user("ann").await, world.user("bo").await);
    world.writer.drain().await.unwrap();
    world.set(bo, json!({"active": false})).await;
    world.writer.drain().await.unwrap();
    let policy = json!({"groups": {"default_groups": ["everybody"]}});
    world.change_tenant(TenantChange { policy: Some(policy), ..TenantChange::default() }).await;
    drive_structure(&world, Subject::Tenant(world.tenant.id)).await;
    assert_eq!(world.number(USERS).await, 1);
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.members("everybody"), ["ann"]);
    world.change_tenant(TenantChange { policy: Some(json!({})), ..TenantChange::default() }).await;
    world.writer.drain().await.unwrap();
    assert!(world.jira.members("everybody").is_empty());
}

/// Fails when a rule's refusal outlives the rule.
#[tokio::test]
async fn a_change_of_policy_ends_what_the_old_policy_refused() {
    let mut world = World::with_policy(json!({"adopt": "off", "groups": {"create_missing": false}})).await;
    world.account_by_hand("ann");
    world.jira.add_group("Bosses").unwrap();
    world.jira.label_admin("Bosses").unwrap();
    let (ann, bo) = (world.user("ann").await, world.user("bo").await);
    world.group("Bosses", &[bo]).await;
    world.group("Crew", &[bo]).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.account_step(ann, "write").await["conflict"], true);
    assert!(world.groups_of("bo").is_empty());
    let policy = json!({"protect": {"allow": ["bosses"]}});
    world.change_tenant(TenantChange { policy: Some(policy), ..TenantChange::default() }).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("bo"), ["Bosses", "Crew"]);
    assert_eq!(world.record(ann).await["known"]["linked"]["seen"]["username"], "ann");
}

/// Fails when `keep` writes to Jira.
#[tokio::test]
async fn a_deleted_group_that_is_to_be_kept_keeps_its_members() {
    let world = World::with_policy(json!({"deprovision": {"on_group_delete": "keep"}})).await;
    let ann = world.user("ann").await;
    let crew = world.group("Crew", &[ann]).await;
    world.writer.drain().await.unwrap();
    let caller = world.caller_in_a_hurry();
    world.directory.delete_group(&caller, &crew.to_string(), &Precondition::None).await.unwrap();
    world.writer.drain().await.unwrap();
    assert_eq!(world.groups_of("ann"), ["Crew"]);
    assert_eq!(world.outbox().await, 0);
}
