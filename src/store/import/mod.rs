//! What an import asks the store and writes to it: a page of accounts, groups or members at a time, each in a few statements.
//!
//! Everything is safe beside live traffic: constraints decide who was first, and a link is written only where its record is
//! as it was read and nobody drives the user. Nothing here puts anybody into the outbox.

mod groups;
mod members;
mod users;
mod vanished;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

pub use groups::*;
pub use members::*;
pub use users::*;
pub use vanished::*;

/// The origin of what was imported, until the identity provider writes to it.
pub const IMPORTED: &str = "imported";

/// Appends the audit row of a page that changed something.
pub async fn note(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    request_id: Uuid,
    actor: &str,
    body: &Value,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- import.note
        INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
        VALUES ($1, now(), gen_random_uuid(), $2, $3, 'import.page', 'tenant', $1, $4, 200)",
        tenant_id,
        request_id,
        actor,
        body,
    )
    .execute(conn)
    .await?;
    Ok(())
}
