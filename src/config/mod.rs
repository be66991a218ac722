//! Layer 0: the configuration, typed and checked.
//!
//! Defaults, then the file, then the environment (`JIRA_SCIM__SECTION__KEY`), then flags (`--set section.key=value`),
//! each over the one before. [`Config::load`] finds every problem, one sentence each; nobody reads an environment
//! variable anywhere deeper. `config/jira-scim.toml` documents every key, which a test proves.

mod admin;
pub mod files;
mod layers;
mod lines;
mod places;
mod reader;
mod sections;
mod sources;
mod targets;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

pub use admin::{Admin, AdminRole, AdminTokenConfig};
pub use layers::Sources;
pub use lines::line_of;
pub use places::{BASIC_USERNAME, is_basic_username};
pub use places::{JwtConfig, Mode, TableConfig, TenantConfig, TestConfig, TokenConfig, TokenScope, is_slug};
pub use sections::{Alert, Audit, Database, Limits, Log, LogFormat, Mapping, Server, TlsFiles, Writer};
pub use sources::{
    Bind, ChangedBy, Disabled, FULL_EVERY, LdapConfig, Preset, Referrals, Schedule, ScimConfig, ScimId, ScimLogin,
    ScimMembers, ScimPaging, ScimVersion, ServerConfig, SourceConfig, Vanished, VanishedGroups,
};
pub use targets::{
    AlignConfig, CrowdConfig, MatchOn, OrganizationConfig, Pace, TargetConfig, TargetCredential, TargetKind,
};

use layers::Merged;
use reader::{Findings, Reader};

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[admin]`
    pub admin: Admin,
    /// `[limits]`
    pub limits: Limits,
    /// `[database]`
    pub database: Database,
    /// `[writer]`
    pub writer: Writer,
    /// `[audit]`
    pub audit: Audit,
    /// `[alert]`
    pub alert: Alert,
    /// `[log]`
    pub log: Log,
    /// `[mapping]`
    pub mapping: Mapping,
    /// `[[table]]`
    pub tables: Vec<TableConfig>,
    /// `[[target]]`
    pub targets: Vec<TargetConfig>,
    /// `[[tenant]]`
    pub tenants: Vec<TenantConfig>,
    /// `[[source]]`
    pub sources: Vec<SourceConfig>,
}

/// One thing that is wrong, as one sentence that names the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key (`target.0.url`), or the file that cannot be read.
    pub key: String,
    /// Where it was given, in words.
    pub origin: Option<String>,
    /// The rest of the sentence.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{} ({origin}) {}", self.key, self.what),
            None => write!(f, "{} {}", self.key, self.what),
        }
    }
}

/// Every problem of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Config {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// All problems, when there are any.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let mut found = Findings::default();
        let merged = Merged::read(sources, &mut found.problems);
        let config = Self::read(&merged, &mut found);
        if found.problems.is_empty() { Ok(config) } else { Err(Problems(found.problems)) }
    }

    /// The configuration when nothing is configured.
    pub fn defaults() -> Self {
        let mut found = Findings::default();
        Self::read(&Merged::default(), &mut found)
    }

    fn read(merged: &Merged, found: &mut Findings) -> Self {
        let mut reader = Reader::top(merged, found);
        let config = Self {
            server: reader.section("server", Server::read),
            admin: reader.section("admin", Admin::read),
            limits: reader.section("limits", Limits::read),
            database: reader.section("database", Database::read),
            writer: reader.section("writer", Writer::read),
            audit: reader.section("audit", Audit::read),
            alert: reader.section("alert", Alert::read),
            log: reader.section("log", Log::read),
            mapping: reader.section("mapping", Mapping::read),
            tables: reader.each("table", TableConfig::read).into_iter().flatten().collect(),
            targets: reader.each("target", TargetConfig::read).into_iter().flatten().collect(),
            tenants: reader.each("tenant", TenantConfig::read).into_iter().flatten().collect(),
            sources: reader.each("source", SourceConfig::read).into_iter().flatten().collect(),
        };
        config.check_across(&mut reader);
        config.check_sources(&mut reader);
        reader.refuse_unknown();
        config
    }

    /// What one section cannot know of another.
    fn check_across(&self, reader: &mut Reader<'_>) {
        if self.writer.settle >= self.server.request_timeout {
            reader.problem("writer.settle", "must be shorter than server.request_timeout");
        }
        let mut labels = BTreeSet::new();
        for (index, token) in self.admin.tokens.iter().enumerate() {
            if !labels.insert(token.label.as_str()) {
                reader.problem(&format!("admin.token.{index}.label"), &format!("\"{}\" is there twice", token.label));
            }
        }
        let mut names = BTreeSet::new();
        for (index, target) in self.targets.iter().enumerate() {
            if !names.insert(target.name.as_str()) {
                reader.problem(&format!("target.{index}.name"), &format!("\"{}\" is there twice", target.name));
            }
            // No call starts with less lease left than its own time-out.
            if self.writer.lease < target.timeout * 2 {
                let what = format!("must be at least twice the time-out of the target {}", target.name);
                reader.problem("writer.lease", &what);
            }
        }
        let mut tables = BTreeSet::new();
        for (index, table) in self.tables.iter().enumerate() {
            if !tables.insert(table.name.as_str()) {
                reader.problem(&format!("table.{index}.name"), &format!("\"{}\" is there twice", table.name));
            }
        }
        let mut slugs = BTreeSet::new();
        for (index, tenant) in self.tenants.iter().enumerate() {
            if !slugs.insert(tenant.slug.as_str()) {
                reader.problem(&format!("tenant.{index}.slug"), &format!("\"{}\" is there twice", tenant.slug));
            }
            if !names.contains(tenant.target.as_str()) {
                let what = format!("names the target \"{}\", which is not configured", tenant.target);
                reader.problem(&format!("tenant.{index}.target"), &what);
            }
        }
    }

    fn check_sources(&self, reader: &mut Reader<'_>) {
        let (mut names, mut tenants) = (BTreeSet::new(), BTreeSet::new());
        for (index, source) in self.sources.iter().enumerate() {
            if !names.insert(source.name.as_str()) {
                reader.problem(&format!("source.{index}.name"), &format!("\"{}\" is there twice", source.name));
            }
            if !tenants.insert(source.tenant.as_str()) {
                let what = format!("\"{}\" has a source already: a tenant has one", source.tenant);
                reader.problem(&format!("source.{index}.tenant"), &what);
            }
            // A run renews its lease between two answers.
            if self.writer.lease < source.server.timeout() * 2 {
                let what = format!("must be at least twice the time-out of the source {}", source.name);
                reader.problem("writer.lease", &what);
            }
        }
    }

    /// The target of that name.
    pub fn target(&self, name: &str) -> Option<&TargetConfig> {
        self.targets.iter().find(|target| target.name == name)
    }
}
