//! Credentials that end: when to say so. Pure, but for the loop that says it.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Writer;

/// Days before the end at which a warning is due.
const WARNINGS: [i64; 4] = [1, 7, 14, 30];
/// How often the dates are looked at.
const EVERY: Duration = Duration::from_secs(3600);

/// A credential of a target whose end is known.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Expiry {
    /// What it is called in the configuration: `token`, `organization.key`.
    pub credential: &'static str,
    /// From when on it is refused.
    pub expires: DateTime<Utc>,
}

/// Whole days until then; negative when it is past.
pub fn days_left(expires: DateTime<Utc>, now: DateTime<Utc>) -> i64 {
    let left = expires - now;
    if left < TimeDelta::zero() { -1 - (now - expires).num_days() } else { left.num_days() }
}

/// Whether the first warning is due.
pub fn is_near(expires: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    stage(expires, now).is_some()
}

/// The last warning that is due: 30, 14, 7 or 1 days before the end, 0 when it is past.
fn stage(expires: DateTime<Utc>, now: DateTime<Utc>) -> Option<i64> {
    if expires <= now {
        return Some(0);
    }
    WARNINGS.into_iter().find(|days| expires - now <= TimeDelta::days(*days))
}

impl Writer {
    /// Warns of credentials that end, once a stage.
    pub(super) async fn watch_expiries(&self) {
        let mut told = HashMap::new();
        while !self.0.life.is_ending() {
            self.tell_of_expiries(&mut told, Utc::now());
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = self.0.life.soft().cancelled() => {}
            }
        }
    }

    fn tell_of_expiries(&self, told: &mut HashMap<(String, &'static str), i64>, now: DateTime<Utc>) {
        for runtime in self.0.targets.values() {
            for Expiry { credential, expires } in &runtime.expiries {
                self.0.metrics.credential_expires(&runtime.name, credential, *expires);
                let Some(stage) = stage(*expires, now) else { continue };
                if told.insert((runtime.name.clone(), credential), stage) == Some(stage) {
                    continue;
                }
                let (name, day, days) = (&runtime.name, expires.format("%F"), days_left(*expires, now));
                if stage == 0 {
                    tracing::error!(
                        target.name = name,
                        credential,
                        "the {credential} of target {name} expired on {day}"
                    );
                } else {
                    tracing::warn!(
                        target.name = name,
                        credential,
                        "the {credential} of target {name} expires on {day}, in {days} days: make a new one"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn warnings_come_thirty_fourteen_seven_days_and_a_day_before_the_end() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let hours = |hours| now + TimeDelta::hours(hours);
        for (in_hours, stage_, days) in [
            (24 * 31, None, 31),
            (24 * 30, Some(30), 30),
            (24 * 14 + 1, Some(30), 14),
            (24 * 14, Some(14), 14),
            (24 * 7, Some(7), 7),
            (24, Some(1), 1),
            (1, Some(1), 0),
            (0, Some(0), 0),
            (-1, Some(0), -1),
        ] {
            assert_eq!((stage(hours(in_hours), now), days_left(hours(in_hours), now)), (stage_, days), "{in_hours} h");
        }
    }
}
