//! Runs in the store: one of a kind at a time, one holder at a time, and a place that only the holder writes.

use std::time::Duration;

use jira_scim::store::run::{self, Hold, Kind, State};
use jira_scim::store::tenant::Tenant;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::postgres::{TestDb, fresh_database};
use crate::rows::{origin, tenant};
use crate::world::later;

const LEASE: Duration = Duration::from_secs(60);

struct Stage {
    _db: TestDb,
    pool: PgPool,
    acme: Tenant,
}

impl Stage {
    async fn set() -> Self {
        let db = fresh_database().await;
        let pool = db.pool().await;
        let acme = tenant(&pool, "acme").await;
        Self { _db: db, pool, acme }
    }

    async fn request(&self, kind: Kind) -> Option<Uuid> {
        let mut conn = self.pool.acquire().await.unwrap();
        run::request(&mut conn, self.acme.id, kind, &json!({"only": "users"}), origin(0)).await.unwrap()
    }

    /// Takes the next run up; answers the hold.
    async fn take(&self) -> Option<Hold> {
        let token = Uuid::new_v4();
        let run = run::take_next(&mut *self.conn().await, "jira", token, LEASE).await.unwrap()?;
        assert_eq!((run.state, run.options), (State::Running, json!({"only": "users"})));
        Some(Hold { tenant_id: run.tenant_id, id: run.id, token })
    }

    async fn conn(&self) -> sqlx::pool::PoolConnection<sqlx::Postgres> {
        self.pool.acquire().await.unwrap()
    }
}

async fn page(conn: &mut PgConnection, hold: Hold, place: Value) -> bool {
    let mine = run::renew(conn, hold, LEASE).await.unwrap();
    if mine {
        run::keep(conn, hold, "accounts", &place, &json!({"seen": 2})).await.unwrap();
    }
    mine
}

#[tokio::test]
async fn a_tenant_has_one_open_run_of_a_kind() {
    let stage = Stage::set().await;
    let first = stage.request(Kind::Import).await.unwrap();
    assert_eq!(stage.request(Kind::Import).await, None, "one is open");
    assert!(stage.request(Kind::Reconcile).await.is_some(), "another kind");
    let hold = stage.take().await.unwrap();
    assert_eq!(hold.id, first, "the oldest goes first");
    assert!(run::finish(&mut *stage.conn().await, hold, State::Done, None).await.unwrap());
    assert!(!run::finish(&mut *stage.conn().await, hold, State::Failed, None).await.unwrap(), "it is over");
    assert!(stage.request(Kind::Import).await.is_some());
    let asked: i64 = sqlx::query_scalar("SELECT count(*) FROM audit WHERE action = 'import.run'")
        .fetch_one(&stage.pool)
        .await
        .unwrap();
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn what_decides_who_is_in_the_store_goes_one_after_the_other() {
    let stage = Stage::set().await;
    let (import, reset) = (stage.request(Kind::Import).await.unwrap(), stage.request(Kind::Reset).await.unwrap());
    let first = stage.take().await.unwrap();
    assert_eq!(first.id, import);
    assert!(stage.take().await.is_none(), "the reset waits");
    let hold = Hold { tenant_id: stage.acme.id, id: reset, token: Uuid::new_v4() };
    let by_name = run::take(&mut *stage.conn().await, hold, LEASE).await.unwrap();
    assert!(by_name.is_none(), "also for who asks for it by name");
    stage.request(Kind::LastLogin).await.unwrap();
    assert_ne!(stage.take().await.unwrap().id, reset, "what only reads goes on");
    assert!(run::finish(&mut *stage.conn().await, first, State::Done, None).await.unwrap());
    assert_eq!(stage.take().await.unwrap().id, reset);
}

#[tokio::test]
async fn a_run_whose_holder_died_goes_on_from_its_place_and_the_dead_one_writes_nothing_more() {
    let stage = Stage::set().await;
    stage.request(Kind::Import).await.unwrap();
    let dead = stage.take().await.unwrap();
    assert!(page(&mut *stage.conn().await, dead, json!({"after": "2"})).await);
    assert_eq!(stage.take().await, None, "somebody works on it");
    later(&stage.pool, 61).await;
    let token = Uuid::new_v4();
    let next = run::take_next(&mut *stage.conn().await, "jira", token, LEASE).await.unwrap().unwrap();
    assert_eq!((next.id, next.stage.as_str(), &next.place), (dead.id, "accounts", &json!({"after": "2"})));
    assert_eq!(next.counters, json!({"seen": 2}));
    assert!(!page(&mut *stage.conn().await, dead, json!({"after": "9"})).await, "its lease is gone");
    assert!(!run::finish(&mut *stage.conn().await, dead, State::Done, None).await.unwrap());
    let now = run::get(&mut *stage.conn().await, stage.acme.id, dead.id).await.unwrap().unwrap();
    assert_eq!((now.state, now.place), (State::Running, json!({"after": "2"})));
}

#[tokio::test]
async fn a_failure_waits_for_its_time_and_a_page_forgets_it() {
    let stage = Stage::set().await;
    stage.request(Kind::Import).await.unwrap();
    let hold = stage.take().await.unwrap();
    run::give_back(&mut *stage.conn().await, hold, Duration::from_secs(30), Some("not there")).await.unwrap();
    assert_eq!(stage.take().await, None, "too early");
    later(&stage.pool, 31).await;
    let hold = stage.take().await.unwrap();
    let run = run::get(&mut *stage.conn().await, stage.acme.id, hold.id).await.unwrap().unwrap();
    assert_eq!((run.attempts, run.error.as_deref()), (1, Some("not there")));
    assert!(page(&mut *stage.conn().await, hold, json!({})).await);
    let run = run::last(&mut *stage.conn().await, stage.acme.id, Kind::Import).await.unwrap().unwrap();
    assert_eq!((run.attempts, run.error), (0, None));
    run::give_back(&mut *stage.conn().await, hold, Duration::from_secs(30), Some("not there")).await.unwrap();
    run::hurry(&mut *stage.conn().await, stage.acme.id, hold.id).await.unwrap();
    assert!(stage.take().await.is_some(), "somebody asked for it anew");
}

#[tokio::test]
async fn a_stopped_run_is_nobodys() {
    let stage = Stage::set().await;
    let id = stage.request(Kind::Import).await.unwrap();
    let hold = stage.take().await.unwrap();
    let stopped = run::stop(&mut *stage.conn().await, stage.acme.id, Kind::Import, origin(1)).await.unwrap();
    assert_eq!(stopped, Some(id));
    assert!(!page(&mut *stage.conn().await, hold, json!({})).await);
    assert_eq!(run::stop(&mut *stage.conn().await, stage.acme.id, Kind::Import, origin(1)).await.unwrap(), None);
    assert_eq!(stage.take().await, None);
}

#[tokio::test]
async fn a_schedule_asks_once_in_its_time_whoever_asks() {
    let stage = Stage::set().await;
    let every = Duration::from_secs(3600);
    let ask =
        || async { run::request_if_due(&mut *stage.conn().await, stage.acme.id, Kind::Import, every).await.unwrap() };
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    assert_eq!([a, b, c].into_iter().filter(|asked| *asked).count(), 1);
    let hold = Hold { token: Uuid::new_v4(), ..take_any(&stage).await };
    assert!(!run::finish(&mut *stage.conn().await, hold, State::Done, None).await.unwrap(), "another token");
    sqlx::query("UPDATE run SET state = 'done'").execute(&stage.pool).await.unwrap();
    assert!(!ask().await, "not yet");
    later(&stage.pool, 3601).await;
    assert!(ask().await);
}

async fn take_any(stage: &Stage) -> Hold {
    let token = Uuid::new_v4();
    let run = run::take_next(&mut *stage.conn().await, "jira", token, LEASE).await.unwrap().unwrap();
    Hold { tenant_id: run.tenant_id, id: run.id, token }
}

#[tokio::test]
async fn nothing_is_taken_up_while_the_target_is_paused() {
    let stage = Stage::set().await;
    stage.request(Kind::Import).await.unwrap();
    sqlx::query("INSERT INTO target_state (name, failures) VALUES ('jira', 1)").execute(&stage.pool).await.unwrap();
    assert_eq!(stage.take().await, None);
    sqlx::query("UPDATE target_state SET failures = 0").execute(&stage.pool).await.unwrap();
    assert!(stage.take().await.is_some());
}
