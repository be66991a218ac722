//! `jira-scim plan`: what would be written for a tenant, without writing it.

pub(super) mod print;

use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

use self::print::{Form, Printer};
use super::desk::Desk;
use super::tenant::read_policy;
use super::{ConfigArgs, Failure};
use crate::account::fold;
use crate::app;
use crate::lifecycle::Lifecycle;
use crate::policy::Policy;
use crate::store::by_hand;
use crate::store::tenant::{self, Tenant};
use crate::telemetry::Metrics;
use crate::writer::Writer;
use crate::writer::forecast::{Asked, ForecastError, Kind};

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Only this user (userName or id)
    #[arg(long, value_name = "NAME|ID")]
    user: Option<String>,
    /// Only this kind of line; may be given several times
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<KindArg>,
    /// Under the policy in this file, TOML or JSON (*.json), instead of the tenant's
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Only the sums
    #[arg(long)]
    summary: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print the lines as CSV; the sums go to standard error
    #[arg(long, conflicts_with = "summary")]
    csv: bool,
}

/// A kind of line on the command line.
#[derive(Clone, Copy)]
pub(super) struct KindArg(pub(super) Kind);

impl clap::ValueEnum for KindArg {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: [KindArg; Kind::ALL.len()] = {
            let mut all = [KindArg(Kind::Create); Kind::ALL.len()];
            let mut place = 0;
            while place < all.len() {
                all[place] = KindArg(Kind::ALL[place]);
                place += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.as_str()))
    }
}

/// Something would be written: exit code 5.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Pending(pub(super) String);

/// Prints the plan, and fails where it is not empty.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let desk = Desk::open(&args.config).await?;
    let planned = plan(args, &desk).await;
    desk.close().await;
    match planned? {
        0 => Ok(()),
        1 => Err(Pending("1 thing would be written".to_owned()).into()),
        lines => Err(Pending(format!("{lines} things would be written")).into()),
    }
}

/// How many lines that write something were asked for.
async fn plan(args: &Args, desk: &Desk) -> Result<u64, Failure> {
    let tenant = known(desk, &args.tenant).await?;
    let ground = desk.grounds.of(&tenant.target);
    let policy = match args.policy.as_deref().map(|path| read_policy(path, Some(&ground))).transpose()? {
        Some(policy) => Some(Arc::new(Policy::from_value(&policy).map_err(|problems| problems.join("\n"))?)),
        None => None,
    };
    let users = users(desk, &tenant, args.user.as_deref()).await?;
    let asked = Asked { users, policy, ..Asked::default() };
    let form = match (args.json, args.csv) {
        (true, _) => Form::Json,
        (_, true) => Form::Csv,
        (false, false) => Form::Text,
    };
    let kinds: Vec<Kind> = args.kind.iter().map(|kind| kind.0).collect();
    let mut printer = Printer::new(form, kinds, args.summary, std::io::stdout());
    let writer = writer(desk)?;
    let summary = writer.forecast(&tenant, &asked, &mut |told| printer.take(told)).await.map_err(failed)?;
    Ok(printer.finish(&tenant, &summary)?)
}

/// The tenant of that name.
pub(super) async fn known(desk: &Desk, slug: &str) -> Result<Tenant, Failure> {
    let tenant = tenant::get(desk.store.pool(), slug).await?;
    Ok(tenant.ok_or_else(|| format!("there is no tenant {slug}"))?)
}

/// A writer of which nothing runs.
pub(super) fn writer(desk: &Desk) -> Result<Writer, Failure> {
    Ok(app::writer(&desk.config, &desk.store, &Lifecycle::new(), &Metrics::new()?)?)
}

/// The users that somebody means who says a name or an id.
pub(super) async fn users(desk: &Desk, tenant: &Tenant, named: Option<&str>) -> Result<Option<Vec<Uuid>>, Failure> {
    let Some(named) = named else { return Ok(None) };
    let mut conn = desk.store.pool().acquire().await?;
    let found = by_hand::users_named(&mut conn, tenant.id, Uuid::parse_str(named).ok(), &fold(named)).await?;
    match found.is_empty() {
        true => Err(format!("tenant {} has no user {named}", tenant.slug).into()),
        false => Ok(Some(found)),
    }
}

/// A target that does not answer is exit code 4.
pub(super) fn failed(error: ForecastError) -> Failure {
    match error {
        ForecastError::NoAnswer(_) | ForecastError::Target(_) => {
            super::doctor::Unreachable::new(crate::telemetry::Chain(&error).to_string()).into()
        }
        error => error.into(),
    }
}
