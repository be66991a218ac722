//! The brake as people and metrics see it. Reads only, without a lock.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Levels, Trip, trip};
use crate::store::StoreError;

/// A tenant's brake as it is at this moment, without a lock.
///
/// # Errors
/// The database's.
pub async fn look(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    window: Duration,
) -> Result<(Option<Trip>, Levels), StoreError> {
    let row = sqlx::query!(
        r#"-- brake.look
        SELECT b.tripped_at AS "tripped_at?", b.class AS "class?", b.reason AS "reason?",
            coalesce(b.gone - (SELECT gone_before FROM brake_grant WHERE tenant_id = $1 AND class = 'accounts'
                AND verdict = 'granted' AND at > greatest(now() - make_interval(secs => $2), b.counts_since)
                ORDER BY at LIMIT 1), 0) AS "gone!",
            coalesce(b.accounts - (SELECT sum_before FROM brake_grant WHERE tenant_id = $1 AND class = 'accounts'
                AND verdict = 'granted' AND at > greatest(now() - make_interval(secs => $2), b.counts_since)
                ORDER BY at LIMIT 1), 0) AS "accounts!",
            coalesce(b.memberships - (SELECT sum_before FROM brake_grant WHERE tenant_id = $1
                AND class = 'memberships' AND verdict = 'granted'
                AND at > greatest(now() - make_interval(secs => $2), b.counts_since) ORDER BY at LIMIT 1), 0)
                AS "memberships!",
            coalesce((SELECT n FROM tally WHERE tenant_id = $1 AND kind = 'user'), 0)
                + coalesce((SELECT sum(delta) FROM tally_delta WHERE tenant_id = $1 AND kind = 'user'), 0) AS "people!"
        FROM (SELECT 1) AS one LEFT JOIN brake b ON b.tenant_id = $1"#,
        tenant_id,
        window.as_secs_f64(),
    )
    .fetch_one(conn)
    .await?;
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    let levels = Levels {
        accounts: number(row.accounts),
        memberships: number(row.memberships),
        people: u64::try_from(row.people).unwrap_or(0),
        gone: number(row.gone),
    };
    Ok((trip(row.tripped_at, row.class, row.reason), levels))
}

/// Every tenant's brake, for the metrics: its name in the URL, and whether it is tripped.
///
/// # Errors
/// The database's.
pub async fn sample(conn: &mut PgConnection) -> Result<Vec<(String, bool)>, StoreError> {
    let rows = sqlx::query!(
        r#"-- brake.sample
        SELECT t.slug, b.tripped_at IS NOT NULL AS "tripped!"
        FROM tenant t LEFT JOIN brake b ON b.tenant_id = t.id ORDER BY t.slug"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.slug, row.tripped)).collect())
}
