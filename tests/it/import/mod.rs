//! Imports: what is in a Jira already becomes known, nothing is written to it, and whoever comes later finds everybody once.

mod live;
mod match_all;
mod purge;
mod resources;
mod resume;
mod stories;
mod vanished;
mod ways_out;

use std::time::Duration;

use jira_scim::sandbox::{NewAccount, Sandbox, SandboxOptions};
use jira_scim::store::run::{self, Kind, Run, State};
use jira_scim::store::tenant;
use jira_scim::writer::import::Counters;
use serde_json::{Value, json};

use crate::http_app::{App, Make};
use crate::world::origin;

/// The extension that says where a user comes from.
pub const ORIGIN: &str = "urn:jira-scim:params:scim:schemas:extension:origin:2.0:User";

/// The daemon, and the Jira Data Center behind tenant `acme`.
struct Stage {
    app: App,
    jira: Sandbox,
}

impl Stage {
    async fn set() -> Self {
        Self::with(json!({}), SandboxOptions::default()).await
    }

    async fn ruled(policy: Value) -> Self {
        Self::with(policy, SandboxOptions::default()).await
    }

    async fn with(policy: Value, options: SandboxOptions) -> Self {
        let jira = Sandbox::start(SandboxOptions { applications: vec![], ..options }).await.unwrap();
        let app = App::make(Make { policy, settle: Duration::from_secs(20), ..Make::default() }, Some(&jira)).await;
        Self { app, jira }
    }

    /// With people and groups that were there before us.
    async fn settled(policy: Value) -> Self {
        let stage = Self::ruled(policy).await;
        for name in ["ann", "bert", "cleo"] {
            stage.jira.add_account(&NewAccount::named(name)).unwrap();
        }
        for (group, members) in [("crew", &["ann", "bert"][..]), ("empty", &[])] {
            stage.jira.add_group(group).unwrap();
            members.iter().for_each(|name| stage.jira.add_member(group, name).unwrap());
        }
        stage
    }

    /// Imports, to the end.
    async fn import(&self) -> Counters {
        imported(&self.app).await
    }

    async fn run(&self, kind: Kind, options: Value) -> Run {
        done(&self.app, kind, options).await
    }

    async fn request(&self, kind: Kind, options: Value) {
        request(&self.app, kind, options).await;
    }

    async fn last(&self, kind: Kind) -> Run {
        last(&self.app, kind).await
    }

    /// The user of that name, as its only match.
    async fn user(&self, name: &str) -> Value {
        let found = self.app.get(&format!("/Users?filter=userName%20eq%20%22{name}%22")).await.is(200);
        assert_eq!(found.body["totalResults"], 1, "{name}: {:?}", found.body);
        found.body["Resources"][0].clone()
    }

    async fn group(&self, name: &str) -> Value {
        let found = self.app.get(&format!("/Groups?filter=displayName%20eq%20%22{name}%22")).await.is(200);
        assert_eq!(found.body["totalResults"], 1, "{name}: {:?}", found.body);
        found.body["Resources"][0].clone()
    }

    async fn id(&self, name: &str) -> String {
        self.user(name).await["id"].as_str().unwrap().to_owned()
    }

    /// The calls that changed something.
    fn writes(&self) -> Vec<String> {
        self.jira.journal().iter().filter(|call| call.method != "GET").map(|call| call.operation()).collect()
    }

    /// Changes an account as an administrator does.
    async fn by_hand(&self, method: reqwest::Method, name: &str, body: &Value) {
        // Another test may have installed it already; either way there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = format!("{}/rest/api/2/user?username={name}", self.jira.base_url());
        let call = reqwest::Client::new().request(method, url).bearer_auth(self.jira.token()).json(body);
        let answer = call.send().await.unwrap();
        assert!(answer.status().is_success(), "{name}: {answer:?}");
    }

    async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(self.app.store.pool()).await.unwrap()
    }
}

/// An import for tenant `acme`, to the end.
pub async fn imported(app: &App) -> Counters {
    let run = done(app, Kind::Import, json!({})).await;
    serde_json::from_value(run.counters).unwrap()
}

async fn done(app: &App, kind: Kind, options: Value) -> Run {
    request(app, kind, options).await;
    app.writer.run_due().await.unwrap();
    let run = last(app, kind).await;
    assert_eq!((run.state, &run.error), (State::Done, &None));
    run
}

async fn request(app: &App, kind: Kind, options: Value) {
    let tenant = tenant::get(app.store.pool(), "acme").await.unwrap().unwrap();
    let mut conn = app.store.pool().acquire().await.unwrap();
    run::request(&mut conn, tenant.id, kind, &options, origin()).await.unwrap().unwrap();
}

async fn last(app: &App, kind: Kind) -> Run {
    let tenant = tenant::get(app.store.pool(), "acme").await.unwrap().unwrap();
    let mut conn = app.store.pool().acquire().await.unwrap();
    run::last(&mut conn, tenant.id, kind).await.unwrap().unwrap()
}
