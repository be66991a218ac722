//! `jira-scim outbox`: what Jira does not agree with yet, and what an administrator does about it.

mod hand;
mod list;

use clap::ValueEnum;
use uuid::Uuid;

use super::desk::Desk;
use super::{ConfigArgs, Failure};
use crate::account::fold;
use crate::store::by_hand;
use crate::store::link::Stuck;
use crate::store::tenant::{self, Tenant};
use crate::writer::by_hand::{group_key, place_named};
use crate::writer::plan::Place;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List users and groups whose Jira side is out of date, and the steps that are not being done
    List {
        #[command(flatten)]
        list: list::Args,
        #[command(flatten)]
        shared: Shared,
    },
    /// Try again what was refused, held or waived
    Retry {
        #[command(flatten)]
        retry: hand::RetryArgs,
        #[command(flatten)]
        shared: Shared,
    },
    /// Let accounts that were found become the users' own (policy adopt = "ask")
    Approve {
        #[command(flatten)]
        approve: hand::ApproveArgs,
        #[command(flatten)]
        shared: Shared,
    },
    /// Leave one step undone until what is wanted changes
    Waive {
        #[command(flatten)]
        waive: hand::WaiveArgs,
        #[command(flatten)]
        shared: Shared,
    },
}

/// What each of the commands takes.
#[derive(clap::Args)]
struct Shared {
    /// Only this tenant
    #[arg(long, value_name = "SLUG")]
    tenant: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the command and prints its answer.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let (Command::List { shared, .. }
    | Command::Retry { shared, .. }
    | Command::Approve { shared, .. }
    | Command::Waive { shared, .. }) = &args.command;
    let desk = Desk::open(&shared.config).await?;
    let answer = answer(&args.command, &desk).await;
    desk.close().await;
    println!("{}", answer?);
    Ok(())
}

async fn answer(command: &Command, desk: &Desk) -> Result<String, Failure> {
    match command {
        Command::List { list, shared } => list::run(list, desk, &tenants(desk, shared).await?, shared.json).await,
        Command::Retry { retry, shared } => hand::retry(retry, desk, &tenants(desk, shared).await?, shared.json).await,
        Command::Approve { approve, shared } => {
            hand::approve(approve, desk, &tenants(desk, shared).await?, shared.json).await
        }
        Command::Waive { waive, shared } => hand::waive(waive, desk, &tenants(desk, shared).await?, shared.json).await,
    }
}

/// The tenant that was named, else all.
async fn tenants(desk: &Desk, shared: &Shared) -> Result<Vec<Tenant>, Failure> {
    match &shared.tenant {
        None => Ok(tenant::list(desk.store.pool()).await?),
        Some(slug) => match tenant::get(desk.store.pool(), slug).await? {
            Some(tenant) => Ok(vec![tenant]),
            None => Err(format!("there is no tenant {slug}").into()),
        },
    }
}

/// A step on the command line.
fn step(text: &str) -> Result<Place, String> {
    place_named(text).ok_or_else(|| "a step is account, active, delete, member:NAME or group:NAME".to_owned())
}

/// A state of a step that somebody can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StuckArg {
    Refused,
    Held,
    Waived,
}

impl From<StuckArg> for Stuck {
    fn from(state: StuckArg) -> Self {
        match state {
            StuckArg::Refused => Self::Refused,
            StuckArg::Held => Self::Held,
            StuckArg::Waived => Self::Waived,
        }
    }
}

/// One user of one tenant.
pub(super) struct FoundUser<'a> {
    tenant: &'a Tenant,
    pub(super) id: Uuid,
}

/// The user whom a name or id means; of several people of one name only an id says which.
pub(super) async fn user<'a>(desk: &Desk, tenants: &'a [Tenant], name: &str) -> Result<FoundUser<'a>, Failure> {
    let mut conn = desk.store.pool().acquire().await?;
    let mut found = Vec::new();
    for tenant in tenants {
        let ids = by_hand::users_named(&mut conn, tenant.id, Uuid::parse_str(name).ok(), &fold(name)).await?;
        found.extend(ids.into_iter().map(|id| FoundUser { tenant, id }));
    }
    if found.len() > 1 {
        let which: Vec<String> = found.iter().map(|user| format!("{} of {}", user.id, user.tenant.slug)).collect();
        return Err(format!("{name} may be one of several: {}; give the id, or --tenant", which.join(", ")).into());
    }
    found.pop().ok_or_else(|| format!("there is no user {name}").into())
}

/// The Jira group that a name or id means.
async fn group<'a>(desk: &Desk, tenants: &'a [Tenant], name: &str) -> Result<(&'a Tenant, String), Failure> {
    let mut found = Vec::new();
    for tenant in tenants {
        if let Some(key) = group_key(&desk.store, tenant, name).await? {
            found.push((tenant, key));
        }
    }
    if found.len() > 1 {
        let which: Vec<&str> = found.iter().map(|(tenant, _)| tenant.slug.as_str()).collect();
        return Err(format!("there is a group {name} in each of {}; give --tenant", which.join(", ")).into());
    }
    found.pop().ok_or_else(|| format!("there is no group {name}").into())
}
