//! What Align administrators script by hand elsewhere, as the ordinary path: whoever is in the IdP's group is created or
//! unlocked, whoever leaves it is locked, and accounts that nobody knows of are locked, too.

use std::collections::BTreeMap;
use std::time::Duration;

use jira_scim::jira::AlignOptions as Settings;
use jira_scim::sandbox::{AlignOptions, AlignRules, AlignUser, CONNECTOR_ROLE, Fault, stranger};
use jira_scim::store::tenant::{self, Mode, TenantChange};
use jira_scim::writer::unmatched::{Act, Comparison, Outcome, UnmatchedError};
use serde_json::{Value, json};

use super::stage::{BACK, CHANGE, CREATE, LOOK, Stage, person, policy};
use crate::world::origin;

/// Like [`policy`], with what to do about strays.
fn strict(action: &str) -> Value {
    let mut policy = policy();
    policy["unmatched_accounts"] = json!({"action": action});
    policy
}

/// The ids for records that have none (ALIGN-20).
fn repairing(settings: &mut Settings) {
    settings.repair = BTreeMap::from([("divisionId".to_owned(), 65), ("cityId".to_owned(), 32)]);
}

impl Stage {
    async fn compare(&self, act: Act) -> Result<Comparison, UnmatchedError> {
        let tenant = tenant::get(self.app.store.pool(), "acme").await.unwrap().unwrap();
        self.app.writer.compare(&tenant, act, origin()).await
    }

    /// The login names of those that nobody claims.
    async fn strays(&self) -> Vec<String> {
        let comparison = self.compare(Act::Report).await.unwrap();
        assert!(comparison.strays.iter().all(|stray| stray.outcome == Outcome::Reported));
        comparison.strays.into_iter().map(|stray| stray.username).collect()
    }

    fn add(&self, user: AlignUser) -> u64 {
        self.jira.change(|world| world.add(user))
    }
}

/// Somebody who is at Jira Align already, exactly as the IdP describes them.
fn there(name: &str) -> AlignUser {
    AlignUser::named(name, name, "Lund")
}

#[tokio::test]
async fn a_pushed_group_creates_unlocks_and_locks_and_nobody_else_stays_active() {
    // ALIGN-14, ALIGN-20, ALIGN-21, ALIGN-22
    let stage = Stage::like(AlignOptions::default(), strict("deactivate"), repairing).await;
    stage.add(there("ada"));
    let long_ago = Some(chrono::DateTime::UNIX_EPOCH);
    stage.add(AlignUser { is_locked: -1, user_end_date: long_ago, ..there("bo") });
    for number in 0..5 {
        stage.add(stranger(number));
    }
    // The IdP pushes the members of its group, and the group.
    let ada = stage.app.post("/Users", person("ada")).await.is(201).id();
    stage.cost(&[LOOK]);
    let bo = stage.app.post("/Users", person("bo")).await.is(201).id();
    stage.cost(&[LOOK, CHANGE, BACK]);
    let cy = stage.app.post("/Users", person("cy")).await.is(201).id();
    stage.cost(&[LOOK, CREATE]);
    let group = stage.app.group("Align Users", &[&ada, &bo, &cy]).await;
    stage.cost(&[]);
    // The hourly comparison: one page; a lock is two calls, and four where the record has to be repaired first.
    assert_eq!(stage.app.writer.compare_due(Duration::ZERO).await.unwrap(), 1);
    let lock = [CHANGE, BACK];
    let repaired = [CHANGE, BACK, CHANGE, BACK];
    stage.cost(&[&[LOOK][..], &lock, &repaired, &repaired, &repaired].concat());
    assert_eq!(stage.jira.active(), ["ada", "bo", "cy", "svc-scim"]);
    stage.app.writer.compare_due(Duration::ZERO).await.unwrap();
    stage.cost(&[LOOK]);
    // Somebody leaves the group, which takes the application away.
    let gone = json!([{"op": "remove", "path": format!("members[value eq \"{bo}\"]")}]);
    stage.app.patch(&format!("/Groups/{group}"), gone).await.is(204);
    stage.set_active(&format!("/Users/{bo}"), false).await.is(200);
    stage.cost(&lock);
    assert_eq!(stage.jira.active(), ["ada", "cy", "svc-scim"]);
    let audit = "SELECT count(*) FROM audit WHERE action = 'account.switch_off'";
    let told: i64 = sqlx::query_scalar(audit).fetch_one(stage.app.store.pool()).await.unwrap();
    assert_eq!(told, 4);
}

#[tokio::test]
async fn where_the_idp_pushes_everybody_the_group_decides_who_is_there() {
    let mut policy = strict("report");
    policy["users"] = json!({"required_groups": ["Align Users"]});
    let stage = Stage::like(AlignOptions::default(), policy, |_| ()).await;
    // In no group, and active at Jira Align.
    stage.add(there("ada"));
    stage.app.post("/Users", person("ada")).await.is(201);
    stage.cost(&[LOOK, CHANGE, BACK]);
    let bo = stage.app.post("/Users", person("bo")).await.is(201).id();
    stage.cost(&[LOOK]);
    let group = format!("/Groups/{}", stage.app.group("Align Users", &[&bo]).await);
    stage.app.writer.drain().await.unwrap();
    stage.cost(&[LOOK, CREATE]);
    assert_eq!(stage.jira.active(), ["bo", "svc-scim"]);
    stage.app.patch(&group, json!([{"op": "remove", "path": "members"}])).await.is(204);
    stage.app.writer.drain().await.unwrap();
    stage.cost(&[CHANGE, BACK]);
    let members = json!([{"op": "add", "path": "members", "value": [{"value": bo}]}]);
    stage.app.patch(&group, members).await.is(204);
    stage.app.writer.drain().await.unwrap();
    stage.cost(&[CHANGE, BACK]);
    assert_eq!(stage.jira.active(), ["bo", "svc-scim"]);
}

#[tokio::test]
async fn accounts_that_somebody_has_a_claim_to_are_kept() {
    let rules = AlignRules { duplicates: true, ..AlignRules::default() };
    let stage = Stage::like(AlignOptions { rules, ..AlignOptions::default() }, strict("deactivate"), |_| ()).await;
    stage.hire("ada").await;
    // Another record with her address.
    stage.add(AlignUser { email: "ada@example.test".to_owned(), ..there("ada.old") });
    // Somebody who was deleted, and whose account was unlocked by hand.
    let bo = stage.hire("bo").await;
    stage.app.delete(&bo).await.is(204);
    let id = stage.jira.user("bo").unwrap().id;
    stage.jira.change(|world| {
        world.change(id, |user| {
            user.is_locked = 0;
            user.user_end_date = None;
        })
    });
    assert_eq!(stage.strays().await, Vec::<String>::new());
    stage.add(there("cy"));
    assert_eq!(stage.strays().await, ["cy"]);
    // Another tenant of the same target has one of that name.
    let token = crate::http_app::tenant(&stage.app.store, "other").await;
    let ask = stage.app.raw(axum::http::Method::POST, "/scim/other/v2/Users").token(&token);
    ask.json(&person("cy")).send().await;
    assert_eq!(stage.strays().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_tokens_owner_ignored_roles_and_whom_the_policy_leaves_out_are_never_strays() {
    // ALIGN-5, ALIGN-31
    let ignore = |settings: &mut Settings| {
        settings.ignore_roles.insert(CONNECTOR_ROLE);
    };
    let mut policy = strict("deactivate");
    policy["unmatched_accounts"]["except"] = json!("^svc-");
    let stage = Stage::like(AlignOptions::default(), policy, ignore).await;
    stage.hire("ada").await;
    stage.add(AlignUser { role_id: CONNECTOR_ROLE, ..there("theirs") });
    stage.add(there("svc-build"));
    stage.add(there("zed"));
    assert_eq!(stage.strays().await, ["zed"]);
    stage.app.writer.compare_due(Duration::ZERO).await.unwrap();
    assert_eq!(stage.jira.active(), ["ada", "svc-build", "svc-scim", "theirs"]);
}

#[tokio::test]
async fn more_strays_than_the_limit_are_all_kept() {
    let stage = Stage::like(AlignOptions::default(), strict("deactivate"), |_| ()).await;
    stage.hire("ada").await;
    for name in ["x", "y", "z"] {
        stage.add(there(name));
    }
    let comparison = stage.compare(Act::SwitchOff { limit: 2, seen_for: Duration::ZERO }).await.unwrap();
    assert!(comparison.withheld.unwrap().contains("limit"));
    assert_eq!(stage.jira.active(), ["ada", "svc-scim", "x", "y", "z"]);
    let comparison = stage.compare(Act::SwitchOff { limit: 3, seen_for: Duration::ZERO }).await.unwrap();
    assert_eq!((comparison.withheld, comparison.strays.len()), (None, 3));
    assert_eq!(stage.jira.active(), ["ada", "svc-scim"]);
}

#[tokio::test]
async fn a_tenant_that_only_observes_or_reports_locks_nobody() {
    let stage = Stage::like(AlignOptions::default(), strict("report"), |_| ()).await;
    stage.hire("ada").await;
    stage.add(there("zed"));
    stage.app.writer.compare_due(Duration::ZERO).await.unwrap();
    assert!(stage.is_active("zed"));
    let observe = TenantChange { mode: Some(Mode::Observe), ..TenantChange::default() };
    let mut conn = stage.app.store.pool().acquire().await.unwrap();
    tenant::update(&mut conn, "acme", &observe, origin()).await.unwrap();
    drop(conn);
    stage.app.writer.drain().await.unwrap();
    let refused = stage.compare(Act::SwitchOff { limit: 20, seen_for: Duration::ZERO }).await;
    assert!(
        matches!(refused, Err(UnmatchedError::NotYet(_))) && stage.is_active("zed"),
        "nobody claims while observing"
    );
    assert_eq!(stage.strays().await, ["zed"], "it is told all the same");
}

#[tokio::test]
async fn nothing_is_concluded_while_somebody_waits_or_the_site_is_away() {
    let stage = Stage::like(AlignOptions::default(), strict("deactivate"), |_| ()).await;
    stage.add(there("zed"));
    // Nobody of the tenant is there yet: perhaps the IdP has not begun.
    assert!(matches!(
        stage.compare(Act::SwitchOff { limit: 20, seen_for: Duration::ZERO }).await,
        Err(UnmatchedError::NotYet(_))
    ));
    stage.hire("ada").await;
    stage.jira.stop().await.unwrap();
    stage.app.post("/Users", person("bo")).await.is(201);
    assert!(stage.compare(Act::SwitchOff { limit: 20, seen_for: Duration::ZERO }).await.is_err());
    stage.jira.restart_on_same_port().await.unwrap();
    assert!(
        stage.compare(Act::SwitchOff { limit: 20, seen_for: Duration::ZERO }).await.is_err(),
        "bo is still to come"
    );
    assert!(stage.is_active("zed"));
    stage.pass().await;
    assert_eq!(stage.strays().await, ["zed"]);
    // A list that breaks off half-way says nothing.
    let owner = stage.jira.owner();
    stage.jira.change(|world| world.revoke_token(owner));
    assert!(
        stage.compare(Act::SwitchOff { limit: 20, seen_for: Duration::ZERO }).await.is_err() && stage.is_active("zed")
    );
}

#[tokio::test]
async fn an_account_is_locked_when_two_comparisons_half_an_hour_apart_have_seen_it() {
    let stage = Stage::like(AlignOptions::default(), strict("deactivate"), |_| ()).await;
    stage.hire("ada").await;
    let zed = stage.add(there("zed"));
    let act = Act::SwitchOff { limit: 20, seen_for: Duration::from_secs(1800) };
    stage.compare(act).await.unwrap();
    assert!(stage.is_active("zed"));
    let past = "UPDATE unmatched_account SET since = since - interval '1 hour'";
    sqlx::query(past).execute(stage.app.store.pool()).await.unwrap();
    // Somebody who is no stray for a while begins anew.
    stage.jira.change(|world| world.change(zed, |user| user.is_locked = -1));
    stage.compare(act).await.unwrap();
    stage.jira.change(|world| world.change(zed, |user| user.is_locked = 0));
    stage.compare(act).await.unwrap();
    assert!(stage.is_active("zed"));
    sqlx::query(past).execute(stage.app.store.pool()).await.unwrap();
    stage.compare(act).await.unwrap();
    assert!(!stage.is_active("zed"));
}

#[tokio::test]
async fn an_account_that_finds_its_owner_while_others_are_locked_is_kept() {
    let stage = Stage::like(AlignOptions::default(), strict("deactivate"), |_| ()).await;
    stage.hire("ada").await;
    stage.add(there("x"));
    stage.add(there("y"));
    stage.jira.inject(Fault::hold().on("PATCH").times(1));
    let claim = async {
        let held = stage.jira.until_call(|entry| entry.method == "PATCH").await;
        let first = held.path.rsplit('/').next().unwrap().parse().unwrap();
        let locked = stage.jira.look(|world| world.user(first).unwrap().external_id.clone().unwrap());
        let other = if locked == "x" { "y" } else { "x" };
        stage.app.post("/Users", person(other)).await.is(201);
        stage.jira.release_held();
        (locked, other)
    };
    let act = Act::SwitchOff { limit: 20, seen_for: Duration::ZERO };
    let (comparison, (locked, other)) = tokio::join!(stage.compare(act), claim);
    comparison.unwrap();
    assert!(!stage.is_active(&locked) && stage.is_active(other));
}
