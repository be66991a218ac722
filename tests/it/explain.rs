//! Explanations: for each way that somebody can stand, what is said first, and what it rests on.

use jira_scim::explain::{self, Explanation};
use jira_scim::sandbox::{Sandbox, SandboxOptions};
use jira_scim::store::link::Pinned;
use jira_scim::store::tenant::{self, Mode, TenantChange};
use jira_scim::writer::overrides::{Pin, pin};
use serde_json::json;
use uuid::Uuid;

use crate::brake::at_most;
use crate::http_app::{App, Make};
use crate::policy_stories::Stage;
use crate::world::origin;

async fn why(stage: &Stage, name: &str) -> Explanation {
    let tenant = tenant::get(stage.app.store.pool(), "acme").await.unwrap().unwrap();
    explain::user(&stage.app.writer, &tenant, name).await.unwrap()
}

async fn why_in(stage: &Stage, name: &str, group: &str) -> Explanation {
    let tenant = tenant::get(stage.app.store.pool(), "acme").await.unwrap().unwrap();
    explain::membership(&stage.app.writer, &tenant, name, group).await.unwrap()
}

/// Whether the answer begins with one text, and the others stand somewhere in the explanation.
#[track_caller]
fn says(explanation: &Explanation, answer: &str, rest: &[&str]) {
    let first = &explanation.sentences[0];
    assert!(first.contains(answer), "{answer}\nis not in\n{first}");
    let all = explanation.sentences.join("\n");
    for text in rest {
        assert!(all.contains(text), "{text}\nis not in\n{all}");
    }
}

#[tokio::test]
async fn who_was_created_may_log_in_and_it_is_told_how() {
    let stage = Stage::set(json!({})).await;
    let id = stage.hire("ann").await;
    let told = why(&stage, "ANN").await;
    says(
        &told,
        "ann may log in to Jira as ann.",
        &[
            "It was created from here at ",
            "the login name is ann (from userName)",
            "The user is to be in no Jira group.",
            "Last change, ",
            "idp: made the user (userName ann, active true)",
            "Jira was written: create the account ann: done [POST /rest/api/2/user 201]",
        ],
    );
    assert_eq!((&told.facts["user"]["id"], &told.facts["made"]), (&json!(id), &json!(true)));
    let kinds: Vec<&str> = told.timeline.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["change", "delivery"]);
}

#[tokio::test]
async fn an_account_that_was_there_was_taken_over_or_waits_for_approval() {
    let stage = Stage::set(json!({})).await;
    stage.there("ann", &[]);
    stage.hire("ann").await;
    says(
        &why(&stage, "ann").await,
        "ann may log in to Jira as ann",
        &["It was there before, and was taken over for this user."],
    );
    let stage = Stage::set(json!({"adopt": "ask"})).await;
    stage.there("ann", &[]);
    stage.hire("ann").await;
    stage.pass().await;
    let told = why(&stage, "ann").await;
    says(
        &told,
        "ann has no account in Jira yet: it is held since",
        &["somebody approves", "jira-scim outbox approve", "policy.adopt = \"ask\""],
    );
}

#[tokio::test]
async fn a_leaver_whom_the_brake_holds_may_still_log_in_and_it_is_told_what_to_do() {
    let stage = Stage::set(at_most(0)).await;
    let ann = stage.hire("ann").await;
    stage.set_active(&ann, false).await;
    stage.pass().await;
    let told = why(&stage, "ann").await;
    says(
        &told,
        "ann may still log in to Jira as ann although the identity provider says that the user is not active: it is held by the brake",
        &[
            "jira-scim brake release",
            "The tenant's brake is tripped since ",
            "Switching the account on or off is held by the brake",
        ],
    );
}

#[tokio::test]
async fn what_jira_refuses_is_told_in_its_own_words_with_the_next_try() {
    let stage = Stage::set(json!({})).await;
    let ann = stage.hire("ann").await;
    stage.jira.make_lead("ann", "PRJ").unwrap();
    stage.set_active(&ann, false).await;
    let told = why(&stage, "ann").await;
    says(&told, "ann may still log in to Jira as ann although", &["is refused since", "PRJ", "It is tried again at "]);
}

#[tokio::test]
async fn a_target_that_is_away_is_told_with_its_reason() {
    let stage = Stage::set(json!({})).await;
    stage.hire("ann").await;
    sqlx::query(
        "UPDATE target_state SET failures = 1, paused_until = now() + interval '1 hour', pause_kind = 'unreachable',
            pause_reason = 'connection refused'",
    )
    .execute(stage.app.store.pool())
    .await
    .unwrap();
    stage.app.writer.health().await.unwrap();
    stage.hire("bo").await;
    let told = why(&stage, "bo").await;
    says(
        &told,
        "bo has no account in Jira yet: the target jira is paused (unreachable: connection refused); it is tried again at",
        &["What is to be done: create the account bo."],
    );
    assert_eq!(told.facts["target"]["paused"], true);
    says(&why(&stage, "ann").await, "ann may log in to Jira as ann.", &[]);
}

#[tokio::test]
async fn a_tenant_that_only_observes_is_told_first() {
    let stage = Stage::set(json!({})).await;
    let mut conn = stage.app.store.pool().acquire().await.unwrap();
    let change = TenantChange { mode: Some(Mode::Observe), ..TenantChange::default() };
    tenant::update(&mut conn, "acme", &change, origin()).await.unwrap();
    drop(conn);
    // The router remembers the tenant for a moment; whatever it does about Jira, the claim asks again.
    stage.hire("ann").await;
    stage.pass().await;
    says(
        &why(&stage, "ann").await,
        "ann has no account in Jira yet: tenant acme only observes",
        &["create the account ann"],
    );
}

#[tokio::test]
async fn what_is_pinned_by_hand_is_told_with_who_and_why() {
    let stage = Stage::set(json!({})).await;
    let ann: Uuid = stage.hire("ann").await.parse().unwrap();
    let tenant = tenant::get(stage.app.store.pool(), "acme").await.unwrap().unwrap();
    let until = Some(chrono::Utc::now() + chrono::TimeDelta::days(2));
    let member = Pinned::Member { key: "crew".into(), name: "Crew".into() };
    for (what, until) in [(&Pinned::Inactive, until), (&member, until)] {
        let wanted = Pin { user_id: ann, what, until, reason: "laptop stolen", past_the_brake: true };
        pin(&stage.app.store, &tenant, origin(), &wanted).await.unwrap();
    }
    stage.pass().await;
    says(
        &why(&stage, "ann").await,
        "the account ann is switched off, because that was pinned by hand by test (laptop stolen)",
        &["Pinned by test at ", "member of Crew, until "],
    );
    says(
        &why_in(&stage, "ann", "crew").await,
        "ann is to be in the Jira group Crew, because test pinned it by hand (laptop stolen), and is not yet: whoever may not log in joins nothing new",
        &[],
    );
}

#[tokio::test]
async fn a_membership_is_told_with_the_way_that_leads_to_it() {
    let stage =
        Stage::set(json!({"groups": {"default_groups": ["everybody"], "rename": [{"pattern": "^okta-", "with": ""}]}}))
            .await;
    let (ann, bo) = (stage.hire("ann").await, stage.hire("bo").await);
    let team = stage.group("okta-team", &[&ann]).await;
    stage.group("okta-all", &[&team]).await;
    stage.group("okta-other", &[&bo]).await;
    stage.pass().await;
    says(
        &why_in(&stage, "ann", "team").await,
        "ann is in the Jira group team, because the user is in the SCIM group okta-team.",
        &[
            "a direct member of the SCIM group okta-team, which stands for team by policy.groups",
            "The Jira group team exists and was made from here.",
        ],
    );
    says(
        &why_in(&stage, "ann", "okta-all").await,
        "ann is in the Jira group all, because the user is in the SCIM group okta-all through okta-team.",
        &[],
    );
    says(&why_in(&stage, "ann", "everybody").await, "because it is one of policy.groups.default_groups", &[]);
    says(
        &why_in(&stage, "ann", "other").await,
        "ann is not in the Jira group other, as far as is on record: the SCIM group okta-other stands for it, and the user is not in that.",
        &[],
    );
    says(&why_in(&stage, "ann", "nothing").await, "no SCIM group stands for it", &[]);
    stage.policy(json!({"groups": {"nesting": false, "rename": [{"pattern": "^okta-", "with": ""}]}})).await;
    stage.pass().await;
    let told = why_in(&stage, "ann", "all").await;
    says(&told, "ann is not in the Jira group all", &["only through another group, and policy.groups.nesting is off"]);
    stage.leave(&team, &ann).await;
    stage.pass().await;
    let told = why_in(&stage, "ann", "team").await;
    says(&told, "ann is not in the Jira group team", &[]);
    let past: Vec<&str> = told.timeline.iter().map(|event| event.sentence.as_str()).collect();
    assert!(past.iter().any(|text| text.contains("remove from the Jira group team: done")), "{past:?}");
}

#[tokio::test]
async fn a_group_that_nobody_touches_is_named_with_its_rule() {
    // Nobody waits for Jira, so that nothing is taken back.
    let policy = json!({"protect": {"groups": ["^board$"]}});
    let jira = Sandbox::start(SandboxOptions { applications: vec![], ..SandboxOptions::default() }).await.unwrap();
    let make = Make { policy, settle: std::time::Duration::ZERO, ..Make::default() };
    let stage = Stage { app: App::make(make, Some(&jira)).await, jira };
    stage.there("boss", &["board", "jira-administrators"]);
    let ann = stage.hire("ann").await;
    stage.app.post("/Groups", json!({"displayName": "Board", "members": [{"value": ann}]})).await;
    stage.pass().await;
    says(
        &why_in(&stage, "ann", "board").await,
        "and is not yet: it is refused since",
        &["policy.protect.groups keeps everybody off the Jira group", "Nobody touches the Jira group"],
    );
}

#[tokio::test]
async fn what_was_there_is_told_from_what_is_ours() {
    let stage = Stage::set(json!({})).await;
    stage.there("ann", &["support"]);
    let ann = stage.hire("ann").await;
    stage.pass().await;
    says(&why_in(&stage, "ann", "support").await, "ann is not in the Jira group support, as far as is on record", &[]);
    stage.policy(json!({"groups": {"remove": "all", "remove_exclude": ["^support$"]}})).await;
    stage.pass().await;
    stage.app.patch(&format!("/Users/{ann}"), json!([{"op": "replace", "path": "title", "value": "x"}])).await;
    stage.pass().await;
    says(
        &why_in(&stage, "ann", "support").await,
        "ann is in the Jira group support although no identity provider asks for it: it is one of policy.groups.remove_exclude",
        &["not ours"],
    );
    stage.policy(json!({"groups": {"remove": "all"}})).await;
    stage.pass().await;
    says(&why_in(&stage, "ann", "support").await, "ann is not in the Jira group support", &[]);
}

#[tokio::test]
async fn who_was_imported_who_has_gone_and_who_is_not_asked_for_is_told_so() {
    let stage = Stage::set(json!({"users": {"required_groups": ["staff"]}})).await;
    let (ann, bo, cy) = (stage.hire("ann").await, stage.hire("bo").await, stage.hire("cy").await);
    stage.group("staff", &[&ann, &cy]).await;
    stage.pass().await;
    says(
        &why(&stage, "bo").await,
        "bo has no account in Jira, and gets none, because the user is in none of the groups of policy.users.required_groups (staff).",
        &[],
    );
    stage.app.delete(&format!("/Users/{ann}")).await.is(204);
    stage.pass().await;
    says(
        &why(&stage, &ann).await,
        "ann may not log in to Jira: the account ann is switched off, because the identity provider deleted the user at",
        &["and is now deleted at"],
    );
    sqlx::query("UPDATE scim_user SET origin = 'imported' WHERE id = $1")
        .bind(cy.parse::<Uuid>().unwrap())
        .execute(stage.app.store.pool())
        .await
        .unwrap();
    says(
        &why(&stage, "cy").await,
        "cy may log in to Jira as cy.",
        &["was imported from Jira, and no identity provider has claimed it since"],
    );
    let _ = bo;
}

#[tokio::test]
async fn somebody_is_found_under_every_name_and_the_story_goes_across_renames() {
    let stage = Stage::set(json!({})).await;
    let ann = stage.hire("ann").await;
    let operations = json!([{"op": "replace", "path": "userName", "value": "anna"}]);
    stage.app.patch(&format!("/Users/{ann}"), operations).await.is(200);
    stage.group("crew", &[&ann]).await;
    stage.pass().await;
    let written = "SELECT count(*) = 3 FROM request";
    tokio::time::timeout(std::time::Duration::from_secs(30), stage.app.until(written)).await.unwrap();
    let told = why(&stage, "ann").await;
    says(&told, "anna may log in to Jira as anna.", &[]);
    let past = told.timeline.iter().map(|event| event.sentence.as_str()).collect::<Vec<_>>().join("\n");
    for text in [
        "made the user (userName ann",
        "userName to anna",
        "set login name to anna",
        "group.create of crew",
        "add to the Jira group crew: done",
    ] {
        assert!(past.contains(text), "{text}\nis not in\n{past}");
    }
    assert!(told.timeline.is_sorted_by(|a, b| a.at <= b.at));
    let tenant = tenant::get(stage.app.store.pool(), "acme").await.unwrap().unwrap();
    let nobody = explain::user(&stage.app.writer, &tenant, "nobody").await;
    assert!(matches!(nobody, Err(explain::ExplainError::NoUser { .. })));
}
