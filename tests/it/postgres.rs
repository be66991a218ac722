//! A fresh database for each test, on one throw-away PostgreSQL a test process.
//!
//! With `DATABASE_URL` the databases are made on that server instead, and dropped again. Nothing is left behind, also
//! when the tests are killed: see `jira_scim::embedded`.

use std::sync::OnceLock;

use jira_scim::embedded::{Embedded, EmbeddedOptions};
use jira_scim::store::MIGRATOR;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgPool};
use uuid::Uuid;

/// A database of one test's own, migrated and empty; dropped with this.
pub struct TestDb {
    /// Its connection URL, for a daemon under test.
    pub url: String,
    name: String,
}

impl TestDb {
    /// Connection options for it.
    pub fn options(&self) -> PgConnectOptions {
        options(&self.url)
    }

    /// A small pool on it.
    pub async fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(5).connect_with(self.options()).await.unwrap()
    }
}

/// Makes a database with every migration applied.
pub async fn fresh_database() -> TestDb {
    let name = format!("t_{}", Uuid::new_v4().simple());
    match server() {
        Server::Throwaway(server) => {
            run(&server.url(), format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await;
            TestDb { url: server.url_of(&name), name }
        }
        // No template there: it would have to be left behind.
        Server::Given(url) => {
            run(url, format!("CREATE DATABASE {name}")).await;
            let db = TestDb { url: url_of(url, &name), name };
            migrate(&db.url).await;
            db
        }
    }
}

/// Makes a database without any table.
pub async fn empty_database() -> TestDb {
    let name = format!("t_{}", Uuid::new_v4().simple());
    let url = match server() {
        Server::Throwaway(server) => server.url(),
        Server::Given(url) => url.clone(),
    };
    run(&url, format!("CREATE DATABASE {name}")).await;
    TestDb { url: url_of(&url, &name), name }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let url = match server() {
            Server::Throwaway(server) => server.url(),
            Server::Given(url) => url.clone(),
        };
        let drop_it = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // Best effort, and from any context: the test may have panicked inside a runtime.
        let _ = std::thread::spawn(move || block_on(async { try_run(&url, drop_it).await.ok() })).join();
    }
}

const TEMPLATE: &str = "jira_scim_template";

enum Server {
    Throwaway(Embedded),
    Given(String),
}

/// Starts the server, and makes the template, with the first test that asks. It is never dropped, as statics are not;
/// it ends with the process.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        if let Ok(url) = std::env::var("DATABASE_URL") {
            return Server::Given(url);
        }
        let make = || {
            let server = Embedded::start_blocking(&EmbeddedOptions::throwaway()).unwrap();
            block_on(async {
                run(&server.url(), format!("CREATE DATABASE {TEMPLATE}")).await;
                migrate(&server.url_of(TEMPLATE)).await;
            });
            Server::Throwaway(server)
        };
        // A thread of its own: the caller may be inside a runtime.
        std::thread::spawn(make).join().unwrap()
    })
}

async fn migrate(url: &str) {
    let mut connection = connect(url).await.unwrap();
    MIGRATOR.run(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn run(url: &str, statement: String) {
    try_run(url, statement).await.unwrap();
}

async fn try_run(url: &str, statement: String) -> Result<(), sqlx::Error> {
    let mut connection = connect(url).await?;
    connection.execute(AssertSqlSafe(statement)).await?;
    connection.close().await
}

async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    options(url).connect().await
}

fn options(url: &str) -> PgConnectOptions {
    url.parse().unwrap()
}

fn url_of(url: &str, database: &str) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_path(database);
    url.into()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
