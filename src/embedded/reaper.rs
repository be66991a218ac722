//! Removes a throw-away server's folder, whatever becomes of us.
//!
//! A test process may be interrupted or killed, and then runs no code. So a small shell waits on a pipe that only we
//! hold open: when the pipe closes, for whatever reason, it ends the server and removes the folder.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::EmbeddedError;

/// `$1` is the folder. Ctrl-C and the like are for us, not for the shell.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
while read -r line; do :; done
pid=$(head -n 1 "$1/postgres/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
    kill -QUIT "$pid" 2>/dev/null
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
fi
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
"#;

/// The waiting shell.
#[derive(Debug)]
pub(super) struct Reaper(Child);

impl Reaper {
    pub(super) fn for_folder(folder: &Path) -> Result<Self, EmbeddedError> {
        let at = |source: io::Error| EmbeddedError::Folder { path: folder.to_path_buf(), source };
        // The folder must be a new one: it will be removed.
        fs::create_dir(folder).map_err(at)?;
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o711)).map_err(at)?;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT, "jira-scim-reaper"]).arg(folder).current_dir("/").process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        match shell.spawn() {
            Ok(child) => Ok(Self(child)),
            Err(error) => {
                let _ = fs::remove_dir(folder);
                Err(at(error))
            }
        }
    }

    /// Closes the pipe and waits until the folder is gone.
    pub(super) fn finish(mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
