//! The flags that every configured command has.

use std::path::PathBuf;

use crate::config::{Config, Problem, Problems, Sources};

/// Where the configuration is, and what is to be otherwise this time.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigArgs {
    /// The configuration file [default: $JIRA_SCIM_CONFIG, ./jira-scim.toml or /etc/jira-scim/jira-scim.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A key that beats the file and the environment (--set server.listen=127.0.0.1:9000); may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// Adds a setting, as `--set` would; for a command's own flags.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.set.push(format!("{key}={value}"));
        self
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// All problems, when there are any.
    pub fn load(&self) -> Result<Config, Problems> {
        let mut settings = Vec::new();
        for setting in &self.set {
            let Some((key, value)) = setting.split_once('=') else {
                // Not the setting itself, which may be a secret.
                let what = "must have the form KEY=VALUE".to_owned();
                return Err(Problems(vec![Problem { key: "--set".to_owned(), origin: None, what }]));
            };
            settings.push((key.to_owned(), value.to_owned()));
        }
        Config::load(&Sources::of_process(self.config.clone(), settings))
    }

    /// The file that it is read from, where there is one.
    pub fn file(&self) -> Option<PathBuf> {
        Sources::of_process(self.config.clone(), Vec::new()).file
    }
}
