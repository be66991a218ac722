//! Who may not do something sees that it can be done, and why not by them.

use serde_json::json;

use super::world::{VIEWER, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_sees_everything_changes_nothing_and_hears_why() {
    let world = World::new().await;
    let tenant = json!({ "slug": "okta", "target": "jira", "token": { "label": "okta" } });
    world.api(reqwest::Method::POST, "/tenants", &tenant).await;
    let settings = json!({ "kind": "scim", "url": "http://127.0.0.1:9/scim" });
    let source = json!({ "name": "corp", "tenant": "okta", "settings": settings });
    world.api(reqwest::Method::POST, "/sources", &source).await;
    let page = &world.browser;
    page.look(1280, false).await;
    world.view("tenants/okta/tokens?from=a-link").await;
    world.sign_in(VIEWER).await;
    page.says("making and revoking tokens needs the role admin").await;
    let hash = page.run("return location.hash;").await;
    assert_eq!(hash, "#/tenants/okta/tokens?from=a-link", "after signing in one is where the link leads");
    for (view, thing) in [
        ("", "New tenant"),
        ("tenants/okta/tokens", "New token"),
        ("tenants/okta/runs", "Import"),
        ("tenants/okta/overrides", "Pin …"),
        ("tenants/okta/removal", "Delete …"),
        ("tenants/okta/policy", "Save"),
        ("targets", "Test the credential"),
        ("sources", "New source"),
        ("sources/corp", "Test"),
        ("sources/corp", "Read now"),
        ("sources/corp", "Read this person"),
        ("sources/corp", "Change …"),
        ("log", "Set"),
    ] {
        world.view(view).await;
        let state = format!("return find('button', {})?.getAttribute('aria-disabled') === 'true';", json!(thing));
        page.until(&format!("{thing:?} to be shown and disabled in {view:?}"), &state).await;
        page.click("button", thing).await;
        page.until("the reason", "return document.getElementById('live').textContent.startsWith('Needs the role');")
            .await;
        assert_eq!(page.run("return document.querySelector('dialog') === null;").await, true, "{thing} opens nothing");
        let where_to = page.run("return location.hash;").await;
        assert_eq!(where_to, format!("#/{view}"), "{thing} leads nowhere");
    }
    world.view("tenants/okta").await;
    let complaints: Vec<String> = page.complaints().await;
    let unexpected: Vec<&String> = complaints.iter().filter(|line| !line.contains("api/v1/session")).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}
