//! `jira-scim override` and `jira-scim deactivate-now`: what an administrator pins against the identity provider.

mod wait;

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use clap::ValueEnum;
use uuid::Uuid;

use super::desk::Desk;
use super::outbox::user;
use super::table::table;
use super::{ConfigArgs, Failure};
use crate::account::fold;
use crate::store::link::Pinned;
use crate::store::overrides::{self, Listed};
use crate::store::tenant::{self, Tenant};
use crate::writer::overrides::{Pin, lift, pin};
use wait::{Told, Waiting};

pub(super) use wait::Pending;

/// The arguments of `jira-scim override`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    add: Option<AddArgs>,
    #[command(flatten)]
    shared: Shared,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List what is pinned
    List(ListArgs),
    /// End one before its time
    Lift(LiftArgs),
}

#[derive(clap::Args)]
struct AddArgs {
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// The user (userName or id)
    #[arg(value_name = "USER")]
    user: String,
    /// What is pinned
    #[arg(value_name = "WHAT")]
    what: What,
    /// The Jira group, for `member`
    #[arg(value_name = "GROUP", required_if_eq("what", "member"))]
    group: Option<String>,
    /// Until when: a date (its end, UTC), a time (2026-03-31T18:00:00Z), or from now on (8h, 3d)
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: DateTime<Utc>,
    /// Why, for people
    #[arg(long, value_name = "TEXT", value_parser = text)]
    reason: String,
}

/// The arguments of `jira-scim deactivate-now`.
#[derive(clap::Args)]
pub(super) struct NowArgs {
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// The user (userName or id)
    #[arg(value_name = "USER")]
    user: String,
    /// Why, for people
    #[arg(long, value_name = "TEXT", value_parser = text)]
    reason: String,
    #[command(flatten)]
    shared: Shared,
}

#[derive(clap::Args)]
struct ListArgs {
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Only of this user (userName or id)
    #[arg(long, value_name = "NAME|ID")]
    user: Option<String>,
    /// Those that are over, too
    #[arg(long)]
    all: bool,
    /// The most that are listed
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(clap::Args)]
struct LiftArgs {
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Its id, as `override list` shows it
    #[arg(value_name = "ID")]
    id: Uuid,
    #[command(flatten)]
    shared: Shared,
}

/// What each command takes that changes something.
#[derive(clap::Args)]
struct Shared {
    /// How long to wait for the daemon to do it; 0 does not wait
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = length)]
    wait: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// May log in, whatever the identity provider says
    Active,
    /// May not
    Inactive,
    /// Is in a Jira group
    Member,
}

/// Runs `jira-scim override` and prints its answer.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    match (&args.command, &args.add) {
        (Some(Command::List(list)), _) => {
            let desk = Desk::open(&list.config).await?;
            let answer = listed(list, &desk).await;
            desk.close().await;
            println!("{}", answer?);
            Ok(())
        }
        (Some(Command::Lift(args)), _) => {
            let desk = Desk::open(&args.shared.config).await?;
            let answer = lifted(args, &desk).await;
            desk.close().await;
            answer?.print(args.shared.json)
        }
        (None, Some(add)) => {
            let desk = Desk::open(&args.shared.config).await?;
            let answer = added(add, args.shared.wait, &desk).await;
            desk.close().await;
            answer?.print(args.shared.json)
        }
        (None, None) => Err("which user?".into()),
    }
}

/// Runs `jira-scim deactivate-now` and prints its answer.
pub(super) async fn run_now(args: &NowArgs) -> Result<(), Failure> {
    let desk = Desk::open(&args.shared.config).await?;
    let answer = async {
        let (tenant, user_id) = found(&desk, &args.tenant, &args.user).await?;
        let wanted = Pin { user_id, what: &Pinned::Inactive, until: None, reason: &args.reason, past_the_brake: true };
        let id = pin(&desk.store, &tenant, desk.origin(), &wanted).await?;
        let subject = Waiting { tenant: &tenant, user_id, name: &args.user, what: Pinned::Inactive, id };
        subject.wait(&desk, args.shared.wait).await
    };
    let answer = answer.await;
    desk.close().await;
    answer?.print(args.shared.json)
}

async fn added(args: &AddArgs, wait: Duration, desk: &Desk) -> Result<Told, Failure> {
    if args.until <= desk.now {
        return Err(format!("--until {}: that is over", args.until.format("%Y-%m-%d %H:%M:%S UTC")).into());
    }
    let what = match (args.what, &args.group) {
        (What::Active, None) => Pinned::Active,
        (What::Inactive, None) => Pinned::Inactive,
        (What::Member, Some(name)) if !name.trim().is_empty() => {
            Pinned::Member { key: fold(name.trim()), name: name.trim().to_owned() }
        }
        (What::Member, _) => return Err("of which Jira group?".into()),
        (_, Some(group)) => return Err(format!("{group}: only `member` takes a group").into()),
    };
    let (tenant, user_id) = found(desk, &args.tenant, &args.user).await?;
    let wanted = Pin { user_id, what: &what, until: Some(args.until), reason: &args.reason, past_the_brake: false };
    let id = pin(&desk.store, &tenant, desk.origin(), &wanted).await?;
    Waiting { tenant: &tenant, user_id, name: &args.user, what, id }.wait(desk, wait).await
}

async fn lifted(args: &LiftArgs, desk: &Desk) -> Result<Told, Failure> {
    let tenant = tenant_named(desk, &args.tenant).await?;
    let user_id = lift(&desk.store, &tenant, desk.origin(), args.id).await?;
    let user_id = user_id.ok_or_else(|| format!("there is no override {} in force", args.id))?;
    let mut conn = desk.store.pool().acquire().await?;
    let all = overrides::list(&mut conn, tenant.id, Some(user_id), true, 1).await?;
    drop(conn);
    let name = all.first().map_or_else(|| user_id.to_string(), |listed| listed.user_name.clone());
    Waiting { tenant: &tenant, user_id, name: &name, what: Pinned::Active, id: args.id }
        .wait_until_settled(desk, args.shared.wait)
        .await
}

async fn tenant_named(desk: &Desk, slug: &str) -> Result<Tenant, Failure> {
    let tenant = tenant::get(desk.store.pool(), slug).await?;
    tenant.ok_or_else(|| format!("there is no tenant {slug}").into())
}

async fn found(desk: &Desk, slug: &str, name: &str) -> Result<(Tenant, Uuid), Failure> {
    let tenants = [tenant_named(desk, slug).await?];
    let id = user(desk, &tenants, name).await?.id;
    let [tenant] = tenants;
    Ok((tenant, id))
}

async fn listed(args: &ListArgs, desk: &Desk) -> Result<String, Failure> {
    let tenants = [tenant_named(desk, &args.tenant).await?];
    let of = match &args.user {
        Some(name) => Some(user(desk, &tenants, name).await?.id),
        None => None,
    };
    let mut conn = desk.store.pool().acquire().await?;
    let all = overrides::list(&mut conn, tenants[0].id, of, args.all, i64::from(args.limit)).await?;
    if args.json {
        return Ok(serde_json::to_string_pretty(&all)?);
    }
    if all.is_empty() {
        return Ok("nothing is pinned".to_owned());
    }
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    Ok(table(&["user", "what", "until", "reason", "by", "id"], &rows))
}

fn row(listed: &Listed) -> Vec<String> {
    let what = listed.group.as_ref().map_or_else(|| listed.what.clone(), |group| format!("{} {group}", listed.what));
    let time = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M UTC").to_string();
    let until = match (listed.lifted, listed.until) {
        (Some(lifted), _) => format!("ended {}", time(lifted)),
        (None, Some(until)) => time(until),
        (None, None) => "the provider agrees".to_owned(),
    };
    vec![listed.user_name.clone(), what, until, listed.reason.clone(), listed.actor.clone(), listed.id.to_string()]
}

/// A date means its end: whoever is let in until the last day of a month works on that day.
fn until(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Ok(day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::days(1));
    }
    let length = humantime::parse_duration(text).ok().and_then(|length| TimeDelta::from_std(length).ok());
    length
        .and_then(|length| Utc::now().checked_add_signed(length))
        .ok_or_else(|| "a date (2026-03-31), a time (2026-03-31T18:00:00Z) or a length of time (8h, 3d)".to_owned())
}

fn length(text: &str) -> Result<Duration, String> {
    match text.trim() {
        "0" => Ok(Duration::ZERO),
        text => humantime::parse_duration(text).map_err(|_| "a length of time such as 30s or 2m".to_owned()),
    }
}

fn text(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("say why".to_owned()),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_time_is_a_date_a_time_or_a_length() {
        let at = |text: &str| until(text).unwrap().to_rfc3339();
        assert_eq!(at("2026-03-31"), "2026-04-01T00:00:00+00:00");
        assert_eq!(at("2026-03-31T18:00:00+02:00"), "2026-03-31T16:00:00+00:00");
        assert!(until("8h").unwrap() > Utc::now());
        for text in ["", "soon", "2026-02-30", "99999999999y"] {
            assert!(until(text).is_err(), "{text}");
        }
    }
}
