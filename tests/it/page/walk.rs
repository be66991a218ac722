//! Every view, on a desk and on a phone, in light and in dark: nothing juts out, everything has a name and can be read.
//!
//! With the variable `PAGE_PICTURES` the pictures of all of them are put into the folder that it names.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::json;

use super::world::{ADMIN, World, leaves, person};
use crate::process::daemon::eventually;
use crate::sync::scim_world::Idp;

const VIEWS: [&str; 29] = [
    "",
    "tenants/new",
    "tenants/okta",
    "tenants/okta/users",
    "tenants/okta/users?q=dag",
    "tenants/okta/users?id={ann}",
    "tenants/okta/groups",
    "tenants/okta/waiting",
    "tenants/okta/waiting?state=waived",
    "tenants/okta/audit",
    "tenants/okta/audit?q=Moss&status=2xx",
    "tenants/okta/explain",
    "tenants/okta/explain?user=ann.moss",
    "tenants/okta/explain?user=ann.moss&group=Engineering",
    "tenants/okta/policy?user=ann.moss",
    "tenants/okta/plan",
    "tenants/okta/overrides",
    "tenants/okta/links",
    "tenants/okta/runs",
    "tenants/okta/drift",
    "tenants/okta/tokens",
    "tenants/okta/removal",
    "targets",
    "sources",
    "sources/new",
    "sources/corp",
    "metrics",
    "log",
    "nowhere",
];

/// Widths, and whether it is dark; the last is for pictures alone.
const LOOKS: [(u32, bool); 5] = [(1280, false), (1280, true), (375, false), (320, true), (375, true)];

/// Those that only the role admin fills.
const ADMINS: [&str; 2] = ["audit", "admin-tokens"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_fits_and_can_be_read_and_named_on_a_desk_and_on_a_phone_in_light_and_in_dark() {
    let world = World::new().await;
    let ann = peopled(&world).await;
    let _idp = fed(&world).await;
    let pictures = std::env::var_os("PAGE_PICTURES").map(PathBuf::from);
    let page = &world.browser;
    let mut wrong = Vec::new();
    world.view("").await;
    examine(&world, "door", &pictures, &mut wrong).await;
    page.complaints().await;
    world.sign_in(ADMIN).await;
    for view in VIEWS.into_iter().chain(ADMINS) {
        page.look(1280, false).await;
        world.view(&view.replace("{ann}", &ann)).await;
        examine(&world, view, &pictures, &mut wrong).await;
        wrong.extend(page.complaints().await.into_iter().map(|line| format!("{view}: {line}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Looks at the view that is open, at each width and in each scheme.
async fn examine(world: &World, view: &str, pictures: &Option<PathBuf>, wrong: &mut Vec<String>) {
    let page = &world.browser;
    for (width, dark) in LOOKS.into_iter().take(if pictures.is_some() { 5 } else { 4 }) {
        page.look(width, dark).await;
        page.settled().await;
        let scheme = if dark { "dark" } else { "light" };
        let found = page.run("return faults();").await;
        wrong.extend(found.as_array().unwrap().iter().map(|fault| format!("{view} at {width} in {scheme}: {fault}")));
        if let Some(folder) = pictures.as_ref().filter(|_| width != 320) {
            let name: String = view.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '-' }).collect();
            let name = if name.is_empty() { "overview".to_owned() } else { name };
            std::fs::write(folder.join(format!("{name}-{width}-{scheme}.png")), page.picture(width).await).unwrap();
        }
    }
}

/// A source that was read once and is away by now.
async fn fed(world: &World) -> Idp {
    let (idp, _) = Idp::peopled(4).await;
    std::fs::write(world.secrets().join("token"), &idp.app.token).unwrap();
    world.api(Method::POST, "/tenants", &json!({ "slug": "corp", "target": "jira", "mode": "observe" })).await;
    let settings = json!({ "kind": "scim", "url": idp.url("v2"), "token_file": "token", "every": "1h" });
    let source = json!({ "name": "corp", "tenant": "corp", "settings": settings });
    world.api(Method::POST, "/sources", &source).await;
    eventually("the first read", async || {
        let one = world.api(Method::GET, "/sources/corp", &json!({})).await;
        (one["state"] == "well").then_some(())
    })
    .await;
    idp
}

/// A tenant with something of everything; the id of one of its people.
async fn peopled(world: &World) -> String {
    let policy = json!({ "brake": { "accounts": { "min": 1, "percent": 1 } } });
    let tenant = json!({ "slug": "okta", "target": "jira", "mode": "enforce", "policy": policy, "idp": "okta", "token": { "label": "okta production" } });
    let made = world.api(Method::POST, "/tenants", &tenant).await;
    let token = made["token"]["secret"].as_str().unwrap().to_owned();
    world.api(Method::POST, "/tenants", &json!({ "slug": "entra-europe", "target": "jira", "mode": "observe" })).await;
    let mut ids = Vec::new();
    for (given, family) in [
        ("Ann", "Moss"),
        ("Bo", "Lindqvist"),
        ("Dagny-Sigridur-Thorgerdur", "Olafsdottir-Wolfeschlegelsteinhausen"),
        ("Emil", "Novak"),
    ] {
        let made = world.push("okta", &token, Method::POST, "/Users", &person(given, family)).await;
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let members: Vec<_> = ids.iter().map(|id| json!({ "value": id })).collect();
    let group = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Engineering", "members": members });
    world.push("okta", &token, Method::POST, "/Groups", &group).await;
    for id in &ids[1..] {
        world.push("okta", &token, Method::PATCH, &format!("/Users/{id}"), &leaves()).await;
    }
    let pin = json!({ "user": ids[0], "what": "active", "until": "2099-03-31T00:00:00Z", "reason": "the contract ends in March" });
    world.api(Method::POST, "/tenants/okta/overrides", &pin).await;
    ids.swap_remove(0)
}
