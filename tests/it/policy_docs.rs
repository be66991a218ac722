//! docs/policy.md: every example in it is a configuration whose tests hold, and no rule is left out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use jira_scim::policy::Policy;
use serde_json::Value;

fn page() -> String {
    std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/policy.md")).unwrap()
}

/// What stands before each example.
const HEAD: &str =
    "[[target]]\nname = 'jira'\nurl = 'http://jira.example'\ntoken = 't'\n[[tenant]]\nslug = 'okta'\ntarget = 'jira'\n";

/// The examples of the page, as they are written.
fn examples() -> Vec<String> {
    let page = page();
    let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.collect()
}

fn check(folder: &Path, file: &str) -> (Option<i32>, String) {
    std::fs::write(folder.join("jira-scim.toml"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jira-scim"));
    command.arg("check-config").current_dir(folder);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JIRA_SCIM")) {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_example_of_the_page_is_a_policy_whose_tests_hold() {
    let folder = tempfile::tempdir().unwrap();
    let (mut policies, mut tests) = (0, 0);
    for example in examples() {
        let (code, err) = check(folder.path(), &format!("{HEAD}{example}"));
        assert_eq!(code, Some(0), "{example}\n{err}");
        policies += 1;
        tests += example.matches("[[tenant.test]]").count();
    }
    assert!(policies > 15 && tests > 15, "{policies} examples with {tests} tests");
}

#[test]
fn every_rule_is_explained() {
    let page = page();
    let mut keys = BTreeSet::new();
    collect(&serde_json::to_value(Policy::default()).unwrap(), "", &mut keys);
    for key in keys {
        assert!(page.contains(&format!("`{key}`")) || page.contains(&format!("`{key} = ")), "{key} is not explained");
    }
}

fn collect(value: &Value, prefix: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(table) if !table.is_empty() => {
            for (key, value) in table {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                collect(value, &path, keys);
            }
        }
        _ => drop(keys.insert(prefix.to_owned())),
    }
}

#[test]
fn a_test_that_does_not_hold_names_tenant_test_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let test = |example: &str| format!("{HEAD}[[tenant.test]]\nname = 'a developer'\n{example}\n");
    let ann = "user = { userName = 'ann' }";
    for (example, words) in [
        (
            format!("{ann}\nexpect = {{ username = 'bob' }}"),
            "expect.username: \"bob\" is expected, and \"ann\" comes out",
        ),
        (format!("{ann}\nexpect = {{ usrname = 'ann' }}"), "usrname"),
        (ann.to_owned(), "says nothing"),
        (format!("{ann}\ngrups = []\nexpect = {{ active = true }}"), "tenant.0.test.0.grups"),
    ] {
        let (code, err) = check(folder.path(), &test(&example));
        assert_eq!(code, Some(3), "{example}: {err}");
        assert!(err.contains(words), "{example}: {err}");
        let named = err.contains("(tenant okta, test \"a developer\")") || err.contains("is not a known key");
        assert!(named && err.contains("tenant.0.test.0"), "{err}");
    }
}

/// Policies that nobody may write, with the line of the mistake, the key and some words of the reason.
#[test]
fn a_policy_that_cannot_work_is_refused_with_the_line_the_key_and_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let head = HEAD.matches('\n').count();
    for (policy, line, key, words) in [
        ("[tenant.policy.groups]\ninclude = ['^a', '(b']\n", 2, "policy.groups.include.1", "regular expression"),
        ("[tenant.policy.groups]\nrename = [{ pattern = '^(a)$', with = '$2' }]\n", 2, "policy.groups.rename", "$2"),
        (
            "[tenant.policy.account]\n\nusername = '{{ userName | lowr }}'\n",
            3,
            "policy.account.username",
            "no filter \"lowr\"",
        ),
        (
            "[tenant.policy.account]\nemail = \"\"\"{% if title %}\n{{ x | upr }}\n{% endif %}\"\"\"\n",
            2,
            "policy.account.email",
            "\"upr\" (line 2)",
        ),
        (
            "[tenant.policy.account]\nusername = \"{{ userName | regex_replace('(', '') }}\"\n",
            2,
            "policy.account.username",
            "fails whoever the user is",
        ),
        (
            "[tenant.policy.account.fields]\nlast-name = '{{ name.familyName'\n",
            2,
            "policy.account.fields.last-name",
            "not understood",
        ),
        (
            "[tenant.policy.account]\nusername = \"{{ userName | lookup('hr') }}\"\n",
            2,
            "policy.account.username",
            "there is no table \"hr\"",
        ),
        ("[tenant.policy.protect]\nusers = ['^svc-', '.*']\n", 2, "policy.protect.users", "fits everybody"),
        ("[tenant.policy.protect]\ngroups = ['']\n", 2, "policy.protect.groups", "fits everybody"),
        ("[tenant.policy.unmatched_accounts]\nonly = '['\n", 2, "policy.unmatched_accounts.only", "regular expression"),
        ("[tenant.policy]\nadopt = 'maybe'\n", 2, "policy.adopt", "maybe"),
        ("[tenant.policy]\nadpot = 'off'\n", 2, "policy.adpot", "adopt"),
        ("[tenant.policy.groups]\nmode = 'manual'\n", 1, "policy.groups.table", "manual"),
        ("[tenant.policy.brake]\nwindow = 'soon'\n", 2, "policy.brake.window", "soon"),
    ] {
        let (code, err) = check(folder.path(), &format!("{HEAD}{policy}"));
        assert_eq!(code, Some(3), "{policy}");
        let place = format!("jira-scim.toml, line {})", head + line);
        assert!(err.starts_with(&format!("tenant.0.{key} (in ")), "{policy}: {err}");
        assert!(err.contains(&place) && err.contains(words), "{policy}: {place} {words}: {err}");
        assert_eq!(err.trim().lines().count(), 1, "{err}");
    }
}
