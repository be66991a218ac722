//! `/Bulk` (RFC 7644 section 3.7): operations one after the other, each as if it had come by itself, each its own
//! transaction.
//!
//! What it changes is accepted and then written to Jira by the workers: a thousand operations that each waited for Jira
//! would outlast every client.

use std::collections::HashMap;
use std::time::Instant;

use axum::http::{Method, StatusCode, header};
use axum::response::Response;

use super::Exchange;
use super::body::Payload;
use super::entry::serve;
use super::error::Failure;
use super::reply;
use super::route::Endpoint;
use crate::scim::bulk::{self, BulkRequest, Operation, Outcome};
use crate::scim::error::{ScimError, quoted};

/// POST: 200 with one entry for each operation that was tried.
pub(super) async fn run(exchange: &Exchange<'_>, body: Payload<'_>) -> Result<Response, Failure> {
    let options = &exchange.state.options;
    // The listener would cut the whole request off, and nobody would learn what was done.
    let until = Instant::now() + options.body_timeout;
    let body = exchange.body(body, options.body).await?;
    let BulkRequest { fail_on_errors, mut operations } = bulk::parse(body, options.bulk_operations)?;
    let mut made: HashMap<String, Option<String>> = HashMap::new();
    let mut outcomes = Vec::with_capacity(operations.len());
    let mut errors = 0;
    for (at, circular) in bulk::order(&operations) {
        if fail_on_errors.is_some_and(|most| errors >= most) {
            break;
        }
        let operation = &mut operations[at];
        let outcome = match prepared(operation, &made, circular) {
            Ok(()) if Instant::now() >= until => failed(exchange, operation, Failure::timed_out()),
            Ok(()) => done(exchange, operation).await,
            Err(error) => failed(exchange, operation, error.into()),
        };
        errors += u64::from(outcome.status >= 400);
        if let Some(id) = &operation.bulk_id {
            let made_id = outcome.location.as_deref().filter(|_| outcome.status < 400).and_then(last_segment);
            made.insert(id.clone(), made_id);
        }
        outcomes.push((at, outcome));
    }
    exchange.notes.failed_inside(usize::try_from(errors).unwrap_or(usize::MAX));
    outcomes.sort_by_key(|(at, _)| *at);
    let outcomes = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    Ok(reply::json(StatusCode::OK, &exchange.base.version().bulk(outcomes)))
}

fn prepared(
    operation: &mut Operation,
    made: &HashMap<String, Option<String>>,
    circular: bool,
) -> Result<(), ScimError> {
    if circular {
        let detail = "The operation names itself through the bulkIds of others.".to_owned();
        return Err(ScimError { status: 409, scim_type: None, detail });
    }
    bulk::resolve(operation, made)
}

/// One operation, by the way that every request takes.
async fn done(exchange: &Exchange<'_>, operation: &mut Operation) -> Outcome {
    match served(exchange, operation).await {
        Ok(response) => succeeded(exchange, operation, &response),
        Err(failure) => failed(exchange, operation, failure),
    }
}

async fn served(exchange: &Exchange<'_>, operation: &mut Operation) -> Result<Response, Failure> {
    let path = operation.path.clone();
    let endpoint = Endpoint::parse(path.strip_prefix(exchange.base.as_str()).unwrap_or(&path));
    let fits = match operation.method {
        bulk::Method::Post => matches!(endpoint, Endpoint::Users | Endpoint::Groups),
        bulk::Method::Put | bulk::Method::Patch | bulk::Method::Delete => {
            matches!(endpoint, Endpoint::User(_) | Endpoint::Group(_))
        }
    };
    if !fits {
        let detail = format!("{} is no path for {}.", quoted(&operation.path), operation.method.as_str());
        return Err(ScimError::invalid_value(detail).into());
    }
    let body = match (operation.method, operation.data.take()) {
        (bulk::Method::Delete, _) => serde_json::Value::Null,
        (_, Some(data)) => data,
        (_, None) => return Err(ScimError::invalid_syntax("The operation has no data.").into()),
    };
    let inner = exchange.operation(method(operation.method), operation.version.as_deref());
    // On the heap: what serves a request calls this, which serves requests.
    Box::pin(serve(&inner, &endpoint, Payload::Read(body))).await
}

fn method(method: bulk::Method) -> Method {
    match method {
        bulk::Method::Post => Method::POST,
        bulk::Method::Put => Method::PUT,
        bulk::Method::Patch => Method::PATCH,
        bulk::Method::Delete => Method::DELETE,
    }
}

fn succeeded(exchange: &Exchange<'_>, operation: &Operation, response: &Response) -> Outcome {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Outcome {
        method: operation.method,
        bulk_id: operation.bulk_id.clone(),
        location: text(header::LOCATION).or_else(|| location(exchange, operation)),
        version: text(header::ETAG),
        status: response.status().as_u16(),
        error: None,
    }
}

fn failed(exchange: &Exchange<'_>, operation: &Operation, failure: Failure) -> Outcome {
    Outcome {
        method: operation.method,
        bulk_id: operation.bulk_id.clone(),
        location: location(exchange, operation),
        version: None,
        status: failure.status(),
        error: Some(failure.body()),
    }
}

/// Where the resource of an operation is; nowhere yet for a POST, and nowhere for a path that no resource could have.
fn location(exchange: &Exchange<'_>, operation: &Operation) -> Option<String> {
    const LONGEST: usize = 512;
    if operation.method == bulk::Method::Post || operation.path.len() > LONGEST {
        return None;
    }
    let path = operation.path.strip_prefix(exchange.base.as_str()).unwrap_or(&operation.path);
    Some(format!("{}/{}", exchange.base, path.trim_start_matches('/')))
}

fn last_segment(location: &str) -> Option<String> {
    location.rsplit('/').next().map(str::to_owned)
}
