//! What is measured: the requests of an Okta, as fast as the connections take them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::{HeaderMap, Method};

use super::Line;
use super::children::Running;
use super::seeding::Seeded;
use crate::cli::Failure;
use crate::simulate::check::Kind;
use crate::simulate::client::{self, Request, Service};
use crate::simulate::load::{self, Drive};
use crate::simulate::people::Person;
use crate::simulate::profile::{Group, Member, Profile, okta};
use crate::simulate::report::Row;
use crate::store::{Store, StoreError, seed};

/// How long the writer may take to finish what was accepted.
const DRAINED_WITHIN: Duration = Duration::from_secs(600);
/// The first pages of a list: within so many users.
const FIRST: u64 = 1000;

pub(super) struct Measures<'a> {
    service: Arc<Service>,
    headers: HeaderMap,
    drive: Drive,
    seeded: Arc<Seeded>,
    store: Store,
    daemon: &'a Running,
}

impl<'a> Measures<'a> {
    pub(super) fn new(
        service: Service,
        token: &str,
        drive: Drive,
        seeded: Arc<Seeded>,
        store: Store,
        daemon: &'a Running,
    ) -> Result<Self, Failure> {
        let idp = Profile::Okta.idp();
        let headers = client::headers(&idp.headers(), &idp.authorization(token))?;
        Ok(Self { service: Arc::new(service), headers, drive, seeded, store, daemon })
    }

    /// GET by id, by userName, and pages.
    pub(super) async fn reads(&self, lines: &mut Vec<Line>) {
        let users = self.seeded.users.len() as u64;
        let seeded = self.seeded.clone();
        let by_id = move |worker, counter| {
            let id = &seeded.users[anyone(worker, counter, users) as usize];
            Request::new(Method::GET, format!("/Users/{id}"))
        };
        self.measure("GET /Users/{id}", 200, by_id, lines).await;
        let by_name = move |worker, counter| {
            let person = Person::new(0, anyone(worker, counter, users));
            okta::find_user_request(&person.user_name)
        };
        self.measure("GET /Users?filter=userName eq", 200, by_name, lines).await;
        let page = |_, _| Request::new(Method::GET, "/Users?startIndex=1&count=100");
        self.measure("GET /Users, the first 100", 200, page, lines).await;
        let near = move |worker, counter| {
            let start = 1 + anyone(worker, counter, FIRST.min(users));
            Request::new(Method::GET, format!("/Users?startIndex={start}&count=100"))
        };
        self.measure("GET /Users, 100 from one of the first 1000", 200, near, lines).await;
    }

    /// POST of new people (those of this seed), and PATCH of one member; between them the writer catches up.
    pub(super) async fn writes(&self, how: &str, people: u64, lines: &mut Vec<Line>) -> Result<(), Failure> {
        let connections = self.drive.connections as u64;
        let create = move |worker: usize, counter| {
            let person = Person::new(people, worker as u64 + connections * counter);
            Request::new(Method::POST, Kind::User.path()).json(&okta::new_user(&person))
        };
        self.measure(&format!("POST /Users, {how}"), 201, create, lines).await;
        self.drained().await?;
        for number in 0..self.seeded.groups.len() {
            let name = format!("PATCH one member of {}, {how}", self.seeded.groups[number].1);
            let patch = one_member(self.seeded.clone(), number, self.drive.connections);
            self.measure(&name, 204, patch, lines).await;
            self.drained().await?;
        }
        Ok(())
    }

    async fn measure<F>(&self, name: &str, status: u16, make: F, lines: &mut Vec<Line>)
    where
        F: Fn(usize, u64) -> Request + Send + Sync + 'static,
    {
        eprintln!("{name} ...");
        let before = self.daemon.worked();
        let load = load::drive(&self.service, &self.headers, self.drive, status, make).await;
        if let Some(failure) = &load.first_failure {
            eprintln!("  {} failures, the first: {failure}", load.failures);
        }
        let worked = self.daemon.worked().zip(before).map(|(after, before)| after.saturating_sub(before));
        let answers = u32::try_from(load.answers).unwrap_or(u32::MAX).max(1);
        let cpu = worked.map(|worked| worked / answers);
        let row = Row::new(name, &load.latencies);
        lines.push(Line { row, rate: load.rate(), failures: load.failures, cpu });
    }

    /// Waits until everything that was accepted is in Jira.
    async fn drained(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut most = 0;
        loop {
            let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
            let waiting = seed::waiting(&mut conn).await?;
            drop(conn);
            most = most.max(waiting);
            if waiting == 0 {
                break;
            }
            if begun.elapsed() > DRAINED_WITHIN {
                return Err(format!("after {} s the writer has {waiting} left", DRAINED_WITHIN.as_secs()).into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let seconds = begun.elapsed().as_secs_f64();
        if most > 100 {
            eprintln!("  {most} were still on their way to Jira: {:.0} a second", most as f64 / seconds);
        }
        Ok(())
    }
}

/// Some number below `below`, another one each time.
fn anyone(worker: usize, counter: u64, below: u64) -> u64 {
    let mixed = (worker as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ counter.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 31)) % below
}

/// Each connection has people of its own who are in none of the groups; it puts them in one after the other, and when all
/// of them are in, takes them out again.
fn one_member(seeded: Arc<Seeded>, number: usize, connections: usize) -> impl Fn(usize, u64) -> Request {
    let (name, _, id) = seeded.groups[number].clone();
    let group = Group { id, name };
    let taken = seeded.groups.iter().map(|(_, size, _)| *size).max().unwrap_or_default();
    let each = ((seeded.users.len() as u64 - taken) / connections as u64).max(1);
    move |worker, counter| {
        let who = taken + worker as u64 * each + counter % each;
        let who = who.min(seeded.users.len() as u64 - 1);
        let member = Member { id: seeded.users[who as usize].clone(), user_name: Person::new(0, who).user_name };
        let only = std::slice::from_ref(&member);
        let (joining, leaving) = if (counter / each).is_multiple_of(2) { (only, &[][..]) } else { (&[][..], only) };
        let body = okta::member_patch(&group, joining, leaving);
        Request::new(Method::PATCH, format!("/Groups/{}", group.id)).json(&body)
    }
}
