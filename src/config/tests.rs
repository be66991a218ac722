//! The documented file is complete and true; sources override each other in order; every problem is a sentence.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::time::Duration;

use super::layers::Merged;
use super::*;
use crate::secret::Secret;

const DOCUMENTED: &str = include_str!("../../config/jira-scim.toml");

/// The documented file with its examples switched on: `#key = ...` and `#[...]` are code, `# ...` is prose.
fn with_examples() -> String {
    let code = |line: &str| match line.strip_prefix('#') {
        Some(code) if code.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => code.to_owned(),
        _ => line.to_owned(),
    };
    DOCUMENTED.lines().map(code).collect::<Vec<_>>().join("\n")
}

fn found_in(text: &str) -> (Config, Findings) {
    let mut found = Findings::default();
    let mut merged = Merged::default();
    merged.table = text.parse().unwrap();
    (Config::read(&merged, &mut found), found)
}

fn keys_of(table: &toml::Table, prefix: &str, keys: &mut BTreeSet<String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let inner: Vec<&toml::Table> = match value {
            // A policy is one key here; its inside belongs to another module.
            toml::Value::Table(inner) if !["policy", "repair", "attributes"].contains(&key.as_str()) => vec![inner],
            toml::Value::Array(items) => items.iter().filter_map(toml::Value::as_table).collect(),
            _ => Vec::new(),
        };
        for table in inner {
            keys_of(table, &path, keys);
        }
        keys.insert(path);
    }
}

fn load(file: &str, environment: &[(&str, &str)], settings: &[(&str, &str)]) -> Result<Config, Problems> {
    let own = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jira-scim.toml");
    std::fs::write(&path, file).unwrap();
    Config::load(&Sources { file: Some(path), environment: own(environment), settings: own(settings) })
}

fn problems(file: &str) -> String {
    load(file, &[], &[]).unwrap_err().to_string()
}

const TARGET: &str = "[[target]]\nname = 'jira'\nurl = 'https://jira.example'\ntoken = 'secret-token'\n";

#[test]
fn the_documented_file_holds_the_defaults() {
    let (config, found) = found_in(DOCUMENTED);
    assert_eq!(found.problems, []);
    assert_eq!(config, Config::defaults());
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let text = with_examples();
    let mut documented = BTreeSet::new();
    keys_of(&text.parse().unwrap(), "", &mut documented);
    let (_, found) = found_in(&text);
    let (documented, known) = (&documented, &found.known);
    assert_eq!(known.difference(documented).collect::<Vec<_>>(), Vec::<&String>::new(), "not documented");
    assert_eq!(documented.difference(known).collect::<Vec<_>>(), Vec::<&String>::new(), "not known");
}

#[test]
fn the_examples_that_need_no_file_state_the_defaults_of_a_target() {
    let (config, _) = found_in(TARGET);
    let target = &config.targets[0];
    let text = with_examples();
    let example = text.parse::<toml::Table>().unwrap()["target"][0].as_table().unwrap().clone();
    assert_eq!(example["kind"].as_str(), Some(target.kind.as_str()));
    assert_eq!(humantime::parse_duration(example["timeout"].as_str().unwrap()).unwrap(), target.timeout);
    assert_eq!(humantime::parse_duration(example["late"].as_str().unwrap()).unwrap(), target.late);
    assert_eq!(example["pace"]["concurrency"].as_integer(), Some(i64::from(target.pace.concurrency)));
    assert_eq!(example["pace"]["per_second"].as_integer(), Some(i64::from(target.pace.per_second)));
    assert_eq!(example["notify"].as_bool(), Some(target.notify));
}

#[test]
fn the_environment_beats_the_file_and_flags_beat_both() {
    let file = "[writer]\nsettle = '1s'\npoll = '1s'\nlease = '30s'\n";
    let environment = [("JIRA_SCIM__WRITER__SETTLE", "2s"), ("JIRA_SCIM__WRITER__POLL", "2s"), ("OTHER", "x")];
    let config = load(file, &environment, &[("writer.settle", "0s")]).unwrap();
    assert_eq!(config.writer.settle, Duration::ZERO);
    assert_eq!(config.writer.poll, Duration::from_secs(2));
    assert_eq!(config.writer.lease, Duration::from_secs(30));
}

#[test]
fn a_secret_of_a_listed_target_comes_from_a_file_named_in_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "from-the-file\n").unwrap();
    let file = "[[target]]\nname = 'jira'\nurl = 'https://jira.example/ctx/'\n";
    let variable = [("JIRA_SCIM__TARGET__0__TOKEN_FILE", path.to_str().unwrap())];
    let config = load(file, &variable, &[]).unwrap();
    assert_eq!(config.targets[0].credential, TargetCredential::Token(Secret::new("from-the-file")));
    assert_eq!(config.targets[0].url, "https://jira.example/ctx");
}

#[test]
fn an_unknown_key_is_one_sentence_with_the_nearest_name_and_where_it_stands() {
    let told = problems("[server]\nlisten_adress = '127.0.0.1:1'\n");
    assert!(told.starts_with("server.listen_adress (in /"), "{told}");
    assert!(told.ends_with("jira-scim.toml) is not a known key; did you mean server.listen?"), "{told}");
    let told = load("", &[("JIRA_SCIM__WRITER__SETLE", "1s")], &[]).unwrap_err().to_string();
    assert_eq!(
        told,
        "writer.setle (in the environment variable JIRA_SCIM__WRITER__SETLE) is not a known key; did you mean \
         writer.settle?"
    );
    let told = load("", &[], &[("nonsense.zzz", "1")]).unwrap_err().to_string();
    assert_eq!(told.matches("not a known key").count(), 1, "{told}");
}

#[test]
fn all_problems_are_found_at_once() {
    let told = problems(
        "[server]\nlisten = 'nowhere'\n[limits]\nbody = '2MB'\npage_default = 500\n[database]\nurl = 'mysql://x'\n\
         [[target]]\nname = 'a_b'\nurl = 'jira'\n[[tenant]]\nslug = 'okta'\ntarget = 'none'\nmode = 'maybe'\n",
    );
    for key in [
        "server.listen",
        "limits.body",
        "limits.page_default",
        "database.url",
        "target.0.name",
        "target.0.url",
        "target.0.token_file",
        "tenant.0.target",
        "tenant.0.mode",
    ] {
        assert!(told.lines().any(|line| line.starts_with(&format!("{key} "))), "{key} is not in:\n{told}");
    }
    assert_eq!(told.lines().count(), 9, "{told}");
}

#[test]
fn no_problem_repeats_a_secret() {
    let told = problems(
        "[database]\nurl = 'postgres//me:hunter2@db'\n[[target]]\nname = 'jira'\nurl = 'https://me:hunter2@jira'\n\
         token = ['hunter2']\n",
    );
    assert!(!told.contains("hunter2"), "{told}");
    let told = problems("[database]\nurl = \"hunter2\n");
    assert!(!told.contains("hunter2"), "{told}");
    assert!(told.contains("line 2"), "{told}");
}

#[test]
fn a_slug_has_no_underscore() {
    for good in ["okta", "0", "a-b", &"x".repeat(63)] {
        assert!(is_slug(good), "{good}");
    }
    for bad in ["", "a_b", "Okta", "-a", "a-", "ä", "a/b", &"x".repeat(64)] {
        assert!(!is_slug(bad), "{bad}");
    }
}

#[test]
fn two_ways_to_log_in_are_one_too_many() {
    let told = problems(&format!("{TARGET}user = 'me'\npassword = 'x'\n"));
    assert!(told.contains("target.0.token"), "{told}");
    let told = problems(&format!("{TARGET}token_file = '/nowhere'\n"));
    assert!(told.contains("both given"), "{told}");
}

#[test]
fn names_are_unique_and_the_lease_outlives_a_call() {
    let told = problems(&format!("{TARGET}{TARGET}timeout = '45s'\n"));
    assert!(told.contains("target.1.name"), "{told}");
    assert!(told.contains("writer.lease"), "{told}");
}

#[test]
fn a_short_bootstrap_token_is_refused() {
    let told = problems(&format!(
        "{TARGET}[[tenant]]\nslug = 'okta'\ntarget = 'jira'\n[[tenant.token]]\nlabel = 'first'\nvalue = 'short'\n"
    ));
    assert!(told.starts_with("tenant.0.token.0.value "), "{told}");
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let sources = Sources { file: Some("/nowhere/jira-scim.toml".into()), ..Sources::default() };
    let told = Config::load(&sources).unwrap_err().to_string();
    assert!(told.starts_with("/nowhere/jira-scim.toml cannot be read"), "{told}");
}

#[test]
fn the_base_url_is_one_that_can_be_connected_to() {
    let server = Config::defaults().server;
    assert_eq!(server.base_url("0.0.0.0:8080".parse().unwrap()), "http://127.0.0.1:8080");
    assert_eq!(server.base_url("[::]:1".parse().unwrap()), "http://[::1]:1");
    assert_eq!(server.base_url("192.0.2.1:80".parse().unwrap()), "http://192.0.2.1:80");
    let server = Server { public_url: Some("https://scim.example/jira".into()), ..server };
    assert_eq!(server.base_url("0.0.0.0:8080".parse().unwrap()), "https://scim.example/jira");
}

#[test]
fn the_example_for_compose_is_right_but_for_the_secrets_that_are_not_here() {
    let (_, found) = found_in(include_str!("../../config/demo.toml"));
    let told: Vec<String> = found.problems.iter().map(|problem| problem.key.clone()).collect();
    assert!(told.iter().all(|key| key.ends_with("_file") || key == "tenant.0.target"), "{:?}", found.problems);
}

#[test]
fn a_cloud_site_has_an_address_a_token_and_perhaps_an_organization() {
    let site = "[[target]]\nname = 'cloud'\nkind = 'cloud'\nurl = 'https://x.atlassian.net'\nuser = 'svc@x.example'\n\
                token = 'secret-token'\ntoken_expires = '2027-01-31T00:00:00Z'\n";
    let config = load(site, &[], &[]).unwrap();
    let target = &config.targets[0];
    let password = Secret::new("secret-token");
    assert_eq!(target.credential, TargetCredential::Password { user: "svc@x.example".to_owned(), password });
    assert_eq!((target.organization.is_none(), target.expiries().count()), (true, 1));
    let with = format!("{site}[target.organization]\nid = 'o'\nkey = 'k'\nkey_expires = '2027-02-28T00:00:00Z'\n");
    let config = load(&with, &[], &[]).unwrap();
    let target = &config.targets[0];
    assert_eq!(target.organization.as_ref().map(|organization| organization.id.as_str()), Some("o"));
    let named: Vec<_> = target.expiries().map(|(credential, _)| credential).collect();
    assert_eq!(named, ["token", "organization.key"]);
}

#[test]
fn what_belongs_to_another_kind_of_target_is_refused_by_name() {
    let cloud = |more: &str| format!("[[target]]\nname = 'c'\nkind = 'cloud'\nurl = 'https://x.example'\n{more}");
    let whole = "user = 'u@x.example'\ntoken = 't'\n";
    for (file, expected) in [
        (
            format!("{TARGET}[target.organization]\nid = 'o'\nkey = 'k'\n"),
            "target.0.organization belongs to a target of the kind \"cloud\"",
        ),
        (format!("{TARGET}cloud_id = 'c'\n"), "target.0.cloud_id belongs to a target of the kind \"cloud\""),
        (
            format!("{TARGET}[target.align]\nmatch_on = 'email'\n"),
            "target.0.align belongs to a target of the kind \"align\"",
        ),
        (cloud("user = 'u@x.example'\npassword = 'p'\n"), "target.0.password is nothing that Cloud accepts"),
        (cloud("token = 't'\n"), "target.0.user is missing"),
        (cloud(&format!("{whole}[target.crowd]\napplication = 'a'\npassword = 'p'\n")), "target.0.crowd belongs to"),
        (
            cloud(&format!("{whole}[target.organization]\nid = 'o'\n")),
            "target.0.organization.key_file is missing (or key)",
        ),
        (cloud(whole).replace("'cloud'", "'server'"), "target.0.kind must be \"data-center\", \"cloud\" or \"align\""),
    ] {
        let told = problems(&file);
        let line = told.lines().find(|line| line.replace(&origin_of(line), "").contains(expected));
        assert!(line.is_some(), "{expected} is not in:\n{told}");
    }
}

/// `(in /tmp/...)` and the blank before it.
fn origin_of(line: &str) -> String {
    line.find(" (in ")
        .and_then(|at| Some(line[at..at + line[at..].find(')')? + 1].to_owned()))
        .unwrap_or("\0".to_owned())
}

#[test]
fn align_says_what_people_are_found_by_and_which_roles_are_left_alone() {
    let file = "[[target]]\nname = 'a'\nkind = 'align'\nurl = 'https://x.jiraalign.example'\ntoken = 'user:7|s'\n\
                [target.align]\nmatch_on = 'email'\nignore_roles = [12, 13]\nrepair = { divisionId = 1 }\n";
    let align = load(file, &[], &[]).unwrap().targets[0].align.clone();
    assert_eq!((align.match_on, align.ignore_roles, align.repair["divisionId"]), (MatchOn::Email, vec![12, 13], 1));
    let told = problems(&file.replace("'email'", "'mail'"));
    assert!(told.contains("must be \"external_id\" or \"email\""), "{told}");
}

#[test]
fn a_table_is_a_file_that_is_there() {
    let told = problems("[[table]]\nname = 'hr'\nfile = '/no/such/file.csv'\nkey = 'employee'\n");
    assert!(told.contains("table.0.file") && told.contains("is not there"), "{told}");
}

const SOURCE: &str = "[[source]]\nname = 'corp'\ntenant = 'corp'\npreset = 'openldap'\n\
    urls = ['ldaps://ldap.example']\nbase_dn = 'dc=example'\n";

#[test]
fn the_examples_of_a_source_state_its_defaults() {
    let (config, found) = found_in(SOURCE);
    assert_eq!(found.problems, []);
    let source = &config.sources[0];
    let example = with_examples().parse::<toml::Table>().unwrap()["source"][0].as_table().unwrap().clone();
    let number = |key: &str| example[key].as_integer().unwrap();
    let flag = |key: &str| example[key].as_bool().unwrap();
    assert_eq!((flag("users"), flag("groups"), flag("take_over")), (source.users, source.groups, source.take_over));
    assert_eq!(number("fall_percent"), i64::from(source.fall_percent));
    assert_eq!(number("fall_min"), i64::from(source.fall_min));
    assert_eq!((flag("at_start"), &source.schedule), (source.at_start, &Schedule::ByHand));
    assert_eq!((source.vanished, source.vanished_groups), (Vanished::Deactivate, VanishedGroups::Delete));
    assert_eq!(
        (example["vanished"].as_str(), example["vanished_groups"].as_str()),
        (Some("deactivate"), Some("delete"))
    );
    let ServerConfig::Ldap(ldap) = &source.server else { panic!("this is an LDAP server") };
    assert_eq!(number("page_size"), i64::from(ldap.page_size));
    assert_eq!(humantime::parse_duration(example["timeout"].as_str().unwrap()).unwrap(), ldap.timeout);
    assert_eq!(flag("start_tls"), ldap.start_tls);
}

#[test]
fn a_source_has_one_tenant_and_one_schedule() {
    let told = problems(&format!("{SOURCE}every = '1h'\ncron = '0 2 * * *'\n"));
    assert!(told.contains("every") && told.contains("only one of them"), "{told}");
    let told = problems(&format!("{SOURCE}{}", SOURCE.replace("name = 'corp'", "name = 'other'")));
    assert!(told.contains("source.1.tenant") && told.contains("a tenant has one"), "{told}");
    let told = problems(&format!("{SOURCE}timeout = '50s'\n"));
    assert!(told.contains("writer.lease"), "{told}");
    let told = problems(&format!("{SOURCE}users = false\ngroups = false\n"));
    assert!(told.contains("nothing would be read"), "{told}");
}

#[test]
fn what_a_source_is_given_is_looked_at_key_by_key() {
    for (line, named) in [
        ("cron = 'at dawn'", "source.0.cron"),
        ("every = '1s'", "source.0.every"),
        ("user_filter = 'uid=ann)'", "source.0.user_filter"),
        ("bind_dn = 'cn=me'", "source.0.bind_dn"),
        ("bind_password = 'hunter2'", "source.0.bind_dn"),
        ("ca_file = '/nowhere'", "source.0.ca_file"),
        ("page_size = 0", "source.0.page_size"),
        ("vanished = 'shoot'", "source.0.vanished"),
        ("referals = 'ignore'", "did you mean source.0.referrals"),
    ] {
        let told = problems(&format!("{SOURCE}{line}\n"));
        assert!(told.contains(named) && !told.contains("hunter2"), "{line}: {told}");
    }
    for url in ["https://ldap.example", "ldap://", "ldaps://me:pw@ldap.example", "ldap.example"] {
        let told = problems(&SOURCE.replace("ldaps://ldap.example", url));
        assert!(told.contains("source.0.urls") && !told.contains("pw@"), "{url}: {told}");
    }
}
