//! What identity providers put on the wire, as files: `tests/exchanges/{client}/*.json`, each played through the real
//! router against a sandbox Jira.
//!
//! A file is one exchange or a short sequence, with the quirks that it cites. `given` sets the scene; each step is a
//! request as the client sends it, and what must come of it: the status, what the answer holds and lacks, and the calls
//! that Jira saw. At the end the store, as it is named, has to be exactly so, and Jira has to agree with the store.
//! A list in the place of a step is sent at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use axum::http::{HeaderName, Method};
use futures_util::StreamExt;
use jira_scim::sandbox::{Sandbox, SandboxOptions};
use serde::Deserialize;
use serde_json::{Value, json};

use super::agreement::assert_agreement;
use super::http_app::{Answer, App, Make};

/// Calls by which the daemon finds out who it is, whenever that is; no request costs them.
const PROBE: [&str; 5] = ["/status", "/myself", "/serverInfo", "/mypermissions", "/groups/picker"];

/// The headers that a client sends by habit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    cites: Vec<String>,
    /// On each request.
    #[serde(default)]
    always: BTreeMap<String, String>,
    /// On requests with a body.
    #[serde(default)]
    with_a_body: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Play {
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    cites: Vec<String>,
    /// Resources that are there before, by the name that stands for their id.
    #[serde(default)]
    given: Vec<Given>,
    steps: Vec<OneOrMore>,
    /// Every living user by userName, with what must be on record.
    users: BTreeMap<String, Value>,
    /// Every living group by displayName, with its members by userName.
    groups: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    path: String,
    id: String,
    body: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Box<Step>),
    AtOnce(Vec<Step>),
}

impl OneOrMore {
    fn steps(&self) -> &[Step] {
        match self {
            Self::One(step) => std::slice::from_ref(step),
            Self::AtOnce(steps) => steps,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// `PATCH /Users/{{ann}}`, below the base URL of the tenant.
    request: String,
    #[serde(default)]
    cites: Vec<String>,
    /// Beside the client's usual ones; with `authorization` it is the test's token that is not sent.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
    status: u16,
    /// What the answer holds.
    #[serde(default)]
    answer: Value,
    /// JSON pointers to what it does not hold.
    #[serde(default)]
    lacks: Vec<String>,
    /// The name for the id of the answer.
    #[serde(default)]
    id: Option<String>,
    /// The calls that Jira saw, in any order.
    #[serde(default)]
    jira: Vec<String>,
}

#[tokio::test]
async fn each_exchange_ends_as_it_says() {
    let files = files();
    assert!(files.len() > 20, "the exchanges are not where they should be");
    // A few at once, because each waits for its database most of the time.
    let played = futures_util::stream::iter(files).map(|file| async move {
        let name = name_of(&file);
        tokio::task::spawn_local(play(file)).await.is_err().then_some(name)
    });
    let failed = played.buffer_unordered(4).filter_map(std::future::ready).collect::<Vec<String>>();
    let failed = tokio::task::LocalSet::new().run_until(failed).await;
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn every_patch_and_filter_shape_of_the_first_issue_is_played() {
    let mut cited = Vec::new();
    for file in files() {
        let play: Play = read(&file);
        cited.extend(play.cites);
        cited.extend(play.steps.iter().flat_map(OneOrMore::steps).flat_map(|step| step.cites.clone()));
        cited.extend(client_of(&file).cites);
    }
    let patches = (1..=32).map(|n| format!("P-{n}"));
    let filters = (1..=12).map(|n| format!("F-{n}"));
    let missing: Vec<String> = patches.chain(filters).filter(|id| !cited.contains(id)).collect();
    assert!(missing.is_empty(), "no exchange cites {missing:?}");
}

async fn play(file: PathBuf) {
    let name = name_of(&file);
    let (play, client): (Play, Client) = (read(&file), client_of(&file));
    let jira = Sandbox::start(SandboxOptions { applications: vec![], ..SandboxOptions::default() }).await.unwrap();
    let app = App::make(Make::default(), Some(&jira)).await;
    let mut ids = BTreeMap::new();
    for given in &play.given {
        let answer = app.post(&given.path, filled(&given.body, &ids)).await.is(201);
        ids.insert(given.id.clone(), answer.id());
    }
    app.writer.drain().await.unwrap();
    for (position, step) in play.steps.iter().enumerate() {
        let place = format!("{name}, step {}", position + 1);
        let before = jira.journal().len();
        let asked = step.steps().iter().map(|step| ask(&app, &client, step, &ids));
        let answers = futures_util::future::join_all(asked).await;
        app.writer.drain().await.unwrap();
        let mut calls: Vec<String> = jira.journal()[before..]
            .iter()
            .filter(|call| !PROBE.contains(&call.route.as_str()))
            .map(|call| call.operation())
            .collect();
        let mut expected: Vec<String> = step.steps().iter().flat_map(|step| step.jira.clone()).collect();
        for (step, answer) in step.steps().iter().zip(answers) {
            let place = format!("{place}, {}", step.request);
            judge(&place, step, &answer, &ids);
            if let Some(name) = &step.id {
                ids.insert(name.clone(), answer.id());
            }
        }
        calls.sort();
        expected.sort();
        assert_eq!(calls, expected, "{place}: Jira's calls");
    }
    assert_eq!(users(&app).await.keys().collect::<Vec<_>>(), play.users.keys().collect::<Vec<_>>(), "{name}: users");
    for (user, found) in users(&app).await {
        fits(&filled(&play.users[&user], &ids), &found).unwrap_or_else(|why| panic!("{name}: {user}{why} in {found}"));
    }
    assert_eq!(groups(&app).await, play.groups, "{name}: groups");
    assert_agreement(app.store.pool(), &jira, &[]).await;
    let open: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(app.store.pool()).await.unwrap();
    assert_eq!((open, jira.totals().violations), (0, 0), "{name}: open subjects, broken rules");
}

async fn ask(app: &App, client: &Client, step: &Step, ids: &BTreeMap<String, String>) -> Answer {
    let (method, path) = step.request.split_once(' ').unwrap();
    let path = format!("/scim/acme/v2{}", named(path, ids));
    let mut ask = app.raw(Method::from_bytes(method.as_bytes()).unwrap(), &path);
    if !step.headers.contains_key("authorization") {
        ask = ask.token(&app.token);
    }
    let habits = client.always.iter().chain(client.with_a_body.iter().filter(|_| step.body.is_some()));
    for (header, value) in habits.filter(|(header, _)| !step.headers.contains_key(*header)).chain(&step.headers) {
        ask = ask.named_header(HeaderName::from_bytes(header.as_bytes()).unwrap(), value);
    }
    match &step.body {
        Some(body) => ask.body(filled(body, ids).to_string()).send().await,
        None => ask.send().await,
    }
}

fn judge(place: &str, step: &Step, answer: &Answer, ids: &BTreeMap<String, String>) {
    assert_eq!(answer.status, step.status, "{place}: {answer:?}");
    // The answer to a create holds the id that it gives a name to.
    let mut ids = ids.clone();
    if let Some(name) = &step.id {
        ids.insert(name.clone(), answer.id());
    }
    if !step.answer.is_null() {
        let expected = filled(&step.answer, &ids);
        fits(&expected, &answer.body).unwrap_or_else(|why| panic!("{place}: {why} in {}", answer.body));
    }
    for pointer in &step.lacks {
        assert_eq!(answer.body.pointer(pointer), None, "{place}: {pointer} in {}", answer.body);
    }
    if step.status == 201 {
        // GEN-19.
        assert!(answer.header("location").ends_with(&answer.id()), "{place}: {answer:?}");
        assert_eq!(answer.body["meta"]["location"], answer.header("location"), "{place}");
    }
}

/// Whether `found` holds what is expected: members of objects by name, lists of the same length in any order (VAL-8),
/// `"*"` for anything but nothing.
fn fits(expected: &Value, found: &Value) -> Result<(), String> {
    match (expected, found) {
        (Value::String(any), found) if any == "*" => {
            let empty = found.is_null() || found.as_str().is_some_and(str::is_empty);
            if empty { Err(": nothing".to_owned()) } else { Ok(()) }
        }
        (Value::Object(expected), Value::Object(found)) => expected.iter().try_for_each(|(name, value)| {
            let found = found.get(name).ok_or_else(|| format!(".{name} is missing"))?;
            fits(value, found).map_err(|why| format!(".{name}{why}"))
        }),
        (Value::Array(expected), Value::Array(found)) => {
            if expected.len() != found.len() {
                return Err(format!(" has {} entries and not {}", found.len(), expected.len()));
            }
            let mut left: Vec<&Value> = found.iter().collect();
            for value in expected {
                let hit = left.iter().position(|found| fits(value, found).is_ok());
                left.remove(hit.ok_or_else(|| format!(" lacks {value}"))?);
            }
            Ok(())
        }
        (expected, found) if expected == found => Ok(()),
        (expected, found) => Err(format!(" is {found} and not {expected}")),
    }
}

/// The living users, by userName.
async fn users(app: &App) -> BTreeMap<String, Value> {
    let rows: Vec<(Value,)> = sqlx::query_as("SELECT attrs FROM scim_user WHERE deleted_at IS NULL")
        .fetch_all(app.store.pool())
        .await
        .unwrap();
    rows.into_iter().map(|(attrs,)| (attrs["userName"].as_str().unwrap().to_owned(), attrs)).collect()
}

/// The living groups, by displayName, with their members by userName.
async fn groups(app: &App) -> BTreeMap<String, Vec<String>> {
    let rows: Vec<(String, Vec<String>)> = sqlx::query_as(
        "SELECT g.attrs ->> 'displayName', ARRAY(
            SELECT u.attrs ->> 'userName' FROM group_member m
            JOIN scim_user u ON u.tenant_id = m.tenant_id AND u.id = m.member_id
            WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id ORDER BY 1)
         FROM scim_group g WHERE g.deleted_at IS NULL",
    )
    .fetch_all(app.store.pool())
    .await
    .unwrap();
    rows.into_iter().collect()
}

/// `{{ann}}` becomes the id that is known as `ann`, in any string.
fn filled(value: &Value, ids: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => json!(named(text, ids)),
        Value::Array(items) => items.iter().map(|item| filled(item, ids)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), filled(value, ids)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn named(text: &str, ids: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, id) in ids {
        text = text.replace(&format!("{{{{{name}}}}}"), id);
    }
    assert!(!text.contains("{{"), "{text}: no such id is known");
    text
}

fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchanges");
    let mut files: Vec<PathBuf> = listed(&root).iter().flat_map(|client| listed(client)).collect();
    files.retain(|file| file.file_name().is_some_and(|name| name != "client.json"));
    files.sort();
    files
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn client_of(file: &Path) -> Client {
    read(&file.with_file_name("client.json"))
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> T {
    let text = std::fs::read_to_string(file).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", name_of(file)))
}

fn name_of(file: &Path) -> String {
    let client = file.parent().and_then(Path::file_name).unwrap().to_string_lossy();
    format!("{client}/{}", file.file_name().unwrap().to_string_lossy())
}
