//! Sources are made, tested, planned, read and deleted, and those of the configuration are left alone.

use jira_scim::config::{Config, SourceConfig};
use jira_scim::sync::run::Configured;
use serde_json::{Value, json};

use super::office::{Answer, Office};
use crate::process::daemon::eventually;
use crate::sync::scim_world::Idp;
use crate::world::Make;

/// An office whose folder of files holds the token of an identity provider, and what a source of that one is made of.
async fn beside(idp: &Idp) -> (Office, Value) {
    let office = Office::new().await;
    std::fs::write(office.files.path().join("token"), &idp.app.token).unwrap();
    let settings = json!({ "kind": "scim", "url": idp.url("v2"), "token_file": "token" });
    (office, json!({ "name": "corp", "tenant": "acme", "settings": settings }))
}

/// A run when it has ended, as the tenant's list has it.
async fn ended(office: &Office, asked: Answer) -> Value {
    assert!(matches!(asked.status, 200 | 202), "{}", asked.text);
    let path = format!("/tenants/acme/runs/{}", asked.body["id"].as_str().unwrap());
    eventually("the end of the run", async || {
        let run = office.get(&path).await.is(200).body;
        run["finished"].is_string().then_some(run)
    })
    .await
}

#[tokio::test]
async fn a_source_is_made_tested_planned_read_and_deleted() {
    let (idp, _) = Idp::peopled(4).await;
    let (office, new) = beside(&idp).await;
    let made = office.post("/sources", new.clone()).await.is(201).body;
    assert_eq!((&made["state"], &made["declared"], &made["kind"]), (&json!("new"), &json!(false), &json!("scim")));
    assert_eq!((&made["address"], &made["settings"]), (&json!(idp.url("v2")), &new["settings"]));
    assert_eq!((&made["next"]["at"], &made["next"]["extent"]), (&Value::Null, &json!("full")));
    assert!(made["since"].is_string(), "nobody else feeds the tenant from now on");
    assert!(!made.to_string().contains(&idp.app.token));
    let refused = office.post("/sources", new.clone()).await.refused(409, "name-taken");
    assert_eq!(refused.body["error"]["field"], "name");

    let asked = office.ask(&office.operator, "POST", "/sources/corp/test", None).await;
    let seen = office.result(asked).await;
    assert_eq!((&seen["ok"], &seen["people"], &seen["members"]), (&json!(true), &json!(4), &json!(3)));
    assert_eq!(seen["shown"].as_array().unwrap().len(), 3);
    let asked = office.ask(&office.operator, "POST", "/sources/corp/plan", None).await;
    let plan = office.result(asked).await;
    assert_eq!((&plan["wanted"], &plan["error"], &plan["more"]), (&json!(8), &Value::Null, &json!(0)));
    assert_eq!(plan["lines"][0], json!({ "of": "user", "what": "create", "name": "p00", "detail": "" }));
    assert!(office.world.jira.account("p00").is_none());

    let run = ended(&office, office.ask(&office.operator, "POST", "/sources/corp/run", None).await).await;
    assert_eq!((&run["state"], &run["kind"], &run["actor"]), (&json!("done"), &json!("sync"), &json!("admin:otto")));
    assert_eq!(run["counters"]["people"]["create"], 4);
    office.world.writer.drain().await.unwrap();
    assert!(office.world.jira.account("p00").is_some_and(|account| account.active));
    let one = office.get("/sources/corp").await.is(200).body;
    assert_eq!((&one["state"], &one["last"]["id"]), (&json!("well"), &run["id"]));
    assert_eq!(office.get("/sources?limit=1").await.is(200).items()[0], one);
    assert_eq!(office.get("/sources/corp/runs").await.is(200).items(), [run]);
    assert_eq!(office.get("/sources/corp/runs?kind=sync_plan").await.is(200).items()[0]["kind"], "sync_plan");

    office.act("DELETE", "/sources/corp?confirm=acme").await.refused(422, "not-confirmed");
    office.act("DELETE", "/sources/corp?confirm=corp").await.is(204);
    office.get("/sources/corp").await.refused(404, "no-such-source");
    assert!(office.get("/sources").await.is(200).items().is_empty());
    assert_eq!(office.get("/tenants/acme/users").await.is(200).items().len(), 4, "the people stay");
    let held: i64 = sqlx::query_scalar("SELECT count(*) FROM source").fetch_one(office.world.pool()).await.unwrap();
    assert_eq!(held, 0, "SCIM clients may write again");
    let on_record = office.on_record("admin:anna").await;
    assert!(["source.create", "source.delete"].iter().all(|action| on_record.iter().any(|one| one == action)));
}

#[tokio::test]
async fn a_login_hook_has_one_person_read_and_hears_what_came_of_it() {
    let (idp, _) = Idp::peopled(2).await;
    let (office, new) = beside(&idp).await;
    office.post("/sources", new).await.is(201);
    let one = office.ask(&office.operator, "POST", "/sources/corp/run?user=P01", None).await.is(200).body;
    assert_eq!((&one["state"], &one["counters"]["people"]["create"]), (&json!("done"), &json!(1)));
    assert_eq!(one["options"], json!({ "user": "P01" }));
    office.world.writer.drain().await.unwrap();
    assert!(office.world.jira.account("p01").is_some() && office.world.jira.account("p00").is_none());
    let nobody = office.ask(&office.operator, "POST", "/sources/corp/run?user=nobody", None).await.is(200).body;
    assert_eq!((&nobody["state"], &nobody["error"]), (&json!("failed"), &json!("The source has nobody of that name.")));
    office.act("POST", "/sources/corp/run?user=%20").await.refused(422, "invalid-value");
    office.ask(&office.viewer, "POST", "/sources/corp/run?user=p00", None).await.refused(403, "role-too-low");
}

#[tokio::test]
async fn what_cannot_be_a_source_is_told_at_its_place_and_is_none() {
    let (idp, _) = Idp::peopled(1).await;
    let (office, new) = beside(&idp).await;
    for (path, value, status, code, field) in [
        ("/name", json!("Not a name"), 422, "invalid-value", "name"),
        ("/tenant", json!("nobody"), 422, "invalid-value", "tenant"),
        ("/settings/url", json!("http://idp.example/scim"), 422, "invalid-value", "settings.url"),
        ("/settings/token_file", json!("/etc/passwd"), 422, "invalid-value", "settings.token_file"),
        ("/settings/token_file", json!("nothing"), 422, "invalid-value", "settings.token_file"),
        ("/settings/kind", json!("nothing"), 422, "invalid-value", "settings.kind"),
        ("/settings/url", Value::Null, 422, "invalid-value", "settings"),
    ] {
        let mut wrong = new.clone();
        *wrong.pointer_mut(path).unwrap() = value;
        let refused = office.post("/sources", wrong).await.refused(status, code);
        assert_eq!(refused.body["error"]["field"], field, "{}", refused.text);
    }
    let mut wrong = new.clone();
    wrong["settings"]["token"] = json!("a-secret-in-the-store");
    let refused = office.post("/sources", wrong).await.refused(422, "invalid-value");
    assert!(!refused.text.contains("a-secret"), "{}", refused.text);
    let mut slow = new.clone();
    slow["settings"]["timeout"] = json!("50s");
    let refused = office.post("/sources", slow).await.refused(422, "invalid-value");
    assert!(refused.text.contains("half of writer.lease"), "{}", refused.text);

    office.world.user("eve").await;
    let refused = office.post("/sources", new.clone()).await.refused(409, "source-refused");
    assert!(refused.text.contains("take_over"), "{}", refused.text);
    assert!(office.get("/sources").await.is(200).items().is_empty(), "it would never be read");
    let mut over = new;
    over["settings"]["take_over"] = json!(true);
    office.post("/sources", over.clone()).await.is(201);
    over["name"] = json!("other");
    office.post("/sources", over).await.refused(409, "tenant-fed");
}

#[tokio::test]
async fn a_source_is_changed_and_one_that_cannot_be_read_says_why() {
    let (idp, _) = Idp::peopled(1).await;
    let (office, new) = beside(&idp).await;
    office.post("/sources", new.clone()).await.is(201);
    let mut settings = new["settings"].clone();
    settings["every"] = json!("2h");
    let changed =
        office.ask(&office.admin, "PUT", "/sources/corp", Some(json!({ "settings": settings }))).await.is(200);
    assert_eq!(changed.body["schedule"], "every 2h");
    assert!(changed.body["next"]["at"].is_string());

    settings["url"] = json!("http://127.0.0.1:9/scim");
    office.ask(&office.admin, "PUT", "/sources/corp", Some(json!({ "settings": settings }))).await.is(200);
    let seen = office.result(office.act("POST", "/sources/corp/test").await).await;
    assert_eq!((&seen["ok"], &seen["people"]), (&json!(false), &json!(0)));
    assert!(seen["error"].as_str().unwrap().contains("cannot be reached"), "{seen}");

    sqlx::query("UPDATE source_made SET settings = '{}', version = version + 1")
        .execute(office.world.pool())
        .await
        .unwrap();
    let broken = office.get("/sources/corp").await.is(200).body;
    assert_eq!((&broken["state"], &broken["kind"], &broken["next"]), (&json!("broken"), &Value::Null, &Value::Null));
    assert!(broken["problem"].as_str().unwrap().contains("is missing"), "{broken}");
    for what in ["test", "plan", "run"] {
        office.act("POST", &format!("/sources/corp/{what}")).await.refused(409, "source-broken");
    }
    let settings = json!({ "settings": new["settings"] });
    office.ask(&office.admin, "PUT", "/sources/corp", Some(settings)).await.is(200);
    assert_eq!(office.get("/sources/corp").await.is(200).body["problem"], Value::Null);
}

#[tokio::test]
async fn what_the_configuration_declares_is_read_here_and_changed_there() {
    let (idp, _) = Idp::peopled(2).await;
    let settings = json!({ "kind": "scim", "url": idp.url("v2") });
    let mut config = SourceConfig::from_settings("corp", "acme", &settings, None).unwrap();
    config.server = jira_scim::config::ServerConfig::Scim(idp.config("v2"));
    let office = Office::fed(Make::default(), Config::defaults(), vec![Configured::new(&config).unwrap()]).await;
    let one = office.get("/sources/corp").await.is(200).body;
    assert_eq!((&one["declared"], &one["settings"]), (&json!(true), &Value::Null));
    let body = json!({ "settings": settings });
    office.ask(&office.admin, "PUT", "/sources/corp", Some(body)).await.refused(409, "declared");
    office.act("DELETE", "/sources/corp?confirm=corp").await.refused(409, "declared");
    let run = ended(&office, office.act("POST", "/sources/corp/run?full=true").await).await;
    assert_eq!((&run["state"], &run["counters"]["people"]["create"]), (&json!("done"), &json!(2)));
    // One of that name or tenant that was made before is not read any more.
    let insert = "INSERT INTO source_made (tenant_id, name, settings, created, modified)
                  SELECT id, 'older', $1, now(), now() FROM tenant";
    sqlx::query(insert).bind(&settings).execute(office.world.pool()).await.unwrap();
    let older = office.get("/sources/older").await.is(200).body;
    assert!(older["problem"].as_str().unwrap().contains("the configuration declares"), "{older}");
}
