//! Tenants that are fed by a directory which is read on a schedule, and what a run of it read.
//!
//! What was read is staged here, so that nobody's memory has to hold a directory and nothing is changed before everything
//! was read. The rows are a run's own, and gone with it. What they mean is decided in `sync`.

pub mod compare;
pub mod known;
pub mod made;
pub mod members;
pub mod staging;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
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

/// The rows of somebody who works on a run. Whoever takes the run up after that has rows of its own: who lost it finds nothing.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// Whose.
    pub tenant_id: Uuid,
    /// The token of the hold.
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

/// Whether a source could become the one that feeds a tenant; takes nothing.
pub async fn may_claim(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    name: &str,
    take_over: bool,
) -> Result<Claim, StoreError> {
    let free = sqlx::query_scalar!(
        r#"-- source.may_claim
        SELECT $3 OR EXISTS (SELECT FROM source WHERE tenant_id = $1 AND name = $2) OR NOT EXISTS (
            SELECT FROM scim_user WHERE tenant_id = $1 AND deleted_at IS NULL AND origin IS NULL) AS "free!""#,
        tenant_id,
        name,
        take_over,
    )
    .fetch_one(conn)
    .await?;
    Ok(if free { Claim::Held } else { Claim::Occupied })
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

/// Whether the last sync of more than one person that came to an end failed.
pub async fn last_failed(conn: &mut PgConnection, tenant_id: Uuid) -> Result<bool, StoreError> {
    let state = sqlx::query_scalar!(
        "-- source.last_failed
        SELECT state FROM run WHERE tenant_id = $1 AND kind = 'sync' AND state IN ('done', 'failed', 'stopped')
            AND NOT options ? 'user' ORDER BY requested DESC, id DESC LIMIT 1",
        tenant_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(state.is_some_and(|state| state != "done"))
}
