//! What was changed at Jira by hand: found by a comparison with what was written, and listed, written over, or left, as the policy
//! says.

use jira_scim::directory::Precondition;
use jira_scim::sandbox::{Change, Fault, NewAccount};
use jira_scim::store::drift::{self, Found};
use jira_scim::store::run::{self, Kind, Run, State};
use jira_scim::store::tenant::TenantChange;
use jira_scim::writer::reconcile::Counters;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, origin};

/// Ann, Bo and Cy with accounts; Ann and Bo are in developers.
struct Office {
    world: World,
    ann: Uuid,
    bo: Uuid,
    cy: Uuid,
}

impl Office {
    async fn with(policy: Value) -> Self {
        let world = World::with_policy(policy).await;
        let mut ids = Vec::new();
        for name in ["ann", "bo", "cy"] {
            let mail = format!("{name}@example.test");
            ids.push(
                world.user_like(json!({"userName": name, "displayName": name, "emails": [{"value": mail}]})).await,
            );
        }
        world.group("developers", &ids[..2]).await;
        world.writer.drain().await.unwrap();
        let [ann, bo, cy] = ids.try_into().unwrap();
        assert_eq!(world.groups_of("ann"), ["developers"]);
        Self { world, ann, bo, cy }
    }

    async fn that(action: &str) -> Self {
        Self::with(json!({"drift": {"action": action}})).await
    }

    /// Asks for a run and works on it; what it is afterwards.
    async fn ask(&self) -> Run {
        let tenant_id = self.world.tenant.id;
        let mut conn = self.world.pool().acquire().await.unwrap();
        let id = run::request(&mut conn, tenant_id, Kind::Reconcile, &json!({}), origin()).await.unwrap().unwrap();
        assert!(self.world.writer.run_this(tenant_id, id).await.unwrap());
        run::get(&mut conn, tenant_id, id).await.unwrap().unwrap()
    }

    /// Compares, and says what the run came to.
    async fn compare(&self) -> Counters {
        let run = self.ask().await;
        assert_eq!((run.state, &run.error), (State::Done, &None));
        serde_json::from_value(run.counters).unwrap()
    }

    async fn found(&self) -> Vec<Found> {
        let mut conn = self.world.pool().acquire().await.unwrap();
        drift::list(&mut conn, self.world.tenant.id, ("", "", ""), 1000).await.unwrap()
    }

    /// `name field: written / found / wanted action` of everything that is on record.
    async fn told(&self) -> Vec<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let line = |one: Found| {
            let values = [&one.written, &one.found, &one.wanted].map(text).join(" / ");
            format!("{} {}: {values} ({})", one.name, one.field, one.action)
        };
        let mut told: Vec<String> = self.found().await.into_iter().map(line).collect();
        told.sort();
        told
    }

    /// Each field of Ann's account changed by hand, and her membership.
    fn change_everything(&self) {
        let jira = &self.world.jira;
        let text = |text: &str| Some(text.to_owned());
        let change = Change {
            username: text("ann.moss"),
            email: text("ann@elsewhere.test"),
            display_name: text("Ann Moss"),
            active: None,
        };
        jira.change(|jira| jira.force_change("ann", &change)).unwrap();
        jira.change(|jira| jira.force_active("ann.moss", false)).unwrap();
        jira.remove_member("developers", "ann.moss").unwrap();
    }

    async fn patch(&self, user: Uuid, path: &str, value: Value) {
        let patch = World::patch(json!([{"op": "replace", "path": path, "value": value}]));
        let caller = self.world.caller_in_a_hurry();
        self.world.directory.patch_user(&caller, &user.to_string(), patch, &Precondition::None).await.unwrap();
    }

    fn account(&self, name: &str) -> (String, String, bool) {
        let account = self.world.jira.account(name).unwrap();
        (account.email, account.display_name, account.active)
    }
}

#[tokio::test]
async fn nothing_that_was_changed_is_nothing_found_and_costs_two_lists() {
    let office = Office::that("report").await;
    let before = office.world.calls();
    let counters = office.compare().await;
    let expected = Counters { accounts: 4, users: 3, groups: 1, members: 2, differences: 0, skipped: 0 };
    assert_eq!((counters, office.told().await), (expected, vec![]));
    assert!(office.world.calls() - before <= 6, "a probe, the accounts, and the members");
}

#[tokio::test]
async fn everything_that_was_changed_by_hand_is_listed_with_three_values() {
    let office = Office::that("report").await;
    office.change_everything();
    let (writes, outbox) = (office.world.writes().len(), office.world.outbox().await);
    assert_eq!(office.compare().await.differences, 5);
    let expected = [
        "ann active: true / false / true (report)",
        "ann display_name: ann / Ann Moss / ann (report)",
        "ann email: ann@example.test / ann@elsewhere.test / ann@example.test (report)",
        "ann group:developers: member / - / member (report)",
        "ann username: ann / ann.moss / ann (report)",
    ];
    assert_eq!(office.told().await, expected);
    // The list is not the state of affairs: nothing is written, and nobody is out of date.
    assert_eq!((office.world.writes().len(), office.world.outbox().await), (writes, outbox));
    // The next run sees the same, and says since when.
    let first = office.found().await;
    office.compare().await;
    let second = office.found().await;
    assert_eq!(second[0].first_seen, first[0].first_seen);
    assert!(second[0].last_seen > first[0].last_seen && second[0].run_id != first[0].run_id);
    // What somebody put right in Jira is found no more.
    office.world.jira.change(|jira| jira.force_active("ann.moss", true)).unwrap();
    office.compare().await;
    assert_eq!(office.told().await.len(), 4);
}

#[tokio::test]
async fn a_revert_writes_what_is_wanted_and_the_next_run_finds_nothing() {
    let office = Office::that("revert").await;
    office.change_everything();
    assert_eq!(office.compare().await.differences, 5);
    assert!(office.told().await.iter().all(|line| line.ends_with("(revert)")));
    office.world.writer.drain().await.unwrap();
    assert_eq!(office.account("ann"), ("ann@example.test".to_owned(), "ann".to_owned(), true));
    assert_eq!(office.world.groups_of("ann"), ["developers"]);
    assert_eq!((office.compare().await.differences, office.told().await), (0, vec![]));
    let audit = "SELECT count(*) FROM audit WHERE action = 'drift.revert' AND subject_id = $1";
    let noted: i64 = sqlx::query_scalar(audit).bind(office.ann).fetch_one(office.world.pool()).await.unwrap();
    assert_eq!(noted, 1);
}

#[tokio::test]
async fn what_is_accepted_stays_until_the_identity_provider_wants_something_else() {
    let office = Office::that("accept").await;
    office.change_everything();
    assert_eq!(office.compare().await.differences, 5);
    office.world.writer.drain().await.unwrap();
    assert_eq!(office.world.outbox().await, 0, "nothing waits");
    let by_hand = ("ann@elsewhere.test".to_owned(), "Ann Moss".to_owned(), false);
    assert_eq!((office.account("ann.moss"), office.world.groups_of("ann.moss")), (by_hand.clone(), vec![]));
    // Nothing is found any more, and a change of something else leaves it.
    assert_eq!(office.compare().await.differences, 0);
    office.patch(office.ann, "title", json!("Engineer")).await;
    office.world.writer.drain().await.unwrap();
    assert_eq!((office.account("ann.moss"), office.world.groups_of("ann.moss")), (by_hand, vec![]));
    // Another name at the identity provider is written, and with it the account as it is to be.
    office.patch(office.ann, "displayName", json!("Ann M")).await;
    office.world.writer.drain().await.unwrap();
    assert_eq!(office.account("ann").1, "Ann M");
    assert_eq!((office.account("ann").2, office.world.groups_of("ann")), (false, vec![]), "each step by itself");
}

#[tokio::test]
async fn an_account_that_was_deleted_by_hand_is_told_of_and_made_again() {
    for action in ["report", "revert", "accept"] {
        let office = Office::that(action).await;
        office.world.jira.change(|jira| jira.force_delete("ann")).unwrap();
        office.compare().await;
        assert_eq!(office.told().await[0], format!("ann account: ann / - / ann ({action})"));
        office.world.writer.drain().await.unwrap();
        let there = office.world.jira.account("ann").is_some();
        assert_eq!(there, action == "revert", "{action}");
        if there {
            assert_eq!(office.world.groups_of("ann"), ["developers"]);
        }
        // Wherever it was accepted, a new address asks for the account anew.
        office.patch(office.ann, "emails", json!([{"value": "ann@new.test"}])).await;
        office.world.writer.drain().await.unwrap();
        assert_eq!(office.account("ann").0, "ann@new.test", "{action}");
    }
}

#[tokio::test]
async fn somebody_who_was_put_into_a_group_by_hand_is_no_business_of_ours() {
    let office = Office::that("revert").await;
    office.world.jira.add_member("developers", "cy").unwrap();
    office.world.jira.add_group("climbers").unwrap();
    office.world.jira.add_member("climbers", "ann").unwrap();
    assert_eq!((office.compare().await.differences, office.told().await), (0, vec![]));
    office.world.writer.drain().await.unwrap();
    assert_eq!(
        (office.world.groups_of("ann"), office.world.groups_of("cy")),
        (vec!["climbers".into(), "developers".into()], vec!["developers".into()])
    );
}

#[tokio::test]
async fn a_membership_given_by_hand_is_told_of_where_everything_that_nobody_asks_for_is_taken_away() {
    for (action, ann, cy) in [
        ("report", &["climbers", "developers", "vip"][..], &["developers"][..]),
        ("revert", &["developers", "vip"], &[]),
        ("accept", &["climbers", "developers", "vip"], &["developers"]),
    ] {
        let groups = json!({"remove": "all", "remove_exclude": ["^vip$"]});
        let office = Office::with(json!({"drift": {"action": action}, "groups": groups})).await;
        for (group, name) in [("climbers", "ann"), ("vip", "ann"), ("developers", "cy")] {
            // One of them is there already.
            let _there = office.world.jira.add_group(group);
            office.world.jira.add_member(group, name).unwrap();
        }
        assert_eq!(office.compare().await.differences, 2, "{action}");
        let expected = [
            format!("ann group:climbers: - / member / - ({action})"),
            format!("cy group:developers: - / member / - ({action})"),
        ];
        assert_eq!(office.told().await, expected);
        office.world.writer.drain().await.unwrap();
        assert_eq!(office.world.groups_of("ann"), ann, "{action}");
        assert_eq!(office.world.groups_of("cy"), cy, "{action}");
        assert_eq!(office.compare().await.differences, if action == "report" { 2 } else { 0 }, "{action}");
    }
}

#[tokio::test]
async fn a_group_that_is_gone_is_made_again_with_everybody_in_it_or_left() {
    for action in ["report", "revert", "accept"] {
        let office = Office::that(action).await;
        office.world.jira.change(|jira| jira.delete_group("developers")).unwrap();
        assert_eq!(office.compare().await.differences, 1);
        assert_eq!(office.told().await, [format!("developers group: there / - / there ({action})")]);
        office.world.writer.drain().await.unwrap();
        let members = if action == "revert" { vec!["ann".to_owned(), "bo".to_owned()] } else { vec![] };
        assert_eq!(office.world.jira.members("developers"), members, "{action}");
        assert_eq!(office.world.outbox().await, 0, "{action}");
        let again = office.compare().await.differences;
        assert_eq!(again, u64::from(action == "report"), "{action}");
    }
}

#[tokio::test]
async fn a_list_that_fails_half_way_changes_nothing() {
    for path in ["/user/list", "/group/member"] {
        let office = Office::that("revert").await;
        office.change_everything();
        office.world.jira.inject(Fault::status(500).on(path));
        let run = office.ask().await;
        assert!(run.state.is_open(), "it goes on later: {run:?}");
        if path == "/user/list" {
            assert_eq!(office.told().await, Vec::<String>::new());
            assert_eq!(office.world.outbox().await, 0);
        }
        office.world.jira.clear_faults();
        office.world.later(3600).await;
        office.world.writer.drain().await.unwrap();
        sqlx::query("UPDATE run SET due_at = now()").execute(office.world.pool()).await.unwrap();
        office.world.writer.run_due().await.unwrap();
        office.world.writer.drain().await.unwrap();
        assert_eq!(office.account("ann"), ("ann@example.test".to_owned(), "ann".to_owned(), true), "{path}");
        assert_eq!(office.world.groups_of("ann"), ["developers"], "{path}");
    }
}

#[tokio::test]
async fn nobody_whom_somebody_works_on_is_judged_by_a_list() {
    let office = Office::that("revert").await;
    office.change_everything();
    // A change of the identity provider waits for its turn.
    office.patch(office.ann, "displayName", json!("Ann M")).await;
    let counters = office.compare().await;
    assert_eq!((counters.differences, office.told().await), (0, vec![]));
    assert!(counters.skipped > 0);
    office.world.writer.drain().await.unwrap();
    office.compare().await;
    office.world.writer.drain().await.unwrap();
    assert_eq!(office.account("ann"), ("ann@example.test".to_owned(), "Ann M".to_owned(), true));
}

#[tokio::test]
async fn a_comparison_beside_live_traffic_takes_nothing_of_it_back() {
    let office = Office::that("revert").await;
    office.change_everything();
    let world = &office.world;
    let traffic = async {
        for round in 0..10 {
            office.patch(office.bo, "displayName", json!(format!("Bo {round}"))).await;
            office.patch(office.cy, "active", json!(round % 2 == 1)).await;
            world.writer.drain().await.unwrap();
        }
    };
    let comparing = async {
        for _ in 0..3 {
            office.compare().await;
        }
    };
    tokio::join!(traffic, comparing);
    world.writer.drain().await.unwrap();
    assert_eq!(office.account("bo").1, "Bo 9");
    assert!(office.account("cy").2);
    assert_eq!(office.account("ann"), ("ann@example.test".to_owned(), "ann".to_owned(), true));
    assert_eq!(office.compare().await.differences, 0);
}

#[tokio::test]
async fn a_run_whose_process_was_killed_goes_on_elsewhere() {
    let office = Office::that("revert").await;
    office.change_everything();
    office.world.jira.inject(Fault::hang().on("/group/member").times(1));
    let tenant_id = office.world.tenant.id;
    let mut conn = office.world.pool().acquire().await.unwrap();
    let id = run::request(&mut conn, tenant_id, Kind::Reconcile, &json!({}), origin()).await.unwrap().unwrap();
    let writer = office.world.another_writer();
    let working = tokio::spawn(async move { writer.run_this(tenant_id, id).await });
    until(&office, "SELECT count(*) FROM run WHERE stage = 'groups'").await;
    working.abort();
    assert!(working.await.is_err());
    office.world.jira.clear_faults();
    office.world.jira.release_held();
    assert!(!office.world.writer.run_this(tenant_id, id).await.unwrap(), "its lease is still good");
    sqlx::query("UPDATE run SET lease_until = now() - interval '1 second'").execute(office.world.pool()).await.unwrap();
    assert!(office.world.writer.run_this(tenant_id, id).await.unwrap());
    let run = run::get(&mut conn, tenant_id, id).await.unwrap().unwrap();
    assert_eq!((run.state, run.counters["accounts"].as_u64()), (State::Done, Some(4)));
    office.world.writer.drain().await.unwrap();
    assert_eq!(office.world.groups_of("ann"), ["developers"]);
}

/// Waits until the query counts something.
async fn until(office: &Office, sql: &'static str) {
    let found = async {
        while sqlx::query_scalar::<_, i64>(sql).fetch_one(office.world.pool()).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), found).await.unwrap();
}

#[tokio::test]
async fn a_tenant_that_only_observes_is_told_and_nothing_else() {
    let mut office = Office::that("revert").await;
    let observe = TenantChange { mode: Some(jira_scim::store::tenant::Mode::Observe), ..TenantChange::default() };
    office.world.change_tenant(observe).await;
    office.world.writer.drain().await.unwrap();
    office.change_everything();
    assert_eq!(office.compare().await.differences, 5);
    assert!(office.told().await.iter().all(|line| line.ends_with("(report)")));
    office.world.writer.drain().await.unwrap();
    assert!(office.world.jira.account("ann").is_none(), "still ann.moss");
}

#[tokio::test]
async fn the_daemon_compares_as_often_as_the_policy_says() {
    let office = Office::with(json!({"drift": {"every": "1d"}})).await;
    assert_eq!(office.world.writer.run_due().await.unwrap(), 1);
    assert_eq!(office.world.writer.run_due().await.unwrap(), 0);
}

#[tokio::test]
async fn people_and_accounts_of_others_are_left_out() {
    let office = Office::that("revert").await;
    let world = &office.world;
    world.jira.add_account(&NewAccount::named("stranger")).unwrap();
    let okta = world.other_tenant("okta").await;
    let caller = world.caller_of(&okta, None);
    let zoe = json!({"userName": "zoe", "displayName": "zoe"}).as_object().unwrap().clone();
    world.directory.create_user(&caller, zoe).await.unwrap();
    world.writer.drain().await.unwrap();
    world.jira.change(|jira| jira.force_active("zoe", false)).unwrap();
    assert_eq!((office.compare().await.differences, office.told().await), (0, vec![]));
}
