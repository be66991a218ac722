//! `jira-scim sync` as a person runs it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::Org;
use super::slapd::{ADMIN, BASE, PASSWORD, dn, group, person};

/// The command, with its configuration in this folder.
pub(super) fn command(org: &Org, folder: &Path, line: &str, more: &str) -> Command {
    let (jira, token) = (org.world.jira.base_url(), org.world.jira.token());
    std::fs::write(folder.join("password"), PASSWORD).unwrap();
    let file = format!(
        "[[target]]\nname = 'jira'\nurl = '{jira}'\ntoken = '{token}'\n\
         [[source]]\nname = 'corp'\ntenant = 'acme'\npreset = 'openldap'\nurls = ['{}']\nbase_dn = '{BASE}'\n\
         bind_dn = '{ADMIN}'\nbind_password_file = '{}'\n{more}",
        org.slapd.url(),
        folder.join("password").display(),
    );
    std::fs::write(folder.join("jira-scim.toml"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jira-scim"));
    command.args(line.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JIRA_SCIM")) {
        command.env_remove(name);
    }
    command.env("JIRA_SCIM__DATABASE__URL", &org.world.db.url).env("USER", "anna").env_remove("SUDO_USER");
    command
}

/// Exit code, standard output and standard error.
async fn run(org: &Org, line: &str) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(org, folder.path(), line, "every = '1h'\n");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_source_is_tested_planned_run_and_told_about() {
    let org = Org::with(&(person("ann") + &person("bob") + &group("crew", &[dn("ann")]))).await;
    let (code, out, err) = run(&org, "sync test corp").await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("2 people, 1 groups with 1 members") && out.contains("\"userName\": \"ann\""), "{out}");
    let (code, out, _) = run(&org, "sync test corp --json").await;
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["people"], &json["shown"][0]["active"]), (0, &json!(2), &json!(true)));
    assert_eq!(org.people().await.len(), 0, "a test brings nobody in");

    let (code, out, err) = run(&org, "sync plan corp").await;
    assert_eq!(code, 5, "{out}\n{err}");
    assert!(out.contains("create user ann") && out.contains("members group crew: 1 join, 0 leave"), "{out}");
    let (code, out, _) = run(&org, "sync plan corp --json").await;
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["lines"].as_array().unwrap().len()), (5, 4), "{out}");
    assert_eq!(json["summary"]["people"]["create"], 2);

    let (code, out, err) = run(&org, "sync run corp").await;
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("done: 2 people (2 new, 0 changed, 0 gone, 0 skipped)"), "{out}");
    assert!(out.contains("4 of 4 done"), "{out}");
    let (code, out, _) = run(&org, "sync plan corp").await;
    assert!(code == 0 && out.starts_with("changes only: "), "{out}");
    let (code, out, _) = run(&org, "sync plan corp --full").await;
    assert!(code == 0 && out.ends_with("(everything was read: it was asked for)"), "{out}");
    let (code, out, err) = run(&org, "sync run corp --user ann --json").await;
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &json["counters"]["people"]["same"], &json["actor"]),
        (0, &json!(1), &json!("cli:anna")),
        "{err}"
    );

    let (code, out, err) = run(&org, "sync status corp").await;
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("corp: feeds tenant acme since ") && out.contains("cli:anna"), "{out}");
    assert!(out.contains("next read at ") && out.contains(": changes only; everything in 24 reads"), "{out}");
    assert!(out.contains(" full ") && out.contains(" person "), "{out}");
    let (code, out, _) = run(&org, "sync status corp --json").await;
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["runs"].as_array().unwrap().len()), (0, 2));
    assert_eq!((&json["source"]["name"], &json["next"]["extent"]), (&json!("corp"), &json!("changes")));
    assert_eq!(json["runs"][1]["counters"]["extent"], "full");
}

#[tokio::test]
async fn what_is_wrong_is_said_and_is_exit_code_one() {
    let mut org = Org::with(&person("ann")).await;
    let (code, _, err) = run(&org, "sync test nowhere").await;
    assert!(code == 1 && err.contains("there is no source nowhere"), "{err}");
    org.slapd.kill();
    for line in ["sync test corp", "sync plan corp", "sync run corp"] {
        let (code, _, err) = run(&org, line).await;
        assert!(code == 1 && err.contains("cannot be reached"), "{line}: {err}");
    }
    let (code, out, _) = run(&org, "sync status corp").await;
    assert!(code == 0 && out.contains("failed"), "{out}");
    org.world.user("eve").await;
    sqlx::query("DELETE FROM source").execute(org.world.pool()).await.unwrap();
    let (code, _, err) = run(&org, "sync plan corp").await;
    assert!(code == 1 && err.contains("take_over"), "{err}");
}
