//! `/tenants/{slug}/overrides` and `/deactivate-now`: what is pinned against the identity provider.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::account::fold;
use crate::admin::answer::{Outcome, made, ok, page};
use crate::admin::call::{Call, is_storable, place};
use crate::admin::refusal::Refusal;
use crate::store::link::Pinned;
use crate::store::overrides;
use crate::store::tenant::Tenant;
use crate::writer::overrides::{Pin, lift as lifted, pin};
use crate::writer::pinned::{Stands, until_done, until_settled};

/// The longest that an answer waits for the daemon to do it.
const LONGEST: i64 = 20;
/// The longest reason.
const REASON: usize = 1000;
/// The longest name of a Jira group.
const GROUP: usize = 255;

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Active,
    Inactive,
    Member,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    user: String,
    what: What,
    until: DateTime<Utc>,
    reason: String,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    wait_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Now {
    user: String,
    reason: String,
    #[serde(default)]
    wait_seconds: i64,
}

pub(crate) async fn list(call: &Call) -> Outcome {
    let (after, limit, all) = (call.cursor::<Uuid>()?, call.limit()?, call.flag("all")?);
    let tenant = call.tenant().await?;
    let of = call.user_in_query(&tenant).await?;
    let mut conn = call.conn().await?;
    let found = overrides::page(&mut conn, tenant.id, of, all, after, limit).await?;
    let next = found.last().filter(|_| found.len() as i64 == limit).and_then(|last| place(&last.id));
    page(&found, next)
}

fn waiting(seconds: i64) -> Result<Duration, Refusal> {
    let checked = u64::try_from(seconds).ok().filter(|_| seconds <= LONGEST);
    let wrong = || Refusal::value("wait_seconds", format!("wait_seconds must be between 0 and {LONGEST}."));
    checked.map(Duration::from_secs).ok_or_else(wrong)
}

fn reason(text: &str) -> Result<&str, Refusal> {
    match text.trim() {
        "" => Err(Refusal::value("reason", "Say why.")),
        text if text.chars().count() > REASON => Err(Refusal::value("reason", "The reason is too long.")),
        text => Ok(text),
    }
}

fn pinned(what: What, group: Option<&str>) -> Result<Pinned, Refusal> {
    let group = group.map(str::trim);
    match (what, group) {
        (What::Active, None) => Ok(Pinned::Active),
        (What::Inactive, None) => Ok(Pinned::Inactive),
        (What::Member, Some(name)) if !name.is_empty() && name.chars().count() <= GROUP => {
            Ok(Pinned::Member { key: fold(name), name: name.to_owned() })
        }
        (What::Member, _) => Err(Refusal::value("group", "Say which Jira group.")),
        (_, Some(_)) => Err(Refusal::value("group", "Only what = member takes a group.")),
    }
}

fn told(id: Uuid, user: Uuid, stands: &Stands) -> serde_json::Value {
    json!({ "override": id, "user": user, "outcome": stands.end, "detail": stands.detail })
}

pub(crate) async fn create(call: &Call) -> Outcome {
    let New { user, what, until, reason: why, group, wait_seconds } = call.body()?;
    let (wait, why, what) = (waiting(wait_seconds)?, reason(&why)?, pinned(what, group.as_deref())?);
    if until <= call.now || !is_storable(until) {
        return Err(Refusal::value("until", "until must be a time ahead."));
    }
    let tenant = call.tenant().await?;
    let user_id = call.user(&tenant, "user", &user).await?;
    let wanted = Pin { user_id, what: &what, until: Some(until), reason: why, past_the_brake: false };
    let id = pin(&call.state.store, &tenant, call.origin(), &wanted).await?;
    done(call, &tenant, (id, user_id), &what, wait).await
}

pub(crate) async fn deactivate(call: &Call) -> Outcome {
    let Now { user, reason: why, wait_seconds } = call.body()?;
    let (wait, why) = (waiting(wait_seconds)?, reason(&why)?);
    let tenant = call.tenant().await?;
    let user_id = call.user(&tenant, "user", &user).await?;
    let wanted = Pin { user_id, what: &Pinned::Inactive, until: None, reason: why, past_the_brake: true };
    let id = pin(&call.state.store, &tenant, call.origin(), &wanted).await?;
    done(call, &tenant, (id, user_id), &Pinned::Inactive, wait).await
}

async fn done(call: &Call, tenant: &Tenant, (id, user): (Uuid, Uuid), what: &Pinned, wait: Duration) -> Outcome {
    call.state.writer.wake(&tenant.target);
    let stands = until_done(&call.state.store, tenant, user, what, wait).await?;
    made(&told(id, user, &stands))
}

pub(crate) async fn lift(call: &Call) -> Outcome {
    let wait = Duration::from_secs(call.number("wait_seconds", 0, LONGEST)?.unwrap_or(0).unsigned_abs());
    let (id, tenant) = (call.id()?, call.tenant().await?);
    let user = lifted(&call.state.store, &tenant, call.origin(), id).await?;
    let missing = || Refusal::missing("no-such-override", "Nothing of that id is in force.");
    let user = user.ok_or_else(missing)?;
    call.state.writer.wake(&tenant.target);
    ok(&told(id, user, &until_settled(&call.state.store, &tenant, user, wait).await?))
}
