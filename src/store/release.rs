//! Subjects of a tenant in `observe` that somebody releases: rows of the outbox that say which kinds of steps may be done. See
//! `writer::release`.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// Makes subjects due with a release of these kinds, each with its mark: a digest of what is wanted now. A release of the same
/// is widened.
///
/// # Errors
/// The database's.
pub async fn release(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    kind: &str,
    marked: &[(Uuid, String)],
    kinds: &[String],
    request_id: Uuid,
) -> Result<(), StoreError> {
    let (ids, marks): (Vec<Uuid>, Vec<String>) = marked.iter().cloned().unzip();
    sqlx::query!(
        "-- release.release
        INSERT INTO outbox (tenant_id, kind, subject_id, priority, due_at, since, request_id, release, release_mark)
        SELECT $1, $2, m.id, 1, now(), now(), $5, $4, m.mark
        FROM unnest($3::uuid[], $6::text[]) AS m (id, mark) ORDER BY m.id
        ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET seq = outbox.seq + 1, due_at = now(),
            request_id = excluded.request_id, release_mark = excluded.release_mark,
            release = CASE WHEN outbox.release_mark = excluded.release_mark
                THEN ARRAY(SELECT DISTINCT k FROM unnest(outbox.release || excluded.release) AS k WHERE k IS NOT NULL)
                ELSE excluded.release END",
        tenant_id,
        kind,
        &ids,
        kinds,
        request_id,
        &marks,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many released subjects of a tenant still wait for their turn, or for their target.
///
/// # Errors
/// The database's.
pub async fn waiting(conn: &mut PgConnection, tenant_id: Uuid) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"-- release.waiting
        SELECT count(*) AS "count!" FROM outbox WHERE tenant_id = $1 AND release IS NOT NULL"#,
        tenant_id
    )
    .fetch_one(conn)
    .await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// The same, users and groups apart.
///
/// # Errors
/// The database's.
pub async fn waiting_apart(conn: &mut PgConnection, tenant_id: Uuid) -> Result<(u64, u64), StoreError> {
    let found = sqlx::query!(
        r#"-- release.waiting_apart
        SELECT count(*) FILTER (WHERE kind = 'user') AS "users!", count(*) FILTER (WHERE kind = 'group') AS "groups!"
        FROM outbox WHERE tenant_id = $1 AND release IS NOT NULL"#,
        tenant_id
    )
    .fetch_one(conn)
    .await?;
    Ok((u64::try_from(found.users).unwrap_or_default(), u64::try_from(found.groups).unwrap_or_default()))
}

/// What became of the rounds of drives that a request asked for: outcome and how often.
///
/// # Errors
/// The database's.
pub async fn outcomes(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    request_id: Uuid,
    since: DateTime<Utc>,
) -> Result<Vec<(String, u64)>, StoreError> {
    let rows = sqlx::query!(
        r#"-- release.outcomes
        SELECT coalesce(outcome, 'under way') AS "outcome!", count(*) AS "count!" FROM delivery
        WHERE tenant_id = $1 AND at >= $3 AND request_id = $2 GROUP BY 1 ORDER BY 1"#,
        tenant_id,
        request_id,
        since,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.outcome, u64::try_from(row.count).unwrap_or_default())).collect())
}
