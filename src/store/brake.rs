//! The brake's book: what was let through lately, whether it has tripped, and what somebody decided by hand. How much is
//! too much is decided in `writer::brake`, not here.
//!
//! The tenant's row of `brake` is the lock of everything else in here: whoever asks takes it first, and within a
//! transaction it comes after the outbox row of the subject and the claims.

mod by_hand;
mod look;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

pub use by_hand::*;
pub use look::*;

/// What is limited; each has a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrakeClass {
    /// Accounts that are switched off or deleted.
    Accounts,
    /// Memberships that are taken away.
    Memberships,
}

impl BrakeClass {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Accounts, Self::Memberships];

    /// As in the columns and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Memberships => "memberships",
        }
    }

    fn from_column(name: &str) -> Self {
        if name == "accounts" { Self::Accounts } else { Self::Memberships }
    }
}

/// Whose step asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// A user of the tenant.
    User(Uuid),
    /// A Jira group, by its folded name.
    Group(String),
    /// An account that is no user's, by its key at the target.
    Account(String),
}

impl Whose {
    /// As in the columns `kind` and `subject`.
    fn columns(&self) -> (&'static str, String) {
        match self {
            Self::User(id) => ("user", id.to_string()),
            Self::Group(key) => ("group", key.clone()),
            Self::Account(id) => ("account", id.clone()),
        }
    }
}

/// One thing that is to be taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which limit it is under.
    pub class: BrakeClass,
    /// `account`, `member:GROUP` or `group`: asked for again, it is the same thing.
    pub place: String,
    /// How many people it concerns.
    pub weight: u64,
    /// The person is not one of the tenant's people any more.
    pub gone: bool,
}

/// Since when a tenant's brake is tripped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trip {
    /// Since when.
    pub at: DateTime<Utc>,
    /// The limit that was reached.
    pub class: BrakeClass,
    /// For people.
    pub reason: String,
}

/// A tenant's brake, locked until the end of the transaction.
#[derive(Clone, Debug, Default)]
pub struct Locked {
    /// Whether it is tripped.
    pub trip: Option<Trip>,
    counts_since: Option<DateTime<Utc>>,
    accounts: i64,
    memberships: i64,
    gone: i64,
}

/// Locks a tenant's brake.
///
/// # Errors
/// The database's.
pub async fn lock(conn: &mut PgConnection, tenant_id: Uuid) -> Result<Locked, StoreError> {
    if let Some(locked) = try_lock(conn, tenant_id).await? {
        return Ok(locked);
    }
    sqlx::query!("-- brake.make\n INSERT INTO brake (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING", tenant_id)
        .execute(&mut *conn)
        .await?;
    // It is there now, whoever made it; a tenant that is being purged at this moment has none, and nothing to lose.
    Ok(try_lock(conn, tenant_id).await?.unwrap_or_default())
}

async fn try_lock(conn: &mut PgConnection, tenant_id: Uuid) -> Result<Option<Locked>, StoreError> {
    let row = sqlx::query!(
        r#"-- brake.lock
        SELECT tripped_at, class, reason, CASE WHEN isfinite(counts_since) THEN counts_since END AS counts_since,
            accounts, memberships, gone
        FROM brake WHERE tenant_id = $1 FOR UPDATE"#,
        tenant_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Locked {
        trip: trip(row.tripped_at, row.class, row.reason),
        counts_since: row.counts_since,
        accounts: row.accounts,
        memberships: row.memberships,
        gone: row.gone,
    }))
}

fn trip(at: Option<DateTime<Utc>>, class: Option<String>, reason: Option<String>) -> Option<Trip> {
    Some(Trip { at: at?, class: BrakeClass::from_column(&class?), reason: reason.unwrap_or_default() })
}

/// How much was let through within the window, and of how many people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Accounts that were let through.
    pub accounts: u64,
    /// Memberships that were let through.
    pub memberships: u64,
    /// Living users of the tenant.
    pub people: u64,
    /// Who was one of them when the window began, as far as accounts were let through because of it.
    pub gone: u64,
}

impl Levels {
    /// Of one class.
    pub fn of(&self, class: BrakeClass) -> u64 {
        match class {
            BrakeClass::Accounts => self.accounts,
            BrakeClass::Memberships => self.memberships,
        }
    }
}

/// What the book says of some things that are to be taken away.
#[derive(Clone, Debug)]
pub struct Read {
    /// See [`Levels`].
    pub levels: Levels,
    /// Places that were let through already, or released by hand.
    pub known: Vec<String>,
    /// The database's clock under the lock: whatever follows is later than what the lock's last holder did.
    pub now: DateTime<Utc>,
}

/// Reads the book under the lock: the levels, and which of the places are let through in any case.
///
/// # Errors
/// The database's.
pub async fn read(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    locked: &Locked,
    window: Duration,
    whose: &Whose,
    places: &[String],
) -> Result<Read, StoreError> {
    let (kind, subject) = whose.columns();
    // The first that still counts says what was let through before it. The transaction's own time is a little early,
    // which counts a little more.
    let row = sqlx::query!(
        r#"-- brake.read
        SELECT clock_timestamp() AS "now!",
            (SELECT sum_before FROM brake_grant WHERE tenant_id = $1 AND class = 'accounts' AND verdict = 'granted'
                AND at > greatest(now() - make_interval(secs => $2), $3) ORDER BY at LIMIT 1) AS accounts_before,
            (SELECT gone_before FROM brake_grant WHERE tenant_id = $1 AND class = 'accounts' AND verdict = 'granted'
                AND at > greatest(now() - make_interval(secs => $2), $3) ORDER BY at LIMIT 1) AS gone_before,
            (SELECT sum_before FROM brake_grant WHERE tenant_id = $1 AND class = 'memberships' AND verdict = 'granted'
                AND at > greatest(now() - make_interval(secs => $2), $3) ORDER BY at LIMIT 1) AS memberships_before,
            coalesce((SELECT n FROM tally WHERE tenant_id = $1 AND kind = 'user'), 0)
                + coalesce((SELECT sum(delta) FROM tally_delta WHERE tenant_id = $1 AND kind = 'user'), 0) AS "people!",
            ARRAY(SELECT place FROM brake_grant WHERE tenant_id = $1 AND kind = $4 AND subject = $5
                AND place = ANY($6) AND verdict <> 'drop' AND until > now()) AS "known!: Vec<String>""#,
        tenant_id,
        window.as_secs_f64(),
        locked.counts_since,
        kind,
        subject,
        places,
    )
    .fetch_one(conn)
    .await?;
    let used = |total: i64, before: Option<i64>| before.map_or(0, |before| total.saturating_sub(before).max(0));
    let levels = Levels {
        accounts: used(locked.accounts, row.accounts_before).unsigned_abs(),
        memberships: used(locked.memberships, row.memberships_before).unsigned_abs(),
        people: u64::try_from(row.people).unwrap_or(0),
        gone: used(locked.gone, row.gone_before).unsigned_abs(),
    };
    Ok(Read { levels, known: row.known, now: row.now })
}

/// Enters what is let through. `known` are places that were let through before: a pass that is used lasts a window from
/// then on, so that its retries need no other.
///
/// # Errors
/// The database's.
pub async fn grant(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    locked: &Locked,
    window: Duration,
    whose: &Whose,
    (new, known): (&[Wanted], &[String]),
) -> Result<(), StoreError> {
    let (kind, subject) = whose.columns();
    let mut sums = locked.clone();
    let (mut places, mut classes) = (Vec::new(), Vec::new());
    let (mut weights, mut before, mut gone_before) = (Vec::new(), Vec::new(), Vec::new());
    for wanted in new {
        let weight = i64::try_from(wanted.weight).unwrap_or(i64::MAX);
        let sum = match wanted.class {
            BrakeClass::Accounts => &mut sums.accounts,
            BrakeClass::Memberships => &mut sums.memberships,
        };
        places.push(wanted.place.clone());
        classes.push(wanted.class.as_str().to_owned());
        weights.push(weight);
        before.push(*sum);
        gone_before.push(sums.gone);
        *sum = sum.saturating_add(weight);
        sums.gone += i64::from(wanted.gone);
    }
    // The clock under the lock, and not that of the transaction: times follow the order of the sums.
    sqlx::query!(
        "-- brake.grant
        WITH summed AS (
            UPDATE brake SET accounts = $4, memberships = $5, gone = $12 WHERE tenant_id = $1
        ), used AS (
            UPDATE brake_grant SET until = now() + make_interval(secs => $6)
            WHERE tenant_id = $1 AND kind = $2 AND subject = $3 AND place = ANY($7) AND verdict = 'pass'
        )
        INSERT INTO brake_grant (tenant_id, kind, subject, place, class, verdict, at, until, weight, sum_before, gone_before)
        SELECT $1, $2, $3, n.place, n.class, 'granted', clock_timestamp(), clock_timestamp() + make_interval(secs => $6),
            n.weight, n.sum_before, n.gone_before
        FROM unnest($8::text[], $9::text[], $10::bigint[], $11::bigint[], $13::bigint[])
            AS n (place, class, weight, sum_before, gone_before)
        ON CONFLICT (tenant_id, kind, subject, place) DO UPDATE SET class = excluded.class, verdict = excluded.verdict,
            at = excluded.at, until = excluded.until, weight = excluded.weight, sum_before = excluded.sum_before,
            gone_before = excluded.gone_before",
        tenant_id,
        kind,
        subject,
        sums.accounts,
        sums.memberships,
        window.as_secs_f64(),
        known,
        &places,
        &classes,
        &weights,
        &before,
        sums.gone,
        &gone_before,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Trips a tenant's brake, which must be locked.
///
/// # Errors
/// The database's.
pub async fn set_tripped(conn: &mut PgConnection, tenant_id: Uuid, trip: &Trip) -> Result<(), StoreError> {
    sqlx::query!(
        "-- brake.trip
        UPDATE brake SET tripped_at = $2, class = $3, reason = $4 WHERE tenant_id = $1",
        tenant_id,
        trip.at,
        trip.class.as_str(),
        trip.reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Something that was held and that somebody decided about by hand, or that was let through after all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `account`, `member:GROUP` or `group`.
    pub place: String,
    /// Given up; else let through.
    pub dropped: bool,
}

/// What was decided about somebody's steps since they were held.
///
/// # Errors
/// The database's.
pub async fn verdicts(conn: &mut PgConnection, tenant_id: Uuid, whose: &Whose) -> Result<Vec<Verdict>, StoreError> {
    let (kind, subject) = whose.columns();
    let rows = sqlx::query!(
        r#"-- brake.verdicts
        SELECT place, verdict = 'drop' AS "dropped!" FROM brake_grant
        WHERE tenant_id = $1 AND kind = $2 AND subject = $3 AND until > now()"#,
        tenant_id,
        kind,
        subject,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| Verdict { place: row.place, dropped: row.dropped }).collect())
}

/// Those of some users about whose steps something was decided since they were held.
///
/// # Errors
/// The database's.
pub async fn decided(conn: &mut PgConnection, tenant_id: Uuid, users: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"-- brake.decided
        SELECT DISTINCT u.id AS "id!" FROM unnest($2::uuid[]) AS u (id)
        JOIN brake_grant g ON g.tenant_id = $1 AND g.kind = 'user' AND g.subject = u.id::text AND g.until > now()"#,
        tenant_id,
        users,
    )
    .fetch_all(conn)
    .await?)
}

/// What was given up is on record now: it is not given up again.
///
/// # Errors
/// The database's.
pub async fn forget_drops(conn: &mut PgConnection, tenant_id: Uuid, whose: &Whose) -> Result<(), StoreError> {
    let (kind, subject) = whose.columns();
    sqlx::query!(
        "-- brake.forget_drops
        DELETE FROM brake_grant WHERE tenant_id = $1 AND kind = $2 AND subject = $3 AND verdict = 'drop'",
        tenant_id,
        kind,
        subject,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets what counts no more: at most `limit` rows. Says how many.
///
/// # Errors
/// The database's.
pub async fn forget_old(conn: &mut PgConnection, limit: i64) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "-- brake.forget_old
        DELETE FROM brake_grant
        WHERE ctid = ANY(ARRAY(SELECT ctid FROM brake_grant WHERE until < now() - interval '1 hour' LIMIT $1
            FOR UPDATE SKIP LOCKED))",
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
