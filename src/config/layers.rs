//! From file, environment and flags to one table, remembering where each value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Problem;

/// Where configuration comes from, weakest first: the file, the environment, `--set`.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, when there is one.
    pub file: Option<PathBuf>,
    /// Environment variables; those that do not begin with `JIRA_SCIM__` are ignored.
    pub environment: Vec<(String, String)>,
    /// `section.key` and its value, as given by flags.
    pub settings: Vec<(String, String)>,
}

/// The places looked at when neither `--config` nor `JIRA_SCIM_CONFIG` names a file.
const USUAL_FILES: &[&str] = &["jira-scim.toml", "/etc/jira-scim/jira-scim.toml"];
const PREFIX: &str = "JIRA_SCIM__";
/// A longer list is a slip of the finger in an index.
const LIST_MAX: usize = 1000;

impl Sources {
    /// The sources of this process: `file` from `--config` or `JIRA_SCIM_CONFIG`, else the first usual place that
    /// exists; the process's environment; `settings` from flags.
    pub fn of_process(file: Option<PathBuf>, settings: Vec<(String, String)>) -> Self {
        let named =
            file.or_else(|| std::env::var_os("JIRA_SCIM_CONFIG").filter(|path| !path.is_empty()).map(Into::into));
        let usual = || USUAL_FILES.iter().map(PathBuf::from).find(|path| path.exists());
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .collect();
        Self { file: named.or_else(usual), environment, settings }
    }
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    File(PathBuf),
    Variable(String),
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "in {}", path.display()),
            Self::Variable(name) => write!(f, "in the environment variable {name}"),
            Self::Flag => f.write_str("given by a flag"),
        }
    }
}

/// The merged table and the origin of what is in it, by path (`target.0.url`).
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) table: Table,
    file: Option<PathBuf>,
    file_table: Table,
    given: BTreeMap<String, Origin>,
}

impl Merged {
    /// Reads and merges the sources; what cannot be read is a problem, and the rest is merged all the same.
    pub(super) fn read(sources: &Sources, problems: &mut Vec<Problem>) -> Self {
        let mut merged = Self { file: sources.file.clone(), ..Self::default() };
        if let Some(path) = &sources.file {
            match read_file(path) {
                Ok(table) => {
                    merged.table = table.clone();
                    merged.file_table = table;
                }
                Err(problem) => problems.push(problem),
            }
        }
        let mut variables: Vec<(String, &str, Origin)> = sources
            .environment
            .iter()
            .filter_map(|(name, value)| {
                let path = name.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".");
                Some((path, value.as_str(), Origin::Variable(name.clone())))
            })
            .collect();
        // In the order of indexes, so that a list grows from its beginning.
        variables.sort_by(|a, b| by_index(&a.0).cmp(&by_index(&b.0)));
        let flags =
            sources.settings.iter().map(|(path, value)| (path.trim().to_lowercase(), value.as_str(), Origin::Flag));
        for (path, value, origin) in variables.into_iter().chain(flags) {
            if let Err(what) = insert(&mut merged.table, &path, value) {
                problems.push(Problem { key: path, origin: Some(origin.to_string()), what });
            } else {
                merged.given.insert(path, origin);
            }
        }
        merged
    }

    /// Where the value at `path`, or something inside it, was given; `None` when it was not.
    pub(super) fn origin(&self, path: &str) -> Option<String> {
        let inside = format!("{path}.");
        let from_file = || holds(&self.file_table, path).then(|| self.file.clone().map(Origin::File)).flatten();
        let around = || {
            let (key, origin) = self.given.range(inside.clone()..).next()?;
            key.starts_with(&inside).then(|| origin.clone())
        };
        self.given.get(path).cloned().or_else(from_file).or_else(around).map(|origin| origin.to_string())
    }
}

fn holds(table: &Table, path: &str) -> bool {
    let mut parts = path.split('.');
    let mut here = parts.next().and_then(|part| table.get(part));
    for part in parts {
        here = match here {
            Some(Value::Table(table)) => table.get(part),
            Some(Value::Array(items)) => part.parse().ok().and_then(|index: usize| items.get(index)),
            _ => None,
        };
    }
    here.is_some()
}

fn by_index(path: &str) -> Vec<(usize, &str)> {
    path.split('.').map(|part| (part.parse().unwrap_or(usize::MAX), part)).collect()
}

fn read_file(path: &Path) -> Result<Table, Problem> {
    let problem = |what| Problem { key: path.display().to_string(), origin: None, what };
    let text = std::fs::read_to_string(path).map_err(|error| problem(format!("cannot be read: {error}")))?;
    text.parse::<Table>().map_err(|error: toml::de::Error| {
        // The message alone: the full display quotes the line, which may hold a secret.
        let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let message = error.message().lines().next().unwrap_or_default();
        problem(format!("is not valid TOML at line {line}: {message}"))
    })
}

/// Puts a value given as text at a dotted path, whose numbers are places in lists.
fn insert(table: &mut Table, path: &str, text: &str) -> Result<(), String> {
    let parts: Vec<&str> = path.split('.').collect();
    let Some((last, way)) = parts.split_last().filter(|_| parts.iter().all(|part| !part.is_empty())) else {
        return Err("is not of the form section.key".to_owned());
    };
    let mut here = table;
    let mut way = way.iter().peekable();
    while let Some(part) = way.next() {
        let index = way.peek().and_then(|next| next.parse::<usize>().ok());
        let is_list = index.is_some() || last.parse::<usize>().is_ok() && way.peek().is_none();
        let empty = if is_list { Value::Array(Vec::new()) } else { Value::Table(Table::new()) };
        here = match (here.entry(*part).or_insert(empty), index) {
            (Value::Table(inner), None) => inner,
            (Value::Array(items), Some(index)) => {
                way.next();
                element(items, index)?
            }
            _ => return Err(format!("does not fit: `{part}` is something else")),
        };
    }
    here.insert((*last).to_owned(), value_of(text, parts.contains(&"policy")));
    Ok(())
}

fn element(items: &mut Vec<Value>, index: usize) -> Result<&mut Table, String> {
    if index >= LIST_MAX {
        return Err(format!("has an index above {LIST_MAX}"));
    }
    while items.len() <= index {
        items.push(Value::Table(Table::new()));
    }
    items[index].as_table_mut().ok_or_else(|| "does not fit: the list holds something else".to_owned())
}

/// Text stays text, because each key knows how to read it; lists and tables are written as in TOML. A policy's keys are
/// not known here, so that its numbers and flags are recognised by their look.
fn value_of(text: &str, any_type: bool) -> Value {
    let structured = text.trim_start().starts_with(['[', '{']);
    let parsed = || format!("value = {text}").parse::<Table>().ok()?.remove("value");
    let value = if structured || any_type { parsed() } else { None };
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn merged(settings: &[(&str, &str)]) -> Table {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut problems = Vec::new();
        let merged = Merged::read(&Sources { settings, ..Sources::default() }, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        merged.table
    }

    #[test]
    fn lists_grow_by_index() {
        let table = merged(&[("target.1.name", "b"), ("target.0.name", "a")]);
        let expected: Table = "[[target]]\nname = 'a'\n[[target]]\nname = 'b'".parse().unwrap();
        assert_eq!(table, expected);
    }

    #[test]
    fn a_policy_given_as_text_keeps_its_types() {
        let table = merged(&[("tenant.0.policy.groups.enabled", "false"), ("tenant.0.policy.adopt", "link")]);
        let expected: Table = "[[tenant]]\npolicy = { groups = { enabled = false }, adopt = 'link' }".parse().unwrap();
        assert_eq!(table, expected);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let mut table: Table = "server = 1".parse().unwrap();
        assert!(insert(&mut table, "server.listen", "x").is_err());
        assert!(insert(&mut table, "a..b", "x").is_err());
        assert!(insert(&mut table, "target.99999999.name", "x").is_err());
    }
}
