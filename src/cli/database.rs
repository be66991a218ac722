//! The database of a command: the configured one, else the private PostgreSQL.

use crate::config;
use crate::embedded::{Embedded, EmbeddedError, EmbeddedOptions};
use crate::secret::Secret;
use crate::store::StoreOptions;

/// A database that can be connected to for as long as this lives.
#[derive(Debug)]
pub struct Database {
    url: Secret,
    embedded: Option<Embedded>,
}

impl Database {
    /// For the daemon: with no `database.url`, starts the private PostgreSQL.
    ///
    /// # Errors
    /// The private PostgreSQL does not start; also when another daemon uses its data directory.
    pub async fn open(config: &config::Database) -> Result<Self, EmbeddedError> {
        if let Some(url) = &config.url {
            return Ok(Self { url: url.clone(), embedded: None });
        }
        let options = EmbeddedOptions {
            data_dir: config.data_dir.clone(),
            bin_dir: config.postgres_bin.clone(),
            throwaway: false,
        };
        let embedded = Embedded::start(options).await?;
        Ok(Self { url: Secret::new(embedded.url()), embedded: Some(embedded) })
    }

    /// For a command beside the daemon: uses the private PostgreSQL that a daemon runs at present, else
    /// [`Database::open`].
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn join_or_open(config: &config::Database) -> Result<Self, EmbeddedError> {
        match Self::open(config).await {
            Err(error @ EmbeddedError::InUse { .. }) => {
                let url = Embedded::url_of_running(&config.data_dir).ok_or(error)?;
                Ok(Self { url: Secret::new(url), embedded: None })
            }
            opened => opened,
        }
    }

    /// For a command that can do without: the configured database, or the private one of a daemon that runs.
    pub fn join(config: &config::Database) -> Option<Self> {
        let running = || Embedded::url_of_running(&config.data_dir).map(Secret::new);
        let url = config.url.clone().or_else(running)?;
        Some(Self { url, embedded: None })
    }

    /// How the store reaches it.
    pub fn store_options(&self, config: &config::Database) -> StoreOptions {
        StoreOptions {
            url: self.url.expose().to_owned(),
            max_connections: config.max_connections,
            acquire_timeout: config.acquire_timeout,
            statement_timeout: config.statement_timeout,
        }
    }

    /// The private PostgreSQL, where this process runs it.
    pub fn embedded(&self) -> Option<&Embedded> {
        self.embedded.as_ref()
    }

    /// Stops the private PostgreSQL, where this process runs it. Close the pool before.
    pub async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}
