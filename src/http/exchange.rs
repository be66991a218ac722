//! One admitted request: who asks, for what, and under which address; and the reading of its parts.

use axum::body::Body;
use axum::http::request::Parts;
use serde_json::Value;
use uuid::Uuid;

use super::error::Failure;
use super::query::Query;
use super::tenant::Identity;
use super::{HttpState, body};
use crate::directory::{Caller, ListQuery};
use crate::listen::Peer;
use crate::scim::{Paging, Projection, ResourceType, ScimError, filter};

/// A request that was let in.
pub(super) struct Exchange<'a> {
    pub(super) state: &'a HttpState,
    pub(super) parts: &'a Parts,
    pub(super) caller: Caller,
    pub(super) query: Query,
    /// `{public_url}/scim/{tenant}/v2`.
    pub(super) base: String,
}

impl<'a> Exchange<'a> {
    /// Reads what every endpoint needs.
    ///
    /// # Errors
    /// 400 where the query is not text.
    pub(super) fn new(
        state: &'a HttpState,
        parts: &'a Parts,
        identity: Identity,
        request_id: Uuid,
    ) -> Result<Self, Failure> {
        let peer = parts.extensions.get::<Peer>().copied();
        let public = state.origin.base(&parts.headers, parts.uri.authority(), peer);
        let base = format!("{public}/scim/{}/v2", identity.tenant.slug);
        let caller = Caller {
            tenant: identity.tenant,
            actor: identity.credential.label.clone(),
            request_id,
            remote: state.origin.remote(&parts.headers, peer),
            // Decided where a change is accepted; a read settles nothing.
            settles: None,
        };
        Ok(Self { state, parts, caller, query: Query::of(parts.uri.query())?, base })
    }

    /// What the client wants to see of a resource.
    pub(super) fn projection(&self, kind: &ResourceType) -> Result<Projection, ScimError> {
        Projection::parse(kind, self.query.attributes.as_deref(), self.query.excluded_attributes.as_deref())
    }

    /// Whether the client says which attributes it wants to see.
    pub(super) fn asks_for_attributes(&self) -> bool {
        self.query.attributes.is_some() || self.query.excluded_attributes.is_some()
    }

    /// Filter and page of a list.
    pub(super) fn list_query(&self, kind: &ResourceType, with_related: bool) -> Result<ListQuery, ScimError> {
        let options = &self.state.options;
        let filter = match self.query.filter.as_deref().filter(|text| !text.trim().is_empty()) {
            Some(text) => Some(filter::resolve(&filter::parse(text, &options.filter)?, kind)?),
            None => None,
        };
        let (start, count) = (self.query.start_index.as_deref(), self.query.count.as_deref());
        let Paging { start_index, count } = Paging::parse(start, count, options.page_max, options.page_default)?;
        Ok(ListQuery { filter, start_index, count, with_related })
    }

    /// The JSON of the body, of at most `limit` bytes.
    pub(super) async fn body(&self, body: Body, limit: usize) -> Result<Value, Failure> {
        body::read(&self.parts.headers, body, limit, self.state.options.body_timeout).await
    }
}
