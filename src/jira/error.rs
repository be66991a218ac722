//! What can go wrong at a target, sorted by who has to act on it.

use std::time::Duration;

use crate::account::Field;

/// The one error of every target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No usable answer: refused connection, time-out, 5xx, an HTML page. Costs no subject an attempt.
    #[error("the target cannot be reached: {detail}")]
    Unreachable {
        /// What was seen, without secrets.
        detail: String,
        /// Whether the target may have done the work all the same (false only when nothing was sent).
        maybe_done: bool,
    },
    /// 429: the target wants us to wait.
    #[error("the target asks us to wait")]
    Throttled {
        /// How long, where it said so.
        retry_after: Option<Duration>,
    },
    /// Our own credential was not accepted, or may not administer. Repeating makes it worse (CAPTCHA).
    #[error("the target did not accept our credential: {detail}")]
    Denied {
        /// What was seen, without secrets.
        detail: String,
    },
    /// The target said no for a reason that repeating cannot cure.
    #[error("{reason}")]
    Refused {
        /// The target's own words.
        reason: String,
        /// The field it objected to, where it named one.
        field: Option<Field>,
    },
    /// The account or group is not there.
    #[error("{what} does not exist at the target")]
    Gone {
        /// Which one.
        what: String,
    },
    /// A name is taken by another account.
    #[error("{reason}")]
    Conflict {
        /// The target's own words.
        reason: String,
    },
    /// Not now, for this subject alone: an invitation that has not settled, one endpoint that is throttled.
    #[error("not yet: {reason}")]
    Later {
        /// What is waited for.
        reason: String,
        /// How long at least.
        after: Duration,
    },
    /// No seat of a licence is left. Whether that is a refusal or a wait is the policy's business.
    #[error("{reason}")]
    NoSeats {
        /// Which application, and how many seats it has.
        reason: String,
    },
    /// The call was not made: see [`super::Gate`].
    #[error("the call was not made: {reason}")]
    Stopped {
        /// Why.
        reason: &'static str,
    },
}

impl TargetError {
    /// The error of a look that was to show what a write had done: whatever kept us from looking, the write has an unknown
    /// outcome, and must not count as one that was never made.
    pub(super) fn after_a_write(self) -> Self {
        match self {
            Self::Unreachable { .. }
            | Self::Throttled { .. }
            | Self::Denied { .. }
            | Self::Later { .. }
            | Self::Stopped { .. } => {
                Self::Unreachable { detail: format!("the change could not be read back: {self}"), maybe_done: true }
            }
            Self::Refused { .. } | Self::Gone { .. } | Self::Conflict { .. } | Self::NoSeats { .. } => self,
        }
    }
}
