//! `jira-scim token`: the credentials of identity providers. The only place that ever shows a token, once.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use uuid::Uuid;

use super::desk::Desk;
use super::table::table;
use super::{ConfigArgs, Failure};
use crate::account::fold;
use crate::config::{BASIC_USERNAME, is_basic_username};
use crate::store::tenant::{self, Tenant, TenantError};
use crate::store::token::{self, NewCredential, NewToken, Token};
use crate::store::{by_hand, user};

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a token and show it, this once
    Create {
        /// The tenant that it opens
        tenant: String,
        /// What it is called in lists and in the audit
        #[arg(long)]
        label: String,
        /// After how long it stops being accepted (90d, 12h) [default: never]
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        expires: Option<std::time::Duration>,
        /// For HTTP Basic: make a password for this user name instead of a bearer token
        #[arg(long, value_name = "NAME")]
        username: Option<String>,
        /// The user whom the bearer sees at /Me, by userName or id [default: nobody]
        #[arg(long, value_name = "USER")]
        me: Option<String>,
        #[command(flatten)]
        shared: Shared,
    },
    /// List a tenant's tokens, never their text
    List {
        /// The tenant
        tenant: String,
        #[command(flatten)]
        shared: Shared,
    },
    /// Revoke a token; it stops being accepted within seconds
    Revoke {
        /// The tenant
        tenant: String,
        /// The token's id or label
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
    let (Command::Create { shared, .. } | Command::List { shared, .. } | Command::Revoke { shared, .. }) =
        &args.command;
    let desk = Desk::open(&shared.config).await?;
    let answer = answer(&args.command, &desk, shared.json).await;
    desk.close().await;
    println!("{}", answer?);
    Ok(())
}

async fn answer(command: &Command, desk: &Desk, json: bool) -> Result<String, Failure> {
    match command {
        Command::Create { tenant, label, expires, username, me, .. } => {
            let tenant = find(desk, tenant).await?;
            let label = checked_label(label)?;
            let expires = expires.map(|after| expiry(desk.now, after)).transpose()?;
            let new = NewToken::generate();
            let id = Uuid::now_v7();
            let origin = desk.origin();
            let username = username.as_deref();
            if username.is_some_and(|name| !is_basic_username(name)) {
                return Err(format!("--username {BASIC_USERNAME}").into());
            }
            let me = match me {
                Some(name) => Some(whom(desk, &tenant, name).await?),
                None => None,
            };
            let wanted = NewCredential { label, hash: new.hash(), username, me, expires };
            let made = token::create(desk.store.pool(), tenant.id, id, wanted, origin).await?;
            if json {
                let mut described = serde_json::to_value(&made)?;
                described[if username.is_some() { "password" } else { "token" }] = json!(new.reveal());
                return Ok(serde_json::to_string_pretty(&described)?);
            }
            Ok(format!(
                "token {label} of tenant {}, {}; it is shown this once:\n\n{}",
                tenant.slug,
                made.expires.map_or_else(|| "without expiry".to_owned(), |at| format!("until {}", instant(at))),
                match username {
                    Some(username) => format!("user name: {username}\npassword:  {}", new.reveal()),
                    None => format!("Authorization: Bearer {}", new.reveal()),
                },
            ))
        }
        Command::List { tenant, .. } => {
            let tenant = find(desk, tenant).await?;
            let tokens = token::list(desk.store.pool(), tenant.id).await?;
            if json { Ok(serde_json::to_string_pretty(&tokens)?) } else { Ok(listed(&tokens, desk.now)) }
        }
        Command::Revoke { tenant, token, .. } => {
            let tenant = find(desk, tenant).await?;
            let gone = token::revoke(desk.store.pool(), tenant.id, token, desk.origin()).await?;
            if json {
                return Ok(serde_json::to_string_pretty(&gone)?);
            }
            Ok(format!("token {} of tenant {} is revoked", gone.label, tenant.slug))
        }
    }
}

async fn find(desk: &Desk, slug: &str) -> Result<Tenant, Failure> {
    let found = tenant::get(desk.store.pool(), slug).await?;
    Ok(found.ok_or_else(|| TenantError::NotFound(slug.to_owned()))?)
}

/// The living user of that userName or id.
async fn whom(desk: &Desk, tenant: &Tenant, name: &str) -> Result<Uuid, Failure> {
    let mut conn = desk.store.pool().acquire().await?;
    let id = Uuid::try_parse(name).ok();
    for id in by_hand::users_named(&mut conn, tenant.id, id, &fold(name)).await? {
        if user::get(&mut conn, tenant.id, id).await?.is_some() {
            return Ok(id);
        }
    }
    Err(format!("tenant {} has no user {name}", tenant.slug).into())
}

/// A label that a log line and a table can carry.
fn checked_label(label: &str) -> Result<&str, Failure> {
    let label = label.trim();
    if label.is_empty() || label.chars().count() > 100 || label.chars().any(char::is_control) {
        return Err("a label has 1 to 100 characters, none of them a control character".into());
    }
    Ok(label)
}

fn expiry(now: DateTime<Utc>, after: std::time::Duration) -> Result<DateTime<Utc>, Failure> {
    let after = chrono::Duration::from_std(after).ok().and_then(|after| now.checked_add_signed(after));
    after.filter(|at| *at > now).ok_or_else(|| "that is no time at which a token could expire".into())
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn listed(tokens: &[Token], now: DateTime<Utc>) -> String {
    if tokens.is_empty() {
        return "there are no tokens".to_owned();
    }
    let rows: Vec<Vec<String>> = tokens
        .iter()
        .map(|token| {
            let state = match (token.revoked, token.expires) {
                (Some(at), _) => format!("revoked {}", instant(at)),
                (None, Some(at)) if at <= now => format!("expired {}", instant(at)),
                (None, Some(at)) => format!("until {}", instant(at)),
                (None, None) => "live".to_owned(),
            };
            let used = token.last_used.map_or_else(|| "never".to_owned(), instant);
            let kind = token.username.as_ref().map_or_else(|| "bearer".to_owned(), |name| format!("basic as {name}"));
            vec![token.label.clone(), kind, state, used, instant(token.created), token.id.to_string()]
        })
        .collect();
    table(&["label", "kind", "state", "last used", "made", "id"], &rows)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    #[test]
    fn an_expiry_lies_ahead_and_can_be_stored() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(expiry(now, Duration::from_secs(90 * 86_400)).unwrap(), now + chrono::Duration::days(90));
        assert!(expiry(now, Duration::ZERO).is_err());
        assert!(expiry(now, Duration::MAX).is_err());
        // Postgres ends in the year 294276, chrono a little earlier.
        assert!(expiry(now, Duration::from_secs(u64::from(u32::MAX) * 1000)).is_ok());
    }

    #[test]
    fn a_label_is_short_and_printable() {
        assert_eq!(checked_label(" okta ").unwrap(), "okta");
        for label in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert!(checked_label(label).is_err(), "{label:?}");
        }
    }
}
