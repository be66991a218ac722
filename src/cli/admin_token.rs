//! `jira-scim admin-token`: who may use the admin page and API. The first one is made here: without any, nobody gets in.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::desk::Desk;
use super::table::table;
use super::token::{expiry, instant};
use super::{ConfigArgs, Failure};
use crate::store::admin_token::{self, AdminToken, NewAdmin, NewAdminToken, Role, checked_label};

/// Tokens that are read at once.
const PAGE: i64 = 500;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make an admin token and show it, this once
    Create {
        /// What its bearer may do: viewer looks, operator also acts, admin also configures
        #[arg(long)]
        role: Role,
        /// What it is called in lists and in the audit
        #[arg(long)]
        label: String,
        /// After how long it stops being accepted (90d, 12h) [default: never]
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        expires: Option<std::time::Duration>,
        #[command(flatten)]
        shared: Shared,
    },
    /// List the admin tokens, never their text
    List {
        #[command(flatten)]
        shared: Shared,
    },
    /// Revoke an admin token; it and its sessions end within seconds
    Revoke {
        /// Its id or label
        #[arg(value_name = "ID|LABEL")]
        token: String,
        #[command(flatten)]
        shared: Shared,
    },
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
    let (Command::Create { shared, .. } | Command::List { shared } | Command::Revoke { shared, .. }) = &args.command;
    let desk = Desk::open(&shared.config).await?;
    let answer = answer(&args.command, &desk, shared.json).await;
    desk.close().await;
    println!("{}", answer?);
    Ok(())
}

async fn answer(command: &Command, desk: &Desk, json: bool) -> Result<String, Failure> {
    match command {
        Command::Create { role, label, expires, .. } => {
            let label = checked_label(label)?;
            let expires = expires.map(|after| expiry(desk.now, after)).transpose()?;
            let new = NewAdminToken::generate();
            let wanted = NewAdmin { label, role: *role, hash: &new.hash(), expires };
            let made = admin_token::create(desk.store.pool(), wanted, false, desk.origin()).await?;
            if json {
                let mut described = serde_json::to_value(&made)?;
                described["token"] = json!(new.reveal());
                return Ok(serde_json::to_string_pretty(&described)?);
            }
            let until = made.expires.map_or_else(|| "without expiry".to_owned(), |at| format!("until {}", instant(at)));
            let role = role.as_str();
            Ok(format!("admin token {label}, {role}, {until}; it is shown this once:\n\n{}", new.reveal()))
        }
        Command::List { .. } => {
            let (mut all, mut after) = (Vec::new(), Uuid::nil());
            loop {
                let found = admin_token::list(desk.store.pool(), after, PAGE).await?;
                let Some(last) = found.last() else { break };
                after = last.id;
                all.extend(found);
            }
            if json { Ok(serde_json::to_string_pretty(&all)?) } else { Ok(listed(&all, desk.now)) }
        }
        Command::Revoke { token, .. } => {
            let mut conn = desk.store.pool().acquire().await?;
            let gone = admin_token::revoke(&mut conn, token, desk.origin()).await?;
            if json {
                return Ok(serde_json::to_string_pretty(&gone)?);
            }
            Ok(format!("admin token {} is revoked", gone.label))
        }
    }
}

fn listed(tokens: &[AdminToken], now: DateTime<Utc>) -> String {
    if tokens.is_empty() {
        return "there are no admin tokens: nobody can use the admin page".to_owned();
    }
    let rows: Vec<Vec<String>> = tokens
        .iter()
        .map(|token| {
            let state = match (token.state(now), token.revoked, token.expires) {
                ("revoked", Some(at), _) => format!("revoked {}", instant(at)),
                ("expired", _, Some(at)) => format!("expired {}", instant(at)),
                (_, _, Some(at)) => format!("until {}", instant(at)),
                _ => "live".to_owned(),
            };
            let used = token.last_used.map_or_else(|| "never".to_owned(), instant);
            let made = instant(token.created);
            vec![token.label.clone(), token.role.as_str().to_owned(), state, used, made, token.id.to_string()]
        })
        .collect();
    table(&["label", "role", "state", "last used", "made", "id"], &rows)
}
