//! The list of what clients are known to do, `docs/idp/quirks.md`, and the exchanges hold each other to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;

use crate::exchanges::file::{OneOrMore, Play, client_of, files, name_of, read};

/// How many quirks may have no exchange.
const MOST_EXEMPTIONS: usize = 40;

/// Families with the number of quirks that each has: a row that gets lost is missed.
const FAMILIES: [(&str, usize); 19] = [
    ("GEN", 22),
    ("F", 25),
    ("P", 45),
    ("OKTA", 30),
    ("OKTA11", 13),
    ("OPP", 10),
    ("ENTRA", 41),
    ("VAL", 9),
    ("GOOG", 9),
    ("OL", 13),
    ("PING", 14),
    ("ONEID", 6),
    ("JC", 8),
    ("KC", 10),
    ("AK", 12),
    ("RIP", 6),
    ("SLACK", 7),
    ("MISC", 6),
    ("S11", 37),
];

/// Each quirk of the list with the reason why no exchange shows it, where there is one.
fn listed() -> BTreeMap<String, Option<String>> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/idp/quirks.md")).unwrap();
    let row = Regex::new(r"(?m)^\| ([A-Z0-9]+-\d+) \| (.+?) \|(?: (.*) \|)?$").unwrap();
    let mut listed = BTreeMap::new();
    for found in row.captures_iter(&text) {
        let reason = found.get(3).map(|cell| cell.as_str().trim().to_owned()).filter(|cell| !cell.is_empty());
        assert!(listed.insert(found[1].to_owned(), reason).is_none(), "{} is listed twice", &found[1]);
    }
    listed
}

/// Each cited quirk with the files that cite it.
fn cited() -> BTreeMap<String, BTreeSet<String>> {
    let mut cited: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files() {
        let play: Play = read(&file);
        let in_steps = play.steps.iter().flat_map(OneOrMore::steps).flat_map(|step| step.cites.clone());
        for quirk in play.cites.iter().cloned().chain(in_steps).chain(client_of(&file).cites) {
            cited.entry(quirk).or_default().insert(name_of(&file));
        }
    }
    cited
}

#[test]
fn the_list_of_quirks_has_no_hole() {
    let numbered = FAMILIES.iter().flat_map(|(family, last)| (1..=*last).map(move |n| format!("{family}-{n}")));
    assert_eq!(listed().into_keys().collect::<BTreeSet<_>>(), numbered.collect::<BTreeSet<_>>());
}

/// What a complaint of the simulator names can be looked up.
#[test]
fn the_simulator_cites_quirks_of_the_list() {
    let listed = listed();
    let quirk = Regex::new(r"\b[A-Z][A-Z0-9]*-\d+\b").unwrap();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/simulate")];
    let mut cited = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            cited.extend(quirk.find_iter(&text).map(|found| found.as_str().to_owned()));
        }
    }
    let unknown: Vec<_> = cited.iter().filter(|quirk| !listed.contains_key(*quirk)).collect();
    assert!(unknown.is_empty() && cited.len() > 100, "not in the list: {unknown:?}");
}

#[test]
fn every_quirk_has_an_exchange_or_a_reason() {
    let (listed, cited) = (listed(), cited());
    let missing: Vec<&String> = listed
        .iter()
        .filter(|(quirk, reason)| reason.is_none() && !cited.contains_key(*quirk))
        .map(|(q, _)| q)
        .collect();
    assert!(missing.is_empty(), "no exchange cites {missing:?}");
}

#[test]
fn an_exchange_cites_what_is_listed() {
    let listed = listed();
    for (quirk, files) in cited() {
        assert!(listed.contains_key(&quirk), "{files:?}: there is no {quirk}");
    }
}

#[test]
fn a_reason_stands_only_where_no_exchange_does() {
    let (listed, cited) = (listed(), cited());
    let exempt: Vec<_> = listed.iter().filter_map(|(quirk, reason)| Some((quirk, reason.as_ref()?))).collect();
    assert!(exempt.len() <= MOST_EXEMPTIONS, "{} quirks have no exchange", exempt.len());
    for (quirk, reason) in exempt {
        assert!(reason.split_whitespace().count() >= 4, "{quirk}: {reason:?} is no reason");
        assert_eq!(cited.get(quirk), None, "{quirk} has an exchange, and a reason why it has none: {reason}");
    }
}
