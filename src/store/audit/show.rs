//! What belongs to the rows of a page: the changes that each request made, and what was done to Jira because of it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Change, Delivery, Row};
use crate::store::StoreError;

/// Of each row so many changes and deliveries are shown; a request about a large group has thousands.
const SHOWN: i64 = 20;

/// Adds to rows of one tenant what belongs to them.
pub(super) async fn complete(conn: &mut PgConnection, tenant_id: Uuid, rows: &mut [Row]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let asked: (Vec<Uuid>, Vec<DateTime<Utc>>) = rows.iter().map(|row| (row.request_id, row.at)).unzip();
    let mut changes = changes(conn, tenant_id, &asked).await?;
    let mut deliveries = deliveries(conn, tenant_id, &asked).await?;
    for row in rows {
        if row.changes.is_empty() {
            row.changes = changes.remove(&row.request_id).unwrap_or_default();
        }
        row.deliveries = deliveries.remove(&row.request_id).unwrap_or_default();
    }
    Ok(())
}

async fn changes(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    (ids, at): &(Vec<Uuid>, Vec<DateTime<Utc>>),
) -> Result<HashMap<Uuid, Vec<Change>>, StoreError> {
    let rows = sqlx::query!(
        r#"-- audit.changes
        SELECT asked.request_id AS "request_id!", a.at, a.action, a.kind, a.subject_id, a.status, a.body, a.skipped,
            coalesce(u.attrs ->> 'userName', g.attrs ->> 'displayName') AS name
        FROM (SELECT DISTINCT ON (id) id AS request_id, at FROM unnest($2::uuid[], $3::timestamptz[]) AS i (id, at)
              ORDER BY id, at) asked
        CROSS JOIN LATERAL (
            SELECT * FROM audit WHERE audit.tenant_id = $1 AND audit.request_id = asked.request_id
              AND audit.at >= asked.at - interval '1 minute' AND audit.at <= asked.at + interval '1 day'
            ORDER BY audit.at, audit.id LIMIT $4
        ) a
        LEFT JOIN scim_user u ON a.kind = 'user' AND u.tenant_id = $1 AND u.id = a.subject_id
        LEFT JOIN scim_group g ON a.kind = 'group' AND g.tenant_id = $1 AND g.id = a.subject_id
        ORDER BY a.at, a.id"#,
        tenant_id,
        ids,
        at,
        SHOWN,
    )
    .fetch_all(conn)
    .await?;
    let mut by_request: HashMap<Uuid, Vec<Change>> = HashMap::new();
    for row in rows {
        by_request.entry(row.request_id).or_default().push(Change {
            at: row.at,
            action: row.action,
            kind: row.kind,
            id: row.subject_id,
            name: row.name,
            status: row.status,
            body: row.body,
            skipped: row.skipped.unwrap_or_default(),
        });
    }
    Ok(by_request)
}

async fn deliveries(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    (ids, at): &(Vec<Uuid>, Vec<DateTime<Utc>>),
) -> Result<HashMap<Uuid, Vec<Delivery>>, StoreError> {
    let rows = sqlx::query!(
        r#"-- audit.deliveries
        SELECT asked.request_id AS "request_id!", d.at, d.kind, d.subject_id, d.steps, d.calls, d.outcome, d.error, d.finished,
            coalesce(u.attrs ->> 'userName', g.attrs ->> 'displayName') AS name
        FROM (SELECT DISTINCT ON (id) id AS request_id, at FROM unnest($2::uuid[], $3::timestamptz[]) AS i (id, at)
              ORDER BY id, at) asked
        CROSS JOIN LATERAL (
            SELECT * FROM delivery WHERE delivery.tenant_id = $1 AND delivery.request_id = asked.request_id
              AND delivery.at >= asked.at - interval '1 minute' AND delivery.at <= asked.at + interval '7 days'
            ORDER BY delivery.at, delivery.id LIMIT $4
        ) d
        LEFT JOIN scim_user u ON d.kind = 'user' AND u.tenant_id = $1 AND u.id = d.subject_id
        LEFT JOIN scim_group g ON d.kind = 'group' AND g.tenant_id = $1 AND g.id = d.subject_id
        ORDER BY d.at, d.id"#,
        tenant_id,
        ids,
        at,
        SHOWN,
    )
    .fetch_all(conn)
    .await?;
    let mut by_request: HashMap<Uuid, Vec<Delivery>> = HashMap::new();
    for row in rows {
        by_request.entry(row.request_id).or_default().push(Delivery {
            at: row.at,
            kind: row.kind,
            id: row.subject_id,
            name: row.name,
            request_id: Some(row.request_id),
            steps: row.steps,
            calls: row.calls,
            outcome: row.outcome,
            error: row.error,
            finished: row.finished,
        });
    }
    Ok(by_request)
}
