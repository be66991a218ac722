//! `jira-scim explain`: why somebody is as he is in Jira, and why he is in a Jira group or not.

use clap::Subcommand;

use super::desk::Desk;
use super::plan::{failed, known, writer};
use super::{ConfigArgs, Failure};
use crate::explain::{self, ExplainError, Explanation};

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Why a user is as he is in Jira
    User {
        /// The tenant
        #[arg(value_name = "TENANT")]
        tenant: String,
        /// The user: userName, also a former one, login name in Jira, or id
        #[arg(value_name = "NAME|ID")]
        name: String,
        #[command(flatten)]
        shared: Shared,
    },
    /// Why a user is in a Jira group, or not
    Membership {
        /// The tenant
        #[arg(value_name = "TENANT")]
        tenant: String,
        /// The user: userName, also a former one, login name in Jira, or id
        #[arg(value_name = "NAME|ID")]
        name: String,
        /// The Jira group, or the SCIM group that stands for it
        #[arg(value_name = "GROUP")]
        group: String,
        #[command(flatten)]
        shared: Shared,
    },
}

/// What both take.
#[derive(clap::Args)]
struct Shared {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Prints the explanation.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let (Command::User { shared, .. } | Command::Membership { shared, .. }) = &args.command;
    let desk = Desk::open(&shared.config).await?;
    let explained = explained(&args.command, &desk).await;
    desk.close().await;
    let explanation = explained?;
    match shared.json {
        true => println!("{}", serde_json::to_string_pretty(&explanation)?),
        false => println!("{}", text(&explanation)),
    }
    Ok(())
}

async fn explained(command: &Command, desk: &Desk) -> Result<Explanation, Failure> {
    let explained = match command {
        Command::User { tenant, name, .. } => {
            let tenant = known(desk, tenant).await?;
            explain::user(&writer(desk)?, &tenant, name).await
        }
        Command::Membership { tenant, name, group, .. } => {
            let tenant = known(desk, tenant).await?;
            explain::membership(&writer(desk)?, &tenant, name, group).await
        }
    };
    explained.map_err(|error| match error {
        ExplainError::Plan(error) => failed(error),
        error => error.into(),
    })
}

/// The answer, what it rests on, and what happened. Control characters become spaces, so that stored text cannot steer a
/// terminal.
fn text(explanation: &Explanation) -> String {
    let clean = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let mut lines = Vec::new();
    if let [answer, rest @ ..] = explanation.sentences.as_slice() {
        lines.push(clean(answer));
        if !rest.is_empty() {
            lines.push(String::new());
        }
        lines.extend(rest.iter().map(|sentence| clean(sentence)));
    }
    if !explanation.timeline.is_empty() {
        lines.extend([String::new(), "What happened:".to_owned()]);
    }
    for event in &explanation.timeline {
        lines.push(format!("{}  {}", event.at.format("%Y-%m-%d %H:%M:%S"), clean(&event.sentence)));
    }
    lines.join("\n")
}
