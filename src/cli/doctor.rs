//! `jira-scim doctor`: what each target is, what it can do for us, and what an administrator should put right. Reads only.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde::Serialize;
use uuid::Uuid;

use super::{ConfigArgs, Database, Failure};
use crate::account::OffSwitch;
use crate::app;
use crate::config::{Config, TargetConfig, TargetKind};
use crate::jira::{Calls, Examination, Finding, Gate, Level, Permit, RateLimits, TargetError};
use crate::policy::Policy;
use crate::store::outbox_view::{self, Cursor, Entry, State};
use crate::store::{Store, tenant};
use crate::telemetry::Chain;
use crate::writer::expiry;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only this target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One target, examined.
#[derive(Serialize)]
struct Diagnosis {
    target: String,
    kind: &'static str,
    url: String,
    /// Why it could not be examined.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    examination: Examination,
}

/// A target did not answer, or does not accept our credential: exit code 4.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreachable(String);

impl Unreachable {
    /// In words.
    pub(super) fn new(why: String) -> Self {
        Self(why)
    }
}

/// Provisioning does not work at a target that answers: exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Ill(String);

/// Examines the configured targets, all at once.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.load()?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chosen: Vec<&TargetConfig> = match &args.target {
        Some(name) => vec![config.target(name).ok_or_else(|| format!("there is no target {name}"))?],
        None => config.targets.iter().collect(),
    };
    if chosen.is_empty() {
        return Err("no target is configured".into());
    }
    let found = futures_util::future::join_all(chosen.into_iter().map(|target| examine(&config, target))).await;
    let mut found = found.into_iter().collect::<Result<Vec<_>, _>>()?;
    refused(&config, &mut found).await;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        println!("{}", found.iter().map(told).collect::<Vec<_>>().join("\n\n"));
    }
    judge(&found)
}

fn judge(found: &[Diagnosis]) -> Result<(), Failure> {
    let names = |which: &dyn Fn(&Diagnosis) -> bool| {
        let names: Vec<&str> = found.iter().filter(|one| which(one)).map(|one| one.target.as_str()).collect();
        Some(names.join(", ")).filter(|names| !names.is_empty())
    };
    if let Some(names) = names(&|one| one.error.is_some()) {
        return Err(Unreachable(format!("cannot work with {names}")).into());
    }
    let ill = |one: &Diagnosis| one.examination.findings.iter().any(|finding| finding.level == Level::Problem);
    match names(&ill) {
        Some(names) => Err(Ill(format!("provisioning does not work at {names}")).into()),
        None => Ok(()),
    }
}

async fn examine(config: &Config, target: &TargetConfig) -> Result<Diagnosis, Failure> {
    let made = app::target(target)?;
    let calls = Calls::new(Uuid::now_v7(), &Free);
    let (mut examination, error) = match made.target.examine(&calls).await {
        Ok(examination) => (examination, None),
        Err(error) => (Examination::default(), Some(error)),
    };
    examination.findings.extend(error.as_ref().map(cure));
    examination.findings.extend(expiring(target, Utc::now()));
    examination.findings.extend(config.tenants.iter().filter(|t| t.target == target.name).filter_map(|tenant| {
        let policy = Policy::from_value(&tenant.policy).ok()?;
        unfit(target, &policy)
            .map(|text| Finding::warning(format!("Tenant {}: {text}", tenant.slug), "Change its policy."))
    }));
    examination.findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    Ok(Diagnosis {
        target: target.name.clone(),
        kind: target.kind.as_str(),
        url: target.url.clone(),
        error: error.map(|error| error.to_string()),
        examination,
    })
}

/// How many refusals of a tenant are told.
const REFUSALS: usize = 20;

/// What a Jira refused, where the store can be read: that is how accounts in read-only directories show.
async fn refused(config: &Config, found: &mut [Diagnosis]) {
    let Some(database) = Database::join(&config.database) else { return };
    let told = async {
        let store = Store::lazy(&database.store_options(&config.database))?;
        let mut conn = store.pool().acquire().await?;
        let mut told = Vec::new();
        for tenant in tenant::list(&mut *conn).await? {
            let total = outbox_view::total(&mut conn, tenant.id, &[State::Refused]).await?;
            let (mut entries, mut after) = (Vec::new(), Some(Cursor::default()));
            while let Some(cursor) = after
                && entries.len() < REFUSALS
            {
                let room = i64::try_from(REFUSALS - entries.len()).unwrap_or(i64::MAX);
                let page = outbox_view::page(&mut conn, tenant.id, &[State::Refused], &cursor, room).await?;
                entries.extend(page.0);
                after = page.1;
            }
            if total.count > 0 {
                told.push((tenant.target, refusals(&tenant.slug, total.count, &entries)));
            }
        }
        Ok::<_, Failure>(told)
    };
    match told.await {
        Ok(told) => {
            for (target, finding) in told {
                let of_target = found.iter_mut().filter(|one| one.target == target);
                of_target.for_each(|one| one.examination.findings.push(finding.clone()));
            }
        }
        Err(error) => found.iter_mut().for_each(|one| {
            let text = format!("The store cannot be read, so what Jira refused is not told: {}", Chain(&*error));
            one.examination.findings.push(Finding::note(text, ""));
        }),
    }
}

fn refusals(slug: &str, count: i64, entries: &[Entry]) -> Finding {
    let lines = entries.iter().map(|entry| {
        let name = entry.name.clone().or_else(|| entry.id.map(|id| id.to_string())).unwrap_or_default();
        let (step, reason) = (entry.step.as_deref().unwrap_or_default(), entry.reason.as_deref().unwrap_or_default());
        format!("{name} ({step}): {reason}")
    });
    let lines = lines.collect::<Vec<_>>().join("; ");
    let more = if usize::try_from(count).unwrap_or(usize::MAX) > entries.len() { "; and more" } else { "" };
    Finding::warning(
        format!("Tenant {slug}: {count} steps are refused: {lines}{more}"),
        "Put it right at the source or in Jira, then `jira-scim outbox retry`. An account whose directory is read-only \
         cannot be written by anybody over REST.",
    )
}

/// What an administrator can do about a target that could not be examined.
fn cure(error: &TargetError) -> Finding {
    let (text, advice) = match error {
        TargetError::Denied { .. } => (
            "Our credential is not accepted, or may not administer.",
            "Check the token and its date of expiry, and that its owner is an administrator. The daemon pauses such a \
             target, because repeated bad logins lock the account.",
        ),
        TargetError::Throttled { .. } => (
            "The target asks us to wait.",
            "Somebody uses up its rate limit. Try again later; target.pace makes the daemon itself slower.",
        ),
        _ => (
            "The target does not answer as it should.",
            "Check target.url with its context path, name resolution, proxies and certificates (target.ca_file) on this \
             machine.",
        ),
    };
    Finding::problem(format!("{text} ({error})"), advice)
}

fn expiring(target: &TargetConfig, now: DateTime<Utc>) -> Vec<Finding> {
    let of = |(what, at): (&str, DateTime<Utc>)| {
        let days = expiry::days_left(at, now);
        let advice = format!("Make a new one and set target.{what} and its date.");
        match expiry::is_near(at, now) {
            true if days < 0 => Finding::problem(format!("The {what} expired on {}.", at.format("%F")), advice),
            true => Finding::warning(format!("The {what} expires on {}, in {days} days.", at.format("%F")), advice),
            false => Finding::note(format!("The {what} expires on {}, in {days} days.", at.format("%F")), ""),
        }
    };
    target.expiries().map(of).collect()
}

/// What a tenant's policy asks of a kind of target that does not have it.
fn unfit(target: &TargetConfig, policy: &Policy) -> Option<&'static str> {
    let off = policy.deprovision.off_switch;
    match target.kind {
        TargetKind::Cloud if target.organization.is_none() => match off {
            Some(OffSwitch::Suspend | OffSwitch::Deactivate | OffSwitch::Delete) => {
                Some("deprovision.off_switch needs the organisation's key (target.organization).")
            }
            _ => None,
        },
        TargetKind::Cloud => (!policy.applications.is_empty())
            .then_some("applications are for Data Center; on Cloud with an organisation, products are what it has."),
        TargetKind::DataCenter if target.crowd.is_none() && !policy.account.fields.is_empty() => {
            Some("account.fields are for Crowd's API here (target.crowd), and for Cloud and Align.")
        }
        TargetKind::DataCenter if !policy.products.is_empty() => {
            Some("products are for Cloud; Data Center has applications.")
        }
        TargetKind::Align if !policy.products.is_empty() || !policy.applications.is_empty() => {
            Some("Align has neither applications nor products.")
        }
        TargetKind::DataCenter | TargetKind::Align => {
            off.is_some().then_some("deprovision.off_switch is for Cloud; here a person is deactivated.")
        }
    }
}

fn told(one: &Diagnosis) -> String {
    let mut lines = vec![format!("{} ({}) {}", one.target, one.kind, one.url)];
    let width = one.examination.facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    lines.extend(one.examination.facts.iter().map(|(name, value)| format!("  {name:width$}  {value}")));
    for finding in &one.examination.findings {
        let mark = match finding.level {
            Level::Problem => "PROBLEM",
            Level::Warning => "WARNING",
            Level::Note => "note",
        };
        lines.push(format!("  {mark}: {}", finding.text));
        if !finding.advice.is_empty() {
            lines.push(format!("    {}", finding.advice));
        }
    }
    // What a target says of itself must not steer a terminal.
    let clean = |line: String| line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    lines.into_iter().map(clean).collect::<Vec<_>>().join("\n")
}

/// Nobody else works here.
struct Free;

impl Gate for Free {
    fn enter(&self) -> BoxFuture<'_, Result<Permit, TargetError>> {
        Box::pin(async { Ok(Permit(None)) })
    }

    fn observe(&self, _: RateLimits) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::config::{OrganizationConfig, TargetCredential};
    use crate::secret::Secret;

    fn target(kind: TargetKind) -> TargetConfig {
        TargetConfig::new("jira", kind, "https://jira.example", TargetCredential::Token(Secret::new("t")))
    }

    #[test]
    fn a_policy_that_asks_for_what_a_target_does_not_have_is_told() {
        let policy = |value| Policy::from_value(&value).unwrap();
        let suspend = policy(json!({"deprovision": {"off_switch": "suspend"}}));
        let software = policy(json!({"applications": ["jira-software"]}));
        let product = policy(json!({"products": [{"resource": "ari:cloud:jira-software::site/1"}]}));
        let names = policy(json!({"account": {"fields": {"first-name": "{{ name.givenName }}"}}}));
        let organization = OrganizationConfig {
            id: "o".into(),
            key: Secret::new("k"),
            key_file: None,
            key_expires: None,
            directory: None,
        };
        let with_key = TargetConfig { organization: Some(organization), ..target(TargetKind::Cloud) };
        for (target, policy, unfits) in [
            (target(TargetKind::Cloud), &suspend, true),
            (with_key.clone(), &suspend, false),
            (with_key, &software, true),
            (target(TargetKind::Cloud), &software, false),
            (target(TargetKind::DataCenter), &software, false),
            (target(TargetKind::DataCenter), &suspend, true),
            (target(TargetKind::DataCenter), &product, true),
            (target(TargetKind::DataCenter), &names, true),
            (target(TargetKind::Align), &names, false),
            (target(TargetKind::Align), &product, true),
            (target(TargetKind::Align), &Policy::default(), false),
        ] {
            assert_eq!(unfit(&target, policy).is_some(), unfits, "{:?} {policy:?}", target.kind);
        }
    }

    #[test]
    fn a_credential_that_ends_soon_is_a_warning_and_one_that_ended_a_problem() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let ends_in = |days| {
            let at = now + chrono::TimeDelta::days(days);
            expiring(&TargetConfig { token_expires: Some(at), ..target(TargetKind::Align) }, now)[0].level
        };
        assert_eq!([ends_in(31), ends_in(30), ends_in(-1)], [Level::Note, Level::Warning, Level::Problem]);
    }
}
