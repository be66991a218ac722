//! What this server can do, said by itself (RFC 7644 section 4): `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas`.
//!
//! Credentials are needed here too, also under SCIM 1.1 whose text would rather have it otherwise (S11-28): a tenant's
//! existence is nobody else's business.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::Exchange;
use super::error::Failure;
use super::reply;
use super::route::Endpoint;
use super::wire::Version;
use crate::scim::discovery::{self, Announcement, AuthenticationScheme};
use crate::scim::{ScimError, filter, v11};

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
    let document = match exchange.base.version() {
        Version::V1 => document_1_1(exchange, endpoint)?,
        Version::V2 => document(exchange, endpoint)?,
    };
    match document {
        Some(document) => Ok(reply::json(StatusCode::OK, &document)),
        None => Err(ScimError::not_found("This server does not know such a schema or resource type.").into()),
    }
}

fn document(exchange: &Exchange<'_>, endpoint: &Endpoint<'_>) -> Result<Option<Value>, ScimError> {
    // RFC 7644 section 4: a filter here is answered 403.
    if exchange.query.filter.is_some() {
        let detail = "Discovery endpoints do not filter.".to_owned();
        return Err(ScimError { status: 403, scim_type: None, detail });
    }
    let (base, types) = (exchange.base.as_str(), exchange.types());
    Ok(match endpoint {
        Endpoint::ServiceProviderConfig => Some(discovery::service_provider_config(base, &announcement(exchange))),
        Endpoint::ResourceTypes => Some(discovery::resource_types(types, base)),
        Endpoint::ResourceType(id) => discovery::resource_type(types, base, id),
        Endpoint::Schemas => Some(discovery::schemas(types, base)),
        Endpoint::Schema(id) => discovery::schema(types, base, id),
        _ => None,
    })
}

/// The documents of SCIM 1.1. A filter is a way to look a schema up; elsewhere it has nothing to choose from.
fn document_1_1(exchange: &Exchange<'_>, endpoint: &Endpoint<'_>) -> Result<Option<Value>, ScimError> {
    let (base, types) = (exchange.base.as_str(), exchange.types().all());
    Ok(match endpoint {
        Endpoint::ServiceProviderConfig => Some(v11::service_provider_configs(base, &announcement(exchange))),
        Endpoint::ResourceTypes => Some(v11::resource_types(&types)),
        Endpoint::Schemas => {
            let limits = &exchange.state.options.filter;
            let asked = exchange.query.filter.as_deref().map(|text| filter::parse(text, limits)).transpose()?;
            Some(v11::schemas(base, &types, asked.as_ref())?)
        }
        Endpoint::Schema(id) => v11::schema(base, &types, id),
        _ => None,
    })
}

fn announcement<'a>(exchange: &Exchange<'_>) -> Announcement<'a> {
    let options = &exchange.state.options;
    Announcement {
        max_results: options.page_max,
        default_results: options.page_default.min(options.page_max),
        bulk: true,
        // Also taken for the most operations in one PATCH (AK-2).
        max_operations: options.bulk_operations,
        max_payload: options.body as u64,
        authentication_schemes: SCHEMES,
    }
}
