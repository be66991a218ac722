//! `jira-scim issuer`: whose JWTs a tenant accepts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::desk::Desk;
use super::table::table;
use super::token::{find, scope};
use super::{ConfigArgs, Failure};
use crate::login::{issuer, jwt};
use crate::store::jwt_issuer::{self, Issuer, NewIssuer};
use crate::store::token::Scope;

/// The largest file with keys.
const LARGEST: u64 = 256 << 10;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Let a tenant accept the JWTs of an issuer
    Create(Box<CreateArgs>),
    /// List the issuers that a tenant trusts
    List {
        /// The tenant
        tenant: String,
        #[command(flatten)]
        shared: Shared,
    },
    /// Trust an issuer no longer; its tokens stop being accepted within seconds
    Delete {
        /// The tenant
        tenant: String,
        /// The issuer's id or label
        #[arg(value_name = "ID|LABEL")]
        issuer: String,
        #[command(flatten)]
        shared: Shared,
    },
}

#[derive(clap::Args)]
struct CreateArgs {
    /// The tenant
    tenant: String,
    /// What it is called in lists and in the audit
    #[arg(long)]
    label: String,
    /// What the tokens' claim iss is
    #[arg(long, value_name = "ISS")]
    issuer: String,
    /// Where the issuer's keys are
    #[arg(long, value_name = "URL", conflicts_with = "jwks_file", required_unless_present = "jwks_file")]
    jwks_url: Option<String>,
    /// The keys themselves are in this file
    #[arg(long, value_name = "FILE")]
    jwks_file: Option<PathBuf>,
    /// What the claim aud names
    #[arg(long, value_name = "AUD")]
    audience: String,
    /// Which algorithms may be used: RS256, ES256, EdDSA [default: all of them]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    algorithms: Vec<String>,
    /// How far the issuer's clock may be off
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    clock_skew: Duration,
    /// Whom the tokens must be of: their sub, azp, appid, client_id or cid [default: anybody]
    #[arg(long, value_name = "SUB")]
    subject: Option<String>,
    /// What the tokens must grant: a word of their scope, scp or roles [default: nothing]
    #[arg(long, value_name = "SCOPE")]
    required_scope: Option<String>,
    /// What the bearer may do here: read or write
    #[arg(long, value_name = "SCOPE", default_value = "write", value_parser = scope)]
    scope: Scope,
    /// Groups are out of bounds
    #[arg(long)]
    users_only: bool,
    #[command(flatten)]
    shared: Shared,
}

/// What each of the commands takes.
#[derive(clap::Args)]
struct Shared {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the command and prints its answer.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let shared = match &args.command {
        Command::Create(create) => &create.shared,
        Command::List { shared, .. } | Command::Delete { shared, .. } => shared,
    };
    let desk = Desk::open(&shared.config).await?;
    let answer = answer(&args.command, &desk, shared.json).await;
    desk.close().await;
    println!("{}", answer?);
    Ok(())
}

async fn answer(command: &Command, desk: &Desk, json: bool) -> Result<String, Failure> {
    let pool = desk.store.pool();
    match command {
        Command::Create(args) => {
            let tenant = find(desk, &args.tenant).await?;
            let new = wanted(args)?;
            let made = jwt_issuer::create(pool, tenant.id, Uuid::now_v7(), &new, desk.origin()).await?;
            if json {
                return Ok(serde_json::to_string_pretty(&made)?);
            }
            Ok(format!("tenant {} accepts tokens of {} for {}", tenant.slug, made.issuer, made.audience))
        }
        Command::List { tenant, .. } => {
            let tenant = find(desk, tenant).await?;
            let all = jwt_issuer::list(pool, tenant.id).await?;
            if json { Ok(serde_json::to_string_pretty(&all)?) } else { Ok(listed(&all)) }
        }
        Command::Delete { tenant, issuer, .. } => {
            let tenant = find(desk, tenant).await?;
            let mut conn = pool.acquire().await?;
            jwt_issuer::delete(&mut conn, tenant.id, issuer, desk.origin()).await?;
            if json {
                return Ok(json!({ "deleted": issuer }).to_string());
            }
            Ok(format!("tenant {} trusts the issuer {issuer} no longer", tenant.slug))
        }
    }
}

fn wanted(args: &CreateArgs) -> Result<NewIssuer, Failure> {
    let every = || jwt::ALGORITHMS.iter().map(ToString::to_string).collect();
    let new = NewIssuer {
        label: args.label.trim().to_owned(),
        issuer: args.issuer.clone(),
        jwks_url: args.jwks_url.clone(),
        jwks: args.jwks_file.as_deref().map(read_keys).transpose()?,
        audience: args.audience.clone(),
        algorithms: if args.algorithms.is_empty() { every() } else { args.algorithms.clone() },
        skew_seconds: i32::try_from(args.clock_skew.as_secs()).unwrap_or(i32::MAX),
        subject: args.subject.clone(),
        granted: args.required_scope.clone(),
        scope: args.scope,
        users_only: args.users_only,
    };
    issuer::check(&new).map_err(|(field, what)| format!("--{} {what}", field.replace('_', "-")))?;
    Ok(new)
}

fn read_keys(path: &Path) -> Result<serde_json::Value, Failure> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    read.map_err(|error| format!("--jwks-file {}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("--jwks-file {}: {error}", path.display()).into())
}

fn listed(all: &[Issuer]) -> String {
    if all.is_empty() {
        return "there are no issuers".to_owned();
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|issuer| {
            let keys = issuer.jwks_url.clone().unwrap_or_else(|| "given".to_owned());
            let may = issuer.scope.as_str();
            let may = if issuer.users_only { format!("{may} users") } else { may.to_owned() };
            let used = issuer.last_used.map_or_else(|| "never".to_owned(), |at| at.format("%FT%TZ").to_string());
            vec![issuer.label.clone(), issuer.issuer.clone(), issuer.audience.clone(), keys, may, used]
        })
        .collect();
    table(&["label", "issuer", "audience", "keys", "may", "last used"], &rows)
}
