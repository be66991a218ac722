//! `/tenants/{slug}/audit` and `/audit`: who asked for what, and what came of it; searched, exported, cleared.

use std::str::FromStr;
use std::sync::Arc;

use axum::body::Body;
use chrono::{DateTime, Utc};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::tenants::confirmed;
use crate::admin::answer::{Outcome, download, page};
use crate::admin::call::{Call, is_storable, shown};
use crate::admin::jobs;
use crate::admin::refusal::{Refusal, sentence};
use crate::record::export::{Export, Form};
use crate::store::audit::{self, Cursor, Pages, Query};
use crate::store::tenant::Origin;
use crate::telemetry::uuid_of;

/// Whose rows are meant, and which.
async fn query(call: &Call, tenants: &[Uuid]) -> Result<Query, Refusal> {
    let (mut user, mut group) = (None, None);
    let mut conn = call.conn().await?;
    if let Some(name) = call.text("user")? {
        let mut ids = Vec::new();
        for tenant in tenants {
            ids.extend(audit::users_named(&mut conn, *tenant, name).await?);
        }
        user = Some(ids);
    }
    if let Some(name) = call.text("group")? {
        let mut ids = Vec::new();
        for tenant in tenants {
            ids.extend(audit::groups_named(&mut conn, *tenant, name).await?);
        }
        group = Some(ids);
    }
    let owned = |name: &str| Ok::<_, Refusal>(call.text(name)?.map(str::to_owned));
    let after = match call.text("cursor")? {
        Some(text) => {
            let wrong = || Refusal::parameter("cursor", "cursor must be what next was before.");
            Some(Cursor::from_str(text).ok().filter(|cursor| is_storable(cursor.at)).ok_or_else(wrong)?)
        }
        None => None,
    };
    Ok(Query {
        since: call.time("from")?,
        until: call.time("to")?,
        user,
        group,
        status: status(call.text("status")?)?,
        method: owned("method")?.map(|method| method.to_uppercase()),
        actor: owned("actor")?,
        remote: owned("remote")?,
        side: call.word("side", &[("scim", "scim"), ("admin", "admin"), ("inside", "inside")])?.map(str::to_owned),
        request_id: call.text("request")?.map(uuid_of),
        text: owned("q")?,
        after,
    })
}

/// `409`, or a class: `4xx`.
fn status(given: Option<&str>) -> Result<Option<String>, Refusal> {
    let Some(text) = given else { return Ok(None) };
    let text = text.to_lowercase();
    let is_class = text.len() == 3 && text.ends_with("xx") && text.starts_with(|c: char| ('1'..='5').contains(&c));
    let is_code = text.parse::<u16>().is_ok_and(|code| (100..600).contains(&code)) && text.len() == 3;
    match is_class || is_code {
        true => Ok(Some(text)),
        false => Err(Refusal::parameter("status", "status must be a code, or a class of them: 409, 4xx.")),
    }
}

/// Everybody's, or those of one tenant, which may be no more.
async fn whose(call: &Call) -> Result<Vec<Uuid>, Refusal> {
    let mut conn = call.conn().await?;
    let Some(name) = call.text("tenant")? else { return Ok(audit::everybody(&mut conn).await?) };
    let found = audit::tenants_named(&mut conn, name).await?;
    match found.is_empty() {
        true => Err(Refusal::missing("no-such-tenant", format!("Nothing is on record of a tenant {}.", shown(name)))),
        false => Ok(found),
    }
}

pub(crate) async fn list(call: &Call) -> Outcome {
    let ids = [call.tenant().await?.id];
    listed(call, &ids).await
}

pub(crate) async fn list_all(call: &Call) -> Outcome {
    listed(call, &whose(call).await?).await
}

async fn listed(call: &Call, ids: &[Uuid]) -> Outcome {
    let limit = u32::try_from(call.limit()?).unwrap_or(100);
    let query = query(call, ids).await?;
    let mut conn = call.conn().await?;
    let found = audit::search(&mut conn, ids, &query, limit).await?;
    page(&found.rows, found.next.map(|next| next.to_string()))
}

pub(crate) async fn export(call: &Call) -> Outcome {
    let tenant = call.tenant().await?;
    exported(call, vec![tenant.id], &tenant.slug).await
}

pub(crate) async fn export_all(call: &Call) -> Outcome {
    exported(call, whose(call).await?, "all").await
}

async fn exported(call: &Call, ids: Vec<Uuid>, name: &str) -> Outcome {
    let form = call.word("format", &[("json", Form::Json), ("csv", Form::Csv)])?.unwrap_or(Form::Json);
    let query = query(call, &ids).await?;
    let pages = Pages::new(ids, query);
    let begin = Some((pages, Export::new(form), call.state.store.clone()));
    let chunks = stream::unfold(begin, async |place| {
        let (mut pages, mut export, store) = place?;
        match pages.next(&store).await {
            Ok(Some(rows)) => Some((Ok(export.rows(&rows)), Some((pages, export, store)))),
            Ok(None) => Some((Ok(export.end()), None)),
            Err(error) => {
                tracing::warn!(error = %sentence(&error), "the audit could not be exported to its end");
                Some((Err(std::io::Error::other("the export ended early")), None))
            }
        }
    });
    let (media, ending) = match form {
        Form::Json => ("application/json", "json"),
        Form::Csv => ("text/csv; charset=utf-8", "csv"),
    };
    Ok(download(Body::from_stream(chunks), media, &format!("audit-{name}.{ending}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clear {
    confirm: String,
    #[serde(default)]
    before: Option<DateTime<Utc>>,
}

pub(crate) async fn clear(call: &Call) -> Outcome {
    let Clear { confirm, before } = call.body()?;
    let tenant = call.tenant().await?;
    confirmed(&tenant, &confirm)?;
    let before = before.unwrap_or(call.now);
    if !is_storable(before) {
        return Err(Refusal::value("before", "before is no time."));
    }
    if before > call.now {
        return Err(Refusal::value("before", "before is still to come."));
    }
    let (state, actor, request_id, at) = (Arc::clone(&call.state), call.actor.clone(), call.request_id, call.now);
    jobs::run(call, "audit-clear", &tenant.slug, |_| async move {
        let origin = Origin { actor: &actor, request_id, at };
        let mut conn = state.store.pool().acquire().await?;
        Ok::<Value, Refusal>(json!(audit::clear(&mut conn, tenant.id, before, origin).await?))
    })
    .await
}
