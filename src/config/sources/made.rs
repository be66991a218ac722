//! Sources that are made by the admin API: the same keys as in the file, but secrets are files of one folder. So whoever may
//! make a source cannot have the daemon send just any file of its machine to a server of theirs.

use std::path::Path;

use toml::{Table, Value as Toml};

use super::SourceConfig;
use crate::config::Problem;
use crate::config::layers::Merged;
use crate::config::reader::{Findings, Reader};

/// Secrets as text, which the store does not keep.
const SECRETS: &[&str] = &["bind_password", "token", "password"];
/// Files.
const FILES: &[&str] = &["bind_password_file", "token_file", "password_file", "ca_file"];
/// Where the one source stands that is read.
const PLACE: &str = "source.0.";

impl SourceConfig {
    /// A source as somebody made it. Files are names in `files`; without such a folder there may be none.
    ///
    /// # Errors
    /// Everything that is wrong, by key.
    pub fn from_settings(
        name: &str,
        tenant: &str,
        settings: &serde_json::Value,
        files: Option<&Path>,
    ) -> Result<Self, Vec<Problem>> {
        let problem = |key: &str, what: &str| Problem { key: key.to_owned(), origin: None, what: what.to_owned() };
        let Ok(Toml::Table(mut table)) = Toml::try_from(settings) else {
            return Err(vec![problem("settings", "must be an object without null")]);
        };
        let mut problems = Vec::new();
        for key in ["name", "tenant"] {
            if table.contains_key(key) {
                problems.push(problem(key, "stands beside the settings"));
            }
        }
        for key in SECRETS.iter().filter(|key| table.contains_key(**key)) {
            problems.push(problem(key, &format!("is not kept in the store: put it into a file, and give {key}_file")));
        }
        for key in FILES {
            problems.extend(placed(&mut table, key, files).err().map(|what| problem(key, &what)));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        table.insert("name".to_owned(), Toml::String(name.to_owned()));
        table.insert("tenant".to_owned(), Toml::String(tenant.to_owned()));
        read(table)
    }
}

/// Puts a file into the folder.
fn placed(table: &mut Table, key: &str, files: Option<&Path>) -> Result<(), String> {
    let Some(given) = table.get_mut(key) else { return Ok(()) };
    let folder = files.ok_or("cannot be given: the configuration names no folder for it (admin.source_files)")?;
    let plain = |name: &&str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    let name = given.as_str().filter(plain);
    let name = name.ok_or("must be the name of a file in the folder admin.source_files, without a path")?;
    *given = Toml::String(folder.join(name).to_string_lossy().into_owned());
    Ok(())
}

fn read(source: Table) -> Result<SourceConfig, Vec<Problem>> {
    let mut table = Table::new();
    table.insert("source".to_owned(), Toml::Array(vec![Toml::Table(source)]));
    let mut merged = Merged::default();
    merged.table = table;
    let mut found = Findings::default();
    let read = Reader::top(&merged, &mut found).each("source", SourceConfig::read).pop().flatten();
    match (read, found.problems.is_empty()) {
        (Some(config), true) => Ok(config),
        _ => Err(found.problems.into_iter().map(within).collect()),
    }
}

/// The same without the place in a list that nobody wrote.
fn within(problem: Problem) -> Problem {
    Problem { key: problem.key.replacen(PLACE, "", 1), origin: None, what: problem.what.replace(PLACE, "") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn made(settings: Value, files: Option<&Path>) -> Result<SourceConfig, String> {
        let told = |problems: Vec<Problem>| problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n");
        SourceConfig::from_settings("corp", "acme", &settings, files).map_err(told)
    }

    #[test]
    fn a_source_is_made_of_the_keys_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "secret\n").unwrap();
        let settings =
            json!({ "kind": "scim", "url": "https://idp.example/scim", "token_file": "token", "every": "1h" });
        let config = made(settings, Some(folder.path())).unwrap();
        assert_eq!((config.name.as_str(), config.tenant.as_str()), ("corp", "acme"));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let scim = |key: &str, value: Value| {
            let mut settings = json!({ "kind": "scim", "url": "https://idp.example/scim" });
            settings[key] = value;
            settings
        };
        for (settings, files, told) in [
            (
                scim("token_file", json!("token")),
                false,
                "token_file cannot be given: the configuration names no folder",
            ),
            (scim("token_file", json!("../token")), true, "token_file must be the name of a file"),
            (scim("ca_file", json!("/etc/passwd")), true, "ca_file must be the name of a file"),
            (scim("token_file", json!("token")), true, "token_file names the file"),
            (scim("token", json!("secret")), true, "token is not kept in the store"),
            (scim("tenant", json!("other")), true, "tenant stands beside the settings"),
            (scim("nothing", json!(1)), true, "nothing is not a known key"),
            (scim("url", json!(null)), true, "settings must be an object"),
            (json!([]), true, "settings must be an object"),
            (json!({ "kind": "scim" }), true, "url is missing"),
        ] {
            let error = made(settings.clone(), files.then_some(folder.path())).unwrap_err();
            assert!(error.starts_with(told), "{settings}: {error}");
            assert!(!error.contains("secret") && !error.contains("source.0"), "{error}");
        }
    }
}
