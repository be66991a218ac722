//! Who we are at the site, what we may do there, and whether the organisation's key opens its door.

use std::collections::BTreeSet;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::answer::No;
use super::hosts::Host;
use super::person::User;
use super::{Calls, Cloud, Probe, TargetError, get, parse};
use crate::account::fold;

/// What the caller may do at the site.
pub(super) struct Permissions {
    pub(super) administers: bool,
    /// Without it every search is answered 200 and empty (CLOUD-6).
    pub(super) browses: bool,
}

#[derive(Deserialize)]
struct Domains {
    #[serde(default)]
    data: Vec<Domain>,
    #[serde(default)]
    links: super::person::Links,
}

#[derive(Deserialize)]
struct Domain {
    attributes: DomainAttributes,
}

#[derive(Deserialize)]
struct DomainAttributes {
    name: Option<String>,
    claim: Option<Claim>,
}

#[derive(Deserialize)]
struct Claim {
    status: Option<String>,
}

/// Whoever may not browse users sees nobody, which must not look like nobody being there (CLOUD-6).
pub(super) fn blind() -> TargetError {
    TargetError::Denied {
        detail: "the account of the token may not browse users and groups, so that Jira shows it nobody; give it that \
                 global permission"
            .to_owned(),
    }
}

impl Cloud {
    /// `myself` validates the credential; a search would not (CLOUD-6).
    pub(super) async fn who_am_i(&self, calls: &Calls<'_>) -> Result<Probe, TargetError> {
        let own = match self.hosts.look(calls, Host::Site, get("myself.get", "/rest/api/3/myself")).await {
            Ok(document) => parse::<User>(document)?.seen(),
            Err(No::Forbidden(words)) => return Err(TargetError::Denied { detail: words.reason }),
            Err(no) => return Err(no.into_error(|| "the account of the token".to_owned())),
        };
        let permissions = self.permissions(calls).await?;
        if self.hosts.has_organization() {
            self.organization_name(calls).await?;
        }
        Ok(Probe {
            own_account: own,
            version: "cloud".to_owned(),
            version_numbers: Vec::new(),
            administers: permissions.administers && permissions.browses,
        })
    }

    pub(super) async fn permissions(&self, calls: &Calls<'_>) -> Result<Permissions, TargetError> {
        let request = get("permissions.get", "/rest/api/3/mypermissions").with("permissions", "ADMINISTER,USER_PICKER");
        let found = self.hosts.look(calls, Host::Site, request).await;
        let found = found.map_err(|no| no.into_error(|| "the list of permissions".to_owned()))?;
        let have = |key: &str| found["permissions"][key]["havePermission"] == Value::Bool(true);
        Ok(Permissions { administers: have("ADMINISTER"), browses: have("USER_PICKER") })
    }

    /// The organisation by its id; the list of organisations may be empty for a good key (reference, 2.3).
    pub(super) async fn organization_name(&self, calls: &Calls<'_>) -> Result<String, TargetError> {
        let request = self.of_organization("organization.get", Method::GET, "/admin/v1/orgs/{orgId}");
        let found = match self.hosts.look(calls, Host::Organization, request).await {
            Ok(document) => document,
            Err(No::NotFound(words) | No::Forbidden(words)) => {
                return Err(TargetError::Denied { detail: format!("the organisation: {}", words.reason) });
            }
            Err(no) => return Err(no.into_error(|| "the organisation".to_owned())),
        };
        Ok(found["data"]["attributes"]["name"].as_str().unwrap_or_default().to_owned())
    }

    /// Domains whose accounts the organisation manages (CLOUD-13), an hour old at most; `None` where the key may not see
    /// them.
    pub(super) async fn verified_domains(&self, calls: &Calls<'_>) -> Result<Option<BTreeSet<String>>, TargetError> {
        let ask = async {
            let mut verified = BTreeSet::new();
            let mut cursor: Option<String> = None;
            loop {
                let mut request = self.of_organization("domain.list", Method::GET, "/admin/v1/orgs/{orgId}/domains");
                if let Some(cursor) = &cursor {
                    request = request.about("cursor", cursor);
                }
                let found: Domains = match self.hosts.look(calls, Host::Organization, request).await {
                    Ok(document) => parse(document)?,
                    Err(No::Failed(error)) => return Err(error),
                    Err(_) => return Ok(None),
                };
                verified.extend(found.data.into_iter().filter_map(|domain| {
                    let claimed =
                        domain.attributes.claim.is_none_or(|claim| claim.status.as_deref() == Some("verified"));
                    domain.attributes.name.filter(|_| claimed).map(|name| fold(&name))
                }));
                // In this old part of the API the next page is an address (reference, 3.3).
                match found.links.next.as_deref().and_then(cursor_of).filter(|next| Some(next) != cursor.as_ref()) {
                    Some(next) => cursor = Some(next),
                    None => return Ok(Some(verified)),
                }
            }
        };
        self.domains.get(ask).await
    }
}

fn cursor_of(link: &str) -> Option<String> {
    let (_, query) = link.split_once('?')?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(name, _)| name == "cursor").map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_of_the_old_api_is_an_address_with_a_cursor() {
        let link = "https://api.atlassian.com/admin/v1/orgs/o/domains?cursor=a%2Fb&x=1";
        assert_eq!(cursor_of(link).as_deref(), Some("a/b"));
        assert_eq!(cursor_of("https://api.atlassian.com/admin/v1/orgs/o/domains"), None);
    }
}
