//! Layer 2: the mapping store, and the only SQL in the program.

/// The migrations, embedded in the binary.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");
