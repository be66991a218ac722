//! What an administrator should know about a site, for `doctor`: what these credentials cannot do, seats, domains,
//! protected groups (reference, section 13).

use super::answer::No;
use super::hosts::Host;
use super::{Calls, Cloud, Examination, TargetError, get};
use crate::jira::{Finding, Level};

fn finding(level: Level, text: impl Into<String>, advice: &str) -> Finding {
    Finding { level, text: text.into(), advice: advice.to_owned() }
}

/// What a site alone cannot do, in the order in which it is missed.
const MISSING: [(&str, &str); 4] = [
    (
        "Without the organisation's key nobody can be suspended: an inactive person is removed from the site, and loses \
         groups and access.",
        "Create an API key without scopes at admin.atlassian.com and configure it in [target.organization].",
    ),
    (
        "Without the organisation's key names, titles and e-mail addresses cannot be changed; what the IdP changes stays \
         as it is in Jira.",
        "Configure [target.organization] with its id and an API key without scopes; the domain of the people has to be verified, too.",
    ),
    (
        "Without the organisation's key an address is found only if its owner shows it, so that somebody may be invited \
         who is there already.",
        "Configure [target.organization] with its id and an API key without scopes.",
    ),
    (
        "Without the organisation's key access to Confluence and other apps that are not Jira's can neither be given nor \
         taken away.",
        "Configure [target.organization] with its id and an API key without scopes.",
    ),
];

impl Cloud {
    pub(super) async fn look_around(&self, calls: &Calls<'_>) -> Result<Examination, TargetError> {
        let mut found = Examination::default();
        let probe = self.who_am_i(calls).await?;
        let mut fact = |name: &str, value: String| found.facts.push((name.to_owned(), value));
        fact("deployment", "Jira Cloud".to_owned());
        fact("cloud id", self.hosts.cloud_id(calls).await?.to_owned());
        fact("own account", probe.own_account.display_name.clone());
        fact("administers", yes(probe.administers));
        fact("organisation key", yes(self.hosts.has_organization()));
        self.permissions_found(calls, &mut found).await?;
        if self.hosts.has_organization() {
            self.organization_found(calls, &probe.own_account.id.0, &mut found).await?;
        } else {
            found.findings.extend(MISSING.map(|(text, advice)| finding(Level::Warning, text, advice)));
        }
        if probe.administers {
            self.seats_found(calls, &mut found).await?;
            let powers = self.powers(calls).await?.names();
            found.facts.push(("administrative groups".to_owned(), powers.join(", ")));
        }
        Ok(found)
    }

    async fn permissions_found(&self, calls: &Calls<'_>, found: &mut Examination) -> Result<(), TargetError> {
        let permissions = self.permissions(calls).await?;
        if !permissions.administers {
            found.findings.push(finding(
                Level::Problem,
                "The account of the token does not administer Jira.",
                "Give it the global permission Administer Jira, or make it a member of the site's administrators.",
            ));
        }
        if !permissions.browses {
            found.findings.push(finding(
                Level::Problem,
                "The account of the token may not browse users and groups: every search looks as if nobody were there.",
                "Give it the global permission Browse users and groups.",
            ));
        }
        Ok(())
    }

    async fn organization_found(
        &self,
        calls: &Calls<'_>,
        own: &str,
        found: &mut Examination,
    ) -> Result<(), TargetError> {
        found.facts.push(("organisation".to_owned(), self.organization_name(calls).await?));
        match self.directory(calls).await {
            Ok(directory) => found.facts.push(("directory".to_owned(), directory.to_owned())),
            Err(TargetError::Denied { detail }) => {
                found.findings.push(finding(Level::Problem, detail, "Set directory in the target's configuration."));
            }
            Err(error) => return Err(error),
        }
        self.domains_found(calls, found).await?;
        self.key_found(calls, own, found).await
    }

    async fn domains_found(&self, calls: &Calls<'_>, found: &mut Examination) -> Result<(), TargetError> {
        match self.verified_domains(calls).await? {
            Some(domains) if domains.is_empty() => found.findings.push(finding(
                Level::Warning,
                "The organisation has verified no domain: names, addresses and accounts of people cannot be changed, only \
                 their access.",
                "Verify the domain of your people at admin.atlassian.com, Directory, Domains.",
            )),
            Some(domains) => {
                let names = domains.into_iter().collect::<Vec<_>>().join(", ");
                found.facts.push(("verified domains".to_owned(), names));
            }
            None => found.findings.push(finding(
                Level::Note,
                "The organisation's key may not read its domains; whether an account is managed shows with the first write.",
                "",
            )),
        }
        Ok(())
    }

    /// A key with scopes is refused by the whole user management API (CLOUD-3).
    async fn key_found(&self, calls: &Calls<'_>, own: &str, found: &mut Examination) -> Result<(), TargetError> {
        let request = get("user.privileges", "/users/{account_id}/manage")
            .segment("account_id", own)
            .with("privileges", "profile.write");
        match self.hosts.look(calls, Host::Organization, request).await {
            Err(No::Forbidden(words)) if words.reason.contains("scope") => found.findings.push(finding(
                Level::Problem,
                "The organisation's API key has scopes: Atlassian refuses it for profiles, addresses and most writes.",
                "Create an API key without scopes at admin.atlassian.com and configure that one.",
            )),
            Err(No::Failed(error)) => return Err(error),
            _ => {}
        }
        Ok(())
    }

    async fn seats_found(&self, calls: &Calls<'_>, found: &mut Examination) -> Result<(), TargetError> {
        for one in self.applications(calls).await? {
            let seats = match one.has_unlimited_seats {
                true => "unlimited".to_owned(),
                false => format!("{} of {} left", one.remaining_seats, one.number_of_seats),
            };
            found.facts.push((format!("seats of {}", one.key), seats));
            if one.is_full() {
                let text = format!("{} has no seat left: whoever is to get it is refused, or waits.", one.name);
                found.findings.push(finding(Level::Warning, text, "Buy seats, or take access from people who left."));
            }
        }
        Ok(())
    }
}

fn yes(so: bool) -> String {
    if so { "yes".to_owned() } else { "no".to_owned() }
}
