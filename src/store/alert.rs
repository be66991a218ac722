//! What people have to be told: written with what it tells of, in the same transaction, and kept until somebody has taken it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Its id, which tells a repeated one from a new one.
    pub id: Uuid,
    /// Whose.
    pub tenant_id: Uuid,
    /// The tenant's name in the URL; none where it was deleted since.
    pub tenant: Option<String>,
    /// `brake`.
    pub kind: String,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What else there is to say.
    pub body: Value,
    /// How often it was sent, this time included.
    pub attempts: i32,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

/// Enters something to tell.
///
/// # Errors
/// The database's.
pub async fn raise(conn: &mut PgConnection, tenant_id: Uuid, kind: &str, body: &Value) -> Result<(), StoreError> {
    sqlx::query!(
        "-- alert.raise
        INSERT INTO alert (tenant_id, id, kind, at, body) VALUES ($1, $2, $3, now(), $4)",
        tenant_id,
        Uuid::now_v7(),
        kind,
        body,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes what is due, and is nobody else's for `hold` from now on.
///
/// # Errors
/// The database's.
pub async fn take(conn: &mut PgConnection, hold: Duration, limit: i64) -> Result<Vec<Alert>, StoreError> {
    let rows = sqlx::query!(
        r#"-- alert.take
        WITH mine AS (
            SELECT tenant_id, id FROM alert WHERE due_at <= now() ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE alert a SET due_at = now() + make_interval(secs => $1), attempts = attempts + 1
            FROM mine WHERE a.tenant_id = mine.tenant_id AND a.id = mine.id
            RETURNING a.id, a.tenant_id, a.kind, a.at, a.body, a.attempts
        )
        SELECT a.id, a.tenant_id, t.slug AS "slug?", a.kind, a.at, a.body, a.attempts, now() AS "now!"
        FROM taken a LEFT JOIN tenant t ON t.id = a.tenant_id ORDER BY a.at, a.id"#,
        hold.as_secs_f64(),
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Alert {
            id: row.id,
            tenant_id: row.tenant_id,
            tenant: row.slug,
            kind: row.kind,
            at: row.at,
            body: row.body,
            attempts: row.attempts,
            now: row.now,
        })
        .collect())
}

/// It was taken, or is too old to be of use.
///
/// # Errors
/// The database's.
pub async fn done(conn: &mut PgConnection, tenant_id: Uuid, id: Uuid) -> Result<(), StoreError> {
    sqlx::query!("-- alert.done\n DELETE FROM alert WHERE tenant_id = $1 AND id = $2", tenant_id, id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets what is that old, taken or not.
///
/// # Errors
/// The database's.
pub async fn forget_old(conn: &mut PgConnection, age: Duration) -> Result<(), StoreError> {
    sqlx::query!(
        "-- alert.forget_old
        DELETE FROM alert WHERE at <= now() - make_interval(secs => $1)",
        age.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It was not taken: once more after a while.
///
/// # Errors
/// The database's.
pub async fn again(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    wait: Duration,
    error: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- alert.again
        UPDATE alert SET due_at = now() + make_interval(secs => $3), last_error = $4 WHERE tenant_id = $1 AND id = $2",
        tenant_id,
        id,
        wait.as_secs_f64(),
        error,
    )
    .execute(conn)
    .await?;
    Ok(())
}
