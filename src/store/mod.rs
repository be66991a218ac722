//! Layer 2: the mapping store, and the only SQL in the program.
//!
//! Free functions over a connection, one statement each, rows mapped to domain types; `Store` holds the pool and knows
//! which failures are worth another try. Nothing here knows HTTP, SCIM's protocol or any Jira. Every query names the
//! tenant first; nothing holds a snapshot for more than `statement_timeout`.

pub mod activity;
pub mod admin_token;
pub mod alert;
pub mod audit;
pub mod brake;
pub mod by_hand;
pub mod delivery;
pub mod drift;
pub mod drive;
mod error;
pub mod explain;
pub mod filter_sql;
pub mod group;
pub mod health;
pub mod import;
pub mod janitor;
pub mod jsonb;
pub mod jwt_issuer;
pub mod last_login;
pub mod link;
pub mod link_by_hand;
pub mod link_list;
pub mod list;
pub mod outbox;
pub mod outbox_view;
pub mod overrides;
pub mod overview;
pub mod people;
pub mod related;
pub mod release;
pub mod removal;
pub mod run;
pub mod scratch;
pub mod seed;
pub mod signing_key;
pub mod source;
pub mod standing;
pub mod target;
pub mod tenant;
pub mod token;
pub mod unmatched;
pub mod user;

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

pub use error::{OnConstraint, StoreError};

/// The migrations, embedded in the binary.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// How to reach the database.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `postgres://user:password@host/database`.
    pub url: String,
    /// The largest number of connections of this process.
    pub max_connections: u32,
    /// How long a request waits for a free connection before it is told that the database is not available.
    pub acquire_timeout: Duration,
    /// How long one statement may run.
    pub statement_timeout: Duration,
}

/// The pool of connections to the mapping store.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// A pool that connects when first used, so that the daemon starts, and recovers, without its database.
    ///
    /// # Errors
    /// The URL cannot be read.
    pub fn lazy(options: &StoreOptions) -> Result<Self, StoreError> {
        let timeout = options.statement_timeout.as_millis().to_string();
        let connect = PgConnectOptions::from_str(&options.url)?.application_name("jira-scim").options([
            // Else every start of a command is told that the table of migrations exists already.
            ("client_min_messages", "warning"),
            ("statement_timeout", timeout.as_str()),
            ("lock_timeout", "3000"),
            ("idle_in_transaction_session_timeout", "10000"),
            ("jit", "off"),
            // Every hot statement is an index look-up by bound values: its plan does not depend on them, but planning the
            // larger ones anew costs more than running them.
            ("plan_cache_mode", "force_generic_plan"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .connect_lazy_with(connect);
        Ok(Self { pool })
    }

    /// Wraps an open pool.
    pub fn from_pool(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The pool itself.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Applies the migrations under the migrator's lock.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] when the database was migrated by a later version of the program.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        MIGRATOR.run(&self.pool).await.map_err(StoreError::from_migration)
    }
}
