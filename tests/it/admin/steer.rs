//! What administrators do besides configuring: pins, links, plans, runs, removals, the brake, the outbox.

use chrono::{TimeDelta, Utc};
use jira_scim::sandbox::NewAccount;
use jira_scim::store::tenant::Mode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::office::{Office, new_tenant, read};
use crate::world::Make;

#[tokio::test]
async fn somebody_is_pinned_until_a_time_and_let_go_again() {
    let office = Office::new().await;
    let ann = office.world.user("ann").await;
    office.world.writer.drain().await.unwrap();
    let path = "/tenants/acme/overrides";
    let until = (Utc::now() + TimeDelta::days(3)).to_rfc3339();
    let pin = json!({ "user": "ann", "what": "inactive", "until": until, "reason": "leave" });
    let made = office.ask(&office.operator, "POST", path, Some(pin.clone())).await.is(201).body;
    assert_eq!((&made["outcome"], &made["user"]), (&json!("pending"), &json!(ann)));
    office.world.writer.drain().await.unwrap();
    assert!(!office.world.jira.account("ann").unwrap().active);
    let listed = office.get(&format!("{path}?user=ann")).await.is(200);
    assert_eq!((&listed.items()[0]["actor"], &listed.items()[0]["in_force"]), (&json!("admin:otto"), &json!(true)));
    let id = made["override"].as_str().unwrap();
    office.act("DELETE", &format!("{path}/{id}")).await.is(200);
    office.act("DELETE", &format!("{path}/{id}")).await.refused(404, "no-such-override");
    office.world.writer.drain().await.unwrap();
    assert!(office.world.jira.account("ann").unwrap().active);
    for (key, value, field) in [
        ("until", json!("2020-01-01T00:00:00Z"), "until"),
        ("reason", json!(" "), "reason"),
        ("what", json!("member"), "group"),
        ("wait_seconds", json!(60), "wait_seconds"),
    ] {
        let mut wrong = pin.clone();
        wrong[key] = value;
        assert_eq!(office.post(path, wrong).await.refused(422, "invalid-value").body["error"]["field"], field);
    }
}

#[tokio::test]
async fn somebody_is_switched_off_at_once() {
    let office = Office::new().await;
    office.world.user("ann").await;
    office.world.writer.drain().await.unwrap();
    office.post("/tenants/acme/deactivate-now", json!({ "user": "ann", "reason": "left" })).await.is(201);
    office.world.writer.drain().await.unwrap();
    assert!(!office.world.jira.account("ann").unwrap().active);
    assert_eq!(office.on_record("admin:anna").await, ["user.deactivate_now"]);
}

#[tokio::test]
async fn a_user_is_given_an_account_loses_it_and_passes_it_on() {
    let office = Office::over(Make { policy: json!({ "adopt": "off" }), ..Make::default() }).await;
    let path = "/tenants/acme/links";
    office.world.jira.add_account(&NewAccount::named("ann.lee")).unwrap();
    let (ann, bob) = (office.world.user("ann").await, office.world.user("bob").await);
    office.post(path, json!({ "user": "ann", "account": "nobody" })).await.refused(404, "no-such-account");
    let linked = office.post(path, json!({ "user": "ann", "account": "ann.lee" })).await.is(201).body;
    assert_eq!((&linked["link"]["state"], &linked["link"]["made"]), (&json!("linked"), &json!(false)));
    let key = linked["link"]["account"]["id"].clone();
    office.post(path, json!({ "user": "ann", "account": "ann.lee" })).await.refused(409, "linked-already");
    office.post(path, json!({ "user": "bob", "account": "ann.lee" })).await.refused(409, "account-taken");
    office.post(&format!("{path}/merge"), json!({ "from": "bob", "into": "ann" })).await.refused(409, "not-linked");
    let merged = office.post(&format!("{path}/merge"), json!({ "from": "ann", "into": "bob" })).await.is(200).body;
    assert_eq!((&merged["link"]["user_id"], &merged["link"]["account"]["id"]), (&json!(bob), &key));
    let gone = office.act("DELETE", &format!("{path}/{bob}")).await.is(200).body;
    assert_eq!(gone["link"]["state"], "none");
    office.act("DELETE", &format!("{path}/{bob}")).await.refused(409, "not-linked");
    let actions = office.on_record("admin:anna").await;
    assert_eq!(actions, ["link.create", "link.merge", "link.merge", "link.delete"]);
    let _ = ann;
}

#[tokio::test]
async fn links_orphans_and_conflicts_are_listed() {
    let office = Office::over(Make { policy: json!({ "adopt": "ask" }), ..Make::default() }).await;
    office.world.jira.add_account(&NewAccount::named("bob")).unwrap();
    let (ann, bob) = (office.world.user("ann").await, office.world.user("bob").await);
    office.world.writer.drain().await.unwrap();
    let path = "/tenants/acme/links";
    assert_eq!(office.get(path).await.is(200).items().len(), 2);
    let conflicts = office.get(&format!("{path}/conflicts")).await.is(200);
    assert_eq!((conflicts.items().len(), &conflicts.items()[0]["user_id"]), (1, &json!(bob)));
    assert!(office.get(&format!("{path}/orphans")).await.is(200).items().is_empty());
    office.gone(ann).await;
    let orphans = office.get(&format!("{path}/orphans")).await.is(200);
    assert_eq!((orphans.items().len(), &orphans.items()[0]["user_id"]), (1, &json!(ann)));
    let held = office.get("/tenants/acme/held").await.is(200);
    assert_eq!(held.body["total"]["count"], 1);
    let job = office.post("/tenants/acme/outbox/approve", json!({ "user": "bob" })).await;
    assert_eq!(office.result(job).await["changed"], 1);
    office.world.writer.drain().await.unwrap();
    assert_eq!(office.get("/tenants/acme/held").await.is(200).body["total"]["count"], 0);
}

#[tokio::test]
async fn what_was_refused_is_listed_retried_and_waived() {
    let office = Office::over(Make { policy: json!({ "adopt": "off" }), ..Make::default() }).await;
    office.world.jira.add_account(&NewAccount::named("bob")).unwrap();
    office.world.user("bob").await;
    office.world.writer.drain().await.unwrap();
    let refused = office.get("/tenants/acme/refused").await.is(200);
    assert_eq!((refused.items().len(), &refused.items()[0]["name"]), (1, &json!("bob")));
    let retry = |body: Value| office.post("/tenants/acme/outbox/retry", body);
    retry(json!({})).await.refused(422, "invalid-value");
    retry(json!({ "all": true, "user": "bob" })).await.refused(422, "invalid-value");
    retry(json!({ "user": "bob", "step": "what" })).await.refused(422, "invalid-value");
    retry(json!({ "user": "eve" })).await.refused(404, "no-such-user");
    retry(json!({ "group": "none" })).await.refused(404, "no-such-group");
    let job = retry(json!({ "all": true })).await;
    assert_eq!(office.result(job).await["changed"], 1);
    office.world.writer.drain().await.unwrap();
    let job = office.post("/tenants/acme/outbox/waive", json!({ "user": "bob", "step": "account" })).await;
    assert_eq!(office.result(job).await["changed"], 1);
    let waived = office.get("/tenants/acme/outbox?state=waived").await.is(200);
    assert_eq!(waived.body["total"]["count"], 1);
}

#[tokio::test]
async fn the_brake_is_shown_released_and_given_up() {
    let policy = json!({ "brake": { "accounts": { "max": 2, "percent": 100, "min": 2 } } });
    let office = Office::over(Make { policy, ..Make::default() }).await;
    let mut people = Vec::new();
    for n in 0..6 {
        people.push(office.world.user(&format!("user{n}")).await);
    }
    office.world.writer.drain().await.unwrap();
    for id in &people {
        office.gone(*id).await;
    }
    office.world.writer.drain().await.unwrap();
    let brake = office.get("/tenants/acme/brake").await.is(200).body;
    assert!(!brake["tripped"].is_null() && brake["accounts"]["held"] == 4, "{brake}");
    let page = office.get("/tenants/acme/brake/held?limit=3").await.is(200);
    assert_eq!(page.items().len(), 3);
    let next = page.body["next"].as_str().unwrap();
    let rest = office.get(&format!("/tenants/acme/brake/held?limit=3&cursor={next}")).await.is(200);
    assert_eq!(rest.items().len(), 1);
    let overview = office.get("/overview").await.is(200).body;
    assert_eq!(
        (&overview["tenants"][0]["state"], &overview["tenants"][0]["brake"]["tripped"]),
        (&json!("attention"), &json!(true))
    );
    let job = office.post("/tenants/acme/brake/drop", json!({ "class": "memberships" })).await;
    assert_eq!(office.result(job).await, json!({ "steps": 0, "reset": false }));
    let job = office.ask(&office.operator, "POST", "/tenants/acme/brake/release", Some(json!({}))).await;
    assert_eq!(office.result(job).await, json!({ "steps": 4, "reset": true }));
    office.world.writer.drain().await.unwrap();
    assert!((0..6).all(|n| !office.world.jira.account(&format!("user{n}")).unwrap().active));
}

#[tokio::test]
async fn a_plan_is_shown_exported_and_done_in_part() {
    let office = Office::over(Make { mode: Mode::Observe, ..Make::default() }).await;
    for n in 0..5 {
        office.world.user(&format!("user{n}")).await;
    }
    let (mut kinds, mut path) = (Vec::new(), "/tenants/acme/plan?limit=2&kind=create".to_owned());
    loop {
        let page = office.get(&path).await.is(200);
        kinds.extend(page.items().iter().map(|line| line["kind"].clone()));
        match page.body["next"].as_str() {
            Some(next) => path = format!("/tenants/acme/plan?limit=2&kind=create&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(kinds, vec![json!("create"); 5]);
    let job = office.act("POST", "/tenants/acme/plan/summary").await;
    assert_eq!(office.result(job).await["lines"]["create"], 5);
    let all = office.get("/tenants/acme/plan/export").await.is(200).body;
    assert_eq!((all["lines"].as_array().unwrap().len(), &all["summary"]["users"]), (5, &json!(5)));
    let csv = office.get("/tenants/acme/plan/export?format=csv").await.is(200);
    assert!(csv.headers["content-disposition"].to_str().unwrap().contains("plan-acme.csv"));
    assert_eq!(csv.text.lines().count(), 6, "{}", csv.text);
    let release = |body: Value| office.post("/tenants/acme/release", body);
    release(json!({})).await.refused(422, "invalid-value");
    release(json!({ "kinds": ["what"] })).await.refused(422, "invalid-value");
    let job = release(json!({ "kinds": ["create"], "user": "user1" })).await;
    assert_eq!(office.result(job).await["users"], 1);
    office.world.writer.drain().await.unwrap();
    assert!(office.world.jira.account("user1").is_some() && office.world.jira.account("user2").is_none());
    office.post("/tenants/acme/purge", json!({ "confirm": "acme" })).await.refused(409, "observing");
}

#[tokio::test]
async fn runs_are_asked_for_watched_and_stopped() {
    let office = Office::new().await;
    let run = office.ask(&office.operator, "POST", "/tenants/acme/import", None).await.is(202).body;
    office.act("POST", "/tenants/acme/import").await.refused(409, "run-open");
    let path = format!("/tenants/acme/runs/{}", run["id"].as_str().unwrap());
    assert_eq!(office.get(&path).await.is(200).body["actor"], "admin:otto");
    assert_eq!(office.act("POST", &format!("{path}/stop")).await.is(200).body["state"], "stopped");
    office.act("POST", &format!("{path}/stop")).await.refused(409, "run-over");
    office.act("POST", "/tenants/acme/reconcile").await.is(202);
    office.world.writer.run_due().await.unwrap();
    let runs = office.get("/tenants/acme/runs?limit=1").await.is(200);
    assert_eq!((&runs.items()[0]["kind"], &runs.items()[0]["state"]), (&json!("reconcile"), &json!("done")));
    let next = runs.body["next"].as_str().unwrap();
    let older = office.get(&format!("/tenants/acme/runs?limit=5&cursor={next}")).await.is(200);
    assert_eq!(older.items()[0]["kind"], "import");
    assert!(office.get("/tenants/acme/drift").await.is(200).items().is_empty());
}

#[tokio::test]
async fn a_removal_is_shown_first_and_takes_the_tenants_name() {
    let office = Office::new().await;
    office.world.user("ann").await;
    office.world.writer.drain().await.unwrap();
    let shown = office.get("/tenants/acme/purge").await.is(200).body;
    assert_eq!((&shown["sizes"]["made"], &shown["possible"]), (&json!(1), &json!(true)));
    let names = office.get("/tenants/acme/purge/names?what=made").await.is(200);
    assert_eq!(names.items().len(), 1);
    for path in ["/tenants/acme/purge", "/tenants/acme/reset", "/tenants/acme/audit/clear"] {
        office.post(path, json!({ "confirm": "other" })).await.refused(422, "not-confirmed");
        office.post(path, json!({})).await.refused(422, "invalid-value");
    }
    office
        .ask(&office.operator, "POST", "/tenants/acme/purge", Some(json!({ "confirm": "acme" })))
        .await
        .refused(403, "role-too-low");
    let run = office.post("/tenants/acme/purge", json!({ "confirm": "acme" })).await.is(202).body;
    office.world.writer.run_due().await.unwrap();
    office.world.writer.drain().await.unwrap();
    let path = format!("/tenants/acme/runs/{}", run["id"].as_str().unwrap());
    assert_eq!(office.get(&path).await.is(200).body["state"], "done");
    assert!(!office.world.jira.account("ann").unwrap().active);
}

#[tokio::test]
async fn accounts_that_nobody_claims_are_told() {
    let office = Office::new().await;
    office.world.jira.add_account(&NewAccount::named("stray")).unwrap();
    let job = office.act("POST", "/tenants/acme/unmatched").await;
    let told = office.result(job).await;
    let strays = told["strays"].as_array().unwrap();
    assert!(strays.iter().any(|stray| stray["username"] == "stray" && stray["outcome"] == "reported"), "{told}");
    let off = json!({ "confirm": "acme" });
    office.post("/tenants/acme/unmatched/switch-off", off).await.refused(409, "not-yet");
}

#[tokio::test]
async fn people_are_found_by_the_beginning_of_a_name_an_address_or_an_id() {
    let office = Office::new().await;
    let ann = office
        .world
        .user_like(json!({ "userName": "Ann.Lee", "emails": [{ "value": "ann@example.com", "type": "work" }] }))
        .await;
    let bob = office.world.user("bob").await;
    office.world.group("Crew", &[ann, bob]).await;
    for (sought, found) in [
        ("", vec![ann, bob]),
        ("ANN", vec![ann]),
        ("ann@example.com", vec![ann]),
        (&bob.to_string(), vec![bob]),
        ("zoe", vec![]),
    ] {
        let page = office.get(&format!("/tenants/acme/users?q={sought}")).await.is(200);
        let ids: Vec<Value> = page.items().iter().map(|user| user["id"].clone()).collect();
        assert_eq!(ids, found.iter().map(|id| json!(id)).collect::<Vec<_>>(), "{sought}");
    }
    let groups = office.get("/tenants/acme/groups?q=cr").await.is(200);
    assert_eq!((groups.items().len(), &groups.items()[0]["members"]), (1, &json!(2)));
    let one = office.get(&format!("/tenants/acme/users/{ann}")).await.is(200).body;
    assert_eq!((&one["groups"][0]["display_name"], &one["standing"]["open"]), (&json!("Crew"), &json!(true)));
}

#[tokio::test]
async fn nothing_of_one_tenant_shows_under_anothers_name() {
    let office = Office::new().await;
    office.post("/tenants", new_tenant("b")).await.is(201);
    let ann = office.world.user("ann").await;
    let token = office.post("/tenants/acme/tokens", json!({ "label": "one" })).await.is(201).body;
    let run = office.act("POST", "/tenants/acme/import").await.is(202).body;
    let until = (Utc::now() + TimeDelta::days(3)).to_rfc3339();
    let pin = json!({ "user": "ann", "what": "active", "until": until, "reason": "x" });
    let pin = office.post("/tenants/acme/overrides", pin).await.is(201).body;
    let [token, run, pin] =
        [&token["token"]["id"], &run["id"], &pin["override"]].map(|id| id.as_str().unwrap().to_owned());
    office.act("DELETE", &format!("/tenants/b/tokens/{token}")).await.is(404);
    office.post(&format!("/tenants/b/tokens/{token}/rotate"), json!({})).await.is(404);
    office.get(&format!("/tenants/b/runs/{run}")).await.is(404);
    office.act("POST", &format!("/tenants/b/runs/{run}/stop")).await.is(404);
    office.act("DELETE", &format!("/tenants/b/overrides/{pin}")).await.is(404);
    office.get(&format!("/tenants/b/users/{ann}")).await.is(404);
    office.act("DELETE", &format!("/tenants/b/links/{ann}")).await.is(404);
    office.post("/tenants/b/links", json!({ "user": "ann", "account": "ann" })).await.is(404);
    office.post("/tenants/b/deactivate-now", json!({ "user": ann, "reason": "x" })).await.is(404);
    office.get("/tenants/b/explain/user?user=ann").await.is(404);
    for list in
        ["users", "groups", "runs", "overrides", "links", "outbox", "held", "refused", "drift", "tokens", "brake/held"]
    {
        let page = office.get(&format!("/tenants/b/{list}")).await.is(200);
        assert!(page.items().is_empty(), "{list}: {}", page.text);
    }
}

#[tokio::test]
async fn every_request_is_on_record_with_whoever_asked_and_without_secrets() {
    let office = Office::new().await;
    office.post("/tenants", new_tenant("b")).await.is(201);
    let wanted = json!({ "label": "basic", "username": "agent", "password": "correct horse battery" });
    office.post("/tenants/b/tokens", wanted).await.is(201);
    read(office.http.get(office.url("/api/v1/tenants/b"))).await.is(401);
    let path = "/tenants/b/audit?side=admin&method=POST";
    let found = loop {
        let page = office.get(path).await.is(200);
        if page.items().len() == 2 {
            break page;
        }
    };
    let row = &found.items()[0];
    assert_eq!((&row["actor"], &row["status"]), (&json!("admin:anna"), &json!(201)), "{row}");
    assert_eq!(row["remote"], "127.0.0.1");
    assert!(!found.text.contains("battery"), "{}", found.text);
    let all = office.get("/audit?q=basic").await.is(200);
    assert!(!all.items().is_empty(), "{}", all.text);
    let csv = office.get("/tenants/b/audit/export?format=csv").await.is(200);
    assert!(csv.text.starts_with("at,request") && csv.text.lines().count() >= 2, "{}", csv.text);
    let cleared = office.post("/tenants/b/audit/clear", json!({ "confirm": "b" })).await.is(200);
    let cleared = office.result(cleared).await;
    assert!(cleared["requests"].as_u64().unwrap() > 0, "{cleared}");
}

#[tokio::test]
async fn the_logs_level_is_another_for_a_while() {
    let office = Office::new().await;
    let put = |body| office.ask(&office.admin, "PUT", "/log", Some(body));
    let told = put(json!({ "module": "jira_scim::writer", "level": "debug", "for": "1h" })).await.is(200).body;
    assert!(told["overrides"].as_array().unwrap().iter().any(|one| one["module"] == "jira_scim::writer"));
    put(json!({ "module": "a=b", "level": "debug" })).await.refused(422, "invalid-value");
    put(json!({ "module": "a", "level": "loud" })).await.refused(422, "invalid-value");
    put(json!({ "module": "a", "level": "debug", "for": "99days" })).await.refused(422, "invalid-value");
    assert!(office.act("DELETE", "/log").await.is(200).body["overrides"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn targets_are_shown_and_tested() {
    let office = Office::new().await;
    let listed = office.get("/targets").await.is(200);
    assert_eq!((&listed.items()[0]["name"], &listed.items()[0]["tenants"]), (&json!("jira"), &json!(["acme"])));
    assert!(!listed.text.contains(office.world.jira.token()));
    let tested = office.act("POST", "/targets/jira/test").await.is(200).body;
    assert_eq!((&tested["ok"], &tested["error"]), (&json!(true), &Value::Null), "{tested}");
    assert_eq!(office.act("POST", "/targets/jira/resume").await.is(200).body["was"], Value::Null);
    office.get("/targets/none").await.refused(404, "no-such-target");
    let metrics = office.get("/metrics?limit=1").await.is(200);
    assert!(metrics.items().len() == 1 && metrics.body["next"].is_string());
    office.get(&format!("/jobs/{}", Uuid::nil())).await.refused(404, "no-such-job");
}
