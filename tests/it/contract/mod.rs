//! Everything that the targets called in all stories, and everything that the sandboxes answered, held to Atlassian's OpenAPI
//! documents (`make contract SPECS=<folder>`). What may deviate, and why, is in `deviations.toml`; which calls there are is in
//! `calls.toml`, which another test holds to the source.

#![allow(clippy::unwrap_used, clippy::panic)]

mod check;
mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use jira_scim::sandbox::JournalEntry;
use regex::Regex;
use serde::Deserialize;

use check::Misfit;
use spec::Library;

/// A call that a target can make.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
struct Call {
    kind: String,
    /// As in the traces: `user.create`.
    operation: String,
    method: String,
    /// The template, from `/rest` or the host on.
    path: String,
    /// What is in the query or body of this call.
    #[serde(default)]
    with: Vec<String>,
    /// What is not, and is in another call of the same path.
    #[serde(default)]
    without: Vec<String>,
}

/// Something that Atlassian's document does not say, or says otherwise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    /// `jira-dc-10.3`, or a part of the name of several documents.
    spec: String,
    /// `GET /api/2/group/member`, or `*`.
    call: String,
    /// A regular expression that fits the misfit.
    what: String,
    /// Why that is right all the same: the reference, or the document's known defect.
    reason: String,
}

#[derive(Deserialize)]
struct Calls {
    call: Vec<Call>,
}

#[derive(Deserialize)]
struct Deviations {
    deviation: Vec<Deviation>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn calls() -> Vec<Call> {
    toml::from_str::<Calls>(&fs::read_to_string(root().join("tests/it/contract/calls.toml")).unwrap()).unwrap().call
}

fn deviations() -> Vec<Deviation> {
    let text = fs::read_to_string(root().join("tests/it/contract/deviations.toml")).unwrap();
    toml::from_str::<Deviations>(&text).unwrap().deviation
}

/// The operations that a target's source names.
fn operations(kind: &str) -> BTreeSet<String> {
    let folder = root().join("src/jira").join(kind.replace('-', "_"));
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![folder];
    if kind == "data-center" {
        folders.push(root().join("src/jira/crowd"));
        files.push(root().join("src/jira/crowd.rs"));
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    // The first literal of whatever makes a request.
    let makers = "Request::new|get|put|ask|role|change_access|of_organization|of_member|of_account";
    let operation = Regex::new(&format!(r#"\b(?:{makers})\(\s*(?:[a-z_.&]+,\s*)*"([a-z]+\.[a-z_]+)""#)).unwrap();
    let mut found = BTreeSet::new();
    for file in files.into_iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = fs::read_to_string(file).unwrap_or_default();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        found.extend(operation.captures_iter(code).map(|found| found[1].to_owned()));
    }
    found
}

#[test]
fn the_list_of_calls_is_that_of_the_source() {
    let calls = calls();
    for kind in ["data-center", "cloud", "align"] {
        let listed: BTreeSet<String> =
            calls.iter().filter(|call| call.kind == kind).map(|call| call.operation.clone()).collect();
        assert_eq!(listed, operations(kind), "{kind}: tests/it/contract/calls.toml on the left, src/jira on the right");
    }
}

#[test]
fn every_deviation_has_a_reason() {
    for deviation in deviations() {
        assert!(deviation.reason.len() > 20, "{deviation:?}");
        Regex::new(&deviation.what).unwrap();
    }
}

/// A journal's kind and version, from its name.
fn kind_of(file: &Path) -> (String, String) {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let kind = ["data-center", "cloud", "align"].into_iter().find(|kind| name.starts_with(kind));
    let kind = kind.unwrap_or_else(|| panic!("{name} is no journal"));
    let version = name[kind.len() + 1..].split('-').next().unwrap().to_owned();
    (kind.to_owned(), version)
}

/// Runs where `CONTRACT_SPECS` and `CONTRACT_JOURNALS` name folders; `make contract` sees to that.
#[test]
#[ignore = "make contract SPECS=<folder>"]
fn every_call_of_every_story_fits_atlassians_documents() {
    let folder = |name: &str| PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set")));
    let library = Library::read(&folder("CONTRACT_SPECS"));
    let calls = calls();
    let mut report = Report::default();
    let mut visited = BTreeSet::new();
    for file in fs::read_dir(folder("CONTRACT_JOURNALS")).unwrap() {
        let file = file.unwrap().path();
        let (kind, version) = kind_of(&file);
        for line in BufReader::new(fs::File::open(&file).unwrap()).lines() {
            let entry: JournalEntry = serde_json::from_str(&line.unwrap()).unwrap();
            // What tests send by themselves, to see the sandbox refuse it, has no request id; what has no route came to no
            // Jira, because the context path was wrong.
            if entry.request_id.is_none() || entry.late_for.is_some() || entry.route.is_empty() {
                continue;
            }
            let found = calls.iter().filter(|call| call.kind == kind && check::is_call(call, &entry));
            let found: Vec<&Call> = found.collect();
            if found.is_empty() {
                report.strangers.insert(format!("{kind}: {} {}", entry.method, check::below_context(&entry.path)));
            }
            visited.extend(found.into_iter().cloned());
            report.take(&library, &kind, &version, &entry);
        }
    }
    let unvisited: Vec<&Call> = calls.iter().filter(|call| !visited.contains(*call)).collect();
    report.tell(&library, unvisited.len(), calls.len());
    let mut wrong: Vec<String> =
        report.misfits.iter().map(|(misfit, times)| format!("misfit: {misfit} ({times})")).collect();
    wrong.extend(unvisited.iter().map(|call| format!("no story visits {}: {} {}", call.kind, call.method, call.path)));
    wrong.extend(report.strangers.iter().map(|call| format!("not in calls.toml: {call}")));
    let needless = deviations().into_iter().filter(|deviation| !report.used.contains(&deviation.key()));
    wrong.extend(needless.map(|deviation| format!("a deviation that nothing needs: {}", deviation.key())));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

impl Deviation {
    fn key(&self) -> String {
        format!("{} {} {}", self.spec, self.call, self.what)
    }

    fn allows(&self, misfit: &Misfit) -> bool {
        misfit.spec.contains(&self.spec)
            && (self.call == "*" || self.call == misfit.call)
            && Regex::new(&self.what).unwrap().is_match(&misfit.what)
    }
}

/// What became of all calls.
#[derive(Default)]
struct Report {
    /// Requests and answers by document.
    requests: BTreeMap<String, usize>,
    answers: BTreeMap<String, usize>,
    without: BTreeMap<String, usize>,
    /// Bodies of which the journal has the size alone.
    left_out: usize,
    deviating: usize,
    used: BTreeSet<String>,
    misfits: BTreeMap<Misfit, usize>,
    strangers: BTreeSet<String>,
}

impl Report {
    fn take(&mut self, library: &Library, kind: &str, version: &str, entry: &JournalEntry) {
        let Some(checked) = check::check(library, kind, version, entry) else {
            *self.without.entry(format!("{kind} {version}")).or_default() += 1;
            return;
        };
        *self.requests.entry(checked.spec.clone()).or_default() += 1;
        *self.answers.entry(checked.spec).or_default() += usize::from(checked.answered);
        self.left_out += checked.left_out;
        for misfit in checked.misfits {
            match deviations_of_all().iter().find(|deviation| deviation.allows(&misfit)) {
                Some(deviation) => {
                    self.deviating += 1;
                    self.used.insert(deviation.key());
                }
                None => *self.misfits.entry(misfit).or_default() += 1,
            }
        }
    }

    fn tell(&self, library: &Library, unvisited: usize, calls: usize) {
        println!("documents: {}", library.names().join(", "));
        for (spec, requests) in &self.requests {
            println!("{spec}: {requests} requests and {} answers checked", self.answers.get(spec).unwrap_or(&0));
        }
        for (kind, count) in &self.without {
            println!("{kind}: {count} calls that no document is about");
        }
        println!("{} bodies too long to be kept, or no JSON", self.left_out);
        println!("{} of {calls} calls of the targets are visited", calls - unvisited);
        println!("{} allowed deviations, met {} times", self.used.len(), self.deviating);
        println!("{} misfits", self.misfits.values().sum::<usize>());
    }
}

fn deviations_of_all() -> &'static [Deviation] {
    static ALL: std::sync::LazyLock<Vec<Deviation>> = std::sync::LazyLock::new(deviations);
    &ALL
}
