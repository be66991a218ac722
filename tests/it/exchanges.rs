//! What identity providers put on the wire, as files: `tests/exchanges/{client}/*.json`, each played through the real
//! router against a sandbox Jira.
//!
//! A file is one exchange or a short sequence, with the quirks that it cites (`docs/idp/quirks.md`). `given` sets the
//! scene; each step is a request as the client sends it, and what must come of it: the status, what the answer holds and
//! lacks, and the calls that Jira saw. At the end the store, as it is named, has to be exactly so, and Jira has to agree
//! with the store. A list in the place of a step is sent at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::http::{HeaderName, Method};
use jira_scim::http::HttpOptions;
use jira_scim::sandbox::{Sandbox, SandboxOptions};
use jira_scim::store::tenant::Mode;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use self::file::{Client, OneOrMore, Play, Settings, Step, client_of, files, name_of, read};
use self::judge::{Names, filled, fits, judge, named};
use super::agreement::assert_agreement;
use super::http_app::{self, Answer, App, Make};
use super::postgres::fresh_database;

pub mod file;
mod judge;

/// Calls by which the daemon finds out who it is, whenever that is; no request costs them.
const PROBE: [&str; 5] = ["/status", "/myself", "/serverInfo", "/mypermissions", "/groups/picker"];

/// How many are played at once: each waits for its database and its Jira most of the time.
const AT_ONCE: usize = 6;

#[test]
fn each_exchange_ends_as_it_says() {
    // To work on one client or file: `EXCHANGES=okta/import cargo test ...`.
    let only = std::env::var("EXCHANGES").unwrap_or_default();
    let files: Vec<PathBuf> = files().into_iter().filter(|file| name_of(file).starts_with(&only)).collect();
    assert!(!only.is_empty() || files.len() > 150, "the exchanges are not where they should be");
    let lanes = AT_ONCE.min(files.len());
    let left = Mutex::new(files);
    let failed = Mutex::new(Vec::new());
    // Threads, so that one file that panics does not end the others.
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                let database = alone(fresh_database());
                while let Some(file) = { left.lock().unwrap().pop() } {
                    let name = name_of(&file);
                    let play = || alone(play(&file, &database.url));
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(play)).is_err() {
                        failed.lock().unwrap().push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Runs it on this thread; what it spawned ends with it.
fn alone<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn play(file: &Path, database: &str) {
    let name = name_of(file);
    let (play, client): (Play, Client) = (read(file), client_of(file));
    let jira = Sandbox::start(SandboxOptions { applications: vec![], ..SandboxOptions::default() }).await.unwrap();
    let mut stage = Stage::set(&play, client, jira, database).await;
    for (position, step) in play.steps.iter().enumerate() {
        stage.perform(&format!("{name}, step {}", position + 1), step).await;
    }
    stage.ends(&name, &play).await;
}

/// A daemon with its Jira, and what is known by name.
struct Stage {
    client: Client,
    app: App,
    jira: Sandbox,
    /// Ids, and the credentials: `{{ann}}`, `{{token}}`.
    names: Names,
}

impl Stage {
    /// On a database that an earlier play may have used: an emptied one costs a tenth of a new one.
    async fn set(play: &Play, client: Client, jira: Sandbox, database: &str) -> Self {
        empty(database).await;
        let app = App::on(database, make(play), Some(&jira)).await;
        let mut names = Names::from([("token".to_owned(), app.token.clone())]);
        names.insert("basic".to_owned(), http_app::basic(&app.store, "connector").await);
        for slug in &play.neighbours {
            names.insert(format!("token of {slug}"), http_app::tenant(&app.store, slug).await);
        }
        for given in &play.given {
            let answer = app.post(&given.path, filled(&given.body, &names)).await.is(201);
            names.insert(given.id.clone(), answer.id());
        }
        app.writer.drain().await.unwrap();
        Self { client, app, jira, names }
    }

    async fn perform(&mut self, place: &str, step: &OneOrMore) {
        let before = self.jira.journal().len();
        if step.steps().iter().any(|step| step.enforce) {
            http_app::enforce(&self.app.store).await;
            self.app.writer.drain().await.unwrap();
        }
        for fault in step.steps().iter().filter_map(|step| step.jira_does.as_deref()) {
            self.jira.inject(fault.parse().unwrap());
        }
        let copies = step.steps().iter().flat_map(|step| (1..=step.copies).map(move |n| (step, n)));
        let asked: Vec<(&Step, Names)> = copies.map(|(step, n)| (step, self.names_of_copy(n))).collect();
        let answers = futures_util::future::join_all(asked.iter().map(|(step, names)| self.ask(step, names))).await;
        self.jira.clear_faults();
        let faulty = step.steps().iter().any(|step| step.jira_does.is_some());
        match step.steps().iter().filter_map(|step| step.later).max() {
            Some(seconds) => self.app.later(seconds).await,
            // What a fault left to do is due after a pause, whose end a slow machine may or may not reach here.
            None if faulty => {}
            None => drop(self.app.writer.drain().await.unwrap()),
        }
        for ((step, names), answer) in asked.iter().zip(answers) {
            judge(&format!("{place}, {}", step.request), step, &answer, names);
            if let Some(name) = &step.id {
                self.names.insert(name.clone(), answer.id());
            }
            for (name, pointer) in &step.remember {
                let text = answer.body.pointer(pointer).and_then(Value::as_str);
                self.names.insert(name.clone(), text.unwrap_or_else(|| panic!("{place}: no {pointer}")).to_owned());
            }
        }
        let mut calls: Vec<String> = self.jira.journal()[before..]
            .iter()
            .filter(|call| !PROBE.contains(&call.route.as_str()) && !call.path.contains("administrators&"))
            .map(|call| call.operation())
            .collect();
        let mut expected: Vec<String> = asked.iter().flat_map(|(step, _)| step.jira.clone()).collect();
        calls.sort();
        expected.sort();
        assert_eq!(calls, expected, "{place}: Jira's calls");
    }

    fn names_of_copy(&self, n: u64) -> Names {
        let mut names = self.names.clone();
        names.insert("n".to_owned(), n.to_string());
        names
    }

    async fn ask(&self, step: &Step, names: &Names) -> Answer {
        let (method, path) = step.request.split_once(' ').unwrap();
        let slug = step.tenant.as_deref().unwrap_or("acme");
        let version = step.version.as_deref().unwrap_or(&self.client.version);
        let path = format!("/scim/{slug}/{version}{}", named(path, names));
        let mut ask = self.app.raw(Method::from_bytes(method.as_bytes()).unwrap(), &path);
        for (header, value) in self.headers(step) {
            ask = ask.named_header(HeaderName::from_bytes(header.as_bytes()).unwrap(), &named(value, names));
        }
        if let Some(body) = &step.body {
            ask = ask.body(filled(body, names).to_string());
        }
        if let Some(text) = &step.raw {
            ask = ask.body(named(text, names));
        }
        let asked = Instant::now();
        let answer = ask.send().await;
        if let Some(most) = step.within_ms {
            let took = asked.elapsed();
            assert!(took < Duration::from_millis(most), "{}: took {took:?}", step.request);
        }
        answer
    }

    /// The step's, and the client's usual ones where the step does not say otherwise.
    fn headers<'a>(&'a self, step: &'a Step) -> BTreeMap<&'a str, &'a str> {
        let has_a_body = step.body.is_some() || step.raw.is_some();
        let client = &self.client;
        let mut headers = BTreeMap::from([("authorization", client.authorization.as_str())]);
        headers.extend(client.always.iter().map(|(header, value)| (header.as_str(), value.as_str())));
        headers.extend(client.with_a_body.iter().filter(|_| has_a_body).map(|(h, v)| (h.as_str(), v.as_str())));
        for (header, value) in &step.headers {
            match value {
                Some(value) => headers.insert(header, value),
                None => headers.remove(header.as_str()),
            };
        }
        headers
    }

    async fn ends(&self, name: &str, play: &Play) {
        let pool = self.app.store.pool();
        let found = users(&self.app).await;
        assert_eq!(found.keys().collect::<Vec<_>>(), play.users.keys().collect::<Vec<_>>(), "{name}: users");
        for (user, found) in found {
            let expected = filled(&play.users[&user], &self.names);
            fits(&expected, &found, false).unwrap_or_else(|why| panic!("{name}: {user}{why} in {found}"));
        }
        assert_eq!(groups(&self.app).await, play.groups, "{name}: groups");
        for secret in &play.nowhere {
            let rows: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM (SELECT scim_user::text AS row FROM scim_user UNION ALL SELECT audit::text FROM audit
                    UNION ALL SELECT delivery::text FROM delivery UNION ALL SELECT outbox::text FROM outbox) AS all_rows
                 WHERE position($1 IN row) > 0",
            )
            .bind(secret)
            .fetch_one(pool)
            .await
            .unwrap();
            assert_eq!(rows, 0, "{name}: {secret} is in the store");
        }
        let enforced = play.steps.iter().flat_map(OneOrMore::steps).any(|step| step.enforce);
        if play.settings.mode.is_none() || enforced {
            assert_agreement(pool, &self.jira, &[]).await;
        }
        assert_eq!((self.app.open().await, self.jira.totals().violations), (0, 0), "{name}: open, broken rules");
    }
}

fn make(play: &Play) -> Make {
    let Settings { mode, settle_ms, timeout_ms, body, page_max, requests_per_second, burst } = &play.settings;
    let usual = Make::default();
    let ms = |given: &Option<u64>, usual: Duration| given.map_or(usual, Duration::from_millis);
    Make {
        options: HttpOptions {
            body: body.unwrap_or(usual.options.body),
            page_max: page_max.unwrap_or(usual.options.page_max),
            requests_per_second: requests_per_second.unwrap_or(usual.options.requests_per_second),
            burst: burst.unwrap_or(usual.options.burst),
            ..usual.options
        },
        policy: if play.policy.is_null() { json!({}) } else { play.policy.clone() },
        mode: mode.as_deref().map_or(Mode::Enforce, |word| {
            assert_eq!(word, "observe");
            Mode::Observe
        }),
        settle: ms(settle_ms, usual.settle),
        timeout: ms(timeout_ms, usual.timeout),
        ..usual
    }
}

/// Rows are deleted, because there are few: to truncate means new files for every table and index.
async fn empty(database: &str) {
    let deletions = "SELECT string_agg(format('DELETE FROM %I', relname), ';' ORDER BY refers DESC)
        FROM (SELECT relname, EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid AND contype = 'f') AS refers
              FROM pg_class c WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
                AND NOT relispartition AND relname NOT LIKE '\\_sqlx%') AS tables";
    let mut connection = PgConnection::connect(database).await.unwrap();
    let deletions: String = sqlx::query_scalar(deletions).fetch_one(&mut connection).await.unwrap();
    connection.execute(AssertSqlSafe(deletions)).await.unwrap();
    connection.close().await.unwrap();
}

/// The living users, by userName.
async fn users(app: &App) -> BTreeMap<String, Value> {
    let rows: Vec<(Value,)> = sqlx::query_as("SELECT attrs FROM scim_user WHERE deleted_at IS NULL")
        .fetch_all(app.store.pool())
        .await
        .unwrap();
    rows.into_iter().map(|(attrs,)| (attrs["userName"].as_str().unwrap().to_owned(), attrs)).collect()
}

/// The living groups, by displayName, with their members by userName or displayName.
async fn groups(app: &App) -> BTreeMap<String, Vec<String>> {
    let rows: Vec<(String, Vec<String>)> = sqlx::query_as(
        "SELECT g.attrs ->> 'displayName', ARRAY(
            SELECT coalesce(u.attrs ->> 'userName', n.attrs ->> 'displayName') FROM group_member m
            LEFT JOIN scim_user u ON u.tenant_id = m.tenant_id AND u.id = m.member_id AND u.deleted_at IS NULL
            LEFT JOIN scim_group n ON n.tenant_id = m.tenant_id AND n.id = m.member_id AND n.deleted_at IS NULL
            WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id AND coalesce(u.id, n.id) IS NOT NULL ORDER BY 1)
         FROM scim_group g WHERE g.deleted_at IS NULL",
    )
    .fetch_all(app.store.pool())
    .await
    .unwrap();
    rows.into_iter().collect()
}
