//! `jira-scim check-config`

use std::str::FromStr;

use super::{ConfigArgs, Failure};
use crate::app::{self, tables};
use crate::config::{Config, Problem, Problems, line_of};
use crate::jira::{self, Kind};
use crate::listen::Tls;
use crate::login::password;
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
    check(&config).map_err(|problems| located(problems, &args.config))?;
    let failures = failures(&config);
    if failures.is_empty() {
        println!("ok");
        return Ok(());
    }
    Err(located(Problems(failures), &args.config).into())
}

/// A sentence about a policy, which begins with the key that it is about.
fn of_policy(index: usize, slug: &str, what: &str) -> Problem {
    let (path, words) = what.split_once(": ").unwrap_or(("policy", what));
    let path = path.replace('[', ".").replace(']', "");
    // A regular expression is complained about over several lines.
    let words: Vec<&str> = words.split_whitespace().collect();
    Problem {
        key: format!("tenant.{index}.{path}"),
        origin: None,
        what: format!("(tenant {slug}): {}", words.join(" ")),
    }
}

/// The same, with the lines of the file where they are known.
pub(super) fn located(problems: Problems, args: &ConfigArgs) -> Problems {
    let Some(file) = args.file() else { return problems };
    let Ok(text) = std::fs::read_to_string(&file) else { return problems };
    let of_tenant = |key: &str| key.starts_with("tenant.");
    let found = problems.0.into_iter().map(|problem| {
        let unplaced = problem.origin.is_none() && of_tenant(&problem.key);
        let line = unplaced.then(|| line_of(&text, &problem.key)).flatten();
        let origin = line.map(|line| format!("in {}, line {line}", file.display()));
        Problem { origin: problem.origin.or(origin), ..problem }
    });
    Problems(found.collect())
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
        let unusable = policy.as_ref().err().cloned().unwrap_or_default();
        problems.extend(unusable.into_iter().map(|what| of_policy(index, &tenant.slug, &what)));
        problems.extend(tenant.tokens.iter().enumerate().filter_map(|(place, token)| {
            let wrong = token.chosen && !password::may_be_chosen(&token.value);
            let what = format!("(tenant {}): {}", tenant.slug, password::CHOSEN);
            wrong.then(|| Problem { key: format!("tenant.{index}.token.{place}.password"), origin: None, what })
        }));
        problems.extend(tenant.issuers.iter().enumerate().filter_map(|(place, jwt)| {
            let what = app::credentials::issuer_of(jwt).err()?;
            let (key, words) = what.split_once(' ').unwrap_or(("issuer", &what));
            let what = format!("(tenant {}) {words}", tenant.slug);
            Some(Problem { key: format!("tenant.{index}.jwt.{place}.{key}"), origin: None, what })
        }));
    }
    for (index, table) in config.tables.iter().enumerate() {
        if let Err(error) = tables::read(std::slice::from_ref(table)) {
            let what = format!("cannot be used: {}", Chain(&error));
            problems.push(Problem { key: format!("table.{index}.file"), origin: None, what });
        }
    }
    for (section, tls) in [("server", &config.server.tls), ("admin", &config.admin.tls)] {
        if let Some(Err(error)) = tls.as_ref().map(Tls::load) {
            let what = format!("cannot be used: {}", Chain(&error));
            problems.push(Problem { key: format!("{section}.tls_certificate_file"), origin: None, what });
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}

/// The examples that their tenants' policies do not live up to, and tables that are nowhere. The daemon starts all the same: a
/// table may be on its way, and nobody is to be locked out because of an example.
fn failures(config: &Config) -> Vec<Problem> {
    // A table or target that cannot be used is a problem of its own.
    let Ok(grounds) = app::grounds(config) else { return Vec::new() };
    let mut problems = Vec::new();
    for (index, tenant) in config.tenants.iter().enumerate() {
        let Ok(policy) = Policy::from_value(&tenant.policy) else { continue };
        let ground = grounds.of(&tenant.target);
        let unusable = policy.problems_on(&ground);
        problems.extend(unusable.iter().map(|what| of_policy(index, &tenant.slug, what)));
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
