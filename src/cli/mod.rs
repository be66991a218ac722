//! Layer 5: the command line. Each command is a file with its arguments and a `run`; the work is done below.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 wrong configuration, 4 a target cannot be worked with, 5 something is still
//! to be done. What a command is asked for goes to standard output, everything else to standard error.

mod admin_token;
mod audit;
mod bench;
mod brake;
mod check_config;
mod configured;
mod confirm;
mod database;
mod demo;
mod desk;
mod doctor;
mod drift;
mod explain;
mod healthcheck;
mod import;
mod issuer;
mod last_login;
mod migrate;
mod outbox;
mod overrides;
mod plan;
mod purge;
mod release;
mod runs;
mod sandbox;
mod serve;
mod simulate;
mod sync;
mod table;
mod tenant;
mod token;
mod unmatched;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Problems;
use crate::telemetry::Chain;

pub use check_config::check;
pub use configured::ConfigArgs;
pub use database::Database;

/// A SCIM server that keeps Jira's users and groups as the identity provider wants them.
#[derive(Parser)]
#[command(
    name = "jira-scim",
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 wrong configuration, 4 a target cannot be worked with, \
                  5 something is still to be done"
)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make, list and revoke the tokens of administrators.
    AdminToken(admin_token::Args),
    /// Show who asked for what and what came of it; export it, or clear it.
    Audit(audit::Args),
    /// Measure how fast it is on this machine.
    #[command(hide = true)]
    Bench(bench::Args),
    #[command(hide = true)]
    BenchSandbox(bench::SandboxArgs),
    /// Show what a tenant's brake holds; release it, or give it up.
    Brake(brake::Args),
    /// Tell everything that is wrong with the configuration.
    CheckConfig(check_config::Args),
    /// Switch somebody off at once, past the brake, whatever the identity provider says.
    DeactivateNow(overrides::NowArgs),
    /// Tell what each target is and can do, and what an administrator should put right.
    Doctor(doctor::Args),
    /// Show everything at work: a sandbox Jira, the daemon, and an Okta that assigns people and pushes groups.
    Demo(demo::Args),
    /// Show what a tenant's target has that is not what was written there.
    Drift(drift::Args),
    /// Say in sentences why somebody is as he is in Jira, or in a Jira group or not.
    Explain(explain::Args),
    /// Ask the daemon on this machine whether it is ready; for containers.
    Healthcheck(healthcheck::Args),
    /// Ask a tenant's target when its people were last seen.
    LastLogin(last_login::Args),
    /// Learn what is at a tenant's target already: accounts, groups, memberships.
    Import(import::Args),
    /// Let a tenant accept the JWTs of an issuer; list its issuers, and trust one no longer.
    Issuer(issuer::Args),
    /// Bring the database's schema up to date.
    Migrate(migrate::Args),
    /// Show what Jira does not agree with yet; retry it, or waive it.
    Outbox(outbox::Args),
    /// Pin somebody active or not, or in a Jira group, until a time; list what is pinned, and end it.
    Override(overrides::Args),
    /// Show what would be written for a tenant, without writing it.
    Plan(plan::Args),
    /// Compare what was written with what a tenant's target has, and do about it what the policy says.
    Reconcile(drift::ReconcileArgs),
    /// Do a part of a plan while the tenant goes on observing.
    Release(release::Args),
    /// Run the daemon.
    Serve(serve::Args),
    /// Run a Jira with state, for trying things out.
    Sandbox(sandbox::Args),
    /// Read the directory that a tenant's people come from; test it, show what a read would change.
    Sync(sync::Args),
    /// Make, list, show, change and delete tenants.
    Tenant(tenant::Args),
    /// Make, list, rotate and revoke the tokens of a tenant.
    Token(token::Args),
    /// List accounts at a tenant's target that nobody claims; switch them off, too, if asked to.
    Unmatched(unmatched::Args),
    /// Play an identity provider against any SCIM server, and say what was wrong with the answers.
    Simulate(simulate::Args),
}

/// Whatever ends a command early; told with its causes, in one line.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Reads the command line and runs the command.
pub fn main() -> ExitCode {
    let line = Line::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return told(&error, 1),
    };
    match runtime.block_on(run(line.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => match failure.downcast_ref::<Problems>() {
            Some(problems) => told(problems, 3),
            None if failure.is::<doctor::Unreachable>() => told(&*failure, 4),
            None if failure.is::<plan::Pending>() || failure.is::<overrides::Pending>() => told(&*failure, 5),
            None => told(&*failure, 1),
        },
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::AdminToken(args) => admin_token::run(&args).await,
        Command::Audit(args) => audit::run(&args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::BenchSandbox(args) => bench::run_sandbox(args).await,
        Command::Brake(args) => brake::run(&args).await,
        Command::CheckConfig(args) => check_config::run(&args),
        Command::DeactivateNow(args) => overrides::run_now(&args).await,
        Command::Doctor(args) => doctor::run(&args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Drift(args) => drift::run(&args).await,
        Command::Explain(args) => explain::run(&args).await,
        Command::Healthcheck(args) => healthcheck::run(&args).await,
        Command::LastLogin(args) => last_login::run(&args).await,
        Command::Import(args) => import::run(&args).await,
        Command::Issuer(args) => issuer::run(&args).await,
        Command::Migrate(args) => migrate::run(&args).await,
        Command::Outbox(args) => outbox::run(&args).await,
        Command::Override(args) => overrides::run(&args).await,
        Command::Sandbox(args) => sandbox::run(args).await,
        Command::Plan(args) => plan::run(&args).await,
        Command::Reconcile(args) => drift::reconcile(&args).await,
        Command::Release(args) => release::run(&args).await,
        Command::Serve(args) => serve::run(&args).await,
        Command::Sync(args) => sync::run(&args).await,
        Command::Tenant(args) => tenant::run(&args).await,
        Command::Token(args) => token::run(&args).await,
        Command::Unmatched(args) => unmatched::run(&args).await,
        Command::Simulate(args) => simulate::run(args).await,
    }
}

fn told(error: &(dyn Error + 'static), code: u8) -> ExitCode {
    eprintln!("{}", Chain(error));
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Line;

    #[test]
    fn the_command_line_is_consistent() {
        Line::command().debug_assert();
    }
}
