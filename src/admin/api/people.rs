//! `/tenants/{slug}/users` and `/groups`: who is there.

use serde_json::{Value, json};

use crate::account::SeenAccount;
use crate::admin::answer::{Outcome, ok, page};
use crate::admin::call::{Call, place};
use crate::admin::refusal::Refusal;
use crate::store::people::{self, Sought};
use crate::store::{last_login, link_list, standing};

/// Groups of one user that are shown.
const GROUPS: i64 = 1000;

/// An account as it is answered.
pub(super) fn account(seen: &SeenAccount) -> Value {
    json!({
        "id": seen.id, "username": seen.username, "email": seen.email, "display_name": seen.display_name,
        "active": seen.active,
    })
}

pub(crate) async fn users(call: &Call) -> Outcome {
    let (after, limit) = (call.cursor::<String>()?.unwrap_or_default(), call.limit()?);
    let sought = Sought::of(call.text("q")?.unwrap_or_default());
    let tenant = call.tenant().await?;
    let mut conn = call.conn().await?;
    let found = people::users(&mut conn, tenant.id, &sought, &after, limit).await?;
    let full = found.len() as i64 >= limit;
    let next = found.last().filter(|_| full).and_then(|last| place(&last.key));
    page(&found, next)
}

pub(crate) async fn groups(call: &Call) -> Outcome {
    let (after, limit) = (call.cursor::<String>()?.unwrap_or_default(), call.limit()?);
    let sought = Sought::of(call.text("q")?.unwrap_or_default());
    let tenant = call.tenant().await?;
    let mut conn = call.conn().await?;
    let found = people::groups(&mut conn, tenant.id, &sought, &after, limit).await?;
    let next = found.last().filter(|_| found.len() as i64 == limit).and_then(|last| place(&last.key));
    page(&found, next)
}

pub(crate) async fn user(call: &Call) -> Outcome {
    let (id, tenant) = (call.id()?, call.tenant().await?);
    let mut conn = call.conn().await?;
    let missing = || Refusal::missing("no-such-user", "The tenant has no user of that id.");
    let user = people::user(&mut conn, tenant.id, id).await?.ok_or_else(missing)?;
    let link = link_list::of_user(&mut conn, tenant.id, id).await?;
    let now = standing::of_user(&mut conn, tenant.id, id, None).await?;
    let groups = people::groups_of(&mut conn, tenant.id, id, GROUPS).await?;
    let seen = last_login::of(&mut conn, tenant.id, &[id]).await?;
    let mut value = json!(user);
    value["account"] = link.and_then(|link| link.record.linked().map(account)).unwrap_or_default();
    value["standing"] = json!({
        "open": now.open, "again_at": now.again_at, "error": now.error, "active": now.active, "doubtful": now.doubtful,
        "steps": now.steps, "paused": now.paused,
    });
    value["groups"] = json!(groups);
    value["last_login"] = json!(seen.first().map(|(_, at)| at));
    ok(&value)
}
