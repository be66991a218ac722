//! How the Cloud sandbox is set up, and what its handle can do beyond the world.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::Cloud;
use super::access::{Access, Limits};
use super::state::{App, NewPerson, ORG_ADMINS, SITE_ADMINS, Settles, World};
use crate::sandbox::faults::Fault;
use crate::sandbox::random_token;
use crate::sandbox::seed::{self, Seed};
use crate::sandbox::stand::{Furnished, Stand, StandOptions};

const CLOUD_ID: &str = "0c0ffee0-0000-4000-8000-00000000c1d0";
const ORG_ID: &str = "a1b2c3d4-0000-4000-8000-00000000a001";

/// How the sandbox is set up. The default is a site with Jira and Confluence, an organisation that manages the accounts of
/// `example.test`, and no limits.
#[derive(Clone)]
pub struct CloudSandboxOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address of the administrator that the tokens belong to.
    pub admin: String,
    /// His classic token; a random one when there is none.
    pub token: Option<String>,
    /// The organisation's key, without scopes; a random one when there is none.
    pub organization_key: Option<String>,
    /// Seats of each app; unlimited unless given.
    pub seats: Option<u32>,
    /// Domains whose accounts the organisation manages.
    pub domains: Vec<String>,
    /// How long an invitation takes (CLOUD-20).
    pub settles: Settles,
    /// The limiters.
    pub limits: Limits,
    /// People and groups to begin with.
    pub seed: Option<Seed>,
    /// Faults from the start.
    pub faults: Vec<Fault>,
    /// A file that gets the journal as JSON lines, appended.
    pub journal_file: Option<PathBuf>,
    /// How many journal entries are kept in memory.
    pub journal_capacity: usize,
}

impl Default for CloudSandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: "svc-scim@example.test".to_owned(),
            token: None,
            organization_key: None,
            seats: None,
            domains: vec!["example.test".to_owned()],
            settles: Settles::AtOnce,
            limits: Limits::default(),
            seed: None,
            faults: Vec::new(),
            journal_file: None,
            journal_capacity: 200_000,
        }
    }
}

impl Stand<Cloud> {
    /// Binds, puts the administrator in, and serves.
    ///
    /// # Errors
    /// When the address cannot be bound or the journal file not opened.
    pub async fn start(options: CloudSandboxOptions) -> io::Result<Self> {
        let stand = StandOptions {
            kind: "cloud",
            version: "1001.0.0".to_owned(),
            listen: options.listen,
            faults: options.faults.clone(),
            journal_file: options.journal_file.clone(),
            journal_capacity: options.journal_capacity,
        };
        Self::open(stand, |address| Ok(furnish(&options, address))).await
    }

    /// The organisation's key, without scopes.
    pub fn organization_key(&self) -> String {
        self.inner().api.key.clone()
    }

    /// A token with scopes of the same administrator: it works behind the gateway and nowhere else (CLOUD-2).
    pub fn scoped_token(&self) -> String {
        self.inner().api.scoped_token.clone()
    }

    /// A classic token of somebody else.
    pub fn issue_token(&self, email: &str) -> String {
        let token = random_token();
        self.inner().api.access.add_token(token.clone(), email, false);
        token
    }

    /// A token has expired, or was taken back.
    pub fn revoke_token(&self, token: &str) {
        self.inner().api.access.revoke_token(token);
    }

    /// A key of the organisation, with or without scopes (CLOUD-3).
    pub fn issue_key(&self, scoped: bool) -> String {
        let key = random_token();
        self.inner().api.access.add_key(key.clone(), scoped);
        key
    }

    /// A key has expired, or was taken back.
    pub fn revoke_key(&self, key: &str) {
        self.inner().api.access.revoke_key(key);
    }

    /// Changes the limiters.
    pub fn limit(&self, limits: Limits) {
        self.inner().api.access.limits = limits;
    }
}

fn furnish(options: &CloudSandboxOptions, address: SocketAddr) -> Furnished<Cloud> {
    let app = |key: &str, name: &str, selected_by_default| App {
        key: key.to_owned(),
        name: name.to_owned(),
        resource: format!("ari:cloud:{key}::site/{CLOUD_ID}"),
        seats: options.seats,
        selected_by_default,
    };
    let apps = vec![app("jira-software", "Jira", true), app("confluence", "Confluence", false)];
    let mut world = World::new(CLOUD_ID, ORG_ID, apps, options.domains.clone(), options.settles);
    let admin = world.add_person(&NewPerson::named(&options.admin, "SCIM service"));
    for group in [SITE_ADMINS, ORG_ADMINS] {
        if let Some(group) = world.group(group).map(|group| group.id.clone()) {
            // The administrator takes no seat, and nothing refuses him a group.
            let _ = world.join(&admin, &group);
        }
    }
    if let Ok(person) = world.person_mut(&admin) {
        person.org_admin = true;
    }
    if let Some(seed) = options.seed {
        sow(&mut world, seed);
    }
    let token = options.token.clone().unwrap_or_else(random_token);
    let key = options.organization_key.clone().unwrap_or_else(random_token);
    let scoped_token = random_token();
    let mut access = Access::default();
    access.limits = options.limits;
    access.add_token(token.clone(), &options.admin, false);
    access.add_token(scoped_token.clone(), &options.admin, true);
    access.add_key(key.clone(), false);
    let base_url = format!("http://{address}");
    let api = Cloud { world, access, base_url: base_url.clone(), key, scoped_token };
    Furnished { api, base_url, admin: options.admin.clone(), token }
}

/// People of the directory in their groups; who has left is suspended.
fn sow(world: &mut World, seed: Seed) {
    let ids: Vec<String> = (0..seed.users)
        .map(|n| {
            let person = seed::person(n);
            let id = world.add_person(&NewPerson::named(&person.email, &person.display_name()));
            if !person.active {
                // Nobody who was just put in refuses to be suspended.
                let _ = world.suspend(&id);
            }
            id
        })
        .collect();
    for (name, people) in seed::groups(seed.users) {
        let group = world.insert_group(&name);
        for id in &ids[people.start as usize..people.end as usize] {
            world.join_unchecked(id, &group);
        }
    }
}
