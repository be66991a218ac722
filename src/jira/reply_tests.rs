#![allow(clippy::unwrap_used, clippy::panic)]
use chrono::TimeZone as _;
use reqwest::header::{HeaderName, HeaderValue};

use super::*;

const OURS: (&str, &str) = ("X-AUSERNAME", "svc-scim");

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
        .collect()
}

fn ask(writes: bool, status: u16, pairs: &[(&str, &str)], body: &str) -> Result<Reply, Rejection> {
    let now = Utc.with_ymd_and_hms(2026, 1, 5, 12, 0, 0).unwrap();
    let expected = Expectation { writes, user: Some("svc-scim"), now };
    classify(&expected, StatusCode::from_u16(status).unwrap(), &headers(pairs), body.as_bytes())
}

fn failure(writes: bool, status: u16, pairs: &[(&str, &str)], body: &str) -> TargetError {
    match ask(writes, status, pairs, body) {
        Err(Rejection::Failed(error)) => error,
        other => panic!("{status}: {other:?}"),
    }
}

#[test]
fn success_is_json_or_nothing() {
    for (status, body) in [(200, r#"{"name":"mara.lund"}"#), (201, "[]"), (200, ""), (204, ""), (200, " \n")] {
        let reply = ask(true, status, &[OURS], body).unwrap();
        assert_eq!(reply.user.as_deref(), Some("svc-scim"), "{status} {body}");
    }
}

#[test]
fn a_proxy_that_strips_the_user_header_from_a_success_is_lived_with() {
    assert!(ask(true, 200, &[], "{}").is_ok());
}

#[test]
fn what_is_no_answer_of_a_jira_is_unreachable_and_a_write_may_have_been_done() {
    // DC-10, DC-15, DC-17
    for (status, body) in [
        (500, r#"{"errorMessages":["internal"]}"#),
        (502, "<html>Bad Gateway</html>"),
        (503, ""),
        (504, ""),
        (302, ""),
        (301, ""),
        (200, "<!doctype html><title>Log in</title>"),
        (201, "ok"),
        (408, ""),
        (407, ""),
        (404, "<html>no such application</html>"),
        (404, ""),
        (400, "<html>bad request</html>"),
    ] {
        for writes in [false, true] {
            match failure(writes, status, &[], body) {
                TargetError::Unreachable { maybe_done, .. } => assert_eq!(maybe_done, writes, "{status}"),
                other => panic!("{status}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_404_that_is_not_about_an_account_never_says_that_it_is_gone() {
    // DC-18
    let route = r#"{"message":"null for uri: https://jira.example.test/rest/api/2/user","status-code":404}"#;
    let page = "<html><title>Oops, you've found a dead link</title></html>";
    for (pairs, body) in [(&[OURS][..], route), (&[OURS], page), (&[], page), (&[], "not here")] {
        let error = failure(false, 404, pairs, body);
        assert!(matches!(error, TargetError::Unreachable { .. }), "{body}: {error:?}");
    }
    for (pairs, body) in [(&[OURS][..], ""), (&[OURS], "no such user"), (&[], r#"{"errorMessages":["no such user"]}"#)]
    {
        assert!(matches!(ask(false, 404, pairs, body), Err(Rejection::NotFound(_))), "{body}");
    }
}

#[test]
fn a_failing_server_that_answers_as_anonymous_is_no_credential_problem() {
    let error = failure(false, 503, &[("X-AUSERNAME", "anonymous")], "");
    assert!(matches!(error, TargetError::Unreachable { .. }), "{error:?}");
}

#[test]
fn every_smell_of_a_credential_problem_is_denied() {
    // DC-2, DC-3, DC-5, DC-7
    type Case = (u16, &'static [(&'static str, &'static str)], &'static str);
    const CAPTCHA: (&str, &str) =
        ("X-Authentication-Denied-Reason", "CAPTCHA_CHALLENGE; login-url=https://jira.example.test/login.jsp");
    let table: &[Case] = &[
        (401, &[], ""),
        (401, &[OURS], "{}"),
        (403, &[], "{}"),
        (403, &[("X-AUSERNAME", "anonymous")], "{}"),
        (403, &[OURS, CAPTCHA], "{}"),
        (200, &[("X-AUSERNAME", "anonymous")], "[]"),
        (404, &[("X-AUSERNAME", "anonymous")], "{}"),
        (200, &[("X-AUSERNAME", "somebody.else")], "{}"),
        (403, &[OURS, ("X-Seraph-LoginReason", "AUTHENTICATION_DENIED")], ""),
        (200, &[("X-Seraph-LoginReason", "AUTHENTICATED_FAILED")], "[]"),
        (403, &[OURS], "XSRF check failed"),
    ];
    for (status, pairs, body) in table {
        let error = failure(true, *status, pairs, body);
        assert!(matches!(error, TargetError::Denied { .. }), "{status} {pairs:?}: {error:?}");
        assert!(!error.to_string().contains("login-url"), "{error}");
    }
}

#[test]
fn our_own_name_is_recognised_in_another_case_and_percent_encoded() {
    let expected = Expectation { writes: false, user: Some("Åse@example.test"), now: Utc::now() };
    let pairs = headers(&[("X-AUSERNAME", "%C3%A5se%40example.test"), ("X-Seraph-LoginReason", "OK")]);
    assert!(classify(&expected, StatusCode::OK, &pairs, b"{}").is_ok());
}

#[test]
fn a_403_to_our_own_account_is_about_what_it_may_do() {
    // DC-13
    let rejection = ask(true, 403, &[OURS], r#"{"errorMessages":["no"],"errors":{}}"#).unwrap_err();
    assert_eq!(rejection, Rejection::Forbidden(Words { reason: "no".to_owned(), field: None }));
}

#[test]
fn a_considered_no_keeps_its_status_apart() {
    for (status, make) in [
        (400, Rejection::BadRequest as fn(Words) -> Rejection),
        (404, Rejection::NotFound),
        (409, Rejection::Conflict),
        (422, Rejection::BadRequest),
    ] {
        let rejection = ask(true, status, &[OURS], r#"{"errorMessages":["no"]}"#).unwrap_err();
        assert_eq!(rejection, make(Words { reason: "no".to_owned(), field: None }), "{status}");
    }
}

#[test]
fn the_words_of_every_error_body_are_found_and_their_field_named() {
    // DC-14, DC-15
    for (body, reason, field) in [
        (r#"{"errorMessages":["one","two."],"errors":{}}"#, "one two.", None),
        (r#"{"errorMessages":[],"errors":{"username":"taken"}}"#, "taken", Some(Field::Username)),
        (r#"{"errors":{"email":"no address"}}"#, "no address", Some(Field::Email)),
        (r#"{"errors":{"fullname":"too long"}}"#, "too long", Some(Field::DisplayName)),
        (r#"{"errorMessages":["a"],"errors":{"active":"leads ABC"}}"#, "a leads ABC", Some(Field::Active)),
        (r#"{"errors":{"password":"too short"}}"#, "password: too short", None),
        (r#"{"errors":{"USER_NAME_CHANGE":{"errorMessages":["nested"]}}}"#, "USER_NAME_CHANGE: nested", None),
        (r#"{"message":"m","status-code":400}"#, "m", None),
        (r#""a bare JSON string""#, "a bare JSON string", None),
        ("a bare\r\nstring\u{0}", "a bare string", None),
        ("<html><head><title>Bad Request</title></head></html>", "Bad Request", None),
        ("<html></html>", "Jira answered 400 Bad Request and gave no reason", None),
        (r#"{"errorMessages":[null,""],"errors":[]}"#, "Jira answered 400 Bad Request and gave no reason", None),
        ("", "Jira answered 400 Bad Request and gave no reason", None),
    ] {
        let rejection = ask(true, 400, &[OURS], body).unwrap_err();
        assert_eq!(rejection, Rejection::BadRequest(Words { reason: reason.to_owned(), field }), "{body}");
    }
}

#[test]
fn an_endless_text_is_cut() {
    let Rejection::BadRequest(words) = ask(true, 400, &[OURS], &"ä".repeat(50_000)).unwrap_err() else { panic!() };
    assert_eq!(words.reason.chars().count(), WORDS + 1);
}

#[test]
fn a_throttled_call_says_how_long_to_wait() {
    // DC-9
    let pause = |pairs: &[(&str, &str)]| match failure(true, 429, pairs, "") {
        TargetError::Throttled { retry_after } => retry_after.map(|pause| pause.as_secs()),
        other => panic!("{other:?}"),
    };
    assert_eq!(pause(&[("Retry-After", "7")]), Some(7));
    assert_eq!(pause(&[("Retry-After", "Mon, 05 Jan 2026 12:01:30 GMT")]), Some(90));
    assert_eq!(pause(&[("Retry-After", "Mon, 05 Jan 2026 11:00:00 GMT")]), None);
    assert_eq!(pause(&[("Retry-After", "0"), ("X-RateLimit-Interval-Seconds", "60")]), Some(60));
    assert_eq!(pause(&[("Retry-After", "99999999999999")]), Some(86_400));
    assert_eq!(pause(&[("Retry-After", "soon")]), None);
    assert_eq!(pause(&[("X-AUSERNAME", "anonymous")]), None);
}

#[test]
fn the_bucket_is_read_from_any_answer() {
    // DC-9
    let pairs = headers(&[
        ("X-RateLimit-Limit", "50"),
        ("X-RateLimit-Remaining", "12"),
        ("X-RateLimit-Interval-Seconds", "60"),
        ("X-RateLimit-FillRate", "10"),
    ]);
    let limits = RateLimits { remaining: Some(12), interval: Some(Duration::from_secs(60)), fill_rate: Some(10) };
    assert_eq!(rate_limits(&pairs), Some(limits));
    assert_eq!(rate_limits(&headers(&[OURS])), None);
}

#[test]
fn json_of_another_shape_is_unreachable() {
    let reply = ask(true, 200, &[OURS], "[1]").unwrap();
    assert!(matches!(reply.parse::<String>(), Err(TargetError::Unreachable { maybe_done: true, .. })));
}
