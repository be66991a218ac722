//! The first stage: a page of the target's accounts, looked up, judged, and written.

use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

use super::judge::{BUSY, NAME_TAKEN, Rules, TO_APPROVE, Verdict, judge};
use super::{ACCOUNTS, ACCOUNTS_GONE, CHUNK, Counters, Place, TRIES, Tally, Work, may_try_again};
use crate::account::{Kind, SeenAccount, fold};
use crate::policy::mapping::Ground;
use crate::store::StoreError;
use crate::store::drive::{self, Holder};
use crate::store::import::{self, Found, FromAccount};
use crate::writer::runs::RunError;

/// A chunk's verdicts.
#[derive(Default)]
struct Judged {
    refresh: Vec<FromAccount>,
    link: Vec<FromAccount>,
    ask: Vec<FromAccount>,
    create: Vec<FromAccount>,
}

impl Work<'_> {
    /// Reads all accounts from where it was.
    pub(super) async fn accounts(&mut self) -> Result<(), RunError> {
        loop {
            let target = &self.held.runtime.target;
            let page = target.accounts(&self.calls, self.place.after.as_deref()).await?;
            let last = page.next.is_none();
            self.page_of_accounts(page.items, page.next).await?;
            if last {
                return Ok(());
            }
        }
    }

    async fn page_of_accounts(&mut self, accounts: Vec<SeenAccount>, next: Option<String>) -> Result<(), RunError> {
        let mut tries = 0;
        loop {
            let mut counters = self.counters.clone();
            let tried = self.try_accounts(&accounts, next.clone(), &mut counters).await;
            match tried {
                Err(error) if may_try_again(&error) && tries < TRIES => tries += 1,
                other => return other,
            }
        }
    }

    async fn try_accounts(
        &mut self,
        accounts: &[SeenAccount],
        next: Option<String>,
        counters: &mut Counters,
    ) -> Result<(), RunError> {
        let mut tx = self.held.begin(self.inner).await?;
        for chunk in accounts.chunks(CHUNK) {
            self.chunk(&mut tx, chunk, &mut counters.accounts).await?;
        }
        let stage = if next.is_some() { ACCOUNTS } else { ACCOUNTS_GONE };
        let place = Place { after: next, ..Place::default() };
        self.commit(tx, stage, place, counters.clone()).await
    }

    async fn chunk(&self, tx: &mut PgConnection, chunk: &[SeenAccount], tally: &mut Tally) -> Result<(), StoreError> {
        let (tenant_id, target) = (self.held.tenant.id, self.held.runtime.name.as_str());
        let accounts: Vec<String> = chunk.iter().map(|account| account.id.0.clone()).collect();
        let names: Vec<String> = chunk.iter().map(|account| fold(&account.username)).collect();
        let emails: Vec<String> =
            chunk.iter().map(|account| account.email.as_deref().map(fold).unwrap_or_default()).collect();
        let ground = self.ground();
        let externals = match ground.capabilities.kind {
            Kind::Cloud => accounts.clone(),
            Kind::DataCenter | Kind::Align => chunk.iter().map(|account| account.username.clone()).collect(),
        };
        let found = import::look_up(tx, tenant_id, target, &accounts, &names, &externals, &emails).await?;
        let protected = self.held.runtime.protected().unwrap_or_default();
        let run = &self.held.run;
        let now = run.started.unwrap_or(run.requested);
        let rules = Rules { policy: &self.held.policy, protected: &protected, ground: &ground, now };
        import::see_users(tx, tenant_id, run.id, &imported(&found)).await?;
        let mut judged = Judged::default();
        let mut once = HashSet::new();
        for (account, found) in chunk.iter().zip(found) {
            tally.seen += 1;
            let (key, name) = (account.id.0.clone(), fold(&account.username));
            match judge(account.clone(), found, &rules) {
                Verdict::Skip(why) => tally.skip(why, 1),
                Verdict::Known => tally.known += 1,
                // Two directories of one Jira may have an account of the same name.
                _ if !once.insert((false, key)) || !once.insert((true, name)) => tally.skip(NAME_TAKEN, 1),
                Verdict::Refresh(user) => judged.refresh.push(*user),
                Verdict::Link(user) => judged.link.push(*user),
                Verdict::Ask(user) => judged.ask.push(*user),
                Verdict::Create(user) => judged.create.push(*user),
            }
        }
        self.write(tx, judged, tally).await
    }

    fn ground(&self) -> Ground {
        Ground {
            capabilities: self.held.runtime.target.capabilities(),
            email_fallback: self.inner.options.email_fallback.clone(),
            tables: self.inner.tables(),
        }
    }

    async fn write(&self, tx: &mut PgConnection, judged: Judged, tally: &mut Tally) -> Result<(), StoreError> {
        let (tenant_id, target) = (self.held.tenant.id, self.held.runtime.name.as_str());
        let Judged { refresh, link, ask, create } = judged;
        if !ask.is_empty() {
            let done = import::link_users(tx, tenant_id, target, &ask).await?;
            tally.skip(TO_APPROVE, done.len() as u64);
            tally.skip(BUSY, (ask.len() as u64).saturating_sub(done.len() as u64));
        }
        for (users, what) in [(create, What::Create), (link, What::Link), (refresh, What::Refresh)] {
            if users.is_empty() {
                continue;
            }
            let held = import::claim_both(tx, tenant_id, target, &users).await?;
            let (users, others): (Vec<_>, Vec<_>) = users.into_iter().partition(|user| held.contains(&user.id));
            tally.skip(NAME_TAKEN, others.len() as u64);
            if !matches!(what, What::Refresh) {
                import::give_up(tx, tenant_id, &others.iter().collect::<Vec<_>>()).await?;
            }
            let done = match what {
                What::Create => import::create_users(tx, tenant_id, target, self.held.run.id, &users).await?,
                What::Link => import::link_users(tx, tenant_id, target, &users).await?,
                What::Refresh => import::refresh_users(tx, tenant_id, &users).await?,
            };
            let left: Vec<&FromAccount> = users.iter().filter(|user| !done.contains(&user.id)).collect();
            tally.skip(BUSY, left.len() as u64);
            match what {
                What::Create => tally.created += done.len() as u64,
                What::Link => tally.linked += done.len() as u64,
                What::Refresh => tally.updated += done.len() as u64,
            }
            match what {
                What::Create | What::Link => import::give_up(tx, tenant_id, &left).await?,
                What::Refresh => keep_one_name(tx, tenant_id, &users, &done).await?,
            }
        }
        Ok(())
    }
}

/// The imported users whose accounts are listed.
fn imported(found: &[Found]) -> Vec<Uuid> {
    let known = found.iter().filter_map(|found| found.by_account.as_ref()?.as_ref().ok());
    known.filter(|known| known.living && known.imported).map(|known| known.id).collect()
}

#[derive(Clone, Copy)]
enum What {
    Create,
    Link,
    Refresh,
}

/// Of an imported user who was renamed in Jira, the old name is free again; of one who could not follow, the new one.
async fn keep_one_name(
    tx: &mut PgConnection,
    tenant_id: Uuid,
    users: &[FromAccount],
    done: &HashSet<Uuid>,
) -> Result<(), StoreError> {
    for user in users {
        let before = user.before.as_ref().and_then(|record| record.linked()).map(|seen| fold(&seen.username));
        if before.as_deref() == Some(user.name.as_str()) {
            continue;
        }
        let name = if done.contains(&user.id) { Some(user.name.clone()) } else { before };
        let names: Vec<String> = name.into_iter().collect();
        let holder = Holder { tenant_id, user_id: user.id };
        drive::keep_claims(tx, holder, &names, Some(&user.account)).await?;
    }
    Ok(())
}
