//! The right to work on a subject: taken, renewed, and given back.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::TenantRules;
use crate::store::StoreError;
use crate::store::outbox::Subject;
use crate::store::tenant::Mode;

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
    /// Kinds of steps that may be done although the tenant observes.
    pub release: Option<Vec<String>>,
    /// A digest of what was wanted when that was said.
    pub release_mark: Option<String>,
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
        RETURNING o.seq, o.attempts, o.first_failure, o.request_id, o.fan_out, o.page_after, o.release, o.release_mark, now() AS "now!",
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
        release: row.release,
        release_mark: row.release_mark,
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
            -- What is done is released no longer, also where it is looked at once more.
            release = CASE WHEN seq = $5 AND $10 THEN NULL ELSE release END,
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
        matches!(finish, Finish::Done { .. }),
    )
    .execute(conn)
    .await?;
    Ok(())
}
