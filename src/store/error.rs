//! What can go wrong in the store, sorted by what the caller does about it.

use uuid::Uuid;

/// The one error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, or the server is going down: try again later (503 to a client).
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The statement took longer than it may.
    #[error("the database took longer than a statement may")]
    TimedOut(#[source] sqlx::Error),
    /// A row holds something that the program does not understand.
    #[error("table {table}, column {column}, row {row}: not understood")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's id.
        row: Uuid,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The database was migrated by a later version of the program.
    #[error("the database's schema (migration {0}) is newer than this program; run a newer jira-scim")]
    NewerSchema(i64),
    /// The migrations could not be applied.
    #[error("the database could not be migrated")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// Anything else.
    #[error("the database refused a statement")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// Sorts what the migrator said.
    pub fn from_migration(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::VersionMissing(version) => Self::NewerSchema(version),
            sqlx::migrate::MigrateError::Execute(source) => source.into(),
            other => Self::Migration(other),
        }
    }

    /// A deadlock or a serialization failure: the same transaction may well succeed now.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(e)) => matches!(e.code().as_deref(), Some("40P01" | "40001")),
            _ => false,
        }
    }

    /// The name of the violated constraint, where that is what went wrong.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Database(sqlx::Error::Database(e)) => e.constraint(),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Protocol(_) => {
                Self::Unavailable(error)
            }
            E::Database(e) => match e.code().as_deref() {
                // Statement cancelled by statement_timeout; lock not granted in lock_timeout.
                Some("57014" | "55P03") => Self::TimedOut(error),
                // Shutting down, crash recovery, too many connections, connection failures, read-only standby, disk full.
                Some(code) if code.starts_with("57P") || code.starts_with("08") || code.starts_with("53") => {
                    Self::Unavailable(error)
                }
                Some("25006" | "3D000" | "28000" | "28P01") => Self::Unavailable(error),
                _ => Self::Database(error),
            },
            _ => Self::Database(error),
        }
    }
}

/// Turns the violation of a named constraint into an error of the caller's.
pub trait OnConstraint<T> {
    /// Calls `f` where the constraint `name` was violated.
    fn on_constraint<E: From<StoreError>>(self, name: &str, f: impl FnOnce() -> E) -> Result<T, E>;
}

impl<T> OnConstraint<T> for Result<T, StoreError> {
    fn on_constraint<E: From<StoreError>>(self, name: &str, f: impl FnOnce() -> E) -> Result<T, E> {
        self.map_err(|e| if e.constraint() == Some(name) { f() } else { e.into() })
    }
}
