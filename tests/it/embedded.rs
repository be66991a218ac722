//! The private PostgreSQL: it comes up, survives kills, and leaves nothing behind.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use jira_scim::embedded::{Embedded, EmbeddedError, EmbeddedOptions};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

/// Waits for something that another process does; the only thing these tests can do.
async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !done().await {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn connect(server: &Embedded) -> Result<PgConnection, sqlx::Error> {
    server.url().parse::<PgConnectOptions>().unwrap().connect().await
}

async fn answer(connection: &mut PgConnection, sql: &'static str) -> i32 {
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

pub fn kept_in(home: &Path) -> EmbeddedOptions {
    EmbeddedOptions { data_dir: home.join("data"), bin_dir: None, throwaway: false }
}

/// A folder that the server's unprivileged user can enter, also when the tests run as root.
pub fn home() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let parent = EmbeddedOptions::throwaway().data_dir.parent().unwrap().to_path_buf();
    let home = tempfile::Builder::new().prefix("jira-scim-test-").tempdir_in(parent).unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    home
}

#[tokio::test]
async fn what_was_written_is_there_after_a_stop_and_a_start() {
    let home = home();
    let server = Embedded::start(kept_in(home.path())).await.unwrap();
    let mut connection = connect(&server).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").execute(&mut connection).await.unwrap();
    server.stop().await;
    let server = Embedded::start(kept_in(home.path())).await.unwrap();
    let mut connection = connect(&server).await.unwrap();
    assert_eq!(answer(&mut connection, "SELECT n FROM kept").await, 7);
    server.stop().await;
}

#[tokio::test]
async fn no_network_port_is_opened() {
    let server = Embedded::start(EmbeddedOptions::throwaway()).await.unwrap();
    let mut connection = connect(&server).await.unwrap();
    let addresses: String = sqlx::query_scalar("SHOW listen_addresses").fetch_one(&mut connection).await.unwrap();
    assert_eq!(addresses, "");
    server.stop().await;
}

#[tokio::test]
async fn a_killed_postmaster_with_busy_backends_is_replaced() {
    let home = home();
    let server = Embedded::start(kept_in(home.path())).await.unwrap();
    let before = server.pid().unwrap();
    let mut busy = connect(&server).await.unwrap();
    // A loop in the backend that never looks whether its postmaster lives.
    let work = tokio::spawn(async move {
        sqlx::query("SELECT count(*) FROM generate_series(1, 2000000000)").execute(&mut busy).await.map(drop)
    });
    let mut second = connect(&server).await.unwrap();
    eventually("the long query", async || {
        answer(&mut second, "SELECT count(*)::int FROM pg_stat_activity WHERE query LIKE '%generate_series(1, 2%' AND pid <> pg_backend_pid()").await == 1
    })
    .await;
    server.kill9();
    eventually("the replacement", async || {
        server.pid().is_some_and(|pid| pid != before) && connect(&server).await.is_ok()
    })
    .await;
    assert!(work.await.unwrap().is_err());
    server.stop().await;
}

#[tokio::test]
async fn a_second_daemon_on_one_data_directory_is_refused() {
    let home = home();
    let server = Embedded::start(kept_in(home.path())).await.unwrap();
    let error = Embedded::start(kept_in(home.path())).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::InUse { .. }), "{error}");
    assert!(connect(&server).await.is_ok());
    // A command beside the daemon uses the daemon's server.
    let data_dir = home.path().join("data");
    assert_eq!(Embedded::url_of_running(&data_dir), Some(server.url()));
    server.stop().await;
    assert_eq!(Embedded::url_of_running(&data_dir), None);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_orphan_of_a_killed_daemon_is_stopped_by_its_data_directory() {
    let home = home();
    let server = Embedded::start(kept_in(home.path())).await.unwrap();
    let mut connection = connect(&server).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").execute(&mut connection).await.unwrap();
    drop(connection);
    server.stop().await;
    // An orphan as a system without a parent-death signal leaves it: a live postmaster that nobody watches.
    let cluster = home.path().join("data/postgres");
    let mut orphan = orphan(&cluster, &home.path().join("data/run"));
    eventually("the orphan", async || {
        std::fs::read_to_string(cluster.join("postmaster.pid")).is_ok_and(|text| text.contains("ready"))
    })
    .await;
    // It is our child, so we have to collect it, which its real parent (init) would do.
    let collected = std::thread::spawn(move || orphan.wait().unwrap());
    let server = Embedded::start(kept_in(home.path())).await.unwrap();
    collected.join().unwrap();
    assert_eq!(answer(&mut connect(&server).await.unwrap(), "SELECT n FROM kept").await, 7);
    server.stop().await;
}

#[cfg(target_os = "linux")]
fn orphan(cluster: &Path, socket_dir: &Path) -> std::process::Child {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let running = Embedded::start_blocking(&EmbeddedOptions::throwaway()).unwrap();
    let program = std::fs::read_link(format!("/proc/{}/exe", running.pid().unwrap())).unwrap();
    drop(running);
    let mut command = Command::new(program);
    command.arg("-D").arg(cluster).args(["-c", "listen_addresses=", "-c"]);
    command.arg(format!("unix_socket_directories={}", socket_dir.display())).current_dir("/");
    command.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let data = cluster.metadata().unwrap();
    if data.uid() != 0 && home().path().metadata().unwrap().uid() == 0 {
        command.uid(data.uid()).gid(data.gid());
    }
    command.spawn().unwrap()
}

#[tokio::test]
async fn a_number_that_now_belongs_to_somebody_else_does_not_block_the_start() {
    let home = home();
    Embedded::start(kept_in(home.path())).await.unwrap().stop().await;
    let stale = home.path().join("data/postgres/postmaster.pid");
    std::fs::write(&stale, format!("{}\n", std::process::id())).unwrap();
    let server = Embedded::start(kept_in(home.path())).await.unwrap();
    assert!(connect(&server).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_throw_away_server_takes_its_folder_with_it() {
    let options = EmbeddedOptions::throwaway();
    let folder = options.data_dir.clone();
    let server = Embedded::start(options).await.unwrap();
    assert!(folder.exists());
    server.stop().await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_long_path_puts_the_socket_elsewhere() {
    let home = home();
    let deep = home.path().join("x".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let server = Embedded::start(kept_in(&deep)).await.unwrap();
    let socket_dir = server.socket_dir().to_path_buf();
    assert!(!socket_dir.starts_with(home.path()));
    assert!(connect(&server).await.is_ok());
    server.stop().await;
    assert!(!socket_dir.exists());
}

#[tokio::test]
async fn each_test_has_a_migrated_database_of_its_own() {
    let (one, other) = tokio::join!(crate::postgres::fresh_database(), crate::postgres::fresh_database());
    assert_ne!(one.url, other.url);
    for db in [one, other] {
        let tenants: i64 = sqlx::query_scalar("SELECT count(*) FROM tenant").fetch_one(&db.pool().await).await.unwrap();
        assert_eq!(tenants, 0);
    }
    let empty = crate::postgres::empty_database().await;
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&empty.pool().await).await.unwrap();
    assert_eq!(tables, 0);
}
