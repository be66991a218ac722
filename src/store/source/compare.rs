//! What a run read, held against what the store has: a page at a time, by key or id.

use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Of, Stage};
use crate::scim::Attrs;
use crate::store::StoreError;

/// A staged entry with the resource that it is, as far as it is known.
#[derive(Clone, Debug)]
pub struct Found {
    /// The stable id.
    pub key: String,
    /// What members of groups are named by.
    pub place: String,
    /// The SCIM document; `None`: it cannot be used.
    pub body: Option<Value>,
    /// The living resource.
    pub stored: Option<Stored>,
}

/// A living resource.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its id.
    pub id: Uuid,
    /// What it says.
    pub attrs: Attrs,
}

/// What was made of an entry.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Which.
    pub key: String,
    /// Whom it was found to be.
    pub subject: Option<Uuid>,
    /// `same`, `create`, `change` or `skip`.
    pub verdict: &'static str,
}

/// Which page of what.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Behind this key.
    pub after: &'a str,
    /// Of so many.
    pub limit: i64,
}

/// Which of the staged people come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// All of them.
    Everybody,
    /// Those who are in one of these groups, by key.
    In(&'a [String]),
    /// Those who did at the last complete read.
    Known,
}

impl<'a> Scope<'a> {
    fn groups(self) -> Option<&'a [String]> {
        match self {
            Self::In(groups) => Some(groups),
            Self::Everybody | Self::Known => None,
        }
    }
}

/// A page of staged people, each with the living user that it is: by its stable id, else by its userName where nobody else in
/// the source is that user, and where the user has no stable id, or was imported, or all names count.
pub async fn users(
    conn: &mut PgConnection,
    stage: Stage,
    page: Page<'_>,
    all_names: bool,
    scope: Scope<'_>,
) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query!(
        r#"-- source.users
        SELECT e.key, e.place, e.body, u.id AS "id?", u.attrs AS "attrs?: Json<Attrs>"
        FROM source_entry e
        LEFT JOIN LATERAL (
            SELECT id, attrs FROM (
                SELECT k.id, k.attrs, 0 AS rank FROM scim_user k
                WHERE k.tenant_id = $1 AND k.external_id = e.key AND k.deleted_at IS NULL
              UNION ALL
                SELECT n.id, n.attrs, 1 FROM scim_user n
                WHERE n.tenant_id = $1 AND n.user_name_key = e.name_key AND n.deleted_at IS NULL
                  AND (n.external_id IS NULL OR n.origin IS NOT NULL OR $5)
                  AND NOT EXISTS (SELECT FROM source_entry o WHERE o.tenant_id = $1 AND o.run_id = $2 AND o.kind = 'user'
                    AND o.key = n.external_id)
                  -- Of several entries of that name the first gets it; the others are told.
                  AND NOT EXISTS (SELECT FROM source_entry o WHERE o.tenant_id = $1 AND o.run_id = $2 AND o.kind = 'user'
                    AND o.name_key = e.name_key AND o.key < e.key
                    AND ($6::text[] IS NULL OR EXISTS (SELECT FROM source_member m WHERE m.tenant_id = $1 AND m.run_id = $2
                        AND m.member = o.place AND m.group_key = ANY($6))))
            ) AS found ORDER BY rank, id LIMIT 1
        ) u ON true
        WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.kind = 'user' AND e.key > $3
          AND e.verdict IS DISTINCT FROM 'known'
          AND ($6::text[] IS NULL OR EXISTS (SELECT FROM source_member m WHERE m.tenant_id = $1 AND m.run_id = $2
            AND m.member = e.place AND m.group_key = ANY($6)))
          AND (NOT $7 OR EXISTS (SELECT FROM source_known w WHERE w.tenant_id = $1 AND w.kind = 'user' AND w.key = e.key
            AND w.in_scope))
        ORDER BY e.key LIMIT $4"#,
        stage.tenant_id,
        stage.run_id,
        page.after,
        page.limit,
        all_names,
        scope.groups(),
        scope == Scope::Known,
    )
    .fetch_all(conn)
    .await?;
    let found = rows.into_iter().map(|row| Found {
        key: row.key,
        place: row.place,
        body: row.body,
        stored: row.id.zip(row.attrs).map(|(id, attrs)| Stored { id, attrs: attrs.0 }),
    });
    Ok(found.collect())
}

/// A page of staged groups, each with the living group that it is: by its stable id, else by name as people are.
pub async fn groups(
    conn: &mut PgConnection,
    stage: Stage,
    page: Page<'_>,
    all_names: bool,
) -> Result<Vec<Found>, StoreError> {
    let rows = sqlx::query!(
        r#"-- source.groups
        SELECT e.key, e.place, e.body, g.id AS "id?", g.attrs AS "attrs?: Json<Attrs>"
        FROM source_entry e
        LEFT JOIN LATERAL (
            SELECT id, attrs FROM (
                SELECT k.id, k.attrs, 0 AS rank FROM scim_group k
                WHERE k.tenant_id = $1 AND k.external_id = e.key AND k.deleted_at IS NULL
              UNION ALL
                SELECT n.id, n.attrs, 1 FROM scim_group n
                WHERE n.tenant_id = $1 AND n.display_name_key = e.name_key AND n.deleted_at IS NULL
                  AND (n.external_id IS NULL OR n.origin IS NOT NULL OR $5)
                  AND NOT EXISTS (SELECT FROM source_entry o WHERE o.tenant_id = $1 AND o.run_id = $2 AND o.kind = 'group'
                    AND o.key = n.external_id)
                  -- Of several entries of that name the first gets it; the others are told.
                  AND NOT EXISTS (SELECT FROM source_entry o WHERE o.tenant_id = $1 AND o.run_id = $2 AND o.kind = 'group'
                    AND o.name_key = e.name_key AND o.key < e.key)
            ) AS found ORDER BY rank, id LIMIT 1
        ) g ON true
        WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.kind = 'group' AND e.key > $3
          AND e.verdict IS DISTINCT FROM 'known'
        ORDER BY e.key LIMIT $4"#,
        stage.tenant_id,
        stage.run_id,
        page.after,
        page.limit,
        all_names,
    )
    .fetch_all(conn)
    .await?;
    let found = rows.into_iter().map(|row| Found {
        key: row.key,
        place: row.place,
        body: row.body,
        stored: row.id.zip(row.attrs).map(|(id, attrs)| Stored { id, attrs: attrs.0 }),
    });
    Ok(found.collect())
}

/// Writes down what was made of entries.
pub async fn judged(conn: &mut PgConnection, stage: Stage, of: Of, judged: &[Judged]) -> Result<(), StoreError> {
    let keys: Vec<String> = judged.iter().map(|judged| judged.key.clone()).collect();
    let subjects: Vec<Option<Uuid>> = judged.iter().map(|judged| judged.subject).collect();
    let verdicts: Vec<String> = judged.iter().map(|judged| judged.verdict.to_owned()).collect();
    sqlx::query!(
        "-- source.judged
        UPDATE source_entry e SET subject_id = j.subject, verdict = j.verdict
        FROM unnest($4::text[], $5::uuid[], $6::text[]) AS j (key, subject, verdict)
        WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.kind = $3 AND e.key = j.key",
        stage.tenant_id,
        stage.run_id,
        of.as_str(),
        &keys,
        &subjects as &[Option<Uuid>],
        &verdicts,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An entry that is to be written.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The stable id.
    pub key: String,
    /// What members of groups are named by.
    pub place: String,
    /// The SCIM document.
    pub body: Value,
    /// Whom it changes; `None`: it is to be made.
    pub subject: Option<Uuid>,
}

/// A page of the entries that are to be made or changed.
pub async fn pending(
    conn: &mut PgConnection,
    stage: Stage,
    of: Of,
    page: Page<'_>,
) -> Result<Vec<Pending>, StoreError> {
    Ok(sqlx::query_as!(
        Pending,
        r#"-- source.pending
        SELECT key, place, body AS "body!", subject_id AS subject FROM source_entry
        WHERE tenant_id = $1 AND run_id = $2 AND kind = $3 AND key > $4 AND verdict IN ('create', 'change') AND body IS NOT NULL
        ORDER BY key LIMIT $5"#,
        stage.tenant_id,
        stage.run_id,
        of.as_str(),
        page.after,
        page.limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Somebody, or a group, that the source does not have any more.
#[derive(Clone, Debug)]
pub struct Gone {
    /// Whom.
    pub id: Uuid,
    /// The userName or displayName.
    pub name: String,
}

/// A page of the living users that nothing of what was read is, imported ones left out; only active ones where it is asked
/// for. Nobody where nothing is staged: rows that are not logged may be lost, and that is no reason to switch people off.
pub async fn gone_users(
    conn: &mut PgConnection,
    stage: Stage,
    after: Uuid,
    active_only: bool,
    limit: i64,
) -> Result<Vec<Gone>, StoreError> {
    Ok(sqlx::query_as!(
        Gone,
        r#"-- source.gone_users
        SELECT u.id, coalesce(u.attrs ->> 'userName', '') AS "name!" FROM scim_user u
        WHERE u.tenant_id = $1 AND u.id > $3 AND u.deleted_at IS NULL AND u.origin IS NULL AND (u.active OR NOT $4)
          AND NOT EXISTS (SELECT FROM source_entry e WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.kind = 'user'
            AND e.subject_id = u.id)
          AND EXISTS (SELECT FROM source_entry e WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.kind = 'user')
        ORDER BY u.id LIMIT $5"#,
        stage.tenant_id,
        stage.run_id,
        after,
        active_only,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// The same of groups.
pub async fn gone_groups(
    conn: &mut PgConnection,
    stage: Stage,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Gone>, StoreError> {
    Ok(sqlx::query_as!(
        Gone,
        r#"-- source.gone_groups
        SELECT g.id, coalesce(g.attrs ->> 'displayName', '') AS "name!" FROM scim_group g
        WHERE g.tenant_id = $1 AND g.id > $3 AND g.deleted_at IS NULL AND g.origin IS NULL
          AND NOT EXISTS (SELECT FROM source_entry e WHERE e.tenant_id = $1 AND e.run_id = $2 AND e.kind = 'group'
            AND e.subject_id = g.id)
          AND EXISTS (SELECT FROM source_entry e WHERE e.tenant_id = $1 AND e.run_id = $2)
        ORDER BY g.id LIMIT $4"#,
        stage.tenant_id,
        stage.run_id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Who is there before a run changes anything: active users and groups, imported ones left out.
pub async fn present(conn: &mut PgConnection, tenant_id: Uuid) -> Result<(u64, u64), StoreError> {
    let row = sqlx::query!(
        r#"-- source.present
        SELECT (SELECT count(*) FROM scim_user WHERE tenant_id = $1 AND deleted_at IS NULL AND active AND origin IS NULL) AS "users!",
            (SELECT count(*) FROM scim_group WHERE tenant_id = $1 AND deleted_at IS NULL AND origin IS NULL) AS "groups!""#,
        tenant_id,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.users.unsigned_abs(), row.groups.unsigned_abs()))
}
