//! Layer 3: the one door for every identity change. One transaction each: change, audit row, outbox rows.
//!
//! Speaks domain types and domain errors; knows neither HTTP nor any Jira. What a change means for Jira is the writer's
//! business: the directory only nudges the subjects it touched and hands the nudges back, so that the caller may settle.

mod group;
mod group_change;
pub mod list;
mod members;
pub mod undo;
mod user;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::policy::guard::OnPost;
use crate::policy::{Groups, Policy};
use crate::scim::{Attrs, Types};
use crate::secret::{names_secret, without_tokens};
use crate::store::outbox::{NudgeAs, Subject};
use crate::store::tenant::Tenant;
use crate::store::user::Deed;
use crate::store::{Store, StoreError};

pub use self::list::{ListQuery, Page, Start, View};
pub use crate::store::outbox::Nudge;

/// On whose behalf something is done.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The tenant that the credential belongs to.
    pub tenant: Arc<Tenant>,
    /// Its schemas.
    pub types: Types,
    /// Whether a member id that is nobody's is an error; else it is left out and recorded.
    pub refuses_unknown_members: bool,
    /// Which Jira groups the tenant's groups stand for.
    pub groups: Arc<Groups>,
    /// The label of the credential; goes into the audit.
    pub actor: String,
    /// The request's id, in and out.
    pub request_id: Uuid,
    /// The client's address as far as trusted proxies tell.
    pub remote: Option<String>,
    /// How urgent what it leaves to do is: 0 what somebody waits for, 1 bulk work.
    pub priority: i16,
    /// The request draws the outbox rows already leased to itself for this long, because it will settle them.
    pub settles: Option<Duration>,
    /// Whether the audit keeps what the request said.
    pub records_bodies: bool,
}

impl Caller {
    /// A body as the audit keeps it: without what this tenant's clients may never read.
    fn audited(&self, body: &Value) -> Value {
        audited(body, &self.types.secrets())
    }

    /// Whether a POST of what was imported makes it the client's; asked only where it comes to that.
    fn claims_imported(&self) -> bool {
        Policy::from_value(&self.tenant.policy).is_ok_and(|policy| policy.import.post == OnPost::Claim)
    }

    /// What goes into the audit and the outbox with a change.
    fn deed<'a>(&'a self, action: &'a str, body: Option<&'a Value>, status: i16) -> Deed<'a> {
        Deed {
            tenant_id: self.tenant.id,
            audit_id: Uuid::now_v7(),
            request_id: self.request_id,
            actor: &self.actor,
            remote: self.remote.as_deref(),
            action,
            body: body.filter(|_| self.records_bodies),
            status,
            nudge: NudgeAs {
                priority: self.priority,
                request_id: Some(self.request_id),
                lease: self.settles.map(|length| (Uuid::new_v4(), length)),
                fan_out: false,
            },
        }
    }
}

/// The precondition of a write (`If-Match`, RFC 7644 section 3.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// None was given, or `*`.
    None,
    /// One of these versions.
    Versions(Vec<i64>),
}

/// A user as a client may see it.
#[derive(Clone, Debug)]
pub struct UserView {
    /// The SCIM id.
    pub id: Uuid,
    /// What the client owns.
    pub attrs: Attrs,
    /// For the ETag.
    pub version: i64,
    /// `meta.created`.
    pub created: DateTime<Utc>,
    /// `meta.lastModified`.
    pub modified: DateTime<Utc>,
    /// The groups the user is in; `None` when they were not asked for.
    pub groups: Option<Vec<GroupRef>>,
    /// When the person was last seen at the target; `None` where nobody knows, or nobody asked
    /// (see [`Directory::add_last_logins`]).
    pub last_login: Option<DateTime<Utc>>,
}

/// A group that a user is in.
#[derive(Clone, Debug)]
pub struct GroupRef {
    /// The group's id.
    pub id: Uuid,
    /// Its `displayName`.
    pub display: String,
    /// Direct member, or through a nested group.
    pub direct: bool,
}

/// A group as a client may see it.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// The SCIM id.
    pub id: Uuid,
    /// What the client owns, without `members`.
    pub attrs: Attrs,
    /// For the ETag. After a change of a group whose members change fast it is not known, because counting costs more than
    /// the change; a read knows it always.
    pub version: Option<i64>,
    /// `meta.created`.
    pub created: DateTime<Utc>,
    /// `meta.lastModified`.
    pub modified: DateTime<Utc>,
    /// The members; `None` when they were not asked for.
    pub members: Option<Members>,
}

/// The members of a group as far as they were read. A group may have a hundred thousand, so the rest is read while it is
/// answered: see [`Directory::members_after`].
#[derive(Clone, Debug, Default)]
pub struct Members {
    /// The first, by id.
    pub first: Vec<MemberRef>,
    /// There may be more behind the last of them.
    pub more: bool,
}

/// A member of a group.
#[derive(Clone, Debug)]
pub struct MemberRef {
    /// The member's id.
    pub id: Uuid,
    /// Its `displayName`, or userName where it has none.
    pub display: Option<String>,
    /// A group in a group.
    pub is_group: bool,
}

/// What a change did, and what it left to do.
#[derive(Debug)]
pub struct Accepted<T> {
    /// The resource that was asked for.
    pub about: Subject,
    /// The resource as it is now.
    pub view: T,
    /// Whether anything changed; when not, there is neither a new version nor an audit row.
    pub changed: bool,
    /// The subjects put into the outbox (or already there, for a change that changed nothing), most important first.
    pub nudged: Vec<Nudge>,
    /// How to take the change back, for what gives or changes; `None` for what takes away.
    pub undo: Option<Undo>,
}

/// How to take a change back. Opaque to callers; see [`undo`].
#[derive(Debug)]
pub struct Undo(pub(crate) undo::Before);

/// What can go wrong with a change or a read.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The client's request is at fault (400, 409, 412 ...).
    #[error(transparent)]
    Scim(#[from] crate::scim::ScimError),
    /// There is no such living resource.
    #[error("there is no {kind} with id {id}")]
    NotFound {
        /// `User` or `Group`.
        kind: &'static str,
        /// As the client wrote it.
        id: String,
    },
    /// The precondition names another version.
    #[error("the resource has changed: its version is W/\"{current}\"")]
    Precondition {
        /// The version it has.
        current: i64,
    },
    /// Others kept changing the resource while this change was tried.
    #[error("the resource is being changed by others; try again")]
    Busy,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Directory {
    store: Store,
}

/// How often a change is tried again when somebody else was quicker, or the database chose it to break a deadlock.
const TRIES: usize = 16;

impl Directory {
    /// The directory over a store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    async fn conn(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, DirectoryError> {
        Ok(self.store.pool().acquire().await.map_err(StoreError::from)?)
    }

    async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, DirectoryError> {
        Ok(self.store.pool().begin().await.map_err(StoreError::from)?)
    }
}

/// What one try of a change came to.
enum Tried<T> {
    Done(T),
    /// Somebody else was quicker: read again.
    Again,
}

/// Tries a change until nobody else is quicker.
async fn persist<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, DirectoryError>
where
    F: Future<Output = Result<Tried<T>, DirectoryError>>,
{
    for _ in 0..TRIES {
        match attempt().await {
            Ok(Tried::Done(done)) => return Ok(done),
            Ok(Tried::Again) => {}
            Err(DirectoryError::Store(error)) if error.is_transient() => {}
            Err(error) => return Err(error),
        }
        tokio::task::yield_now().await;
    }
    Err(DirectoryError::Busy)
}

/// A SCIM id is one of ours or does not exist (`OKTA-22`).
fn parse_id(kind: &'static str, id: &str) -> Result<Uuid, DirectoryError> {
    // Only the form that we print: another spelling of the same number is another string, and so no id of ours.
    Uuid::try_parse(id)
        .ok()
        .filter(|uuid| uuid.as_hyphenated().to_string() == id)
        .ok_or_else(|| DirectoryError::NotFound { kind, id: id.to_owned() })
}

/// A body as the audit keeps it: without passwords and the attributes of those names, and not larger than a page of a book.
pub(crate) fn audited(body: &Value, secrets: &[&str]) -> Value {
    const LARGEST: usize = 16 * 1024;
    let mut size = Counted(0);
    // Counting cannot fail; a large body is not copied to learn that it is one.
    if serde_json::to_writer(&mut size, body).is_err() || size.0 > LARGEST {
        return serde_json::json!({ "omitted": format!("{} bytes", size.0) });
    }
    let mut body = body.clone();
    redact(&mut body, secrets);
    body
}

/// How many bytes were written.
struct Counted(usize);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn redact(value: &mut Value, secrets: &[&str]) {
    match value {
        Value::Object(map) => {
            let names_secret = |(key, value): (&String, &Value)| {
                key.eq_ignore_ascii_case("path") && value.as_str().is_some_and(|path| is_secret(path, secrets))
            };
            let by_path = map.iter().any(names_secret);
            for (key, value) in map.iter_mut() {
                if let (true, Value::String(text)) = (says_where(key), &mut *value) {
                    hide(key, text, secrets);
                } else if is_secret(key, secrets) || (by_path && key.eq_ignore_ascii_case("value")) {
                    *value = Value::String("[redacted]".to_owned());
                } else {
                    redact(value, secrets);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, secrets)),
        Value::String(text) => {
            if let std::borrow::Cow::Owned(kept) = without_tokens(text) {
                *text = kept;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What names attributes and may compare them with something.
fn says_where(key: &str) -> bool {
    key.eq_ignore_ascii_case("path") || key.eq_ignore_ascii_case("filter")
}

/// Takes out of a path, or of a filter, what it compares a secret with.
fn hide(key: &str, text: &mut String, secrets: &[&str]) {
    let speaks = text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| is_secret(word, secrets));
    let compares = key.eq_ignore_ascii_case("filter") || text.contains('[');
    if speaks && compares {
        let (before, after) = match (text.find('['), text.rfind(']')) {
            (Some(open), Some(close)) if open < close => (&text[..open], &text[close + 1..]),
            _ => ("", ""),
        };
        *text = format!("{before}[redacted]{after}");
    }
}

/// Whether something was taken out of a path or a filter of a body: then a sentence about it may repeat it.
pub(crate) fn hides_in_paths(body: &Value) -> bool {
    match body {
        Value::Object(map) => map.iter().any(|(key, value)| match value {
            Value::String(text) => says_where(key) && text.contains("[redacted]"),
            other => hides_in_paths(other),
        }),
        Value::Array(items) => items.iter().any(hides_in_paths),
        _ => false,
    }
}

/// Whether a name, or any part of a path, is that of a secret.
fn is_secret(name: &str, secrets: &[&str]) -> bool {
    name.split([':', '.', '[', ']'])
        .map(str::trim)
        .any(|part| names_secret(part) || secrets.iter().any(|secret| part.eq_ignore_ascii_case(secret)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::audited;

    #[test]
    fn a_password_never_reaches_the_audit_however_it_is_spelt() {
        for body in [
            json!({"userName": "ann", "password": "s3cret"}),
            json!({"userName": "ann", "newPassword": "s3cret", "urn:example:1.0": {"passwd": {"x": "s3cret"}}}),
            json!({"Operations": [{"op": "replace", "path": "password", "value": "s3cret"}]}),
            json!({"operations": [{"op": "Replace", "PATH": "Password", "VALUE": "s3cret"}]}),
            json!({"Operations": [{"op": "replace", "value": {"urn:ietf:params:scim:schemas:core:2.0:User:password": "s3cret"}}]}),
        ] {
            let kept = audited(&body, &[]).to_string();
            assert!(!kept.contains("s3cret"), "{kept}");
        }
    }

    #[test]
    fn what_a_tenant_declares_as_never_returned_does_not_reach_the_audit_either() {
        let urn = "urn:example:badge:1.0";
        for body in [
            json!({urn: {"PIN": "s3cret"}}),
            json!({"Operations": [{"op": "add", "path": format!("{urn}:pin"), "value": "s3cret"}]}),
            json!({"Operations": [{"op": "add", "path": "doors[value eq \"1.0\"].pin", "value": "s3cret"}]}),
            json!({"Operations": [{"op": "add", "value": {format!("{urn}:pin"): "s3cret"}}]}),
            json!({"Operations": [{"op": "add", "path": format!("{urn}:pin.code"), "value": "s3cret"}]}),
            json!({"Operations": [{"op": "add", "path": "pin[type eq \"door\"].code", "value": "s3cret"}]}),
            json!({"Operations": [{"op": "add", "path": "badges[pin eq \"s3cret\"].value", "value": 1}]}),
            json!({"Operations": [{"op": "remove", "path": "badges[pin eq \"s3cret\"]"}]}),
            json!({"schemas": [], "filter": "title pr and urn:example:badge:1.0:PIN eq \"s3cret\""}),
            json!({"filter": "password eq \"s3cret\""}),
        ] {
            let kept = audited(&body, &["pin"]).to_string();
            assert!(!kept.contains("s3cret"), "{kept}");
        }
        assert_eq!(audited(&json!({"title": "pin"}), &["pin"]), json!({"title": "pin"}));
    }
}
