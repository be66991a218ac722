//! A Jira with state, in this process, behind a real socket: the demo's Jira, the test double, and the written record of
//! what we believe about Jira. It uses nothing of `jira`, so that it cannot share its bugs.
//!
//! `start` gives a handle, a [`Stand`]: it looks into the world and changes it without HTTP, injects [`Fault`]s, reads the
//! journal, stops the server and starts it again. Each kind of Jira is an `api::Api` in a folder of its own; what
//! [`Sandbox`], a Data Center, is described in `docs/targets/data-center.md`; code
//! and tests cite its numbers (`DC-21`).

mod access;
mod align;
mod api;
pub mod cli;
mod cloud;
mod data_center;
mod exchange;
mod fault_syntax;
mod faults;
mod journal;
pub mod seed;
mod server;
mod stand;
mod state;
mod version;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore;

pub use access::RateLimit;
pub use align::{
    ADMINISTRATOR_ROLE, Align, AlignOptions, AlignRefusal, AlignRules, AlignSandbox, AlignUser, AlignWorld,
    CONNECTOR_ROLE, City, MEMBER_ROLE, VIEWER_ROLE, stranger,
};
pub use cloud::{
    AccountStatus, App, Cloud, CloudSandbox, CloudSandboxOptions, CloudWorld, Directory, Limits, NewPerson, ORG_ADMINS,
    Person, PersonKind, SITE_ADMINS, Settles, Trouble,
};
pub use data_center::{DataCenter, State};
pub use fault_syntax::FaultSyntax;
pub use faults::{Action, Fault, LateTrigger};
pub use journal::{JournalEntry, Outcome, Totals};
pub use stand::Stand;
pub use state::{
    ADMINISTRATORS, AccountView, Change, Copy, NewAccount, Reference, Refusal, Role, Rules, SYSTEM_ADMINISTRATORS,
    World,
};
pub use version::Version;

use access::Access;
use data_center::Site;
use stand::{Furnished, StandOptions};

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
    /// Whether experimental operations are refused without their header (DC-8).
    pub experimental_enforced: bool,
    /// Whether any directory takes new accounts (DC-26).
    pub writable_directory: bool,
    /// The applications. By default `jira-software`, unlimited, given to every new account that does not say otherwise.
    pub applications: Vec<Role>,
    /// DC-9; none by default.
    pub rate_limit: Option<RateLimit>,
    /// Name and password of an application that may use the Crowd-compatible API (DC-80); none by default.
    pub crowd: Option<(String, String)>,
    /// People and groups to begin with; nobody by default.
    pub seed: Option<seed::Seed>,
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
            experimental_enforced: false,
            writable_directory: true,
            applications: vec![Role { selected_by_default: true, ..Role::named("jira-software", None) }],
            rate_limit: None,
            crowd: None,
            seed: None,
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

/// A running Jira Data Center.
pub type Sandbox = Stand<DataCenter>;

impl Stand<DataCenter> {
    /// Binds, puts the administrator in, and serves.
    ///
    /// # Errors
    /// When the address cannot be bound, the journal file not opened, or the administrator not made (a username that
    /// Jira refuses).
    pub async fn start(options: SandboxOptions) -> io::Result<Self> {
        let stand = StandOptions {
            kind: "data-center",
            version: options.version.to_string(),
            listen: options.listen,
            faults: options.faults.clone(),
            journal_file: options.journal_file.clone(),
            journal_capacity: options.journal_capacity,
        };
        Self::open(stand, |address| furnish(&options, address)).await
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

    /// Sets what `/status` says from now on (DC-11).
    pub fn set_state(&self, state: State) {
        self.inner().api.state = state;
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
        let mut inner = self.inner();
        let owner = inner.api.world.existing(username)?;
        let token = random_token();
        inner.api.access.add_token(token.clone(), owner);
        Ok(token)
    }

    /// Lets a token work again, as that account's.
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn restore_token(&self, username: &str, token: &str) -> Result<(), Refusal> {
        let mut inner = self.inner();
        let owner = inner.api.world.existing(username)?;
        inner.api.access.add_token(token.to_owned(), owner);
        Ok(())
    }

    /// Takes a token back; whoever uses it gets 401.
    pub fn revoke_token(&self, token: &str) {
        self.inner().api.access.revoke_token(token);
    }

    /// A person logged in with a browser and solved the CAPTCHA (DC-5).
    pub fn solve_captcha(&self, username: &str) {
        self.inner().api.access.solve_captcha(username);
    }
}

/// The world and its credentials, before the first call.
fn furnish(options: &SandboxOptions, address: SocketAddr) -> io::Result<Furnished<DataCenter>> {
    let refused = |refusal: Refusal| io::Error::other(format!("the sandbox's administrator: {refusal}"));
    let rules =
        Rules { version: options.version.clone(), writable_directory: true, roles: options.applications.clone() };
    let mut world = World::new(rules);
    world.create_account(&NewAccount::named(&options.admin)).map_err(refused)?;
    world.add_member(ADMINISTRATORS, &options.admin).map_err(refused)?;
    if let Some(password) = &options.password {
        world.set_password(&options.admin, password).map_err(refused)?;
    }
    if let Some(seed) = options.seed {
        world.sow(seed);
    }
    world.rules.writable_directory = options.writable_directory;
    let token = options.token.clone().unwrap_or_else(random_token);
    let mut access = Access::new(options.version.clone(), options.rate_limit);
    access.add_token(token.clone(), world.existing(&options.admin).map_err(refused)?);
    if let Some((name, password)) = options.crowd.clone() {
        access.set_application(name, password);
    }
    let context = options.context.trim_matches('/');
    let context = if context.is_empty() { String::new() } else { format!("/{context}") };
    let base_url = format!("http://{address}{context}");
    let site = Site {
        base_url: base_url.clone(),
        context,
        emails_hidden: options.emails_hidden,
        experimental_enforced: options.experimental_enforced,
    };
    Ok(Furnished {
        api: DataCenter { world, access, site, state: State::default() },
        base_url,
        admin: options.admin.clone(),
        token,
    })
}

/// 33 random bytes, as Jira's tokens look.
fn random_token() -> String {
    let mut bytes = [0_u8; 33];
    rand::rng().fill_bytes(&mut bytes);
    STANDARD.encode(bytes)
}
