//! `/tenants/{slug}/purge` and `/reset`: two ways out, shown first.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::runs::{ask, described};
use super::tenants::confirmed;
use crate::admin::answer::{Outcome, ok, page};
use crate::admin::call::{Call, place};
use crate::admin::refusal::Refusal;
use crate::policy::Policy;
use crate::store::removal::{self, Named, Names};
use crate::store::run::{self, Kind};
use crate::store::tenant::{Mode, Tenant};
use crate::writer::removal::{PurgeOptions, sentence};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    confirm: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Purge {
    confirm: String,
    #[serde(default)]
    past_the_brake: bool,
}

fn why_no_purge(tenant: &Tenant) -> Option<String> {
    (tenant.mode == Mode::Observe)
        .then(|| format!("Tenant {} only observes: nothing would be written to Jira.", tenant.slug))
}

pub(crate) async fn purge_shown(call: &Call) -> Outcome {
    let tenant = call.tenant().await?;
    let policy = Policy::from_value(&tenant.policy).map_err(|problems| {
        Refusal::conflict("policy-not-understood", format!("The policy is not understood: {}", problems.join(" ")))
    })?;
    let mut conn = call.conn().await?;
    let sizes = removal::sizes(&mut conn, tenant.id).await?;
    drop(conn);
    let all = Names::ALL.into_iter().map(|what| sentence(what, sizes, &policy));
    let mut sentences: Vec<String> = all.map(|(count, words)| format!("{count} {words}.")).collect();
    if sizes.overrides > 0 {
        let ends = if sizes.overrides == 1 { "override ends" } else { "overrides end" };
        sentences.push(format!("{} {ends}.", sizes.overrides));
    }
    sentences.push(
        "Its users and groups are gone for the identity provider; take its credentials away first, or it makes them again."
            .to_owned(),
    );
    shown(call, &tenant, Kind::Purge, &sentences, why_no_purge(&tenant)).await
}

/// Who and what a purge is about, by name.
pub(crate) async fn names(call: &Call) -> Outcome {
    let (after, limit) = (call.cursor::<(Uuid, String)>()?, call.limit()?);
    let missing = || Refusal::parameter("what", "what is missing.");
    let what = call.word("what", &Names::ALL.map(|what| (what.as_str(), what)))?.ok_or_else(missing)?;
    let tenant = call.tenant().await?;
    let mut conn = call.conn().await?;
    let after = after.map(|(user, key)| Named { user, key, name: String::new() });
    let found = removal::names(&mut conn, tenant.id, what, after.as_ref(), limit).await?;
    let next = found.last().filter(|_| found.len() as i64 == limit).and_then(|last| place(&(last.user, &last.key)));
    let items: Vec<Value> = found.iter().map(|named| json!({ "name": named.name })).collect();
    page(&items, next)
}

pub(crate) async fn reset_shown(call: &Call) -> Outcome {
    let tenant = call.tenant().await?;
    let sentences = [
        "Its users and groups are gone until an import or the identity provider brings them back.".to_owned(),
        "Jira is left as it is.".to_owned(),
    ];
    shown(call, &tenant, Kind::Reset, &sentences, None).await
}

async fn shown(call: &Call, tenant: &Tenant, kind: Kind, sentences: &[String], why_not: Option<String>) -> Outcome {
    let mut conn = call.conn().await?;
    let sizes = removal::sizes(&mut conn, tenant.id).await?;
    let left = removal::left(&mut conn, tenant.id).await?;
    let last = run::last(&mut conn, tenant.id, kind).await?;
    let last: Option<Value> = last.map(|run| described(&run, &tenant.slug));
    ok(&json!({
        "sentences": sentences, "sizes": sizes, "left": left, "last": last, "possible": why_not.is_none(),
        "why_not": why_not,
    }))
}

pub(crate) async fn purge(call: &Call) -> Outcome {
    let Purge { confirm, past_the_brake } = call.body()?;
    let tenant = call.tenant().await?;
    confirmed(&tenant, &confirm)?;
    if let Some(why) = why_no_purge(&tenant) {
        return Err(Refusal::conflict("observing", why));
    }
    ask(call, &tenant, Kind::Purge, &json!(PurgeOptions { past_the_brake })).await
}

pub(crate) async fn reset(call: &Call) -> Outcome {
    let Confirm { confirm } = call.body()?;
    let tenant = call.tenant().await?;
    confirmed(&tenant, &confirm)?;
    ask(call, &tenant, Kind::Reset, &json!({})).await
}
