//! `jira-scim audit`: who asked for what, and what came of it; and `jira-scim audit clear`.

use std::io::Write;

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use uuid::Uuid;

use super::desk::Desk;
use super::plan::known;
use super::table::table;
use super::{ConfigArgs, Failure, confirm};
use crate::record::export::{Export, Form};
use crate::store::audit::{self, Change, Delivery, Pages, Query, Row};
use crate::telemetry::uuid_of;

/// How often an export says how far it is.
const PROGRESS: usize = 50_000;

/// The arguments.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Forget what is older than a time
    Clear(ClearArgs),
}

#[derive(clap::Args)]
struct ListArgs {
    /// The tenant, also one that was deleted; all of them, and nobody's requests, unless given
    #[arg(value_name = "TENANT")]
    tenant: Option<String>,
    /// Not before: a time (2026-03-31T18:00:00Z), a date (UTC), or so long ago (8h, 3d)
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<DateTime<Utc>>,
    /// Before: as --since
    #[arg(long, value_name = "TIME", value_parser = when)]
    until: Option<DateTime<Utc>>,
    /// About this user: userName, also a former one, login name in Jira, or id
    #[arg(long, value_name = "NAME|ID")]
    user: Option<String>,
    /// About this group: name, also a former one, or id
    #[arg(long, value_name = "NAME|ID")]
    group: Option<String>,
    /// Answered so: 409, or 4xx
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<String>,
    /// Asked so: POST
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// By this credential, or person
    #[arg(long, value_name = "LABEL")]
    actor: Option<String>,
    /// From this address
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// The request of this id
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// With these words, or beginnings of words, in what was asked or told
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
    /// The most that are shown: 100 of a list; all of an export unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(clap::Args)]
struct ClearArgs {
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// What is older than this: a time, a date (UTC), or so long ago (90d)
    #[arg(long, value_name = "TIME", value_parser = when)]
    before: DateTime<Utc>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Lists, exports, or clears.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let config = match &args.command {
        Some(Command::Clear(clear)) => &clear.config,
        None => &args.list.config,
    };
    let desk = Desk::open(config).await?;
    let done = match &args.command {
        Some(Command::Clear(args)) => clear(args, &desk).await,
        None => list(&args.list, &desk).await,
    };
    desk.close().await;
    done
}

async fn list(args: &ListArgs, desk: &Desk) -> Result<(), Failure> {
    let mut conn = desk.store.pool().acquire().await?;
    let tenants = match &args.tenant {
        Some(slug) => match audit::tenants_named(&mut conn, slug).await? {
            found if found.is_empty() => vec![known(desk, slug).await?.id],
            found => found,
        },
        None => audit::everybody(&mut conn).await?,
    };
    let query = Query {
        since: args.since,
        until: args.until,
        status: args.status.clone(),
        method: args.method.clone(),
        actor: args.actor.clone(),
        remote: args.from.clone(),
        request_id: args.request.as_deref().map(uuid_of),
        text: args.text.clone(),
        ..Query::default()
    };
    let (user, group) = (args.user.as_deref(), args.group.as_deref());
    let query = audit::about(&mut conn, &tenants, query, user, group).await?;
    drop(conn);
    match (args.json, args.csv) {
        (true, _) => export(args, desk, tenants, query, Form::Json).await,
        (_, true) => export(args, desk, tenants, query, Form::Csv).await,
        (false, false) => shown(args, desk, &tenants, &query).await,
    }
}

async fn shown(args: &ListArgs, desk: &Desk, tenants: &[Uuid], query: &Query) -> Result<(), Failure> {
    let mut conn = desk.store.pool().acquire().await?;
    let page = audit::search(&mut conn, tenants, query, args.limit.unwrap_or(100)).await?;
    if page.rows.is_empty() {
        println!("nothing is on record");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = page.rows.iter().map(line).collect();
    println!("{}", table(&["at", "actor", "from", "request", "answer", "changed", "jira", "id"], &rows));
    if page.next.is_some() {
        eprintln!("there is more: say --limit, or narrow it down; --csv and --json print all of it");
    }
    Ok(())
}

fn line(row: &Row) -> Vec<String> {
    const LONGEST: usize = 70;
    let path: String = row.path.clone().unwrap_or_default().chars().take(LONGEST).collect();
    let request = match &row.method {
        Some(method) => format!("{method} {path}"),
        None => "-".to_owned(),
    };
    let answer = row.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
    vec![
        row.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        if row.actor.is_empty() { "?".to_owned() } else { row.actor.clone() },
        row.remote.clone().unwrap_or_else(|| "-".to_owned()),
        request,
        answer,
        first(row.changes.iter().map(changed), row.more_changes),
        first(row.deliveries.iter().map(delivered), row.more_deliveries),
        row.given.clone().unwrap_or_else(|| row.request_id.to_string()),
    ]
}

fn changed(change: &Change) -> String {
    format!("{} {}", change.action, change.name.clone().unwrap_or_else(|| change.id.to_string()))
}

fn delivered(delivery: &Delivery) -> String {
    let name = delivery.name.clone().unwrap_or_else(|| delivery.id.to_string());
    format!("{name} {}", delivery.outcome.as_deref().unwrap_or("running"))
}

/// The first of several, and how many there are besides, these and `more`.
fn first(mut all: impl Iterator<Item = String>, more: i64) -> String {
    match (all.next(), all.count() as i64 + more) {
        (None, _) => "-".to_owned(),
        (Some(one), 0) => one,
        (Some(one), more) => format!("{one} (+{more})"),
    }
}

/// Page by page: what is printed is forgotten, so that the memory does not follow the number of rows.
async fn export(args: &ListArgs, desk: &Desk, tenants: Vec<Uuid>, query: Query, form: Form) -> Result<(), Failure> {
    let (mut pages, mut export, mut printed) = (Pages::new(tenants, query), Export::new(form), 0_usize);
    let most = args.limit.map_or(usize::MAX, |limit| limit as usize);
    let mut out = std::io::stdout().lock();
    while let Some(mut rows) = pages.next(&desk.store).await? {
        rows.truncate(most - printed);
        out.write_all(&export.rows(&rows))?;
        if (printed + rows.len()) / PROGRESS > printed / PROGRESS {
            eprintln!("{} rows", printed + rows.len());
        }
        printed += rows.len();
        if printed >= most {
            break;
        }
    }
    out.write_all(&export.end())?;
    out.flush()?;
    Ok(())
}

async fn clear(args: &ClearArgs, desk: &Desk) -> Result<(), Failure> {
    if args.before > desk.now {
        return Err("--before: that is still to come".into());
    }
    let tenant = known(desk, &args.tenant).await?;
    let what = format!(
        "What is on record of tenant {} before {} is forgotten: requests, changes, and what was done to Jira. That you did \
         this stays on record.",
        tenant.slug,
        args.before.format("%Y-%m-%d %H:%M:%S UTC")
    );
    confirm::typed(&tenant.slug, &what, args.yes)?;
    let mut conn = desk.store.pool().acquire().await?;
    let cleared = audit::clear(&mut conn, tenant.id, args.before, desk.origin()).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&cleared)?);
    } else {
        println!(
            "forgotten: {} requests, {} changes, {} deliveries",
            cleared.requests, cleared.changes, cleared.deliveries
        );
    }
    Ok(())
}

/// A date means its beginning, a length of time so long ago.
fn when(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    let length = humantime::parse_duration(text).ok().and_then(|length| TimeDelta::from_std(length).ok());
    length
        .and_then(|length| Utc::now().checked_sub_signed(length))
        .ok_or_else(|| "a time (2026-03-31T18:00:00Z), a date (2026-03-31) or a length of time (8h, 3d)".to_owned())
}

fn status(text: &str) -> Result<String, String> {
    let text = text.to_lowercase();
    let is_status = matches!(text.as_bytes(), [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] | [b'1'..=b'5', b'x', b'x']);
    if is_status { Ok(text) } else { Err("a status such as 409, or a class such as 4xx".to_owned()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_time_is_a_time_a_date_or_so_long_ago() {
        assert_eq!(when("2026-03-31").unwrap().to_rfc3339(), "2026-03-31T00:00:00+00:00");
        assert_eq!(when("2026-03-31T18:00:00+02:00").unwrap().to_rfc3339(), "2026-03-31T16:00:00+00:00");
        assert!(when("8h").unwrap() < Utc::now());
        for text in ["", "soon", "2026-02-30"] {
            assert!(when(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_answer_is_a_status_or_a_class_of_them() {
        assert_eq!(status("409").as_deref(), Ok("409"));
        assert_eq!(status("4XX").as_deref(), Ok("4xx"));
        for text in ["", "999", "4x", "4xxx", "ok"] {
            assert!(status(text).is_err(), "{text}");
        }
    }
}
