//! One credential takes the place of another, with a time in which both are accepted.

use chrono::{DateTime, Utc};
use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use super::super::StoreError;
use super::super::tenant::Origin;
use super::{Kind, NewCredential, Proof, Scope, Token, TokenError, create};

/// What takes the place of a credential: all else is as it was.
#[derive(Clone, Copy, Debug)]
pub struct Successor<'a> {
    /// Its id.
    pub id: Uuid,
    /// What proves it; of the same kind as before.
    pub proof: Proof<'a>,
    /// When it stops being accepted; `None`: never.
    pub expires: Option<DateTime<Utc>>,
    /// Until when the old one is accepted, unless it expires before.
    pub until: DateTime<Utc>,
}

/// The living credential with this id or label.
///
/// # Errors
/// [`TokenError::NotFound`].
pub async fn find(conn: &mut PgConnection, tenant_id: Uuid, id_or_label: &str) -> Result<Token, TokenError> {
    let found = sqlx::query_as!(
        Token,
        r#"SELECT id, label, kind AS "kind: Kind", username, me, scope AS "scope: Scope", users_only, created, expires,
                  rotated, revoked, last_used,
                  declared AND (SELECT t.declared FROM tenant t WHERE t.id = $1) AS "declared!"
           FROM token WHERE tenant_id = $1 AND revoked IS NULL AND (id::text = lower($2) OR label = $2)
           FOR UPDATE"#,
        tenant_id,
        id_or_label,
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::from)?;
    found.ok_or_else(|| TokenError::NotFound(id_or_label.to_owned()))
}

/// Puts another credential in the place of the living one with this id or label: it takes the label, and the old one is
/// called after the time when it ends.
///
/// # Errors
/// [`TokenError::NotFound`], [`TokenError::Declared`]; [`TokenError::OtherKind`] where the proof is of another kind.
pub async fn rotate(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id_or_label: &str,
    successor: Successor<'_>,
    origin: Origin<'_>,
) -> Result<Token, TokenError> {
    let mut tx = conn.begin().await.map_err(StoreError::from)?;
    let rotated = within(&mut tx, tenant_id, id_or_label, successor, origin).await;
    match rotated {
        Ok(_) => tx.commit().await.map_err(StoreError::from)?,
        // Not left to the drop, which keeps the lock until the connection is used again.
        Err(_) => tx.rollback().await.map_err(StoreError::from)?,
    }
    rotated
}

async fn within(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id_or_label: &str,
    successor: Successor<'_>,
    origin: Origin<'_>,
) -> Result<Token, TokenError> {
    let old = find(&mut *conn, tenant_id, id_or_label).await?;
    if old.declared {
        return Err(TokenError::Declared(old.label));
    }
    if old.kind != successor.proof.kind() {
        return Err(TokenError::OtherKind(old.label));
    }
    let until = old.expires.map_or(successor.until, |expires| expires.min(successor.until));
    let label = format!("{} (until {})", old.label, until.format("%F %H:%M:%S UTC"));
    let label = free_label(&mut *conn, tenant_id, label).await?;
    sqlx::query!(
        "WITH old AS (
             UPDATE token SET expires = $3, rotated = $4, label = $5 WHERE tenant_id = $1 AND id = $2
         )
         INSERT INTO audit (tenant_id, at, id, request_id, actor, action, kind, subject_id, body, status)
         VALUES ($1, $4, gen_random_uuid(), $6, $7, 'token.rotate', 'token', $2,
                 jsonb_build_object('label', $8::text, 'expires', $3::timestamptz), 200)",
        tenant_id,
        old.id,
        until,
        origin.at,
        label,
        origin.request_id,
        origin.actor,
        old.label,
    )
    .execute(&mut *conn)
    .await
    .map_err(StoreError::from)?;
    let new = NewCredential {
        label: &old.label,
        proof: successor.proof,
        username: old.username.as_deref(),
        me: old.me,
        scope: old.scope,
        users_only: old.users_only,
        expires: successor.expires,
    };
    create(conn, tenant_id, successor.id, new, origin).await
}

/// That label, or with a number behind it: what is replaced twice before the same hour has the same words both times.
async fn free_label(conn: &mut PgConnection, tenant_id: Uuid, label: String) -> Result<String, StoreError> {
    let taken = sqlx::query_scalar!(
        "-- token.labels_like
        SELECT label FROM token WHERE tenant_id = $1 AND revoked IS NULL AND starts_with(label, $2)",
        tenant_id,
        label,
    )
    .fetch_all(conn)
    .await?;
    let numbered = (2..).map(|number| format!("{label}, {number}"));
    Ok(std::iter::once(label.clone()).chain(numbered).find(|one| !taken.contains(one)).unwrap_or(label))
}
