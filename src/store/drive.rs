//! The statements of a drive: lease, facts, marks, claims, record. See `writer::drive` for their order.
//!
//! Lease times are the database's `now()`. The outbox row is the lock of its subject: a drive takes it first, and only the
//! holder of its lease writes the subject's link and pairs.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use super::link::{GroupKnown, JiraGroup, LinkRecord, Pair, StepState, UserFacts, UserNow};
use super::outbox::Subject;
use super::tenant::Mode;

/// The right to work on a subject until its time is over.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Whose.
    pub tenant_id: Uuid,
    /// What.
    pub subject: Subject,
    /// Fences off everybody else.
    pub token: Uuid,
    /// The nudge that this lease has seen.
    pub seq: i64,
    /// Failures of this subject alone, so far.
    pub attempts: i32,
    /// When the first of them was.
    pub first_failure: Option<DateTime<Utc>>,
    /// The request that asked last.
    pub request_id: Option<Uuid>,
    /// The structure changed: enqueue the users concerned.
    pub fan_out: bool,
    /// Where the fan-out has got to.
    pub page_after: Option<Uuid>,
    /// The database's clock when the lease was taken.
    pub now: DateTime<Utc>,
    /// The tenant's mode and policy, read with the lease, so that no replica writes on an old answer.
    pub rules: TenantRules,
}

/// Takes the lease of a subject, or takes it again with the same token. `None` when there is no row or another holds it.
pub async fn take(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    subject: Subject,
    token: Uuid,
    lease: Duration,
) -> Result<Option<Lease>, StoreError> {
    let row = sqlx::query!(
        r#"-- drive.take
        UPDATE outbox o SET lease_token = $4, lease_until = now() + make_interval(secs => $5)
        FROM tenant t
        WHERE o.tenant_id = $1 AND o.kind = $2 AND o.subject_id = $3 AND t.id = o.tenant_id
          AND (o.lease_token IS NULL OR o.lease_until <= now() OR o.lease_token = $4)
        RETURNING o.seq, o.attempts, o.first_failure, o.request_id, o.fan_out, o.page_after, now() AS "now!",
            t.slug, t.target, t.mode AS "mode: Mode", t.policy, t.policy_version"#,
        tenant_id,
        subject.kind(),
        subject.id(),
        token,
        lease.as_secs_f64(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Lease {
        tenant_id,
        subject,
        token,
        seq: row.seq,
        attempts: row.attempts,
        first_failure: row.first_failure,
        request_id: row.request_id,
        fan_out: row.fan_out,
        page_after: row.page_after,
        now: row.now,
        rules: TenantRules {
            slug: row.slug,
            target: row.target,
            mode: row.mode,
            policy: row.policy,
            policy_version: row.policy_version,
        },
    }))
}

/// Makes a lease last from now on. False when it is lost.
pub async fn renew(conn: &mut PgConnection, lease: &Lease, length: Duration) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- drive.renew
        UPDATE outbox SET lease_until = now() + make_interval(secs => $5)
        WHERE tenant_id = $1 AND kind = $2 AND subject_id = $3 AND lease_token = $4 AND lease_until > now()",
        lease.tenant_id,
        lease.subject.kind(),
        lease.subject.id(),
        lease.token,
        length.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Locks the subject's row for the record, and says which nudge it is at. `None` when the lease is lost: then the drive
/// may only set `maybe`.
pub async fn still_holds(conn: &mut PgConnection, lease: &Lease) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query!(
        r#"-- drive.still_holds
        SELECT lease_until > now() AS "live!", seq FROM outbox
        WHERE tenant_id = $1 AND kind = $2 AND subject_id = $3 AND lease_token = $4 FOR UPDATE"#,
        lease.tenant_id,
        lease.subject.kind(),
        lease.subject.id(),
        lease.token,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.filter(|row| row.live).map(|row| row.seq))
}

/// Ends a drive that leaves nothing to do, in one go: false when the lease is lost or somebody nudged meanwhile.
pub async fn finish_clean(conn: &mut PgConnection, lease: &Lease) -> Result<bool, StoreError> {
    let gone = sqlx::query!(
        "-- drive.finish_clean
        DELETE FROM outbox WHERE tenant_id = $1 AND kind = $2 AND subject_id = $3 AND lease_token = $4 AND seq = $5
            AND lease_until > now()",
        lease.tenant_id,
        lease.subject.kind(),
        lease.subject.id(),
        lease.token,
        lease.seq,
    )
    .execute(conn)
    .await?;
    Ok(gone.rows_affected() == 1)
}

/// How a drive leaves its outbox row.
#[derive(Clone, Debug, PartialEq)]
pub enum Finish {
    /// Nothing is left; or only something that has a time.
    Done {
        /// When the subject is next due by time.
        due: Option<DateTime<Utc>>,
    },
    /// The subject stays due.
    Again {
        /// When.
        at: DateTime<Utc>,
        /// The failures so far.
        attempts: i32,
        /// When the first of them was.
        first_failure: Option<DateTime<Utc>>,
        /// What went wrong last.
        error: String,
    },
}

/// Gives the lease back. The row goes only where its `seq` is the one that was claimed; else it is due at once.
pub async fn finish(conn: &mut PgConnection, lease: &Lease, finish: &Finish) -> Result<(), StoreError> {
    let (kind, id) = (lease.subject.kind(), lease.subject.id());
    if let Finish::Done { due: None } = finish {
        let gone = sqlx::query!(
            "-- drive.finish
            DELETE FROM outbox WHERE tenant_id = $1 AND kind = $2 AND subject_id = $3 AND lease_token = $4 AND seq = $5",
            lease.tenant_id,
            kind,
            id,
            lease.token,
            lease.seq,
        )
        .execute(&mut *conn)
        .await?;
        if gone.rows_affected() == 1 {
            return Ok(());
        }
    }
    let (due, attempts, first_failure, error) = match finish {
        Finish::Done { due } => (*due, 0, None, None),
        Finish::Again { at, attempts, first_failure, error } => {
            (Some(*at), *attempts, *first_failure, Some(error.as_str()))
        }
    };
    sqlx::query!(
        "-- drive.finish: nudged meanwhile, or due at a time
        UPDATE outbox SET lease_token = NULL, lease_until = NULL, attempts = $6, first_failure = $7, last_error = $8,
            due_at = CASE WHEN seq = $5 AND $9::timestamptz IS NOT NULL THEN $9 ELSE now() END
        WHERE tenant_id = $1 AND kind = $2 AND subject_id = $3 AND lease_token = $4",
        lease.tenant_id,
        kind,
        id,
        lease.token,
        lease.seq,
        attempts,
        first_failure,
        error,
        due,
    )
    .execute(conn)
    .await?;
    Ok(())
}

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
        WITH RECURSIVE up (user_id, group_id) AS (
            SELECT m.member_id, m.group_id FROM group_member m
            JOIN scim_group g ON g.tenant_id = m.tenant_id AND g.id = m.group_id AND g.deleted_at IS NULL
            WHERE m.tenant_id = $1 AND m.member_id = ANY($2)
          UNION
            SELECT up.user_id, m.group_id FROM up
            JOIN group_member m ON m.tenant_id = $1 AND m.member_id = up.group_id
            JOIN scim_group g ON g.tenant_id = m.tenant_id AND g.id = m.group_id AND g.deleted_at IS NULL
        )
        SELECT u.id, u.attrs, u.active, u.version, u.deleted_at IS NOT NULL AS "deleted!", u.undone,
            l.record AS "record?: Json<LinkRecord>", l.look_at AS "look_at?",
            (SELECT jsonb_object_agg(g.jira_name_key, g.jira_name) FROM up
             JOIN scim_group g ON g.tenant_id = $1 AND g.id = up.group_id
             WHERE up.user_id = u.id) AS "wanted: Json<BTreeMap<String, String>>",
            (SELECT jsonb_object_agg(m.group_key, jsonb_build_object('written', m.written, 'maybe', m.maybe, 'step', m.step))
             FROM jira_membership m WHERE m.tenant_id = $1 AND m.user_id = u.id) AS "pairs: Json<BTreeMap<String, Pair>>",
            (SELECT jsonb_object_agg(j.name_key, jsonb_build_object('name', j.name, 'known', j.known, 'made', j.made,
                    'administrative', j.administrative, 'step', j.step))
             FROM jira_group j WHERE j.tenant_id = $1 AND (j.name_key = ANY($3)
                OR j.name_key IN (SELECT g.jira_name_key FROM up
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
                    deleted: row.deleted,
                    undone: row.deleted && row.undone,
                }),
                wanted: row.wanted.map(|json| json.0).unwrap_or_default(),
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
            INSERT INTO jira_membership (tenant_id, user_id, group_key, written, maybe, step)
            SELECT $1, $2, p.group_key, p.written, p.maybe, p.step
            FROM unnest($9::text[], $10::boolean[], $11::boolean[], $12::jsonb[]) AS p (group_key, written, maybe, step)
            ON CONFLICT (tenant_id, user_id, group_key) DO UPDATE SET written = excluded.written,
                maybe = excluded.maybe, step = excluded.step
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
    let steps: Vec<Option<Json<StepState>>> = groups.values().map(|g| g.step.clone().map(Json)).collect();
    sqlx::query!(
        "-- drive.save_groups
        INSERT INTO jira_group (tenant_id, name_key, name, known, made, administrative, step)
        SELECT $1, g.name_key, g.name, g.known, g.made, g.administrative, g.step
        FROM unnest($2::text[], $3::text[], $4::text[], $5::boolean[], $6::boolean[], $7::jsonb[])
            AS g (name_key, name, known, made, administrative, step)
        ON CONFLICT (tenant_id, name_key) DO UPDATE SET
            known = CASE WHEN jira_group.known = 'exists' AND excluded.known = 'maybe' THEN 'exists' ELSE excluded.known END,
            made = jira_group.made OR excluded.made,
            administrative = jira_group.administrative OR excluded.administrative,
            step = excluded.step",
        tenant_id,
        &keys,
        &names,
        &known,
        &made,
        &administrative,
        &steps as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One Jira group's record.
pub async fn jira_group(conn: &mut PgConnection, tenant_id: Uuid, key: &str) -> Result<Option<JiraGroup>, StoreError> {
    let row = sqlx::query!(
        r#"-- drive.jira_group
        SELECT name, known, made, administrative, step AS "step: Json<StepState>"
        FROM jira_group WHERE tenant_id = $1 AND name_key = $2"#,
        tenant_id,
        key
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| JiraGroup {
        name: row.name,
        known: match row.known.as_str() {
            "exists" => GroupKnown::Exists,
            "maybe" => GroupKnown::Maybe,
            _ => GroupKnown::Unknown,
        },
        made: row.made,
        administrative: row.administrative,
        step: row.step.map(|json| json.0),
    }))
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

/// Who holds a login name or an account at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The tenant.
    pub tenant_id: Uuid,
    /// The user.
    pub user_id: Uuid,
}

/// What is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A folded login name.
    Name,
    /// An account's key.
    Account,
}

impl What {
    fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Account => "account",
        }
    }
}

/// Claims a name or an account for a user, and says who holds it now.
pub async fn claim(
    conn: &mut PgConnection,
    target: &str,
    what: What,
    key: &str,
    user: Holder,
) -> Result<Holder, StoreError> {
    // The update that changes nothing makes the statement return the holder, whoever it is, without a race.
    let row = sqlx::query!(
        "-- drive.claim
        INSERT INTO claim (target, what, key, tenant_id, user_id) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (target, what, key) DO UPDATE SET key = excluded.key
        RETURNING tenant_id, user_id",
        target,
        what.as_str(),
        key,
        user.tenant_id,
        user.user_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(Holder { tenant_id: row.tenant_id, user_id: row.user_id })
}

/// Passes a claim on from a holder that never had an account.
pub async fn pass_claim(
    conn: &mut PgConnection,
    target: &str,
    what: What,
    key: &str,
    from: Holder,
    to: Holder,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "-- drive.pass_claim
        UPDATE claim SET tenant_id = $6, user_id = $7
        WHERE target = $1 AND what = $2 AND key = $3 AND tenant_id = $4 AND user_id = $5",
        target,
        what.as_str(),
        key,
        from.tenant_id,
        from.user_id,
        to.tenant_id,
        to.user_id,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives up all claims of a user on names but these, and on accounts but this one.
pub async fn keep_claims(
    conn: &mut PgConnection,
    user: Holder,
    names: &[String],
    account: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "-- drive.keep_claims
        DELETE FROM claim WHERE tenant_id = $1 AND user_id = $2
          AND ((what = 'name' AND key <> ALL($3)) OR (what = 'account' AND key IS DISTINCT FROM $4))",
        user.tenant_id,
        user.user_id,
        names,
        account,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What stands in the way when somebody else holds a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HolderState {
    /// The holder is a living user.
    pub living: bool,
    /// It has, or may have, an account.
    pub has_account: bool,
    /// It has work to be done, by which the claim may become free; a daily retry or a second look is none.
    pub open: bool,
}

/// Looks at the holder of a claim.
pub async fn holder_state(conn: &mut PgConnection, holder: Holder) -> Result<HolderState, StoreError> {
    let row = sqlx::query!(
        r#"-- drive.holder_state
        SELECT
            EXISTS (SELECT 1 FROM scim_user WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL) AS "living!",
            EXISTS (SELECT 1 FROM link WHERE tenant_id = $1 AND user_id = $2
                AND (record #> '{known,linked}' IS NOT NULL OR record ? 'maybe_created')) AS "has_account!",
            EXISTS (SELECT 1 FROM outbox WHERE tenant_id = $1 AND kind = 'user' AND subject_id = $2
                AND (last_error IS NOT NULL OR due_at <= now() OR lease_until > now())) AS "open!""#,
        holder.tenant_id,
        holder.user_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(HolderState { living: row.living, has_account: row.has_account, open: row.open })
}

/// A group subject's facts.
#[derive(Clone, Debug)]
pub struct GroupFacts {
    /// The Jira group it stands for.
    pub jira_name: String,
    /// Folded.
    pub jira_name_key: String,
    /// A tombstone.
    pub deleted: bool,
}

/// Reads a group subject.
pub async fn group_facts(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    group_id: Uuid,
) -> Result<Option<GroupFacts>, StoreError> {
    let row = sqlx::query!(
        r#"-- drive.group_facts
        SELECT jira_name, jira_name_key, deleted_at IS NOT NULL AS "deleted!"
        FROM scim_group WHERE tenant_id = $1 AND id = $2"#,
        tenant_id,
        group_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| GroupFacts { jira_name: row.jira_name, jira_name_key: row.jira_name_key, deleted: row.deleted }))
}

/// A page of the users that a group's structure concerns: present members, direct or nested, and written pairs.
pub async fn users_of_group(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    group_id: Uuid,
    jira_name_key: &str,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- drive.users_of_group
        WITH RECURSIVE down (id) AS (
            SELECT $2::uuid
          UNION
            SELECT m.member_id FROM down JOIN group_member m ON m.tenant_id = $1 AND m.group_id = down.id AND m.is_group
        ), concerned AS (
            SELECT m.member_id AS id FROM down JOIN group_member m ON m.tenant_id = $1 AND m.group_id = down.id
            WHERE NOT m.is_group AND m.member_id > $4
          UNION
            SELECT user_id FROM jira_membership WHERE tenant_id = $1 AND group_key = $3 AND user_id > $4
        )
        SELECT id AS "id!" FROM concerned ORDER BY id LIMIT $5"#,
        tenant_id,
        group_id,
        jira_name_key,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// A page of a tenant's users, tombstones included.
pub async fn users_of_tenant(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- drive.users_of_tenant
        SELECT id FROM scim_user WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        tenant_id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Keeps a fan-out's place, with the page's lease.
pub async fn keep_page(conn: &mut PgConnection, lease: &Lease, after: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "-- drive.keep_page
        UPDATE outbox SET page_after = $5
        WHERE tenant_id = $1 AND kind = $2 AND subject_id = $3 AND lease_token = $4 AND seq = $6",
        lease.tenant_id,
        lease.subject.kind(),
        lease.subject.id(),
        lease.token,
        after,
        lease.seq,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The users whose pair waits for a Jira group that is known to exist now.
pub async fn nudge_waiting(conn: &mut PgConnection, tenant_id: Uuid, key: &str) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "-- drive.nudge_waiting
        INSERT INTO outbox (tenant_id, kind, subject_id, priority, due_at, since)
        SELECT tenant_id, 'user', user_id, 1, now(), now() FROM jira_membership
        WHERE tenant_id = $1 AND group_key = $2 AND step ->> 'state' = 'waiting' ORDER BY user_id
        ON CONFLICT (tenant_id, kind, subject_id) DO UPDATE SET seq = outbox.seq + 1, due_at = least(outbox.due_at, now())",
        tenant_id,
        key,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Removes the edges of a deleted group, and the group's touches.
pub async fn purge_group_edges(conn: &mut PgConnection, tenant_id: Uuid, group_id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "-- drive.purge_group_edges
        WITH touches AS (DELETE FROM group_touch WHERE tenant_id = $1 AND group_id = $2)
        DELETE FROM group_member WHERE tenant_id = $1 AND group_id = $2",
        tenant_id,
        group_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets that pairs of a Jira group are ours (policy `on_group_delete = "keep"`).
pub async fn forget_pairs(conn: &mut PgConnection, tenant_id: Uuid, key: &str) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM jira_membership WHERE tenant_id = $1 AND group_key = $2", tenant_id, key)
        .execute(conn)
        .await?;
    Ok(())
}
