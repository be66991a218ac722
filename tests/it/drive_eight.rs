//! Eight at once: on eight tasks and several threads, against one database.

use std::collections::BTreeMap;

use jira_scim::directory::{DirectoryError, Precondition};
use jira_scim::sandbox::Fault;
use jira_scim::scim::ScimType;
use serde_json::{Value, json};

use crate::drive_world::{created, soon};
use crate::world::World;

/// Fails when a member is added by reading and writing the group, and when the outbox loses a nudge.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_hundred_members_added_at_once_none_is_lost() {
    let world = World::new().await;
    let mut people = Vec::new();
    for n in 0..200 {
        people.push(world.user(&format!("p{n}")).await);
    }
    let crew = world.group("Crew", &[]).await.to_string();
    let tasks: Vec<_> = people
        .chunks(25)
        .map(|people| {
            let (directory, caller, crew) = (world.directory.clone(), world.caller_in_a_hurry(), crew.clone());
            let people = people.to_vec();
            tokio::spawn(async move {
                for person in people {
                    let patch = json!([{ "op": "add", "path": "members", "value": [{ "value": person.to_string() }] }]);
                    directory.patch_group(&caller, &crew, World::patch(patch), &Precondition::None).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let group = world.directory.get_group(&world.tenant, &crew, true).await.unwrap();
    assert_eq!(group.members.unwrap().first.len(), 200);
    assert_eq!(group.version, Some(201), "each change is a version");
    world.writer.drain().await.unwrap();
    assert_eq!(world.jira.members("Crew").len(), 200);
    assert_eq!(world.outbox().await, 0);
}

/// Fails when the version is compared before the row is locked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_writers_with_the_same_if_match_one_wins() {
    let world = World::new().await;
    let ann = world.user("ann").await.to_string();
    let crew = world.group("Crew", &[]).await.to_string();
    let only = Precondition::Versions(vec![1]);
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for n in 0..8 {
        let (directory, caller, only, ann) =
            (world.directory.clone(), world.caller_in_a_hurry(), only.clone(), ann.clone());
        users.push(tokio::spawn(async move {
            let patch = json!([{ "op": "replace", "path": "displayName", "value": format!("Ann {n}") }]);
            directory.patch_user(&caller, &ann, World::patch(patch), &only).await.map(drop)
        }));
        let (directory, caller, only, crew) =
            (world.directory.clone(), world.caller_in_a_hurry(), Precondition::Versions(vec![1]), crew.clone());
        groups.push(tokio::spawn(async move {
            let patch = json!([{ "op": "replace", "path": "displayName", "value": format!("Crew {n}") }]);
            directory.patch_group(&caller, &crew, World::patch(patch), &only).await.map(drop)
        }));
    }
    for tasks in [users, groups] {
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(()) => won += 1,
                Err(DirectoryError::Precondition { current }) => assert_eq!(current, 2),
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(won, 1);
    }
}

/// Fails when uniqueness is looked up instead of left to the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_identical_creates_one_is_made() {
    let world = World::new().await;
    for kind in ["user", "group"] {
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let (directory, caller) = (world.directory.clone(), world.caller_in_a_hurry());
                tokio::spawn(async move {
                    let name = if n % 2 == 0 { "ann" } else { "ANN" };
                    if kind == "user" {
                        directory.create_user(&caller, object(json!({"userName": name}))).await.map(drop)
                    } else {
                        let attrs = object(json!({"displayName": name}));
                        directory.create_group(&caller, attrs, Vec::new()).await.map(drop)
                    }
                })
            })
            .collect();
        let mut made = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(()) => made += 1,
                Err(DirectoryError::Scim(error)) => assert_eq!(error.scim_type, Some(ScimType::Uniqueness)),
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(made, 1, "{kind}");
    }
    world.writer.drain().await.unwrap();
    assert_eq!(world.count("POST /user"), 1);
}

/// Fails when the lease is not taken, or a drive goes on without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_replicas_drive_three_hundred_people_and_nobody_twice() {
    let world = World::new().await;
    let mut people = Vec::new();
    for n in 0..300 {
        people.push(world.user(&format!("p{n}")).await);
    }
    world.group("Crew", &people[..100]).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let replica = world.another_writer();
            tokio::spawn(async move { replica.drain().await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    // A replica leaves when all is leased to others: what they left by a nudge is still due.
    world.writer.drain().await.unwrap();
    let mut creates: BTreeMap<String, usize> = BTreeMap::new();
    for call in world.jira.journal() {
        if let Some(name) = created(&call) {
            *creates.entry(name).or_default() += 1;
        }
    }
    assert_eq!((creates.len(), creates.values().max()), (300, Some(&1)));
    assert_eq!(world.jira.members("Crew").len(), 100);
    assert_eq!(world.outbox().await, 0);
}

/// Fails when what one drive merely read of a Jira group is written back over what another learned meanwhile.
#[tokio::test]
async fn a_drive_that_only_read_of_a_group_does_not_unlearn_that_it_exists() {
    let world = World::new().await;
    let (ann, bo) = (world.user("ann").await, world.user("bo").await);
    world.group("Crew", &[ann, bo]).await;
    world.sql("DELETE FROM outbox WHERE kind = 'group'").await;
    world
        .sql("INSERT INTO jira_group (tenant_id, name_key, name) SELECT tenant_id, 'crew', 'Crew' FROM scim_group")
        .await;
    // The create is refused, and while Jira is asked why, another drive makes the group.
    world.jira.inject(Fault::status(400).on("POST /user").containing("ann"));
    world.jira.inject(Fault::hold().on("GET /user").times(1));
    let drive = world.driving(ann);
    world.seen("GET /user").await;
    world.drive(bo).await;
    world.jira.release_held();
    soon(drive).await.unwrap().unwrap();
    let known: String = sqlx::query_scalar("SELECT known FROM jira_group").fetch_one(world.pool()).await.unwrap();
    assert_eq!((known.as_str(), world.groups_of("bo")), ("exists", vec!["Crew".to_owned()]));
}

fn object(value: Value) -> jira_scim::scim::Attrs {
    value.as_object().unwrap().clone()
}
