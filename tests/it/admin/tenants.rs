//! Tenants, credentials and rules.

use serde_json::json;

use super::office::{Office, new_tenant};

#[tokio::test]
async fn a_tenant_is_made_with_its_token_in_one_call_and_is_on_record() {
    let office = Office::new().await;
    let mut wanted = new_tenant("okta");
    wanted["token"] = json!({ "label": "okta" });
    wanted["idp"] = json!("okta");
    let made = office.post("/tenants", wanted.clone()).await.is(201).body;
    assert_eq!(made["tenant"]["urls"]["scim2"], "https://scim.example.test/scim/okta/v2");
    assert!(made["token"]["secret"].as_str().unwrap().starts_with("jst_"));
    office.post("/tenants", wanted).await.refused(409, "slug-taken");
    assert_eq!(office.on_record("admin:anna").await, ["tenant.create", "token.create"]);
    let listed = office.get("/tenants/okta/tokens").await.is(200);
    assert_eq!((listed.items().len(), &listed.items()[0]["state"]), (1, &json!("live")));
    assert!(!listed.text.contains("jst_"));
    for (body, field) in [
        (json!({ "slug": "No", "target": "jira" }), "slug"),
        (json!({ "slug": "b", "target": "none" }), "target"),
        (json!({ "slug": "b", "target": "jira", "token": { "label": " " } }), "token.label"),
        (json!({ "slug": "b", "target": "jira", "mode": "x" }), "mode"),
    ] {
        let refused = office.post("/tenants", body).await.refused(422, "invalid-value");
        assert_eq!(refused.body["error"]["field"], field);
    }
    office.get("/tenants/b").await.refused(404, "no-such-tenant");
}

#[tokio::test]
async fn tenants_are_paged_by_name() {
    let office = Office::new().await;
    for slug in ["b", "c", "d"] {
        office.post("/tenants", new_tenant(slug)).await.is(201);
    }
    let (mut seen, mut path) = (Vec::new(), "/tenants?limit=2".to_owned());
    loop {
        let page = office.get(&path).await.is(200);
        seen.extend(page.items().iter().map(|tenant| tenant["slug"].as_str().unwrap().to_owned()));
        match page.body["next"].as_str() {
            Some(next) => path = format!("/tenants?limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["acme", "b", "c", "d"]);
}

#[tokio::test]
async fn a_credential_is_replaced_and_revoked() {
    let office = Office::new().await;
    let path = "/tenants/acme/tokens";
    let made = office.post(path, json!({ "label": "one", "scope": "read" })).await.is(201).body;
    assert_eq!(made["token"]["scope"], "read");
    office.post(path, json!({ "label": "one" })).await.refused(409, "label-taken");
    let id = made["token"]["id"].as_str().unwrap();
    let next = office.post(&format!("{path}/{id}/rotate"), json!({})).await.is(201).body;
    assert_ne!(next["secret"], made["secret"]);
    let id = next["token"]["id"].as_str().unwrap();
    assert_eq!(office.act("DELETE", &format!("{path}/{id}")).await.is(200).body["state"], "revoked");
    office.act("DELETE", &format!("{path}/{id}")).await.refused(404, "no-such-token");
}

#[tokio::test]
async fn a_policy_is_checked_with_key_and_line_and_written_once() {
    let office = Office::new().await;
    let path = "/tenants/acme/policy";
    let text = "{\n  \"groups\": {\n    \"rename\": [{ \"pattern\": \"a(\", \"with\": \"\" }]\n  }\n}";
    let checked = office.post(&format!("{path}/validate"), json!({ "text": text })).await.is(200).body;
    assert_eq!((&checked["valid"], &checked["problems"][0]["line"]), (&json!(false), &json!(3)));
    assert_eq!(checked["problems"][0]["key"], "policy.groups.rename[0].pattern");
    let broken = office.post(&format!("{path}/validate"), json!({ "text": "{\n\n]" })).await.is(200).body;
    assert_eq!(broken["problems"][0]["line"], 3);
    let toml = json!({ "text": "adopt = 'ask'\nadpot = 1", "format": "toml" });
    assert_eq!(office.post(&format!("{path}/validate"), toml).await.is(200).body["valid"], false);
    let put = |body| office.ask(&office.admin, "PUT", path, Some(body));
    put(json!({ "text": text })).await.refused(422, "invalid-policy");
    put(json!({})).await.refused(422, "invalid-value");
    let after = put(json!({ "text": "{\"adopt\":\"ask\"}", "version": 1 })).await.is(200).body;
    assert_eq!((&after["policy"], &after["version"]), (&json!({ "adopt": "ask" }), &json!(2)));
    assert_eq!(after["effective"]["seats"], "refuse");
    put(json!({ "policy": {}, "version": 1 })).await.refused(409, "changed-meanwhile");
}

#[tokio::test]
async fn a_change_that_takes_away_much_is_shown_first_and_done_with_yes() {
    let office = Office::new().await;
    let mut people = Vec::new();
    for n in 0..20 {
        people.push(office.world.user(&format!("user{n}")).await);
    }
    office.world.group("crew", &people).await;
    office.world.writer.drain().await.unwrap();
    let strict = json!({ "users": { "required_groups": ["nobody"] } });
    let path = "/tenants/acme/policy";
    let counted = office.post(&format!("{path}/plan"), json!({ "policy": strict })).await;
    let counted = office.result(counted).await;
    assert_eq!((&counted["too_much"], &counted["users"]), (&json!(true), &json!(20)));
    let body = json!({ "policy": strict });
    let refused = office.ask(&office.admin, "PUT", path, Some(body)).await.refused(409, "takes-too-much");
    assert_eq!(refused.body["error"]["taken"]["users"], 20);
    let body = json!({ "policy": strict, "yes": true });
    office.ask(&office.admin, "PUT", path, Some(body)).await.is(200);
}

#[tokio::test]
async fn a_preview_shows_what_rules_make_of_somebody() {
    let office = Office::new().await;
    let ann = office.world.user("ann").await;
    office.world.group("Crew", &[ann]).await;
    let policy = json!({ "policy": { "account": { "username": "{{ userName | upper }}" } } });
    let shown = office.post("/tenants/acme/policy/preview?user=ann", policy).await.is(200).body;
    assert_eq!((&shown["account"]["username"], &shown["groups"]), (&json!("ANN"), &json!(["Crew"])));
    assert!(shown["lines"].as_array().unwrap().iter().any(|line| line["kind"] == "create"), "{shown}");
    office.post("/tenants/acme/policy/preview?user=bob", json!({ "policy": {} })).await.refused(404, "no-such-user");
}

#[tokio::test]
async fn a_tenant_is_deleted_only_by_its_name() {
    let office = Office::new().await;
    office.post("/tenants", new_tenant("b")).await.is(201);
    office.act("DELETE", "/tenants/b").await.refused(422, "not-confirmed");
    office.act("DELETE", "/tenants/b?confirm=acme").await.refused(422, "not-confirmed");
    office.act("DELETE", "/tenants/b?confirm=b").await.is(200);
    office.get("/tenants/b").await.refused(404, "no-such-tenant");
}

#[tokio::test]
async fn a_token_is_replaced_as_often_as_somebody_wants_within_the_same_second() {
    let office = Office::new().await;
    let until = "2099-01-01T00:00:00Z";
    let mut made = office.post("/tenants/acme/tokens", json!({ "label": "okta" })).await.is(201);
    for _ in 0..3 {
        let path = format!("/tenants/acme/tokens/{}/rotate", made.body["token"]["id"].as_str().unwrap());
        made = office.post(&path, json!({ "until": until })).await.is(201);
        assert_eq!(made.body["token"]["label"], "okta", "the new one has the name");
    }
    let listed = office.get("/tenants/acme/tokens").await.is(200);
    let mut labels: Vec<&str> = listed.items().iter().filter_map(|one| one["label"].as_str()).collect();
    labels.retain(|label| label.starts_with("okta"));
    labels.sort_unstable();
    let old = "okta (until 2099-01-01 00:00:00 UTC)";
    assert_eq!(labels, ["okta", old, &format!("{old}, 2"), &format!("{old}, 3")]);
}
