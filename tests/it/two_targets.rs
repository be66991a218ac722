//! Two Jiras behind one writer, of which one hangs: the people of the other never wait for it.

use std::sync::Arc;
use std::time::Duration;

use jira_scim::directory::{Caller, Directory};
use jira_scim::jira::{self, ClientOptions, Credential, DataCenterOptions};
use jira_scim::lifecycle::Lifecycle;
use jira_scim::sandbox::{Fault, Sandbox, SandboxOptions};
use jira_scim::scim::Types;
use jira_scim::store::Store;
use jira_scim::store::tenant::{self, Mode, NewTenant, Tenant};
use jira_scim::telemetry::Metrics;
use jira_scim::writer::outcome::Patience;
use jira_scim::writer::pace::PaceOptions;
use jira_scim::writer::{Settled, TargetOptions, Writer, WriterOptions};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::drive_world::soon;
use crate::postgres::{TestDb, fresh_database};
use crate::world::origin;

/// Longer than the test waits for anything: what hangs, hangs all the while.
const TIMEOUT: Duration = Duration::from_secs(120);
/// More people than the writer has seats, for each target.
const PEOPLE: usize = 40;

/// Two tenants, each with a Jira of its own.
struct Both {
    _db: TestDb,
    directory: Directory,
    writer: Writer,
    life: Lifecycle,
    jiras: [Sandbox; 2],
    tenants: [Arc<Tenant>; 2],
}

impl Both {
    async fn make() -> Self {
        let db = fresh_database().await;
        let store = Store::from_pool(db.pool().await);
        let options = || SandboxOptions { applications: vec![], ..SandboxOptions::default() };
        let jiras = [Sandbox::start(options()).await.unwrap(), Sandbox::start(options()).await.unwrap()];
        let mut targets = Vec::new();
        let mut tenants = Vec::new();
        for (name, jira) in ["one", "two"].into_iter().zip(&jiras) {
            targets.push(target(name, jira));
            let new = NewTenant { slug: name.into(), target: name.into(), mode: Mode::Enforce, policy: json!({}) };
            let mut conn = store.pool().acquire().await.unwrap();
            tenants.push(Arc::new(tenant::create(&mut conn, Uuid::now_v7(), &new, origin()).await.unwrap()));
        }
        let life = Lifecycle::new();
        let options = WriterOptions {
            settle: Duration::from_secs(20),
            workers: 8,
            lease: TIMEOUT * 2,
            poll: Duration::from_millis(20),
            patience: Patience { max_backoff: Duration::from_secs(300), give_up_after: Duration::from_secs(3600) },
            probe_every: Duration::from_secs(3600),
            email_fallback: "users.invalid".into(),
        };
        let writer = Writer::new(store.clone(), targets, options, life.clone(), Metrics::new().unwrap());
        let tenants = tenants.try_into().unwrap();
        Self { _db: db, directory: Directory::new(store), writer, life, jiras, tenants }
    }

    /// Somebody new at that tenant; answers how it was settled, where it is to be.
    async fn create(&self, tenant: usize, name: &str, settles: bool) -> Option<Settled> {
        let caller = Caller {
            tenant: Arc::clone(&self.tenants[tenant]),
            types: Types::built_in(),
            refuses_unknown_members: false,
            groups: Default::default(),
            actor: "test".into(),
            request_id: Uuid::now_v7(),
            remote: None,
            records_bodies: true,
            priority: 0,
            settles: settles.then(|| self.writer.settle_lease()),
        };
        let Value::Object(attrs) = json!({"userName": name, "displayName": name}) else { unreachable!() };
        let accepted = self.directory.create_user(&caller, attrs).await.unwrap();
        if !settles {
            return None;
        }
        Some(self.writer.settle(&self.tenants[tenant], accepted.about, &accepted.nudged).await)
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        self.life.shutdown();
    }
}

fn target(name: &str, jira: &Sandbox) -> TargetOptions {
    let credential = Credential::Bearer(jira.token().to_owned());
    let mut client = ClientOptions::new(jira.base_url().parse().unwrap(), credential);
    client.timeout = TIMEOUT;
    TargetOptions {
        name: name.into(),
        target: jira::target(jira::Options::DataCenter(DataCenterOptions::new(client))).unwrap(),
        pace: PaceOptions { concurrency: 4, per_second: 0.0 },
        timeout: TIMEOUT,
        late: TIMEOUT * 2,
        expiries: Vec::new(),
    }
}

/// Everybody of the second tenant arrives while the first one's Jira answers nothing.
async fn the_other_is_not_delayed(both: &Both) {
    for number in 0..PEOPLE {
        both.create(0, &format!("a{number}"), false).await;
        both.create(1, &format!("b{number}"), false).await;
    }
    both.writer.start();
    soon(both.jiras[1].until(|world| world.account_count() == PEOPLE + 1)).await;
    // A request that waits for its answer gets it as well.
    let settled = soon(both.create(1, "mara", true)).await.unwrap();
    assert!(matches!(settled, Settled::Applied), "{settled:?}");
    assert!(both.jiras[1].account("mara").is_some());
    assert_eq!(both.jiras[0].accounts().len(), 1, "the first Jira hung all the while");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_whose_writes_hang_delays_no_other() {
    let both = Both::make().await;
    both.jiras[0].inject(Fault::hang().on("POST /user"));
    the_other_is_not_delayed(&both).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_hangs_from_the_first_look_delays_no_other() {
    let both = Both::make().await;
    both.jiras[0].inject(Fault::hang());
    the_other_is_not_delayed(&both).await;
}
