//! What a provider relies on in an answer. Pure: an answer in, complaints out, one sentence each.

use std::collections::BTreeSet;

use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Map, Value};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// An answer, its body read as JSON.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; `Null` where there is none.
    pub body: Value,
    /// Why the body is not JSON, where there is one that is not.
    pub unreadable: Option<String>,
}

impl Answer {
    /// Reads the body.
    pub fn new(status: u16, headers: HeaderMap, body: &[u8]) -> Self {
        let (body, unreadable) = match serde_json::from_slice(body) {
            Ok(body) => (body, None),
            Err(_) if body.is_empty() => (Value::Null, None),
            Err(error) => (Value::Null, Some(error.to_string())),
        };
        Self { status, headers, body, unreadable }
    }

    /// `id`, where there is one.
    pub fn id(&self) -> Option<&str> {
        self.body.get("id").and_then(Value::as_str).filter(|id| !id.is_empty())
    }

    /// `Resources` of a list; empty where there are none.
    pub fn resources(&self) -> &[Value] {
        self.body.get("Resources").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// `totalResults` of a list.
    pub fn total(&self) -> Option<u64> {
        self.body.get("totalResults").and_then(Value::as_u64)
    }
}

/// Which resource is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `/Users`
    User,
    /// `/Groups`
    Group,
}

impl Kind {
    /// `/Users` or `/Groups`.
    pub fn path(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    fn urn(self) -> &'static str {
        match self {
            Self::User => USER,
            Self::Group => GROUP,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }
}

/// One thing a provider relies on.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// A whole resource (OKTA-8, GEN-19): schemas, a usable id (OKTA-22), meta.
    Resource(Kind),
    /// A whole resource, or 204 and nothing (OKTA-15, OKTA-18).
    ResourceOrNothing(Kind),
    /// The id is this one.
    Id(String),
    /// `Location` is absolute, ends with the id, and is `meta.location` (GEN-19).
    Location(Kind),
    /// What was sent comes back as it was sent (OKTA-24, GEN-21); never a password (OKTA-7).
    Echo(Value),
    /// `active` is this, as a JSON boolean.
    Active(bool),
    /// A list with integer counters (OKTA-21, GEN-13) that fit what was asked for.
    List {
        /// `startIndex` of the request.
        start: u64,
        /// `count` of the request.
        count: u64,
    },
    /// The list holds exactly those with these ids.
    Found(Vec<String>),
    /// Every resource of the list has this text here, compared without regard to case (GEN-17).
    EachHas(&'static str, String),
    /// `members` are exactly these ids.
    Members(BTreeSet<String>),
    /// No body.
    Nothing,
    /// The error envelope (OKTA-25, GEN-20).
    Error,
    /// `WWW-Authenticate` (RFC 7235 section 4.1).
    Challenge,
}

/// What is wrong with an answer. Where the status is not one of `statuses`, nothing else is looked at.
pub fn complaints(statuses: &[u16], checks: &[Check], answer: &Answer) -> Vec<String> {
    if !statuses.contains(&answer.status) {
        let wanted = statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
        let detail = answer.body.get("detail").and_then(Value::as_str).unwrap_or("no detail");
        return vec![format!("status {} instead of {wanted} ({detail})", answer.status)];
    }
    if let Some(why) = &answer.unreadable {
        return vec![format!("the body is not JSON: {why}")];
    }
    let mut found = Vec::new();
    if !answer.body.is_null() && !is_json(&answer.headers) {
        found.push("Content-Type is neither application/scim+json nor application/json".to_owned());
    }
    for check in checks {
        check.look(answer, &mut found);
    }
    found
}

/// How many seconds a 429 asks to wait. Okta understands an integer only (OKTA-27).
///
/// # Errors
/// What is wrong with the header.
pub fn retry_after(answer: &Answer) -> Result<u64, String> {
    let header = answer.headers.get(RETRY_AFTER).ok_or("429 without Retry-After (Okta then waits 5 minutes)")?;
    let text = header.to_str().unwrap_or_default();
    text.parse().map_err(|_| format!("Retry-After `{text}` is not an integer (Okta then waits 5 minutes)"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(media.as_str(), "application/scim+json" | "application/json")
}

impl Check {
    fn look(&self, answer: &Answer, found: &mut Vec<String>) {
        match self {
            Self::Resource(kind) => resource(*kind, answer, found),
            Self::ResourceOrNothing(kind) => match answer.status {
                204 => nothing(answer, found),
                _ => resource(*kind, answer, found),
            },
            Self::Id(id) => same_id(id, answer, found),
            Self::Location(kind) => location(*kind, answer, found),
            Self::Echo(sent) => echo(sent, answer, found),
            Self::Active(active) => is_active(*active, answer, found),
            Self::List { start, count } => list(*start, *count, answer, found),
            Self::Found(ids) => holds(ids, answer, found),
            Self::EachHas(name, text) => each_has(name, text, answer, found),
            Self::Members(ids) => members(ids, answer, found),
            Self::Nothing => nothing(answer, found),
            Self::Error => error(answer, found),
            Self::Challenge => {
                if !answer.headers.contains_key(WWW_AUTHENTICATE) {
                    found.push("401 without WWW-Authenticate".to_owned());
                }
            }
        }
    }
}

fn names(answer: &Answer, urn: &str) -> bool {
    let schemas = answer.body.get("schemas").and_then(Value::as_array);
    schemas.is_some_and(|schemas| schemas.iter().any(|schema| schema == urn))
}

fn resource(kind: Kind, answer: &Answer, found: &mut Vec<String>) {
    if !answer.body.is_object() {
        found.push(format!("no {} in the body", kind.name()));
        return;
    }
    if !names(answer, kind.urn()) {
        found.push(format!("schemas does not name {}", kind.urn()));
    }
    match answer.body.get("id") {
        Some(Value::String(id)) if usable(id) => {}
        Some(Value::String(id)) => found.push(format!("the id `{id}` is empty or holds a blank, a slash or `bulkId`")),
        Some(_) => found.push("id is not a string".to_owned()),
        None => found.push("no id".to_owned()),
    }
    let meta = |name| answer.body.get("meta").and_then(|meta| meta.get(name)).and_then(Value::as_str);
    if meta("resourceType") != Some(kind.name()) {
        found.push(format!("meta.resourceType is not {}", kind.name()));
    }
    if meta("location").is_none() {
        found.push("no meta.location".to_owned());
    }
    if answer.body.get("password").is_some() {
        found.push("the password comes back".to_owned());
    }
}

/// OKTA-22, GEN-18.
fn usable(id: &str) -> bool {
    !id.is_empty() && !id.contains("bulkId") && !id.contains(|c: char| c.is_whitespace() || c == '/')
}

fn same_id(id: &str, answer: &Answer, found: &mut Vec<String>) {
    // A 204 says nothing about it.
    if answer.body.is_object() && answer.id() != Some(id) {
        found.push(format!("the id is {} instead of {id}", answer.body.get("id").unwrap_or(&Value::Null)));
    }
}

fn location(kind: Kind, answer: &Answer, found: &mut Vec<String>) {
    let Some(location) = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok()) else {
        found.push("no Location".to_owned());
        return;
    };
    let end = format!("{}/{}", kind.path(), answer.id().unwrap_or("?"));
    if !location.starts_with("http") || !location.ends_with(&end) {
        found.push(format!("Location {location} is not an absolute URL that ends with {end}"));
    }
    let meta = answer.body.get("meta").and_then(|meta| meta.get("location")).and_then(Value::as_str);
    if meta.is_some_and(|meta| meta != location) {
        found.push("Location and meta.location differ".to_owned());
    }
}

fn echo(sent: &Value, answer: &Answer, found: &mut Vec<String>) {
    let (Some(sent), Some(answered)) = (sent.as_object(), answer.body.as_object()) else { return };
    for (name, value) in sent {
        // `schemas`, `id`, `meta` and `groups` are the server's own; a password must not come back.
        let own = ["schemas", "id", "meta", "groups", "members", "password"].contains(&name.as_str());
        if !own && !comes_back(value, answered.get(name)) {
            let now = answered.get(name).map_or_else(|| "nothing".to_owned(), Value::to_string);
            found.push(format!("{name} was sent as {value} and comes back as {now}"));
        }
    }
}

/// Whether everything that was sent is there. The server may add to objects; an empty list equals absence.
fn comes_back(sent: &Value, answered: Option<&Value>) -> bool {
    match (sent, answered) {
        (Value::Null, None | Some(Value::Null)) => true,
        (Value::Array(sent), None) => sent.is_empty(),
        (Value::Array(sent), Some(Value::Array(answered))) => {
            sent.len() == answered.len()
                && sent.iter().all(|item| answered.iter().any(|other| comes_back(item, Some(other))))
        }
        (Value::Object(sent), Some(Value::Object(answered))) => {
            sent.iter().all(|(name, value)| name == "$ref" || comes_back(value, answered.get(name)))
        }
        (sent, answered) => answered == Some(sent),
    }
}

fn is_active(active: bool, answer: &Answer, found: &mut Vec<String>) {
    // A 204 says nothing about it; a list is asked about its first resource.
    let resource = if answer.body.get("Resources").is_some() { answer.resources().first() } else { Some(&answer.body) };
    let Some(resource) = resource.filter(|resource| resource.is_object()) else { return };
    if resource.get("active") != Some(&Value::Bool(active)) {
        let now = resource.get("active").unwrap_or(&Value::Null);
        found.push(format!("active is {now} instead of {active}"));
    }
}

fn list(start: u64, count: u64, answer: &Answer, found: &mut Vec<String>) {
    if !names(answer, LIST) {
        found.push(format!("schemas does not name {LIST}"));
    }
    let Some(body) = answer.body.as_object() else { return };
    let total = counter(body, "totalResults", found);
    let resources = answer.resources().len() as u64;
    if body.get("Resources").is_some_and(|resources| !resources.is_array()) {
        found.push("Resources is not a list".to_owned());
    }
    if total.is_some_and(|total| total > 0) {
        // RFC 7644 section 3.4.2: both are required where a page was asked for.
        if counter(body, "startIndex", found).is_some_and(|answered| answered != start) {
            found.push(format!("startIndex is not {start}"));
        }
        if counter(body, "itemsPerPage", found).is_some_and(|answered| answered != resources) {
            found.push(format!("itemsPerPage does not say that there are {resources} resources"));
        }
    }
    if resources > count {
        found.push(format!("{resources} resources where {count} were asked for"));
    }
    if let Some(total) = total
        && total < resources
    {
        found.push(format!("totalResults is {total} and there are {resources} resources"));
    }
    if answer.resources().iter().any(|resource| resource.get("id").and_then(Value::as_str).is_none()) {
        found.push("a resource of the list has no id".to_owned());
    }
}

fn counter(body: &Map<String, Value>, name: &str, found: &mut Vec<String>) -> Option<u64> {
    match body.get(name) {
        Some(value) if value.is_u64() => value.as_u64(),
        Some(value) => {
            found.push(format!("{name} is {value} and not an integer"));
            None
        }
        None => {
            found.push(format!("no {name}"));
            None
        }
    }
}

fn holds(ids: &[String], answer: &Answer, found: &mut Vec<String>) {
    let wanted: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let listed: BTreeSet<&str> =
        answer.resources().iter().filter_map(|resource| resource.get("id")?.as_str()).collect();
    if wanted != listed || answer.total() != Some(ids.len() as u64) {
        let total = answer.total().map_or_else(|| "none".to_owned(), |total| total.to_string());
        found.push(format!("the list has {listed:?} (totalResults {total}) instead of {wanted:?}"));
    }
}

fn each_has(name: &str, text: &str, answer: &Answer, found: &mut Vec<String>) {
    let same = |value: &Value| value.as_str().is_some_and(|value| value.to_lowercase() == text.to_lowercase());
    if !answer.resources().iter().all(|resource| resource.get(name).is_some_and(same)) {
        found.push(format!("the list holds a resource whose {name} is not `{text}`"));
    }
}

fn members(ids: &BTreeSet<String>, answer: &Answer, found: &mut Vec<String>) {
    let members = answer.body.get("members").and_then(Value::as_array);
    let listed: BTreeSet<String> = members
        .into_iter()
        .flatten()
        .filter_map(|member| member.get("value").and_then(Value::as_str).map(str::to_owned))
        .collect();
    let missing = ids.difference(&listed).count();
    let extra = listed.difference(ids).count();
    if missing + extra > 0 {
        found.push(format!("of {} members {missing} are missing and {extra} are too many", ids.len()));
    }
}

fn nothing(answer: &Answer, found: &mut Vec<String>) {
    if !answer.body.is_null() {
        found.push(format!("{} with a body", answer.status));
    }
}

fn error(answer: &Answer, found: &mut Vec<String>) {
    if !names(answer, ERROR) {
        found.push(format!("schemas does not name {ERROR}"));
    }
    let status = answer.status.to_string();
    if answer.body.get("status") != Some(&Value::String(status.clone())) {
        let now = answer.body.get("status").unwrap_or(&Value::Null);
        found.push(format!("the error's status is {now} instead of \"{status}\""));
    }
    if answer.body.get("detail").and_then(Value::as_str).is_none_or(str::is_empty) {
        found.push("the error has no detail".to_owned());
    }
}

#[cfg(test)]
mod tests;
