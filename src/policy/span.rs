//! A length of time in a policy.

use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, written as text: `"90s"`, `"1h"`, `"30d"`, or `"0"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// The longest: a hundred years, which every clock here can add.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

impl Span {
    /// Of so many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// For timers and SQL.
    pub fn duration(self) -> Duration {
        self.0
    }

    /// For times of the database's clock.
    pub fn delta(self) -> TimeDelta {
        TimeDelta::from_std(self.0).unwrap_or(TimeDelta::MAX)
    }

    /// No time at all.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", humantime::format_duration(self.0))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = if text.trim() == "0" { Some(Duration::ZERO) } else { humantime::parse_duration(&text).ok() };
        let known = read.filter(|length| *length <= LONGEST);
        known
            .map(Self)
            .ok_or_else(|| de::Error::custom(format!("{text:?} is no length of time such as \"1h\" or \"30d\"")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_length_of_time_is_read_and_written_as_text() {
        for (text, seconds, shown) in [("\"1h\"", 3600, "1h"), ("\"0\"", 0, "0s"), ("\"30d\"", 30 * 86_400, "30days")] {
            let span: Span = serde_json::from_str(text).unwrap();
            assert_eq!((span, span.to_string()), (Span::seconds(seconds), shown.to_owned()));
            let again: Span = serde_json::from_value(serde_json::to_value(span).unwrap()).unwrap();
            assert_eq!(again, span);
        }
        for text in ["\"soon\"", "\"1000000y\"", "5"] {
            assert!(serde_json::from_str::<Span>(text).is_err(), "{text}");
        }
    }
}
