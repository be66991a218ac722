//! The sessions of the clients that speak SCIM 1.1: what each is answered, what the store holds then, and what Jira saw.

use axum::http::Method;
use jira_scim::sandbox::{Sandbox, SandboxOptions};
use serde_json::{Value, json};

use super::{CORE, Client, ENTERPRISE, Watch};
use crate::http_app::{Answer, App};

async fn jira() -> Sandbox {
    Sandbox::start(SandboxOptions::default()).await.unwrap()
}

/// How many resources a list says that there are.
fn total(answer: &Answer) -> u64 {
    answer.body["totalResults"].as_u64().unwrap()
}

/// Reads everything, a page of that size at a time.
async fn aggregate(client: &Client<'_>, collection: &str, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let start = all.len() + 1;
        let page = client.get(&format!("{collection}?startIndex={start}&count={count}")).await.is(200);
        assert_eq!(page.body["startIndex"], start);
        let resources = page.body["Resources"].as_array().unwrap();
        assert_eq!(page.body["itemsPerPage"], resources.len());
        all.extend(resources.iter().cloned());
        if resources.is_empty() || all.len() as u64 >= total(&page) {
            assert_eq!(all.len() as u64, total(&page));
            return all;
        }
    }
}

fn pending(active: bool) -> Value {
    json!({
        "schemas": [CORE, "urn:okta:onprem_app:1.0:user:custom"],
        "userName": "amoss", "active": active, "password": "kW3-placeholder",
        "name": {"formatted": "Ann Moss", "givenName": "Ann", "familyName": "Moss"},
        "emails": [
            {"value": "ann.moss@corp.example", "primary": true, "type": "primary"},
            {"value": "ann@home.example", "primary": false, "type": "secondary"}
        ],
        "phoneNumbers": [{"value": "555-0100", "type": "mobile"}],
        "urn:okta:onprem_app:1.0:user:custom": {"shift": "late", "isRemote": true},
        "groups": []
    })
}

#[tokio::test]
async fn the_on_premises_agent_asks_what_it_may_and_changes_everything_by_put() {
    let jira = jira().await;
    let app = App::with_jira(&jira).await;
    let (agent, mut watch) = (Client::with_password(&app, "agent").await, Watch::new(&jira));

    // OPP-1: the features that its administrator is offered.
    let config = agent.get("/ServiceProviderConfigs").await.is(200);
    let offered = &config.body["urn:okta:schemas:scim:providerconfig:1.0"]["userManagementCapabilities"];
    for feature in ["GROUP_PUSH", "IMPORT_NEW_USERS", "PUSH_PENDING_USERS", "REACTIVATE_USERS"] {
        assert!(offered.as_array().unwrap().contains(&json!(feature)), "{feature}");
    }

    // A pending user (OPP-5) is known to the store and not yet to Jira.
    assert_eq!(total(&agent.find("/Users", "userName eq \"amoss\"").await.is(200)), 0);
    let made = agent.post("/Users", pending(false)).await.is(201);
    let user = format!("/Users/{}", made.id());
    assert_eq!((&made.body["active"], made.body.get("password")), (&json!(false), None));
    assert_eq!(made.body["emails"][1], json!({"value": "ann@home.example", "primary": false, "type": "secondary"}));
    assert_eq!((watch.writes(), jira.account("amoss").is_none()), (Vec::new(), true));

    // Activated, renamed and deactivated by PUT, each time with what was read before (OPP-2).
    let mut body = agent.get(&user).await.is(200).body;
    body["active"] = json!(true);
    body["password"] = json!("kW3-placeholder");
    agent.put(&user, body.clone()).await.is(200);
    assert_eq!((watch.writes(), jira.account("amoss").unwrap().active), (vec!["POST /user".to_owned()], true));
    body["displayName"] = json!("Ann Moss-Reyes");
    assert_eq!(agent.put(&user, body.clone()).await.is(200).body["displayName"], "Ann Moss-Reyes");
    assert_eq!(jira.account("amoss").unwrap().display_name, "Ann Moss-Reyes");
    assert_eq!(watch.writes(), ["PUT /user"]);

    // An import of what has changed (OPP-6), and of nothing in the future.
    let changed = |quoted: &str| format!("meta.lastModified gt {quoted}");
    assert_eq!(total(&agent.find("/Users", &changed("“2026-04-07T14:19:34Z”")).await.is(200)), 1);
    assert_eq!(total(&agent.find("/Users", &changed("\"2199-01-01T00:00:00Z\"")).await.is(200)), 0);

    // Groups (OPP-7) with their members as the agent names them (OPP-8).
    assert_eq!(total(&agent.get("/Groups?startIndex=1&count=100").await.is(200)), 0);
    let member = json!({"value": made.id(), "display": "amoss"});
    let crew = json!({"schemas": [CORE], "displayName": "Platform Crew", "members": [member]});
    let group = format!("/Groups/{}", agent.post("/Groups", crew).await.is(201).id());
    assert_eq!(jira.members("Platform Crew"), ["amoss"]);
    assert_eq!(agent.get(&user).await.is(200).body["groups"][0]["display"], "Platform Crew");
    watch.writes();
    agent.put(&group, json!({"schemas": [CORE], "displayName": "Platform Crew", "members": []})).await.is(200);
    assert!(jira.members("Platform Crew").is_empty());
    assert_eq!(watch.writes(), ["DELETE /group/user"]);
    agent.delete(&group).await.is(204);

    body["active"] = json!(false);
    assert_eq!(agent.put(&user, body).await.is(200).body["active"], false);
    assert!(!jira.account("amoss").unwrap().active);
    assert_eq!(total(&agent.find("/Users", "userName eq \"AMOSS\"").await.is(200)), 1, "inactive, and still there");
}

#[tokio::test]
async fn a_template_full_of_holes_makes_a_user_and_groups_are_patched() {
    let jira = jira().await;
    let app = App::with_jira(&jira).await;
    let (client, mut watch) = (Client::new(&app), Watch::new(&jira));
    let template = |title: &str, active: &str| {
        json!({
            "schemas": [CORE], "id": null,
            "userName": "ann.moss@corp.example", "active": active, "displayName": "",
            "name": {"givenName": "Ann", "familyName": "Moss"}, "prefferedLanguage": "en",
            "emails": {"value": "ann.moss@corp.example", "type": "work", "primary": true},
            "title": title, "addresses[].city": "Leeds",
            ENTERPRISE: {"department": "Ops", "manager": {"managerId": "", "displayName": "Cy Ode"}}
        })
    };
    // OL-10: the button that enables the connector asks for a name that nobody has.
    assert_eq!(total(&client.find("/Users", "userName eq \"nobody-8841\"").await.is(200)), 0);
    let made = client.post("/Users", template("", "True")).await.is(201);
    assert_eq!(made.body["emails"], json!([{"value": "ann.moss@corp.example", "type": "work", "primary": true}]));
    assert_eq!((&made.body["active"], made.body.get("title")), (&json!(true), None));
    assert_eq!(made.body[ENTERPRISE], json!({"department": "Ops"}));
    let user = format!("/Users/{}", made.id());
    assert_eq!(client.get(&user).await.is(200).body, made.body);
    assert_eq!(watch.writes(), ["POST /user"]);
    client.put(&user, template("Lead", "True")).await.is(200);
    assert_eq!(watch.writes(), [""; 0], "Jira has no job titles");

    // OL-12, OL-6: groups are read to choose from, made, and their members patched one by one.
    client.get("/Groups").await.is(200);
    let group =
        format!("/Groups/{}", client.post("/Groups", json!({"displayName": "Platform Crew"})).await.is(201).id());
    watch.writes();
    let member = json!({"schemas": [CORE], "members": [{"value": made.id()}]});
    client.patch(&format!("{group}?"), member).await.is(204);
    assert_eq!(watch.writes(), ["POST /group/user"]);
    let leaving = json!({"schemas": [CORE], "members": [{"value": made.id(), "operation": "delete"}]});
    client.patch(&format!("{group}?"), leaving).await.is(204);
    assert_eq!(watch.writes(), ["DELETE /group/user"]);
    assert!(app.members(group.trim_start_matches("/Groups/")).await.is_empty());

    // OL-11: suspended, then deleted.
    assert_eq!(client.put(&user, template("Lead", "False")).await.is(200).body["active"], false);
    assert!(!jira.account("ann.moss@corp.example").unwrap().active);
    client.delete(&user).await.is(204);
    client.get(&user).await.is(404);
}

#[tokio::test]
async fn the_ping_plugin_matches_by_address_and_finds_groups_by_reading_all() {
    let jira = jira().await;
    let app = App::with_jira(&jira).await;
    let (client, mut watch) = (Client::with_password(&app, "pf").await, Watch::new(&jira));
    let ann = |locality: &str| {
        json!({
            "schemas": [CORE], "userName": "amoss", "externalId": "amoss", "active": true,
            "name": {"givenName": "Ann", "familyName": "Moss"},
            "emails": [
                {"value": "ann@corp.example", "type": "work", "primary": true},
                {"value": "ann@corp.example", "type": "other", "primary": true}
            ],
            "addresses": [{"type": "work", "locality": locality}]
        })
    };
    // PING-3 (F-15): by the bare multi-valued attribute; PING-14: what a proxy would not let through.
    assert_eq!(total(&client.find("/Users", "emails eq \"ann@corp.example\"").await.is(200)), 0);
    let made = client.post("/Users", ann("Leeds")).await.is(201);
    let user = format!("/Users/{}", made.id());
    assert_eq!(made.body["emails"][0]["primary"], true);
    assert_eq!(
        made.body["emails"][1],
        json!({"value": "ann@corp.example", "type": "other", "primary": false}),
        "PING-8"
    );
    assert_eq!(
        client.find("/Users", "emails eq \"ANN@corp.example\"").await.is(200).body["Resources"][0]["id"],
        json!(made.id())
    );
    assert_eq!(watch.writes(), ["POST /user"]);
    let put = client.ask(Method::POST, &user).header("x-http-method-override", "PUT").json(&ann("York")).send().await;
    assert_eq!(put.is(200).body["addresses"], json!([{"type": "work", "locality": "York"}]));

    // PING-5 (F-21): all groups, page by page, compared by their exact names.
    for name in ["Platform Crew", "platform ops", "Ops"] {
        client.post("/Groups", json!({"schemas": [CORE], "displayName": name})).await.is(201);
    }
    let names: Vec<Value> = aggregate(&client, "/Groups", 2).await.iter().map(|g| g["displayName"].clone()).collect();
    assert!(names.len() == 3 && names.contains(&json!("platform ops")), "{names:?}");
    let groups = aggregate(&client, "/Groups", 100).await;
    let crew = groups.iter().find(|group| group["displayName"] == "Platform Crew").unwrap()["id"].as_str().unwrap();
    watch.writes();
    let joining = json!({"schemas": [CORE], "members": [{"value": made.id()}]});
    client.patch(&format!("/Groups/{crew}"), joining.clone()).await.is(204);
    client.patch(&format!("/Groups/{crew}"), joining).await.is(204);
    assert_eq!(watch.writes(), ["POST /group/user"]);

    // PING-10: disabled by PUT.
    let mut leaver = ann("York");
    leaver["active"] = json!(false);
    assert_eq!(client.put(&user, leaver).await.is(200).body["active"], false);
    assert!(!jira.account("amoss").unwrap().active);
}

#[tokio::test]
async fn an_aggregation_reads_every_page_once_and_in_one_order() {
    let app = App::new().await;
    let client = Client::with_password(&app, "sailpoint").await;
    let mut ids = Vec::new();
    for n in 0..23 {
        ids.push(app.user(&format!("Sam.{n:02}")).await);
    }
    app.group("Crew", &[&ids[0], &ids[1]]).await;
    let users = aggregate(&client, "/Users", 10).await;
    let mut seen: Vec<&str> = users.iter().map(|user| user["id"].as_str().unwrap()).collect();
    assert_eq!(aggregate(&client, "/Users", 7).await, users, "MISC-6: the order does not depend on the page");
    seen.sort_unstable();
    seen.dedup();
    ids.sort_unstable();
    assert_eq!(seen, ids);
    assert_eq!(total(&client.find("/Users", "userName sw \"S\"").await.is(200)), 23, "F-25");
    let groups = aggregate(&client, "/Groups", 10).await;
    let members: Vec<&Value> = groups[0]["members"].as_array().unwrap().iter().map(|member| &member["value"]).collect();
    assert_eq!(members.len(), 2);
    for member in members {
        let user = client.get(&format!("/Users/{}", member.as_str().unwrap())).await.is(200);
        assert_eq!(user.body["groups"][0]["value"], groups[0]["id"]);
    }
}

#[tokio::test]
async fn the_slack_style_client_sends_a_form_type_with_a_get_and_one_list_of_schemas_with_everything() {
    let jira = jira().await;
    let app = App::with_jira(&jira).await;
    let (client, mut watch) = (Client::new(&app), Watch::new(&jira));
    let both = json!([CORE, ENTERPRISE]);
    let form = "application/x-www-form-urlencoded;charset=utf-8";
    let found = |filter: &'static str| {
        let path = format!("/Users?filter={filter}&startIndex=1&count=10");
        client.ask(Method::GET, &path).header("content-type", form).send()
    };
    assert_eq!(total(&found("email%20Eq%20%22ann%40corp.example%22").await.is(200)), 0);
    let ann = json!({
        "schemas": both, "userName": "ann", "emails": [{"value": "ann@corp.example", "primary": true}],
        ENTERPRISE: {"department": "Ops"}
    });
    let made = client.post("/Users", ann).await.is(201);
    assert_eq!(
        found("email%20Eq%20%22ann%40corp.example%22").await.is(200).body["Resources"][0]["id"],
        json!(made.id())
    );
    let bo = client.post("/Users", json!({"schemas": both, "userName": "bo"})).await.is(201).id();
    let crew = json!({"schemas": both, "displayName": "Crew", "members": [{"value": bo}]});
    let group = format!("/Groups/{}", client.post("/Groups", crew).await.is(201).id());
    watch.writes();

    // SLACK-5
    let moved = json!({"schemas": both, "members": [{"value": made.id()}, {"value": bo, "operation": "delete"}]});
    client.patch(&group, moved).await.is(204);
    assert_eq!(jira.members("Crew"), ["ann"]);
    let mut writes = watch.writes();
    writes.sort();
    assert_eq!(writes, ["DELETE /group/user", "POST /group/user"]);

    // SLACK-6: a PUT has worked where its status is exactly 200.
    let renamed = json!({"schemas": both, "displayName": "Crew", "members": [{"value": made.id()}]});
    client.put(&group, renamed).await.is(200);
    assert_eq!(watch.writes(), [""; 0]);
    client.delete(&format!("/Users/{}", made.id())).await.is(204);
    assert!(!jira.account("ann").unwrap().active);
}

#[tokio::test]
async fn the_catalogue_session_of_1_1_from_the_first_probe_to_the_deletion() {
    let jira = jira().await;
    let app = App::with_jira(&jira).await;
    let (client, mut watch) = (Client::new(&app), Watch::new(&jira));
    client.get("/ServiceProviderConfigs").await.is(200);
    assert_eq!(total(&client.get("/Users?startIndex=1&count=2").await.is(200)), 0);
    assert_eq!(total(&client.find("/Users", "userName eq \"ann.moss@corp.example\"").await.is(200)), 0);
    let ann = json!({
        "schemas": [CORE], "userName": "ann.moss@corp.example", "name": {"givenName": "Ann", "familyName": "Moss"},
        "emails": [{"primary": true, "value": "ann.moss@corp.example", "type": "work"}], "displayName": "Ann Moss",
        "locale": "en-US", "externalId": "00uExampleAnnMoss01", "groups": [], "password": "kW3-placeholder", "active": true
    });
    let made = client.post("/Users", ann.clone()).await.is(201);
    let user = format!("/Users/{}", made.id());
    assert_eq!(watch.writes(), ["POST /user"]);
    client.post("/Users", ann).await.is(409);

    // OKTA11-4, there and back, always at the same id.
    let switched = |active: bool| json!({"schemas": [CORE], "id": made.id(), "active": active});
    assert_eq!(client.patch(&user, switched(false)).await.is(200).body["active"], false);
    assert!(!jira.account("ann.moss@corp.example").unwrap().active);
    client.patch(&user, switched(true)).await.is(200);
    assert!(jira.account("ann.moss@corp.example").unwrap().active);
    let mut echo = client.get(&user).await.is(200).body;
    echo["displayName"] = json!("Ann Moss-Reyes");
    client.put(&user, echo).await.is(200);
    assert_eq!(jira.account("ann.moss@corp.example").unwrap().display_name, "Ann Moss-Reyes");
    watch.writes();

    // OKTA11-5 to OKTA11-8, S11-19.
    let crew = json!({
        "schemas": [CORE, "urn:okta:custom:group:1.0"], "displayName": "Platform Crew",
        "urn:okta:custom:group:1.0": {"description": "People who keep it up"}
    });
    let made_group = client.post("/Groups", crew).await.is(201);
    assert_eq!(made_group.body["schemas"], json!([CORE]), "what is not served is not claimed");
    let group = format!("/Groups/{}", made_group.id());
    let member = json!({"value": made.id(), "display": "ann.moss@corp.example"});
    watch.writes();
    client.patch(&group, json!({"schemas": [CORE], "members": [member]})).await.is(204);
    assert_eq!(watch.writes(), ["POST /group/user"]);
    let rename = json!({"schemas": [CORE], "id": made_group.id(), "displayName": "Platform"});
    client.patch(&group, rename).await.is(204);
    assert_eq!(client.get(&group).await.is(200).body["displayName"], "Platform");
    watch.writes();
    let mut leaver = member.clone();
    leaver["operation"] = json!("delete");
    client.patch(&group, json!({"schemas": [CORE], "members": [leaver]})).await.is(204);
    assert_eq!(watch.writes(), ["DELETE /group/user"]);
    client.patch(&group, json!({"schemas": [CORE], "members": [member]})).await.is(204);
    client.patch(&group, json!({"meta": {"attributes": ["members"]}})).await.is(204);
    assert!(app.members(&made_group.id()).await.is_empty());
    assert!(jira.members("Platform Crew").is_empty(), "the Jira group keeps its name");
    client.delete(&group).await.is(204);
    client.get(&group).await.is(404);
    client.delete(&user).await.is(204);
    let gone = client.get(&user).await.is(404);
    assert_eq!(gone.body["Errors"][0]["code"], "404");
    assert!(!jira.account("ann.moss@corp.example").unwrap().active);
}
