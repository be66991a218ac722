//! The thread that lives as long as the server, and starts it again when it dies.
//!
//! The kernel's parent-death signal fires when the *spawning thread* ends, so the server is spawned from a thread of its
//! own, never from one of the runtime's.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::cluster::{Cluster, PostmasterFile};
use super::{EmbeddedError, orphans, process};

/// How long failed starts are repeated: a dying predecessor may hold the shared memory for a while.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How often a server that is coming up is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// The wait before the second restart in a row; doubled for each further one, up to the last.
const RESTART_PAUSE: Duration = Duration::from_millis(250);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(30);
/// A fast shutdown writes a checkpoint; then it is asked to skip that, then killed.
const FAST: Duration = Duration::from_secs(12);
const IMMEDIATE: Duration = Duration::from_secs(5);
/// How many of the server's last lines an error quotes.
const LAST_LINES: usize = 10;

#[derive(Debug)]
enum Phase {
    Starting,
    Ready,
    Failed(EmbeddedError),
    Stopped,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    stopping: bool,
    pid: Option<Pid>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, phase: Phase) {
        self.lock().phase = phase;
        self.changed.notify_all();
    }

    /// Waits until `done` or the time is over; says whether it is done.
    fn wait(&self, time: Duration, done: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), time, |state| !done(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// Keeps one server running until [`Supervisor::stop`].
#[derive(Debug)]
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts the server and waits until it accepts connections. Crash recovery may take minutes and is waited for.
    pub(super) fn start(cluster: Arc<Cluster>) -> Result<Self, EmbeddedError> {
        let state = State { phase: Phase::Starting, stopping: false, pid: None };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let worker = Worker { shared: Arc::clone(&shared), cluster };
        let thread = std::thread::Builder::new()
            .name("private-postgres".to_owned())
            .spawn(move || worker.run())
            .map_err(EmbeddedError::Thread)?;
        let mut state = shared.lock();
        while matches!(state.phase, Phase::Starting) {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let phase = std::mem::replace(&mut state.phase, Phase::Ready);
        drop(state);
        match phase {
            Phase::Failed(error) => {
                let _ = thread.join();
                Err(error)
            }
            _ => Ok(Self { shared, thread: Some(thread) }),
        }
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.shared.lock().pid.map(|pid| pid.as_raw_nonzero().get())
    }

    pub(super) fn kill9(&self) {
        self.signal(Signal::KILL);
    }

    /// Ends the server and waits for it: fast, then immediate, then by force.
    pub(super) fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        let stopped = |state: &State| matches!(state.phase, Phase::Stopped);
        for (signal, patience) in [(Signal::INT, FAST), (Signal::QUIT, IMMEDIATE), (Signal::KILL, FAST)] {
            self.signal(signal);
            if self.shared.wait(patience, stopped) {
                break;
            }
        }
        let _ = thread.join();
    }

    /// The lock is held meanwhile, and the worker collects a dead child under the same lock: so the number cannot have
    /// been given to another process.
    fn signal(&self, signal: Signal) {
        let state = self.shared.lock();
        if let Some(pid) = state.pid {
            process::signal(pid, signal);
        }
    }
}

/// What the thread does.
struct Worker {
    shared: Arc<Shared>,
    cluster: Arc<Cluster>,
}

impl Worker {
    fn run(&self) {
        let mut failing_since = None;
        let mut pause = Duration::ZERO;
        let mut was_ready = false;
        while !self.rest(pause) {
            match self.serve_once() {
                // It ran, and died.
                Ok(status) => {
                    was_ready = true;
                    failing_since = None;
                    pause = Duration::ZERO;
                    if !self.shared.lock().stopping {
                        tracing::error!(%status, "the private PostgreSQL died: starting it again");
                    }
                }
                Err(error) => {
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    // A first start gives up and says why; later the daemon answers 503 until the server is back.
                    if !was_ready && since.elapsed() > start_patience(&error) {
                        self.shared.set(Phase::Failed(error));
                        return;
                    }
                    tracing::warn!(%error, "the private PostgreSQL did not start: trying again");
                    pause = (pause * 2).clamp(RESTART_PAUSE, RESTART_PAUSE_MAX);
                }
            }
        }
        self.shared.set(Phase::Stopped);
    }

    /// Waits, unless it is time to stop; says whether it is.
    fn rest(&self, pause: Duration) -> bool {
        if !pause.is_zero() {
            self.shared.wait(pause, |state| state.stopping);
        }
        self.shared.lock().stopping
    }

    /// One life of the server: `Ok` when it came up, and then ended for any reason.
    fn serve_once(&self) -> Result<ExitStatus, EmbeddedError> {
        orphans::end(&self.cluster.dir)?;
        let (mut child, lines) = self.spawn()?;
        let came_up = self.await_ready(&mut child);
        if came_up {
            self.shared.set(Phase::Ready);
        }
        let status = self.collect(&mut child)?;
        let said = lines.tail();
        if came_up || self.shared.lock().stopping {
            return Ok(status);
        }
        Err(EmbeddedError::Start { said: if said.is_empty() { status.to_string() } else { said } })
    }

    fn spawn(&self) -> Result<(Child, Lines), EmbeddedError> {
        let mut command = self.cluster.server();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // Fast shutdown; a throw-away server need not save anything.
        let signal = if self.cluster.throwaway { Signal::QUIT } else { Signal::INT };
        process::die_with_this_thread(&mut command, signal);
        let start = |error: std::io::Error| EmbeddedError::Start { said: error.to_string() };
        let mut state = self.shared.lock();
        let mut child = command.spawn().map_err(start)?;
        state.pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or_default());
        drop(state);
        let lines = Lines::follow(child.stderr.take());
        Ok((child, lines))
    }

    /// Waits until the postmaster says that it is ready, or has ended, or is to be stopped.
    fn await_ready(&self, child: &mut Child) -> bool {
        let pid = i32::try_from(child.id()).unwrap_or_default();
        loop {
            if PostmasterFile::read(&self.cluster.dir).is_some_and(|file| file.pid == pid && file.ready) {
                return true;
            }
            if has_ended(child) || self.rest(LOOK) {
                return false;
            }
        }
    }

    /// Waits for the end of the child, and only then, under the lock, lets its number go.
    fn collect(&self, child: &mut Child) -> Result<ExitStatus, EmbeddedError> {
        let start = |error: std::io::Error| EmbeddedError::Start { said: error.to_string() };
        while !wait_for(child, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {}
        let mut state = self.shared.lock();
        state.pid = None;
        child.wait().map_err(start)
    }
}

/// Most failures to start are final; what an orphan causes may pass.
fn start_patience(error: &EmbeddedError) -> Duration {
    match error {
        EmbeddedError::Start { .. } | EmbeddedError::Orphans { .. } => START_PATIENCE,
        _ => Duration::ZERO,
    }
}

fn has_ended(child: &Child) -> bool {
    wait_for(child, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG)
}

/// Whether the child has ended (it stays to be collected); an error other than an interruption counts as ended.
fn wait_for(child: &Child, options: WaitIdOptions) -> bool {
    let Some(pid) = Pid::from_raw(i32::try_from(child.id()).unwrap_or_default()) else { return true };
    match rustix::process::waitid(WaitId::Pid(pid), options) {
        Ok(status) => status.is_some(),
        Err(error) => error != rustix::io::Errno::INTR,
    }
}

/// The server's log, passed on to ours; the last lines are kept for the error of a failed start.
struct Lines {
    last: Arc<Mutex<VecDeque<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    fn follow(stream: Option<impl Read + Send + 'static>) -> Self {
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&last);
        let read = move |stream| {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                pass_on(&line);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == LAST_LINES {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
        };
        let thread = stream.and_then(|stream| {
            std::thread::Builder::new().name("postgres-log".into()).spawn(move || read(stream)).ok()
        });
        Self { last, thread }
    }

    /// The last lines, joined. Backends that outlive the postmaster hold the stream open, so its end is not waited for
    /// longer than a moment.
    fn tail(mut self) -> String {
        if let Some(thread) = self.thread.take() {
            let begin = Instant::now();
            while !thread.is_finished() && begin.elapsed() < LOOK * 20 {
                std::thread::sleep(LOOK);
            }
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().map(|line| line.trim()).collect::<Vec<_>>().join("; ")
    }
}

/// A line of the server, at a level of ours. That it refuses connections while it starts or ends is no news: whoever
/// asked is told.
fn pass_on(line: &str) {
    let (level, text) = line.split_once(':').unwrap_or(("", line));
    let text = text.trim();
    match level {
        "PANIC" | "FATAL" if !text.starts_with("the database system is") => {
            tracing::warn!(target: "postgres", "{level}: {text}");
        }
        "WARNING" | "ERROR" => tracing::info!(target: "postgres", "{level}: {text}"),
        _ => tracing::debug!(target: "postgres", "{}", line.trim()),
    }
}
