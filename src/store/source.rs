//! Tenants that are fed by a directory which is read on a schedule, and what a run of it read.
//!
//! What was read is staged here, so that nobody's memory has to hold a directory and nothing is changed before everything
//! was read. The rows are a run's own, and gone with it. What they mean is decided in `sync`.

pub mod compare;
pub mod known;
pub mod made;
pub mod members;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Executor, PgConnection, PgExecutor};
use uuid::Uuid;

use super::StoreError;

/// The source that a tenant's people come from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    /// Its name in the configuration.
    pub name: String,
    /// When it took the tenant over.
    pub since: DateTime<Utc>,
    /// When a complete read was last applied.
    pub applied: Option<DateTime<Utc>>,
    /// So many reads of changes were applied since.
    pub runs: i32,
    /// From where the next read may ask for changes; `None`: everything has to be read.
    pub marks: Option<Value>,
}

/// Whether a source may feed a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It does.
    Held,
    /// Somebody else brought people there, whom it would take over.
    Occupied,
}

/// A person or a group, or what of it cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The id that stays through renames and moves.
    pub key: String,
    /// What members of groups are named by.
    pub place: String,
    /// What else they are named by.
    pub also: Option<String>,
    /// The folded userName or displayName.
    pub name_key: String,
    /// The SCIM document; `None`: it cannot be used.
    pub body: Option<Value>,
}

/// People or groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// People.
    Users,
    /// Groups.
    Groups,
}

impl Of {
    /// As in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Users => "user",
            Self::Groups => "group",
        }
    }
}

/// A run's rows.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// Whose.
    pub tenant_id: Uuid,
    /// Of which run.
    pub run_id: Uuid,
}

/// Which source a tenant is fed by, if any.
pub async fn held(db: impl PgExecutor<'_>, tenant_id: Uuid) -> Result<Option<Held>, StoreError> {
    Ok(sqlx::query_as!(
        Held,
        "-- source.held
        SELECT name, since, applied, runs, marks FROM source WHERE tenant_id = $1",
        tenant_id
    )
    .fetch_optional(db)
    .await?)
}

/// Makes a source the one that feeds a tenant. Where somebody else brought people there, only with `take_over`.
pub async fn claim(conn: &mut PgConnection, tenant_id: Uuid, name: &str, take_over: bool) -> Result<Claim, StoreError> {
    if held(&mut *conn, tenant_id).await?.is_some_and(|held| held.name == name) {
        return Ok(Claim::Held);
    }
    let done = sqlx::query!(
        "-- source.claim
        INSERT INTO source (tenant_id, name)
        SELECT $1, $2 WHERE $3 OR NOT EXISTS (
            SELECT FROM scim_user WHERE tenant_id = $1 AND deleted_at IS NULL AND origin IS NULL)
        ON CONFLICT ON CONSTRAINT source_pkey DO UPDATE SET name = excluded.name, since = now(), applied = NULL, runs = 0,
            marks = NULL",
        tenant_id,
        name,
        take_over,
    )
    .execute(conn)
    .await?;
    Ok(if done.rows_affected() == 1 { Claim::Held } else { Claim::Occupied })
}

/// Lets go of the tenants whose source is not among these (tenant and name, in the same order) any more, and says which.
pub async fn release_undeclared(
    conn: &mut PgConnection,
    tenants: &[String],
    names: &[String],
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- source.release_undeclared
        DELETE FROM source s USING tenant t WHERE t.id = s.tenant_id AND NOT EXISTS (
            SELECT FROM unnest($1::text[], $2::text[]) AS d (slug, name) WHERE d.slug = t.slug AND d.name = s.name)
        RETURNING t.slug",
        tenants,
        names,
    )
    .fetch_all(conn)
    .await?)
}

/// What is known of the last complete read is about to change: until that is through, everything has to be read.
pub async fn unmark(conn: &mut PgConnection, tenant_id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "-- source.unmark\nUPDATE source SET marks = NULL WHERE tenant_id = $1 AND marks IS NOT NULL",
        tenant_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A complete read was applied: from now on people are found by their stable id alone.
pub async fn applied(conn: &mut PgConnection, tenant_id: Uuid, marks: Option<&Value>) -> Result<(), StoreError> {
    sqlx::query!(
        "-- source.applied\nUPDATE source SET applied = now(), runs = 0, marks = $2 WHERE tenant_id = $1",
        tenant_id,
        marks,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A read of changes was applied.
pub async fn changes_applied(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    marks: Option<&Value>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- source.changes_applied\nUPDATE source SET runs = runs + 1, marks = $2 WHERE tenant_id = $1",
        tenant_id,
        marks,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether people or groups were taken from the store behind the source's back since the last complete read.
pub async fn was_removed(conn: &mut PgConnection, tenant_id: Uuid) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- source.was_removed
        SELECT EXISTS (SELECT FROM run r JOIN source s ON s.tenant_id = r.tenant_id WHERE r.tenant_id = $1
            AND r.kind IN ('reset', 'purge') AND r.started IS NOT NULL
            AND (r.finished IS NULL OR s.applied IS NULL OR r.finished > s.applied)) AS "removed!""#,
        tenant_id
    )
    .fetch_one(conn)
    .await?)
}

/// Deletes the rows of this run, and those of runs that are over.
pub async fn clear(conn: &mut PgConnection, stage: Stage) -> Result<(), StoreError> {
    while sqlx::query!(
        "-- source.clear_entries
        DELETE FROM source_entry WHERE ctid = ANY(ARRAY(SELECT ctid FROM source_entry e WHERE tenant_id = $1
            AND (run_id = $2 OR NOT EXISTS (SELECT FROM run r WHERE r.tenant_id = $1 AND r.id = e.run_id
                AND r.state IN ('queued', 'running'))) LIMIT 5000))",
        stage.tenant_id,
        stage.run_id,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected()
        > 0
    {}
    while sqlx::query!(
        "-- source.clear_members
        DELETE FROM source_member WHERE ctid = ANY(ARRAY(SELECT ctid FROM source_member m WHERE tenant_id = $1
            AND (run_id = $2 OR NOT EXISTS (SELECT FROM run r WHERE r.tenant_id = $1 AND r.id = m.run_id
                AND r.state IN ('queued', 'running'))) LIMIT 5000))",
        stage.tenant_id,
        stage.run_id,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected()
        > 0
    {}
    Ok(())
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

/// Stages members of a group, by place.
pub async fn stage_members(
    conn: &mut PgConnection,
    stage: Stage,
    group_key: &str,
    members: &[String],
) -> Result<(), StoreError> {
    sqlx::query!(
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
    Ok(())
}

/// Gives the places of those members who are named by something else.
pub async fn resolve_names(conn: &mut PgConnection, stage: Stage) -> Result<(), StoreError> {
    sqlx::query!(
        "-- source.resolve_names
        INSERT INTO source_member (tenant_id, run_id, group_key, member)
        SELECT $1, $2, m.group_key, e.place FROM source_entry e
        JOIN source_member m ON m.tenant_id = $1 AND m.run_id = $2 AND m.member = e.also
        WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.also IS NOT NULL
        ON CONFLICT ON CONSTRAINT source_member_pkey DO NOTHING",
        stage.tenant_id,
        stage.run_id,
    )
    .execute(conn)
    .await?;
    Ok(())
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
