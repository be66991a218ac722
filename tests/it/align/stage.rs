//! What stories with a Jira Align are played on: the real router, the writer, and the sandbox behind tenant `acme`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jira_scim::jira::{Align, AlignOptions as Settings, ClientOptions, Credential};
use jira_scim::sandbox::{AlignOptions, AlignSandbox};
use serde_json::{Value, json};

use crate::http_app::{Answer, App};

pub(super) const LOOK: &str = "GET /Users";
pub(super) const CREATE: &str = "POST /Users";
pub(super) const CHANGE: &str = "PATCH /Users/{id}";
pub(super) const BACK: &str = "GET /Users/{id}";

/// The daemon, and the Jira Align behind tenant `acme`.
pub(super) struct Stage {
    pub(super) app: App,
    pub(super) jira: AlignSandbox,
    told: AtomicUsize,
}

impl Stage {
    pub(super) async fn set() -> Self {
        Self::like(AlignOptions::default(), policy(), |_| ()).await
    }

    pub(super) async fn like(options: AlignOptions, policy: Value, settings: impl FnOnce(&mut Settings)) -> Self {
        let jira = AlignSandbox::start(options).await.unwrap();
        let timeout = Duration::from_millis(1500);
        let credential = Credential::Bearer(jira.token().to_owned());
        let mut client = ClientOptions::new(jira.base_url().parse().unwrap(), credential);
        client.timeout = timeout;
        let mut made = Settings::new(client);
        settings(&mut made);
        let app = App::before(Arc::new(Align::new(made).unwrap()), policy, timeout).await;
        Self { app, jira, told: AtomicUsize::new(0) }
    }

    /// The calls since the last time, without the looks at the token's owner, which belong to no request: the daemon asks
    /// who it is before its first call and after each pause.
    pub(super) fn told(&self) -> Vec<String> {
        let journal = self.jira.journal();
        let told = self.told.swap(journal.len(), Ordering::SeqCst);
        let own = format!("/Users/{}", self.jira.owner());
        journal.iter().skip(told).filter(|entry| !entry.path.ends_with(&own)).map(|entry| entry.operation()).collect()
    }

    /// Exactly these calls were made since the last time.
    #[track_caller]
    pub(super) fn cost(&self, calls: &[&str]) {
        assert_eq!(self.told(), calls);
    }

    /// Creates a person, whatever it costs; answers the path.
    pub(super) async fn hire(&self, name: &str) -> String {
        let path = format!("/Users/{}", self.app.post("/Users", person(name)).await.is(201).id());
        self.told();
        path
    }

    /// Everything that is due within a few minutes happens.
    pub(super) async fn pass(&self) {
        for _ in 0..3 {
            self.jira.release_late();
            self.app.later(120).await;
        }
        assert_eq!(self.app.open().await, 0, "subjects are open");
    }

    pub(super) async fn set_active(&self, path: &str, active: bool) -> Answer {
        self.app.patch(path, json!([{"op": "replace", "path": "active", "value": active}])).await
    }

    pub(super) fn is_active(&self, external_id: &str) -> bool {
        self.jira.user(external_id).unwrap().is_active()
    }
}

/// Where everybody is in Lund, and the rest is the same for all.
pub(super) fn policy() -> Value {
    json!({"account": {"fields": {
        "roleId": "95", "costCenterId": "1", "divisionId": "65", "regionId": "17", "cityId": "32"}}})
}

pub(super) fn person(name: &str) -> Value {
    json!({"userName": name, "externalId": format!("e-{name}"), "displayName": format!("{name} Lund"),
           "name": {"givenName": name, "familyName": "Lund"}, "title": "Engineer",
           "emails": [{"value": format!("{name}@example.test"), "primary": true}], "active": true})
}
