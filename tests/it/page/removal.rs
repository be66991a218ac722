//! What takes away for good wants a word typed: a wrong one does nothing, the right one does it.

use reqwest::Method;
use serde_json::json;

use super::browser::Browser;
use super::world::{ADMIN, World, person};

/// Opens a dialog that wants the tenant's name, types another one and then that.
async fn confirmed(page: &Browser, open: &str, go: &str) {
    page.click("button", open).await;
    page.fill("To confirm, type okta", "Okta").await;
    page.click("button", go).await;
    page.says("Type okta, exactly.").await;
    page.fill("To confirm, type okta", "okta").await;
    page.click("button", go).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_word_removes_nothing_and_the_right_one_does() {
    let world = World::new().await;
    let tenant = json!({ "slug": "okta", "target": "jira", "mode": "enforce", "token": { "label": "okta" } });
    let made = world.api(Method::POST, "/tenants", &tenant).await;
    let token = made["token"]["secret"].as_str().unwrap().to_owned();
    for (given, family) in [("Ann", "Moss"), ("Bo", "Lindqvist")] {
        world.push("okta", &token, Method::POST, "/Users", &person(given, family)).await;
    }
    world.account("bo.lindqvist", true).await;
    let page = &world.browser;
    page.look(1280, false).await;
    world.view("tenants/okta/audit").await;
    world.sign_in(ADMIN).await;
    page.until("the pushes", "return document.querySelectorAll('tbody tr').length >= 2;").await;
    page.click("button", "Clear …").await;
    page.fill("To confirm, type okta", "all").await;
    page.click("button", "Forget them").await;
    page.says("Type okta, exactly.").await;
    page.click("button", "Cancel").await;
    page.closed().await;
    assert!(page.run("return document.querySelectorAll('tbody tr').length;").await.as_u64() >= Some(2));
    confirmed(page, "Clear …", "Forget them").await;
    page.until("it to be done", "return document.getElementById('live').textContent.endsWith('forgotten.');").await;
    page.closed().await;

    world.view("tenants/okta/removal").await;
    page.click("button", "Purge …").await;
    page.fill("To confirm, type okta", "ok").await;
    page.click("button", "Purge").await;
    page.says("Type okta, exactly.").await;
    assert!(world.jira.account("ann.moss").is_some_and(|account| account.active), "nothing is purged");
    page.click("button", "Cancel").await;
    page.closed().await;
    confirmed(page, "Purge …", "Purge").await;
    page.until("the purge", "return find('heading', 'Purge') !== null && find('badge', 'done') !== null;").await;
    let left =
        || ["ann.moss", "bo.lindqvist"].iter().any(|name| world.jira.account(name).is_some_and(|one| one.active));
    assert!(!left(), "{:?}", world.jira.accounts());

    world.view("tenants/okta/removal").await;
    page.until("what a reset would do", "return settled() && find('button', 'Delete …') !== null;").await;
    confirmed(page, "Reset …", "Reset").await;
    page.until("the reset", "return find('heading', 'Reset') !== null && find('badge', 'done') !== null;").await;

    world.view("tenants/okta/removal").await;
    confirmed(page, "Delete …", "Delete it").await;
    page.says("No tenant yet").await;
    assert_eq!(world.status("okta", &format!("Bearer {token}")).await, 401);
}
