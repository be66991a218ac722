//! Files that the configuration names and that are read again when they change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::secret::Secret;

/// What tells that files are others than before.
pub type Marks = BTreeMap<PathBuf, Option<(u64, Option<SystemTime>)>>;

/// How these files are now.
pub fn marks<'a>(files: impl IntoIterator<Item = &'a Path>) -> Marks {
    let mark = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.len(), metadata.modified().ok()));
    files.into_iter().map(|path| (path.to_owned(), mark(path))).collect()
}

/// The secret in a file, without the space around it.
///
/// # Errors
/// A sentence about why there is none.
pub fn secret_in(path: &Path) -> Result<Secret, String> {
    match fs::read_to_string(path).map(|text| text.trim().to_owned()) {
        Ok(text) if !text.is_empty() => Ok(Secret::new(text)),
        Ok(_) => Err(format!("names the file {}, which is empty", path.display())),
        Err(error) => Err(format!("names the file {}, which cannot be read: {error}", path.display())),
    }
}
