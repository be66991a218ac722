//! `/sources`: the directories that are read on a schedule, how they are, and those that are made here.
//!
//! One that the configuration declares is changed there. One that is made here names files for its secrets, in the folder that
//! the configuration allows: nobody can have the daemon send away any other file.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::admin::answer::{Answer, Outcome, made as answered, ok, page};
use crate::admin::call::{Call, place, shown};
use crate::admin::refusal::Refusal;
use crate::config::{Problem, Schedule, ServerConfig, SourceConfig, is_slug};
use crate::store::run::{self, Kind, Run, State};
use crate::store::source::{self, made};
use crate::store::tenant::{self, Tenant};
use crate::sync::Sync;
use crate::sync::registry::One;

use super::runs;

/// So many may be made.
const MOST: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOne {
    name: String,
    tenant: String,
    settings: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    settings: Map<String, Value>,
}

/// What reads sources, where this process does.
pub(super) fn sync(call: &Call) -> Result<&std::sync::Arc<Sync>, Refusal> {
    let none = || Refusal::unavailable("unavailable", "This process reads no sources.");
    call.state.sync.as_ref().ok_or_else(none)
}

/// The one in the path, as it is on record now.
pub(super) async fn known(call: &Call) -> Result<One, Refusal> {
    let name = call.param("name");
    let sync = sync(call)?;
    sync.refresh().await?;
    sync.source(name).ok_or_else(|| Refusal::missing("no-such-source", format!("There is no source {}.", shown(name))))
}

pub(crate) async fn list(call: &Call) -> Outcome {
    let (after, limit) = (call.cursor::<String>()?.unwrap_or_default(), call.limit()?);
    let limit = usize::try_from(limit).unwrap_or(1);
    let sync = sync(call)?;
    sync.refresh().await?;
    let behind: Vec<One> = sync.sources().into_iter().filter(|one| one.name() > after.as_str()).collect();
    let mut items = Vec::new();
    for one in behind.iter().take(limit) {
        items.push(described(call, one).await?);
    }
    let next = behind.get(limit).and_then(|_| place(&behind[limit - 1].name()));
    page(&items, next)
}

pub(crate) async fn get(call: &Call) -> Outcome {
    let one = known(call).await?;
    ok(&described(call, &one).await?)
}

async fn described(call: &Call, one: &One) -> Result<Value, Refusal> {
    let tenant = tenant::get(call.state.store.pool(), one.tenant()).await?;
    let (mut held, mut last) = (None, None);
    if let Some(tenant) = &tenant {
        let mut conn = call.conn().await?;
        held = source::held(&mut *conn, tenant.id).await?.filter(|held| held.name == one.name());
        last = run::last(&mut conn, tenant.id, Kind::Sync).await?;
    }
    let last = last.filter(|_| held.is_some());
    let config = one.configured().ok().map(|configured| &configured.config);
    let problem = match (one.configured(), &tenant) {
        (Err(why), _) => Some(why.to_owned()),
        (_, None) => Some(format!("there is no tenant {}", one.tenant())),
        _ => None,
    };
    let next = match (one.configured(), &tenant) {
        (Ok(configured), Some(tenant)) => Some(sync(call)?.next(configured, tenant, call.now).await?),
        _ => None,
    };
    let settings = match one {
        One::Declared(_) => Value::Null,
        One::Made(known) => known.made.settings.clone(),
    };
    Ok(json!({
        "name": one.name(), "tenant": one.tenant(), "declared": matches!(one, One::Declared(_)),
        "kind": config.map(kind), "address": one.configured().ok().map(|configured| configured.source.address()),
        "schedule": config.map(schedule), "settings": settings,
        "state": state(problem.is_some(), last.as_ref()), "problem": problem,
        "since": held.as_ref().map(|held| held.since), "applied": held.as_ref().and_then(|held| held.applied),
        "next": next, "last": last.map(|run| runs::described(&run, one.tenant())),
    }))
}

fn kind(config: &SourceConfig) -> &'static str {
    match config.server {
        ServerConfig::Ldap(_) => "ldap",
        ServerConfig::Scim(_) => "scim",
    }
}

fn schedule(config: &SourceConfig) -> String {
    match &config.schedule {
        Schedule::Every(every) => format!("every {}", humantime::format_duration(*every)),
        Schedule::Cron(text) => format!("at {text} (cron, UTC)"),
        Schedule::ByHand => "when somebody asks".to_owned(),
    }
}

/// How it is, in a word.
fn state(broken: bool, last: Option<&Run>) -> &'static str {
    match last.map(|run| run.state) {
        _ if broken => "broken",
        None => "new",
        Some(State::Queued) => "waiting",
        Some(State::Running) => "running",
        Some(State::Done) => "well",
        Some(State::Failed) => "failing",
        Some(State::Stopped) => "stopped",
    }
}

pub(crate) async fn create(call: &Call) -> Outcome {
    let NewOne { name, tenant, settings } = call.body()?;
    if !is_slug(&name) {
        let rule = "name: 1 to 63 lowercase letters, digits and hyphens, no hyphen at either end.";
        return Err(Refusal::value("name", rule));
    }
    let sync = sync(call)?;
    sync.refresh().await?;
    let all = sync.sources();
    if all.iter().filter(|one| matches!(one, One::Made(_))).count() >= MOST {
        let message = format!("{MOST} sources were made already; the others belong into the configuration.");
        return Err(Refusal::conflict("too-much-work", message));
    }
    if all.iter().any(|one| one.name() == name) {
        return Err(made::MadeError::NameTaken(name).into());
    }
    if all.iter().any(|one| one.tenant() == tenant) {
        return Err(made::MadeError::TenantFed.into());
    }
    let tenant = fed(call, &tenant).await?;
    let settings = Value::Object(settings);
    checked(sync, &name, &tenant.slug, &settings)?;
    made::create(call.state.store.pool(), tenant.id, &name, &settings, call.origin()).await?;
    sync.refresh().await?;
    if let Some(Ok(configured)) = sync.source(&name).as_ref().map(One::configured)
        && let Err(error) = sync.claim(configured).await
    {
        // It would never be read.
        made::delete(call.state.store.pool(), tenant.id, &name, call.origin()).await?;
        return Err(error.into());
    }
    changed(call, &name, true).await
}

async fn fed(call: &Call, slug: &str) -> Result<Tenant, Refusal> {
    let found = if is_slug(slug) { tenant::get(call.state.store.pool(), slug).await? } else { None };
    found.ok_or_else(|| Refusal::value("tenant", format!("There is no tenant {}.", shown(slug))))
}

fn checked(sync: &Sync, name: &str, tenant: &str, settings: &Value) -> Result<(), Refusal> {
    sync.prepared(name, tenant, settings).map(drop).map_err(|problems| {
        let field = problems.first().map(|problem| format!("settings.{}", problem.key)).unwrap_or_default();
        let all: Vec<String> = problems.iter().map(Problem::to_string).collect();
        Refusal::value(field.replace("settings.settings", "settings"), format!("{}.", all.join("; ")))
    })
}

/// One that was made here, with the tenant that it feeds.
async fn ours(call: &Call) -> Result<(String, Tenant), Refusal> {
    match known(call).await? {
        One::Declared(_) => Err(Refusal::conflict(
            "declared",
            "The configuration file declares this source: it is changed there, and nowhere else.",
        )),
        One::Made(known) => Ok((known.made.name.clone(), fed(call, &known.made.tenant).await?)),
    }
}

pub(crate) async fn update(call: &Call) -> Outcome {
    let Change { settings } = call.body()?;
    let (name, tenant) = ours(call).await?;
    let settings = Value::Object(settings);
    checked(sync(call)?, &name, &tenant.slug, &settings)?;
    if !made::update(call.state.store.pool(), tenant.id, &name, &settings, call.origin()).await? {
        return Err(Refusal::missing("no-such-source", format!("There is no source {name} any more.")));
    }
    changed(call, &name, false).await
}

async fn changed(call: &Call, name: &str, new: bool) -> Outcome {
    let sync = sync(call)?;
    sync.refresh().await?;
    sync.ring();
    let gone = || Refusal::missing("no-such-source", format!("There is no source {name} any more."));
    let described = described(call, &sync.source(name).ok_or_else(gone)?).await?;
    if new { answered(&described) } else { ok(&described) }
}

pub(crate) async fn delete(call: &Call) -> Outcome {
    let confirm = call.text("confirm")?.unwrap_or_default().to_owned();
    let (name, tenant) = ours(call).await?;
    if confirm != name {
        let message = format!("confirm must be the source's name, {name}; nothing was done.");
        return Err(Refusal::unprocessable("not-confirmed", message).at("confirm"));
    }
    let mut conn = call.conn().await?;
    // A read that is under way would go on writing.
    run::stop(&mut conn, tenant.id, Kind::Sync, call.origin()).await?;
    made::delete(&mut *conn, tenant.id, &name, call.origin()).await?;
    drop(conn);
    sync(call)?.refresh().await?;
    Ok(Answer::Nothing)
}
