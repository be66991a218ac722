//! Lists (RFC 7644 sections 3.4.2 and 3.4.3): of users, of groups, or of both at the root; by GET or by POST to `/.search`.
//!
//! The query says filter, order and page, wherever it came from. Nothing found is an empty page (GEN-14). A list is a
//! read: it leaves no row in the audit.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::Value;
use uuid::Uuid;

use super::Exchange;
use super::body::Payload;
use super::error::Failure;
use super::group;
use super::members::Pieces;
use super::reply::{self, Resource};
use super::route::Collection;
use super::user;
use super::wire::Version;
use crate::directory::{GroupView, ListQuery, Page, Start, UserView, View};
use crate::scim::filter::{self, Filter};
use crate::scim::{
    Cursor, Fingerprint, Paging, Projection, ResourceType, ScimError, Search, Sort, cursor_response, schema,
};

/// GET of a collection.
pub(super) async fn list(exchange: &Exchange<'_>, of: Collection) -> Result<Response, Failure> {
    match of {
        Collection::Users => users(exchange).await,
        Collection::Groups => groups(exchange).await,
        Collection::Everything => everything(exchange).await,
    }
}

/// POST to the `/.search` of a collection: the query is in the body, and what the URL says beside it counts for nothing.
pub(super) async fn search(exchange: &Exchange<'_>, of: Collection, body: Payload<'_>) -> Result<Response, Failure> {
    let body = exchange.body(body, exchange.state.options.body).await?;
    let mut asking = exchange.operation(Method::GET, None);
    asking.query = Search::from_body(&body)?;
    list(&asking, of).await
}

async fn users(exchange: &Exchange<'_>) -> Result<Response, Failure> {
    let kind = exchange.types().user;
    let projection = exchange.projection(kind)?;
    let query = query(exchange, kind, exchange.shows_groups(&projection))?;
    let mut page = exchange.state.directory.list_users(&exchange.caller.tenant, &query).await?;
    user::add_last_logins(exchange, page.items.iter_mut()).await?;
    let print = |user| print_user(exchange, user, &projection);
    Ok(answer(exchange, &projection, &query.start, printed(page, print)))
}

async fn groups(exchange: &Exchange<'_>) -> Result<Response, Failure> {
    let kind = exchange.types().group;
    let projection = exchange.projection(kind)?;
    let query = query(exchange, kind, projection.wants("members"))?;
    let page = exchange.state.directory.list_groups(&exchange.caller.tenant, &query).await?;
    let print = |group| print_group(exchange, group, &projection);
    Ok(answer(exchange, &projection, &query.start, printed(page, print)))
}

async fn everything(exchange: &Exchange<'_>) -> Result<Response, Failure> {
    let kinds @ [of_users, of_groups] = exchange.types().all();
    let (users, groups) = (exchange.projection(of_users)?, exchange.projection(of_groups)?);
    let asked = &exchange.query;
    let filter = parsed_filter(exchange)?;
    let resolve = |kind, other| filter.as_ref().map(|f| filter::resolve_among(f, kind, other)).transpose();
    let sorts = Sort::parse_among(asked.sort_by.as_deref(), asked.sort_order.as_deref(), kinds)?;
    let fingerprint = Fingerprint::of("/", filter.as_ref(), &each(&sorts));
    let sorted_by = each(&sorts).into_iter().flatten().find_map(|sort| sort.attr.as_ref());
    let (start, count) = start(exchange, fingerprint, sorted_by.map(|attr| attr.kind))?;
    let [sort_users, sort_groups] = sorts.map_or([None, None], |sorts| sorts.map(Some));
    let base = exchange.base.to_string();
    let users_query = ListQuery {
        filter: resolve(of_users, of_groups)?,
        sort: sort_users,
        start: start.clone(),
        count,
        with_related: exchange.shows_groups(&users),
        base,
    };
    let groups_query = ListQuery {
        filter: resolve(of_groups, of_users)?,
        sort: sort_groups,
        with_related: groups.wants("members"),
        ..users_query.clone()
    };
    let mut page = exchange.state.directory.list_both(&exchange.caller.tenant, &users_query, &groups_query).await?;
    let listed = page.items.iter_mut().filter_map(|view| match view {
        View::User(user) => Some(user),
        View::Group(_) => None,
    });
    user::add_last_logins(exchange, listed).await?;
    let print = |view| match view {
        View::User(user) => print_user(exchange, user, &users),
        View::Group(group) => print_group(exchange, group, &groups),
    };
    Ok(answer(exchange, &groups, &start, printed(page, print)))
}

fn each(sorts: &Option<[Sort; 2]>) -> [Option<&Sort>; 2] {
    sorts.as_ref().map_or([None, None], |[users, groups]| [Some(users), Some(groups)])
}

/// What is asked of one collection.
fn query(exchange: &Exchange<'_>, kind: &ResourceType, with_related: bool) -> Result<ListQuery, ScimError> {
    let asked = &exchange.query;
    let filter = parsed_filter(exchange)?;
    let sort = Sort::parse(asked.sort_by.as_deref(), asked.sort_order.as_deref(), kind)?;
    let fingerprint = Fingerprint::of(kind.endpoint, filter.as_ref(), &[sort.as_ref()]);
    let sorted_by = sort.as_ref().and_then(|sort| sort.attr.as_ref()).map(|attr| attr.kind);
    let (start, count) = start(exchange, fingerprint, sorted_by)?;
    let filter = filter.map(|filter| filter::resolve(&filter, kind)).transpose()?;
    Ok(ListQuery { filter, sort, start, count, with_related, base: exchange.base.to_string() })
}

fn parsed_filter(exchange: &Exchange<'_>) -> Result<Option<Filter>, ScimError> {
    let text = exchange.query.filter.as_deref().filter(|text| !text.trim().is_empty());
    text.map(|text| filter::parse(text, &exchange.state.options.filter)).transpose()
}

/// Where the page begins and how long it is. RFC 9865 leaves open what a cursor beside a `startIndex` means, and each of
/// two meanings would lose resources that the client expects: refused, unless the index says nothing.
fn start(
    exchange: &Exchange<'_>,
    query: Fingerprint,
    sorted_by: Option<schema::Kind>,
) -> Result<(Start, u64), ScimError> {
    let (options, asked) = (&exchange.state.options, &exchange.query);
    let (index, count) = (asked.start_index.as_deref(), asked.count.as_deref());
    let Paging { start_index, count } = Paging::parse(index, count, options.page_max, options.page_default)?;
    // To 1.1 it is a parameter like any unknown one (GEN-5).
    let cursor = asked.cursor.as_deref().filter(|_| exchange.base.version() == Version::V2);
    let Some(cursor) = cursor else { return Ok((Start::Index(start_index), count)) };
    if start_index > 1 {
        return Err(ScimError::invalid_value(
            "startIndex and cursor exclude each other: ask for pages by one of them.",
        ));
    }
    let after = match cursor {
        "" => None,
        text => Some(Cursor::decode(text, query, sorted_by)?),
    };
    Ok((Start::Cursor { query, after }, count))
}

/// A resource as text, and where its members go on that are not in it.
type Printed = (Option<(Uuid, Uuid)>, Value);

fn printed<T>(page: Page<T>, print: impl FnMut(T) -> Printed) -> Page<Printed> {
    Page { total: page.total, items: page.items.into_iter().map(print).collect(), next: page.next }
}

fn print_user(exchange: &Exchange<'_>, view: UserView, projection: &Projection) -> Printed {
    (None, Resource::user(exchange.types(), view, &exchange.base).document(&exchange.base, projection))
}

fn print_group(exchange: &Exchange<'_>, view: GroupView, projection: &Projection) -> Printed {
    (
        group::goes_on(&view),
        Resource::group(exchange.types(), view, &exchange.base).document(&exchange.base, projection),
    )
}

/// The answer; `projection` is that of groups where there are any.
fn answer(exchange: &Exchange<'_>, projection: &Projection, start: &Start, page: Page<Printed>) -> Response {
    let envelope = |resources| match start {
        Start::Index(index) => exchange.base.version().list(resources, page.total, *index),
        Start::Cursor { .. } => cursor_response(resources, page.total, page.next.as_ref()),
    };
    if page.items.iter().all(|(rest, _)| rest.is_none()) {
        let resources = page.items.into_iter().map(|(_, resource)| resource).collect();
        return reply::json(StatusCode::OK, &envelope(resources));
    }
    let envelope = envelope(Vec::new());
    reply::printed(StatusCode::OK, Pieces::list(page.items, envelope).body(exchange, projection))
}
