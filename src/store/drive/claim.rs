//! Who holds which login name or account at a target; taken before the first write.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::StoreError;

/// Who holds a login name or an account at a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The tenant.
    pub tenant_id: Uuid,
    /// The user.
    pub user_id: Uuid,
}

/// What is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// Who holds these names and accounts; what is not in the answer is nobody's.
pub async fn holders(
    conn: &mut PgConnection,
    target: &str,
    claims: &[(What, String)],
) -> Result<HashMap<(What, String), Holder>, StoreError> {
    let whats: Vec<String> = claims.iter().map(|(what, _)| what.as_str().to_owned()).collect();
    let keys: Vec<String> = claims.iter().map(|(_, key)| key.clone()).collect();
    let rows = sqlx::query!(
        "-- drive.holders
        SELECT c.what, c.key, c.tenant_id, c.user_id
        FROM unnest($2::text[], $3::text[]) AS w (what, key) JOIN claim c ON c.target = $1 AND c.what = w.what AND c.key = w.key",
        target,
        &whats,
        &keys,
    )
    .fetch_all(conn)
    .await?;
    let what = |text: &str| if text == What::Name.as_str() { What::Name } else { What::Account };
    let held = |tenant_id, user_id| Holder { tenant_id, user_id };
    Ok(rows.into_iter().map(|row| ((what(&row.what), row.key), held(row.tenant_id, row.user_id))).collect())
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
