//! A small world for stories: a fresh database, a sandbox Jira, the directory and a writer whose workers do not run by
//! themselves: a test says when. Ends with a look at the journal: a violation of Jira's rules fails the test.

use std::sync::Arc;
use std::time::Duration;

use jira_scim::directory::{Accepted, Caller, Directory};
use jira_scim::jira::{self, ClientOptions, Credential};
use jira_scim::lifecycle::Lifecycle;
use jira_scim::sandbox::{Sandbox, SandboxOptions};
use jira_scim::scim::Types;
use jira_scim::store::Store;
use jira_scim::store::tenant::{self, Mode, NewTenant, Origin, Tenant, TenantChange};
use jira_scim::telemetry::Metrics;
use jira_scim::writer::outcome::Patience;
use jira_scim::writer::pace::PaceOptions;
use jira_scim::writer::{Settled, TargetOptions, Writer, WriterOptions};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::postgres::{TestDb, fresh_database};

/// The name of the one target.
pub const TARGET: &str = "jira";

/// See the module.
pub struct World {
    pub db: TestDb,
    pub store: Store,
    pub jira: Sandbox,
    pub directory: Directory,
    pub writer: Writer,
    pub tenant: Arc<Tenant>,
    pub life: Lifecycle,
}

/// What a world is made of.
pub struct Make {
    pub settle: Duration,
    pub timeout: Duration,
    pub lease: Duration,
    pub policy: Value,
    pub mode: Mode,
}

impl Default for Make {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(20),
            timeout: Duration::from_secs(5),
            lease: Duration::from_secs(60),
            policy: json!({}),
            mode: Mode::Enforce,
        }
    }
}

impl World {
    pub async fn new() -> Self {
        Self::make(Make::default()).await
    }

    pub async fn with_policy(policy: Value) -> Self {
        Self::make(Make { policy, ..Make::default() }).await
    }

    pub async fn make(make: Make) -> Self {
        Self::over(make, SandboxOptions { applications: vec![], ..SandboxOptions::default() }).await
    }

    /// Over another Jira than the plainest.
    pub async fn over(make: Make, options: SandboxOptions) -> Self {
        let db = fresh_database().await;
        let pool = db.pool().await;
        let store = Store::from_pool(pool.clone());
        let jira = Sandbox::start(options).await.unwrap();
        let new =
            NewTenant { slug: "acme".into(), target: TARGET.into(), mode: make.mode, policy: make.policy.clone() };
        let tenant = tenant::create(&mut pool.acquire().await.unwrap(), Uuid::now_v7(), &new, origin()).await.unwrap();
        let life = Lifecycle::new();
        let writer = writer(&store, &jira, &life, &make);
        let directory = Directory::new(store.clone());
        Self { db, store, jira, directory, writer, tenant: Arc::new(tenant), life }
    }

    /// Another writer on the same database and Jira, as another replica would have.
    pub fn another_writer(&self) -> Writer {
        writer(&self.store, &self.jira, &self.life, &Make::default())
    }

    pub fn pool(&self) -> &PgPool {
        self.store.pool()
    }

    /// A caller whose requests settle.
    pub fn caller(&self) -> Caller {
        self.caller_of(&self.tenant, Some(self.writer.settle_lease()))
    }

    /// A caller whose requests are only accepted.
    pub fn caller_in_a_hurry(&self) -> Caller {
        self.caller_of(&self.tenant, None)
    }

    pub fn caller_of(&self, tenant: &Arc<Tenant>, settles: Option<Duration>) -> Caller {
        Caller {
            tenant: Arc::clone(tenant),
            types: Types::built_in(),
            refuses_unknown_members: false,
            groups: Default::default(),
            actor: "test".into(),
            request_id: Uuid::now_v7(),
            remote: None,
            records_bodies: true,
            priority: 0,
            settles,
        }
    }

    /// A second tenant on the same Jira.
    pub async fn other_tenant(&self, slug: &str) -> Arc<Tenant> {
        let new = NewTenant { slug: slug.into(), target: TARGET.into(), mode: Mode::Enforce, policy: json!({}) };
        let mut conn = self.pool().acquire().await.unwrap();
        Arc::new(tenant::create(&mut conn, Uuid::now_v7(), &new, origin()).await.unwrap())
    }

    /// Changes the tenant, as the command would.
    pub async fn change_tenant(&mut self, change: TenantChange) {
        let mut conn = self.pool().acquire().await.unwrap();
        let tenant = tenant::update(&mut conn, "acme", &change, origin()).await.unwrap();
        drop(conn);
        self.tenant = Arc::new(tenant);
    }

    /// Settles what a change left.
    pub async fn settle<T>(&self, accepted: &Accepted<T>) -> Settled {
        self.writer.settle(&self.tenant, accepted.about, &accepted.nudged).await
    }

    /// Creates a user without settling.
    pub async fn user(&self, name: &str) -> Uuid {
        self.user_like(json!({ "userName": name, "displayName": name })).await
    }

    pub async fn user_like(&self, body: Value) -> Uuid {
        let Value::Object(attrs) = body else { panic!("a user is an object") };
        self.directory.create_user(&self.caller_in_a_hurry(), attrs).await.unwrap().view.id
    }

    /// Creates a group without settling.
    pub async fn group(&self, name: &str, members: &[Uuid]) -> Uuid {
        let Value::Object(attrs) = json!({ "displayName": name }) else { unreachable!() };
        let members =
            members.iter().map(|id| jira_scim::scim::patch::Member { value: id.to_string(), kind: None }).collect();
        self.directory.create_group(&self.caller_in_a_hurry(), attrs, members).await.unwrap().view.id
    }

    /// A PATCH with these operations.
    pub fn patch(operations: Value) -> Value {
        json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations })
    }

    /// How many rows the outbox has.
    pub async fn outbox(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(self.pool()).await.unwrap()
    }

    /// What is on record about a user's account.
    pub async fn record(&self, user: Uuid) -> Value {
        sqlx::query_scalar("SELECT record FROM link WHERE user_id = $1")
            .bind(user)
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    /// Lets time pass for everything that waits for a time.
    pub async fn later(&self, seconds: i64) {
        later(self.pool(), seconds).await;
    }

    /// The writes that Jira saw, as `POST /user`, in order.
    pub fn writes(&self) -> Vec<String> {
        self.jira.journal().iter().filter(|entry| entry.method != "GET").map(|entry| entry.operation()).collect()
    }

    /// How many calls Jira saw.
    pub fn calls(&self) -> usize {
        self.jira.journal().len()
    }

    pub fn groups_of(&self, username: &str) -> Vec<String> {
        let mut groups = self.jira.groups_of(username);
        groups.sort();
        groups
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.life.shutdown();
        if !std::thread::panicking() {
            assert_eq!(self.jira.totals().violations, 0, "a call broke one of Jira's rules");
        }
    }
}

/// Lets time pass for everything that waits for a time: back-offs, second looks, daily retries, pauses, leases.
pub async fn later(pool: &PgPool, seconds: i64) {
    for statement in [
        "UPDATE outbox SET due_at = due_at - make_interval(secs => $1), lease_until = lease_until - make_interval(secs => $1),
            first_failure = first_failure - make_interval(secs => $1)",
        "UPDATE link SET look_at = look_at - make_interval(secs => $1)",
        "UPDATE override SET until = until - make_interval(secs => $1)",
        "UPDATE brake SET counts_since = counts_since - make_interval(secs => $1)",
        "UPDATE brake_grant SET at = at - make_interval(secs => $1), until = until - make_interval(secs => $1)",
        "UPDATE alert SET at = at - make_interval(secs => $1), due_at = due_at - make_interval(secs => $1)",
        "UPDATE run SET due_at = due_at - make_interval(secs => $1), requested = requested - make_interval(secs => $1),
            lease_until = lease_until - make_interval(secs => $1)",
        "UPDATE target_state SET paused_until = paused_until - make_interval(secs => $1),
            probed_at = probed_at - make_interval(secs => $1)",
    ] {
        sqlx::query(statement).bind(seconds as f64).execute(pool).await.unwrap();
    }
    // The states' own times are inside documents.
    sqlx::query(
        "UPDATE link SET record = jsonb_set(record, '{steps}', (
            SELECT jsonb_object_agg(key, CASE WHEN value ? 'retry_at'
                THEN jsonb_set(value, '{retry_at}', to_jsonb((value ->> 'retry_at')::timestamptz - make_interval(secs => $1)))
                ELSE value END)
            FROM jsonb_each(record -> 'steps'))) WHERE record ? 'steps'",
    )
    .bind(seconds as f64)
    .execute(pool)
    .await
    .unwrap();
    sqlx::query(
        "UPDATE jira_membership SET step = jsonb_set(step, '{retry_at}',
            to_jsonb((step ->> 'retry_at')::timestamptz - make_interval(secs => $1))) WHERE step ? 'retry_at'",
    )
    .bind(seconds as f64)
    .execute(pool)
    .await
    .unwrap();
}

/// Whoever changes tenants here.
pub fn origin() -> Origin<'static> {
    Origin { actor: "test", request_id: Uuid::nil(), at: chrono::Utc::now() }
}

fn writer(store: &Store, jira: &Sandbox, life: &Lifecycle, make: &Make) -> Writer {
    let Make { settle, timeout, lease, .. } = *make;
    let url = url::Url::parse(jira.base_url()).unwrap();
    let mut options = ClientOptions::new(url, Credential::Bearer(jira.token().to_owned()));
    options.timeout = timeout;
    let target = TargetOptions {
        name: TARGET.into(),
        target: jira::target(jira::Options::DataCenter(jira::DataCenterOptions::new(options))).unwrap(),
        pace: PaceOptions { concurrency: 4, per_second: 0.0 },
        timeout,
        late: Duration::from_secs(60),
        expiries: Vec::new(),
    };
    let options = WriterOptions {
        settle,
        workers: 16,
        lease,
        poll: Duration::from_millis(50),
        patience: Patience { max_backoff: Duration::from_secs(300), give_up_after: Duration::from_secs(3600) },
        probe_every: Duration::from_secs(3600),
        email_fallback: "users.invalid".into(),
    };
    Writer::new(store.clone(), vec![target], options, life.clone(), Metrics::new().unwrap())
}
