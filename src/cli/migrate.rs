//! `jira-scim migrate`: what the daemon does at its start, alone.

use super::{ConfigArgs, Database, Failure};
use crate::store::Store;
use crate::telemetry;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Applies the migrations that are missing.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.load()?;
    telemetry::start(&config.log)?;
    let database = Database::join_or_open(&config.database).await?;
    let store = Store::lazy(&database.store_options(&config.database))?;
    let migrated = store.migrate().await;
    store.pool().close().await;
    database.close().await;
    migrated?;
    println!("the schema is up to date");
    Ok(())
}
