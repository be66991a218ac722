//! An import that is cut off goes on where it was, and comes to the same.

use jira_scim::sandbox::{Fault, NewAccount};
use jira_scim::store::run::{Kind, State};
use jira_scim::writer::import::Counters;
use serde_json::json;

use super::Stage;
use crate::drive_world::soon;
use crate::world::later;

const PEOPLE: usize = 130;

/// Enough for several pages of each list.
async fn crowded() -> Stage {
    let stage = Stage::set().await;
    for group in ["crew", "staff"] {
        stage.jira.add_group(group).unwrap();
    }
    for n in 0..PEOPLE {
        let name = format!("p{n:03}");
        stage.jira.add_account(&NewAccount::named(&name)).unwrap();
        stage.jira.add_member(if n % 3 == 0 { "staff" } else { "crew" }, &name).unwrap();
    }
    stage
}

#[tokio::test]
async fn killed_at_every_call_it_goes_on_and_comes_to_the_same() {
    let whole = crowded().await;
    let expected = whole.import().await;
    let stage = crowded().await;
    stage.request(Kind::Import, json!({})).await;
    let mut kills = 0;
    for call in 1.. {
        let told = stage.jira.journal().len();
        let mut seen = 0;
        tokio::select! {
            // The holder dies in the middle of a call; its lease runs out.
            _ = stage.jira.until_call(|entry| { seen += usize::from(entry.method == "GET"); seen > told + call % 5 + 1 }) => kills += 1,
            done = stage.app.writer.run_due() => { done.unwrap(); break; }
        }
        later(stage.app.store.pool(), 61).await;
        assert!(call < 500, "it gets nowhere");
    }
    assert!(kills > 3, "{kills} kills are no test");
    let run = stage.last(Kind::Import).await;
    assert_eq!(run.state, State::Done, "{run:?}");
    let counters: Counters = serde_json::from_value(run.counters).unwrap();
    assert_eq!(counters.accounts, expected.accounts);
    assert_eq!(counters.groups, expected.groups);
    assert_eq!(counters.memberships.created, expected.memberships.created);
    assert_eq!(stage.number("SELECT count(*) FROM group_member").await, PEOPLE as i64);
    assert_eq!(stage.number("SELECT count(*) FROM jira_membership WHERE written").await, PEOPLE as i64);
    let again = stage.import().await;
    assert_eq!((again.accounts.created, again.memberships.created), (0, 0), "{again:?}");
}

#[tokio::test]
async fn a_jira_that_is_away_for_a_while_costs_nothing_but_time() {
    let stage = crowded().await;
    stage.request(Kind::Import, json!({})).await;
    stage.jira.inject(Fault::status(503).on("GET /group/member").times(1));
    stage.app.writer.run_due().await.unwrap();
    let run = stage.last(Kind::Import).await;
    assert_eq!((run.state, run.stage.as_str()), (State::Queued, "members"), "{run:?}");
    assert!(run.error.is_some(), "{run:?}");
    assert_eq!(soon(stage.app.writer.run_due()).await.unwrap(), 0, "the target is paused");
    stage.app.later(600).await;
    stage.app.writer.run_due().await.unwrap();
    let run = stage.last(Kind::Import).await;
    assert_eq!((run.state, run.error), (State::Done, None));
    assert_eq!(stage.number("SELECT count(*) FROM group_member").await, PEOPLE as i64);
}

#[tokio::test]
async fn killed_while_it_asks_for_those_who_are_gone_it_goes_on_and_removes_them_once() {
    let stage = crowded().await;
    stage.import().await;
    let names: Vec<String> = (0..12).map(|n| format!("p{n:03}")).collect();
    for name in &names {
        stage.by_hand(reqwest::Method::DELETE, name, &json!({})).await;
    }
    stage.request(Kind::Import, json!({})).await;
    let asked = || stage.jira.journal().iter().filter(|call| call.operation() == "GET /user").count();
    let mut kills = 0;
    for call in 1.. {
        let told = asked();
        let mut seen = 0;
        tokio::select! {
            _ = stage.jira.until_call(|entry| { seen += usize::from(entry.operation() == "GET /user"); seen > told + call }) => kills += 1,
            done = stage.app.writer.run_due() => { done.unwrap(); break; }
        }
        later(stage.app.store.pool(), 61).await;
        assert!(call < 100, "it gets nowhere");
    }
    assert!(kills > 3, "{kills} kills are no test");
    let run = stage.last(Kind::Import).await;
    let counters: Counters = serde_json::from_value(run.counters.clone()).unwrap();
    assert_eq!(
        (run.state, counters.accounts.removed, counters.accounts.skipped.len()),
        (State::Done, 12, 1),
        "{run:?}"
    );
    let living = "SELECT count(*) FROM scim_user WHERE deleted_at IS NULL";
    assert_eq!(stage.number(living).await, (PEOPLE - 12) as i64);
    assert_eq!(stage.app.get("/Users?count=0").await.is(200).body["totalResults"], PEOPLE - 12);
}
