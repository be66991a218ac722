//! What people are told besides the brake: credentials that end, targets that stay away, queues that grow old, late refusals and
//! imports; each once, and its end as well. A real receiver takes them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jira_scim::alert::{Alerts, Watch, WatchOptions};
use jira_scim::store::alert::{self, Ending};
use jira_scim::store::run::{self, Hold, Kind, State};
use jira_scim::store::token::{self, NewCredential, NewToken};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::brake_alert::{Receiver, options};
use crate::process::daemon::eventually;
use crate::world::{TARGET, World, origin};

/// A world with a receiver.
struct Stage {
    world: World,
    receiver: Receiver,
    alerts: Alerts,
    watch: Watch,
}

impl Stage {
    async fn new(endings: Vec<Ending>) -> Self {
        let (world, receiver) = (World::new().await, Receiver::default());
        let alerts = Alerts::new(world.store.clone(), Some(&options(receiver.start(&[]).await))).unwrap();
        let options = WatchOptions {
            targets: vec![TARGET.to_owned()],
            endings,
            target_down_after: Duration::from_secs(600),
            queue_older_than: Duration::from_secs(3600),
        };
        let watch = Watch::new(world.store.clone(), options);
        Self { world, receiver, alerts, watch }
    }

    /// What the receiver is told now: another replica looks as well.
    async fn told(&self) -> Vec<Value> {
        let before = self.receiver.bodies().len();
        for watch in [&self.watch, &self.watch.clone()] {
            watch.run_once().await.unwrap();
        }
        self.alerts.run_once().await.unwrap();
        self.receiver.bodies().split_off(before)
    }

    async fn sql(&self, sql: &'static str) {
        sqlx::query(sql).execute(self.world.pool()).await.unwrap();
    }
}

fn kinds(told: &[Value]) -> Vec<&str> {
    told.iter().filter_map(|body| body["kind"].as_str()).collect()
}

async fn give(stage: &Stage, label: &str, expires: DateTime<Utc>) {
    let new = NewToken::generate();
    let new = NewCredential::bearer(label, new.hash(), Some(expires));
    token::create(stage.world.pool(), stage.world.tenant.id, Uuid::now_v7(), new, origin()).await.unwrap();
}

#[tokio::test]
async fn a_token_that_ends_is_told_thirty_seven_and_one_days_before_and_when_it_has_ended() {
    let stage = Stage::new(Vec::new()).await;
    give(&stage, "long", Utc::now() + TimeDelta::days(90)).await;
    give(&stage, "an hour's", Utc::now() + TimeDelta::hours(1)).await;
    assert_eq!(stage.told().await, Vec::<Value>::new());
    for (sql, days) in [
        (
            "UPDATE token SET created = created - interval '90 days', expires = now() + interval '29 days' WHERE label = 'long'",
            30,
        ),
        ("UPDATE token SET expires = now() + interval '6 days' WHERE label = 'long'", 7),
        ("UPDATE token SET expires = now() + interval '20 hours' WHERE label = 'long'", 1),
        ("UPDATE token SET expires = now() - interval '1 minute' WHERE label = 'long'", 0),
    ] {
        stage.sql(sql).await;
        let told = stage.told().await;
        let [body] = &told[..] else { panic!("{days}: {told:?}") };
        assert_eq!(
            (&body["kind"], &body["label"], &body["days"]),
            (&json!("token_expires"), &json!("long"), &json!(days))
        );
        assert_eq!((&body["tenant"], stage.told().await.len()), (&json!("acme"), 0), "once");
    }
    stage.sql("UPDATE token SET revoked = now() WHERE label = 'long'").await;
    // One whose place another has taken ends as it should, unless it is still used.
    give(&stage, "old", Utc::now() + TimeDelta::days(90)).await;
    stage.sql("UPDATE token SET created = created - interval '90 days', expires = now() + interval '12 hours', rotated = now() WHERE label = 'old'").await;
    assert_eq!(stage.told().await, Vec::<Value>::new());
    stage.sql("UPDATE token SET last_used = now() + interval '1 second' WHERE label = 'old'").await;
    assert_eq!(kinds(&stage.told().await), ["token_expires"]);
}

#[tokio::test]
async fn our_own_credential_that_ends_is_told_with_its_target() {
    let ending = |days| Ending {
        target: TARGET.into(),
        credential: "token".into(),
        expires: Utc::now() + TimeDelta::days(days),
    };
    let stage = Stage::new(vec![ending(6), Ending { credential: "organization.key".into(), ..ending(60) }]).await;
    let told = stage.told().await;
    let [body] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&body["kind"], &body["target"], &body["days"]), (&json!("secret_expires"), &json!(TARGET), &json!(7)));
    assert_eq!((&body["credential"], &body["tenant"]), (&json!("token"), &Value::Null));
    assert_eq!(stage.told().await.len(), 0);
}

#[tokio::test]
async fn a_target_that_stays_away_is_told_once_and_again_when_it_is_back() {
    let stage = Stage::new(Vec::new()).await;
    stage.sql("INSERT INTO target_state (name, failures, pause_kind, pause_reason, paused_until)
        VALUES ('jira', 3, 'unreachable', 'no connection', now()), ('gone', 9, 'unreachable', 'no connection', now())
        ON CONFLICT (name) DO UPDATE SET failures = 3, pause_kind = 'unreachable', pause_reason = 'no connection', paused_until = now()").await;
    assert_eq!(stage.told().await.len(), 0, "not for a moment");
    stage.sql("UPDATE alert_state SET since = since - interval '11 minutes'").await;
    let told = stage.told().await;
    assert_eq!(kinds(&told), ["target_down"]);
    assert_eq!((&told[0]["target"], &told[0]["why"]), (&json!("jira"), &json!("unreachable")));
    assert_eq!(stage.told().await.len(), 0);
    stage
        .sql("UPDATE target_state SET failures = 0, pause_kind = NULL, pause_reason = NULL, paused_until = NULL")
        .await;
    assert_eq!(kinds(&stage.told().await), ["target_up"]);
    // A short absence is nobody's matter, neither its beginning nor its end.
    stage.sql("UPDATE target_state SET failures = 1, pause_kind = 'unreachable', pause_reason = 'x', paused_until = now()").await;
    assert_eq!(stage.told().await.len(), 0);
    stage
        .sql("UPDATE target_state SET failures = 0, pause_kind = NULL, pause_reason = NULL, paused_until = NULL")
        .await;
    assert_eq!(stage.told().await.len(), 0);
}

#[tokio::test]
async fn a_queue_that_grows_old_is_told_and_what_waits_for_its_time_is_not() {
    let stage = Stage::new(Vec::new()).await;
    stage.world.user("ann").await;
    stage.sql("UPDATE outbox SET due_at = now() + interval '1 day', since = now() - interval '9 days'").await;
    assert_eq!(stage.told().await.len(), 0);
    stage.sql("UPDATE outbox SET due_at = now() - interval '2 hours'").await;
    let told = stage.told().await;
    assert_eq!((kinds(&told), &told[0]["waiting"]), (vec!["queue_old"], &json!(1)));
    assert_eq!(stage.told().await.len(), 0);
    stage.world.writer.drain().await.unwrap();
    assert_eq!(kinds(&stage.told().await), ["queue_caught_up"]);
}

#[tokio::test]
async fn a_flood_of_late_refusals_is_one_alert_and_the_next_follows_a_quarter_of_an_hour_later() {
    let stage = Stage::new(Vec::new()).await;
    let refused = || async {
        let mut conn = stage.world.pool().acquire().await.unwrap();
        alert::refused(&mut conn, stage.world.tenant.id, 2).await.unwrap();
    };
    for _ in 0..50 {
        refused().await;
    }
    assert_eq!(stage.told().await.len(), 0, "more may come");
    stage.sql("UPDATE alert SET due_at = due_at - interval '1 minute'").await;
    let told = stage.told().await;
    assert_eq!((kinds(&told), &told[0]["refused"]), (vec!["refused"], &json!(100)));
    refused().await;
    stage.sql("UPDATE alert SET due_at = due_at - interval '14 minutes'").await;
    assert_eq!(stage.told().await.len(), 0);
    stage.sql("UPDATE alert SET due_at = due_at - interval '3 minutes'").await;
    assert_eq!(stage.told().await[0]["refused"], 2);
}

#[tokio::test]
async fn an_alert_is_logged_once_also_where_nobody_is_to_be_told() {
    let stage = Stage::new(Vec::new()).await;
    give(&stage, "short", Utc::now() + TimeDelta::days(90)).await;
    stage.sql("UPDATE token SET created = created - interval '90 days', expires = now() + interval '12 hours'").await;
    stage.watch.run_once().await.unwrap();
    let silent = Alerts::new(stage.world.store.clone(), None).unwrap();
    silent.run_once().await.unwrap();
    let logged = "SELECT count(*) FROM alert WHERE logged";
    assert_eq!(stage.world.number(logged).await, 1);
    let mut conn = stage.world.pool().acquire().await.unwrap();
    assert_eq!(alert::to_log(&mut conn, 10).await.unwrap(), []);
}

#[tokio::test]
async fn the_end_of_an_import_is_told_and_so_is_one_that_failed() {
    let stage = Stage::new(Vec::new()).await;
    for (state, error, kind) in
        [(State::Done, None, "import_finished"), (State::Failed, Some("the list broke off"), "import_failed")]
    {
        let tenant_id = stage.world.tenant.id;
        let mut conn = stage.world.pool().acquire().await.unwrap();
        let id = run::request(&mut conn, tenant_id, Kind::Import, &json!({}), origin()).await.unwrap().unwrap();
        let hold = Hold { tenant_id, id, token: Uuid::new_v4() };
        run::take(&mut conn, hold, Duration::from_secs(60)).await.unwrap().unwrap();
        run::keep(&mut conn, hold, "groups", &json!({}), &json!({"accounts": {"created": 3}})).await.unwrap();
        assert!(run::finish(&mut conn, hold, state, error).await.unwrap());
        drop(conn);
        let told = stage.told().await;
        let [body] = &told[..] else { panic!("{kind}: {told:?}") };
        assert_eq!((&body["kind"], &body["run"], &body["error"]), (&json!(kind), &json!(id), &json!(error)));
        assert_eq!((&body["counters"]["accounts"]["created"], &body["tenant"]), (&json!(3), &json!("acme")));
    }
}

#[tokio::test]
async fn the_webhooks_address_and_secret_are_read_again_when_their_files_change() {
    let stage = Stage::new(Vec::new()).await;
    let (folder, other) = (tempfile::tempdir().unwrap(), Receiver::default());
    let [url, secret] = ["url", "secret"].map(|name| folder.path().join(name));
    let mut options = options(stage.receiver.start(&[]).await);
    std::fs::write(&url, options.url.expose()).unwrap();
    std::fs::write(&secret, "s3cret").unwrap();
    (options.url_file, options.secret_file) = (Some(url.clone()), Some(secret.clone()));
    let mut alerts = Alerts::new(stage.world.store.clone(), Some(&options)).unwrap();
    let mut tell = async |n: i64| {
        let mut conn = stage.world.pool().acquire().await.unwrap();
        alert::raise(&mut conn, stage.world.tenant.id, "import_finished", &json!({"n": n})).await.unwrap();
        drop(conn);
        alerts.look();
        alerts.run_once().await.unwrap();
    };
    tell(1).await;
    std::fs::write(&url, "no address").unwrap();
    tell(2).await;
    assert_eq!(stage.receiver.bodies().len(), 2, "what cannot be used changes nothing");
    std::fs::write(&url, format!("{}\n", other.start(&[]).await)).unwrap();
    std::fs::write(&secret, "another s3cret").unwrap();
    tell(3).await;
    assert_eq!((stage.receiver.bodies().len(), other.bodies().len()), (2, 1));
}

#[tokio::test]
async fn what_jira_refuses_a_worker_when_nobody_waits_any_more_is_told() {
    let stage = Stage::new(Vec::new()).await;
    // Letters that Jira's login names may not have.
    for name in ["ann<1>", "bob<2>", "eve<3>"] {
        stage.world.user(name).await;
    }
    stage.world.writer.start();
    let raised = "SELECT count(*) FROM alert WHERE kind = 'refused' AND (body ->> 'refused')::int = 3";
    eventually("the alert of three refusals", async || (stage.world.number(raised).await == 1).then_some(())).await;
    stage.sql("UPDATE alert SET due_at = due_at - interval '1 minute'").await;
    let told = stage.told().await;
    let [body] = &told[..] else { panic!("{told:?}") };
    let expected = (&json!("refused"), &json!("acme"), &json!(3));
    assert_eq!((&body["kind"], &body["tenant"], &body["refused"]), expected);
}
