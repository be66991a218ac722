//! `jira-scim tenant` and `jira-scim token` as a person runs them.

use std::path::Path;
use std::process::{Command, Stdio};

use jira_scim::store::token;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::postgres::{TestDb, empty_database};

/// A folder with a configuration, and a database that no daemon has seen.
struct Shell {
    folder: TempDir,
    database: TestDb,
}

impl Shell {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = "[server]\npublic_url = 'https://scim.example/base'\n\
                    [[target]]\nname = 'jira'\nurl = 'http://jira.example'\ntoken = 't'\n\
                    [[target]]\nname = 'other'\nurl = 'http://other.example'\ntoken = 't'\n";
        std::fs::write(folder.path().join("jira-scim.toml"), file).unwrap();
        Self { folder, database: empty_database().await }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Exit code, standard output and standard error of a command.
    async fn run(&self, line: &str) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jira-scim"));
        command.args(line.split_whitespace()).current_dir(self.folder.path() as &Path).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JIRA_SCIM")) {
            command.env_remove(name);
        }
        command.env("JIRA_SCIM__DATABASE__URL", &self.database.url).env("USER", "anna").env_remove("SUDO_USER");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// What a command that must succeed printed.
    async fn ok(&self, line: &str) -> String {
        let (code, out, err) = self.run(line).await;
        assert_eq!(code, 0, "{line}: {out}\n{err}");
        out
    }

    async fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{line} --json")).await).unwrap()
    }

    /// What a command that must fail said.
    async fn refused(&self, line: &str) -> String {
        let (code, out, err) = self.run(line).await;
        assert_eq!((code, out.as_str()), (1, ""), "{line}: {err}");
        err
    }
}

#[tokio::test]
async fn a_tenant_is_made_shown_changed_and_deleted() {
    let shell = Shell::new().await;
    assert_eq!(shell.ok("tenant list").await, "there are no tenants");
    shell.write("policy.toml", "adopt = 'off'\n[groups]\ndefault_groups = ['jira-users']\n");
    let made = shell.ok("tenant create acme --target jira --policy-file policy.toml --mode observe").await;
    assert!(made.contains("https://scim.example/base/scim/acme/v2"), "{made}");
    let shown = shell.json("tenant show acme").await;
    assert_eq!(shown["mode"], "observe");
    assert_eq!(shown["policy"], json!({ "adopt": "off", "groups": { "default_groups": ["jira-users"] } }));
    assert_eq!((&shown["users"], &shown["groups"], &shown["declared"]), (&json!(0), &json!(0), &json!(false)));
    let shown = shell.ok("tenant show acme").await;
    assert!(shown.contains("target    jira") && shown.contains("\"jira-users\""), "{shown}");

    shell.write("policy.json", r#"{"adopt":"link"}"#);
    let changed = shell.json("tenant update acme --mode enforce --target other --policy-file policy.json").await;
    assert_eq!((&changed["mode"], &changed["target"]), (&json!("enforce"), &json!("other")));
    assert_eq!((&changed["policyVersion"], &changed["policy"]), (&json!(2), &json!({ "adopt": "link" })));
    let listed = shell.ok("tenant list").await;
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1], ["acme", "other", "enforce", "2", "command"]);

    assert!(shell.refused("tenant delete acme").await.contains("--yes"));
    assert_eq!(shell.json("tenant list").await.as_array().unwrap().len(), 1);
    shell.ok("tenant delete acme --yes").await;
    assert!(shell.refused("tenant show acme").await.contains("there is no tenant acme"));
    let pool = shell.database.pool().await;
    let actors: Vec<(String, String)> =
        sqlx::query_as("SELECT actor, action FROM audit ORDER BY at").fetch_all(&pool).await.unwrap();
    let expected = ["tenant.create", "tenant.update", "tenant.delete"].map(|a| ("cli:anna".to_owned(), a.to_owned()));
    assert_eq!(actors, expected);
}

#[tokio::test]
async fn a_tenant_that_could_not_work_is_not_made() {
    let shell = Shell::new().await;
    shell.write("policy.toml", "adpot = 'off'\n");
    shell.write("broken.json", "{");
    for (line, said) in [
        ("tenant create Acme --target jira", "cannot be a tenant's name"),
        ("tenant create a_b --target jira", "cannot be a tenant's name"),
        ("tenant create acme --target jra", "it has: jira, other"),
        ("tenant create acme --target jira --policy-file policy.toml", "adpot"),
        ("tenant create acme --target jira --policy-file broken.json", "broken.json is not JSON"),
        ("tenant create acme --target jira --policy-file none.toml", "cannot read none.toml"),
        ("tenant update acme --mode observe", "there is no tenant acme"),
    ] {
        let err = shell.refused(line).await;
        assert!(err.contains(said), "{line}: {err}");
    }
    for line in ["tenant create acme", "tenant update acme", "tenant create acme --target jira --mode off"] {
        assert_eq!(shell.run(line).await.0, 2, "{line}");
    }
    assert_eq!(shell.json("tenant list").await, json!([]));
    shell.ok("tenant create acme --target jira").await;
    assert!(shell.refused("tenant create acme --target jira").await.contains("there is a tenant acme already"));
}

#[tokio::test]
async fn a_token_is_shown_once_and_opens_the_tenant_until_it_is_revoked() {
    let shell = Shell::new().await;
    shell.ok("tenant create acme --target jira").await;
    let said = shell.ok("token create acme --label okta").await;
    let text = said.split("Authorization: Bearer ").nth(1).unwrap();
    assert!(text.starts_with("jst_") && text.len() == 47, "{said}");
    let pool = shell.database.pool().await;
    let opens = |text: &str| {
        let (pool, hash) = (pool.clone(), token::hash(text));
        async move { token::authenticate(&pool, "acme", &hash).await.unwrap().is_some() }
    };
    assert!(opens(text).await);
    let second = shell.json("token create acme --label entra --expires 90d").await;
    assert!(opens(second["token"].as_str().unwrap()).await);
    assert!(second["expires"].is_string());

    let listed = shell.ok("token list acme").await;
    assert!(listed.contains("okta") && listed.contains("until ") && !listed.contains("jst_"), "{listed}");
    let listed = shell.json("token list acme").await;
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(listed[0].get("token").is_none() && listed[0].get("hash").is_none());

    shell.ok("token revoke acme okta").await;
    shell.ok(&format!("token revoke acme {}", second["id"].as_str().unwrap())).await;
    assert!(!opens(text).await);
    assert!(shell.refused("token revoke acme okta").await.contains("there is no live token okta"));
    assert!(shell.refused("token create nobody --label x").await.contains("there is no tenant nobody"));
    assert!(shell.refused("token create acme --label x --expires 0s").await.contains("no time"));
    assert_eq!(shell.run("token create acme --label x --expires soon").await.0, 2);
}
