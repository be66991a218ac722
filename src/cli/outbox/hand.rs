//! `jira-scim outbox retry`, `jira-scim outbox approve` and `jira-scim outbox waive`

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{FoundUser, StuckArg, group, step, user};
use crate::cli::Failure;
use crate::cli::desk::Desk;
use crate::store::by_hand;
use crate::store::link::Stuck;
use crate::store::outbox_view::State;
use crate::store::tenant::Tenant;
use crate::writer::by_hand::{ByHand, ByHandError, Changed, Which};
use crate::writer::plan::Place;

/// How long to wait for whoever drives a subject at the moment.
const PATIENCE: Duration = Duration::from_secs(15);
/// Users that are read at once.
const PAGE: i64 = 500;
/// Somebody waits for it.
const LIVE: i16 = 0;
/// A whole tenant's users never go before what an identity provider asks for meanwhile.
const BULK: i16 = 1;

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

/// One thing that was done.
struct Deed {
    tenant: String,
    kind: &'static str,
    name: String,
    outcome: Result<Vec<Changed>, ByHandError>,
}

impl Deed {
    fn new(tenant: &Tenant, kind: &'static str, name: &str, outcome: Result<Vec<Changed>, ByHandError>) -> Self {
        Self { tenant: tenant.slug.clone(), kind, name: name.to_owned(), outcome }
    }

    fn sentence(&self, done: &str) -> String {
        let subject = format!("{}: {} {}", self.tenant, self.kind, self.name);
        match &self.outcome {
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
        let mut json = json!({ "tenant": self.tenant, "kind": self.kind, "name": self.name });
        match &self.outcome {
            Ok(changed) => json["steps"] = json!(changed),
            Err(error) => json["error"] = json!(error.to_string()),
        }
        json
    }
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
    let deeds = if let Some(name) = &args.user {
        let found = user(desk, tenants, name).await?;
        vec![retry_user(&hand, &found, name, args).await]
    } else if let Some(name) = &args.group {
        let (tenant, key) = group(desk, tenants, name).await?;
        retry_group(&hand, tenant, &key, args).await?
    } else if args.all {
        let mut deeds = Vec::new();
        for tenant in tenants {
            deeds.extend(retry_all(&hand, tenant, args).await?);
        }
        deeds
    } else {
        Vec::new()
    };
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
        deeds.push(Deed::new(found.tenant, "user", name, outcome.map(|changed| vec![changed])));
    }
    for tenant in tenants.iter().filter(|_| args.all) {
        let mut after = Uuid::nil();
        loop {
            let mut conn = hand.store.pool().acquire().await?;
            let users = by_hand::stuck_users(&mut conn, tenant.id, &[State::Held], after, PAGE).await?;
            drop(conn);
            let Some(last) = users.last() else { break };
            after = *last;
            for id in users {
                match hand.approve(tenant, id, BULK).await {
                    // Held for another reason.
                    Err(ByHandError::NothingToDo(_)) => {}
                    outcome => {
                        deeds.push(Deed::new(tenant, "user", &id.to_string(), outcome.map(|changed| vec![changed])));
                    }
                }
            }
        }
    }
    let said = if deeds.is_empty() { vec!["nobody waits for an approval".to_owned()] } else { Vec::new() };
    finish(said, &deeds, "is approved", as_json.then(|| json!({})))
}

pub(super) async fn waive(args: &WaiveArgs, desk: &Desk, tenants: &[Tenant], as_json: bool) -> Result<String, Failure> {
    let hand = hand(desk);
    let deed = match (&args.user, &args.group, &args.step) {
        (Some(name), _, Some(Place::Group(key))) => {
            let found = user(desk, tenants, name).await?;
            waive_group(&hand, found.tenant, key).await
        }
        (Some(name), _, Some(place)) => {
            let found = user(desk, tenants, name).await?;
            let outcome = hand.waive_user(found.tenant, found.id, place).await;
            Deed::new(found.tenant, "user", name, outcome.map(|changed| vec![changed]))
        }
        (_, Some(name), step) => {
            let (tenant, key) = group(desk, tenants, name).await?;
            match step {
                None => waive_group(&hand, tenant, &key).await,
                Some(Place::Group(other)) if *other == key => waive_group(&hand, tenant, &key).await,
                Some(_) => return Err("a step of a user needs --user".into()),
            }
        }
        _ => return Err("which step? --step account, active, delete, member:NAME or group:NAME".into()),
    };
    let done = "is left undone until what is wanted changes, or somebody retries it";
    finish(Vec::new(), &[deed], done, as_json.then(|| json!({})))
}

async fn waive_group(hand: &ByHand<'_>, tenant: &Tenant, key: &str) -> Deed {
    let outcome = hand.waive_group(tenant, key).await;
    Deed::new(tenant, "group", key, outcome.map(|changed| vec![changed]))
}

async fn retry_user(hand: &ByHand<'_>, found: &FoundUser<'_>, name: &str, args: &RetryArgs) -> Deed {
    let states = states(args, &[Stuck::Refused, Stuck::Held, Stuck::Waived]);
    if let Some(Place::Group(key)) = &args.step {
        let outcome = hand.retry_group(found.tenant, key, &states).await;
        return Deed::new(found.tenant, "group", key, outcome.map(|changed| changed.into_iter().collect()));
    }
    let which = Which { states, place: args.step.clone() };
    Deed::new(found.tenant, "user", name, hand.retry_user(found.tenant, found.id, &which, LIVE).await)
}

/// The group's own step, then the members whose membership of it was refused.
async fn retry_group(hand: &ByHand<'_>, tenant: &Tenant, key: &str, args: &RetryArgs) -> Result<Vec<Deed>, Failure> {
    let states = states(args, &[Stuck::Refused, Stuck::Held, Stuck::Waived]);
    let own = Place::Group(key.to_owned());
    let pair = Place::Pair(key.to_owned());
    if args.step.as_ref().is_some_and(|step| *step != own && *step != pair) {
        return Err("the steps of a group are group:NAME and member:NAME, with its own name".into());
    }
    let mut deeds = Vec::new();
    if args.step.as_ref() != Some(&pair) {
        let outcome = hand.retry_group(tenant, key, &states).await;
        deeds.push(Deed::new(tenant, "group", key, outcome.map(|changed| changed.into_iter().collect())));
    }
    if args.step.as_ref() != Some(&own) {
        let views: Vec<State> = states.iter().map(|state| State::from(*state)).collect();
        let which = Which { states, place: Some(pair) };
        let mut after = Uuid::nil();
        loop {
            let mut conn = hand.store.pool().acquire().await?;
            let users = by_hand::stuck_members(&mut conn, tenant.id, key, &views, after, PAGE).await?;
            drop(conn);
            let Some(last) = users.last() else { break };
            after = *last;
            for id in users {
                let outcome = hand.retry_user(tenant, id, &which, BULK).await;
                deeds.push(Deed::new(tenant, "user", &id.to_string(), outcome));
            }
        }
    }
    Ok(deeds)
}

async fn retry_all(hand: &ByHand<'_>, tenant: &Tenant, args: &RetryArgs) -> Result<Vec<Deed>, Failure> {
    let states = states(args, &[Stuck::Refused, Stuck::Held]);
    let views: Vec<State> = states.iter().map(|state| State::from(*state)).collect();
    let mut deeds = Vec::new();
    let mut conn = hand.store.pool().acquire().await?;
    let groups = by_hand::stuck_groups(&mut conn, tenant.id, &views).await?;
    let structures = by_hand::failing_structures(&mut conn, tenant.id).await?;
    drop(conn);
    for key in groups {
        if args.step.as_ref().is_some_and(|step| *step != Place::Group(key.clone())) {
            continue;
        }
        let outcome = hand.retry_group(tenant, &key, &states).await;
        deeds.push(Deed::new(tenant, "group", &key, outcome.map(|changed| changed.into_iter().collect())));
    }
    if matches!(args.step, Some(Place::Group(_))) {
        return Ok(deeds);
    }
    for subject in structures.into_iter().filter(|_| args.step.is_none()) {
        let outcome = hand.retry_structure(tenant, subject, BULK).await.map(|()| Vec::new());
        deeds.push(Deed::new(tenant, subject.kind(), &subject.id().to_string(), outcome));
    }
    let which = Which { states, place: args.step.clone() };
    let mut after = Uuid::nil();
    loop {
        let mut conn = hand.store.pool().acquire().await?;
        let users = by_hand::stuck_users(&mut conn, tenant.id, &views, after, PAGE).await?;
        drop(conn);
        let Some(last) = users.last() else { return Ok(deeds) };
        after = *last;
        for id in users {
            let outcome = hand.retry_user(tenant, id, &which, BULK).await;
            // Whoever has other steps that are stuck was not meant.
            if args.step.is_none() || !matches!(&outcome, Ok(changed) if changed.is_empty()) {
                deeds.push(Deed::new(tenant, "user", &id.to_string(), outcome));
            }
        }
    }
}

fn states(args: &RetryArgs, default: &[Stuck]) -> Vec<Stuck> {
    if args.state.is_empty() { default.to_vec() } else { args.state.iter().map(|state| (*state).into()).collect() }
}

/// What was done, and a failure where any of it was not.
fn finish(said: Vec<String>, deeds: &[Deed], done: &str, json: Option<Value>) -> Result<String, Failure> {
    let failed = deeds.iter().filter(|deed| deed.outcome.is_err()).count();
    let answer = match json {
        Some(mut json) => {
            json["done"] = deeds.iter().map(Deed::json).collect();
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
