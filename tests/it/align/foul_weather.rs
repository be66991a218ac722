//! Stories through the whole program while Jira Align refuses our token, throttles, hangs, lies, loses answers or is away.

use std::time::Duration;

use jira_scim::sandbox::{AlignOptions, AlignRules, Fault, VIEWER_ROLE};
use serde_json::json;

use super::stage::{BACK, CHANGE, CREATE, LOOK, Stage, person, policy};

#[tokio::test]
async fn a_revoked_token_pauses_the_target_and_costs_one_call() {
    // ALIGN-3
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    let (owner, token) = (stage.jira.owner(), stage.jira.token().to_owned());
    stage.jira.change(|world| world.revoke_token(owner));
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.set_active(&mara, false).await.is(200);
    stage.cost(&[LOOK]);
    let secret = token.split_once('|').unwrap().1.to_owned();
    stage.jira.change(|world| world.issue_token(owner, &secret));
    for _ in 0..3 {
        stage.app.later(3600).await;
    }
    assert!(stage.is_active("ivo") && !stage.is_active("mara"));
    assert_eq!(stage.app.open().await, 0);
}

#[tokio::test]
async fn a_role_that_may_not_manage_users_is_our_problem_and_not_the_providers() {
    // ALIGN-4
    let stage = Stage::set().await;
    let owner = stage.jira.owner();
    stage.jira.change(|world| world.change(owner, |user| user.role_id = VIEWER_ROLE));
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.cost(&[LOOK, CREATE]);
}

#[tokio::test]
async fn ten_requests_a_minute_are_kept_to_and_everything_arrives() {
    // ALIGN-6
    let limit = Some("10/10/60".parse().unwrap());
    let options = AlignOptions { rate_limit: limit, ..AlignOptions::default() };
    let stage = Stage::like(options, policy(), |_| ()).await;
    for name in ["ada", "bela", "carl", "dirk", "elif", "fay", "gus"] {
        stage.app.post("/Users", person(name)).await.is(201);
    }
    // The daemon's look at itself, nine more calls, and one that is told to wait.
    assert_eq!((stage.told().len(), stage.jira.journal().len()), (10, 11));
    stage.jira.advance(Duration::from_secs(60));
    stage.app.later(61).await;
    stage.cost(&[LOOK, CREATE, LOOK, CREATE, LOOK, CREATE]);
    assert_eq!(stage.app.open().await, 0);
    let throttled = stage.jira.journal().iter().filter(|entry| entry.status == Some(429)).count();
    assert_eq!((throttled, stage.jira.active().len()), (1, 8));
}

#[tokio::test]
async fn a_site_that_hangs_is_waited_for_once_and_looked_at_later() {
    let stage = Stage::set().await;
    stage.jira.inject(Fault::hang().on("POST /Users").times(1));
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.cost(&[LOOK, CREATE]);
    stage.pass().await;
    assert!(stage.is_active("mara") && stage.is_active("ivo"));
    assert_eq!(stage.jira.look(|world| world.user_count()), 3);
}

#[tokio::test]
async fn answers_that_got_lost_are_looked_for_and_nobody_is_made_twice() {
    // ALIGN-15: this site would let a second one pass.
    let options =
        AlignOptions { rules: AlignRules { duplicates: true, ..AlignRules::default() }, ..AlignOptions::default() };
    let stage = Stage::like(options, policy(), |_| ()).await;
    stage.jira.inject(Fault::drop_answer().on("POST /Users").times(1));
    let mara = format!("/Users/{}", stage.app.post("/Users", person("mara")).await.is(201).id());
    stage.cost(&[LOOK, CREATE]);
    stage.pass().await;
    assert_eq!(stage.jira.look(|world| world.user_count()), 2);
    stage.told();
    stage.jira.inject(Fault::drop_answer().on("PATCH").times(1));
    stage.set_active(&mara, false).await.is(200);
    stage.cost(&[CHANGE]);
    stage.pass().await;
    assert!(!stage.is_active("mara"));
}

#[tokio::test]
async fn a_site_that_lies_is_not_believed() {
    // ALIGN-17, ALIGN-24
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    stage.jira.inject(Fault::status(200).on("PATCH").times(1));
    let refused = stage.app.patch(&mara, json!([{"op": "replace", "path": "title", "value": "Lead"}])).await.is(400);
    assert!(refused.body["detail"].as_str().unwrap().contains("title is still"), "{}", refused.body);
    stage.cost(&[CHANGE, BACK]);
    assert_eq!(stage.app.get(&mara).await.body["title"], "Engineer");
    // What takes away stays wanted, and is done in the end.
    stage.jira.inject(Fault::status(200).on("PATCH").times(1));
    assert!(stage.set_active(&mara, false).await.status >= 400);
    assert!(stage.is_active("mara"));
    stage.app.later(90_000).await;
    assert!(!stage.is_active("mara"));
    // Garbage and pages are nothing to go by.
    stage.told();
    stage.jira.inject(Fault::garbage().on("POST /Users").times(1));
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.pass().await;
    stage.jira.inject(Fault::html(200).on("POST /Users").times(1));
    stage.app.post("/Users", person("eva")).await.is(201);
    stage.pass().await;
    assert!(stage.is_active("ivo") && stage.is_active("eva"));
    assert_eq!(stage.jira.look(|world| world.user_count()), 4);
}

#[tokio::test]
async fn a_site_that_is_down_delays_nobody_and_hears_of_everything_when_it_is_up() {
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    stage.jira.stop().await.unwrap();
    stage.set_active(&mara, false).await.is(200);
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.jira.restart_on_same_port().await.unwrap();
    stage.pass().await;
    assert!(!stage.is_active("mara") && stage.is_active("ivo"));
    stage.cost(&[CHANGE, BACK, LOOK, CREATE]);
}
