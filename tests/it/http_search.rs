//! Sorted and walked lists, `/.search`, and the root of a tenant, as clients see them.

use axum::http::Method;
use serde_json::{Value, json};

use crate::http_app::{Answer, App, BASE};

/// What the resources of a list are called.
fn names(answer: &Answer) -> Vec<String> {
    let name = |resource: &Value| {
        let name = resource.get("userName").or_else(|| resource.get("displayName")).unwrap();
        name.as_str().unwrap().to_owned()
    };
    answer.body["Resources"].as_array().unwrap().iter().map(name).collect()
}

async fn app() -> App {
    let app = App::new().await;
    for (name, title) in [("ada", "Countess"), ("Bob", ""), ("cid", "Clerk"), ("Dan", "clerk")] {
        app.post("/Users", json!({"userName": name, "title": title})).await.is(201);
    }
    app
}

#[tokio::test]
async fn a_list_comes_in_the_order_that_is_asked_for() {
    let app = app().await;
    for (query, expected) in [
        ("sortBy=userName", ["ada", "Bob", "cid", "Dan"]),
        ("sortby=USERNAME&sortOrder=Descending", ["Dan", "cid", "Bob", "ada"]),
        ("sortBy=title", ["cid", "Dan", "ada", "Bob"]),
        ("sortBy=title&sortOrder=descending", ["Bob", "ada", "Dan", "cid"]),
        ("sortBy=urn:ietf:params:scim:schemas:core:2.0:User:title", ["cid", "Dan", "ada", "Bob"]),
        ("sortBy=meta.created&sortOrder=descending", ["Dan", "cid", "Bob", "ada"]),
        ("sortOrder=descending", ["ada", "Bob", "cid", "Dan"]),
    ] {
        assert_eq!(names(&app.get(&format!("/Users?{query}")).await.is(200)), expected, "{query}");
    }
    let page = app.get("/Users?sortBy=userName&startIndex=2&count=2&filter=title+pr").await.is(200);
    assert_eq!(names(&page), ["cid", "Dan"]);
    assert_eq!((page.body["totalResults"].clone(), page.body["startIndex"].clone()), (json!(3), json!(2)));
    app.get("/Users?sortBy=shoeSize").await.refuses(400, "invalidValue");
    app.get("/Users?sortBy=title&sortOrder=up").await.refuses(400, "invalidValue");
}

#[tokio::test]
async fn a_walk_by_cursors_visits_everybody_and_then_ends() {
    let app = app().await;
    for (query, expected) in [
        ("", ["ada", "Bob", "cid", "Dan"]),
        ("sortBy=title", ["cid", "Dan", "ada", "Bob"]),
        ("sortBy=title&sortOrder=descending", ["Bob", "ada", "Dan", "cid"]),
        ("filter=userName+pr&sortBy=meta.lastModified", ["ada", "Bob", "cid", "Dan"]),
    ] {
        let (mut cursor, mut seen) = (String::new(), Vec::new());
        for pages in 1.. {
            let page = app.get(&format!("/Users?{query}&count=3&cursor={cursor}")).await.is(200);
            assert_eq!(page.body["totalResults"], 4, "{query}");
            assert!(page.body.get("startIndex").is_none(), "{query}");
            seen.extend(names(&page));
            match page.body["nextCursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => {
                    assert_eq!(pages, 2, "{query}");
                    break;
                }
            }
        }
        assert_eq!(seen, expected, "{query}");
    }
    let only = app.get("/Users?cursor").await.is(200);
    assert_eq!((names(&only).len(), only.body.get("nextCursor")), (4, None));
    let totals = app.get("/Users?cursor=&count=0").await.is(200);
    assert_eq!((totals.body["totalResults"].clone(), totals.body.get("nextCursor")), (json!(4), None));
    assert!(app.get("/Users?count=1").await.is(200).body.get("nextCursor").is_none(), "nobody asked for cursors");
}

#[tokio::test]
async fn the_total_of_a_walk_is_that_of_its_first_page() {
    let app = app().await;
    let first = app.get("/Users?cursor=&count=2").await.is(200);
    app.user("eve").await;
    let next = first.body["nextCursor"].as_str().unwrap();
    let second = app.get(&format!("/Users?cursor={next}&count=2")).await.is(200);
    assert_eq!((first.body["totalResults"].clone(), second.body["totalResults"].clone()), (json!(4), json!(4)));
    assert_eq!(names(&second), ["cid", "Dan"]);
    assert!(second.body["nextCursor"].is_string(), "there is one more by now");
}

#[tokio::test]
async fn a_cursor_belongs_to_its_query() {
    let app = app().await;
    let page = app.get("/Users?cursor=&count=1&sortBy=title").await.is(200);
    let cursor = page.body["nextCursor"].as_str().unwrap();
    for query in [
        format!("/Users?cursor={cursor}"),
        format!("/Users?cursor={cursor}&sortBy=userName"),
        format!("/Users?cursor={cursor}&sortBy=title&sortOrder=descending"),
        format!("/Users?cursor={cursor}&sortBy=title&filter=title+pr"),
        format!("/Groups?cursor={cursor}"),
        format!("?cursor={cursor}&sortBy=title"),
        "/Users?cursor=nonsense".to_owned(),
        format!("/Users?sortBy=title&cursor=x{cursor}"),
    ] {
        app.get(&query).await.refuses(400, "invalidCursor");
    }
    app.get(&format!("/Users?cursor={cursor}&sortBy=title&count=2&attributes=userName&startIndex=1")).await.is(200);
    app.get("/Users?cursor=&startIndex=2").await.refuses(400, "invalidValue");
}

#[tokio::test]
async fn a_search_says_in_its_body_what_a_list_says_in_its_url() {
    let app = app().await;
    let crew = app.group("Crew", &[]).await;
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "Filter": "title eq \"clerk\"", "sortBy": "userName", "sortOrder": "descending",
        "attributes": ["userName"], "startIndex": 1, "count": 10
    });
    let found = app.post("/Users/.search", body).await.is(200);
    assert_eq!(names(&found), ["Dan", "cid"]);
    assert_eq!(found.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"]));
    assert!(found.body["Resources"][0].get("meta").is_none(), "not asked for");
    let first = app.post("/Users/.search", json!({"cursor": "", "count": 3})).await.is(200);
    let next = json!({"cursor": first.body["nextCursor"], "count": 3});
    assert_eq!(names(&app.post("/Users/.search", next).await.is(200)), ["Dan"]);
    let groups = app.post("/Groups/.search", json!({"filter": format!("id eq \"{crew}\"")})).await.is(200);
    assert_eq!(names(&groups), ["Crew"]);
    assert_eq!(names(&app.post("/Users/.search?filter=nonsense", json!({})).await.is(200)).len(), 4);
    app.post("/Users/.search", json!({"filter": "shoeSize eq 44"})).await.refuses(400, "invalidFilter");
    app.post("/Users/.search", json!({"count": "many"})).await.refuses(400, "invalidValue");
    app.post("/Users/.search", json!([])).await.refuses(400, "invalidSyntax");
    let before = audits(&app).await;
    app.post("/.search", json!({})).await.is(200);
    assert_eq!(audits(&app).await, before, "a search is a read");
}

async fn audits(app: &App) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM audit").fetch_one(app.store.pool()).await.unwrap()
}

#[tokio::test]
async fn the_root_knows_users_and_groups() {
    let app = app().await;
    let bob = app.get("/Users?filter=userName+eq+%22bob%22").await.is(200).body["Resources"][0]["id"].clone();
    app.group("Crew", &[bob.as_str().unwrap()]).await;
    app.group("Apes", &[]).await;
    let all = app.get("").await.is(200);
    assert_eq!(names(&all), ["ada", "Bob", "cid", "Dan", "Crew", "Apes"]);
    assert_eq!(all.body["totalResults"], 6);
    assert_eq!(all.body["Resources"][1]["groups"][0]["display"], "Crew");
    assert_eq!(all.body["Resources"][4]["members"][0]["value"], bob);
    for (filter, expected) in [
        ("userName eq \"ada\" or displayName eq \"crew\"", vec!["ada", "Crew"]),
        ("meta.resourceType eq \"Group\"", vec!["Crew", "Apes"]),
        ("title pr", vec!["ada", "cid", "Dan"]),
        ("not (title pr)", vec!["Bob", "Crew", "Apes"]),
        ("members pr", vec!["Crew"]),
        ("schemas eq \"urn:ietf:params:scim:schemas:core:2.0:Group\"", vec!["Crew", "Apes"]),
    ] {
        let found = app.post("/.search", json!({"filter": filter, "count": 100})).await.is(200);
        assert_eq!(
            (names(&found), &found.body["totalResults"]),
            (named(&expected), &json!(expected.len())),
            "{filter}"
        );
    }
    app.post("/.search", json!({"filter": "shoeSize eq 44"})).await.refuses(400, "invalidFilter");
    let sorted = app.get("?sortBy=displayName&sortOrder=descending&startIndex=5").await.is(200);
    assert_eq!(names(&sorted), ["Crew", "Apes"], "users have none, and come first");
    app.get("?sortBy=shoeSize").await.refuses(400, "invalidValue");
}

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn the_root_is_paged_by_index_and_by_cursor() {
    let app = app().await;
    app.group("Crew", &[]).await;
    app.group("Apes", &[]).await;
    let unsorted = ["ada", "Bob", "cid", "Dan", "Crew", "Apes"];
    let newest_first = ["Apes", "Crew", "Dan", "cid", "Bob", "ada"];
    for (query, expected) in [("", unsorted), ("&sortBy=meta.created&sortOrder=descending", newest_first)] {
        let (mut cursor, mut walked, mut indexed) = (String::new(), Vec::new(), Vec::new());
        for page in 0..3 {
            let at = app.get(&format!("?count=2&startIndex={}{query}", page * 2 + 1)).await.is(200);
            assert_eq!(at.body["totalResults"], 6, "{query}");
            indexed.extend(names(&at));
            let behind = app.get(&format!("?count=2&cursor={cursor}{query}")).await.is(200);
            assert_eq!(behind.body["nextCursor"].is_string(), page < 2, "{query}");
            behind.body["nextCursor"].as_str().unwrap_or_default().clone_into(&mut cursor);
            walked.extend(names(&behind));
        }
        assert_eq!(indexed, expected, "{query}");
        assert_eq!(walked, expected, "{query}");
    }
}

#[tokio::test]
async fn what_an_answer_shows_can_be_filtered_by() {
    let app = app().await;
    let crew = app.group("Crew", &[]).await;
    let ada = app.get("/Users?filter=userName+eq+%22ada%22").await.is(200).body["Resources"][0].clone();
    let text = |value: &Value| value.as_str().unwrap().replace('"', "\\\"");
    app.patch(&format!("/Groups/{crew}"), json!([{"op": "add", "path": "members", "value": [{"value": ada["id"]}]}]))
        .await
        .is(204);
    let crew = app.get(&format!("/Groups/{crew}")).await.is(200).body;
    for (path, resource, filter) in [
        ("/Users", &ada, format!("meta.location eq \"{}\"", text(&ada["meta"]["location"]))),
        ("/Users", &ada, format!("meta.version eq \"{}\" and userName sw \"a\"", text(&ada["meta"]["version"]))),
        ("/Users", &ada, format!("meta.lastModified eq \"{}\"", text(&ada["meta"]["lastModified"]))),
        ("/Users", &ada, format!("groups.$ref eq \"{BASE}/Groups/{}\"", crew["id"].as_str().unwrap())),
        ("/Groups", &crew, format!("meta.version eq \"{}\"", text(&crew["meta"]["version"]))),
        ("/Groups", &crew, format!("members.$ref eq \"{}\"", text(&crew["members"][0]["$ref"]))),
        ("/Groups", &crew, format!("members[type eq \"User\" and value eq \"{}\"]", text(&ada["id"]))),
    ] {
        let found = app.post(&format!("{path}/.search"), json!({ "filter": filter })).await.is(200);
        assert_eq!(found.body["totalResults"], 1, "{filter}");
        assert_eq!(found.body["Resources"][0]["id"], resource["id"], "{filter}");
    }
}

#[tokio::test]
async fn the_configuration_tells_of_sorting_and_both_ways_of_paging() {
    let app = App::new().await;
    let config = app.ask(Method::GET, "/ServiceProviderConfig").send().await.is(200).body;
    assert_eq!(config["sort"], json!({ "supported": true }));
    assert_eq!(
        config["pagination"],
        json!({ "cursor": true, "index": true, "defaultPaginationMethod": "index",
                "defaultPageSize": 100, "maxPageSize": 200 })
    );
}
