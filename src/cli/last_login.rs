//! `jira-scim last-login`: asks a tenant's target when its people were last seen.

use super::desk::Desk;
use super::runs::{done, tenant};
use super::{ConfigArgs, Failure};
use crate::store::run::Kind;
use crate::writer::last_login::Logins;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Asks, writes down what was told, and prints how much that was.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let desk = Desk::open(&args.config).await?;
    let read = read(args, &desk).await;
    desk.close().await;
    let logins = read?;
    println!("{}", if args.json { serde_json::to_string_pretty(&logins)? } else { told(logins) });
    Ok(())
}

async fn read(args: &Args, desk: &Desk) -> Result<Logins, Failure> {
    let tenant = tenant(desk, &args.tenant).await?;
    let run = done(desk, &tenant, Kind::LastLogin).await?;
    match run.error {
        Some(why) => Err(format!("the last logins cannot be read: {why}").into()),
        None => Ok(serde_json::from_value(run.counters)?),
    }
}

fn told(Logins { told, users, changed }: Logins) -> String {
    if told == 0 {
        return "the target does not tell of anybody when they were last seen".to_owned();
    }
    format!(
        "the target tells of {told} accounts when they were last seen; {users} are of this tenant, {changed} changed"
    )
}
