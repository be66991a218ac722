//! `/tenants/{slug}/links`: whose account is whose, and saying so by hand.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::hand::{OwnHand, alone};
use super::people::account;
use crate::admin::answer::{Outcome, made, ok, page};
use crate::admin::call::{Call, checked_name, place, shown};
use crate::admin::refusal::{Refusal, sentence};
use crate::store::link::{AccountStep, Known};
use crate::store::link_list::{self, Listed, Which};
use crate::store::tenant::Tenant;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    user: String,
    account: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Merge {
    from: String,
    into: String,
}

fn described(link: &Listed) -> Value {
    let record = &link.record;
    let (state, seen, maybe) = match &record.known {
        Known::Linked { seen, maybe } => ("linked", Some(seen), *maybe),
        Known::Found(seen) => ("found", Some(seen), false),
        Known::Nothing | Known::Absent if !record.maybe_created.is_empty() => ("creating", None, true),
        Known::Nothing | Known::Absent => ("none", None, false),
    };
    let step = record.steps.get(&AccountStep::Write);
    json!({
        "user_id": link.user_id, "user_name": link.user_name, "deleted": link.deleted, "active": link.active,
        "state": state, "account": seen.map(account), "made": record.made, "maybe": maybe,
        "conflict": step.is_some_and(|step| step.conflict), "reason": step.map(|step| step.reason.clone()),
    })
}

pub(crate) async fn list(call: &Call) -> Outcome {
    if call.text("user")?.is_none() {
        return listed(call, Which::All).await;
    }
    let tenant = call.tenant().await?;
    let found = match call.user_in_query(&tenant).await? {
        Some(id) => link_list::of_user(&mut *call.conn().await?, tenant.id, id).await?,
        None => None,
    };
    page(&found.iter().map(described).collect::<Vec<_>>(), None)
}

pub(crate) async fn orphans(call: &Call) -> Outcome {
    listed(call, Which::Orphans).await
}

pub(crate) async fn conflicts(call: &Call) -> Outcome {
    listed(call, Which::Conflicts).await
}

async fn listed(call: &Call, which: Which) -> Outcome {
    let (after, limit) = (call.cursor::<Uuid>()?.unwrap_or_default(), call.limit()?);
    let tenant = call.tenant().await?;
    let mut conn = call.conn().await?;
    let found = link_list::page(&mut conn, tenant.id, which, after, limit).await?;
    let next = found.last().filter(|_| found.len() as i64 == limit).and_then(|last| place(&last.user_id));
    page(&found.iter().map(described).collect::<Vec<_>>(), next)
}

/// The link of a user as it is now.
async fn now(call: &Call, tenant: &Tenant, user: Uuid) -> Result<Value, Refusal> {
    let mut conn = call.conn().await?;
    let found = link_list::of_user(&mut conn, tenant.id, user).await?;
    let missing = || Refusal::missing("no-such-link", "Nothing is on record of an account of this user.");
    Ok(json!({ "link": described(&found.ok_or_else(missing)?) }))
}

pub(crate) async fn create(call: &Call) -> Outcome {
    let Wanted { user, account } = call.body()?;
    checked_name("account", &account)?;
    let tenant = call.tenant().await?;
    let id = call.user(&tenant, "user", &user).await?;
    let unconfigured = || {
        let message = format!("The tenant's target {} is not configured.", tenant.target);
        Refusal::conflict("target-not-configured", message)
    };
    let found = call.state.writer.find_account(&tenant.target, account.trim()).await.ok_or_else(unconfigured)?;
    let found = found.map_err(|error| Refusal::unavailable("target-unavailable", sentence(&error)))?;
    let missing =
        || Refusal::missing("no-such-account", format!("Jira has no account {}.", shown(&account))).at("account");
    let seen = found.ok_or_else(missing)?;
    let (own, of) = (OwnHand::of(call), tenant.clone());
    alone(&call.state, move || async move { Ok(own.hand().link(&of, id, &seen).await?) }).await?;
    call.state.writer.wake(&tenant.target);
    made(&now(call, &tenant, id).await?)
}

pub(crate) async fn delete(call: &Call) -> Outcome {
    let (id, tenant) = (call.id()?, call.tenant().await?);
    let mut conn = call.conn().await?;
    let missing = || Refusal::missing("no-such-link", "Nothing is on record of an account of this user.");
    link_list::of_user(&mut conn, tenant.id, id).await?.ok_or_else(missing)?;
    drop(conn);
    let (own, of) = (OwnHand::of(call), tenant.clone());
    alone(&call.state, move || async move { Ok(own.hand().unlink(&of, id).await?) }).await?;
    call.state.writer.wake(&tenant.target);
    ok(&now(call, &tenant, id).await?)
}

pub(crate) async fn merge(call: &Call) -> Outcome {
    let Merge { from, into } = call.body()?;
    let tenant = call.tenant().await?;
    let from = call.user(&tenant, "from", &from).await?;
    let into = call.user(&tenant, "into", &into).await?;
    if from == into {
        return Err(Refusal::value("into", "from and into are the same user."));
    }
    let (own, of) = (OwnHand::of(call), tenant.clone());
    alone(&call.state, move || async move { Ok(own.hand().merge(&of, from, into).await?) }).await?;
    call.state.writer.wake(&tenant.target);
    ok(&now(call, &tenant, into).await?)
}
