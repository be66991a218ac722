//! How much of the pace that a target allows is used while many people wait: with a rate limit that the target tells in its
//! headers, and with a pace of the configuration.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::{HeaderMap, Method};
use tokio::task::JoinSet;

use super::children::{self, Daemon};
use crate::cli::Failure;
use crate::embedded::Embedded;
use crate::simulate::check::Kind;
use crate::simulate::client::{self, Connection, Request, Service};
use crate::simulate::people::Person;
use crate::simulate::profile::{Profile, okta};
use crate::store::{Store, StoreError, StoreOptions, scratch, seed};

/// What of them must be used at least.
const ENOUGH: f64 = 0.95;
/// How many fillings the bucket of a rate limit holds.
const BUCKET: u32 = 2;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of it.
pub(super) struct Drained {
    name: String,
    people: u64,
    took: Duration,
    /// Calls that the target would have taken meanwhile.
    allowed: f64,
}

impl Drained {
    /// The share of the allowed calls that were made.
    fn used(&self) -> f64 {
        self.people as f64 / self.allowed
    }

    pub(super) fn is_enough(&self) -> bool {
        self.used() >= ENOUGH
    }

    pub(super) fn print(&self) {
        let seconds = self.took.as_secs_f64();
        let (rate, allowed) = (self.people as f64 / seconds, self.allowed / seconds);
        println!(
            "{} people who wait, {}: {rate:.1} a second of {allowed:.1} that are allowed, {:.1} %",
            self.people,
            self.name,
            self.used() * 100.0
        );
    }
}

/// Both ways; nothing for nobody.
pub(super) async fn run(
    folder: &Path,
    embedded: &Embedded,
    people: u64,
    pace: u32,
    connections: usize,
) -> Result<Vec<Drained>, Failure> {
    if people == 0 {
        return Ok(Vec::new());
    }
    // A bucket that holds more than one filling, as an administrator would set it up.
    let limit = format!("{}/{pace}/1", BUCKET * pace);
    let by_headers =
        Setting { name: "by the headers of its rate limit", database: "drainone", pace, limit: Some(&limit) };
    let by_configuration = Setting { name: "by target.pace", database: "draintwo", pace, limit: None };
    let mut drained = Vec::new();
    for setting in [by_headers, by_configuration] {
        eprintln!("{people} people who wait for a target, {} ...", setting.name);
        drained.push(setting.drain(folder, embedded, people, connections).await?);
    }
    Ok(drained)
}

struct Setting<'a> {
    name: &'a str,
    database: &'a str,
    pace: u32,
    /// The limit that the target keeps to and tells; `None` where only the configuration knows the pace.
    limit: Option<&'a str>,
}

impl Setting<'_> {
    async fn drain(
        &self,
        folder: &Path,
        embedded: &Embedded,
        people: u64,
        connections: usize,
    ) -> Result<Drained, Failure> {
        let folder = folder.join(self.database);
        std::fs::create_dir(&folder)?;
        scratch::recreate(&embedded.url(), self.database).await?;
        let url = embedded.url_of(self.database);
        let store = Store::lazy(&StoreOptions {
            url: url.clone(),
            max_connections: 2,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(60),
        })?;
        store.migrate().await?;
        let sandbox = children::sandbox(&folder, 0, self.limit).await?;
        let configured = if self.limit.is_some() { 0 } else { self.pace };
        let daemon = Daemon::configure(&folder, &url, &sandbox.url, &sandbox.token, configured)?;
        let token = daemon.admit().await?;
        // Everybody is accepted first, so that nothing but the writer works while it is measured.
        daemon.mode("observe").await?;
        let running = daemon.start(Some("0s")).await?;
        let service = Arc::new(Service::new(&daemon.scim_url(), None)?);
        let idp = Profile::Okta.idp();
        let headers = client::headers(&idp.headers(), &idp.authorization(&token))?;
        accept(&service, &headers, people, connections as u64).await?;
        idle(&store).await?;
        let begun = Instant::now();
        daemon.mode("enforce").await?;
        idle(&store).await?;
        let took = begun.elapsed();
        running.end().await?;
        store.pool().close().await;
        // A bucket is full at the beginning.
        let bucket = if self.limit.is_some() { f64::from(BUCKET * self.pace) } else { 0.0 };
        let allowed = bucket + f64::from(self.pace) * took.as_secs_f64();
        Ok(Drained { name: self.name.to_owned(), people, took, allowed })
    }
}

/// Waits until nobody waits for the writer any more.
async fn idle(store: &Store) -> Result<(), Failure> {
    loop {
        let mut conn = store.pool().acquire().await.map_err(StoreError::from)?;
        if seed::waiting(&mut conn).await? == 0 {
            return Ok(());
        }
        drop(conn);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Everybody is created, as fast as the connections take it.
async fn accept(service: &Arc<Service>, headers: &HeaderMap, people: u64, connections: u64) -> Result<(), Failure> {
    let mut workers = JoinSet::new();
    for first in 0..connections {
        let mut connection = Connection::new(service.clone(), headers.clone(), PATIENCE);
        workers.spawn(async move {
            let mut number = first;
            while number < people {
                let body = okta::new_user(&Person::new(3, number));
                let reply = connection.send(&Request::new(Method::POST, Kind::User.path()).json(&body)).await;
                let reply = reply.map_err(|error| error.to_string())?;
                if reply.status.as_u16() != 201 {
                    return Err(format!("a create was answered {}", reply.status));
                }
                number += connections;
            }
            Ok(())
        });
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    Ok(())
}
