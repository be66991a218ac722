//! Taking a tenant's people and groups out of the store, a page at a time: a reset forgets what is on record of the target and
//! leaves the target as it is; a purge makes the writer take back what came from here.
//!
//! Both leave tombstones, so that whoever comes back gets the same id.

use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

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

/// Makes tombstones of users. With `undone` each is one of somebody who never came: what was there before is left as it was
/// found. Without, it is one that no client made.
pub async fn bury_users(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    users: &[Uuid],
    undone: bool,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- removal.bury_users
        WITH locked AS (
            SELECT id FROM scim_user WHERE tenant_id = $1 AND id = ANY($2) AND deleted_at IS NULL ORDER BY id FOR UPDATE
        ), done AS (
            UPDATE scim_user u SET deleted_at = now(), version = u.version + 1, modified = now(), undone = $3, origin = NULL,
                forgotten = NOT $3
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
        undone,
    )
    .fetch_all(conn)
    .await?)
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

/// What a purge would do, as the store sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Accounts that were made from here.
    pub made: i64,
    /// Accounts that were there before, and are left as they were found.
    pub found: i64,
    /// Memberships that were given from here.
    pub memberships: i64,
    /// Jira groups that were made from here.
    pub groups: i64,
}

/// Counts what a purge would do.
pub async fn sizes(conn: &mut PgConnection, tenant_id: Uuid) -> Result<Sizes, StoreError> {
    Ok(sqlx::query_as!(
        Sizes,
        r#"-- removal.sizes
        SELECT (SELECT count(*) FROM link l JOIN scim_user u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
                WHERE l.tenant_id = $1 AND u.deleted_at IS NULL AND l.record #> '{known,linked}' IS NOT NULL
                  AND l.record @> '{"made": true}') AS "made!",
            (SELECT count(*) FROM link l JOIN scim_user u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
                WHERE l.tenant_id = $1 AND u.deleted_at IS NULL AND l.record #> '{known,linked}' IS NOT NULL
                  AND NOT l.record @> '{"made": true}') AS "found!",
            (SELECT count(*) FROM jira_membership m JOIN link l ON l.tenant_id = m.tenant_id AND l.user_id = m.user_id
                WHERE m.tenant_id = $1 AND m.written AND NOT m.imported
                  AND NOT coalesce(l.record #> '{found,groups}' ? m.group_key, false)) AS "memberships!",
            (SELECT count(*) FROM jira_group WHERE tenant_id = $1 AND made) AS "groups!""#,
        tenant_id,
    )
    .fetch_one(conn)
    .await?)
}

/// What of a tenant still waits, and what does not go on by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Subjects in the outbox.
    pub waiting: i64,
    /// Users of whom something is held, refused or waived.
    pub stuck: i64,
}

/// Looks at what still waits.
pub async fn left(conn: &mut PgConnection, tenant_id: Uuid) -> Result<Left, StoreError> {
    Ok(sqlx::query_as!(
        Left,
        r#"-- removal.left
        SELECT (SELECT count(*) FROM outbox WHERE tenant_id = $1 AND due_at <= now() + interval '1 hour') AS "waiting!",
            (SELECT count(*) FROM link WHERE tenant_id = $1 AND stuck)
            + (SELECT count(DISTINCT user_id) FROM jira_membership WHERE tenant_id = $1 AND step IS NOT NULL) AS "stuck!""#,
        tenant_id,
    )
    .fetch_one(conn)
    .await?)
}
