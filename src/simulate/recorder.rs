//! What was asked and answered on all connections of a session.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::check::Fault;
use super::latency::Latencies;
use super::ledger::Ledger;
use super::report::{Complaint, Report, Row};

/// When to stop early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// After so many requests.
    pub requests: Option<u64>,
    /// After this time.
    pub duration: Option<Duration>,
}

/// So many complaints are kept word for word.
const WORD_FOR_WORD: usize = 200;
/// After so many requests in a row without an answer, on all connections together, nobody is there.
const NOBODY_THERE: u64 = 20;

/// See the module.
#[derive(Debug)]
pub struct Recorder {
    budget: Budget,
    started: Instant,
    sent: AtomicU64,
    silence: AtomicU64,
    stopped: AtomicBool,
    cleaning: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    latencies: BTreeMap<&'static str, Latencies>,
    complaints: Vec<Complaint>,
    complained: u64,
    throttled: u64,
    ledger: Ledger,
}

impl Recorder {
    /// An empty record. The time of the budget begins now.
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            started: Instant::now(),
            sent: AtomicU64::new(0),
            silence: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            cleaning: AtomicBool::new(false),
            kept: Mutex::default(),
        }
    }

    /// Whether a limit was given at all.
    pub fn is_limited(&self) -> bool {
        self.budget != Budget::default()
    }

    /// Ends the session as a spent budget does: what is under way is finished, then it cleans up.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// From now on only the clean-up is under way, which no budget ends.
    pub(super) fn begin_clean_up(&self) {
        self.cleaning.store(true, Ordering::Relaxed);
    }

    /// The next round begins.
    pub(super) fn end_clean_up(&self) {
        self.cleaning.store(false, Ordering::Relaxed);
    }

    /// Whether the limit is reached, or somebody stopped it, or nobody is there to answer.
    pub fn is_spent(&self) -> bool {
        if self.silence.load(Ordering::Relaxed) >= NOBODY_THERE {
            return true;
        }
        !self.cleaning.load(Ordering::Relaxed)
            && (self.stopped.load(Ordering::Relaxed)
                || self.budget.requests.is_some_and(|most| self.sent() >= most)
                || self.budget.duration.is_some_and(|most| self.started.elapsed() >= most))
    }

    /// Requests so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Complaints so far.
    pub fn complained(&self) -> u64 {
        self.kept().complained
    }

    /// Something that is wrong with an answer, or with several together.
    pub fn complain(&self, exchange: impl Into<String>, fault: Fault) {
        let mut kept = self.kept();
        kept.complained += 1;
        if kept.complaints.len() < WORD_FOR_WORD {
            kept.complaints.push(Complaint { exchange: exchange.into(), what: fault.what, cites: fault.cites });
        }
    }

    /// What the session made.
    pub fn ledger<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        work(&mut self.kept().ledger)
    }

    /// What is on record.
    pub fn report(&self) -> Report {
        let kept = self.kept();
        let rows = kept.latencies.iter().map(|(name, latencies)| Row::new(name, latencies)).collect();
        Report {
            rows,
            took: self.started.elapsed(),
            complaints: kept.complaints.clone(),
            complained: kept.complained,
            throttled: kept.throttled,
            left: kept.ledger.left(),
        }
    }

    pub(super) fn sending(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, name: &'static str, took: Duration) {
        self.silence.store(0, Ordering::Relaxed);
        self.kept().latencies.entry(name).or_default().push(took);
    }

    pub(super) fn unanswered(&self) {
        if self.silence.fetch_add(1, Ordering::Relaxed) + 1 == NOBODY_THERE {
            self.complain(
                "the session",
                Fault::new(format!("{NOBODY_THERE} requests in a row had no answer: given up"), ""),
            );
        }
    }

    pub(super) fn throttled(&self) {
        self.kept().throttled += 1;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_up_goes_on_when_the_budget_is_spent_but_not_when_nobody_answers() {
        let recorder = Recorder::new(Budget::default());
        recorder.stop();
        assert!(recorder.is_spent());
        recorder.begin_clean_up();
        assert!(!recorder.is_spent());
        (0..NOBODY_THERE).for_each(|_| recorder.unanswered());
        assert!(recorder.is_spent());
        assert_eq!(recorder.complained(), 1);
    }
}
