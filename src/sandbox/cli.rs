//! `jira-scim sandbox`: the sandbox alone, against any client.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use super::{Fault, RateLimit, Sandbox, SandboxOptions, Version};

/// Which API the sandbox speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Jira Data Center and Server: `/rest/api/2`.
    DataCenter,
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
    #[arg(long, default_value = "10.3.24", value_name = "VERSION")]
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
    /// Seats of each application; unlimited unless given.
    #[arg(long, value_name = "N")]
    pub seats: Option<u32>,
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
        let Kind::DataCenter = args.kind;
        let options = Self {
            listen: args.listen,
            context: args.context,
            version: args.jira_version,
            admin: args.admin,
            token: args.token,
            password: args.password,
            emails_hidden: args.hide_emails,
            rate_limit: args.rate_limit,
            faults: args.faults,
            journal_file: args.journal,
            ..Self::default()
        };
        match args.seats {
            Some(seats) => options.with_seats(seats),
            None => options,
        }
    }
}

/// Serves until SIGINT or SIGTERM. Prints the base URL and the header to use, and nothing else, on standard output.
///
/// # Errors
/// As [`Sandbox::start`]; and when standard output or the signals cannot be used.
pub async fn run(args: SandboxArgs) -> io::Result<()> {
    // Before the first line is printed: whoever reads it may send a signal at once.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let sandbox = Sandbox::start(args.into()).await?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", sandbox.base_url())?;
    writeln!(out, "Authorization: Bearer {}", sandbox.token())?;
    out.flush()?;
    drop(out);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
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
            "--jira-version",
            "8.2",
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
    }

    #[test]
    fn a_fault_that_is_not_understood_is_refused_with_what_is_known() {
        let error = Line::try_parse_from(["x", "--fault", "boom"]).err().unwrap().to_string();
        assert!(error.contains("drop-answer"), "{error}");
    }
}
