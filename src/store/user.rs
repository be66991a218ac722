//! Users: each change is one statement with its audit row, its outbox row and its delta to the tally.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use super::outbox::{Nudge, NudgeAs, Subject};
use crate::account::fold;
use crate::scim::{Attrs, urn};

/// A user's document with what the store compares, ready to be written.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    /// What the client owns.
    pub attrs: &'a Attrs,
    /// The same, folded for comparison.
    pub folded: &'a Attrs,
    /// `active`.
    pub active: bool,
}

impl Document<'_> {
    fn user_name_key(&self) -> String {
        fold(self.attrs.get("userName").and_then(Value::as_str).unwrap_or_default())
    }

    fn external_id(&self) -> Option<&str> {
        self.attrs.get("externalId").and_then(Value::as_str)
    }

    fn email_keys(&self) -> Vec<String> {
        let emails = self.folded.get("emails").and_then(Value::as_array);
        emails.into_iter().flatten().filter_map(|e| e.get("value")?.as_str()).map(fold).collect()
    }
}

/// Whether a resource's document says that it was imported; the column `origin` follows it.
pub(super) fn is_imported(attrs: &Attrs, extension: &str) -> bool {
    attrs.contains_key(extension)
}

/// Who changes what, for the audit.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    /// The tenant.
    pub tenant_id: Uuid,
    /// The audit row's id.
    pub audit_id: Uuid,
    /// The request.
    pub request_id: Uuid,
    /// The credential's label.
    pub actor: &'a str,
    /// The client's address.
    pub remote: Option<&'a str>,
    /// `user.create` ...
    pub action: &'a str,
    /// The request's body without secrets.
    pub body: Option<&'a Value>,
    /// The answer it will have.
    pub status: i16,
    /// How the subject goes into the outbox.
    pub nudge: NudgeAs,
}

impl Deed<'_> {
    pub(super) fn token(&self) -> Option<Uuid> {
        self.nudge.lease.map(|(token, _)| token)
    }

    pub(super) fn seconds(&self) -> f64 {
        self.nudge.lease.map_or(0.0, |(_, length)| length.as_secs_f64())
    }
}

/// A write that took place.
#[derive(Clone, Debug)]
pub struct Written {
    /// The resource.
    pub id: Uuid,
    /// Its new version.
    pub version: i64,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was changed: now.
    pub modified: DateTime<Utc>,
    /// Its nudge.
    pub nudge: Nudge,
}

/// A living user.
#[derive(Clone, Debug)]
pub struct User {
    /// What the client owns.
    pub attrs: Attrs,
    /// `active`.
    pub active: bool,
    /// The version.
    pub version: i64,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was last changed.
    pub modified: DateTime<Utc>,
}

/// Reads a living user.
pub async fn get(conn: &mut PgConnection, tenant_id: Uuid, id: Uuid) -> Result<Option<User>, StoreError> {
    let row = sqlx::query!(
        r#"-- user.get
        SELECT attrs AS "attrs: Json<Attrs>", active, version, created, modified
        FROM scim_user WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL"#,
        tenant_id,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| User {
        attrs: row.attrs.0,
        active: row.active,
        version: row.version,
        created: row.created,
        modified: row.modified,
    }))
}

/// Reads a living user with the living groups it is in, in one statement; see [`super::related::groups_of`].
pub async fn get_with_groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
) -> Result<Option<(User, Vec<InGroup>)>, StoreError> {
    let row = sqlx::query!(
        r#"-- user.get_with_groups
        WITH RECURSIVE up AS (
            SELECT m.group_id, true AS direct
            FROM group_member m JOIN scim_group g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
            WHERE m.tenant_id = $1 AND m.member_id = $2 AND NOT m.is_group AND g.deleted_at IS NULL
          UNION
            SELECT m.group_id, false
            FROM up JOIN group_member m ON m.tenant_id = $1 AND m.member_id = up.group_id AND m.is_group
            JOIN scim_group g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
            WHERE g.deleted_at IS NULL
        )
        SELECT u.attrs AS "attrs: Json<Attrs>", u.active, u.version, u.created, u.modified,
            (SELECT jsonb_agg(jsonb_build_object('id', e.group_id, 'display', coalesce(g.attrs ->> 'displayName', ''),
                    'direct', e.direct) ORDER BY e.group_id)
             FROM (SELECT group_id, bool_or(direct) AS direct FROM up GROUP BY group_id) e
             JOIN scim_group g ON g.tenant_id = $1 AND g.id = e.group_id) AS "groups: Json<Vec<InGroup>>"
        FROM scim_user u WHERE u.tenant_id = $1 AND u.id = $2 AND u.deleted_at IS NULL"#,
        tenant_id,
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let user = User {
            attrs: row.attrs.0,
            active: row.active,
            version: row.version,
            created: row.created,
            modified: row.modified,
        };
        (user, row.groups.map(|groups| groups.0).unwrap_or_default())
    }))
}

/// The living user of that folded name, where it was imported and nobody has written to it since.
pub async fn imported_named(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_name_key: &str,
) -> Result<Option<(Uuid, User)>, StoreError> {
    let row = sqlx::query!(
        r#"-- user.imported_named
        SELECT id, attrs AS "attrs: Json<Attrs>", active, version, created, modified
        FROM scim_user WHERE tenant_id = $1 AND user_name_key = $2 AND deleted_at IS NULL AND origin IS NOT NULL"#,
        tenant_id,
        user_name_key,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let user = User {
            attrs: row.attrs.0,
            active: row.active,
            version: row.version,
            created: row.created,
            modified: row.modified,
        };
        (row.id, user)
    }))
}

/// A group that a user is in.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct InGroup {
    /// Its id.
    pub id: Uuid,
    /// Its `displayName`.
    pub display: String,
    /// Direct member, or through a nested group.
    pub direct: bool,
}

/// Creates a user, or brings a tombstone back under its old id: the same externalId, or the same userName where one side
/// has no externalId.
///
/// # Errors
/// The constraint `scim_user_user_name_key`, when a living user has the name.
pub async fn create(
    conn: &mut PgConnection,
    deed: &Deed<'_>,
    id: Uuid,
    document: &Document<'_>,
) -> Result<Written, StoreError> {
    let row = sqlx::query!(
        r#"-- user.create
        WITH ghost AS (
            SELECT id FROM scim_user
            WHERE tenant_id = $1 AND deleted_at IS NOT NULL
              AND ((external_id = $4
                    -- Who is alive is not re-hired: then the tombstone is an earlier bearer of that externalId.
                    AND NOT EXISTS (SELECT 1 FROM scim_user u WHERE u.tenant_id = $1 AND u.external_id = $4 AND u.deleted_at IS NULL))
                OR (user_name_key = $3 AND (external_id IS NULL OR $4::text IS NULL)))
            ORDER BY (external_id IS NOT DISTINCT FROM $4) DESC, deleted_at DESC LIMIT 1 FOR UPDATE
        ), revived AS (
            UPDATE scim_user u SET user_name_key = $3, external_id = $4, active = $5, email_keys = $6, attrs = $7,
                folded = $8, version = u.version + 1, modified = now(), deleted_at = NULL, origin = NULL, forgotten = false
            FROM ghost WHERE u.tenant_id = $1 AND u.id = ghost.id RETURNING u.id, u.version, u.created, u.modified
        ), forgiven AS (
            -- A new start: what was refused the first time is tried again, and the person's own past counts, not what
            -- the account was like before we adopted it.
            UPDATE link SET record = record - 'steps' - 'found' FROM revived WHERE link.tenant_id = $1 AND link.user_id = revived.id
        ), inserted AS (
            INSERT INTO scim_user (tenant_id, id, user_name_key, external_id, active, email_keys, attrs, folded, created, modified)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, now(), now() WHERE NOT EXISTS (SELECT 1 FROM ghost)
            RETURNING id, version, created, modified
        ), done AS (SELECT * FROM revived UNION ALL SELECT * FROM inserted
        ), counted AS (
            INSERT INTO tally_delta (tenant_id, kind, delta) SELECT $1, 'user', 1 FROM done
        ), audited AS (
            INSERT INTO audit (tenant_id, at, id, request_id, actor, remote, action, kind, subject_id, body, status)
            SELECT $1, now(), $9, $10, $11, $12, $13, 'user', done.id, $14, $15 FROM done
        ), nudged AS (
            INSERT INTO outbox (tenant_id, kind, subject_id, priority, due_at, since, request_id, lease_token, lease_until)
            SELECT $1, 'user', done.id, $16, now(), now(), $10, $17, CASE WHEN $17::uuid IS NOT NULL THEN now() + make_interval(secs => $18) END
            FROM done
            ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET seq = outbox.seq + 1,
                priority = least(outbox.priority, excluded.priority), due_at = least(outbox.due_at, excluded.due_at),
                request_id = excluded.request_id,
                lease_token = CASE WHEN outbox.lease_until > now() THEN outbox.lease_token ELSE excluded.lease_token END,
                lease_until = CASE WHEN outbox.lease_until > now() THEN outbox.lease_until ELSE excluded.lease_until END
            RETURNING lease_token = $17 AS leased
        )
        SELECT done.id AS "id!", done.version AS "version!", done.created AS "created!", done.modified AS "modified!",
            coalesce((SELECT leased FROM nudged), false) AS "leased!" FROM done"#,
        deed.tenant_id,
        id,
        document.user_name_key(),
        document.external_id(),
        document.active,
        &document.email_keys(),
        Json(document.attrs) as _,
        Json(document.folded) as _,
        deed.audit_id,
        deed.request_id,
        deed.actor,
        deed.remote,
        deed.action,
        deed.body,
        deed.status,
        deed.nudge.priority,
        deed.token(),
        deed.seconds(),
    )
    .fetch_one(conn)
    .await?;
    let nudge = Nudge { subject: Subject::User(row.id), lease: deed.token().filter(|_| row.leased) };
    Ok(Written { id: row.id, version: row.version, created: row.created, modified: row.modified, nudge })
}

/// Writes a living user that still has the version it was read with; `None` when it has not.
///
/// # Errors
/// The constraint `scim_user_user_name_key`.
pub async fn update(
    conn: &mut PgConnection,
    deed: &Deed<'_>,
    id: Uuid,
    version: i64,
    document: &Document<'_>,
) -> Result<Option<Written>, StoreError> {
    let row = sqlx::query!(
        r#"-- user.update
        WITH done AS (
            UPDATE scim_user SET user_name_key = $4, external_id = $5, active = $6, email_keys = $7, attrs = $8,
                folded = $9, version = version + 1, modified = now(), origin = CASE WHEN $20 THEN 'imported' END
            WHERE tenant_id = $1 AND id = $2 AND version = $3 AND deleted_at IS NULL
            RETURNING id, version, created, modified
        ), audited AS (
            INSERT INTO audit (tenant_id, at, id, request_id, actor, remote, action, kind, subject_id, body, status)
            SELECT $1, now(), $10, $11, $12, $13, $14, 'user', done.id, $15, $16 FROM done
        ), nudged AS (
            INSERT INTO outbox (tenant_id, kind, subject_id, priority, due_at, since, request_id, lease_token, lease_until)
            SELECT $1, 'user', done.id, $17, now(), now(), $11, $18, CASE WHEN $18::uuid IS NOT NULL THEN now() + make_interval(secs => $19) END
            FROM done
            ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET seq = outbox.seq + 1,
                priority = least(outbox.priority, excluded.priority), due_at = least(outbox.due_at, excluded.due_at),
                request_id = excluded.request_id,
                lease_token = CASE WHEN outbox.lease_until > now() THEN outbox.lease_token ELSE excluded.lease_token END,
                lease_until = CASE WHEN outbox.lease_until > now() THEN outbox.lease_until ELSE excluded.lease_until END
            RETURNING lease_token = $18 AS leased
        )
        SELECT done.version AS "version!", done.created AS "created!", done.modified AS "modified!",
            coalesce((SELECT leased FROM nudged), false) AS "leased!" FROM done"#,
        deed.tenant_id,
        id,
        version,
        document.user_name_key(),
        document.external_id(),
        document.active,
        &document.email_keys(),
        Json(document.attrs) as _,
        Json(document.folded) as _,
        deed.audit_id,
        deed.request_id,
        deed.actor,
        deed.remote,
        deed.action,
        deed.body,
        deed.status,
        deed.nudge.priority,
        deed.token(),
        deed.seconds(),
        is_imported(document.attrs, urn::ORIGIN_USER),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Written {
        id,
        version: row.version,
        created: row.created,
        modified: row.modified,
        nudge: Nudge { subject: Subject::User(id), lease: deed.token().filter(|_| row.leased) },
    }))
}

/// Makes a tombstone of a living user; `None` when there is none, or it has another version than the one asked for.
pub async fn delete(
    conn: &mut PgConnection,
    deed: &Deed<'_>,
    id: Uuid,
    version: Option<i64>,
) -> Result<Option<Nudge>, StoreError> {
    let row = sqlx::query!(
        r#"-- user.delete
        WITH done AS (
            UPDATE scim_user SET deleted_at = now(), version = version + 1, modified = now(), undone = ($8 = 'undo'),
                purged = false, origin = NULL
            WHERE tenant_id = $1 AND id = $2 AND ($3::bigint IS NULL OR version = $3) AND deleted_at IS NULL
            RETURNING id
        ), edges AS (
            DELETE FROM group_member m USING done WHERE m.tenant_id = $1 AND m.member_id = done.id RETURNING m.group_id
        ), touched AS (
            INSERT INTO group_touch (tenant_id, group_id, at) SELECT $1, group_id, now() FROM edges
        ), counted AS (
            INSERT INTO tally_delta (tenant_id, kind, delta) SELECT $1, 'user', -1 FROM done
        ), audited AS (
            INSERT INTO audit (tenant_id, at, id, request_id, actor, remote, action, kind, subject_id, body, status)
            SELECT $1, now(), $4, $5, $6, $7, $8, 'user', done.id, $9, $10 FROM done
        ), nudged AS (
            INSERT INTO outbox (tenant_id, kind, subject_id, priority, due_at, since, request_id, lease_token, lease_until)
            SELECT $1, 'user', done.id, $11, now(), now(), $5, $12, CASE WHEN $12::uuid IS NOT NULL THEN now() + make_interval(secs => $13) END
            FROM done
            ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET seq = outbox.seq + 1,
                priority = least(outbox.priority, excluded.priority), due_at = least(outbox.due_at, excluded.due_at),
                request_id = excluded.request_id,
                lease_token = CASE WHEN outbox.lease_until > now() THEN outbox.lease_token ELSE excluded.lease_token END,
                lease_until = CASE WHEN outbox.lease_until > now() THEN outbox.lease_until ELSE excluded.lease_until END
            RETURNING lease_token = $12 AS leased
        )
        SELECT coalesce((SELECT leased FROM nudged), false) AS "leased!" FROM done"#,
        deed.tenant_id,
        id,
        version,
        deed.audit_id,
        deed.request_id,
        deed.actor,
        deed.remote,
        deed.action,
        deed.body,
        deed.status,
        deed.nudge.priority,
        deed.token(),
        deed.seconds(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Nudge { subject: Subject::User(id), lease: deed.token().filter(|_| row.leased) }))
}

/// Takes back a create of which nothing reached the target: the user was never there. `false` when something did, or the
/// user has changed since; then a tombstone with its link is the way back.
pub async fn unmake(conn: &mut PgConnection, deed: &Deed<'_>, id: Uuid, version: i64) -> Result<bool, StoreError> {
    let row = sqlx::query_scalar!(
        r#"-- user.unmake
        WITH untouched AS (
            SELECT u.id FROM scim_user u LEFT JOIN link l ON l.tenant_id = u.tenant_id AND l.user_id = u.id
            WHERE u.tenant_id = $1 AND u.id = $2 AND u.version = $3 AND u.version = 1 AND u.deleted_at IS NULL
              AND (l.record IS NULL OR (l.record #> '{known,linked}' IS NULL AND NOT l.record ? 'maybe_created'))
        ), done AS (
            DELETE FROM scim_user u USING untouched WHERE u.tenant_id = $1 AND u.id = untouched.id RETURNING u.id
        ), link_gone AS (DELETE FROM link USING done WHERE link.tenant_id = $1 AND link.user_id = done.id
        ), pairs_gone AS (DELETE FROM jira_membership m USING done WHERE m.tenant_id = $1 AND m.user_id = done.id
        ), claims_gone AS (DELETE FROM claim USING done WHERE claim.tenant_id = $1 AND claim.user_id = done.id
        ), row_gone AS (
            DELETE FROM outbox USING done WHERE outbox.tenant_id = $1 AND outbox.kind = 'user' AND outbox.subject_id = done.id
        ), edges AS (
            DELETE FROM group_member m USING done WHERE m.tenant_id = $1 AND m.member_id = done.id RETURNING m.group_id
        ), touched AS (
            INSERT INTO group_touch (tenant_id, group_id, at) SELECT $1, group_id, now() FROM edges
        ), counted AS (
            INSERT INTO tally_delta (tenant_id, kind, delta) SELECT $1, 'user', -1 FROM done
        ), audited AS (
            INSERT INTO audit (tenant_id, at, id, request_id, actor, remote, action, kind, subject_id, body, status)
            SELECT $1, now(), $4, $5, $6, $7, $8, 'user', done.id, $9, $10 FROM done
        )
        SELECT id AS "id!" FROM done"#,
        deed.tenant_id,
        id,
        version,
        deed.audit_id,
        deed.request_id,
        deed.actor,
        deed.remote,
        deed.action,
        deed.body,
        deed.status,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}
