//! Settling and undoing, below HTTP.

use std::time::Duration;

use jira_scim::directory::{Accepted, Precondition, UserView};
use jira_scim::sandbox::Fault;
use jira_scim::scim::patch::Member;
use jira_scim::writer::{Refusal, Settled};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::drive_world::soon;
use crate::world::{Make, World};

impl World {
    async fn create(&self, body: Value) -> Accepted<UserView> {
        self.directory.create_user(&self.caller(), body.as_object().unwrap().clone()).await.unwrap()
    }

    async fn change(&self, user: Uuid, attributes: Value) -> Accepted<UserView> {
        let patch = World::patch(json!([{ "op": "replace", "value": attributes }]));
        self.directory.patch_user(&self.caller(), &user.to_string(), patch, &Precondition::None).await.unwrap()
    }

    /// Settles, wants a refusal, and takes the change back.
    async fn undo<T>(&self, accepted: Accepted<T>) -> (Refusal, bool) {
        let Settled::Refused(refusal) = self.settle(&accepted).await else { panic!("not refused") };
        let undo = accepted.undo.unwrap();
        let undone = self.directory.undo(&self.caller(), undo, 400, &refusal.reason).await.unwrap();
        (refusal, undone)
    }

    async fn shown(&self, user: Uuid) -> Value {
        Value::Object(self.directory.get_user(&self.tenant, &user.to_string(), false).await.unwrap().attrs)
    }
}

/// Fails when an undone create leaves a row, a claim or a tombstone behind.
#[tokio::test]
async fn a_refused_create_is_as_if_it_had_never_been_asked_for() {
    let world = World::new().await;
    world.jira.inject(Fault::status(400).on("POST /user"));
    let accepted = world.create(json!({"userName": "ann"})).await;
    let (_, undone) = world.undo(accepted).await;
    assert!(undone);
    for table in ["scim_user", "outbox", "link", "claim"] {
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
            .fetch_one(world.pool())
            .await
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    assert_eq!(world.number("SELECT count(*) FROM audit WHERE action IN ('user.create', 'undo')").await, 2);
}

/// Fails when a create that did reach Jira is forgotten with its link.
#[tokio::test]
async fn undoing_a_create_that_did_reach_jira_keeps_the_link_and_deactivates() {
    let world = World::new().await;
    world.jira.inject(Fault::status(400).on("PUT /user").containing("Wrong"));
    world.jira.inject(Fault::hold().on("POST /user").times(1));
    let accepted = world.create(json!({"userName": "ann"})).await;
    let user = accepted.view.id;
    let undo = accepted.undo.unwrap();
    let drive = world.driving_with(user, accepted.nudged[0].lease.unwrap());
    world.seen("POST /user").await;
    assert!(world.directory.undo(&world.caller(), undo, 400, "somebody was in a hurry").await.unwrap());
    world.jira.release_held();
    soon(drive).await.unwrap().unwrap();
    world.writer.drain().await.unwrap();
    assert!(world.jira.account("ann").is_some_and(|account| !account.active));
    assert_eq!(world.record(user).await["known"]["linked"]["seen"]["username"], "ann");
    // The same person gets the same id and account back.
    let again = world.create(json!({"userName": "ann"})).await;
    assert_eq!(again.view.id, user);
    assert_eq!(world.settle(&again).await, Settled::Applied);
    assert!(world.is_active("ann"));
}

/// Fails when the old value is not a new version.
#[tokio::test]
async fn a_refused_rename_is_taken_back_as_a_new_version() {
    let world = World::new().await;
    world.account_by_hand("taken");
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    let accepted = world.change(ann, json!({"userName": "taken"})).await;
    let (refusal, undone) = world.undo(accepted).await;
    assert!(refusal.conflict && undone, "{refusal:?}");
    let user = world.directory.get_user(&world.tenant, &ann.to_string(), false).await.unwrap();
    assert_eq!((user.attrs["userName"].as_str(), user.version), (Some("ann"), 3));
    world.writer.drain().await.unwrap();
    assert_eq!(world.account_step(ann, "write").await, Value::Null);
    assert_eq!(world.outbox().await, 0);
    // The name is nobody's of ours.
    assert_eq!(world.number("SELECT count(*) FROM claim WHERE key = 'taken'").await, 0);
}

/// Fails when an undo hands access back.
#[tokio::test]
async fn an_undo_never_activates_who_was_to_be_deactivated() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.make_lead("ann", "OPS").unwrap();
    let accepted = world.change(ann, json!({"active": false, "displayName": "Ann Moss"})).await;
    let (_, undone) = world.undo(accepted).await;
    assert!(undone);
    let shown = world.shown(ann).await;
    assert_eq!((&shown["active"], &shown["displayName"]), (&json!(false), &json!("ann")));
    let accepted = world.change(ann, json!({"active": true})).await;
    assert!(accepted.undo.is_some());
    world.settle(&accepted).await;
    let accepted = world.change(ann, json!({"active": false})).await;
    assert!(accepted.undo.is_none(), "what takes away stays desired");
}

/// Fails when a refusal of before is told to a request that asked for something else: it would be undone, and a project's
/// lead could never be given a new title.
#[tokio::test]
async fn an_old_refusal_is_not_told_to_a_request_that_changes_something_else() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.make_lead("ann", "OPS").unwrap();
    let leave = world.change(ann, json!({"active": false})).await;
    assert!(matches!(world.settle(&leave).await, Settled::Refused(_)));
    let title = world.change(ann, json!({"title": "Gardener"})).await;
    assert_eq!(world.settle(&title).await, Settled::Applied);
    let name = world.change(ann, json!({"displayName": "Ann Moss"})).await;
    assert_eq!(world.settle(&name).await, Settled::Applied);
    // Whoever asks for the same once more hears the same once more.
    let again = world.change(ann, json!({"active": false})).await;
    assert!(matches!(world.settle(&again).await, Settled::Refused(_)));
}

/// Fails when the version is not compared.
#[tokio::test]
async fn what_was_changed_since_is_not_undone() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::status(400).on("PUT /user").containing("Wrong"));
    let accepted = world.change(ann, json!({"displayName": "Wrong"})).await;
    world.set(ann, json!({"title": "Gardener"})).await;
    let (_, undone) = world.undo(accepted).await;
    assert!(!undone);
    let shown = world.shown(ann).await;
    assert_eq!((&shown["displayName"], &shown["title"]), (&json!("Wrong"), &json!("Gardener")));
    assert_eq!(world.account_step(ann, "write").await["state"], "refused", "a late refusal, shown");
}

/// Fails when a refused group is kept.
#[tokio::test]
async fn a_refused_group_is_as_if_it_had_never_been_asked_for() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    let attrs = json!({"displayName": "jira-administrators"}).as_object().unwrap().clone();
    let members = vec![Member { value: ann.to_string(), kind: None }];
    let accepted = world.directory.create_group(&world.caller(), attrs, members).await.unwrap();
    let id = accepted.view.id.to_string();
    let (refusal, undone) = world.undo(accepted).await;
    assert!(refusal.reason.contains("administration") && undone, "{refusal:?}");
    assert!(world.directory.get_group(&world.tenant, &id, false).await.is_err());
    world.writer.drain().await.unwrap();
    for table in ["scim_group", "group_member", "outbox", "jira_membership", "jira_group"] {
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
            .fetch_one(world.pool())
            .await
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

/// Fails when one refused member undoes all of them, or all refused members undo nothing.
#[tokio::test]
async fn a_group_patch_is_undone_only_if_every_member_was_refused() {
    let world = World::new().await;
    let (ann, bo) = (world.user("ann").await, world.user("bo").await);
    let crew = world.group("Crew", &[]).await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::status(400).on("POST /group/user").containing("ann"));
    let members = |ids: &[Uuid]| {
        let value: Vec<Value> = ids.iter().map(|id| json!({ "value": id.to_string() })).collect();
        World::patch(json!([{ "op": "add", "path": "members", "value": value }]))
    };
    let (caller, id) = (world.caller(), crew.to_string());
    let patch = world.directory.patch_group(&caller, &id, members(&[ann]), &Precondition::None).await.unwrap();
    let (_, undone) = world.undo(patch).await;
    assert!(undone);
    world.writer.drain().await.unwrap();
    let patch = world.directory.patch_group(&caller, &id, members(&[ann, bo]), &Precondition::None).await.unwrap();
    assert_eq!(world.settle(&patch).await, Settled::Applied);
    let group = world.directory.get_group(&world.tenant, &id, true).await.unwrap();
    assert_eq!(group.members.unwrap().first.len(), 2);
    assert_eq!(world.jira.members("Crew"), ["bo"]);
}

/// Fails when a request waits longer than its budget, or when what it left is dropped with it.
#[tokio::test]
async fn a_request_whose_budget_is_spent_is_pending_and_applied_later() {
    let world = World::make(Make { settle: Duration::from_millis(100), ..Make::default() }).await;
    world.user("bo").await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::hold().on("POST /user").times(1));
    let accepted = world.create(json!({"userName": "ann"})).await;
    assert_eq!(world.settle(&accepted).await, Settled::Pending);
    assert_eq!(world.number("SELECT count(*) FROM link WHERE record ? 'maybe_created'").await, 1, "still at it");
    world.jira.release_held();
    let record = async {
        while world.outbox().await > 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(record).await;
    assert!(world.is_active("ann"));
    assert_eq!(world.count("POST /user"), 2);
}

/// Fails when the rows that a request has no time for stay leased to it.
#[tokio::test]
async fn what_a_request_has_no_time_for_is_handed_over_at_once() {
    let world = World::make(Make { settle: Duration::from_millis(100), ..Make::default() }).await;
    let people = [world.user("ann").await, world.user("bo").await, world.user("cy").await];
    let crew = world.group("Crew", &[]).await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::hold().on("POST /group/user").times(1));
    let value: Vec<Value> = people.iter().map(|id| json!({ "value": id.to_string() })).collect();
    let patch = World::patch(json!([{ "op": "add", "path": "members", "value": value }]));
    let patch =
        world.directory.patch_group(&world.caller(), &crew.to_string(), patch, &Precondition::None).await.unwrap();
    assert_eq!(world.settle(&patch).await, Settled::Pending);
    assert_eq!(world.number("SELECT count(*) FROM outbox WHERE lease_token IS NULL").await, 2);
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.members("Crew").len(), 3);
    world.jira.release_held();
}

/// Fails when a target that has just been too slow is waited for by everybody.
#[tokio::test]
async fn nobody_waits_for_a_target_whose_last_call_got_no_answer() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.inject(Fault::drop_before().on("PUT /user").times(1));
    world.jira.inject(Fault::hold().on("GET /myself").times(1));
    world.set(ann, json!({"displayName": "Ann Moss"})).await;
    let drive = world.driving(ann);
    world.seen("PUT /user").await;
    soon(world.jira.until_call(|call| call.operation() == "GET /myself" && call.seq > 3)).await;
    let accepted = world.create(json!({"userName": "bo"})).await;
    assert_eq!(world.settle(&accepted).await, Settled::Pending);
    assert_eq!(world.count("POST /user"), 1);
    world.jira.release_held();
    soon(drive).await.unwrap().unwrap();
    world.drain_after(5).await;
    assert!(world.is_active("bo"));
}
