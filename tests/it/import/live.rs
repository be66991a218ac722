//! An import beside live traffic: whoever is first, everybody exists once.

use futures_util::future::join_all;
use jira_scim::sandbox::NewAccount;
use serde_json::json;

use super::Stage;

const PEOPLE: usize = 60;

#[tokio::test]
async fn pushes_at_the_same_time_make_nobody_twice() {
    let stage = Stage::ruled(json!({"import": {"post": "claim"}})).await;
    stage.jira.add_group("crew").unwrap();
    for n in 0..PEOPLE {
        let name = format!("p{n:03}");
        stage.jira.add_account(&NewAccount::named(&name)).unwrap();
        stage.jira.add_member("crew", &name).unwrap();
    }
    let push = |n: usize| {
        let app = &stage.app;
        let name = format!("p{n:03}");
        let body = json!({"userName": name, "displayName": format!("Person {n}"), "title": "Cook",
                          "emails": [{"value": format!("{name}@example.test")}]});
        async move {
            // As Okta does: look, then write to what is there, else create; once more where somebody was quicker.
            for _ in 0..3 {
                let found = app.get(&format!("/Users?filter=userName%20eq%20%22{name}%22")).await.is(200);
                let answer = match found.body["Resources"][0]["id"].as_str() {
                    Some(id) => app.put(&format!("/Users/{id}"), body.clone()).await,
                    None => app.post("/Users", body.clone()).await,
                };
                if answer.status < 300 {
                    return;
                }
                assert_eq!(answer.status, 409, "{answer:?}");
            }
            panic!("{name} cannot be written");
        }
    };
    let (_, counters) = tokio::join!(join_all((0..PEOPLE).map(push)), stage.import());
    stage.app.later(60).await;
    assert_eq!(stage.app.open().await, 0);
    assert_eq!(counters.accounts.seen, PEOPLE as u64 + 1, "{counters:?}");
    stage.import().await;
    let people = PEOPLE as i64;
    assert_eq!(stage.number("SELECT count(*) FROM scim_user WHERE deleted_at IS NULL").await, people);
    assert_eq!(stage.number("SELECT count(*) FROM scim_user WHERE origin IS NOT NULL").await, 0);
    let linked = "SELECT count(DISTINCT record #>> '{known,linked,seen,id}') FROM link";
    assert_eq!(stage.number(linked).await, people);
    let held = "SELECT count(*) FROM claim c JOIN link l ON l.user_id = c.user_id
        AND l.record #>> '{known,linked,seen,id}' = c.key WHERE c.what = 'account'";
    assert_eq!(stage.number(held).await, people);
    assert_eq!(stage.jira.accounts().len(), PEOPLE + 1, "nobody was made");
    for account in stage.jira.accounts().iter().filter(|account| account.username.starts_with('p')) {
        assert!(account.display_name.starts_with("Person"), "{account:?}");
    }
}
