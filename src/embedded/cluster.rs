//! The data directory: who may use it, how it is made, where the socket lies, and with which settings it is served.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::Signal;

use super::binaries::{self, Binaries};
use super::owner::{self, Owner};
use super::{DATABASE_USER, EmbeddedError, EmbeddedOptions, PORT, process};

/// The longest path of a Unix socket (`sun_path` without its NUL), on every system that we know.
const SOCKET_PATH_MAX: usize = 107;
/// The settings that do not depend on the machine or the mode.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "shared_buffers=128MB",
    "max_wal_size=1GB",
    "min_wal_size=80MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "random_page_cost=1.1",
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_destination=stderr",
    "logging_collector=off",
    "log_line_prefix=",
    "log_min_messages=warning",
    "log_min_error_statement=panic",
    "cluster_name=jira-scim",
];

/// A data directory that is ours alone for as long as this lives.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) dir: PathBuf,
    pub(super) socket_dir: PathBuf,
    pub(super) owner: Owner,
    pub(super) throwaway: bool,
    home: PathBuf,
    binaries: Binaries,
    _lock: File,
}

impl Cluster {
    /// Locks `data_dir`, ends what an earlier run left behind, and makes the cluster unless it is there.
    pub(super) fn prepare(options: &EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let home = &options.data_dir;
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |source| EmbeddedError::Folder { path, source }
        };
        let root = rustix::process::geteuid().is_root();
        // As root, the server's user must be able to pass through.
        let mode = if root { 0o711 } else { 0o700 };
        fs::DirBuilder::new().recursive(true).mode(mode).create(home).map_err(at(home))?;
        let home = home.canonicalize().map_err(at(home))?;
        let lock = lock(&home)?;
        let dir = home.join("postgres");
        let owner = Owner::find(&dir)?;
        if let Some(barrier) = owner.cannot_enter(&home) {
            return Err(EmbeddedError::Unreachable { user: owner.name, barrier });
        }
        let made_by = version_of(&dir);
        let binaries = binaries::find(options.bin_dir.as_deref(), made_by)?;
        let socket_dir = socket_dir(&home, &owner)?;
        let cluster = Self { dir, socket_dir, owner, throwaway: options.throwaway, home, binaries, _lock: lock };
        if made_by.is_none() {
            cluster.initialise()?;
        }
        cluster.write_access_rules().map_err(at(&cluster.home))?;
        Ok(cluster)
    }

    /// `initdb` into a folder beside, renamed when complete: one that was interrupted is never taken for a cluster.
    fn initialise(&self) -> Result<(), EmbeddedError> {
        let at = |source| EmbeddedError::Folder { path: self.home.clone(), source };
        tracing::info!(data_dir = %self.home.display(), user = %self.owner.name, "making the private PostgreSQL");
        let unfinished = self.home.join("postgres.new");
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(error)),
            _ => {}
        }
        make_private(&unfinished, &self.owner).map_err(at)?;
        let mut initdb = process::command(&self.binaries.dir.join("initdb"), &self.owner);
        initdb.arg("--pgdata").arg(&unfinished).args(["--username", DATABASE_USER, "--encoding=UTF8", "--locale=C"]);
        initdb.args(["--auth-local=peer", "--auth-host=reject", "--no-instructions"]);
        if self.throwaway {
            initdb.arg("--no-sync");
        }
        process::die_with_this_thread(&mut initdb, Signal::KILL);
        let output = initdb.stdin(Stdio::null()).output().map_err(at)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(EmbeddedError::Initdb { said });
        }
        fs::rename(&unfinished, &self.dir).map_err(at)
    }

    /// Only root, ourselves and the server's own user may connect, and only through the socket: the kernel says who it
    /// is, no password is needed. Written at every start, because the daemon may run as somebody else this time.
    fn write_access_rules(&self) -> io::Result<()> {
        let mut names = vec![self.owner.name.clone()];
        let others = [rustix::process::geteuid().as_raw(), 0];
        names.extend(others.into_iter().filter_map(owner::name_of));
        names.sort();
        names.dedup();
        let mut mapping = String::new();
        for name in names {
            mapping.push_str(&format!("jira_scim \"{name}\" {DATABASE_USER}\n"));
        }
        for (path, text) in [
            (self.access_file(), format!("local all {DATABASE_USER} peer map=jira_scim\n")),
            (self.names_file(), mapping),
        ] {
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        }
        Ok(())
    }

    fn access_file(&self) -> PathBuf {
        self.home.join("access.conf")
    }

    fn names_file(&self) -> PathBuf {
        self.home.join("names.conf")
    }

    /// The command that serves this cluster.
    pub(super) fn server(&self) -> std::process::Command {
        let mut command = process::command(&self.binaries.dir.join("postgres"), &self.owner);
        command.arg("-D").arg(&self.dir);
        let mut set = |name: &str, value: &std::ffi::OsStr| {
            let mut setting = OsString::from(name);
            setting.push("=");
            setting.push(value);
            command.arg("-c").arg(setting);
        };
        set("port", PORT.to_string().as_ref());
        set("unix_socket_directories", self.socket_dir.as_os_str());
        set("hba_file", self.access_file().as_os_str());
        set("ident_file", self.names_file().as_os_str());
        // Tests clone many databases at once; durability against a power cut is of no use to them.
        let (sync, connections) = if self.throwaway { ("off", "400") } else { ("on", "100") };
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            set(name, sync.as_ref());
        }
        set("max_connections", connections.as_ref());
        for setting in SETTINGS {
            command.arg("-c").arg(setting);
        }
        command
    }

    /// Takes away what a stopped server leaves outside the data directory.
    pub(super) fn tidy(&self) {
        if !self.socket_dir.starts_with(&self.home) {
            // Fails, rightly, while it is not empty.
            let _ = fs::remove_dir(&self.socket_dir);
        }
    }
}

/// One daemon a data directory: the lock ends with the process, even with kill -9.
fn lock(home: &Path) -> Result<File, EmbeddedError> {
    let path = home.join("lock");
    let at = |source| EmbeddedError::Folder { path: path.clone(), source };
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(at)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(EmbeddedError::InUse { data_dir: home.to_path_buf(), holder: holder.trim().to_owned() });
        }
        Err(TryLockError::Error(error)) => return Err(at(error)),
    }
    let mut write = || {
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())
    };
    write().map_err(at)?;
    Ok(file)
}

/// The major version that made the cluster; `None` when there is none.
fn version_of(cluster: &Path) -> Option<u32> {
    fs::read_to_string(cluster.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// In the data directory if the path is short enough and the file system knows sockets; else in `/tmp`, under a name
/// made of the data directory, so that every start uses the same one and nothing piles up.
fn socket_dir(home: &Path, owner: &Owner) -> Result<PathBuf, EmbeddedError> {
    let inside = home.join("run");
    if fits(&inside) && make_private(&inside, owner).is_ok() && knows_sockets(&inside) {
        return Ok(inside);
    }
    let name = uuid_of(home);
    let outside = Path::new("/tmp").join(format!("jira-scim-{}-{name}", owner.uid));
    make_private(&outside, owner).map_err(|source| EmbeddedError::Folder { path: outside.clone(), source })?;
    Ok(outside)
}

fn fits(socket_dir: &Path) -> bool {
    socket_dir.as_os_str().len() + format!("/.s.PGSQL.{PORT}").len() <= SOCKET_PATH_MAX
}

fn knows_sockets(dir: &Path) -> bool {
    let path = dir.join("probe");
    let _ = fs::remove_file(&path);
    let bound = UnixListener::bind(&path).is_ok();
    let _ = fs::remove_file(&path);
    bound
}

/// Twelve hexadecimal digits that stand for a path.
fn uuid_of(path: &Path) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(path.as_os_str().as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// A folder for the server's user alone. One that is there must be a real folder of that user: `/tmp` is everybody's.
fn make_private(path: &Path, owner: &Owner) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => owner.give(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let data = fs::symlink_metadata(path)?;
            if !data.is_dir() || data.uid() != owner.uid {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is there and belongs to somebody else"));
            }
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        }
        Err(error) => Err(error),
    }
}

/// What the postmaster says of itself in `postmaster.pid`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PostmasterFile {
    pub(super) pid: i32,
    pub(super) ready: bool,
    pub(super) socket_dir: PathBuf,
}

impl PostmasterFile {
    pub(super) fn read(cluster: &Path) -> Option<Self> {
        let text = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        // The fifth line is the first socket's folder; the eighth is the status, since PostgreSQL 10.
        let socket_dir = PathBuf::from(lines.nth(3).unwrap_or_default());
        Some(Self { pid, ready: lines.nth(2).is_some_and(|status| status.trim() == "ready"), socket_dir })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_postmasters_own_file_tells_when_it_is_ready() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("postmaster.pid");
        let of = |text: &str| {
            fs::write(&file, text).unwrap();
            PostmasterFile::read(dir.path()).map(|file| (file.pid, file.ready, file.socket_dir))
        };
        let starting = of("4711\n/data\n1700000000\n5432\n/run\n\n  1 2\nstarting\n");
        assert_eq!(starting, Some((4711, false, "/run".into())));
        let ready = of("4711\n/data\n1700000000\n5432\n/run\n\n  1 2\nready   \n");
        assert_eq!(ready, Some((4711, true, "/run".into())));
        assert_eq!(of("4711\n"), Some((4711, false, PathBuf::new())));
        assert_eq!(of(""), None);
    }

    #[test]
    fn a_folder_of_somebody_else_is_not_used_for_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        fs::create_dir(&taken).unwrap();
        let stranger = Owner { uid: 4_000_000, name: "stranger".into(), drop_to: None };
        assert!(make_private(&taken, &stranger).is_err());
    }

    #[test]
    fn a_socket_path_is_at_most_107_bytes() {
        assert!(fits(Path::new(&format!("/{}", "x".repeat(92)))));
        assert!(!fits(Path::new(&format!("/{}", "x".repeat(93)))));
    }
}
