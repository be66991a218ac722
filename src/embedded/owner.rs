//! As whom the server runs: PostgreSQL refuses to run as root.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::EmbeddedError;

/// The operating system's user of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) name: String,
    /// User and group to change to, when we are root.
    pub(super) drop_to: Option<(u32, u32)>,
}

impl Owner {
    /// Ourselves; as root, whoever owns the existing cluster, else `postgres`, else `nobody`.
    ///
    /// # Errors
    /// [`EmbeddedError::NoUser`] when none can be found.
    pub(super) fn find(cluster: &Path) -> Result<Self, EmbeddedError> {
        let uid = rustix::process::geteuid().as_raw();
        if uid != 0 {
            let name = name_of(uid).ok_or(EmbeddedError::NoUser { wanted: format!("user id {uid}") })?;
            return Ok(Self { uid, name, drop_to: None });
        }
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let existing = cluster.metadata().ok().map(|data| data.uid()).filter(|uid| *uid != 0);
        let entry = match existing {
            Some(uid) => entries(&passwd).find(|entry| entry.uid == uid),
            None => ["postgres", "nobody"].iter().find_map(|name| entries(&passwd).find(|entry| entry.name == *name)),
        };
        let wanted = existing.map_or_else(|| "`postgres` or `nobody`".to_owned(), |uid| format!("user id {uid}"));
        let entry = entry.ok_or(EmbeddedError::NoUser { wanted })?;
        Ok(Self { uid: entry.uid, name: entry.name.to_owned(), drop_to: Some((entry.uid, entry.gid)) })
    }

    /// Gives a file or folder to the server's user, where that is not ourselves.
    pub(super) fn give(&self, path: &Path) -> std::io::Result<()> {
        match self.drop_to {
            Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    /// The first folder on the way to `path` that the server's user may not enter.
    pub(super) fn cannot_enter(&self, path: &Path) -> Option<PathBuf> {
        let (uid, gid) = self.drop_to?;
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        let barred = |dir: &&&Path| {
            dir.metadata().is_ok_and(|data| {
                let bit = match (data.uid() == uid, data.gid() == gid) {
                    (true, _) => 0o100,
                    (false, true) => 0o010,
                    (false, false) => 0o001,
                };
                data.mode() & bit == 0
            })
        };
        way.iter().find(barred).map(|dir| dir.to_path_buf())
    }
}

/// The name of a user id: from `/etc/passwd`, else (users of a directory service) from `id`.
pub(super) fn name_of(uid: u32) -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    if let Some(entry) = entries(&passwd).find(|entry| entry.uid == uid) {
        return Some(entry.name.to_owned());
    }
    let output = Command::new("id").args([OsString::from("-un"), uid.to_string().into()]).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}

struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
}

fn entries(passwd: &str) -> impl Iterator<Item = Entry<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Entry { name, uid, gid })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_users_of_the_machine_are_read() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nbroken line\npostgres:x:106:113::/var/lib/postgresql:/bin/bash\n";
        let found: Vec<_> = entries(passwd).map(|entry| (entry.name, entry.uid, entry.gid)).collect();
        assert_eq!(found, [("root", 0, 0), ("postgres", 106, 113)]);
    }

    #[test]
    fn a_closed_folder_on_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("closed/data");
        std::fs::create_dir_all(&inner).unwrap();
        let open = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        open(root.path(), 0o711);
        open(&root.path().join("closed"), 0o700);
        let stranger = Owner { uid: 4_000_000, name: "stranger".into(), drop_to: Some((4_000_000, 4_000_000)) };
        // The temporary folder itself may lie behind a closed one; then that one is named.
        let barred = stranger.cannot_enter(&inner).unwrap();
        assert!(root.path().join("closed").starts_with(&barred));
        let ourselves = Owner { drop_to: None, ..stranger };
        assert_eq!(ourselves.cannot_enter(&inner), None);
    }
}
