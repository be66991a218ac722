//! DC-80 to DC-88 of `docs/targets/data-center.md`: the Crowd-compatible API, through a socket.

use chrono::{TimeZone, Utc};
use jira_scim::sandbox::{NewAccount, SandboxOptions};
use serde_json::{Value, json};

use crate::sandbox_client::{Answer, Bench, send};

const APPLICATION: (&str, &str) = ("crowd-scim", "open-sesame");

async fn bench() -> Bench {
    let (name, password) = APPLICATION;
    let crowd = Some((name.to_owned(), password.to_owned()));
    let bench = Bench::with(SandboxOptions { crowd, ..SandboxOptions::default() }).await;
    let mara = NewAccount { display_name: "Mara Lund".into(), ..NewAccount::named("mara.lund") };
    bench.jira.add_account(&mara).unwrap();
    bench
}

async fn call(bench: &Bench, method: &str, path: &str, body: Value) -> Answer {
    let request = bench.crowd(method, path).basic_auth(APPLICATION.0, Some(APPLICATION.1));
    send(if body.is_null() { request } else { request.json(&body) }).await
}

async fn get(bench: &Bench, path: &str) -> Answer {
    call(bench, "GET", path, Value::Null).await
}

#[tokio::test]
async fn only_the_applications_own_name_and_password_open_it() {
    // DC-80
    let bench = bench().await;
    let path = "/user?username=mara.lund";
    assert_eq!(get(&bench, path).await.status, 200);
    let token = send(bench.crowd("GET", path).bearer_auth(bench.jira.token())).await;
    let user = send(bench.crowd("GET", path).basic_auth("svc-scim", Some("x"))).await;
    assert_eq!([token.status, user.status, send(bench.crowd("GET", path)).await.status], [401; 3]);
    assert_eq!(Bench::new().await.crowd("GET", path).basic_auth("", Some("")).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn its_errors_have_a_reason_and_a_message() {
    // DC-81
    let missing = get(&bench().await, "/user?username=nobody").await;
    assert_eq!((missing.status, &missing.json()["reason"]), (404, &json!("USER_NOT_FOUND")));
    assert!(missing.json()["message"].is_string());
}

#[tokio::test]
async fn a_put_blanks_what_it_leaves_out() {
    // DC-82
    let bench = bench().await;
    let seen = get(&bench, "/user?username=mara.lund").await.json();
    assert_eq!(
        (&seen["first-name"], &seen["last-name"], &seen["active"]),
        (&json!("Mara"), &json!("Lund"), &json!(true))
    );
    assert_eq!(seen["key"], bench.jira.account("mara.lund").unwrap().key);
    let path = "/user?username=mara.lund";
    assert_eq!(call(&bench, "PUT", path, json!({"name": "other", "active": true})).await.status, 400);
    let put = call(&bench, "PUT", path, json!({"name": "MARA.lund", "first-name": "Mara"})).await;
    assert_eq!((put.status, put.text.as_str()), (204, ""));
    let account = bench.jira.account("mara.lund").unwrap();
    assert_eq!((account.email.as_str(), account.display_name.as_str(), account.active), ("", "", false));
}

#[tokio::test]
async fn a_search_pages_over_everybody_without_a_cap() {
    // DC-83, DC-87
    let bench = bench().await;
    (0..1_500).for_each(|n| drop(bench.jira.add_account(&NewAccount::named(&format!("p{n:04}"))).unwrap()));
    let at = Utc.with_ymd_and_hms(2024, 2, 19, 7, 41, 7).unwrap();
    bench.jira.change(|world| world.log_in("mara.lund", at)).unwrap();
    let page = async |start: usize, rows: usize| {
        let path = format!("/search?entity-type=user&expand=user,attributes&start-index={start}&max-results={rows}");
        get(&bench, &path).await.json()["users"].as_array().unwrap().clone()
    };
    assert_eq!(
        [page(0, 1_200).await.len(), page(1_200, 1_200).await.len(), page(2_400, 10).await.len()],
        [1_200, 302, 0]
    );
    let mara = &page(0, 1).await[0];
    let attribute = &mara["attributes"]["attributes"][0];
    assert_eq!(
        (&attribute["name"], &attribute["values"]),
        (&json!("login.lastLoginMillis"), &json!(["1708328467000"]))
    );
    assert_eq!(
        get(&bench, "/search?entity-type=group&max-results=1").await.json()["groups"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_member_who_is_there_is_409_and_what_the_body_names_is_400_where_it_is_missing() {
    // DC-84
    let bench = bench().await;
    bench.jira.add_group("r&d \"<1>\"").unwrap();
    let path = "/group/user/direct?groupname=R%26D%20%22%3C1%3E%22";
    let mut answers = Vec::new();
    for name in ["mara.lund", "mara.lund", "nobody"] {
        answers.push(call(&bench, "POST", path, json!({"name": name})).await.status);
    }
    assert_eq!(answers, [201, 409, 400]);
    assert_eq!(call(&bench, "POST", "/group/user/direct?groupname=x", json!({"name": "mara.lund"})).await.status, 404);
    let members = get(&bench, &format!("{path}&expand=user")).await.json();
    assert_eq!(members["users"][0]["email"], "mara.lund@example.test");
    let both = "/user/group/direct?username=mara.lund";
    assert_eq!(get(&bench, both).await.json()["groups"].as_array().unwrap().len(), 1);
    let leave = format!("{path}&username=mara.lund");
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(call(&bench, "DELETE", &leave, Value::Null).await.status);
    }
    assert_eq!(answers, [204, 404]);
}

#[tokio::test]
async fn every_membership_comes_in_one_document_of_xml_and_never_of_json() {
    // DC-85
    let bench = bench().await;
    bench.jira.add_group("r&d <1>").unwrap();
    bench.jira.add_member("r&d <1>", "mara.lund").unwrap();
    let request = || bench.crowd("GET", "/group/membership").basic_auth(APPLICATION.0, Some(APPLICATION.1));
    let answer = send(request().header("Accept", "application/xml")).await;
    assert!(answer.text.contains(r#"<membership group="r&amp;d &lt;1&gt;"><users><user name="mara.lund"/></users>"#));
    assert_eq!(send(request().header("Accept", "application/json")).await.status, 406);
}

#[tokio::test]
async fn a_rename_stores_letter_case_too() {
    // DC-86
    let bench = bench().await;
    let key = bench.jira.account("mara.lund").unwrap().key;
    for name in ["Mara.Lund", "mara.berg"] {
        let current = bench.jira.look(|world| world.account_by_key(&key)).unwrap().username;
        let renamed =
            call(&bench, "POST", &format!("/user/rename?username={current}"), json!({"new-name": name})).await;
        assert_eq!((renamed.status, &renamed.json()["name"]), (200, &json!(name)));
    }
    let taken = call(&bench, "POST", "/user/rename?username=mara.berg", json!({"new-name": "svc-scim"})).await;
    assert_eq!(taken.status, 400);
}

#[tokio::test]
async fn it_asks_none_of_jiras_own_rules() {
    // DC-88
    let bench = bench().await;
    bench.jira.make_lead("mara.lund", "CREW").unwrap();
    let body = json!({"name": "mara.lund", "display-name": "Mara Lund", "email": "m@example.test", "active": false});
    assert_eq!(call(&bench, "PUT", "/user?username=mara.lund", body).await.status, 204);
    assert!(!bench.jira.account("mara.lund").unwrap().active);
    let new = json!({"name": "b", "display-name": "B", "email": "b@example.test", "active": true});
    assert_eq!(call(&bench, "POST", "/user", new.clone()).await.status, 400, "a password is wanted");
    let mut with_password = new;
    with_password["password"] = json!({"value": "x"});
    let made = call(&bench, "POST", "/user", with_password.clone()).await;
    assert_eq!((made.status, made.text.as_str()), (201, ""));
    assert!(bench.jira.groups_of("b").is_empty(), "no application comes with it");
    assert_eq!(call(&bench, "POST", "/user", with_password).await.status, 400, "and once more is no 409");
    bench.jira.add_read_only_account(&NewAccount::named("ole.dahl")).unwrap();
    assert_eq!(call(&bench, "DELETE", "/user?username=ole.dahl", Value::Null).await.status, 403);
    assert_eq!(call(&bench, "DELETE", "/user?username=b", Value::Null).await.status, 204);
}
