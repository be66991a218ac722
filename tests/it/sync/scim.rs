//! Another SCIM server is read: our own door, in both versions of the protocol.

use base64::Engine as _;
use jira_scim::config::{ScimConfig, ScimId, ScimLogin, ScimMembers, ScimPaging, ScimVersion, Vanished};
use jira_scim::secret::Secret;
use jira_scim::store::run::{Kind, State};
use jira_scim::sync::counters::Tally;
use jira_scim::sync::run::Asked;
use serde_json::json;

use super::scim_world::{Fed, Idp};
use crate::http_app;

/// Every way to read the same.
fn ways(idp: &Idp) -> Vec<ScimConfig> {
    let v2 = idp.config("v2");
    vec![
        ScimConfig { paging: ScimPaging::Index, ..v2.clone() },
        ScimConfig { paging: ScimPaging::Cursor, version: Some(ScimVersion::V2), ..v2.clone() },
        ScimConfig { members: ScimMembers::Each, ..v2 },
        idp.config("v1"),
        ScimConfig { members: ScimMembers::Each, version: Some(ScimVersion::V1), page_size: 1, ..idp.config("v1") },
    ]
}

#[tokio::test]
async fn a_first_read_brings_everybody_and_a_second_changes_nothing_and_calls_nobody() {
    let (idp, ids) = Idp::peopled(8).await;
    let crew = idp.app.get("/Groups").await.is(200).body["Resources"][0]["id"].as_str().unwrap().to_owned();
    idp.app.group("everybody", &[&ids[7], &crew]).await;
    for way in ways(&idp) {
        let told = format!("{way:?}");
        let fed = Fed::by(way).await;
        let counters = fed.all().await;
        assert_eq!(counters.people, Tally { read: 8, create: 8, ..Tally::default() }, "{told}");
        assert_eq!(counters.groups, Tally { read: 2, create: 2, ..Tally::default() }, "{told}");
        assert_eq!((counters.joins, counters.done), (5, 15), "{told}: a group is a member, too");
        let p0 = fed.people().await.remove(0);
        assert_eq!((&p0["externalId"], &p0["displayName"]), (&json!(ids[0]), &json!("Person 0")), "{told}");
        assert_eq!(p0["emails"][0]["value"], "p00@corp.example", "{told}");
        assert_eq!(fed.world.groups_of("p00"), ["crew", "everybody"], "{told}: by the group in it");
        assert!(fed.active("p07"), "{told}");

        let calls = fed.world.calls();
        let counters = fed.all().await;
        assert_eq!((counters.wanted(), counters.people.same), (0, 8), "{told}");
        assert_eq!((fed.world.calls(), fed.world.outbox().await), (calls, 0), "{told}");
    }
}

#[tokio::test]
async fn what_happens_there_happens_in_jira() {
    let (idp, ids) = Idp::peopled(7).await;
    let mut fed = Fed::by(idp.config("v2")).await;
    fed.all().await;
    let before = fed.people().await[1]["id"].clone();
    let replace = |path: &str, value| json!([{ "op": "replace", "path": path, "value": value }]);
    idp.app.patch(&format!("/Users/{}", ids[1]), replace("userName", json!("renamed"))).await.is(200);
    idp.app.patch(&format!("/Users/{}", ids[2]), replace("active", json!(false))).await.is(200);
    idp.app.delete(&format!("/Users/{}", ids[3])).await.is(204);
    let counters = fed.all().await;
    assert_eq!((counters.people.change, counters.people.vanish), (2, 1), "{counters:?}");
    let renamed = fed.people().await.into_iter().find(|person| person["userName"] == "renamed").unwrap();
    assert_eq!(renamed["id"], before, "by the id it is the same person");
    assert_eq!((fed.active("renamed"), fed.active("p02"), fed.active("p03")), (true, false, false));
    assert_eq!(fed.world.groups_of("renamed"), ["crew"]);

    fed.config.vanished = Vanished::Delete;
    idp.app.delete(&format!("/Users/{}", ids[4])).await.is(204);
    assert_eq!(fed.all().await.people.vanish, 2, "who was only switched off is deleted now, too");
    assert_eq!(fed.names().await, ["p00", "p02", "p05", "p06", "renamed"]);
}

#[tokio::test]
async fn one_person_is_read_alone() {
    let (idp, ids) = Idp::peopled(6).await;
    for way in ways(&idp) {
        let told = format!("{way:?}");
        let fed = Fed::by(way).await;
        let one = |name: &str| Asked { user: Some(name.to_owned()), ..Asked::default() };
        let counters = fed.synced(&one("P01")).await;
        assert_eq!((counters.people.read, counters.people.create), (1, 1), "{told}: {counters:?}");
        assert_eq!(fed.names().await, ["p01"], "{told}");
        let (run, _) = fed.work(Kind::Sync, &one("nobody \" or userName pr")).await;
        assert_eq!((run.state, run.error.as_deref()), (State::Failed, Some("The source has nobody of that name.")));
        fed.all().await;
        let counters = fed.synced(&one("p01")).await;
        assert_eq!(counters.wanted(), 0, "{told}: {counters:?}");
    }
    assert_eq!(ids.len(), 6);
}

#[tokio::test]
async fn after_a_complete_read_only_changes_are_asked_for() {
    let (idp, ids) = Idp::peopled(6).await;
    sqlx::query("UPDATE scim_user SET modified = modified - interval '1 day', created = created - interval '1 day'")
        .execute(idp.app.store.pool())
        .await
        .unwrap();
    let fed = Fed::by(idp.config("v2")).await;
    let counters = fed.synced(&Asked::default()).await;
    assert_eq!(counters.people.read, 6);
    // Somebody who came long after the others, so that the margin does not reach back to them.
    idp.app.user("zoe").await;
    fed.synced(&Asked { full: true, ..Asked::default() }).await;
    let title = json!([{ "op": "replace", "path": "title", "value": "Boss" }]);
    idp.app.patch(&format!("/Users/{}", ids[4]), title).await.is(200);
    let counters = fed.synced(&Asked::default()).await;
    assert_eq!((counters.people.read, counters.people.change), (2, 1), "{counters:?}");
    assert_eq!(fed.people().await[4]["title"], "Boss");
    assert!(fed.active("p00"), "who was not asked for has not vanished");
    let counters = fed.synced(&Asked { full: true, ..Asked::default() }).await;
    assert_eq!((counters.people.read, counters.wanted()), (7, 0), "{counters:?}");
}

#[tokio::test]
async fn a_filter_an_id_of_their_own_and_made_attributes_are_what_is_read() {
    let (idp, ids) = Idp::peopled(3).await;
    for (n, id) in ids.iter().enumerate() {
        let given = json!([{ "op": "add", "value": { "externalId": format!("e{n}"), "title": format!("t{n}") } }]);
        idp.app.patch(&format!("/Users/{id}"), given).await.is(200);
    }
    let mut fed = Fed::by(idp.config("v2")).await;
    fed.scim().user_filter = Some("title eq \"t0\" or title eq \"t1\"".to_owned());
    fed.scim().id = ScimId::ExternalId;
    fed.scim().attributes = [("userName", "emails"), ("title", "")].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    fed.config.groups = false;
    fed.all().await;
    let people = fed.people().await;
    assert_eq!(people.len(), 2);
    assert_eq!((&people[0]["userName"], &people[0]["externalId"]), (&json!("p00@corp.example"), &json!("e0")));
    assert_eq!(people[0]["title"], json!(null));
    let one = fed.synced(&Asked { user: Some("p01@corp.example".into()), ..Asked::default() }).await;
    assert_eq!((one.people.read, one.wanted()), (1, 0));
}

#[tokio::test]
async fn a_wrong_credential_is_told_without_it_and_basic_is_a_credential() {
    let (idp, _) = Idp::peopled(2).await;
    let mut fed = Fed::by(idp.config("v2")).await;
    fed.scim().login = Some(ScimLogin::Token(Secret::new("not-the-token")));
    let why = fed.failed().await;
    assert!(why.contains("does not let the bearer of the token in") && !why.contains("not-the-token"), "{why}");
    let basic = base64::engine::general_purpose::STANDARD.decode(http_app::basic(&idp.app.store, "reader").await);
    let basic = String::from_utf8(basic.unwrap()).unwrap();
    let password = basic.split_once(':').unwrap().1;
    fed.scim().login =
        Some(ScimLogin::Password { username: "reader".into(), password: Secret::new(password.to_owned()) });
    assert_eq!(fed.all().await.people.read, 2);
    fed.scim().login = Some(ScimLogin::Password { username: "reader".into(), password: Secret::new("wrong") });
    let why = fed.failed().await;
    assert!(why.contains("does not let reader in") && !why.contains("wrong\""), "{why}");
}

#[tokio::test]
async fn the_commands_know_it_too() {
    let (idp, _) = Idp::peopled(3).await;
    let fed = Fed::by(idp.config("v2")).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), &idp.app.token).unwrap();
    let file = format!(
        "[[target]]\nname = 'jira'\nurl = '{}'\ntoken = '{}'\n[[source]]\nkind = 'scim'\nname = 'corp'\ntenant = 'acme'\n\
         url = '{}'\ntoken_file = '{}'\n",
        fed.world.jira.base_url(),
        fed.world.jira.token(),
        idp.url("v1"),
        folder.path().join("token").display(),
    );
    std::fs::write(folder.path().join("jira-scim.toml"), file).unwrap();
    let run = async |line: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_jira-scim"));
        command.args(line.split_whitespace()).current_dir(folder.path()).stdin(std::process::Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JIRA_SCIM")) {
            command.env_remove(name);
        }
        command.env("JIRA_SCIM__DATABASE__URL", &fed.world.db.url);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = run("sync test corp").await;
    assert!(code == 0 && out.contains("3 people, 1 groups with 3 members"), "{out}\n{err}");
    let (code, out, err) = run("sync plan corp").await;
    assert!(code == 5 && out.contains("create user p00"), "{out}\n{err}");
    let (code, out, err) = run("sync run corp").await;
    assert!(code == 0 && out.contains("7 of 7 done"), "{out}\n{err}");
    let (code, out, err) = run("sync status corp").await;
    assert!(code == 0 && out.contains("feeds tenant acme"), "{out}\n{err}");
}
