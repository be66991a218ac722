//! Bad input is a SCIM error in the 4xx, quickly, and never a 500.

use axum::body::Body;
use axum::http::Method;
use jira_scim::http::HttpOptions;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use uuid::Uuid;

use super::http_app::{App, options};

#[tokio::test]
async fn a_body_that_cannot_be_read_is_invalid_syntax() {
    let app = App::new().await;
    let deep = format!("{{\"userName\":{}", "[".repeat(100_000));
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"{\"userName\":\"a\",}",
        b"userName=a",
        b"{\"userName\":\"\xff\xfe\"}",
        b"{\"userName\":\"\\ud800\"}",
        b"{\"userName\":\"a\0b\"}",
        b"{\"userName\":1e999}",
        deep.as_bytes(),
    ];
    for path in ["/Users", "/Groups"] {
        for body in bodies {
            app.ask(Method::POST, path).body(body.to_vec()).send().await.refuses(400, "invalidSyntax");
        }
    }
}

#[tokio::test]
async fn a_body_of_the_wrong_shape_is_400() {
    let app = App::new().await;
    let (user, group) = (app.user("ada").await, app.group("Staff", &[]).await);
    for body in
        [json!([]), json!("x"), json!(7), json!(null), json!({}), json!({"userName": 7}), json!({"userName": ""})]
    {
        app.post("/Users", body.clone()).await.is(400);
        app.put(&format!("/Users/{user}"), body).await.is(400);
    }
    for body in [json!([]), json!({}), json!({"displayName": {}}), json!({"displayName": "x", "members": 7})] {
        app.post("/Groups", body.clone()).await.is(400);
        app.put(&format!("/Groups/{group}"), body).await.is(400);
    }
    for body in [json!([]), json!("x"), json!({}), json!({"Operations": 7}), json!({"Operations": [{"op": "explode"}]})]
    {
        for path in [format!("/Users/{user}"), format!("/Groups/{group}")] {
            app.ask(Method::PATCH, &path).json(&body).send().await.is(400);
        }
    }
}

#[tokio::test]
async fn a_nul_is_refused_wherever_it_stands() {
    let app = App::new().await;
    let (user, group) = (app.user("ada").await, app.group("Staff", &[]).await);
    for text in [
        r#"{"userName":"a\u0000b"}"#,
        r#"{"userName":"a","unknown\u0000":1}"#,
        r#"{"userName":"a","unknown":["\u0000"]}"#,
        r#"{"displayName":"a","userName":"a","externalId":"\u0000"}"#,
    ] {
        app.ask(Method::POST, "/Users").body(text).send().await.is(400);
        app.ask(Method::PUT, &format!("/Users/{user}")).body(text).send().await.is(400);
        app.ask(Method::POST, "/Groups").body(text).send().await.is(400);
    }
    let patch = r#"{"Operations":[{"op":"add","path":"externalId","value":"\u0000"}]}"#;
    app.ask(Method::PATCH, &format!("/Groups/{group}")).body(patch).send().await.is(400);
    for path in ["/Users/%00", "/Groups/a%00b", "/Users/%ff"] {
        app.get(path).await.is(404);
        app.delete(path).await.is(404);
    }
    app.get("/Users?filter=userName+eq+%22a%00%22").await.is(400);
    app.get(&filter(r#"userName eq "a\u0000b""#)).await.is(400);
    app.get(&filter(r#"userName eq "\ud800""#)).await.refuses(400, "invalidFilter");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_and_groups_may_be_larger() {
    let app = App::with(HttpOptions { body: 1000, group_body: 5000, ..options() }, None).await;
    let long = "x".repeat(2000);
    let answer = app.post("/Users", json!({"userName": "ada", "title": long})).await.is(413);
    assert!(answer.detail().contains("1000"), "{answer:?}");
    app.post("/Groups", json!({"displayName": "Staff", "unknown": long})).await.is(201);
    app.post("/Groups", json!({"displayName": "Crew", "unknown": "x".repeat(5000)})).await.is(413);
    let chunks = futures_util::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 100])));
    app.ask(Method::POST, "/Users").body(Body::from_stream(chunks)).send().await.is(413);
}

#[tokio::test]
async fn only_json_is_taken_and_under_any_of_its_names() {
    let app = App::new().await;
    let body = |name: &str| json!({"userName": name}).to_string();
    for (n, content_type) in ["application/json", "application/scim+json;charset=utf-8"].iter().enumerate() {
        let ask = app.ask(Method::POST, "/Users").header("content-type", content_type);
        ask.body(body(&format!("u{n}"))).send().await.is(201);
    }
    app.ask(Method::POST, "/Users").body(body("none")).send().await.is(201);
    app.ask(Method::POST, "/Users").header("content-type", "text/xml").body(body("xml")).send().await.is(415);
    app.ask(Method::GET, "/Users")
        .header("content-type", "text/xml")
        .header("accept", "text/html")
        .send()
        .await
        .is(200);
}

#[tokio::test]
async fn an_unknown_id_is_404_before_its_body_is_judged() {
    let app = App::new().await;
    for id in [Uuid::now_v7().to_string(), "7".to_owned(), "x".repeat(5000)] {
        for path in [format!("/Users/{id}"), format!("/Groups/{id}")] {
            app.get(&path).await.is(404);
            app.delete(&path).await.is(404);
            for method in [Method::PUT, Method::PATCH] {
                app.ask(method.clone(), &path).body("{").send().await.is(404);
                app.ask(method.clone(), &path).json(&json!({})).send().await.is(404);
                app.ask(method, &path).json(&json!({})).header("if-match", "W/\"1\"").send().await.is(404);
            }
        }
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_served_is_invalid_filter() {
    let app = App::new().await;
    // As much as fits into a URI.
    let terms = vec!["id pr"; 4_000].join(" or ");
    let parentheses = format!("{}id pr{}", "(".repeat(10_000), ")".repeat(10_000));
    let nots = format!("{}id pr", "not ".repeat(10_000));
    for text in [
        "userName",
        "userName zz \"a\"",
        "userName eq",
        "userName eq \"a",
        "active gt true",
        "nonsense eq 1",
        "emails[",
        "and",
        &terms,
        &parentheses,
        &nots,
    ] {
        app.get(&filter(text)).await.refuses(400, "invalidFilter");
    }
}

#[tokio::test]
async fn huge_numbers_and_odd_queries_do_no_harm() {
    let app = App::new().await;
    for query in [
        "startIndex=9223372036854775807",
        "count=9223372036854775807",
        "startIndex=-9223372036854775808",
        "x=%ff&y=%00&=&&&",
        "sortBy=userName&sortOrder=descending",
        "attributes=nonsense,%20,userName..,[]",
    ] {
        app.get(&format!("/Users?{query}")).await.is(200);
    }
    for query in ["startIndex=99999999999999999999999", "count=ten", "attributes=%ff"] {
        let status = app.get(&format!("/Users?{query}")).await.status;
        assert!(matches!(status, 200 | 400), "{query}: {status}");
    }
}

fn filter(text: &str) -> String {
    format!("/Users?filter={}", utf8_percent_encode(text, NON_ALPHANUMERIC))
}
