//! What somebody decides by hand about what the brake holds: finding it, releasing it, giving it up.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::BrakeClass;
use crate::store::StoreError;

/// How long a decision waits for the step that it is about.
const PATIENCE_DAYS: i32 = 7;

/// Something that the brake holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Held {
    /// `user`; `group` for a Jira group that is to be deleted.
    pub kind: String,
    /// The user's id; none for a Jira group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// The folded name of a Jira group; the user's id as text.
    #[serde(skip)]
    pub subject: String,
    /// The user's userName, or the Jira group's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The step: `active`, `delete`, `member:GROUP`, `group:GROUP`.
    pub step: String,
    /// `account`, `member:GROUP` or `group`, as the book calls it.
    #[serde(skip)]
    pub place: String,
    /// Which limit it is under.
    pub class: BrakeClass,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Where a list of what is held has got to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeldAfter {
    /// Accounts, after this user and step.
    Accounts(Uuid, String),
    /// Memberships, after this user and group.
    Members(Uuid, String),
    /// Jira groups, after this key.
    Groups(String),
}

impl Default for HeldAfter {
    fn default() -> Self {
        Self::Accounts(Uuid::nil(), String::new())
    }
}

/// Which of what is held.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeldFilter {
    /// Only of this user.
    pub user: Option<Uuid>,
    /// Only under this limit.
    pub class: Option<BrakeClass>,
    /// Only what was held by then.
    pub by: Option<DateTime<Utc>>,
}

/// The next things that a tenant's brake holds, and where to go on; none at the end. A page may be empty and not be the
/// last.
///
/// # Errors
/// The database's.
pub async fn held(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    filter: HeldFilter,
    after: &HeldAfter,
    limit: i64,
) -> Result<(Vec<Held>, Option<HeldAfter>), StoreError> {
    let full = |n: usize| i64::try_from(n).is_ok_and(|n| n >= limit);
    let start_of_members = HeldAfter::Members(Uuid::nil(), String::new());
    let start_of_groups = HeldAfter::Groups(String::new());
    Ok(match after {
        HeldAfter::Accounts(user, step) => {
            let found = held_accounts(conn, tenant_id, filter, *user, step, limit).await?;
            let next = match found.last() {
                Some(Held { id: Some(id), step, .. }) if full(found.len()) => HeldAfter::Accounts(*id, step.clone()),
                _ => start_of_members,
            };
            (found, Some(next))
        }
        HeldAfter::Members(..) if filter.class == Some(BrakeClass::Accounts) => (Vec::new(), None),
        HeldAfter::Members(user, key) => {
            let (found, last) = held_members(conn, tenant_id, filter, *user, key, limit).await?;
            let next = last.filter(|_| full(found.len())).map(|(user, key)| HeldAfter::Members(user, key));
            (found, Some(next.unwrap_or(start_of_groups)))
        }
        HeldAfter::Groups(_) if filter.user.is_some() => (Vec::new(), None),
        HeldAfter::Groups(key) => {
            let found = held_groups(conn, tenant_id, filter, key, limit).await?;
            let next = found.last().filter(|_| full(found.len())).map(|last| HeldAfter::Groups(last.subject.clone()));
            (found, next)
        }
    })
}

async fn held_accounts(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    only: HeldFilter,
    user: Uuid,
    step: &str,
    limit: i64,
) -> Result<Vec<Held>, StoreError> {
    let rows = sqlx::query!(
        r#"-- brake.held_accounts
        SELECT l.user_id, s.key AS "step!", (s.value ->> 'since')::timestamptz AS "since!", u.attrs ->> 'userName' AS name
        FROM link l CROSS JOIN LATERAL jsonb_each(l.record -> 'steps') s
        LEFT JOIN scim_user u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
        WHERE l.tenant_id = $1 AND l.stuck AND l.user_id >= $3 AND ($2::uuid IS NULL OR l.user_id = $2)
          AND (l.user_id, s.key COLLATE "C") > ($3, $4) AND s.value ->> 'state' = 'held' AND s.value ? 'brake'
          AND ($6::timestamptz IS NULL OR (s.value ->> 'since')::timestamptz <= $6)
          AND ($7::text IS NULL OR ($7 = 'memberships') = starts_with(s.key, 'access:'))
        ORDER BY l.user_id, s.key COLLATE "C" LIMIT $5"#,
        tenant_id,
        only.user,
        user,
        step,
        limit,
        only.by,
        only.class.map(BrakeClass::as_str),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Held {
            kind: "user".to_owned(),
            id: Some(row.user_id),
            subject: row.user_id.to_string(),
            name: row.name,
            // Access to an application is as good as a membership, and has a place of its own.
            place: if row.step.starts_with("access:") { row.step.clone() } else { "account".to_owned() },
            class: if row.step.starts_with("access:") { BrakeClass::Memberships } else { BrakeClass::Accounts },
            step: row.step,
            since: row.since,
        })
        .collect())
}

async fn held_members(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    only: HeldFilter,
    user: Uuid,
    key: &str,
    limit: i64,
) -> Result<(Vec<Held>, Option<(Uuid, String)>), StoreError> {
    let rows = sqlx::query!(
        r#"-- brake.held_members
        SELECT m.user_id, m.group_key, (m.step ->> 'since')::timestamptz AS "since!", u.attrs ->> 'userName' AS name,
            coalesce(j.name, m.group_key) AS "group!"
        FROM jira_membership m
        LEFT JOIN scim_user u ON u.tenant_id = m.tenant_id AND u.id = m.user_id
        LEFT JOIN jira_group j ON j.tenant_id = m.tenant_id AND j.name_key = m.group_key
        WHERE m.tenant_id = $1 AND m.step IS NOT NULL AND m.step ->> 'state' = 'held' AND m.step ? 'brake'
          AND ($2::uuid IS NULL OR m.user_id = $2) AND (m.user_id, m.group_key) > ($3, $4)
          AND ($6::timestamptz IS NULL OR (m.step ->> 'since')::timestamptz <= $6)
        ORDER BY m.user_id, m.group_key LIMIT $5"#,
        tenant_id,
        only.user,
        user,
        key,
        limit,
        only.by,
    )
    .fetch_all(conn)
    .await?;
    let last = rows.last().map(|row| (row.user_id, row.group_key.clone()));
    let found = rows.into_iter().map(|row| Held {
        kind: "user".to_owned(),
        id: Some(row.user_id),
        subject: row.user_id.to_string(),
        name: row.name,
        step: format!("member:{}", row.group),
        place: format!("member:{}", row.group_key),
        class: BrakeClass::Memberships,
        since: row.since,
    });
    Ok((found.collect(), last))
}

async fn held_groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    only: HeldFilter,
    key: &str,
    limit: i64,
) -> Result<Vec<Held>, StoreError> {
    let rows = sqlx::query!(
        r#"-- brake.held_groups
        SELECT name_key, name, (step ->> 'since')::timestamptz AS "since!" FROM jira_group
        WHERE tenant_id = $1 AND step ->> 'state' = 'held' AND step ? 'brake' AND name_key > $2
          AND ($4::timestamptz IS NULL OR (step ->> 'since')::timestamptz <= $4)
        ORDER BY name_key LIMIT $3"#,
        tenant_id,
        key,
        limit,
        only.by,
    )
    .fetch_all(conn)
    .await?;
    let found = rows.into_iter().map(|row| Held {
        kind: "group".to_owned(),
        id: None,
        subject: row.name_key,
        step: format!("group:{}", row.name),
        name: Some(row.name),
        place: "group".to_owned(),
        class: BrakeClass::Memberships,
        since: row.since,
    });
    Ok(found.collect())
}

/// How much a tenant's brake holds at present, by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldCount {
    /// Steps about accounts.
    pub accounts: i64,
    /// Steps about memberships and groups.
    pub memberships: i64,
}

/// Counts what [`held`] lists.
///
/// # Errors
/// The database's.
pub async fn count_held(conn: &mut PgConnection, tenant_id: Uuid) -> Result<HeldCount, StoreError> {
    let row = sqlx::query!(
        r#"-- brake.count_held
        SELECT
            (SELECT count(*) FROM link l CROSS JOIN LATERAL jsonb_each(l.record -> 'steps') s
             WHERE l.tenant_id = $1 AND l.stuck AND s.value ->> 'state' = 'held' AND s.value ? 'brake'
               AND NOT starts_with(s.key, 'access:')) AS "accounts!",
            (SELECT count(*) FROM link l CROSS JOIN LATERAL jsonb_each(l.record -> 'steps') s
             WHERE l.tenant_id = $1 AND l.stuck AND s.value ->> 'state' = 'held' AND s.value ? 'brake'
               AND starts_with(s.key, 'access:'))
            + (SELECT count(*) FROM jira_membership
             WHERE tenant_id = $1 AND step IS NOT NULL AND step ->> 'state' = 'held' AND step ? 'brake')
            + (SELECT count(*) FROM jira_group WHERE tenant_id = $1 AND step ->> 'state' = 'held' AND step ? 'brake')
            AS "memberships!""#,
        tenant_id,
    )
    .fetch_one(conn)
    .await?;
    Ok(HeldCount { accounts: row.accounts, memberships: row.memberships })
}

/// What somebody decides about what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is let through, and does not count.
    Pass,
    /// It is given up until something else is wanted.
    Drop,
}

impl Decision {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
        }
    }
}

/// Enters a decision about some things that are held. The subjects' outbox rows, then the brake, must be locked.
///
/// # Errors
/// The database's.
pub async fn decide(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    decision: Decision,
    held: &[Held],
) -> Result<(), StoreError> {
    let mut keys: Vec<(&str, &str, &str, BrakeClass)> =
        held.iter().map(|held| (held.kind.as_str(), held.subject.as_str(), held.place.as_str(), held.class)).collect();
    // Switching off and deleting are one thing, and one statement may not enter a row twice.
    keys.sort_unstable();
    keys.dedup();
    let kinds: Vec<String> = keys.iter().map(|key| key.0.to_owned()).collect();
    let subjects: Vec<String> = keys.iter().map(|key| key.1.to_owned()).collect();
    let places: Vec<String> = keys.iter().map(|key| key.2.to_owned()).collect();
    let classes: Vec<String> = keys.iter().map(|key| key.3.as_str().to_owned()).collect();
    sqlx::query!(
        "-- brake.decide
        INSERT INTO brake_grant (tenant_id, kind, subject, place, class, verdict, at, until)
        SELECT $1, h.kind, h.subject, h.place, h.class, $2, now(), now() + make_interval(days => $3)
        FROM unnest($4::text[], $5::text[], $6::text[], $7::text[]) AS h (kind, subject, place, class)
        ON CONFLICT (tenant_id, kind, subject, place) DO UPDATE SET verdict = excluded.verdict, at = excluded.at,
            until = excluded.until, weight = 1,
            sum_before = NULL, gone_before = NULL",
        tenant_id,
        decision.as_str(),
        PATIENCE_DAYS,
        &kinds,
        &subjects,
        &places,
        &classes,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a decision is about: what was held by the time of its answer. What is held afterwards nobody has looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// It was tripped.
    pub was_tripped: bool,
    /// The database's clock under the lock of the brake.
    pub at: DateTime<Utc>,
}

/// Ends a trip. Released, what was let through so far does not count any more; else it does, so that the next step of the
/// same storm trips it again.
///
/// # Errors
/// The database's.
pub async fn reset(conn: &mut PgConnection, tenant_id: Uuid, forget: bool) -> Result<Reset, StoreError> {
    let was_tripped = super::lock(conn, tenant_id).await?.trip.is_some();
    let at = sqlx::query_scalar!(
        r#"-- brake.reset
        UPDATE brake SET tripped_at = NULL, class = NULL, reason = NULL,
            counts_since = CASE WHEN $2 THEN clock_timestamp() ELSE counts_since END
        WHERE tenant_id = $1 RETURNING clock_timestamp() AS "at!""#,
        tenant_id,
        forget,
    )
    .fetch_one(conn)
    .await?;
    Ok(Reset { was_tripped, at })
}

/// The time under the lock of the brake, which stays as it is.
///
/// # Errors
/// The database's.
pub async fn clock(conn: &mut PgConnection, tenant_id: Uuid) -> Result<DateTime<Utc>, StoreError> {
    super::lock(conn, tenant_id).await?;
    let at = sqlx::query_scalar!(
        r#"-- brake.clock
        SELECT clock_timestamp() AS "at!""#,
    )
    .fetch_one(conn)
    .await?;
    Ok(at)
}

/// The SCIM groups whose drive waits because the brake holds the deletion of a Jira group.
///
/// # Errors
/// The database's.
pub async fn waiting_groups(conn: &mut PgConnection, tenant_id: Uuid) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        "-- brake.waiting_groups
        SELECT subject_id FROM outbox
        WHERE tenant_id = $1 AND kind = 'group' AND last_error LIKE 'Held by the brake%' ORDER BY subject_id",
        tenant_id,
    )
    .fetch_all(conn)
    .await?)
}
