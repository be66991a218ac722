//! Whether the database answers and has the schema that this program was written for.

use sqlx::PgPool;

use super::{MIGRATOR, StoreError};

/// How the database's schema compares with this program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// Every migration of this program is applied, and no other.
    Current,
    /// Migrations are missing.
    Behind,
    /// A later version of the program migrated it.
    Newer,
}

/// Asks the database which migrations it has.
///
/// # Errors
/// The store failed.
pub async fn schema_state(pool: &PgPool) -> Result<SchemaState, StoreError> {
    // Not compile-checked: the table is the migrator's own and not part of any migration.
    let applied = sqlx::query_scalar::<_, Option<i64>>("SELECT max(version) FROM _sqlx_migrations WHERE success")
        .fetch_one(pool)
        .await;
    let applied = match applied {
        Ok(version) => version,
        // undefined_table: nothing was ever migrated here.
        Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("42P01") => None,
        Err(e) => return Err(e.into()),
    };
    Ok(match applied.cmp(&MIGRATOR.iter().map(|migration| migration.version).max()) {
        std::cmp::Ordering::Equal => SchemaState::Current,
        std::cmp::Ordering::Less => SchemaState::Behind,
        std::cmp::Ordering::Greater => SchemaState::Newer,
    })
}
