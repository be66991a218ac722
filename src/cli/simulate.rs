//! `jira-scim simulate`: plays an identity provider's session against any SCIM server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Failure;
use crate::secret::Secret;
use crate::simulate::profile::Profile;
use crate::simulate::session::Size;
use crate::simulate::wire::Budget;
use crate::simulate::{self, Options};

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Who to be
    #[arg(long, value_enum, default_value = "okta")]
    profile: Profile,
    /// The SCIM base URL, such as `https://scim.corp.example/scim/acme/v2`
    #[arg(long, value_name = "URL")]
    url: String,
    /// The bearer token
    #[arg(long, value_name = "TOKEN", env = "JIRA_SCIM_SIMULATE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with the bearer token
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// A PEM file with further certificate authorities to trust
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// People to assign
    #[arg(long, value_name = "N", default_value_t = 100)]
    users: usize,
    /// Groups to push
    #[arg(long, value_name = "N", default_value_t = 5)]
    groups: usize,
    /// Connections at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// Stop after so many requests, going on with other people until then
    #[arg(long, value_name = "N")]
    requests: Option<u64>,
    /// Stop after this time (30s, 5m), going on with other people until then
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Which invented people; the same number gives the same people
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Leave groups and people as they are at the end, instead of deleting and deactivating them
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, thiserror::Error)]
enum SimulateError {
    #[error("there is no token: give --token, --token-file or JIRA_SCIM_SIMULATE_TOKEN")]
    NoToken,
    #[error("cannot read {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0} complaints about the answers")]
    Complaints(u64),
}

/// Plays the session and prints the report; fails where something was wrong with the answers.
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let token = match (args.token, args.token_file) {
        (Some(token), _) => token,
        (None, Some(path)) => String::from_utf8_lossy(&read(&path)?).trim().to_owned(),
        (None, None) => return Err(SimulateError::NoToken.into()),
    };
    let options = Options {
        profile: args.profile,
        url: args.url,
        token: Secret::new(token),
        extra_ca: args.ca_file.as_deref().map(read).transpose()?,
        size: Size { users: args.users, groups: args.groups, keep: args.keep },
        connections: usize::from(args.concurrency),
        seed: args.seed,
        budget: Budget { requests: args.requests, duration: args.duration },
        progress: true,
    };
    let report = simulate::run(options).await?;
    print!("{report}");
    if report.is_clean() { Ok(()) } else { Err(SimulateError::Complaints(report.complained).into()) }
}

fn read(path: &Path) -> Result<Vec<u8>, SimulateError> {
    std::fs::read(path).map_err(|source| SimulateError::File { path: path.to_path_buf(), source })
}
