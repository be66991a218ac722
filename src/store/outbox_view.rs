//! The outbox as people and metrics see it: what waits, what is not being done, how much and since when. Reads only.
//!
//! Everything is paged by key, and found through indexes that hold only what is shown; nothing here counts users.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use super::link::{StepState, Stuck};

/// The state of something that is not (yet) as it should be at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A subject that can be driven now.
    Due,
    /// A subject whose next try has a time, or a membership whose group is missing.
    Waiting,
    /// A subject that somebody is working on.
    Leased,
    /// A step that Jira, or a rule, said no to.
    Refused,
    /// A step that the brake holds.
    Held,
    /// A step that was dropped by hand.
    Waived,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Due, Self::Waiting, Self::Leased, Self::Refused, Self::Held, Self::Waived];

    /// As on the command line and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Waiting => "waiting",
            Self::Leased => "leased",
            Self::Refused => "refused",
            Self::Held => "held",
            Self::Waived => "waived",
        }
    }

    fn from_row(name: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.as_str() == name).unwrap_or(Self::Due)
    }
}

impl From<Stuck> for State {
    fn from(stuck: Stuck) -> Self {
        match stuck {
            Stuck::Held => Self::Held,
            Stuck::Refused => Self::Refused,
            Stuck::Waived => Self::Waived,
            Stuck::Waiting => Self::Waiting,
        }
    }
}

/// A subject of the outbox, or a step that is not being done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// `user`, `group`, `tenant`; `jira-group` for a step that all users of a Jira group share.
    pub kind: String,
    /// The subject's id; none for a Jira group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// The user's userName, the group's displayName or the Jira group's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A tombstone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The step: `account`, `active`, `delete`, `member:NAME`, `group:NAME`; none for a subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// See [`State`].
    pub state: State,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When it is tried next; none where somebody has to do something first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<DateTime<Utc>>,
    /// Failures of this subject alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    /// The last error, or why the step is not being done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Until when somebody may work on it without a sign of life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leased_until: Option<DateTime<Utc>>,
}

/// Where a list has got to: everything of the sections before, and this key of the section itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cursor {
    /// Subjects, after this kind and id.
    Subjects(String, Uuid),
    /// Account steps, after this user and step.
    Accounts(Uuid, String),
    /// Memberships in this state, after this user and group.
    Members(Stuck, Uuid, String),
    /// Jira groups, after this key.
    Groups(String),
}

impl Default for Cursor {
    fn default() -> Self {
        Self::Subjects(String::new(), Uuid::nil())
    }
}

const STUCK: [(Stuck, State); 4] = [
    (Stuck::Held, State::Held),
    (Stuck::Refused, State::Refused),
    (Stuck::Waived, State::Waived),
    (Stuck::Waiting, State::Waiting),
];

/// The next entries of one tenant in these states after a cursor, with the cursor after them; none at the end. A page
/// may be empty and not be the last.
///
/// # Errors
/// The database's.
pub async fn page(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    states: &[State],
    after: &Cursor,
    limit: i64,
) -> Result<(Vec<Entry>, Option<Cursor>), StoreError> {
    let names: Vec<String> = states.iter().map(|state| state.as_str().to_owned()).collect();
    let full = |n: usize| i64::try_from(n).is_ok_and(|n| n >= limit);
    Ok(match after {
        Cursor::Subjects(kind, id) => {
            let entries = subjects(conn, tenant_id, &names, kind, *id, limit).await?;
            let next = match entries.last() {
                Some(Entry { kind, id: Some(id), .. }) if full(entries.len()) => Cursor::Subjects(kind.clone(), *id),
                _ => Cursor::Accounts(Uuid::nil(), String::new()),
            };
            (entries, Some(next))
        }
        Cursor::Accounts(user, step) => {
            let (entries, last) = accounts(conn, tenant_id, &names, *user, step, limit).await?;
            let next = match last {
                Some((user, step)) if full(entries.len()) => Cursor::Accounts(user, step),
                _ => Cursor::Members(STUCK[0].0, Uuid::nil(), String::new()),
            };
            (entries, Some(next))
        }
        Cursor::Members(stuck, user, key) => {
            let wanted = states.contains(&State::from(*stuck));
            let (entries, last) = match wanted {
                true => members(conn, tenant_id, State::from(*stuck), *user, key, limit).await?,
                false => (Vec::new(), None),
            };
            let following = STUCK.iter().skip_while(|(state, _)| state != stuck).nth(1);
            let next = match (last, following) {
                (Some((user, key)), _) if full(entries.len()) => Cursor::Members(*stuck, user, key),
                (_, Some((following, _))) => Cursor::Members(*following, Uuid::nil(), String::new()),
                (_, None) => Cursor::Groups(String::new()),
            };
            (entries, Some(next))
        }
        Cursor::Groups(key) => {
            let (entries, last) = groups(conn, tenant_id, &names, key, limit).await?;
            let next = last.filter(|_| full(entries.len())).map(Cursor::Groups);
            (entries, next)
        }
    })
}

async fn subjects(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    states: &[String],
    kind: &str,
    id: Uuid,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    let rows = sqlx::query!(
        r#"-- outbox_view.subjects
        SELECT o.kind, o.subject_id, o.since, o.due_at, o.attempts, o.last_error, s.state AS "state!",
            CASE WHEN s.state = 'leased' THEN o.lease_until END AS lease_until,
            coalesce(u.attrs ->> 'userName', g.attrs ->> 'displayName') AS name,
            coalesce(u.deleted_at, g.deleted_at) IS NOT NULL AS "deleted!"
        FROM outbox o
        CROSS JOIN LATERAL (SELECT CASE WHEN o.lease_until > now() THEN 'leased' WHEN o.due_at <= now() THEN 'due'
                                        ELSE 'waiting' END AS state) s
        LEFT JOIN scim_user u ON o.kind = 'user' AND u.tenant_id = o.tenant_id AND u.id = o.subject_id
        LEFT JOIN scim_group g ON o.kind = 'group' AND g.tenant_id = o.tenant_id AND g.id = o.subject_id
        WHERE o.tenant_id = $1 AND s.state = ANY($2) AND (o.kind, o.subject_id) > ($3, $4)
        ORDER BY o.kind, o.subject_id LIMIT $5"#,
        tenant_id,
        states,
        kind,
        id,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Entry {
            kind: row.kind,
            id: Some(row.subject_id),
            name: row.name,
            deleted: row.deleted,
            step: None,
            state: State::from_row(&row.state),
            since: row.since,
            due: Some(row.due_at),
            attempts: Some(row.attempts),
            reason: row.last_error.filter(|error| !error.is_empty()),
            leased_until: row.lease_until,
        })
        .collect())
}

async fn accounts(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    states: &[String],
    user: Uuid,
    step: &str,
    limit: i64,
) -> Result<(Vec<Entry>, Option<(Uuid, String)>), StoreError> {
    let rows = sqlx::query!(
        r#"-- outbox_view.accounts
        SELECT l.user_id, s.key AS "step!", s.value AS "state!: Json<StepState>", u.attrs ->> 'userName' AS name,
            coalesce(u.deleted_at IS NOT NULL, true) AS "deleted!"
        FROM link l
        CROSS JOIN LATERAL jsonb_each(l.record -> 'steps') s
        LEFT JOIN scim_user u ON u.tenant_id = l.tenant_id AND u.id = l.user_id
        WHERE l.tenant_id = $1 AND l.stuck AND l.user_id >= $3
          AND (l.user_id, s.key COLLATE "C") > ($3, $4) AND s.value ->> 'state' = ANY($2)
        ORDER BY l.user_id, s.key COLLATE "C" LIMIT $5"#,
        tenant_id,
        states,
        user,
        step,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let last = rows.last().map(|row| (row.user_id, row.step.clone()));
    let entries = rows
        .into_iter()
        .map(|row| {
            // What the column calls `write` is the account to everybody else.
            let step = if row.step == "write" { "account".to_owned() } else { row.step };
            of_step("user", Some(row.user_id), row.name, row.deleted, step, row.state.0)
        })
        .collect();
    Ok((entries, last))
}

async fn members(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    state: State,
    user: Uuid,
    key: &str,
    limit: i64,
) -> Result<(Vec<Entry>, Option<(Uuid, String)>), StoreError> {
    let rows = sqlx::query!(
        r#"-- outbox_view.members
        SELECT m.user_id, m.group_key, m.step AS "state!: Json<StepState>", u.attrs ->> 'userName' AS name,
            coalesce(u.deleted_at IS NOT NULL, true) AS "deleted!", coalesce(j.name, m.group_key) AS "group!"
        FROM jira_membership m
        LEFT JOIN scim_user u ON u.tenant_id = m.tenant_id AND u.id = m.user_id
        LEFT JOIN jira_group j ON j.tenant_id = m.tenant_id AND j.name_key = m.group_key
        WHERE m.tenant_id = $1 AND m.step IS NOT NULL AND m.step ->> 'state' = $2 AND (m.user_id, m.group_key) > ($3, $4)
        ORDER BY m.user_id, m.group_key LIMIT $5"#,
        tenant_id,
        state.as_str(),
        user,
        key,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let last = rows.last().map(|row| (row.user_id, row.group_key.clone()));
    let entries = rows
        .into_iter()
        .map(|row| {
            let step = format!("member:{}", row.group);
            of_step("user", Some(row.user_id), row.name, row.deleted, step, row.state.0)
        })
        .collect();
    Ok((entries, last))
}

async fn groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    states: &[String],
    key: &str,
    limit: i64,
) -> Result<(Vec<Entry>, Option<String>), StoreError> {
    let rows = sqlx::query!(
        r#"-- outbox_view.groups
        SELECT name_key, name, step AS "state!: Json<StepState>" FROM jira_group
        WHERE tenant_id = $1 AND step ->> 'state' = ANY($2) AND name_key > $3
        ORDER BY name_key LIMIT $4"#,
        tenant_id,
        states,
        key,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let last = rows.last().map(|row| row.name_key.clone());
    let entries = rows
        .into_iter()
        .map(|row| {
            let step = format!("group:{}", row.name);
            of_step("jira-group", None, Some(row.name), false, step, row.state.0)
        })
        .collect();
    Ok((entries, last))
}

fn of_step(kind: &str, id: Option<Uuid>, name: Option<String>, deleted: bool, step: String, state: StepState) -> Entry {
    Entry {
        kind: kind.to_owned(),
        id,
        name,
        deleted,
        step: Some(step),
        state: state.state.into(),
        since: state.since,
        due: state.retry_at,
        attempts: None,
        reason: Some(state.reason),
        leased_until: None,
    }
}

/// How much there is in some states, shown or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Subjects and steps.
    pub count: i64,
    /// Since when the oldest is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<DateTime<Utc>>,
}

/// Counts what [`page`] shows of one tenant.
///
/// # Errors
/// The database's.
pub async fn total(conn: &mut PgConnection, tenant_id: Uuid, states: &[State]) -> Result<Total, StoreError> {
    let states: Vec<String> = states.iter().map(|state| state.as_str().to_owned()).collect();
    let row = sqlx::query!(
        r#"-- outbox_view.total
        SELECT coalesce(sum(n), 0)::bigint AS "count!", min(oldest) AS oldest FROM (
            SELECT count(*) AS n, min(since) AS oldest FROM outbox
            WHERE tenant_id = $1 AND CASE WHEN lease_until > now() THEN 'leased' WHEN due_at <= now() THEN 'due'
                                          ELSE 'waiting' END = ANY($2)
          UNION ALL
            SELECT count(*), min((s.value ->> 'since')::timestamptz)
            FROM link l CROSS JOIN LATERAL jsonb_each(l.record -> 'steps') s
            WHERE l.tenant_id = $1 AND l.stuck AND s.value ->> 'state' = ANY($2)
          UNION ALL
            SELECT count(*), min((step ->> 'since')::timestamptz) FROM jira_membership
            WHERE tenant_id = $1 AND step IS NOT NULL AND step ->> 'state' = ANY($2)
          UNION ALL
            SELECT count(*), min((step ->> 'since')::timestamptz) FROM jira_group
            WHERE tenant_id = $1 AND step ->> 'state' = ANY($2)
        ) part"#,
        tenant_id,
        &states,
    )
    .fetch_one(conn)
    .await?;
    Ok(Total { count: row.count, oldest: row.oldest })
}

/// One tenant's outbox in numbers, for the metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The tenant.
    pub tenant_id: Uuid,
    /// Its name in the URL.
    pub slug: String,
    /// Subjects whose Jira side is out of date.
    pub depth: i64,
    /// How long the oldest of them has been so, in seconds; 0 when there is none.
    pub oldest_seconds: f64,
    /// Steps that were refused.
    pub refused: i64,
    /// Steps that are held.
    pub held: i64,
    /// Steps that were waived.
    pub waived: i64,
}

/// Measures every tenant, also those with nothing to do. Reads the outbox, and of everything else only what is not
/// being done: the price does not follow the number of users.
///
/// # Errors
/// The database's.
pub async fn sample(conn: &mut PgConnection) -> Result<Vec<Sample>, StoreError> {
    let rows = sqlx::query_as!(
        Sample,
        r#"-- outbox_view.sample
        SELECT t.id AS tenant_id, t.slug, o.depth AS "depth!",
            coalesce(extract(epoch FROM now() - o.oldest), 0)::double precision AS "oldest_seconds!",
            s.refused AS "refused!", s.held AS "held!", s.waived AS "waived!"
        FROM tenant t
        CROSS JOIN LATERAL (SELECT count(*) AS depth, min(since) AS oldest FROM outbox WHERE tenant_id = t.id) o
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE state = 'refused') AS refused, count(*) FILTER (WHERE state = 'held') AS held,
                count(*) FILTER (WHERE state = 'waived') AS waived
            FROM (
                SELECT s.value ->> 'state' AS state
                FROM link l CROSS JOIN LATERAL jsonb_each(l.record -> 'steps') s
                WHERE l.tenant_id = t.id AND l.stuck
              UNION ALL
                SELECT step ->> 'state' FROM jira_membership
                WHERE tenant_id = t.id AND step IS NOT NULL AND step ->> 'state' IN ('refused', 'held', 'waived')
              UNION ALL
                SELECT step ->> 'state' FROM jira_group WHERE tenant_id = t.id AND step IS NOT NULL
            ) steps
        ) s
        ORDER BY t.slug"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
