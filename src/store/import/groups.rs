//! Groups: which SCIM groups there are, which Jira groups become one, and that a Jira group is there.

use std::collections::HashSet;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::account::SeenGroup;
use crate::scim::Attrs;
use crate::store::StoreError;

/// A living SCIM group, as an import looks at it.
#[derive(Clone, Debug)]
pub struct GroupName {
    /// Its id.
    pub id: Uuid,
    /// The name that the rules see.
    pub alias: String,
    /// It was imported, and nobody has written to it since.
    pub imported: bool,
}

/// A page of the living SCIM groups of a tenant, by id.
pub async fn group_names(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<GroupName>, StoreError> {
    Ok(sqlx::query_as!(
        GroupName,
        r#"-- import.group_names
        SELECT id, alias, origin IS NOT NULL AS "imported!" FROM scim_group
        WHERE tenant_id = $1 AND id > $2 AND deleted_at IS NULL ORDER BY id LIMIT $3"#,
        tenant_id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// A group that is made of a Jira group.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// Its id, where no tombstone comes back.
    pub id: Uuid,
    /// The Jira group's name.
    pub name: String,
    /// Folded.
    pub key: String,
    /// What the client would own.
    pub attrs: Attrs,
    /// The same, folded for comparison.
    pub folded: Attrs,
}

/// Makes SCIM groups of Jira groups, or brings tombstones of that name back under their ids. Answers the keys of those that
/// came about: whoever took a name meanwhile was first.
pub async fn create_groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    groups: &[NewGroup],
) -> Result<HashSet<String>, StoreError> {
    let ids: Vec<Uuid> = groups.iter().map(|group| group.id).collect();
    let names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let keys: Vec<String> = groups.iter().map(|group| group.key.clone()).collect();
    let attrs: Vec<Value> = groups.iter().map(|group| Value::Object(group.attrs.clone())).collect();
    let folded: Vec<Value> = groups.iter().map(|group| Value::Object(group.folded.clone())).collect();
    let rows = sqlx::query_scalar!(
        r#"-- import.create_groups
        WITH new AS (
            SELECT n.id, n.name, n.key, n.attrs, n.folded, ghost.id AS ghost
            FROM unnest($2::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[]) AS n (id, name, key, attrs, folded)
            LEFT JOIN LATERAL (
                SELECT g.id FROM scim_group g
                WHERE g.tenant_id = $1 AND g.display_name_key = n.key AND g.deleted_at IS NOT NULL
                  AND g.alias_key = n.key AND g.forgotten
                  AND NOT EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1 AND o.kind = 'group' AND o.subject_id = g.id)
                ORDER BY g.deleted_at DESC LIMIT 1
            ) ghost ON true
            WHERE NOT EXISTS (SELECT FROM scim_group o WHERE o.tenant_id = $1 AND o.deleted_at IS NULL
                AND (o.display_name_key = n.key OR o.alias_key = n.key))
              AND NOT EXISTS (SELECT FROM scim_group o WHERE o.tenant_id = $1 AND o.deleted_at IS NOT NULL
                AND NOT o.forgotten AND o.alias_key = n.key)
        ), revived AS (
            UPDATE scim_group g SET attrs = n.attrs || jsonb_strip_nulls(jsonb_build_object('externalId', g.external_id)),
                folded = n.folded || jsonb_strip_nulls(jsonb_build_object('externalId', g.external_id)),
                alias = n.name, version = g.version + 1, modified = now(), deleted_at = NULL, origin = 'imported',
                forgotten = false
            FROM new n WHERE g.tenant_id = $1 AND g.id = n.ghost AND g.deleted_at IS NOT NULL RETURNING g.display_name_key AS key
        ), inserted AS (
            INSERT INTO scim_group (tenant_id, id, display_name_key, attrs, folded, alias, alias_key, created,
                modified, origin)
            SELECT $1, n.id, n.key, n.attrs, n.folded, n.name, n.key, now(), now(), 'imported'
            FROM new n WHERE n.ghost IS NULL ORDER BY n.id
            ON CONFLICT DO NOTHING RETURNING display_name_key AS key
        ), done AS (SELECT key FROM revived UNION ALL SELECT key FROM inserted
        ), counted AS (
            INSERT INTO tally_delta (tenant_id, kind, delta) SELECT $1, 'group', 1 FROM done
        )
        SELECT key AS "key!" FROM done"#,
        tenant_id,
        &ids,
        &names,
        &keys,
        &attrs,
        &folded,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Puts on record that Jira groups are there; what is known of them already stays.
pub async fn know_groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    groups: &[(String, &SeenGroup)],
) -> Result<(), StoreError> {
    let keys: Vec<String> = groups.iter().map(|(key, _)| key.clone()).collect();
    let names: Vec<String> = groups.iter().map(|(_, group)| group.name.clone()).collect();
    let ids: Vec<Option<String>> = groups.iter().map(|(_, group)| group.id.clone()).collect();
    let administrative: Vec<bool> = groups.iter().map(|(_, group)| group.administrative).collect();
    sqlx::query!(
        "-- import.know_groups
        INSERT INTO jira_group AS j (tenant_id, name_key, name, known, administrative, target_id)
        SELECT $1, g.key, g.name, 'exists', g.administrative, g.id
        FROM unnest($2::text[], $3::text[], $4::boolean[], $5::text[]) AS g (key, name, administrative, id) ORDER BY g.key
        ON CONFLICT (tenant_id, name_key) DO UPDATE SET known = 'exists',
            administrative = j.administrative OR excluded.administrative, target_id = coalesce(excluded.target_id, j.target_id)
            WHERE j.step IS NULL AND (j.known <> 'exists' OR j.target_id IS DISTINCT FROM excluded.target_id)",
        tenant_id,
        &keys,
        &names,
        &administrative,
        &ids as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A Jira group that is on record as there.
#[derive(Clone, Debug)]
pub struct KnownGroup {
    /// Its folded name.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its key at the target, where groups have one.
    pub id: Option<String>,
    /// It grants administration.
    pub administrative: bool,
}

/// A page of the Jira groups on record that are there, by key.
pub async fn known_groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    after: &str,
    limit: i64,
) -> Result<Vec<KnownGroup>, StoreError> {
    Ok(sqlx::query_as!(
        KnownGroup,
        "-- import.known_groups
        SELECT name_key AS key, name, target_id AS id, administrative FROM jira_group
        WHERE tenant_id = $1 AND name_key > $2 AND known = 'exists' ORDER BY name_key LIMIT $3",
        tenant_id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}
