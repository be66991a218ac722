//! Memberships: which accounts are users of ours, who joins an imported group, who has left it, and which memberships that
//! the identity provider wants are there already.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::StoreError;

/// The living users of a tenant that have these accounts, and whether each has work to be done or is being driven.
pub async fn users_of(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    target: &str,
    accounts: &[String],
) -> Result<Vec<(Uuid, bool)>, StoreError> {
    let rows = sqlx::query!(
        r#"-- import.users_of
        SELECT c.user_id,
            EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1 AND o.kind = 'user' AND o.subject_id = c.user_id) AS "open!"
        FROM claim c
        WHERE c.target = $2 AND c.what = 'account' AND c.key = ANY($3) AND c.tenant_id = $1
          -- One look each, by key: as joins, these read all of both tables for each page until somebody has counted their rows.
          AND (SELECT u.deleted_at IS NULL FROM scim_user u WHERE u.tenant_id = $1 AND u.id = c.user_id)
          AND (SELECT l.record #>> '{known,linked,seen,id}' FROM link l WHERE l.tenant_id = $1 AND l.user_id = c.user_id)
              = c.key"#,
        tenant_id,
        target,
        accounts,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.open)).collect())
}

/// Locks a group that is still as it was imported: who writes to it waits until the page is through. False when somebody
/// has, or it is gone.
pub async fn lock_imported(conn: &mut PgConnection, tenant_id: Uuid, group: Uuid) -> Result<bool, StoreError> {
    let row = sqlx::query_scalar!(
        "-- import.lock_imported
        SELECT id FROM scim_group WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL AND origin IS NOT NULL
        FOR NO KEY UPDATE",
        tenant_id,
        group,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

/// Puts users into a locked group, with the memberships of the Jira group that it stands for. Answers how many were not in it.
pub async fn join(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    group: Uuid,
    key: &str,
    users: &[Uuid],
) -> Result<u64, StoreError> {
    let joined = sqlx::query_scalar!(
        r#"-- import.join
        WITH joined AS (
            INSERT INTO group_member (tenant_id, group_id, member_id, is_group)
            SELECT $1, $2, id, false FROM unnest($4::uuid[]) AS id ORDER BY id
            ON CONFLICT ON CONSTRAINT group_member_pkey DO NOTHING RETURNING member_id
        ), touched AS (
            INSERT INTO group_touch (tenant_id, group_id, at) SELECT $1, $2, now() WHERE EXISTS (SELECT FROM joined)
        ), paired AS (
            INSERT INTO jira_membership (tenant_id, user_id, group_key, written, imported)
            SELECT $1, id, $3, true, true FROM unnest($4::uuid[]) AS id ORDER BY id
            ON CONFLICT (tenant_id, user_id, group_key) DO UPDATE SET theirs = false, imported = true
                WHERE jira_membership.theirs
        )
        SELECT count(*) AS "n!" FROM joined"#,
        tenant_id,
        group,
        key,
        users,
    )
    .fetch_one(conn)
    .await?;
    Ok(joined.unsigned_abs())
}

/// Puts on record that users are in a Jira group already which one of these SCIM groups of theirs stands for. Answers how
/// many that was not known of, and how many are in none of the groups.
pub async fn confirm(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    groups: &[Uuid],
    key: &str,
    users: &[Uuid],
) -> Result<(u64, u64), StoreError> {
    let row = sqlx::query!(
        r#"-- import.confirm
        WITH wanted AS (
            SELECT DISTINCT member_id AS id FROM group_member
            WHERE tenant_id = $1 AND group_id = ANY($2) AND member_id = ANY($4) AND NOT is_group
        ), paired AS (
            INSERT INTO jira_membership (tenant_id, user_id, group_key, written, imported)
            SELECT $1, id, $3, true, true FROM wanted ORDER BY id
            ON CONFLICT (tenant_id, user_id, group_key) DO UPDATE SET theirs = false, imported = true
                WHERE jira_membership.theirs
            RETURNING user_id
        )
        SELECT (SELECT count(*) FROM paired) AS "paired!", (SELECT count(*) FROM wanted) AS "wanted!""#,
        tenant_id,
        groups,
        key,
        users,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.paired.unsigned_abs(), (users.len() as u64).saturating_sub(row.wanted.unsigned_abs())))
}

/// How many members a group has.
pub async fn size(conn: &mut PgConnection, tenant_id: Uuid, group: Uuid) -> Result<u64, StoreError> {
    let size = sqlx::query_scalar!(
        r#"-- import.size
        SELECT count(*) AS "n!" FROM group_member WHERE tenant_id = $1 AND group_id = $2"#,
        tenant_id,
        group,
    )
    .fetch_one(conn)
    .await?;
    Ok(size.unsigned_abs())
}

/// A page of the users in a group, by id.
pub async fn members_after(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    group: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- import.members_after
        SELECT member_id FROM group_member WHERE tenant_id = $1 AND group_id = $2 AND member_id > $3 AND NOT is_group
        ORDER BY member_id LIMIT $4",
        tenant_id,
        group,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Takes users out of a locked group whose accounts have left the Jira group, where nobody drives them. Answers how many.
pub async fn leave(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    group: Uuid,
    key: &str,
    users: &[Uuid],
) -> Result<u64, StoreError> {
    let left = sqlx::query_scalar!(
        r#"-- import.leave
        WITH going AS (
            SELECT id FROM unnest($4::uuid[]) AS id
            WHERE NOT EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1 AND o.kind = 'user' AND o.subject_id = id)
        ), gone AS (
            DELETE FROM group_member m USING going
            WHERE m.tenant_id = $1 AND m.group_id = $2 AND m.member_id = going.id RETURNING m.member_id
        ), touched AS (
            INSERT INTO group_touch (tenant_id, group_id, at) SELECT $1, $2, now() WHERE EXISTS (SELECT FROM gone)
        ), forgotten AS (
            DELETE FROM jira_membership j USING gone
            WHERE j.tenant_id = $1 AND j.user_id = gone.member_id AND j.group_key = $3 AND NOT j.maybe AND j.step IS NULL
        )
        SELECT count(*) AS "n!" FROM gone"#,
        tenant_id,
        group,
        key,
        users,
    )
    .fetch_one(conn)
    .await?;
    Ok(left.unsigned_abs())
}
