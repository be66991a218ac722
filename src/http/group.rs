//! `/Groups` (RFC 7644 sections 3.3 to 3.6): reads, changes, and how each is answered.
//!
//! Members are read only where the answer shows them: a group may have a hundred thousand.

use axum::http::StatusCode;
use axum::response::Response;
use uuid::Uuid;

use super::Exchange;
use super::accept::accept;
use super::body::Payload;
use super::error::Failure;
use super::members::Pieces;
use super::reply::{self, Resource};
use crate::directory::GroupView;
use crate::scim::{Projection, patch, resource};
use crate::store::outbox::Subject;

/// POST: 201 with the group and its `Location`; 409 where the name is taken (GEN-16).
pub(super) async fn create(exchange: &Exchange<'_>, body: Payload<'_>) -> Result<Response, Failure> {
    let projection = exchange.projection(exchange.types().group)?;
    let mut body = exchange.group_body(body).await?;
    let members = patch::take_members(&mut body)?.unwrap_or_default();
    let attrs = resource::check_new(exchange.types().group, body)?;
    let view = accept(exchange, about, move |directory, caller| async move {
        directory.create_group(&caller, attrs, members).await
    })
    .await?;
    let view = reread(exchange, view, &projection).await;
    Ok(answer(exchange, StatusCode::CREATED, view, &projection))
}

/// GET by id: 200, or 304 where the client has the version.
pub(super) async fn get(exchange: &Exchange<'_>, id: &str) -> Result<Response, Failure> {
    let projection = exchange.projection(exchange.types().group)?;
    let tenant = &exchange.caller.tenant;
    let view = exchange.state.directory.get_group(tenant, id, projection.wants("members")).await?;
    if exchange.conditions.is_known(view.version) {
        return Ok(Resource::group(exchange.types(), view, &exchange.base).not_modified());
    }
    Ok(answer(exchange, StatusCode::OK, view, &projection))
}

/// PUT: 200 with the group.
pub(super) async fn replace(exchange: &Exchange<'_>, id: &str, body: Payload<'_>) -> Result<Response, Failure> {
    let projection = exchange.projection(exchange.types().group)?;
    let body = judged(exchange, id, exchange.group_body(body).await).await?;
    let (id, precondition) = (id.to_owned(), exchange.conditions.precondition());
    let view = accept(exchange, about, move |directory, caller| async move {
        directory.replace_group(&caller, &id, body, &precondition).await
    })
    .await?;
    let view = reread(exchange, view, &projection).await;
    Ok(answer(exchange, StatusCode::OK, view, &projection))
}

/// PATCH: 204, which is asked for on groups (ENTRA-25) and leaves the members unread; 200 with the group by the tenant's
/// choice or where the client asks for attributes (RFC 7644 section 3.5.2).
pub(super) async fn patch(exchange: &Exchange<'_>, id: &str, body: Payload<'_>) -> Result<Response, Failure> {
    let projection = exchange.projection(exchange.types().group)?;
    let body = judged(exchange, id, exchange.group_body(body).await).await?;
    let (id, precondition) = (id.to_owned(), exchange.conditions.precondition());
    let view = accept(exchange, about, move |directory, caller| async move {
        directory.patch_group(&caller, &id, body, &precondition).await
    })
    .await?;
    if !exchange.shows_patched(exchange.scim.group_patch) {
        return Ok(Resource::group(exchange.types(), view, &exchange.base).no_content());
    }
    let view = reread(exchange, view, &projection).await;
    Ok(answer(exchange, StatusCode::OK, view, &projection))
}

/// DELETE: 204, or 200 for a client of 1.1 that wants it.
pub(super) async fn delete(exchange: &Exchange<'_>, id: &str) -> Result<Response, Failure> {
    let (id, precondition) = (id.to_owned(), exchange.conditions.precondition());
    let gone = Subject::Group(Uuid::try_parse(&id).unwrap_or_default());
    accept(
        exchange,
        move |()| gone,
        move |directory, caller| async move { directory.delete_group(&caller, &id, &precondition).await },
    )
    .await?;
    Ok(reply::empty(exchange.deleted()))
}

/// What a change of a group is about.
fn about(view: &GroupView) -> Subject {
    Subject::Group(view.id)
}

fn answer(exchange: &Exchange<'_>, status: StatusCode, view: GroupView, projection: &Projection) -> Response {
    let (base, rest) = (&exchange.base, goes_on(&view));
    let group = Resource::group(exchange.types(), view, base);
    let Some((id, after)) = rest else { return group.respond(status, base, projection) };
    group.respond_with(base, |group| {
        let mut pieces = Pieces::default();
        pieces.group(group.document(base, projection), id, after);
        reply::printed(status, pieces.body(exchange, projection))
    })
}

/// The group and its last member that was read, where there may be more.
pub(super) fn goes_on(view: &GroupView) -> Option<(Uuid, Uuid)> {
    let members = view.members.as_ref().filter(|members| members.more)?;
    Some((view.id, members.first.last()?.id))
}

/// An unknown id is 404 before its body is judged.
async fn judged<T>(exchange: &Exchange<'_>, id: &str, body: Result<T, Failure>) -> Result<T, Failure> {
    if body.is_err() {
        exchange.state.directory.get_group(&exchange.caller.tenant, id, false).await?;
    }
    body
}

/// The answer to a change shows the group as it is now, with its members where they are wanted: what others changed
/// meanwhile belongs to the version that is read here.
async fn reread(exchange: &Exchange<'_>, view: GroupView, projection: &Projection) -> GroupView {
    let (id, members) = (view.id.to_string(), projection.wants("members"));
    // Whatever goes wrong here, the change itself is done and must be answered as done.
    exchange.state.directory.get_group(&exchange.caller.tenant, &id, members).await.unwrap_or(view)
}
