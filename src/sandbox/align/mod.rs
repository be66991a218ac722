//! A Jira Align with state: API 2.0 (`/rest/align/api/2`), as far as a provisioner meets it. What it does is described in
//! `docs/targets/align.md`; code and tests cite its numbers (`ALIGN-21`).

mod api;
mod filter;
mod people;
mod record;
mod requests;
mod state;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use api::Align;
pub use people::stranger;
pub use state::{
    ADMINISTRATOR_ROLE, AlignRefusal, AlignRules, AlignUser, AlignWorld, CONNECTOR_ROLE, City, MEMBER_ROLE, VIEWER_ROLE,
};

use super::seed::Seed;
use super::stand::{Furnished, Stand, StandOptions};
use super::{Fault, RateLimit, random_token};

/// A running Jira Align.
pub type AlignSandbox = Stand<Align>;

/// How a Jira Align is set up. The default is an empty one on a free port of the loopback.
#[derive(Clone)]
pub struct AlignOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The external id of the token's owner, who may manage users.
    pub admin: String,
    /// The part of the token after the bar; a random one when there is none.
    pub secret: Option<String>,
    /// What this site has and how it behaves where nobody knows for certain.
    pub rules: AlignRules,
    /// Who is there already; accounts that no identity provider knows come on top.
    pub seed: Option<Seed>,
    /// ALIGN-6; none by default.
    pub rate_limit: Option<RateLimit>,
    /// Faults from the start.
    pub faults: Vec<Fault>,
    /// A file that gets the journal as JSON lines, appended.
    pub journal_file: Option<PathBuf>,
    /// How many journal entries are kept in memory.
    pub journal_capacity: usize,
}

impl Default for AlignOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: "svc-scim".to_owned(),
            secret: None,
            rules: AlignRules::default(),
            seed: None,
            rate_limit: None,
            faults: Vec::new(),
            journal_file: None,
            journal_capacity: 200_000,
        }
    }
}

impl Stand<Align> {
    /// Binds, puts the token's owner in, and serves.
    ///
    /// # Errors
    /// When the address cannot be bound or the journal file not opened.
    pub async fn start(options: AlignOptions) -> io::Result<Self> {
        let stand = StandOptions {
            kind: "align",
            version: "2.0".to_owned(),
            listen: options.listen,
            faults: options.faults.clone(),
            journal_file: options.journal_file.clone(),
            journal_capacity: options.journal_capacity,
        };
        Self::open(stand, |address| Ok(furnish(options, address))).await
    }

    /// The user with that external id.
    pub fn user(&self, external_id: &str) -> Option<AlignUser> {
        self.look(|world| world.user_by_external_id(external_id).cloned())
    }

    /// The user with that e-mail address.
    pub fn user_by_email(&self, email: &str) -> Option<AlignUser> {
        self.look(|world| world.user_by_email(email).cloned())
    }

    /// External ids of the users that may log in, the token's owner too, sorted.
    pub fn active(&self) -> Vec<String> {
        let mut active: Vec<String> = self.look(|world| {
            let users = world.users().filter(|user| user.is_active());
            users.map(|user| user.external_id.clone().unwrap_or_else(|| format!("({})", user.id))).collect()
        });
        active.sort();
        active
    }

    /// The id of the token's owner.
    pub fn owner(&self) -> u64 {
        let token = self.token();
        self.look(|world| world.owner(token).map_or(0, |owner| owner.id))
    }
}

/// The world and its one token, before the first call.
fn furnish(options: AlignOptions, address: SocketAddr) -> Furnished<Align> {
    let mut world = AlignWorld::new(options.rules);
    let owner =
        AlignUser { role_id: ADMINISTRATOR_ROLE, ..AlignUser::named(&options.admin, "Provisioning", "Service") };
    let owner = world.add(owner);
    let token = world.issue_token(owner, &options.secret.unwrap_or_else(random_token));
    if let Some(seed) = options.seed {
        people::settle(&mut world, seed.users);
    }
    let base_url = format!("http://{address}");
    Furnished { api: Align::new(world, options.rate_limit), base_url, admin: options.admin, token }
}
