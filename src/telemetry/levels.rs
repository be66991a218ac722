//! The log's levels while the process runs: what is configured, and others for single modules until a time.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// How much a module tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What went wrong.
    Error,
    /// What may have.
    Warn,
    /// What happens.
    Info,
    /// How.
    Debug,
    /// All of it.
    Trace,
    /// Nothing.
    Off,
}

impl Level {
    /// As in directives.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
            Self::Off => "off",
        }
    }
}

/// What one module tells for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Other {
    /// The module.
    pub module: String,
    /// See [`Level`].
    pub level: Level,
    /// From when on it tells again what is configured.
    pub until: DateTime<Utc>,
}

/// The levels as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// What `log.level` or `RUST_LOG` says.
    pub configured: String,
    /// What differs for a while.
    pub overrides: Vec<Other>,
}

type Apply = Box<dyn Fn(EnvFilter) + Send + Sync>;

/// See the module. The process has one log, and hence one of these.
#[derive(Default)]
pub struct Levels {
    configured: OnceLock<String>,
    apply: OnceLock<Apply>,
    others: Mutex<BTreeMap<String, (Level, DateTime<Utc>)>>,
}

/// Those of this process.
pub fn levels() -> &'static Levels {
    static LEVELS: OnceLock<Levels> = OnceLock::new();
    LEVELS.get_or_init(Levels::default)
}

impl Levels {
    /// The log was set up like this, and is changed by that.
    pub(super) fn started(&self, configured: String, apply: impl Fn(EnvFilter) + Send + Sync + 'static) {
        // The log is set up once.
        let _ = self.configured.set(configured);
        let _ = self.apply.set(Box::new(apply));
    }

    /// Another level for a module, until a time.
    pub fn change(&self, module: &str, level: Level, until: DateTime<Utc>, now: DateTime<Utc>) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.retain(|_, (_, until)| *until > now);
        others.insert(module.to_owned(), (level, until));
        self.write(&others);
    }

    /// Ends what is over.
    pub fn expire(&self, now: DateTime<Utc>) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let before = others.len();
        others.retain(|_, (_, until)| *until > now);
        if others.len() != before {
            self.write(&others);
        }
    }

    /// Ends everything that differs.
    pub fn reset(&self) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.clear();
        self.write(&others);
    }

    /// The levels as they are.
    pub fn told(&self, now: DateTime<Utc>) -> Told {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let differing = others.iter().filter(|(_, (_, until))| *until > now);
        Told {
            configured: self.configured().to_owned(),
            overrides: differing
                .map(|(module, (level, until))| Other { module: module.clone(), level: *level, until: *until })
                .collect(),
        }
    }

    fn configured(&self) -> &str {
        self.configured.get().map_or("info", String::as_str)
    }

    fn write(&self, others: &BTreeMap<String, (Level, DateTime<Utc>)>) {
        let differing = others.iter().map(|(module, (level, _))| format!("{module}={}", level.as_str()));
        let directives: Vec<String> = std::iter::once(self.configured().to_owned()).chain(differing).collect();
        // A later directive beats an earlier one about the same module.
        if let (Ok(filter), Some(apply)) = (EnvFilter::try_new(directives.join(",")), self.apply.get()) {
            apply(filter);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;

    #[test]
    fn another_level_goes_back_by_itself() {
        let (levels, written) = (Levels::default(), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&written);
        levels.started("warn".to_owned(), move |filter| noted.lock().unwrap().push(filter.to_string()));
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        levels.change("jira_scim::writer", Level::Debug, at(60), at(0));
        assert_eq!(levels.told(at(1)).overrides.len(), 1);
        levels.expire(at(59));
        levels.expire(at(60));
        let written = written.lock().unwrap();
        assert_eq!(written.len(), 2, "{written:?}");
        assert!(written[0].contains("jira_scim::writer=debug") && written[0].contains("warn"), "{written:?}");
        assert_eq!(written[1], "warn");
        assert!(levels.told(at(61)).overrides.is_empty());
    }
}
