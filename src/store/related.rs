//! Reading what belongs together: the members of groups, and the groups of users. Only the living are seen.

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// One living member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    /// The group.
    pub group_id: Uuid,
    /// The member.
    pub member_id: Uuid,
    /// A group in a group.
    pub is_group: bool,
    /// The member's `displayName`, or its userName where it has none.
    pub display: Option<String>,
}

/// One living group that a user is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserGroupRow {
    /// The user.
    pub user_id: Uuid,
    /// The group.
    pub group_id: Uuid,
    /// Its `displayName`.
    pub display: String,
    /// The user is a member of it, not only of a group inside it.
    pub direct: bool,
}

/// The living members of these groups, by group and member.
///
/// # Errors
/// The store failed.
pub async fn members_of(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    group_ids: &[Uuid],
) -> Result<Vec<MemberRow>, StoreError> {
    let rows = sqlx::query_as!(
        MemberRow,
        r#"SELECT m.group_id AS "group_id!", m.member_id AS "member_id!", false AS "is_group!",
                  coalesce(u.attrs->>'displayName', u.attrs->>'userName') AS display
           FROM group_member m JOIN scim_user u ON u.tenant_id = m.tenant_id AND u.id = m.member_id
           WHERE m.tenant_id = $1 AND m.group_id = ANY($2) AND NOT m.is_group AND u.deleted_at IS NULL
           UNION ALL
           SELECT m.group_id, m.member_id, true, g.attrs->>'displayName'
           FROM group_member m JOIN scim_group g ON g.tenant_id = m.tenant_id AND g.id = m.member_id
           WHERE m.tenant_id = $1 AND m.group_id = ANY($2) AND m.is_group AND g.deleted_at IS NULL
           ORDER BY 1, 2"#,
        tenant_id,
        group_ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// The first living members of each of these groups, at most `each` of them, by group and member.
///
/// # Errors
/// The store failed.
pub async fn first_members(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    group_ids: &[Uuid],
    each: i64,
) -> Result<Vec<MemberRow>, StoreError> {
    let rows = sqlx::query_as!(
        MemberRow,
        r#"SELECT asked.id AS "group_id!", page.member_id AS "member_id!", page.is_group AS "is_group!", page.display
           FROM unnest($2::uuid[]) AS asked (id), LATERAL (
               SELECT m.member_id, m.is_group,
                      coalesce(u.attrs->>'displayName', u.attrs->>'userName', g.attrs->>'displayName') AS display
               FROM group_member m
               LEFT JOIN scim_user u ON u.tenant_id = $1 AND u.id = m.member_id AND u.deleted_at IS NULL
               LEFT JOIN scim_group g ON g.tenant_id = $1 AND g.id = m.member_id AND g.deleted_at IS NULL
               WHERE m.tenant_id = $1 AND m.group_id = asked.id AND (u.id IS NOT NULL OR g.id IS NOT NULL)
               ORDER BY m.member_id LIMIT $3
           ) page ORDER BY 1, 2"#,
        tenant_id,
        group_ids,
        each,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// The living members of a group behind one of them, by id, at most `limit`.
///
/// # Errors
/// The store failed.
pub async fn members_after(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    group_id: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<MemberRow>, StoreError> {
    let rows = sqlx::query_as!(
        MemberRow,
        r#"SELECT m.group_id, m.member_id, m.is_group,
                  coalesce(u.attrs->>'displayName', u.attrs->>'userName', g.attrs->>'displayName') AS display
           FROM group_member m
           LEFT JOIN scim_user u ON u.tenant_id = $1 AND u.id = m.member_id AND u.deleted_at IS NULL
           LEFT JOIN scim_group g ON g.tenant_id = $1 AND g.id = m.member_id AND g.deleted_at IS NULL
           WHERE m.tenant_id = $1 AND m.group_id = $2 AND m.member_id > $3 AND (u.id IS NOT NULL OR g.id IS NOT NULL)
           ORDER BY m.member_id LIMIT $4"#,
        tenant_id,
        group_id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// The living groups that these users are in, also through groups in groups; by user and group. Without nesting it
/// costs one look into the index for each user and each of its groups.
///
/// # Errors
/// The store failed.
pub async fn groups_of(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_ids: &[Uuid],
) -> Result<Vec<UserGroupRow>, StoreError> {
    // UNION, not UNION ALL: groups that contain each other end the recursion. A dead group passes nothing on.
    let rows = sqlx::query_as!(
        UserGroupRow,
        r#"WITH RECURSIVE up AS (
               SELECT m.member_id AS user_id, m.group_id, true AS direct
               FROM group_member m JOIN scim_group g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
               WHERE m.tenant_id = $1 AND m.member_id = ANY($2) AND NOT m.is_group AND g.deleted_at IS NULL
               UNION
               SELECT up.user_id, m.group_id, false
               FROM up JOIN group_member m ON m.tenant_id = $1 AND m.member_id = up.group_id AND m.is_group
                       JOIN scim_group g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
               WHERE g.deleted_at IS NULL
           ), each AS (
               SELECT user_id, group_id, bool_or(direct) AS direct FROM up GROUP BY user_id, group_id
           )
           SELECT e.user_id AS "user_id!", e.group_id AS "group_id!",
                  coalesce(g.attrs->>'displayName', '') AS "display!", e.direct AS "direct!"
           FROM each e JOIN scim_group g ON g.tenant_id = $1 AND g.id = e.group_id
           ORDER BY e.user_id, e.group_id"#,
        tenant_id,
        user_ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
