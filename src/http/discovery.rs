//! What this server can do, said by itself (RFC 7644 section 4): `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas`.
//!
//! Credentials are needed here too: a tenant's existence is nobody else's business.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::Exchange;
use super::error::Failure;
use super::reply;
use super::route::Endpoint;
use crate::scim::ScimError;
use crate::scim::discovery::{self, Announcement, AuthenticationScheme};

const SCHEMES: &[AuthenticationScheme] = &[
    AuthenticationScheme {
        kind: "oauthbearertoken",
        name: "Bearer token",
        description: "A token issued for this tenant, sent as Authorization: Bearer.",
        primary: true,
    },
    AuthenticationScheme {
        kind: "httpbasic",
        name: "HTTP Basic",
        description: "A user name and a password issued for this tenant.",
        primary: false,
    },
];

/// GET of any discovery endpoint.
pub(super) fn get(exchange: &Exchange<'_>, endpoint: &Endpoint<'_>) -> Result<Response, Failure> {
    // RFC 7644 section 4: a filter here is answered 403.
    if exchange.query.filter.is_some() {
        let detail = "Discovery endpoints do not filter.".to_owned();
        return Err(ScimError { status: 403, scim_type: None, detail }.into());
    }
    let base = exchange.base.as_str();
    let document = match endpoint {
        Endpoint::ServiceProviderConfig => Some(service_provider_config(exchange)),
        Endpoint::ResourceTypes => Some(discovery::resource_types(base)),
        Endpoint::ResourceType(id) => discovery::resource_type(base, id),
        Endpoint::Schemas => Some(discovery::schemas(base)),
        Endpoint::Schema(id) => discovery::schema(base, id),
        _ => None,
    };
    match document {
        Some(document) => Ok(reply::json(StatusCode::OK, &document)),
        None => Err(ScimError::not_found("This server does not know such a schema or resource type.").into()),
    }
}

fn service_provider_config(exchange: &Exchange<'_>) -> Value {
    let options = &exchange.state.options;
    let announcement = Announcement {
        max_results: options.page_max,
        bulk: true,
        // Also taken for the most operations in one PATCH (AK-2).
        max_operations: options.bulk_operations,
        max_payload: options.body as u64,
        authentication_schemes: SCHEMES,
    };
    discovery::service_provider_config(&exchange.base, &announcement)
}
