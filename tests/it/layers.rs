//! Arrows point down: no module uses one of a higher layer, and some neighbours never see each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The layer of each module at the top of `src`; see the front page of the library.
const LAYERS: &[(&str, u8)] = &[
    ("config", 0),
    ("telemetry", 0),
    ("clock", 0),
    ("secret", 0),
    ("lifecycle", 0),
    ("scim", 1),
    ("account", 1),
    ("embedded", 1),
    ("listen", 1),
    ("store", 2),
    ("jira", 2),
    ("policy", 2),
    ("alert", 3),
    ("directory", 3),
    ("login", 3),
    ("record", 3),
    ("explain", 3),
    ("writer", 3),
    ("admin", 4),
    ("http", 4),
    ("simulate", 4),
    ("sync", 4),
    ("app", 5),
    ("cli", 5),
];

/// Pairs of one layer that must not see each other, and modules that stand beside.
const STRANGERS: &[(&str, &str)] = &[
    ("store", "jira"),
    ("jira", "store"),
    ("policy", "store"),
    ("policy", "jira"),
    ("store", "policy"),
    ("directory", "writer"),
    ("writer", "directory"),
    ("http", "simulate"),
    ("simulate", "http"),
    ("admin", "http"),
    ("http", "admin"),
    ("sync", "http"),
    ("http", "sync"),
    ("sync", "jira"),
    ("sandbox", "jira"),
    ("jira", "sandbox"),
];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

/// `crate::name` in code, comments left out.
fn used(text: &str) -> Vec<String> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let mut used = Vec::new();
    for line in code {
        for part in line.split("crate::").skip(1) {
            let name: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if part.starts_with('{') {
                used.push("{".to_owned());
            } else if !name.is_empty() {
                used.push(name);
            }
        }
    }
    used
}

fn arrows() -> Vec<(String, String, PathBuf)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut arrows = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&src).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs").to_owned();
        for name in used(&fs::read_to_string(&file).unwrap()) {
            arrows.push((module.clone(), name, inside.to_owned()));
        }
    }
    arrows
}

#[test]
fn a_module_uses_lower_layers_only() {
    let layer: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    for (from, to, file) in arrows() {
        if from == to || matches!(from.as_str(), "lib" | "main" | "sandbox") {
            continue;
        }
        assert_ne!(to, "{", "{}: write one `use crate::` a module, so that arrows can be read", file.display());
        let (Some(a), Some(b)) = (layer.get(from.as_str()), layer.get(to.as_str())) else {
            let beside = to == "sandbox" && matches!(from.as_str(), "cli" | "app");
            assert!(beside, "{}: `{from}` or `{to}` has no layer", file.display());
            continue;
        };
        assert!(b <= a, "{}: {from} (layer {a}) uses {to} (layer {b})", file.display());
    }
}

#[test]
fn neighbours_that_must_not_meet_do_not_meet() {
    for (from, to, file) in arrows() {
        assert!(
            !STRANGERS.iter().any(|(a, b)| (*a, *b) == (from.as_str(), to.as_str())),
            "{}: {from} uses {to}",
            file.display()
        );
    }
}

#[test]
fn sql_is_in_the_store_alone_and_the_paths_of_a_jira_in_jira_alone() {
    for (needle, homes) in [("sqlx::query", &["store"][..]), ("\"/rest/api/", &["jira", "sandbox"][..])] {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        sources(&src, &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let inside = file.strip_prefix(&src).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            if code.contains(needle) {
                assert!(homes.iter().any(|home| inside.starts_with(home)), "{needle} in {}", inside.display());
            }
        }
    }
}

/// Names under which identity providers go.
const PROVIDERS: &str = r"(?i)okta|entra|azure|microsoft|google|onelogin|ping(one|federate)|oneidentity|jumpcloud|keycloak|authentik|rippling|slack|sailpoint";

#[test]
fn the_protocol_knows_no_identity_provider_outside_the_table_of_tolerances() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, names) = (Vec::new(), Regex::new(PROVIDERS).unwrap());
    // OKTA-8 and the like cite what was seen, which is what a comment is for.
    let citation = Regex::new(r"\b[A-Z][A-Z0-9]+-\d+").unwrap();
    sources(&src.join("scim"), &mut files);
    sources(&src.join("http"), &mut files);
    files.retain(|file| !file.ends_with("tolerance.rs") && !file.ends_with("tests.rs"));
    assert!(files.len() > 40, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for line in code.lines() {
            let plain = citation.replace_all(line, "");
            assert!(!names.is_match(&plain), "{}: {line}", file.display());
        }
    }
}
