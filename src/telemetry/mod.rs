//! Layer 0: what the daemon tells of itself: log lines, request ids, metrics.
//!
//! Logs go to standard error, as JSON unless it is a terminal; standard output belongs to the commands. A secret never
//! gets here, because [`crate::secret::Secret`] does not print.

mod levels;
mod metrics;
mod request_id;

use std::error::Error;
use std::fmt;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

pub use levels::{Lapse, Level, Levels, MOST as MOST_LEVELS, levels};
pub use metrics::{Activity, CONTENT_TYPE, InFlight, Metrics};
pub use request_id::{RequestId, uuid_of};

use crate::config::{Log, LogFormat};

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` or `log.level` is not understood.
    #[error("RUST_LOG or log.level is not a level or directives of such")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// It was set up before.
    #[error("the log is set up already")]
    Again(#[source] Box<dyn Error + Send + Sync>),
}

/// Sets the log of the process up; `RUST_LOG` beats `log.level`.
///
/// # Errors
/// See [`TelemetryError`].
pub fn start(log: &Log) -> Result<(), TelemetryError> {
    let directives = std::env::var("RUST_LOG").ok().filter(|given| !given.trim().is_empty());
    let configured = directives.unwrap_or_else(|| log.level.clone());
    let filter = EnvFilter::try_new(&configured)?;
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr);
    if log.format == LogFormat::Json || (log.format == LogFormat::Auto && !terminal) {
        let lines = lines.json().flatten_event(true).with_span_list(false);
        let lines = lines.with_env_filter(filter).with_filter_reloading();
        let handle = lines.reload_handle();
        lines.try_init().map_err(TelemetryError::Again)?;
        // The log of a process that ends cannot be changed any more.
        levels().started(configured, move |filter| drop(handle.reload(filter)));
    } else {
        let lines = lines.with_ansi(terminal).with_env_filter(filter).with_filter_reloading();
        let handle = lines.reload_handle();
        lines.try_init().map_err(TelemetryError::Again)?;
        levels().started(configured, move |filter| drop(handle.reload(filter)));
    }
    Ok(())
}

/// An error with everything that caused it, for the one place that logs it.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_tells_every_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot write")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("disk full"));
        assert_eq!(Chain(&error).to_string(), "cannot write: disk full");
    }
}
