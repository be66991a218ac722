//! DC-20 to DC-46 of `docs/targets/data-center.md`, through a socket.

use chrono::{TimeZone, Utc};
use jira_scim::sandbox::{NewAccount, Reference, SandboxOptions};
use serde_json::{Value, json};

use crate::sandbox_client::Bench;

fn mara() -> Value {
    json!({"name": "mara.lund", "emailAddress": "mara@example.test", "displayName": "Mara Lund", "notification": "false"})
}

async fn with_mara() -> Bench {
    let bench = Bench::new().await;
    assert_eq!(bench.post("/user", mara()).await.status, 201);
    bench
}

/// DC-20, DC-36
#[tokio::test]
async fn a_created_account_comes_back_with_its_key_and_without_its_groups() {
    let bench = Bench::new().await;
    let created = bench.post("/user", mara()).await;
    assert_eq!(created.status, 201);
    let bean = created.json();
    assert!(bean["key"].as_str().unwrap().starts_with("JIRAUSER"), "{bean}");
    assert_eq!(bean["self"], format!("{}/rest/api/2/user?username=mara.lund", bench.jira.base_url()));
    assert_eq!(created.header("Location"), bean["self"]);
    assert_eq!(bean["groups"], json!({"size": 1, "items": []}));
    assert_eq!(bench.jira.account("mara.lund").unwrap().email, "mara@example.test");
}

/// DC-20
#[tokio::test]
async fn before_8_4_the_key_is_the_first_username_in_lower_case() {
    let bench = Bench::version("8.3.0").await;
    let jira = &bench.jira;
    assert_eq!(jira.add_account(&NewAccount::named("Mara.Lund")).unwrap(), "mara.lund");
    assert_eq!(
        Bench::version("8.4.0").await.jira.add_account(&NewAccount::named("Mara.Lund")).unwrap(),
        "JIRAUSER10002"
    );
}

/// DC-21
#[tokio::test]
async fn a_taken_username_is_400_in_whatever_letter_case_and_wherever_its_account_lives() {
    let bench = with_mara().await;
    bench.jira.add_read_only_account(&NewAccount::named("ldap.lund")).unwrap();
    for taken in ["mara.lund", "MARA.Lund", "LDAP.lund"] {
        let mut body = mara();
        body["name"] = taken.into();
        let refused = bench.post("/user", body).await;
        assert_eq!((refused.status, refused.fields()), (400, vec!["username".to_owned()]), "{taken}");
    }
}

/// DC-21
#[tokio::test]
async fn two_accounts_may_share_an_email_address() {
    let bench = with_mara().await;
    let mut body = mara();
    body["name"] = "mara.berg".into();
    assert_eq!(bench.post("/user", body).await.status, 201);
}

/// DC-14, DC-22
#[tokio::test]
async fn what_is_missing_or_illegal_is_named_by_its_form_field() {
    let bench = Bench::new().await;
    let long = "x".repeat(256);
    let cases = [
        ("name", json!(""), "username"),
        ("name", json!("a<b"), "username"),
        ("name", json!("a>b"), "username"),
        ("name", json!("a&b"), "username"),
        ("name", json!(long), "username"),
        ("emailAddress", json!(""), "email"),
        ("emailAddress", json!("nobody"), "email"),
        ("emailAddress", json!(format!("{long}@example.test")), "email"),
        ("displayName", json!(" "), "fullname"),
        ("displayName", json!(long), "fullname"),
    ];
    for (member, value, field) in cases {
        let mut body = mara();
        body[member] = value.clone();
        let refused = bench.post("/user", body).await;
        assert_eq!((refused.status, refused.fields()), (400, vec![field.to_owned()]), "{member}={value}");
    }
    assert_eq!(bench.post("/user", json!({})).await.fields(), ["email", "fullname", "username"]);
    assert!(bench.jira.account("mara.lund").is_none());
}

/// DC-23
#[tokio::test]
async fn only_the_string_true_sends_a_mail() {
    let bench = Bench::new().await;
    for (n, notification) in [json!("false"), Value::Null, json!("true")].into_iter().enumerate() {
        let mut body = mara();
        body["name"] = format!("mara.{n}").into();
        body["notification"] = notification;
        assert_eq!(bench.post("/user", body).await.status, 201);
    }
    let mails: Vec<_> = bench.jira.journal().iter().map(|entry| entry.mail_to.clone()).collect();
    assert_eq!(mails, [None, None, Some("mara@example.test".to_owned())]);
}

/// DC-24
#[tokio::test]
async fn an_account_gets_the_default_applications_unless_the_list_says_none() {
    let bench = with_mara().await;
    assert_eq!(bench.jira.groups_of("mara.lund"), ["jira-software-users"]);
    let none = json!({"name": "b", "emailAddress": "b@example.test", "displayName": "B", "applicationKeys": []});
    assert_eq!(bench.post("/user", none).await.status, 201);
    assert!(bench.jira.groups_of("b").is_empty());
    let unknown = json!({"name": "c", "emailAddress": "c@example.test", "displayName": "C", "applicationKeys": ["x"]});
    assert_eq!(bench.post("/user", unknown).await.status, 400);
}

/// DC-24, DC-44
#[tokio::test]
async fn the_last_seat_is_refused_and_free_again_when_somebody_is_deactivated() {
    let bench = Bench::with(SandboxOptions::default().with_seats(1)).await;
    assert_eq!(bench.post("/user", mara()).await.status, 201);
    assert_eq!(bench.get("/applicationrole").await.json()[0]["remainingSeats"], 0);
    let second = json!({"name": "b", "emailAddress": "b@example.test", "displayName": "B"});
    let refused = bench.post("/user", second.clone()).await;
    assert_eq!((refused.status, refused.messages().len(), refused.fields().len()), (400, 1, 0));
    assert!(bench.jira.account("b").is_none());
    assert_eq!(bench.put("/user?username=mara.lund", json!({"active": false})).await.status, 200);
    assert_eq!(bench.jira.groups_of("mara.lund"), ["jira-software-users"], "memberships stay");
    assert_eq!(bench.get("/applicationrole/jira-software").await.json()["remainingSeats"], 1);
    assert_eq!(bench.post("/user", second).await.status, 201);
}

/// DC-25
#[tokio::test]
async fn active_in_a_create_is_ignored() {
    let bench = Bench::new().await;
    let mut body = mara();
    body["active"] = false.into();
    assert_eq!(bench.post("/user", body).await.json()["active"], true);
}

/// DC-26
#[tokio::test]
async fn without_a_writable_directory_nobody_is_created() {
    let bench = Bench::with(SandboxOptions { writable_directory: false, ..SandboxOptions::default() }).await;
    let refused = bench.post("/user", mara()).await;
    assert_eq!((refused.status, refused.messages().len(), refused.fields().len()), (400, 1, 0));
}

/// DC-27
#[tokio::test]
async fn blank_and_missing_members_leave_everything_as_it_is() {
    let bench = with_mara().await;
    let before = bench.jira.account("mara.lund").unwrap();
    let body = json!({"name": "mara.lund", "emailAddress": "", "displayName": " "});
    assert_eq!(bench.put("/user?username=mara.lund", body).await.status, 200);
    assert_eq!(bench.jira.account("mara.lund").unwrap(), before);
    let nothing = bench.put("/user?username=mara.lund", json!({"emailAddress": ""})).await;
    assert_eq!((nothing.status, nothing.messages()), (400, vec!["error.no.value.found.to.be.changed".to_owned()]));
}

/// DC-28
#[tokio::test]
async fn before_8_3_active_is_ignored_and_alone_it_is_nothing_to_change() {
    let bench = Bench::with(SandboxOptions {
        version: "8.2.6".parse().unwrap(),
        password: Some("open-sesame".into()),
        ..SandboxOptions::default()
    })
    .await;
    bench.jira.add_account(&NewAccount::named("mara.lund")).unwrap();
    let put = |body: Value| {
        let request = bench.bare("PUT", "/user?username=mara.lund").basic_auth("svc-scim", Some("open-sesame"));
        crate::sandbox_client::send(request.json(&body))
    };
    let alone = put(json!({"active": false})).await;
    assert_eq!((alone.status, alone.messages()), (400, vec!["error.no.value.found.to.be.changed".to_owned()]));
    let together = put(json!({"name": "mara.lund", "active": false})).await;
    assert_eq!((together.status, &together.json()["active"]), (200, &json!(true)));
    assert!(bench.jira.account("mara.lund").unwrap().active);
}

/// DC-28
#[tokio::test]
async fn from_8_3_active_alone_deactivates_and_reactivates() {
    let bench = with_mara().await;
    for active in [false, false, true] {
        let answer = bench.put("/user?username=mara.lund", json!({"active": active})).await;
        assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(active)));
    }
}

/// DC-20, DC-29
#[tokio::test]
async fn a_rename_keeps_key_and_groups_and_forgets_the_old_name() {
    let bench = with_mara().await;
    let key = bench.jira.account("mara.lund").unwrap().key;
    let renamed = bench.put(&format!("/user?key={key}"), json!({"name": "mara.berg"})).await;
    assert_eq!((renamed.status, &renamed.json()["key"]), (200, &json!(key)));
    assert_eq!(bench.get("/user?username=mara.lund").await.status, 404);
    assert_eq!(bench.get(&format!("/user?key={key}")).await.json()["name"], "mara.berg");
    assert_eq!(bench.jira.members("jira-software-users"), ["mara.berg"]);
    assert_eq!(bench.post("/user", mara()).await.status, 201, "the old name is free");
    assert_ne!(bench.jira.account("mara.lund").unwrap().key, key);
}

/// DC-29
#[tokio::test]
async fn a_rename_to_a_taken_or_illegal_name_changes_nothing_at_all() {
    let bench = with_mara().await;
    for name in ["SVC-scim", "a&b"] {
        let refused = bench.put("/user?username=mara.lund", json!({"name": name, "displayName": "Other"})).await;
        assert_eq!((refused.status, refused.fields()), (400, vec!["username".to_owned()]), "{name}");
    }
    assert_eq!(bench.jira.account("mara.lund").unwrap().display_name, "Mara Lund");
}

/// DC-28, DC-47
#[tokio::test]
async fn a_name_beside_active_is_a_rename_like_any_other() {
    let bench = with_mara().await;
    let key = bench.jira.account("mara.lund").unwrap().key;
    let put = async |name: &str| bench.put(&format!("/user?key={key}"), json!({"name": name, "active": false})).await;
    let refused = put("svc-scim").await;
    assert_eq!((refused.status, refused.fields()), (400, vec!["username".to_owned()]));
    assert!(bench.jira.account("mara.lund").unwrap().active);
    assert_eq!(put("mara.old").await.json()["name"], "mara.old");
    assert!(bench.jira.account("mara.lund").is_none());
}

/// DC-30
#[tokio::test]
async fn a_new_letter_case_is_answered_200_and_not_stored() {
    let bench = with_mara().await;
    assert_eq!(bench.put("/user?username=mara.lund", json!({"name": "Mara.Lund"})).await.status, 200);
    assert_eq!(bench.jira.account("mara.lund").unwrap().username, "mara.lund");
}

/// DC-31
#[tokio::test]
async fn a_project_lead_cannot_be_deactivated_until_somebody_else_leads() {
    let bench = with_mara().await;
    bench.jira.make_lead("mara.lund", "CREW").unwrap();
    let refused = bench.put("/user?username=mara.lund", json!({"active": false, "displayName": "Other"})).await;
    assert_eq!((refused.status, refused.fields()), (400, vec!["active".to_owned()]));
    assert!(refused.text.contains("CREW"));
    let account = bench.jira.account("mara.lund").unwrap();
    assert!(account.active && account.display_name == "Mara Lund");
    bench.jira.make_lead("svc-scim", "CREW").unwrap();
    assert_eq!(bench.put("/user?username=mara.lund", json!({"active": false})).await.status, 200);
}

/// DC-32
#[tokio::test]
async fn the_caller_cannot_deactivate_or_delete_itself() {
    let bench = Bench::new().await;
    let refused = bench.put("/user?username=svc-scim", json!({"active": false})).await;
    assert_eq!((refused.status, refused.messages().len(), refused.fields().len()), (400, 1, 0));
    assert_eq!(bench.delete("/user?username=svc-scim").await.status, 400);
    assert!(bench.jira.account("svc-scim").unwrap().active);
}

/// DC-33
#[tokio::test]
async fn an_account_of_a_read_only_directory_is_only_ever_put_into_groups() {
    let bench = Bench::new().await;
    bench.jira.add_read_only_account(&NewAccount::named("ldap.lund")).unwrap();
    bench.jira.add_group("crew").unwrap();
    for body in [json!({"active": false}), json!({"displayName": "Other"}), json!({"name": "other"})] {
        let refused = bench.put("/user?username=ldap.lund", body).await;
        assert_eq!((refused.status, refused.fields().len()), (400, 0));
    }
    assert_eq!(bench.delete("/user?username=ldap.lund").await.status, 400);
    assert_eq!(bench.post("/group/user?groupname=crew", json!({"name": "ldap.lund"})).await.status, 201);
}

/// DC-35
#[tokio::test]
async fn an_account_is_found_by_name_without_and_by_key_with_regard_to_case() {
    let bench = with_mara().await;
    let key = bench.jira.account("mara.lund").unwrap().key;
    bench.jira.change(|world| world.force_active("mara.lund", false)).unwrap();
    assert_eq!(bench.get("/user?username=MARA.lund").await.json()["active"], false);
    assert_eq!(bench.get(&format!("/user?key={key}")).await.status, 200);
    assert_eq!(bench.get(&format!("/user?key={}", key.to_lowercase())).await.status, 404);
    let unknown = bench.get("/user?username=nobody").await;
    assert_eq!((unknown.status, unknown.messages().len()), (404, 1));
    assert_eq!(bench.put("/user?username=nobody", json!({"active": false})).await.status, 404);
    assert_eq!(bench.get("/user").await.status, 404);
}

/// DC-36
#[tokio::test]
async fn groups_and_applications_are_listed_only_when_expanded() {
    let bench = with_mara().await;
    let plain = bench.get("/user?username=mara.lund").await.json();
    assert_eq!((&plain["groups"]["items"], &plain["applicationRoles"]["items"]), (&json!([]), &json!([])));
    let full = bench.get("/user?username=mara.lund&expand=groups,applicationRoles").await.json();
    assert_eq!(full["groups"]["items"][0]["name"], "jira-software-users");
    assert_eq!(
        full["applicationRoles"],
        json!({"size": 1, "items": [{"key": "jira-software", "name": "Jira Software"}]})
    );
}

/// DC-37
#[tokio::test]
async fn a_hidden_email_address_is_missing_everywhere() {
    let bench = Bench::with(SandboxOptions { emails_hidden: true, ..SandboxOptions::default() }).await;
    assert!(bench.post("/user", mara()).await.json().get("emailAddress").is_none());
    assert!(bench.get("/user/search?username=mara").await.json()[0].get("emailAddress").is_none());
    assert_eq!(bench.jira.account("mara.lund").unwrap().email, "mara@example.test");
}

/// DC-38
#[tokio::test]
async fn a_search_finds_beginnings_of_names_and_addresses_and_more_than_was_meant() {
    let bench = with_mara().await;
    for username in ["mara.lund2", "other"] {
        bench.jira.add_account(&NewAccount::named(username)).unwrap();
    }
    let names = |found: Value| -> Vec<String> {
        found.as_array().unwrap().iter().map(|bean| bean["name"].as_str().unwrap().to_owned()).collect()
    };
    let search = async |text: &str| names(bench.get(&format!("/user/search?username={text}")).await.json());
    assert_eq!(search("mara.lund").await, ["mara.lund", "mara.lund2"]);
    assert_eq!(search("MARA@ex").await, ["mara.lund"]);
    assert_eq!(search("lund").await, ["mara.lund"], "a word of the display name");
    assert_eq!(search(".").await.len(), 4);
    assert!(search("").await.is_empty());
}

/// DC-39
#[tokio::test]
async fn a_search_leaves_inactive_accounts_out_unless_asked() {
    let bench = with_mara().await;
    bench.jira.change(|world| world.force_active("mara.lund", false)).unwrap();
    assert_eq!(bench.get("/user/search?username=mara").await.json(), json!([]));
    let all = bench.get("/user/search?username=mara&includeInactive=true").await.json();
    assert_eq!(all[0]["name"], "mara.lund");
    assert_eq!(bench.get("/user/search?username=.&includeActive=false&includeInactive=true").await.json(), all);
}

/// DC-40
#[tokio::test]
async fn a_search_is_cut_off_where_the_version_cuts_it() {
    let cases = [
        ("10.3.24", 0, 5000, 100),
        ("10.3.24", 98, 20, 2),
        ("10.3.24", 100, 20, 0),
        ("9.12.0", 0, 5000, 1000),
        ("9.12.0", 1000, 5000, 101),
        ("8.20.0", 600, 5000, 400),
        ("8.20.0", 1001, 50, 0),
    ];
    for (version, start, wanted, rows) in cases {
        let bench = Bench::version(version).await;
        for n in 0..1100 {
            bench.jira.add_account(&NewAccount::named(&format!("p{n:04}"))).unwrap();
        }
        let found = bench.get(&format!("/user/search?username=.&startAt={start}&maxResults={wanted}")).await.json();
        assert_eq!(found.as_array().unwrap().len(), rows, "{version} {start} {wanted}");
    }
    let bench = with_mara().await;
    assert_eq!(bench.get("/user/search?username=.&startAt=x").await.status, 400);
}

/// DC-41
#[tokio::test]
async fn a_list_walks_over_everybody_once() {
    let bench = with_mara().await;
    for n in 0..6 {
        bench.jira.add_account(&NewAccount::named(&format!("p{n}"))).unwrap();
    }
    bench.jira.change(|world| world.force_active("p3", false)).unwrap();
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bench.get(&format!("/user/list?maxResults=3{cursor}")).await.json();
        names.extend(page["values"].as_array().unwrap().iter().map(|bean| bean["name"].as_str().unwrap().to_owned()));
        assert!(page.get("total").is_none());
        if page["isLast"] == true {
            break;
        }
        cursor = format!("&cursor={}", page["nextCursor"].as_str().unwrap());
    }
    names.sort();
    assert_eq!(names, ["mara.lund", "p0", "p1", "p2", "p3", "p4", "p5", "svc-scim"]);
    assert_eq!(Bench::version("10.0.1").await.get("/user/list").await.status, 404);
}

/// DC-42
#[tokio::test]
async fn a_delete_names_every_reason_against_it_and_is_404_when_repeated() {
    let bench = with_mara().await;
    bench.jira.make_lead("mara.lund", "CREW").unwrap();
    bench.jira.change(|world| world.bind_to_issue("mara.lund", Reference::Reported)).unwrap();
    bench.jira.change(|world| world.bind_to_issue("mara.lund", Reference::Commented)).unwrap();
    let refused = bench.delete("/user?username=mara.lund").await;
    assert_eq!((refused.status, refused.messages().len()), (400, 3));
    bench.jira.add_account(&NewAccount::named("b")).unwrap();
    let gone = bench.delete("/user?username=b").await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    assert_eq!(bench.delete("/user?username=b").await.status, 404);
}

/// DC-42, DC-43
#[tokio::test]
async fn a_deleted_account_leaves_its_groups_and_comes_back_with_its_key() {
    let bench = with_mara().await;
    let key = bench.jira.account("mara.lund").unwrap().key;
    assert_eq!(bench.delete(&format!("/user?key={key}")).await.status, 204);
    assert!(bench.jira.members("jira-software-users").is_empty());
    assert_eq!(bench.post("/user", mara()).await.json()["key"], key);
}

/// DC-45
#[tokio::test]
async fn the_last_login_has_an_offset_without_a_colon() {
    let bench = with_mara().await;
    let at = Utc.with_ymd_and_hms(2024, 2, 19, 7, 41, 7).unwrap();
    assert!(bench.get("/user?username=mara.lund").await.json().get("lastLoginTime").is_none());
    bench.jira.change(|world| world.log_in("mara.lund", at)).unwrap();
    assert_eq!(bench.get("/user?username=mara.lund").await.json()["lastLoginTime"], "2024-02-19T07:41:07+0000");
}

/// DC-46
#[tokio::test]
async fn application_access_is_membership_of_the_applications_groups() {
    let bench = Bench::new().await;
    bench.jira.add_account(&NewAccount::named("b")).unwrap();
    let path = "/user/application?username=b&applicationKey=jira-software";
    let granted = bench.post(path, json!({})).await;
    assert_eq!((granted.status, granted.text.as_str()), (200, ""));
    assert_eq!(bench.jira.groups_of("b"), ["jira-software-users"]);
    assert_eq!(bench.delete(path).await.status, 204);
    assert!(bench.jira.groups_of("b").is_empty());
    let unknown = ["username=nobody&applicationKey=jira-software", "username=b&applicationKey=x"];
    for query in unknown {
        assert_eq!(bench.post(&format!("/user/application?{query}"), json!({})).await.status, 400, "{query}");
    }
}
