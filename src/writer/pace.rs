//! A target's pace in this process: how many calls at once, how many a second.
//!
//! The configured pace is for all replicas together; each takes its part, told to it by the heartbeat ([`Pace::share`]).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The configured pace of a target, for all replicas together.
#[derive(Clone, Copy, Debug)]
pub struct PaceOptions {
    /// Calls at once.
    pub concurrency: u32,
    /// Calls a second; 0 is no limit.
    pub per_second: f64,
}

/// How far back calls that could not start in time are made up for.
const MISSED: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub struct Pace {
    options: PaceOptions,
    replicas: AtomicU32,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    in_flight: u32,
    /// What the target's headers leave all replicas together.
    told: Option<f64>,
    /// When the next call may start.
    next: Instant,
}

impl Pace {
    /// The whole pace, until a heartbeat tells of other replicas.
    pub fn new(options: PaceOptions) -> Arc<Self> {
        let state = State { in_flight: 0, told: None, next: Instant::now() };
        Arc::new(Self { options, replicas: AtomicU32::new(1), state: Mutex::new(state), freed: Notify::new() })
    }

    /// How many replicas share the pace.
    pub fn share(&self, replicas: u32) {
        self.replicas.store(replicas.max(1), Ordering::Relaxed);
        self.freed.notify_waiters();
    }

    /// This process's part of the calls at once; at least one, or it could do nothing.
    pub fn concurrency(&self) -> u32 {
        self.options.concurrency.div_ceil(self.replicas.load(Ordering::Relaxed)).max(1)
    }

    /// Follows the target's headers; `None` lifts their limit.
    pub fn tell(&self, calls_per_second: Option<f64>) {
        self.lock().told = calls_per_second;
    }

    /// What the target's headers leave us, where they do.
    pub fn told(&self) -> Option<f64> {
        self.lock().told
    }

    /// Waits until one more call may start. The place is free again when the value is dropped.
    pub async fn enter(self: &Arc<Self>) -> Place {
        loop {
            let freed = self.freed.notified();
            let wait = {
                let mut state = self.lock();
                if state.in_flight < self.concurrency() {
                    state.in_flight += 1;
                    Some(self.slot(&mut state))
                } else {
                    None
                }
            };
            match wait {
                // The place is held while waiting for the slot, so slots are used in the order they are given.
                Some(at) => {
                    let place = Place(Arc::clone(self));
                    tokio::time::sleep_until(at).await;
                    return place;
                }
                None => freed.await,
            }
        }
    }

    fn slot(&self, state: &mut State) -> Instant {
        let now = Instant::now();
        let configured = (self.options.per_second > 0.0).then_some(self.options.per_second);
        let rate = match (configured, state.told) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let Some(rate) = rate else { return now };
        let gap = Duration::from_secs_f64(f64::from(self.replicas.load(Ordering::Relaxed)) / rate.max(0.001));
        // Timers are coarse and the machine is busy: what was missed a moment ago is made up for, and no more.
        let at = state.next.max(now.checked_sub(MISSED).unwrap_or(now));
        state.next = at + gap;
        at
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call's place.
#[derive(Debug)]
pub struct Place(Arc<Pace>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
        self.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_start_no_faster_than_the_rate_and_replicas_share_it() {
        let pace = Pace::new(PaceOptions { concurrency: 8, per_second: 10.0 });
        let start = Instant::now();
        for _ in 0..11 {
            drop(pace.enter().await);
        }
        assert_eq!(start.elapsed().as_millis(), 1000);
        pace.share(2);
        assert_eq!(pace.concurrency(), 4);
        let start = Instant::now();
        drop(pace.enter().await);
        drop(pace.enter().await);
        drop(pace.enter().await);
        assert!(start.elapsed().as_millis() >= 400);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_starts_late_costs_none_of_those_after_it() {
        let pace = Pace::new(PaceOptions { concurrency: 8, per_second: 100.0 });
        let start = Instant::now();
        for call in 0..100 {
            // Now and then the machine is somewhere else.
            tokio::time::advance(Duration::from_millis(if call % 10 == 9 { 25 } else { 0 })).await;
            drop(pace.enter().await);
        }
        assert!(start.elapsed() <= Duration::from_millis(1_010), "{:?}", start.elapsed());
        // A pause is not made up for: a tenth of a second's calls at most come at once.
        tokio::time::advance(Duration::from_secs(60)).await;
        let start = Instant::now();
        for _ in 0..31 {
            drop(pace.enter().await);
        }
        assert!(start.elapsed() >= Duration::from_millis(195), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn no_more_calls_at_once_than_the_pace_allows() {
        let pace = Pace::new(PaceOptions { concurrency: 1, per_second: 0.0 });
        let first = pace.enter().await;
        let second = tokio::spawn({
            let pace = Arc::clone(&pace);
            async move { drop(pace.enter().await) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.is_ok());
    }
}
