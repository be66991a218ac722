//! The example of `docs/targets/align.md`, word for word: what it says is what people get.

use std::collections::BTreeMap;

use jira_scim::jira::MatchOn;
use jira_scim::policy::tables::Table;
use jira_scim::sandbox::{AlignOptions, AlignRules, AlignUser};
use serde_json::{Value, json};

use super::stage::{BACK, CHANGE, CREATE, LOOK, Stage, person};

/// The example, and the policy in it.
fn example() -> (toml::Value, Value) {
    let page = include_str!("../../../docs/targets/align.md");
    let text = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let example: toml::Value = toml::from_str(text).unwrap();
    let policy = serde_json::to_value(&example["tenant"][0]["policy"]).unwrap();
    (example, policy)
}

async fn stage() -> Stage {
    let (example, policy) = example();
    assert_eq!(example["target"][0]["align"]["match_on"].as_str().unwrap().parse(), Ok(MatchOn::ExternalId));
    let stage =
        Stage::like(AlignOptions { rules: AlignRules::default(), ..AlignOptions::default() }, policy, |_| ()).await;
    let hr = b"employee,cost_center\nE-1,2\n";
    let table = Table::from_csv(hr, example["table"][0]["key"].as_str().unwrap()).unwrap();
    stage.app.writer.set_tables(BTreeMap::from([("hr".to_owned(), table)]));
    stage
}

/// Role, division, region, city, cost centre and `isExternal`.
fn ids(user: &AlignUser) -> [i64; 6] {
    let id = |id: Option<i64>| id.unwrap_or_default();
    let place = [user.division_id, user.region_id, user.city_id, user.cost_center_id].map(id);
    [user.role_id, place[0], place[1], place[2], place[3], user.is_external]
}

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[tokio::test]
async fn the_policy_of_the_manual_gives_everybody_a_place_and_a_role() {
    let stage = stage().await;
    let plain = stage.app.post("/Users", person("ada")).await.is(201).id();
    stage.cost(&[LOOK, CREATE]);
    assert_eq!(ids(&stage.jira.user("ada").unwrap()), [91, 65, 17, 32, 1, 0]);

    let mut body = person("bo");
    body["addresses"] = json!([{"country": "US", "type": "work"}]);
    body["userType"] = json!("Contractor");
    body[ENTERPRISE] = json!({"employeeNumber": "E-1", "division": "Sales"});
    stage.app.post("/Users", body).await.is(201);
    stage.cost(&[LOOK, CREATE]);
    assert_eq!(ids(&stage.jira.user("bo").unwrap()), [91, 66, 18, 41, 2, 1]);

    // A group is a role: two calls for each member whose role changes.
    let group = stage.app.group("Align Team Members", &[&plain]).await;
    stage.app.writer.drain().await.unwrap();
    stage.cost(&[CHANGE, BACK]);
    assert_eq!(stage.jira.user("ada").unwrap().role_id, 95);
    stage.app.delete(&format!("/Groups/{group}")).await.is(204);
    stage.app.writer.drain().await.unwrap();
    stage.cost(&[CHANGE, BACK]);
    assert_eq!(stage.jira.user("ada").unwrap().role_id, 91);
}
