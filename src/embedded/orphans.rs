//! What a killed daemon or a killed postmaster leaves behind.
//!
//! After a kill of the postmaster its busy backends live on and hold the shared memory, which blocks every start. After a
//! kill of the daemon the postmaster shuts down by the parent-death signal, which takes a moment.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::cluster::PostmasterFile;
use super::{EmbeddedError, process};

/// How long an orphan may take to end by itself, and how long it is hunted in all.
const PATIENCE: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);

/// Ends every server process of this cluster, politely first, and removes a `postmaster.pid` only when the process that
/// it names is not one of them.
///
/// # Errors
/// [`EmbeddedError::Orphans`] when some are still there after 30 s.
pub(super) fn end(cluster: &Path) -> Result<(), EmbeddedError> {
    let begin = Instant::now();
    let mut told: Option<Stage> = None;
    loop {
        let alive = process::working_in(cluster);
        if alive.is_empty() {
            remove_stale_file(cluster);
            return Ok(());
        }
        let waited = begin.elapsed();
        if waited > DEADLINE {
            return Err(EmbeddedError::Orphans { pids: alive.iter().map(|pid| pid.as_raw_nonzero().get()).collect() });
        }
        let postmaster = postmaster_among(cluster, &alive);
        let stage = Stage::after(waited, postmaster.is_some());
        if told != Some(stage) {
            told = Some(stage);
            tracing::warn!(count = alive.len(), ?stage, "ending an earlier private PostgreSQL of this data directory");
            stage.signal(postmaster, &alive);
        }
        std::thread::sleep(STEP);
    }
}

/// How hard the orphans are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The postmaster lives: a fast shutdown, which saves everything.
    Fast,
    /// Immediate: the next start recovers from the log. The first thing for backends without a postmaster.
    Immediate,
    /// Nothing else helped.
    Kill,
}

impl Stage {
    fn after(waited: Duration, has_postmaster: bool) -> Self {
        match (waited, has_postmaster) {
            (waited, _) if waited > PATIENCE * 2 => Self::Kill,
            (waited, true) if waited < PATIENCE => Self::Fast,
            (waited, false) if waited > PATIENCE / 5 => Self::Kill,
            _ => Self::Immediate,
        }
    }

    fn signal(self, postmaster: Option<Pid>, alive: &[Pid]) {
        match (self, postmaster) {
            (Self::Fast, Some(pid)) => process::signal(pid, Signal::INT),
            (Self::Immediate, Some(pid)) => process::signal(pid, Signal::QUIT),
            (Self::Kill, _) => alive.iter().for_each(|pid| process::signal(*pid, Signal::KILL)),
            (_, None) => alive.iter().for_each(|pid| process::signal(*pid, Signal::QUIT)),
        }
    }
}

fn postmaster_among(cluster: &Path, alive: &[Pid]) -> Option<Pid> {
    let pid = Pid::from_raw(PostmasterFile::read(cluster)?.pid)?;
    alive.contains(&pid).then_some(pid)
}

/// No process works in the cluster, so the file is stale. PostgreSQL would find that out itself, except where the number
/// has been given to another process of the same user, which is common in containers.
fn remove_stale_file(cluster: &Path) {
    if PostmasterFile::read(cluster).is_some() && process::working_in(cluster).is_empty() {
        let _ = fs::remove_file(cluster.join("postmaster.pid"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_without_a_postmaster_are_not_asked_for_long() {
        assert_eq!(Stage::after(Duration::ZERO, false), Stage::Immediate);
        assert_eq!(Stage::after(Duration::from_secs(2), false), Stage::Kill);
    }

    #[test]
    fn a_live_postmaster_is_given_time_to_save_everything() {
        assert_eq!(Stage::after(Duration::from_secs(4), true), Stage::Fast);
        assert_eq!(Stage::after(Duration::from_secs(6), true), Stage::Immediate);
        assert_eq!(Stage::after(Duration::from_secs(11), true), Stage::Kill);
    }
}
