//! Groups: members are rows, never a document, so the cost of a change follows the change and not the group.
//!
//! A change of members appends a touch, from which version and lastModified are derived; nobody updates the group's row
//! for it, and only `If-Match` locks it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use super::outbox::Subject;
use super::user::{Deed, is_imported};
use crate::account::fold;
use crate::scim::{Attrs, urn};

/// A group's document, ready to be written.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    /// What the client owns, without `members`.
    pub attrs: &'a Attrs,
    /// The same, folded for comparison.
    pub folded: &'a Attrs,
}

impl Document<'_> {
    fn display_name(&self) -> &str {
        self.attrs.get("displayName").and_then(Value::as_str).unwrap_or_default()
    }

    fn external_id(&self) -> Option<&str> {
        self.attrs.get("externalId").and_then(Value::as_str)
    }
}

/// A living group.
#[derive(Clone, Debug)]
pub struct Group {
    /// What the client owns, without `members`.
    pub attrs: Attrs,
    /// The version of the row alone, for compare-and-set.
    pub row_version: i64,
    /// The version that a client sees.
    pub version: i64,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it, or its members, last changed.
    pub modified: DateTime<Utc>,
}

/// The name that the rules see.
#[derive(Clone, Copy, Debug)]
pub struct Alias<'a> {
    /// The name.
    pub name: &'a str,
    /// Whether no other living group of the tenant may have it.
    pub reserved: bool,
}

/// Reads a living group.
pub async fn get(conn: &mut PgConnection, tenant_id: Uuid, id: Uuid) -> Result<Option<Group>, StoreError> {
    let row = sqlx::query!(
        r#"-- group.get
        SELECT g.attrs AS "attrs: Json<Attrs>", g.version AS row_version, g.created,
            g.version + coalesce(t.n, 0) AS "version!", greatest(g.modified, t.at) AS "modified!"
        FROM scim_group g
        CROSS JOIN LATERAL (SELECT count(*) AS n, max(at) AS at FROM group_touch WHERE tenant_id = $1 AND group_id = $2) t
        WHERE g.tenant_id = $1 AND g.id = $2 AND g.deleted_at IS NULL"#,
        tenant_id,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Group {
        attrs: row.attrs.0,
        row_version: row.row_version,
        version: row.version,
        created: row.created,
        modified: row.modified,
    }))
}

/// The id of the living group of that folded name, where it was imported and nobody has written to it since.
pub async fn imported_named(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    display_name_key: &str,
) -> Result<Option<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- group.imported_named
        SELECT id FROM scim_group
        WHERE tenant_id = $1 AND display_name_key = $2 AND deleted_at IS NULL AND origin IS NOT NULL",
        tenant_id,
        display_name_key,
    )
    .fetch_optional(conn)
    .await?)
}

/// As [`get`], and nobody else with a precondition gets past us.
pub async fn lock(conn: &mut PgConnection, tenant_id: Uuid, id: Uuid) -> Result<Option<Group>, StoreError> {
    sqlx::query!(
        "-- group.lock
        SELECT id FROM scim_group WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE",
        tenant_id,
        id
    )
    .fetch_optional(&mut *conn)
    .await?;
    get(conn, tenant_id, id).await
}

/// A living group as far as a change without a precondition must know it.
#[derive(Clone, Debug)]
pub struct Glance {
    /// What the client owns, without `members`.
    pub attrs: Attrs,
    /// The version of the row alone, for compare-and-set.
    pub row_version: i64,
    /// The version that a client sees, unless there are too many touches to count.
    pub version: Option<i64>,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it, or its members, last changed, as far as was looked.
    pub modified: DateTime<Utc>,
    /// Which of the ids that were asked about are living groups.
    pub groups: Vec<Uuid>,
}

impl From<Group> for Glance {
    fn from(group: Group) -> Self {
        Self {
            attrs: group.attrs,
            row_version: group.row_version,
            version: Some(group.version),
            created: group.created,
            modified: group.modified,
            groups: Vec::new(),
        }
    }
}

/// So many touches are counted for a [`Glance`]. The janitor folds them, so there are more only where members change fast.
const TOUCHES: i64 = 64;

/// Reads a living group at a cost that does not grow with how fast its members change, and looks up which of some ids are
/// groups: one way to the database for all that the usual change of members has to know.
pub async fn glance(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    ids: &[Uuid],
) -> Result<Option<Glance>, StoreError> {
    let row = sqlx::query!(
        r#"-- group.glance
        SELECT g.attrs AS "attrs: Json<Attrs>", g.version AS row_version, g.created, t.n AS "n!",
            greatest(g.modified, t.at) AS "modified!",
            ARRAY(SELECT id FROM scim_group WHERE tenant_id = $1 AND id = ANY($4) AND deleted_at IS NULL) AS "groups!"
        FROM scim_group g
        CROSS JOIN LATERAL (
            SELECT count(*) AS n, max(at) AS at
            FROM (SELECT at FROM group_touch WHERE tenant_id = $1 AND group_id = $2 LIMIT $3) AS few
        ) t
        WHERE g.tenant_id = $1 AND g.id = $2 AND g.deleted_at IS NULL"#,
        tenant_id,
        id,
        TOUCHES + 1,
        ids
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Glance {
        attrs: row.attrs.0,
        row_version: row.row_version,
        version: (row.n <= TOUCHES).then_some(row.row_version + row.n),
        created: row.created,
        modified: row.modified,
        groups: row.groups,
    }))
}

/// Whoever puts groups into groups of a tenant goes one after the other until the transaction ends.
pub async fn lock_nesting(conn: &mut PgConnection, tenant_id: Uuid) -> Result<(), StoreError> {
    // The number only keeps this lock apart from others that are named by a tenant.
    sqlx::query!(
        "-- group.lock_nesting
        SELECT pg_advisory_xact_lock(hashtextextended($1::text, 7643))",
        tenant_id.to_string()
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// Which of these ids are neither living users nor living groups.
pub async fn unknown_among(conn: &mut PgConnection, tenant_id: Uuid, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- group.unknown_among
        SELECT wanted.id AS "id!" FROM unnest($2::uuid[]) AS wanted (id)
        WHERE NOT EXISTS (SELECT 1 FROM scim_user u WHERE u.tenant_id = $1 AND u.id = wanted.id AND u.deleted_at IS NULL)
          AND NOT EXISTS (SELECT 1 FROM scim_group g WHERE g.tenant_id = $1 AND g.id = wanted.id AND g.deleted_at IS NULL)"#,
        tenant_id,
        ids
    )
    .fetch_all(conn)
    .await?)
}

/// Which of these ids are living groups.
pub async fn groups_among(conn: &mut PgConnection, tenant_id: Uuid, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- group.groups_among
        SELECT id FROM scim_group WHERE tenant_id = $1 AND id = ANY($2) AND deleted_at IS NULL",
        tenant_id,
        ids
    )
    .fetch_all(conn)
    .await?)
}

/// How many groups lie one in the other when `members` are in `group`, counted no further than one beyond `limit`.
pub async fn depth_through(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    members: &[Uuid],
    group: Uuid,
    limit: i32,
) -> Result<i32, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- group.depth_through
        WITH RECURSIVE down (id, depth) AS (
            SELECT unnest($2::uuid[]), 1
          UNION
            SELECT m.member_id, down.depth + 1 FROM down
            JOIN group_member m ON m.tenant_id = $1 AND m.group_id = down.id AND m.is_group WHERE down.depth <= $4
        ), up (id, depth) AS (
            SELECT $3::uuid, 1
          UNION
            SELECT m.group_id, up.depth + 1 FROM up
            JOIN group_member m ON m.tenant_id = $1 AND m.member_id = up.id AND m.is_group WHERE up.depth <= $4
        )
        SELECT (SELECT max(depth) FROM down) + (SELECT max(depth) FROM up) AS "depth!""#,
        tenant_id,
        members,
        group,
        limit,
    )
    .fetch_one(conn)
    .await?)
}

/// Whether `group` can be reached from `members` downwards: adding them would close a circle.
pub async fn reaches(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    members: &[Uuid],
    group: Uuid,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- group.reaches
        WITH RECURSIVE down (id) AS (
            SELECT unnest($2::uuid[])
          UNION
            SELECT m.member_id FROM down
            JOIN scim_group g ON g.tenant_id = $1 AND g.id = down.id AND g.deleted_at IS NULL
            JOIN group_member m ON m.tenant_id = $1 AND m.group_id = down.id AND m.is_group
        )
        SELECT EXISTS (SELECT 1 FROM down WHERE id = $3) AS "reaches!""#,
        tenant_id,
        members,
        group
    )
    .fetch_one(conn)
    .await?)
}

/// Creates a group without members; see [`change_members`].
///
/// # Errors
/// The constraints `scim_group_display_name_key` and `scim_group_alias_key`.
pub async fn create(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    document: &Document<'_>,
    alias: Alias<'_>,
) -> Result<DateTime<Utc>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- group.create
        WITH counted AS (INSERT INTO tally_delta (tenant_id, kind, delta) VALUES ($1, 'group', 1))
        INSERT INTO scim_group (tenant_id, id, display_name_key, external_id, attrs, folded, alias, alias_key, alias_reserved,
            created, modified)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now(), now()) RETURNING created"#,
        tenant_id,
        id,
        fold(document.display_name()),
        document.external_id(),
        Json(document.attrs) as _,
        Json(document.folded) as _,
        alias.name,
        fold(alias.name),
        alias.reserved,
    )
    .fetch_one(conn)
    .await?)
}

/// Writes a living group's own attributes where its row still has this version, and another alias where it gets one.
///
/// # Errors
/// The constraints `scim_group_display_name_key` and `scim_group_alias_key`.
pub async fn update(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    row_version: i64,
    document: &Document<'_>,
    alias: Option<Alias<'_>>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- group.update
        UPDATE scim_group SET display_name_key = $4, external_id = $5, attrs = $6, folded = $7, version = version + 1,
            modified = now(), alias = coalesce($8, alias), alias_key = coalesce($9, alias_key),
            alias_reserved = coalesce($10, alias_reserved), origin = CASE WHEN $11 THEN 'imported' END
        WHERE tenant_id = $1 AND id = $2 AND version = $3 AND deleted_at IS NULL",
        tenant_id,
        id,
        row_version,
        fold(document.display_name()),
        document.external_id(),
        Json(document.attrs) as _,
        Json(document.folded) as _,
        alias.map(|alias| alias.name),
        alias.map(|alias| fold(alias.name)),
        alias.map(|alias| alias.reserved),
        is_imported(document.attrs, urn::ORIGIN_GROUP),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Makes a tombstone of a living group; its edges go when its fan-out is through.
pub async fn delete(conn: &mut PgConnection, tenant_id: Uuid, id: Uuid) -> Result<bool, StoreError> {
    let done = sqlx::query_scalar!(
        r#"-- group.delete
        WITH done AS (
            UPDATE scim_group SET deleted_at = now(), version = version + 1, modified = now(), origin = NULL
            WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL RETURNING id
        ), counted AS (INSERT INTO tally_delta (tenant_id, kind, delta) SELECT $1, 'group', -1 FROM done)
        SELECT count(*) AS "n!" FROM done"#,
        tenant_id,
        id
    )
    .fetch_one(conn)
    .await?;
    Ok(done == 1)
}

/// Takes back a create that nobody has built on, with what was refused of the Jira groups of these keys.
pub async fn unmake(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    jira_keys: &[String],
) -> Result<bool, StoreError> {
    let done = sqlx::query_scalar!(
        r#"-- group.unmake
        WITH done AS (
            DELETE FROM scim_group WHERE tenant_id = $1 AND id = $2 AND version = 1 AND deleted_at IS NULL
            RETURNING id
        ), edges AS (DELETE FROM group_member m USING done WHERE m.tenant_id = $1 AND m.group_id = done.id
        ), parents AS (DELETE FROM group_member m USING done WHERE m.tenant_id = $1 AND m.member_id = done.id
        ), touches AS (DELETE FROM group_touch t USING done WHERE t.tenant_id = $1 AND t.group_id = done.id
        ), refusal AS (
            DELETE FROM jira_group j USING done WHERE j.tenant_id = $1 AND j.name_key = ANY($3) AND j.known = 'unknown'
        ), row_gone AS (
            DELETE FROM outbox o USING done WHERE o.tenant_id = $1 AND o.kind = 'group' AND o.subject_id = done.id
        ), counted AS (INSERT INTO tally_delta (tenant_id, kind, delta) SELECT $1, 'group', -1 FROM done)
        SELECT count(*) AS "n!" FROM done"#,
        tenant_id,
        id,
        jira_keys,
    )
    .fetch_one(conn)
    .await?;
    Ok(done == 1)
}

/// A change of members, as a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Everybody who is not in `add` leaves.
    pub replace: bool,
    /// Who joins.
    pub add: Vec<Uuid>,
    /// Who leaves.
    pub remove: Vec<Uuid>,
    /// What was named to join and is no id at all: left out, and named in the audit row.
    pub odd: Vec<String>,
}

/// A subject that a change of members put into the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// A member, or the group itself.
    pub subject: Subject,
    /// Joined, or left; `None` for the group itself.
    pub joined: Option<bool>,
    /// The lease, where the request got it.
    pub lease: Option<Uuid>,
}

/// What goes with a change of members.
#[derive(Clone, Copy, Debug, Default)]
pub struct With {
    /// The group's own attributes changed too: there is an audit row whatever the members do.
    pub attrs_changed: bool,
    /// The group itself goes into the outbox.
    pub nudge_group: bool,
    /// It stands for other Jira groups from now on: all its members are looked at.
    pub moves: bool,
}

/// Changes the members of a living group, with the audit row and the outbox rows, in one statement.
///
/// Ids that are neither living users nor groups are left out and named in the audit row. Adding who is there and removing
/// who is not changes nothing; where nothing changes there is neither audit row nor touch. Up to [`LEASED`] subjects are
/// leased to the request.
pub async fn change_members(
    conn: &mut PgConnection,
    deed: &Deed<'_>,
    id: Uuid,
    delta: &Delta,
    with: With,
) -> Result<Vec<Moved>, StoreError> {
    let rows = sqlx::query!(
        r#"-- group.change_members
        WITH alive AS (SELECT id FROM scim_group WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL
        ), known AS (
            SELECT id, false AS is_group FROM scim_user WHERE tenant_id = $1 AND id = ANY($3) AND deleted_at IS NULL
          UNION ALL
            SELECT id, true FROM scim_group WHERE tenant_id = $1 AND id = ANY($3) AND deleted_at IS NULL AND id <> $2
        ), skipped AS (
            SELECT id FROM unnest($3::uuid[]) AS id EXCEPT SELECT id FROM known
        ), joined AS (
            INSERT INTO group_member (tenant_id, group_id, member_id, is_group)
            SELECT $1, alive.id, known.id, known.is_group FROM known, alive ORDER BY known.id
            ON CONFLICT ON CONSTRAINT group_member_pkey DO NOTHING RETURNING member_id, is_group
        ), wanted AS (
            -- An anti-join against this is hashed; `<> ALL` of a parameter is a search through the list for each member.
            SELECT unnest($3::uuid[]) AS id
        ), leaving AS (
            SELECT unnest($4::uuid[]) AS member_id
          UNION
            SELECT m.member_id FROM group_member m
            WHERE $5 AND m.tenant_id = $1 AND m.group_id = $2
              AND NOT EXISTS (SELECT 1 FROM wanted WHERE wanted.id = m.member_id)
        ), going AS (
            SELECT m.member_id FROM leaving JOIN group_member m
                ON m.tenant_id = $1 AND m.group_id = $2 AND m.member_id = leaving.member_id
            ORDER BY m.member_id FOR UPDATE OF m
        ), gone AS (
            DELETE FROM group_member m USING going
            WHERE m.tenant_id = $1 AND m.group_id = $2 AND m.member_id = going.member_id
            RETURNING m.member_id, m.is_group
        ), moved AS (
            SELECT member_id, is_group, true AS joined FROM joined UNION ALL SELECT member_id, is_group, false FROM gone
        ), touched AS (
            INSERT INTO group_touch (tenant_id, group_id, at) SELECT $1, $2, now() WHERE EXISTS (SELECT 1 FROM moved)
        ), audited AS (
            INSERT INTO audit (tenant_id, at, id, request_id, actor, remote, action, kind, subject_id, body, status, skipped)
            SELECT $1, now(), $6, $7, $8, $9, $10, 'group', $2, $11, $12,
                (SELECT array_agg(name) FROM (SELECT id::text AS name FROM skipped UNION ALL SELECT unnest($19::text[])) AS named)
            WHERE $13 OR EXISTS (SELECT 1 FROM moved) OR EXISTS (SELECT 1 FROM skipped) OR cardinality($19::text[]) > 0
        ), subjects AS (
            SELECT 'user' AS kind, member_id AS id, false AS fan_out FROM moved WHERE NOT is_group
          UNION ALL
            SELECT 'group', $2, $20 OR EXISTS (SELECT 1 FROM moved WHERE is_group)
            WHERE $14 OR $20 OR EXISTS (SELECT 1 FROM moved WHERE is_group)
        ), nudged AS (
            INSERT INTO outbox (tenant_id, kind, subject_id, priority, due_at, since, request_id, fan_out, lease_token, lease_until)
            SELECT $1, kind, id, $15, now(), now(), $7, fan_out,
                CASE WHEN few THEN $16::uuid END,
                CASE WHEN few AND $16 IS NOT NULL THEN now() + make_interval(secs => $17) END
            FROM subjects, (SELECT count(*) <= $18 AS few FROM subjects) AS size ORDER BY kind, id
            ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET seq = outbox.seq + 1,
                priority = least(outbox.priority, excluded.priority), due_at = least(outbox.due_at, excluded.due_at),
                request_id = excluded.request_id, fan_out = outbox.fan_out OR excluded.fan_out,
                page_after = CASE WHEN excluded.fan_out THEN NULL ELSE outbox.page_after END,
                lease_token = CASE WHEN outbox.lease_until > now() THEN outbox.lease_token ELSE excluded.lease_token END,
                lease_until = CASE WHEN outbox.lease_until > now() THEN outbox.lease_until ELSE excluded.lease_until END
            RETURNING subject_id, coalesce(lease_token = $16, false) AS leased
        )
        SELECT nudged.subject_id AS "id!", nudged.leased AS "leased!",
            coalesce(moved.joined, false) AS "joined!", moved.member_id IS NOT NULL AS "moved!",
            coalesce(moved.is_group, true) AS "is_group!"
        FROM nudged FULL JOIN moved ON moved.member_id = nudged.subject_id
        WHERE nudged.subject_id IS NOT NULL"#,
        deed.tenant_id,
        id,
        &delta.add,
        &delta.remove,
        delta.replace,
        deed.audit_id,
        deed.request_id,
        deed.actor,
        deed.remote,
        deed.action,
        deed.body,
        deed.status,
        with.attrs_changed,
        with.nudge_group,
        deed.nudge.priority,
        deed.token(),
        deed.seconds(),
        LEASED,
        &delta.odd,
        with.moves,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Moved {
            subject: if row.moved && !row.is_group { Subject::User(row.id) } else { Subject::Group(row.id) },
            joined: row.moved.then_some(row.joined),
            lease: deed.token().filter(|_| row.leased),
        })
        .collect())
}

/// So many subjects of one request are leased to it; more are left to the workers.
pub const LEASED: i64 = 16;

/// Appends an audit row about a group.
pub async fn audit(conn: &mut PgConnection, deed: &Deed<'_>, id: Uuid, skipped: &[String]) -> Result<(), StoreError> {
    sqlx::query!(
        "-- group.audit
        INSERT INTO audit (tenant_id, at, id, request_id, actor, remote, action, kind, subject_id, body, status, skipped)
        VALUES ($1, now(), $2, $3, $4, $5, $6, 'group', $7, $8, $9, $10)",
        deed.tenant_id,
        deed.audit_id,
        deed.request_id,
        deed.actor,
        deed.remote,
        deed.action,
        id,
        deed.body,
        deed.status,
        if skipped.is_empty() { None } else { Some(skipped) },
    )
    .execute(conn)
    .await?;
    Ok(())
}
