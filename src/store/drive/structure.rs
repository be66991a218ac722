//! Groups and tenants as subjects: whom a change of structure concerns, a page at a time.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Lease;
use crate::store::StoreError;

/// A group subject's facts.
#[derive(Clone, Debug)]
pub struct GroupFacts {
    /// The Jira group it stands for.
    pub jira_name: String,
    /// Folded.
    pub jira_name_key: String,
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
        SELECT jira_name, jira_name_key, deleted_at IS NOT NULL AS "deleted!"
        FROM scim_group WHERE tenant_id = $1 AND id = $2"#,
        tenant_id,
        group_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| GroupFacts { jira_name: row.jira_name, jira_name_key: row.jira_name_key, deleted: row.deleted }))
}

/// A page of the users that a group's structure concerns: present members, direct or nested, and written pairs.
pub async fn users_of_group(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    group_id: Uuid,
    jira_name_key: &str,
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
            SELECT user_id FROM jira_membership WHERE tenant_id = $1 AND group_key = $3 AND user_id > $4
        )
        SELECT id AS "id!" FROM concerned ORDER BY id LIMIT $5"#,
        tenant_id,
        group_id,
        jira_name_key,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
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
pub async fn forget_pairs(conn: &mut PgConnection, tenant_id: Uuid, key: &str) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM jira_membership WHERE tenant_id = $1 AND group_key = $2", tenant_id, key)
        .execute(conn)
        .await?;
    Ok(())
}
