//! History by size: when it takes more room than it may, its oldest days go, whole.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{History, StoreError};

/// Drops the oldest days until the rest takes at most `limit` bytes; never today's. 0 is no limit. How many tables went.
pub(super) async fn drop_largest(conn: &mut PgConnection, limit: u64, today: NaiveDate) -> Result<u64, StoreError> {
    if limit == 0 {
        return Ok(0);
    }
    let mut days: BTreeMap<NaiveDate, (u64, Vec<String>)> = BTreeMap::new();
    for history in History::ALL {
        for (name, size) in sizes(conn, history).await? {
            let Some(day) = history.day_of(&name) else { continue };
            let of_day = days.entry(day).or_default();
            of_day.0 += size;
            of_day.1.push(name);
        }
    }
    let mut total: u64 = days.values().map(|(size, _)| size).sum();
    let mut dropped = 0;
    for (day, (size, tables)) in days {
        if total <= limit || day >= today {
            break;
        }
        for table in tables {
            let drop = format!("DROP TABLE IF EXISTS {table}");
            sqlx::query(AssertSqlSafe(drop)).execute(&mut *conn).await?;
            dropped += 1;
        }
        tracing::warn!(%day, bytes = total, limit, "history takes more than audit.keep_size: what is on record of {day} is dropped");
        total -= size;
    }
    Ok(dropped)
}

async fn sizes(conn: &mut PgConnection, history: History) -> Result<Vec<(String, u64)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT c.relname::text AS "name!", pg_total_relation_size(c.oid) AS "size!"
           FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1)"#,
        history.table(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.size.unsigned_abs())).collect())
}
