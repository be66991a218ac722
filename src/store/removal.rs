//! Taking a tenant's people and groups out of the store, a page at a time: a reset forgets what is on record of the target and
//! leaves the target as it is; a purge makes the writer take back what came from here.
//!
//! Both leave tombstones, so that whoever comes back gets the same id.

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

mod plan;

pub use plan::*;

/// A page of a tenant's groups, tombstones included, by id.
pub async fn next_groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- removal.next_groups
        SELECT id FROM scim_group WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        tenant_id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Makes tombstones of users that no client made.
pub async fn bury_users(conn: &mut PgConnection, tenant_id: Uuid, users: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- removal.bury_users
        WITH locked AS (
            SELECT id FROM scim_user WHERE tenant_id = $1 AND id = ANY($2) AND deleted_at IS NULL ORDER BY id FOR UPDATE
        ), done AS (
            UPDATE scim_user u SET deleted_at = now(), version = u.version + 1, modified = now(), origin = NULL,
                undone = false, purged = false, forgotten = true
            FROM locked WHERE u.tenant_id = $1 AND u.id = locked.id RETURNING u.id
        ), edges AS (
            DELETE FROM group_member m USING done WHERE m.tenant_id = $1 AND m.member_id = done.id RETURNING m.group_id
        ), touched AS (
            INSERT INTO group_touch (tenant_id, group_id, at) SELECT DISTINCT $1, group_id, now() FROM edges
        ), counted AS (
            INSERT INTO tally_delta (tenant_id, kind, delta) SELECT $1, 'user', -1 FROM done
        )
        SELECT id AS "id!" FROM done ORDER BY id"#,
        tenant_id,
        users,
    )
    .fetch_all(conn)
    .await?)
}

/// Makes tombstones of users as of people who never came: what was there before is left as it was found, and all that came
/// from here is taken back. Those who were deleted before are among them where anything is on record of them; `again` also those
/// of an earlier purge. Answers whom it concerns, and how many of them lived.
pub async fn purge_users(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    users: &[Uuid],
    again: bool,
) -> Result<(Vec<Uuid>, u64), StoreError> {
    let rows = sqlx::query!(
        r#"-- removal.purge_users
        WITH locked AS (
            SELECT id, deleted_at IS NULL AS living FROM scim_user u
            WHERE tenant_id = $1 AND id = ANY($2) AND (deleted_at IS NULL OR ((NOT purged OR $3)
                AND EXISTS (SELECT FROM link l WHERE l.tenant_id = $1 AND l.user_id = u.id)))
            ORDER BY id FOR UPDATE
        ), done AS (
            UPDATE scim_user u SET deleted_at = coalesce(u.deleted_at, now()), version = u.version + 1, modified = now(),
                undone = true, purged = true, origin = NULL
            FROM locked WHERE u.tenant_id = $1 AND u.id = locked.id RETURNING u.id, locked.living
        ), edges AS (
            DELETE FROM group_member m USING done WHERE m.tenant_id = $1 AND m.member_id = done.id RETURNING m.group_id
        ), touched AS (
            INSERT INTO group_touch (tenant_id, group_id, at) SELECT DISTINCT $1, group_id, now() FROM edges
        ), counted AS (
            INSERT INTO tally_delta (tenant_id, kind, delta) SELECT $1, 'user', -1 FROM done WHERE living
        )
        SELECT id AS "id!", living AS "living!" FROM done ORDER BY id"#,
        tenant_id,
        users,
        again,
    )
    .fetch_all(conn)
    .await?;
    let living = rows.iter().filter(|row| row.living).count() as u64;
    Ok((rows.into_iter().map(|row| row.id).collect(), living))
}

/// Ends everything that is pinned by hand.
pub async fn lift_overrides(conn: &mut PgConnection, tenant_id: Uuid) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "-- removal.lift_overrides
        UPDATE override SET lifted = now() WHERE tenant_id = $1 AND lifted IS NULL AND (until IS NULL OR until > now())",
        tenant_id,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Asks for all Jira groups that were made from here to be deleted. Answers how many that are.
pub async fn ask_for_groups(conn: &mut PgConnection, tenant_id: Uuid) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "-- removal.ask_for_groups
        UPDATE jira_group SET purged = true WHERE tenant_id = $1 AND made",
        tenant_id,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// A page of the Jira groups that are to be deleted, by key.
pub async fn groups_to_delete(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- removal.groups_to_delete
        SELECT name_key FROM jira_group WHERE tenant_id = $1 AND purged AND name_key > $2 ORDER BY name_key LIMIT $3",
        tenant_id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// A Jira group stays after all.
pub async fn keep_group(conn: &mut PgConnection, tenant_id: Uuid, key: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "-- removal.keep_group
        UPDATE jira_group SET purged = false WHERE tenant_id = $1 AND name_key = $2",
        tenant_id,
        key,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes tombstones of groups, without their edges. Answers those that were alive.
pub async fn bury_groups(conn: &mut PgConnection, tenant_id: Uuid, groups: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- removal.bury_groups
        WITH locked AS (
            SELECT id FROM scim_group WHERE tenant_id = $1 AND id = ANY($2) AND deleted_at IS NULL ORDER BY id FOR UPDATE
        ), done AS (
            UPDATE scim_group g SET deleted_at = now(), version = g.version + 1, modified = now(), origin = NULL,
                forgotten = true
            FROM locked WHERE g.tenant_id = $1 AND g.id = locked.id RETURNING g.id
        ), edges AS (
            DELETE FROM group_member m USING done WHERE m.tenant_id = $1 AND (m.group_id = done.id OR m.member_id = done.id)
        ), touches AS (
            DELETE FROM group_touch t USING done WHERE t.tenant_id = $1 AND t.group_id = done.id
        ), counted AS (
            INSERT INTO tally_delta (tenant_id, kind, delta) SELECT $1, 'group', -1 FROM done
        )
        SELECT id AS "id!" FROM done ORDER BY id"#,
        tenant_id,
        groups,
    )
    .fetch_all(conn)
    .await?)
}

/// Forgets everything that is on record of the target about users, what waits for them included.
pub async fn forget_users(conn: &mut PgConnection, tenant_id: Uuid, users: &[Uuid]) -> Result<(), StoreError> {
    // One after the other, in the order in which drives lock them.
    sqlx::query!(
        "-- removal.forget_outbox
        DELETE FROM outbox WHERE tenant_id = $1 AND kind = 'user' AND subject_id = ANY($2)",
        tenant_id,
        users,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "-- removal.forget_claims
        DELETE FROM claim WHERE tenant_id = $1 AND user_id = ANY($2)",
        tenant_id,
        users
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "-- removal.forget_links
        WITH pairs AS (DELETE FROM jira_membership WHERE tenant_id = $1 AND user_id = ANY($2))
        DELETE FROM link WHERE tenant_id = $1 AND user_id = ANY($2)",
        tenant_id,
        users
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets what waits for groups.
pub async fn forget_groups(conn: &mut PgConnection, tenant_id: Uuid, groups: &[Uuid]) -> Result<(), StoreError> {
    sqlx::query!(
        "-- removal.forget_groups
        DELETE FROM outbox WHERE tenant_id = $1 AND kind = 'group' AND subject_id = ANY($2)",
        tenant_id,
        groups,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a page of what is known of Jira groups. Answers how many rows that were.
pub async fn forget_jira_groups(conn: &mut PgConnection, tenant_id: Uuid, limit: i64) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "-- removal.forget_jira_groups
        DELETE FROM jira_group WHERE tenant_id = $1
            AND name_key IN (SELECT name_key FROM jira_group WHERE tenant_id = $1 ORDER BY name_key LIMIT $2)",
        tenant_id,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Lets through the brake, uncounted, whatever a purge takes away of users. Their outbox rows, then the brake, must be locked.
pub async fn pass_users(conn: &mut PgConnection, tenant_id: Uuid, users: &[Uuid]) -> Result<(), StoreError> {
    sqlx::query!(
        "-- removal.pass_users
        INSERT INTO brake_grant (tenant_id, kind, subject, place, class, verdict, at, until)
        SELECT $1, 'user', p.id::text, p.place, p.class, 'pass', now(), now() + interval '7 days'
        FROM (
            SELECT id, 'account' AS place, 'accounts' AS class FROM unnest($2::uuid[]) AS id
          UNION ALL
            SELECT user_id, 'member:' || group_key, 'memberships' FROM jira_membership
            WHERE tenant_id = $1 AND user_id = ANY($2) AND (written OR maybe)
          UNION
            SELECT l.user_id, 'access:' || (a ->> 'resource') || coalesce(' ' || (a ->> 'role'), ''), 'memberships'
            FROM link l CROSS JOIN LATERAL jsonb_array_elements(coalesce(l.record -> 'granted', '[]')
                || coalesce(l.record -> 'maybe_granted', '[]')) a
            WHERE l.tenant_id = $1 AND l.user_id = ANY($2)
        ) p ORDER BY p.id, p.place
        ON CONFLICT (tenant_id, kind, subject, place) DO UPDATE SET verdict = excluded.verdict, at = excluded.at,
            until = excluded.until, weight = 1, sum_before = NULL, gone_before = NULL",
        tenant_id,
        users,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The same for Jira groups that were made from here.
pub async fn pass_groups(conn: &mut PgConnection, tenant_id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "-- removal.pass_groups
        INSERT INTO brake_grant (tenant_id, kind, subject, place, class, verdict, at, until)
        SELECT $1, 'group', name_key, 'group', 'memberships', 'pass', now(), now() + interval '7 days'
        FROM jira_group WHERE tenant_id = $1 AND made ORDER BY name_key
        ON CONFLICT (tenant_id, kind, subject, place) DO UPDATE SET verdict = excluded.verdict, at = excluded.at,
            until = excluded.until, weight = 1, sum_before = NULL, gone_before = NULL",
        tenant_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}
