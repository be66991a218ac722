//! `jira-scim simulate`: plays an identity provider's session against any SCIM server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum as _;

use super::Failure;
use crate::secret::Secret;
use crate::simulate::profile::Profile;
use crate::simulate::session::{Ending, Size};
use crate::simulate::wire::Budget;
use crate::simulate::{self, Credential, Options};

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Who to be
    #[arg(long, value_enum, default_value = "okta")]
    profile: Profile,
    /// The SCIM base URL, such as `https://scim.corp.example/scim/acme/v2`
    #[arg(long, value_name = "URL")]
    url: String,
    #[command(flatten)]
    login: Login,
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
    /// Which invented people; the same number gives the same people, and goes on with those of an earlier session [default: others
    /// every time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Leave groups and people as they are at the end, instead of deleting and deactivating them
    #[arg(long)]
    keep: bool,
    /// Leave nothing behind: also delete people whom this provider would only deactivate
    #[arg(long, conflicts_with = "keep")]
    purge: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Login {
    /// The bearer token; not used where --basic-user is given
    #[arg(long, value_name = "TOKEN", env = "JIRA_SCIM_SIMULATE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with the bearer token
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// The name for HTTP Basic, instead of a token: wins over --token and its variable
    #[arg(long, value_name = "NAME", requires = "password_file")]
    basic_user: Option<String>,
    /// A file with the password for HTTP Basic
    #[arg(long, value_name = "FILE", requires = "basic_user", conflicts_with = "token_file")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum SimulateError {
    #[error("there is no credential: give --token-file, JIRA_SCIM_SIMULATE_TOKEN, or --basic-user and --password-file")]
    NoCredential,
    #[error("cannot read {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0} complaints about the answers")]
    Complaints(u64),
}

/// Plays the session and prints the report; fails where something was wrong with the answers.
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let credential = args.login.credential()?;
    let seed = args.seed.unwrap_or_else(|| rand::random_range(1..1_000_000));
    let profile = args.profile.to_possible_value().map(|value| value.get_name().to_owned());
    let options = Options {
        profile: args.profile,
        url: args.url,
        credential,
        extra_ca: args.ca_file.as_deref().map(read).transpose()?,
        size: Size { users: args.users, groups: args.groups, ending: ending(args.keep, args.purge) },
        connections: usize::from(args.concurrency),
        seed,
        budget: Budget { requests: args.requests, duration: args.duration },
        progress: true,
    };
    eprintln!("seed {seed}: people at {}, Ctrl-C ends it and cleans up", simulate::people::domain(seed));
    let report = simulate::run(options, interrupted()).await?;
    if args.json {
        let mut json = report.json();
        json["profile"] = profile.into();
        json["seed"] = seed.into();
        println!("{json:#}");
    } else {
        print!("{report}");
    }
    if report.is_clean() { Ok(()) } else { Err(SimulateError::Complaints(report.complained).into()) }
}

fn ending(keep: bool, purge: bool) -> Ending {
    match (keep, purge) {
        (true, _) => Ending::Keep,
        (_, true) => Ending::Purge,
        _ => Ending::Usual,
    }
}

/// The first Ctrl-C; the second ends the process as ever.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        return std::future::pending().await;
    }
    eprintln!("cleaning up; Ctrl-C again leaves everything as it is");
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(1);
        }
    });
}

impl Login {
    fn credential(self) -> Result<Credential, SimulateError> {
        if let (Some(user), Some(path)) = (self.basic_user, self.password_file) {
            return Ok(Credential::Basic { user, password: secret(&path)? });
        }
        match (self.token, self.token_file) {
            (_, Some(path)) => Ok(Credential::Token(secret(&path)?)),
            (Some(token), None) => Ok(Credential::Token(Secret::new(token))),
            (None, None) => Err(SimulateError::NoCredential),
        }
    }
}

fn secret(path: &Path) -> Result<Secret, SimulateError> {
    Ok(Secret::new(String::from_utf8_lossy(&read(path)?).trim()))
}

fn read(path: &Path) -> Result<Vec<u8>, SimulateError> {
    std::fs::read(path).map_err(|source| SimulateError::File { path: path.to_path_buf(), source })
}
