//! Kill -9 of the daemon and of its PostgreSQL under load: whatever was answered 2xx is in the store and in Jira
//! afterwards, and nobody is there twice.
//!
//! `CRASH_SEED` replays a run as far as chance goes (the machine's own timing stays its own), `CRASH_KILLS` says how many
//! kills (`make crash`: 50).

use std::sync::Arc;
use std::time::Duration;

use jira_scim::sandbox::{JournalEntry, Sandbox, SandboxOptions};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::sync::{mpsc, watch};

use crate::process::agreement::{database, differences, drained};
use crate::process::daemon::{Daemon, Home, PATIENCE};
use crate::process::idp::Idp;
use crate::process::load::{Client, Person, Progress};
use crate::process::settings::Settings;

const CLIENTS: usize = 6;
/// So many kills, then everything is drained and compared.
const KILLS_A_ROUND: u32 = 5;
/// The calls after which a kill is aimed.
const AIMS: [&str; 4] = ["POST /user", "PUT /user", "POST /group/user", "DELETE /group/user"];

/// What is killed, and when.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// The daemon, between Jira's answer to such a call and our record of it.
    Aimed(&'static str),
    /// The daemon, at any moment.
    Daemon,
    /// PostgreSQL under it.
    Postgres,
    /// Both.
    Both,
}

/// A daemon that is killed again and again, its Jira, and whoever talks to it.
struct Scene {
    home: Home,
    jira: Sandbox,
    journal: mpsc::UnboundedReceiver<Arc<JournalEntry>>,
    daemon: Daemon,
    address: watch::Sender<String>,
    random: StdRng,
    /// Kills that found a delivery on its way.
    hits: u32,
    open: i64,
}

impl Scene {
    async fn set(seed: u64) -> Self {
        let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let home = Home::new();
        home.configure(&Settings::new(&jira).text());
        let daemon = Daemon::start(&home).await;
        let (address, _) = watch::channel(daemon.url());
        let journal = jira.subscribe();
        Self { home, jira, journal, daemon, address, random: StdRng::seed_from_u64(seed), hits: 0, open: 0 }
    }

    fn idp(&self) -> Idp {
        Idp::new(self.address.subscribe())
    }

    async fn strike(&mut self, blow: Blow, progress: &Progress) {
        let answers = self.random.random_range(1..60);
        tokio::time::timeout(PATIENCE, progress.more(answers)).await.expect("the clients do not get on");
        match blow {
            Blow::Aimed(call) => {
                self.await_call(call).await;
                self.daemon.kill9().await;
            }
            Blow::Daemon => self.daemon.kill9().await,
            Blow::Postgres => {
                self.home.kill9_postgres();
                return;
            }
            Blow::Both => {
                self.home.kill9_postgres();
                self.daemon.kill9().await;
            }
        }
        self.daemon = Daemon::start(&self.home).await;
        self.count_hit().await;
        self.address.send_replace(self.daemon.url());
    }

    /// Returns right after Jira has done such a call's work; any call will do when none comes.
    async fn await_call(&mut self, call: &str) {
        while self.journal.try_recv().is_ok() {}
        let fits = async {
            while let Some(entry) = self.journal.recv().await {
                if entry.did_work && entry.operation() == call {
                    return;
                }
            }
        };
        // Not an error: a rare call may not come at all.
        let _ = tokio::time::timeout(Duration::from_secs(3), fits).await;
    }

    /// A delivery that never ended was on its way when the kill came.
    async fn count_hit(&mut self) {
        let mut database = database(&self.home).await;
        let before = "SELECT count(*) FROM delivery WHERE outcome IS NULL AND at < (SELECT pg_postmaster_start_time())";
        let open: i64 = sqlx::query_scalar(before).fetch_one(&mut database).await.unwrap();
        self.hits += u32::from(open > self.open);
        self.open = open;
    }

    /// Some kills under load, then peace; everything must agree. Returns the clients for the next round.
    async fn round(&mut self, clients: Vec<Client>, blows: &[Blow]) -> Vec<Client> {
        let progress = Arc::new(Progress::default());
        let working: Vec<_> =
            clients.into_iter().map(|client| tokio::spawn(client.work(Arc::clone(&progress)))).collect();
        for blow in blows {
            eprintln!("{blow:?}");
            self.strike(*blow, &progress).await;
        }
        progress.stop();
        let mut clients = Vec::new();
        for client in working {
            clients.push(client.await.unwrap());
        }
        let mut database = database(&self.home).await;
        drained(&mut database).await;
        for client in &clients {
            client.check_all().await;
        }
        let people: Vec<&Person> = clients.iter().flat_map(|client| &client.people).collect();
        let wrong = differences(&people, &self.jira, &mut database).await;
        assert!(wrong.is_empty(), "store and Jira differ:\n{}", wrong.join("\n"));
        assert_eq!(self.jira.totals().violations, 0, "a call broke one of Jira's rules");
        eprintln!("{} people agree", people.len());
        clients
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

/// Every second kill is aimed.
fn blows(kills: u32, random: &mut StdRng) -> Vec<Blow> {
    let others = [Blow::Daemon, Blow::Postgres, Blow::Both];
    let first: usize = random.random_range(0..others.len());
    (0..kills as usize)
        .map(|n| match n % 2 {
            0 => Blow::Aimed(AIMS.choose(random).unwrap()),
            _ => others[(first + n / 2) % others.len()],
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_answered_survives_kills_of_the_daemon_and_of_its_database() {
    let seed = number("CRASH_SEED").unwrap_or_else(rand::random);
    let kills = u32::try_from(number("CRASH_KILLS").unwrap_or(5)).unwrap();
    eprintln!("CRASH_SEED={seed} CRASH_KILLS={kills}");
    let mut scene = Scene::set(seed).await;
    let mut groups = Vec::new();
    for number in 0..5 {
        let name = format!("Crew {number}");
        groups.push((name.clone(), scene.idp().group(&name, &[]).await));
    }
    let mut clients: Vec<Client> = (0..CLIENTS).map(|number| Client::new(number, scene.idp(), seed, &groups)).collect();
    let blows = blows(kills, &mut scene.random);
    for round in blows.chunks(KILLS_A_ROUND as usize) {
        clients = scene.round(clients, round).await;
    }
    eprintln!("{} of {kills} kills found a delivery on its way", scene.hits);
    assert!(kills < KILLS_A_ROUND || scene.hits > 0, "no kill came between Jira's answer and the record of it");
}
