//! More of the world, for tests of the drive: what an IdP asks for, what is on record, and a hand on the lease.

use std::time::Duration;

use jira_scim::directory::Precondition;
use jira_scim::sandbox::{JournalEntry, NewAccount};
use jira_scim::store::StoreError;
use jira_scim::store::outbox::Subject;
use jira_scim::writer::{Driven, Writer};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::world::World;

/// Nothing in these tests takes this long unless it is broken.
const BROKEN: Duration = Duration::from_secs(30);

/// Waits for something that has to happen.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(BROKEN, what).await.unwrap()
}

/// A drive that runs beside the test.
pub type Background = JoinHandle<Result<Driven, StoreError>>;

/// Drives a subject beside the test.
pub fn in_background(writer: &Writer, tenant: Uuid, subject: Subject) -> Background {
    let writer = writer.clone();
    tokio::spawn(async move { writer.drive(tenant, subject, Uuid::new_v4()).await })
}

impl World {
    /// Drives a user beside the test.
    pub fn driving(&self, user: Uuid) -> Background {
        in_background(&self.writer, self.tenant.id, Subject::User(user))
    }

    /// Drives a user beside the test, under a lease that a request got.
    pub fn driving_with(&self, user: Uuid, token: Uuid) -> Background {
        let (writer, tenant) = (self.writer.clone(), self.tenant.id);
        tokio::spawn(async move { writer.drive(tenant, Subject::User(user), token).await })
    }

    /// Drives a user until nothing can be done now.
    pub async fn drive(&self, user: Uuid) -> Driven {
        self.writer.drive(self.tenant.id, Subject::User(user), Uuid::new_v4()).await.unwrap()
    }

    /// Waits until Jira has seen a call.
    pub async fn seen(&self, operation: &str) {
        soon(self.jira.until_call(|call| call.operation() == operation)).await;
    }

    /// Lets time pass and drives what is due.
    pub async fn drain_after(&self, seconds: i64) {
        self.later(seconds).await;
        soon(self.writer.drain()).await.unwrap();
    }

    /// Sets attributes of a user without settling.
    pub async fn set(&self, user: Uuid, attributes: Value) {
        let patch = World::patch(json!([{ "op": "replace", "value": attributes }]));
        let caller = self.caller_in_a_hurry();
        self.directory.patch_user(&caller, &user.to_string(), patch, &Precondition::None).await.unwrap();
    }

    /// Deletes a user without settling.
    pub async fn delete(&self, user: Uuid) {
        let caller = self.caller_in_a_hurry();
        self.directory.delete_user(&caller, &user.to_string(), &Precondition::None).await.unwrap();
    }

    /// Deletes a group without settling.
    pub async fn delete_group(&self, group: Uuid) {
        let caller = self.caller_in_a_hurry();
        self.directory.delete_group(&caller, &group.to_string(), &Precondition::None).await.unwrap();
    }

    /// Puts a user or group into a group, or takes it out, without settling.
    pub async fn member(&self, group: Uuid, member: Uuid, joins: bool) {
        let op = if joins { "add" } else { "remove" };
        let patch = json!([{ "op": op, "path": "members", "value": [{ "value": member.to_string() }] }]);
        let caller = self.caller_in_a_hurry();
        let patch = World::patch(patch);
        self.directory.patch_group(&caller, &group.to_string(), patch, &Precondition::None).await.unwrap();
    }

    /// An account that somebody made by hand.
    pub fn account_by_hand(&self, name: &str) -> String {
        self.jira.add_account(&NewAccount::named(name)).unwrap()
    }

    /// One number from the database.
    pub async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(self.pool()).await.unwrap()
    }

    /// A statement of the test's own.
    pub async fn sql(&self, statement: &'static str) {
        sqlx::query(statement).execute(self.pool()).await.unwrap();
    }

    /// Somebody else takes every lease.
    pub async fn steal(&self) {
        self.sql("UPDATE outbox SET lease_token = gen_random_uuid(), lease_until = now() + interval '1 minute'").await;
    }

    /// How many deliveries there are.
    pub async fn deliveries(&self) -> i64 {
        self.number("SELECT count(*) FROM delivery").await
    }

    /// The state of a step of a user's account.
    pub async fn account_step(&self, user: Uuid, step: &str) -> Value {
        self.record(user).await["steps"][step].clone()
    }

    /// The state of the step of a user's pair with a Jira group.
    pub async fn pair_step(&self, user: Uuid, group_key: &str) -> Value {
        let step: Option<Option<Value>> =
            sqlx::query_scalar("SELECT step FROM jira_membership WHERE user_id = $1 AND group_key = $2")
                .bind(user)
                .bind(group_key)
                .fetch_optional(self.pool())
                .await
                .unwrap();
        step.flatten().unwrap_or(Value::Null)
    }

    /// How often Jira saw an operation.
    pub fn count(&self, operation: &str) -> usize {
        self.jira.journal().iter().filter(|call| call.operation() == operation).count()
    }

    /// Whether a person may log in.
    pub fn is_active(&self, username: &str) -> bool {
        self.jira.account(username).is_some_and(|account| account.active)
    }
}

/// The name in the body of a create.
pub fn created(call: &JournalEntry) -> Option<String> {
    (call.operation() == "POST /user").then(|| call.json()["name"].as_str().unwrap_or_default().to_owned())
}
