//! `jira-scim token`: the credentials of identity providers. The only place that ever shows a token, once.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use uuid::Uuid;

use super::desk::Desk;
use super::table::table;
use super::{ConfigArgs, Failure};
use crate::account::fold;
use crate::login::credential::{self, Made, Wanted};
use crate::secret::Secret;
use crate::store::tenant::{self, Tenant, TenantError};
use crate::store::token::{self, Kind, Scope, Token};
use crate::store::{by_hand, user};

/// How long an old credential is accepted beside a new one unless somebody says otherwise.
const OVERLAP: &str = "24h";

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a token and show it, this once
    Create(CreateArgs),
    /// List a tenant's tokens, never their text
    List {
        /// The tenant
        tenant: String,
        #[command(flatten)]
        shared: Shared,
    },
    /// Make a new token in the place of a living one, which stays good for a while
    Rotate(RotateArgs),
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

#[derive(clap::Args)]
struct CreateArgs {
    /// The tenant that it opens
    tenant: String,
    /// What it is called in lists and in the audit
    #[arg(long)]
    label: String,
    /// After how long it stops being accepted (90d, 12h) [default: never]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
    /// For HTTP Basic: make a password for this user name instead of a bearer token
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// For HTTP Basic: the password, chosen by you, is in this file (- for standard input)
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
    /// For OAuth: make a client that gets its tokens at the tenant's token endpoint
    #[arg(long, conflicts_with_all = ["password_file", "me"])]
    client: bool,
    /// What it may do: read or write
    #[arg(long, value_name = "SCOPE", default_value = "write", value_parser = scope)]
    scope: Scope,
    /// Groups are out of bounds
    #[arg(long)]
    users_only: bool,
    /// The user whom the bearer sees at /Me, by userName or id [default: nobody]
    #[arg(long, value_name = "USER")]
    me: Option<String>,
    #[command(flatten)]
    shared: Shared,
}

#[derive(clap::Args)]
struct RotateArgs {
    /// The tenant
    tenant: String,
    /// The token's id or label; the new one takes the label
    #[arg(value_name = "ID|LABEL")]
    token: String,
    /// How long the old one is still accepted
    #[arg(long, value_name = "DURATION", default_value = OVERLAP, value_parser = humantime::parse_duration)]
    overlap: Duration,
    /// After how long the new one stops being accepted (90d, 12h) [default: never]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
    /// In the place of a password that was chosen: the new one is in this file (- for standard input)
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
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

pub(super) fn scope(text: &str) -> Result<Scope, String> {
    match text {
        "read" => Ok(Scope::Read),
        "write" => Ok(Scope::Write),
        _ => Err("read or write".to_owned()),
    }
}

/// Runs the command and prints its answer.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let (Command::Create(CreateArgs { shared, .. })
    | Command::List { shared, .. }
    | Command::Rotate(RotateArgs { shared, .. })
    | Command::Revoke { shared, .. }) = &args.command;
    let desk = Desk::open(&shared.config).await?;
    let answer = answer(&args.command, &desk, shared.json).await;
    desk.close().await;
    println!("{}", answer?);
    Ok(())
}

async fn answer(command: &Command, desk: &Desk, json: bool) -> Result<String, Failure> {
    match command {
        Command::Create(args) => create(args, desk).await,
        Command::List { tenant, .. } => {
            let tenant = find(desk, tenant).await?;
            let tokens = token::list(desk.store.pool(), tenant.id).await?;
            if json { Ok(serde_json::to_string_pretty(&tokens)?) } else { Ok(listed(&tokens, desk.now)) }
        }
        Command::Rotate(args) => rotate(args, desk).await,
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

async fn create(args: &CreateArgs, desk: &Desk) -> Result<String, Failure> {
    let tenant = find(desk, &args.tenant).await?;
    let me = match &args.me {
        Some(name) => Some(whom(desk, &tenant, name).await?),
        None => None,
    };
    let wanted = Wanted {
        label: args.label.clone(),
        username: args.username.clone(),
        password: args.password_file.as_deref().map(chosen).transpose()?,
        client: args.client,
        me,
        scope: args.scope,
        users_only: args.users_only,
        expires: args.expires.map(|after| expiry(desk.now, after)).transpose()?,
    };
    let mut conn = desk.store.pool().acquire().await?;
    let made = credential::make(&mut conn, tenant.id, &wanted, desk.origin()).await?;
    shown(&tenant, &made, args.shared.json)
}

async fn rotate(args: &RotateArgs, desk: &Desk) -> Result<String, Failure> {
    let tenant = find(desk, &args.tenant).await?;
    let password = args.password_file.as_deref().map(chosen).transpose()?;
    let expires = args.expires.map(|after| expiry(desk.now, after)).transpose()?;
    let overlap = chrono::Duration::from_std(args.overlap).ok();
    let until = overlap.and_then(|overlap| desk.now.checked_add_signed(overlap));
    let until = until.ok_or("--overlap: that is no time at which a token could expire")?;
    let mut conn = desk.store.pool().acquire().await?;
    let (origin, times) = (desk.origin(), (expires, until));
    let made = credential::rotate(&mut conn, tenant.id, &args.token, password.as_ref(), times, origin).await?;
    let answer = shown(&tenant, &made, args.shared.json)?;
    if args.shared.json {
        return Ok(answer);
    }
    Ok(format!("{answer}\n\nthe old one is accepted until {} at most", instant(until)))
}

/// A credential that was just made, with its secret, this once. A chosen password is known to whoever chose it.
fn shown(tenant: &Tenant, Made { token, secret }: &Made, json: bool) -> Result<String, Failure> {
    if json {
        let mut described = serde_json::to_value(token)?;
        let key = match (token.kind, &token.username) {
            (Kind::Client, _) => "client_secret",
            (_, Some(_)) => "password",
            (_, None) => "token",
        };
        if let Some(secret) = secret {
            described[key] = json!(secret.reveal());
        }
        return Ok(serde_json::to_string_pretty(&described)?);
    }
    let until = token.expires.map_or_else(|| "without expiry".to_owned(), |at| format!("until {}", instant(at)));
    let Some(secret) = secret else {
        return Ok(format!(
            "token {} of tenant {}, {until}; its password is the one you chose",
            token.label, tenant.slug
        ));
    };
    let shown = match (token.kind, &token.username) {
        (Kind::Client, Some(id)) => format!(
            "client id:      {id}\nclient secret:  {}\ntoken endpoint: /scim/{}/oauth/token",
            secret.reveal(),
            tenant.slug
        ),
        (_, Some(username)) => format!("user name: {username}\npassword:  {}", secret.reveal()),
        (_, None) => format!("Authorization: Bearer {}", secret.reveal()),
    };
    Ok(format!("token {} of tenant {}, {until}; it is shown this once:\n\n{shown}", token.label, tenant.slug))
}

pub(super) async fn find(desk: &Desk, slug: &str) -> Result<Tenant, Failure> {
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

/// The password in that file, without the end of its line.
fn chosen(path: &Path) -> Result<Secret, Failure> {
    /// More than any password has.
    const LONGEST: u64 = 4096;
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(LONGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    read.map_err(|error| format!("--password-file {}: {error}", path.display()))?;
    Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
}

/// When something ends that is to last so long.
pub(super) fn expiry(now: DateTime<Utc>, after: Duration) -> Result<DateTime<Utc>, Failure> {
    let after = chrono::Duration::from_std(after).ok().and_then(|after| now.checked_add_signed(after));
    after.filter(|at| *at > now).ok_or_else(|| "that is no time at which a token could expire".into())
}

/// A time as lists show it.
pub(super) fn instant(at: DateTime<Utc>) -> String {
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
            vec![
                token.label.clone(),
                kind(token),
                may(token),
                state,
                used,
                instant(token.created),
                token.id.to_string(),
            ]
        })
        .collect();
    table(&["label", "kind", "may", "state", "last used", "made", "id"], &rows)
}

fn kind(token: &Token) -> String {
    match (token.kind, &token.username) {
        (Kind::Client, Some(id)) => format!("OAuth client {id}"),
        (Kind::Password, Some(name)) => format!("basic as {name}, chosen"),
        (_, Some(name)) => format!("basic as {name}"),
        (_, None) => "bearer".to_owned(),
    }
}

fn may(token: &Token) -> String {
    let what = token.scope.as_str();
    if token.users_only { format!("{what} users") } else { what.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
    fn a_chosen_password_keeps_its_blanks_and_loses_the_end_of_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, " a pass phrase \r\n").unwrap();
        assert_eq!(chosen(&path).unwrap(), Secret::new(" a pass phrase "));
        let missing = chosen(&folder.path().join("none")).unwrap_err();
        assert!(missing.to_string().contains("--password-file"), "{missing}");
    }
}
