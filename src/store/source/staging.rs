//! What a run reads, row by row, until it is held against the store; gone with the run.

use serde_json::Value;
use sqlx::{Executor, PgConnection};

use super::{Entry, Of, Stage};
use crate::store::StoreError;

/// Where the entry of that key was staged.
pub async fn place_of(conn: &mut PgConnection, stage: Stage, of: Of, key: &str) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- source.place_of
        SELECT place FROM source_entry WHERE tenant_id = $1 AND run_id = $2 AND kind = $3 AND key = $4",
        stage.tenant_id,
        stage.run_id,
        of.as_str(),
        key,
    )
    .fetch_optional(conn)
    .await?)
}

/// Deletes some of the rows of this hold, and of those that nobody has any more; answers whether there may be others.
pub async fn clear(conn: &mut PgConnection, stage: Stage) -> Result<bool, StoreError> {
    let entries = sqlx::query!(
        "-- source.clear_entries
        DELETE FROM source_entry WHERE ctid = ANY(ARRAY(SELECT ctid FROM source_entry e WHERE tenant_id = $1
            AND (run_id = $2 OR NOT EXISTS (SELECT FROM run r WHERE r.tenant_id = $1 AND r.lease_token = e.run_id
                AND r.state = 'running')) LIMIT 5000))",
        stage.tenant_id,
        stage.run_id,
    )
    .execute(&mut *conn)
    .await?;
    let members = sqlx::query!(
        "-- source.clear_members
        DELETE FROM source_member WHERE ctid = ANY(ARRAY(SELECT ctid FROM source_member m WHERE tenant_id = $1
            AND (run_id = $2 OR NOT EXISTS (SELECT FROM run r WHERE r.tenant_id = $1 AND r.lease_token = m.run_id
                AND r.state = 'running')) LIMIT 5000))",
        stage.tenant_id,
        stage.run_id,
    )
    .execute(&mut *conn)
    .await?;
    Ok(entries.rows_affected() + members.rows_affected() > 0)
}

/// How many people, groups and members are staged. Rows that are not logged are lost when the database server dies.
pub async fn staged(conn: &mut PgConnection, stage: Stage) -> Result<(u64, u64, u64), StoreError> {
    let row = sqlx::query!(
        r#"-- source.staged
        SELECT (SELECT count(*) FROM source_entry WHERE tenant_id = $1 AND run_id = $2 AND kind = 'user') AS "users!",
            (SELECT count(*) FROM source_entry WHERE tenant_id = $1 AND run_id = $2 AND kind = 'group') AS "groups!",
            (SELECT count(*) FROM source_member WHERE tenant_id = $1 AND run_id = $2) AS "members!""#,
        stage.tenant_id,
        stage.run_id,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.users.unsigned_abs(), row.groups.unsigned_abs(), row.members.unsigned_abs()))
}

/// Stages entries, and answers the keys of those that were not there yet: a key that comes twice counts once.
pub async fn stage(
    conn: &mut PgConnection,
    stage: Stage,
    of: Of,
    entries: &[Entry],
) -> Result<Vec<String>, StoreError> {
    let column = |of: fn(&Entry) -> &str| entries.iter().map(|entry| of(entry).to_owned()).collect::<Vec<String>>();
    let bodies: Vec<Option<Value>> = entries.iter().map(|entry| entry.body.clone()).collect();
    let also: Vec<Option<String>> = entries.iter().map(|entry| entry.also.clone()).collect();
    Ok(sqlx::query_scalar!(
        "-- source.stage
        INSERT INTO source_entry (tenant_id, run_id, kind, key, place, name_key, body, also)
        SELECT $1, $2, $3, e.key, e.place, e.name_key, e.body, e.also
        FROM unnest($4::text[], $5::text[], $6::text[], $7::jsonb[], $8::text[]) AS e (key, place, name_key, body, also)
        ON CONFLICT ON CONSTRAINT source_entry_pkey DO NOTHING RETURNING key",
        stage.tenant_id,
        stage.run_id,
        of.as_str(),
        &column(|entry| &entry.key),
        &column(|entry| &entry.place),
        &column(|entry| &entry.name_key),
        &bodies as &[Option<Value>],
        &also as &[Option<String>],
    )
    .fetch_all(conn)
    .await?)
}

/// Brings staged people up to date who changed while groups were read; whoever is new is staged, too. Answers how many are.
pub async fn restage(conn: &mut PgConnection, stage: Stage, entries: &[Entry]) -> Result<u64, StoreError> {
    let column = |of: fn(&Entry) -> &str| entries.iter().map(|entry| of(entry).to_owned()).collect::<Vec<String>>();
    let bodies: Vec<Option<Value>> = entries.iter().map(|entry| entry.body.clone()).collect();
    let also: Vec<Option<String>> = entries.iter().map(|entry| entry.also.clone()).collect();
    let new = sqlx::query_scalar!(
        r#"-- source.restage
        WITH done AS (
            INSERT INTO source_entry AS s (tenant_id, run_id, kind, key, place, name_key, body, also)
            SELECT DISTINCT ON (e.key) $1::uuid, $2::uuid, 'user', e.key, e.place, e.name_key, e.body, e.also
            FROM unnest($3::text[], $4::text[], $5::text[], $6::jsonb[], $7::text[]) AS e (key, place, name_key, body, also)
            ON CONFLICT ON CONSTRAINT source_entry_pkey DO UPDATE SET place = excluded.place, name_key = excluded.name_key,
                body = excluded.body, also = excluded.also
            RETURNING s.xmax = 0 AS new
        )
        SELECT count(*) FILTER (WHERE new) AS "new!" FROM done"#,
        stage.tenant_id,
        stage.run_id,
        &column(|entry| &entry.key),
        &column(|entry| &entry.place),
        &column(|entry| &entry.name_key),
        &bodies as &[Option<Value>],
        &also as &[Option<String>],
    )
    .fetch_one(conn)
    .await?;
    Ok(new.unsigned_abs())
}

/// Stages members of a group, by place; answers how many were not there yet.
pub async fn stage_members(
    conn: &mut PgConnection,
    stage: Stage,
    group_key: &str,
    members: &[String],
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "-- source.stage_members
        INSERT INTO source_member (tenant_id, run_id, group_key, member) SELECT $1, $2, $3, unnest($4::text[])
        ON CONFLICT ON CONSTRAINT source_member_pkey DO NOTHING",
        stage.tenant_id,
        stage.run_id,
        group_key,
        members,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Gives the places of those members who are named by something else: of a page of entries behind this kind and key. Answers
/// where the page ended.
pub async fn resolve_names(
    conn: &mut PgConnection,
    stage: Stage,
    (kind, key): (&str, &str),
) -> Result<Option<(String, String)>, StoreError> {
    let row = sqlx::query!(
        "-- source.resolve_names
        WITH page AS (
            SELECT e.kind, e.key, e.place, e.also FROM source_entry e
            WHERE e.tenant_id = $1 AND e.run_id = $2 AND (e.kind, e.key) > ($3, $4) AND e.also IS NOT NULL
            ORDER BY e.kind, e.key LIMIT 2000
        ), named AS (
            INSERT INTO source_member (tenant_id, run_id, group_key, member)
            SELECT $1, $2, m.group_key, p.place FROM page p
            JOIN source_member m ON m.tenant_id = $1 AND m.run_id = $2 AND m.member = p.also
            ON CONFLICT ON CONSTRAINT source_member_pkey DO NOTHING
        )
        SELECT kind, key FROM page ORDER BY kind DESC, key DESC LIMIT 1",
        stage.tenant_id,
        stage.run_id,
        kind,
        key,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.kind, row.key)))
}

/// The staged people's places, and what else they are named by; a few at most.
pub async fn places(conn: &mut PgConnection, stage: Stage) -> Result<Vec<(String, Option<String>)>, StoreError> {
    let rows = sqlx::query!(
        "-- source.places
        SELECT place, also FROM source_entry WHERE tenant_id = $1 AND run_id = $2 AND kind = 'user' ORDER BY key LIMIT 10",
        stage.tenant_id,
        stage.run_id,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.place, row.also)).collect())
}

/// Tells the planner of queries how large what was staged is, without which it takes it for next to nothing.
pub async fn measure(conn: &mut PgConnection) -> Result<(), StoreError> {
    conn.execute("ANALYZE source_entry, source_member").await?;
    Ok(())
}

/// The keys of the staged groups at these places, and of the groups in them, however deep.
pub async fn groups_within(
    conn: &mut PgConnection,
    stage: Stage,
    places: &[String],
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- source.groups_within
        WITH RECURSIVE inside (key) AS (
            SELECT key FROM source_entry WHERE tenant_id = $1 AND run_id = $2 AND kind = 'group' AND place = ANY($3)
          UNION
            SELECT e.key FROM inside
            JOIN source_member m ON m.tenant_id = $1 AND m.run_id = $2 AND m.group_key = inside.key
            JOIN source_entry e ON e.tenant_id = $1 AND e.run_id = $2 AND e.kind = 'group' AND e.place = m.member
        )
        SELECT key AS "key!" FROM inside"#,
        stage.tenant_id,
        stage.run_id,
        places,
    )
    .fetch_all(conn)
    .await?)
}

/// Which of these places no staged group has.
pub async fn groups_missing(
    conn: &mut PgConnection,
    stage: Stage,
    places: &[String],
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- source.groups_missing
        SELECT wanted.place AS "place!" FROM unnest($3::text[]) AS wanted (place) WHERE NOT EXISTS (
            SELECT FROM source_entry e WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.kind = 'group' AND e.place = wanted.place)"#,
        stage.tenant_id,
        stage.run_id,
        places,
    )
    .fetch_all(conn)
    .await?)
}
