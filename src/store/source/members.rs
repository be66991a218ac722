//! The members that a run read, held against those that the store has: as rows, a page at a time, whatever a group's size.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Stage;
use super::compare::Page;
use crate::store::StoreError;

/// How many memberships there are.
pub async fn memberships(conn: &mut PgConnection, tenant_id: Uuid) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"-- source.memberships
        SELECT count(*) AS "n!" FROM group_member WHERE tenant_id = $1"#,
        tenant_id
    )
    .fetch_one(conn)
    .await?;
    Ok(count.unsigned_abs())
}

/// How many would join and leave a group: `None` as its id where it is yet to be made.
pub async fn difference(
    conn: &mut PgConnection,
    stage: Stage,
    group_key: &str,
    group_id: Option<Uuid>,
) -> Result<(u64, u64), StoreError> {
    let row = sqlx::query!(
        r#"-- source.difference
        WITH wanted AS (
            SELECT DISTINCT e.kind, e.key, e.subject_id FROM source_member m
            JOIN source_entry e ON e.tenant_id = $1 AND e.run_id = $2 AND e.place = m.member
            WHERE m.tenant_id = $1 AND m.run_id = $2 AND m.group_key = $3 AND e.verdict IS NOT NULL
              AND (e.verdict = 'create' OR e.subject_id IS NOT NULL AND e.subject_id IS DISTINCT FROM $4)
        )
        SELECT (SELECT count(*) FROM wanted w WHERE NOT EXISTS (SELECT FROM group_member g
                WHERE g.tenant_id = $1 AND g.group_id = $4 AND g.member_id = w.subject_id)) AS "joining!",
            (SELECT count(*) FROM group_member g WHERE g.tenant_id = $1 AND g.group_id = $4
                AND NOT EXISTS (SELECT FROM wanted w WHERE w.subject_id = g.member_id)) AS "leaving!""#,
        stage.tenant_id,
        stage.run_id,
        group_key,
        group_id,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.joining.unsigned_abs(), row.leaving.unsigned_abs()))
}

/// A group that was read and can be used.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The stable id.
    pub key: String,
    /// The displayName that it is to have.
    pub name: String,
    /// Its id; `None`: it is not made yet.
    pub id: Option<Uuid>,
}

/// A page of the staged groups whose members are to be compared.
pub async fn standing(conn: &mut PgConnection, stage: Stage, page: Page<'_>) -> Result<Vec<Standing>, StoreError> {
    Ok(sqlx::query_as!(
        Standing,
        r#"-- source.standing
        SELECT key, coalesce(body ->> 'displayName', '') AS "name!", subject_id AS id FROM source_entry
        WHERE tenant_id = $1 AND run_id = $2 AND kind = 'group' AND key > $3 AND verdict NOT IN ('skip', 'known')
        ORDER BY key LIMIT $4"#,
        stage.tenant_id,
        stage.run_id,
        page.after,
        page.limit,
    )
    .fetch_all(conn)
    .await?)
}

/// A staged group and what it is in the store.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The stable id.
    pub key: &'a str,
    /// Its id.
    pub id: Uuid,
}

/// A page of those who are to join a group, by id.
pub async fn joining(
    conn: &mut PgConnection,
    stage: Stage,
    group: Pair<'_>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- source.joining
        SELECT DISTINCT e.subject_id AS "id!" FROM source_member m
        JOIN source_entry e ON e.tenant_id = $1 AND e.run_id = $2 AND e.place = m.member
        WHERE m.tenant_id = $1 AND m.run_id = $2 AND m.group_key = $3 AND e.subject_id > $5 AND e.subject_id <> $4
          AND NOT EXISTS (SELECT FROM group_member g WHERE g.tenant_id = $1 AND g.group_id = $4 AND g.member_id = e.subject_id)
        ORDER BY 1 LIMIT $6"#,
        stage.tenant_id,
        stage.run_id,
        group.key,
        group.id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// A page of those who are to leave a group, by id; nobody where nothing is staged.
pub async fn leaving(
    conn: &mut PgConnection,
    stage: Stage,
    group: Pair<'_>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- source.leaving
        SELECT g.member_id AS "id!" FROM group_member g
        WHERE g.tenant_id = $1 AND g.group_id = $4 AND g.member_id > $5
          AND NOT EXISTS (SELECT FROM source_entry e JOIN source_member m ON m.tenant_id = $1 AND m.run_id = $2
                AND m.group_key = $3 AND m.member = e.place
            WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.subject_id = g.member_id)
          AND EXISTS (SELECT FROM source_entry e WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.key = $3 AND e.kind = 'group')
        ORDER BY 1 LIMIT $6"#,
        stage.tenant_id,
        stage.run_id,
        group.key,
        group.id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// The groups that somebody is in and of which nothing that was read is one, imported ones left out.
pub async fn left_behind(conn: &mut PgConnection, stage: Stage) -> Result<Vec<(Uuid, Uuid, String)>, StoreError> {
    let rows = sqlx::query!(
        r#"-- source.left_behind
        SELECT g.id, m.member_id, coalesce(g.attrs ->> 'displayName', '') AS "name!" FROM source_entry u
        JOIN group_member m ON m.tenant_id = $1 AND m.member_id = u.subject_id
        JOIN scim_group g ON g.tenant_id = $1 AND g.id = m.group_id AND g.deleted_at IS NULL AND g.origin IS NULL
        WHERE u.tenant_id = $1 AND u.run_id = $2 AND u.kind = 'user' AND NOT EXISTS (SELECT FROM source_entry e
            WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.kind = 'group' AND e.subject_id = g.id)
        ORDER BY g.id LIMIT 1000"#,
        stage.tenant_id,
        stage.run_id,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.member_id, row.name)).collect())
}
