//! `jira-scim sandbox`: the sandbox alone, against any client.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::api::Api;
use super::seed::Seed;
use super::{
    AlignOptions, AlignSandbox, CloudSandbox, CloudSandboxOptions, Fault, Limits, RateLimit, Role, Sandbox,
    SandboxOptions, Stand, Version,
};

/// Which API the sandbox speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Jira Data Center and Server: `/rest/api/2`.
    DataCenter,
    /// Jira Cloud: a site (`/rest/api/3`) and its organisation (`/admin`, `/users`), on one address.
    Cloud,
    /// Jira Align: `/rest/align/api/2`; of the options it has kind, listen, admin, token, seed, rate-limit, fault, journal.
    Align,
}

/// A Jira with state, for trying things out: it listens, keeps accounts and groups in memory, and can be made to fail.
#[derive(Clone, clap::Args)]
pub struct SandboxArgs {
    /// Which Jira to play.
    #[arg(long, value_enum, default_value = "data-center")]
    pub kind: Kind,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// The context path; empty for the root.
    #[arg(long, default_value = "/jira", value_name = "PATH")]
    pub context: String,
    /// The version of Jira to play; rules differ with it.
    #[arg(long, visible_alias = "version", default_value = "10.3.24", value_name = "VERSION")]
    pub jira_version: Version,
    /// The administrator's username.
    #[arg(long, default_value = "svc-scim", value_name = "USERNAME")]
    pub admin: String,
    /// The administrator's personal access token; random unless given.
    #[arg(long, value_name = "TOKEN", env = "JIRA_SCIM_SANDBOX_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// The administrator's password for Basic authentication; none unless given.
    #[arg(long, value_name = "PASSWORD", env = "JIRA_SCIM_SANDBOX_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Cloud: the organisation's API key; random unless given.
    #[arg(long, value_name = "KEY", env = "JIRA_SCIM_SANDBOX_ORGANIZATION_KEY", hide_env_values = true)]
    pub organization_key: Option<String>,
    /// Seats of each application; unlimited unless given.
    #[arg(long, value_name = "N")]
    pub seats: Option<u32>,
    /// A further application: `jira-servicedesk`, or with its seats `jira-servicedesk=25`; may be given several times.
    #[arg(long = "application", value_name = "KEY[=SEATS]", value_parser = application)]
    pub applications: Vec<Role>,
    /// Name and password of an application that may use the Crowd-compatible API; none unless given.
    #[arg(long, value_name = "NAME:PASSWORD", env = "JIRA_SCIM_SANDBOX_CROWD", hide_env_values = true, value_parser = pair)]
    pub crowd: Option<(String, String)>,
    /// People and groups to begin with: `20000-users`.
    #[arg(long, value_name = "SEED")]
    pub seed: Option<Seed>,
    /// Rate limit: bucket size, calls added in each interval, length of the interval in seconds (50/10/60).
    #[arg(long, value_name = "SIZE/FILL/SECONDS")]
    pub rate_limit: Option<RateLimit>,
    /// Leave e-mail addresses out of all answers.
    #[arg(long)]
    pub hide_emails: bool,
    /// A fault; may be given several times.
    ///
    /// What happens, then when, with commas: `status=503,times=3,on=POST /user`, `drop-answer,probability=0.1,seed=7`,
    /// `late=250,containing=mara.lund`. What: status=CODE, throttle=SECONDS, hang, delay=MS, drop-before, drop-answer,
    /// late[=MS], html[=CODE], redirect, captcha, garbage, ausername=NAME, anonymous. When: on=METHOD PATH,
    /// containing=TEXT, times=N, skip=N, probability=P, seed=N; and retry-after=SECONDS, work=yes, close=yes.
    #[arg(long = "fault", value_name = "SPEC", verbatim_doc_comment)]
    pub faults: Vec<Fault>,
    /// Append every call to this file as a JSON line.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
}

impl From<SandboxArgs> for SandboxOptions {
    fn from(args: SandboxArgs) -> Self {
        // Before 8.14 there are no tokens (DC-3): without a password nobody could call.
        let password = args.password.or_else(|| (!args.jira_version.knows_tokens()).then(super::random_token));
        let mut options = Self {
            listen: args.listen,
            context: args.context,
            version: args.jira_version,
            admin: args.admin,
            token: args.token,
            password,
            emails_hidden: args.hide_emails,
            rate_limit: args.rate_limit,
            crowd: args.crowd,
            seed: args.seed,
            faults: args.faults,
            journal_file: args.journal,
            ..Self::default()
        };
        if let Some(seats) = args.seats {
            options = options.with_seats(seats);
        }
        options.applications.extend(args.applications);
        options
    }
}

impl From<SandboxArgs> for CloudSandboxOptions {
    fn from(args: SandboxArgs) -> Self {
        let admin = if args.admin.contains('@') { args.admin } else { format!("{}@example.test", args.admin) };
        Self {
            listen: args.listen,
            admin,
            token: args.token,
            organization_key: args.organization_key,
            seats: args.seats,
            limits: Limits { burst: args.rate_limit, organization: args.rate_limit, ..Limits::default() },
            seed: args.seed,
            faults: args.faults,
            journal_file: args.journal,
            ..Self::default()
        }
    }
}

impl From<SandboxArgs> for AlignOptions {
    fn from(args: SandboxArgs) -> Self {
        // The owner's id is not the caller's to choose.
        let secret =
            args.token.map(|token| token.rsplit_once('|').map_or(token.clone(), |(_, secret)| secret.to_owned()));
        Self {
            listen: args.listen,
            admin: args.admin,
            secret,
            seed: args.seed,
            rate_limit: args.rate_limit,
            faults: args.faults,
            journal_file: args.journal,
            ..Self::default()
        }
    }
}

fn application(text: &str) -> Result<Role, String> {
    match text.split_once('=') {
        None => Ok(Role::named(text, None)),
        Some((key, seats)) => match seats.parse() {
            Ok(seats) => Ok(Role::named(key, Some(seats))),
            Err(_) => Err(format!("`{seats}` is no number of seats")),
        },
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once(':').ok_or("NAME:PASSWORD is wanted")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

/// Serves until SIGINT or SIGTERM. Prints the base URL and the headers to use, and nothing else, on standard output.
///
/// # Errors
/// As [`Sandbox::start`]; and when standard output or the signals cannot be used.
pub async fn run(args: SandboxArgs) -> io::Result<()> {
    // Before the first line is printed: whoever reads it may send a signal at once.
    let until = Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? };
    match args.kind {
        Kind::DataCenter => {
            let options = SandboxOptions::from(args);
            let basic = options.password.clone().filter(|_| !options.version.knows_tokens());
            let sandbox = Sandbox::start(options).await?;
            let authorization = match basic {
                None => format!("Bearer {}", sandbox.token()),
                Some(password) => format!("Basic {}", STANDARD.encode(format!("{}:{password}", sandbox.admin()))),
            };
            serve(sandbox, &[format!("Authorization: {authorization}")], until).await
        }
        Kind::Cloud => {
            let sandbox = CloudSandbox::start(args.into()).await?;
            let pair = STANDARD.encode(format!("{}:{}", sandbox.admin(), sandbox.token()));
            // The organisation has an id and a credential of its own.
            let lines = [
                format!("Authorization: Basic {pair}"),
                format!("Organization: {}", sandbox.look(|world| world.org_id.clone())),
                format!("Organization-Authorization: Bearer {}", sandbox.organization_key()),
            ];
            serve(sandbox, &lines, until).await
        }
        Kind::Align => {
            let sandbox = AlignSandbox::start(args.into()).await?;
            let authorization = format!("Authorization: Bearer {}", sandbox.token());
            serve(sandbox, &[authorization], until).await
        }
    }
}

/// What ends the sandbox.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

async fn serve<A: Api>(sandbox: Stand<A>, lines: &[String], mut until: Signals) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", sandbox.base_url())?;
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    out.flush()?;
    drop(out);
    tokio::select! {
        _ = until.interrupt.recv() => {}
        _ = until.terminate.recv() => {}
    }
    sandbox.stop().await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sandbox: SandboxArgs,
    }

    #[test]
    fn a_command_line_becomes_options() {
        let line = [
            "x",
            "--seats",
            "2",
            "--rate-limit",
            "50/10/60",
            "--fault",
            "hang,times=1",
            "--fault",
            "status=503,on=POST /user",
            "--version",
            "8.2",
            "--application",
            "jira-servicedesk=3",
            "--crowd",
            "crowd-scim:s3cret",
            "--seed",
            "100-users",
            "--context",
            "",
            "--token",
            "secret",
        ];
        let options = SandboxOptions::from(Line::try_parse_from(line).unwrap().sandbox);
        assert_eq!(options.applications[0].seats, Some(2));
        assert_eq!(options.faults.len(), 2);
        assert!(!options.version.at_least(&[8, 3]));
        assert_eq!(options.token.as_deref(), Some("secret"));
        assert!(options.password.is_some(), "8.2 knows no tokens");
        assert_eq!(options.applications[1], Role::named("jira-servicedesk", Some(3)));
        assert_eq!(options.crowd.unwrap().0, "crowd-scim");
        assert_eq!(options.seed.unwrap().users, 100);
    }

    #[test]
    fn a_fault_that_is_not_understood_is_refused_with_what_is_known() {
        let error = Line::try_parse_from(["x", "--fault", "boom"]).err().unwrap().to_string();
        assert!(error.contains("drop-answer"), "{error}");
    }
}
