//! Sessions that an admin token began: a session that somebody ended is ended in every replica.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::super::StoreError;
use super::{AdminToken, Role};

/// The token with this id, whatever its state, for a session that nobody has ended.
///
/// # Errors
/// The store failed.
pub async fn of_session(db: impl PgExecutor<'_>, id: Uuid, session: Uuid) -> Result<Option<AdminToken>, StoreError> {
    Ok(sqlx::query_as!(
        AdminToken,
        r#"-- admin_token.of_session
        SELECT id, label, role AS "role: Role", created, expires, revoked, last_used, declared
        FROM admin_token WHERE id = $1 AND NOT EXISTS (SELECT FROM ended_session e WHERE e.id = $2)"#,
        id,
        session,
    )
    .fetch_optional(db)
    .await?)
}

/// Ends a session before its time, and forgets those whose time is over.
///
/// # Errors
/// The store failed.
pub async fn end(
    db: impl PgExecutor<'_>,
    session: Uuid,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- admin_token.end
        WITH over AS (DELETE FROM ended_session WHERE until <= $3)
        INSERT INTO ended_session (id, until) VALUES ($1, $2) ON CONFLICT ON CONSTRAINT ended_session_pkey DO NOTHING",
        session,
        until,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
