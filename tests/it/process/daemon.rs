//! The real program as a process of its own: started, watched, killed, and cleaned up after.
//!
//! A [`Home`] is one daemon's folder with its configuration and its private PostgreSQL. Whatever happens to the test (it
//! passes, it panics, it is killed), a small shell ends every process that works in the folder and removes it: the shell
//! waits on a pipe that only the test's process holds open.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jira_scim::embedded::{Embedded, EmbeddedOptions};
use rustix::process::{Pid, Signal};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::watch;

/// How long anything may take that must come about in the end; far more than it takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How many of a daemon's last lines a failed test shows.
const LAST_LINES: usize = 60;

/// `$1` is the folder. Everything of ours has its working directory in it: the daemon by our doing, PostgreSQL by its own.
const REAPER: &str = r#"
trap '' HUP INT TERM
while read -r line; do :; done
tries=0
found=yes
while [ -n "$found" ] && [ "$tries" -lt 200 ]; do
    found=
    for process in /proc/[0-9]*; do
        case $(readlink "$process/cwd" 2>/dev/null) in
            "$1" | "$1"/*) found=yes; kill -9 "${process#/proc/}" 2>/dev/null ;;
        esac
    done
    tries=$((tries + 1))
    [ -z "$found" ] || sleep 0.05
done
rm -rf -- "$1"
"#;

/// Waits for something that another process does, which is all that can be done about it.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = tokio::time::Instant::now() + PATIENCE;
    let mut ticks = tokio::time::interval(Duration::from_millis(25));
    loop {
        ticks.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < until, "{what} did not come about");
    }
}

/// One daemon's folder.
pub(crate) struct Home {
    folder: PathBuf,
    reaper: std::process::Child,
}

impl Home {
    /// A fresh folder that PostgreSQL's unprivileged user can pass through, also when the tests run as root.
    pub(crate) fn new() -> Self {
        let parent = EmbeddedOptions::throwaway().data_dir.parent().unwrap().canonicalize().unwrap();
        let folder = parent.join(format!("jira-scim-test-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o711)).unwrap();
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", REAPER, "jira-scim-reaper"]).arg(&folder).current_dir("/").process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { reaper: shell.spawn().unwrap(), folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Writes the configuration; `{data}` in it stands for the data directory.
    pub(crate) fn configure(&self, text: &str) {
        let text = text.replace("{data}", self.data_dir().to_str().unwrap());
        std::fs::write(self.folder.join("jira-scim.toml"), text).unwrap();
    }

    /// The process ids of everything that runs here.
    pub(crate) fn processes(&self) -> Vec<i32> {
        processes_in(&self.folder)
    }

    /// Kills the postmaster of the private PostgreSQL, as the kernel does when memory runs out. False when none runs.
    pub(crate) fn kill9_postgres(&self) -> bool {
        let file = std::fs::read_to_string(self.data_dir().join("postgres/postmaster.pid")).unwrap_or_default();
        let pid = file.lines().next().and_then(|line| line.trim().parse().ok());
        // The number may have been given to somebody else since.
        match pid.filter(|pid| self.processes().contains(pid)).and_then(Pid::from_raw) {
            Some(pid) => rustix::process::kill_process(pid, Signal::KILL).is_ok(),
            None => false,
        }
    }

    /// A connection to the private PostgreSQL beside the daemon's own; `None` while it is down.
    pub(crate) async fn database(&self) -> Option<PgConnection> {
        let url = Embedded::url_of_running(&self.data_dir())?;
        url.parse::<PgConnectOptions>().unwrap().connect().await.ok()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.reaper.stdin.take());
        let _ = self.reaper.wait();
    }
}

/// The processes whose working directory is in the folder.
pub(crate) fn processes_in(folder: &Path) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            std::fs::read_link(entry.path().join("cwd")).ok()?.starts_with(folder).then_some(pid)
        })
        .collect()
}

/// What a daemon said, line by line.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn text(&self) -> String {
        self.lines().join("\n")
    }
}

/// A daemon that runs, or ran. It is killed when this is dropped.
pub(crate) struct Daemon {
    child: tokio::process::Child,
    address: watch::Receiver<Option<SocketAddr>>,
    log: Log,
}

impl Daemon {
    /// Starts `jira-scim serve` with the home's configuration, and waits for nothing.
    pub(crate) fn spawn(home: &Home) -> Self {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_jira-scim"));
        command.arg("serve").arg("--config").arg(home.folder().join("jira-scim.toml")).current_dir(home.folder());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        // Neither a signal from the terminal nor a setting of the developer's shell is meant for it.
        command.process_group(0).env_remove("RUST_LOG");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JIRA_SCIM")) {
            command.env_remove(name);
        }
        let mut child = command.spawn().unwrap();
        let (told, address) = watch::channel(None);
        let log = Log::default();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let kept = log.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let said: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(address) = said["address"].as_str().and_then(|text| text.parse().ok())
                    && said["message"].as_str().is_some_and(|text| text.starts_with("jira-scim listens"))
                {
                    told.send_replace(Some(address));
                }
                kept.0.lock().unwrap().push(line);
            }
        });
        Self { child, address, log }
    }

    /// Starts the daemon and waits until it listens.
    pub(crate) async fn start(home: &Home) -> Self {
        let mut daemon = Self::spawn(home);
        let listening = async { daemon.address.wait_for(Option::is_some).await.map(drop) };
        let listens = tokio::time::timeout(PATIENCE, listening).await;
        assert!(matches!(listens, Ok(Ok(()))), "the daemon does not listen");
        daemon
    }

    /// `http://127.0.0.1:40000`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address.borrow().unwrap())
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// SIGKILL, and the end of it.
    pub(crate) async fn kill9(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, as an orderly stop begins.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).unwrap())).unwrap();
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("the daemon does not end").unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.log.lines();
            let last = lines.len().saturating_sub(LAST_LINES);
            eprintln!("the daemon's last lines:\n{}", lines[last..].join("\n"));
        }
    }
}
