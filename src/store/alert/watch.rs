//! What has to be looked for now and then: credentials that end, targets that are down, queues that grow old. Each is told
//! once, by one replica, because what was told is on record in `alert_state`; so is its end.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::StoreError;

/// What is of no tenant.
const NOBODYS: Uuid = Uuid::nil();

/// A credential of ours that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The target that it is for.
    pub target: String,
    /// What it is called in the configuration.
    pub credential: String,
    /// From when on it is refused.
    pub expires: DateTime<Utc>,
}

/// Tells of identity providers' credentials 30, 7 and 1 days before they end, and when they have ended. Not of one that
/// was made for a shorter time, nor of one whose place another has taken, unless it is still used.
///
/// # Errors
/// The database's.
pub async fn tokens_end(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let told = sqlx::query!(
        "-- alert.tokens_end
        WITH due AS (
            SELECT k.tenant_id, k.label, k.expires, s.days, k.id || '@' || extract(epoch FROM k.expires)::bigint AS subject
            FROM token k CROSS JOIN LATERAL (
                SELECT CASE WHEN k.expires <= now() THEN 0 WHEN k.expires <= now() + interval '1 day' THEN 1
                    WHEN k.expires <= now() + interval '7 days' THEN 7 ELSE 30 END AS days
            ) s
            WHERE k.revoked IS NULL AND k.expires <= now() + interval '30 days' AND k.expires > now() - interval '1 day'
              AND (k.rotated IS NULL OR k.last_used > k.rotated)
              AND (s.days = 0 OR k.expires - k.created > make_interval(days => s.days))
        ), told AS (
            INSERT INTO alert_state AS a (tenant_id, kind, subject, stage)
            SELECT tenant_id, 'token_expires', subject, days::text FROM due
            ON CONFLICT ON CONSTRAINT alert_state_pkey DO UPDATE SET stage = excluded.stage, since = now()
            WHERE a.stage::integer > excluded.stage::integer
            RETURNING tenant_id, subject
        )
        INSERT INTO alert (tenant_id, id, kind, at, body)
        SELECT d.tenant_id, gen_random_uuid(), 'token_expires', now(),
            jsonb_build_object('label', d.label, 'expires', d.expires, 'days', d.days)
        FROM due d JOIN told USING (tenant_id, subject)",
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "-- alert.forget_ends
        DELETE FROM alert_state WHERE kind IN ('token_expires', 'secret_expires') AND since < now() - interval '90 days'"
    )
    .execute(conn)
    .await?;
    Ok(told.rows_affected())
}

/// The same of our own credentials at targets, as far as the configuration tells when they end.
///
/// # Errors
/// The database's.
pub async fn credentials_end(conn: &mut PgConnection, known: &[Ending]) -> Result<u64, StoreError> {
    let targets: Vec<String> = known.iter().map(|ending| ending.target.clone()).collect();
    let names: Vec<String> = known.iter().map(|ending| ending.credential.clone()).collect();
    let expires: Vec<DateTime<Utc>> = known.iter().map(|ending| ending.expires).collect();
    let told = sqlx::query!(
        "-- alert.credentials_end
        WITH due AS (
            SELECT c.target, c.name, c.expires, s.days,
                c.target || ' ' || c.name || '@' || extract(epoch FROM c.expires)::bigint AS subject
            FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS c (target, name, expires) CROSS JOIN LATERAL (
                SELECT CASE WHEN c.expires <= now() THEN 0 WHEN c.expires <= now() + interval '1 day' THEN 1
                    WHEN c.expires <= now() + interval '7 days' THEN 7 ELSE 30 END AS days
            ) s
            WHERE c.expires <= now() + interval '30 days' AND c.expires > now() - interval '30 days'
        ), told AS (
            INSERT INTO alert_state AS a (tenant_id, kind, subject, stage)
            SELECT $4, 'secret_expires', subject, days::text FROM due
            ON CONFLICT ON CONSTRAINT alert_state_pkey DO UPDATE SET stage = excluded.stage, since = now()
            WHERE a.stage::integer > excluded.stage::integer
            RETURNING subject
        )
        INSERT INTO alert (tenant_id, id, kind, at, body)
        SELECT $4, gen_random_uuid(), 'secret_expires', now(),
            jsonb_build_object('target', d.target, 'credential', d.name, 'expires', d.expires, 'days', d.days)
        FROM due d JOIN told USING (subject)",
        &targets,
        &names,
        &expires,
        NOBODYS,
    )
    .execute(conn)
    .await?;
    Ok(told.rows_affected())
}

/// Tells of targets that have been paused for so long, and when they are back.
///
/// # Errors
/// The database's.
pub async fn targets(conn: &mut PgConnection, names: &[String], after: Duration) -> Result<(), StoreError> {
    sqlx::query!(
        "-- alert.targets_seen
        INSERT INTO alert_state (tenant_id, kind, subject, stage)
        SELECT $1, 'target_down', name, 'seen' FROM target_state WHERE failures > 0 AND name = ANY($2)
        ON CONFLICT ON CONSTRAINT alert_state_pkey DO NOTHING",
        NOBODYS,
        names,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "-- alert.targets_down
        WITH late AS (
            UPDATE alert_state a SET stage = 'told' FROM target_state s
            WHERE a.tenant_id = $1 AND a.kind = 'target_down' AND a.stage = 'seen' AND a.subject = s.name
              AND s.failures > 0 AND s.name = ANY($2) AND a.since <= now() - make_interval(secs => $3)
            RETURNING s.name, s.pause_kind, s.pause_reason, a.since
        )
        INSERT INTO alert (tenant_id, id, kind, at, body)
        SELECT $1, gen_random_uuid(), 'target_down', now(),
            jsonb_build_object('target', name, 'why', pause_kind, 'reason', pause_reason, 'since', since)
        FROM late",
        NOBODYS,
        names,
        after.as_secs_f64(),
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "-- alert.targets_up
        WITH back AS (
            DELETE FROM alert_state a USING target_state s
            WHERE a.tenant_id = $1 AND a.kind = 'target_down' AND a.subject = s.name AND s.failures = 0
            RETURNING a.subject, a.stage, a.since
        )
        INSERT INTO alert (tenant_id, id, kind, at, body)
        SELECT $1, gen_random_uuid(), 'target_up', now(), jsonb_build_object('target', subject, 'down_since', since)
        FROM back WHERE stage = 'told'",
        NOBODYS,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Tells of tenants whose oldest work that could be done has waited for so long, and when it is done. What waits for a time that
/// has not come is not late.
///
/// # Errors
/// The database's.
pub async fn queues(conn: &mut PgConnection, older_than: Duration) -> Result<(), StoreError> {
    sqlx::query!(
        "-- alert.queues
        WITH age AS (
            SELECT t.id, o.oldest, o.depth,
                coalesce(o.oldest <= now() - make_interval(secs => $1), false) AS late
            FROM tenant t CROSS JOIN LATERAL (
                SELECT min(coalesce(first_failure, due_at)) AS oldest, count(*) AS depth FROM outbox
                WHERE tenant_id = t.id AND (first_failure IS NOT NULL OR due_at <= now())
            ) o
        ), begun AS (
            INSERT INTO alert_state (tenant_id, kind, subject, stage) SELECT id, 'queue_old', '', 'told' FROM age WHERE late
            ON CONFLICT ON CONSTRAINT alert_state_pkey DO NOTHING RETURNING tenant_id
        ), ended AS (
            DELETE FROM alert_state s USING age
            WHERE s.tenant_id = age.id AND s.kind = 'queue_old' AND NOT age.late RETURNING s.tenant_id, s.since
        )
        INSERT INTO alert (tenant_id, id, kind, at, body)
        SELECT age.id, gen_random_uuid(), 'queue_old', now(), jsonb_build_object('oldest', oldest, 'waiting', depth)
        FROM begun JOIN age ON age.id = begun.tenant_id
      UNION ALL
        SELECT tenant_id, gen_random_uuid(), 'queue_caught_up', now(), jsonb_build_object('told', since) FROM ended",
        older_than.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
