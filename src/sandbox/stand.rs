//! The handle of a running sandbox, the same for every kind of Jira: its life, its faults, its journal, its world.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;

use super::api::Api;
use super::faults::Fault;
use super::journal::{Journal, JournalEntry, Totals, file_of_its_own};
use super::server::{Inner, Life, Shared};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// What every sandbox needs to know.
#[derive(Clone, Debug)]
pub(crate) struct StandOptions {
    /// `data-center`.
    pub(crate) kind: &'static str,
    /// For the name of the journal's file.
    pub(crate) version: String,
    pub(crate) listen: SocketAddr,
    pub(crate) faults: Vec<Fault>,
    pub(crate) journal_file: Option<PathBuf>,
    pub(crate) journal_capacity: usize,
}

/// Where the sandbox is in its life.
enum Port {
    Up(Life),
    /// Bound and not listening: connections are refused, and nobody else gets the port meanwhile.
    Down(TcpSocket),
    /// Between the two, while one of the methods of [`Stand`] is at work.
    Between,
}

/// A running Jira. Dropping it ends it.
pub struct Stand<A: Api> {
    shared: Arc<Shared<A>>,
    address: SocketAddr,
    base_url: String,
    admin: String,
    token: String,
    port: Mutex<Port>,
}

/// An API with what its users must know to call it.
pub(crate) struct Furnished<A> {
    pub(crate) api: A,
    pub(crate) base_url: String,
    pub(crate) admin: String,
    pub(crate) token: String,
}

impl<A: Api> Stand<A> {
    /// Binds, furnishes, and serves.
    pub(crate) async fn open(
        options: StandOptions,
        furnish: impl FnOnce(SocketAddr) -> io::Result<Furnished<A>>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let Furnished { api, base_url, admin, token } = furnish(address)?;
        let files: Vec<PathBuf> =
            options.journal_file.into_iter().chain(file_of_its_own(options.kind, &options.version)).collect();
        let mut inner = Inner::new(api, Journal::new(options.journal_capacity, &files)?);
        options.faults.into_iter().for_each(|fault| inner.faults.inject(fault));
        let shared = Arc::new(Shared::new(inner));
        let port = Mutex::new(Port::Up(Life::begin(shared.clone(), listener)));
        Ok(Self { shared, address, base_url, admin, token, port })
    }

    /// `http://127.0.0.1:40000/jira`, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The socket's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The administrator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The administrator's login name.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Takes Jira down: connections are cut and then refused, unfinished calls are lost, the state stays (DC-17).
    ///
    /// # Errors
    /// When the port cannot be kept; the sandbox is down all the same.
    pub async fn stop(&self) -> io::Result<()> {
        match self.take_port() {
            Port::Up(life) => {
                life.end().await;
                self.shared.forget_late();
                let socket = if self.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                socket.set_reuseaddr(true)?;
                socket.bind(self.address)?;
                self.put_port(Port::Down(socket));
            }
            other => self.put_port(other),
        }
        Ok(())
    }

    /// Brings Jira back, with its state, where it was. Restarts it when it is up.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn restart_on_same_port(&self) -> io::Result<()> {
        self.stop().await?;
        let listener = match self.take_port() {
            Port::Down(socket) => socket.listen(BACKLOG)?,
            Port::Up(_) | Port::Between => TcpListener::bind(self.address).await?,
        };
        self.put_port(Port::Up(Life::begin(self.shared.clone(), listener)));
        Ok(())
    }

    /// Looks into the world.
    pub fn look<T>(&self, at: impl FnOnce(&A::World) -> T) -> T {
        at(self.shared.lock().api.world())
    }

    /// Changes the world, as an administrator with a browser would do.
    pub fn change<T>(&self, how: impl FnOnce(&mut A::World) -> T) -> T {
        let result = how(self.shared.lock().api.world_mut());
        self.shared.announce();
        result
    }

    /// Moves the sandbox's clock on (DC-9).
    pub fn advance(&self, time: Duration) {
        self.shared.lock().ahead += time;
    }

    /// Makes something go wrong from now on. The oldest fault that fits a call is played.
    pub fn inject(&self, fault: Fault) {
        self.shared.lock().faults.inject(fault);
    }

    /// Lets nothing go wrong any more. Late calls that wait stay.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// Does, now, the work of every late call that is still to do; answers how many.
    pub fn release_late(&self) -> usize {
        self.shared.release_late()
    }

    /// Sends, now, every answer that is held.
    pub fn release_held(&self) {
        self.shared.release_held();
    }

    /// The calls so far, oldest first, up to the bound of the options' `journal_capacity`.
    pub fn journal(&self) -> Vec<Arc<JournalEntry>> {
        self.shared.lock().journal.entries()
    }

    /// Counts since the start.
    pub fn totals(&self) -> Totals {
        self.shared.lock().journal.totals()
    }

    /// Every call from now on, as it is written down. Nothing is lost, so read it, or drop it.
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Arc<JournalEntry>> {
        self.shared.lock().journal.subscribe()
    }

    /// Waits until the world is so. Asks again after each call and each change through the handle; put a time-out around
    /// it.
    pub async fn until(&self, mut holds: impl FnMut(&A::World) -> bool) {
        let mut changes = self.shared.watch();
        while !self.look(&mut holds) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Waits for a call that fits, those in the journal included, and answers the first; put a time-out around it.
    pub async fn until_call(&self, mut fits: impl FnMut(&JournalEntry) -> bool) -> Arc<JournalEntry> {
        let mut changes = self.shared.watch();
        let mut next = 0;
        loop {
            {
                let inner = self.shared.lock();
                if let Some(found) = inner.journal.since(next).find(|entry| fits(entry)) {
                    return found.clone();
                }
                next = inner.journal.next();
            }
            if changes.changed().await.is_err() {
                // The sender lives as long as `self`.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The lock on everything, for what one kind's handle does beyond the world.
    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner<A>> {
        self.shared.lock()
    }

    fn take_port(&self) -> Port {
        std::mem::replace(&mut self.port.lock().unwrap_or_else(PoisonError::into_inner), Port::Between)
    }

    fn put_port(&self, port: Port) {
        *self.port.lock().unwrap_or_else(PoisonError::into_inner) = port;
    }
}

impl<A: Api> Drop for Stand<A> {
    fn drop(&mut self) {
        if let Port::Up(life) = self.take_port() {
            life.cut();
        }
    }
}
