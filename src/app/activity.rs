//! Adds what this process counted to the charts, once a minute and at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::lifecycle::Lifecycle;
use crate::store::activity::{self, Counted};
use crate::store::{Store, StoreError};
use crate::telemetry::{Activity, Chain, Metrics};

const EVERY: Duration = Duration::from_secs(60);

/// Until the end.
pub(super) async fn count(store: Store, metrics: Metrics, life: Lifecycle) {
    let mut before = Activity::default();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = life.soft().cancelled() => {}
        }
        let now = metrics.activity();
        match count_once(&store, &before, &now).await {
            Ok(()) => before = now,
            // What was counted is added the next time.
            Err(error) => tracing::debug!(error = %Chain(&error), "the counts could not be kept"),
        }
        if life.is_ending() {
            return;
        }
    }
}

async fn count_once(store: &Store, before: &Activity, now: &Activity) -> Result<(), StoreError> {
    let (requests, calls) = (grown(&before.requests, &now.requests), grown(&before.calls, &now.calls));
    let mut conn = store.pool().acquire().await?;
    activity::add(&mut conn, chrono::Utc::now(), &requests, &calls).await
}

/// What came since.
fn grown(before: &BTreeMap<String, (u64, u64)>, now: &BTreeMap<String, (u64, u64)>) -> Vec<Counted> {
    let counted = now.iter().map(|(name, (total, failed))| {
        let (old_total, old_failed) = before.get(name).copied().unwrap_or_default();
        let since = |new: u64, old: u64| i64::try_from(new.saturating_sub(old)).unwrap_or(i64::MAX);
        Counted { name: name.clone(), total: since(*total, old_total), failed: since(*failed, old_failed) }
    });
    counted.filter(|one| !one.name.is_empty() && one.total > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_since_is_added() {
        let of = |pairs: &[(&str, (u64, u64))]| pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        let before: BTreeMap<_, _> = of(&[("a", (5, 1)), ("b", (2, 0))]);
        let now: BTreeMap<_, _> = of(&[("", (9, 9)), ("a", (7, 2)), ("b", (2, 0)), ("c", (1, 0))]);
        let grown = grown(&before, &now);
        let told: Vec<_> = grown.iter().map(|one| (one.name.as_str(), one.total, one.failed)).collect();
        assert_eq!(told, [("a", 2, 1), ("c", 1, 0)]);
    }
}
