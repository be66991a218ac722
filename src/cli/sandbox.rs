//! `jira-scim sandbox`: the sandbox's own command, with a token that may come from a file like every secret.

use std::path::PathBuf;

use super::Failure;
use crate::sandbox::cli as sandbox;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    sandbox: sandbox::SandboxArgs,
    /// A file with the administrator's personal access token
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read the token from {}", path.display())]
struct NoToken {
    path: PathBuf,
    source: std::io::Error,
}

/// Serves until SIGINT or SIGTERM.
pub(super) async fn run(mut args: Args) -> Result<(), Failure> {
    if let Some(path) = args.token_file {
        let token = std::fs::read_to_string(&path).map_err(|source| NoToken { path, source })?;
        args.sandbox.token = Some(token.trim().to_owned());
    }
    sandbox::run(args.sandbox).await.map_err(Into::into)
}
