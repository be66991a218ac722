//! Deliveries: one row for each attempt to bring a subject up to date. The answer to "what did you do to Jira".

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::drive::Lease;

/// Which delivery.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryId {
    /// Its id; also the request id of the calls it makes.
    pub id: Uuid,
    /// When it began; part of the key, because deliveries are kept by day.
    pub at: DateTime<Utc>,
}

/// Begins a delivery: its planned steps are on record before the first call.
pub async fn begin(conn: &mut PgConnection, lease: &Lease, id: Uuid, steps: &Value) -> Result<DeliveryId, StoreError> {
    sqlx::query!(
        "-- delivery.begin
        INSERT INTO delivery (tenant_id, at, id, kind, subject_id, request_id, steps)
        VALUES ($1, $2, $3, $4, $5, $6, $7)",
        lease.tenant_id,
        lease.now,
        id,
        lease.subject.kind(),
        lease.subject.id(),
        lease.request_id,
        steps,
    )
    .execute(conn)
    .await?;
    Ok(DeliveryId { id, at: lease.now })
}

/// Ends a delivery with what became of it.
pub async fn end(
    conn: &mut PgConnection,
    lease: &Lease,
    delivery: DeliveryId,
    steps: &Value,
    calls: &Value,
    outcome: &str,
    error: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- delivery.end
        UPDATE delivery SET steps = $4, calls = $5, outcome = $6, error = $7, finished = now()
        WHERE tenant_id = $1 AND at = $2 AND id = $3",
        lease.tenant_id,
        delivery.at,
        delivery.id,
        steps,
        calls,
        outcome,
        error,
    )
    .execute(conn)
    .await?;
    Ok(())
}
