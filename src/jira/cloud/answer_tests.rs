#![allow(clippy::unwrap_used, clippy::panic)]

use chrono::TimeZone;
use reqwest::header::{HeaderName, HeaderValue};

use super::*;

fn read_one(status: u16, headers: &[(&str, &str)], body: &str) -> Result<Value, No> {
    let now = Utc.with_ymd_and_hms(2026, 6, 5, 5, 59, 0).unwrap();
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect();
    read(true, now, StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
}

#[test]
fn all_six_forms_of_an_error_are_read() {
    // CLOUD-5
    let code = |status, body| match read_one(status, &[], body).unwrap_err() {
        No::BadRequest(words) | No::Forbidden(words) | No::NotFound(words) | No::Conflict(words) => {
            assert!(!words.reason.is_empty());
            words.code
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(code(400, r#"{"errorMessages":["No."],"errors":{"email":"bad"},"status":400}"#), "");
    let organization = r#"{"errors":[{"id":"1","code":"ADMIN-UAM-409-2","status":"409","title":"t","detail":null}]}"#;
    assert_eq!(code(409, organization), "ADMIN-UAM-409-2");
    assert_eq!(code(403, r#"{"code":403,"message":"The request requires the manage:org scope"}"#), "");
    let manage = r#"{"key":"accountNotFound","errorKey":"account-not-found","errorDetail":"Error: gone"}"#;
    assert_eq!(code(404, manage), "accountNotFound");
    let scim = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"409","detail":"exists"}"#;
    assert_eq!(code(409, scim), "");
    assert_eq!(code(404, ""), "");
    let routing = r#"{"timestamp":"t","path":"/api/admin","status":404,"error":"Not Found","requestId":"1","message":"TCS validation failed"}"#;
    assert!(matches!(read_one(404, &[], routing), Err(No::Failed(TargetError::Denied { .. }))));
}

#[test]
fn every_401_is_our_credential_and_a_page_is_no_answer() {
    // CLOUD-2, CLOUD-3
    for body in
        ["Client must be authenticated to access this resource.", r#"{"code":401,"message":"Unauthorized"}"#, ""]
    {
        assert!(matches!(read_one(401, &[], body), Err(No::Failed(TargetError::Denied { .. }))));
    }
    let Err(No::Failed(TargetError::Denied { detail })) =
        read_one(401, &[], r#"{"errors":[{"code":"ADMIN-401-2","status":"401","title":"scope"}]}"#)
    else {
        panic!("not denied")
    };
    assert!(detail.contains("without scopes"), "{detail}");
    for (status, body) in [(200, "<html>"), (404, "<html>"), (403, "<html>"), (302, ""), (502, "{}"), (200, "{\"a\"")] {
        let read = read_one(status, &[], body);
        assert!(
            matches!(read, Err(No::Failed(TargetError::Unreachable { maybe_done: true, .. }))),
            "{status} {read:?}"
        );
    }
}

#[test]
fn a_burst_is_one_endpoints_and_every_other_limit_is_everybodys() {
    let wait = |headers: &[(&str, &str)]| match read_one(429, headers, "{}").unwrap_err() {
        No::Endpoint(wait) => (true, Some(wait.as_secs())),
        No::Failed(TargetError::Throttled { retry_after }) => (false, retry_after.map(|wait| wait.as_secs())),
        other => panic!("{other:?}"),
    };
    // CLOUD-60
    assert_eq!(wait(&[("ratelimit-reason", "jira-burst-based"), ("retry-after", "7")]), (true, Some(7)));
    assert_eq!(wait(&[("ratelimit-reason", "jira-burst-based")]), (true, Some(10)));
    // CLOUD-61, CLOUD-64
    assert_eq!(wait(&[("ratelimit-reason", "jira-quota-global-based"), ("retry-after", "60")]), (false, Some(60)));
    assert_eq!(wait(&[("ratelimit-reason", "jira-cost-based"), ("retry-after", "5")]), (false, Some(5)));
    // CLOUD-62, CLOUD-63
    assert_eq!(wait(&[("x-ratelimit-reset", "2026-06-05T06:00Z")]), (false, Some(60)));
    assert_eq!(wait(&[("x-ratelimit-reset", "2026-06-05T06:00:30Z")]), (false, Some(90)));
    assert_eq!(wait(&[("x-ratelimit-reset", "2026-06-05T05:00Z")]), (false, Some(1)));
    assert_eq!(wait(&[]), (false, None));
}

#[test]
fn calls_that_are_left_until_the_reset_are_a_rate() {
    // CLOUD-63
    let now = Utc.with_ymd_and_hms(2026, 6, 5, 5, 59, 0).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("x-ratelimit-remaining", HeaderValue::from_static("6"));
    assert_eq!(limits(&headers, now), None);
    headers.insert("x-ratelimit-reset", HeaderValue::from_static("2026-06-05T06:00:00Z"));
    let told = limits(&headers, now).unwrap();
    assert_eq!((told.remaining, told.interval, told.fill_rate), (Some(6), Some(Duration::from_secs(60)), Some(6)));
}

#[test]
fn a_403_is_about_one_object_only_where_its_code_says_so() {
    let error = |code: &str| Words { code: code.to_owned(), ..Words::default() };
    assert!(matches!(No::Forbidden(error("ADMIN-403-5")).into_error(String::new), TargetError::Refused { .. }));
    assert!(matches!(No::Forbidden(error("ADMIN-UAM-403-1")).into_error(String::new), TargetError::Denied { .. }));
    assert!(matches!(No::NotFound(error("ADMIN-404-2")).into_error(String::new), TargetError::Denied { .. }));
    // CLOUD-29
    assert!(matches!(No::Conflict(error("ADMIN-UAM-409-3")).into_error(String::new), TargetError::NoSeats { .. }));
}
