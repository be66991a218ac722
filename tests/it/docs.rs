//! What the documents say is true: commands, options, keys, metrics, error sentences, links and the Postman collection.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use axum::http::Method;
use jira_scim::policy::Policy;
use jira_scim::sandbox::{Sandbox, SandboxOptions};
use regex::Regex;
use serde_json::Value;

use crate::http_app::App;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, into);
        } else if path.extension().is_some_and(|found| found == ending) {
            into.push(path);
        }
    }
}

/// The README and everything in `docs`.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = vec![root().join("README.md")];
    files(&root().join("docs"), "md", &mut paths);
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

fn all(pattern: &str, text: &str) -> BTreeSet<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

fn help(command: &[&str]) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_jira-scim"))
        .args(command)
        .arg("--help")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// The commands that a help text lists.
fn commands_in(help: &str) -> BTreeSet<String> {
    let section = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    let names = section.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).filter(|name| name != "help").collect()
}

#[test]
fn every_command_that_a_document_names_exists() {
    for (path, text) in documents() {
        for words in all(r"(?m)^jira-scim ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)", &code_of(&text).join("\n")) {
            let mut words: Vec<&str> = words.split(' ').collect();
            let Some(first) = help(&words[..1]) else {
                panic!("{}: there is no command `jira-scim {}`", path.display(), words[0]);
            };
            let inner = commands_in(&first);
            // A command may take either another one or arguments of its own.
            let takes_arguments = first.contains("\nArguments:\n");
            let second = words.pop().filter(|_| !words.is_empty() && !inner.is_empty() && !takes_arguments);
            if let Some(second) = second {
                assert!(inner.contains(second), "{}: there is no `jira-scim {} {second}`", path.display(), words[0]);
            }
        }
    }
}

/// What stands between backticks on a line, and the indented and fenced lines: the rest is prose, in which the program's
/// name is no command.
fn code_of(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut code = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            code.push(line.trim().to_owned());
        } else {
            code.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    code
}

/// The options of a command that its section has to name; some are the same everywhere.
fn options(command: &[&str]) -> BTreeSet<String> {
    let everywhere = ["--help", "--version", "--config", "--set", "--json"];
    // Only where a line begins with them: other options are named in the prose, too.
    let found = all(r"(?m)^ {2,6}(?:-[a-zA-Z], )?(--[a-z][a-z-]*)", &help(command).unwrap());
    found.into_iter().filter(|option| !everywhere.contains(&option.as_str())).collect()
}

/// Every command without further ones, as the help lists them.
fn leaves_of(command: &[&str]) -> Vec<String> {
    let inner = commands_in(&help(command).unwrap());
    if inner.is_empty() {
        return vec![command.join(" ")];
    }
    inner.iter().flat_map(|name| leaves_of(&[command, &[name.as_str()]].concat())).collect()
}

#[test]
fn every_command_has_its_section_with_its_options_and_no_others() {
    let text = document("operations.md");
    let mut documented = BTreeSet::new();
    for section in text.split("\n### ").skip(1) {
        let Some(command) = section.strip_prefix("`jira-scim ").and_then(|rest| rest.split('`').next()) else {
            continue;
        };
        let body = section.split("\n## ").next().unwrap_or_default();
        let words: Vec<&str> = command.split(' ').collect();
        let known = all("(--[a-z][a-z-]*)", &help(&words).unwrap());
        let written = all("(--[a-z][a-z-]*)", body);
        for option in &written {
            assert!(known.contains(option), "`jira-scim {command}` has no {option}");
        }
        for option in options(&words) {
            assert!(written.contains(&option), "`jira-scim {command}`: {option} is not documented");
        }
        documented.insert(command.to_owned());
    }
    for command in leaves_of(&[]) {
        assert!(documented.contains(&command), "`jira-scim {command}` has no section in operations.md");
    }
}

/// The keys of the documented file, examples included.
fn configuration_keys() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("config/jira-scim.toml")).unwrap();
    let code = |line: &str| match line.strip_prefix('#') {
        Some(code) if code.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => code.to_owned(),
        _ => line.to_owned(),
    };
    let text = text.lines().map(code).collect::<Vec<_>>().join("\n");
    let mut keys = BTreeSet::new();
    collect(&serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap(), "", &mut keys);
    keys
}

fn collect(value: &Value, prefix: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                collect(value, &path, keys);
                keys.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, prefix, keys)),
        _ => {}
    }
}

#[test]
fn every_configuration_key_that_a_document_names_exists() {
    let known = configuration_keys();
    let sections: BTreeSet<&str> = known.iter().filter_map(|key| key.split('.').next()).collect();
    for (path, text) in documents() {
        for name in all(r"`([a-z_]+(?:\.[a-z_]+)+)(?: = [^`]*)?`", &text) {
            let section = name.split('.').next().unwrap_or_default();
            let is_file = ["toml", "rs", "md", "json"].iter().any(|ending| name.ends_with(&format!(".{ending}")));
            if sections.contains(section) && !is_file {
                assert!(known.contains(&name), "{}: there is no key {name}", path.display());
            }
        }
    }
}

#[test]
fn the_policys_keys_are_those_of_the_table_with_their_defaults() {
    let text = document("configuration.md");
    let mut written = BTreeSet::new();
    let section = text.split("\n## Policy").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    for row in Regex::new(r"(?m)^\| `([a-z0-9_.]+)` \| `([^`]+)` \|").unwrap().captures_iter(section) {
        written.insert((row[1].to_owned(), serde_json::from_str::<Value>(&row[2]).unwrap().to_string()));
    }
    let mut known = BTreeSet::new();
    leaves(&serde_json::to_value(Policy::default()).unwrap(), "", &mut known);
    assert_eq!(written, known);
}

fn leaves(value: &Value, prefix: &str, into: &mut BTreeSet<(String, String)>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                leaves(value, &path, into);
            }
        }
        other => drop(into.insert((prefix.to_owned(), other.to_string()))),
    }
}

#[test]
fn the_metrics_of_the_manual_are_those_of_the_program() {
    let source = fs::read_to_string(root().join("src/telemetry/metrics.rs")).unwrap();
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let known = all(r#""(jira_scim_[a-z_]+)""#, code);
    assert!(known.len() > 10, "{known:?}");
    let rows = all(r"(?m)^\| `(jira_scim_[a-z_]+)`", &document("operations.md"));
    assert_eq!(rows, known);
    for (path, text) in documents() {
        for name in all(r"(jira_scim_[a-z_]+(?:total|seconds|up|depth|info|flight|applied))\b", &text) {
            assert!(known.contains(&name), "{}: there is no metric {name}", path.display());
        }
    }
}

#[test]
fn the_sentences_of_the_error_page_are_those_of_the_program() {
    let mut sources = Vec::new();
    files(&root().join("src"), "rs", &mut sources);
    let mut code: String = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    // A sentence may be broken over lines, and quotation marks are escaped in it.
    code = Regex::new(r"\\\n\s*").unwrap().replace_all(&code, "").replace("\\\"", "\"");
    let text = document("errors.md");
    let sentence = |cell: &str| {
        cell.contains(' ')
            && !cell.contains("Retry-After")
            && !cell.contains("Content-Type")
            && !cell.contains('{')
            && !cell.starts_with('"')
    };
    for cell in code_of(&text).iter().filter(|cell| sentence(cell)) {
        for part in cell.split('…').map(str::trim).filter(|part| part.contains(' ')) {
            let part = part.trim_matches(|c: char| "():?;, \"".contains(c));
            assert!(code.contains(part), "no error says: {part}");
        }
    }
    let words = all(r"\| [45]\d\d \| `([a-zA-Z]+)`", &text);
    for word in &words {
        assert!(code.contains(&format!("=> \"{word}\"")), "there is no scimType {word}");
    }
    assert!(words.len() > 5, "{words:?}");
}

/// As GitHub makes an anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere() {
    for (path, text) in documents() {
        for link in all(r"\]\(([^)\s]+)\)", &text) {
            if link.contains("://") {
                continue;
            }
            let (file, fragment) = link.split_once('#').map_or((link.as_str(), None), |(a, b)| (a, Some(b)));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", path.display());
            if let Some(fragment) = fragment {
                let anchors: BTreeSet<String> =
                    all(r"(?m)^#+ (.+)$", &fs::read_to_string(&target).unwrap()).iter().map(|h| anchor(h)).collect();
                assert!(anchors.contains(fragment), "{}: {link}: there is no such heading", path.display());
            }
        }
    }
}

#[test]
fn every_provider_has_its_page_which_the_readme_and_the_other_pages_lead_to() {
    const PAGES: [&str; 10] = [
        "entra",
        "google",
        "jumpcloud",
        "okta",
        "okta-on-premises",
        "one-identity",
        "onelogin",
        "other",
        "ping",
        "quirks",
    ];
    let mut there = Vec::new();
    files(&root().join("docs/idp"), "md", &mut there);
    let mut there: Vec<_> = there.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    there.sort_unstable();
    assert_eq!(there, PAGES);
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for page in PAGES {
        assert!(readme.contains(&format!("(docs/idp/{page}.md)")), "the README does not lead to {page}");
        let text = document(&format!("idp/{page}.md"));
        for other in PAGES.iter().filter(|other| **other != page) {
            assert!(text.contains(&format!("({other}.md)")), "{page} does not lead to {other}");
        }
    }
}

/// What a page says to type, its limits, how to try it: an administrator looks for the same things on each.
#[test]
fn every_page_of_a_provider_says_how_to_make_a_tenant_and_how_to_try_it() {
    let mut pages = Vec::new();
    files(&root().join("docs/idp"), "md", &mut pages);
    for page in pages.iter().filter(|page| !page.ends_with("quirks.md")) {
        let text = fs::read_to_string(page).unwrap();
        let code = code_of(&text).join("\n");
        for command in ["jira-scim tenant create", "jira-scim token create", "jira-scim simulate --profile"] {
            assert!(code.contains(command), "{}: no `{command}`", page.display());
        }
        assert!(code.contains("https://scim."), "{}: no base URL", page.display());
    }
}

#[test]
fn every_profile_that_a_document_names_can_be_played() {
    let known = all(r"(?m)^ +- ([a-z0-9-]+):", &help(&["simulate"]).unwrap());
    assert!(known.contains("okta-private"), "{known:?}");
    for (path, text) in documents() {
        for name in all(r"simulate[^\n]*--profile ([a-z0-9-]+)", &text) {
            assert!(known.contains(&name), "{}: there is no profile {name}", path.display());
        }
    }
}

#[test]
fn every_file_of_ours_that_a_document_names_exists() {
    let pattern = r"(?m)^((?:src|tests|docs|config|migrations|writer|http|scim|store|jira|directory)/[a-z0-9_/.*-]*)$";
    for (path, text) in documents() {
        for name in all(pattern, &code_of(&text).join("\n")) {
            let plain = name.split('*').next().unwrap_or_default();
            let folder = plain.rsplit_once('/').map_or("", |(folder, _)| folder);
            let begins = |at: PathBuf| {
                let first = plain.rsplit('/').next().unwrap_or_default();
                fs::read_dir(at.join(folder)).is_ok_and(|mut found| {
                    found.any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with(first))
                })
            };
            let exists = |at: PathBuf| if name.contains('*') { begins(at) } else { at.join(&name).exists() };
            // A module may be named without its ending.
            let module = root().join("src").join(format!("{name}.rs")).exists();
            assert!(
                exists(root().to_owned()) || exists(root().join("src")) || module,
                "{}: there is no {name}",
                path.display()
            );
        }
    }
}

#[test]
fn no_document_names_a_secret() {
    let secret = Regex::new(r"jst_[A-Za-z0-9_-]{20,}|Bearer [A-Za-z0-9_-]{20,}").unwrap();
    for (path, text) in documents() {
        let found = secret.find(&text).map(|m| m.range());
        assert_eq!(found, None, "{}", path.display());
    }
}

/// The requests of the collection, in its order.
fn requests(item: &Value, into: &mut Vec<Value>) {
    match item["item"].as_array() {
        Some(items) => items.iter().for_each(|item| requests(item, into)),
        None => into.push(item.clone()),
    }
}

fn collection() -> Value {
    serde_json::from_str(&document("jira-scim.postman_collection.json")).unwrap()
}

#[test]
fn the_collection_is_one_of_version_2_1_without_a_secret() {
    let collection = collection();
    assert_eq!(collection["info"]["schema"], "https://schema.getpostman.com/json/collection/v2.1.0/collection.json");
    let variables = collection["variable"].as_array().unwrap();
    let value = |name: &str| variables.iter().find(|v| v["key"] == name).map(|v| v["value"].as_str().unwrap());
    assert_eq!((value("token"), value("baseUrl")), (Some(""), Some("{{origin}}/scim/{{tenant}}/v2")));
    let mut all = Vec::new();
    requests(&collection, &mut all);
    for item in &all {
        let url = item["request"]["url"]["raw"].as_str().unwrap();
        assert!(url.starts_with("{{origin}}/") || url.starts_with("{{baseUrl}}/"), "{url}");
        assert!(item["name"].is_string() && item["request"]["method"].is_string(), "{item}");
    }
}

#[tokio::test]
async fn the_collection_plays_from_top_to_bottom() {
    let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let app = App::with_jira(&jira).await;
    let mut all = Vec::new();
    requests(&collection(), &mut all);
    let (mut user, mut group) = (String::new(), String::new());
    for item in all {
        let name = item["name"].as_str().unwrap();
        let fill = |text: &str| {
            let text = text.replace("{{baseUrl}}", "/scim/acme/v2").replace("{{origin}}", "");
            text.replace("{{userId}}", &user).replace("{{groupId}}", &group)
        };
        let url = fill(item["request"]["url"]["raw"].as_str().unwrap()).replace(' ', "+").replace('"', "%22");
        let method: Method = item["request"]["method"].as_str().unwrap().parse().unwrap();
        let mut ask = app.raw(method, &url);
        if item["request"]["auth"]["type"] != "noauth" {
            ask = ask.token(&app.token);
        }
        if let Some(body) = item["request"]["body"]["raw"].as_str() {
            ask = ask.header("content-type", "application/scim+json").body(fill(body));
        }
        let answer = ask.send().await;
        let test = item["event"][0]["script"]["exec"][0].as_str().unwrap();
        assert!(test.contains(&format!("to.have.status({})", answer.status)), "{name}: {answer:?}");
        match name {
            "Create a user" => user = answer.id(),
            "Push a group with the user" => group = answer.id(),
            _ => {}
        }
    }
    assert!(!jira.account("postman.trial@corp.example").unwrap().active);
}
