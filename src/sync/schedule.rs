//! When sources are read: so often, or by a cron expression, and at the start. Of all replicas one gets its way.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::watch;
use uuid::Uuid;

use super::extent::{self, Extent};
use super::run::{Asked, Configured, SCHEDULE, Sync, SyncError};
use crate::config::Schedule;
use crate::store::StoreError;
use crate::store::run::{self, Kind};
use crate::store::source;
use crate::store::tenant::{Origin, Tenant};
use crate::telemetry::Chain;

/// The names of the sources that are followed.
type Following = Arc<Mutex<BTreeSet<String>>>;

/// How often it is looked what is due.
const LOOK: Duration = Duration::from_secs(5);

/// When a source should have been read last, at the latest; `None` when nothing says so.
pub fn last_due(schedule: &Schedule, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match schedule {
        Schedule::Every(every) => now.checked_sub_signed(chrono::TimeDelta::from_std(*every).ok()?),
        Schedule::Cron(text) => croner::Cron::from_str(text).ok()?.find_previous_occurrence(&now, true).ok(),
        Schedule::ByHand => None,
    }
}

/// When a source is read next; `None` when nothing says so.
pub fn next_due(schedule: &Schedule, last: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let at = match schedule {
        Schedule::Every(every) => match last {
            Some(last) => last.checked_add_signed(chrono::TimeDelta::from_std(*every).ok()?)?,
            None => now,
        },
        // One that was missed is made up for.
        Schedule::Cron(_) if last_due(schedule, now).is_some_and(|due| last.is_none_or(|last| last <= due)) => now,
        Schedule::Cron(text) => croner::Cron::from_str(text).ok()?.find_next_occurrence(&now, false).ok()?,
        Schedule::ByHand => return None,
    };
    Some(at.max(now))
}

/// What the next read will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Next {
    /// When; `None`: when somebody asks for it.
    pub at: Option<DateTime<Utc>>,
    /// `full` or `changes`.
    pub extent: String,
    /// Why it is a full one.
    pub because: Option<String>,
    /// How many reads from now the next full one is; 1: the next.
    pub full_in: u32,
}

impl Sync {
    /// What the next read of a source will be, as far as it is known before it.
    ///
    /// # Errors
    /// The store's.
    pub async fn next(&self, configured: &Configured, tenant: &Tenant, now: DateTime<Utc>) -> Result<Next, StoreError> {
        let config = &configured.config;
        let mut conn = self.store.pool().acquire().await?;
        let held = source::held(&mut *conn, tenant.id).await?.filter(|held| held.name == config.name);
        let was_removed = source::was_removed(&mut conn, tenant.id).await?;
        let last = run::last(&mut conn, tenant.id, Kind::Sync).await?;
        let (extent, because) = extent::next(config, held.as_ref(), was_removed);
        let full_in = match (&extent, &held) {
            (Extent::Changes(_), Some(held)) => config.full_every.saturating_sub(held.runs.unsigned_abs()).max(1),
            _ => 1,
        };
        let at = next_due(&config.schedule, last.map(|run| run.requested), now);
        Ok(Next { at, extent: extent.as_str().to_owned(), because, full_in })
    }

    /// Reads all sources when they are due, those included that are made meanwhile, for as long as the process lives.
    pub async fn follow_all(self: Arc<Self>) {
        let following = Following::default();
        let (mut bell, mut starting) = (self.registry.listen(), true);
        while !self.life().is_ending() {
            if let Err(error) = self.refresh().await {
                tracing::warn!(error = %Chain(&error), "it could not be looked up which sources there are; trying again");
            }
            for one in self.sources() {
                if following.lock().unwrap_or_else(PoisonError::into_inner).insert(one.name().to_owned()) {
                    let follow = Arc::clone(&self).follow(one.name().to_owned(), starting, Arc::clone(&following));
                    self.life().spawn("source", follow);
                }
            }
            starting = false;
            self.pause(&mut bell).await;
        }
    }

    /// Reads a source when it is due, for as long as there is one of that name.
    async fn follow(self: Arc<Self>, name: String, mut starting: bool, following: Following) {
        let (mut bell, mut told) = (self.registry.listen(), String::new());
        while !self.life().is_ending() {
            let Some(one) = self.source(&name) else { break };
            if let Ok(configured) = one.configured() {
                match self.run_source(configured, starting, Utc::now()).await {
                    Ok(()) => starting = false,
                    // Until it is another reason, once is enough.
                    Err(SyncError::Refused(why)) if why != told => {
                        tracing::warn!("a source is not read: {why}");
                        told = why;
                    }
                    Err(SyncError::Refused(_)) => {}
                    Err(error) => tracing::warn!(error = %Chain(&error), "a source is not looked after; trying again"),
                }
            }
            self.pause(&mut bell).await;
        }
        following.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
    }

    async fn pause(&self, bell: &mut watch::Receiver<u64>) {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _rung = bell.changed() => {}
            () = self.life().soft().cancelled() => {}
        }
    }

    /// Asks for the run of a source that is due, and works on it, or on the one that waits.
    ///
    /// # Errors
    /// The source may not feed its tenant, or the store's.
    pub async fn run_source(
        &self,
        configured: &Configured,
        starting: bool,
        now: DateTime<Utc>,
    ) -> Result<(), SyncError> {
        let tenant = self.claim(configured).await?;
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        let last = run::last(&mut conn, tenant.id, Kind::Sync).await?;
        drop(conn);
        let open = last.as_ref().filter(|run| run.state.is_open()).map(|run| run.id);
        let due = last_due(&configured.config.schedule, now)
            .is_some_and(|due| last.as_ref().is_none_or(|run| run.requested <= due));
        let id = match open {
            Some(id) => Some(id),
            None if due || (starting && configured.config.at_start) => {
                let origin = Origin { actor: SCHEDULE, request_id: Uuid::now_v7(), at: now };
                self.ask(tenant.id, Kind::Sync, &Asked::default(), origin).await?
            }
            None => None,
        };
        if let Some(id) = id {
            self.work(configured, tenant.id, id, &mut |_| {}).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_cron_expression_says_when_it_was_due_last() {
        let now = at("2026-11-21T08:30:00Z");
        let table = [
            (Schedule::Cron("0 2 * * *".into()), Some("2026-11-21T02:00:00Z")),
            (Schedule::Cron("30 8 * * *".into()), Some("2026-11-21T08:30:00Z")),
            (Schedule::Cron("0 9 * * MON".into()), Some("2026-11-16T09:00:00Z")),
            (Schedule::Every(Duration::from_secs(3600)), Some("2026-11-21T07:30:00Z")),
            (Schedule::ByHand, None),
        ];
        for (schedule, due) in table {
            assert_eq!(last_due(&schedule, now), due.map(at), "{schedule:?}");
        }
    }
    #[test]
    fn the_next_time_is_after_the_last_one_or_now() {
        let now = at("2026-11-21T08:30:00Z");
        let every = Schedule::Every(Duration::from_secs(3600));
        let cron = Schedule::Cron("0 2 * * *".into());
        let table = [
            (&every, None, Some("2026-11-21T08:30:00Z")),
            (&every, Some("2026-11-21T08:00:00Z"), Some("2026-11-21T09:00:00Z")),
            (&every, Some("2026-11-20T08:00:00Z"), Some("2026-11-21T08:30:00Z")),
            (&cron, Some("2026-11-21T02:00:01Z"), Some("2026-11-22T02:00:00Z")),
            (&cron, Some("2026-11-20T02:00:01Z"), Some("2026-11-21T08:30:00Z")),
            (&Schedule::ByHand, None, None),
        ];
        for (schedule, last, next) in table {
            assert_eq!(next_due(schedule, last.map(at), now), next.map(at), "{schedule:?} {last:?}");
        }
    }
}
