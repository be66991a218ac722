//! `jira-scim unmatched`: accounts at a tenant's target that nobody claims.

use std::time::Duration;

use super::desk::Desk;
use super::table::table;
use super::{ConfigArgs, Failure};
use crate::app;
use crate::lifecycle::Lifecycle;
use crate::policy::Policy;
use crate::store::tenant;
use crate::telemetry::Metrics;
use crate::writer::unmatched::{Act, Comparison, Outcome};

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Switch them off, too
    #[arg(long)]
    apply: bool,
    /// The most that are switched off; with more, none is [default: the policy's unmatched_accounts.limit]
    #[arg(long, value_name = "N", requires = "apply")]
    limit: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Compares, prints, and fails where something that should have been switched off is still on.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let desk = Desk::open(&args.config).await?;
    let compared = compare(args, &desk).await;
    desk.close().await;
    let comparison = compared?;
    println!("{}", if args.json { serde_json::to_string_pretty(&comparison)? } else { told(&comparison) });
    let failed =
        comparison.strays.iter().any(|stray| matches!(stray.outcome, Outcome::Failed(_) | Outcome::Unknown(_)));
    match comparison.withheld {
        Some(why) => Err(why.into()),
        None if failed => Err("not every account was switched off".into()),
        None => Ok(()),
    }
}

async fn compare(args: &Args, desk: &Desk) -> Result<Comparison, Failure> {
    let tenant = tenant::get(desk.store.pool(), &args.tenant).await?;
    let tenant = tenant.ok_or_else(|| format!("there is no tenant {}", args.tenant))?;
    let policy = Policy::from_value(&tenant.policy).map_err(|problems| problems.join(" "))?;
    let limit = args.limit.unwrap_or(policy.unmatched_accounts.limit);
    let act = if args.apply { Act::SwitchOff { limit, seen_for: Duration::ZERO } } else { Act::Report };
    let writer = app::writer(&desk.config, &desk.store, &Lifecycle::new(), &Metrics::new()?)?;
    Ok(writer.compare(&tenant, act, desk.origin()).await?)
}

fn told(comparison: &Comparison) -> String {
    let rows: Vec<Vec<String>> = comparison
        .strays
        .iter()
        .map(|stray| {
            let outcome = match &stray.outcome {
                Outcome::Reported => "still on".to_owned(),
                Outcome::SwitchedOff => "switched off".to_owned(),
                Outcome::Held(why) | Outcome::Failed(why) => format!("still on: {why}"),
                Outcome::Unknown(why) => format!("nobody knows: {why}"),
            };
            let email = stray.email.clone().unwrap_or_default();
            vec![stray.username.clone(), email, stray.display_name.clone(), stray.id.clone(), outcome]
        })
        .collect();
    let count = format!("{} of {} active accounts are nobody's", comparison.strays.len(), comparison.active);
    match rows.is_empty() {
        true => count,
        false => format!("{}\n{count}", table(&["login name", "e-mail", "name", "account", "state"], &rows)),
    }
}
