//! What every command that works on the store beside the daemon has: configuration, database, who asks.

use chrono::{DateTime, SubsecRound, Utc};
use uuid::Uuid;

use super::{ConfigArgs, Database, Failure};
use crate::app;
use crate::config::Config;
use crate::policy::mapping::Grounds;
use crate::store::Store;
use crate::store::tenant::Origin;
use crate::telemetry;

/// An open store with its configuration, for one command.
pub(super) struct Desk {
    /// The configuration.
    pub config: Config,
    /// What accounts depend on, by target.
    pub grounds: Grounds,
    /// The store, its schema up to date.
    pub store: Store,
    /// When the command began, to the microsecond that the store keeps.
    pub now: DateTime<Utc>,
    database: Database,
    actor: String,
    request_id: Uuid,
}

impl Desk {
    /// Opens the configured database, or joins the private one of a daemon that runs, and brings its schema up to date,
    /// so that the first command ever may come before the first start of the daemon.
    pub(super) async fn open(args: &ConfigArgs) -> Result<Self, Failure> {
        let config = args.load()?;
        telemetry::start(&config.log)?;
        let database = Database::join_or_open(&config.database).await?;
        let store = Store::lazy(&database.store_options(&config.database))?;
        let desk = Self {
            grounds: app::grounds(&config)?,
            config,
            store,
            now: Utc::now().trunc_subsecs(6),
            database,
            actor: actor(|name| std::env::var(name).ok()),
            request_id: Uuid::now_v7(),
        };
        match desk.store.migrate().await {
            Ok(()) => Ok(desk),
            Err(error) => {
                desk.close().await;
                Err(error.into())
            }
        }
    }

    /// Who asks, for the audit.
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin { actor: &self.actor, request_id: self.request_id, at: self.now }
    }

    /// Ends the connections, and the private database where this process started it.
    pub(super) async fn close(self) {
        self.store.pool().close().await;
        self.database.close().await;
    }
}

/// `cli:` and the person, also behind sudo.
fn actor(variable: impl Fn(&str) -> Option<String>) -> String {
    let person = ["SUDO_USER", "USER", "LOGNAME"].into_iter().filter_map(variable).find(|name| !name.is_empty());
    person.map_or_else(|| "cli".to_owned(), |person| format!("cli:{person}"))
}

#[cfg(test)]
mod tests {
    use super::actor;

    #[test]
    fn the_audit_names_the_person_behind_sudo() {
        let of = |known: &'static [(&str, &str)]| {
            actor(|name| known.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[("USER", "root"), ("SUDO_USER", "anna")]), "cli:anna");
        assert_eq!(of(&[("USER", "anna"), ("SUDO_USER", "")]), "cli:anna");
        assert_eq!(of(&[]), "cli");
    }
}
