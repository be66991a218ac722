//! `jira-scim reconcile` and `jira-scim drift`: what a tenant's target has that is not what was written there.

use clap::Subcommand;

use super::desk::Desk;
use super::runs::{done, tenant};
use super::table::table;
use super::{ConfigArgs, Failure};
use crate::store::drift::{self, Found};
use crate::store::run::Kind;
use crate::writer::reconcile::Counters;

/// Rows that are read at a time.
const PAGE: i64 = 1000;

/// The arguments of `reconcile`.
#[derive(clap::Args)]
pub(super) struct ReconcileArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The tenant
    #[arg(value_name = "TENANT")]
    tenant: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `drift`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List what the last comparison found
    List {
        #[command(flatten)]
        config: ConfigArgs,
        /// The tenant
        #[arg(value_name = "TENANT")]
        tenant: String,
        /// Print JSON
        #[arg(long, conflicts_with = "csv")]
        json: bool,
        /// Print CSV
        #[arg(long)]
        csv: bool,
    },
}

/// Compares, and says what the comparison came to.
pub(super) async fn reconcile(args: &ReconcileArgs) -> Result<(), Failure> {
    let desk = Desk::open(&args.config).await?;
    let compared = compare(args, &desk).await;
    desk.close().await;
    let counters = compared?;
    println!("{}", if args.json { serde_json::to_string_pretty(&counters)? } else { summary(&args.tenant, counters) });
    Ok(())
}

async fn compare(args: &ReconcileArgs, desk: &Desk) -> Result<Counters, Failure> {
    let tenant = tenant(desk, &args.tenant).await?;
    let run = done(desk, &tenant, Kind::Reconcile).await?;
    match run.error {
        Some(why) => Err(format!("the target could not be compared: {why}").into()),
        None => Ok(serde_json::from_value(run.counters)?),
    }
}

fn summary(slug: &str, counters: Counters) -> String {
    let Counters { accounts, users, groups, members, differences, skipped } = counters;
    let mut text = format!(
        "{accounts} accounts and {members} members of {groups} groups were compared with {users} users: \
         {differences} differences"
    );
    if skipped > 0 {
        text.push_str(&format!("; {skipped} look different and are being worked on, or are uncertain"));
    }
    if differences > 0 {
        text.push_str(&format!("\njira-scim drift list {slug} shows them"));
    }
    text
}

/// Prints what is on record, a page at a time.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let Command::List { config, tenant, json, csv } = &args.command;
    let form = match (json, csv) {
        (true, _) => Form::Json,
        (_, true) => Form::Csv,
        _ => Form::Table,
    };
    let desk = Desk::open(config).await?;
    let printed = print(&desk, tenant, form).await;
    desk.close().await;
    printed
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Table,
    Json,
    Csv,
}

async fn print(desk: &Desk, slug: &str, form: Form) -> Result<(), Failure> {
    let tenant = tenant(desk, slug).await?;
    let mut conn = desk.store.pool().acquire().await?;
    let mut page = drift::list(&mut conn, tenant.id, ("", "", ""), PAGE).await?;
    match form {
        Form::Table if page.is_empty() => {
            println!("nothing: the target has what was written there, when last compared")
        }
        Form::Table => {}
        Form::Json => print!("["),
        Form::Csv => print!("{}", csv_lines(&[HEAD.map(str::to_owned).to_vec()])?),
    }
    let mut first = true;
    while let Some(last) = page.last() {
        let rows: Vec<Vec<String>> = page.iter().map(cells).collect();
        match form {
            Form::Table => println!("{}", table(&HEAD, &rows)),
            Form::Csv => print!("{}", csv_lines(&rows)?),
            Form::Json => {
                for one in &page {
                    print!("{}\n{}", if first { "" } else { "," }, serde_json::to_string(one)?);
                    first = false;
                }
            }
        }
        let place = (last.kind.clone(), last.subject.clone(), last.field.clone());
        page = drift::list(&mut conn, tenant.id, (&place.0, &place.1, &place.2), PAGE).await?;
    }
    if form == Form::Json {
        println!("\n]");
    }
    Ok(())
}

const HEAD: [&str; 7] = ["name", "field", "written", "found", "wanted", "done", "since"];

fn cells(one: &Found) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let since = one.first_seen.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let values = [&one.written, &one.found, &one.wanted].map(text);
    [one.name.clone(), one.field.clone()].into_iter().chain(values).chain([one.action.clone(), since]).collect()
}

fn csv_lines(rows: &[Vec<String>]) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
