//! Forgets what is older than a time, before its days are over.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::by_hand::{Noted, note};
use crate::store::tenant::Origin;

/// Rows that one statement deletes at most.
const PAGE: i64 = 5_000;

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cleared {
    /// Requests.
    pub requests: u64,
    /// Changes.
    pub changes: u64,
    /// Deliveries.
    pub deliveries: u64,
}

/// Deletes a tenant's requests, changes and deliveries before a time. That somebody asks for it is on record before the first
/// row goes, and stays.
///
/// # Errors
/// The database's; calling it again goes on where it stopped.
pub async fn clear(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    before: DateTime<Utc>,
    origin: Origin<'_>,
) -> Result<Cleared, StoreError> {
    let body = json!({ "before": before });
    let noted = Noted {
        tenant_id,
        request_id: origin.request_id,
        actor: origin.actor,
        action: "audit.clear",
        kind: "tenant",
        subject_id: tenant_id,
        body: &body,
    };
    note(conn, noted).await?;
    let mut cleared = Cleared::default();
    macro_rules! pages {
        ($table:literal, $kept:literal) => {{
            let mut gone = 0;
            loop {
                // By key: a place in a partition says nothing without the partition.
                let n = sqlx::query!(
                    "DELETE FROM "
                        + $table
                        + " WHERE tenant_id = $1 AND at < $2 AND (at, id) IN (SELECT at, id FROM "
                        + $table
                        + " WHERE tenant_id = $1 AND at < $2 "
                        + $kept
                        + " ORDER BY at, id LIMIT $3)",
                    tenant_id,
                    before,
                    PAGE,
                )
                .execute(&mut *conn)
                .await?
                .rows_affected();
                gone += n;
                if n == 0 {
                    break gone;
                }
            }
        }};
    }
    cleared.requests = pages!("request", "");
    // Who cleared it before is not cleared.
    cleared.changes = pages!("audit", "AND action <> 'audit.clear'");
    cleared.deliveries = pages!("delivery", "");
    Ok(cleared)
}
