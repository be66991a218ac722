//! Issuers of JWTs that a tenant trusts, by the API.

use serde_json::json;

use super::office::Office;

const PATH: &str = "/tenants/acme/issuers";

#[tokio::test]
async fn an_issuer_is_trusted_listed_and_trusted_no_longer() {
    let office = Office::new().await;
    let wanted = json!({ "label": "corp", "issuer": "https://idp.example", "audience": "api://jira-scim",
        "jwks_url": "https://idp.example/keys", "algorithms": ["ES256"], "subject": "client-1", "scope": "read" });
    let made = office.post(PATH, wanted.clone()).await.is(201).body;
    assert_eq!((&made["label"], &made["skew_seconds"], &made["scope"]), (&json!("corp"), &json!(60), &json!("read")));
    office.post(PATH, wanted.clone()).await.refused(409, "label-taken");
    let mut second = wanted;
    (second["label"], second["users_only"]) = (json!("other"), json!(true));
    office.post(PATH, second).await.is(201);
    let page = office.get(&format!("{PATH}?limit=1")).await.is(200);
    assert_eq!(page.items()[0]["label"], "corp");
    let rest = office.get(&format!("{PATH}?limit=1&cursor={}", page.body["next"].as_str().unwrap())).await.is(200);
    assert_eq!((&rest.items()[0]["users_only"], &rest.body["next"]), (&json!(true), &json!(null)));
    let id = made["id"].as_str().unwrap();
    office.act("DELETE", &format!("{PATH}/{id}")).await.is(204);
    office.act("DELETE", &format!("{PATH}/{id}")).await.refused(404, "no-such-issuer");
    assert_eq!(office.get(PATH).await.is(200).items().len(), 1);
    let told = office.on_record("admin:anna").await;
    assert_eq!(told, ["issuer.create", "issuer.create", "issuer.delete"]);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_is_refused_by_the_name_of_the_field() {
    let office = Office::new().await;
    let public =
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let mut private = public.clone();
    private["d"] = json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    for (change, field) in [
        (json!({ "jwks_url": null }), "jwks_url"),
        (json!({ "jwks_url": "http://idp.example/keys" }), "jwks_url"),
        (json!({ "jwks_url": null, "jwks": { "keys": [] } }), "jwks"),
        (json!({ "jwks_url": null, "jwks": { "keys": [private] } }), "jwks"),
        (json!({ "skew_seconds": 601 }), "skew_seconds"),
        (json!({ "granted": "" }), "granted"),
        (json!({ "algorithms": ["HS256"] }), "algorithms"),
        (json!({ "label": " " }), "label"),
        (json!({ "issuer": "jira-scim" }), "issuer"),
    ] {
        let mut wanted = json!({ "label": "corp", "issuer": "https://idp.example", "audience": "a",
            "jwks_url": "https://idp.example/keys" });
        for (key, value) in change.as_object().unwrap() {
            wanted[key] = value.clone();
        }
        let refused = office.post(PATH, wanted).await.refused(422, "invalid-value");
        assert_eq!(refused.body["error"]["field"], field, "{}", refused.text);
        assert!(!refused.text.contains("nWGxne"), "{}", refused.text);
    }
    let with_keys =
        json!({ "label": "corp", "issuer": "https://idp.example", "audience": "a", "jwks": { "keys": [public] } });
    office.post(PATH, with_keys).await.is(201);
}
