//! The task that looks for changes whose request nobody wrote down, because the process was killed: they are put on record as far
//! as their changes tell.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::lifecycle::Lifecycle;
use crate::store::audit;
use crate::store::{Store, StoreError};
use crate::telemetry::Chain;

/// How long after the start, and how often from then on, it is looked for changes whose request nobody wrote down: their
/// process was killed. It may have been another replica.
const LEFT_BEHIND: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(300));
/// How long a living process may take to write a request down.
const MAY_COME: TimeDelta = TimeDelta::minutes(5);
/// How long before the last record of an earlier process it is looked, and how long before the start at most.
const LOOKED_BACK: (TimeDelta, TimeDelta) = (TimeDelta::minutes(10), TimeDelta::days(7));

/// Looks now and then for changes whose request nobody has written down.
pub(super) async fn look(store: Store, life: Lifecycle) {
    let (started, mut since, mut wait) = (Utc::now(), None, LEFT_BEHIND.0);
    loop {
        tokio::select! {
            () = life.soft().cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        // Of what came before the start nobody who lives will write anything.
        let until = if since.is_none() { started } else { Utc::now() - MAY_COME };
        match adopt(&store, since, until).await {
            Ok(n) => {
                if n > 0 {
                    tracing::info!(requests = n, "requests of a process that died were put on record");
                }
                since = Some(until);
            }
            Err(error) => tracing::warn!(error = %Chain(&error), "it could not be looked for lost records"),
        }
        wait = LEFT_BEHIND.1;
    }
}

async fn adopt(store: &Store, since: Option<DateTime<Utc>>, until: DateTime<Utc>) -> Result<u64, StoreError> {
    let mut conn = store.pool().acquire().await?;
    let since = match since {
        Some(since) => since,
        None => {
            let last = audit::last_record(&mut conn, until).await?.unwrap_or(until);
            (last - LOOKED_BACK.0).max(until - LOOKED_BACK.1)
        }
    };
    audit::adopt_lost(&mut conn, since, until).await
}
