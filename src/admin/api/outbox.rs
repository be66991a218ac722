//! `/tenants/{slug}/outbox`, `/held` and `/refused`: what Jira does not agree with yet, and what is done about it by hand.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::hand::{OwnHand, alone};
use crate::admin::answer::{Outcome, ok};
use crate::admin::call::{Call, checked_name, place, shown};
use crate::admin::jobs;
use crate::admin::refusal::Refusal;
use crate::store::StoreError;
use crate::store::link::Stuck;
use crate::store::outbox_view::{self, Cursor, State};
use crate::store::tenant::Tenant;
use crate::writer::by_hand::{Again, Deed, LIVE, group_key, place_named};
use crate::writer::plan::Place;

/// Deeds that a job tells one by one.
const TOLD: usize = 200;
/// Pages without anything that are read until an answer says to go on.
const EMPTY: usize = 8;

pub(crate) async fn list(call: &Call) -> Outcome {
    let known = State::ALL.map(|state| (state.as_str(), state));
    let states = call.words("state", &known)?;
    listed(call, if states.is_empty() { &State::ALL } else { &states }).await
}

pub(crate) async fn held(call: &Call) -> Outcome {
    listed(call, &[State::Held]).await
}

pub(crate) async fn refused(call: &Call) -> Outcome {
    listed(call, &[State::Refused]).await
}

async fn listed(call: &Call, states: &[State]) -> Outcome {
    let (behind, limit) = (call.cursor::<Cursor>()?, call.limit()?);
    let tenant = call.tenant().await?;
    let mut conn = call.conn().await?;
    let total = outbox_view::total(&mut conn, tenant.id, states).await?;
    let (mut entries, mut after) = (Vec::new(), Some(behind.unwrap_or_default()));
    for _ in 0..EMPTY {
        let Some(cursor) = after.take() else { break };
        let room = limit - entries.len() as i64;
        let (found, next) = outbox_view::page(&mut conn, tenant.id, states, &cursor, room).await?;
        entries.extend(found);
        after = next;
        if entries.len() as i64 >= limit {
            break;
        }
    }
    let next = after.and_then(|cursor| place(&cursor));
    ok(&json!({ "items": entries, "next": next, "total": { "count": total.count, "oldest": total.oldest } }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retry {
    #[serde(default)]
    all: bool,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    step: Option<String>,
    #[serde(default)]
    states: Vec<StuckName>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StuckName {
    Refused,
    Held,
    Waived,
}

impl From<StuckName> for Stuck {
    fn from(name: StuckName) -> Self {
        match name {
            StuckName::Refused => Self::Refused,
            StuckName::Held => Self::Held,
            StuckName::Waived => Self::Waived,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approve {
    #[serde(default)]
    all: bool,
    #[serde(default)]
    user: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Waive {
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    step: Option<String>,
}

/// Whom or what it is about.
#[derive(Clone)]
enum About {
    All,
    User(Uuid, String),
    Group(String),
}

async fn about(
    call: &Call,
    tenant: &Tenant,
    all: bool,
    user: Option<&str>,
    group: Option<&str>,
) -> Result<About, Refusal> {
    match (all, user, group) {
        (true, None, None) => Ok(About::All),
        (false, Some(name), None) => Ok(About::User(call.user(tenant, "user", name).await?, name.to_owned())),
        (false, None, Some(name)) => {
            checked_name("group", name)?;
            let missing =
                || Refusal::missing("no-such-group", format!("There is no group {}.", shown(name))).at("group");
            Ok(About::Group(group_key(&call.state.store, tenant, name).await?.ok_or_else(missing)?))
        }
        _ => Err(Refusal::value("user", "Say exactly one of whom it is about.")),
    }
}

fn step(name: Option<&str>) -> Result<Option<Place>, Refusal> {
    let rule = "step must be account, active, delete, access:APPLICATION, member:NAME or group:NAME.";
    name.map(|name| place_named(name).ok_or_else(|| Refusal::value("step", rule))).transpose()
}

/// What was done so far.
#[derive(Default)]
struct Done {
    changed: u64,
    failed: u64,
    deeds: Vec<Value>,
}

impl Done {
    fn take(&mut self, deed: &Deed) {
        let (steps, error) = match &deed.outcome {
            Ok(steps) => (Some(steps), None),
            Err(error) => (None, Some(error.to_string())),
        };
        match error {
            None => self.changed += 1,
            Some(_) => self.failed += 1,
        }
        if self.deeds.len() < TOLD {
            self.deeds.push(json!({
                "kind": deed.kind, "name": deed.name, "steps": steps.cloned().unwrap_or_default(), "error": error,
            }));
        }
    }

    fn value(&self) -> Value {
        json!({ "changed": self.changed, "failed": self.failed, "deeds": self.deeds })
    }
}

/// Does `work`, which tells its deeds, as a job.
async fn job<F>(
    call: &Call,
    what: &'static str,
    tenant: Tenant,
    work: impl FnOnce(OwnHand, Tenant, Box<dyn FnMut(Deed) + Send>) -> F + Send + 'static,
) -> Outcome
where
    F: Future<Output = Result<(), StoreError>>,
{
    let hand = OwnHand::of(call);
    let state = Arc::clone(&call.state);
    let slug = tenant.slug.clone();
    jobs::run(call, what, &slug, |progress| async move {
        let done = Arc::new(Mutex::new(Done::default()));
        let noted = Arc::clone(&done);
        let told = Box::new(move |deed: Deed| {
            let mut done = noted.lock().unwrap_or_else(PoisonError::into_inner);
            done.take(&deed);
            progress.told(done.changed + done.failed);
        });
        let target = tenant.target.clone();
        alone(&state, move || async move { Ok(work(hand, tenant, told).await?) }).await?;
        state.writer.wake(&target);
        let done = done.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(done.value())
    })
    .await
}

pub(crate) async fn retry(call: &Call) -> Outcome {
    let Retry { all, user, group, step: name, states } = call.body()?;
    let again = Again { step: step(name.as_deref())?, states: states.into_iter().map(Stuck::from).collect() };
    let tenant = call.tenant().await?;
    let about = about(call, &tenant, all, user.as_deref(), group.as_deref()).await?;
    if let (About::Group(key), Some(step)) = (&about, &again.step) {
        let own = [Place::Group(key.clone()), Place::Pair(key.clone())];
        if !own.contains(step) {
            let rule = "The steps of a group are group:NAME and member:NAME, with its own name.";
            return Err(Refusal::value("step", rule));
        }
    }
    job(call, "retry", tenant, |own, tenant, mut told| async move {
        let hand = own.hand();
        match about {
            About::All => hand.retry_all(&tenant, &again, &mut *told).await?,
            About::User(id, name) => told(hand.retry_one(&tenant, id, &name, &again).await),
            About::Group(key) => drop(hand.retry_members(&tenant, &key, &again, &mut *told).await?),
        }
        Ok(())
    })
    .await
}

pub(crate) async fn approve(call: &Call) -> Outcome {
    let Approve { all, user } = call.body()?;
    let tenant = call.tenant().await?;
    let about = about(call, &tenant, all, user.as_deref(), None).await?;
    job(call, "approve", tenant, |own, tenant, mut told| async move {
        let hand = own.hand();
        match about {
            About::User(id, name) => {
                let outcome = hand.approve(&tenant, id, LIVE).await;
                told(Deed::new("user", name, outcome.map(|changed| vec![changed])));
            }
            About::All | About::Group(_) => hand.approve_all(&tenant, &mut *told).await?,
        }
        Ok(())
    })
    .await
}

pub(crate) async fn waive(call: &Call) -> Outcome {
    let Waive { user, group, step: name } = call.body()?;
    let place = step(name.as_deref())?;
    let tenant = call.tenant().await?;
    let about = about(call, &tenant, false, user.as_deref(), group.as_deref()).await?;
    let about_step = match (about, place) {
        (About::User(..), Some(Place::Group(key))) => (About::Group(key), None),
        (About::User(id, name), Some(place)) => (About::User(id, name), Some(place)),
        (About::User(..), None) => return Err(Refusal::value("step", "Say which step of the user.")),
        (About::Group(key), None) => (About::Group(key), None),
        (About::Group(key), Some(Place::Group(named))) if named == key => (About::Group(key), None),
        (About::Group(_) | About::All, _) => return Err(Refusal::value("step", "A step of a user needs the user.")),
    };
    job(call, "waive", tenant, |own, tenant, mut told| async move {
        let hand = own.hand();
        match about_step {
            (About::User(id, name), Some(place)) => {
                let outcome = hand.waive_user(&tenant, id, &place).await;
                told(Deed::new("user", name, outcome.map(|changed| vec![changed])));
            }
            (About::Group(key), _) => {
                let outcome = hand.waive_group(&tenant, &key).await;
                told(Deed::new("group", key, outcome.map(|changed| vec![changed])));
            }
            (About::User(..) | About::All, _) => {}
        }
        Ok(())
    })
    .await
}
