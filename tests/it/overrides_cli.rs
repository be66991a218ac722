//! `jira-scim deactivate-now` and `jira-scim override` as a person runs them, beside a daemon's writer.

use jira_scim::store::tenant::{Mode, TenantChange};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::brake::at_most;
use crate::brake_cli::{ok, run};
use crate::drive_world::soon;
use crate::world::World;

impl World {
    /// Waits until nothing is due any more; the writer runs by itself.
    async fn settled(&self) {
        let due = "SELECT count(*) FROM outbox WHERE due_at <= now() OR lease_until > now()";
        soon(async { while self.number(due).await > 0 {} }).await;
    }
}

async fn pinned(world: &World) -> Vec<Value> {
    serde_json::from_str(&ok(world, "override list acme --json").await).unwrap()
}

#[tokio::test]
async fn somebody_is_switched_off_at_once_past_the_brake_until_the_provider_agrees() {
    let world = World::with_policy(at_most(0)).await;
    let users = world.people("p", 2).await;
    world.leave(&users[..1]).await;
    assert_eq!((world.is_active("p0"), world.held().await), (true, 1));
    world.writer.start();
    let said = ok(&world, "deactivate-now acme P1 --reason stolen").await;
    assert_eq!(said, "acme: P1: is switched off in Jira");
    assert!(!world.is_active("p1"));
    // The provider's echo does not undo it.
    world.set(users[1], json!({ "active": true, "displayName": "Still here" })).await;
    world.settled().await;
    assert!(!world.is_active("p1"));
    let all = pinned(&world).await;
    assert_eq!((all.len(), &all[0]["what"], &all[0]["reason"]), (1, &json!("inactive"), &json!("stolen")));
    assert_eq!(all[0]["actor"], "cli:anna");
    // It agrees, which ends it; from then on it decides.
    world.set(users[1], json!({ "active": false })).await;
    world.settled().await;
    assert_eq!(pinned(&world).await, [] as [Value; 0]);
    world.set(users[1], json!({ "active": true })).await;
    world.settled().await;
    assert!(world.is_active("p1"));
    // Somebody whom the brake holds already is let through, too, and it is tripped still.
    ok(&world, "deactivate-now acme p0 --reason stolen").await;
    assert_eq!((world.is_active("p0"), world.held().await), (false, 0));
    assert_eq!(world.number("SELECT count(*) FROM brake WHERE tripped_at IS NOT NULL").await, 1);
    let noted = "SELECT count(*) FROM audit WHERE action = 'user.deactivate_now' AND kind = 'user'";
    assert_eq!(world.number(noted).await, 2);
}

#[tokio::test]
async fn what_is_pinned_beats_the_provider_until_it_ends_and_then_the_provider_decides() {
    let world = World::new().await;
    let users = world.people("p", 2).await;
    world.leave(&users).await;
    world.writer.start();
    let said = ok(&world, "override acme p0 active --until 2d --reason contractor").await;
    assert_eq!(said, "acme: p0: may log in to Jira");
    let said = ok(&world, "override acme p0 member Crew --until 2099-12-31 --reason contractor --json").await;
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&told["outcome"], &told["detail"]), (&json!("done"), &json!("is in the Jira group Crew")));
    assert_eq!(world.groups_of("p0"), ["Crew"]);
    let text = ok(&world, "override list acme --user p0").await;
    assert!(text.contains("member Crew") && text.contains("contractor"), "{text}");
    // Ended by hand.
    let crew = pinned(&world).await.iter().find(|pinned| pinned["what"] == "member").unwrap()["id"].clone();
    let said = ok(&world, &format!("override lift acme {}", crew.as_str().unwrap())).await;
    assert_eq!(said, "acme: p0: as the identity provider says");
    assert_eq!(world.groups_of("p0"), [""; 0]);
    // Ended by its time.
    world.later(3 * 86_400).await;
    world.settled().await;
    assert!(!world.is_active("p0"));
    assert_eq!(ok(&world, "override list acme").await, "nothing is pinned");
    assert!(ok(&world, "override list acme --all").await.contains("ended"));
    let actions: Vec<String> =
        sqlx::query_scalar("SELECT action FROM audit WHERE action LIKE 'override.%' ORDER BY at")
            .fetch_all(world.pool())
            .await
            .unwrap();
    assert_eq!(actions, ["override.add", "override.add", "override.lift"]);
}

#[tokio::test]
async fn jiras_refusal_is_told_and_so_is_that_it_waits() {
    let mut world = World::new().await;
    world.people("p", 2).await;
    let (code, _, err) = run(&world, "deactivate-now acme p1 --reason stolen --wait 0").await;
    assert_eq!((code, err.contains("no daemon runs")), (5, true), "{err}");
    world.writer.drain().await.unwrap();
    assert_eq!(ok(&world, "deactivate-now acme p1 --reason again").await, "acme: p1: is switched off in Jira");
    world.jira.make_lead("p0", "PRJ").unwrap();
    world.writer.start();
    let (code, _, err) = run(&world, "deactivate-now acme p0 --reason stolen").await;
    assert!(code == 1 && err.contains("PRJ"), "{code} {err}");
    let change = TenantChange { mode: Some(Mode::Observe), ..TenantChange::default() };
    world.change_tenant(change).await;
    let (code, out, err) = run(&world, "override acme p0 inactive --until 1h --reason r --json").await;
    assert_eq!((code, err.contains("it only observes")), (5, true), "{err}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["outcome"], "pending");
}

#[tokio::test]
async fn what_cannot_be_meant_is_said_and_pins_nothing() {
    let world = World::new().await;
    world.people("p", 1).await;
    let nobody = Uuid::nil();
    for (line, code, what) in [
        ("override acme p0 active --reason r", 2, "--until"),
        ("override acme p0 active --until 1d", 2, "--reason"),
        ("override acme p0 active --until soon --reason r", 2, "a date (2026-03-31)"),
        ("override acme p0 active --until 2020-01-01 --reason r", 1, "that is over"),
        ("override acme p0 member --until 1d --reason r", 2, "GROUP"),
        ("override acme p0 active Crew --until 1d --reason r", 1, "only `member` takes a group"),
        ("override acme nobody active --until 1d --reason r", 1, "there is no user nobody"),
        ("override none p0 active --until 1d --reason r", 1, "there is no tenant none"),
        ("deactivate-now acme p0", 2, "--reason"),
        (&format!("override lift acme {nobody}"), 1, "in force"),
    ] {
        let (exit, _, err) = run(&world, line).await;
        assert!(exit == code && err.contains(what), "{line}: {exit} {err}");
    }
    assert_eq!(world.number("SELECT count(*) FROM override").await, 0);
}
