//! What a failure means: wait for the target, try the subject again, or give it up. A pure function.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::jira::TargetError;
use crate::store::target::PauseKind;

/// The writer's patience.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The longest wait between two tries.
    pub max_backoff: Duration,
    /// How long one subject may keep failing while the target answers others.
    pub give_up_after: Duration,
}

/// What is known when a call failed.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// Failures of this subject alone, before this one.
    pub attempts: i32,
    /// When the first of them was.
    pub first_failure: Option<DateTime<Utc>>,
    /// Pauses of the target in a row.
    pub target_failures: i32,
    /// Whether the target answered somebody else right after the failure.
    pub target_answers: bool,
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// Between 0 and 1.
    pub chance: f64,
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The whole target waits; it costs no subject an attempt.
    Pause {
        /// Why.
        kind: PauseKind,
        /// For how long.
        wait: Duration,
    },
    /// This subject waits.
    Retry {
        /// Until when.
        at: DateTime<Utc>,
        /// Its failures now.
        attempts: i32,
        /// When the first was.
        first_failure: DateTime<Utc>,
    },
    /// This subject alone kept failing for too long: the failing step is refused, with the last error.
    GiveUp,
    /// Nothing was attempted; the subject stays due.
    Leave,
}

/// The wait before try number `attempts` (0 is the first retry): exponential from 1 s, full jitter.
pub fn backoff(attempts: i32, max: Duration, chance: f64) -> Duration {
    let ceiling = Duration::from_secs(1)
        .saturating_mul(1_u32.checked_shl(attempts.clamp(0, 20).unsigned_abs()).unwrap_or(u32::MAX))
        .min(max);
    // Never quite zero: a retry that comes at once finds the same fault.
    ceiling.mul_f64(chance.clamp(0.05, 1.0))
}

/// Judges a failed call. `None` for errors that are states of a step and not failures ([`TargetError::Refused`] ...).
pub fn judge(error: &TargetError, failure: Failure, patience: Patience) -> Option<Verdict> {
    let pause = |kind, wait| Some(Verdict::Pause { kind, wait });
    match error {
        TargetError::Throttled { retry_after } => pause(
            PauseKind::Throttled,
            retry_after
                .unwrap_or_else(|| backoff(failure.target_failures + 2, patience.max_backoff, failure.chance))
                .max(Duration::from_millis(100)),
        ),
        // A wrong credential repeated locks the account (CAPTCHA), so this one starts long.
        TargetError::Denied { .. } => pause(
            PauseKind::Denied,
            backoff(failure.target_failures + 6, patience.max_backoff.max(Duration::from_secs(60)), 1.0),
        ),
        TargetError::Unreachable { .. } if !failure.target_answers => {
            pause(PauseKind::Unreachable, backoff(failure.target_failures, patience.max_backoff, failure.chance))
        }
        TargetError::Unreachable { .. } => Some(subject_failed(failure, patience)),
        TargetError::Later { after, .. } => Some(subject_waits(failure, patience, *after)),
        TargetError::Stopped { .. } => Some(Verdict::Leave),
        TargetError::Refused { .. }
        | TargetError::Gone { .. }
        | TargetError::Conflict { .. }
        | TargetError::NoSeats { .. } => None,
    }
}

/// Waiting is no failure of the subject, but what never settles is given up, too.
fn subject_waits(failure: Failure, patience: Patience, after: Duration) -> Verdict {
    let first_failure = failure.first_failure.unwrap_or(failure.now);
    if failure.now - first_failure >= TimeDelta::from_std(patience.give_up_after).unwrap_or(TimeDelta::MAX) {
        return Verdict::GiveUp;
    }
    let wait = TimeDelta::from_std(after.max(Duration::from_millis(100))).unwrap_or(TimeDelta::MAX);
    Verdict::Retry { at: failure.now + wait, attempts: failure.attempts, first_failure }
}

fn subject_failed(failure: Failure, patience: Patience) -> Verdict {
    let first_failure = failure.first_failure.unwrap_or(failure.now);
    let too_long = TimeDelta::from_std(patience.give_up_after).unwrap_or(TimeDelta::MAX);
    if failure.attempts > 0 && failure.now - first_failure >= too_long {
        return Verdict::GiveUp;
    }
    let wait = backoff(failure.attempts, patience.max_backoff, failure.chance);
    let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
    Verdict::Retry { at: failure.now + wait, attempts: failure.attempts.saturating_add(1), first_failure }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PATIENCE: Patience =
        Patience { max_backoff: Duration::from_secs(300), give_up_after: Duration::from_secs(3600) };

    fn failure() -> Failure {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Failure { attempts: 0, first_failure: None, target_failures: 0, target_answers: false, now, chance: 1.0 }
    }

    #[test]
    fn who_has_to_wait_alone_is_tried_again_then_and_given_up_only_after_all_patience() {
        let later = TargetError::Later { reason: String::new(), after: Duration::from_secs(30) };
        let now = failure().now;
        assert_eq!(
            judge(&later, failure(), PATIENCE),
            Some(Verdict::Retry { at: now + TimeDelta::seconds(30), attempts: 0, first_failure: now })
        );
        let long = Failure { first_failure: Some(now - TimeDelta::seconds(3600)), ..failure() };
        assert_eq!(judge(&later, long, PATIENCE), Some(Verdict::GiveUp));
    }

    fn unreachable() -> TargetError {
        TargetError::Unreachable { detail: String::new(), maybe_done: true }
    }

    #[test]
    fn a_target_that_answers_nobody_pauses_and_costs_no_attempt() {
        let verdict = judge(&unreachable(), failure(), PATIENCE);
        assert_eq!(verdict, Some(Verdict::Pause { kind: PauseKind::Unreachable, wait: Duration::from_secs(1) }));
        // However long it lasts.
        let old = Failure { first_failure: Some(DateTime::UNIX_EPOCH), attempts: 99, target_failures: 30, ..failure() };
        let verdict = judge(&unreachable(), old, PATIENCE);
        assert_eq!(verdict, Some(Verdict::Pause { kind: PauseKind::Unreachable, wait: Duration::from_secs(300) }));
    }

    #[test]
    fn a_subject_that_fails_alone_backs_off_and_is_given_up_in_the_end() {
        let alone = Failure { target_answers: true, ..failure() };
        let at = alone.now + TimeDelta::seconds(1);
        let retry = Verdict::Retry { at, attempts: 1, first_failure: alone.now };
        assert_eq!(judge(&unreachable(), alone, PATIENCE), Some(retry));
        let later = Failure { attempts: 12, first_failure: Some(alone.now - TimeDelta::seconds(3600)), ..alone };
        assert_eq!(judge(&unreachable(), later, PATIENCE), Some(Verdict::GiveUp));
    }

    #[test]
    fn retry_after_is_honoured_and_a_denied_credential_waits_long() {
        let throttled = TargetError::Throttled { retry_after: Some(Duration::from_secs(17)) };
        let wait = Duration::from_secs(17);
        assert_eq!(judge(&throttled, failure(), PATIENCE), Some(Verdict::Pause { kind: PauseKind::Throttled, wait }));
        let denied = TargetError::Denied { detail: String::new() };
        let wait = Duration::from_secs(64);
        assert_eq!(judge(&denied, failure(), PATIENCE), Some(Verdict::Pause { kind: PauseKind::Denied, wait }));
    }

    #[test]
    fn the_wait_doubles_to_its_ceiling_and_is_spread() {
        let waits: Vec<u64> = (0..10).map(|n| backoff(n, Duration::from_secs(60), 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        assert_eq!(backoff(3, Duration::from_secs(60), 0.5), Duration::from_secs(4));
        assert!(backoff(3, Duration::from_secs(60), 0.0) > Duration::ZERO);
    }
}
