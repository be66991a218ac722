//! Which account is whose, said by hand: a user is given an account, loses it, or passes it on to another user of the same tenant.
//! Nothing is written to Jira here; the drives that follow bring about what the store wants of the accounts then.

use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::{ASK_AGAIN, ByHand, ByHandError, LEASE};
use crate::account::{SeenAccount, fold};
use crate::store::by_hand::{self, Noted};
use crate::store::drive::{self, Holder, What};
use crate::store::link::{AsFound, Known, LinkRecord};
use crate::store::outbox::{self, NudgeAs, Subject};
use crate::store::tenant::Tenant;
use crate::store::{StoreError, link_by_hand};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The user has no account.
    #[error("the user has no account")]
    NotLinked,
    /// The user has an account already.
    #[error("the user has an account already; unlink it first")]
    LinkedAlready,
    /// Somebody else has it.
    #[error("the account is another user's")]
    AccountTaken,
    /// Nobody but us, or nobody at all, may have it.
    #[error("the account is protected")]
    Protected,
    /// As with everything by hand.
    #[error(transparent)]
    ByHand(#[from] ByHandError),
}

impl From<StoreError> for LinkError {
    fn from(error: StoreError) -> Self {
        Self::ByHand(error.into())
    }
}

impl ByHand<'_> {
    /// Makes an account that was just read the user's.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn link(&self, tenant: &Tenant, user_id: Uuid, seen: &SeenAccount) -> Result<(), LinkError> {
        let subject = Subject::User(user_id);
        self.holding(tenant, subject, 0, async |conn, lease| {
            let (mut facts, rules) = self.facts(conn, tenant, lease, user_id).await?;
            if facts.record.linked().is_some() {
                return Ok(Err(LinkError::LinkedAlready));
            }
            let own = rules.protected.own.as_ref().is_some_and(|own| own.id == seen.id);
            if own || rules.policy.protect.covers_user(&seen.username) {
                return Ok(Err(LinkError::Protected));
            }
            let holder = Holder { tenant_id: tenant.id, user_id };
            let held = drive::claim(conn, &tenant.target, What::Account, &seen.id.0, holder).await?;
            if held != holder {
                return Ok(Err(LinkError::AccountTaken));
            }
            let groups = seen.groups.iter().flatten().map(|name| fold(name)).collect();
            facts.record = LinkRecord {
                known: Known::Linked { seen: seen.clone(), maybe: false },
                found: Some(AsFound { active: seen.active, groups }),
                ..LinkRecord::default()
            };
            by_hand::save_record(conn, tenant.id, &tenant.target, user_id, &facts.record).await?;
            let body = json!({ "account": seen.id, "username": seen.username });
            by_hand::note(conn, self.noted(tenant, "link.create", user_id, &body)).await?;
            Ok(Ok(()))
        })
        .await?
    }

    /// Forgets which account is the user's. Whoever is living and wanted looks for one again.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn unlink(&self, tenant: &Tenant, user_id: Uuid) -> Result<(), LinkError> {
        self.holding(tenant, Subject::User(user_id), 0, async |conn, lease| {
            let (facts, _) = self.facts(conn, tenant, lease, user_id).await?;
            let Some(seen) = facts.record.linked() else { return Ok(Err(LinkError::NotLinked)) };
            let body = json!({ "account": seen.id, "username": seen.username });
            let holder = Holder { tenant_id: tenant.id, user_id };
            drive::keep_claims(conn, holder, &[], None).await?;
            link_by_hand::forget_pairs(conn, tenant.id, user_id).await?;
            by_hand::save_record(conn, tenant.id, &tenant.target, user_id, &LinkRecord::default()).await?;
            by_hand::note(conn, self.noted(tenant, "link.delete", user_id, &body)).await?;
            Ok(Ok(()))
        })
        .await?
    }

    /// Passes one user's account on to another who has none, with what is on record of it.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn merge(&self, tenant: &Tenant, from: Uuid, into: Uuid) -> Result<(), LinkError> {
        let until = Instant::now() + self.patience;
        loop {
            match self.try_merge(tenant, from, into).await {
                Err(LinkError::ByHand(ByHandError::Store(error))) if error.is_transient() && Instant::now() < until => {
                }
                Ok(false) if Instant::now() >= until => return Err(ByHandError::Busy.into()),
                Ok(false) => {}
                Ok(true) => return Ok(()),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// False where somebody drives one of them.
    async fn try_merge(&self, tenant: &Tenant, from: Uuid, into: Uuid) -> Result<bool, LinkError> {
        let mut tx = self.store.pool().begin().await.map_err(StoreError::from)?;
        let how = NudgeAs { priority: 0, request_id: Some(self.origin.request_id), ..NudgeAs::BULK };
        // In the order that everybody locks rows of the outbox in.
        let mut both = [from, into];
        both.sort_unstable();
        outbox::nudge(&mut tx, tenant.id, "user", &both, how).await?;
        let mut leases = Vec::new();
        for id in both {
            let lease = drive::take(&mut tx, tenant.id, Subject::User(id), Uuid::new_v4(), LEASE).await?;
            let Some(lease) = lease else { return Ok(false) };
            leases.push(lease);
        }
        let [first, _] = leases.as_slice() else { return Ok(false) };
        let (given, _) = self.facts(&mut tx, tenant, first, from).await?;
        let (taken, _) = self.facts(&mut tx, tenant, first, into).await?;
        let Some(seen) = given.record.linked().cloned() else { return Err(LinkError::NotLinked) };
        if taken.record.linked().is_some() {
            return Err(LinkError::LinkedAlready);
        }
        let record = LinkRecord { steps: Default::default(), ..given.record };
        link_by_hand::pass_claims(&mut tx, tenant.id, from, into).await?;
        link_by_hand::pass_pairs(&mut tx, tenant.id, from, into).await?;
        by_hand::save_record(&mut tx, tenant.id, &tenant.target, into, &record).await?;
        by_hand::save_record(&mut tx, tenant.id, &tenant.target, from, &LinkRecord::default()).await?;
        let body = json!({ "account": seen.id, "username": seen.username, "from": from, "into": into });
        for id in both {
            by_hand::note(&mut tx, self.noted(tenant, "link.merge", id, &body)).await?;
        }
        for lease in &leases {
            by_hand::make_due(&mut tx, lease).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        Ok(true)
    }

    fn noted<'n>(&'n self, tenant: &Tenant, action: &'n str, user_id: Uuid, body: &'n serde_json::Value) -> Noted<'n> {
        Noted {
            tenant_id: tenant.id,
            request_id: self.origin.request_id,
            actor: self.origin.actor,
            action,
            kind: "user",
            subject_id: user_id,
            body,
        }
    }
}
