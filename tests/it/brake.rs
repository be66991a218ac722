//! The brake: a mass of leavers stops at the limit, whoever asks and however often, and everything else flows.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use jira_scim::directory::Precondition;
use jira_scim::sandbox::{Fault, Sandbox};
use jira_scim::store::outbox::Subject;
use jira_scim::store::tenant::{self, Mode, TenantChange};
use jira_scim::writer::unmatched::{Act, Outcome};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http_app::{App, Make as MakeApp};
use crate::world::{Make, World, origin};

/// At most so many accounts, however many people there are.
pub fn at_most(accounts: u32) -> Value {
    json!({ "brake": { "accounts": { "max": accounts, "percent": 100, "min": accounts } } })
}

impl World {
    /// People with accounts, called `NAME0`, `NAME1` and so on.
    pub async fn people(&self, name: &str, count: usize) -> Vec<Uuid> {
        let mut users = Vec::new();
        for number in 0..count {
            users.push(self.user(&format!("{name}{number}")).await);
        }
        self.writer.drain().await.unwrap();
        users
    }

    /// Switches people off, as the identity provider would, and drives what is due.
    pub async fn leave(&self, users: &[Uuid]) {
        for user in users {
            self.set(*user, json!({ "active": false })).await;
        }
        self.writer.drain().await.unwrap();
    }

    /// How many of these may log in.
    pub fn active_of(&self, name: &str, count: usize) -> usize {
        (0..count).filter(|number| self.is_active(&format!("{name}{number}"))).count()
    }

    /// How many account steps the brake holds.
    pub async fn held(&self) -> i64 {
        self.number("SELECT count(*) FROM link l, jsonb_each(l.record -> 'steps') s WHERE s.value ? 'brake'").await
    }

    async fn policy(&mut self, policy: Value) {
        let change = TenantChange { policy: Some(policy), ..TenantChange::default() };
        self.change_tenant(change).await;
    }
}

#[tokio::test]
async fn five_hundred_leavers_in_a_row_stop_at_the_limit_and_new_people_come_meanwhile() {
    let jira = Sandbox::start(jira_scim::sandbox::SandboxOptions { applications: vec![], ..Default::default() }).await;
    let jira = jira.unwrap();
    let app = App::make(MakeApp::default(), Some(&jira)).await;
    let mut ids = Vec::new();
    for number in 0..500 {
        ids.push(app.user(&format!("p{number}")).await);
    }
    for (number, id) in ids.iter().enumerate() {
        let off = json!([{ "op": "replace", "path": "active", "value": false }]);
        let answer = app.patch(&format!("/Users/{id}"), off).await.is(200);
        assert_eq!(answer.body["active"], false);
        if number % 100 == 0 {
            app.user(&format!("new{number}")).await;
        }
    }
    // Ten percent of the people there were, and those who came while the brake was not yet tripped.
    let off = (0..500).filter(|number| !jira.account(&format!("p{number}")).unwrap().active).count();
    assert_eq!(off, 50);
    for number in [0, 100, 200, 300, 400] {
        assert!(jira.account(&format!("new{number}")).is_some_and(|account| account.active), "new{number}");
    }
    let (tripped, reason): (bool, String) =
        sqlx::query_as("SELECT tripped_at IS NOT NULL, reason FROM brake").fetch_one(app.store.pool()).await.unwrap();
    assert_eq!(
        (tripped, reason.as_str()),
        (true, "50 accounts were switched off or deleted within 1h, and the limit is 50")
    );
    let held: i64 = sqlx::query_scalar("SELECT count(*) FROM link WHERE record -> 'steps' -> 'active' ? 'brake'")
        .fetch_one(app.store.pool())
        .await
        .unwrap();
    assert_eq!(held, 450);
    // Nobody is refused, nothing waits, and Jira hears no more of it.
    assert_eq!(app.open().await, 0);
    let calls = jira.journal().len();
    app.later(7200).await;
    assert_eq!(jira.journal().iter().skip(calls).filter(|call| call.method != "GET").count(), 0);
    let metrics = app.metrics.render().unwrap();
    assert!(metrics.contains("jira_scim_brake_held_total{class=\"accounts\",tenant=\"acme\"} 450"), "{metrics}");
    assert!(metrics.contains("jira_scim_brake_tripped{tenant=\"acme\"} 1"), "{metrics}");
    assert!(!metrics.contains("jira_scim_late_refusals_total"), "{metrics}");
    assert_eq!(jira.totals().violations, 0);
}

#[tokio::test]
async fn many_drives_at_once_from_two_writers_let_no_more_through_than_the_limit() {
    let world = World::with_policy(at_most(7)).await;
    let users = world.people("p", 60).await;
    for user in &users {
        world.set(*user, json!({ "active": false })).await;
    }
    let other = world.another_writer();
    let drives = users.iter().flat_map(|user| [(&world.writer, *user), (&other, *user)]);
    let tenant = world.tenant.id;
    stream::iter(drives)
        .for_each_concurrent(12, |(writer, user)| async move {
            // Who finds the subject taken leaves it to the other one.
            writer.drive(tenant, Subject::User(user), Uuid::new_v4()).await.unwrap();
        })
        .await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.active_of("p", 60), 53);
    assert_eq!((world.count("PUT /user"), world.held().await), (7, 53));
    assert_eq!(world.number("SELECT count(*) FROM alert").await, 1, "it trips once");
    assert_eq!(world.number("SELECT accounts FROM brake").await, 7);
}

#[tokio::test]
async fn memberships_have_a_limit_of_their_own_and_what_gives_flows_on() {
    let limits = json!({ "brake": { "memberships": { "max": 5, "percent": 100, "min": 5 } } });
    let world = World::with_policy(limits).await;
    let users = world.people("p", 12).await;
    let (old, new) = (world.group("Old", &users).await, world.group("New", &[]).await);
    world.writer.drain().await.unwrap();
    for user in &users {
        world.member(old, *user, false).await;
        world.member(new, *user, true).await;
        world.set(*user, json!({ "displayName": format!("Renamed {user}") })).await;
    }
    world.writer.drain().await.unwrap();
    let in_old = (0..12).filter(|n| world.groups_of(&format!("p{n}")).contains(&"Old".to_owned())).count();
    assert_eq!(in_old, 7);
    for n in 0..12 {
        let name = format!("p{n}");
        assert!(world.groups_of(&name).contains(&"New".to_owned()), "{name}");
        assert!(world.jira.account(&name).unwrap().display_name.starts_with("Renamed"), "{name}");
    }
    // Once tripped it holds accounts, too.
    world.leave(&users[..1]).await;
    assert!(world.is_active("p0"));
    // Somebody who is wanted in the group again has nothing held any more.
    let held = users.iter().map(|user| world.pair_step(*user, "old"));
    let held: Vec<Value> = futures_util::future::join_all(held).await;
    let who = held.iter().position(|step| step["brake"] == true).unwrap();
    assert!(held[who]["reason"].as_str().unwrap().contains("jira-scim brake release acme"), "{held:?}");
    world.member(old, users[who], true).await;
    world.writer.drain().await.unwrap();
    assert_eq!(world.pair_step(users[who], "old").await, Value::Null);
}

#[tokio::test]
async fn a_step_that_is_tried_again_counts_once() {
    let world = World::with_policy(at_most(2)).await;
    let users = world.people("p", 4).await;
    world.jira.inject(Fault::status(500).on("PUT /user").times(3));
    world.leave(&users[..1]).await;
    for _ in 0..6 {
        world.drain_after(300).await;
    }
    assert!(!world.is_active("p0"));
    assert_eq!(world.count("PUT /user"), 4);
    assert_eq!(world.number("SELECT accounts FROM brake").await, 1, "four calls, one leaver");
    world.leave(&users[1..]).await;
    assert_eq!((world.active_of("p", 4), world.held().await), (2, 2));
}

#[tokio::test]
async fn what_was_long_ago_does_not_count() {
    let world = World::with_policy(at_most(2)).await;
    let users = world.people("p", 5).await;
    world.leave(&users[..2]).await;
    world.drain_after(3700).await;
    world.leave(&users[2..4]).await;
    assert_eq!((world.active_of("p", 5), world.held().await), (1, 0));
    world.drain_after(1800).await;
    world.leave(&users[4..]).await;
    assert_eq!((world.active_of("p", 5), world.held().await), (1, 1));
    // Tripped it stays tripped, however long ago that was.
    world.drain_after(90_000).await;
    assert_eq!((world.active_of("p", 5), world.held().await), (1, 1));
}

#[tokio::test]
async fn a_leaver_who_comes_back_is_held_no_more() {
    let world = World::with_policy(at_most(0)).await;
    let users = world.people("p", 1).await;
    world.leave(&users).await;
    assert_eq!((world.is_active("p0"), world.held().await), (true, 1));
    world.set(users[0], json!({ "active": true, "displayName": "Back" })).await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.is_active("p0"), world.held().await), (true, 0));
    assert_eq!(world.jira.account("p0").unwrap().display_name, "Back");
}

#[tokio::test]
async fn a_deletion_that_jira_refuses_and_the_switching_off_instead_are_one() {
    let mut policy = at_most(1);
    policy["deprovision"] = json!({ "on_delete": "delete" });
    let world = World::with_policy(policy).await;
    let users = world.people("p", 2).await;
    world.jira.inject(Fault::status(400).on("DELETE /user"));
    world.delete(users[0]).await;
    world.writer.drain().await.unwrap();
    assert!(!world.is_active("p0"));
    assert_eq!(world.number("SELECT accounts FROM brake").await, 1);
    // Held, it is neither deleted nor switched off.
    world.delete(users[1]).await;
    world.writer.drain().await.unwrap();
    assert!(world.is_active("p1"));
    assert_eq!(world.held().await, 2, "the one and the other");
}

#[tokio::test]
async fn who_only_observes_uses_up_nothing() {
    let world = World::make(Make { mode: Mode::Observe, policy: at_most(1), ..Make::default() }).await;
    let users = world.people("p", 5).await;
    world.leave(&users).await;
    assert_eq!(world.number("SELECT count(*) FROM brake").await, 0);
}

#[tokio::test]
async fn each_tenant_has_a_brake_of_its_own() {
    let world = World::with_policy(at_most(1)).await;
    let users = world.people("p", 3).await;
    let other = world.other_tenant("beta").await;
    let caller = world.caller_of(&other, None);
    let body = json!({ "userName": "bea" }).as_object().unwrap().clone();
    let bea = world.directory.create_user(&caller, body).await.unwrap().view.id;
    world.leave(&users).await;
    assert_eq!(world.held().await, 2);
    let off = World::patch(json!([{ "op": "replace", "path": "active", "value": false }]));
    world.directory.patch_user(&caller, &bea.to_string(), off, &Precondition::None).await.unwrap();
    world.writer.drain().await.unwrap();
    assert!(!world.is_active("bea"));
    let tripped = "SELECT count(*) FROM brake WHERE tripped_at IS NOT NULL";
    assert_eq!(world.number(tripped).await, 1);
}

#[tokio::test]
async fn switching_the_brake_off_lets_through_what_it_holds() {
    let mut world = World::with_policy(at_most(1)).await;
    let users = world.people("p", 6).await;
    world.leave(&users).await;
    assert_eq!((world.active_of("p", 6), world.held().await), (5, 5));
    world.policy(json!({ "brake": { "enabled": false } })).await;
    world.writer.drain().await.unwrap();
    assert_eq!((world.active_of("p", 6), world.held().await), (0, 0));
}

#[tokio::test]
async fn accounts_that_nobody_claims_are_under_the_same_limit() {
    let mut policy = at_most(3);
    policy["unmatched_accounts"] = json!({ "action": "deactivate", "limit": 50 });
    let world = World::with_policy(policy).await;
    let users = world.people("p", 3).await;
    for number in 0..5 {
        world.account_by_hand(&format!("stray{number}"));
    }
    world.leave(&users[..1]).await;
    let act = Act::SwitchOff { limit: 50, seen_for: Duration::ZERO };
    let tenant = tenant::get(world.pool(), "acme").await.unwrap().unwrap();
    let compared = world.writer.compare(&tenant, act, origin()).await.unwrap();
    let off = compared.strays.iter().filter(|stray| stray.outcome == Outcome::SwitchedOff).count();
    let held: BTreeSet<&str> = compared
        .strays
        .iter()
        .filter_map(|stray| match &stray.outcome {
            Outcome::Held(why) => Some(why.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!((off, compared.strays.len()), (2, 5));
    assert!(held.iter().all(|why| why.contains("3 accounts were switched off or deleted")), "{held:?}");
    assert_eq!(world.active_of("stray", 5), 3);
    // And the leavers are held with them.
    world.leave(&users[1..2]).await;
    assert!(world.is_active("p1"));
}
