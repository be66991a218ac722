//! One administrator's day, on the page.

use reqwest::Method;
use serde_json::json;

use super::browser::Browser;
use super::world::{ADMIN, World, leaves, person};
use crate::process::daemon::eventually;

const PEOPLE: [(&str, &str); 6] = [
    ("Ann", "Moss"),
    ("Bo", "Lindqvist"),
    ("Chen", "Wei"),
    ("Dagny", "Olafsdottir"),
    ("Emil", "Novak"),
    ("Fatima", "Zahra"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_makes_a_tenant_sees_people_arrive_releases_the_brake_and_finds_out_who_asked_for_what() {
    let world = World::new().await;
    let page = &world.browser;
    page.look(1280, false).await;
    world.view("").await;
    signs_in(&world).await;
    let token = makes_a_tenant(&world).await;
    let ids = pushes_people(&world, &token).await;
    sees_them_arrive(&world).await;
    tightens_the_brake(page).await;
    for id in &ids[1..5] {
        world.push("okta", &token, Method::PATCH, &format!("/Users/{id}"), &leaves()).await;
    }
    releases_the_brake(&world).await;
    imports_what_is_there(&world).await;
    finds_the_request(page).await;
    exports_it(&world).await;
    reads_the_explanation(page).await;
    page.click("button", "Sign out").await;
    page.until("the door", "return find('field', 'Admin token') !== null;").await;
    let complaints = page.complaints().await;
    // What the page asked for and was refused, as it should be: a session before there is one, a name that is none.
    let expected = |line: &str| line.contains("api/v1/session") || line.contains("status of 422");
    let unexpected: Vec<&String> = complaints.iter().filter(|line| !expected(line)).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

async fn signs_in(world: &World) {
    let page = &world.browser;
    page.fill("Admin token", "jsa_nobody-has-this-token-0123456789-0123456789").await;
    page.click("button", "Sign in").await;
    page.until("the refusal", "return document.querySelector('.wrong:not([hidden]), .notice.bad') !== null;").await;
    assert_eq!(page.run("return find('button', 'Sign out');").await, json!(null), "a wrong token opens nothing");
    world.sign_in(ADMIN).await;
    page.says("No tenant yet").await;
}

/// The token that the page shows, which is in the clipboard then.
async fn makes_a_tenant(world: &World) -> String {
    let page = &world.browser;
    let grant = json!({ "origin": world.page, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    page.cdp("Browser.grantPermissions", grant).await;
    page.click("button", "Make the first one").await;
    page.fill("Name", "Not A Slug").await;
    page.choose("To begin with", "enforce").await;
    page.click("button", "Make the tenant").await;
    let at_its_field = "return document.querySelector('[data-field=\"slug\"] .wrong:not([hidden])') !== null;";
    page.until("the error at its field", at_its_field).await;
    page.fill("Name", "okta").await;
    page.click("button", "Make the tenant").await;
    page.says("The tenant okta is ready").await;
    page.says("What to type at Okta").await;
    page.says("Authorization (Bearer)").await;
    page.click("button", "Copy the token").await;
    page.says("Copied").await;
    let copied = page.until("the clipboard", "window.focus(); return navigator.clipboard.readText();").await;
    let shown = page.run("return document.querySelector('.copy code').textContent;").await;
    assert_eq!(copied, shown, "what is copied is what is shown");
    page.click("button", "Go to the tenant").await;
    page.says("Last contact").await;
    copied.as_str().unwrap().to_owned()
}

async fn pushes_people(world: &World, token: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for (given, family) in PEOPLE {
        let made = world.push("okta", token, Method::POST, "/Users", &person(given, family)).await;
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    ids
}

async fn sees_them_arrive(world: &World) {
    let page = &world.browser;
    page.section("Users").await;
    page.says("dagny.olafsdottir").await;
    page.type_into("Search users", "ann").await;
    page.until("the search", "return !says('dagny.olafsdottir') && says('ann.moss') && settled();").await;
    page.click("link", "ann.moss").await;
    page.says("none: Jira agrees").await;
    page.says("May log in").await;
    assert!(world.jira.account("ann.moss").is_some_and(|account| account.active));
}

async fn tightens_the_brake(page: &Browser) {
    page.section("Policy").await;
    page.fill("The policy", r#"{"brake": {"acounts": {}}}"#).await;
    page.says("1 wrong").await;
    page.says("Line 1").await;
    page.says("acounts").await;
    let rules = r#"{"brake": {"accounts": {"min": 2, "percent": 1}}, "account": {"display_name": "{{ name.familyName | upper }}"}}"#;
    page.fill("The policy", rules).await;
    page.until("good rules", "return find('badge', 'Valid') !== null;").await;
    page.type_into("A real user", "bo.").await;
    page.until(
        "a suggestion",
        "return document.querySelector('[role=option]')?.textContent.startsWith('bo.lindqvist');",
    )
    .await;
    page.type_into("A real user", super::browser::DOWN_AND_ENTER).await;
    page.says("LINDQVIST").await;
    page.fill("The policy", r#"{"brake": {"accounts": {"min": 2, "percent": 1}}}"#).await;
    page.until("good rules", "return find('badge', 'Valid') !== null && !says('LINDQVIST');").await;
    page.click("button", "Save").await;
    page.says("Saved as version").await;
}

async fn releases_the_brake(world: &World) {
    let page = &world.browser;
    page.section("Held and refused").await;
    page.until("the brake to trip", "return find('badge', 'Tripped') !== null && settled();").await;
    let active =
        || world.jira.accounts().iter().filter(|account| account.active && account.username.contains('.')).count();
    assert_eq!(active(), 4, "two of the four who left are held");
    page.click("button", "Release").await;
    page.says("Release what is held?").await;
    page.click("button", "Release").await;
    page.until("the brake to be ready", "return !document.querySelector('dialog') && find('badge', 'Ready') !== null;")
        .await;
    eventually("what was held to be done", async || (active() == 2).then_some(())).await;
}

async fn imports_what_is_there(world: &World) {
    let page = &world.browser;
    page.section("Import and runs").await;
    page.click("button", "Import").await;
    let counts = "return find('heading', 'Import') !== null && settled()
        && document.querySelector('[aria-label=\"Counts of Import\"]')?.innerText.includes('accounts') && find('badge', 'done') !== null;";
    page.until("the import with its counts", counts).await;
}

async fn finds_the_request(page: &Browser) {
    page.section("Audit").await;
    page.fill("Words", "Olafsdottir").await;
    page.choose("Method", "POST").await;
    page.click("button", "Search").await;
    page.until("one request", "return settled() && document.querySelectorAll('tbody tr').length === 1;").await;
    page.click("button", "POST").await;
    page.says("\"familyName\": \"Olafsdottir\"").await;
    page.click("button", "Close").await;
    assert!(page.run("return location.hash;").await.as_str().unwrap().contains("q=Olafsdottir"), "it can be shared");
}

async fn exports_it(world: &World) {
    let folder = world.folder().join("downloads");
    std::fs::create_dir(&folder).unwrap();
    let page = &world.browser;
    page.cdp("Browser.setDownloadBehavior", json!({ "behavior": "allow", "downloadPath": folder })).await;
    page.click("button", "Export CSV").await;
    let csv = eventually("the file", async || {
        let file = std::fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path());
        file.filter(|path| path.extension().is_some_and(|ending| ending == "csv"))
            .find_map(|path| std::fs::read_to_string(path).ok())
    })
    .await;
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let found: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert_eq!(found.len(), 1, "what was searched for is exported: {csv}");
    assert!(found[0].iter().any(|cell| cell.contains("/scim/okta/v2/Users")), "{csv}");
}

async fn reads_the_explanation(page: &Browser) {
    page.section("Explain").await;
    page.says("Whom is it about?").await;
    page.fill("User", "chen.wei").await;
    page.click("button", "Explain").await;
    page.says("The answer").await;
    page.until(
        "the story",
        "return settled() && says('chen.wei') && document.querySelectorAll('.time li').length > 1;",
    )
    .await;
    let hash = page.run("return location.hash;").await;
    assert!(hash.as_str().unwrap().contains("user=chen.wei"), "a link to it can be shared: {hash}");
}
