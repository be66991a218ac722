//! `jira-scim brake` as a person runs it, beside a writer that does what it is told.

use std::process::{Command, Stdio};

use jira_scim::sandbox::{Role, SandboxOptions};
use jira_scim::store::brake::{self, HeldAfter, HeldFilter};
use jira_scim::store::tenant::{Mode, TenantChange};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::brake::at_most;
use crate::world::{Make, World};

/// Exit code, standard output and standard error of a command on the world's database.
pub async fn run(world: &World, line: &str) -> (i32, String, String) {
    run_with(world, line, Stdio::null()).await
}

pub async fn run_with(world: &World, line: &str, stdin: Stdio) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file =
        format!("[[target]]\nname = 'jira'\nurl = '{}'\ntoken = '{}'\n", world.jira.base_url(), world.jira.token());
    std::fs::write(folder.path().join("jira-scim.toml"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jira-scim"));
    command.args(line.split_whitespace()).current_dir(folder.path()).stdin(stdin);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JIRA_SCIM")) {
        command.env_remove(name);
    }
    command.env("JIRA_SCIM__DATABASE__URL", &world.db.url).env("USER", "anna").env_remove("SUDO_USER");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

pub async fn ok(world: &World, line: &str) -> String {
    let (code, out, err) = run(world, line).await;
    assert_eq!(code, 0, "{line}: {out}\n{err}");
    out
}

async fn status(world: &World) -> Value {
    serde_json::from_str(&ok(world, "brake status acme --json --list").await).unwrap()
}

/// Twelve people, ten leavers, of whom two are let through.
async fn storm() -> (World, Vec<Uuid>) {
    let world = World::with_policy(at_most(2)).await;
    let users = world.people("p", 12).await;
    world.leave(&users[..10]).await;
    assert_eq!((world.active_of("p", 12), world.held().await), (10, 8));
    (world, users)
}

#[tokio::test]
async fn the_status_says_why_it_tripped_and_what_it_holds() {
    let world = World::with_policy(at_most(2)).await;
    let said = ok(&world, "brake status acme").await;
    assert_eq!(said, "acme: ready\naccounts: 0 of 2 within 1h, 0 held\nmemberships: 0 of 50 within 1h, 0 held");
    let users = world.people("p", 3).await;
    world.leave(&users).await;
    let said = ok(&world, "brake status acme --list").await;
    assert!(said.starts_with("acme: tripped at "), "{said}");
    assert!(said.contains("2 accounts were switched off or deleted within 1h, and the limit is 2"), "{said}");
    assert!(said.contains("accounts: 2 of 2 within 1h, 1 held"), "{said}");
    assert!(said.contains("jira-scim brake release acme"), "{said}");
    let json = status(&world).await;
    assert_eq!(json["tripped"]["class"], "accounts");
    assert_eq!(json["accounts"], json!({ "let_through": 2, "limit": 2, "held": 1 }));
    let held = json["held"].as_array().unwrap();
    assert_eq!((held.len(), &held[0]["step"], &held[0]["kind"]), (1, &json!("active"), &json!("user")));
    assert!(ok(&world, "brake status acme --list --limit 0").await.contains("jira-scim brake drop acme"));
}

#[tokio::test]
async fn released_the_rest_goes_through_and_the_count_begins_anew() {
    let (world, users) = storm().await;
    let said = ok(&world, "brake release acme").await;
    assert_eq!(said, "acme: 8 steps released; the daemon does them now, and the brake is ready again");
    world.writer.drain().await.unwrap();
    assert_eq!((world.active_of("p", 12), world.held().await), (2, 0));
    assert_eq!(world.number("SELECT accounts FROM brake").await, 2, "what was released is not counted");
    let json = status(&world).await;
    assert_eq!((&json["tripped"], &json["accounts"]["let_through"]), (&Value::Null, &json!(0)));
    world.leave(&users[10..]).await;
    assert_eq!((world.active_of("p", 12), world.held().await), (0, 0));
    let audit: Vec<(String, Value)> =
        sqlx::query_as("SELECT actor, body FROM audit WHERE action = 'brake.release' ORDER BY at")
            .fetch_all(world.pool())
            .await
            .unwrap();
    assert_eq!(audit.len(), 2, "{audit:?}");
    assert!(audit.iter().all(|(actor, _)| actor == "cli:anna"));
    assert_eq!((&audit[0].1["reset"], audit[1].1["steps"].as_array().unwrap().len()), (&json!(true), 8));
    assert_eq!(
        ok(&world, "brake release acme").await,
        "acme: 0 steps released; the daemon does them now, and the brake was not tripped"
    );
}

#[tokio::test]
async fn given_up_they_stay_until_something_else_is_wanted_and_the_storm_trips_it_again() {
    let (world, users) = storm().await;
    let said = ok(&world, "brake drop acme").await;
    assert_eq!(said, "acme: 8 steps given up until something else is wanted, and the brake is ready again");
    world.writer.drain().await.unwrap();
    assert_eq!((world.active_of("p", 12), world.held().await), (10, 0));
    let listed = ok(&world, "outbox list --state waived").await;
    assert!(listed.contains("Waived by hand; it was held: Held by the brake"), "{listed}");
    // The storm is not over.
    world.leave(&users[10..11]).await;
    assert_eq!((world.active_of("p", 12), world.held().await), (10, 1));
    // Wanted otherwise, and then again: that is another wish, an hour later.
    ok(&world, "brake drop acme").await;
    let still_on = (0..10).find(|number| world.is_active(&format!("p{number}"))).unwrap();
    world.set(users[still_on], json!({ "active": true })).await;
    world.drain_after(4000).await;
    world.leave(&users[still_on..=still_on]).await;
    assert!(!world.is_active(&format!("p{still_on}")));
}

#[tokio::test]
async fn a_part_is_released_and_the_brake_stays_as_it_is() {
    let (world, users) = storm().await;
    let held = status(&world).await["held"].as_array().unwrap().clone();
    let name = held[0]["name"].as_str().unwrap();
    let said = ok(&world, &format!("brake release acme --user {name}")).await;
    assert_eq!(said, "acme: 1 steps released; the daemon does them now");
    world.writer.drain().await.unwrap();
    assert!(!world.is_active(name));
    assert_eq!(world.held().await, 7);
    let done: Value = serde_json::from_str(&ok(&world, "brake release acme --class memberships --json").await).unwrap();
    assert_eq!(done, json!({ "tenant": "acme", "reset": false, "steps": 0 }));
    assert_ne!(status(&world).await["tripped"], Value::Null);
    world.leave(&users[10..11]).await;
    assert_eq!(world.held().await, 8);
    for (line, what) in [
        ("brake release acme --user nobody", "there is no user nobody"),
        ("brake status none", "there is no tenant none"),
    ] {
        let (code, _, err) = run(&world, line).await;
        assert!(code == 1 && err.contains(what), "{line}: {err}");
    }
}

#[tokio::test]
async fn a_retry_by_hand_does_not_get_past_the_brake() {
    let (world, _) = storm().await;
    ok(&world, "outbox retry --all").await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.active_of("p", 12), world.held().await), (10, 8));
    // Given up one by one, they are.
    let held = status(&world).await["held"].as_array().unwrap().clone();
    ok(&world, &format!("outbox waive --user {} --step active", held[0]["name"].as_str().unwrap())).await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.active_of("p", 12), world.held().await), (10, 7));
}

#[tokio::test]
async fn memberships_that_are_held_are_released_with_the_rest() {
    let policy = json!({ "brake": { "memberships": { "max": 1, "percent": 100, "min": 1 } } });
    let world = World::with_policy(policy).await;
    let users = world.people("p", 5).await;
    let crew = world.group("Crew", &users).await;
    world.writer.drain().await.unwrap();
    world.delete_group(crew).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.count("DELETE /group/user"), 1);
    let json = status(&world).await;
    assert_eq!((&json["memberships"]["held"], &json["held"][0]["step"]), (&json!(4), &json!("member:Crew")));
    ok(&world, "brake release acme --class memberships").await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.count("DELETE /group/user"), 5);
    assert!((0..5).all(|number| world.groups_of(&format!("p{number}")).is_empty()));
}

/// A Jira group that we made, with five members, whose deletion is too much.
async fn deletion() -> World {
    let world = World::with_policy(json!({
        "brake": { "memberships": { "max": 3, "percent": 100, "min": 3 } },
        "deprovision": { "on_group_delete": "delete" },
    }))
    .await;
    let users = world.people("p", 5).await;
    let crew = world.group("Crew", &users).await;
    world.writer.drain().await.unwrap();
    world.delete_group(crew).await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.count("DELETE /group"), world.count("DELETE /group/user")), (0, 0));
    let json = status(&world).await;
    assert_eq!((&json["memberships"]["held"], &json["held"][0]["step"]), (&json!(1), &json!("group:Crew")));
    let reason = json["tripped"]["reason"].as_str().unwrap();
    assert!(reason.contains("0 memberships were taken away within 1h, 5 more were to be at once"), "{reason}");
    world
}

#[tokio::test]
async fn the_deletion_of_a_group_weighs_as_much_as_its_members_and_is_released() {
    let world = deletion().await;
    ok(&world, "brake release acme").await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.count("DELETE /group"), world.count("DELETE /group/user")), (1, 0));
    assert!(world.groups_of("p0").is_empty());
    assert_eq!(world.outbox().await, 0);
}

#[tokio::test]
async fn a_deletion_of_a_group_that_is_given_up_leaves_its_members_to_the_brake() {
    let world = deletion().await;
    ok(&world, "brake drop acme").await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.count("DELETE /group"), world.count("DELETE /group/user")), (0, 3));
    assert_eq!(status(&world).await["memberships"]["held"], 2);
    ok(&world, "brake drop acme").await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.count("DELETE /group/user"), world.outbox().await), (3, 0));
}

#[tokio::test]
async fn a_decision_is_about_what_was_held_when_it_was_made() {
    let (world, users) = storm().await;
    let mut conn = world.pool().acquire().await.unwrap();
    let by = brake::reset(&mut conn, world.tenant.id, false).await.unwrap().at;
    drop(conn);
    // The storm goes on before anybody has paged: nobody has looked at those.
    world.leave(&users[10..]).await;
    assert_eq!(world.held().await, 10);
    let mut conn = world.pool().acquire().await.unwrap();
    let filter = HeldFilter { by: Some(by), ..HeldFilter::default() };
    let (held, _) = brake::held(&mut conn, world.tenant.id, filter, &HeldAfter::default(), 100).await.unwrap();
    assert_eq!(held.len(), 8);
    assert!(held.iter().all(|held| !users[10..].contains(&held.id.unwrap())), "{held:?}");
}

#[tokio::test]
async fn access_to_applications_is_under_the_limit_of_memberships() {
    let limit = json!({ "memberships": { "max": 1, "percent": 100, "min": 1 } });
    let policy = |applications: Value| json!({ "brake": limit, "applications": applications });
    let roles = vec![Role::named("jira-core", None), Role::named("jira-software", None)];
    let options = SandboxOptions { applications: roles, ..SandboxOptions::default() };
    let make = Make { policy: policy(json!(["jira-core", "jira-software"])), ..Make::default() };
    let mut world = World::over(make, options).await;
    world.people("p", 3).await;
    let change = TenantChange { policy: Some(policy(json!(["jira-core"]))), ..TenantChange::default() };
    world.change_tenant(change).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.count("DELETE /user/application"), 1);
    let json = status(&world).await;
    assert_eq!((&json["memberships"]["held"], &json["accounts"]["held"]), (&json!(2), &json!(0)));
    assert_eq!(json["held"][0]["step"], "access:jira-software");
    ok(&world, "brake release acme --class accounts").await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.count("DELETE /user/application"), 1);
    ok(&world, "brake release acme --class memberships").await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.count("DELETE /user/application"), world.held().await), (3, 0));
}

#[tokio::test]
async fn what_was_held_is_released_while_the_tenant_only_observes_and_nothing_else_is_written() {
    let (mut world, users) = storm().await;
    let mode = |mode| TenantChange { mode: Some(mode), ..TenantChange::default() };
    world.change_tenant(mode(Mode::Observe)).await;
    for user in &users {
        world.set(*user, json!({ "displayName": "Renamed" })).await;
    }
    world.writer.drain().await.unwrap();
    assert_eq!(world.active_of("p", 12), 10);
    ok(&world, "brake release acme").await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.active_of("p", 12), world.held().await), (2, 0));
    assert!((0..12).all(|number| world.jira.account(&format!("p{number}")).unwrap().display_name != "Renamed"));
}

#[tokio::test]
async fn a_decision_that_nobody_has_taken_over_is_found_when_the_tenant_enforces_again() {
    let (mut world, _) = storm().await;
    let mode = |mode| TenantChange { mode: Some(mode), ..TenantChange::default() };
    // Decided while it enforced, and observing before anybody drove it.
    ok(&world, "brake release acme").await;
    world.change_tenant(mode(Mode::Observe)).await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.active_of("p", 12), world.held().await), (10, 8));
    world.change_tenant(mode(Mode::Enforce)).await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.active_of("p", 12), world.held().await), (2, 0));
}
