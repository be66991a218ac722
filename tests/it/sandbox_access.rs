//! DC-1 to DC-15 of `docs/targets/data-center.md`, through a socket.

use std::time::Duration;

use jira_scim::sandbox::{NewAccount, SYSTEM_ADMINISTRATORS, SandboxOptions};
use serde_json::json;

use crate::sandbox_client::{Bench, send};

/// DC-1
#[tokio::test]
async fn the_api_lies_under_the_context_path_and_latest_is_version_2() {
    let bench = Bench::new().await;
    let root = bench.jira.base_url().trim_end_matches("/jira").to_owned();
    let latest = bench.get("/../latest/myself").await;
    assert_eq!((latest.status, latest.json()["name"].as_str()), (200, Some("svc-scim")));
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(send(plain.get(format!("{root}/rest/api/2/serverInfo"))).await.status, 404);
    assert_eq!(bench.get("/../3/myself").await.status, 404);
}

/// DC-1
#[tokio::test]
async fn an_empty_context_path_is_the_root() {
    let bench = Bench::with(SandboxOptions { context: "/".into(), ..SandboxOptions::default() }).await;
    assert_eq!(bench.jira.base_url(), format!("http://{}", bench.jira.address()));
    assert_eq!(bench.get("/myself").await.status, 200);
}

/// DC-2
#[tokio::test]
async fn a_caller_without_credentials_is_anonymous_and_not_simply_refused() {
    let bench = Bench::new().await;
    let info = send(bench.bare("GET", "/serverInfo")).await;
    assert_eq!((info.status, info.header("X-AUSERNAME")), (200, "anonymous"));
    let groups = send(bench.bare("GET", "/groups/picker")).await;
    assert_eq!((groups.status, groups.json()["total"].as_u64()), (200, Some(0)));
    for path in ["/myself", "/user?username=svc-scim", "/group/member?groupname=jira-administrators"] {
        let read = send(bench.bare("GET", path)).await;
        assert_eq!((read.status, read.header("X-AUSERNAME")), (401, "anonymous"), "{path}");
    }
    let write = send(bench.bare("POST", "/group").json(&json!({"name": "crew"}))).await;
    assert_eq!((write.status, write.header("X-AUSERNAME")), (403, "anonymous"));
    assert!(!bench.jira.look(|world| world.has_group("crew")));
}

/// DC-2
#[tokio::test]
async fn every_answer_names_the_caller() {
    let bench = Bench::new().await;
    assert_eq!(bench.get("/myself").await.header("X-AUSERNAME"), "svc-scim");
    assert_eq!(bench.get("/user?username=nobody").await.header("X-AUSERNAME"), "svc-scim");
}

/// DC-19
#[tokio::test]
async fn a_callers_name_that_is_not_ascii_is_encoded() {
    let bench = Bench::with(SandboxOptions { admin: "bjørn".into(), ..SandboxOptions::default() }).await;
    assert_eq!(bench.get("/myself").await.header("X-AUSERNAME"), "bj%C3%B8rn");
}

/// DC-3
#[tokio::test]
async fn a_wrong_or_revoked_token_and_the_token_of_an_inactive_account_are_401() {
    let bench = Bench::new().await;
    assert_eq!(send(bench.bare("GET", "/serverInfo").bearer_auth("wrong")).await.status, 401);
    bench.jira.add_account(&NewAccount::named("mara.lund")).unwrap();
    let token = bench.jira.issue_token("mara.lund").unwrap();
    assert_eq!(send(bench.bare("GET", "/myself").bearer_auth(&token)).await.json()["name"], "mara.lund");
    bench.jira.change(|world| world.force_active("mara.lund", false)).unwrap();
    assert_eq!(send(bench.bare("GET", "/myself").bearer_auth(&token)).await.status, 401);
    bench.jira.revoke_token(bench.jira.token());
    assert_eq!(bench.get("/myself").await.status, 401);
}

/// DC-3
#[tokio::test]
async fn before_8_14_nobody_looks_at_a_token() {
    let bench = Bench::version("8.13.17").await;
    let answer = bench.get("/serverInfo").await;
    assert_eq!((answer.status, answer.header("X-AUSERNAME")), (200, "anonymous"));
}

fn with_password(version: &str) -> SandboxOptions {
    let password = Some("open-sesame".to_owned());
    SandboxOptions { password, version: version.parse().unwrap(), ..SandboxOptions::default() }
}

/// DC-3, DC-4
#[tokio::test]
async fn a_password_works_before_11_and_a_token_is_no_password() {
    for (version, status) in [("10.3.24", 200), ("11.0.0", 401)] {
        let bench = Bench::with(with_password(version)).await;
        let basic = |password: &str| bench.bare("GET", "/myself").basic_auth("SVC-scim", Some(password.to_owned()));
        assert_eq!(send(basic("open-sesame")).await.status, status, "{version}");
        assert_eq!(send(basic(bench.jira.token())).await.status, 401, "{version}");
    }
}

/// DC-5
#[tokio::test]
async fn after_three_wrong_passwords_the_right_one_is_refused_until_a_person_solves_the_captcha() {
    let bench = Bench::with(with_password("10.3.24")).await;
    let basic = |password: &'static str| send(bench.bare("GET", "/myself").basic_auth("svc-scim", Some(password)));
    for _ in 0..3 {
        assert_eq!(basic("wrong").await.status, 401);
    }
    let refused = basic("open-sesame").await;
    assert_eq!(refused.status, 403);
    assert!(refused.header("X-Authentication-Denied-Reason").starts_with("CAPTCHA_CHALLENGE; login-url=http"));
    assert_eq!(refused.header("X-Seraph-LoginReason"), "AUTHENTICATION_DENIED");
    assert_eq!(bench.get("/myself").await.status, 200, "tokens avoid the trap");
    bench.jira.solve_captcha("svc-scim");
    assert_eq!(basic("open-sesame").await.status, 200);
}

/// DC-5
#[tokio::test]
async fn a_right_password_forgives_the_wrong_ones_before_it() {
    let bench = Bench::with(with_password("10.3.24")).await;
    for password in ["wrong", "wrong", "open-sesame", "wrong", "wrong", "open-sesame"] {
        let status = send(bench.bare("GET", "/myself").basic_auth("svc-scim", Some(password))).await.status;
        assert_eq!(status, if password == "wrong" { 401 } else { 200 });
    }
}

/// DC-6
#[tokio::test]
async fn whoever_sends_the_session_cookie_back_is_asked_for_a_secure_session() {
    let bench = Bench::new().await;
    let cookie = bench.get("/myself").await.header("Set-Cookie").to_owned();
    assert!(cookie.starts_with("JSESSIONID=") && cookie.contains("Path=/jira"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let refused = send(bench.request("POST", "/group").header("Cookie", pair).json(&json!({"name": "crew"}))).await;
    assert_eq!((refused.status, bench.jira.totals().violations), (401, 1));
    assert_eq!(bench.jira.journal()[1].violation.as_deref(), Some("sent a cookie"));
    assert!(!bench.jira.look(|world| world.has_group("crew")));
}

/// DC-7
#[tokio::test]
async fn a_write_that_looks_like_a_browsers_fails_the_xsrf_check() {
    let bench = Bench::new().await;
    let headers = [("Origin", "http://a.test"), ("Referer", "http://a.test/"), ("User-Agent", "Mozilla/5.0")];
    for (name, value) in headers {
        let refused = send(bench.request("POST", "/group").header(name, value).json(&json!({"name": "crew"}))).await;
        assert_eq!((refused.status, refused.text.as_str()), (403, "XSRF check failed"), "{name}");
        assert!(refused.header("Content-Type").starts_with("text/plain"));
        assert_eq!(send(bench.request("GET", "/myself").header(name, value)).await.status, 200, "{name}");
    }
    assert_eq!(bench.jira.totals().violations, 3);
}

/// DC-9
#[tokio::test]
async fn an_empty_bucket_is_429_until_it_is_filled() {
    let options = SandboxOptions { rate_limit: Some("2/1/3600".parse().unwrap()), ..SandboxOptions::default() };
    let bench = Bench::with(options).await;
    let first = bench.get("/myself").await;
    assert_eq!((first.header("X-RateLimit-Limit"), first.header("X-RateLimit-Remaining")), ("2", "1"));
    assert_eq!((first.header("X-RateLimit-Interval-Seconds"), first.header("X-RateLimit-FillRate")), ("3600", "1"));
    assert_eq!(first.header("Retry-After"), "0");
    bench.get("/myself").await;
    let refused = bench.post("/group", json!({"name": "crew"})).await;
    assert_eq!((refused.status, refused.header("X-RateLimit-Remaining")), (429, "0"));
    assert!((1..=3600).contains(&refused.header("Retry-After").parse::<u64>().unwrap()));
    assert!(!bench.jira.look(|world| world.has_group("crew")));
    bench.jira.advance(Duration::from_secs(3600));
    assert_eq!(bench.get("/myself").await.status, 200);
}

/// DC-11
#[tokio::test]
async fn status_needs_no_login_and_lies_outside_of_rest() {
    let bench = Bench::new().await;
    let status = send(bench.bare("GET", "/../../../status")).await;
    assert_eq!((status.status, status.json()), (200, json!({"state": "RUNNING"})));
}

/// DC-12
#[tokio::test]
async fn server_info_tells_the_version() {
    let bench = Bench::version("9.12.5").await;
    let info = send(bench.bare("GET", "/serverInfo")).await.json();
    assert_eq!((&info["version"], &info["versionNumbers"]), (&json!("9.12.5"), &json!([9, 12, 5])));
    assert_eq!(info["baseUrl"], bench.jira.base_url());
}

/// DC-13
#[tokio::test]
async fn whoever_does_not_administer_is_403_under_his_own_name() {
    let bench = Bench::new().await;
    bench.jira.add_account(&NewAccount::named("mara.lund")).unwrap();
    let token = bench.jira.issue_token("mara.lund").unwrap();
    let refused = send(bench.bare("POST", "/group").bearer_auth(&token).json(&json!({"name": "crew"}))).await;
    assert_eq!((refused.status, refused.header("X-AUSERNAME")), (403, "mara.lund"));
    let permissions = |answer: serde_json::Value| answer["permissions"]["ADMINISTER"]["havePermission"].clone();
    let theirs = send(bench.bare("GET", "/mypermissions").bearer_auth(&token)).await;
    assert_eq!(permissions(theirs.json()), false);
    assert_eq!(permissions(bench.get("/mypermissions").await.json()), true);
}

/// DC-34
#[tokio::test]
async fn an_administrator_cannot_touch_a_system_administrator() {
    let bench = Bench::new().await;
    bench.jira.add_account(&NewAccount::named("root.lund")).unwrap();
    bench.jira.add_member(SYSTEM_ADMINISTRATORS, "root.lund").unwrap();
    assert_eq!(bench.get("/mypermissions").await.json()["permissions"]["SYSTEM_ADMIN"]["havePermission"], false);
    let edit = bench.put("/user?username=root.lund", json!({"displayName": "Root"})).await;
    assert_eq!((edit.status, edit.messages().len(), edit.fields().len()), (400, 1, 0));
    assert_eq!(bench.delete("/user?username=root.lund").await.status, 400);
    assert_eq!(bench.jira.account("root.lund").unwrap().display_name, "root.lund");
}

#[tokio::test]
async fn a_wrong_method_is_405_and_an_unknown_path_404() {
    let bench = Bench::new().await;
    assert_eq!(bench.put("/group", json!({"name": "crew"})).await.status, 405);
    assert_eq!(bench.get("/group/bulk").await.status, 404);
}

#[tokio::test]
async fn a_body_that_is_not_the_schemas_is_refused() {
    let bench = Bench::new().await;
    let unknown = bench.post("/user", json!({"name": "mara.lund", "userName": "mara.lund"})).await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.messages()[0].contains("userName"), "{}", unknown.text);
    assert_eq!(send(bench.request("POST", "/group").body(r#"{"name":"crew"}"#)).await.status, 415);
}

/// DC-8
#[tokio::test]
async fn experimental_operations_want_their_header_where_that_is_enforced() {
    let bench = Bench::with(SandboxOptions { experimental_enforced: true, ..SandboxOptions::default() }).await;
    assert_eq!(bench.get("/myself").await.status, 403);
    assert_eq!(send(bench.request("GET", "/myself").header("X-ExperimentalApi", "true")).await.status, 200);
    assert_eq!(bench.get("/mypermissions").await.status, 200);
}
