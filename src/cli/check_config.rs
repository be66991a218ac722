//! `jira-scim check-config`

use std::str::FromStr;

use super::{ConfigArgs, Failure};
use crate::app::{self, tables};
use crate::config::{Config, Problem, Problems};
use crate::jira::{self, Kind};
use crate::listen::Tls;
use crate::policy::Policy;
use crate::policy::example::Example;
use crate::telemetry::Chain;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Says `ok`, or tells every problem.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.load()?;
    check(&config)?;
    let failures = failures(&config);
    if failures.is_empty() {
        println!("ok");
        return Ok(());
    }
    Err(Problems(failures).into())
}

/// What the configuration's own module cannot check, because it knows neither policies nor certificates. The daemon
/// checks this at its start too.
///
/// # Errors
/// All problems, when there are any.
pub fn check(config: &Config) -> Result<(), Problems> {
    let mut problems = Vec::new();
    for (index, tenant) in config.tenants.iter().enumerate() {
        let policy = Policy::from_value(&tenant.policy);
        let kind = config.target(&tenant.target).and_then(|target| Kind::from_str(target.kind.as_str()).ok());
        let fields = policy.iter().flat_map(|policy| policy.account.fields.keys());
        let unknown = fields.filter_map(|name| jira::field_problem(kind?, name));
        for what in unknown {
            let what = format!("(tenant {}): account.fields: {what}.", tenant.slug);
            problems.push(Problem { key: format!("tenant.{index}.policy"), origin: None, what });
        }
        for what in policy.err().unwrap_or_default() {
            let what = format!("(tenant {}): {what}", tenant.slug);
            problems.push(Problem { key: format!("tenant.{index}.policy"), origin: None, what });
        }
    }
    for (index, table) in config.tables.iter().enumerate() {
        if let Err(error) = tables::read(std::slice::from_ref(table)) {
            let what = format!("cannot be used: {}", Chain(&error));
            problems.push(Problem { key: format!("table.{index}.file"), origin: None, what });
        }
    }
    if let Some(Err(error)) = config.server.tls.as_ref().map(Tls::load) {
        let what = format!("cannot be used: {}", Chain(&error));
        problems.push(Problem { key: "server.tls_certificate_file".to_owned(), origin: None, what });
    }
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}

/// The examples that their tenants' policies do not live up to. The daemon starts all the same.
fn failures(config: &Config) -> Vec<Problem> {
    // A table or target that cannot be used is a problem of its own.
    let Ok(grounds) = app::grounds(config) else { return Vec::new() };
    let mut problems = Vec::new();
    for (index, tenant) in config.tenants.iter().enumerate() {
        let Ok(policy) = Policy::from_value(&tenant.policy) else { continue };
        let ground = grounds.of(&tenant.target);
        for (place, test) in tenant.tests.iter().enumerate() {
            let different = match Example::from_value(&test.example) {
                Ok(example) => example.differences(&policy, &ground),
                Err(what) => vec![what],
            };
            problems.extend(different.into_iter().map(|what| Problem {
                key: format!("tenant.{index}.test.{place}"),
                origin: None,
                what: format!("(tenant {}, test \"{}\"): {what}.", tenant.slug, test.name),
            }));
        }
    }
    problems
}
