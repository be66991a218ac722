//! Pages, totals, members and groups; and what the janitor may never change about them.

use chrono::{Days, NaiveDate};
use jira_scim::store::janitor::{self, Keep};
use jira_scim::store::list::{self, Listed, Of, Start, Wanted};
use jira_scim::store::{Store, related};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::postgres::fresh_database;
use crate::rows::{at, bury, insert_group, insert_member, insert_user, tenant};

const KEEP: Keep = Keep { history_days: 30, history_size: 0, tombstone_days: 30 };

fn user(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn group(n: u128) -> Uuid {
    Uuid::from_u128(1 << 64 | n)
}

async fn people(conn: &mut PgConnection, tenant: Uuid, count: u128) {
    for n in 1..=count {
        insert_user(
            conn,
            tenant,
            user(n),
            &json!({ "userName": format!("u{n}"), "displayName": format!("U {n}") }),
            at(0),
        )
        .await;
    }
}

/// Ids of the page and the total.
async fn page(conn: &mut PgConnection, tenant: Uuid, offset: u64, limit: u64) -> (Vec<u128>, u64) {
    let all = Wanted::all(tenant);
    let rows = list::rows(conn, Of::Users, &all, Start::Offset(offset), limit).await.unwrap();
    let total = match list::total_from_page(offset, limit, rows.len()) {
        Some(total) => total,
        None => list::count(conn, Of::Users, &all).await.unwrap(),
    };
    (rows.iter().map(|row| row.id.as_u128()).collect(), total)
}

async fn groups(conn: &mut PgConnection, tenant: Uuid) -> Vec<Listed> {
    list::rows(conn, Of::Groups, &Wanted::all(tenant), Start::Offset(0), 10).await.unwrap()
}

#[tokio::test]
async fn pages_follow_the_id_and_totals_are_exact() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let tenant = Uuid::now_v7();
    people(&mut conn, tenant, 5).await;
    assert_eq!(page(&mut conn, tenant, 0, 2).await, (vec![1, 2], 5));
    assert_eq!(page(&mut conn, tenant, 4, 2).await, (vec![5], 5));
    assert_eq!(page(&mut conn, tenant, 5, 2).await, (vec![], 5));
    assert_eq!(page(&mut conn, tenant, u64::MAX, u64::MAX).await, (vec![], 5));
    assert_eq!(page(&mut conn, tenant, 0, 0).await, (vec![], 5));
    assert_eq!(page(&mut conn, Uuid::now_v7(), 0, 10).await, (vec![], 0));
    sqlx::query("INSERT INTO tally_delta (tenant_id, kind, delta) VALUES ($1, 'user', -1)")
        .bind(tenant)
        .execute(&mut *conn)
        .await
        .unwrap();
    bury(&mut conn, "scim_user", user(2), at(1)).await;
    assert_eq!(page(&mut conn, tenant, 0, 2).await, (vec![1, 3], 4));
}

#[tokio::test]
async fn the_janitor_changes_no_total_version_or_time() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let store = Store::from_pool(pool.clone());
    let mut conn = pool.acquire().await.unwrap();
    let tenant = tenant(&pool, "acme").await.id;
    people(&mut conn, tenant, 3).await;
    for n in 1..=2 {
        insert_group(&mut conn, tenant, group(n), &json!({ "displayName": format!("G{n}") }), at(2)).await;
    }
    for n in 1..=3 {
        insert_member(&mut conn, tenant, group(1), user(n), false, at(10 + n as i64)).await;
    }
    let before = groups(&mut conn, tenant).await;
    assert_eq!((before[0].version, before[0].modified), (4, at(13)));
    assert_eq!((before[1].version, before[1].modified), (1, at(2)));
    let swept = janitor::run_once(&store, at(20), KEEP).await.unwrap();
    assert_eq!((swept.deltas, swept.touches), (5, 3));
    assert_eq!(groups(&mut conn, tenant).await, before);
    assert_eq!(list::count(&mut conn, Of::Users, &Wanted::all(tenant)).await.unwrap(), 3);
    assert_eq!(list::count(&mut conn, Of::Groups, &Wanted::all(tenant)).await.unwrap(), 2);
    let again = janitor::run_once(&store, at(20), KEEP).await.unwrap();
    assert_eq!((again.deltas, again.touches, again.days_dropped), (0, 0, 0));
}

#[tokio::test]
async fn a_group_that_somebody_has_locked_is_folded_later() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let store = Store::from_pool(pool.clone());
    let tenant = tenant(&pool, "acme").await.id;
    let mut conn = pool.acquire().await.unwrap();
    insert_group(&mut conn, tenant, group(1), &json!({ "displayName": "G" }), at(0)).await;
    insert_member(&mut conn, tenant, group(1), user(1), false, at(1)).await;
    let mut writer = pool.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM scim_group FOR UPDATE").execute(&mut *writer).await.unwrap();
    assert_eq!(janitor::run_once(&store, at(2), KEEP).await.unwrap().touches, 0);
    writer.commit().await.unwrap();
    assert_eq!(janitor::run_once(&store, at(2), KEEP).await.unwrap().touches, 1);
}

#[tokio::test]
async fn a_group_that_was_just_written_keeps_its_own_version_for_an_undo() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let store = Store::from_pool(pool.clone());
    let tenant = tenant(&pool, "acme").await.id;
    let mut conn = pool.acquire().await.unwrap();
    insert_group(&mut conn, tenant, group(1), &json!({ "displayName": "G" }), chrono::Utc::now()).await;
    insert_member(&mut conn, tenant, group(1), user(1), false, at(1)).await;
    assert_eq!(janitor::run_once(&store, at(2), KEEP).await.unwrap().touches, 0);
    sqlx::query("UPDATE scim_group SET modified = now() - interval '2 minutes'").execute(&pool).await.unwrap();
    assert_eq!(janitor::run_once(&store, at(2), KEEP).await.unwrap().touches, 1);
}

#[tokio::test]
async fn totals_and_versions_stay_exact_while_janitors_run() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let store = Store::from_pool(pool.clone());
    let tenant = tenant(&pool, "acme").await.id;
    let mut conn = pool.acquire().await.unwrap();
    insert_group(&mut conn, tenant, group(1), &json!({ "displayName": "G" }), at(0)).await;
    drop(conn);
    let write = async {
        let mut conn = pool.acquire().await.unwrap();
        for n in 1..=60 {
            insert_user(&mut conn, tenant, user(n), &json!({ "userName": format!("u{n}") }), at(0)).await;
            insert_member(&mut conn, tenant, group(1), user(n), false, at(n as i64)).await;
            let count = list::count(&mut conn, Of::Users, &Wanted::all(tenant)).await.unwrap();
            let row = groups(&mut conn, tenant).await.remove(0);
            assert_eq!((u128::from(count), row.version, row.modified), (n, 1 + n as i64, at(n as i64)));
        }
    };
    let sweep = async {
        for _ in 0..20 {
            janitor::run_once(&store, at(0), KEEP).await.unwrap();
        }
    };
    tokio::join!(write, sweep, async {
        for _ in 0..20 {
            janitor::run_once(&store, at(0), KEEP).await.unwrap();
        }
    });
}

#[tokio::test]
async fn members_are_the_living_ones_with_a_name_to_show() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let tenant = Uuid::now_v7();
    people(&mut conn, tenant, 3).await;
    insert_user(&mut conn, tenant, user(4), &json!({ "userName": "nameless" }), at(0)).await;
    for n in 1..=3 {
        insert_group(&mut conn, tenant, group(n), &json!({ "displayName": format!("G{n}") }), at(0)).await;
    }
    for (g, m) in [(1, user(4)), (1, user(1)), (1, user(2)), (2, user(1))] {
        insert_member(&mut conn, tenant, group(g), m, false, at(0)).await;
    }
    insert_member(&mut conn, tenant, group(1), group(2), true, at(0)).await;
    insert_member(&mut conn, tenant, group(1), group(3), true, at(0)).await;
    bury(&mut conn, "scim_user", user(2), at(1)).await;
    bury(&mut conn, "scim_group", group(3), at(1)).await;
    let rows = related::members_of(&mut conn, tenant, &[group(1), group(2)]).await.unwrap();
    let seen: Vec<_> = rows.iter().map(|r| (r.group_id, r.member_id, r.is_group, r.display.as_deref())).collect();
    assert_eq!(
        seen,
        [
            (group(1), user(1), false, Some("U 1")),
            (group(1), user(4), false, Some("nameless")),
            (group(1), group(2), true, Some("G2")),
            (group(2), user(1), false, Some("U 1")),
        ]
    );
    assert_eq!(related::members_of(&mut conn, Uuid::now_v7(), &[group(1)]).await.unwrap(), []);
}

#[tokio::test]
async fn the_groups_of_a_user_are_direct_and_through_groups_that_live() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let mut conn = pool.acquire().await.unwrap();
    let tenant = Uuid::now_v7();
    people(&mut conn, tenant, 2).await;
    for n in 1..=5 {
        insert_group(&mut conn, tenant, group(n), &json!({ "displayName": format!("G{n}") }), at(0)).await;
    }
    // 1 is in 2, 2 is in 3, and 3 in 1 again; 1 is in 4, which is dead, and 4 in 5.
    for (parent, child) in [(2, 1), (3, 2), (1, 3), (4, 1), (5, 4)] {
        insert_member(&mut conn, tenant, group(parent), group(child), true, at(0)).await;
    }
    bury(&mut conn, "scim_group", group(4), at(1)).await;
    for (g, u) in [(1, 1), (2, 1), (3, 2)] {
        insert_member(&mut conn, tenant, group(g), user(u), false, at(0)).await;
    }
    let rows = related::groups_of(&mut conn, tenant, &[user(1), user(2)]).await.unwrap();
    let seen: Vec<_> = rows.iter().map(|r| (r.user_id, r.group_id, r.direct)).collect();
    let expected = [
        (user(1), group(1), true),
        (user(1), group(2), true),
        (user(1), group(3), false),
        (user(2), group(1), false),
        (user(2), group(2), false),
        (user(2), group(3), true),
    ];
    assert_eq!(seen, expected);
    assert_eq!(rows[0].display, "G1");
}

/// The day partitions of a table, without its default.
async fn days(pool: &PgPool, table: &str) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT relname::text FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
         WHERE i.inhparent = to_regclass($1) AND relname NOT LIKE '%default' ORDER BY 1",
    )
    .bind(table)
    .fetch_all(pool)
    .await
    .unwrap()
}

async fn audit(pool: &PgPool, seconds: i64) {
    sqlx::query(
        "INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, status)
         VALUES (gen_random_uuid(), $1, gen_random_uuid(), gen_random_uuid(), 'test', 'x', 'user', gen_random_uuid(), 200)",
    )
    .bind(at(seconds))
    .execute(pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn history_has_a_partition_a_day_and_old_days_are_dropped_whole() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let store = Store::from_pool(pool.clone());
    let mut conn = pool.acquire().await.unwrap();
    let today = at(0).date_naive();
    // A row that came before its partition keeps its day in the default one.
    audit(&pool, 2 * 86_400).await;
    assert_eq!(janitor::ensure_partitions(&mut conn, today).await.unwrap(), 23);
    assert_eq!(janitor::ensure_partitions(&mut conn, today).await.unwrap(), 0);
    let made = days(&pool, "audit").await;
    assert_eq!((made.first().unwrap().as_str(), made.len()), ("audit_20260101", 7));
    assert!(!made.contains(&"audit_20260103".to_owned()));
    assert_eq!(days(&pool, "delivery").await.len(), 8);
    audit(&pool, 5).await;
    let place: String = sqlx::query_scalar("SELECT tableoid::regclass::text FROM audit ORDER BY at LIMIT 1")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(place, "audit_20260101");

    let later = at(0).checked_add_days(Days::new(33)).unwrap();
    let swept = janitor::run_once(&store, later, KEEP).await.unwrap();
    assert_eq!(
        swept.days_dropped,
        2 + 3 + 3,
        "two days of audit, three of deliveries and of requests, and the stray rows"
    );
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM audit").fetch_one(&pool).await.unwrap();
    assert_eq!(left, 0);
    assert_eq!(days(&pool, "audit").await[0], "audit_20260104");
    assert_eq!(days(&pool, "delivery").await[0], "delivery_20260104");
    let ahead = NaiveDate::from_ymd_opt(2026, 2, 10).unwrap();
    assert!(days(&pool, "audit").await.contains(&format!("audit_{}", ahead.format("%Y%m%d"))));
}

#[tokio::test]
async fn history_that_takes_too_much_room_loses_its_oldest_days_and_never_todays() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let store = Store::from_pool(pool.clone());
    let mut conn = pool.acquire().await.unwrap();
    janitor::ensure_partitions(&mut conn, at(0).date_naive()).await.unwrap();
    for day in 0..3 {
        audit(&pool, day * 86_400 + 5).await;
    }
    let now = at(2 * 86_400 + 60);
    let swept = janitor::run_once(&store, now, Keep { history_size: 1 << 40, ..KEEP }).await.unwrap();
    assert_eq!(swept.days_dropped, 0);
    let swept = janitor::run_once(&store, now, Keep { history_size: 1, ..KEEP }).await.unwrap();
    assert_eq!(swept.days_dropped, 3 * 2, "two days of audit, of deliveries and of requests");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM audit").fetch_one(&pool).await.unwrap();
    assert_eq!(left, 1, "today's");
}

#[tokio::test]
async fn replicas_make_partitions_together() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let one = || async {
        let mut conn = pool.acquire().await.unwrap();
        janitor::ensure_partitions(&mut conn, at(0).date_naive()).await.unwrap()
    };
    let (a, b, c) = tokio::join!(one(), one(), one());
    assert_eq!(a + b + c, 24);
}

#[tokio::test]
async fn a_tombstone_goes_when_it_is_old_and_nothing_is_left_to_do() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let store = Store::from_pool(pool.clone());
    let mut conn = pool.acquire().await.unwrap();
    let tenant = tenant(&pool, "acme").await.id;
    people(&mut conn, tenant, 7).await;
    for n in 1..=2 {
        insert_group(&mut conn, tenant, group(n), &json!({ "displayName": format!("G{n}") }), at(0)).await;
        insert_member(&mut conn, tenant, group(n), user(1), false, at(0)).await;
        bury(&mut conn, "scim_group", group(n), at(0)).await;
    }
    for n in 1..=6 {
        let when = at(if n == 2 { 40 * 86_400 } else { 0 });
        bury(&mut conn, "scim_user", user(n), when).await;
        sqlx::query("INSERT INTO link (tenant_id, user_id, target, record) VALUES ($1, $2, 'jira', $3)")
            .bind(tenant)
            .bind(user(n))
            .bind(match n {
                4 => json!({ "steps": { "active": { "state": "refused" } } }),
                _ => json!({ "steps": { "active": { "state": "waived" } } }),
            })
            .execute(&pool)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO claim (target, what, key, tenant_id, user_id) VALUES ('jira', 'account', $2::text, $1, $2)",
        )
        .bind(tenant)
        .bind(user(n))
        .execute(&pool)
        .await
        .unwrap();
        sqlx::query("INSERT INTO jira_membership (tenant_id, user_id, group_key, maybe) VALUES ($1, $2, 'crew', $3)")
            .bind(tenant)
            .bind(user(n))
            .bind(n == 5)
            .execute(&pool)
            .await
            .unwrap();
    }
    sqlx::query("UPDATE link SET look_at = now() WHERE user_id = $1").bind(user(6)).execute(&pool).await.unwrap();
    for (kind, id) in [("user", user(3)), ("group", group(2))] {
        sqlx::query(
            "INSERT INTO outbox (tenant_id, kind, subject_id, priority, due_at, since) VALUES ($1, $2, $3, 1, now(), now())",
        )
        .bind(tenant)
        .bind(kind)
        .bind(id)
        .execute(&pool)
        .await
        .unwrap();
    }
    let swept = janitor::run_once(&store, at(41 * 86_400), KEEP).await.unwrap();
    assert_eq!(swept.tombstones, 2, "user 1 and group 1");
    let ids = |sql: &'static str| sqlx::query_scalar::<_, Uuid>(sql).fetch_all(&pool);
    let kept: Vec<Uuid> = (2..=7).map(user).collect();
    assert_eq!(ids("SELECT id FROM scim_user ORDER BY 1").await.unwrap(), kept, "young, undone, living");
    for sql in [
        "SELECT user_id FROM link ORDER BY 1",
        "SELECT user_id FROM claim ORDER BY 1",
        "SELECT user_id FROM jira_membership ORDER BY 1",
    ] {
        assert_eq!(ids(sql).await.unwrap(), kept[..5], "{sql}");
    }
    assert_eq!(ids("SELECT id FROM scim_group").await.unwrap(), [group(2)]);
    assert_eq!(ids("SELECT group_id FROM group_member").await.unwrap(), Vec::<Uuid>::new());
}

#[tokio::test]
async fn the_janitor_finishes_the_deletion_of_a_tenant() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let store = Store::from_pool(pool.clone());
    let mut conn = pool.acquire().await.unwrap();
    let living = tenant(&pool, "acme").await.id;
    for tenant in [Uuid::now_v7(), living, Uuid::now_v7()] {
        insert_user(&mut conn, tenant, user(1), &json!({ "userName": "ann" }), at(0)).await;
    }
    assert_eq!(janitor::run_once(&store, at(1), KEEP).await.unwrap().tenants, 2);
    let left: Vec<Uuid> = sqlx::query_scalar("SELECT tenant_id FROM scim_user").fetch_all(&pool).await.unwrap();
    assert_eq!(left, [living]);
}
