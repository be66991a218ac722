//! What an import has seen, and what it has not: imported people and groups that the target does not list any more.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::StoreError;

/// How many imported resources of one kind there are, and of how many the run saw nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// All that live.
    pub all: u64,
    /// Those that it did not see.
    pub unseen: u64,
}

impl Unseen {
    fn of(all: i64, unseen: i64) -> Self {
        Self { all: all.unsigned_abs(), unseen: unseen.unsigned_abs() }
    }
}

/// Puts on record that a run saw the accounts of imported users.
pub async fn see_users(conn: &mut PgConnection, tenant_id: Uuid, run: Uuid, users: &[Uuid]) -> Result<(), StoreError> {
    if users.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "-- import.see_users
        UPDATE link SET seen_run = $2 WHERE tenant_id = $1 AND user_id = ANY($3) AND seen_run IS DISTINCT FROM $2",
        tenant_id,
        run,
        users,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts on record that a run saw Jira groups, by key, at the groups that were imported from them.
pub async fn see_groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    run: Uuid,
    keys: &[String],
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- import.see_groups
        UPDATE scim_group SET seen_run = $2
        WHERE tenant_id = $1 AND alias_key = ANY($3) AND deleted_at IS NULL AND origin IS NOT NULL
          AND seen_run IS DISTINCT FROM $2",
        tenant_id,
        run,
        keys,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts the imported users whose accounts a run has not seen.
pub async fn unseen_users(conn: &mut PgConnection, tenant_id: Uuid, run: Uuid) -> Result<Unseen, StoreError> {
    let row = sqlx::query!(
        r#"-- import.unseen_users
        SELECT count(*) AS "all!", count(*) FILTER (WHERE l.seen_run IS DISTINCT FROM $2) AS "unseen!"
        FROM scim_user u LEFT JOIN link l ON l.tenant_id = $1 AND l.user_id = u.id
        WHERE u.tenant_id = $1 AND u.deleted_at IS NULL AND u.origin IS NOT NULL"#,
        tenant_id,
        run,
    )
    .fetch_one(conn)
    .await?;
    Ok(Unseen::of(row.all, row.unseen))
}

/// The same of imported groups.
pub async fn unseen_groups(conn: &mut PgConnection, tenant_id: Uuid, run: Uuid) -> Result<Unseen, StoreError> {
    let row = sqlx::query!(
        r#"-- import.unseen_groups
        SELECT count(*) AS "all!", count(*) FILTER (WHERE seen_run IS DISTINCT FROM $2) AS "unseen!"
        FROM scim_group WHERE tenant_id = $1 AND deleted_at IS NULL AND origin IS NOT NULL"#,
        tenant_id,
        run,
    )
    .fetch_one(conn)
    .await?;
    Ok(Unseen::of(row.all, row.unseen))
}

/// An imported resource that a run has not seen.
#[derive(Clone, Debug)]
pub struct Vanished {
    /// Its id.
    pub id: Uuid,
    /// The account's key, where one is on record, or the Jira group's name.
    pub key: Option<String>,
}

/// A page of the imported users whose accounts a run has not seen, by id.
pub async fn vanished_users(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    run: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Vanished>, StoreError> {
    Ok(sqlx::query_as!(
        Vanished,
        r#"-- import.vanished_users
        SELECT u.id, l.record #>> '{known,linked,seen,id}' AS key
        FROM scim_user u LEFT JOIN link l ON l.tenant_id = $1 AND l.user_id = u.id
        WHERE u.tenant_id = $1 AND u.id > $3 AND u.deleted_at IS NULL AND u.origin IS NOT NULL
          AND l.seen_run IS DISTINCT FROM $2
        ORDER BY u.id LIMIT $4"#,
        tenant_id,
        run,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// A page of the imported groups whose Jira groups a run has not seen, by id.
pub async fn vanished_groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    run: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Vanished>, StoreError> {
    Ok(sqlx::query_as!(
        Vanished,
        r#"-- import.vanished_groups
        SELECT id, alias AS "key?" FROM scim_group
        WHERE tenant_id = $1 AND id > $3 AND deleted_at IS NULL AND origin IS NOT NULL AND seen_run IS DISTINCT FROM $2
        ORDER BY id LIMIT $4"#,
        tenant_id,
        run,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Of these users, locks those who are still as they were imported, and whom nobody drives.
pub async fn lock_users(conn: &mut PgConnection, tenant_id: Uuid, users: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- import.lock_users
        SELECT u.id FROM scim_user u
        WHERE u.tenant_id = $1 AND u.id = ANY($2) AND u.deleted_at IS NULL AND u.origin IS NOT NULL
          AND NOT EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1 AND o.kind = 'user' AND o.subject_id = u.id)
        ORDER BY u.id FOR UPDATE OF u",
        tenant_id,
        users,
    )
    .fetch_all(conn)
    .await?)
}

/// Of these groups, locks those that are still as they were imported, and that nobody drives.
pub async fn lock_groups(conn: &mut PgConnection, tenant_id: Uuid, groups: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- import.lock_groups
        SELECT g.id FROM scim_group g
        WHERE g.tenant_id = $1 AND g.id = ANY($2) AND g.deleted_at IS NULL AND g.origin IS NOT NULL
          AND NOT EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1 AND o.kind = 'group' AND o.subject_id = g.id)
        ORDER BY g.id FOR UPDATE OF g",
        tenant_id,
        groups,
    )
    .fetch_all(conn)
    .await?)
}

/// Forgets Jira groups that are gone, by key, and who was in them, where nothing of it is being written or waits.
pub async fn forget_vanished(conn: &mut PgConnection, tenant_id: Uuid, keys: &[String]) -> Result<(), StoreError> {
    sqlx::query!(
        "-- import.forget_vanished
        WITH pairs AS (
            DELETE FROM jira_membership WHERE tenant_id = $1 AND group_key = ANY($2) AND NOT maybe AND step IS NULL
        )
        DELETE FROM jira_group WHERE tenant_id = $1 AND name_key = ANY($2) AND step IS NULL",
        tenant_id,
        keys,
    )
    .execute(conn)
    .await?;
    Ok(())
}
