//! When people were last seen at the target: read by a round of asking, published to SCIM clients where the tenant says so, and
//! nothing of the resource itself.

use axum::http::Method;
use chrono::{DateTime, Utc};
use jira_scim::sandbox::{Sandbox, SandboxOptions};
use jira_scim::store::Store;
use jira_scim::store::run::{self, Kind, State};
use jira_scim::store::tenant::{self, TenantChange};
use jira_scim::writer::Writer;
use jira_scim::writer::last_login::Logins;
use serde_json::{Value, json};

use super::http_app::{App, Make};
use super::world::{World, origin};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Jira and an app of a tenant that publishes, with Ann (seen in March), Bo (seen in May) and Cy (never seen).
struct Stage {
    jira: Sandbox,
    app: App,
    ann: String,
    bo: String,
    cy: String,
}

impl Stage {
    async fn like(policy: Value) -> Self {
        let jira = Sandbox::start(SandboxOptions { applications: vec![], ..SandboxOptions::default() }).await.unwrap();
        let app = App::make(Make { policy, ..Make::default() }, Some(&jira)).await;
        let person = |name: &str| json!({"userName": name, "displayName": name, "emails": [{"value": format!("{name}@example.test")}]});
        let mut ids = Vec::new();
        for name in ["ann", "bo", "cy"] {
            ids.push(app.post("/Users", person(name)).await.is(201).id());
        }
        jira.change(|world| {
            world.log_in("ann", at("2026-03-01T08:00:00Z")).unwrap();
            world.log_in("bo", at("2026-05-01T08:00:00Z")).unwrap();
            world.log_in(&jira_admin(), at("2026-11-01T08:00:00Z")).unwrap();
        });
        let [ann, bo, cy] = ids.try_into().unwrap();
        Self { jira, app, ann, bo, cy }
    }

    async fn publishing() -> Self {
        Self::like(json!({"last_login": {"publish": true, "every": "1d"}})).await
    }

    async fn read(&self) -> Logins {
        read(&self.app.store, &self.app.writer, "acme").await
    }

    /// The names of those whom the filter finds, in the order of the answer.
    async fn found(&self, query: &str) -> Vec<String> {
        let answer = self.app.get(&format!("/Users?{query}")).await.is(200);
        let users = answer.body["Resources"].as_array().cloned().unwrap_or_default();
        users.iter().map(|user| user["userName"].as_str().unwrap().to_owned()).collect()
    }
}

/// Asks once, and answers what came of it.
async fn read(store: &Store, writer: &Writer, slug: &str) -> Logins {
    let tenant = tenant::get(store.pool(), slug).await.unwrap().unwrap();
    let mut conn = store.pool().acquire().await.unwrap();
    let id = run::request(&mut conn, tenant.id, Kind::LastLogin, &json!({}), origin()).await.unwrap().unwrap();
    assert!(writer.run_this(tenant.id, id).await.unwrap());
    let run = run::get(&mut conn, tenant.id, id).await.unwrap().unwrap();
    assert_eq!((run.state, &run.error), (State::Done, &None));
    serde_json::from_value(run.counters).unwrap()
}

fn jira_admin() -> String {
    SandboxOptions::default().admin
}

#[tokio::test]
async fn what_was_read_is_published_in_two_places_and_is_no_change_of_the_resource() {
    // ONEID-6
    let stage = Stage::publishing().await;
    let before = stage.app.get(&format!("/Users/{}", stage.ann)).await.is(200);
    assert!(
        before.body["meta"].get("lastLogin").is_none() && before.body.get(ENTERPRISE).is_none(),
        "unknown is left out"
    );
    let writes = stage.jira.journal().iter().filter(|call| call.method != "GET").count();
    assert_eq!(stage.read().await, Logins { told: 3, users: 2, changed: 2 });
    assert_eq!(stage.read().await, Logins { told: 3, users: 2, changed: 0 });
    let after = stage.app.get(&format!("/Users/{}", stage.ann)).await.is(200);
    let seen = "2026-03-01T08:00:00.000000Z";
    assert_eq!(after.body["meta"]["lastLogin"], seen);
    assert_eq!(after.body[ENTERPRISE], json!({"lastLogin": seen}));
    assert_eq!(after.body["schemas"][1], ENTERPRISE);
    for part in ["version", "lastModified"] {
        assert_eq!(after.body["meta"][part], before.body["meta"][part], "{part}");
    }
    assert_eq!(stage.app.open().await, 0, "nobody's Jira side is out of date");
    assert_eq!(stage.jira.journal().iter().filter(|call| call.method != "GET").count(), writes);
    let cy = stage.app.get(&format!("/Users/{}", stage.cy)).await.is(200);
    assert!(cy.body["meta"].get("lastLogin").is_none() && cy.body.get(ENTERPRISE).is_none());
    // The same person under SCIM 1.1.
    let old = stage.app.raw(Method::GET, &format!("/scim/acme/v1/Users/{}", stage.bo)).token(&stage.app.token);
    assert_eq!(old.send().await.is(200).body["meta"]["lastLogin"], "2026-05-01T08:00:00.000000Z");
}

#[tokio::test]
async fn it_is_filtered_sorted_and_selected_like_any_time() {
    let stage = Stage::publishing().await;
    stage.read().await;
    for (filter, names) in [
        ("meta.lastLogin%20lt%20%222026-04-01T00:00:00Z%22", &["ann"][..]),
        ("meta.lastLogin%20gt%20%222026-04-01T00:00:00Z%22", &["bo"]),
        ("meta.lastLogin%20le%20%222026-05-01T08:00:00Z%22", &["ann", "bo"]),
        ("meta.lastLogin%20ge%20%222026-03-01T08:00:00Z%22", &["ann", "bo"]),
        ("meta.lastLogin%20eq%20%222026-03-01T09:00:00%2B01:00%22", &["ann"]),
        ("meta.lastLogin%20ne%20%222026-03-01T08:00:00Z%22", &["bo", "cy"]),
        ("meta.lastLogin%20pr", &["ann", "bo"]),
        ("not%20(meta.lastLogin%20pr)", &["cy"]),
        ("not%20(meta.lastLogin%20gt%20%222026-04-01T00:00:00Z%22)", &["ann", "cy"]),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:lastLogin%20pr", &["ann", "bo"]),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:lastLogin%20lt%20%222026-04-01T00:00:00Z%22",
            &["ann"],
        ),
        ("schemas%20eq%20%22urn:ietf:params:scim:schemas:extension:enterprise:2.0:User%22", &["ann", "bo"]),
    ] {
        let mut found = stage.found(&format!("filter={filter}")).await;
        found.sort();
        assert_eq!(found, names, "{filter}");
    }
    assert_eq!(stage.found("sortBy=meta.lastLogin").await, ["ann", "bo", "cy"], "who was never seen comes last");
    assert_eq!(stage.found("sortBy=meta.lastLogin&sortOrder=descending").await, ["cy", "bo", "ann"]);
    let enterprise = format!("sortBy={ENTERPRISE}:lastLogin&count=2&cursor");
    assert_eq!(stage.found(&enterprise).await, ["ann", "bo"]);
    let cut = stage.app.get(&format!("/Users/{}?attributes=meta.lastLogin", stage.ann)).await.is(200);
    assert_eq!(cut.body["meta"], json!({"lastLogin": "2026-03-01T08:00:00.000000Z"}));
    let without =
        stage.app.get(&format!("/Users/{}?excludedAttributes={ENTERPRISE}:lastLogin", stage.ann)).await.is(200);
    assert!(without.body.get(ENTERPRISE).is_none() && without.body["meta"]["lastLogin"].is_string());
}

#[tokio::test]
async fn a_client_that_writes_it_changes_nothing() {
    let stage = Stage::publishing().await;
    stage.read().await;
    let path = format!("/Users/{}", stage.ann);
    let mut body = stage.app.get(&path).await.is(200).body;
    let version = body["meta"]["version"].clone();
    // A body which is an earlier answer changes nothing (OKTA-12).
    let same = stage.app.put(&path, body.clone()).await.is(200);
    assert_eq!(same.body["meta"]["version"], version);
    body["meta"]["lastLogin"] = "2020-01-01T00:00:00Z".into();
    body[ENTERPRISE]["lastLogin"] = "2020-01-01T00:00:00Z".into();
    let same = stage.app.put(&path, body.clone()).await.is(200);
    assert_eq!(same.body["meta"]["version"], version);
    body[ENTERPRISE]["department"] = "Ops".into();
    let changed = stage.app.put(&path, body).await.is(200);
    let shown = json!({"department": "Ops", "lastLogin": "2026-03-01T08:00:00.000000Z"});
    assert_eq!(changed.body[ENTERPRISE], shown, "the answer to a change tells it, too");
    let patch =
        json!([{"op": "add", "value": {ENTERPRISE: {"lastLogin": "2020-01-01T00:00:00Z", "division": "East"}}}]);
    let patched = stage.app.patch(&path, patch).await.is(200);
    assert_eq!(patched.body[ENTERPRISE]["lastLogin"], "2026-03-01T08:00:00.000000Z");
    // Neither the attribute itself nor the extension that it is in is anybody's to write.
    let made = json!({"userName": "di", ENTERPRISE: {"lastLogin": "2020-01-01T00:00:00Z"}});
    assert!(stage.app.post("/Users", made).await.is(201).body.get(ENTERPRISE).is_none());
}

#[tokio::test]
async fn only_a_tenant_that_publishes_it_has_it_in_its_schemas() {
    let stage = Stage::publishing().await;
    stage.read().await;
    let names = |schema: &Value| -> Vec<String> {
        let attributes = schema["attributes"].as_array().unwrap();
        attributes.iter().map(|attribute| attribute["name"].as_str().unwrap().to_owned()).collect()
    };
    let enterprise = stage.app.get(&format!("/Schemas/{ENTERPRISE}")).await.is(200).body;
    let last = enterprise["attributes"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["name"], &last["type"], &last["mutability"]),
        (&json!("lastLogin"), &json!("dateTime"), &json!("readOnly"))
    );
    // The same database, the same people, and a tenant that says nothing of it any more.
    let mut conn = stage.app.store.pool().acquire().await.unwrap();
    let change = TenantChange { policy: Some(json!({})), ..TenantChange::default() };
    tenant::update(&mut conn, "acme", &change, origin()).await.unwrap();
    drop(conn);
    let token = super::http_app::another_token(&stage.app.store, "acme").await;
    let ask = |path: String| stage.app.raw(Method::GET, &path).token(&token).send();
    let user = ask(format!("/scim/acme/v2/Users/{}", stage.ann)).await.is(200);
    assert!(user.body["meta"].get("lastLogin").is_none() && user.body.get(ENTERPRISE).is_none());
    let schema = ask(format!("/scim/acme/v2/Schemas/{ENTERPRISE}")).await.is(200);
    assert!(!names(&schema.body).contains(&"lastLogin".to_owned()));
    ask("/scim/acme/v2/Users?filter=meta.lastLogin%20pr".to_owned()).await.refuses(400, "invalidFilter");
}

#[tokio::test]
async fn the_daemon_asks_as_often_as_the_policy_says_and_learns_of_its_own_people_alone() {
    let world = World::with_policy(json!({"last_login": {"every": "1d"}})).await;
    let ann = world.user("ann").await;
    world.writer.drain().await.unwrap();
    world.jira.change(|jira| jira.log_in("ann", at("2026-03-01T08:00:00Z"))).unwrap();
    assert_eq!(world.writer.run_due().await.unwrap(), 1);
    assert_eq!(world.another_writer().run_due().await.unwrap(), 0, "its turn was today");
    let known: Option<DateTime<Utc>> = sqlx::query_scalar("SELECT last_login FROM scim_user WHERE id = $1")
        .bind(ann)
        .fetch_one(world.pool())
        .await
        .unwrap();
    assert_eq!(known, Some(at("2026-03-01T08:00:00Z")));
    sqlx::query("UPDATE run SET requested = requested - interval '1 day'").execute(world.pool()).await.unwrap();
    assert_eq!(world.writer.run_due().await.unwrap(), 1);
    world.other_tenant("okta").await;
    let logins = read(&world.store, &world.writer, "okta").await;
    assert_eq!(logins, Logins { told: 1, users: 0, changed: 0 });
}
