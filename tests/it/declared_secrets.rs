//! Credentials of tenants that the configuration declares in files: a chosen password, a token, the keys of an issuer; replaced
//! without a restart.

use std::path::Path;
use std::time::Duration;

use axum::http::Method;
use jira_scim::app::credentials;
use jira_scim::app::secrets::Files;
use jira_scim::config::{Config, Sources};
use jira_scim::store::tenant::{self, Mode, NewTenant};
use jira_scim::store::{jwt_issuer, token};
use serde_json::json;
use uuid::Uuid;

use crate::http_app::App;
use crate::http_credentials::basic;
use crate::world::origin;

fn read(folder: &Path, tokens: &str) -> Result<Config, String> {
    let file = folder.join("jira-scim.toml");
    let text = format!(
        "[[target]]\nname = \"jira\"\nkind = \"data-center\"\nurl = \"http://127.0.0.1:1\"\ntoken = \"x\"\n\
         [[tenant]]\nslug = \"corp\"\ntarget = \"jira\"\n{tokens}"
    );
    std::fs::write(&file, text).unwrap();
    let sources = Sources { file: Some(file), environment: Vec::new(), settings: Vec::new() };
    Config::load(&sources).map_err(|problems| problems.to_string())
}

#[test]
fn a_chosen_password_is_for_a_user_name_and_for_nothing_that_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let token = |keys: &str| read(folder.path(), &format!("[[tenant.token]]\nlabel = \"a\"\n{keys}\n"));
    let fine = token("username = \"agent\"\npassword = \"twelve chars\"").unwrap();
    assert!(fine.tenants[0].tokens[0].chosen);
    for (keys, told) in [
        ("password = \"twelve chars\"", "needs a username"),
        ("username = \"a\"\nclient = true\npassword = \"twelve chars\"", "is made, not chosen"),
        (
            "username = \"a\"\npassword = \"twelve chars\"\nvalue = \"0123456789abcdef0123456789abcdef\"",
            "only one of them",
        ),
        ("username = \"a\"", "is missing"),
    ] {
        assert!(token(keys).unwrap_err().contains(told), "{keys}");
    }
    let short = token("username = \"agent\"\npassword = \"short\"").unwrap();
    let problems = jira_scim::cli::check(&short).unwrap_err().to_string();
    assert!(problems.contains("tenant.0.token.0.password") && problems.contains("12 or more"), "{problems}");
}

#[tokio::test]
async fn what_is_written_into_the_file_of_a_credential_holds_without_a_restart() {
    let (app, folder) = (App::new().await, tempfile::tempdir().unwrap());
    let [password, value, keys] = ["password", "value", "keys"].map(|name| folder.path().join(name));
    let bearer = |n: u8| format!("{n}").repeat(40);
    let set = |kid: &str| {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x}]}).to_string()
    };
    std::fs::write(&password, "correct horse\n").unwrap();
    std::fs::write(&value, bearer(1)).unwrap();
    std::fs::write(&keys, set("one")).unwrap();
    let config = read(
        folder.path(),
        &format!(
            "[[tenant.token]]\nlabel = \"agent\"\nusername = \"agent\"\npassword_file = {password:?}\n\
             [[tenant.token]]\nlabel = \"bearer\"\nvalue_file = {value:?}\n\
             [[tenant.jwt]]\nlabel = \"corp\"\nissuer = \"https://idp.example\"\naudience = \"a\"\njwks_file = {keys:?}\n"
        ),
    )
    .unwrap();
    let new = NewTenant { slug: "corp".into(), target: "jira".into(), mode: Mode::Enforce, policy: json!({}) };
    let mut conn = app.store.pool().acquire().await.unwrap();
    let corp = tenant::upsert_declared(&mut conn, Uuid::now_v7(), &new, origin()).await.unwrap();
    for _ in 0..2 {
        credentials::declare(&mut conn, &corp, &config.tenants[0], origin()).await.unwrap();
    }
    drop(conn);
    let tokens = async || token::list(app.store.pool(), corp.id).await.unwrap();
    assert_eq!(tokens().await.len(), 2, "a second start finds the same password");
    let asked = async |authorization: &str| {
        app.raw(Method::GET, "/scim/corp/v2/Users").header("authorization", authorization).send().await.status
    };
    let horse = basic("agent", "correct horse");
    assert_eq!((asked(&horse).await, asked(&format!("Bearer {}", bearer(1))).await), (200, 200));

    let mut files = Files::new(config.tenants.clone());
    assert_eq!(files.follow_once(&app.store).await.unwrap(), 0, "nothing changed");
    std::fs::write(&value, "too short").unwrap();
    assert_eq!(files.follow_once(&app.store).await.unwrap(), 0);
    assert_eq!(
        tokens().await.iter().filter(|token| token.revoked.is_none()).count(),
        2,
        "what cannot be used changes nothing"
    );
    std::fs::write(&value, bearer(22)).unwrap();
    std::fs::write(&password, "battery staple").unwrap();
    std::fs::write(&keys, set("another")).unwrap();
    assert_eq!(files.follow_once(&app.store).await.unwrap(), 1);
    let staple = basic("agent", "battery staple");
    assert_eq!((asked(&staple).await, asked(&format!("Bearer {}", bearer(22))).await), (200, 200));
    let refused = async { while (asked(&horse).await, asked(&format!("Bearer {}", bearer(1))).await) != (401, 401) {} };
    tokio::time::timeout(Duration::from_secs(30), refused).await.unwrap();
    let issuers = jwt_issuer::list(app.store.pool(), corp.id).await.unwrap();
    assert_eq!(issuers[0].jwks.as_ref().unwrap()["keys"][0]["kid"], "another");
    assert_eq!(files.follow_once(&app.store).await.unwrap(), 0);
}
