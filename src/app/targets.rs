//! From an entry of the configuration to a target.

use super::AppError;
use crate::config::{AlignConfig, MatchOn, TargetConfig, TargetCredential, TargetKind};
use crate::jira::{
    self, AlignOptions, ClientOptions, CloudOptions, Credential, CrowdOptions, DataCenterOptions, OrganizationOptions,
};
use crate::writer::TargetOptions;
use crate::writer::expiry::Expiry;
use crate::writer::pace::PaceOptions;

/// The target of a configuration's entry.
///
/// # Errors
/// The URL, the credential or the CA file cannot be used.
pub fn target(config: &TargetConfig) -> Result<TargetOptions, AppError> {
    let bad = |source| AppError::Target { name: config.name.clone(), source };
    let credential = match &config.credential {
        TargetCredential::Token(token) => Credential::Bearer(token.expose().to_owned()),
        TargetCredential::Password { user, password } => {
            Credential::Basic { user: user.clone(), secret: password.expose().to_owned() }
        }
    };
    let url =
        url::Url::parse(&config.url).map_err(|e| AppError::Tenant(format!("target {}: url: {e}", config.name)))?;
    let mut options = ClientOptions::new(url, credential);
    options.timeout = config.timeout;
    options.connect_timeout = config.timeout.min(options.connect_timeout);
    options.notify = config.notify;
    options.secret_file = config.credential_file.clone();
    if let Some(path) = &config.ca_file {
        let read = std::fs::read(path);
        let pem = read.map_err(|source| AppError::File { path: path.display().to_string(), source })?;
        options.extra_ca = Some(pem);
    }
    let options = match config.kind {
        TargetKind::DataCenter => {
            let crowd = config.crowd.as_ref().map(|crowd| CrowdOptions {
                user: crowd.application.clone(),
                secret: crowd.password.expose().to_owned(),
                secret_file: crowd.password_file.clone(),
            });
            jira::Options::DataCenter(DataCenterOptions { client: options, crowd })
        }
        TargetKind::Cloud => jira::Options::Cloud(cloud(config, options)?),
        TargetKind::Align => jira::Options::Align(align(&config.align, options)),
    };
    Ok(TargetOptions {
        name: config.name.clone(),
        target: jira::target(options).map_err(bad)?,
        pace: PaceOptions { concurrency: config.pace.concurrency, per_second: f64::from(config.pace.per_second) },
        timeout: config.timeout,
        late: config.late,
        expiries: config.expiries().map(|(credential, expires)| Expiry { credential, expires }).collect(),
    })
}

/// A token with scopes is known by the cloud id beside it.
fn cloud(config: &TargetConfig, site: ClientOptions) -> Result<CloudOptions, AppError> {
    let api = config.api_url.as_deref().unwrap_or(CloudOptions::API);
    let api = url::Url::parse(api).map_err(|e| AppError::Tenant(format!("target {}: api_url: {e}", config.name)))?;
    let organization = config.organization.as_ref().map(|organization| OrganizationOptions {
        id: organization.id.clone(),
        key: organization.key.expose().to_owned(),
        key_file: organization.key_file.clone(),
        directory: organization.directory.clone(),
    });
    Ok(CloudOptions { site, organization, api, scoped: config.cloud_id.is_some(), cloud_id: config.cloud_id.clone() })
}

fn align(config: &AlignConfig, client: ClientOptions) -> AlignOptions {
    AlignOptions {
        client,
        match_on: match config.match_on {
            MatchOn::ExternalId => jira::MatchOn::ExternalId,
            MatchOn::Email => jira::MatchOn::Email,
        },
        ignore_roles: config.ignore_roles.iter().map(|role| i64::from(*role)).collect(),
        repair: config.repair.iter().map(|(field, value)| (field.clone(), i64::from(*value))).collect(),
    }
}
