//! Changes that are on record without a request: of commands, of the daemon itself, of a source that is read; and those of an
//! administrator whose request was not written down, because the process was killed. Found as requests are: what many fit by
//! walking back, what few fit by its words.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::search::{Bounds, WALK};
use super::words::inside_query;
use super::{Change, Cursor, Query, Row};
use crate::account::fold;
use crate::store::StoreError;
use crate::store::jsonb::Loose;

/// How the actor of an administrator's change begins.
const ADMINISTRATOR: &str = "admin:";
/// What is told of an administrator's change without its request.
const UNWRITTEN: &str = "The request of this change is not on record (yet); the change is.";

/// Hits of one look-up by words.
const HITS: i64 = 2000;

/// The next such changes of one tenant. The caller's transaction plans each statement for its values.
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
    let bounds = Bounds::of(query);
    let Some(words) = inside_query(query) else { return fitting(conn, tenant_id, query, bounds, None, limit).await };
    let near = walked_to(conn, tenant_id, bounds, limit * WALK).await?;
    let since = near.map_or(bounds.since, |near| near.max(bounds.since));
    let found = fitting(conn, tenant_id, query, Bounds { since, ..bounds }, Some((&words, None)), limit).await?;
    if since == bounds.since || found.len() as i64 >= limit {
        return Ok(found);
    }
    let (mut found, mut before) = (Vec::new(), bounds.before);
    loop {
        let hits = hits(conn, tenant_id, Bounds { before, ..bounds }, &words).await?;
        let ids: Vec<Uuid> = hits.iter().map(|hit| hit.id).collect();
        let wanted = limit - found.len() as i64;
        found.extend(fitting(conn, tenant_id, query, bounds, Some((&words, Some(&ids))), wanted).await?);
        match hits.last() {
            Some(last) if hits.len() as i64 == HITS && (found.len() as i64) < limit => before = *last,
            _ => return Ok(found),
        }
    }
}

/// How far back so many of these changes reach; `None` where there are not so many.
async fn walked_to(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    Bounds { since, before }: Bounds,
    length: i64,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- audit.walked_to
        SELECT at FROM audit WHERE tenant_id = $1 AND at >= $2 AND at <= $3 AND (at, id) < ($3, $4) AND remote IS NULL
        ORDER BY at DESC, id DESC OFFSET $5 LIMIT 1",
        tenant_id,
        since,
        before.at,
        before.id,
        length,
    )
    .fetch_optional(conn)
    .await?)
}

/// The newest that have these words.
async fn hits(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    Bounds { since, before }: Bounds,
    words: &str,
) -> Result<Vec<Cursor>, StoreError> {
    let found = sqlx::query!(
        r#"-- audit.inside_hits
        WITH hits AS MATERIALIZED (
            SELECT at, id FROM audit
            WHERE tenant_id = $1 AND at >= $2 AND at <= $3 AND (at, id) < ($3, $4) AND remote IS NULL
              AND words @@ $5::text::tsquery
        )
        SELECT at, id FROM hits ORDER BY at DESC, id DESC LIMIT $6"#,
        tenant_id,
        since,
        before.at,
        before.id,
        words,
        HITS,
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(|row| Cursor { at: row.at, id: row.id }).collect())
}

/// Those that fit the query: with these words, and among these where there are ids.
async fn fitting(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    query: &Query,
    Bounds { since, before }: Bounds,
    among: Option<(&str, Option<&[Uuid]>)>,
    limit: i64,
) -> Result<Vec<Row>, StoreError> {
    let (words, ids) = among.unzip();
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
          AND ($10::text IS NULL OR a.words @@ $10::tsquery) AND ($14::uuid[] IS NULL OR a.id = ANY($14))
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
        words,
        limit,
        query.side,
        super::NOBODY,
        ids.flatten(),
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
