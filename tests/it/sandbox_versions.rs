//! What the sandbox does by its version, its projects and their leads, copies in other directories, seeds: DC-11, DC-31,
//! DC-48 to DC-52 of `docs/targets/data-center.md`.

use jira_scim::sandbox::seed::Seed;
use jira_scim::sandbox::{NewAccount, Role, SandboxOptions, State};
use serde_json::json;

use crate::sandbox_client::{Bench, send};

/// A sandbox of that version, called with what it takes: tokens where there are any.
async fn status(version: &str, path: &str) -> u16 {
    let options = SandboxOptions {
        version: version.parse().unwrap(),
        password: Some("open-sesame".into()),
        ..SandboxOptions::default()
    };
    let bench = Bench::with(options).await;
    let with_password = send(bench.bare("GET", path).basic_auth("svc-scim", Some("open-sesame"))).await.status;
    let with_token = bench.get(path).await.status;
    // DC-3, DC-4
    if path == "/myself" {
        let wanted = match version {
            "8.2" => (200, 401),
            "11.0" => (401, 200),
            _ => (200, 200),
        };
        assert_eq!((with_password, with_token), wanted, "{version}");
    }
    if version == "8.2" { with_password } else { with_token }
}

#[tokio::test]
async fn the_five_versions_have_the_calls_that_they_have() {
    // DC-12, DC-41, DC-50
    for (version, list, duplicated) in
        [("8.2", 404, 404), ("8.20", 404, 404), ("9.12", 404, 404), ("10.3", 200, 200), ("11.0", 200, 200)]
    {
        assert_eq!(status(version, "/myself").await, 200, "{version}");
        assert_eq!(status(version, "/user/list").await, list, "{version}");
        assert_eq!(status(version, "/user/duplicated/count").await, duplicated, "{version}");
        let info = Bench::version(version).await.get("/serverInfo").await.json();
        assert_eq!(info["version"], format!("{version}.0"));
        assert_eq!(info["versionNumbers"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn the_state_is_in_the_body_and_only_sometimes_in_the_status_code() {
    // DC-11
    let bench = Bench::new().await;
    for (state, code, word) in [
        (State::Running, 200, "RUNNING"),
        (State::Starting, 200, "STARTING"),
        (State::Stopping, 200, "STOPPING"),
        (State::FirstRun, 200, "FIRST_RUN"),
        (State::Maintenance, 503, "MAINTENANCE"),
        (State::Error, 500, "ERROR"),
    ] {
        bench.jira.set_state(state);
        let answer = send(bench.root("GET", "/status")).await;
        assert_eq!((answer.status, &answer.json()["state"]), (code, &json!(word)));
    }
}

#[tokio::test]
async fn what_somebody_leads_is_found_and_handed_over() {
    // DC-31, DC-48, DC-49
    let bench = Bench::new().await;
    bench.jira.add_account(&NewAccount::named("mara.lund")).unwrap();
    bench.jira.add_account(&NewAccount::named("ole.dahl")).unwrap();
    bench.jira.change(|world| world.add_project("CREW", "Platform Crew"));
    bench.jira.make_lead("mara.lund", "CREW").unwrap();
    bench.jira.change(|world| world.make_component_lead("mara.lund", "WEB", "API")).unwrap();
    let refused = bench.put("/user?username=mara.lund", json!({"active": false})).await;
    assert_eq!((refused.status, refused.fields()), (400, vec!["active".to_owned()]));
    assert!(refused.text.contains("CREW") && refused.text.contains("WEB"), "{}", refused.text);

    assert!(bench.get("/project").await.json()[0].get("lead").is_none());
    let projects = bench.get("/project?expand=lead").await.json();
    assert_eq!((&projects[0]["name"], &projects[0]["lead"]["name"]), (&json!("Platform Crew"), &json!("mara.lund")));
    assert_eq!(bench.get("/project/CREW").await.json()["lead"]["name"], "mara.lund");
    assert_eq!(bench.get("/project/NONE").await.status, 404);
    let component = bench.get("/project/WEB/components").await.json()[0].clone();
    assert_eq!((&component["name"], &component["lead"]["name"]), (&json!("API"), &json!("mara.lund")));

    assert_eq!(bench.put("/project/CREW", json!({"lead": "nobody"})).await.status, 400);
    assert_eq!(bench.put("/project/CREW", json!({"lead": "ole.dahl"})).await.json()["lead"]["name"], "ole.dahl");
    let path = format!("/component/{}", component["id"].as_str().unwrap());
    assert_eq!(bench.put(&path, json!({"leadUserName": "nobody"})).await.status, 400);
    assert_eq!(bench.put(&path, json!({"leadUserName": "ole.dahl"})).await.json()["lead"]["name"], "ole.dahl");
    assert_eq!(bench.put("/component/1", json!({"leadUserName": "ole.dahl"})).await.status, 404);
    assert_eq!(bench.put("/user?username=mara.lund", json!({"active": false})).await.status, 200);
}

#[tokio::test]
async fn usernames_in_several_directories_are_counted_and_listed_where_it_matters() {
    // DC-50
    let bench = Bench::new().await;
    for name in ["mara.lund", "ole.dahl"] {
        bench.jira.add_account(&NewAccount::named(name)).unwrap();
    }
    bench.jira.change(|world| world.add_copy("mara.lund", "Corporate LDAP", true)).unwrap();
    bench.jira.change(|world| world.add_copy("ole.dahl", "Corporate LDAP", false)).unwrap();
    assert_eq!(bench.get("/user/duplicated/count").await.json()["count"], 1);
    let list = bench.get("/user/duplicated/list").await.json();
    assert_eq!(list["mara.lund"][1], json!({"directoryName": "Corporate LDAP", "active": true}));
    assert!(list.get("ole.dahl").is_none(), "the copy in the other directory is inactive");
}

#[tokio::test]
async fn a_seat_is_used_once_by_whoever_has_it() {
    // DC-51
    let desk = Role::named("jira-servicedesk", Some(1));
    let bench = Bench::with(SandboxOptions { applications: vec![desk], ..SandboxOptions::default() }).await;
    for name in ["mara.lund", "ole.dahl"] {
        bench.jira.add_account(&NewAccount::named(name)).unwrap();
    }
    let grant = async |name: &str| {
        let path = format!("/user/application?username={name}&applicationKey=jira-servicedesk");
        bench.post(&path, json!({})).await.status
    };
    assert_eq!([grant("mara.lund").await, grant("mara.lund").await, grant("ole.dahl").await], [200, 200, 400]);
    assert_eq!(bench.get("/applicationrole/jira-servicedesk").await.json()["remainingSeats"], 0);
}

#[tokio::test]
async fn a_seed_fills_accounts_and_groups() {
    let options = SandboxOptions { seed: Some(Seed { users: 20_000 }), ..SandboxOptions::default() };
    let bench = Bench::with(options).await;
    assert_eq!(bench.jira.look(|world| world.account_count()), 20_001);
    let members = bench.get("/group/member?groupname=everybody&includeInactiveUsers=true").await.json();
    assert_eq!(members["total"], 20_000);
    assert_eq!(bench.get("/group/member?groupname=everybody").await.json()["total"], 19_000);
    assert_eq!(bench.jira.groups_of("lena.abel.11"), ["everybody", "jira-software-users", "site-00", "team-00000"]);
}
