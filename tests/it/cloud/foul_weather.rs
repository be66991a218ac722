//! Stories in foul weather: invitations that take their time, seats that are gone, credentials that end, and an Atlassian
//! that throttles, hangs, lies and loses its answers.

use std::time::Duration;

use jira_scim::sandbox::{CloudSandboxOptions, Fault, LateTrigger, Limits, NewPerson, Settles};
use serde_json::json;

use super::stories::{INVITE, LOOK, PROFILE, Stage, mail, person};

#[tokio::test]
async fn a_group_waits_for_an_invitation_to_settle_and_nobody_else_does() {
    // CLOUD-20
    let settles = Settles::After(Duration::from_secs(45));
    let options = CloudSandboxOptions { settles, ..CloudSandboxOptions::default() };
    let stage = Stage::like(options, json!({}), |_| ()).await;
    stage.jira.change(|world| world.add_person(&NewPerson::named(&mail("ivo"), "ivo Lund")));
    let mara = stage.app.post("/Users", person("mara")).await.is(201).id();
    stage.cost(&[LOOK, INVITE, PROFILE]);
    let ivo = stage.app.post("/Users", person("ivo")).await.is(201).id();
    stage.app.group("Crew", &[&mara, &ivo]).await;
    assert_eq!(stage.members("Crew"), [mail("ivo")]);
    assert_eq!(stage.app.open().await, 1);
    stage.jira.advance(Duration::from_secs(60));
    stage.pass().await;
    assert_eq!(stage.members("Crew"), [mail("ivo"), mail("mara")]);
    assert_eq!(stage.name(&mail("mara")), "mara Lund");
}

#[tokio::test]
async fn without_a_seat_the_person_is_there_and_the_product_is_refused_or_waits() {
    // CLOUD-26, CLOUD-27
    for seats in ["refuse", "hold"] {
        let options = CloudSandboxOptions { seats: Some(0), ..CloudSandboxOptions::default() };
        let policy = json!({"products": [{"resource": "jira-software"}], "seats": seats});
        let stage = Stage::like(options, policy, |_| ()).await;
        stage.app.post("/Users", person("mara")).await;
        stage.cost(&[LOOK, INVITE, PROFILE, "POST org1/users/{userId}/roles/assign"]);
        assert_eq!(stage.state("mara"), "active", "{seats}");
        stage.jira.change(|world| world.limit_seats(None));
        if seats == "hold" {
            stage.app.later(3700).await;
            assert_eq!(stage.members("jira-software-users-northwind-labs"), [mail("mara")]);
        }
    }
}

#[tokio::test]
async fn an_ended_key_pauses_the_target_and_costs_nobody_an_attempt() {
    // CLOUD-66
    let stage = Stage::set().await;
    stage.hire("ivo").await;
    stage.jira.revoke_key(&stage.jira.organization_key());
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.cost(&[LOOK]);
    stage.app.post("/Users", person("nils")).await.is(201);
    stage.cost(&[]);
    assert_eq!(stage.app.open().await, 2);
}

#[tokio::test]
async fn ten_requests_a_minute_are_kept_to_and_everybody_arrives() {
    // CLOUD-62: no header but the reset, and no call that would be refused before it.
    let limits = Limits { edge: Some("10/10/60".parse().unwrap()), ..Limits::default() };
    let options = CloudSandboxOptions { limits, ..CloudSandboxOptions::default() };
    let stage = Stage::like(options, json!({}), |options| options.organization = None).await;
    for n in 0..6 {
        stage.app.post("/Users", person(&format!("user{n}"))).await.is(201);
    }
    for _ in 0..8 {
        stage.jira.advance(Duration::from_secs(61));
        stage.app.later(61).await;
    }
    assert_eq!(stage.app.open().await, 0);
    assert!((0..6).all(|n| stage.state(&format!("user{n}")) == "active"));
    let refused = stage.jira.journal().iter().filter(|entry| entry.status == Some(429)).count();
    assert!(refused <= 4, "{refused} refusals");
}

#[tokio::test]
async fn a_hanging_atlassian_is_asked_again_later() {
    let stage = Stage::set().await;
    stage.hire("ivo").await;
    stage.jira.inject(Fault::hang().on("POST /v2/orgs/{orgId}/users/invite").times(1));
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.cost(&[LOOK, INVITE]);
    stage.pass().await;
    assert_eq!((stage.state("mara"), stage.name(&mail("mara")).as_str()), ("active", "mara Lund"));
}

#[tokio::test]
async fn an_invitation_whose_answer_is_lost_is_found_and_ours() {
    // CLOUD-19
    let stage = Stage::set().await;
    stage.hire("ivo").await;
    stage.jira.inject(Fault::drop_answer().on("POST /v2/orgs/{orgId}/users/invite").times(1));
    stage.app.post("/Users", person("mara")).await.is(201);
    stage.pass().await;
    assert_eq!((stage.state("mara"), stage.name(&mail("mara")).as_str()), ("active", "mara Lund"));
    let invitations = stage.told().into_iter().filter(|call| call == INVITE).count();
    assert_eq!(invitations, 1);
}

#[tokio::test]
async fn a_suspension_whose_answer_is_lost_or_comes_late_leaves_nobody_in() {
    for fault in [Fault::drop_answer(), Fault::drop_before(), Fault::late_closing(LateTrigger::Release)] {
        let stage = Stage::set().await;
        let mara = stage.hire("mara").await;
        stage
            .jira
            .inject(fault.on("POST /v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}/suspend").times(1));
        stage.set_active(&mara, false).await.is(200);
        stage.pass().await;
        assert_eq!(stage.state("mara"), "suspended");
    }
}

#[tokio::test]
async fn pages_and_garbage_are_no_answers() {
    let stage = Stage::set().await;
    stage.hire("ivo").await;
    for (n, fault) in
        [Fault::html(200), Fault::garbage(), Fault::status(503), Fault::redirect()].into_iter().enumerate()
    {
        let name = format!("user{n}");
        stage.jira.inject(fault.on("POST /v2/orgs/{orgId}/users/invite").times(1));
        stage.app.post("/Users", person(&name)).await.is(201);
        stage.pass().await;
        assert_eq!((stage.state(&name), stage.name(&mail(&name))), ("active", format!("{name} Lund")));
    }
}
