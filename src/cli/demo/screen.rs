//! What the demo prints. Colours and widths only on a terminal; a reader who went away is no reason to stop.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::jira::Jira;
use crate::sandbox::{JournalEntry, Outcome};
use crate::simulate::latency::millis;
use crate::simulate::wire::{Ask, Waiting, Watch};

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "31";
/// The width of a request where there is no terminal to ask.
const USUAL: usize = 96;
/// Columns of the status and the time.
const TAIL: usize = 16;

/// Standard output.
pub(super) struct Screen {
    colours: bool,
    /// Columns of a line; `None` where nothing has to fit.
    width: Option<usize>,
}

impl Screen {
    pub(super) fn new() -> Self {
        let out = io::stdout();
        let terminal = out.is_terminal();
        let size = rustix::termios::tcgetwinsize(&out).ok().filter(|_| terminal);
        let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
        let colours = terminal && std::env::var_os("NO_COLOR").is_none();
        Self { colours, width: width.map(|width| width.clamp(60, 140)) }
    }

    /// One line, or several.
    pub(super) fn say(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// What happens next.
    pub(super) fn chapter(&self, title: &str) {
        self.say(&format!("\n{}", self.painted(BOLD, title)));
    }

    /// A line with good news.
    pub(super) fn good(&self, text: &str) {
        self.say(&self.painted(GREEN, text));
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A line up to its status: cut only where it has to fit.
    fn head(&self, text: &str) -> String {
        match self.width {
            Some(width) => columns(text, width - TAIL),
            None => format!("{text:<0$}", USUAL - TAIL),
        }
    }

    fn exchange(&self, ask: &Ask, status: Option<u16>, took: Duration, complaints: &[String]) {
        let what = format!("{} {}", ask.name, ask.about);
        let colour = if complaints.is_empty() { GREEN } else { RED };
        let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let line = self.head(&what);
        let took = columns_right(&format!("{} ms", millis(took)), 10);
        self.say(&format!("{line} {} {took}", self.painted(colour, &status)));
        for complaint in complaints {
            self.say(&self.painted(RED, &format!("     ! {complaint}")));
        }
    }

    fn call(&self, entry: &JournalEntry) {
        let path = entry.path.split('?').next().unwrap_or_default();
        let what = format!("     └ {} {path}", entry.method);
        let status = match (entry.outcome, entry.status) {
            (Outcome::Answered, Some(status)) => status.to_string(),
            _ => "no answer".to_owned(),
        };
        self.say(&self.painted(DIM, &format!("{} {status}", self.head(&what))));
    }

    /// Shows Jira's calls as they come, until `end`.
    pub(super) async fn follow(&self, jira: &Jira, end: &CancellationToken) {
        let mut calls = jira.subscribe();
        loop {
            tokio::select! {
                entry = calls.recv() => match entry {
                    Some(entry) => self.call(&entry),
                    None => return,
                },
                () = end.cancelled() => return,
            }
        }
    }
}

/// The text in so many columns: filled with blanks, or cut.
fn columns(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return format!("{text}{}", " ".repeat(width - length));
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn columns_right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(text.chars().count())))
}

/// Shows each exchange of the story, and beneath it the calls that Jira got meanwhile. One request is under way at a
/// time, and the daemon answers when its calls are through, so these are its calls.
pub(super) struct Shown {
    screen: std::sync::Arc<Screen>,
    calls: Mutex<UnboundedReceiver<std::sync::Arc<JournalEntry>>>,
}

impl Shown {
    pub(super) fn new(screen: std::sync::Arc<Screen>, jira: &Jira) -> Self {
        Self { screen, calls: Mutex::new(jira.subscribe()) }
    }

    /// Calls that came after their request was answered.
    pub(super) fn catch_up(&self) {
        let mut calls = self.calls.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while let Ok(entry) = calls.try_recv() {
            self.screen.call(&entry);
        }
    }
}

impl Watch for Shown {
    fn before(&self, _: &mut Ask) {}

    fn after(&self, ask: &Ask, status: Option<u16>, took: Duration, complaints: &[String]) -> Waiting {
        self.screen.exchange(ask, status, took, complaints);
        self.catch_up();
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fills_its_columns_exactly() {
        assert_eq!(columns("Zoë", 5), "Zoë  ");
        assert_eq!(columns("Zoë Quist", 5), "Zoë …");
        assert_eq!(columns_right("9 ms", 6), "  9 ms");
    }
}
