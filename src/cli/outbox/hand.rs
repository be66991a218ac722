//! `jira-scim outbox retry`, `jira-scim outbox approve` and `jira-scim outbox waive`

use std::time::Duration;

use serde_json::{Value, json};

use super::{StuckArg, group, step, user};
use crate::cli::Failure;
use crate::cli::desk::Desk;
use crate::store::outbox_view::State;
use crate::store::tenant::Tenant;
use crate::writer::by_hand::{Again, ByHand, Changed, Deed, LIVE};
use crate::writer::plan::Place;

/// How long to wait for whoever drives a subject at the moment.
const PATIENCE: Duration = Duration::from_secs(15);

/// What to retry.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["all", "user", "group", "target"]))]
pub(super) struct RetryArgs {
    /// Everything that was refused or is held, and whatever failed and waits for its next try
    #[arg(long, conflicts_with_all = ["user", "group"])]
    all: bool,
    /// This user (userName or id)
    #[arg(long, value_name = "NAME|ID", conflicts_with = "group")]
    user: Option<String>,
    /// This group (name or id): that it exists, and its refused members
    #[arg(long, value_name = "NAME|ID")]
    group: Option<String>,
    /// Only this step: account, active, delete, access:APPLICATION, member:NAME or group:NAME
    #[arg(long, value_parser = step)]
    step: Option<Place>,
    /// Only what is so; may be given several times [default: refused and held; also waived for one user or group]
    #[arg(long, value_delimiter = ',')]
    state: Vec<StuckArg>,
    /// Also end the pause of this target, for instance when its credential is right again
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

/// What to approve.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("whom").required(true).args(["all", "user"]))]
pub(super) struct ApproveArgs {
    /// The account that this user (userName or id) waits for
    #[arg(long, value_name = "NAME|ID")]
    user: Option<String>,
    /// Every account that a user waits for
    #[arg(long)]
    all: bool,
}

/// What to waive.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("whose").required(true).args(["user", "group"]))]
pub(super) struct WaiveArgs {
    /// A step of this user (userName or id)
    #[arg(long, value_name = "NAME|ID", requires = "step")]
    user: Option<String>,
    /// That this group (name or id) exists in Jira; its members wait
    #[arg(long, value_name = "NAME|ID")]
    group: Option<String>,
    /// The step: account, active, delete, member:NAME or group:NAME
    #[arg(long, value_parser = step)]
    step: Option<Place>,
}

/// A deed with its tenant, for people and programs.
struct Told {
    tenant: String,
    deed: Deed,
}

impl Told {
    fn sentence(&self, done: &str) -> String {
        let subject = format!("{}: {} {}", self.tenant, self.deed.kind, self.deed.name);
        match &self.deed.outcome {
            Err(error) => format!("{subject} is as it was: {error}"),
            Ok(changed) if changed.is_empty() => {
                format!("{subject}: no such step was refused, held or waived; it is due now")
            }
            Ok(changed) => {
                let steps: Vec<String> = changed.iter().map(told).collect();
                format!("{subject}: {} {done}", steps.join(", "))
            }
        }
    }

    fn json(&self) -> Value {
        let mut json = json!({ "tenant": self.tenant, "kind": self.deed.kind, "name": self.deed.name });
        match &self.deed.outcome {
            Ok(changed) => json["steps"] = json!(changed),
            Err(error) => json["error"] = json!(error.to_string()),
        }
        json
    }
}

/// Takes the deeds of a tenant down.
fn noting<'a>(deeds: &'a mut Vec<Told>, tenant: &'a Tenant) -> impl FnMut(Deed) + Send + 'a {
    |deed| deeds.push(Told { tenant: tenant.slug.clone(), deed })
}

fn told(changed: &Changed) -> String {
    match (changed.was, &changed.reason) {
        (Some(was), Some(reason)) => format!("{} ({}: {reason})", changed.step, State::from(was).as_str()),
        _ => changed.step.clone(),
    }
}

fn hand(desk: &Desk) -> ByHand<'_> {
    ByHand { store: &desk.store, origin: desk.origin(), patience: PATIENCE, grounds: &desk.grounds }
}

pub(super) async fn retry(args: &RetryArgs, desk: &Desk, tenants: &[Tenant], as_json: bool) -> Result<String, Failure> {
    let hand = hand(desk);
    let mut said = Vec::new();
    let mut pause = Value::Null;
    if let Some(target) = &args.target {
        if desk.config.target(target).is_none() && tenants.iter().all(|tenant| tenant.target != *target) {
            return Err(format!("there is no target {target}").into());
        }
        let why = hand.end_pause(target).await?;
        said.push(match &why {
            Some(why) => format!("target {target}: its pause ({why}) is over; it is asked again at once"),
            None => format!("target {target} is not paused"),
        });
        pause = json!({ "target": target, "was": why });
    }
    let again = Again { step: args.step.clone(), states: args.state.iter().map(|state| (*state).into()).collect() };
    let mut deeds = Vec::new();
    if let Some(name) = &args.user {
        let found = user(desk, tenants, name).await?;
        let deed = hand.retry_one(found.tenant, found.id, name, &again).await;
        noting(&mut deeds, found.tenant)(deed);
    } else if let Some(name) = &args.group {
        let (tenant, key) = group(desk, tenants, name).await?;
        if !hand.retry_members(tenant, &key, &again, &mut noting(&mut deeds, tenant)).await? {
            return Err("the steps of a group are group:NAME and member:NAME, with its own name".into());
        }
    } else if args.all {
        for tenant in tenants {
            hand.retry_all(tenant, &again, &mut noting(&mut deeds, tenant)).await?;
        }
    }
    if args.all && deeds.is_empty() {
        said.push("nothing to retry".to_owned());
    }
    finish(said, &deeds, "will be tried again", as_json.then(|| json!({ "pause": pause })))
}

pub(super) async fn approve(
    args: &ApproveArgs,
    desk: &Desk,
    tenants: &[Tenant],
    as_json: bool,
) -> Result<String, Failure> {
    let hand = hand(desk);
    let mut deeds = Vec::new();
    if let Some(name) = &args.user {
        let found = user(desk, tenants, name).await?;
        let outcome = hand.approve(found.tenant, found.id, LIVE).await;
        noting(&mut deeds, found.tenant)(Deed::new("user", name, outcome.map(|changed| vec![changed])));
    }
    for tenant in tenants.iter().filter(|_| args.all) {
        hand.approve_all(tenant, &mut noting(&mut deeds, tenant)).await?;
    }
    let said = if deeds.is_empty() { vec!["nobody waits for an approval".to_owned()] } else { Vec::new() };
    finish(said, &deeds, "is approved", as_json.then(|| json!({})))
}

pub(super) async fn waive(args: &WaiveArgs, desk: &Desk, tenants: &[Tenant], as_json: bool) -> Result<String, Failure> {
    let hand = hand(desk);
    let (tenant, deed) = match (&args.user, &args.group, &args.step) {
        (Some(name), _, Some(Place::Group(key))) => {
            let found = user(desk, tenants, name).await?;
            (found.tenant, waive_group(&hand, found.tenant, key).await)
        }
        (Some(name), _, Some(place)) => {
            let found = user(desk, tenants, name).await?;
            let outcome = hand.waive_user(found.tenant, found.id, place).await;
            (found.tenant, Deed::new("user", name, outcome.map(|changed| vec![changed])))
        }
        (_, Some(name), step) => {
            let (tenant, key) = group(desk, tenants, name).await?;
            match step {
                None => (tenant, waive_group(&hand, tenant, &key).await),
                Some(Place::Group(other)) if *other == key => (tenant, waive_group(&hand, tenant, &key).await),
                Some(_) => return Err("a step of a user needs --user".into()),
            }
        }
        _ => return Err("which step? --step account, active, delete, member:NAME or group:NAME".into()),
    };
    let done = "is left undone until what is wanted changes, or somebody retries it";
    let deeds = [Told { tenant: tenant.slug.clone(), deed }];
    finish(Vec::new(), &deeds, done, as_json.then(|| json!({})))
}

async fn waive_group(hand: &ByHand<'_>, tenant: &Tenant, key: &str) -> Deed {
    let outcome = hand.waive_group(tenant, key).await;
    Deed::new("group", key, outcome.map(|changed| vec![changed]))
}

/// What was done, and a failure where any of it was not.
fn finish(said: Vec<String>, deeds: &[Told], done: &str, json: Option<Value>) -> Result<String, Failure> {
    let failed = deeds.iter().filter(|one| one.deed.outcome.is_err()).count();
    let answer = match json {
        Some(mut json) => {
            json["done"] = deeds.iter().map(Told::json).collect();
            format!("{json:#}")
        }
        None => said.into_iter().chain(deeds.iter().map(|deed| deed.sentence(done))).collect::<Vec<_>>().join("\n"),
    };
    match (failed, deeds.len()) {
        (0, _) => Ok(answer),
        (1, 1) => Err(deeds[0].sentence(done).into()),
        (failed, all) => {
            println!("{answer}");
            Err(format!("{failed} of {all} are as they were").into())
        }
    }
}
