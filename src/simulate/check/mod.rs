//! What a provider relies on in an answer. Pure: an answer in, faults out, one sentence each with the quirks that make it
//! necessary. One check is one function, and has a broken server in the tests.

mod discovery;
mod error;
mod list;
mod resource;

use std::collections::BTreeSet;

use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use serde_json::Value;

pub use error::retry_after;

const CORE1: &str = "urn:scim:schemas:core:1.0";

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

    /// The resource: the body, or the first of a list. `None` where there is neither, as with 204.
    fn resource(&self) -> Option<&Value> {
        let list = self.body.get("Resources").is_some();
        let resource = if list { self.resources().first() } else { Some(&self.body) };
        resource.filter(|resource| resource.is_object())
    }

    fn names(&self, urn: &str) -> bool {
        let schemas = self.body.get("schemas").and_then(Value::as_array);
        schemas.is_some_and(|schemas| schemas.iter().any(|schema| schema == urn))
    }
}

/// Which SCIM is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// SCIM 1.1: one URN for everything (S11-2).
    V1,
    /// SCIM 2.0.
    #[default]
    V2,
}

/// Which resource is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `/Groups`
    Group,
    /// `/Users`
    User,
}

impl Kind {
    /// `/Users` or `/Groups`.
    pub fn path(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    /// The attribute that names one: `userName` or `displayName`.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "userName",
            Self::Group => "displayName",
        }
    }

    fn urn(self, protocol: Protocol) -> &'static str {
        match (protocol, self) {
            (Protocol::V1, _) => CORE1,
            (Protocol::V2, Self::User) => "urn:ietf:params:scim:schemas:core:2.0:User",
            (Protocol::V2, Self::Group) => "urn:ietf:params:scim:schemas:core:2.0:Group",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }
}

/// One thing a provider relies on.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// A whole resource: schemas, a usable id, meta; never a password.
    Resource(Kind),
    /// A whole resource, or 204 and nothing.
    ResourceOrNothing(Kind),
    /// The id is this one.
    Id(String),
    /// `Location` is absolute, ends with the id, and is `meta.location`.
    Location(Kind),
    /// What was sent comes back as it was sent; of a list, in its first resource.
    Echo(Value),
    /// `active` is this, as a JSON boolean; of a list, in its first resource.
    Active(bool),
    /// This is not in the answer.
    Without(&'static str),
    /// A list with integer counters that fit what was asked for.
    List {
        /// `startIndex` of the request.
        start: u64,
        /// `count` of the request.
        count: u64,
    },
    /// A list that nobody asked to be paged: an integer total, resources with ids.
    Unpaged,
    /// The list holds exactly those with these ids.
    Found(Vec<String>),
    /// Every resource of the list has this text here, compared without regard to case.
    EachHas(&'static str, String),
    /// `members` are exactly these ids.
    Members(BTreeSet<String>),
    /// No body.
    Nothing,
    /// The error envelope.
    Error,
    /// `WWW-Authenticate`.
    Challenge,
    /// The `Content-Type` says which charset.
    Charset,
    /// The configuration says in booleans and integers what is supported.
    Configuration,
    /// The list of schemas or resource types names each of these.
    Describes(&'static [&'static str]),
    /// The extension of the configuration with this URN names each of these capabilities.
    Capabilities(&'static str, &'static [&'static str]),
}

/// Something that is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One sentence.
    pub what: String,
    /// The quirks, or the paragraph, that make it necessary: `GEN-13, OKTA-21`.
    pub cites: String,
}

impl Fault {
    /// A fault.
    pub fn new(what: impl Into<String>, cites: impl Into<String>) -> Self {
        Self { what: what.into(), cites: cites.into() }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)?;
        if self.cites.is_empty() { Ok(()) } else { write!(f, " [{}]", self.cites) }
    }
}

/// What is wrong with an answer. Where the status is not one of `statuses`, nothing else is looked at; `cites` is why the
/// request is sent at all.
pub fn faults(protocol: Protocol, statuses: &[u16], cites: &str, checks: &[Check], answer: &Answer) -> Vec<Fault> {
    if !statuses.contains(&answer.status) {
        let wanted = statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
        let what = format!("status {} instead of {wanted} ({})", answer.status, error::words(answer));
        return vec![Fault::new(what, cites)];
    }
    if let Some(why) = &answer.unreadable {
        return vec![Fault::new(format!("the body is not JSON: {why}"), "GEN-4")];
    }
    let mut faults = Vec::new();
    if !answer.body.is_null() && !is_json(&answer.headers) {
        let what = "Content-Type is neither application/scim+json nor application/json";
        faults.push(Fault::new(what, "GEN-4"));
    }
    for check in checks.iter().filter(|check| check.is_about_errors() == (answer.status >= 400)) {
        let mut found = Vec::new();
        check.look(protocol, answer, &mut found);
        faults.extend(found.into_iter().map(|what| Fault::new(what, check.cites())));
    }
    faults
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(media.as_str(), "application/scim+json" | "application/json")
}

impl Check {
    /// Of a request that may end well or not, each kind of answer has its own checks.
    fn is_about_errors(&self) -> bool {
        matches!(self, Self::Error | Self::Challenge)
    }

    /// Who makes it necessary.
    pub fn cites(&self) -> &'static str {
        match self {
            Self::Resource(_) => "GEN-19, OKTA-8, OKTA-22, AK-5",
            Self::ResourceOrNothing(_) => "OKTA-15, VAL-9",
            Self::Id(_) => "OKTA-16, OKTA-22",
            Self::Location(_) => "GEN-19",
            Self::Echo(_) => "GEN-21, OKTA-24, ENTRA-26, ENTRA-35",
            Self::Active(_) => "GEN-15, ENTRA-29, MISC-3",
            Self::Without(_) => "ENTRA-7, ENTRA-25",
            Self::List { .. } => "GEN-13, OKTA-21",
            Self::Unpaged => "GEN-13, KC-10",
            Self::Found(_) => "GEN-14, ENTRA-2, ENTRA-31",
            Self::EachHas(..) => "GEN-17",
            Self::Members(_) => "OKTA-29, AK-8, KC-8",
            Self::Nothing => "RFC 9110 section 15.3.5",
            Self::Error => "GEN-20, OKTA-25, OKTA11-12",
            Self::Challenge => "OKTA-25, RFC 9110 section 11.6.1",
            Self::Charset => "GEN-4, SLACK-6",
            Self::Configuration => "AK-2, RIP-2",
            Self::Describes(_) => "ONEID-1, VAL-4",
            Self::Capabilities(..) => "OPP-1",
        }
    }

    fn look(&self, protocol: Protocol, answer: &Answer, found: &mut Vec<String>) {
        match self {
            Self::Resource(kind) => resource::whole(*kind, protocol, answer, found),
            Self::ResourceOrNothing(_) if answer.status == 204 => resource::nothing(answer, found),
            Self::ResourceOrNothing(kind) => resource::whole(*kind, protocol, answer, found),
            Self::Id(id) => resource::same_id(id, answer, found),
            Self::Location(kind) => resource::location(*kind, answer, found),
            Self::Echo(sent) => resource::echo(sent, answer, found),
            Self::Active(active) => resource::is_active(*active, answer, found),
            Self::Without(name) => resource::without(name, answer, found),
            Self::Members(ids) => resource::members(ids, answer, found),
            Self::Nothing => resource::nothing(answer, found),
            Self::List { start, count } => list::page(*start, *count, protocol, answer, found),
            Self::Unpaged => list::unpaged(protocol, answer, found),
            Self::Found(ids) => list::holds(ids, answer, found),
            Self::EachHas(name, text) => list::each_has(name, text, answer, found),
            Self::Error => error::envelope(protocol, answer, found),
            Self::Challenge => error::challenge(answer, found),
            Self::Charset => resource::charset(answer, found),
            Self::Configuration => discovery::configuration(answer, found),
            Self::Describes(names) => discovery::describes(names, answer, found),
            Self::Capabilities(urn, names) => discovery::capabilities(urn, names, answer, found),
        }
    }
}

#[cfg(test)]
mod tests;
