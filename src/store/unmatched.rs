//! What the store knows of accounts at a target: which of them are somebody's, and when they were last compared.

use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// Positions (from 0) of the accounts that are linked to or claimed by a user of any tenant of the target, deleted ones
/// included, that were found for one and not linked, or whose names are those of a living user who has none yet. `ids`, `names` and `emails` run side by side; names
/// and addresses are folded.
pub async fn claimed(
    conn: &mut PgConnection,
    target: &str,
    ids: &[String],
    names: &[String],
    emails: &[String],
) -> Result<HashSet<usize>, StoreError> {
    let rows = sqlx::query!(
        r#"-- unmatched.claimed
        SELECT a.place AS "place!"
        FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS a (id, name, email, place)
        WHERE EXISTS (SELECT FROM claim c WHERE c.target = $1
                AND ((c.what = 'account' AND c.key = a.id) OR (c.what = 'name' AND c.key IN (a.name, a.email))))
            OR EXISTS (SELECT FROM link l WHERE l.target = $1 AND l.stuck AND l.record -> 'known' -> 'found' ->> 'id' = a.id)
            OR EXISTS (SELECT FROM tenant t JOIN scim_user u ON u.tenant_id = t.id
                WHERE t.target = $1 AND u.deleted_at IS NULL AND u.user_name_key IN (a.name, a.email))
            OR EXISTS (SELECT FROM scim_user u JOIN tenant t ON t.id = u.tenant_id AND t.target = $1
                WHERE u.deleted_at IS NULL AND a.email <> '' AND u.email_keys @> ARRAY[a.email])"#,
        target,
        ids,
        names,
        emails,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter_map(|row| usize::try_from(row.place - 1).ok()).collect())
}

/// Whether everything that the tenants of a target want is there: no work is open, none of them only observes (it claims
/// nothing), each has somebody with an account, what was last imported for any of them was imported to its end and not
/// forgotten by a reset since, and so was what was last read of their sources.
pub async fn is_settled(conn: &mut PgConnection, target: &str) -> Result<bool, StoreError> {
    let row = sqlx::query!(
        r#"-- unmatched.is_settled
        SELECT NOT EXISTS (SELECT FROM outbox o JOIN tenant t ON t.id = o.tenant_id
                WHERE t.target = $1 AND o.due_at <= now() + interval '1 minute')
            AND NOT EXISTS (SELECT FROM tenant t WHERE t.target = $1 AND (t.mode = 'observe'
                OR NOT EXISTS (SELECT FROM link l WHERE l.tenant_id = t.id AND l.record -> 'known' ? 'linked')
                -- What a reset forgot is known again after an import.
                OR (SELECT r.kind = 'reset' OR r.state <> 'done' FROM run r
                    WHERE r.tenant_id = t.id AND r.kind IN ('import', 'reset')
                    ORDER BY r.requested DESC, r.id DESC LIMIT 1)
                OR EXISTS (SELECT FROM source s WHERE s.tenant_id = t.id AND (s.applied IS NULL
                    OR 'done' <> (SELECT r.state FROM run r WHERE r.tenant_id = t.id AND r.kind = 'sync'
                        AND NOT r.options ? 'user' ORDER BY r.requested DESC, r.id DESC LIMIT 1)
                    -- Whoever could not come in may be the owner of an account.
                    OR EXISTS (SELECT FROM run r WHERE r.tenant_id = t.id AND r.kind = 'sync' AND r.finished >= s.applied
                        AND (r.counters -> 'people' -> 'skip' <> '0' OR r.counters -> 'nameless' <> '0'))))))
            AS "settled!""#,
        target,
    )
    .fetch_one(conn)
    .await?;
    Ok(row.settled)
}

/// Takes a tenant's turn to be compared, unless it was less than `seconds` ago: of all replicas one gets it.
pub async fn take_turn(conn: &mut PgConnection, tenant_id: Uuid, seconds: f64) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- unmatched.take_turn
        UPDATE tenant SET compared_at = now() WHERE id = $1 AND compared_at <= now() - make_interval(secs => $2)",
        tenant_id,
        seconds,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Puts on record which accounts nobody claims, and since when; forgets those that somebody claims by now. Answers the keys of
/// those that were so for `seconds` already.
pub async fn remember(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    ids: &[String],
    seconds: f64,
) -> Result<HashSet<String>, StoreError> {
    let rows = sqlx::query!(
        r#"-- unmatched.remember
        WITH gone AS (
            DELETE FROM unmatched_account WHERE tenant_id = $1 AND account_id <> ALL($2)
        )
        INSERT INTO unmatched_account (tenant_id, account_id) SELECT $1, id FROM unnest($2::text[]) AS id
        ON CONFLICT (tenant_id, account_id) DO UPDATE SET account_id = excluded.account_id
        RETURNING account_id, since <= now() - make_interval(secs => $3) AS "long!""#,
        tenant_id,
        ids,
        seconds,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter(|row| row.long).map(|row| row.account_id).collect())
}
