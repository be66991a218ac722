//! What is on record of an account, forgotten or passed on to another user by hand. The caller holds the users' leases.

use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;

/// Forgets what is on record of a user's memberships in Jira.
///
/// # Errors
/// The store failed.
pub async fn forget_pairs(conn: &mut PgConnection, tenant_id: Uuid, user_id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "-- link_by_hand.forget_pairs
        DELETE FROM jira_membership WHERE tenant_id = $1 AND user_id = $2",
        tenant_id,
        user_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Passes a user's memberships on to another user; what is on record of the account goes before what the other one had.
///
/// # Errors
/// The store failed.
pub async fn pass_pairs(conn: &mut PgConnection, tenant_id: Uuid, from: Uuid, into: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "-- link_by_hand.pass_pairs
        WITH passed AS (
            DELETE FROM jira_membership WHERE tenant_id = $1 AND user_id = $2
            RETURNING tenant_id, group_key, written, maybe, theirs, imported
        )
        INSERT INTO jira_membership (tenant_id, user_id, group_key, written, maybe, theirs, imported)
        SELECT tenant_id, $3, group_key, written, maybe, theirs, imported FROM passed
        ON CONFLICT (tenant_id, user_id, group_key) DO UPDATE SET written = excluded.written, maybe = excluded.maybe,
            theirs = excluded.theirs, imported = excluded.imported, step = NULL",
        tenant_id,
        from,
        into,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Passes all that a user holds on to another user of the tenant: the account, and the names.
///
/// # Errors
/// The store failed.
pub async fn pass_claims(conn: &mut PgConnection, tenant_id: Uuid, from: Uuid, into: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "-- link_by_hand.pass_claims
        UPDATE claim SET user_id = $3 WHERE tenant_id = $1 AND user_id = $2",
        tenant_id,
        from,
        into,
    )
    .execute(conn)
    .await?;
    Ok(())
}
