//! Layer 0: the time of day as a parameter.
//!
//! Code that stores or compares dates takes a [`Clock`]; tests turn it by hand. Lease times are not read here: they are
//! the database's `now()`, so that replicas with wrong clocks agree.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};

/// Tells the time, to the microsecond, as Postgres keeps it.
#[derive(Clone, Debug, Default)]
pub struct Clock(Hands);

#[derive(Clone, Debug, Default)]
enum Hands {
    #[default]
    System,
    /// Microseconds since the epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Hands::System)
    }

    /// A clock that stands still at `start` until [`Clock::advance`]; its clones turn with it.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Hands::Manual(Arc::new(AtomicI64::new(start.timestamp_micros()))))
    }

    /// The time now.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Hands::System => Utc::now().trunc_subsecs(6),
            Hands::Manual(micros) => {
                DateTime::from_timestamp_micros(micros.load(Ordering::SeqCst)).unwrap_or(DateTime::UNIX_EPOCH)
            }
        }
    }

    /// Turns a manual clock forward. The machine's clock is not ours to turn: nothing happens to it.
    pub fn advance(&self, by: Duration) {
        if let Hands::Manual(micros) = &self.0 {
            let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            micros.fetch_add(by, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_turn_together() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let other = clock.clone();
        clock.advance(Duration::from_secs(90));
        assert_eq!(other.now().timestamp(), 90);
    }
}
