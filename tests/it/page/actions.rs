//! The buttons that a day does not need, each pressed once, and what came of it.

use base64::Engine as _;
use jira_scim::sandbox::NewAccount;
use reqwest::Method;
use serde_json::{Value, json};

use super::browser::Browser;
use super::world::{ADMIN, World, leaves, person};
use crate::process::daemon::eventually;

/// A tenant with its token, and a page on which an administrator is signed in.
async fn with_tenant(policy: Value) -> (World, String) {
    let world = World::new().await;
    let tenant =
        json!({ "slug": "okta", "target": "jira", "mode": "enforce", "policy": policy, "token": { "label": "okta" } });
    let made = world.api(Method::POST, "/tenants", &tenant).await;
    let token = made["token"]["secret"].as_str().unwrap().to_owned();
    world.browser.look(1280, false).await;
    world.view("tenants/okta").await;
    world.sign_in(ADMIN).await;
    (world, token)
}

/// The texts that a dialog offers to copy.
async fn copyable(page: &Browser) -> Vec<String> {
    page.says("It is shown this once").await;
    let texts = page.run("return [...scope().querySelectorAll('.copy code')].map((one) => one.textContent);").await;
    page.click("button", "Close").await;
    page.closed().await;
    texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("{username}:{password}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_of_each_kind_is_made_on_the_page_works_and_ends() {
    let (world, _) = with_tenant(json!({})).await;
    let page = &world.browser;
    page.section("Tokens").await;
    page.click("button", "New token").await;
    page.fill("Label", "bearer").await;
    page.click("button", "Make it").await;
    let bearer = copyable(page).await;
    assert_eq!((bearer.len(), world.status("okta", &format!("Bearer {}", bearer[0])).await), (1, 200));

    page.click("button", "New token").await;
    page.fill("Label", "made").await;
    page.choose("Kind", "basic").await;
    page.fill("User name", "agent").await;
    page.click("button", "Make it").await;
    let made = copyable(page).await;
    assert_eq!((made[0].as_str(), world.status("okta", &basic("agent", &made[1])).await), ("agent", 200));

    page.click("button", "New token").await;
    page.fill("Label", "chosen").await;
    page.choose("Kind", "chosen").await;
    page.fill("User name", "someone").await;
    page.fill("Password", "too short").await;
    page.click("button", "Make it").await;
    page.until("the error at its field", "return scope().querySelector('[data-field=password] .wrong:not([hidden])');")
        .await;
    page.fill("Password", "correct horse battery").await;
    page.click("button", "Make it").await;
    page.closed().await;
    assert_eq!(world.status("okta", &basic("someone", "correct horse battery")).await, 200);

    page.click("button", "New token").await;
    page.fill("Label", "oauth").await;
    page.choose("Kind", "client").await;
    page.click("button", "Make it").await;
    page.says("Client id").await;
    let client = copyable(page).await;
    assert_eq!(client.len(), 3, "its id, where it gets its tokens, its secret: {client:?}");
    assert!(client[1].ends_with("/scim/okta/oauth/token"), "{client:?}");
    let token = world.token_of("okta", &client[0], &client[2]).await;
    assert_eq!(world.status("okta", &format!("Bearer {token}")).await, 200);

    page.click_in_row("bearer", "Replace").await;
    page.click("button", "Replace it").await;
    let fresh = copyable(page).await;
    for text in [&fresh[0], &bearer[0]] {
        assert_eq!(world.status("okta", &format!("Bearer {text}")).await, 200, "both are good for a while");
    }
    page.click_in_row("made", "Revoke").await;
    page.click("button", "Revoke").await;
    page.closed().await;
    eventually("the password to be refused", async || {
        (world.status("okta", &basic("agent", &made[1])).await == 401).then_some(())
    })
    .await;

    page.click("button", "Trust an issuer").await;
    page.fill("Label", "corp").await;
    page.fill("Issuer", "https://idp.example").await;
    page.fill("Audience", "api://jira-scim").await;
    page.fill("Address of its keys", "http://idp.example/keys").await;
    page.click("button", "Trust it").await;
    page.until("the error at its field", "return scope().querySelector('[data-field=jwks_url] .wrong:not([hidden])');")
        .await;
    page.fill("Address of its keys", "https://idp.example/keys").await;
    page.click("button", "Trust it").await;
    page.closed().await;
    page.click_in_row("corp", "Forget").await;
    page.click("button", "Trust it no longer").await;
    page.closed().await;
    page.says("No issuer").await;

    world.view("admin-tokens").await;
    page.click("button", "New admin token").await;
    page.fill("Label", "guest").await;
    page.click("button", "Make it").await;
    assert!(copyable(page).await[0].starts_with("jsa_"));
    page.click_in_row("guest", "Revoke").await;
    page.click("button", "Revoke").await;
    page.closed().await;
    page.until("it to be revoked", "return settled() && inRow('guest', 'Revoke') === null && says('revoked');").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_is_tested_and_asked_again_and_the_log_tells_more_for_a_while() {
    let (world, token) = with_tenant(json!({})).await;
    let page = &world.browser;
    world.view("targets").await;
    page.click("button", "Test the credential").await;
    page.says("Jira answers and accepts the credential.").await;
    world.jira.stop().await.unwrap();
    world.push("okta", &token, Method::POST, "/Users", &person("Ann", "Moss")).await;
    let paused = async || {
        let target = world.get("/targets/jira").await;
        (target["health"]["state"] == "paused").then_some(())
    };
    eventually("the target to be paused", paused).await;
    world.view("targets").await;
    page.says("Paused").await;
    page.click("button", "Test the credential").await;
    page.until("the failure", "return settled() && find('notice', 'Jira answers') === null && says('Paused');").await;
    world.jira.restart_on_same_port().await.unwrap();
    page.click("button", "Ask again now").await;
    world.account("ann.moss", true).await;

    world.view("log").await;
    page.says("Nothing differs").await;
    page.fill("Module", "jira_scim::admin").await;
    page.click("button", "Set").await;
    page.until("the level", "return settled() && find('badge', 'debug') !== null;").await;
    world.get("/session").await;
    eventually("more in the log", async || world.log().contains("\"DEBUG\"").then_some(())).await;
    page.click("button", "Back to what is configured").await;
    page.says("Nothing differs").await;
    world.view("metrics").await;
    page.says("Calls to Jira").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_pinned_linked_retried_waived_and_compared_on_the_page() {
    let (world, token) = with_tenant(json!({ "brake": { "accounts": { "min": 1, "percent": 1 } } })).await;
    let page = &world.browser;
    let mut ids = Vec::new();
    for (given, family) in [
        ("Ann", "Moss"),
        ("Bo", "Lindqvist"),
        ("Dagny", "Olafsdottir"),
        ("Fay", "Berg"),
        ("Emil", "Novak"),
        ("Cy", "<Tan>"),
    ] {
        let path = "/Users";
        // What Jira refuses is told to the provider, and nothing is left of it; so the last one comes while Jira is away.
        if given == "Cy" {
            world.jira.stop().await.unwrap();
        }
        let made = world.push("okta", &token, Method::POST, path, &person(given, family)).await;
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    world.jira.restart_on_same_port().await.unwrap();
    world.act("/targets/jira/resume").await;
    for name in ["ann.moss", "bo.lindqvist", "dagny.olafsdottir", "fay.berg", "emil.novak"] {
        world.account(name, true).await;
    }
    let refused = async || {
        let found = world.get("/tenants/okta/outbox?state=refused").await;
        (found["items"].as_array()?.len() == 1).then_some(())
    };
    eventually("the refusal of the last one", refused).await;

    page.section("Held and refused").await;
    page.until("the refusal", "return settled() && inRow('cy.<tan>', 'Waive') !== null;").await;
    page.click_in_row("cy.<tan>", "Retry").await;
    page.says("It is tried again.").await;
    page.until("the refusal", "return settled() && inRow('cy.<tan>', 'Waive') !== null;").await;
    page.click_in_row("cy.<tan>", "Waive").await;
    page.says("Waived").await;

    page.section("Overrides").await;
    page.click("button", "Switch off now …").await;
    page.fill("User", "ann.moss").await;
    page.fill("Reason", "the laptop is stolen").await;
    page.click("button", "Switch off now").await;
    page.closed().await;
    world.account("ann.moss", false).await;
    page.click_in_row("ann.moss", "Lift").await;
    page.click("button", "Lift it").await;
    page.closed().await;
    world.account("ann.moss", true).await;
    page.click("button", "Pin …").await;
    page.fill("User", "nobody").await;
    page.fill("Reason", "a test").await;
    page.click("button", "Pin").await;
    page.until("the refusal", "return scope().querySelector('.wrong:not([hidden]), .notice.bad') !== null;").await;
    page.fill("User", "bo.lindqvist").await;
    page.fill("Reason", "a test").await;
    page.click("button", "Pin").await;
    page.closed().await;
    page.until("the pin", "return settled() && inRow('bo.lindqvist', 'Lift') !== null;").await;

    page.section("Links").await;
    page.click_in_row("emil.novak", "Unlink").await;
    page.click("button", "Forget the link").await;
    let told = "return document.getElementById('live').textContent === 'The link is forgotten.';";
    page.until("the link to be forgotten", told).await;
    page.closed().await;
    world.jira.add_account(&NewAccount::named("cy.tan")).unwrap();
    page.click("button", "Link …").await;
    page.fill("User", "cy.<tan>").await;
    page.fill("Account", "cy.tan").await;
    page.click("button", "Link").await;
    page.closed().await;
    page.until("the link", "return settled() && inRow('cy.tan', 'Unlink') !== null;").await;
    page.click("button", "Merge …").await;
    page.fill("From", "emil.novak").await;
    page.fill("Into", "ann.moss").await;
    page.click("button", "Merge").await;
    page.until("the refusal", "return scope().querySelector('.wrong:not([hidden]), .notice.bad') !== null;").await;
    page.click("button", "Cancel").await;

    page.section("Drift").await;
    page.click("button", "Compare now").await;
    page.until("the comparison", "return settled() && find('badge', 'done') !== null;").await;
    page.click("button", "Look for them").await;
    page.until("the accounts", "return settled() && !says('Not looked for yet');").await;

    page.section("Explain").await;
    page.fill("User", "ann.moss").await;
    page.fill("Group", "jira-software-users").await;
    page.click("button", "Explain").await;
    page.says("The answer").await;
    page.until("the membership", "return settled() && says('jira-software-users');").await;

    // Whom nothing was done to above: who was switched off by hand within the hour does not count again.
    for id in [&ids[2], &ids[3]] {
        world.push("okta", &token, Method::PATCH, &format!("/Users/{id}"), &leaves()).await;
    }
    page.section("Held and refused").await;
    page.until("the brake to trip", "return find('badge', 'Tripped') !== null && settled();").await;
    page.click("button", "Drop").await;
    page.says("Give up what is held?").await;
    page.click("button", "Give up").await;
    page.closed().await;
    page.says("given up").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_plan_is_released_and_the_page_says_what_still_waits() {
    let (world, _) = with_tenant(json!({})).await;
    let tenant = json!({ "slug": "entra", "target": "jira", "mode": "observe", "token": { "label": "entra" } });
    let made = world.api(Method::POST, "/tenants", &tenant).await;
    let token = made["token"]["secret"].as_str().unwrap().to_owned();
    for (given, family) in [("Ann", "Moss"), ("Bo", "Lindqvist"), ("Emil", "Novak")] {
        world.push("entra", &token, Method::POST, "/Users", &person(given, family)).await;
    }
    let page = &world.browser;
    world.view("tenants/entra/plan").await;
    page.until("the plan", "return settled() && says('ann.moss') && says('emil.novak');").await;
    page.click("button", "Reckon the sums").await;
    page.says("3 users of 3 would be written.").await;
    page.click("button", "Release …").await;
    page.fill("Only this user", "ann.moss").await;
    page.click("button", "Release").await;
    page.closed().await;
    world.account("ann.moss", true).await;
    assert!(world.jira.account("bo.lindqvist").is_none(), "only what was released");
    world.jira.stop().await.unwrap();
    page.click("button", "Release …").await;
    page.click("button", "Release").await;
    page.closed().await;
    page.until("what waits", "return settled() && says('Released and still waiting: 2 users, 0 groups.');").await;
    world.jira.restart_on_same_port().await.unwrap();
    world.act("/targets/jira/resume").await;
    world.account("bo.lindqvist", true).await;
    world.account("emil.novak", true).await;
}
