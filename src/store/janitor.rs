//! Housekeeping: folds what was appended for speed, keeps the partitions of history, purges old tombstones.
//!
//! Every step may run in any number of replicas at once, and may be cut off at any point: what a reader derives (totals,
//! versions, times of change) is the same before, during and after. Holds no loop; the caller decides when.

mod size;

use chrono::{DateTime, Days, NaiveDate, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{Store, StoreError, brake, run, tenant};

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Days of requests, audit and deliveries.
    pub history_days: u32,
    /// How many bytes they may take, all tenants together; beyond, the oldest days go. 0: any number.
    pub history_size: u64,
    /// Days a deleted user or group keeps its id for a re-hire, after the target agreed.
    pub tombstone_days: u32,
}

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Deltas folded into totals.
    pub deltas: u64,
    /// Member changes folded into groups.
    pub touches: u64,
    /// Days of history dropped.
    pub days_dropped: u64,
    /// Tombstones purged.
    pub tombstones: u64,
    /// Deleted tenants of which a crash had left rows.
    pub tenants: u64,
}

/// Partitions are made for so many days ahead: a janitor that does not run for that long loses nothing, the default
/// partitions catch the rest.
const DAYS_AHEAD: u64 = 7;
/// Rows that one statement touches at most.
const PAGE: i64 = 5_000;
/// Groups that one statement folds at most; each may have thousands of touches.
const GROUP_PAGE: i64 = 100;

/// Does everything that is due once. A step that fails does not keep the others from being done.
///
/// # Errors
/// The first step that failed.
pub async fn run_once(store: &Store, now: DateTime<Utc>, keep: Keep) -> Result<Swept, StoreError> {
    let mut conn = store.pool().acquire().await?;
    let conn = &mut *conn;
    let mut first = None;
    let mut done = |result: Result<u64, StoreError>| {
        result.unwrap_or_else(|e| {
            first.get_or_insert(e);
            0
        })
    };
    let mut swept = Swept { deltas: done(fold_tally(conn).await), ..Swept::default() };
    swept.touches = done(fold_touches(conn).await);
    done(ensure_partitions(conn, now.date_naive()).await);
    swept.days_dropped = done(drop_history(conn, before(now, keep.history_days)).await);
    swept.days_dropped += done(size::drop_largest(conn, keep.history_size, now.date_naive()).await);
    done(forget_grants(conn).await);
    swept.tombstones = done(purge_tombstones(conn, before(now, keep.tombstone_days)).await);
    swept.tenants = done(purge_orphans(conn).await);
    done(run::forget_old(conn, before(now, keep.history_days), PAGE).await);
    first.map_or(Ok(swept), Err)
}

/// So many days before `now`.
fn before(now: DateTime<Utc>, days: u32) -> DateTime<Utc> {
    now.checked_sub_days(Days::new(days.into())).unwrap_or(DateTime::UNIX_EPOCH)
}

/// Adds the deltas to their totals. One statement moves a delta, so no snapshot has it twice or not at all.
async fn fold_tally(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let mut folded = 0;
    loop {
        let n = sqlx::query_scalar!(
            r#"WITH gone AS (
                   DELETE FROM tally_delta
                   WHERE ctid = ANY(ARRAY(SELECT ctid FROM tally_delta LIMIT $1 FOR UPDATE SKIP LOCKED))
                   RETURNING tenant_id, kind, delta
               ), summed AS (
                   INSERT INTO tally (tenant_id, kind, n)
                   SELECT tenant_id, kind, sum(delta) FROM gone GROUP BY tenant_id, kind ORDER BY tenant_id, kind
                   ON CONFLICT ON CONSTRAINT tally_pkey DO UPDATE SET n = tally.n + excluded.n
               )
               SELECT count(*) AS "n!" FROM gone"#,
            PAGE,
        )
        .fetch_one(&mut *conn)
        .await?;
        folded += n.unsigned_abs();
        if n < PAGE {
            return Ok(folded);
        }
    }
}

/// Adds the touches to their groups. A group that somebody has locked is left for the next run: its holder may be about
/// to derive a version, and a touch must not count twice for him. So is one whose row was written within the last minute:
/// the request that did it may still take the change back, and knows it by the row's own version.
async fn fold_touches(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let mut folded = 0;
    loop {
        let n = sqlx::query_scalar!(
            r#"WITH mine AS MATERIALIZED (
                   SELECT g.tenant_id, g.id FROM scim_group g
                   WHERE g.modified < now() - interval '1 minute'
                     AND EXISTS (SELECT FROM group_touch t WHERE t.tenant_id = g.tenant_id AND t.group_id = g.id)
                   LIMIT $1
                   FOR NO KEY UPDATE OF g SKIP LOCKED
               ), gone AS (
                   DELETE FROM group_touch t USING mine
                   WHERE t.tenant_id = mine.tenant_id AND t.group_id = mine.id
                   RETURNING t.tenant_id, t.group_id, t.at
               ), summed AS (
                   SELECT tenant_id, group_id, count(*) AS n, max(at) AS at FROM gone GROUP BY tenant_id, group_id
               ), added AS (
                   UPDATE scim_group g SET version = g.version + s.n, modified = greatest(g.modified, s.at)
                   FROM summed s WHERE g.tenant_id = s.tenant_id AND g.id = s.group_id
               )
               SELECT count(*) AS "n!" FROM gone"#,
            GROUP_PAGE,
        )
        .fetch_one(&mut *conn)
        .await?;
        folded += n.unsigned_abs();
        if n == 0 {
            return Ok(folded);
        }
    }
}

/// A table with one partition a day.
#[derive(Clone, Copy)]
enum History {
    Audit,
    Delivery,
    Request,
}

impl History {
    const ALL: [Self; 3] = [Self::Audit, Self::Delivery, Self::Request];

    fn table(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Delivery => "delivery",
            Self::Request => "request",
        }
    }

    fn partition(self, day: NaiveDate) -> String {
        format!("{}_{}", self.table(), day.format("%Y%m%d"))
    }

    fn day_of(self, partition: &str) -> Option<NaiveDate> {
        let day = partition.strip_prefix(self.table())?.strip_prefix('_')?;
        NaiveDate::parse_from_str(day, "%Y%m%d").ok()
    }
}

/// Makes the partitions of audit and deliveries for `today` and the days after; at start and by [`run_once`]. Moves
/// nothing: a day of which the default partition already holds rows stays there. Returns how many were made.
///
/// # Errors
/// The store failed.
pub async fn ensure_partitions(conn: &mut PgConnection, today: NaiveDate) -> Result<u64, StoreError> {
    let mut made = 0;
    for history in History::ALL {
        let present = partitions(conn, history).await?;
        for day in today.iter_days().take(DAYS_AHEAD as usize + 1).filter(|day| !present.contains(day)) {
            made += u64::from(make_partition(conn, history, day).await?);
        }
    }
    Ok(made)
}

/// The days that have a partition.
async fn partitions(conn: &mut PgConnection, history: History) -> Result<Vec<NaiveDate>, StoreError> {
    let names = sqlx::query_scalar!(
        r#"SELECT c.relname::text AS "name!" FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
           WHERE i.inhparent = to_regclass($1) ORDER BY 1"#,
        history.table(),
    )
    .fetch_all(conn)
    .await?;
    Ok(names.iter().filter_map(|name| history.day_of(name)).collect())
}

/// Makes one partition by attaching a table: `CREATE TABLE ... PARTITION OF` would lock out every writer of history.
async fn make_partition(conn: &mut PgConnection, history: History, day: NaiveDate) -> Result<bool, StoreError> {
    let (table, partition) = (history.table(), history.partition(day));
    let next = day + Days::new(1);
    let mut tx = conn.begin().await?;
    // One replica at a time; the one that waited finds the partition there.
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('partitions', 0))").execute(&mut *tx).await?;
    let needless: bool = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT to_regclass('{partition}') IS NOT NULL OR EXISTS (
             SELECT FROM {table}_default WHERE at >= '{day}T00:00:00Z' AND at < '{next}T00:00:00Z')"
    )))
    .fetch_one(&mut *tx)
    .await?;
    if needless {
        tx.rollback().await?;
        return Ok(false);
    }
    sqlx::query(AssertSqlSafe(format!("CREATE TABLE {partition} (LIKE {table} INCLUDING ALL)")))
        .execute(&mut *tx)
        .await?;
    sqlx::query(AssertSqlSafe(format!(
        "ALTER TABLE {table} ATTACH PARTITION {partition}
         FOR VALUES FROM ('{day}T00:00:00Z') TO ('{next}T00:00:00Z')"
    )))
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(true)
}

/// Drops the days that ended before `cutoff`, and what the default partitions hold of them.
async fn drop_history(conn: &mut PgConnection, cutoff: DateTime<Utc>) -> Result<u64, StoreError> {
    let mut dropped = 0;
    for history in History::ALL {
        for day in partitions(conn, history).await? {
            if day < cutoff.date_naive() {
                let drop = format!("DROP TABLE IF EXISTS {}", history.partition(day));
                sqlx::query(AssertSqlSafe(drop)).execute(&mut *conn).await?;
                dropped += 1;
            }
        }
        let stray = format!(
            "DELETE FROM {0}_default WHERE ctid = ANY(ARRAY(SELECT ctid FROM {0}_default WHERE at < $1 LIMIT $2))",
            history.table()
        );
        while sqlx::query(AssertSqlSafe(stray.as_str()))
            .bind(cutoff)
            .bind(PAGE)
            .execute(&mut *conn)
            .await?
            .rows_affected()
            > 0
        {}
    }
    Ok(dropped)
}

/// Forgets users and groups deleted before `cutoff` with everything on record about them. What is not done at the
/// target stays: a row in the outbox, a look to come, an uncertain write, a step that is held or refused.
async fn purge_tombstones(conn: &mut PgConnection, cutoff: DateTime<Utc>) -> Result<u64, StoreError> {
    let mut purged = 0;
    loop {
        let users = purge_users(conn, cutoff).await?;
        let groups = purge_groups(conn, cutoff).await?;
        purged += users + groups;
        if users + groups == 0 {
            return Ok(purged);
        }
    }
}

async fn purge_users(conn: &mut PgConnection, cutoff: DateTime<Utc>) -> Result<u64, StoreError> {
    // A re-hire between the look and the lock sets deleted_at to NULL, and the lock looks again.
    let n = sqlx::query_scalar!(
        r#"WITH dead AS MATERIALIZED (
               SELECT u.tenant_id, u.id FROM scim_user u
               WHERE u.deleted_at < $1
                 AND NOT EXISTS (SELECT FROM outbox o
                                 WHERE o.tenant_id = u.tenant_id AND o.kind = 'user' AND o.subject_id = u.id)
                 AND NOT EXISTS (SELECT FROM link l WHERE l.tenant_id = u.tenant_id AND l.user_id = u.id
                                 AND (l.look_at IS NOT NULL
                                      OR jsonb_path_exists(l.record, '$.steps.*.state ? (@ != "waived")')))
                 AND NOT EXISTS (SELECT FROM jira_membership j WHERE j.tenant_id = u.tenant_id AND j.user_id = u.id
                                 AND (j.maybe OR j.step->>'state' <> 'waived'))
               LIMIT $2 FOR UPDATE SKIP LOCKED
           ), links AS (
               DELETE FROM link x USING dead WHERE x.tenant_id = dead.tenant_id AND x.user_id = dead.id
           ), claims AS (
               DELETE FROM claim x USING dead WHERE x.tenant_id = dead.tenant_id AND x.user_id = dead.id
           ), pairs AS (
               DELETE FROM jira_membership x USING dead WHERE x.tenant_id = dead.tenant_id AND x.user_id = dead.id
           ), edges AS (
               DELETE FROM group_member x USING dead WHERE x.tenant_id = dead.tenant_id AND x.member_id = dead.id
           ), gone AS (
               DELETE FROM scim_user x USING dead WHERE x.tenant_id = dead.tenant_id AND x.id = dead.id RETURNING 1
           )
           SELECT count(*) AS "n!" FROM gone"#,
        cutoff,
        PAGE,
    )
    .fetch_one(conn)
    .await?;
    Ok(n.unsigned_abs())
}

async fn purge_groups(conn: &mut PgConnection, cutoff: DateTime<Utc>) -> Result<u64, StoreError> {
    let n = sqlx::query_scalar!(
        r#"WITH dead AS MATERIALIZED (
               SELECT g.tenant_id, g.id FROM scim_group g
               WHERE g.deleted_at < $1
                 AND NOT EXISTS (SELECT FROM outbox o
                                 WHERE o.tenant_id = g.tenant_id AND o.kind = 'group' AND o.subject_id = g.id)
               LIMIT $2 FOR UPDATE SKIP LOCKED
           ), touches AS (
               DELETE FROM group_touch x USING dead WHERE x.tenant_id = dead.tenant_id AND x.group_id = dead.id
           ), members AS (
               DELETE FROM group_member x USING dead
               WHERE x.tenant_id = dead.tenant_id AND (x.group_id = dead.id OR x.member_id = dead.id)
           ), gone AS (
               DELETE FROM scim_group x USING dead WHERE x.tenant_id = dead.tenant_id AND x.id = dead.id RETURNING 1
           )
           SELECT count(*) AS "n!" FROM gone"#,
        cutoff,
        GROUP_PAGE,
    )
    .fetch_one(conn)
    .await?;
    Ok(n.unsigned_abs())
}

/// Forgets what the brakes let through so long ago that it counts no more.
async fn forget_grants(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let mut forgotten = 0;
    loop {
        let n = brake::forget_old(conn, PAGE).await?;
        forgotten += n;
        if n < PAGE.unsigned_abs() {
            return Ok(forgotten);
        }
    }
}

/// Finishes the deletion of tenants that a crash, or a request that was still on its way, left rows of. Looks at the
/// first row of each tenant only.
async fn purge_orphans(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let orphans = sqlx::query_scalar!(
        r#"WITH RECURSIVE owner AS (
               (SELECT 'user' AS of, tenant_id FROM scim_user ORDER BY tenant_id LIMIT 1)
               UNION ALL
               (SELECT 'group', tenant_id FROM scim_group ORDER BY tenant_id LIMIT 1)
               UNION ALL
               (SELECT 'outbox', tenant_id FROM outbox ORDER BY tenant_id LIMIT 1)
               UNION ALL
               (SELECT 'link', tenant_id FROM link ORDER BY tenant_id LIMIT 1)
               UNION ALL
               (SELECT 'delta', tenant_id FROM tally_delta ORDER BY tenant_id LIMIT 1)
               UNION ALL
               (SELECT 'tally', tenant_id FROM tally ORDER BY tenant_id LIMIT 1)
               UNION ALL
               SELECT o.of, CASE o.of
                   WHEN 'user' THEN (SELECT tenant_id FROM scim_user x WHERE x.tenant_id > o.tenant_id
                                     ORDER BY tenant_id LIMIT 1)
                   WHEN 'group' THEN (SELECT tenant_id FROM scim_group x WHERE x.tenant_id > o.tenant_id
                                      ORDER BY tenant_id LIMIT 1)
                   WHEN 'outbox' THEN (SELECT tenant_id FROM outbox x WHERE x.tenant_id > o.tenant_id
                                       ORDER BY tenant_id LIMIT 1)
                   WHEN 'link' THEN (SELECT tenant_id FROM link x WHERE x.tenant_id > o.tenant_id
                                     ORDER BY tenant_id LIMIT 1)
                   WHEN 'delta' THEN (SELECT tenant_id FROM tally_delta x WHERE x.tenant_id > o.tenant_id
                                      ORDER BY tenant_id LIMIT 1)
                   ELSE (SELECT tenant_id FROM tally x WHERE x.tenant_id > o.tenant_id
                         ORDER BY tenant_id LIMIT 1)
               END
               FROM owner o WHERE o.tenant_id IS NOT NULL
           )
           SELECT DISTINCT tenant_id AS "tenant_id!" FROM owner
           WHERE tenant_id IS NOT NULL AND NOT EXISTS (SELECT FROM tenant t WHERE t.id = owner.tenant_id)"#,
    )
    .fetch_all(&mut *conn)
    .await?;
    for tenant_id in &orphans {
        tenant::purge(conn, *tenant_id).await?;
    }
    Ok(orphans.len() as u64)
}
