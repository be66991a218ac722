//! One admitted request: who asks, for what, and under which address; and the reading of its parts.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use super::HttpState;
use super::body::{Payload, Size};
use super::error::Failure;
use super::etag::Conditions;
use super::grant::Grant;
use super::query;
use super::recording::Notes;
use super::tenant::Identity;
use super::wire::{Base, Version};
use crate::directory::Caller;
use crate::listen::Peer;
use crate::policy::Scim;
use crate::policy::record::Level;
use crate::policy::scim::{DeleteAnswer, PatchAnswer, UnknownMembers};
use crate::scim::{Projection, ResourceType, ScimError, Search, Types};

/// A request that was let in, or one operation of it.
pub(super) struct Exchange<'a> {
    pub(super) state: &'a HttpState,
    pub(super) method: Method,
    pub(super) conditions: Conditions,
    pub(super) caller: Caller,
    /// The user whom the credential stands for.
    pub(super) me: Option<Uuid>,
    /// What the credential may do.
    pub(super) grant: Grant,
    /// The source that the tenant's people come from: then clients only read.
    pub(super) source: Option<Arc<str>>,
    /// How this tenant's clients are answered.
    pub(super) scim: Arc<Scim>,
    /// Whether a change may wait for Jira, so that the client hears a refusal.
    pub(super) settles: bool,
    pub(super) query: Search,
    /// The address, and the version of the protocol that goes with it.
    pub(super) base: Base,
    /// What goes on record of it.
    pub(super) notes: Notes,
}

impl<'a> Exchange<'a> {
    /// Reads what every endpoint needs.
    ///
    /// # Errors
    /// 400 where the query is not text.
    pub(super) fn new(
        state: &'a HttpState,
        version: Version,
        parts: &Parts,
        identity: Identity,
        request_id: Uuid,
        notes: &Notes,
    ) -> Result<Self, Failure> {
        let peer = parts.extensions.get::<Peer>().copied();
        let public = state.origin.base(&parts.headers, parts.uri.authority(), peer);
        let base = Base::new(&public, &identity.tenant.slug, version);
        let caller = Caller {
            tenant: identity.tenant,
            types: identity.types,
            groups: Arc::clone(&identity.groups),
            refuses_unknown_members: identity.scim.unknown_members == UnknownMembers::Refuse,
            actor: identity.credential.label.clone(),
            request_id,
            remote: state.origin.remote(&parts.headers, peer).map(|address| address.to_string()),
            priority: 0,
            // Decided where a change is accepted; a read settles nothing.
            settles: None,
            records_bodies: identity.level != Level::Off,
        };
        Ok(Self {
            state,
            method: parts.method.clone(),
            conditions: Conditions::of(&parts.headers),
            caller,
            me: identity.credential.me,
            grant: Grant::of(&identity.credential),
            source: identity.source,
            scim: identity.scim,
            settles: true,
            query: query::read(parts.uri.query())?,
            base,
            notes: notes.clone(),
        })
    }

    /// One operation of this request, as if it had come by itself (RFC 7644 section 3.7).
    pub(super) fn operation(&self, method: Method, version: Option<&str>) -> Self {
        Self {
            state: self.state,
            method,
            conditions: Conditions::of_bulk(version),
            caller: self.caller.clone(),
            me: self.me,
            grant: self.grant,
            source: self.source.clone(),
            scim: self.scim.clone(),
            settles: false,
            query: Search::default(),
            base: self.base.clone(),
            notes: self.notes.clone(),
        }
    }

    /// The schemas of this tenant.
    pub(super) fn types(&self) -> Types {
        self.caller.types
    }

    /// GET or HEAD.
    pub(super) fn reads(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// What the client wants to see of a resource.
    pub(super) fn projection(&self, kind: &ResourceType) -> Result<Projection, ScimError> {
        Projection::parse(kind, self.query.attributes.as_deref(), self.query.excluded_attributes.as_deref())
    }

    /// Whether the groups of a user are shown: where they are wanted, and groups are not out of bounds.
    pub(super) fn shows_groups(&self, projection: &Projection) -> bool {
        projection.wants("groups") && self.grant.sees_groups()
    }

    /// Whether a PATCH is answered with the resource: as the tenant chose, or because the client says which attributes
    /// it wants to see (RFC 7644 section 3.5.2).
    pub(super) fn shows_patched(&self, answer: PatchAnswer) -> bool {
        let asks = self.query.attributes.is_some() || self.query.excluded_attributes.is_some();
        asks || answer == PatchAnswer::Resource
    }

    /// The JSON of the body, of at most `limit` bytes, as the engine takes it.
    pub(super) async fn body(&self, payload: Payload<'_>, limit: usize) -> Result<Value, Failure> {
        let body = payload.read(Size::Small { limit }, self.state.options.body_timeout).await?;
        self.notes.heard(&body);
        Ok(self.base.version().body(&self.method, body)?)
    }

    /// The JSON of the body of a group, with its members as ids.
    pub(super) async fn group_body(&self, payload: Payload<'_>) -> Result<Value, Failure> {
        let limit = self.state.options.group_body;
        let body = payload.read(Size::Large { limit }, self.state.options.body_timeout).await?;
        self.notes.heard(&body);
        Ok(self.base.version().body(&self.method, body)?)
    }

    /// How a successful DELETE is answered (S11-21).
    pub(super) fn deleted(&self) -> StatusCode {
        match (self.base.version(), self.scim.v1_delete) {
            (Version::V1, DeleteAnswer::Ok) => StatusCode::OK,
            (Version::V1, DeleteAnswer::Empty) | (Version::V2, _) => StatusCode::NO_CONTENT,
        }
    }
}
