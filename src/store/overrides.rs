//! What is pinned by hand: a person active or not, or in a Jira group, until a time. The facts of a plan bring what is in
//! force; here it is written and listed.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::link::Pinned;

/// Something that somebody pins.
#[derive(Clone, Debug)]
pub struct New<'a> {
    /// The user.
    pub user_id: Uuid,
    /// What is pinned.
    pub what: &'a Pinned,
    /// Until when; only [`Pinned::Inactive`] may do without.
    pub until: Option<DateTime<Utc>>,
    /// Why, for people.
    pub reason: &'a str,
    /// Who.
    pub actor: &'a str,
}

/// An override as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its id.
    pub id: Uuid,
    /// The user.
    pub user_id: Uuid,
    /// The user's name, also of one who is deleted.
    pub user_name: String,
    /// `active`, `inactive`, `member`.
    pub what: String,
    /// The Jira group of a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Until when.
    pub until: Option<DateTime<Utc>>,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// Since when.
    pub created: DateTime<Utc>,
    /// When it was ended before its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifted: Option<DateTime<Utc>>,
    /// Whether it is in force.
    pub in_force: bool,
}

/// Pins something. What the same person had pinned of the same kind (and group) ends.
pub async fn add(conn: &mut PgConnection, tenant_id: Uuid, new: &New<'_>) -> Result<Uuid, StoreError> {
    let id = Uuid::now_v7();
    let (what, group) = match new.what {
        Pinned::Active => ("active", None),
        Pinned::Inactive => ("inactive", None),
        Pinned::Member { key, name } => ("member", Some((key, name))),
    };
    sqlx::query!(
        "-- overrides.add
        WITH ended AS (
            UPDATE override SET lifted = now() WHERE tenant_id = $1 AND user_id = $3 AND lifted IS NULL
              AND (what = 'member') = ($4 = 'member') AND group_key IS NOT DISTINCT FROM $5
        )
        INSERT INTO override (tenant_id, id, user_id, what, group_key, group_name, until, reason, actor)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        tenant_id,
        id,
        new.user_id,
        what,
        group.map(|(key, _)| key),
        group.map(|(_, name)| name),
        new.until,
        new.reason,
        new.actor,
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// Ends an override before its time, and says whose it was. `None`: there is none of that id in force.
pub async fn lift(conn: &mut PgConnection, tenant_id: Uuid, id: Uuid) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- overrides.lift
        UPDATE override SET lifted = now()
        WHERE tenant_id = $1 AND id = $2 AND lifted IS NULL AND (until IS NULL OR until > now()) RETURNING user_id",
        tenant_id,
        id,
    )
    .fetch_optional(conn)
    .await?)
}

/// Ends overrides that the identity provider has caught up with.
pub async fn end(conn: &mut PgConnection, tenant_id: Uuid, ids: &[Uuid]) -> Result<(), StoreError> {
    sqlx::query!(
        "-- overrides.end
        UPDATE override SET lifted = now() WHERE tenant_id = $1 AND id = ANY($2) AND lifted IS NULL",
        tenant_id,
        ids,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The overrides of a tenant, or of one of its users, newest first: those in force, or all.
pub async fn list(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_id: Option<Uuid>,
    all: bool,
    limit: i64,
) -> Result<Vec<Listed>, StoreError> {
    Ok(sqlx::query_as!(
        Listed,
        r#"-- overrides.list
        SELECT o.id, o.user_id, coalesce(u.attrs ->> 'userName', '') AS "user_name!", o.what, o.group_name AS "group",
            o.until, o.reason, o.actor, o.created, o.lifted,
            (o.lifted IS NULL AND (o.until IS NULL OR o.until > now())) AS "in_force!"
        FROM override o LEFT JOIN scim_user u ON u.tenant_id = o.tenant_id AND u.id = o.user_id
        WHERE o.tenant_id = $1 AND ($2::uuid IS NULL OR o.user_id = $2)
          AND ($3 OR (o.lifted IS NULL AND (o.until IS NULL OR o.until > now())))
        ORDER BY o.id DESC LIMIT $4"#,
        tenant_id,
        user_id,
        all,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// The same behind this override, for those who page.
pub async fn page(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_id: Option<Uuid>,
    all: bool,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Listed>, StoreError> {
    Ok(sqlx::query_as!(
        Listed,
        r#"-- overrides.page
        SELECT o.id, o.user_id, coalesce(u.attrs ->> 'userName', '') AS "user_name!", o.what, o.group_name AS "group",
            o.until, o.reason, o.actor, o.created, o.lifted,
            (o.lifted IS NULL AND (o.until IS NULL OR o.until > now())) AS "in_force!"
        FROM override o LEFT JOIN scim_user u ON u.tenant_id = o.tenant_id AND u.id = o.user_id
        WHERE o.tenant_id = $1 AND ($2::uuid IS NULL OR o.user_id = $2) AND ($4::uuid IS NULL OR o.id < $4)
          AND ($3 OR (o.lifted IS NULL AND (o.until IS NULL OR o.until > now())))
        ORDER BY o.id DESC LIMIT $5"#,
        tenant_id,
        user_id,
        all,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Whose an override is that is in force.
pub async fn user_of(conn: &mut PgConnection, tenant_id: Uuid, id: Uuid) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- overrides.user_of
        SELECT user_id FROM override
        WHERE tenant_id = $1 AND id = $2 AND lifted IS NULL AND (until IS NULL OR until > now())",
        tenant_id,
        id,
    )
    .fetch_optional(conn)
    .await?)
}
