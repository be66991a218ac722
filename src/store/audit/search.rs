//! The statements of a search: one tenant, newest first, from a place on.
//!
//! What most rows fit is found by walking back from the newest; what few fit is found by its words. Which of the two it is
//! nobody knows beforehand, so a walk of bounded length is tried first.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::words::{asked_words, tsquery};
use super::{Change, Cursor, Query, Row};
use crate::account::fold;
use crate::store::StoreError;
use crate::store::jsonb::Loose;

/// Rows that are walked for each one that is wanted, before the words are asked.
const WALK: i64 = 200;

/// The first time in which words are looked up, and how many, each twice as long as the one after it, before all the rest.
const SPAN: TimeDelta = TimeDelta::days(1);
const SPANS: usize = 6;

/// How the actor of an administrator's change begins.
const ADMINISTRATOR: &str = "admin:";
/// What is told of an administrator's change without its request.
const UNWRITTEN: &str = "The request of this change is not on record (yet); the change is.";

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
struct Bounds {
    since: DateTime<Utc>,
    before: Cursor,
}

impl Bounds {
    fn of(query: &Query) -> Self {
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

/// Changes that are on record without a request: of commands and of the daemon itself; and those of an administrator whose
/// request was not written down, because the process was killed. There are few, so nothing but their time is looked up.
pub(super) async fn inside(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    query: &Query,
    limit: i64,
) -> Result<Vec<Row>, StoreError> {
    let by_request = query.method.is_some() || query.remote.is_some();
    if by_request || query.side.as_deref() == Some("scim") {
        return Ok(Vec::new());
    }
    let Bounds { since, before } = Bounds::of(query);
    let like: Vec<String> = asked_words(query)
        .iter()
        .map(|word| format!("%{}%", word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")))
        .collect();
    let rows = sqlx::query!(
        r#"-- audit.inside
        SELECT a.at, a.id, a.request_id, a.actor, a.action, a.kind, a.subject_id, a.body AS "body: Loose", a.status,
            a.skipped, starts_with(a.actor, 'admin:') AND NOT EXISTS (
                SELECT FROM request r WHERE r.tenant_id = $13 AND r.request_id = a.request_id
                  AND r.at >= a.at - interval '1 day' AND r.at <= a.at + interval '1 day') AS "unwritten!",
            coalesce(u.attrs ->> 'userName', g.attrs ->> 'displayName') AS name
        FROM audit a
        LEFT JOIN scim_user u ON a.kind = 'user' AND u.tenant_id = $1 AND u.id = a.subject_id
        LEFT JOIN scim_group g ON a.kind = 'group' AND g.tenant_id = $1 AND g.id = a.subject_id
        WHERE a.tenant_id = $1 AND a.at >= $2 AND a.at <= $3 AND (a.at, a.id) < ($3, $4) AND a.remote IS NULL
          AND ($12::text IS NULL OR starts_with(a.actor, 'admin:') = ($12 = 'admin'))
          AND ($5::uuid[] IS NULL OR a.subject_id = ANY($5)) AND ($6::uuid[] IS NULL OR a.subject_id = ANY($6))
          AND ($7::text IS NULL OR a.status::text = $7 OR left(a.status::text, 1) || 'xx' = $7)
          AND ($8::text IS NULL OR lower(a.actor) = lower($8)) AND ($9::uuid IS NULL OR a.request_id = $9)
          AND ($10::text[] IS NULL
               OR lower(concat_ws(' ', a.actor, a.action, a.subject_id, a.body::text)) LIKE ALL ($10))
          AND NOT EXISTS (SELECT FROM request r WHERE r.tenant_id = a.tenant_id AND r.request_id = a.request_id
                          AND r.at >= a.at - interval '1 day' AND r.at <= a.at + interval '1 day')
        ORDER BY a.at DESC, a.id DESC LIMIT $11"#,
        tenant_id,
        since,
        before.at,
        before.id,
        query.user.as_deref(),
        query.group.as_deref(),
        query.status.as_deref().map(fold),
        query.actor,
        query.request_id,
        (!like.is_empty()).then_some(like.as_slice()),
        limit,
        query.side,
        super::NOBODY,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Row {
            tenant: Some(tenant_id).filter(|id| *id != super::NOBODY),
            at: row.at,
            id: row.id,
            request_id: row.request_id,
            given: None,
            side: if row.actor.starts_with(ADMINISTRATOR) { "admin" } else { "inside" }.to_owned(),
            error: row.unwritten.then(|| UNWRITTEN.to_owned()),
            actor: row.actor,
            remote: None,
            method: None,
            path: None,
            status: Some(row.status),
            duration_ms: None,
            body: None,
            changes: vec![Change {
                at: row.at,
                action: row.action,
                kind: row.kind,
                id: row.subject_id,
                name: row.name,
                status: row.status,
                body: row.body.map(|Loose(body)| body),
                skipped: row.skipped.unwrap_or_default(),
            }],
            more_changes: 0,
            deliveries: Vec::new(),
            more_deliveries: 0,
        })
        .collect())
}
