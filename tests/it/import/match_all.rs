//! Everybody of a large Jira is imported, and then matched by an identity provider: nobody is made twice.

use futures_util::StreamExt;
use jira_scim::sandbox::SandboxOptions;
use jira_scim::sandbox::seed::{Seed, person};
use serde_json::json;

use super::Stage;

/// As many as a test of the suite may take; `make match` asks for more.
const PEOPLE: u32 = 2_000;

#[tokio::test]
async fn an_import_followed_by_a_match_of_everybody_makes_nobody_twice() {
    let people = std::env::var("MATCH_PEOPLE").map_or(PEOPLE, |people| people.parse().unwrap());
    let options = SandboxOptions { seed: Some(Seed { users: people }), ..SandboxOptions::default() };
    let stage = Stage::with(json!({}), options).await;
    let counters = stage.import().await;
    assert_eq!((counters.accounts.created, counters.memberships.skipped.len()), (u64::from(people), 0), "{counters:?}");
    assert_eq!(counters.memberships.created, 3 * u64::from(people));
    futures_util::stream::iter(0..people)
        .for_each_concurrent(8, |n| {
            let stage = &stage;
            async move {
                let seeded = person(n);
                let found = stage.user(&seeded.username).await;
                let path = format!("/Users/{}", found["id"].as_str().unwrap());
                if n % 2 == 0 {
                    let body = json!({"userName": seeded.username, "displayName": seeded.display_name(), "externalId": n.to_string(),
                        "active": seeded.active, "emails": [{"value": seeded.email, "primary": true}]});
                    stage.app.put(&path, body).await.is(200);
                } else {
                    let change = json!([{"op": "add", "path": "externalId", "value": n.to_string()}]);
                    stage.app.patch(&path, change).await.is(200);
                }
            }
        })
        .await;
    assert_eq!(stage.writes(), Vec::<String>::new(), "everybody was there, as the provider wants them");
    assert_eq!(stage.number("SELECT count(*) FROM scim_user").await, i64::from(people));
    assert_eq!(stage.number("SELECT count(*) FROM scim_user WHERE origin IS NOT NULL").await, 0);
    assert_eq!(stage.jira.accounts().len(), people as usize + 1);
}
