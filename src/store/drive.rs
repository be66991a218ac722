//! The statements of a drive: lease, facts, marks, claims, record. See `writer::drive` for their order.
//!
//! Lease times are the database's `now()`. The outbox row is the lock of its subject: a drive takes it first, and only the
//! holder of its lease writes the subject's link and pairs.

mod claim;
mod lease;
mod structure;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use super::link::{GroupKnown, InGroup, JiraGroup, LinkRecord, Override, Pair, StepState, UserFacts, UserNow};
use super::tenant::Mode;

pub use claim::*;
pub use lease::*;
pub use structure::*;

/// A tenant's rules as a claim reads them.
#[derive(Clone, Debug)]
pub struct TenantRules {
    /// The name in the URL.
    pub slug: String,
    /// The target it writes to.
    pub target: String,
    /// Whether it writes.
    pub mode: Mode,
    /// The policy, untyped.
    pub policy: Value,
    /// Its version.
    pub policy_version: i64,
}

/// Reads a tenant's rules.
pub async fn rules(conn: &mut PgConnection, tenant_id: Uuid) -> Result<Option<TenantRules>, StoreError> {
    let row = sqlx::query!(
        r#"-- drive.rules
        SELECT slug, target, mode AS "mode: Mode", policy, policy_version FROM tenant WHERE id = $1"#,
        tenant_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| TenantRules {
        slug: row.slug,
        target: row.target,
        mode: row.mode,
        policy: row.policy,
        policy_version: row.policy_version,
    }))
}

/// Desired and applied of some users, from one snapshot (one statement). `more_groups` are keys that the policy names.
pub async fn facts(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    users: &[Uuid],
    more_groups: &[String],
) -> Result<Vec<UserFacts>, StoreError> {
    let rows = sqlx::query!(
        r#"-- drive.facts
        WITH RECURSIVE up (user_id, group_id, direct) AS (
            SELECT m.member_id, m.group_id, true FROM group_member m
            JOIN scim_group g ON g.tenant_id = m.tenant_id AND g.id = m.group_id AND g.deleted_at IS NULL
            WHERE m.tenant_id = $1 AND m.member_id = ANY($2)
          UNION
            SELECT up.user_id, m.group_id, false FROM up
            JOIN group_member m ON m.tenant_id = $1 AND m.member_id = up.group_id
            JOIN scim_group g ON g.tenant_id = m.tenant_id AND g.id = m.group_id AND g.deleted_at IS NULL
        )
        SELECT u.id, u.attrs, u.active, u.version, u.deleted_at, u.undone, u.purged, u.origin,
            l.record AS "record?: Json<LinkRecord>", l.look_at AS "look_at?",
            (SELECT jsonb_agg(jsonb_build_object('name', n.alias, 'shown', n.shown, 'direct', n.direct) ORDER BY n.alias, n.id)
             FROM (SELECT g.id, g.alias, coalesce(g.attrs ->> 'displayName', '') AS shown, bool_or(up.direct) AS direct
                FROM up JOIN scim_group g ON g.tenant_id = $1 AND g.id = up.group_id
                WHERE up.user_id = u.id GROUP BY g.tenant_id, g.id) n) AS "groups_in: Json<Vec<InGroup>>",
            (SELECT jsonb_agg(to_jsonb(o)) FROM (
                SELECT id, what, group_key, group_name, least(until, lifted) AS until FROM override
                WHERE tenant_id = $1 AND user_id = u.id AND (lifted IS NULL OR what = 'member') ORDER BY id) o) AS "overrides: Json<Vec<Override>>",
            (SELECT jsonb_object_agg(m.group_key, jsonb_build_object('written', m.written, 'maybe', m.maybe, 'theirs', m.theirs,
                    'imported', m.imported,
                    'step', m.step))
             FROM jira_membership m WHERE m.tenant_id = $1 AND m.user_id = u.id) AS "pairs: Json<BTreeMap<String, Pair>>",
            (SELECT jsonb_object_agg(j.name_key, jsonb_build_object('name', j.name, 'known', j.known, 'made', j.made,
                    'administrative', j.administrative, 'id', j.target_id, 'step', j.step))
             FROM jira_group j WHERE j.tenant_id = $1 AND (j.name_key = ANY($3)
                OR j.name_key IN (SELECT o.group_key FROM override o
                    WHERE o.tenant_id = $1 AND o.user_id = u.id AND o.group_key IS NOT NULL)
                OR j.name_key IN (SELECT g.alias_key FROM up
                    JOIN scim_group g ON g.tenant_id = $1 AND g.id = up.group_id WHERE up.user_id = u.id)
                OR j.name_key IN (SELECT m.group_key FROM jira_membership m WHERE m.tenant_id = $1 AND m.user_id = u.id)
             )) AS "groups: Json<BTreeMap<String, JiraGroup>>"
        FROM scim_user u LEFT JOIN link l ON l.tenant_id = u.tenant_id AND l.user_id = u.id
        WHERE u.tenant_id = $1 AND u.id = ANY($2)"#,
        tenant_id,
        users,
        more_groups,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let attrs = match row.attrs {
                Value::Object(attrs) => attrs,
                _ => crate::scim::Attrs::new(),
            };
            Ok(UserFacts {
                user_id: row.id,
                user: Some(UserNow {
                    attrs,
                    active: row.active,
                    version: row.version,
                    deleted: row.deleted_at.is_some(),
                    deleted_at: row.deleted_at,
                    undone: row.deleted_at.is_some() && row.undone,
                    purged: row.deleted_at.is_some() && row.purged,
                    imported: row.origin.as_deref() == Some("imported"),
                }),
                groups_in: row.groups_in.map(|json| json.0).unwrap_or_default(),
                wanted: BTreeMap::new(),
                overrides: row.overrides.map(|json| json.0).unwrap_or_default(),
                record: row.record.map(|json| json.0).unwrap_or_default(),
                look_at: row.look_at,
                pairs: row.pairs.map(|json| json.0).unwrap_or_default(),
                groups: row.groups.map(|json| json.0).unwrap_or_default(),
            })
        })
        .collect()
}

/// What a drive knows, and writes back.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// The account.
    pub record: LinkRecord,
    /// When to look once more.
    pub look_at: Option<DateTime<Utc>>,
    /// Pairs that changed; a void one is forgotten.
    pub pairs: BTreeMap<String, Pair>,
    /// Groups that changed.
    pub groups: BTreeMap<String, JiraGroup>,
}

/// What is written with the knowledge of a user.
#[derive(Clone, Copy, Debug, Default)]
pub struct With<'a> {
    /// The delivery, begun or ended.
    pub delivery: Option<&'a Delivery<'a>>,
    /// The account that is the user's own from now on.
    pub account: Option<&'a str>,
}

/// Writes link, pairs and groups of one user, and what goes with them, in one statement. That a group exists is never
/// unlearned by somebody who merely asked for it.
pub async fn save(
    conn: &mut PgConnection,
    lease: &Lease,
    user: &UserFacts,
    knowledge: &Knowledge,
    with: With<'_>,
) -> Result<(), StoreError> {
    let (void, pairs): (Vec<_>, Vec<_>) = knowledge.pairs.iter().partition(|(_, pair)| pair.is_void());
    let void: Vec<String> = void.into_iter().map(|(key, _)| key.clone()).collect();
    let keys: Vec<String> = pairs.iter().map(|(key, _)| (*key).clone()).collect();
    let written: Vec<bool> = pairs.iter().map(|(_, pair)| pair.written).collect();
    let maybe: Vec<bool> = pairs.iter().map(|(_, pair)| pair.maybe).collect();
    let theirs: Vec<bool> = pairs.iter().map(|(_, pair)| pair.theirs).collect();
    let steps: Vec<Option<Json<StepState>>> = pairs.iter().map(|(_, pair)| pair.step.clone().map(Json)).collect();
    if !knowledge.groups.is_empty() {
        save_groups(conn, lease.tenant_id, &knowledge.groups).await?;
    }
    let delivery = with.delivery;
    sqlx::query!(
        "-- drive.save
        WITH account AS (
            INSERT INTO claim (target, what, key, tenant_id, user_id)
            SELECT $3, 'account', $7, $1, $2 WHERE $7::text IS NOT NULL ON CONFLICT DO NOTHING
        ), forgotten AS (
            DELETE FROM jira_membership WHERE tenant_id = $1 AND user_id = $2 AND group_key = ANY($8)
        ), kept AS (
            INSERT INTO jira_membership (tenant_id, user_id, group_key, written, maybe, theirs, step)
            SELECT $1, $2, p.group_key, p.written, p.maybe, p.theirs, p.step
            FROM unnest($9::text[], $10::boolean[], $11::boolean[], $20::boolean[], $12::jsonb[])
                AS p (group_key, written, maybe, theirs, step)
            ON CONFLICT (tenant_id, user_id, group_key) DO UPDATE SET written = excluded.written,
                maybe = excluded.maybe, theirs = excluded.theirs, step = excluded.step
        ), noted AS (
            INSERT INTO delivery AS d (tenant_id, at, id, kind, subject_id, request_id, steps, calls, outcome, error, finished)
            SELECT $1, $13, $14, 'user', $2, $15, $16, $17, $18, $19, CASE WHEN $18::text IS NOT NULL THEN now() END
            WHERE $14::uuid IS NOT NULL
            ON CONFLICT (tenant_id, at, id) DO UPDATE SET steps = excluded.steps, calls = excluded.calls,
                outcome = excluded.outcome, error = excluded.error, finished = excluded.finished
        )
        INSERT INTO link (tenant_id, user_id, target, record, look_at, applied_version)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (tenant_id, user_id) DO UPDATE SET target = excluded.target, record = excluded.record,
            look_at = excluded.look_at, applied_version = excluded.applied_version",
        lease.tenant_id,
        user.user_id,
        lease.rules.target,
        Json(&knowledge.record) as _,
        knowledge.look_at,
        user.user.as_ref().map_or(0, |user| user.version),
        with.account,
        &void,
        &keys,
        &written,
        &maybe,
        &steps as _,
        lease.now,
        delivery.map(|d| d.id),
        lease.request_id,
        delivery.map(|d| d.steps),
        delivery.map(|d| d.calls),
        delivery.and_then(|d| d.outcome),
        delivery.and_then(|d| d.error),
        &theirs,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A delivery as it is written: with no outcome while it runs, or for ever when the process died.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// Its id; also the request id of the calls it makes.
    pub id: Uuid,
    /// The planned steps, later with what became of each.
    pub steps: &'a Value,
    /// The calls that were made.
    pub calls: &'a Value,
    /// What it came to.
    pub outcome: Option<&'a str>,
    /// What went wrong.
    pub error: Option<&'a str>,
}

/// Writes what is known of Jira groups. That a group exists is never unlearned by somebody who merely asked for it.
pub async fn save_groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    groups: &BTreeMap<String, JiraGroup>,
) -> Result<(), StoreError> {
    let keys: Vec<String> = groups.keys().cloned().collect();
    let names: Vec<String> = groups.values().map(|g| g.name.clone()).collect();
    let known: Vec<String> = groups.values().map(|g| g.known.as_str().to_owned()).collect();
    let made: Vec<bool> = groups.values().map(|g| g.made).collect();
    let administrative: Vec<bool> = groups.values().map(|g| g.administrative).collect();
    let ids: Vec<Option<String>> = groups.values().map(|g| g.id.clone()).collect();
    let steps: Vec<Option<Json<StepState>>> = groups.values().map(|g| g.step.clone().map(Json)).collect();
    sqlx::query!(
        "-- drive.save_groups
        INSERT INTO jira_group (tenant_id, name_key, name, known, made, administrative, target_id, step)
        SELECT $1, g.name_key, g.name, g.known, g.made, g.administrative, g.target_id, g.step
        FROM unnest($2::text[], $3::text[], $4::text[], $5::boolean[], $6::boolean[], $7::text[], $8::jsonb[])
            AS g (name_key, name, known, made, administrative, target_id, step)
        ON CONFLICT (tenant_id, name_key) DO UPDATE SET
            known = CASE WHEN jira_group.known = 'exists' AND excluded.known = 'maybe' THEN 'exists' ELSE excluded.known END,
            made = jira_group.made OR excluded.made,
            administrative = jira_group.administrative OR excluded.administrative,
            target_id = coalesce(excluded.target_id, jira_group.target_id), step = excluded.step",
        tenant_id,
        &keys,
        &names,
        &known,
        &made,
        &administrative,
        &ids as _,
        &steps as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The records of some Jira groups, by key.
pub async fn jira_groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    keys: &[String],
) -> Result<BTreeMap<String, JiraGroup>, StoreError> {
    let rows = sqlx::query!(
        r#"-- drive.jira_groups
        SELECT name_key, name, known, made, administrative, target_id, step AS "step: Json<StepState>"
        FROM jira_group WHERE tenant_id = $1 AND name_key = ANY($2)"#,
        tenant_id,
        keys
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            (
                row.name_key,
                JiraGroup {
                    name: row.name,
                    known: known_as(&row.known),
                    made: row.made,
                    administrative: row.administrative,
                    id: row.target_id,
                    step: row.step.map(|json| json.0),
                },
            )
        })
        .collect())
}

fn known_as(text: &str) -> GroupKnown {
    match text {
        "exists" => GroupKnown::Exists,
        "maybe" => GroupKnown::Maybe,
        _ => GroupKnown::Unknown,
    }
}

/// One Jira group's record.
pub async fn jira_group(conn: &mut PgConnection, tenant_id: Uuid, key: &str) -> Result<Option<JiraGroup>, StoreError> {
    Ok(jira_groups(conn, tenant_id, &[key.to_owned()]).await?.remove(key))
}

/// The record of a user's account, and when it is looked at once more. The subject's row must be locked.
pub async fn record(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_id: Uuid,
) -> Result<Option<(LinkRecord, Option<DateTime<Utc>>)>, StoreError> {
    let row = sqlx::query!(
        r#"-- drive.record
        SELECT record AS "record: Json<LinkRecord>", look_at FROM link WHERE tenant_id = $1 AND user_id = $2"#,
        tenant_id,
        user_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.record.0, row.look_at)))
}

/// A drive that lost its lease may only set `maybe`.
pub async fn save_doubt(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_id: Uuid,
    record: &LinkRecord,
    look_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- drive.save_doubt
        UPDATE link SET record = $3, look_at = $4 WHERE tenant_id = $1 AND user_id = $2",
        tenant_id,
        user_id,
        Json(record) as _,
        look_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}
