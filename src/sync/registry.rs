//! All sources that there are: those of the configuration, and those that the admin API made, which come and go.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::ldap::Ldap;
use super::run::{Configured, Sync};
use super::scim::Scim;
use super::source::{Source, SourceError};
use crate::config::{Problem, ServerConfig, SourceConfig};
use crate::store::source::made::{self, Made};
use crate::store::{Store, StoreError};

/// A source that somebody made, and whether it can be read.
#[derive(Clone)]
pub struct Known {
    /// What is on record of it.
    pub made: Made,
    /// It, or a sentence that says why there is none.
    pub configured: Result<Arc<Configured>, String>,
}

/// One of all sources.
#[derive(Clone)]
pub enum One {
    /// The configuration declares it.
    Declared(Arc<Configured>),
    /// The admin API made it.
    Made(Arc<Known>),
}

impl One {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Declared(configured) => &configured.config.name,
            Self::Made(known) => &known.made.name,
        }
    }

    /// The slug of the tenant that it feeds.
    pub fn tenant(&self) -> &str {
        match self {
            Self::Declared(configured) => &configured.config.tenant,
            Self::Made(known) => &known.made.tenant,
        }
    }

    /// What can be read.
    ///
    /// # Errors
    /// A sentence: what was made cannot be read as it is.
    pub fn configured(&self) -> Result<&Arc<Configured>, &str> {
        match self {
            Self::Declared(configured) => Ok(configured),
            Self::Made(known) => known.configured.as_ref().map_err(String::as_str),
        }
    }
}

impl Configured {
    /// The source of these settings; nothing is connected yet.
    ///
    /// # Errors
    /// An attribute or a file cannot be used.
    pub fn new(config: &SourceConfig) -> Result<Self, SourceError> {
        let source: Arc<dyn Source> = match &config.server {
            ServerConfig::Ldap(ldap) => Arc::new(Ldap::new(ldap)?),
            ServerConfig::Scim(scim) => Arc::new(Scim::new(scim)?),
        };
        Ok(Self { config: config.clone(), source })
    }
}

/// See the module.
pub(super) struct Registry {
    declared: BTreeMap<String, Arc<Configured>>,
    made: RwLock<BTreeMap<String, Arc<Known>>>,
    /// Held while they are looked up, so that nobody puts what he saw earlier over what somebody saw later.
    looking: tokio::sync::Mutex<()>,
    /// Where files are that a source which was made may name.
    files: Option<PathBuf>,
    lease: Duration,
    bell: watch::Sender<u64>,
}

impl Registry {
    pub(super) fn new(declared: Vec<Configured>, lease: Duration) -> Self {
        let declared = declared.into_iter().map(|one| (one.config.name.clone(), Arc::new(one))).collect();
        Self {
            declared,
            made: RwLock::default(),
            looking: Default::default(),
            files: None,
            lease,
            bell: watch::Sender::new(0),
        }
    }

    /// All of them, by name.
    pub(super) fn all(&self) -> Vec<One> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: BTreeMap<&str, One> =
            made.iter().map(|(name, known)| (name.as_str(), One::Made(Arc::clone(known)))).collect();
        all.extend(self.declared.iter().map(|(name, one)| (name.as_str(), One::Declared(Arc::clone(one)))));
        all.into_values().collect()
    }

    /// The one of that name.
    pub(super) fn get(&self, name: &str) -> Option<One> {
        if let Some(declared) = self.declared.get(name) {
            return Some(One::Declared(Arc::clone(declared)));
        }
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        made.get(name).map(|known| One::Made(Arc::clone(known)))
    }

    /// Settings, ready to be read.
    pub(super) fn prepared(&self, name: &str, tenant: &str, settings: &Value) -> Result<Configured, Vec<Problem>> {
        let config = SourceConfig::from_settings(name, tenant, settings, self.files.as_deref())?;
        let problem = |key: &str, what: String| vec![Problem { key: key.to_owned(), origin: None, what }];
        // A run renews its lease between two answers.
        if self.lease < config.server.timeout() * 2 {
            let what = format!("must be at most {} seconds, half of writer.lease", self.lease.as_secs() / 2);
            return Err(problem("timeout", what));
        }
        Configured::new(&config).map_err(|error| problem("settings", format!("cannot be used: {error}")))
    }

    /// Learns which there are by now.
    pub(super) async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let _looking = self.looking.lock().await;
        let all = made::all(store.pool()).await?;
        let before = self.made.read().unwrap_or_else(PoisonError::into_inner).clone();
        let fresh = all.into_iter().map(|made| {
            let same = before.get(&made.name).filter(|known| known.made == made && known.configured.is_ok());
            let known = same.cloned().unwrap_or_else(|| Arc::new(self.known(made)));
            (known.made.name.clone(), known)
        });
        let fresh = fresh.collect();
        *self.made.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    fn known(&self, made: Made) -> Known {
        let rival = self.declared.values().find(|one| one.config.name == made.name || one.config.tenant == made.tenant);
        let configured = match rival {
            Some(rival) => Err(format!(
                "the configuration declares the source {} of tenant {}, which has it now",
                rival.config.name, rival.config.tenant
            )),
            None => self.prepared(&made.name, &made.tenant, &made.settings).map(Arc::new).map_err(told),
        };
        Known { made, configured }
    }

    /// Wakes who follows schedules.
    pub(super) fn ring(&self) {
        self.bell.send_modify(|rung| *rung = rung.wrapping_add(1));
    }

    /// Hears that.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }
}

fn told(problems: Vec<Problem>) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

impl Sync {
    /// The same, with the folder of the files that sources which are made may name.
    #[must_use]
    pub fn with_files(mut self, files: Option<PathBuf>) -> Self {
        self.registry.files = files;
        self
    }

    /// All sources, as they were when they were last looked up, by name.
    pub fn sources(&self) -> Vec<One> {
        self.registry.all()
    }

    /// The source of that name.
    pub fn source(&self, name: &str) -> Option<One> {
        self.registry.get(name)
    }

    /// Looks up which sources were made.
    ///
    /// # Errors
    /// The store's.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.registry.refresh(&self.store).await
    }

    /// What somebody wants to make, ready to be read.
    ///
    /// # Errors
    /// Everything that is wrong, by key.
    pub fn prepared(&self, name: &str, tenant: &str, settings: &Value) -> Result<Configured, Vec<Problem>> {
        self.registry.prepared(name, tenant, settings)
    }

    /// Has it looked at once what is to be done.
    pub fn ring(&self) {
        self.registry.ring();
    }
}
