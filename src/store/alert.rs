//! What people have to be told: written with what it tells of, in the same transaction, and kept until somebody has taken it.

mod watch;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

pub use watch::{Ending, credentials_end, queues, targets, tokens_end};

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Its id, which tells a repeated one from a new one.
    pub id: Uuid,
    /// Whose.
    pub tenant_id: Uuid,
    /// The tenant's name in the URL; none where it was deleted since.
    pub tenant: Option<String>,
    /// `brake`, `refused`, `token_expires`, ...
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

/// Notes that Jira refused something that nobody waited for. What is refused within a minute is one alert, and the next one
/// follows a quarter of an hour later at the earliest: a flood is told, not passed on.
///
/// # Errors
/// The database's.
pub async fn refused(conn: &mut PgConnection, tenant_id: Uuid, count: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "-- alert.refused
        WITH open AS (
            INSERT INTO alert AS a (tenant_id, id, kind, at, body, due_at)
            VALUES ($1, $2, 'refused', now(), jsonb_build_object('refused', $3::bigint),
                    greatest(now() + interval '1 minute', (SELECT since + interval '15 minutes' FROM alert_state
                        WHERE tenant_id = $1 AND kind = 'refused' AND subject = '')))
            ON CONFLICT (tenant_id) WHERE kind = 'refused' AND attempts = 0 AND NOT logged
            DO UPDATE SET body = jsonb_build_object('refused', (a.body ->> 'refused')::bigint + $3)
            RETURNING due_at, id
        )
        INSERT INTO alert_state (tenant_id, kind, subject, stage, since)
        SELECT $1, 'refused', '', 'told', due_at FROM open WHERE id = $2
        ON CONFLICT ON CONSTRAINT alert_state_pkey DO UPDATE SET since = excluded.since",
        tenant_id,
        Uuid::now_v7(),
        count,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What is due and not in the log yet; from now on it is. Each is this caller's alone.
///
/// # Errors
/// The database's.
pub async fn to_log(conn: &mut PgConnection, limit: i64) -> Result<Vec<Alert>, StoreError> {
    Ok(sqlx::query_as!(
        Alert,
        r#"-- alert.to_log
        WITH mine AS (
            SELECT tenant_id, id FROM alert WHERE NOT logged AND (due_at <= now() OR attempts > 0)
            ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE alert a SET logged = true FROM mine WHERE a.tenant_id = mine.tenant_id AND a.id = mine.id
            RETURNING a.id, a.tenant_id, a.kind, a.at, a.body, a.attempts
        )
        SELECT a.id, a.tenant_id, t.slug AS "tenant?", a.kind, a.at, a.body, a.attempts, now() AS "now!"
        FROM taken a LEFT JOIN tenant t ON t.id = a.tenant_id ORDER BY a.at, a.id"#,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Takes what is due, and is nobody else's for `hold` from now on.
///
/// # Errors
/// The database's.
pub async fn take(conn: &mut PgConnection, hold: Duration, limit: i64) -> Result<Vec<Alert>, StoreError> {
    Ok(sqlx::query_as!(
        Alert,
        r#"-- alert.take
        WITH mine AS (
            SELECT tenant_id, id FROM alert WHERE due_at <= now() ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE alert a SET due_at = now() + make_interval(secs => $1), attempts = attempts + 1
            FROM mine WHERE a.tenant_id = mine.tenant_id AND a.id = mine.id
            RETURNING a.id, a.tenant_id, a.kind, a.at, a.body, a.attempts
        )
        SELECT a.id, a.tenant_id, t.slug AS "tenant?", a.kind, a.at, a.body, a.attempts, now() AS "now!"
        FROM taken a LEFT JOIN tenant t ON t.id = a.tenant_id ORDER BY a.at, a.id"#,
        hold.as_secs_f64(),
        limit,
    )
    .fetch_all(conn)
    .await?)
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
