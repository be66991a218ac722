//! The statements of a search: one tenant, newest first, from a place on.
//!
//! What most rows fit is found by walking back from the newest; what few fit is found by its words. Which of the two it is
//! nobody knows beforehand, so a walk of bounded length is tried first.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::words::tsquery;
use super::{Cursor, Query, Row};
use crate::store::StoreError;
use crate::store::jsonb::Loose;

/// Rows that are walked for each one that is wanted, before the words are asked.
pub(super) const WALK: i64 = 200;

/// The first time in which words are looked up, and how many, each twice as long as the one after it, before all the rest.
const SPAN: TimeDelta = TimeDelta::days(1);
const SPANS: usize = 6;

/// A row of `request`.
struct Found {
    tenant_id: Uuid,
    at: DateTime<Utc>,
    id: Uuid,
    request_id: Uuid,
    given: Option<String>,
    side: String,
    actor: String,
    remote: Option<String>,
    method: String,
    path: String,
    status: Option<i16>,
    duration_us: i32,
    body: Option<Loose>,
    error: Option<String>,
}

impl Found {
    fn row(self) -> Row {
        Row {
            tenant: Some(self.tenant_id).filter(|id| *id != super::NOBODY),
            at: self.at,
            id: self.id,
            request_id: self.request_id,
            given: self.given,
            side: self.side,
            actor: self.actor,
            remote: self.remote,
            method: Some(self.method),
            path: Some(self.path),
            status: self.status,
            duration_ms: Some(f64::from(self.duration_us) / 1000.0),
            error: self.error,
            body: self.body.map(|Loose(body)| body),
            changes: Vec::new(),
            more_changes: 0,
            deliveries: Vec::new(),
            more_deliveries: 0,
        }
    }
}

/// Between which times, and behind which row.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) since: DateTime<Utc>,
    pub(super) before: Cursor,
}

impl Bounds {
    pub(super) fn of(query: &Query) -> Self {
        let end = query.until.unwrap_or(DateTime::<Utc>::MAX_UTC.min(FAR));
        let before = Cursor { at: end.min(FAR), id: Uuid::nil() };
        let after = query.after.filter(|after| (after.at, after.id) < (before.at, before.id));
        Self { since: query.since.unwrap_or(DateTime::UNIX_EPOCH), before: after.unwrap_or(before) }
    }
}

/// Later than anything: the year 9999, which the database can hold.
const FAR: DateTime<Utc> = match DateTime::from_timestamp(253_370_764_800, 0) {
    Some(far) => far,
    None => DateTime::UNIX_EPOCH,
};

/// The next rows of one tenant. The caller's transaction plans each statement for its values.
pub(super) async fn requests(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    query: &Query,
    limit: i64,
) -> Result<Vec<Row>, StoreError> {
    if query.side.as_deref() == Some("inside") {
        return Ok(Vec::new());
    }
    let (bounds, words) = (Bounds::of(query), tsquery(query));
    let found = match &words {
        None => walked(conn, tenant_id, bounds, None, limit, limit).await?,
        Some(words) if query.request_id.is_some() => looked_up(conn, tenant_id, bounds, words, limit).await?,
        Some(words) => {
            let near = walked(conn, tenant_id, bounds, Some(words), limit * WALK, limit).await?;
            let enough = i64::try_from(near.len()).is_ok_and(|n| n >= limit);
            if enough { near } else { backwards(conn, tenant_id, bounds, words, limit).await? }
        }
    };
    Ok(found.into_iter().map(Found::row).collect())
}

async fn walked(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    Bounds { since, before }: Bounds,
    words: Option<&str>,
    length: i64,
    limit: i64,
) -> Result<Vec<Found>, StoreError> {
    Ok(sqlx::query_as!(
        Found,
        r#"-- audit.walk
        SELECT tenant_id, at, id, request_id, given, side, actor, remote, method, path, status, duration_us,
            body AS "body: Loose", error
        FROM (
            SELECT * FROM request
            WHERE tenant_id = $1 AND at >= $2 AND at <= $3 AND (at, id) < ($3, $4)
            ORDER BY at DESC, id DESC LIMIT $5
        ) near
        WHERE $6::text IS NULL OR words @@ $6::tsquery
        ORDER BY at DESC, id DESC LIMIT $7"#,
        tenant_id,
        since,
        before.at,
        before.id,
        length,
        words,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// The newest that fit: of the last day, then of ever longer times before it, so that what thousands of rows fit is not gathered
/// whole for the sake of a page.
async fn backwards(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    bounds: Bounds,
    words: &str,
    limit: i64,
) -> Result<Vec<Found>, StoreError> {
    let (mut found, mut before, mut span) = (Vec::new(), bounds.before, SPAN);
    for _ in 0..SPANS {
        // The first of them reaches back from now, not from the year 9999.
        let begin = before.at.min(Utc::now()) - span;
        let since = if begin <= bounds.since { bounds.since } else { begin };
        let wanted = limit - found.len() as i64;
        found.extend(looked_up(conn, tenant_id, Bounds { since, before }, words, wanted).await?);
        if since == bounds.since || found.len() as i64 >= limit {
            return Ok(found);
        }
        before = Cursor { at: since, id: Uuid::nil() };
        span = span * 2;
    }
    let wanted = limit - found.len() as i64;
    found.extend(looked_up(conn, tenant_id, Bounds { since: bounds.since, before }, words, wanted).await?);
    Ok(found)
}

async fn looked_up(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    Bounds { since, before }: Bounds,
    words: &str,
    limit: i64,
) -> Result<Vec<Found>, StoreError> {
    Ok(sqlx::query_as!(
        Found,
        r#"-- audit.look_up
        WITH hits AS MATERIALIZED (
            SELECT tenant_id, at, id FROM request
            WHERE tenant_id = $1 AND at >= $2 AND at <= $3 AND (at, id) < ($3, $4)
              AND words @@ $5::text::tsquery
        ), newest AS MATERIALIZED (
            SELECT * FROM hits ORDER BY at DESC, id DESC LIMIT $6
        )
        SELECT r.tenant_id, r.at, r.id, r.request_id, r.given, r.side, r.actor, r.remote, r.method, r.path, r.status,
            r.duration_us, r.body AS "body: Loose", r.error
        FROM newest JOIN request r ON r.tenant_id = newest.tenant_id AND r.at = newest.at AND r.id = newest.id
        WHERE r.at >= $2 AND r.at <= $3
        ORDER BY r.at DESC, r.id DESC"#,
        tenant_id,
        since,
        before.at,
        before.id,
        words,
        limit,
    )
    .fetch_all(conn)
    .await?)
}
