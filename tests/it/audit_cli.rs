//! `jira-scim audit` and `jira-scim explain` as a person runs them.

use serde_json::Value;

use crate::brake_cli::{ok, run};
use crate::world::World;

#[tokio::test]
async fn what_is_on_record_is_listed_exported_and_cleared_by_name() {
    let world = World::new().await;
    world.user("ann").await;
    world.user("bo").await;
    let list = ok(&world, "audit acme").await;
    assert!(list.starts_with("AT ") && list.contains("user.create ann") && list.contains("tenant.create"), "{list}");
    let found = ok(&world, "audit acme --user ann").await;
    assert_eq!(found.lines().count(), 2, "{found}");
    assert_eq!(ok(&world, "audit acme --status 5xx").await, "nothing is on record");
    let json: Vec<Value> = serde_json::from_str(&ok(&world, "audit --json").await).unwrap();
    assert_eq!(json.len(), 3);
    let csv = ok(&world, "audit acme --csv --limit 2").await;
    assert!(csv.starts_with("at,request,side,actor") && csv.lines().count() == 3, "{csv}");
    for (line, code, what) in [
        ("audit none", 1, "there is no tenant none"),
        ("audit acme --status many", 2, "a class such as 4xx"),
        ("audit acme --since soon", 2, "a length of time"),
        ("audit acme --json --csv", 2, "cannot be used with"),
        ("audit clear acme", 2, "--before"),
        ("audit clear acme --before 2099-01-01 --yes", 1, "still to come"),
        ("audit clear acme --before 0s", 1, "--yes"),
    ] {
        let (exit, _, err) = run(&world, line).await;
        assert!(exit == code && err.contains(what), "{line}: {exit} {err}");
    }
    let told = ok(&world, "audit clear acme --before 0s --yes").await;
    assert_eq!(told, "forgotten: 0 requests, 3 changes, 0 deliveries");
    let left: Vec<Value> = serde_json::from_str(&ok(&world, "audit acme --json").await).unwrap();
    assert_eq!((left.len(), &left[0]["changes"][0]["action"]), (1, &Value::from("audit.clear")));
    assert_eq!(left[0]["actor"], "cli:anna");
}

#[tokio::test]
async fn an_explanation_is_printed_in_sentences_and_as_json() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.group("crew", &[ann]).await;
    world.writer.drain().await.unwrap();
    let told = ok(&world, "explain user acme ann").await;
    assert!(told.starts_with("ann may log in to Jira as ann.\n\n") && told.contains("\n\nWhat happened:\n"), "{told}");
    let told = ok(&world, "explain membership acme ann crew").await;
    assert!(told.starts_with("ann is in the Jira group crew, because the user is in the SCIM group crew."), "{told}");
    let json: Value = serde_json::from_str(&ok(&world, "explain user acme ann --json").await).unwrap();
    assert!(json["sentences"].is_array() && json["timeline"].is_array() && json["facts"]["made"] == true, "{json}");
    for (line, what) in
        [("explain user acme nobody", "has no user nobody"), ("explain user none ann", "no tenant none")]
    {
        let (exit, _, err) = run(&world, line).await;
        assert!(exit == 1 && err.contains(what), "{line}: {exit} {err}");
    }
}
