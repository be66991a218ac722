//! Stories through the whole program on an ordinary day. Each says what Jira Align was asked, call by call; the table at the
//! end of `docs/targets/align.md` says the same.

use std::time::Duration;

use jira_scim::jira::{AlignOptions as Settings, MatchOn};
use jira_scim::sandbox::{AlignOptions, AlignUser, CONNECTOR_ROLE};
use serde_json::json;

use super::stage::{BACK, CHANGE, CREATE, LOOK, Stage, person, policy};

#[tokio::test]
async fn a_create_is_a_look_and_a_post() {
    let stage = Stage::set().await;
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.cost(&[LOOK, CREATE]);
    let user = stage.jira.user("mara").unwrap();
    assert_eq!(
        (user.first_name.as_str(), user.last_name.as_str(), user.title.as_deref()),
        ("mara", "Lund", Some("Engineer"))
    );
    assert_eq!((user.role_id, user.cost_center_id, user.is_external, user.is_active()), (95, Some(1), 0, true));
    assert_eq!(stage.app.open().await, 0);
}

#[tokio::test]
async fn an_account_that_is_there_is_adopted_and_made_as_it_is_to_be() {
    let stage = Stage::set().await;
    stage.jira.change(|world| world.add(AlignUser::named("mara", "mara", "Lund")));
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.cost(&[LOOK]);
    stage.jira.change(|world| world.add(AlignUser { title: None, ..AlignUser::named("ivo", "Ivo", "Haas") }));
    stage.app.post("/Users", person("ivo")).await.is(201);
    stage.cost(&[LOOK, CHANGE, BACK]);
    let user = stage.jira.user("ivo").unwrap();
    assert_eq!(
        (user.first_name.as_str(), user.last_name.as_str(), user.title.as_deref()),
        ("ivo", "Lund", Some("Engineer"))
    );
}

#[tokio::test]
async fn a_connectors_record_is_made_whole_when_it_is_adopted() {
    // ALIGN-20, ALIGN-21
    let stage = Stage::set().await;
    let flawed = AlignUser {
        division_id: None,
        city_id: None,
        company: Some(String::new()),
        ..AlignUser::named("mara", "mara", "Lund")
    };
    stage.jira.change(|world| world.add(flawed));
    stage.app.post("/Users", person("mara")).await.is(201);
    // The ids are a difference like any other; the empty company is the repair.
    stage.cost(&[LOOK, CHANGE, BACK, CHANGE, BACK]);
    let user = stage.jira.user("mara").unwrap();
    assert_eq!((user.division_id, user.city_id, user.company), (Some(65), Some(32), None));
}

#[tokio::test]
async fn a_change_is_a_patch_and_a_look_and_no_change_is_nothing() {
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    let mut body = person("mara");
    body["title"] = json!("Lead");
    body["emails"][0]["value"] = json!("mara.lund@example.test");
    stage.app.put(&mara, body.clone()).await.is(200);
    stage.cost(&[CHANGE, BACK]);
    let user = stage.jira.user("mara").unwrap();
    assert_eq!((user.title.as_deref(), user.email.as_str()), (Some("Lead"), "mara.lund@example.test"));
    stage.app.put(&mara, body.clone()).await.is(200);
    // Nobody at Jira Align reads a nickname.
    body["nickName"] = json!("Mara");
    stage.app.put(&mara, body).await.is(200);
    stage.cost(&[]);
}

#[tokio::test]
async fn a_rename_changes_the_external_id() {
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    stage.app.patch(&mara, json!([{"op": "replace", "path": "userName", "value": "mara.moss"}])).await.is(200);
    stage.cost(&[CHANGE, BACK]);
    assert!(stage.jira.user("mara").is_none() && stage.is_active("mara.moss"));
    // A name that somebody has already is refused, and undone.
    stage.hire("ivo").await;
    let taken = stage.app.patch(&mara, json!([{"op": "replace", "path": "userName", "value": "IVO"}])).await;
    assert!(matches!(taken.status, 400 | 409), "{}", taken.body);
    assert_eq!(stage.app.get(&mara).await.body["userName"], "mara.moss");
}

#[tokio::test]
async fn with_email_as_the_key_a_new_address_is_a_rename() {
    let email = |settings: &mut Settings| settings.match_on = MatchOn::Email;
    let stage = Stage::like(AlignOptions::default(), policy(), email).await;
    let mara = stage.hire("mara").await;
    assert_eq!(
        stage.jira.user_by_email("mara@example.test").unwrap().external_id.as_deref(),
        Some("mara@example.test")
    );
    let moved =
        json!([{"op": "replace", "path": "emails", "value": [{"value": "mara.moss@example.test", "primary": true}]}]);
    stage.app.patch(&mara, moved).await.is(200);
    stage.cost(&[BACK, CHANGE, BACK]);
    let user = stage.jira.user_by_email("mara.moss@example.test").unwrap();
    assert_eq!(user.external_id.as_deref(), Some("mara.moss@example.test"));
}

#[tokio::test]
async fn a_leaver_is_locked_and_a_returner_unlocked_however_long_ago_it_was() {
    // ALIGN-16, ALIGN-18, ALIGN-22
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    stage.set_active(&mara, false).await.is(200);
    stage.cost(&[CHANGE, BACK]);
    assert!(!stage.is_active("mara"));
    stage.jira.advance(Duration::from_secs(400 * 86_400));
    stage.set_active(&mara, true).await.is(200);
    stage.cost(&[CHANGE, BACK]);
    assert!(stage.is_active("mara") && stage.jira.user("mara").unwrap().user_end_date.is_none());
}

#[tokio::test]
async fn a_deleted_user_is_locked_because_there_is_no_deletion() {
    // ALIGN-26
    for on_delete in ["deactivate", "delete"] {
        let mut policy = policy();
        policy["deprovision"] = json!({"on_delete": on_delete});
        let stage = Stage::like(AlignOptions::default(), policy, |_| ()).await;
        let mara = stage.hire("mara").await;
        stage.app.delete(&mara).await.is(204);
        stage.cost(&[CHANGE, BACK]);
        assert!(!stage.is_active("mara"), "{on_delete}");
        // A re-hire gets the same account back.
        stage.app.post("/Users", person("mara")).await.is(201);
        assert!(stage.is_active("mara"), "{on_delete}");
        assert_eq!(stage.jira.look(|world| world.user_count()), 2);
    }
}

#[tokio::test]
async fn groups_are_taken_and_cost_nothing() {
    // ALIGN-27
    let stage = Stage::set().await;
    let mara = stage.app.post("/Users", person("mara")).await.is(201).id();
    stage.told();
    let crew = stage.app.group("Platform Crew", &[&mara]).await;
    let path = format!("/Groups/{crew}");
    stage.app.patch(&path, json!([{"op": "remove", "path": "members"}])).await.is(204);
    stage.app.delete(&path).await.is(204);
    stage.app.writer.drain().await.unwrap();
    stage.cost(&[]);
    assert_eq!(stage.app.open().await, 0);
}

#[tokio::test]
async fn a_refused_create_is_answered_in_jira_aligns_words_and_leaves_nobody() {
    // ALIGN-11, ALIGN-28; licences that are used up are told like this as well.
    let mut policy = policy();
    policy["account"]["fields"]["cityId"] = json!("4711");
    let stage = Stage::like(AlignOptions::default(), policy, |_| ()).await;
    let refused = stage.app.post("/Users", person("mara")).await.is(400);
    assert!(refused.body["detail"].as_str().unwrap().contains("cityId 4711 does not exist"), "{}", refused.body);
    stage.cost(&[LOOK, CREATE, LOOK]);
    assert!(stage.jira.user("mara").is_none());
    assert_eq!(stage.app.get("/Users").await.body["totalResults"], 0);
}

#[tokio::test]
async fn a_policy_without_an_id_is_told_where_there_is_nobody_to_adopt() {
    // ALIGN-13
    let mut policy = policy();
    policy["account"]["fields"].as_object_mut().unwrap().remove("cityId");
    let stage = Stage::like(AlignOptions::default(), policy, |_| ()).await;
    let refused = stage.app.post("/Users", person("mara")).await.is(400);
    assert!(refused.body["detail"].as_str().unwrap().contains("policy.account.fields.cityId"), "{}", refused.body);
    stage.cost(&[LOOK]);
}

#[tokio::test]
async fn accounts_of_an_ignored_role_are_neither_adopted_nor_changed() {
    // ALIGN-31
    let ignore = |settings: &mut Settings| {
        settings.ignore_roles.insert(CONNECTOR_ROLE);
    };
    let stage = Stage::like(AlignOptions::default(), policy(), ignore).await;
    let theirs = AlignUser { role_id: CONNECTOR_ROLE, ..AlignUser::named("mara", "Mara", "Lund") };
    stage.jira.change(|world| world.add(theirs));
    let refused = stage.app.post("/Users", person("mara")).await;
    assert!(
        refused.status >= 400 && refused.body["detail"].as_str().unwrap().contains("ignore_roles"),
        "{}",
        refused.body
    );
    stage.cost(&[LOOK]);
}

#[tokio::test]
async fn a_repaired_record_is_told_in_the_delivery() {
    // ALIGN-19
    let stage = Stage::set().await;
    let mara = stage.hire("mara").await;
    let id = stage.jira.user("mara").unwrap().id;
    stage.jira.change(|world| world.change(id, |user| user.company = Some(String::new())));
    stage.set_active(&mara, false).await.is(200);
    stage.cost(&[CHANGE, BACK, CHANGE, BACK]);
    assert!(!stage.is_active("mara"));
}
