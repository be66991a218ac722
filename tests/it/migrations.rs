//! The migrations: what they are written like, and what happens when they are applied.

use std::collections::BTreeSet;
use std::path::Path;

use jira_scim::store::{MIGRATOR, Store, StoreError};
use sqlx::PgPool;

use crate::postgres::{empty_database, fresh_database};

/// The lines of each migration.
fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

async fn tables(pool: &PgPool) -> BTreeSet<String> {
    sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
        .fetch_all(pool)
        .await
        .unwrap()
        .into_iter()
        .collect()
}

#[test]
fn migrations_are_numbered_without_gaps() {
    for (n, (name, _)) in files().iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}_", n + 1)) && name.ends_with(".sql"), "{name}");
    }
    assert_eq!(files().len(), MIGRATOR.migrations.len());
}

#[test]
fn every_constraint_has_a_chosen_name() {
    for (name, text) in files() {
        for line in text.lines().filter(|line| !line.trim_start().starts_with("--")) {
            let constrains = [" PRIMARY KEY", " UNIQUE (", " CHECK (", " REFERENCES ", " FOREIGN KEY", " EXCLUDE "];
            if constrains.iter().any(|word| line.contains(word)) {
                assert!(line.contains("CONSTRAINT ") && line.contains(" CONSTRAINT "), "{name}: {line}");
            }
        }
    }
}

#[test]
fn every_table_says_what_it_is_for() {
    for (name, text) in files() {
        let mut before = "";
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if line.starts_with("CREATE TABLE") {
                assert!(before.starts_with("--") || before.starts_with("CREATE TABLE"), "{name}: {line}");
            }
            before = line;
        }
    }
}

#[tokio::test]
async fn tenant_data_has_the_tenant_first_in_its_key() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    let other: Vec<String> = sqlx::query_scalar(
        "SELECT c.conrelid::regclass::text FROM pg_constraint c
         JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attname = 'tenant_id'
         WHERE c.contype = 'p' AND c.conkey[1] <> a.attnum ORDER BY 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    // Claims are shared by the tenants of one target, which is what they are for.
    assert_eq!(other, ["claim"]);
}

#[tokio::test]
async fn they_apply_in_sequence_to_an_empty_database_and_again_change_nothing() {
    let db = empty_database().await;
    let pool = db.pool().await;
    let store = Store::from_pool(pool.clone());
    assert_eq!(tables(&pool).await, BTreeSet::new());
    store.migrate().await.unwrap();
    let made = tables(&pool).await;
    for table in ["tenant", "token", "scim_user", "scim_group", "outbox", "link", "audit", "delivery"] {
        assert!(made.contains(table), "{table}");
    }
    store.migrate().await.unwrap();
    assert_eq!(tables(&pool).await, made);
}

#[tokio::test]
async fn replicas_that_start_together_migrate_once() {
    let db = empty_database().await;
    let pool = db.pool().await;
    let store = Store::from_pool(pool.clone());
    let (a, b, c) = tokio::join!(store.migrate(), store.migrate(), store.migrate());
    a.and(b).and(c).unwrap();
    let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations").fetch_one(&pool).await.unwrap();
    assert_eq!(applied as usize, MIGRATOR.migrations.len());
}

#[tokio::test]
async fn a_schema_of_a_later_version_is_refused() {
    let db = fresh_database().await;
    let pool = db.pool().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', true, '\\x00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    let refused = Store::from_pool(pool).migrate().await;
    assert!(matches!(refused, Err(StoreError::NewerSchema(9999))), "{refused:?}");
}
