//! Layer 0: how the process lives and ends.
//!
//! Two tokens and one tracker. *Soft* means: take no new work, finish the step at hand. *Hard* means: drop everything.
//! The first SIGTERM or SIGINT is soft, a second one is hard, and so is the end of the grace period. Everything that
//! runs in the background is spawned here, so that nothing floats; a background task that panics ends the process
//! softly and is remembered, because a daemon without its writer must not look healthy.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The life of the process, or of a part of it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    crashed: Arc<AtomicBool>,
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every task finished what it was doing.
    Finished,
    /// Tasks were dropped, because the grace period ended or a second signal came.
    CutShort,
    /// A background task panicked; the others finished or were dropped.
    Crashed,
}

impl Lifecycle {
    /// A life that nobody has ended yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A life within this one: its own tasks and its own end, ended too when this one ends.
    pub fn child(&self) -> Self {
        Self {
            soft: self.soft.child_token(),
            hard: self.hard.child_token(),
            tasks: TaskTracker::new(),
            crashed: Arc::default(),
        }
    }

    /// Take no new work when this is cancelled.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Drop everything when this is cancelled.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Whether the end has begun.
    pub fn is_ending(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Begins the end: soft.
    pub fn shutdown(&self) {
        self.soft.cancel();
    }

    /// Runs a task in the background. It ends by itself soon after [`Lifecycle::soft`]; it is dropped at
    /// [`Lifecycle::hard`]. A panic in it is logged under `name` and begins the end of the process.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let life = self.clone();
        self.tasks.spawn(async move {
            let guarded = std::panic::AssertUnwindSafe(task).catch_unwind();
            tokio::select! {
                biased;
                () = life.hard.cancelled() => tracing::debug!(task = name, "dropped"),
                outcome = guarded => if outcome.is_err() {
                    tracing::error!(task = name, "a background task panicked: ending the process");
                    life.crashed.store(true, Ordering::SeqCst);
                    life.soft.cancel();
                },
            }
        })
    }

    /// Turns SIGTERM and SIGINT into soft and then hard, for as long as the process lives.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn listen_for_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let life = self.clone();
        // Not on the tracker: it must outlive the tasks to hear the second signal.
        tokio::spawn(async move {
            for token in [&life.soft, &life.hard] {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                let again = token.is_cancelled();
                tracing::info!(signal = name, "{}", if again { "ending already" } else { "ending" });
                token.cancel();
            }
        });
        Ok(())
    }

    /// Waits for the end to begin, then for the tasks, for at most `grace` before they are dropped.
    pub async fn finish(&self, grace: Duration) -> Ending {
        self.soft.cancelled().await;
        self.tasks.close();
        let finished = tokio::select! {
            () = self.tasks.wait() => true,
            () = self.hard.cancelled() => false,
            () = tokio::time::sleep(grace) => false,
        };
        if !finished {
            self.hard.cancel();
            self.tasks.wait().await;
        }
        if self.crashed.load(Ordering::SeqCst) {
            Ending::Crashed
        } else if finished {
            Ending::Finished
        } else {
            Ending::CutShort
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_finish_after_soft() {
        let life = Lifecycle::new();
        let soft = life.soft().clone();
        life.spawn("obedient", async move { soft.cancelled().await });
        life.shutdown();
        assert_eq!(life.finish(Duration::from_secs(60)).await, Ending::Finished);
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_is_dropped_after_the_grace_period() {
        let life = Lifecycle::new();
        life.spawn("stubborn", std::future::pending());
        life.shutdown();
        assert_eq!(life.finish(Duration::ZERO).await, Ending::CutShort);
    }

    #[tokio::test]
    async fn a_panic_in_the_background_ends_the_process_and_is_told() {
        let life = Lifecycle::new();
        life.spawn("broken", async { std::panic::resume_unwind(Box::new("broken")) });
        assert_eq!(life.finish(Duration::from_secs(60)).await, Ending::Crashed);
    }

    #[tokio::test]
    async fn the_end_of_a_part_leaves_the_whole_alive() {
        let life = Lifecycle::new();
        let part = life.child();
        part.shutdown();
        assert_eq!(part.finish(Duration::from_secs(60)).await, Ending::Finished);
        assert!(!life.is_ending());
        let other = life.child();
        life.shutdown();
        assert!(other.is_ending());
    }
}
