//! Reads a table key by key. What is asked for is what is known: the rest is an unknown key, and the nearest known name
//! is proposed.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::{Table, Value as Toml};

use super::Problem;
use super::files::secret_in;
use super::layers::Merged;
use super::value::Value;
use crate::secret::Secret;

/// A name further away than this is not a slip of the finger.
const LIKENESS: f64 = 0.7;

/// Everything found while reading.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    /// Every key that was asked for, without the places in lists (`target.url`).
    pub(super) known: BTreeSet<String>,
}

/// One table of the configuration while it is read.
pub(super) struct Reader<'a> {
    path: String,
    documented: String,
    table: Table,
    asked: Vec<&'static str>,
    merged: &'a Merged,
    found: &'a mut Findings,
}

impl<'a> Reader<'a> {
    pub(super) fn top(merged: &'a Merged, found: &'a mut Findings) -> Self {
        let table = merged.table.clone();
        Self { path: String::new(), documented: String::new(), table, asked: Vec::new(), merged, found }
    }

    /// Reads the section `key`, which may be missing.
    pub(super) fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Reader<'_>) -> T) -> T {
        let table = match self.take(key) {
            None => Table::new(),
            Some(Toml::Table(table)) => table,
            Some(_) => {
                self.problem(key, "must be a table");
                Table::new()
            }
        };
        self.inner(key, None, table, read)
    }

    /// Makes the keys of a section known that is not there, without any of them missing.
    pub(super) fn unread<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Reader<'_>) -> Option<T>,
    ) -> Option<T> {
        let before = self.found.problems.len();
        let _nothing = self.section(key, read);
        self.found.problems.truncate(before);
        None
    }

    /// Reads each table of the list `key`.
    pub(super) fn each<T>(&mut self, key: &'static str, mut read: impl FnMut(&mut Reader<'_>) -> T) -> Vec<T> {
        let items = match self.take(key) {
            None => Vec::new(),
            Some(Toml::Array(items)) => items,
            Some(_) => {
                self.problem(key, &format!("must be a list of tables, each begun by [[{}]]", self.name(key)));
                Vec::new()
            }
        };
        let mut all = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Toml::Table(table) => all.push(self.inner(key, Some(index), table, &mut read)),
                _ => self.problem(key, "must be a list of tables"),
            }
        }
        all
    }

    fn inner<T>(
        &mut self,
        key: &str,
        index: Option<usize>,
        table: Table,
        read: impl FnOnce(&mut Reader<'_>) -> T,
    ) -> T {
        let path = index.map_or_else(|| self.name(key), |index| format!("{}.{index}", self.name(key)));
        let documented = join(&self.documented, key);
        let mut inner =
            Reader { path, documented, table, asked: Vec::new(), merged: self.merged, found: &mut *self.found };
        let value = read(&mut inner);
        inner.refuse_unknown();
        value
    }

    /// The value of `key`; `None` when it is not given or wrong.
    pub(super) fn optional<T: Value>(&mut self, key: &'static str) -> Option<T> {
        let value = self.take(key)?;
        match T::read(&value) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.problem(key, &format!("must be {expected}"));
                None
            }
        }
    }

    /// The value of `key`, or its default.
    pub(super) fn get<T: Value>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// The value of `key`, which must lie in `range`; `words` says so.
    pub(super) fn within<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<T>, words: &str) -> T
    where
        T: Value + PartialOrd,
    {
        let value = self.get(key, default);
        if !range.contains(&value) {
            self.problem(key, &format!("must be {words}"));
        }
        value
    }

    /// The value of `key`, which has no default.
    pub(super) fn required<T: Value>(&mut self, key: &'static str) -> Option<T> {
        if !self.table.contains_key(key) {
            self.problem(key, "is missing");
        }
        self.optional(key)
    }

    /// A table that somebody else understands.
    pub(super) fn free(&mut self, key: &'static str) -> Option<Toml> {
        self.take(key)
    }

    /// The secret `key`, given there or as the content of the file that `file_key` names.
    pub(super) fn secret(&mut self, key: &'static str, file_key: &'static str) -> Option<Secret> {
        let both = self.table.contains_key(key) && self.table.contains_key(file_key);
        let plain = self.optional::<Secret>(key);
        let path = self.optional::<PathBuf>(file_key);
        if both {
            self.problem(key, &format!("and {} are both given: only one of them may be", self.name(file_key)));
            return None;
        }
        plain.or_else(|| {
            let read = secret_in(&path?);
            read.map_err(|what| self.problem(file_key, &what)).ok()
        })
    }

    /// The file that a secret comes from, where it does; asked before it is read.
    pub(super) fn file_of(&self, file_key: &str) -> Option<PathBuf> {
        self.table.get(file_key).and_then(|path| path.as_str()).map(PathBuf::from)
    }

    /// Notes what is wrong with `key`.
    pub(super) fn problem(&mut self, key: &str, what: &str) {
        let key = self.name(key);
        let origin = self.merged.origin(&key);
        self.found.problems.push(Problem { key, origin, what: what.to_owned() });
    }

    /// Whether `key` is given at all; asked before it is read.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn take(&mut self, key: &'static str) -> Option<Toml> {
        self.asked.push(key);
        self.found.known.insert(join(&self.documented, key));
        self.table.remove(key)
    }

    fn name(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Whatever was not asked for does not exist.
    pub(super) fn refuse_unknown(&mut self) {
        let unknown: Vec<String> = self.table.keys().cloned().collect();
        for key in unknown {
            let nearest = self
                .asked
                .iter()
                .map(|known| (strsim::jaro_winkler(&key, known), *known))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|(likeness, _)| *likeness >= LIKENESS)
                .map(|(_, known)| format!("; did you mean {}?", self.name(known)));
            self.problem(&key, &format!("is not a known key{}", nearest.unwrap_or_default()));
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
