//! `jira-scim reconcile`, `drift list` and `last-login` as a person runs them, against a Jira that somebody changed by hand.

use serde_json::{Value, json};

use crate::plan::run;
use crate::world::World;

async fn ok(world: &World, line: &str) -> String {
    let (code, out, err) = run(world, line).await;
    assert_eq!(code, 0, "{line}: {out}\n{err}");
    out
}

#[tokio::test]
async fn what_a_comparison_found_is_shown_as_a_table_as_json_and_as_csv() {
    let world = World::new().await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    assert!(ok(&world, "drift list acme").await.starts_with("nothing"));
    assert_eq!(ok(&world, "drift list acme --json").await, "[\n]");
    world.jira.change(|jira| jira.force_active("ann", false)).unwrap();
    let counts: Value = serde_json::from_str(&ok(&world, "reconcile acme --json").await).unwrap();
    assert_eq!((&counts["users"], &counts["differences"]), (&json!(1), &json!(1)));
    assert!(ok(&world, "reconcile acme").await.contains("1 differences"));
    let table = ok(&world, "drift list acme").await;
    assert!(table.starts_with("NAME  FIELD   WRITTEN  FOUND  WANTED  DONE    SINCE"), "{table}");
    let list: Value = serde_json::from_str(&ok(&world, "drift list acme --json").await).unwrap();
    let one = json!({"kind": "user", "subject": ann.to_string(), "field": "active", "name": "ann",
        "written": "true", "found": "false", "wanted": "true", "action": "report"});
    for (key, value) in one.as_object().unwrap() {
        assert_eq!(&list[0][key], value, "{key}");
    }
    let csv = ok(&world, "drift list acme --csv").await;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "name,field,written,found,wanted,done,since"));
    assert!(lines[1].starts_with("ann,active,true,false,true,report,"), "{csv}");
    let audit = "SELECT actor FROM audit WHERE action = 'reconcile.run' LIMIT 1";
    let actor: String = sqlx::query_scalar(audit).fetch_one(world.pool()).await.unwrap();
    assert_eq!(actor, "cli:anna");
    for line in ["reconcile nobody", "drift list nobody", "last-login nobody"] {
        let (code, out, err) = run(&world, line).await;
        assert_eq!((code, out.as_str(), err.lines().last()), (1, "", Some("there is no tenant nobody")), "{line}");
    }
}

#[tokio::test]
async fn the_last_logins_are_asked_for_by_hand() {
    let world = World::new().await;
    world.user("ann").await;
    world.writer.drain().await.unwrap();
    assert!(ok(&world, "last-login acme").await.starts_with("the target does not tell"));
    world.jira.change(|jira| jira.log_in("ann", "2026-03-01T08:00:00Z".parse().unwrap())).unwrap();
    let counts: Value = serde_json::from_str(&ok(&world, "last-login acme --json").await).unwrap();
    assert_eq!(counts, json!({"told": 1, "users": 1, "changed": 1}));
}
