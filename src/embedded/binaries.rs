//! Where this machine keeps the PostgreSQL server's programs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::EmbeddedError;

/// The oldest release whose SQL the store uses.
const OLDEST: u32 = 14;

/// A folder that holds `initdb` and `postgres`, and their major version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) major: u32,
}

/// Finds the programs: those of `wanted` (the version that made an existing cluster), else the first usable ones.
///
/// # Errors
/// [`EmbeddedError::NoBinaries`], or [`EmbeddedError::WrongVersion`] when only others than `wanted` are here.
pub(super) fn find(configured: Option<&Path>, wanted: Option<u32>) -> Result<Binaries, EmbeddedError> {
    let places = match configured {
        Some(dir) => vec![dir.to_path_buf()],
        None => usual_places(),
    };
    let found: Vec<Binaries> = places.iter().filter_map(|dir| inspect(dir)).collect();
    if found.is_empty() {
        return Err(match configured {
            Some(dir) => EmbeddedError::NotABinaryFolder { dir: dir.to_path_buf() },
            None => EmbeddedError::NoBinaries,
        });
    }
    let newest = found.iter().map(|binaries| binaries.major).max().unwrap_or_default();
    let fits = |binaries: &&Binaries| wanted.map_or(binaries.major >= OLDEST, |major| binaries.major == major);
    found.iter().find(fits).cloned().ok_or(match wanted {
        Some(wanted) => EmbeddedError::WrongVersion { wanted, found: newest },
        None => EmbeddedError::TooOld { found: newest, oldest: OLDEST },
    })
}

/// `PATH`, what `pg_config` says, then the places of Debian, Red Hat, Alpine, Homebrew and Postgres.app.
fn usual_places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        places.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    places.extend(versions_in("/usr/lib/postgresql", "", "bin"));
    places.extend(versions_in("/usr", "pgsql-", "bin"));
    places.extend(versions_in("/usr/libexec", "postgresql", ""));
    for brew in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        places.extend(versions_in(brew, "postgresql@", "bin"));
        places.push(Path::new(brew).join("postgresql/bin"));
    }
    places.push(PathBuf::from("/Applications/Postgres.app/Contents/Versions/latest/bin"));
    places.retain(|dir| dir.is_absolute());
    places
}

/// The folders `{parent}/{prefix}{number}/{tail}`, highest number first.
fn versions_in(parent: &str, prefix: &str, tail: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path().join(tail)))
        })
        .collect();
    versions.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    versions.into_iter().map(|(_, dir)| dir).collect()
}

/// The folder's programs, when both are there and say their version. Links are followed, because the server finds its
/// libraries relative to where it really lies.
fn inspect(dir: &Path) -> Option<Binaries> {
    let postgres = dir.join("postgres").canonicalize().ok().filter(|path| is_program(path))?;
    let dir = postgres.parent().filter(|dir| is_program(&dir.join("initdb")))?.to_path_buf();
    let output = Command::new(&postgres).arg("--version").output().ok()?;
    let major = major_version(&String::from_utf8_lossy(&output.stdout))?;
    Some(Binaries { dir, major })
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)` is 15; `17beta1` is 17.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split_once("(PostgreSQL) ")?.1;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_major_version_is_read_from_releases_and_betas() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 19beta2\n"), Some(19));
        assert_eq!(major_version("bash: postgres: command not found"), None);
    }

    #[test]
    fn the_newest_of_several_installed_versions_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9", "17", "14", "main"] {
            std::fs::create_dir(root.path().join(version)).unwrap();
        }
        let found = versions_in(root.path().to_str().unwrap(), "", "bin");
        let expected: Vec<PathBuf> = ["17", "14", "9"].iter().map(|v| root.path().join(v).join("bin")).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_configured_folder_without_the_programs_is_named() {
        let root = tempfile::tempdir().unwrap();
        let error = find(Some(root.path()), None).unwrap_err();
        assert!(error.to_string().contains(root.path().to_str().unwrap()), "{error}");
    }
}
