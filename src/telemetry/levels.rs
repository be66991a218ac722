//! The log's levels while the process runs: what is configured, and others for single modules until a time.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
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

/// Modules that may differ at once.
pub const MOST: usize = 100;

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

/// One that differs.
struct Differing {
    level: Level,
    until: DateTime<Utc>,
    /// Which of all changes it was.
    turn: u64,
    /// Goes with it: whoever waits for its end waits no longer.
    _stands: oneshot::Sender<()>,
}

#[derive(Default)]
struct Others {
    known: BTreeMap<String, Differing>,
    turns: u64,
}

/// A change, to be waited out by whoever made it.
#[derive(Debug)]
pub struct Lapse {
    module: String,
    turn: u64,
    length: Duration,
    replaced: oneshot::Receiver<()>,
}

/// See the module. The process has one log, and hence one of these.
#[derive(Default)]
pub struct Levels {
    configured: OnceLock<String>,
    apply: OnceLock<Apply>,
    others: Mutex<Others>,
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

    /// Another level for a module, for so long; [`Levels::lapse`] ends it. None: too many differ already.
    pub fn change(&self, module: &str, level: Level, length: Duration, now: DateTime<Utc>) -> Option<Lapse> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.known.len() >= MOST && !others.known.contains_key(module) {
            return None;
        }
        others.turns += 1;
        let (turn, until) = (others.turns, now + length);
        let (stands, replaced) = oneshot::channel();
        others.known.insert(module.to_owned(), Differing { level, until, turn, _stands: stands });
        self.write(&others);
        Some(Lapse { module: module.to_owned(), turn, length, replaced })
    }

    /// Waits until a change is over and ends it, unless another one has taken its place or all were ended meanwhile. By the
    /// clock that only goes forward: whoever sets the machine's time neither shortens nor lengthens it.
    pub async fn lapse(&self, lapse: Lapse) {
        tokio::select! {
            () = tokio::time::sleep(lapse.length) => self.end(&lapse.module, lapse.turn),
            _ = lapse.replaced => {}
        }
    }

    fn end(&self, module: &str, turn: u64) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.known.get(module).is_some_and(|other| other.turn == turn) {
            others.known.remove(module);
            self.write(&others);
        }
    }

    /// Ends everything that differs.
    pub fn reset(&self) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.known.clear();
        self.write(&others);
    }

    /// The levels as they are.
    pub fn told(&self) -> Told {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |(module, other): (&String, &Differing)| Other {
            module: module.clone(),
            level: other.level,
            until: other.until,
        };
        Told { configured: self.configured().to_owned(), overrides: others.known.iter().map(told).collect() }
    }

    fn configured(&self) -> &str {
        self.configured.get().map_or("info", String::as_str)
    }

    fn write(&self, others: &Others) {
        let differing = others.known.iter().map(|(module, other)| format!("{module}={}", other.level.as_str()));
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

    const MINUTE: Duration = Duration::from_secs(60);

    /// Levels, and what was written of them.
    fn noted() -> (Arc<Levels>, Arc<Mutex<Vec<String>>>) {
        let (levels, written) = (Arc::new(Levels::default()), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&written);
        levels.started("warn".to_owned(), move |filter| noted.lock().unwrap().push(filter.to_string()));
        (levels, written)
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn another_level_goes_back_by_itself_when_its_time_is_over_and_not_before() {
        let (levels, written) = noted();
        let lapse = levels.change("jira_scim::writer", Level::Debug, MINUTE, at(0)).unwrap();
        assert_eq!(levels.told().overrides[0].until, at(60));
        let of_task = Arc::clone(&levels);
        let task = tokio::spawn(async move { of_task.lapse(lapse).await });
        tokio::task::yield_now().await;
        tokio::time::advance(MINUTE - Duration::from_millis(10)).await;
        tokio::task::yield_now().await;
        assert_eq!((levels.told().overrides.len(), task.is_finished()), (1, false));
        tokio::time::advance(Duration::from_millis(20)).await;
        task.await.unwrap();
        let written = written.lock().unwrap();
        assert!(written[0].contains("jira_scim::writer=debug") && written[0].contains("warn"), "{written:?}");
        assert_eq!((written.len(), written[1].as_str()), (2, "warn"));
        assert!(levels.told().overrides.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_level_that_is_set_again_lasts_as_long_as_it_says_and_nobody_waits_for_the_first() {
        let (levels, _written) = noted();
        let first = levels.change("sqlx", Level::Debug, MINUTE, at(0)).unwrap();
        let second = levels.change("sqlx", Level::Trace, 10 * MINUTE, at(1)).unwrap();
        levels.lapse(first).await;
        assert_eq!(levels.told().overrides[0].level, Level::Trace);
        levels.lapse(second).await;
        assert!(levels.told().overrides.is_empty());
        let third = levels.change("sqlx", Level::Off, MINUTE, at(2)).unwrap();
        levels.reset();
        levels.lapse(third).await;
        assert!(levels.told().overrides.is_empty());
    }

    #[test]
    fn so_many_modules_differ_at_most() {
        let (levels, _written) = noted();
        let change = |n: usize| levels.change(&format!("m{n}"), Level::Debug, MINUTE, at(0)).is_some();
        assert_eq!((0..MOST + 10).filter(|n| change(*n)).count(), MOST);
        assert!(change(0), "one of them may be another");
    }
}
