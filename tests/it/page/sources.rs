//! A directory that is read: made on the page, looked at, read, and one person of it alone.

use serde_json::json;

use super::world::{ADMIN, World};
use crate::process::daemon::eventually;
use crate::sync::scim_world::Idp;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_makes_a_source_tests_it_looks_at_the_plan_and_watches_the_people_arrive() {
    let (idp, _) = Idp::peopled(5).await;
    let world = World::new().await;
    std::fs::write(world.secrets().join("token"), &idp.app.token).unwrap();
    world.api(reqwest::Method::POST, "/tenants", &json!({ "slug": "acme", "target": "jira", "mode": "enforce" })).await;
    let page = &world.browser;
    page.look(1280, false).await;
    world.view("sources").await;
    world.sign_in(ADMIN).await;
    page.says("No source").await;
    page.click("button", "New source").await;
    page.says("Tenant that it feeds").await;
    page.choose("What is read", "scim").await;
    page.fill("Name", "corp").await;
    page.fill("Address", "nowhere").await;
    page.fill("File with the bearer token", "token").await;
    page.fill("Is read every", "").await;
    page.fill("Further settings", "{ wrong").await;
    page.click("button", "Make the source").await;
    page.says("This is not JSON").await;
    page.fill("Further settings", r#"{"full_every": 3}"#).await;
    page.click("button", "Make the source").await;
    let at_its_field = "return document.querySelector('[data-field=\"settings.url\"] .wrong:not([hidden])') !== null;";
    page.until("the error at its field", at_its_field).await;
    page.fill("Address", &idp.url("v2")).await;
    page.click("button", "Make the source").await;
    page.until("the source", "return find('badge', 'Not read yet') !== null && settled();").await;

    page.click("button", "Test").await;
    page.says("It lets us in and has 5 people and 1 group with 3 members").await;
    page.says("p00@corp.example").await;
    page.click("button", "Plan").await;
    page.says("9 things would be changed").await;
    assert!(world.jira.account("p00").is_none(), "so far it was only looked at");
    page.click("button", "Read now").await;
    page.until("the read", "return find('badge', 'Well') !== null && find('badge', 'done') !== null && settled();")
        .await;
    eventually("the people in Jira", async || world.jira.account("p04").filter(|account| account.active)).await;
    page.says("of changes only; of everything in").await;

    idp.app.user("zoe").await;
    page.fill("userName", "zoe").await;
    page.click("button", "Read this person").await;
    page.until("zoe", "return find('button', 'of zoe') !== null && settled();").await;
    eventually("zoe in Jira", async || world.jira.account("zoe")).await;
    world.view("tenants/acme/users").await;
    page.says("zoe").await;

    world.view("sources/corp").await;
    page.click("button", "Delete …").await;
    page.fill("To confirm, type corp", "corp").await;
    page.click("button", "Delete it").await;
    page.says("No source").await;
    assert!(world.jira.account("zoe").is_some_and(|account| account.active), "the people stay");
    let complaints = page.complaints().await;
    // What the page asked for and was refused, as it should be.
    let expected = |line: &str| line.contains("api/v1/session") || line.contains("status of 422");
    let unexpected: Vec<&String> = complaints.iter().filter(|line| !expected(line)).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}
