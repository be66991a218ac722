//! A Jira with state, in this process, behind a real socket: the demo's Jira, the test double, and the written record of
//! what we believe about Jira. It uses nothing of `jira`, so that it cannot share its bugs.
//!
//! [`Sandbox::start`] gives a handle: it looks into the world and changes it without HTTP, injects [`Fault`]s, reads the
//! journal, stops the server and starts it again. What the API does is described in `docs/targets/data-center.md`; code
//! and tests cite its numbers (`DC-21`).

mod access;
pub mod cli;
mod data_center;
mod exchange;
mod fault_syntax;
mod faults;
mod journal;
mod server;
mod state;
mod version;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;

pub use access::RateLimit;
pub use fault_syntax::FaultSyntax;
pub use faults::{Action, Fault, LateTrigger};
pub use journal::{JournalEntry, Outcome, Totals};
pub use state::{
    ADMINISTRATORS, AccountView, Change, NewAccount, Reference, Refusal, Role, Rules, SYSTEM_ADMINISTRATORS, World,
};
pub use version::Version;

use access::Access;
use data_center::Site;
use journal::Journal;
use server::{Inner, Life, Shared};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// How the sandbox is set up. The default is a Jira 10.3.24 under `/jira` on a free port of the loopback.
#[derive(Clone)]
pub struct SandboxOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The context path (DC-1): `/jira`, or empty for the root.
    pub context: String,
    /// The version that is played (DC-12).
    pub version: Version,
    /// The administrator that [`Sandbox::token`] belongs to: an administrator, not a system administrator.
    pub admin: String,
    /// His personal access token; a random one when there is none.
    pub token: Option<String>,
    /// His password for Basic authentication; without one he has none.
    pub password: Option<String>,
    /// Whether *User email visibility* hides addresses (DC-37).
    pub emails_hidden: bool,
    /// Whether any directory takes new accounts (DC-26).
    pub writable_directory: bool,
    /// The applications. By default `jira-software`, unlimited, given to every new account that does not say otherwise.
    pub applications: Vec<Role>,
    /// DC-9; none by default.
    pub rate_limit: Option<RateLimit>,
    /// Faults from the start.
    pub faults: Vec<Fault>,
    /// A file that gets the journal as JSON lines, appended.
    pub journal_file: Option<PathBuf>,
    /// How many journal entries are kept in memory.
    pub journal_capacity: usize,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            context: "/jira".to_owned(),
            version: Version::default(),
            admin: "svc-scim".to_owned(),
            token: None,
            password: None,
            emails_hidden: false,
            writable_directory: true,
            applications: vec![Role {
                key: "jira-software".to_owned(),
                name: "Jira Software".to_owned(),
                groups: vec!["jira-software-users".to_owned()],
                selected_by_default: true,
                seats: None,
            }],
            rate_limit: None,
            faults: Vec::new(),
            journal_file: None,
            journal_capacity: 200_000,
        }
    }
}

impl SandboxOptions {
    /// Limits the seats of every application (DC-24).
    #[must_use]
    pub fn with_seats(mut self, seats: u32) -> Self {
        self.applications.iter_mut().for_each(|role| role.seats = Some(seats));
        self
    }
}

/// Where the sandbox is in its life.
enum Port {
    Up(Life),
    /// Bound and not listening: connections are refused, and nobody else gets the port meanwhile.
    Down(TcpSocket),
    /// Between the two, while one of the methods of [`Sandbox`] is at work.
    Between,
}

/// A running Jira. Dropping it ends it.
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
    admin: String,
    token: String,
    port: Mutex<Port>,
}

impl Sandbox {
    /// Binds, puts the administrator in, and serves.
    ///
    /// # Errors
    /// When the address cannot be bound, the journal file not opened, or the administrator not made (a username that
    /// Jira refuses).
    pub async fn start(options: SandboxOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let context = options.context.trim_matches('/');
        let context = if context.is_empty() { String::new() } else { format!("/{context}") };
        let site =
            Site { base_url: format!("http://{address}{context}"), context, emails_hidden: options.emails_hidden };
        let token = options.token.clone().unwrap_or_else(random_token);
        let inner = furnish(&options, &token)?;
        let shared = Arc::new(Shared::new(inner, site));
        let port = Mutex::new(Port::Up(Life::begin(shared.clone(), listener)));
        Ok(Self { shared, address, admin: options.admin, token, port })
    }

    /// `http://127.0.0.1:40000/jira`, without a slash at its end.
    pub fn base_url(&self) -> &str {
        self.shared.base_url()
    }

    /// The socket's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The administrator's personal access token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The administrator's username.
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
    pub fn look<T>(&self, at: impl FnOnce(&World) -> T) -> T {
        at(&self.shared.lock().world)
    }

    /// Changes the world, as an administrator with a browser would do.
    pub fn change<T>(&self, how: impl FnOnce(&mut World) -> T) -> T {
        let result = how(&mut self.shared.lock().world);
        self.shared.announce();
        result
    }

    /// The account of that username, compared without regard to case.
    pub fn account(&self, username: &str) -> Option<AccountView> {
        self.look(|world| world.account(username))
    }

    /// All accounts, the administrator too, ordered by username.
    pub fn accounts(&self) -> Vec<AccountView> {
        self.look(|world| world.accounts().collect())
    }

    /// Names of all groups, sorted.
    pub fn groups(&self) -> Vec<String> {
        self.look(World::groups)
    }

    /// Usernames of a group's members, inactive ones too, sorted; empty for an unknown group.
    pub fn members(&self, group: &str) -> Vec<String> {
        self.look(|world| world.members(group))
    }

    /// Names of an account's groups, sorted; empty for an unknown account.
    pub fn groups_of(&self, username: &str) -> Vec<String> {
        self.look(|world| world.groups_of(username))
    }

    /// Creates an account; answers its key.
    ///
    /// # Errors
    /// As `POST /user`.
    pub fn add_account(&self, new: &NewAccount) -> Result<String, Refusal> {
        self.change(|world| world.create_account(new))
    }

    /// Creates an account in a read-only directory (DC-33); answers its key.
    ///
    /// # Errors
    /// When the username is taken.
    pub fn add_read_only_account(&self, new: &NewAccount) -> Result<String, Refusal> {
        self.change(|world| world.add_read_only_account(new))
    }

    /// Creates a group.
    ///
    /// # Errors
    /// As `POST /group`.
    pub fn add_group(&self, name: &str) -> Result<(), Refusal> {
        self.change(|world| world.create_group(name))
    }

    /// Adds a member.
    ///
    /// # Errors
    /// As `POST /group/user`.
    pub fn add_member(&self, group: &str, username: &str) -> Result<(), Refusal> {
        self.change(|world| world.add_member(group, username))
    }

    /// Removes a member.
    ///
    /// # Errors
    /// As `DELETE /group/user`.
    pub fn remove_member(&self, group: &str, username: &str) -> Result<(), Refusal> {
        self.change(|world| world.remove_member(group, username))
    }

    /// Makes the account the lead of a project, so that it cannot be deactivated (DC-31).
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn make_lead(&self, username: &str, project: &str) -> Result<(), Refusal> {
        self.change(|world| world.make_lead(username, project))
    }

    /// Lets a group grant administration (DC-71).
    ///
    /// # Errors
    /// 404 for an unknown group.
    pub fn label_admin(&self, group: &str) -> Result<(), Refusal> {
        self.change(|world| world.label_admin(group))
    }

    /// A personal access token of another account.
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn issue_token(&self, username: &str) -> Result<String, Refusal> {
        let mut inner = self.shared.lock();
        let owner = inner.world.existing(username)?;
        let token = random_token();
        inner.access.add_token(token.clone(), owner);
        Ok(token)
    }

    /// Takes a token back; whoever uses it gets 401.
    pub fn revoke_token(&self, token: &str) {
        self.shared.lock().access.revoke_token(token);
    }

    /// A person logged in with a browser and solved the CAPTCHA (DC-5).
    pub fn solve_captcha(&self, username: &str) {
        self.shared.lock().access.solve_captcha(username);
    }

    /// Moves the rate limiter's clock on (DC-9).
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

    /// The calls so far, oldest first, up to the bound of [`SandboxOptions::journal_capacity`].
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
    pub async fn until(&self, mut holds: impl FnMut(&World) -> bool) {
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

    fn take_port(&self) -> Port {
        std::mem::replace(&mut self.port.lock().unwrap_or_else(PoisonError::into_inner), Port::Between)
    }

    fn put_port(&self, port: Port) {
        *self.port.lock().unwrap_or_else(PoisonError::into_inner) = port;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Port::Up(life) = self.take_port() {
            life.cut();
        }
    }
}

/// The world, its journal and its credentials, before the first call.
fn furnish(options: &SandboxOptions, token: &str) -> io::Result<Inner> {
    let refused = |refusal: Refusal| io::Error::other(format!("the sandbox's administrator: {refusal}"));
    let rules =
        Rules { version: options.version.clone(), writable_directory: true, roles: options.applications.clone() };
    let mut world = World::new(rules);
    world.create_account(&NewAccount::named(&options.admin)).map_err(refused)?;
    world.add_member(ADMINISTRATORS, &options.admin).map_err(refused)?;
    if let Some(password) = &options.password {
        world.set_password(&options.admin, password).map_err(refused)?;
    }
    world.rules.writable_directory = options.writable_directory;
    let mut access = Access::new(options.version.clone(), options.rate_limit);
    access.add_token(token.to_owned(), world.existing(&options.admin).map_err(refused)?);
    let journal = Journal::new(options.journal_capacity, options.journal_file.as_deref())?;
    let mut inner = Inner::new(world, journal, access);
    options.faults.iter().cloned().for_each(|fault| inner.faults.inject(fault));
    Ok(inner)
}

/// 33 random bytes, as Jira's tokens look.
fn random_token() -> String {
    let mut bytes = [0_u8; 33];
    rand::rng().fill_bytes(&mut bytes);
    STANDARD.encode(bytes)
}
