//! By which names the entries of the last complete read are members of groups. A read of changes sees few people; the groups
//! among the changes name all of theirs.

use sqlx::PgConnection;

use super::{Of, Stage};
use crate::store::StoreError;

/// Rows of one statement.
const PAGE: i64 = 5000;

/// Stages those who are not among what was read and are named by groups that were: a page behind this kind and key. Answers where
/// the page ended.
pub async fn stage(
    conn: &mut PgConnection,
    stage: Stage,
    (kind, key): (&str, &str),
) -> Result<Option<(String, String)>, StoreError> {
    let row = sqlx::query!(
        r#"-- source.known_stage
        WITH page AS (
            SELECT k.kind, k.key, k.place, k.also, k.in_scope, k.subject_id FROM (
                SELECT k.* FROM source_member m JOIN source_known k ON k.tenant_id = $1 AND k.place = m.member
                WHERE m.tenant_id = $1 AND m.run_id = $2
              UNION
                SELECT k.* FROM source_member m JOIN source_known k ON k.tenant_id = $1 AND k.also = m.member
                WHERE m.tenant_id = $1 AND m.run_id = $2
            ) AS k
            WHERE (k.kind, k.key) > ($3, $4) AND k.kind <> 'other' ORDER BY k.kind, k.key LIMIT $5
        ), living AS (
            -- Somebody may have been made since, or found to be somebody else.
            SELECT p.*, CASE WHEN p.kind = 'user' THEN (SELECT u.id FROM scim_user u WHERE u.tenant_id = $1 AND u.deleted_at IS NULL
                    AND (u.id = p.subject_id OR u.external_id = p.key) ORDER BY u.id = p.subject_id DESC NULLS LAST LIMIT 1)
                ELSE (SELECT g.id FROM scim_group g WHERE g.tenant_id = $1 AND g.deleted_at IS NULL
                    AND (g.id = p.subject_id OR g.external_id = p.key) ORDER BY g.id = p.subject_id DESC NULLS LAST LIMIT 1)
                END AS id FROM page p
        ), staged AS (
            INSERT INTO source_entry (tenant_id, run_id, kind, key, place, also, name_key, subject_id, verdict)
            SELECT $1, $2, l.kind, l.key, l.place, l.also, '', l.id, 'known' FROM living l
            WHERE l.id IS NOT NULL AND (l.kind = 'group' OR l.in_scope)
            ON CONFLICT ON CONSTRAINT source_entry_pkey DO NOTHING
        )
        SELECT kind AS "kind!", key AS "key!" FROM page ORDER BY kind DESC, key DESC LIMIT 1"#,
        stage.tenant_id,
        stage.run_id,
        kind,
        key,
        PAGE,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.kind, row.key)))
}

/// Whom a group that was read names, and who is neither among what was read nor known.
pub async fn stranger(conn: &mut PgConnection, stage: Stage) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- source.known_stranger
        SELECT m.member FROM source_member m WHERE m.tenant_id = $1 AND m.run_id = $2
          AND NOT EXISTS (SELECT FROM source_known k WHERE k.tenant_id = $1 AND k.place = m.member)
          AND NOT EXISTS (SELECT FROM source_known k WHERE k.tenant_id = $1 AND k.also = m.member)
          AND NOT EXISTS (SELECT FROM source_entry e WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.place = m.member)
          AND NOT EXISTS (SELECT FROM source_entry e WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.also = m.member)
        LIMIT 1",
        stage.tenant_id,
        stage.run_id,
    )
    .fetch_optional(conn)
    .await?)
}

/// Who was read and used to be a stranger to whom groups gave a membership.
pub async fn newcomer(conn: &mut PgConnection, stage: Stage) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- source.known_newcomer
        SELECT e.place FROM source_entry e JOIN source_known k ON k.tenant_id = $1 AND k.kind = 'other'
            AND k.key IN (e.place, e.also)
        WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.verdict IS DISTINCT FROM 'known'
          -- Whoever has a name in common with others is new where this one did not have it.
          AND (k.key = e.place OR NOT EXISTS (SELECT FROM source_known u
            WHERE u.tenant_id = $1 AND u.kind = e.kind AND u.key = e.key AND u.also = e.also))
        LIMIT 1",
        stage.tenant_id,
        stage.run_id,
    )
    .fetch_optional(conn)
    .await?)
}

/// A group that was read, decides who comes, and has not the members that it had.
pub async fn scope_changed(conn: &mut PgConnection, stage: Stage) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- source.known_scope_changed
        SELECT e.place FROM source_entry e
        JOIN source_known k ON k.tenant_id = $1 AND k.kind = 'group' AND k.key = e.key AND k.in_scope
        WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.kind = 'group' AND e.verdict IS DISTINCT FROM 'known'
          AND k.digest IS DISTINCT FROM (SELECT md5(coalesce(string_agg(m.member, E'\\n' ORDER BY m.member), ''))
            FROM source_member m WHERE m.tenant_id = $1 AND m.run_id = $2 AND m.group_key = e.key)
        LIMIT 1",
        stage.tenant_id,
        stage.run_id,
    )
    .fetch_optional(conn)
    .await?)
}

/// Whether the last complete read found a group that decides who comes, and whether one of the groups that were read is such a one.
pub async fn scope(conn: &mut PgConnection, stage: Stage) -> Result<(bool, bool), StoreError> {
    let row = sqlx::query!(
        r#"-- source.known_scope
        SELECT EXISTS (SELECT FROM source_known k WHERE k.tenant_id = $1 AND k.kind = 'group' AND k.in_scope) AS "known!",
            EXISTS (SELECT FROM source_entry e JOIN source_known k ON k.tenant_id = $1 AND k.kind = 'group' AND k.key = e.key
                AND k.in_scope WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.kind = 'group') AS "inside!""#,
        stage.tenant_id,
        stage.run_id,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.known, row.inside))
}

/// Remembers a page of what was read, behind a key; answers the last key. Of groups these decide who comes; `None`: those that did.
pub async fn remember(
    conn: &mut PgConnection,
    stage: Stage,
    of: Of,
    after: &str,
    scope: Option<&[String]>,
) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- source.known_remember
        WITH page AS (
            SELECT e.kind, e.key, e.place, e.also, e.subject_id,
                CASE WHEN e.kind = 'user' THEN e.verdict IS NOT NULL WHEN $5::text[] IS NOT NULL THEN e.key = ANY($5)
                    ELSE EXISTS (SELECT FROM source_known o WHERE o.tenant_id = $1 AND o.kind = 'group' AND o.key = e.key
                        AND o.in_scope) END AS in_scope
            FROM source_entry e WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.kind = $3 AND e.key > $4
              AND e.verdict IS DISTINCT FROM 'known'
            ORDER BY e.key LIMIT $6
        ), kept AS (
            INSERT INTO source_known AS k (tenant_id, kind, key, place, also, in_scope, subject_id, digest)
            SELECT $1, kind, key, place, also, in_scope, subject_id,
                CASE WHEN in_scope AND kind = 'group' THEN (SELECT md5(coalesce(string_agg(m.member, E'\n' ORDER BY m.member), ''))
                    FROM source_member m WHERE m.tenant_id = $1 AND m.run_id = $2 AND m.group_key = page.key) END
            FROM page
            ON CONFLICT ON CONSTRAINT source_known_pkey DO UPDATE SET place = excluded.place, also = excluded.also,
                in_scope = excluded.in_scope, subject_id = excluded.subject_id, digest = excluded.digest
            WHERE (k.place, k.also, k.in_scope, k.subject_id, k.digest) IS DISTINCT FROM
                (excluded.place, excluded.also, excluded.in_scope, excluded.subject_id, excluded.digest)
        )
        SELECT key FROM page ORDER BY key DESC LIMIT 1"#,
        stage.tenant_id,
        stage.run_id,
        of.as_str(),
        after,
        scope,
        PAGE,
    )
    .fetch_optional(conn)
    .await?)
}

/// Remembers a page of those whom groups name by what is no place of a person or group that was read; answers the last one.
pub async fn remember_others(conn: &mut PgConnection, stage: Stage, after: &str) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- source.known_remember_others
        WITH page AS (
            SELECT DISTINCT m.member FROM source_member m WHERE m.tenant_id = $1 AND m.run_id = $2 AND m.member > $3
              AND NOT EXISTS (SELECT FROM source_entry e WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.place = m.member)
            ORDER BY m.member LIMIT $4
        ), kept AS (
            INSERT INTO source_known (tenant_id, kind, key, place, in_scope) SELECT $1, 'other', member, member, false FROM page
            ON CONFLICT ON CONSTRAINT source_known_pkey DO NOTHING
        )
        SELECT member FROM page ORDER BY member DESC LIMIT 1",
        stage.tenant_id,
        stage.run_id,
        after,
        PAGE,
    )
    .fetch_optional(conn)
    .await?)
}

/// Forgets who had a place that somebody else has now; answers how many it was.
pub async fn forget_displaced(conn: &mut PgConnection, stage: Stage) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "-- source.known_forget_displaced
        DELETE FROM source_known k USING source_entry e
        WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.verdict IS DISTINCT FROM 'known'
          AND k.tenant_id = $1 AND k.place = e.place AND (k.kind, k.key) <> (e.kind, e.key)",
        stage.tenant_id,
        stage.run_id,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets, of a page behind this kind and key, those whom a complete read did not find; answers where the page ended.
pub async fn forget_unseen(
    conn: &mut PgConnection,
    stage: Stage,
    (kind, key): (&str, &str),
) -> Result<Option<(String, String)>, StoreError> {
    let row = sqlx::query!(
        "-- source.known_forget_unseen
        WITH page AS (
            SELECT kind, key FROM source_known WHERE tenant_id = $1 AND (kind, key) > ($3, $4) ORDER BY kind, key LIMIT $5
        ), gone AS (
            DELETE FROM source_known k USING page p WHERE k.tenant_id = $1 AND k.kind = p.kind AND k.key = p.key
              AND CASE p.kind WHEN 'other'
                THEN NOT EXISTS (SELECT FROM source_member m WHERE m.tenant_id = $1 AND m.run_id = $2 AND m.member = p.key)
                    OR EXISTS (SELECT FROM source_entry e WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.place = p.key)
                ELSE NOT EXISTS (SELECT FROM source_entry e WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.kind = p.kind
                    AND e.key = p.key) END
        )
        SELECT kind, key FROM page ORDER BY kind DESC, key DESC LIMIT 1",
        stage.tenant_id,
        stage.run_id,
        kind,
        key,
        PAGE,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.kind, row.key)))
}
