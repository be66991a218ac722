//! Groups and tenants as subjects: whom a change of structure concerns, a page at a time.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Lease;
use crate::store::StoreError;

/// A group subject's facts.
#[derive(Clone, Debug)]
pub struct GroupFacts {
    /// The name that the rules see.
    pub alias: String,
    /// A tombstone.
    pub deleted: bool,
}

/// Reads a group subject.
pub async fn group_facts(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    group_id: Uuid,
) -> Result<Option<GroupFacts>, StoreError> {
    let row = sqlx::query!(
        r#"-- drive.group_facts
        SELECT alias, deleted_at IS NOT NULL AS "deleted!"
        FROM scim_group WHERE tenant_id = $1 AND id = $2"#,
        tenant_id,
        group_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| GroupFacts { alias: row.alias, deleted: row.deleted }))
}

/// A page of the users that a group's structure concerns: present members, direct or nested, and written pairs.
pub async fn users_of_group(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    group_id: Uuid,
    jira_keys: &[String],
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- drive.users_of_group
        WITH RECURSIVE down (id) AS (
            SELECT $2::uuid
          UNION
            SELECT m.member_id FROM down JOIN group_member m ON m.tenant_id = $1 AND m.group_id = down.id AND m.is_group
        ), concerned AS (
            SELECT m.member_id AS id FROM down JOIN group_member m ON m.tenant_id = $1 AND m.group_id = down.id
            WHERE NOT m.is_group AND m.member_id > $4
          UNION
            SELECT user_id FROM jira_membership WHERE tenant_id = $1 AND group_key = ANY($3) AND user_id > $4
        )
        SELECT id AS "id!" FROM concerned ORDER BY id LIMIT $5"#,
        tenant_id,
        group_id,
        jira_keys,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// A page of the living groups of a tenant behind one of them, with the names that the rules see.
pub async fn aliases(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let rows = sqlx::query!(
        "-- drive.aliases
        SELECT id, alias FROM scim_group WHERE tenant_id = $1 AND id > $2 AND deleted_at IS NULL ORDER BY id LIMIT $3",
        tenant_id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.alias)).collect())
}

/// The same of groups that nobody is in.
pub async fn empty_aliases(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let rows = sqlx::query!(
        "-- drive.empty_aliases
        SELECT g.id, g.alias FROM scim_group g
        WHERE g.tenant_id = $1 AND g.id > $2 AND g.deleted_at IS NULL
          AND NOT EXISTS (SELECT FROM group_member m WHERE m.tenant_id = $1 AND m.group_id = g.id)
        ORDER BY g.id LIMIT $3",
        tenant_id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.alias)).collect())
}

/// The living groups of a tenant that the rules see by one of these names, folded.
pub async fn groups_called(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    alias_key: &str,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let rows = sqlx::query!(
        "-- drive.groups_called
        SELECT id, alias FROM scim_group WHERE tenant_id = $1 AND alias_key = $2 AND deleted_at IS NULL",
        tenant_id,
        alias_key,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.alias)).collect())
}

/// A page of a tenant's users, tombstones included.
pub async fn users_of_tenant(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- drive.users_of_tenant
        SELECT id FROM scim_user WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        tenant_id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Keeps a fan-out's place, with the page's lease.
pub async fn keep_page(conn: &mut PgConnection, lease: &Lease, after: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "-- drive.keep_page
        UPDATE outbox SET page_after = $5
        WHERE tenant_id = $1 AND kind = $2 AND subject_id = $3 AND lease_token = $4 AND seq = $6",
        lease.tenant_id,
        lease.subject.kind(),
        lease.subject.id(),
        lease.token,
        after,
        lease.seq,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The users whose pair waits for a Jira group that is known to exist now.
pub async fn nudge_waiting(conn: &mut PgConnection, tenant_id: Uuid, key: &str) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "-- drive.nudge_waiting
        INSERT INTO outbox (tenant_id, kind, subject_id, priority, due_at, since)
        SELECT tenant_id, 'user', user_id, 1, now(), now() FROM jira_membership
        WHERE tenant_id = $1 AND group_key = $2 AND step ->> 'state' = 'waiting' ORDER BY user_id
        ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET seq = outbox.seq + 1, due_at = least(outbox.due_at, now())",
        tenant_id,
        key,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Whether somebody of any tenant of a target is pinned to a Jira group.
pub async fn is_pinned_group(conn: &mut PgConnection, target: &str, key: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- drive.is_pinned_group
        SELECT EXISTS (SELECT FROM override o JOIN tenant t ON t.id = o.tenant_id
            WHERE t.target = $1 AND o.group_key = $2 AND o.lifted IS NULL AND o.until > now()) AS "any!""#,
        target,
        key,
    )
    .fetch_one(conn)
    .await?)
}

/// Forgets a Jira group that is deleted, with everybody's membership of it.
pub async fn forget_group(conn: &mut PgConnection, tenant_id: Uuid, key: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "-- drive.forget_group
        WITH pairs AS (DELETE FROM jira_membership WHERE tenant_id = $1 AND group_key = $2)
        DELETE FROM jira_group WHERE tenant_id = $1 AND name_key = $2",
        tenant_id,
        key,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes the edges of a deleted group, and the group's touches.
pub async fn purge_group_edges(conn: &mut PgConnection, tenant_id: Uuid, group_id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "-- drive.purge_group_edges
        WITH touches AS (DELETE FROM group_touch WHERE tenant_id = $1 AND group_id = $2)
        DELETE FROM group_member WHERE tenant_id = $1 AND group_id = $2",
        tenant_id,
        group_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets that pairs of a Jira group are ours (policy `on_group_delete = "keep"`).
pub async fn forget_pairs(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    key: &str,
    users: &[Uuid],
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- drive.forget_pairs
        DELETE FROM jira_membership WHERE tenant_id = $1 AND group_key = $2 AND user_id = ANY($3)",
        tenant_id,
        key,
        users
    )
    .execute(conn)
    .await?;
    Ok(())
}
/// How many people are on record as members of a Jira group through us, or may be.
pub async fn members_on_record(conn: &mut PgConnection, tenant_id: Uuid, key: &str) -> Result<u64, StoreError> {
    let n = sqlx::query_scalar!(
        r#"-- drive.members_on_record
        SELECT count(*) AS "n!" FROM jira_membership WHERE tenant_id = $1 AND group_key = $2 AND (written OR maybe)"#,
        tenant_id,
        key,
    )
    .fetch_one(conn)
    .await?;
    Ok(n.unsigned_abs())
}
