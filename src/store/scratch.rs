//! A database that begins empty every time: for the demo and for measuring, on a private PostgreSQL only.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::StoreError;

/// Makes the database anew; whatever it held is gone. `server` is the URL of another database on the same server.
///
/// # Errors
/// The database's, also where the name has anything but lower-case letters and underscores.
pub async fn recreate(server: &str, name: &str) -> Result<(), StoreError> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        return Err(sqlx::Error::Configuration("not a name for a database".into()).into());
    }
    let mut conn = PgConnectOptions::from_str(server)?.connect().await?;
    // The name cannot be bound; it was just looked at.
    conn.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).await?;
    conn.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
    conn.close().await?;
    Ok(())
}

/// Makes the tables that a bare database is measured with: a document with a unique name, and a history.
///
/// # Errors
/// The database's.
pub async fn yardstick(url: &str) -> Result<(), StoreError> {
    let mut conn = PgConnectOptions::from_str(url)?.connect().await?;
    let tables = "CREATE TABLE resource (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text COLLATE \"C\" NOT NULL UNIQUE, doc jsonb NOT NULL
        );
        CREATE TABLE history (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), doc jsonb NOT NULL
        )";
    conn.execute(tables).await?;
    conn.close().await?;
    Ok(())
}
