//! What a target was found to have that is not what was written there; and whom a comparison has to look at.

mod staging;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::StoreError;

pub use staging::*;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `account`, `active`, `username`, `email`, `display_name`, a further field, `access:NAME`, `group:NAME`; `group`.
    pub field: String,
    /// What was written last; none: nothing.
    pub written: Option<String>,
    /// What is there.
    pub found: Option<String>,
    /// What is to be.
    pub wanted: Option<String>,
}

/// Whom a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About<'a> {
    /// `user` or `group`.
    pub kind: &'a str,
    /// The user's id, or the folded name of the Jira group.
    pub subject: &'a str,
    /// For people.
    pub name: &'a str,
}

/// A difference on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// `user` or `group`.
    pub kind: String,
    /// The user's id, or the folded name of the Jira group.
    pub subject: String,
    /// See [`Difference::field`].
    pub field: String,
    /// The userName, or the group's name.
    pub name: String,
    /// What was written last.
    pub written: Option<String>,
    /// What is there.
    pub found: Option<String>,
    /// What is to be.
    pub wanted: Option<String>,
    /// What was done: `report`, `revert`, `accept`.
    pub action: String,
    /// When it was seen first.
    pub first_seen: DateTime<Utc>,
    /// When it was seen last.
    pub last_seen: DateTime<Utc>,
    /// The run that saw it last.
    pub run_id: Uuid,
}

/// Puts the differences of one subject on record: what a run did about them. Those that it has no more are forgotten.
///
/// # Errors
/// The database's.
pub async fn keep(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    run_id: Uuid,
    about: About<'_>,
    action: &str,
    differences: &[Difference],
) -> Result<(), StoreError> {
    let fields: Vec<String> = differences.iter().map(|one| one.field.clone()).collect();
    let written: Vec<Option<String>> = differences.iter().map(|one| one.written.clone()).collect();
    let found: Vec<Option<String>> = differences.iter().map(|one| one.found.clone()).collect();
    let wanted: Vec<Option<String>> = differences.iter().map(|one| one.wanted.clone()).collect();
    sqlx::query!(
        "-- drift.keep
        WITH gone AS (
            DELETE FROM drift WHERE tenant_id = $1 AND kind = $3 AND subject = $4 AND field <> ALL($7)
        )
        INSERT INTO drift (tenant_id, run_id, kind, subject, name, action, field, written, found, wanted)
        SELECT $1, $2, $3, $4, $5, $6, d.field, d.written, d.found, d.wanted
        FROM unnest($7::text[], $8::text[], $9::text[], $10::text[]) AS d (field, written, found, wanted)
        ON CONFLICT (tenant_id, kind, subject, field) DO UPDATE SET name = excluded.name, written = excluded.written,
            found = excluded.found, wanted = excluded.wanted, action = excluded.action, run_id = excluded.run_id,
            last_seen = now()",
        tenant_id,
        run_id,
        about.kind,
        about.subject,
        about.name,
        action,
        &fields,
        &written as _,
        &found as _,
        &wanted as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets what a run that is through did not see (any more), and says how many are left.
///
/// # Errors
/// The database's.
pub async fn conclude(conn: &mut PgConnection, tenant_id: Uuid, run_id: Uuid) -> Result<u64, StoreError> {
    let row = sqlx::query!(
        r#"-- drift.conclude
        WITH gone AS (DELETE FROM drift WHERE tenant_id = $1 AND run_id <> $2)
        SELECT count(*) AS "left!" FROM drift WHERE tenant_id = $1 AND run_id = $2"#,
        tenant_id,
        run_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(u64::try_from(row.left).unwrap_or_default())
}

/// A page of what is on record, by kind, subject and field, behind such a place.
///
/// # Errors
/// The database's.
pub async fn list(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    (kind, subject, field): (&str, &str, &str),
    limit: i64,
) -> Result<Vec<Found>, StoreError> {
    Ok(sqlx::query_as!(
        Found,
        "-- drift.list
        SELECT kind, subject, field, name, written, found, wanted, action, first_seen, last_seen, run_id FROM drift
        WHERE tenant_id = $1 AND (kind, subject, field) > ($2, $3, $4) ORDER BY kind, subject, field LIMIT $5",
        tenant_id,
        kind,
        subject,
        field,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Whether a user may be judged by a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody works on it, or is about to: then nothing is concluded.
    Busy,
    /// The run has done so already.
    Judged,
    /// Nobody stands in the way.
    Free,
}

/// Whether a run may judge a user now.
///
/// # Errors
/// The database's.
pub async fn standing(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_id: Uuid,
    run_id: Uuid,
) -> Result<Standing, StoreError> {
    let row = sqlx::query!(
        r#"-- drift.standing
        SELECT EXISTS (SELECT FROM drift WHERE tenant_id = $1 AND kind = 'user' AND subject = $2::uuid::text AND run_id = $3)
            AS "judged!",
            EXISTS (SELECT FROM outbox WHERE tenant_id = $1 AND kind = 'user' AND subject_id = $2
                AND (lease_until > now() OR due_at <= now())) AS "busy!""#,
        tenant_id,
        user_id,
        run_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(match (row.judged, row.busy) {
        (true, _) => Standing::Judged,
        (false, true) => Standing::Busy,
        (false, false) => Standing::Free,
    })
}

/// A Jira group on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownGroup {
    /// Its folded name.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its key at the target, where groups have one.
    pub id: Option<String>,
    /// Whether it is on record as existing, or people are on record as its members.
    pub ours: bool,
}

/// The next Jira group behind a folded name: one that exists on record or that people are on record as members of, or that
/// was staged by [`stage_groups`].
///
/// # Errors
/// The database's.
pub async fn next_group(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    after: &str,
) -> Result<Option<KnownGroup>, StoreError> {
    let row = sqlx::query(
        "-- drift.next_group
        SELECT key, min(name) AS name, max(id) AS id, bool_or(ours) AS ours FROM (
            (SELECT name_key AS key, name, target_id AS id, true AS ours FROM jira_group j
             WHERE tenant_id = $1 AND name_key > $2 AND (known = 'exists' OR EXISTS (SELECT FROM jira_membership m
                WHERE m.tenant_id = $1 AND m.group_key = j.name_key AND m.written))
             ORDER BY name_key LIMIT 1)
          UNION ALL
            (SELECT key, name, id, false FROM pg_temp.drift_group WHERE key > $2 ORDER BY key LIMIT 1)
        ) next GROUP BY key ORDER BY key LIMIT 1",
    )
    .bind(tenant_id)
    .bind(after)
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(KnownGroup { key: row.try_get(0)?, name: row.try_get(1)?, id: row.try_get(2)?, ours: row.try_get(3)? })
    })
    .transpose()
    .map_err(|error: sqlx::Error| error.into())
}

/// Puts on record that a Jira group is not there (any more).
///
/// # Errors
/// The database's.
pub async fn forget_group(conn: &mut PgConnection, tenant_id: Uuid, key: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "-- drift.forget_group
        UPDATE jira_group SET known = 'unknown', made = false, target_id = NULL WHERE tenant_id = $1 AND name_key = $2",
        tenant_id,
        key,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A page of the users who are on record as members of a Jira group.
///
/// # Errors
/// The database's.
pub async fn written_members(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    key: &str,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- drift.written_members
        SELECT user_id FROM jira_membership
        WHERE tenant_id = $1 AND group_key = $2 AND written AND user_id > $3 ORDER BY user_id LIMIT $4",
        tenant_id,
        key,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}
