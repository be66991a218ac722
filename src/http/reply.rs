//! What an answer looks like: resources with `schemas`, `id`, `meta` and their relations, cut down to what was asked for.
//!
//! `meta` is made here from what the store knows; nothing else is added to what the client gave us.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::wire::{Base, Version};
use super::{etag, members};
use crate::directory::{GroupRef, GroupView, UserView};
use crate::scim::schema::LAST_LOGIN;
use crate::scim::{Attrs, Projection, ResourceType, Types, resource, urn};

/// A resource on its way to the client.
#[derive(Debug)]
pub(super) struct Resource {
    kind: &'static ResourceType,
    id: Uuid,
    attrs: Attrs,
    /// `None` where a change did not learn it.
    version: Option<i64>,
    created: DateTime<Utc>,
    modified: DateTime<Utc>,
    /// `groups` of a user or `members` of a group, where they were loaded.
    related: Option<(&'static str, Value)>,
    /// When a user was last seen at the target, where the tenant publishes it.
    last_login: Option<DateTime<Utc>>,
}

impl Resource {
    /// A user; `$ref` of its groups is built on `base`.
    pub(super) fn user(types: Types, view: UserView, base: &str) -> Self {
        let groups = view.groups.map(|groups| ("groups", groups.iter().map(|group| group_ref(group, base)).collect()));
        Self {
            kind: types.user,
            id: view.id,
            attrs: view.attrs,
            version: Some(view.version),
            created: view.created,
            modified: view.modified,
            related: groups,
            last_login: view.last_login.filter(|_| types.user.tells_last_login()),
        }
    }

    /// A group; `$ref` of its members is built on `base`.
    pub(super) fn group(types: Types, view: GroupView, base: &str) -> Self {
        let members = view
            .members
            .map(|members| ("members", members.first.iter().map(|member| members::shown(member, base)).collect()));
        Self {
            kind: types.group,
            id: view.id,
            attrs: view.attrs,
            version: view.version,
            created: view.created,
            modified: view.modified,
            related: members,
            last_login: None,
        }
    }

    /// The whole answer to a request about one resource. A 201 says where the new resource is; so does every other
    /// answer, as RFC 7644 section 3.3 allows.
    pub(super) fn respond(self, status: StatusCode, base: &Base, projection: &Projection) -> Response {
        self.respond_with(base, |resource| json(status, &resource.document(base, projection)))
    }

    /// The same where `print` makes the body.
    pub(super) fn respond_with(self, base: &str, print: impl FnOnce(Self) -> Response) -> Response {
        let (tag, location) = (self.tag(), self.location(base));
        let mut response = print(self);
        let headers = response.headers_mut();
        if let Some(tag) = tag {
            headers.insert(header::ETAG, tag);
        }
        if let Ok(location) = HeaderValue::try_from(location) {
            headers.insert(header::LOCATION, location);
        }
        response
    }

    /// 304: the client has this version already.
    pub(super) fn not_modified(&self) -> Response {
        self.bare(StatusCode::NOT_MODIFIED)
    }

    /// 204: the change is done, and this is the version that it made.
    pub(super) fn no_content(&self) -> Response {
        self.bare(StatusCode::NO_CONTENT)
    }

    fn bare(&self, status: StatusCode) -> Response {
        let mut response = empty(status);
        if let Some(tag) = self.tag() {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }

    /// An answer that does not know its version says none.
    fn tag(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(etag::of(self.version?)).ok()
    }

    /// The version, for a comparison with the client's.
    pub(super) fn version(&self) -> Option<i64> {
        self.version
    }

    /// The document that the client sees.
    pub(super) fn document(mut self, base: &Base, projection: &Projection) -> Value {
        let location = self.location(base);
        // Before the extensions are counted: it may be all that one has.
        if let Some(at) = self.last_login {
            let enterprise = self.attrs.entry(urn::ENTERPRISE_USER).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(enterprise) = enterprise {
                enterprise.insert(LAST_LOGIN.into(), timestamp(at).into());
            }
        }
        let schemas = resource::schemas_of(self.kind, &self.attrs).into_iter().map(Value::from).collect();
        let mut meta = Map::new();
        meta.insert("resourceType".into(), self.kind.name.into());
        meta.insert("created".into(), timestamp(self.created).into());
        meta.insert("lastModified".into(), timestamp(self.modified).into());
        meta.insert("location".into(), location.into());
        if let Some(version) = self.version {
            meta.insert("version".into(), etag::of(version).into());
        }
        if let Some(at) = self.last_login {
            meta.insert(LAST_LOGIN.into(), timestamp(at).into());
        }
        let mut document = self.attrs;
        document.insert("schemas".into(), Value::Array(schemas));
        document.insert("id".into(), self.id.to_string().into());
        document.insert("meta".into(), Value::Object(meta));
        if let Some((name, value)) = self.related {
            document.insert(name.into(), value);
        }
        add_manager_ref(&mut document, base);
        projection.apply(self.kind, &mut document);
        base.version().resource(self.kind, Value::Object(document))
    }

    fn location(&self, base: &str) -> String {
        format!("{base}{}/{}", self.kind.endpoint, self.id)
    }
}

/// A JSON answer, under the media type of 2.0 until it goes out.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // Serialising a `Value` into memory cannot fail; were it to, an empty body with the right status is what is left.
    printed(status, serde_json::to_vec(value).unwrap_or_default())
}

/// JSON that is printed already, or will be while it is sent.
pub(super) fn printed(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, Version::V2.media());
    response
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// To the microsecond, as stored, so that a filter on the shown time finds exactly this resource.
fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A manager who can be one of ours is given an address; whether there is such a user is not looked up.
fn add_manager_ref(document: &mut Attrs, base: &str) {
    let manager = document.get_mut(urn::ENTERPRISE_USER).and_then(|enterprise| enterprise.get_mut("manager"));
    let Some(Value::Object(manager)) = manager else { return };
    let id = manager.get("value").and_then(Value::as_str).filter(|id| Uuid::try_parse(id).is_ok());
    if let Some(address) = id.map(|id| format!("{base}/Users/{id}")) {
        manager.insert("$ref".into(), address.into());
    }
}

fn group_ref(group: &GroupRef, base: &str) -> Value {
    let mut object = Map::new();
    object.insert("value".into(), group.id.to_string().into());
    object.insert("$ref".into(), format!("{base}/Groups/{}", group.id).into());
    object.insert("display".into(), group.display.clone().into());
    object.insert("type".into(), if group.direct { "direct" } else { "indirect" }.into());
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    const BASE: &str = "https://scim.example/scim/acme/v2";

    fn attrs(value: Value) -> Attrs {
        value.as_object().unwrap().clone()
    }

    fn base(version: Version) -> Base {
        Base::new("https://scim.example", "acme", version)
    }

    fn view() -> UserView {
        UserView {
            id: Uuid::from_u128(7),
            attrs: attrs(json!({"userName": "ada", "active": true})),
            version: 3,
            created: DateTime::from_timestamp_micros(1_700_000_000_000_001).unwrap(),
            modified: DateTime::from_timestamp_micros(1_700_000_060_000_000).unwrap(),
            groups: Some(vec![GroupRef { id: Uuid::from_u128(8), display: "Staff".into(), direct: false }]),
            last_login: None,
        }
    }

    #[test]
    fn a_user_is_shown_with_its_schemas_meta_and_groups() {
        let projection = Projection::parse(Types::built_in().user, None, None).unwrap();
        let id = "00000000-0000-0000-0000-000000000007";
        assert_eq!(
            Resource::user(Types::built_in(), view(), BASE).document(&base(Version::V2), &projection),
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "id": id,
                "userName": "ada",
                "active": true,
                "groups": [{
                    "value": "00000000-0000-0000-0000-000000000008",
                    "$ref": format!("{BASE}/Groups/00000000-0000-0000-0000-000000000008"),
                    "display": "Staff",
                    "type": "indirect"
                }],
                "meta": {
                    "resourceType": "User",
                    "created": "2023-11-14T22:13:20.000001Z",
                    "lastModified": "2023-11-14T22:14:20.000000Z",
                    "location": format!("{BASE}/Users/{id}"),
                    "version": "W/\"3\""
                }
            })
        );
    }

    #[test]
    fn the_headers_say_version_place_and_type() {
        let projection = Projection::parse(Types::built_in().user, Some("userName"), None).unwrap();
        let response = Resource::user(Types::built_in(), view(), BASE).respond(
            StatusCode::CREATED,
            &base(Version::V2),
            &projection,
        );
        let header = |name| response.headers().get(name).unwrap().to_str().unwrap();
        assert_eq!(header(header::ETAG), "W/\"3\"");
        assert_eq!(header(header::LOCATION), format!("{BASE}/Users/00000000-0000-0000-0000-000000000007"));
        assert_eq!(header(header::CONTENT_TYPE), "application/scim+json; charset=utf-8");
    }
}
