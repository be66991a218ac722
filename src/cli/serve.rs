//! `jira-scim serve`: the daemon.

use super::{ConfigArgs, Failure};
use crate::app::App;
use crate::lifecycle::{Ending, Lifecycle};
use crate::telemetry;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs until it is told to end.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.load()?;
    super::check(&config).map_err(|problems| super::check_config::located(problems, &args.config))?;
    telemetry::start(&config.log)?;
    let life = Lifecycle::new();
    life.listen_for_signals()?;
    let app = App::start(config, life).await?;
    match app.finish().await {
        Ending::Finished => Ok(()),
        Ending::CutShort => Err("not everything had finished when the grace period was over".into()),
        Ending::Crashed => Err("a background task crashed; see the log".into()),
    }
}
