//! The demo's Jira: a sandbox of one kind or another, and what differs between them on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::agree::{Account, Picture};
use crate::config::{OrganizationConfig, Pace, TargetConfig, TargetCredential, TargetKind};
use crate::sandbox::cli::Kind;
use crate::sandbox::{
    AccountView, AlignOptions, AlignSandbox, CloudSandbox, CloudSandboxOptions, JournalEntry, PersonKind, Sandbox,
    SandboxOptions,
};
use crate::secret::Secret;

/// A running sandbox.
pub(super) enum Jira {
    /// Jira Data Center.
    DataCenter(Sandbox),
    /// A site of Jira Cloud and its organisation.
    Cloud(CloudSandbox),
    /// Jira Align.
    Align(AlignSandbox),
}

/// The same for whichever it is.
macro_rules! each {
    ($jira:expr, $sandbox:ident => $what:expr) => {
        match $jira {
            Jira::DataCenter($sandbox) => $what,
            Jira::Cloud($sandbox) => $what,
            Jira::Align($sandbox) => $what,
        }
    };
}

impl Jira {
    /// An empty one of that kind.
    pub(super) async fn start(kind: Kind) -> io::Result<Self> {
        Ok(match kind {
            Kind::DataCenter => Self::DataCenter(Sandbox::start(SandboxOptions::default()).await?),
            Kind::Cloud => {
                // The people's accounts are the company's own, so that their names and addresses are ours to change.
                let domains = vec!["corp.example".to_owned()];
                Self::Cloud(
                    CloudSandbox::start(CloudSandboxOptions { domains, ..CloudSandboxOptions::default() }).await?,
                )
            }
            Kind::Align => Self::Align(AlignSandbox::start(AlignOptions::default()).await?),
        })
    }

    pub(super) async fn stop(&self) -> io::Result<()> {
        each!(self, sandbox => sandbox.stop().await)
    }

    pub(super) fn base_url(&self) -> &str {
        each!(self, sandbox => sandbox.base_url())
    }

    pub(super) fn token(&self) -> &str {
        each!(self, sandbox => sandbox.token())
    }

    /// Every call from now on.
    pub(super) fn subscribe(&self) -> UnboundedReceiver<Arc<JournalEntry>> {
        each!(self, sandbox => sandbox.subscribe())
    }

    /// How many calls there were.
    pub(super) fn calls(&self) -> u64 {
        each!(self, sandbox => sandbox.totals().calls)
    }

    /// Whether it has groups at all.
    pub(super) fn has_groups(&self) -> bool {
        !matches!(self, Self::Align(_))
    }

    /// Names of its groups.
    pub(super) fn groups(&self) -> Vec<String> {
        match self {
            Self::DataCenter(sandbox) => sandbox.groups(),
            Self::Cloud(sandbox) => sandbox.look(|world| world.groups().map(|group| group.name.clone()).collect()),
            Self::Align(_) => Vec::new(),
        }
    }

    /// What is in it, apart from its own account and the groups that were there before.
    pub(super) fn picture(&self, there_before: &[String]) -> Picture {
        match self {
            Self::DataCenter(sandbox) => of_data_center(sandbox, there_before),
            Self::Cloud(sandbox) => of_cloud(sandbox, there_before),
            Self::Align(sandbox) => of_align(sandbox),
        }
    }

    /// The configuration's entry for it.
    pub(super) fn target(&self, name: &str) -> TargetConfig {
        let (url, token) = (self.base_url(), Secret::new(self.token()));
        let target = match self {
            Self::DataCenter(_) => TargetConfig::new(name, TargetKind::DataCenter, url, TargetCredential::Token(token)),
            Self::Cloud(sandbox) => {
                let credential = TargetCredential::Password { user: sandbox.admin().to_owned(), password: token };
                let organization = OrganizationConfig {
                    id: sandbox.look(|world| world.org_id.clone()),
                    key: Secret::new(sandbox.organization_key()),
                    key_file: None,
                    key_expires: None,
                    directory: None,
                };
                TargetConfig {
                    api_url: Some(url.to_owned()),
                    organization: Some(organization),
                    ..TargetConfig::new(name, TargetKind::Cloud, url, credential)
                }
            }
            Self::Align(_) => TargetConfig::new(name, TargetKind::Align, url, TargetCredential::Token(token)),
        };
        TargetConfig { pace: Pace { concurrency: 8, per_second: 0 }, ..target }
    }

    /// The policy that a tenant needs to write to it.
    pub(super) fn policy(&self) -> Value {
        // A show is one long off-boarding: the usual brake would hold most of what is to be seen.
        let all = json!({"max": 1000, "percent": 100, "min": 1000});
        let mut policy = json!({"brake": {"accounts": all, "memberships": all}});
        if let Self::Align(_) = self {
            // Everybody in Lund: the ids are those of the sandbox.
            policy["account"] = json!({"fields": {
                "roleId": "95", "costCenterId": "1", "divisionId": "65", "regionId": "17", "cityId": "32"}});
        }
        policy
    }

    /// A command that shows what it knows of somebody.
    pub(super) fn look_at(&self, user_name: &str) -> String {
        let (url, token, name) = (self.base_url(), self.token(), user_name.replace('@', "%40"));
        let curl = format!("curl -sS -H 'Authorization: Bearer {token}'");
        match self {
            Self::DataCenter(_) => format!("{curl} '{url}/rest/api/2/user?username={name}&expand=groups'"),
            Self::Cloud(sandbox) => {
                let admin = sandbox.admin();
                format!("curl -sS -u '{admin}:{token}' '{url}/rest/api/3/user/search?query={name}'")
            }
            Self::Align(_) => {
                format!(
                    "{curl} -G '{url}/rest/align/api/2/Users' --data-urlencode \"\\$filter=externalId eq '{user_name}'\""
                )
            }
        }
    }
}

fn of_data_center(sandbox: &Sandbox, there_before: &[String]) -> Picture {
    let ours = |account: &AccountView| account.username != sandbox.admin();
    let accounts = sandbox.accounts().into_iter().filter(ours).map(|account| {
        let shown = Account { email: account.email, display_name: account.display_name, active: account.active };
        (account.username.to_lowercase(), shown)
    });
    let groups = sandbox.groups().into_iter().filter(|name| !there_before.contains(name)).map(|name| {
        let members: BTreeSet<String> =
            sandbox.members(&name).into_iter().map(|member| member.to_lowercase()).collect();
        (name, members)
    });
    Picture { accounts: accounts.collect(), groups: groups.collect() }
}

fn of_cloud(sandbox: &CloudSandbox, there_before: &[String]) -> Picture {
    sandbox.look(|world| {
        let ours = world.people().filter(|person| person.email != sandbox.admin() && person.kind != PersonKind::App);
        let accounts = ours.map(|person| {
            let shown =
                Account { email: person.email.clone(), display_name: person.name.clone(), active: person.uses_apps() };
            (person.email.to_lowercase(), shown)
        });
        let groups = world.groups().filter(|group| !there_before.contains(&group.name)).map(|group| {
            (group.name.clone(), world.members(&group.name).into_iter().map(|member| member.to_lowercase()).collect())
        });
        Picture { accounts: accounts.collect(), groups: groups.collect() }
    })
}

fn of_align(sandbox: &AlignSandbox) -> Picture {
    let owner = sandbox.owner();
    let accounts = sandbox.look(|world| {
        let ours = world.users().filter(|user| user.id != owner);
        ours.map(|user| {
            let display_name = format!("{} {}", user.first_name, user.last_name);
            let shown = Account { email: user.email.clone(), display_name, active: user.is_active() };
            (user.external_id.clone().unwrap_or_default().to_lowercase(), shown)
        })
        .collect()
    });
    Picture { accounts, groups: BTreeMap::new() }
}
