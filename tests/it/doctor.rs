//! `jira-scim doctor` against each sandbox, and against those that are ill.

use std::path::Path;
use std::process::{Command, Stdio};

use jira_scim::sandbox::{
    AlignOptions, AlignSandbox, CloudSandbox, CloudSandboxOptions, NewAccount, Sandbox, SandboxOptions,
};
use serde_json::Value;

/// Exit code, standard output and standard error.
async fn doctor(config: &str, arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let config = format!("[database]\ndata_dir = '{data}'\n{config}");
    std::fs::write(folder.path().join("jira-scim.toml"), config).unwrap();
    said(command(folder.path(), arguments)).await
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jira-scim"));
    command.arg("doctor").args(arguments).current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JIRA_SCIM__")) {
        command.env_remove(name);
    }
    command
}

async fn said(mut command: Command) -> (i32, String, String) {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn target(name: &str, kind: &str, url: &str, token: &str) -> String {
    format!("[[target]]\nname = '{name}'\nkind = '{kind}'\nurl = '{url}'\ntoken = '{token}'\ntimeout = '2s'\n")
}

fn cloud(sandbox: &CloudSandbox) -> String {
    let site = target("cloud", "cloud", sandbox.base_url(), sandbox.token());
    format!("{site}user = '{}'\n", sandbox.admin())
}

fn organization(sandbox: &CloudSandbox, id: &str) -> String {
    let origin = format!("http://{}", sandbox.address());
    format!("api_url = '{origin}'\n[target.organization]\nid = '{id}'\nkey = '{}'\n", sandbox.organization_key())
}

#[tokio::test]
async fn a_data_center_that_is_well_tells_what_it_can_do_and_exits_with_0() {
    let sandbox = Sandbox::start(SandboxOptions::default().with_seats(5)).await.unwrap();
    let (code, out, err) = doctor(&target("jira", "data-center", sandbox.base_url(), sandbox.token()), &[]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    for words in ["jira (data-center)", "10.3.24", "svc-scim", "jira-software"] {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert!(!out.contains("PROBLEM"), "{out}");
}

#[tokio::test]
async fn a_cloud_with_its_organization_can_do_what_a_site_alone_cannot() {
    let sandbox = CloudSandbox::start(CloudSandboxOptions::default()).await.unwrap();
    let alone = doctor(&cloud(&sandbox), &["--json"]).await;
    assert_eq!(alone.0, 0, "{alone:?}");
    let told: Value = serde_json::from_str(&alone.1).unwrap();
    let findings = told[0]["findings"].to_string();
    assert!(findings.contains("suspend") && findings.contains("organi"), "{findings}");
    let id = sandbox.look(|world| world.org_id.clone());
    let (code, out, err) = doctor(&format!("{}{}", cloud(&sandbox), organization(&sandbox, &id)), &[]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(!out.contains("PROBLEM"), "{out}");
}

#[tokio::test]
async fn an_align_whose_records_nobody_can_find_is_told() {
    // ALIGN-14
    let sandbox = AlignSandbox::start(AlignOptions::default()).await.unwrap();
    let (code, out, err) = doctor(&target("align", "align", sandbox.base_url(), sandbox.token()), &[]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("align (align)") && !out.contains("PROBLEM"), "{out}");
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_4_and_the_others_are_told_all_the_same() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let down = Sandbox::start(SandboxOptions::default()).await.unwrap();
    down.stop().await.unwrap();
    let config = target("well", "data-center", sandbox.base_url(), sandbox.token())
        + &target("down", "data-center", down.base_url(), "t");
    let (code, out, err) = doctor(&config, &[]).await;
    assert_eq!((code, err.as_str()), (4, "cannot work with down"), "{out}");
    assert!(out.contains("10.3.24") && out.contains("PROBLEM: The target does not answer as it should."), "{out}");
    assert_eq!(doctor(&config, &["--target", "well"]).await.0, 0);
    let (code, _, err) = doctor(&config, &["--target", "nowhere"]).await;
    assert_eq!((code, err.as_str()), (1, "there is no target nowhere"));
}

#[tokio::test]
async fn a_credential_that_is_not_accepted_is_4_with_what_to_do() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let wrong = target("jira", "data-center", sandbox.base_url(), "wrong");
    let (code, out, _) = doctor(&wrong, &[]).await;
    assert_eq!(code, 4, "{out}");
    assert!(out.contains("credential") && !out.contains("wrong"), "{out}");
    sandbox.add_account(&NewAccount::named("ole.dahl")).unwrap();
    let token = sandbox.issue_token("ole.dahl").unwrap();
    let (code, out, _) = doctor(&target("jira", "data-center", sandbox.base_url(), &token), &[]).await;
    assert!(code == 1 || code == 4, "{code}: {out}");
    assert!(out.contains("PROBLEM") && out.contains("administ"), "{out}");
}

#[tokio::test]
async fn credentials_that_end_and_policies_that_do_not_fit_are_warnings() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let tomorrow = (chrono::Utc::now() + chrono::TimeDelta::hours(30)).format("%FT%TZ");
    let config = format!(
        "{}token_expires = '{tomorrow}'\n[[tenant]]\nslug = 'okta'\ntarget = 'jira'\n\
         policy = {{ deprovision = {{ off_switch = 'suspend' }} }}\n",
        target("jira", "data-center", sandbox.base_url(), sandbox.token())
    );
    let (code, out, _) = doctor(&config, &[]).await;
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("WARNING: The token expires on") && out.contains("in 1 days"), "{out}");
    assert!(out.contains("WARNING: Tenant okta: deprovision.off_switch is for Cloud"), "{out}");
}

#[tokio::test]
async fn what_jira_refused_is_told_where_the_store_can_be_read() {
    // DC-33
    let world = crate::world::World::new().await;
    let person = NewAccount::named("ann");
    world.jira.add_read_only_account(&person).unwrap();
    world.user_like(serde_json::json!({"userName": "ann", "displayName": "Ann from the directory"})).await;
    world.writer.drain().await.unwrap();
    let url = &world.db.url;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[database]\nurl = '{url}'\n{}",
        target("jira", "data-center", world.jira.base_url(), world.jira.token())
    );
    std::fs::write(folder.path().join("jira-scim.toml"), config).unwrap();
    let (code, out, err) = said(command(folder.path(), &[])).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("ann (account): ") && out.contains("read-only"), "{out}");
}
