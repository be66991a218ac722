//! Layer 1, beside the store: the private PostgreSQL that the daemon runs when it was given no `database.url`.
//!
//! Process control only: no SQL, no schema. It finds the server's programs on the machine, keeps the data in one folder,
//! listens on a Unix socket only, runs as an unprivileged user when started as root, ends with the daemon (also with a
//! killed one), and is restarted when it dies. Tests use the same code for a throw-away server.

mod binaries;
mod cluster;
mod orphans;
mod owner;
mod process;
mod reaper;
mod supervisor;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cluster::Cluster;
use owner::Owner;
use supervisor::Supervisor;

/// The database's user, its superuser.
pub const DATABASE_USER: &str = "jira_scim";
/// The database that is there from the start.
pub const DATABASE: &str = "postgres";
/// Part of the socket's file name; no network port is opened.
pub const PORT: u16 = 5432;

/// What to run.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// Where the data is kept; made unless it is there. One daemon at a time may use it.
    pub data_dir: PathBuf,
    /// Where `initdb` and `postgres` are; `None` looks in the usual places.
    pub bin_dir: Option<PathBuf>,
    /// For tests: without `fsync`, and `data_dir` is removed when the server stops or our process ends in any way.
    pub throwaway: bool,
}

impl EmbeddedOptions {
    /// A throw-away server in a fresh folder `jira-scim-test-*` of the system's folder for temporary files.
    pub fn throwaway() -> Self {
        // As root, `TMPDIR` may be a folder that the server's user cannot enter.
        let usual = std::env::temp_dir();
        let barred = Owner::find(&usual.join("none")).is_ok_and(|owner| owner.cannot_enter(&usual).is_some());
        let parent = if barred { PathBuf::from("/tmp") } else { usual };
        let name = format!("jira-scim-test-{}", uuid::Uuid::new_v4().simple());
        Self { data_dir: parent.join(name), bin_dir: None, throwaway: true }
    }
}

/// Why the private PostgreSQL does not run. Each is one sentence for whoever starts the daemon.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Nothing is installed.
    #[error(
        "no PostgreSQL server programs (initdb, postgres) are on this machine: install PostgreSQL 14 or newer (Debian, \
         Ubuntu: `apt-get install postgresql`, which also starts a server of its own unless \
         /etc/postgresql-common/createcluster.conf says `create_main_cluster = false` beforehand; macOS: `brew install \
         postgresql@17`), or set database.postgres_bin, or set database.url to use a server that exists"
    )]
    NoBinaries,
    /// `database.postgres_bin` is wrong.
    #[error("database.postgres_bin: {} does not hold the programs initdb and postgres", dir.display())]
    NotABinaryFolder {
        /// The folder.
        dir: PathBuf,
    },
    /// The data was made by another major version.
    #[error(
        "the private data was made by PostgreSQL {wanted}, and only PostgreSQL {found} is here: install \
             PostgreSQL {wanted}, or set database.postgres_bin to its programs"
    )]
    WrongVersion {
        /// The version that made the data.
        wanted: u32,
        /// The newest version found.
        found: u32,
    },
    /// Only an old version is here.
    #[error("PostgreSQL {found} is too old: {oldest} or newer is needed")]
    TooOld {
        /// The newest version found.
        found: u32,
        /// The oldest that is supported.
        oldest: u32,
    },
    /// No user to run as.
    #[error("PostgreSQL does not run as root, and there is no {wanted} to run it as")]
    NoUser {
        /// Who was looked for.
        wanted: String,
    },
    /// A parent of the data directory is closed to the server's user.
    #[error("the private PostgreSQL runs as the user `{user}`, who may not enter {}: choose another \
             database.data_dir", barrier.display())]
    Unreachable {
        /// The unprivileged user.
        user: String,
        /// The closed folder.
        barrier: PathBuf,
    },
    /// A folder or file cannot be made or used.
    #[error("cannot use {}", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another daemon uses the data directory.
    #[error("another jira-scim (process {holder}) uses the data directory {}: stop it, or give this one a \
             database.data_dir of its own", data_dir.display())]
    InUse {
        /// The data directory.
        data_dir: PathBuf,
        /// The other's process id, as it wrote it down.
        holder: String,
    },
    /// `initdb` failed.
    #[error("initdb failed: {said}")]
    Initdb {
        /// What it printed.
        said: String,
    },
    /// Old server processes do not end.
    #[error("processes {pids:?} of an earlier private PostgreSQL do not end")]
    Orphans {
        /// Their ids.
        pids: Vec<i32>,
    },
    /// The server does not come up.
    #[error("the private PostgreSQL does not start: {said}")]
    Start {
        /// The last lines it printed.
        said: String,
    },
    /// The thread that watches over the server cannot be started.
    #[error("cannot start a thread for the private PostgreSQL")]
    Thread(#[source] io::Error),
}

/// A private PostgreSQL that runs. It stops when this is dropped; [`Embedded::stop`] waits without blocking a thread of
/// the runtime.
#[derive(Debug)]
pub struct Embedded {
    cluster: Arc<Cluster>,
    supervisor: Supervisor,
    reaper: Option<reaper::Reaper>,
}

impl Embedded {
    /// Starts the server and waits until it accepts connections.
    ///
    /// # Errors
    /// See [`EmbeddedError`].
    pub async fn start(options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        match tokio::task::spawn_blocking(move || Self::start_blocking(&options)).await {
            Ok(started) => started,
            Err(error) => Err(EmbeddedError::Thread(io::Error::other(error))),
        }
    }

    /// [`Embedded::start`] for callers without a runtime.
    ///
    /// # Errors
    /// See [`EmbeddedError`].
    pub fn start_blocking(options: &EmbeddedOptions) -> Result<Self, EmbeddedError> {
        // First, so that an interrupted start leaves nothing behind either.
        let reaper = if options.throwaway { Some(reaper::Reaper::for_folder(&options.data_dir)?) } else { None };
        let cluster = Arc::new(Cluster::prepare(options)?);
        let supervisor = Supervisor::start(Arc::clone(&cluster))?;
        Ok(Self { cluster, supervisor, reaper })
    }

    /// The folder of the socket.
    pub fn socket_dir(&self) -> &Path {
        &self.cluster.socket_dir
    }

    /// A connection URL for the database that is there from the start.
    pub fn url(&self) -> String {
        self.url_of(DATABASE)
    }

    /// A connection URL for `database`; understood by `sqlx` and by PostgreSQL's own programs.
    pub fn url_of(&self, database: &str) -> String {
        url_at(&self.cluster.socket_dir, database)
    }

    /// The URL of a server that another process of ours runs in `data_dir` at present, for commands beside a daemon.
    pub fn url_of_running(data_dir: &Path) -> Option<String> {
        let cluster = data_dir.join("postgres").canonicalize().ok()?;
        let file = cluster::PostmasterFile::read(&cluster).filter(|file| file.ready)?;
        let alive = process::working_in(&cluster).iter().any(|pid| pid.as_raw_nonzero().get() == file.pid);
        alive.then(|| url_at(&file.socket_dir, DATABASE))
    }

    /// The postmaster's process id while it runs.
    pub fn pid(&self) -> Option<i32> {
        self.supervisor.pid()
    }

    /// Stops the server (a fast shutdown: connections are ended, everything is saved) and waits for it.
    pub async fn stop(self) {
        // Dropping blocks until the server is gone.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    /// Kills the postmaster as a crash would, for tests; its backends live on until they notice. It is started again.
    pub fn kill9(&self) {
        self.supervisor.kill9();
    }
}

fn url_at(socket_dir: &Path, database: &str) -> String {
    let socket_dir = socket_dir.to_string_lossy();
    let host = percent_encoding::utf8_percent_encode(&socket_dir, percent_encoding::NON_ALPHANUMERIC);
    format!("postgres://{DATABASE_USER}@localhost:{PORT}/{database}?host={host}")
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.supervisor.stop();
        self.cluster.tidy();
        if let Some(reaper) = self.reaper.take() {
            reaper.finish();
        }
    }
}
