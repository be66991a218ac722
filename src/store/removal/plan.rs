//! What a purge would do, counted and by name, and what is still to be done of one.

use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::StoreError;

/// What a purge would do, as the store sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Accounts that were made from here: of living users, and of deleted ones whose accounts are on or would be deleted.
    pub made: i64,
    /// Accounts that were there before, and are left as they were found.
    pub found: i64,
    /// Memberships that were given from here.
    pub memberships: i64,
    /// Access to applications that was given from here to accounts that were there before.
    pub access: i64,
    /// Jira groups that were made from here.
    pub groups: i64,
    /// What is pinned by hand, and ends.
    pub overrides: i64,
}

/// Counts what a purge would do.
pub async fn sizes(conn: &mut PgConnection, tenant_id: Uuid) -> Result<Sizes, StoreError> {
    Ok(sqlx::query_as!(
        Sizes,
        r#"-- removal.sizes
        SELECT (SELECT count(*) FROM link l JOIN scim_user u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
                WHERE l.tenant_id = $1 AND l.record #> '{known,linked}' IS NOT NULL AND l.record @> '{"made": true}'
                  -- Of those who were deleted whoever is on, and where accounts are deleted everybody.
                  AND (u.deleted_at IS NULL OR l.record @> '{"known": {"linked": {"seen": {"active": true}}}}'
                    OR EXISTS (SELECT FROM tenant WHERE id = $1 AND policy #>> '{deprovision,on_delete}' = 'delete')))
                AS "made!",
            (SELECT count(*) FROM link l JOIN scim_user u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
                WHERE l.tenant_id = $1 AND u.deleted_at IS NULL AND l.record #> '{known,linked}' IS NOT NULL
                  AND NOT l.record @> '{"made": true}') AS "found!",
            (SELECT count(*) FROM jira_membership m JOIN link l ON l.tenant_id = m.tenant_id AND l.user_id = m.user_id
                WHERE m.tenant_id = $1 AND m.written AND NOT m.imported AND NOT m.theirs
                  AND NOT coalesce(l.record #> '{found,groups}' ? m.group_key, false)) AS "memberships!",
            (SELECT coalesce(sum(jsonb_array_length(l.record -> 'granted')), 0) FROM link l
                WHERE l.tenant_id = $1 AND l.record ? 'granted' AND NOT l.record @> '{"made": true}')::bigint AS "access!",
            (SELECT count(*) FROM jira_group WHERE tenant_id = $1 AND made) AS "groups!",
            (SELECT count(*) FROM override WHERE tenant_id = $1 AND lifted IS NULL AND (until IS NULL OR until > now()))
                AS "overrides!""#,
        tenant_id,
    )
    .fetch_one(conn)
    .await?)
}

/// What of a purge's plan has names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// See [`Sizes::made`].
    Made,
    /// See [`Sizes::found`].
    Found,
    /// See [`Sizes::memberships`].
    Memberships,
    /// See [`Sizes::access`].
    Access,
    /// See [`Sizes::groups`].
    Groups,
}

impl Names {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Made, Self::Found, Self::Memberships, Self::Access, Self::Groups];

    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Found => "found",
            Self::Memberships => "memberships",
            Self::Access => "access",
            Self::Groups => "groups",
        }
    }
}

/// Something that a purge is about, and its place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Whose; nil for what is nobody's.
    pub user: Uuid,
    /// Of a membership the group's key, of access the application; empty for an account.
    pub key: String,
    /// For people.
    pub name: String,
}

/// A page of what a purge would do, behind `after`.
pub async fn names(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    what: Names,
    after: Option<&Named>,
    limit: i64,
) -> Result<Vec<Named>, StoreError> {
    let (user, key) = after.map_or((Uuid::nil(), ""), |named| (named.user, named.key.as_str()));
    match what {
        Names::Made => accounts(conn, tenant_id, true, user, limit).await,
        Names::Found => accounts(conn, tenant_id, false, user, limit).await,
        Names::Memberships => memberships(conn, tenant_id, (user, key), limit).await,
        Names::Access => access(conn, tenant_id, (user, key), limit).await,
        Names::Groups => groups(conn, tenant_id, key, limit).await,
    }
}

async fn accounts(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    made: bool,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Named>, StoreError> {
    Ok(sqlx::query_as!(
        Named,
        r#"-- removal.accounts
        SELECT l.user_id AS user, '' AS "key!", coalesce(l.record #>> '{known,linked,seen,username}', '') AS "name!"
        FROM link l JOIN scim_user u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
        WHERE l.tenant_id = $1 AND l.user_id > $3 AND l.record #> '{known,linked}' IS NOT NULL
          AND l.record @> '{"made": true}' = $2
          AND (u.deleted_at IS NULL OR ($2 AND (l.record @> '{"known": {"linked": {"seen": {"active": true}}}}'
            OR EXISTS (SELECT FROM tenant WHERE id = $1 AND policy #>> '{deprovision,on_delete}' = 'delete'))))
        ORDER BY l.user_id LIMIT $4"#,
        tenant_id,
        made,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

async fn memberships(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    (user, key): (Uuid, &str),
    limit: i64,
) -> Result<Vec<Named>, StoreError> {
    Ok(sqlx::query_as!(
        Named,
        r#"-- removal.memberships
        SELECT m.user_id AS user, m.group_key AS key,
            coalesce(l.record #>> '{known,linked,seen,username}', '') || ' in ' || coalesce(j.name, m.group_key) AS "name!"
        FROM jira_membership m JOIN link l ON l.tenant_id = m.tenant_id AND l.user_id = m.user_id
        LEFT JOIN jira_group j ON j.tenant_id = m.tenant_id AND j.name_key = m.group_key
        WHERE m.tenant_id = $1 AND (m.user_id, m.group_key) > ($2, $3) AND m.written AND NOT m.imported AND NOT m.theirs
          AND NOT coalesce(l.record #> '{found,groups}' ? m.group_key, false)
        ORDER BY m.user_id, m.group_key LIMIT $4"#,
        tenant_id,
        user,
        key,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

async fn access(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    (user, key): (Uuid, &str),
    limit: i64,
) -> Result<Vec<Named>, StoreError> {
    Ok(sqlx::query_as!(
        Named,
        r#"-- removal.access
        SELECT l.user_id AS user, a.key AS "key!",
            coalesce(l.record #>> '{known,linked,seen,username}', '') || ' to ' || a.key AS "name!"
        FROM link l
        CROSS JOIN LATERAL (
            SELECT (g ->> 'resource') || coalesce(' ' || (g ->> 'role'), '') AS key
            FROM jsonb_array_elements(l.record -> 'granted') g
        ) a
        WHERE l.tenant_id = $1 AND l.user_id >= $2 AND (l.user_id, a.key COLLATE "C") > ($2, $3)
          AND l.record ? 'granted' AND NOT l.record @> '{"made": true}'
        ORDER BY l.user_id, a.key COLLATE "C" LIMIT $4"#,
        tenant_id,
        user,
        key,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

async fn groups(conn: &mut PgConnection, tenant_id: Uuid, after: &str, limit: i64) -> Result<Vec<Named>, StoreError> {
    let nobody = Uuid::nil();
    Ok(sqlx::query_as!(
        Named,
        r#"-- removal.groups
        SELECT $2::uuid AS "user!", name_key AS key, name FROM jira_group
        WHERE tenant_id = $1 AND made AND name_key > $3 ORDER BY name_key LIMIT $4"#,
        tenant_id,
        nobody,
        after,
        limit,
    )
    .fetch_all(conn)
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
