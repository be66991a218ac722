//! `/Users` (RFC 7644 sections 3.3 to 3.6): reads, changes, and how each is answered.

use axum::http::StatusCode;
use axum::response::Response;
use uuid::Uuid;

use super::Exchange;
use super::accept::accept;
use super::body::Payload;
use super::error::Failure;
use super::reply::{self, Resource};
use crate::directory::UserView;
use crate::scim::{Projection, resource};
use crate::store::outbox::Subject;

/// POST: 201 with the user and its `Location`; 409 where the name is taken (GEN-16).
pub(super) async fn create(exchange: &Exchange<'_>, body: Payload<'_>) -> Result<Response, Failure> {
    let projection = exchange.projection(exchange.types().user)?;
    let body = exchange.body(body, exchange.state.options.body).await?;
    let attrs = resource::check_new(exchange.types().user, body)?;
    let view =
        accept(exchange, about, move |directory, caller| async move { directory.create_user(&caller, attrs).await })
            .await?;
    let view = completed(exchange, view, &projection).await;
    Ok(answer(exchange, StatusCode::CREATED, view, &projection))
}

/// GET by id: 200, or 304 where the client has the version. Inactive users are shown like others (GEN-15).
pub(super) async fn get(exchange: &Exchange<'_>, id: &str) -> Result<Response, Failure> {
    let projection = exchange.projection(exchange.types().user)?;
    let tenant = &exchange.caller.tenant;
    let mut view = exchange.state.directory.get_user(tenant, id, exchange.shows_groups(&projection)).await?;
    add_last_logins(exchange, std::iter::once(&mut view)).await?;
    let user = Resource::user(exchange.types(), view, &exchange.base);
    if exchange.conditions.is_known(user.version()) {
        return Ok(user.not_modified());
    }
    Ok(user.respond(StatusCode::OK, &exchange.base, &projection))
}

/// PUT: 200 with the user.
pub(super) async fn replace(exchange: &Exchange<'_>, id: &str, body: Payload<'_>) -> Result<Response, Failure> {
    let projection = exchange.projection(exchange.types().user)?;
    let body = judged(exchange, id, exchange.body(body, exchange.state.options.body).await).await?;
    let (id, precondition) = (id.to_owned(), exchange.conditions.precondition());
    let view = accept(exchange, about, move |directory, caller| async move {
        directory.replace_user(&caller, &id, body, &precondition).await
    })
    .await?;
    let view = completed(exchange, view, &projection).await;
    Ok(answer(exchange, StatusCode::OK, view, &projection))
}

/// PATCH: 200 with the user (VAL-9), or 204 by the tenant's choice.
pub(super) async fn patch(exchange: &Exchange<'_>, id: &str, body: Payload<'_>) -> Result<Response, Failure> {
    let projection = exchange.projection(exchange.types().user)?;
    let body = judged(exchange, id, exchange.body(body, exchange.state.options.body).await).await?;
    let (id, precondition) = (id.to_owned(), exchange.conditions.precondition());
    let view = accept(exchange, about, move |directory, caller| async move {
        directory.patch_user(&caller, &id, body, &precondition).await
    })
    .await?;
    if !exchange.shows_patched(exchange.scim.user_patch) {
        return Ok(Resource::user(exchange.types(), view, &exchange.base).no_content());
    }
    let view = completed(exchange, view, &projection).await;
    Ok(answer(exchange, StatusCode::OK, view, &projection))
}

/// DELETE: 204, or 200 for a client of 1.1 that wants it.
pub(super) async fn delete(exchange: &Exchange<'_>, id: &str) -> Result<Response, Failure> {
    let (id, precondition) = (id.to_owned(), exchange.conditions.precondition());
    let gone = Subject::User(Uuid::try_parse(&id).unwrap_or_default());
    accept(
        exchange,
        move |()| gone,
        move |directory, caller| async move { directory.delete_user(&caller, &id, &precondition).await },
    )
    .await?;
    Ok(reply::empty(exchange.deleted()))
}

/// What a change of a user is about.
fn about(view: &UserView) -> Subject {
    Subject::User(view.id)
}

fn answer(exchange: &Exchange<'_>, status: StatusCode, view: UserView, projection: &Projection) -> Response {
    Resource::user(exchange.types(), view, &exchange.base).respond(status, &exchange.base, projection)
}

/// An unknown id is 404 before its body is judged.
async fn judged<T>(exchange: &Exchange<'_>, id: &str, body: Result<T, Failure>) -> Result<T, Failure> {
    if body.is_err() {
        exchange.state.directory.get_user(&exchange.caller.tenant, id, false).await?;
    }
    body
}

/// The answer to a change shows what this request did not write, too: the groups where they are wanted, and when the person was
/// last seen where the tenant publishes it. Whatever goes wrong here, the change itself is done and must be answered as done.
async fn completed(exchange: &Exchange<'_>, mut view: UserView, projection: &Projection) -> UserView {
    if !exchange.shows_groups(projection) {
        view.groups = None;
    } else if view.groups.is_none() {
        let id = view.id.to_string();
        if let Ok(now) = exchange.state.directory.get_user(&exchange.caller.tenant, &id, true).await {
            view.groups = now.groups;
        }
    }
    if let Err(failure) = add_last_logins(exchange, std::iter::once(&mut view)).await {
        tracing::debug!(?failure, "the answer to a change does not tell the last login");
    }
    view
}

/// Adds when people were last seen, where the tenant publishes it.
pub(super) async fn add_last_logins<'a>(
    exchange: &Exchange<'_>,
    users: impl Iterator<Item = &'a mut UserView>,
) -> Result<(), Failure> {
    if exchange.types().user.tells_last_login() {
        exchange.state.directory.add_last_logins(&exchange.caller.tenant, users).await?;
    }
    Ok(())
}
