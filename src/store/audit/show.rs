//! What belongs to the rows of a page: the changes that each request made, and what was done to Jira because of it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Change, Delivery, Row};
use crate::store::StoreError;
use crate::store::jsonb::Loose;

/// Of each row so many changes and deliveries are shown; a request about a large group has thousands.
const SHOWN: i64 = 20;
/// How many are counted beyond these.
const COUNTED: i64 = 100_000;
/// How many one statement adds to a row of an export.
const PAGE: i64 = 1000;
/// How long before a row its changes may be, and how long after it these and the deliveries.
const AROUND: [TimeDelta; 3] = [TimeDelta::minutes(1), TimeDelta::days(1), TimeDelta::days(7)];

/// Adds to rows of one tenant what belongs to them.
pub(super) async fn complete(conn: &mut PgConnection, tenant_id: Uuid, rows: &mut [Row]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let asked: (Vec<Uuid>, Vec<DateTime<Utc>>) = rows.iter().map(|row| (row.request_id, row.at)).unzip();
    let mut changes = changes_of(conn, tenant_id, &asked, (SHOWN, 0)).await?;
    let mut deliveries = deliveries_of(conn, tenant_id, &asked, (SHOWN, 0)).await?;
    for row in rows.iter_mut() {
        // What stands alone is its own change.
        if row.changes.is_empty() {
            row.changes = changes.remove(&row.request_id).unwrap_or_default();
        }
        row.deliveries = deliveries.remove(&row.request_id).unwrap_or_default();
    }
    let full = |shown: usize| shown as i64 == SHOWN;
    for row in rows.iter_mut().filter(|row| full(row.changes.len()) || full(row.deliveries.len())) {
        let (changes, deliveries) = counted(conn, tenant_id, row).await?;
        row.more_changes = changes - row.changes.len() as i64;
        row.more_deliveries = deliveries - row.deliveries.len() as i64;
    }
    for (request, delivery) in followed(conn, tenant_id, rows).await? {
        if let Some(row) = rows.iter_mut().find(|row| row.request_id == request) {
            row.deliveries.push(delivery);
        }
    }
    Ok(())
}

/// What was done to Jira for a later request, and with it for the change of an earlier one: that is not delivered twice.
async fn followed(conn: &mut PgConnection, tenant_id: Uuid, rows: &[Row]) -> Result<Vec<(Uuid, Delivery)>, StoreError> {
    let (mut seen, mut requests, mut subjects) = (HashSet::new(), Vec::new(), Vec::new());
    let (mut kinds, mut from, mut until) = (Vec::new(), Vec::new(), Vec::new());
    for (row, change) in rows.iter().flat_map(|row| row.changes.iter().map(move |change| (row, change))) {
        let mut own = row.deliveries.iter().filter(|delivery| delivery.id == change.id).peekable();
        // Where nothing was tried for the change itself, it may have concerned nothing that Jira has.
        let within = if own.peek().is_some() { AROUND[2] } else { AROUND[1] };
        let applied = own.any(|delivery| delivery.outcome.as_deref() == Some("applied"));
        if applied || !seen.insert((row.request_id, change.id)) {
            continue;
        }
        requests.push(row.request_id);
        subjects.push(change.id);
        kinds.push(change.kind.clone());
        from.push(change.at);
        until.push(change.at + within);
    }
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let found = sqlx::query!(
        r#"-- audit.followed
        SELECT i.request_id AS "asked!", d.at, d.kind, d.subject_id, d.request_id, d.steps AS "steps: Loose",
            d.calls AS "calls: Loose", d.outcome, d.error, d.finished,
            coalesce(u.attrs ->> 'userName', g.attrs ->> 'displayName') AS name
        FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[])
            AS i (request_id, subject_id, kind, since, until)
        CROSS JOIN LATERAL (
            SELECT * FROM delivery x WHERE x.tenant_id = $1 AND x.subject_id = i.subject_id AND x.kind = i.kind
              AND x.at >= i.since AND x.at <= i.until AND x.outcome = 'applied' AND x.request_id <> i.request_id
            ORDER BY x.at LIMIT 1
        ) d
        LEFT JOIN scim_user u ON d.kind = 'user' AND u.tenant_id = $1 AND u.id = d.subject_id
        LEFT JOIN scim_group g ON d.kind = 'group' AND g.tenant_id = $1 AND g.id = d.subject_id"#,
        tenant_id,
        &requests,
        &subjects,
        &kinds,
        &from,
        &until,
    )
    .fetch_all(conn)
    .await?;
    let shown = found.into_iter().map(|row| {
        let delivery = Delivery {
            at: row.at,
            kind: row.kind,
            id: row.subject_id,
            name: row.name,
            request_id: row.request_id,
            steps: row.steps.0,
            calls: row.calls.0,
            outcome: row.outcome,
            error: row.error,
            finished: row.finished,
        };
        (row.asked, delivery)
    });
    Ok(shown.collect())
}

/// How many changes and deliveries a request has.
async fn counted(conn: &mut PgConnection, tenant_id: Uuid, row: &Row) -> Result<(i64, i64), StoreError> {
    let [before, changes, deliveries] = AROUND;
    let found = sqlx::query!(
        r#"-- audit.counted
        SELECT (SELECT count(*) FROM (SELECT FROM audit WHERE tenant_id = $1 AND request_id = $2 AND at >= $3 AND at <= $4
                                      LIMIT $6) a) AS "changes!",
            (SELECT count(*) FROM (SELECT FROM delivery WHERE tenant_id = $1 AND request_id = $2 AND at >= $3 AND at <= $5
                                   LIMIT $6) d) AS "deliveries!""#,
        tenant_id,
        row.request_id,
        row.at - before,
        row.at + changes,
        row.at + deliveries,
        COUNTED,
    )
    .fetch_one(conn)
    .await?;
    Ok((found.changes, found.deliveries))
}

/// Adds to a row of an export what the list leaves out of it, as long as `room` lasts; what is not there then is counted in the
/// row.
pub(super) async fn whole(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    row: &mut Row,
    room: &mut usize,
) -> Result<(), StoreError> {
    let asked = (vec![row.request_id], vec![row.at]);
    while row.more_changes > 0 && *room > 0 {
        let more = changes_of(conn, tenant_id, &asked, (PAGE, row.changes.len() as i64)).await?;
        let more = more.into_values().next().unwrap_or_default();
        row.more_changes = if more.is_empty() { 0 } else { row.more_changes - more.len() as i64 };
        *room = room.saturating_sub(more.len());
        row.changes.extend(more);
    }
    while row.more_deliveries > 0 && *room > 0 {
        let own = row.deliveries.iter().filter(|delivery| delivery.request_id == Some(row.request_id)).count();
        let more = deliveries_of(conn, tenant_id, &asked, (PAGE, own as i64)).await?;
        let more = more.into_values().next().unwrap_or_default();
        row.more_deliveries = if more.is_empty() { 0 } else { row.more_deliveries - more.len() as i64 };
        *room = room.saturating_sub(more.len());
        row.deliveries.extend(more);
    }
    Ok(())
}

/// The changes, or the deliveries, of some requests (`$2`, at `$3`): of each `$4` at most, the first ones left out (`$5`).
macro_rules! of_requests {
    ($columns:literal, $table:literal, $after:literal, $($bind:expr),+ $(,)?) => {
        sqlx::query!(
            r#"SELECT asked.request_id AS "request_id!", e.at, e.kind, e.subject_id, "#
                + $columns
                + r#", coalesce(u.attrs ->> 'userName', g.attrs ->> 'displayName') AS name
                FROM (SELECT DISTINCT ON (id) id AS request_id, at FROM unnest($2::uuid[], $3::timestamptz[]) AS i (id, at)
                      ORDER BY id, at) asked
                CROSS JOIN LATERAL (
                    SELECT * FROM "#
                + $table
                + " x WHERE x.tenant_id = $1 AND x.request_id = asked.request_id AND x.at >= asked.at - interval '1 minute'
                      AND x.at <= asked.at + interval '"
                + $after
                + "' ORDER BY x.at, x.id LIMIT $4 OFFSET $5
                ) e
                LEFT JOIN scim_user u ON e.kind = 'user' AND u.tenant_id = $1 AND u.id = e.subject_id
                LEFT JOIN scim_group g ON e.kind = 'group' AND g.tenant_id = $1 AND g.id = e.subject_id
                ORDER BY e.at, e.id",
            $($bind),+
        )
    };
}

type Asked = (Vec<Uuid>, Vec<DateTime<Utc>>);

async fn changes_of(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    (ids, at): &Asked,
    (limit, offset): (i64, i64),
) -> Result<HashMap<Uuid, Vec<Change>>, StoreError> {
    let rows = of_requests!(
        r#"e.action, e.status, e.body AS "body: Loose", e.skipped"#,
        "audit",
        "1 day",
        tenant_id,
        ids,
        at,
        limit,
        offset,
    );
    let mut by_request: HashMap<Uuid, Vec<Change>> = HashMap::new();
    for row in rows.fetch_all(conn).await? {
        by_request.entry(row.request_id).or_default().push(Change {
            at: row.at,
            action: row.action,
            kind: row.kind,
            id: row.subject_id,
            name: row.name,
            status: row.status,
            body: row.body.map(|Loose(body)| body),
            skipped: row.skipped.unwrap_or_default(),
        });
    }
    Ok(by_request)
}

async fn deliveries_of(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    (ids, at): &Asked,
    (limit, offset): (i64, i64),
) -> Result<HashMap<Uuid, Vec<Delivery>>, StoreError> {
    let rows = of_requests!(
        r#"e.steps AS "steps: Loose", e.calls AS "calls: Loose", e.outcome, e.error, e.finished"#,
        "delivery",
        "7 days",
        tenant_id,
        ids,
        at,
        limit,
        offset,
    );
    let mut by_request: HashMap<Uuid, Vec<Delivery>> = HashMap::new();
    for row in rows.fetch_all(conn).await? {
        by_request.entry(row.request_id).or_default().push(Delivery {
            at: row.at,
            kind: row.kind,
            id: row.subject_id,
            name: row.name,
            request_id: Some(row.request_id),
            steps: row.steps.0,
            calls: row.calls.0,
            outcome: row.outcome,
            error: row.error,
            finished: row.finished,
        });
    }
    Ok(by_request)
}
