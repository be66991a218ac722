//! How far a session is: a bar on a terminal, a line a phase elsewhere. On standard error, which nobody parses.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The pause between two pictures of the bar.
const FRAME: Duration = Duration::from_millis(100);
const WIDTH: u64 = 24;

/// One phase of a session.
pub(super) struct Progress {
    title: &'static str,
    all: u64,
    done: AtomicU64,
    drawn: Mutex<Option<Instant>>,
    terminal: bool,
}

impl Progress {
    pub(super) fn new(title: &'static str, all: usize) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { title, all: all as u64, done: AtomicU64::new(0), drawn: Mutex::new(None), terminal }
    }

    /// One more is done.
    pub(super) fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.terminal && drawn.is_none_or(|drawn| drawn.elapsed() >= FRAME) {
            *drawn = Some(Instant::now());
            draw(&format!("\r{}\x1b[K", bar(self.title, done, self.all)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let start = if self.terminal { "\r" } else { "" };
        let end = if self.terminal { "\x1b[K\n" } else { "\n" };
        draw(&format!("{start}{:<18} {} of {}{end}", self.title, self.done.load(Ordering::Relaxed), self.all));
    }
}

/// A picture that cannot be shown is no reason to stop.
fn draw(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn bar(title: &str, done: u64, all: u64) -> String {
    let filled = (done * WIDTH / all.max(1)).min(WIDTH);
    let (filled, rest) = ("=".repeat(filled as usize), " ".repeat((WIDTH - filled) as usize));
    format!("{title:<18} [{filled}{rest}] {done} of {all}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_up() {
        assert!(bar("people", 0, 10).contains("[                        ] 0 of 10"));
        assert!(bar("people", 10, 10).contains("[========================] 10 of 10"));
        assert!(bar("nothing", 0, 0).ends_with("0 of 0"));
    }
}
