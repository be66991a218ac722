//! Starting, signalling and finding the server's processes.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal};

use super::owner::Owner;

/// A command for one of PostgreSQL's programs: as `owner`, without our environment (a stray `PGDATA` or `PGPORT` must
/// not steer it), in a folder that everyone may enter, and in a process group of its own, so that a Ctrl-C at the
/// terminal reaches the daemon alone and the server is there until the daemon has finished.
pub(super) fn command(program: &Path, owner: &Owner) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").env("PATH", "/usr/bin:/bin").current_dir("/");
    command.process_group(0);
    if let Some((uid, gid)) = owner.drop_to {
        command.uid(uid).gid(gid);
    }
    command
}

/// Has the kernel send `signal` to the program when the *thread* that spawns it ends, however that comes about.
/// Linux only; elsewhere an orphan is found by the next start.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(super) fn die_with_this_thread(command: &mut Command, signal: Signal) {
    let parent = std::process::id();
    // SAFETY: between fork and exec, only async-signal-safe system calls may be made: this makes two (prctl, getppid),
    // and allocates nothing. The closure runs after the change of user, which would have cleared the setting.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(signal))?;
            // The parent may have died before the setting was made: then nobody will ever send the signal.
            let still_there = rustix::process::getppid().is_some_and(|pid| pid.as_raw_nonzero().get() as u32 == parent);
            if still_there { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        });
    }
}

/// See the Linux version: other systems have no such signal.
#[cfg(not(target_os = "linux"))]
pub(super) fn die_with_this_thread(_: &mut Command, _: Signal) {}

/// Sends a signal; that the process is gone already is fine.
pub(super) fn signal(pid: Pid, signal: Signal) {
    if let Err(error) = rustix::process::kill_process(pid, signal)
        && error != rustix::io::Errno::SRCH
    {
        tracing::warn!(pid = pid.as_raw_nonzero().get(), %error, "cannot signal a process of the private PostgreSQL");
    }
}

/// The live server processes whose working directory is `cluster`: the postmaster changes into its data directory and
/// its children inherit that, which no other proof of "ours" matches (names and numbers are reused).
#[cfg(target_os = "linux")]
pub(super) fn working_in(cluster: &Path) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            // A zombie has no working directory, and so is rightly not found.
            let here = std::fs::read_link(entry.path().join("cwd")).ok()? == cluster;
            // Somebody's shell may stand there too.
            let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
            (here && matches!(name.trim(), "postgres" | "postmaster")).then_some(pid)
        })
        .collect()
}

/// Without `/proc`, only the postmaster is known by its command line; PostgreSQL itself refuses to start over others.
#[cfg(not(target_os = "linux"))]
pub(super) fn working_in(cluster: &Path) -> Vec<Pid> {
    let Some(pid) = super::cluster::PostmasterFile::read(cluster).and_then(|file| Pid::from_raw(file.pid)) else {
        return Vec::new();
    };
    let number = pid.as_raw_nonzero().get().to_string();
    let Ok(output) = Command::new("ps").args(["-p", &number, "-o", "command="]).output() else { return Vec::new() };
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let ours = line.contains("postgres") && line.contains(&*cluster.to_string_lossy());
    if ours { vec![pid] } else { Vec::new() }
}
