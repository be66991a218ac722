//! How much was asked of us, and how much we asked of Jiras, by quarter of an hour: for charts. Each replica adds what it
//! counted since it last did.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::StoreError;

/// The length of a step in seconds.
pub const STEP_SECONDS: i64 = 900;
/// How long counts are kept.
const KEEP_DAYS: i32 = 8;

/// What was counted of one tenant or target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The tenant's slug, or the target's name.
    pub name: String,
    /// All.
    pub total: i64,
    /// Of these, what did not go well.
    pub failed: i64,
}

/// The beginning of the step that a time is in.
pub fn step_of(at: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = at.timestamp().div_euclid(STEP_SECONDS) * STEP_SECONDS;
    DateTime::from_timestamp(seconds, 0).unwrap_or(at)
}

/// Adds to the step that `now` is in, and forgets what is old.
///
/// # Errors
/// The store failed.
pub async fn add(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    requests: &[Counted],
    calls: &[Counted],
) -> Result<(), StoreError> {
    let at = step_of(now);
    let (names, totals, failed) = columns(requests);
    // In one order, so that replicas that add at the same time do not wait for each other crosswise.
    sqlx::query!(
        "-- activity.add_requests
        WITH old AS (DELETE FROM request_count WHERE at < $4::timestamptz - make_interval(days => $5))
        INSERT INTO request_count (tenant_id, at, total, failed)
        SELECT t.id, $4, c.total, c.failed
        FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS c (slug, total, failed) JOIN tenant t ON t.slug = c.slug
        ORDER BY t.id
        ON CONFLICT (tenant_id, at) DO UPDATE
        SET total = request_count.total + excluded.total, failed = request_count.failed + excluded.failed",
        &names,
        &totals,
        &failed,
        at,
        KEEP_DAYS,
    )
    .execute(&mut *conn)
    .await?;
    let (names, totals, failed) = columns(calls);
    sqlx::query!(
        "-- activity.add_calls
        WITH old AS (DELETE FROM call_count WHERE at < $4::timestamptz - make_interval(days => $5))
        INSERT INTO call_count (target, at, total, failed)
        SELECT c.target, $4, c.total, c.failed
        FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS c (target, total, failed)
        ORDER BY c.target
        ON CONFLICT (target, at) DO UPDATE
        SET total = call_count.total + excluded.total, failed = call_count.failed + excluded.failed",
        &names,
        &totals,
        &failed,
        at,
        KEEP_DAYS,
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn columns(counted: &[Counted]) -> (Vec<String>, Vec<i64>, Vec<i64>) {
    let names = counted.iter().map(|one| one.name.clone()).collect();
    (names, counted.iter().map(|one| one.total).collect(), counted.iter().map(|one| one.failed).collect())
}

/// One line of a chart: a number a step, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Series {
    /// The tenant's slug, or the target's name.
    pub name: String,
    /// All.
    pub total: Vec<i64>,
    /// Of these, what did not go well.
    pub failed: Vec<i64>,
}

/// The last so many steps up to the one that `now` is in.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Activity {
    /// The beginning of the first step.
    pub from: DateTime<Utc>,
    /// The length of a step.
    pub step_seconds: i64,
    /// SCIM requests, by tenant.
    pub requests: Vec<Series>,
    /// Calls to Jira, by target.
    pub calls: Vec<Series>,
}

/// Reads the last so many steps, of all tenants and targets that had any.
///
/// # Errors
/// The store failed.
pub async fn last(conn: &mut PgConnection, now: DateTime<Utc>, steps: usize) -> Result<Activity, StoreError> {
    let back = TimeDelta::seconds(STEP_SECONDS * i64::try_from(steps).unwrap_or(1).saturating_sub(1));
    let from = step_of(now) - back;
    let requests = sqlx::query!(
        r#"-- activity.requests
        SELECT t.slug AS name, c.at, c.total, c.failed FROM request_count c JOIN tenant t ON t.id = c.tenant_id
        WHERE c.at >= $1"#,
        from,
    )
    .fetch_all(&mut *conn)
    .await?;
    let requests = requests.into_iter().map(|row| (row.name, row.at, row.total, row.failed));
    let calls = sqlx::query!(
        "-- activity.calls
        SELECT target, at, total, failed FROM call_count WHERE at >= $1",
        from,
    )
    .fetch_all(conn)
    .await?;
    let calls = calls.into_iter().map(|row| (row.target, row.at, row.total, row.failed));
    let (requests, calls) = (series(from, steps, requests), series(from, steps, calls));
    Ok(Activity { from, step_seconds: STEP_SECONDS, requests, calls })
}

fn series(
    from: DateTime<Utc>,
    steps: usize,
    rows: impl Iterator<Item = (String, DateTime<Utc>, i64, i64)>,
) -> Vec<Series> {
    let mut all: BTreeMap<String, Series> = BTreeMap::new();
    for (name, at, total, failed) in rows {
        let place = usize::try_from((at - from).num_seconds() / STEP_SECONDS).unwrap_or(usize::MAX);
        let line =
            all.entry(name.clone()).or_insert_with(|| Series { name, total: vec![0; steps], failed: vec![0; steps] });
        if let (Some(all), Some(bad)) = (line.total.get_mut(place), line.failed.get_mut(place)) {
            (*all, *bad) = (total, failed);
        }
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_step_that_nothing_was_counted_in_is_nought() {
        let from = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let at = |step: i64| from + TimeDelta::seconds(step * STEP_SECONDS);
        let rows = [("a", at(0), 3, 1), ("b", at(2), 1, 0), ("a", at(2), 5, 0), ("a", at(9), 9, 9)];
        let lines = series(from, 3, rows.into_iter().map(|(name, at, all, bad)| (name.to_owned(), at, all, bad)));
        assert_eq!(lines.iter().map(|line| line.total.clone()).collect::<Vec<_>>(), [[3, 0, 5], [0, 0, 1]]);
        assert_eq!(lines[0].failed, [1, 0, 0]);
    }

    #[test]
    fn a_step_begins_at_a_quarter_of_an_hour() {
        let at = DateTime::parse_from_rfc3339("2026-11-21T21:44:59.9Z").unwrap().to_utc();
        assert_eq!(step_of(at).to_rfc3339(), "2026-11-21T21:30:00+00:00");
    }
}
