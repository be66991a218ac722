//! `/log`: other levels of the log for a while.

use std::time::Duration;

use serde::Deserialize;

use crate::admin::answer::{Outcome, ok};
use crate::admin::call::Call;
use crate::admin::refusal::Refusal;
use crate::telemetry::{Level, MOST_LEVELS, levels};

/// How long where nobody says, and at most.
const FOR: (Duration, Duration) = (Duration::from_secs(600), Duration::from_secs(86_400));
/// The longest name of a module.
const MODULE: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    module: String,
    level: Level,
    #[serde(default, rename = "for")]
    length: Option<String>,
}

pub(crate) async fn get(_call: &Call) -> Outcome {
    ok(&levels().told())
}

pub(crate) async fn put(call: &Call) -> Outcome {
    let Wanted { module, level, length } = call.body()?;
    if module.len() > MODULE || !is_module(&module) {
        return Err(Refusal::value("module", "module must be a module such as jira_scim::writer."));
    }
    let length = match length.as_deref().map(humantime::parse_duration) {
        None => FOR.0,
        Some(Ok(length)) if length <= FOR.1 && !length.is_zero() => length,
        Some(_) => return Err(Refusal::value("for", "for must be a length of time of at most 24h, such as 10m.")),
    };
    let Some(lapse) = levels().change(&module, level, length, call.now) else {
        let message = format!("The levels of {MOST_LEVELS} modules differ already; put them back first.");
        return Err(Refusal::value("module", message));
    };
    let seconds = length.as_secs();
    tracing::info!(
        module,
        level = level.as_str(),
        seconds,
        actor = call.actor,
        "the log's level is another for a while"
    );
    let ending = call.state.life.soft().clone();
    call.state.life.spawn("log level", async move {
        tokio::select! {
            () = levels().lapse(lapse) => {}
            () = ending.cancelled() => {}
        }
    });
    ok(&levels().told())
}

pub(crate) async fn delete(call: &Call) -> Outcome {
    levels().reset();
    tracing::info!(actor = call.actor, "the log's levels are as configured again");
    ok(&levels().told())
}

/// `jira_scim::writer`, and nothing that the log's directives would take for something else.
fn is_module(text: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.split("::").all(is_part)
}

#[cfg(test)]
mod tests {
    use super::is_module;

    #[test]
    fn a_module_is_a_path_of_names() {
        for text in ["jira_scim", "jira_scim::writer::drive", "sqlx", "h2"] {
            assert!(is_module(text), "{text}");
        }
        for text in ["", "a=debug", "a,b", "a::", "::a", "[span]", "A", "1a", "a b"] {
            assert!(!is_module(text), "{text}");
        }
    }
}
